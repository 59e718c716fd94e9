package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/consent"
	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/store/memory"
	"github.com/remit-auth/remit/tokens"
)

const otherURI = "https://other.example/mcp"

// operator asks the admin API, as the socket would.
func (w *world) operator(method, path string, body any) answer {
	w.t.Helper()
	raw, err := json.Marshal(body)
	must(w.t, err)
	r := httptest.NewRequest(method, path, bytes.NewReader(raw))
	r.Header.Set("Content-Type", "application/json")
	rec := httptest.NewRecorder()
	w.server.Admin().ServeHTTP(rec, r)
	said, err := published()
	must(w.t, err)
	said.keeps(w.t, r, raw, rec.Result(), rec.Body.Bytes())
	return read(w.t, rec.Result(), nil)
}

// records are the ledger's records of a kind, chained first.
func (w *world) records(kind string) []store.Record {
	w.t.Helper()
	must(w.t, w.server.Settle(context.Background()))
	recs, err := w.store.Records(context.Background(), store.RecordFilter{Kind: kind, Limit: 10000})
	must(w.t, err)
	return recs
}

// payload decodes a record's payload.
func payload(t *testing.T, rec store.Record) map[string]any {
	t.Helper()
	var p map[string]any
	must(t, json.Unmarshal(rec.Payload, &p))
	return p
}

// guardian is a Guard's side of the wire, by hand.
type guardian struct {
	w   *world
	id  string
	key tokens.SigningKey
}

// enrolCode is a fresh enrolment code of the resource.
func (w *world) enrolCode(uri string) string {
	w.t.Helper()
	got := w.operator("POST", "/admin/api/resources/enrol", map[string]string{"uri": uri})
	if got.Status != http.StatusCreated {
		w.t.Fatalf("enrolment code: %d %s", got.Status, got.Body)
	}
	return got.text("enrolment_code")
}

// guard enrols a Guard at the resource.
func (w *world) guard(uri string) *guardian {
	w.t.Helper()
	key, err := tokens.NewSigningKey()
	must(w.t, err)
	got := w.send("POST", "/enroll", "", map[string]any{"enrolment_code": w.enrolCode(uri), "key": json.RawMessage(key.PublicJWK())})
	if got.Status != http.StatusCreated {
		w.t.Fatalf("enroll: %d %s", got.Status, got.Body)
	}
	return &guardian{w: w, id: got.text("guard_id"), key: key}
}

// addOther registers a second resource.
func (w *world) addOther() {
	w.t.Helper()
	got := w.operator("POST", "/admin/api/resources", map[string]any{"uri": otherURI, "name": "Other"})
	if got.Status != http.StatusCreated {
		w.t.Fatalf("resource: %d %s", got.Status, got.Body)
	}
}

func (g *guardian) assertion() string {
	g.w.t.Helper()
	a, err := g.key.Assertion(g.id, g.w.issuer, g.w.clock.Now())
	must(g.w.t, err)
	return a
}

// call sends JSON as the Guard.
func (g *guardian) call(method, path string, body any) answer {
	g.w.t.Helper()
	if batch, ok := body.(map[string]any); ok && path == "/executions" {
		body = g.sign(batch)
	}
	return g.w.send(method, path, "Bearer "+g.assertion(), body)
}

// sign signs a batch of executions as it is, unless it is signed already or is none.
func (g *guardian) sign(batch map[string]any) map[string]any {
	g.w.t.Helper()
	records, ok := batch["records"].([]any)
	first, number := batch["first"].(int)
	if _, signed := batch["signature"]; signed || !ok || !number || first < 1 {
		return batch
	}
	var raws []json.RawMessage
	var digests []string
	for _, r := range records {
		raw, err := json.Marshal(r)
		must(g.w.t, err)
		raws, digests = append(raws, raw), append(digests, tokens.HashBytes(raw))
	}
	replica, _ := batch["replica"].(string)
	signature, err := g.key.SignBatch(tokens.BatchClaims{
		Guard: g.id, Issuer: g.w.issuer, Replica: replica, First: int64(first), Count: int64(len(raws)), Digest: tokens.BatchDigest(digests), At: g.w.clock.Now(),
	})
	must(g.w.t, err)
	return map[string]any{"first": first, "replica": replica, "records": raws, "signature": signature}
}

// send sends JSON with this Authorization header.
func (w *world) send(method, path, authorization string, body any) answer {
	w.t.Helper()
	raw, err := json.Marshal(body)
	must(w.t, err)
	r, err := http.NewRequest(method, w.issuer+path, bytes.NewReader(raw))
	must(w.t, err)
	r.Header.Set("Content-Type", "application/json")
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	return read(w.t, resp, err)
}

