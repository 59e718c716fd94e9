package server_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/store/memory"
	"github.com/remit-auth/remit/store/sqlite"
	"github.com/remit-auth/remit/store/sqlite/sqlitetest"
	"github.com/remit-auth/remit/tokens"
)

const (
	ticketsURI = "https://tickets.example/mcp"
	callback   = "http://127.0.0.1:7777/callback"
	password   = "correct horse battery"
)

// clock is the one time of a test, moved by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }
func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is a server on a real store, with a user, two clients and a resource.
type world struct {
	t      testing.TB
	clock  *clock
	store  store.Store
	server *server.Server
	http   *httptest.Server
	issuer string
	client string // public, DPoP
	other  string // a second one of the same kind
	user   store.User

	signedIn  *browser
	vouches   *foreignIssuer // whose assertions about users are believed; nil: nobody's
	masterKey []byte
	path      string // of the database
	driver    string // of the database; empty: as everybody's
}

const ticketsPolicy = `
version: 1
baseline: [tickets.read]
scopes:
  tickets.read:  {title: "Read tickets", roles: [reader]}
  tickets.write: {title: "Work on tickets", roles: [reader, agent]}
roles:
  reader: {tools: {search_tickets: {limits: {limit: {maximum: 50}}}, get_ticket: {}}}
  agent:  {include: [reader], tools: {add_comment: {max_calls: 20}}}
  admin:  {include: [agent], tools: {delete_ticket: {}}}
`

// tool is an approved line of the manifest.
func tool(t testing.TB, name, annotations string, defaultOn bool) store.Tool {
	t.Helper()
	def, err := tokens.ParseDefinition([]byte(`{"name":"` + name + `","title":"Title of ` + name + `","description":"What ` + name + ` does.",
		"inputSchema":{"type":"object","properties":{"project":{"type":"string"},"limit":{"type":"integer"},"id":{"type":"string"},"text":{"type":"string"}}},
		"annotations":` + annotations + `}`))
	must(t, err)
	canonical, err := def.Canonical()
	must(t, err)
	return store.Tool{Name: name, Definition: canonical, Hash: tokens.HashBytes(canonical), DefaultOn: defaultOn}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldOn(t, func(s store.Store) store.Store { return s })
}

// newWorldOn is newWorld with the store seen through wrap, and other settings.
func newWorldOn(t testing.TB, wrap func(store.Store) store.Store, changes ...func(*server.Config)) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{now: time.Now().Truncate(time.Second)}}
	w.serve(context.Background(), wrap, changes...)
	w.populate(context.Background())
	return w
}

