package server_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// The tests of this file hold the edge against what fosite v0.49 does by itself; each is named for
// what it would do wrong, after the list of known traps (T1 to T41).

// want fails unless the answer has this status and error.
func want(t *testing.T, got answer, status int, code string) {
	t.Helper()
	if got.Status != status || got.error() != code {
		t.Errorf("got %d %q (%s), want %d %q", got.Status, got.error(), got.Body, status, code)
	}
}

func TestParsingTraps(t *testing.T) {
	w := newWorld(t)
	a := w.agent(w.client)
	code := a.code()
	good := a.codeForm(code)

	for _, name := range []string{"code", "client_id", "grant_type", "code_verifier", "redirect_uri"} { // T1
		form := a.codeForm(code)
		form[name] = []string{form.Get(name), "twice"}
		want(t, a.post("/token", form), 400, "invalid_request")
	}
	multipart, err := http.NewRequest("POST", w.issuer+"/token", strings.NewReader("--x\r\nContent-Disposition: form-data; name=\"grant_type\"\r\n\r\nauthorization_code\r\n--x--\r\n"))
	must(t, err)
	multipart.Header.Set("Content-Type", "multipart/form-data; boundary=x")
	resp, err := http.DefaultClient.Do(multipart)
	want(t, read(t, resp, err), 415, "invalid_request") // T2

	inQuery := a.send("/par?"+a.request().Encode(), url.Values{"client_id": {a.client}}) // T3
	want(t, inQuery, 400, "invalid_request")

	for _, grant := range []string{"password", "implicit", "Authorization_Code", "authorization_code refresh_token"} { // T4, T5
		form := a.codeForm(code)
		form.Set("grant_type", grant)
		want(t, a.post("/token", form), 400, "unsupported_grant_type")
	}
	if got := a.post("/token", good); got.Status != 200 {
		t.Errorf("after the refusals the code gives %d %s", got.Status, got.Body)
	}
}

func TestAuthorizeTraps(t *testing.T) {
	w := newWorld(t)
	a := w.agent(w.client)
	b := w.browser()
	b.signIn()

	noState := a.request() // T7
	noState.Del("state")
	to := b.consent(a.push(noState), "search_tickets")
	if to.Query().Has("state") || !to.Query().Has("code") {
		t.Errorf("without state: %s", to)
	}
	to = b.consent("/authorize?"+a.request().Encode(), "search_tickets")
	if q := to.Query(); q.Get("state") != "xyz" || q.Get("iss") != w.issuer || q.Has("scope") || len(q["code"]) != 1 { // T11, T12
		t.Errorf("redirect: %s", to)
	}
	for name, form := range map[string]url.Values{ // T8
		"request_not_supported":     {"request": {"eyJhbGciOiJub25lIn0.e30."}},
		"unsupported_response_type": {"response_type": {"token"}},
		"invalid_request":           {"code_challenge_method": {"plain"}},
		"invalid_scope":             {"scope": {"everything"}},
		"invalid_target":            {"resource": {"https://other.example/mcp"}},
	} {
		request := a.request()
		for k, v := range form {
			request[k] = v
		}
		got := b.get("/authorize?" + request.Encode())
		to, _ := url.Parse(got.Header.Get("Location"))
		if got.Status != 303 || to.Query().Get("error") != name || to.Query().Get("iss") != w.issuer || to.Query().Get("state") != "xyz" {
			t.Errorf("%s: %d %s", name, got.Status, got.Header.Get("Location"))
		}
		if stranger := w.browser().get("/authorize?" + request.Encode()); stranger.Status == 303 {
			t.Errorf("%s: redirected before anybody signed in: %s", name, stranger.Header.Get("Location"))
		}
	}
	evil := a.request()
	evil.Set("request_uri", "https://evil.example/request")
	if got := b.get("/authorize?" + evil.Encode()); got.Status != 400 || got.Header.Get("Location") != "" {
		t.Errorf("foreign request_uri: %d %s", got.Status, got.Header.Get("Location"))
	}
}

func TestRedirectTraps(t *testing.T) { // T9, T10
	w := newWorld(t)
	a := w.agent(w.client)
	b := w.browser()
	b.signIn()
	for _, uri := range []string{
		"https://127.0.0.1/callback", "http://127.0.0.2/callback", "http://localhost/callback", "http://user@127.0.0.1/callback",
		"http://127.0.0.1/callback?", "http://127.0.0.1/callback#", "http://127.0.0.1/callback#x", "http://127.0.0.1/%63allback",
		"http://127.0.0.1/callback/../x", "http://127.0.0.1/CALLBACK", "HTTP://127.0.0.1/callback", "http://127.0.0.1:99999999/callback",
		"http://127.0.0.1:/callback", "http://127.0.0.1.evil.example/callback", "javascript:alert(1)", "com.example.app:/callback",
		"http://127.0.0.1:80@evil.example/callback", "//127.0.0.1/callback", "http://127.0.0.1\\@evil.example/callback",
	} {
		request := a.request()
		request.Set("redirect_uri", uri)
		if got := b.get("/authorize?" + request.Encode()); got.Status != 400 || got.Header.Get("Location") != "" {
			t.Errorf("%s: %d %s", uri, got.Status, got.Header.Get("Location"))
		}
		want(t, a.post("/par", request), 400, "invalid_request")
	}
}