// lend runs the flow to a live token and its task.
func (w *world) lend() (token string, claims tokens.Claims) {
	w.t.Helper()
	a := w.agent(w.client)
	got := a.post("/token", a.codeForm(a.code()))
	if got.Status != http.StatusOK {
		w.t.Fatalf("token: %d %s", got.Status, got.Body)
	}
	token = got.text("access_token")
	claims, err := w.keys().OpenAccessToken(token, w.issuer)
	must(w.t, err)
	return token, claims
}

// keys are the server's public keys.
func (w *world) keys() tokens.KeySet {
	w.t.Helper()
	resp, err := http.Get(w.issuer + "/jwks")
	set, err := tokens.ParseKeySet([]byte(read(w.t, resp, err).Body))
	must(w.t, err)
	return set
}

func TestEnrol(t *testing.T) {
	w := newWorld(t)
	key, err := tokens.NewSigningKey()
	must(t, err)
	private, err := key.Marshal()
	must(t, err)
	code := w.enrolCode(ticketsURI)
	good := func() map[string]any {
		return map[string]any{"enrolment_code": code, "key": json.RawMessage(key.PublicJWK())}
	}
	with := func(name string, value any) map[string]any {
		in := good()
		in[name] = value
		return in
	}
	refused := map[string]struct {
		body   any
		status int
		code   string
	}{
		"no code":               {with("enrolment_code", ""), 400, "invalid_grant"},
		"another code":          {with("enrolment_code", tokens.NewSecret("enrol_")), 400, "invalid_grant"},
		"another secret":        {with("enrolment_code", "rs_"+strings.TrimPrefix(code, "enrol_")), 400, "invalid_grant"},
		"no key":                {map[string]any{"enrolment_code": code}, 400, "invalid_request"},
		"a private key":         {with("key", json.RawMessage(private)), 400, "invalid_request"},
		"a symmetric key":       {with("key", map[string]string{"kty": "oct", "k": "c2VjcmV0"}), 400, "invalid_request"},
		"a broken policy":       {with("policy", "version: 1\nroles: {a: {tools: {x: {limits: {y: {pattern: '('}}}}}}"), 400, "invalid_request"},
		"a broken tool":         {with("tools", []any{map[string]any{"name": "no spaces"}}), 400, "invalid_request"},
		"a tool twice":          {with("tools", []any{plainTool("a"), plainTool("a")}), 400, "invalid_request"},
		"an unknown member":     {with("resource", otherURI), 400, "invalid_request"},
		"not an object":         {[]int{1}, 400, "invalid_request"},
		"larger than 64 KiB":    {with("policy", strings.Repeat("#", 70<<10)), 413, "invalid_request"},
		"a member's other case": {map[string]any{"Enrolment_Code": code, "key": json.RawMessage(key.PublicJWK())}, 400, "invalid_request"},
	}
	for name, tt := range refused {
		if got := w.send("POST", "/enroll", "", tt.body); got.Status != tt.status || got.error() != tt.code {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
	if n := len(w.records("guard.enrolled")); n != 0 {
		t.Fatalf("%d Guards enrolled by refused requests", n)
	}
	// The good request still works: nothing was spent.
	got := w.send("POST", "/enroll", "", with("tools", []any{plainTool("brand_new")}))
	if got.Status != http.StatusCreated || got.text("resource") != ticketsURI || got.text("issuer") != w.issuer {
		t.Fatalf("enroll: %d %s", got.Status, got.Body)
	}
	if pending, _ := got.JSON["pending_tools"].([]any); !slices.Equal(pending, []any{"brand_new"}) {
		t.Errorf("pending_tools = %v", pending)
	}
	if again := w.send("POST", "/enroll", "", good()); again.error() != "invalid_grant" {
		t.Errorf("the code again: %d %s", again.Status, again.Body)
	}
	if n := len(w.records("guard.enrolled")); n != 1 {
		t.Errorf("%d records of one enrolment", n)
	}
}

func TestEnrolmentCodeExpires(t *testing.T) {
	w := newWorld(t)
	key, err := tokens.NewSigningKey()
	must(t, err)
	code := w.enrolCode(ticketsURI)
	w.clock.Add(25 * time.Hour)
	got := w.send("POST", "/enroll", "", map[string]any{"enrolment_code": code, "key": json.RawMessage(key.PublicJWK())})
	if got.error() != "invalid_grant" {
		t.Errorf("%d %s", got.Status, got.Body)
	}
}

// plainTool is a tools/list entry.
func plainTool(name string) map[string]any {
	return map[string]any{"name": name, "description": "Does " + name + ".", "inputSchema": map[string]any{"type": "object"}}
}

// guardRoutes are the endpoints that a Guard's bearer assertion opens.
var guardRoutes = map[string]struct {
	method string
	body   any
}{
	"/manifest":           {"PUT", map[string]any{"policy": "", "tools": []any{}}},
	"/feed":               {"GET", nil},
	"/feed/ack":           {"POST", map[string]int{"seq": 0}},
	"/executions":         {"POST", map[string]any{"first": 1, "records": []any{}}},
	"/executions/reserve": {"POST", map[string]any{}},
	"/grants/sha-256:x":   {"GET", nil},
}

func TestGuardAuthentication(t *testing.T) { // attacks.md CA rows, for Guards
	w := newWorld(t)
	w.addOther()
	g, other := w.guard(ticketsURI), w.guard(otherURI)
	token, _ := w.lend()
	stranger, err := tokens.NewSigningKey()
	must(t, err)
	sign := func(key tokens.SigningKey, id, audience string, at time.Time) string {
		a, err := key.Assertion(id, audience, at)
		must(t, err)
		return a
	}
	used := g.assertion()
	if got := w.send("POST", "/feed/ack", "Bearer "+used, map[string]int{"seq": 0}); got.Status != http.StatusNoContent {
		t.Fatalf("the good assertion: %d %s", got.Status, got.Body)
	}
	now := w.clock.Now()
	refused := map[string]string{
		"nothing":                      "",
		"another scheme":               "Basic " + g.assertion(),
		"no assertion":                 "Bearer",
		"an access token":              "Bearer " + token,
		"an assertion used before":     "Bearer " + used,
		"a Guard that does not exist":  "Bearer " + sign(g.key, tokens.NewID("grd_"), w.issuer, now),
		"a client's id":                "Bearer " + sign(g.key, w.client, w.issuer, now),
		"another Guard's key":          "Bearer " + sign(other.key, g.id, w.issuer, now),
		"a stranger's key":             "Bearer " + sign(stranger, g.id, w.issuer, now),
		"another audience":             "Bearer " + sign(g.key, g.id, "https://as.example", now),
		"the token endpoint as target": "Bearer " + sign(g.key, g.id, w.issuer+"/token", now),
		"expired":                      "Bearer " + sign(g.key, g.id, w.issuer, now.Add(-10*time.Minute)),
		"from the future":              "Bearer " + sign(g.key, g.id, w.issuer, now.Add(10*time.Minute)),
	}
	for _, path := range slices.Sorted(maps.Keys(guardRoutes)) { // the feed, which does not end when it is served, not first
		route := guardRoutes[path]
		for name, header := range refused {
			if got := w.send(route.method, path, header, route.body); got.Status != http.StatusUnauthorized || got.error() != "invalid_client" {
				t.Fatalf("%s with %s: %d %s", path, name, got.Status, got.Body)
			}
		}
	}
}

func TestReplacedGuard(t *testing.T) {
	w := newWorld(t)
	old := w.guard(ticketsURI)
	fresh := w.guard(ticketsURI)
	if got := old.call("POST", "/feed/ack", map[string]int{"seq": 0}); got.Status != http.StatusUnauthorized {
		t.Errorf("the former Guard: %d %s", got.Status, got.Body)
	}
	if got := fresh.call("POST", "/feed/ack", map[string]int{"seq": 0}); got.Status != http.StatusNoContent {
		t.Errorf("the new Guard: %d %s", got.Status, got.Body)
	}
}

func TestManifest(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	publish := func(tools ...any) answer {
		t.Helper()
		got := g.call("PUT", "/manifest", map[string]any{"policy": ticketsPolicy, "tools": tools})
		if got.Status != http.StatusOK {
			t.Fatalf("manifest: %d %s", got.Status, got.Body)
		}
		return got
	}
	pending := func(a answer) []any { list, _ := a.JSON["pending_tools"].([]any); return list }
	changed := plainTool("get_ticket")
	if got := pending(publish(changed, plainTool("close_ticket"))); !slices.Equal(got, []any{"close_ticket", "get_ticket"}) {
		t.Fatalf("pending = %v", got)
	}
	publish(changed, plainTool("close_ticket")) // says nothing new
	if n := len(w.records("manifest.published")); n != 1 {
		t.Errorf("%d records of one change", n)
	}
	approve := func(tool, hash string) answer {
		return w.operator("POST", "/admin/api/resources/approve", map[string]string{"uri": ticketsURI, "tool": tool, "hash": hash})
	}
	if got := approve("get_ticket", "sha-256:another"); got.Status != http.StatusNotFound {
		t.Errorf("approving what nobody offers: %d %s", got.Status, got.Body)
	}
	if got := approve("get_ticket", ""); got.Status != http.StatusBadRequest {
		t.Errorf("approving without having looked: %d %s", got.Status, got.Body)
	}
	if got := approve("get_ticket", w.drift("get_ticket").LiveHash); got.Status != http.StatusOK {
		t.Fatalf("approve: %d %s", got.Status, got.Body)
	}
	if got := pending(publish(changed, plainTool("close_ticket"))); !slices.Equal(got, []any{"close_ticket"}) {
		t.Errorf("pending after approval = %v", got)
	}
	if got := g.call("PUT", "/manifest", map[string]any{"policy": "version: 2", "tools": []any{}}); got.error() != "invalid_request" {
		t.Errorf("a broken policy: %d %s", got.Status, got.Body)
	}
	big := map[string]any{"policy": "#" + strings.Repeat("x", 1<<20), "tools": []any{}}
	if got := g.call("PUT", "/manifest", big); got.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("more than 1 MiB: %d %s", got.Status, got.Body)
	}
}

// drift is how the tool differs from what was approved, as admins are told.
func (w *world) drift(tool string) consent.Drift {
	w.t.Helper()
	got := w.operator("GET", "/admin/api/resources/drift?uri="+url.QueryEscape(ticketsURI), nil)
	var told struct {
		Drift []consent.Drift `json:"drift"`
	}
	if err := json.Unmarshal([]byte(got.Body), &told); err != nil || got.Status != http.StatusOK {
		w.t.Fatalf("drift: %d %v %s", got.Status, err, got.Body)
	}
	for _, d := range told.Drift {
		if d.Tool == tool {
			return d
		}
	}
	return consent.Drift{}
}

// TestGoneTool: what a server no longer offers is told to admins and offered to nobody, until it is
// there again.
func TestGoneTool(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	publish := func(tools ...any) {
		t.Helper()
		if got := g.call("PUT", "/manifest", map[string]any{"policy": ticketsPolicy, "tools": tools}); got.Status != http.StatusOK {
			t.Fatalf("manifest: %d %s", got.Status, got.Body)
		}
	}
	approve := func(tool string) {
		t.Helper()
		if got := w.operator("POST", "/admin/api/resources/approve", map[string]string{"uri": ticketsURI, "tool": tool, "hash": w.drift(tool).LiveHash}); got.Status != http.StatusOK {
			t.Fatalf("approve: %d %s", got.Status, got.Body)
		}
	}
	publish(plainTool("get_ticket"), plainTool("close_ticket"))
	approve("get_ticket")
	approve("close_ticket")
	publish(plainTool("get_ticket"))
	if d := w.drift("close_ticket"); d.State != consent.DriftRemoved || d.LiveHash != "" || len(d.Fields) == 0 {
		t.Errorf("a tool that is gone: %+v", d)
	}
	publish(plainTool("get_ticket"))
	if n := len(w.records("manifest.published")); n != 2 {
		t.Errorf("%d records of two changes", n)
	}
	publish(plainTool("get_ticket"), plainTool("close_ticket"))
	if d := w.drift("close_ticket"); d.State != "" {
		t.Errorf("a tool that is back: %+v", d)
	}
}

func TestGrantByHash(t *testing.T) {
	w := newWorld(t)
	w.addOther()
	g, other := w.guard(ticketsURI), w.guard(otherURI)
	_, claims := w.lend()
	_, grants, err := w.store.TaskByID(context.Background(), claims.Task.ID)
	must(t, err)
	path := "/grants/" + grants[0].Hash
	if got := g.call("GET", path, nil); got.Status != http.StatusOK || got.Body != string(grants[0].Details) {
		t.Errorf("own grant: %d %s", got.Status, got.Body)
	}
	if got := other.call("GET", path, nil); got.Status != http.StatusNotFound {
		t.Errorf("another resource's grant: %d %s", got.Status, got.Body)
	}
	if got := g.call("GET", "/grants/sha-256:AAAA", nil); got.Status != http.StatusNotFound {
		t.Errorf("no grant: %d %s", got.Status, got.Body)
	}
}

// forgetful is replay memory that can be lost.
type forgetful struct{ store.Ephemeral }

func (f *forgetful) lose() { f.Ephemeral = memory.New(memory.Options{}) }

// P2: a Guard's assertion stays spent when the replay memory is lost.
func TestGuardAssertionOutlivesReplayMemory(t *testing.T) {
	var replay forgetful
	w := newWorldOn(t, func(s store.Store) store.Store { return s }, func(c *server.Config) {
		replay.Ephemeral = c.Ephemeral
		c.Ephemeral = &replay
	})
	g := w.guard(ticketsURI)
	used := g.assertion()
	if got := w.send("POST", "/feed/ack", "Bearer "+used, map[string]int{"seq": 0}); got.Status != http.StatusNoContent {
		t.Fatalf("the good assertion: %d %s", got.Status, got.Body)
	}
	replay.lose()
	want(t, w.send("POST", "/feed/ack", "Bearer "+used, map[string]int{"seq": 0}), http.StatusUnauthorized, "invalid_client")
	if got := g.call("POST", "/feed/ack", map[string]int{"seq": 0}); got.Status != http.StatusNoContent {
		t.Errorf("a fresh one afterwards: %d %s", got.Status, got.Body)
	}
}
