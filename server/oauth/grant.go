package oauth

// Grant types.
const (
	GrantAuthorizationCode = "authorization_code"                              // OAuth 2.1 §4.1
	GrantRefreshToken      = "refresh_token"                                   // OAuth 2.1 §4.3
	GrantClientCredentials = "client_credentials"                              // OAuth 2.1 §4.2
	GrantTokenExchange     = "urn:ietf:params:oauth:grant-type:token-exchange" // RFC 8693 §2.1
	GrantDeviceCode        = "urn:ietf:params:oauth:grant-type:device_code"    // RFC 8628 §3.4
	GrantJWTBearer         = "urn:ietf:params:oauth:grant-type:jwt-bearer"     // RFC 7523 §2.1
)

// TokenTypeAccess is the one type of token that is exchanged here (RFC 8693 §3).
const TokenTypeAccess = "urn:ietf:params:oauth:token-type:access_token"

// ProfileIDJAG names what a jwt-bearer grant may carry: an identity assertion authorization grant.
const ProfileIDJAG = "urn:ietf:params:oauth:grant-profile:id-jag"