func TestPushedRequestTraps(t *testing.T) {
	w := newWorld(t)
	a, other := w.agent(w.client), w.agent(w.other)
	b := w.browser()
	b.signIn()

	for name, change := range map[string]url.Values{ // T17
		"no challenge":    {"code_challenge": nil},
		"plain":           {"code_challenge_method": {"plain"}},
		"no method":       {"code_challenge_method": nil},
		"unknown method":  {"code_challenge_method": {"S512"}},
		"short challenge": {"code_challenge": {"abc"}},
		"request_uri":     {"request_uri": {"urn:ietf:params:oauth:request_uri:rq_x"}},
	} {
		form := a.request()
		for k, v := range change {
			form[k] = v
		}
		t.Run(name, func(t *testing.T) { want(t, a.post("/par", form), 400, "invalid_request") })
	}

	if got := a.post("/par", a.request()); got.Status != 201 || got.JSON["expires_in"].(float64) >= 600 { // FAPI 2.0 §5.3.2.2
		t.Errorf("a pushed request: %d %s", got.Status, got.Body)
	}
	target := a.push(a.request())
	injected := target + "&scope=everything&redirect_uri=https%3A%2F%2Fevil.example&authorization_details=%5B%5D&state=evil" // T15
	if page := b.get(injected); page.Status != 200 || strings.Contains(page.Body, "evil.example") {
		t.Errorf("front-channel parameters beside request_uri: %d", page.Status)
	}
	stolen := strings.Replace(target, url.QueryEscape(a.client), url.QueryEscape(other.client), 1) // T16
	if got := b.get(stolen); got.Status != 400 || got.Header.Get("Location") != "" {
		t.Errorf("request_uri of another client: %d", got.Status)
	}
	b.get(target) // a second and third look are fine
	to := b.consent(target, "search_tickets")
	if to.Query().Get("state") != "xyz" || !strings.HasPrefix(to.String(), callback) {
		t.Errorf("redirect: %s", to)
	}
	if got := b.get(target); got.Status != 400 {
		t.Errorf("request_uri after approval: %d", got.Status)
	}
	late := a.push(a.request())
	w.clock.Add(11 * time.Minute)
	if got := b.get(late); got.Status != 400 {
		t.Errorf("expired request_uri: %d", got.Status)
	}
}

func TestCodeTraps(t *testing.T) {
	w := newWorld(t)
	a, other := w.agent(w.client), w.agent(w.other)

	code := a.code()
	for name, v := range map[string]string{"wrong": strings.Repeat("x", 43), "short": "abc", "missing": ""} { // T18
		form := a.codeForm(code)
		form.Set("code_verifier", v)
		t.Run(name, func(t *testing.T) { want(t, a.post("/token", form), 400, "invalid_grant") })
	}
	foreign := other.codeForm(code)
	want(t, other.post("/token", foreign), 400, "invalid_grant")
	sibling := w.agent(w.client) // the same client, another key: the push was bound (RFC 9449 §10)
	want(t, sibling.post("/token", sibling.codeForm(code)), 400, "invalid_grant")
	elsewhere := a.codeForm(code)
	elsewhere.Set("resource", "https://other.example/mcp")
	want(t, a.post("/token", elsewhere), 400, "invalid_target")
	moved := a.codeForm(code)
	moved.Set("redirect_uri", "http://127.0.0.1:7778/callback")
	want(t, a.post("/token", moved), 400, "invalid_grant")

	good := a.post("/token", a.codeForm(code))
	if good.Status != 200 {
		t.Fatalf("after the refusals: %d %s", good.Status, good.Body)
	}
	wrong := other.codeForm(code) // T21: a used code in foreign hands has no effect
	wrong.Set("code_verifier", strings.Repeat("x", 43))
	want(t, other.post("/token", wrong), 400, "invalid_grant")
	thief := w.agent(w.other) // nor when all but the client is right
	thief.key = a.key
	want(t, thief.post("/token", thief.codeForm(code)), 400, "invalid_grant")
	if got := a.post("/token", a.refreshForm(good.text("refresh_token"))); got.Status != 200 {
		t.Errorf("a stranger's replay hurt the owner: %d %s", got.Status, got.Body)
	}
	want(t, a.post("/token", a.codeForm(code)), 400, "invalid_grant") // replayed by its owner: all of it ends
	task, _, err := w.store.TaskByID(context.Background(), good.text("task_id"))
	must(t, err)
	if task.State != store.TaskRevoked || task.Reason != "code_reuse" {
		t.Errorf("after the owner's replay the task is %s (%s)", task.State, task.Reason)
	}

	late := a.code() // T20
	w.clock.Add(61 * time.Second)
	want(t, a.post("/token", a.codeForm(late)), 400, "invalid_grant")
}

