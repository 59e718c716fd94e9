package doctor

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource/policy"
)

// world is an MCP server and its authorization server, both whole until a test breaks them.
type world struct {
	mcp, as        *httptest.Server
	url, issuer    string
	status         int            // of a call without a token
	challenge      string         // WWW-Authenticate
	location       string         // of a redirect
	resource, meta map[string]any // the two documents
	jwks           []byte
	gone           map[string]bool // paths that answer 404, "mcp /…" and "as /…"
	html           map[string]bool // paths that answer as a proxy's error page does
	ahead          map[string]time.Duration
	nonce          func() string // of the challenge
}

func newWorld(t *testing.T, base string) *world {
	t.Helper()
	w := &world{status: http.StatusUnauthorized, gone: map[string]bool{}, html: map[string]bool{}, ahead: map[string]time.Duration{}}
	w.nonce = func() string { return "a" }
	w.mcp = httptest.NewServer(http.HandlerFunc(w.serveMCP))
	w.as = httptest.NewServer(http.HandlerFunc(w.serveAS))
	t.Cleanup(w.mcp.Close)
	t.Cleanup(w.as.Close)
	w.url, w.issuer = w.mcp.URL+"/mcp", w.as.URL+base
	w.challenge = fmt.Sprintf(`Bearer resource_metadata="%s/.well-known/oauth-protected-resource/mcp", scope="tickets.read"`, w.mcp.URL)
	w.resource = map[string]any{
		"resource": w.url, "authorization_servers": []string{w.issuer}, "bearer_methods_supported": []string{"header"},
		"dpop_signing_alg_values_supported": []string{"ES256"}, "dpop_bound_access_tokens_required": true,
	}
	w.meta = map[string]any{
		"issuer": w.issuer, "authorization_endpoint": w.issuer + "/authorize", "token_endpoint": w.issuer + "/token", "jwks_uri": w.issuer + "/jwks",
		"pushed_authorization_request_endpoint": w.issuer + "/par", "code_challenge_methods_supported": []string{"S256"},
		"dpop_signing_alg_values_supported": []string{"ES256"}, "authorization_response_iss_parameter_supported": true,
		"client_id_metadata_document_supported": true, "id_token_signing_alg_values_supported": []string{"ES256"},
	}
	key, err := tokens.NewSigningKey()
	if err == nil {
		w.jwks, err = tokens.NewKeySet(key).JWKS()
	}
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) serveMCP(rw http.ResponseWriter, r *http.Request) {
	switch {
	case w.odd(rw, r, "mcp"):
	case strings.HasPrefix(r.URL.Path, wellKnownResource):
		_ = json.NewEncoder(rw).Encode(w.resource)
	default:
		rw.Header().Set("DPoP-Nonce", w.nonce())
		if w.challenge != "" {
			rw.Header().Set("WWW-Authenticate", w.challenge)
		}
		if w.location != "" {
			rw.Header().Set("Location", w.location)
		}
		rw.WriteHeader(w.status)
	}
}

func (w *world) serveAS(rw http.ResponseWriter, r *http.Request) {
	switch {
	case w.odd(rw, r, "as"):
	case strings.HasSuffix(r.URL.Path, "/jwks"):
		_, _ = rw.Write(w.jwks)
	case strings.Contains(r.URL.Path, "/.well-known/"):
		_ = json.NewEncoder(rw).Encode(w.meta)
	default:
		http.NotFound(rw, r)
	}
}

// odd sets the clock, and answers in place of what the test took away.
func (w *world) odd(rw http.ResponseWriter, r *http.Request, who string) bool {
	if ahead := w.ahead[who]; ahead != 0 {
		rw.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
	}
	switch at := who + " " + r.URL.Path; {
	case w.gone[at]:
		http.NotFound(rw, r)
	case w.html[at]:
		rw.Header().Set("Content-Type", "text/html")
		fmt.Fprint(rw, "<html>Welcome to the proxy</html>")
	default:
		return false
	}
	return true
}

// inTurn gives the texts one after the other, again and again.
func inTurn(texts ...string) func() string {
	n := -1
	return func() string {
		n++
		return texts[n%len(texts)]
	}
}

// without is a document that lacks one member.
func without(doc map[string]any, member string) map[string]any {
	doc = maps.Clone(doc)
	delete(doc, member)
	return doc
}

const (
	protected = "/.well-known/oauth-protected-resource"
	oauth     = "/.well-known/oauth-authorization-server"
	openid    = "/.well-known/openid-configuration"
)

