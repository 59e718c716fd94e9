package server_test

import (
	"context"
	"encoding/json"
	"flag"
	"maps"
	"math/rand/v2"
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
	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource"
	"github.com/remit-auth/remit/tokens/resource/policy"
)

var (
	pureCases  = flag.Int("intersection.cases", 100_000, "cases of the intersection of rights, played without a network")
	wholeCalls = flag.Int("intersection.calls", 2_000, "calls of the intersection of rights, played end to end")
	seed       = flag.Uint64("intersection.seed", 0, "seed of both; 0: another each time")
)

func draws(t *testing.T) *rand.Rand {
	n := *seed
	if n == 0 {
		n = rand.Uint64()
	}
	t.Logf("-intersection.seed=%d", n)
	return rand.New(rand.NewPCG(n, 1))
}

func parsePolicy(t *testing.T, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse([]byte(text), nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return p
}

// TestIntersectionOfRights: nothing runs outside client ∩ request ∩ consent ∩ roles ∩ policy; and where
// the grant is no narrower than that, all that is inside runs. Offer, decision and the decisions that a Guard is made of are the shipped ones.
func TestIntersectionOfRights(t *testing.T) {
	r := draws(t)
	res := store.Resource{URI: ticketsURI}
	var schema tokens.Schema
	for _, name := range modelTools {
		one := tool(t, name, `{"readOnlyHint":true,"openWorldHint":false}`, false)
		res.Tools = append(res.Tools, one)
		d, err := tokens.ParseDefinition(one.Definition)
		must(t, err)
		schema, err = tokens.ParseSchema(d.InputSchema)
		must(t, err)
	}
	const perPolicy = 100
	ran := 0
	for n := 0; n < *pureCases; n += perPolicy {
		m := drawModel(r)
		p := parsePolicy(t, m.yaml())
		for range perPolicy {
			l := drawLending(r)
			got := plays(t, p, l, res, schema)
			if want := m.may(l); got && !want || want && !got && l.exact() {
				t.Fatalf("runs: %t, may run: %t\n%+v\n%s", got, want, l, m.yaml())
			}
			if got {
				ran++
			}
		}
	}
	t.Logf("%d of %d cases ran", ran, *pureCases)
	if ran < *pureCases/100 {
		t.Errorf("only %d cases ran: too few to say anything", ran)
	}
}

// plays one request from its offer to a call.
func plays(t *testing.T, p *policy.Policy, l lending, res store.Resource, schema tokens.Schema) bool {
	offer := server.Offered(p, l.ask(), store.Client{ID: "cli_x", Origin: origins[l.origin]}, l.roles, res)
	var d consent.Decision
	for _, one := range offer.Tools {
		if slices.Contains(l.ticks, one.Detail.Tool) {
			d.Tools = append(d.Tools, one.Detail.Tool)
		}
	}
	d.Duration = offer.Default
	granted, err := offer.Decide(d, store.User{ID: "usr_x"}, time.Unix(0, 0))
	if err == consent.ErrNothing {
		return false
	}
	must(t, err)
	details, err := tokens.ParseGrant(granted.Grant.Details)
	must(t, err)
	i := slices.IndexFunc(details.Tools, func(d tokens.ToolDetail) bool { return d.Tool == l.tool })
	if i < 0 {
		return false
	}
	hold := p.Hold(policy.Context{Grade: policy.Grade(l.grade()), KeyBound: true})
	for _, rule := range p.DecideIn(granted.Grant.Scopes, l.later, l.tool, hold).Rules {
		ceiling, err := tokens.ParseConstraints(rule.Limits)
		must(t, err)
		if _, err := details.Tools[i].Constraints.CheckUnder(ceiling, l.arguments(), schema); err == nil {
			return true
		}
	}
	return false
}

// TestIntersectionEndToEnd plays the same at the shipped endpoints: request, page, code, token, and
// calls at a Guard's handler.
func TestIntersectionEndToEnd(t *testing.T) {
	r := draws(t)
	w := newWorld(t)
	g := w.guarded(t)
	const perTask = 50
	ran, below, denied, handed := 0, 0, 0, 0
	for n := 0; n < *wholeCalls; n += perTask {
		m := drawModel(r)
		g.enforce(m.yaml())
		l := drawLending(r)
		for len(l.roles) == 0 || len(l.ticks) == 0 || origins[l.origin] == store.ByDocument { // a document would have to be fetched

			l = drawLending(r)
		}
		a, token := g.lend(l)
		may, exact := m.may, l.exact()
		if token != "" && r.IntN(3) > 0 { // a sub-agent works in the task
			h := drawHanding(r, l, w.claims(token).Scope)
			if origins[h.origin] == store.ByDocument {
				h.origin = l.origin
			}
			a, token = g.handOn(a, token, h)
			may, exact = func(l lending) bool { return m.mayBelow(l, h) }, exact && h.plain(l) && token != ""
			if token != "" {
				handed++
			}
		}
		for range perTask {
			l.drawCall(r)
			may := token != "" && may(l)
			if token == "" {
				if exact && m.known(l) && m.may(l) {
					t.Fatalf("nothing was lent, and the call may run: %+v\n%s", l, m.yaml())
				}
				denied++
				continue
			}
			status := a.callWith(g.uri, token, l.tool, l.arguments())
			ok := status == http.StatusOK
			if !ok && status != http.StatusForbidden || ok && !may || may && !ok && exact {
				t.Fatalf("status %d, may run: %t\n%+v\n%s", status, may, l, m.yaml())
			}
			if ok {
				ran++
				if w.claims(token).Act != nil {
					below++
				}
			} else {
				denied++
			}
		}
	}
	t.Logf("%d calls ran, %d of them below another task (of %d), %d were refused", ran, below, handed, denied)
	if handed == 0 && *wholeCalls >= 2000 {
		t.Error("no task was handed on")
	}
	if ran < *wholeCalls/100 || ran != g.ran {
		t.Errorf("%d calls ran, and the server says %d", ran, g.ran)
	}
}

// guardedServer is an MCP server under a Guard, at the world's authorization server.
type guardedServer struct {
	w     *world
	uri   string
	guard *resource.Guard
	ran   int
	users []string // roles that the user holds
	by    map[int]string

	published chan struct{} // receives once the Guard's manifest was taken
}

// RoundTrip is the Guard's way to the authorization server.
func (g *guardedServer) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && r.Method == http.MethodPut && resp.StatusCode == http.StatusOK {
		select {
		case g.published <- struct{}{}:
		default:
		}
	}
	return resp, err
}