func TestTokenTraps(t *testing.T) { // T27, T28, T29, T32
	w := newWorld(t)
	a := w.agent(w.client)
	got := a.tokens()
	if got.text("token_type") != "DPoP" || got.JSON["expires_in"].(float64) > 300 || got.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("response: %s", got.Body)
	}
	claims := func(token string) (header, body map[string]any) {
		parts := strings.Split(token, ".")
		for i, into := range []*map[string]any{&header, &body} {
			raw, err := base64.RawURLEncoding.DecodeString(parts[i])
			must(t, err)
			must(t, json.Unmarshal(raw, into))
		}
		return header, body
	}
	header, first := claims(got.text("access_token"))
	if header["typ"] != "at+jwt" || header["alg"] != "ES256" {
		t.Errorf("header: %v", header)
	}
	if first["aud"] != ticketsURI || first["client_id"] != w.client || first["iss"] != w.issuer || first["sub"] != w.user.ID {
		t.Errorf("claims: %v", first)
	}
	if cnf := first["cnf"].(map[string]any); cnf["jkt"] != a.key.JKT() {
		t.Errorf("cnf: %v", cnf)
	}
	if _, isString := first["scope"].(string); !isString || fmt.Sprint(first["roles"]) != "[agent]" {
		t.Errorf("scope %v, roles %v", first["scope"], first["roles"])
	}
	granted, _ := json.Marshal(got.JSON["authorization_details"])
	carried, _ := json.Marshal(first["authorization_details"])
	if string(granted) != string(carried) || strings.Contains(string(granted), "delete_ticket") {
		t.Errorf("granted %s, carried %s", granted, carried)
	}
	w.clock.Add(20 * time.Second)
	again := a.post("/token", a.refreshForm(got.text("refresh_token")))
	_, second := claims(again.text("access_token"))
	if second["iat"] == first["iat"] || second["jti"] == first["jti"] {
		t.Errorf("refreshed token repeats iat or jti: %v", second)
	}
	state, err := w.store.AccessByJTI(context.Background(), second["jti"].(string))
	must(t, err)
	if !state.Live(w.clock.Now()) {
		t.Error("the store does not know the token by its jti")
	}
}

func TestRefreshTraps(t *testing.T) {
	w := newWorld(t)
	a, other := w.agent(w.client), w.agent(w.other)
	first := a.tokens().text("refresh_token")

	wider := a.refreshForm(first) // T24
	wider.Set("scope", "tickets.read tickets.write tool:delete_ticket")
	want(t, a.post("/token", wider), 400, "invalid_scope")
	more := a.refreshForm(first)
	more.Set("authorization_details", `[{"type":"mcp_tool","locations":["`+ticketsURI+`"],"tool":"delete_ticket"}]`)
	want(t, a.post("/token", more), 400, "invalid_authorization_details")
	elsewhere := a.refreshForm(first)
	elsewhere.Set("resource", "https://other.example/mcp")
	want(t, a.post("/token", elsewhere), 400, "invalid_target")
	want(t, other.post("/token", other.refreshForm(first)), 400, "invalid_grant")
	thief := w.agent(w.client)
	want(t, thief.post("/token", thief.refreshForm(first)), 400, "invalid_grant")

	less := a.refreshForm(first)
	less.Set("authorization_details", `[{"type":"mcp_tool","locations":["`+ticketsURI+`"],"tool":"search_tickets","constraints":{"limit":{"maximum":5}}}]`)
	narrowed := a.post("/token", less)
	if narrowed.Status != 200 || strings.Contains(narrowed.Body, "add_comment") || !strings.Contains(narrowed.Body, `"maximum":5`) || !strings.Contains(narrowed.Body, `"const":"WEB"`) {
		t.Fatalf("narrowed: %d %s", narrowed.Status, narrowed.Body)
	}
	second := narrowed.text("refresh_token")
	whole := a.post("/token", a.refreshForm(second))
	if whole.Status != 200 || !strings.Contains(whole.Body, "add_comment") {
		t.Errorf("a narrowed refresh narrowed the grant: %d %s", whole.Status, whole.Body)
	}
	w.clock.Add(11 * time.Second)
	want(t, other.post("/token", other.refreshForm(first)), 400, "invalid_grant") // T25
	want(t, thief.post("/token", thief.refreshForm(first)), 400, "invalid_grant")
	third := a.post("/token", a.refreshForm(whole.text("refresh_token")))
	if third.Status != 200 {
		t.Errorf("a stranger's replay hurt the owner: %d %s", third.Status, third.Body)
	}
	want(t, a.post("/token", a.refreshForm(first)), 400, "invalid_grant") // its owner's own replay, late: the family ends
	want(t, a.post("/token", a.refreshForm(third.text("refresh_token"))), 400, "invalid_grant")
}