// serve starts the server on an empty store.
func (w *world) serve(ctx context.Context, wrap func(store.Store) store.Store, changes ...func(*server.Config)) {
	t := w.t
	w.path = sqlitetest.Database(t)
	db, err := sqlite.Open(ctx, w.path, sqlite.Options{Now: w.clock.Now, Driver: w.driver})
	must(t, err)
	t.Cleanup(func() { db.Close() })
	w.store = wrap(db)
	mux := http.NewServeMux()
	w.http = httptest.NewServer(mux)
	t.Cleanup(w.http.Close)
	w.issuer = w.http.URL
	key := make([]byte, 32)
	rand.Read(key)
	w.masterKey = key
	config := server.Config{
		Issuer: w.issuer, InsecureHTTP: true, Store: w.store, Ephemeral: memory.New(memory.Options{Now: w.clock.Now}),
		MasterKey: key, Now: w.clock.Now, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	for _, change := range changes {
		change(&config)
	}
	w.server, err = server.New(ctx, config)
	must(t, err)
	t.Cleanup(w.server.Close)
	mux.Handle("/", w.server.Handler())
}

func (w *world) populate(ctx context.Context) {
	t := w.t
	hash, err := server.HashPassword(password)
	must(t, err)
	w.user = store.User{ID: tokens.NewID("usr_"), Email: "mara@example.com", Name: "Mara", PasswordHash: hash, ConsoleRole: store.RoleUser, CreatedAt: w.clock.Now()}
	must(t, w.store.AddUser(ctx, w.user))
	policyVersion := tokens.HashBytes([]byte(ticketsPolicy))
	must(t, w.store.AddResource(ctx, store.Resource{
		URI: ticketsURI, Name: "Tickets", Policy: []byte(ticketsPolicy), PolicyVersion: policyVersion, CreatedAt: w.clock.Now(),
		Tools: []store.Tool{
			tool(t, "add_comment", `{"readOnlyHint":false,"destructiveHint":false,"openWorldHint":false}`, true),
			tool(t, "delete_ticket", `{"readOnlyHint":false,"destructiveHint":true,"openWorldHint":false}`, false),
			tool(t, "get_ticket", `{"readOnlyHint":true,"openWorldHint":false}`, false),
			tool(t, "search_tickets", `{"readOnlyHint":true,"openWorldHint":false}`, false),
		},
	}))
	must(t, w.store.AssignRole(ctx, w.user.ID, ticketsURI, "agent"))
	w.client, w.other = w.addClient("Demo Agent"), w.addClient("Other Agent")
}

func (w *world) addClient(name string) string {
	c := store.Client{ID: tokens.NewID("cli_"), CreatedAt: w.clock.Now(), Metadata: store.ClientMetadata{
		ClientName: name, RedirectURIs: []string{"http://127.0.0.1/callback"}, TokenEndpointAuthMethod: "none",
		GrantTypes: []string{"authorization_code", "refresh_token"}, ResponseTypes: []string{"code"}, DPoPBoundAccessTokens: true,
	}}
	must(w.t, w.store.AddClient(context.Background(), c))
	return c.ID
}

// agent is a client's running instance: its key, and the nonce that it heard last.
type agent struct {
	w      *world
	client string
	secret string // of a confidential client
	key    tokens.ProofKey
	nonce  string
}

func (w *world) agent(client string) *agent {
	key, err := tokens.NewProofKey()
	must(w.t, err)
	return &agent{w: w, client: client, key: key}
}

// answer is a response, read.
type answer struct {
	Status int
	Header http.Header
	Body   string
	JSON   map[string]any
}

func (a answer) error() string { s, _ := a.JSON["error"].(string); return s }
func (a answer) text(name string) string {
	s, _ := a.JSON[name].(string)
	return s
}

// like reports whether nobody could tell the answers apart but by when they came and what their requests are called.
func (a answer) like(b answer) bool {
	told := func(h http.Header) http.Header {
		h = h.Clone()
		h.Del("Date")
		h.Del("X-Request-Id")
		return h
	}
	return a.Status == b.Status && a.Body == b.Body && reflect.DeepEqual(told(a.Header), told(b.Header))
}

func read(t testing.TB, resp *http.Response, err error) answer {
	t.Helper()
	must(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	a := answer{Status: resp.StatusCode, Header: resp.Header, Body: string(body)}
	json.Unmarshal(body, &a.JSON)
	return a
}

// post sends a form with a fresh proof, and again with the nonce when the server asks for one.
func (a *agent) post(path string, form url.Values) answer {
	a.w.t.Helper()
	if a.secret != "" && !form.Has("client_secret") {
		form = maps.Clone(form)
		form.Set("client_secret", a.secret)
	}
	for {
		proof := a.proof("POST", path, "")
		got := a.send(path, form, proof)
		if got.error() != "use_dpop_nonce" {
			return got
		}
		a.nonce = got.Header.Get("DPoP-Nonce")
	}
}

func (a *agent) proof(method, path, token string) string {
	p, err := a.key.Proof(method, a.w.issuer+path, a.nonce, token, a.w.clock.Now())
	must(a.w.t, err)
	return p
}

func (a *agent) send(path string, form url.Values, proofs ...string) answer {
	a.w.t.Helper()
	r, err := http.NewRequest("POST", a.w.issuer+path, strings.NewReader(form.Encode()))
	must(a.w.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, p := range proofs {
		r.Header.Add("DPoP", p)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	return read(a.w.t, resp, err)
}

const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk-0123"

const details = `[{"type":"mcp_task","purpose":"Triage bugs","max_duration":1800},
	{"type":"mcp_tool","locations":["` + ticketsURI + `"],"tool":"search_tickets","constraints":{"project":{"const":"WEB"}}},
	{"type":"mcp_tool","locations":["` + ticketsURI + `"],"tool":"add_comment","max_calls":5},
	{"type":"mcp_tool","locations":["` + ticketsURI + `"],"tool":"delete_ticket"}]`

// request is the good authorization request; tests change one thing of it.
func (a *agent) request() url.Values {
	return url.Values{
		"client_id": {a.client}, "response_type": {"code"}, "redirect_uri": {callback}, "state": {"xyz"},
		"code_challenge": {tokens.S256(verifier)}, "code_challenge_method": {"S256"},
		"resource": {ticketsURI}, "authorization_details": {details},
	}
}

// browser is a person's browser, signed in or not; it never follows redirects by itself.
type browser struct {
	w    *world
	http *http.Client
}

func (w *world) browser() *browser {
	jar, err := cookiejar.New(nil)
	must(w.t, err)
	return &browser{w, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// mara is the user's own browser, signed in once.
func (w *world) mara() *browser {
	if w.signedIn == nil {
		w.signedIn = w.browser()
		w.signedIn.signIn()
	}
	return w.signedIn
}

func (b *browser) get(target string) answer {
	b.w.t.Helper()
	if strings.HasPrefix(target, "/") {
		target = b.w.issuer + target
	}
	resp, err := b.http.Get(target)
	return read(b.w.t, resp, err)
}

func (b *browser) post(path string, form url.Values) answer {
	b.w.t.Helper()
	resp, err := b.http.PostForm(b.w.issuer+path, form)
	return read(b.w.t, resp, err)
}

func (b *browser) signIn() {
	b.w.t.Helper()
	got := b.post("/signin", url.Values{"email": {"mara@example.com"}, "password": {password}, "return_to": {"/agents"}})
	if got.Status != http.StatusSeeOther {
		b.w.t.Fatalf("sign-in: %d %s", got.Status, got.Body)
	}
}

var hiddenInput = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)

// hidden returns the hidden fields of the page's consent form.
func hidden(page string) url.Values {
	form := url.Values{}
	if i := strings.Index(page, `class="consent"`); i >= 0 {
		page = page[i:]
	}
	for _, m := range hiddenInput.FindAllStringSubmatch(page, -1) {
		form.Set(m[1], strings.NewReplacer("&amp;", "&", "&#34;", `"`, "&#43;", "+").Replace(m[2]))
	}
	return form
}

// push pushes a request and returns where the browser goes with it.
func (a *agent) push(form url.Values) string {
	a.w.t.Helper()
	got := a.post("/par", form)
	if got.Status != http.StatusCreated {
		a.w.t.Fatalf("par: %d %s", got.Status, got.Body)
	}
	return "/authorize?" + url.Values{"client_id": {a.client}, "request_uri": {got.text("request_uri")}}.Encode()
}

// consent allows the tools on the page at this address and returns where the browser is sent.
func (b *browser) consent(target string, tools ...string) *url.URL {
	b.w.t.Helper()
	page := b.get(target)
	if page.Status != http.StatusOK {
		b.w.t.Fatalf("consent page: %d %s", page.Status, page.Body)
	}
	form := hidden(page.Body)
	form["tool"] = tools
	form.Set("duration", "1800")
	form.Set("decision", "allow")
	got := b.post("/consent", form)
	if got.Status != http.StatusSeeOther {
		b.w.t.Fatalf("consent: %d %s", got.Status, got.Body)
	}
	to, err := url.Parse(got.Header.Get("Location"))
	must(b.w.t, err)
	return to
}

// code runs the flow up to the code.
func (a *agent) code() string {
	a.w.t.Helper()
	return a.w.mara().consent(a.push(a.request()), "search_tickets", "add_comment").Query().Get("code")
}

func (a *agent) codeForm(code string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "client_id": {a.client}, "code": {code}, "code_verifier": {verifier}}
}

func (a *agent) refreshForm(token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "client_id": {a.client}, "refresh_token": {token}}
}

// tokens runs the whole good flow.
func (a *agent) tokens() answer {
	a.w.t.Helper()
	got := a.post("/token", a.codeForm(a.code()))
	if got.Status != http.StatusOK {
		a.w.t.Fatalf("token: %d %s", got.Status, got.Body)
	}
	return got
}