func (w *world) guarded(t *testing.T, adjust ...func(*resource.Config)) *guardedServer {
	t.Helper()
	ctx := context.Background()
	g := &guardedServer{w: w, by: map[int]string{}, published: make(chan struct{}, 1)}
	mcp := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		g.guard.Protect(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { g.ran++ })).ServeHTTP(rw, r)
	}))
	t.Cleanup(mcp.Close)
	g.uri = mcp.URL + "/mcp"
	text := "version: 1\nroles: {r0: {tools: {get_ticket: {}}}}\n"
	res := store.Resource{URI: g.uri, Name: "Tickets", Policy: []byte(text), PolicyVersion: tokens.HashBytes([]byte(text)), CreatedAt: w.clock.Now()}
	var listed []json.RawMessage
	for _, name := range modelTools {
		one := tool(t, name, `{"readOnlyHint":true,"openWorldHint":false}`, false)
		res.Tools, listed = append(res.Tools, one), append(listed, one.Definition)
	}
	must(t, w.store.AddResource(ctx, res))
	for i, origin := range origins {
		c := store.Client{ID: tokens.NewID("cli_"), CreatedAt: w.clock.Now(), Origin: origin, Metadata: store.ClientMetadata{
			ClientName: "Agent", RedirectURIs: []string{"http://127.0.0.1/callback"}, TokenEndpointAuthMethod: "none",
			GrantTypes: []string{"authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:token-exchange"}, ResponseTypes: []string{"code"}, DPoPBoundAccessTokens: true,
		}}
		must(t, w.store.AddClient(ctx, c))
		g.by[i] = c.ID
	}
	for _, id := range g.by {
		must(t, w.store.SetClientPolicy(ctx, id, store.ClientPolicy{ExchangeFrom: slices.Sorted(maps.Values(g.by))}))
	}
	config := resource.Config{
		Issuer: w.issuer, Resource: g.uri, StateDir: t.TempDir(), EnrolmentCode: w.enrolCode(g.uri), Policy: []byte(text),
		Tools: func(context.Context) ([]json.RawMessage, error) { return listed, nil }, Now: w.clock.Now, InsecureHTTP: true,
		HTTPClient: &http.Client{Transport: g},
	}
	for _, change := range adjust {
		change(&config)
	}
	var err error
	g.guard, err = resource.New(ctx, config)
	must(t, err)
	t.Cleanup(func() { g.guard.Close() })
	ready, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	must(t, g.guard.Ready(ready))
	select {
	case <-g.published:
	case <-ready.Done():
		t.Fatal("the Guard publishes nothing")
	}
	return g
}

