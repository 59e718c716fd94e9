package server_test

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

const accessTokenType = "urn:ietf:params:oauth:token-type:access_token"

// handOn is the request by which a sub-agent exchanges this agent's token.
func (a *agent) handOn(to *agent, token string) url.Values {
	a.w.t.Helper()
	a.post("/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"rr_none"}, "client_id": {a.client}}) // for its nonce
	proof, err := a.key.Delegation(a.w.issuer+"/token", a.nonce, token, to.key.JKT(), a.w.clock.Now())
	must(a.w.t, err)
	return url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "client_id": {to.client},
		"subject_token": {token}, "subject_token_type": {accessTokenType}, "subject_token_proof": {proof},
	}
}

// claims opens a token as the server would.
func (w *world) claims(token string) tokens.Claims {
	w.t.Helper()
	resp, err := http.Get(w.issuer + "/jwks")
	got := read(w.t, resp, err)
	keys, err := tokens.ParseKeySet([]byte(got.Body))
	must(w.t, err)
	c, err := keys.OpenAccessToken(token, w.issuer)
	must(w.t, err)
	return c
}

func TestSubAgent(t *testing.T) {
	w := newWorld(t)
	a := w.grantClient("Orchestrator")
	got := a.tokens()
	sub := w.sibling(a)
	form := a.handOn(sub, got.text("access_token"))
	form.Set("authorization_details", `[{"type":"mcp_task","purpose":"Search alone","max_duration":600},
		{"type":"mcp_tool","tool":"search_tickets","constraints":{"limit":{"maximum":5}},"max_calls":3}]`)
	child := sub.post("/token", form)
	if child.Status != 200 || child.text("token_type") != "DPoP" || child.text("issued_token_type") != accessTokenType || child.text("task_id") == got.text("task_id") {
		t.Fatalf("exchange: %d %s", child.Status, child.Body)
	}
	c := w.claims(child.text("access_token"))
	parent := w.claims(got.text("access_token"))
	if c.Subject != parent.Subject || c.JKT != sub.key.JKT() || c.Audience != parent.Audience || c.Act == nil || c.Act.Act == nil || c.Act.Act.Act != nil || c.Act.Act.ClientID != a.client {
		t.Errorf("claims: %+v", c)
	}
	if len(c.Details.Tools) != 1 || c.Details.Tools[0].MaxCalls != 3 || len(c.Details.Tools[0].Constraints) != 2 || c.Details.Task.Purpose != "Search alone" {
		t.Errorf("details: %s", child.Body)
	}
	task, _, err := w.store.TaskByID(context.Background(), child.text("task_id"))
	must(t, err)
	if task.Parent != got.text("task_id") || task.EndsAt.After(w.clock.Now().Add(10*time.Minute)) {
		t.Errorf("task: %+v", task)
	}
	next := sub.post("/token", sub.refreshForm(child.text("refresh_token")))
	if next.Status != 200 || w.claims(next.text("access_token")).Act == nil {
		t.Errorf("refresh: %d %s", next.Status, next.Body)
	}
	if done := a.call("POST", "/tasks/"+got.text("task_id")+"/complete", got.text("access_token")); done.Status != 200 {
		t.Fatalf("complete: %d %s", done.Status, done.Body)
	}
	want(t, sub.post("/token", sub.refreshForm(next.text("refresh_token"))), 400, "invalid_grant") // TX7
	want(t, sub.post("/token", a.handOn(sub, got.text("access_token"))), 400, "invalid_grant")
}