func TestExamine(t *testing.T) {
	tests := map[string]struct { // in the order in which a client gets there
		base   string
		spoil  func(*world)
		broken string // the first broken link
		says   string // somewhere in the report
	}{
		"nothing":               {"", func(*world) {}, "", "401 with Bearer"},
		"nothing, under a path": {"/auth", func(*world) {}, "", "at every form, for"},
		"no URL":                {"", func(w *world) { w.url = "tickets" }, "url", "no http URL"},
		"a query":               {"", func(w *world) { w.url += "?x=1" }, "url", "a query"},
		"nobody there":          {"", func(w *world) { w.mcp.Close() }, "challenge", "does not answer"},
		"no protection":         {"", func(w *world) { w.status = 200 }, "challenge", "not protected"},
		"a redirect":            {"", func(w *world) { w.status, w.location = 301, "https://x.example/mcp" }, "challenge", "https://x.example/mcp"},
		"a wrong path":          {"", func(w *world) { w.status = 404 }, "challenge", "correct the path"},
		"a stale Guard":         {"", func(w *world) { w.status = 503 }, "challenge", "has not heard"},
		"a proxy that answers":  {"", func(w *world) { w.status = 403 }, "challenge", "403 Forbidden"},
		"a proxy that strips":   {"", func(w *world) { w.challenge = "" }, "challenge", "without a WWW-Authenticate"},
		"no name in challenge":  {"", func(w *world) { w.challenge = "Bearer" }, "", "no resource_metadata"},
		"metadata elsewhere":    {"", func(w *world) { w.challenge = strings.Replace(w.challenge, "http://127", "https://127", 1) }, "resource metadata", "ends TLS"},
		"metadata of a host":    {"", func(w *world) { w.challenge = `Bearer resource_metadata="http://inner:8090/x"` }, "resource metadata", "the host differs"},
		"metadata not there":    {"", func(w *world) { w.gone["mcp "+protected+"/mcp"] = true }, "resource metadata", "404"},
		"no metadata at all": {"", func(w *world) {
			w.challenge = "Bearer"
			w.gone["mcp "+protected+"/mcp"], w.gone["mcp "+protected] = true, true
		}, "resource metadata", "route /.well-known/oauth-protected-resource"},
		"none at the root":        {"", func(w *world) { w.gone["mcp "+protected] = true }, "", "in vain"},
		"a proxy's page":          {"", func(w *world) { w.html["mcp "+protected+"/mcp"] = true }, "resource metadata", "no JSON object (text/html)"},
		"a resource inside":       {"", func(w *world) { w.resource["resource"] = "http://tickets:8090/mcp" }, "resource metadata", "the URL that the proxy serves"},
		"a resource with a slash": {"", func(w *world) { w.resource["resource"] = w.url + "/" }, "resource metadata", "a slash at the end"},
		"a resource of a prefix":  {"", func(w *world) { w.resource["resource"] = w.mcp.URL + "/api/mcp" }, "resource metadata", "strips a prefix"},
		"no resource":             {"", func(w *world) { w.resource = without(w.resource, "resource") }, "resource metadata", "names no resource"},
		"no server":               {"", func(w *world) { w.resource = without(w.resource, "authorization_servers") }, "resource metadata", "no authorization server"},
		"tokens in the body":      {"", func(w *world) { w.resource["bearer_methods_supported"] = []string{"body"} }, "resource metadata", "Authorization header"},
		"a server that is none":   {"", func(w *world) { w.resource["authorization_servers"] = []string{"remit"} }, "server metadata", "no issuer"},
		"a server that is away":   {"", func(w *world) { w.as.Close() }, "server metadata", "start the authorization server"},
		"no server metadata":      {"", func(w *world) { w.gone["as "+oauth], w.gone["as "+openid] = true, true }, "server metadata", "well-known paths"},
		"one form of it":          {"/auth", func(w *world) { w.gone["as /auth"+openid] = true }, "", "in vain"},
		"an issuer inside":        {"", func(w *world) { w.meta["issuer"] = "http://localhost:8080" }, "issuer", "the host differs"},
		"an issuer without TLS":   {"", func(w *world) { w.meta["issuer"] = strings.Replace(w.issuer, "http:", "https:", 1) }, "issuer", "the scheme differs"},
		"an issuer with a slash":  {"", func(w *world) { w.meta["issuer"] = w.issuer + "/" }, "issuer", "a slash at the end"},
		"an issuer's port":        {"", func(w *world) { w.meta["issuer"] = "http://127.0.0.1:1" }, "issuer", "the port differs"},
		"no token endpoint":       {"", func(w *world) { w.meta = without(w.meta, "token_endpoint") }, "endpoints", "token_endpoint is missing"},
		"endpoints in clear":      {"", func(w *world) { w.meta["token_endpoint"] = "http://remit.internal/token" }, "endpoints", "without TLS"},
		"endpoints elsewhere":     {"", func(w *world) { w.meta["token_endpoint"] = "https://remit.internal/token" }, "", "of another origin"},
		"no PKCE":                 {"", func(w *world) { w.meta = without(w.meta, "code_challenge_methods_supported") }, "pkce", "lacks S256"},
		"plain PKCE":              {"", func(w *world) { w.meta["code_challenge_methods_supported"] = []string{"plain", "S256"} }, "", "protects nothing"},
		"none":                    {"", func(w *world) { w.meta["id_token_signing_alg_values_supported"] = []string{"ES256", "none"} }, "algorithms", "offer ES256"},
		"no DPoP, and wanted":     {"", func(w *world) { w.meta = without(w.meta, "dpop_signing_alg_values_supported") }, "dpop", "key-bound"},
		"no DPoP": {"", func(w *world) {
			w.meta = without(w.meta, "dpop_signing_alg_values_supported")
			w.resource["dpop_bound_access_tokens_required"] = false
		}, "", "whoever copies one"},
		"no iss": {"", func(w *world) { w.meta = without(w.meta, "authorization_response_iss_parameter_supported") }, "", "mixed up"},
		"no PAR": {"", func(w *world) { w.meta = without(w.meta, "pushed_authorization_request_endpoint") }, "", "through the browser"},
		"no PAR, and wanted": {"", func(w *world) {
			w.meta = without(w.meta, "pushed_authorization_request_endpoint")
			w.meta["require_pushed_authorization_requests"] = true
		}, "par", "no endpoint takes them"},
		"no registration":  {"", func(w *world) { w.meta = without(w.meta, "client_id_metadata_document_supported") }, "", "remit client add"},
		"no keys":          {"", func(w *world) { w.jwks = []byte(`{"keys":[]}`) }, "keys", "holds no key"},
		"keys not there":   {"", func(w *world) { w.gone["as /jwks"] = true }, "keys", "route jwks_uri"},
		"a secret key":     {"", func(w *world) { w.jwks = []byte(`{"keys":[{"kty":"EC","d":"x"}]}`) }, "keys", "replace that key now"},
		"an odd key":       {"", func(w *world) { w.jwks = []byte(`{"keys":[{"kty":"RSA","kid":"1","n":"AQAB","e":"AQAB"}]}`) }, "keys", "ES256"},
		"clocks apart":     {"", func(w *world) { w.ahead["as"] = 10 * time.Minute }, "clock", " apart: fresh tokens"},
		"our clock":        {"", func(w *world) { w.ahead["as"], w.ahead["mcp"] = -time.Hour, -time.Hour }, "", "this machine's clock"},
		"replicas in turn": {"", func(w *world) { w.nonce = inTurn("a", "b") }, "replicas", "do not share their memory"},
		"three replicas":   {"", func(w *world) { w.nonce = inTurn("a", "a", "b", "c") }, "replicas", "(3 in all)"},
		"a nonce that ends": {"", func(w *world) {
			w.nonce = inTurn("a", "a", "a", "a", "b", "b", "b", "b", "b", "b", "b", "b", "b", "b", "b")
		}, "", "one memory of used proofs"},
		"no nonce": {"", func(w *world) { w.nonce = func() string { return "" } }, "", "not tied to this server"},
		"replicas that differ": {"", func(w *world) {
			other := inTurn("x", "y")
			w.nonce = func() string { w.challenge = strings.Split(w.challenge, " realm")[0] + " realm=" + other(); return "a" }
		}, "replicas", "different challenges"},
		"a replica without a Guard": {"", func(w *world) {
			turns := 0
			w.nonce = func() string {
				if turns++; turns == 5 {
					w.status = http.StatusOK
				}
				return "a"
			}
		}, "replicas", "another with 200"},
		"two broken links": {"", func(w *world) { w.meta["code_challenge_methods_supported"] = []string{"plain"}; w.jwks = nil }, "pkce", "keys"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tt.base)
			tt.spoil(w)
			r := Examine(t.Context(), &http.Client{Timeout: 10 * time.Second}, w.url, time.Now)
			if r.Broken != tt.broken || r.OK != (tt.broken == "") {
				t.Errorf("broken at %q, want %q", r.Broken, tt.broken)
			}
			said, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(strings.ReplaceAll(string(said), `\u003c`, "<"), tt.says) {
				t.Errorf("the report lacks %q", tt.says)
			}
			for _, l := range r.Links {
				if (l.State == OK) != (l.Fix == "") {
					t.Errorf("%s is %s, with the fix %q", l.Name, l.State, l.Fix)
				}
			}
			if t.Failed() {
				t.Logf("%s", said)
			}
		})
	}
}

func TestJudge(t *testing.T) {
	tests := map[string]struct {
		found []policy.Finding
		state State
		fix   string
	}{
		"nothing":   {nil, OK, ""},
		"a note":    {[]policy.Finding{{Code: "n", Severity: policy.Note, Mend: "m"}}, OK, ""},
		"a warning": {[]policy.Finding{{Code: "w", Severity: policy.Warning, Mend: "narrow it"}}, Warn, "narrow it"},
		"an error":  {[]policy.Finding{{Code: "w", Severity: policy.Warning, Mend: "a"}, {Code: "e", Severity: policy.Error, Mend: "b"}}, Broken, "b"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := Report{OK: true}
			r.Judge("policy.yaml", tt.found)
			if l := r.Links[0]; l.State != tt.state || l.Fix != tt.fix || r.OK != (tt.state != Broken) || (r.Broken == "policy") != (tt.state == Broken) {
				t.Errorf("%+v", r)
			}
		})
	}
}
