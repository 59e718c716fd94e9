package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/store"
)

// newOpenWorld is a world in which anybody may register.
func newOpenWorld(t testing.TB, changes ...func(*server.Config)) *world {
	t.Helper()
	open := func(c *server.Config) { c.Registration.Open = true }
	return newWorldOn(t, func(s store.Store) store.Store { return s }, append([]func(*server.Config){open}, changes...)...)
}

// registration is what a good public client registers, changed; a nil removes.
func registration(changes map[string]any) map[string]any {
	form := map[string]any{
		"client_name": "Curious Client", "redirect_uris": []string{"http://127.0.0.1/callback"}, "application_type": "native",
		"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"}, "token_endpoint_auth_method": "none",
	}
	maps.Copy(form, changes)
	for name, value := range form {
		if value == nil {
			delete(form, name)
		}
	}
	return form
}

func (w *world) dcr(form any, headers ...string) answer {
	w.t.Helper()
	body, ok := form.(string)
	if !ok {
		raw, err := json.Marshal(form)
		must(w.t, err)
		body = string(raw)
	}
	r, err := http.NewRequest("POST", w.issuer+"/register", strings.NewReader(body))
	must(w.t, err)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	return read(w.t, resp, err)
}

// clients counts the stored clients.
func (w *world) clients() int {
	w.t.Helper()
	all, err := w.store.Clients(context.Background())
	must(w.t, err)
	return len(all)
}

func TestRG1Closed(t *testing.T) {
	w := newWorld(t)
	want(t, w.dcr(registration(nil)), 403, "access_denied")
	want(t, w.dcr(registration(nil), "Authorization", "Bearer "), 403, "access_denied")
	if w.browser().get("/.well-known/oauth-authorization-server").JSON["registration_endpoint"] != nil {
		t.Error("a closed endpoint is promised")
	}

	const token = "initial access token"
	invited := newWorldOn(t, func(s store.Store) store.Store { return s }, func(c *server.Config) { c.Registration.Token = token })
	for name, header := range map[string]string{
		"another token": "Bearer " + token + "x", "no token": "Bearer ", "basic": "Basic " + token, "no scheme": token,
	} {
		got := invited.dcr(registration(nil), "Authorization", header)
		want(t, got, 401, "invalid_token")
		if !strings.HasPrefix(got.Header.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("%s: WWW-Authenticate %q", name, got.Header.Get("WWW-Authenticate"))
		}
	}
	want(t, invited.dcr(registration(nil)), 401, "invalid_token")
	if got := invited.dcr(registration(nil), "Authorization", "Bearer "+token); got.Status != http.StatusCreated {
		t.Errorf("with the token: %d %s", got.Status, got.Body)
	}
	if _, err := server.New(context.Background(), server.Config{Issuer: "https://as.example", Registration: server.Registration{Token: "short"}}); err == nil {
		t.Error("a short token was taken")
	}
}

