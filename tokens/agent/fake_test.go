package agent_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/agent"
)

// world is an authorization server and a resource that answer as the RFCs say, and count.
type world struct {
	t        *testing.T
	as, rs   *httptest.Server
	now      func() time.Time
	meta     func(map[string]any) // changes the server's metadata
	prm      func(map[string]any) // changes the resource's
	answer   func(map[string]any) // changes the token response
	gate     chan struct{}        // when set, a refresh waits for it
	entered  chan struct{}        // told of every refresh
	seen     map[string]bool      // jti of proofs
	mu       sync.Mutex
	nonce    int
	live     string // the access token that the resource accepts
	refresh  string
	rotated  int
	calls    int
	bodies   []string
	refuse   string // error of every refresh
	complete int
	pushed   map[string]string
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, now: time.Now, seen: map[string]bool{}, pushed: map[string]string{}, live: "at-0", refresh: "rr-0"}
	as := http.NewServeMux()
	as.HandleFunc("/.well-known/oauth-authorization-server", w.metadata)
	as.HandleFunc("POST /par", w.par)
	as.HandleFunc("POST /token", w.token)
	as.HandleFunc("/tasks/{id}", w.task)
	as.HandleFunc("/tasks/{id}/complete", w.task)
	w.as = httptest.NewServer(as)
	rs := http.NewServeMux()
	rs.HandleFunc("/mcp", w.mcp)
	rs.HandleFunc("/elsewhere", func(rw http.ResponseWriter, r *http.Request) { fmt.Fprint(rw, r.Header.Get("Authorization")) })
	rs.HandleFunc("/.well-known/oauth-protected-resource/mcp", w.resource)
	w.rs = httptest.NewServer(rs)
	t.Cleanup(func() { w.as.Close(); w.rs.Close() })
	return w
}

func reply(rw http.ResponseWriter, status int, v any) {
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(status)
	json.NewEncoder(rw).Encode(v)
}

func (w *world) metadata(rw http.ResponseWriter, r *http.Request) {
	m := map[string]any{
		"issuer": w.as.URL, "authorization_endpoint": w.as.URL + "/authorize", "token_endpoint": w.as.URL + "/token",
		"pushed_authorization_request_endpoint": w.as.URL + "/par", "code_challenge_methods_supported": []string{"S256"},
		"dpop_signing_alg_values_supported": []string{"ES256"}, "authorization_response_iss_parameter_supported": true,
	}
	if w.meta != nil {
		w.meta(m)
	}
	reply(rw, 200, m)
}

func (w *world) resource(rw http.ResponseWriter, r *http.Request) {
	m := map[string]any{"resource": w.rs.URL + "/mcp", "resource_name": "Tickets", "authorization_servers": []string{w.as.URL}, "scopes_supported": []string{"tickets.read"}}
	if w.prm != nil {
		w.prm(m)
	}
	reply(rw, 200, m)
}

// proof verifies the request's proof, which must carry the newest nonce and be new.
func (w *world) proof(r *http.Request, base, access string) (string, error) {
	p, err := tokens.ParseProof(r.Header.Values("DPoP"), tokens.ProofWant{
		Method: r.Method, URL: base + r.URL.Path, AccessToken: access, Now: w.now(), MaxAge: time.Minute, MaxAhead: time.Minute,
	})
	switch {
	case err != nil:
		return "invalid_dpop_proof", err
	case p.Nonce != fmt.Sprint("nonce-", w.nonce):
		return "use_dpop_nonce", errors.New("nonce " + p.Nonce)
	case w.seen[p.ReplayKey()]:
		return "invalid_dpop_proof", errors.New("replay")
	}
	w.seen[p.ReplayKey()] = true
	return "", nil
}

// prove is proof for the endpoints of the authorization server: a refusal is written.
func (w *world) prove(rw http.ResponseWriter, r *http.Request, access string) bool {
	rw.Header().Set("DPoP-Nonce", fmt.Sprint("nonce-", w.nonce))
	if code, err := w.proof(r, w.as.URL, access); err != nil {
		reply(rw, 400, map[string]string{"error": code, "error_description": err.Error()})
		return false
	}
	return true
}

