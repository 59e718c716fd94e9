package main_test

import (
	"database/sql"
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
	"github.com/remit-auth/remit/cmd/remit/demo"
	"github.com/remit-auth/remit/tokens/resource"
	"github.com/remit-auth/remit/tokens/resource/mcpauth"
)

// row is one row of the catalogue (research/attacks.md section 4), played against a world.
type row func(t *testing.T, w *world)

// play plays rows in the catalogue's order, each a subtest named by its id, against one server.
func play(t *testing.T, rows map[string]row) {
	t.Helper()
	playIn(t, rows)
}

// playIn is play against a server with further settings.
func playIn(t *testing.T, rows map[string]row, env ...string) {
	t.Helper()
	t.Parallel()
	playOn(t, newWorld(t, env...), rows)
}

// playOn plays rows against this world.
func playOn(t *testing.T, w *world, rows map[string]row) {
	t.Helper()
	for _, id := range slices.SortedFunc(maps.Keys(rows), byNumber) {
		t.Run(id, func(t *testing.T) {
			plays(t)
			rows[id](t, w)
		})
	}
}

func byNumber(a, b string) int {
	number := func(s string) int { n, _ := strconv.Atoi(strings.TrimLeft(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")); return n }
	return number(a) - number(b)
}

// Where the clients' users come back to. The first is on the web, so that no test touches it.
const (
	redirectA = "https://agent.example/callback"
	redirectB = "https://other.example/callback"
)

// world is a server with users, clients and two protected MCP servers.
type world struct {
	*process
	second *process // of a pair
	server *blackbox.Server
	mara   *blackbox.Browser

	a, b        string // public clients, refresh tokens with the default grace
	c           string // confidential: private_key_jwt with cKey
	cKey        blackbox.Key
	codeOnly    string // public, not registered for refresh
	graceless   string // public, refresh.grace = 0
	mustPush    string // public, PAR required
	headless    string // public, device grant alone
	r1, r2      *protected
	db          *sql.DB // of PostgreSQL, for the tests' own look
	seq, issued int64   // newest ledger record seen, and how many of them tell of something granted
}

// protected is an MCP server behind a Guard.
type protected struct {
	*blackbox.Tools
	guard *resource.Guard
	state string // the Guard's directory
}

func newWorld(t *testing.T, env ...string) *world {
	t.Helper()
	if *engine == "pair" {
		if !sets(env, "REMIT_REDIS_URL") {
			env = append(env, "REMIT_REDIS_URL="+aRedis(t))
		}
		return newPair(t, env...)
	}
	return settle(t, serve(t, "", env...))
}

// sets reports whether the settings set this one.
func sets(env []string, name string) bool {
	return slices.ContainsFunc(env, func(pair string) bool { return strings.HasPrefix(pair, name+"=") })
}

// settle adds users, clients and protected servers to a server.
func settle(t *testing.T, p *process) *world {
	t.Helper()
	w := &world{process: p, mara: &blackbox.Browser{Email: "mara@acme.example", Password: blackbox.Random(12)}, cKey: blackbox.NewKey()}
	var err error
	if w.server, err = blackbox.Discover(t.Context(), w.issuer); err != nil {
		t.Fatal(err)
	}
	if url := w.databaseURL(); url != "" {
		if w.db, err = sql.Open("pgx", url); err != nil {
			t.Fatal(err)
		}
		w.db.SetConnMaxIdleTime(5 * time.Second)
		t.Cleanup(func() { w.db.Close() })
	}
	w.remit(t, nil, w.mara.Password+"\n", "user", "add", "--email", w.mara.Email, "--name", "Mara", "--password-stdin")
	w.r1, w.r2 = w.protect(t, "Tickets"), w.protect(t, "Archive")
	public := map[string]any{"token_endpoint_auth_method": "none", "grant_types": []string{"authorization_code", "refresh_token"}, "redirect_uris": []string{redirectA, "http://127.0.0.1/callback"}}
	w.a = w.client(t, "Agent A", public)
	w.b = w.client(t, "Agent B", with(public, "redirect_uris", []string{redirectB}))
	w.c = w.client(t, "Agent C", with(with(public, "token_endpoint_auth_method", "private_key_jwt"), "jwks",
		map[string]any{"keys": []any{w.cKey.JWK().With("kid", w.cKey.JKT()).With("alg", "ES256").With("use", "sig")}}))
	w.codeOnly = w.client(t, "Code only", with(public, "grant_types", []string{"authorization_code"}))
	w.graceless = w.client(t, "Graceless", with(public, "remit", map[string]any{"refresh_grace": 0}))
	w.mustPush = w.client(t, "Must push", with(public, "remit", map[string]any{"require_par": true}))
	w.headless = w.client(t, "Headless", with(public, "grant_types", []string{"urn:ietf:params:oauth:grant-type:device_code", "refresh_token"}))
	if at, err := w.mara.Consent(t.Context(), w.server.Authorize+"?"+w.flow().PushForm().Encode(), blackbox.Choice{Deny: true}); err != nil || !at.Left {
		t.Fatalf("Mara signs in: %v %s", err, at.Response)
	}
	return w
}

// all are the world's instances.
func (w *world) all() []*process {
	if w.second == nil {
		return []*process{w.process}
	}
	return []*process{w.process, w.second}
}

func with(m map[string]any, name string, value any) map[string]any {
	m = maps.Clone(m)
	m[name] = value
	return m
}

func (w *world) client(t *testing.T, name string, metadata map[string]any) string {
	t.Helper()
	raw, err := json.Marshal(with(metadata, "client_name", name))
	if err != nil {
		t.Fatal(err)
	}
	var out struct {
		ID string `json:"client_id"`
	}
	w.remit(t, &out, string(raw), "client", "add", "-")
	return out.ID
}

// protect registers an MCP server, serves it behind a Guard, and gives Mara every role there.
func (w *world) protect(t *testing.T, name string) *protected { return w.protectWith(t, name, "", nil) }

// protectWith is protect with lines of the policy file before the demo's, and options of the adapter.
func (w *world) protectWith(t *testing.T, name, lines string, opts *mcpauth.Options) *protected {
	t.Helper()
	return w.protectBy(t, protection{name: name, lines: lines, opts: opts})
}

// protection is how an MCP server is protected.
type protection struct {
	name, lines string
	opts        *mcpauth.Options
	change      func(*resource.Config)             // of the Guard's settings
	serve       func(*resource.Guard) http.Handler // instead of the demo's tools
}

func (w *world) protectBy(t *testing.T, p protection) *protected {
	t.Helper()
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	uri := "http://" + listen.Addr().String() + "/mcp"
	server, policy := demo.NewTickets()
	policy = append([]byte(p.lines), policy...)
	tools, err := mcpauth.Tools(server)(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	file, err := json.Marshal(map[string]any{"uri": uri, "name": p.name, "policy": string(policy), "tools": tools, "default_on": []string{"add_comment"}})
	if err != nil {
		t.Fatal(err)
	}
	var out struct {
		Code string `json:"enrolment_code"`
	}
	w.remit(t, &out, string(file), "resource", "add", "-")
	w.remit(t, nil, "", "user", "assign", "--email", w.mara.Email, "--resource", uri, "--role", "admin")
	c := resource.Config{
		Issuer: w.issuer, Resource: uri, StateDir: filepath.Join(shortDir(t), "guard"), EnrolmentCode: out.Code, Policy: policy,
		Tools: mcpauth.Tools(server), Name: p.name, InsecureHTTP: true,
	}
	if p.change != nil {
		p.change(&c)
	}
	if p.serve == nil {
		p.serve = func(g *resource.Guard) http.Handler { return mcpauth.Protect(g, server, p.opts) }
	}
	return servesGuarded(t, listen, c, p.serve)
}

// servesGuarded serves what a Guard with these settings protects.
func servesGuarded(t *testing.T, listen net.Listener, c resource.Config, serve func(*resource.Guard) http.Handler) *protected {
	t.Helper()
	guard, err := resource.New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/mcp", serve(guard))
	mux.Handle("/.well-known/", guard.Metadata())
	web := &http.Server{Handler: mux}
	go web.Serve(listen)
	t.Cleanup(func() { web.Close(); guard.Close() })
	if err := guard.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &protected{&blackbox.Tools{URL: c.Resource}, guard, c.StateDir}
}

// details asks for tools of the first resource in project WEB.
func (w *world) details(tools ...string) string { return w.detailsAt(w.r1.URL, tools...) }

func (w *world) detailsAt(uri string, tools ...string) string {
	all := []any{blackbox.Object{"type": "mcp_task", "purpose": "Triage this week's bugs", "max_duration": 1800}}
	for _, tool := range tools {
		all = append(all, blackbox.Object{"type": "mcp_tool", "locations": []string{uri}, "tool": tool, "constraints": blackbox.Object{"project": blackbox.Object{"const": "WEB"}}})
	}
	b, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// flow is a good run of client A with Mara: two tools to read with, one to comment.
func (w *world) flow() *blackbox.Flow {
	return &blackbox.Flow{
		Server: w.server, Person: w.mara, ClientID: w.a, Redirect: redirectA, Resource: w.r1.URL, Key: blackbox.NewKey(),
		Details: w.details("search_tickets", "get_ticket", "add_comment"), Choice: blackbox.Choice{Duration: 1800},
	}
}

// code and token run a good flow of client A to there.
func (w *world) code(t *testing.T) *blackbox.Flow { return must(t, w.flow(), (*blackbox.Flow).ToCode) }

func (w *world) token(t *testing.T) *blackbox.Flow {
	return must(t, w.flow(), (*blackbox.Flow).ToToken)
}

// readArguments are arguments of a call that client A's token allows.
var readArguments = blackbox.Object{"project": "WEB", "id": "WEB-118"}

// works checks that the token is good at the first resource.
func (w *world) works(t *testing.T, f *blackbox.Flow) {
	t.Helper()
	res, err := w.r1.Call(t.Context(), f.Key, f.Access(), "get_ticket", readArguments)
	if err != nil || res.Status != http.StatusOK || blackbox.Answer(res)["result"] == nil {
		t.Errorf("a good call: %v %s", err, res)
	}
	jot(t, goodAfter)
}

// granting are the kinds of ledger record that tell of something given or taken. What a refusal
// may leave behind is a count or a finding.
var granting = []string{"task.", "token.", "consent.", "code.", "client.", "user.", "resource.", "grant."}

// rows counts the ledger's records of those kinds, and the tasks.
func (w *world) rows(t *testing.T) (records int64, tasks int) {
	t.Helper()
	if w.db != nil {
		return w.counted(t)
	}
	w.records(t, "", w.seq, func(e entry) {
		w.seq = e.Seq
		w.issued += int64(btoi(slices.ContainsFunc(granting, func(p string) bool { return strings.HasPrefix(e.Kind, p) })))
	})
	var list struct{ Tasks []json.RawMessage }
	if err := json.Unmarshal(w.admin(t, "/admin/api/tasks?limit=1000"), &list); err != nil {
		t.Fatal(err)
	}
	return w.issued, len(list.Tasks)
}

// counted is rows of a server on PostgreSQL, where a record gets its place in the ledger a moment after it
// was written: what was written counts.
func (w *world) counted(t *testing.T) (records int64, tasks int) {
	t.Helper()
	const count = `SELECT (SELECT count(*) FROM (SELECT kind FROM ledger UNION ALL SELECT kind FROM ledger_inbox) written WHERE split_part(kind, '.', 1) || '.' = ANY($1)),
 (SELECT coalesce(max(seq), 0) FROM ledger), (SELECT count(*) FROM tasks)`
	look := func() error { return w.db.QueryRow(count, granting).Scan(&records, &w.seq, &tasks) }
	err := look()
	for range 3 { // a connection may have been cut by an attack on the store
		if err != nil {
			err = look()
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return records, tasks
}

// refuses checks one attack: the answer is one of those wanted, and nothing was added.
func (w *world) refuses(t *testing.T, x want, send func() (blackbox.Response, error)) blackbox.Response {
	t.Helper()
	records, tasks := w.rows(t)
	res, err := send()
	if err != nil {
		t.Errorf("no answer: %v", err)
		return res
	}
	x.check(t, res)
	if r, n := w.rows(t); r != records || n != tasks {
		t.Errorf("the refused request added %d ledger records and %d tasks%s", r-records, n-tasks, w.newest(t))
	}
	return res
}

// newest tells the kinds of the newest records, for who asks why there are more.
func (w *world) newest(t *testing.T) (kinds string) {
	t.Helper()
	if w.db != nil {
		_ = w.db.QueryRow("SELECT ': ' || string_agg(kind, ', ') FROM (SELECT kind FROM ledger ORDER BY seq DESC LIMIT 5) newest").Scan(&kinds)
	}
	return kinds
}

// goodAfter is what is noted of good requests after the attacks.
const goodAfter = "the good request: served"

// must runs a step of a flow that has to go well.
func must(t *testing.T, f *blackbox.Flow, step func(*blackbox.Flow, contextOf) error) *blackbox.Flow {
	t.Helper()
	if err := step(f, t.Context()); err != nil {
		t.Fatal(err)
	}
	return f
}

// good checks that a step goes well after the attacks.
func good(t *testing.T, f *blackbox.Flow, step func(*blackbox.Flow, contextOf) error) {
	t.Helper()
	if err := step(f, t.Context()); err != nil {
		t.Errorf("the good request afterwards: %v", err)
	}
	jot(t, goodAfter)
}

// logHolds reports whether the log of an instance contains a secret.
func (w *world) logHolds(secret string) bool {
	return secret != "" && strings.Contains(w.logs(), secret)
}

// database is the server's files, as a thief of the disk would see them.
func (w *world) database(t *testing.T) []byte {
	t.Helper()
	if w.databaseURL() != "" {
		return w.dump(t)
	}
	var all []byte
	for _, name := range []string{"remit.db", "remit.db-wal"} {
		b, err := os.ReadFile(filepath.Join(w.dir, name))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return all
}
