package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
)

// Where the suite's tasks are lent.
const (
	tickets = "https://tickets.example/mcp"
	mail    = "https://mail.example/mcp"
	jkt     = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
)

// world is a store with a user, a client and two resources.
type world struct {
	*suite
	t       *testing.T
	ctx     context.Context
	clock   *Clock
	s       store.Store
	user    store.User
	client  store.Client
	session store.Hash
	made    int
}

func (s *suite) world(t *testing.T) *world {
	c := NewClock()
	w := &world{suite: s, t: t, ctx: context.Background(), clock: c, s: s.open(t, c.Now)}
	w.user = store.User{
		ID: "usr_mara", Email: "Mara@Demo.example", Name: "Mara", PasswordHash: "$argon2id$…",
		ConsoleRole: store.RoleUser, CreatedAt: c.Now(),
	}
	grace := 10
	w.client = store.Client{
		ID:         "cli_demo",
		Metadata:   store.ClientMetadata{ClientName: "Demo Agent", RedirectURIs: []string{"http://127.0.0.1/callback"}, JWKS: []byte(`{"keys":[]}`)},
		Policy:     store.ClientPolicy{Resources: []string{tickets}, RefreshGrace: &grace},
		SecretHash: store.HashOf("rs_demo"), CreatedAt: c.Now(),
	}
	w.session = store.HashOf("cookie")
	w.must(w.s.AddUser(w.ctx, w.user))
	w.must(w.s.AddClient(w.ctx, w.client))
	for _, uri := range []string{tickets, mail} {
		w.must(w.s.AddResource(w.ctx, store.Resource{URI: uri, Name: uri, CreatedAt: c.Now()}))
	}
	return w
}

// unique returns a name that this world has not used.
func (w *world) unique(prefix string) string {
	w.made++
	return fmt.Sprintf("%s%026d", prefix, w.made)
}

// secret returns the hash of a secret that this world has not used.
func (w *world) secret() store.Hash { return store.HashOf(w.unique("secret")) }

// record is a record that a verb may be handed.
func record(kind string) store.Record { return store.NewRecord(kind, map[string]string{"for": kind}) }

// push stores a request of the client, not yet shown to anybody.
func (w *world) push() store.Request {
	w.t.Helper()
	r := store.Request{
		ID: w.secret(), ClientID: w.client.ID, Params: []byte(`{"scope":"tickets.read"}`), JKT: jkt,
		CreatedAt: w.clock.Now(), ExpiresAt: w.clock.Now().Add(10 * time.Minute),
	}
	w.must(w.s.PushRequest(w.ctx, r))
	return r
}

// shown stores a request that the session has seen.
func (w *world) shown() store.Request {
	w.t.Helper()
	r, err := w.s.BindRequest(w.ctx, w.push().ID, w.client.ID, w.session)
	w.must(err)
	return r
}

// ask returns an approval of a fresh request: an hour's task at the tickets.
func (w *world) ask(with ...func(*store.Approval)) store.Approval {
	w.t.Helper()
	now := w.clock.Now()
	task := store.Task{
		ID: w.unique("tsk_"), UserID: w.user.ID, ClientID: w.client.ID, JKT: jkt, Purpose: "Triage", State: store.TaskPending,
		CreatedAt: now, EndsAt: now.Add(time.Hour),
	}
	a := store.Approval{
		Request: w.shown().ID, Session: w.session, Task: task,
		Grants: []store.Grant{w.grant(task.ID, tickets)},
		Code: store.Code{
			ID: w.secret(), TaskID: task.ID, ClientID: w.client.ID, RedirectURI: "http://127.0.0.1/callback",
			RedirectSent: true, Challenge: "challenge", JKT: jkt, CreatedAt: now, ExpiresAt: now.Add(time.Minute),
		},
	}
	for _, f := range with {
		f(&a)
	}
	return a
}

func (w *world) grant(task, resource string) store.Grant {
	return store.Grant{
		ID: w.unique("gnt_"), TaskID: task, Resource: resource, Scopes: []string{"tickets.read"},
		Details: []byte(`[{"tool":"get_ticket","type":"mcp_tool"}]`), Hash: "sha-256:abc", CreatedAt: w.clock.Now(),
	}
}