func TestRefreshGrace(t *testing.T) { // RF1
	w := newWorld(t)
	a := w.agent(w.client)
	first := a.tokens().text("refresh_token")
	successor := a.post("/token", a.refreshForm(first)).text("refresh_token")
	for i := range 3 {
		w.clock.Add(2 * time.Second)
		again := a.post("/token", a.refreshForm(first))
		if again.Status != 200 || again.text("refresh_token") != successor {
			t.Fatalf("repetition %d within the grace: %d %s, want the identical successor", i+1, again.Status, again.Body)
		}
	}
	want(t, a.post("/token", a.refreshForm(first)), 400, "invalid_grant")
}

func TestRevocationTraps(t *testing.T) {
	w := newWorld(t)
	a, other := w.agent(w.client), w.agent(w.other)
	first := a.tokens()
	foreign := other.post("/revoke", url.Values{"client_id": {other.client}, "token": {first.text("refresh_token")}}) // T37
	want(t, foreign, 400, "unauthorized_client")
	second := a.post("/token", a.refreshForm(first.text("refresh_token")))
	if second.Status != 200 {
		t.Fatalf("after a stranger's revocation: %d %s", second.Status, second.Body)
	}
	revoke := func(token string) answer {
		return a.send("/revoke", url.Values{"client_id": {a.client}, "token": {token}, "token_type_hint": {"nonsense"}})
	}
	if got := revoke("rr_unknown"); got.Status != 200 || got.Body != "" {
		t.Errorf("unknown token: %d %s", got.Status, got.Body)
	}
	if got := revoke(second.text("access_token")[:len(second.text("access_token"))-1] + "\n"); got.Status != 200 {
		t.Errorf("malformed token: %d", got.Status)
	}
	if got := revoke(first.text("refresh_token")); got.Status != 200 { // T38: any generation
		t.Errorf("revocation: %d %s", got.Status, got.Body)
	}
	want(t, a.post("/token", a.refreshForm(second.text("refresh_token"))), 400, "invalid_grant")
}

// failing is a store whose ends cannot be written.
type failing struct {
	store.Store
	down atomic.Bool
}

func (f *failing) EndTask(ctx context.Context, e store.End, recs ...store.Record) ([]store.Task, error) {
	if f.down.Load() {
		return nil, errors.New("disk full")
	}
	return f.Store.EndTask(ctx, e, recs...)
}

func TestRevocationTellsTheTruth(t *testing.T) { // T36
	broken := &failing{}
	w := newWorldOn(t, func(s store.Store) store.Store { broken.Store = s; return broken })
	a := w.agent(w.client)
	got := a.tokens()
	broken.down.Store(true)
	answer := a.send("/revoke", url.Values{"client_id": {a.client}, "token": {got.text("refresh_token")}})
	if answer.Status != 503 || answer.Header.Get("Retry-After") == "" {
		t.Errorf("revocation that was not stored: %d %s", answer.Status, answer.Body)
	}
	broken.down.Store(false)
	if again := a.post("/token", a.refreshForm(got.text("refresh_token"))); again.Status != 200 {
		t.Errorf("and yet the token is dead: %d", again.Status)
	}
}

func TestSecretsAreNotStored(t *testing.T) { // T14, T23
	w := newWorld(t)
	secret := tokens.NewSecret("rs_")
	must(t, w.store.AddClient(context.Background(), store.Client{
		ID: "cli_confidential", SecretHash: store.HashOf(secret), CreatedAt: w.clock.Now(),
		Metadata: store.ClientMetadata{ClientName: "C", RedirectURIs: []string{"http://127.0.0.1/callback"}, TokenEndpointAuthMethod: "client_secret_post"},
	}))
	c := w.agent("cli_confidential")
	form := c.request()
	form.Set("client_secret", secret)
	got := c.post("/par", form)
	if got.Status != 201 {
		t.Fatalf("par: %d %s", got.Status, got.Body)
	}
	held, err := w.store.RequestByID(context.Background(), store.HashOf(strings.TrimPrefix(got.text("request_uri"), "urn:ietf:params:oauth:request_uri:")), c.client)
	must(t, err)
	if strings.Contains(string(held.Params), secret) {
		t.Error("the pushed request holds the client's secret")
	}
	form.Set("client_secret", secret+"x")
	want(t, c.post("/par", form), 401, "invalid_client")
}
