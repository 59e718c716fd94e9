package doctor

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/remit-auth/remit/tokens"
)

// serverDocument is what is looked at of RFC 8414 §2 and its extensions.
type serverDocument struct {
	Issuer       string   `json:"issuer"`
	Authorize    string   `json:"authorization_endpoint"`
	Token        string   `json:"token_endpoint"`
	PAR          string   `json:"pushed_authorization_request_endpoint"`
	RequirePAR   bool     `json:"require_pushed_authorization_requests"`
	Register     string   `json:"registration_endpoint"`
	JWKS         string   `json:"jwks_uri"`
	PKCE         []string `json:"code_challenge_methods_supported"`
	ProofAlgs    []string `json:"dpop_signing_alg_values_supported"`
	TokenAlgs    []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	IDTokenAlgs  []string `json:"id_token_signing_alg_values_supported"`
	IssParameter bool     `json:"authorization_response_iss_parameter_supported"`
	CIMD         bool     `json:"client_id_metadata_document_supported"`
}

// serverMetadata reads the document at every form that clients try, in MCP's order.
func (e *exam) serverMetadata() bool {
	const name = "server metadata"
	issuer := e.resource.Servers[0]
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return e.broken(name, fmt.Sprintf("authorization_servers names %q, which is no issuer", issuer), "set the Guard's issuer to the URL that the authorization server is configured with (REMIT_ISSUER)")
	}
	path, base := strings.TrimSuffix(u.EscapedPath(), "/"), originOf(u)
	forms := []string{base + "/.well-known/oauth-authorization-server" + path, base + "/.well-known/openid-configuration" + path}
	if path != "" {
		forms = append(forms, base+path+"/.well-known/openid-configuration")
	}
	var missing []string
	var doc serverDocument
	for _, address := range forms {
		var d serverDocument
		if err := e.document(address, &d); err != nil {
			missing = append(missing, address+": "+err.Error())
		} else if doc.Issuer == "" {
			doc = d
		}
	}
	switch {
	case len(missing) == len(forms):
		return e.broken(name, strings.Join(missing, "; "), "start the authorization server, or route its well-known paths to it; REMIT_ISSUER must be the URL that the proxy serves")
	case doc.Issuer != issuer: // RFC 8414 §3.3: identical, byte by byte
		how, fix := differ(issuer, doc.Issuer, "REMIT_ISSUER")
		return e.broken("issuer", fmt.Sprintf("the resource names %s, and the metadata there says %q: %s", issuer, doc.Issuer, how), fix)
	}
	e.meta = doc
	if len(missing) > 0 {
		e.warn(name, "some clients try other places in vain: "+strings.Join(missing, "; "), "route these paths to the authorization server too")
	} else {
		e.ok(name, "at every form, for "+issuer)
	}
	e.endpoints(u)
	return true
}

// endpoints looks for endpoints that clients cannot reach or will not trust.
func (e *exam) endpoints(issuer *url.URL) {
	const name = "endpoints"
	for _, endpoint := range []struct{ name, at string }{
		{"authorization_endpoint", e.meta.Authorize}, {"token_endpoint", e.meta.Token}, {"jwks_uri", e.meta.JWKS},
	} {
		u, err := url.Parse(endpoint.at)
		switch {
		case err != nil || u.Host == "":
			e.broken(name, endpoint.name+" is missing", "serve the metadata that the authorization server makes")
			return
		case u.Scheme != "https" && !loopback(u.Hostname()):
			e.broken(name, endpoint.name+" is "+endpoint.at+", without TLS", "set REMIT_ISSUER to the https URL that the proxy serves")
			return
		case originOf(u) != originOf(issuer):
			how, fix := differ(originOf(issuer), originOf(u), "REMIT_ISSUER")
			e.warn(name, endpoint.name+" is "+endpoint.at+", of another origin than the issuer: "+how, fix)
			return
		}
	}
	e.ok(name, "on the issuer's origin")
}