// enforce puts the policy in force on both sides: the Guard publishes what it enforces.
func (g *guardedServer) enforce(text string) {
	g.w.t.Helper()
	must(g.w.t, g.guard.ReloadPolicy([]byte(text)))
	late := time.After(30 * time.Second)
	for {
		res, err := g.w.store.ResourceByURI(context.Background(), g.uri)
		must(g.w.t, err)
		if res.PolicyVersion == tokens.HashBytes([]byte(text)) {
			return
		}
		select {
		case <-g.published:
		case <-late:
			g.w.t.Fatal("the Guard does not publish its policy")
		}
	}
}

// assign gives the user exactly these roles.
func (g *guardedServer) assign(roles []string) {
	ctx := context.Background()
	for _, role := range g.users {
		must(g.w.t, g.w.store.UnassignRole(ctx, g.w.user.ID, g.uri, role))
	}
	for _, role := range roles {
		must(g.w.t, g.w.store.AssignRole(ctx, g.w.user.ID, g.uri, role))
	}
	g.users = roles
}

// lend runs the flow as the lending says, up to the token; none, when nothing was offered or ticked.
func (g *guardedServer) lend(l lending) (*agent, string) {
	t := g.w.t
	t.Helper()
	g.assign(l.roles)
	a := g.w.agent(g.by[l.origin])
	ask := a.request()
	ask.Del("authorization_details")
	ask.Set("resource", g.uri)
	if len(l.scopes) > 0 {
		ask.Set("scope", strings.Join(l.scopes, " "))
	}
	if details := l.ask().Details; len(details.Tools) > 0 {
		for i := range details.Tools {
			details.Tools[i].Locations = []string{g.uri}
		}
		raw, err := details.Canonical()
		must(t, err)
		ask.Set("authorization_details", string(raw))
	}
	pushed := a.post("/par", ask)
	if pushed.Status != http.StatusCreated { // a tool: scope that no role names is unknown
		if pushed.error() != "invalid_scope" {
			t.Fatalf("par: %d %s", pushed.Status, pushed.Body)
		}
		return a, ""
	}
	b := g.w.mara()
	page := b.get("/authorize?" + url.Values{"client_id": {a.client}, "request_uri": {pushed.text("request_uri")}}.Encode())
	form := hidden(page.Body)
	for _, name := range l.ticks {
		if strings.Contains(page.Body, `name="tool" value="`+name+`"`) {
			form.Add("tool", name)
		}
	}
	if len(form["tool"]) == 0 {
		return a, ""
	}
	form.Set("duration", "1800")
	form.Set("decision", "allow")
	got := b.post("/consent", form)
	to, err := url.Parse(got.Header.Get("Location"))
	if err != nil || got.Status != http.StatusSeeOther || to.Query().Get("code") == "" {
		t.Fatalf("consent: %d %s %s", got.Status, got.Header.Get("Location"), got.Body)
	}
	g.assign(l.later)
	token := a.post("/token", a.codeForm(to.Query().Get("code")))
	if token.Status != http.StatusOK {
		t.Fatalf("token: %d %s", token.Status, token.Body)
	}
	if c := g.w.claims(token.text("access_token")); c.Grade != l.grade() {
		t.Fatalf("the token says %q of a client that is %q", c.Grade, l.grade())
	}
	return a, token.text("access_token")
}

// handOn hands the task of the token on as is asked, to a sub-agent with a key of its own; none, when
// nothing of what is asked was lent.
func (g *guardedServer) handOn(a *agent, token string, h handing) (*agent, string) {
	t := g.w.t
	t.Helper()
	sub := g.w.agent(g.by[h.origin])
	form := a.handOn(sub, token)
	if len(h.scopes) > 0 {
		form.Set("scope", strings.Join(h.scopes, " "))
	}
	var asked tokens.Details
	for _, name := range modelTools {
		if one, named := h.asked[name]; named {
			asked.Tools = append(asked.Tools, tokens.ToolDetail{Tool: name, Locations: []string{g.uri}, Constraints: one.constraints()})
		}
	}
	if len(asked.Tools) > 0 {
		raw, err := asked.Canonical()
		must(t, err)
		form.Set("authorization_details", string(raw))
	}
	got := sub.post("/token", form)
	switch {
	case got.Status == http.StatusOK:
		return sub, got.text("access_token")
	case got.error() == "unauthorized_client" && origins[h.origin] == store.ByRegistration: // not for strangers
		return sub, ""
	case got.error() == "invalid_authorization_details" && len(asked.Tools) > 0: // a tool that the parent does not have
		return sub, ""
	}
	t.Fatalf("exchange: %d %s\n%+v", got.Status, got.Body, h)
	return nil, ""
}
