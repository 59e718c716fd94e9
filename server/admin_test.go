package server_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/remit-auth/remit/tokens"
)

// TestAdminMatrix: no route of the admin API is on the public side, whoever asks (AD1, AD3), and on
// its own side it takes nothing but its method and its JSON.
func TestAdminMatrix(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	token, _ := w.lend()
	person := w.browser()
	person.signIn()
	callers := map[string]func(r *http.Request){
		"nobody":   func(*http.Request) {},
		"an agent": func(r *http.Request) { r.Header.Set("Authorization", "DPoP "+token) },
		"a bearer": func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) },
		"a Guard":  func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+g.assertion()) },
		"a client": func(r *http.Request) { r.SetBasicAuth(w.client, "") },
		"a proxy":  func(r *http.Request) { r.Header.Set("X-Forwarded-For", "127.0.0.1"); r.Host = "localhost" },
		"an overrider": func(r *http.Request) {
			r.Header.Set("X-Original-URL", "/admin/api/users")
			r.Header.Set("X-HTTP-Method-Override", "GET")
		},
	}
	routes := w.server.AdminRoutes()
	if len(routes) < 25 {
		t.Fatalf("%d routes", len(routes))
	}
	for _, route := range routes {
		method, path := route[0], route[1]
		for name, dress := range callers {
			r, err := http.NewRequest(method, w.issuer+path, strings.NewReader("{}"))
			must(t, err)
			r.Header.Set("Content-Type", "application/json")
			dress(r)
			resp, err := http.DefaultTransport.RoundTrip(r)
			if got := read(t, resp, err); got.Status != http.StatusNotFound {
				t.Errorf("public %s %s by %s: %d %s", method, path, name, got.Status, got.Body)
			}
		}
		if got := person.get(path); got.Status != http.StatusNotFound {
			t.Errorf("public %s by a signed-in user: %d", path, got.Status)
		}
	}
	for _, route := range w.server.PublicRoutes() {
		if strings.HasPrefix(route[1], "/admin/api") {
			t.Errorf("%s is public", route[1])
		}
	}
}

func TestAdminRefusals(t *testing.T) {
	w := newWorld(t)
	ask := func(method, path, contentType, body string) answer {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		if contentType != "" {
			r.Header.Set("Content-Type", contentType)
		}
		rec := httptest.NewRecorder()
		w.server.Admin().ServeHTTP(rec, r)
		return read(t, rec.Result(), nil)
	}
	problem := func(name string, got answer, status ...int) {
		t.Helper()
		if !slices.Contains(status, got.Status) || got.Header.Get("Content-Type") != "application/problem+json" || got.JSON["status"] != float64(got.Status) || got.text("detail") == "" {
			t.Errorf("%s: %d %s %s", name, got.Status, got.Header.Get("Content-Type"), got.Body)
		}
	}
	posts := map[string]bool{}
	for _, route := range w.server.AdminRoutes() {
		posts[route[1]] = posts[route[1]] || route[0] == "POST"
	}
	before := len(w.records(""))
	for path, post := range posts {
		problem("PATCH "+path, ask("PATCH", path, "application/json", "{}"), 405)
		if !post {
			problem("POST "+path, ask("POST", path, "application/json", "{}"), 405)
			continue
		}
		if path == "/admin/api/keys/rotate" || path == "/admin/api/keys/rewrap" { // ask for nothing
			continue
		}
		problem(path+" without type", ask("POST", path, "", "{}"), 415)
		problem(path+" as a form", ask("POST", path, "application/x-www-form-urlencoded", "a=b"), 415)
		problem(path+" garbage", ask("POST", path, "application/json", "{"), 400)
		problem(path+" null", ask("POST", path, "application/json", "null"), 400)
		problem(path+" unknown member", ask("POST", path, "application/json", `{"nonsense":1}`), 400)
		problem(path+" empty", ask("POST", path, "application/json", "{}"), 400, 404)
		problem(path+" too large", ask("POST", path, "application/json", `{"email":"`+strings.Repeat("x", 3<<20)+`"}`), 413)
	}
	problem("an unknown route", ask("GET", "/admin/api/secrets", "", ""), 404)
	problem("a route beside", ask("GET", "/admin/api/users/", "", ""), 404)
	if after := len(w.records("")); after != before {
		t.Errorf("%d records of refused requests", after-before)
	}
}