func (e *exam) pkce() {
	const name = "pkce"
	switch {
	case !slices.Contains(e.meta.PKCE, "S256"):
		e.broken(name, "code_challenge_methods_supported lacks S256: MCP clients stop here", "support PKCE with S256 and say so in the metadata")
	case slices.Contains(e.meta.PKCE, "plain"):
		e.warn(name, "PKCE with plain is offered, which protects nothing", "offer S256 alone")
	default:
		e.ok(name, "S256")
	}
}

func (e *exam) algorithms() {
	const name = "algorithms"
	for _, list := range [][]string{e.meta.TokenAlgs, e.meta.IDTokenAlgs, e.meta.ProofAlgs, e.resource.ProofAlgs} {
		if slices.ContainsFunc(list, func(alg string) bool { return strings.EqualFold(alg, "none") || strings.HasPrefix(alg, "HS") }) {
			e.broken(name, "none, or an algorithm with a shared secret, is offered: "+strings.Join(list, ", "), "offer ES256 and EdDSA alone")
			return
		}
	}
	e.ok(name, "no none")
}

func (e *exam) proofs() {
	const name = "dpop"
	both := slices.ContainsFunc(e.meta.ProofAlgs, func(alg string) bool {
		return len(e.resource.ProofAlgs) == 0 || slices.Contains(e.resource.ProofAlgs, alg)
	})
	switch {
	case both && len(e.meta.ProofAlgs) > 0:
		e.ok(name, strings.Join(e.meta.ProofAlgs, ", "))
	case e.resource.ProofRequired:
		e.broken(name, "the resource wants key-bound tokens, and the authorization server shares no proof algorithm with it", "let both name ES256 in dpop_signing_alg_values_supported (RFC 9449 §5.1)")
	default:
		e.warn(name, "no key-bound tokens: whoever copies one can use it", "let both name ES256 in dpop_signing_alg_values_supported (RFC 9449 §5.1)")
	}
}

func (e *exam) responses() {
	const name = "iss parameter"
	if e.meta.IssParameter {
		e.ok(name, "responses name their issuer")
		return
	}
	e.warn(name, "responses do not name their issuer: clients of several servers can be mixed up", "send iss and say so (RFC 9207 §3)")
}

func (e *exam) pushed() {
	const name = "par"
	switch {
	case e.meta.PAR != "":
		e.ok(name, e.meta.PAR)
	case e.meta.RequirePAR:
		e.broken(name, "pushed requests are required, and no endpoint takes them", "name pushed_authorization_request_endpoint (RFC 9126 §5)")
	default:
		e.warn(name, "requests cannot be pushed: what a client asks travels through the browser", "name pushed_authorization_request_endpoint (RFC 9126 §5)")
	}
}

func (e *exam) registration() {
	const name = "registration"
	switch {
	case e.meta.CIMD:
		e.ok(name, "clients are known by the URL of their metadata")
	case e.meta.Register != "":
		e.ok(name, "clients register themselves at "+e.meta.Register)
	default:
		e.warn(name, "clients can neither name the URL of their metadata nor register themselves", "REMIT_CIMD=on, or REMIT_REGISTRATION=open, or remit client add for each")
	}
}

// keys reads the public keys as a Guard does.
func (e *exam) keys() {
	const name = "keys"
	var raw json.RawMessage
	if err := e.document(e.meta.JWKS, &raw); err != nil {
		e.broken(name, e.meta.JWKS+": "+err.Error(), "route jwks_uri to the authorization server: without keys no token is accepted")
		return
	}
	var set struct {
		Keys []map[string]json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(raw, &set); err != nil || len(set.Keys) == 0 {
		e.broken(name, e.meta.JWKS+" holds no key", "let the authorization server make a signing key: remit key rotate")
		return
	}
	for _, key := range set.Keys {
		if key["d"] != nil || key["k"] != nil {
			e.broken(name, e.meta.JWKS+" publishes a secret key", "take the authorization server off the network and replace that key now: whoever read it signs tokens")
			return
		}
	}
	if _, err := tokens.ParseKeySet(raw); err != nil {
		e.broken(name, e.meta.JWKS+": "+err.Error(), "publish ES256 or Ed25519 keys, each with a kid of its own")
		return
	}
	e.ok(name, fmt.Sprintf("%d public", len(set.Keys)))
}