func (w *world) par(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.prove(rw, r, "") {
		return
	}
	r.ParseForm()
	for name := range r.PostForm {
		w.pushed[name] = r.PostForm.Get(name)
	}
	reply(rw, 201, map[string]any{"request_uri": "urn:ietf:params:oauth:request_uri:rq_1", "expires_in": 600})
}

func (w *world) token(rw http.ResponseWriter, r *http.Request) {
	r.ParseForm()
	if r.PostForm.Get("grant_type") == "refresh_token" && w.gate != nil {
		w.entered <- struct{}{}
		<-w.gate
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.prove(rw, r, "") {
		return
	}
	switch r.PostForm.Get("grant_type") {
	case "authorization_code":
		if tokens.S256(r.PostForm.Get("code_verifier")) != w.pushed["code_challenge"] || r.PostForm.Get("code") != "rc_1" {
			reply(rw, 400, map[string]string{"error": "invalid_grant"})
			return
		}
	case "refresh_token":
		if w.refuse != "" || r.PostForm.Get("refresh_token") != w.refresh {
			reply(rw, 400, map[string]string{"error": "invalid_grant", "error_description": w.refuse})
			return
		}
		w.rotated++
		w.live, w.refresh = fmt.Sprint("at-", w.rotated), fmt.Sprint("rr-", w.rotated)
	}
	m := map[string]any{"access_token": w.live, "token_type": "DPoP", "expires_in": 300, "refresh_token": w.refresh, "scope": "tickets.read", "task_id": "tsk_1"}
	if w.answer != nil {
		w.answer(m)
	}
	reply(rw, 200, m)
}

func (w *world) task(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.prove(rw, r, strings.TrimPrefix(r.Header.Get("Authorization"), "DPoP ")) {
		return
	}
	if strings.HasSuffix(r.URL.Path, "/complete") {
		w.complete++
	}
	reply(rw, 200, map[string]any{
		"task_id": r.PathValue("id"), "state": "active", "ends": 1800000000, "calls_used": 3,
		"resources": []any{map[string]any{"resource": w.rs.URL + "/mcp", "authorization_details": []any{
			map[string]any{"type": "mcp_tool", "locations": []string{w.rs.URL + "/mcp"}, "tool": "get_ticket"},
		}}},
	})
}

// mcp is the protected resource: it echoes the body.
func (w *world) mcp(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	rw.Header().Add("WWW-Authenticate", `Bearer resource_metadata="`+w.rs.URL+`/.well-known/oauth-protected-resource/mcp", scope="tickets.read"`)
	access, ok := strings.CutPrefix(r.Header.Get("Authorization"), "DPoP ")
	if !ok {
		rw.WriteHeader(401)
		return
	}
	rw.Header().Set("DPoP-Nonce", fmt.Sprint("nonce-", w.nonce))
	if code, err := w.proof(r, w.rs.URL, access); err != nil {
		rw.Header().Add("WWW-Authenticate", `DPoP error="`+code+`", algs="ES256"`)
		rw.WriteHeader(401)
		return
	}
	if access != w.live {
		rw.Header().Add("WWW-Authenticate", `DPoP error="invalid_token", algs="ES256"`)
		rw.WriteHeader(401)
		return
	}
	w.calls++
	w.bodies = append(w.bodies, string(body))
	rw.Header().Del("WWW-Authenticate")
	rw.Write(body)
}

// client is a Client of the world.
func (w *world) client() *agent.Client {
	w.t.Helper()
	key, err := tokens.NewProofKey()
	if err != nil {
		w.t.Fatal(err)
	}
	d, err := agent.Discover(w.t.Context(), nil, w.rs.URL+"/mcp")
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := agent.NewClient(agent.Config{ClientID: "cli_1", RedirectURI: "http://127.0.0.1:7/callback", Server: d.Server, Resource: d.Resource, Key: key, Now: w.now})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// session is a session with a token that lives for life, and an http.Client that uses it.
func (w *world) session(life time.Duration) (*agent.Session, *http.Client) {
	now := w.now()
	s := w.client().Session(agent.Token{Access: "at-0", Refresh: "rr-0", TaskID: "tsk_1", Issued: now, Expires: now.Add(life)})
	return s, &http.Client{Transport: &agent.Transport{Session: s}}
}