func TestRegistration(t *testing.T) {
	w := newOpenWorld(t)
	if w.browser().get("/.well-known/oauth-authorization-server").JSON["registration_endpoint"] != w.issuer+"/register" {
		t.Error("the endpoint is not promised")
	}
	got := w.dcr(registration(map[string]any{"scope": "tickets.read tool:add_comment offline_access", "software_id": "x", "unknown": map[string]int{"a": 1}}))
	id := got.text("client_id")
	if got.Status != http.StatusCreated || !strings.HasPrefix(id, "cli_") || got.text("client_secret") != "" || got.JSON["client_id_issued_at"] == nil {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	if got.Header.Get("Cache-Control") != "no-store" || got.text("application_type") != "native" || got.text("scope") == "" {
		t.Errorf("%v %s", got.Header, got.Body)
	}
	if _, leads := got.JSON["registration_access_token"]; leads {
		t.Error("RG8: a registration access token was handed out")
	}
	a := w.agent(id)
	a.tokens()
	_, err := w.store.Sequence(context.Background())
	must(t, err)
	if records, err := w.store.Records(context.Background(), store.RecordFilter{Kind: "client.registered"}); err != nil || len(records) != 1 || records[0].Client != id {
		t.Errorf("ledger: %v %v", records, err)
	}
}

func TestRegistrationDefaults(t *testing.T) { // RFC 7591 §2
	w := newOpenWorld(t)
	got := w.dcr(map[string]any{"redirect_uris": []string{"http://localhost/callback"}})
	if got.Status != http.StatusCreated || got.text("token_endpoint_auth_method") != "client_secret_basic" || got.text("client_secret") == "" ||
		got.JSON["client_secret_expires_at"] != 0.0 || got.text("application_type") != "native" || fmt.Sprint(got.JSON["grant_types"]) != "[authorization_code]" {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	// Grants that are not served are left out, and the answer says so (§3.2.1).
	got = w.dcr(registration(map[string]any{"grant_types": []string{"authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"}}))
	if got.Status != http.StatusCreated || fmt.Sprint(got.JSON["grant_types"]) != "[authorization_code refresh_token]" {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	got = w.dcr(registration(map[string]any{"application_type": nil, "redirect_uris": []string{"https://agent.example/cb"}}))
	if got.text("application_type") != "web" {
		t.Errorf("%d %s", got.Status, got.Body)
	}
}

func TestRegistrationRefuses(t *testing.T) { // RG2 to RG6, RG10
	w := newOpenWorld(t)
	before := w.clients()
	key := signingKey(t)
	private, err := key.Marshal()
	must(t, err)
	set := func(key any) map[string]any { return map[string]any{"keys": []any{key}} }
	redirects := func(uris ...string) map[string]any { return map[string]any{"redirect_uris": uris} }
	name := func(s string) map[string]any { return map[string]any{"client_name": s} }
	many := make([]string, 1000)
	for i := range many {
		many[i] = fmt.Sprintf("https://agent.example/%d", i)
	}
	for row, cases := range map[string]map[string]struct {
		changes map[string]any
		code    string
	}{
		"RG2": {
			"http":             {redirects("http://agent.example/cb"), "invalid_redirect_uri"},
			"fragment":         {redirects("https://agent.example/cb#x"), "invalid_redirect_uri"},
			"javascript":       {redirects("javascript:alert(1)"), "invalid_redirect_uri"},
			"data":             {redirects("data:text/html,x"), "invalid_redirect_uri"},
			"custom scheme":    {redirects("cursor://anysphere/cb"), "invalid_redirect_uri"},
			"reverse domain":   {redirects("com.example.app:/cb"), "invalid_redirect_uri"},
			"wildcard host":    {redirects("https://*.agent.example/cb"), "invalid_redirect_uri"},
			"wildcard path":    {redirects("https://agent.example/*"), "invalid_redirect_uri"},
			"user":             {redirects("https://a:b@agent.example/cb"), "invalid_redirect_uri"},
			"1000":             {redirects(many...), "invalid_redirect_uri"},
			"none":             {redirects(), "invalid_redirect_uri"},
			"missing":          {map[string]any{"redirect_uris": nil}, "invalid_redirect_uri"},
			"empty":            {redirects(""), "invalid_redirect_uri"},
			"one of them bad":  {redirects("https://agent.example/cb", "http://10.0.0.1/cb"), "invalid_redirect_uri"},
			"another type":     {map[string]any{"redirect_uris": "https://agent.example/cb"}, "invalid_client_metadata"},
			"loopback lookups": {redirects("http://127.0.0.1.evil.example/cb"), "invalid_redirect_uri"},
		},
		"RG3": {
			"10 kB":       {name(strings.Repeat("a", 10_000)), "invalid_client_metadata"},
			"RTL":         {name("Agent \u202eelgooG"), "invalid_client_metadata"},
			"control":     {name("Agent\u0007"), "invalid_client_metadata"},
			"line break":  {name("Agent\nby Google"), "invalid_client_metadata"},
			"NUL":         {name("Agent\u0000"), "invalid_client_metadata"},
			"zero width":  {name("Google\u200b"), "invalid_client_metadata"},
			"space first": {name(" Google"), "invalid_client_metadata"},
		},
		"RG4": {
			"javascript logo": {map[string]any{"logo_uri": "javascript:alert(1)"}, "invalid_client_metadata"},
			"data logo":       {map[string]any{"logo_uri": "data:image/svg+xml,x"}, "invalid_client_metadata"},
			"inner logo":      {map[string]any{"logo_uri": "http://169.254.169.254/x"}, "invalid_client_metadata"},
			"javascript tos":  {map[string]any{"tos_uri": "javascript:alert(1)"}, "invalid_client_metadata"},
			"data policy":     {map[string]any{"policy_uri": "data:text/html,x"}, "invalid_client_metadata"},
			"javascript page": {map[string]any{"client_uri": "javascript:alert(1)"}, "invalid_client_metadata"},
		},
		"RG5": {
			"jwks and jwks_uri": {map[string]any{"jwks": jwks(t, key), "jwks_uri": "https://agent.example/jwks"}, "invalid_client_metadata"},
			"private key":       {map[string]any{"jwks": set(json.RawMessage(private))}, "invalid_client_metadata"},
			"RSA 1024": {map[string]any{"jwks": set(map[string]string{
				"kty": "RSA", "e": "AQAB", "n": strings.Repeat("x", 171),
			})}, "invalid_client_metadata"},
			"symmetric":         {map[string]any{"jwks": set(map[string]string{"kty": "oct", "k": "AAAA"})}, "invalid_client_metadata"},
			"no keys":           {map[string]any{"token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"},
			"inner jwks_uri":    {map[string]any{"jwks_uri": "https://169.254.169.254/jwks"}, "invalid_client_metadata"},
			"jwks_uri by http":  {map[string]any{"jwks_uri": "http://agent.example/jwks"}, "invalid_client_metadata"},
			"jwks another type": {map[string]any{"jwks": "x"}, "invalid_client_metadata"},
		},
		"RG6": {
			"implicit":           {map[string]any{"grant_types": []string{"authorization_code", "implicit"}}, "invalid_client_metadata"},
			"password":           {map[string]any{"grant_types": []string{"authorization_code", "password"}}, "invalid_client_metadata"},
			"client_credentials": {map[string]any{"grant_types": []string{"authorization_code", "client_credentials"}}, "invalid_client_metadata"},
			"token response":     {map[string]any{"response_types": []string{"code", "token"}}, "invalid_client_metadata"},
			"only refresh":       {map[string]any{"grant_types": []string{"refresh_token"}}, "invalid_client_metadata"},
			"scope admin":        {map[string]any{"scope": "tickets.read admin"}, "invalid_client_metadata"},
			"scope of no shape":  {map[string]any{"scope": "a\"b"}, "invalid_client_metadata"},
			"unknown method":     {map[string]any{"token_endpoint_auth_method": "tls_client_auth"}, "invalid_client_metadata"},
			"unknown type":       {map[string]any{"application_type": "service"}, "invalid_client_metadata"},
		},
		"RG10": {
			"software statement": {map[string]any{"software_statement": "eyJhbGciOiJub25lIn0.e30."}, "invalid_software_statement"},
		},
	} {
		for what, tt := range cases {
			t.Run(row+" "+what, func(t *testing.T) { want(t, w.dcr(registration(tt.changes)), 400, tt.code) })
		}
	}
	for what, body := range map[string]string{
		"not JSON": "x", "a list": "[]", "null": "null", "empty": "", "duplicates": `{"client_name":"a","client_name":"b","redirect_uris":["https://a.example/"]}`,
		"too deep": strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200),
	} {
		t.Run(what, func(t *testing.T) { want(t, w.dcr(body), 400, "invalid_client_metadata") })
	}
	if got := w.dcr(registration(nil), "Content-Type", "application/x-www-form-urlencoded"); got.Status != http.StatusUnsupportedMediaType {
		t.Errorf("a form: %d", got.Status)
	}
	if got := w.dcr(`{"client_name":"` + strings.Repeat("a", 70<<10) + `"}`); got.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("70 KiB: %d", got.Status)
	}
	if n := w.clients(); n != before {
		t.Errorf("refused registrations left %d clients", n-before)
	}
	if got := w.dcr(registration(nil)); got.Status != http.StatusCreated {
		t.Errorf("the good request after it: %d %s", got.Status, got.Body)
	}
}

func TestRG7SameDocumentTwice(t *testing.T) {
	w := newOpenWorld(t)
	for _, method := range []string{"client_secret_basic", "client_secret_post"} {
		first := w.dcr(registration(map[string]any{"token_endpoint_auth_method": method}))
		second := w.dcr(registration(map[string]any{"token_endpoint_auth_method": method}))
		if first.Status != http.StatusCreated || first.text("client_id") == second.text("client_id") || first.text("client_secret") == second.text("client_secret") {
			t.Errorf("%s: %s %s", method, first.Body, second.Body)
		}
	}
	key := map[string]any{"token_endpoint_auth_method": "private_key_jwt", "jwks": jwks(t, signingKey(t))}
	if a, b := w.dcr(registration(key)), w.dcr(registration(key)); a.text("client_id") == b.text("client_id") {
		t.Error("clients with keys share a client_id")
	}
	// Public clients hold nothing that one could take from the other (RFC 7591 §3.2.1: instances may share).
	body, err := json.Marshal(registration(nil))
	must(t, err)
	first := w.dcr(string(body))
	again := w.dcr(string(body))
	if first.text("client_id") == "" || first.Body != again.Body || strings.HasPrefix(first.text("client_id"), "https://") {
		t.Errorf("%s %s", first.Body, again.Body)
	}
	if other := w.dcr(string(body) + " "); other.text("client_id") == first.text("client_id") {
		t.Error("metadata that is not byte-identical is shared")
	}
	_, err = w.store.DisableClient(context.Background(), first.text("client_id"), true)
	must(t, err)
	want(t, w.dcr(string(body)), 400, "invalid_client_metadata")
}

func TestRG8RG9NothingIsChosenOrChanged(t *testing.T) {
	w := newOpenWorld(t)
	for _, id := range []string{"../../admin", w.client, "https://agent.example/client.json"} {
		got := w.dcr(registration(map[string]any{"client_id": id, "client_secret": "mine", "remit": map[string]any{"verified_by_admin": true, "max_duration": 1}, "client_name": "n" + id[:3]}))
		if got.Status != http.StatusCreated || got.text("client_id") == id || got.text("client_secret") != "" {
			t.Errorf("%d %s", got.Status, got.Body)
		}
		c, err := w.store.ClientByID(context.Background(), got.text("client_id"))
		if err != nil || c.Policy.TrustedByName || c.Policy.MaxDuration != 0 || c.Origin != store.ByRegistration {
			t.Errorf("%+v %v", c, err)
		}
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			r, err := http.NewRequest(method, w.issuer+"/register/"+got.text("client_id"), strings.NewReader("{}"))
			must(t, err)
			r.Header.Set("Authorization", "Bearer x")
			resp, err := http.DefaultTransport.RoundTrip(r)
			if a := read(t, resp, err); a.Status != http.StatusNotFound {
				t.Errorf("%s: %d", method, a.Status)
			}
		}
	}
}

func TestRegistrationIsBounded(t *testing.T) {
	w := newOpenWorld(t)
	refused := 0
	for i := range 30 {
		if got := w.dcr(registration(map[string]any{"client_name": fmt.Sprint("Client ", i)})); got.Status == http.StatusTooManyRequests {
			refused++
			if got.Header.Get("Retry-After") == "" {
				t.Error("429 without Retry-After")
			}
		}
	}
	if refused != 20 {
		t.Errorf("%d of 30 registrations from one address were refused", refused)
	}
	w.clock.Add(time.Hour)
	if got := w.dcr(registration(nil)); got.Status != http.StatusCreated {
		t.Errorf("an hour later: %d %s", got.Status, got.Body)
	}
}

func TestUnusedClientsAreForgotten(t *testing.T) {
	w := newOpenWorld(t)
	unused := w.dcr(registration(map[string]any{"client_name": "Unused"})).text("client_id")
	used := w.dcr(registration(map[string]any{"client_name": "Used"})).text("client_id")
	w.agent(used).tokens()
	w.clock.Add(25 * time.Hour)
	must(t, w.server.ForgetClients(context.Background()))
	for _, id := range []string{used, w.client, w.other} {
		if _, err := w.store.ClientByID(context.Background(), id); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	a := w.agent(unused)
	want(t, a.post("/par", a.request()), 401, "invalid_client") // it may register again
}

func TestRegisteredClientsAuthenticate(t *testing.T) {
	w := newOpenWorld(t)
	got := w.dcr(registration(map[string]any{"token_endpoint_auth_method": "client_secret_post"}))
	a := w.agent(got.text("client_id"))
	form := a.request()
	want(t, a.post("/par", form), 401, "invalid_client")
	form.Set("client_secret", got.text("client_secret")+"x")
	want(t, a.post("/par", form), 401, "invalid_client")
	form.Set("client_secret", got.text("client_secret"))
	if pushed := a.post("/par", form); pushed.Status != http.StatusCreated {
		t.Errorf("%d %s", pushed.Status, pushed.Body)
	}
	c, err := w.store.ClientByID(context.Background(), a.client)
	must(t, err)
	if c.SecretHash != store.HashOf(got.text("client_secret")) || c.Digest != (store.Hash{}) {
		t.Errorf("%+v", c)
	}
}