// Ways to widen an approval.
func atBoth(w *world) func(*store.Approval) {
	return func(a *store.Approval) { a.Grants = append(a.Grants, w.grant(a.Task.ID, mail)) }
}

func under(parent string) func(*store.Approval) {
	return func(a *store.Approval) { a.Task.Parent = parent }
}

func endsIn(d time.Duration) func(*store.Approval) {
	return func(a *store.Approval) { a.Task.EndsAt = a.Task.CreatedAt.Add(d) }
}

func calls(n int) func(*store.Approval) {
	return func(a *store.Approval) { a.Task.MaxCalls = n }
}

func by(user string, client string) func(*store.Approval) {
	return func(a *store.Approval) {
		if user != "" {
			a.Task.UserID = user
		}
		if client != "" {
			a.Task.ClientID, a.Code.ClientID = client, client
		}
	}
}

// approve lends a task that waits for its code to be redeemed.
func (w *world) approve(with ...func(*store.Approval)) store.Approval {
	w.t.Helper()
	a := w.ask(with...)
	w.must(w.s.Approve(w.ctx, a))
	return a
}

// redemption is what the code's holder would store.
func (w *world) redemption(a store.Approval) store.Redemption {
	r := w.refresh(a.Task.ID)
	return store.Redemption{Code: a.Code.ID, JKT: jkt, Access: w.access(a.Task.ID, tickets), Refresh: &r}
}

func (w *world) access(task, resource string) store.AccessToken {
	now := w.clock.Now()
	return store.AccessToken{
		JTI: w.unique("at_"), TaskID: task, Resource: resource, ClientID: w.client.ID, JKT: jkt,
		IssuedAt: now, ExpiresAt: now.Add(5 * time.Minute),
	}
}

func (w *world) refresh(task string) store.RefreshToken {
	now := w.clock.Now()
	return store.RefreshToken{
		ID: w.secret(), TaskID: task, ClientID: w.client.ID, JKT: jkt, Scopes: []string{"tickets.read"},
		CreatedAt: now, ExpiresAt: now.Add(time.Hour),
	}
}

// loan is an active task with what was issued for it.
type loan struct {
	ID      string
	Refresh store.RefreshToken
	Access  store.AccessToken
}

// lend lends a task and redeems its code.
func (w *world) lend(with ...func(*store.Approval)) loan {
	w.t.Helper()
	a := w.approve(with...)
	r := w.redemption(a)
	w.must(w.s.RedeemCode(w.ctx, r))
	return loan{ID: a.Task.ID, Refresh: *r.Refresh, Access: r.Access}
}

// lendAt is lend with a token for another resource.
func (w *world) lendAt(resource string, with ...func(*store.Approval)) loan {
	w.t.Helper()
	a := w.approve(with...)
	r := w.redemption(a)
	r.Access.Resource = resource
	w.must(w.s.RedeemCode(w.ctx, r))
	return loan{ID: a.Task.ID, Refresh: *r.Refresh, Access: r.Access}
}

func (w *world) task(id string) store.Task {
	w.t.Helper()
	t, _, err := w.s.TaskByID(w.ctx, id)
	w.must(err)
	return t
}

func (w *world) live(jti string) bool {
	w.t.Helper()
	a, err := w.s.AccessByJTI(w.ctx, jti)
	w.must(err)
	return a.Live(w.clock.Now())
}

func (w *world) end(id string) {
	w.t.Helper()
	_, err := w.s.EndTask(w.ctx, store.End{TaskID: id, State: store.TaskRevoked, By: store.ByUser, Reason: "test"})
	w.must(err)
}

// events returns what the resource has been told.
func (w *world) events(resource string) []store.Event {
	w.t.Helper()
	events, err := w.s.FeedSince(w.ctx, resource, 0, 10000)
	w.must(err)
	return events
}

// chained chains and returns the whole ledger.
func (w *world) chained() []store.Record {
	w.t.Helper()
	_, err := w.s.Sequence(w.ctx)
	w.must(err)
	recs, err := w.s.Records(w.ctx, store.RecordFilter{Limit: 1 << 20})
	w.must(err)
	return recs
}

// kinds returns the kinds of the ledger's records.
func (w *world) kinds() []string {
	w.t.Helper()
	var kinds []string
	for _, r := range w.chained() {
		kinds = append(kinds, r.Kind)
	}
	return kinds
}
