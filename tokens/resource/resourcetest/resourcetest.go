// Package resourcetest is an authorization server inside the test's own process, for the authors of
// MCP servers that stand under a Guard. It enrols Guards, feeds them, counts and keeps their
// executions, and mints the tokens that a user's consent would have led to. There is no sign-in, no
// consent and no storage: what the user allowed is what the test says.
//
//	issuer := resourcetest.New(t)
//	guard := issuer.Guard(issuer.Config(url, policy, tools))
//	token := issuer.Token(url, resourcetest.Grant{Scopes: …, Roles: …, Tools: …})
//	resp, err := token.Client().Post(url, "application/json", call)
package resourcetest

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource"
)

// patience is how long anything is waited for.
const patience = 10 * time.Second

// Issuer is an authorization server that lives as long as its test.
type Issuer struct {
	t      testing.TB
	server *httptest.Server
	done   chan struct{}
	conns  *http.Transport // of the tokens' clients

	mu        sync.Mutex
	changed   chan struct{} // closed and replaced at every change
	key       tokens.SigningKey
	published []tokens.SigningKey
	offset    time.Duration
	epoch     int64
	down      bool
	silent    bool
	resources map[string]*protected // by URI
	codes     map[string]string     // enrolment code -> URI
	budgets   map[string]*budget    // by task
	ledger    tokens.CheckpointClaims
	roles     map[string][]string // as they are now, by user
	tamper    func(map[string]any)
	asked     int
	approvals approvals
	refuse    func(json.RawMessage) *Refusal // of executions
	refusals  int
}

// protected is one resource.
type protected struct {
	uri     string
	guardID string
	key     tokens.KeySet
	policy  string
	tools   []json.RawMessage
	events  []event
	acked   int64
	streams int
	lose    int
	records []Execution
	next    map[string]int64  // by replica
	grants  map[string][]byte // too large for a token, by hash
	fetched int
}

// budget is what a task may still spend.
type budget struct {
	over   bool
	task   int            // -1: no budget
	tools  map[string]int // the most calls; none: no budget
	called map[string]int
	seen   map[string]bool
}

// New starts an issuer that stops with the test.
func New(t testing.TB) *Issuer {
	t.Helper()
	key, err := tokens.NewSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	i := &Issuer{
		t: t, done: make(chan struct{}), conns: &http.Transport{MaxIdleConnsPerHost: 100}, changed: make(chan struct{}), key: key, published: []tokens.SigningKey{key},
		resources: map[string]*protected{}, codes: map[string]string{}, budgets: map[string]*budget{},
	}
	i.server = httptest.NewServer(i.handler())
	t.Cleanup(func() {
		i.conns.CloseIdleConnections()
		close(i.done)
		i.server.Close()
	})
	return i
}

// URL is the issuer.
func (i *Issuer) URL() string { return i.server.URL }

// Now is the issuer's clock. It runs with the machine's, ahead by what Advance has added.
func (i *Issuer) Now() time.Time {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.now()
}

func (i *Issuer) now() time.Time { return time.Now().Add(i.offset) }

// Advance puts the clock of the issuer, and of the Guards that use Config's, ahead.
func (i *Issuer) Advance(d time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.offset += d
	i.change()
}

// change wakes everybody who waits; callers hold mu.
func (i *Issuer) change() {
	close(i.changed)
	i.changed = make(chan struct{})
}

// until waits for a condition, which is asked under mu.
func (i *Issuer) until(what string, holds func() bool) {
	i.t.Helper()
	timeout := time.After(patience)
	for {
		i.mu.Lock()
		ok, changed := holds(), i.changed
		i.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			i.t.Fatalf("resourcetest: waited in vain for %s", what)
		}
	}
}

// Config returns what a Guard of the resource needs: this issuer, its clock, an enrolment code and
// a state directory of its own.
func (i *Issuer) Config(uri, policy string, tools func(context.Context) ([]json.RawMessage, error)) resource.Config {
	return resource.Config{
		Issuer: i.URL(), Resource: uri, StateDir: i.t.TempDir(), EnrolmentCode: i.Enrolment(uri),
		Policy: []byte(policy), Tools: tools, Now: i.Now, InsecureHTTP: true,
	}
}

// Enrolment adds a resource and returns the code that its Guard enrols with.
func (i *Issuer) Enrolment(uri string) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	code := tokens.NewSecret("enrol_")
	i.codes[code] = uri
	if i.resources[uri] == nil {
		i.resources[uri] = &protected{uri: uri}
	}
	return code
}

// Guard starts a Guard and waits until it is ready. It is closed with the test.
func (i *Issuer) Guard(c resource.Config) *resource.Guard {
	i.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	g, err := resource.New(ctx, c)
	if err != nil {
		i.t.Fatal(err)
	}
	i.t.Cleanup(func() {
		if err := g.Close(); err != nil {
			i.t.Error(err)
		}
	})
	if err := g.Ready(ctx); err != nil {
		i.t.Fatal(err)
	}
	return g
}

// Key signs what this issuer says, for tests that need something it would not say.
func (i *Issuer) Key() tokens.SigningKey {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.key
}

// Rotate signs with a new key from now on and publishes both.
func (i *Issuer) Rotate() {
	key, err := tokens.NewSigningKey()
	if err != nil {
		i.t.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.key, i.published = key, append(i.published, key)
}

// Down makes the issuer answer 503 to everything and cuts the feeds; Down(false) ends that.
func (i *Issuer) Down(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
	i.change()
}

// Silence keeps the feeds open and says nothing on them; Silence(false) ends that.
func (i *Issuer) Silence(silent bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.silent = silent
	i.change()
}
