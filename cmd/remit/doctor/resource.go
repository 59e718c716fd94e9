package doctor

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/remit-auth/remit/tokens/agent"
)

// challenge asks without a token, as clients do first.
func (e *exam) challenge() bool {
	const name = "challenge"
	res, _, err := e.do(http.MethodPost, e.server.String(), `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)
	if err != nil {
		return e.broken(name, "the server does not answer: "+err.Error(), "start it, or correct host and port")
	}
	switch {
	case res.StatusCode >= 200 && res.StatusCode < 300:
		return e.broken(name, "it answers "+res.Status+" to a request without a token: it is not protected", "put a Guard (tokens/resource) or remit gateway before it")
	case res.StatusCode >= 300 && res.StatusCode < 400:
		return e.broken(name, fmt.Sprintf("it redirects (%d) to %s, and clients do not carry tokens along", res.StatusCode, res.Header.Get("Location")), "give clients the URL at which it ends")
	case res.StatusCode == http.StatusNotFound:
		return e.broken(name, "nothing is served at this path (404)", "correct the path, or the proxy's route to it")
	case res.StatusCode == http.StatusServiceUnavailable:
		return e.broken(name, "it answers 503: its Guard has not heard from the authorization server", "see the Guard's log: it needs /feed of the authorization server, without a proxy that buffers")
	case res.StatusCode != http.StatusUnauthorized:
		return e.broken(name, "it answers "+res.Status+" to a request without a token, not 401", "let the Guard see every request first; a proxy must not answer in its place")
	}
	all := agent.ParseChallenges(res.Header.Values("WWW-Authenticate"))
	if len(all) == 0 {
		return e.broken(name, "401 without a WWW-Authenticate header (RFC 9110 §15.5.2)", "let the proxy pass the header on; without it clients look at well-known paths at best")
	}
	e.protected = true
	var schemes []string
	for _, c := range all {
		schemes = append(schemes, c.Scheme)
		if e.named == "" {
			e.named = c.Params["resource_metadata"]
		}
	}
	if e.named == "" {
		e.warn(name, "401 with "+strings.Join(schemes, ", ")+", and no resource_metadata (RFC 9728 §5.1)", "name the metadata's URL in the challenge, as a Guard does")
		return true
	}
	e.ok(name, "401 with "+strings.Join(schemes, ", "))
	return true
}

// resourceDocument is what is looked at of RFC 9728 §2.
type resourceDocument struct {
	Resource      string   `json:"resource"`
	Servers       []string `json:"authorization_servers"`
	Scopes        []string `json:"scopes_supported"`
	BearerMethods []string `json:"bearer_methods_supported"`
	ProofAlgs     []string `json:"dpop_signing_alg_values_supported"`
	ProofRequired bool     `json:"dpop_bound_access_tokens_required"`
}

const wellKnownResource = "/.well-known/oauth-protected-resource"

// resourceMetadata reads the document at every form that clients try: the one of the challenge, the
// one with the resource's path (RFC 9728 §3.1), and the root.
func (e *exam) resourceMetadata() bool {
	const name = "resource metadata"
	root := originOf(e.server) + wellKnownResource
	forms := []string{root + strings.TrimSuffix(e.server.EscapedPath(), "/"), root}
	if e.named != "" {
		u, err := url.Parse(e.named)
		if err != nil || originOf(u) != originOf(e.server) {
			how, fix := differ(originOf(e.server), origin(e.named), "the Guard's resource URL")
			return e.broken(name, "the challenge names "+e.named+": "+how, fix)
		}
		forms = append([]string{e.named}, forms...)
	}
	var missing []string
	found := false
	for i, address := range forms {
		if slices.Contains(forms[:i], address) {
			continue
		}
		var doc resourceDocument
		err := e.document(address, &doc)
		switch {
		case err != nil && i == 0 && e.named != "":
			return e.broken(name, address+": "+err.Error(), "route this path to the Guard's metadata handler, unprotected")
		case err != nil:
			missing = append(missing, address+": "+err.Error())
		case !found:
			e.resource, found = doc, true
		}
	}
	if !found {
		return e.broken(name, strings.Join(missing, "; "), "route "+wellKnownResource+" and what is under it to the Guard's metadata handler, unprotected")
	}
	if !e.checkResource(name) {
		return false
	}
	if len(missing) > 0 {
		e.warn(name, "some clients try other places in vain: "+strings.Join(missing, "; "), "route these paths to the Guard's metadata handler too")
		return true
	}
	e.ok(name, "at every form, for "+e.resource.Resource)
	return true
}

func origin(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return originOf(u)
}

// checkResource holds the document to the URL that led to it (RFC 9728 §3.3).
func (e *exam) checkResource(name string) bool {
	switch d := e.resource; {
	case d.Resource == "":
		return e.broken(name, "the document names no resource (RFC 9728 §2)", "serve the document that the Guard makes")
	case d.Resource != e.report.URL:
		how, fix := differ(e.report.URL, d.Resource, "the Guard's resource URL")
		return e.broken(name, "the document is about "+d.Resource+": "+how, fix)
	case len(d.Servers) == 0:
		return e.broken(name, "the document names no authorization server", "let authorization_servers hold the issuer's URL")
	case len(d.BearerMethods) > 0 && !slices.Contains(d.BearerMethods, "header"):
		return e.broken(name, "tokens are not taken from the Authorization header, the only place where MCP clients put them", `let bearer_methods_supported hold "header"`)
	}
	return true
}
