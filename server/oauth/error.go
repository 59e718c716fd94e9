// Package oauth is the vocabulary of the protocol: error codes, errors, grant types and the
// strict parameter parser that every endpoint shares. It imports the standard library alone and
// holds no rule of any one endpoint.
package oauth

import (
	"net/http"
	"time"
)

// Code is an error code from the IANA OAuth Extensions Error registry.
type Code string

// The codes that Remit answers with.
const (
	InvalidRequest              Code = "invalid_request"               // RFC 6749 §5.2
	InvalidClient               Code = "invalid_client"                // RFC 6749 §5.2
	InvalidGrant                Code = "invalid_grant"                 // RFC 6749 §5.2
	UnauthorizedClient          Code = "unauthorized_client"           // RFC 6749 §5.2
	UnsupportedGrantType        Code = "unsupported_grant_type"        // RFC 6749 §5.2
	UnsupportedResponseType     Code = "unsupported_response_type"     // RFC 6749 §4.1.2.1
	InvalidScope                Code = "invalid_scope"                 // RFC 6749 §5.2
	AccessDenied                Code = "access_denied"                 // RFC 6749 §4.1.2.1
	ServerError                 Code = "server_error"                  // RFC 6749 §4.1.2.1
	TemporarilyUnavailable      Code = "temporarily_unavailable"       // RFC 6749 §4.1.2.1
	InvalidTarget               Code = "invalid_target"                // RFC 8707 §2
	InvalidAuthorizationDetails Code = "invalid_authorization_details" // RFC 9396 §5
	InvalidDPoPProof            Code = "invalid_dpop_proof"            // RFC 9449 §5
	UseDPoPNonce                Code = "use_dpop_nonce"                // RFC 9449 §8
	InvalidToken                Code = "invalid_token"                 // RFC 6750 §3.1
	InsufficientScope           Code = "insufficient_scope"            // RFC 6750 §3.1
	RequestNotSupported         Code = "request_not_supported"         // RFC 9101 §7
	RequestURINotSupported      Code = "request_uri_not_supported"     // RFC 9101 §7
	InvalidRequestURI           Code = "invalid_request_uri"           // RFC 9101 §7
	ConsentRequired             Code = "consent_required"              // OpenID Connect Core §3.1.2.6
	LoginRequired               Code = "login_required"                // OpenID Connect Core §3.1.2.6
	InvalidRedirectURI          Code = "invalid_redirect_uri"          // RFC 7591 §3.2.2
	InvalidClientMetadata       Code = "invalid_client_metadata"       // RFC 7591 §3.2.2
	InvalidSoftwareStatement    Code = "invalid_software_statement"    // RFC 7591 §3.2.2
	AuthorizationPending        Code = "authorization_pending"         // RFC 8628 §3.5
	SlowDown                    Code = "slow_down"                     // RFC 8628 §3.5
	ExpiredToken                Code = "expired_token"                 // RFC 8628 §3.5
)

// Status is the HTTP status that goes with the code at a JSON endpoint.
func (c Code) Status() int {
	switch c {
	case InvalidClient, InvalidToken:
		return http.StatusUnauthorized
	case InsufficientScope:
		return http.StatusForbidden
	case ServerError, TemporarilyUnavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusBadRequest
}

// Error is what the client is told; Cause, what only the log is told.
type Error struct {
	Code        Code          `json:"error"`
	Description string        `json:"error_description,omitempty"`
	HTTPStatus  int           `json:"-"` // overrides the code's status when set
	Cause       error         `json:"-"`
	RetryAfter  time.Duration `json:"-"` // with 429 and 503; zero: a moment
}

// Error describes the refusal for the log.
func (e *Error) Error() string {
	s := string(e.Code)
	if e.Description != "" {
		s += ": " + e.Description
	}
	if e.Cause != nil {
		s += " (" + e.Cause.Error() + ")"
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Status is the HTTP status of the refusal.
func (e *Error) Status() int {
	if e.HTTPStatus != 0 {
		return e.HTTPStatus
	}
	return e.Code.Status()
}

// Refuse returns an Error with this code and description.
func Refuse(code Code, description string) *Error {
	return &Error{Code: code, Description: description}
}

// Client authentication methods (RFC 7591 §2) and the assertion type (RFC 7523 §2.2).
const (
	AuthNone              = "none"
	AuthClientSecretBasic = "client_secret_basic"
	AuthClientSecretPost  = "client_secret_post"
	AuthPrivateKeyJWT     = "private_key_jwt"
	AssertionTypeJWT      = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

// RequestURIPrefix begins every request_uri made at the PAR endpoint (RFC 9126 §2.2).
const RequestURIPrefix = "urn:ietf:params:oauth:request_uri:"