func TestAddUser(t *testing.T) {
	w := newWorld(t)
	refused := map[string]map[string]string{
		"no e-mail":           {"name": "A"},
		"not an e-mail":       {"email": "mara", "name": "A"},
		"a display name":      {"email": "Mara <m@example.com>", "name": "A"},
		"a control character": {"email": "c@example.com", "name": "A\x1b[2J"},
		"another role":        {"email": "c@example.com", "name": "A", "console_role": "root"},
		"a short password":    {"email": "c@example.com", "name": "A", "password": "short"},
		"a huge password":     {"email": "c@example.com", "name": "A", "password": strings.Repeat("x", 1025)},
	}
	for name, in := range refused {
		if got := w.operator("POST", "/admin/api/users", in); got.Status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
	if got := w.operator("POST", "/admin/api/users", map[string]string{"email": "MARA@example.com", "name": "B"}); got.Status != http.StatusConflict {
		t.Errorf("a taken e-mail: %d %s", got.Status, got.Body)
	}
	got := w.operator("POST", "/admin/api/users", map[string]string{"email": "c@example.com", "name": "C", "password": "long enough"})
	if got.Status != http.StatusCreated || strings.Contains(got.Body, "argon") || strings.Contains(got.Body, "long enough") {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	if list := w.operator("GET", "/admin/api/users", nil); strings.Contains(list.Body, "argon") {
		t.Errorf("the list tells hashes: %s", list.Body)
	}
	if got := w.operator("POST", "/admin/api/users/assign", map[string]string{"user": "c@example.com", "resource": ticketsURI, "role": "root"}); got.Status != http.StatusBadRequest || !strings.Contains(got.text("detail"), "reader") {
		t.Errorf("a role that the policy does not have: %d %s", got.Status, got.Body)
	}
}

func TestAddClient(t *testing.T) {
	w := newWorld(t)
	good := func() map[string]any {
		return map[string]any{"client_name": "C", "redirect_uris": []string{"https://c.example/cb"}}
	}
	refused := map[string]map[string]any{
		"no name":               {"client_name": ""},
		"no redirect":           {"redirect_uris": []string{}},
		"http redirect":         {"redirect_uris": []string{"http://c.example/cb"}},
		"a fragment":            {"redirect_uris": []string{"https://c.example/cb#x"}},
		"a wildcard":            {"redirect_uris": []string{"https://*.example/cb"}},
		"the implicit grant":    {"grant_types": []string{"implicit"}},
		"the password grant":    {"grant_types": []string{"authorization_code", "password"}},
		"no code grant":         {"grant_types": []string{"refresh_token"}},
		"token response":        {"response_types": []string{"token"}},
		"another method":        {"token_endpoint_auth_method": "client_secret_jwt"},
		"keys by reference":     {"jwks_uri": "https://c.example/jwks"},
		"no keys":               {"token_endpoint_auth_method": "private_key_jwt"},
		"a private key":         {"token_endpoint_auth_method": "private_key_jwt", "jwks": json.RawMessage(`{"keys":[{"kty":"oct","k":"AAAA"}]}`)},
		"a secret of its own":   {"client_secret": "rs_x"},
		"an id of its own":      {"client_id": "cli_x"},
		"a grace of an hour":    {"remit": map[string]int{"refresh_grace": 3600}},
		"an unknown policy":     {"remit": map[string]bool{"dpop": false}},
		"a script for a client": {"client_uri": "javascript:alert(1)"},
	}
	for name, changes := range refused {
		if got := w.operator("POST", "/admin/api/clients", but(good(), changes)); got.Status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
	got := w.operator("POST", "/admin/api/clients", good())
	secret := got.text("client_secret")
	if got.Status != http.StatusCreated || !strings.HasPrefix(secret, "rs_") || got.text("token_endpoint_auth_method") != "client_secret_basic" {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	if list := w.operator("GET", "/admin/api/clients", nil); strings.Contains(list.Body, secret) || !strings.Contains(list.Body, got.text("client_id")) {
		t.Errorf("list: %s", list.Body)
	}
	for _, rec := range w.records("") {
		if bytes.Contains(rec.Payload, []byte(secret)) {
			t.Errorf("record %d holds the secret", rec.Seq)
		}
	}
	key, err := tokens.NewSigningKey()
	must(t, err)
	jwks, err := tokens.NewKeySet(key).JWKS()
	must(t, err)
	got = w.operator("POST", "/admin/api/clients", but(good(), map[string]any{"token_endpoint_auth_method": "private_key_jwt", "jwks": json.RawMessage(jwks), "contacts": []string{"a@c.example"}}))
	if got.Status != http.StatusCreated || got.text("client_secret") != "" {
		t.Errorf("private_key_jwt: %d %s", got.Status, got.Body)
	}
}

func TestAddResource(t *testing.T) {
	w := newWorld(t)
	good := func() map[string]any { return map[string]any{"uri": otherURI, "name": "Other"} }
	refused := map[string]map[string]any{
		"no URI":              {"uri": ""},
		"http":                {"uri": "http://other.example/mcp"},
		"a fragment":          {"uri": otherURI + "#x"},
		"an empty fragment":   {"uri": otherURI + "#"},
		"a query":             {"uri": otherURI + "?x=1"},
		"a user":              {"uri": "https://u@other.example/mcp"},
		"upper case":          {"uri": "https://Other.example/mcp"},
		"another scheme":      {"uri": "ftp://other.example/mcp"},
		"no name":             {"name": ""},
		"a broken policy":     {"policy": "version: 9"},
		"a broken tool":       {"tools": []any{map[string]any{"name": ""}}},
		"a tool twice":        {"tools": []any{plainTool("a"), plainTool("a")}},
		"a default of nobody": {"default_on": []string{"a"}},
	}
	for name, changes := range refused {
		if got := w.operator("POST", "/admin/api/resources", but(good(), changes)); got.Status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
	for _, spelling := range spellings() {
		if got := w.operator("POST", "/admin/api/resources", but(good(), map[string]any{"uri": spelling[0]})); got.Status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", spelling, got.Status, got.Body)
		}
	}
	got := w.operator("POST", "/admin/api/resources", but(good(), map[string]any{"policy": ticketsPolicy, "tools": []any{plainTool("search_tickets")}, "default_on": []string{"search_tickets"}}))
	code := got.text("enrolment_code")
	if got.Status != http.StatusCreated || !strings.HasPrefix(code, "enrol_") {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	shown := w.operator("GET", "/admin/api/resources/show?uri="+url.QueryEscape(otherURI), nil)
	if strings.Contains(shown.Body, code) || !strings.Contains(shown.Body, `"approved"`) {
		t.Errorf("show: %s", shown.Body)
	}
	if again := w.operator("POST", "/admin/api/resources", good()); again.Status != http.StatusConflict {
		t.Errorf("again: %d %s", again.Status, again.Body)
	}
}

func TestAdminTasks(t *testing.T) {
	w := newWorld(t)
	_, claims := w.lend()
	list := func(query string) []any {
		t.Helper()
		got := w.operator("GET", "/admin/api/tasks?"+query, nil)
		if got.Status != http.StatusOK {
			t.Fatalf("%s: %d %s", query, got.Status, got.Body)
		}
		return got.JSON["tasks"].([]any)
	}
	for query, want := range map[string]int{
		"": 1, "live=true": 1, "state=active": 1, "state=revoked": 0, "user=mara@example.com": 1, "client=" + w.client: 1,
		"client=" + w.other: 0, "resource=" + url.QueryEscape(ticketsURI): 1,
		"tool=search_tickets&live=true": 1, "tool=search&live=true": 0, "tool=search_tickets&state=active&key=bound": 1, "key=unbound": 0, "key=unbound&tool=search_tickets": 0,
	} {
		if n := len(list(query)); n != want {
			t.Errorf("%q: %d tasks, want %d", query, n, want)
		}
	}
	for _, query := range []string{"state=x", "key=x", "tool=search_tickets", "tool=search_tickets&state=revoked", "limit=0", "limit=x", "limit=100000"} {
		if got := w.operator("GET", "/admin/api/tasks?"+query, nil); got.Status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", query, got.Status, got.Body)
		}
	}
	if got := w.operator("GET", "/admin/api/tasks/show?id="+claims.Task.ID, nil); !strings.Contains(got.Body, "search_tickets") {
		t.Errorf("show: %s", got.Body)
	}
	id := map[string]string{"id": claims.Task.ID}
	for _, tt := range []struct {
		verb   string
		status int
	}{{"resume", 409}, {"suspend", 200}, {"suspend", 409}, {"resume", 200}, {"end", 200}, {"end", 409}, {"suspend", 409}, {"resume", 409}} {
		if got := w.operator("POST", "/admin/api/tasks/"+tt.verb, id); got.Status != tt.status {
			t.Errorf("%s: %d %s", tt.verb, got.Status, got.Body)
		}
	}
	for _, verb := range []string{"end", "suspend", "resume"} {
		if got := w.operator("POST", "/admin/api/tasks/"+verb, map[string]string{"id": tokens.NewID("tsk_")}); got.Status != http.StatusNotFound {
			t.Errorf("%s of no task: %d %s", verb, got.Status, got.Body)
		}
	}
}

func TestAuditRecords(t *testing.T) {
	w := newWorld(t)
	w.lend()
	got := w.operator("GET", "/admin/api/audit/records", nil)
	lines := strings.Split(strings.TrimSpace(got.Body), "\n")
	for i, line := range lines {
		var rec struct {
			Seq     int64           `json:"seq"`
			Kind    string          `json:"kind"`
			Payload json.RawMessage `json:"payload"`
			Digest  string          `json:"digest"`
			Hash    string          `json:"hash"`
		}
		must(t, json.Unmarshal([]byte(line), &rec))
		if rec.Seq != int64(i+1) || rec.Kind == "" || len(rec.Hash) != 64 || len(rec.Digest) != 64 || rec.Payload[0] != '{' {
			t.Errorf("line %d: %s", i+1, line)
		}
	}
	page := w.operator("GET", "/admin/api/audit/records?after=2&limit=3", nil)
	if page.Body != strings.Join(lines[2:5], "\n")+"\n" {
		t.Errorf("page: %s", page.Body)
	}
	for _, query := range []string{"after=-1", "after=x", "limit=0", "limit=99999"} {
		if got := w.operator("GET", "/admin/api/audit/records?"+query, nil); got.Status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", query, got.Status, got.Body)
		}
	}
}
