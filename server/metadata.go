package server

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/tokens"
)

// metadata serves RFC 8414 at every form that clients probe: with the issuer's path after the
// well-known part (§3.1), and in front of it as OpenID Connect Discovery §4 has it.
func (s *Server) metadata(w http.ResponseWriter, r *http.Request) error {
	document, err := json.Marshal(s.document())
	if err != nil {
		return err
	}
	return writePublic(w, r, "application/json", `"`+tokens.HashBytes(document)[len("sha-256:"):]+`"`, document)
}

// writePublic writes what anybody may keep for a minute, and spares those who have it already the body
// (RFC 9110 §13.1.2).
func writePublic(w http.ResponseWriter, r *http.Request, contentType, etag string, body []byte) error {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cache-Control", "public, max-age=60")
	h.Set("ETag", etag)
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Type", contentType)
	h.Set("X-Content-Type-Options", "nosniff")
	_, err := w.Write(body)
	return err
}

func (s *Server) wellKnownPaths() []string {
	paths := []string{
		"/.well-known/oauth-authorization-server" + s.base,
		"/.well-known/openid-configuration" + s.base,
	}
	if s.base != "" {
		paths = append(paths, s.base+"/.well-known/openid-configuration", s.base+"/.well-known/oauth-authorization-server")
	}
	return paths
}

// serverMetadata is the document of RFC 8414 §2 with its extensions.
type serverMetadata struct {
	Issuer                       string   `json:"issuer"`
	AuthorizationEndpoint        string   `json:"authorization_endpoint"`
	TokenEndpoint                string   `json:"token_endpoint"`
	PAREndpoint                  string   `json:"pushed_authorization_request_endpoint"` // RFC 9126 §5
	RequirePAR                   bool     `json:"require_pushed_authorization_requests"`
	DeviceEndpoint               string   `json:"device_authorization_endpoint"` // RFC 8628 §4
	RevocationEndpoint           string   `json:"revocation_endpoint"`
	IntrospectionEndpoint        string   `json:"introspection_endpoint"`
	UserinfoEndpoint             string   `json:"userinfo_endpoint"`    // OpenID Connect Discovery 1.0 §3
	EndSessionEndpoint           string   `json:"end_session_endpoint"` // OpenID Connect RP-Initiated Logout 1.0 §2.1
	Scopes                       []string `json:"scopes_supported"`     // those of every resource; each has more of its own
	Claims                       []string `json:"claims_supported"`
	JWKSURI                      string   `json:"jwks_uri"`
	ResponseTypes                []string `json:"response_types_supported"`
	ResponseModes                []string `json:"response_modes_supported"`
	GrantTypes                   []string `json:"grant_types_supported"`
	GrantProfiles                []string `json:"authorization_grant_profiles_supported,omitempty"` // MCP enterprise-managed authorization
	TokenAuthMethods             []string `json:"token_endpoint_auth_methods_supported"`
	TokenAuthAlgs                []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	RevocationAuthMethods        []string `json:"revocation_endpoint_auth_methods_supported"`
	IntrospectionAuthMethods     []string `json:"introspection_endpoint_auth_methods_supported"`
	IntrospectionAuthAlgs        []string `json:"introspection_endpoint_auth_signing_alg_values_supported"`
	CodeChallengeMethods         []string `json:"code_challenge_methods_supported"`
	DPoPAlgs                     []string `json:"dpop_signing_alg_values_supported"`              // RFC 9449 §5.1
	IssParameter                 bool     `json:"authorization_response_iss_parameter_supported"` // RFC 9207 §3
	DetailsTypes                 []string `json:"authorization_details_types_supported"`          // RFC 9396 §10
	RequestParameterSupported    bool     `json:"request_parameter_supported"`
	RequestURIParameterSupported bool     `json:"request_uri_parameter_supported"`
	Prompts                      []string `json:"prompt_values_supported"` // OpenID Connect Prompt Create 1.0 §4
	SubjectTypes                 []string `json:"subject_types_supported"`
	IDTokenAlgs                  []string `json:"id_token_signing_alg_values_supported"`
	ServiceDocumentation         string   `json:"service_documentation"`
	TaskEndpoint                 string   `json:"remit_task_endpoint"`
	ClientDocuments              bool     `json:"client_id_metadata_document_supported"` // CIMD §5
	RegistrationEndpoint         string   `json:"registration_endpoint,omitempty"`       // RFC 7591, where it is open
}

func (s *Server) document() serverMetadata {
	auth := []string{oauth.AuthNone, oauth.AuthClientSecretBasic, oauth.AuthClientSecretPost, oauth.AuthPrivateKeyJWT}
	algs := []string{"ES256", "EdDSA"}
	registration := ""
	if s.registration.Open {
		registration = s.url("/register")
	}
	return serverMetadata{
		Issuer:                   s.issuer,
		AuthorizationEndpoint:    s.url("/authorize"),
		TokenEndpoint:            s.url("/token"),
		PAREndpoint:              s.url("/par"),
		DeviceEndpoint:           s.url("/device"),
		RevocationEndpoint:       s.url("/revoke"),
		IntrospectionEndpoint:    s.url("/introspect"),
		UserinfoEndpoint:         s.identityURI(),
		EndSessionEndpoint:       s.url("/logout"),
		Scopes:                   []string{scopeOpenID, scopeProfile, scopeEmail, "offline_access"},
		Claims:                   []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "amr", "name", "email", "email_verified"},
		JWKSURI:                  s.url("/jwks"),
		ResponseTypes:            []string{"code"},
		ResponseModes:            []string{"query"},
		GrantTypes:               s.grantNames(),
		GrantProfiles:            s.grantProfiles(),
		TokenAuthMethods:         auth,
		TokenAuthAlgs:            algs,
		RevocationAuthMethods:    auth,
		IntrospectionAuthMethods: []string{oauth.AuthPrivateKeyJWT},
		IntrospectionAuthAlgs:    algs,
		CodeChallengeMethods:     []string{"S256"},
		DPoPAlgs:                 algs,
		IssParameter:             true,
		DetailsTypes:             []string{tokens.TypeTask, tokens.TypeTool},
		Prompts:                  []string{promptNone, promptLogin, promptConsent, promptSelectAccount},
		SubjectTypes:             []string{"public"},
		IDTokenAlgs:              algs,
		ServiceDocumentation:     "https://github.com/remit-auth/remit",
		TaskEndpoint:             s.url("/tasks/"),
		ClientDocuments:          s.cimd.Enabled,
		RegistrationEndpoint:     registration,
	}
}

// grantProfiles are what assertions may be, beyond RFC 7523.
func (s *Server) grantProfiles() []string {
	if slices.ContainsFunc(s.trust, func(t TrustedIssuer) bool { return t.Kind == TrustIDJAG }) {
		return []string{oauth.ProfileIDJAG}
	}
	return nil
}

// jwks serves the public keys (RFC 7517 §5), from memory.
func (s *Server) jwks(w http.ResponseWriter, r *http.Request) error {
	state := s.ring.held.Load()
	return writePublic(w, r, "application/jwk-set+json", state.etag, state.jwks)
}