// TestAttackExchange plays section 4.7 of the catalogue, by id.
func TestAttackExchange(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	a, stranger := w.grantClient("Orchestrator"), w.grantClient("Stranger")
	got := a.tokens()
	token := got.text("access_token")
	revoked := a.tokens().text("access_token")
	must(t, w.store.RevokeAccess(ctx, w.claims(revoked).ID))
	foreign, err := tokens.NewSigningKey()
	must(t, err)
	says := w.claims(token)
	says.KeyID = "" // whichever is the forger's
	forged, err := foreign.SignAccessToken(says)
	must(t, err)

	tests := map[string]struct {
		spoil func(sub *agent, form url.Values) answer
		codes []string
	}{
		"TX1 revoked":              {func(sub *agent, _ url.Values) answer { return sub.post("/token", a.handOn(sub, revoked)) }, []string{"invalid_grant"}},
		"TX2 another issuer's key": {func(sub *agent, _ url.Values) answer { return sub.post("/token", a.handOn(sub, forged)) }, []string{"invalid_grant"}},
		"TX2 no token": {func(sub *agent, form url.Values) answer {
			form.Set("subject_token", got.text("refresh_token"))
			return sub.post("/token", form)
		}, []string{"invalid_grant"}},
		"TX3 another resource": {func(sub *agent, form url.Values) answer {
			form.Set("resource", "https://other.example/mcp")
			return sub.post("/token", form)
		}, []string{"invalid_target"}},
		"TX3 another audience": {func(sub *agent, form url.Values) answer {
			form.Set("audience", "https://other.example/mcp")
			return sub.post("/token", form)
		}, []string{"invalid_target"}},
		"TX4 a wider scope": {func(sub *agent, form url.Values) answer {
			form.Set("scope", "tickets.write tool:delete_ticket")
			return sub.post("/token", form)
		}, []string{"invalid_scope"}},
		"TX4 another tool": {func(sub *agent, form url.Values) answer {
			form.Set("authorization_details", `[{"type":"mcp_tool","tool":"delete_ticket"}]`)
			return sub.post("/token", form)
		}, []string{"invalid_authorization_details"}},
		"TX4 a tool elsewhere": {func(sub *agent, form url.Values) answer {
			form.Set("authorization_details", `[{"type":"mcp_tool","tool":"search_tickets","locations":["https://other.example/mcp"]}]`)
			return sub.post("/token", form)
		}, []string{"invalid_authorization_details"}},
		"TX4 another task": {func(sub *agent, form url.Values) answer {
			form.Set("authorization_details", `[{"type":"mcp_task","task":"tsk_other"}]`)
			return sub.post("/token", form)
		}, []string{"invalid_authorization_details"}},
		"TX5 no proof of the token's key": {func(sub *agent, form url.Values) answer {
			form.Del("subject_token_proof")
			return sub.post("/token", form)
		}, []string{"invalid_dpop_proof"}},
		"TX5 the thief's own proof": {func(sub *agent, _ url.Values) answer { return sub.post("/token", sub.handOn(sub, token)) }, []string{"invalid_dpop_proof"}},
		"TX5 a proof for another key": {func(sub *agent, form url.Values) answer {
			return w.sibling(sub).post("/token", form)
		}, []string{"invalid_dpop_proof"}},
		"TX5 a proof that names no key": {func(sub *agent, form url.Values) answer {
			form.Set("subject_token_proof", a.proof("POST", "/token", token))
			return sub.post("/token", form)
		}, []string{"invalid_dpop_proof"}},
		"TX5 a proof for another token": {func(sub *agent, form url.Values) answer {
			form.Set("subject_token_proof", a.handOn(sub, revoked).Get("subject_token_proof"))
			return sub.post("/token", form)
		}, []string{"invalid_dpop_proof"}},
		"TX5 an old nonce": {func(sub *agent, form url.Values) answer {
			proof, err := a.key.Delegation(w.issuer+"/token", "old", token, sub.key.JKT(), w.clock.Now())
			must(t, err)
			form.Set("subject_token_proof", proof)
			sub.post("/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"rr_none"}, "client_id": {sub.client}})
			return sub.send("/token", with(form, "client_secret", sub.secret), sub.proof("POST", "/token", ""))
		}, []string{"use_dpop_nonce"}},
		"TX6 a client without the right": {func(sub *agent, form url.Values) answer {
			must(t, w.store.SetClientPolicy(ctx, a.client, store.ClientPolicy{Grants: []string{"authorization_code", "refresh_token"}}))
			defer func() { must(t, w.store.SetClientPolicy(ctx, a.client, store.ClientPolicy{})) }()
			return sub.post("/token", form)
		}, []string{"unauthorized_client"}},
		"TX6 another client": {func(sub *agent, form url.Values) answer {
			return sub.post("/token", with(with(form, "client_id", stranger.client), "client_secret", stranger.secret))
		}, []string{"invalid_grant"}},
		"TX7 a cycle": {func(_ *agent, _ url.Values) answer { return a.post("/token", a.handOn(a, token)) }, []string{"invalid_request"}},
		"another type of token": {func(sub *agent, form url.Values) answer {
			form.Set("subject_token_type", "urn:ietf:params:oauth:token-type:refresh_token")
			return sub.post("/token", form)
		}, []string{"invalid_request"}},
		"another type wanted": {func(sub *agent, form url.Values) answer {
			form.Set("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token")
			return sub.post("/token", form)
		}, []string{"invalid_request"}},
		"an actor_token": {func(sub *agent, form url.Values) answer {
			form.Set("actor_token", token)
			return sub.post("/token", form)
		}, []string{"invalid_request"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			sub := w.sibling(a)
			if got := tt.spoil(sub, a.handOn(sub, token)); got.Status != 400 || !slices.Contains(tt.codes, got.error()) {
				t.Errorf("%d %s", got.Status, got.Body)
			}
			sub = w.sibling(a)
			if got := sub.post("/token", a.handOn(sub, token)); got.Status != 200 {
				t.Errorf("the good request after it: %d %s", got.Status, got.Body)
			}
		})
	}
	t.Run("TX7 too deep", func(t *testing.T) {
		holder, token := a, token
		for range 4 {
			sub := w.sibling(a)
			got := sub.post("/token", holder.handOn(sub, token))
			if got.Status != 200 {
				t.Fatalf("%d %s", got.Status, got.Body)
			}
			holder, token = sub, got.text("access_token")
			w.claims(token) // readable
		}
		sub := w.sibling(a)
		want(t, sub.post("/token", holder.handOn(sub, token)), 400, "invalid_request")
	})
	t.Run("TX8 longer than the parent", func(t *testing.T) {
		w.clock.Add(4 * time.Minute)
		sub := w.sibling(a)
		form := a.handOn(sub, token)
		form.Set("authorization_details", `[{"type":"mcp_task","max_duration":360000}]`)
		got := sub.post("/token", form)
		if got.Status != 200 {
			t.Fatalf("%d %s", got.Status, got.Body)
		}
		parent, _, err := w.store.TaskByID(ctx, w.claims(token).Task.ID)
		must(t, err)
		if c := w.claims(got.text("access_token")); c.Task.Ends.After(parent.EndsAt) || c.Expires.After(parent.EndsAt) {
			t.Errorf("ends %v, its parent %v", c.Task.Ends, parent.EndsAt)
		}
	})
	t.Run("TX1 expired", func(t *testing.T) {
		w.clock.Add(2 * time.Minute)
		sub := w.sibling(a)
		want(t, sub.post("/token", a.handOn(sub, token)), 400, "invalid_grant")
	})
}

func with(form url.Values, name, value string) url.Values {
	form.Set(name, value)
	return form
}

// Another client may work in the task where its policy names the first.
func TestExchangeByAnotherClient(t *testing.T) {
	w := newWorld(t)
	a, b := w.grantClient("Orchestrator"), w.grantClient("Specialist")
	token := a.tokens().text("access_token")
	want(t, b.post("/token", a.handOn(b, token)), 400, "invalid_grant")
	if n := len(w.records("finding.exchange_by_another_client")); n != 1 {
		t.Errorf("%d findings", n)
	}
	must(t, w.store.SetClientPolicy(context.Background(), b.client, store.ClientPolicy{ExchangeFrom: []string{a.client}, Scopes: []string{"tickets.write"}, MaxDuration: 60}))
	got := b.post("/token", a.handOn(b, token))
	if got.Status != 200 {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	c := w.claims(got.text("access_token"))
	if c.ClientID != b.client || c.Act.ClientID != b.client || c.Act.Act.ClientID != a.client || c.Expires.After(w.clock.Now().Add(time.Minute)) {
		t.Errorf("claims: %+v", c)
	}
}

// One proof of delegation is good for one exchange, however many try at once.
func TestExchangeRace(t *testing.T) {
	w := newWorld(t)
	a := w.grantClient("Orchestrator")
	token := a.tokens().text("access_token")
	for range 5 {
		sub := w.sibling(a)
		sub.post("/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"rr_none"}, "client_id": {sub.client}})
		form := with(a.handOn(sub, token), "client_secret", sub.secret)
		var ok atomic.Int64
		var wg sync.WaitGroup
		for range 16 {
			proof := sub.proof("POST", "/token", "")
			wg.Go(func() {
				r, err := http.NewRequest("POST", w.issuer+"/token", strings.NewReader(form.Encode()))
				if err != nil {
					return
				}
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				r.Header.Set("DPoP", proof)
				resp, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
				if resp.StatusCode == 200 {
					ok.Add(1)
				}
			})
		}
		wg.Wait()
		if ok.Load() != 1 {
			t.Errorf("%d exchanges by one proof", ok.Load())
		}
	}
}

// TestSubTaskFollowsItsParent: what the user narrows, is narrower for those that the task was handed on
// to as well, from their next token on.
func TestSubTaskFollowsItsParent(t *testing.T) {
	w := newWorld(t)
	a := w.grantClient("Orchestrator")
	got := a.tokens()
	sub := w.sibling(a)
	child := sub.post("/token", a.handOn(sub, got.text("access_token")))
	if names := toolsOf(t, child); !slices.Contains(names, "search_tickets") || !slices.Contains(names, "add_comment") {
		t.Fatalf("handed on: %v", names)
	}
	narrow := a.request()
	narrow.Set("authorization_details", `[{"type":"mcp_task","task":"`+got.text("task_id")+`"},
		{"type":"mcp_tool","locations":["`+ticketsURI+`"],"tool":"search_tickets","constraints":{"project":{"const":"OPS"}}}]`)
	code := w.mara().consent(a.push(narrow), "search_tickets").Query().Get("code")
	if again := a.post("/token", a.codeForm(code)); !strings.Contains(again.Body, "OPS") {
		t.Fatalf("narrowed: %d %s", again.Status, again.Body)
	}
	next := sub.post("/token", sub.refreshForm(child.text("refresh_token")))
	if next.Status != http.StatusOK {
		t.Fatalf("refresh: %d %s", next.Status, next.Body)
	}
	for _, tool := range w.claims(next.text("access_token")).Details.Tools {
		if text := strings.Join(tool.Constraints.Text(), ";"); tool.Tool == "search_tickets" && !strings.Contains(text, "OPS") {
			t.Errorf("the sub-task still searches under: %s", text)
		}
	}
}

// TestHandedOnIsNoBetterKnown: what a policy gives to clients of one kind alone, no client of another gets
// by handing its task on to one of those; nor does one of those keep it for who works for it.
func TestHandedOnIsNoBetterKnown(t *testing.T) { // P11
	w := newWorld(t)
	g := w.guarded(t)
	g.enforce(`version: 1
scopes: {s0: {roles: [r0, r1]}}
roles:
  r0: {when: {client: [registered]}, tools: {search_tickets: {}}}
  r1: {tools: {search_tickets: {limits: {limit: {maximum: 3}}}}}
`)
	const admin, stranger = 0, 2 // of origins
	for name, tt := range map[string]struct{ parent, child, beyond int }{
		"from a stranger": {stranger, admin, http.StatusForbidden},
		"between equals":  {admin, admin, http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			l := lending{origin: tt.parent, scopes: []string{"s0"}, roles: []string{"r0", "r1"}, ticks: []string{"search_tickets"}, later: []string{"r0", "r1"}}
			a, token := g.lend(l)
			sub, handed := g.handOn(a, token, handing{origin: tt.child})
			grand, below := g.handOn(sub, handed, handing{origin: tt.child})
			for who, one := range map[string]struct {
				agent *agent
				token string
			}{"the agent": {a, token}, "its sub-agent": {sub, handed}, "that one's": {grand, below}} {
				for limit, want := range map[string]int{"1": http.StatusOK, "9": tt.beyond} {
					if got := one.agent.callWith(g.uri, one.token, "search_tickets", []byte(`{"limit":`+limit+`}`)); got != want {
						t.Errorf("%s, limit %s: %d, want %d", who, limit, got, want)
					}
				}
			}
		})
	}
}
