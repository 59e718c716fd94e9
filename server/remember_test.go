package server_test

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

const webCallback = "https://agent.example/callback"

// readDetails ask for two tools that only read.
const readDetails = `[{"type":"mcp_task","purpose":"Triage bugs","max_duration":1800},
	{"type":"mcp_tool","locations":["` + ticketsURI + `"],"tool":"search_tickets","constraints":{"project":{"const":"WEB"}}},
	{"type":"mcp_tool","locations":["` + ticketsURI + `"],"tool":"get_ticket"}]`

// rememberWorld is a world whose server remembers for a week.
func rememberWorld(t *testing.T, changes ...func(*server.Config)) *world {
	t.Helper()
	week := func(c *server.Config) { c.Remember = 7 * 24 * time.Hour }
	w := newWorldOn(t, func(s store.Store) store.Store { return s }, append([]func(*server.Config){week}, changes...)...)
	w.client = tokens.NewID("cli_")
	must(t, w.store.AddClient(context.Background(), store.Client{ID: w.client, CreatedAt: w.clock.Now(), Metadata: store.ClientMetadata{
		ClientName: "Demo Agent", RedirectURIs: []string{"http://127.0.0.1/callback", webCallback}, TokenEndpointAuthMethod: "none",
		GrantTypes: []string{"authorization_code", "refresh_token"}, ResponseTypes: []string{"code"}, DPoPBoundAccessTokens: true,
	}}))
	return w
}

// redefine gives a tool another definition, which an admin approves.
func (w *world) redefine(name string) {
	w.t.Helper()
	res, err := w.store.ResourceByURI(context.Background(), ticketsURI)
	must(w.t, err)
	other := tool(w.t, name, `{"readOnlyHint":true,"openWorldHint":false,"idempotentHint":true}`, false)
	for i, one := range res.Tools {
		res.Tools[i] = store.Tool{Name: one.Name, Live: one.Definition, LiveHash: one.Hash}
		if one.Name == name {
			res.Tools[i] = store.Tool{Name: name, Live: other.Definition, LiveHash: other.Hash}
		}
	}
	_, err = w.store.PublishManifest(context.Background(), ticketsURI, []byte(ticketsPolicy), tokens.HashBytes([]byte(ticketsPolicy)), res.Tools)
	must(w.t, err)
	must(w.t, w.store.ApproveTool(context.Background(), ticketsURI, name, other.Hash))
}

// recorded reports whether the ledger has such a record.
func (w *world) recorded(kind, says string) bool {
	return slices.ContainsFunc(w.records(kind), func(r store.Record) bool { return strings.Contains(string(r.Payload), says) })
}

// agentsForm is what every form of the agents page brings along.
func (b *browser) agentsForm() url.Values {
	b.w.t.Helper()
	return url.Values{"csrf": {csrfField.FindStringSubmatch(b.get("/agents").Body)[1]}}
}

// ticked reports whether the page has the tool ticked.
func ticked(page, tool string) bool {
	return regexp.MustCompile(`<input[^>]*value="` + tool + `"[^>]* checked`).MatchString(page)
}

// reads is a request for what only reads; changes are made to it in pairs.
func (a *agent) reads(changes ...string) url.Values {
	form := a.request()
	form.Set("authorization_details", readDetails)
	for i := 0; i+1 < len(changes); i += 2 {
		form.Set(changes[i], changes[i+1])
	}
	return form
}

// tokenOf redeems a code.
func (a *agent) tokenOf(code string) string {
	a.w.t.Helper()
	got := a.post("/token", a.codeForm(code))
	if got.Status != http.StatusOK {
		a.w.t.Fatalf("token: %d %s", got.Status, got.Body)
	}
	return got.text("access_token")
}

// remembers answers the page, ticks these tools and lets that go on.
func (b *browser) remembers(target string, tools ...string) answer {
	b.w.t.Helper()
	form := b.consentForm(target)
	form["tool"] = tools
	form.Set("remember", "1")
	return b.post("/consent", form)
}

// asBefore reports whether the address shows the short page.
func asBefore(page answer) bool {
	return page.Status == http.StatusOK && strings.Contains(page.Body, "Continuing as before") && !strings.Contains(page.Body, `name="tool"`)
}

// asksAnew fails unless the address shows the page that asks for each tool.
func asksAnew(t *testing.T, page answer) {
	t.Helper()
	if page.Status != http.StatusOK || asBefore(page) || !strings.Contains(page.Body, `name="tool"`) {
		t.Errorf("the page does not ask: %d %s", page.Status, page.Body)
	}
}

// goesOn presses Continue on the short page of a new request like this one.
func (b *browser) goesOn(target string) answer {
	b.w.t.Helper()
	page := b.get(target)
	if !asBefore(page) {
		b.w.t.Fatalf("no short page: %d %s", page.Status, page.Body)
	}
	form := hidden(page.Body)
	form.Set("decision", "allow")
	return b.post("/consent", form)
}

// TestRememberedChoiceGoesOn: what only reads is allowed again by one click, within the limits and the
// time that were chosen, and no further.
func TestRememberedChoiceGoesOn(t *testing.T) { // C22
	w := rememberWorld(t)
	a, b := w.agent(w.client), w.mara()
	if page := b.get(a.push(a.reads())).Body; !strings.Contains(page, `name="remember"`) || !strings.Contains(page, "for 7 days") {
		t.Error("the page does not offer to remember")
	}
	form := b.consentForm(a.push(a.reads()))
	form["tool"] = []string{"search_tickets"}
	form.Set("duration", "900")
	form.Set("mode.search_tickets", "5")
	form.Set("remember", "1")
	leads(t, b.post("/consent", form))

	w.clock.Add(24 * time.Hour)
	b = w.browser()
	b.signIn()
	page := b.get(a.push(a.reads("state", "another")))
	for _, text := range []string{"Continuing as before", "search_tickets", "At most 5 calls", "15 min", "Not included, as before", "get_ticket", "http://127.0.0.1:7777"} {
		if !strings.Contains(page.Body, text) {
			t.Errorf("the short page does not say %q", text)
		}
	}
	got := b.goesOn(a.push(a.reads("state", "another")))
	leads(t, got)
	code := mustURL(t, got.Header.Get("Location")).Query().Get("code")
	claims := w.claims(a.tokenOf(code))
	if len(claims.Details.Tools) != 1 || claims.Details.Tools[0].Tool != "search_tickets" || claims.Details.Tools[0].MaxCalls != 5 {
		t.Errorf("granted %+v", claims.Details.Tools)
	}
	task, _, err := w.store.TaskByID(context.Background(), claims.Task.ID)
	must(t, err)
	if left := task.EndsAt.Sub(w.clock.Now()); left > 15*time.Minute {
		t.Errorf("the task lasts %s", left)
	}
	if !w.recorded("consent.remembered", `"search_tickets"`) || !w.recorded("consent.allowed", `"remembered":"rem_`) {
		t.Error("the ledger does not tell of it")
	}
}

// TestRememberedChoiceIsNeverStretched: whatever is not as it was is asked about, page and form alike.
func TestRememberedChoiceIsNeverStretched(t *testing.T) { // C22
	ctx := context.Background()
	tests := map[string]func(w *world, a *agent) (url.Values, *agent, *browser){
		"other constraints": func(w *world, a *agent) (url.Values, *agent, *browser) {
			return a.reads("authorization_details", strings.Replace(readDetails, `"WEB"`, `"OPS"`, 1)), a, w.mara()
		},
		"without constraints": func(w *world, a *agent) (url.Values, *agent, *browser) {
			return a.reads("authorization_details", strings.Replace(readDetails, `,"constraints":{"project":{"const":"WEB"}}`, "", 1)), a, w.mara()
		},
		"one more tool": func(w *world, a *agent) (url.Values, *agent, *browser) {
			return a.request(), w.agent(w.client), w.mara()
		},
		"scopes": func(w *world, a *agent) (url.Values, *agent, *browser) {
			return a.reads("scope", "tickets.write"), a, w.mara()
		},
		"another client": func(w *world, a *agent) (url.Values, *agent, *browser) {
			other := w.agent(w.other)
			return other.reads(), other, w.mara()
		},
		"another redirect grade": func(w *world, a *agent) (url.Values, *agent, *browser) {
			return a.reads("redirect_uri", webCallback), a, w.mara()
		},
		"another user": func(w *world, a *agent) (url.Values, *agent, *browser) {
			return a.reads(), a, w.noor()
		},
		"prompt=consent": func(w *world, a *agent) (url.Values, *agent, *browser) {
			return a.reads("prompt", "consent"), a, w.mara()
		},
		"a changed definition, approved": func(w *world, a *agent) (url.Values, *agent, *browser) {
			w.redefine("get_ticket")
			return a.reads(), a, w.mara()
		},
		"another policy": func(w *world, a *agent) (url.Values, *agent, *browser) {
			w.approve(strings.Replace(ticketsPolicy, "maximum: 50", "maximum: 500", 1))
			return a.reads(), a, w.mara()
		},
		"another role": func(w *world, a *agent) (url.Values, *agent, *browser) {
			must(w.t, w.store.AssignRole(ctx, w.user.ID, ticketsURI, "reader"))
			return a.reads(), a, w.mara()
		},
		"a role lost and had again": func(w *world, a *agent) (url.Values, *agent, *browser) {
			must(w.t, w.store.UnassignRole(ctx, w.user.ID, ticketsURI, "agent"))
			must(w.t, w.store.AssignRole(ctx, w.user.ID, ticketsURI, "agent"))
			return a.reads(), a, w.mara()
		},
		"its time over": func(w *world, a *agent) (url.Values, *agent, *browser) {
			w.clock.Add(7*24*time.Hour - 29*time.Minute)
			b := w.browser()
			b.signIn()
			return a.reads(), a, b
		},
		"an admin who allows less time": func(w *world, a *agent) (url.Values, *agent, *browser) {
			days := 0
			must(w.t, w.store.SetClientPolicy(ctx, w.client, store.ClientPolicy{RememberDays: &days}))
			return a.reads(), a, w.mara()
		},
		"everything stopped": func(w *world, a *agent) (url.Values, *agent, *browser) {
			b := w.mara()
			form := b.agentsForm()
			form.Set("action", "end_all")
			if got := b.post("/agents", form); got.Status != http.StatusSeeOther {
				w.t.Fatalf("stop: %d %s", got.Status, got.Body)
			}
			return a.reads(), a, b
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			w := rememberWorld(t)
			a, b := w.agent(w.client), w.mara()
			leads(t, b.remembers(a.push(a.reads()), "search_tickets", "get_ticket"))
			target := a.push(a.reads())
			page := b.get(target)
			if !asBefore(page) {
				t.Fatalf("nothing goes on: %s", page.Body)
			}
			form := hidden(page.Body)
			form.Set("decision", "allow")

			changed, who, browser := change(w, a)
			asksAnew(t, browser.get(who.push(changed)))
			switch name {
			case "a changed definition, approved", "another policy", "another role", "a role lost and had again", "an admin who allows less time", "everything stopped":
				got := b.post("/consent", form) // the page that was open meanwhile
				noCode(t, got, http.StatusConflict)
				if strings.Contains(got.Body, "Continuing as before") {
					t.Error("still as before")
				}
				leads(t, b.ticks(a.push(a.reads()), "search_tickets")) // and the good answer works
			}
		})
	}
}

// TestRememberedFormBelongsToItsPage: the short page's form counts once, for its session, request,
// choice and kind of page alone.
func TestRememberedFormBelongsToItsPage(t *testing.T) { // C22, C24
	w := rememberWorld(t)
	a, b := w.agent(w.client), w.mara()
	leads(t, b.remembers(a.push(a.reads()), "search_tickets"))
	form := func() url.Values {
		f := hidden(b.get(a.push(a.reads())).Body)
		f.Set("decision", "allow")
		return f
	}
	li := w.noor()
	noCode(t, li.post("/consent", form()), http.StatusForbidden)
	for name, spoil := range map[string]func(url.Values){
		"another choice":  func(f url.Values) { f.Set("remembered", "rem_0") },
		"another request": func(f url.Values) { f.Set("request", form().Get("request")) },
		"another offer":   func(f url.Values) { f.Set("offer", "x") },
		"of the page that asks": func(f url.Values) {
			f.Set("shown", hidden(b.get(a.push(a.reads("prompt", "consent"))).Body).Get("shown"))
		},
		"as the page that asks": func(f url.Values) { f.Del("remembered"); f.Set("tool", "get_ticket"); f.Set("duration", "1800") },
	} {
		f := form()
		spoil(f)
		if got := b.post("/consent", f); got.Status != http.StatusForbidden {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
	f := form()
	f.Set("tool", "get_ticket") // what is not on the form does not count
	f.Set("duration", "28800")
	got := b.post("/consent", f)
	leads(t, got)
	claims := w.claims(a.tokenOf(mustURL(t, got.Header.Get("Location")).Query().Get("code")))
	if len(claims.Details.Tools) != 1 || claims.Details.Tools[0].Tool != "search_tickets" {
		t.Errorf("granted %+v", claims.Details.Tools)
	}
	if again := b.post("/consent", f); again.Status != http.StatusBadRequest || again.Header.Get("Location") != "" {
		t.Errorf("a second time: %d %s", again.Status, again.Body)
	}
	denied := form()
	denied.Set("decision", "deny")
	if to := mustURL(t, b.post("/consent", denied).Header.Get("Location")); to.Query().Get("error") != "access_denied" {
		t.Errorf("denied: %s", to)
	}
}

// TestWhatIsNotRemembered: what changes something is asked about each time, an unverified client always,
// and an answer without the tick makes a former one void.
func TestWhatIsNotRemembered(t *testing.T) { // C22
	t.Run("what changes something", func(t *testing.T) {
		w := rememberWorld(t)
		a, b := w.agent(w.client), w.mara()
		leads(t, b.remembers(a.push(a.request()), "search_tickets", "add_comment"))
		page := b.get(a.push(a.request()))
		asksAnew(t, page)
		if !ticked(page.Body, "search_tickets") {
			t.Error("what was remembered is not filled in")
		}
	})
	t.Run("nothing that reads", func(t *testing.T) {
		w := rememberWorld(t)
		a, b := w.agent(w.client), w.mara()
		leads(t, b.remembers(a.push(a.request()), "add_comment"))
		asksAnew(t, b.get(a.push(a.request())))
	})
	t.Run("a client that registered itself", func(t *testing.T) {
		w := rememberWorld(t)
		for _, redirect := range []string{callback, webCallback} {
			id := tokens.NewID("cli_")
			must(t, w.store.AddClient(context.Background(), store.Client{ID: id, Origin: store.ByRegistration, Metadata: store.ClientMetadata{
				ClientName: "Demo Agent", RedirectURIs: []string{redirect}, TokenEndpointAuthMethod: "none", GrantTypes: []string{"authorization_code"}, ResponseTypes: []string{"code"},
			}}))
			a, b := w.agent(id), w.mara()
			if page := b.get(a.push(a.reads("redirect_uri", redirect))).Body; strings.Contains(page, `name="remember"`) {
				t.Error("the page offers to remember")
			}
			leads(t, b.remembers(a.push(a.reads("redirect_uri", redirect)), "search_tickets"))
			asksAnew(t, b.get(a.push(a.reads("redirect_uri", redirect))))
		}
	})
	t.Run("an answer anew", func(t *testing.T) {
		w := rememberWorld(t)
		a, b := w.agent(w.client), w.mara()
		leads(t, b.remembers(a.push(a.reads()), "search_tickets"))
		target := a.push(a.reads())
		page := b.get(target + "&change=1")
		asksAnew(t, page)
		if !ticked(page.Body, "search_tickets") || ticked(page.Body, "get_ticket") {
			t.Error("the page to change it does not show the choice")
		}
		leads(t, b.ticks(target+"&change=1", "get_ticket"))
		asksAnew(t, b.get(a.push(a.reads())))
	})
	t.Run("on a server that remembers nothing", func(t *testing.T) {
		w := newWorld(t)
		a, b := w.agent(w.client), w.mara()
		leads(t, b.remembers(a.push(a.reads()), "search_tickets"))
		asksAnew(t, b.get(a.push(a.reads())))
	})
}

// TestSilently: without a page only where an admin said so, at a place on the web, and not without end.
func TestSilently(t *testing.T) { // C22
	w := rememberWorld(t)
	a, b := w.agent(w.client), w.mara()
	silently := func(on bool) {
		must(t, w.store.SetClientPolicy(context.Background(), w.client, store.ClientPolicy{RememberSilently: on}))
	}
	silently(true)
	page := b.get(a.push(a.reads("redirect_uri", webCallback)))
	asksAnew(t, page) // nobody has chosen yet
	leads(t, b.remembers(a.push(a.reads("redirect_uri", webCallback)), "search_tickets"))
	leads(t, b.remembers(a.push(a.reads()), "search_tickets"))
	leads(t, b.get(a.push(a.reads("redirect_uri", webCallback))))
	if !asBefore(b.get(a.push(a.reads()))) {
		t.Error("a program on this computer goes on without a page")
	}
	asksAnew(t, b.get(a.push(a.reads("redirect_uri", webCallback, "prompt", "consent"))))
	silently(false)
	if !asBefore(b.get(a.push(a.reads("redirect_uri", webCallback)))) {
		t.Error("it goes on though no admin said so")
	}
	silently(true)
	var worn answer
	for range 6 {
		worn = b.get(a.push(a.reads("redirect_uri", webCallback)))
	}
	if !asBefore(worn) {
		t.Error("tasks without a page have no end")
	}
}

// TestForget: the agents page lists what goes on, and each can be forgotten by its user alone; the
// user's export has it too.
func TestForget(t *testing.T) { // C22, U6, U7
	w := rememberWorld(t)
	a, b := w.agent(w.client), w.mara()
	leads(t, b.remembers(a.push(a.reads()), "search_tickets"))
	open := hidden(b.get(a.push(a.reads())).Body)
	open.Set("decision", "allow")
	page := b.get("/agents").Body
	for _, text := range []string{"Remembered choices", "search_tickets", "not used yet", "30 min"} {
		if !strings.Contains(page, text) {
			t.Errorf("the agents page does not say %q", text)
		}
	}
	if export := b.get("/account/export").Body; !strings.Contains(export, `"remembered_choices":[{"id":"rem_`) || !strings.Contains(export, "search_tickets") {
		t.Errorf("not in the export: %s", export)
	}
	form := b.agentsForm()
	form.Set("action", "forget")
	form.Set("remembered", open.Get("remembered"))
	li := w.noor()
	theirs := li.agentsForm()
	theirs.Set("action", "forget")
	theirs.Set("remembered", open.Get("remembered"))
	if got := li.post("/agents", theirs); got.Status != http.StatusNotFound {
		t.Errorf("somebody else's: %d", got.Status)
	}
	if got := b.post("/agents", form); got.Status != http.StatusSeeOther {
		t.Errorf("forget: %d %s", got.Status, got.Body)
	}
	if got := b.post("/agents", form); got.Status != http.StatusNotFound {
		t.Errorf("forgotten twice: %d", got.Status)
	}
	noCode(t, b.post("/consent", open), http.StatusConflict)
	asksAnew(t, b.get(a.push(a.reads())))
	if strings.Contains(b.get("/agents").Body, "Remembered choices") {
		t.Error("the page still lists it")
	}
	if !w.recorded("consent.forgotten", `"by":"user"`) {
		t.Error("the ledger does not tell of it")
	}
}

// TestChangeKeepsLimits: who changes a remembered choice finds it as it was chosen, limits too: a careless
// "Allow" there grants what was granted before, and no more.
func TestChangeKeepsLimits(t *testing.T) { // C22
	w := rememberWorld(t)
	a, b := w.agent(w.client), w.mara()
	form := b.consentForm(a.push(a.reads()))
	form["tool"] = []string{"search_tickets"}
	form.Set("limit.search_tickets.limit.max", "7")
	form.Set("remember", "1")
	leads(t, b.post("/consent", form))
	target := a.push(a.reads())
	if !asBefore(b.get(target)) {
		t.Fatal("no short page")
	}
	page := b.get(target + "&change=1")
	asksAnew(t, page)
	if !regexp.MustCompile(`name="limit\.search_tickets\.limit\.max"[^>]*>7<`).MatchString(page.Body) || ticked(page.Body, "get_ticket") {
		t.Errorf("the page is not as it was filled in: %s", page.Body)
	}
}

// TestNoOnTheShortPageForgets: whoever says no to going on as before is asked in full the next time.
func TestNoOnTheShortPageForgets(t *testing.T) { // C22
	w := rememberWorld(t)
	a, b := w.agent(w.client), w.mara()
	leads(t, b.remembers(a.push(a.reads()), "search_tickets"))
	form := hidden(b.get(a.push(a.reads())).Body)
	form.Set("decision", "deny")
	if got := b.post("/consent", form); got.Status != http.StatusSeeOther || !strings.Contains(got.Header.Get("Location"), "error=access_denied") {
		t.Fatalf("no: %d %s", got.Status, got.Header.Get("Location"))
	}
	asksAnew(t, b.get(a.push(a.reads())))
	if !w.recorded("consent.forgotten", `"by":"user"`) {
		t.Error("the ledger does not tell of it")
	}
	leads(t, b.remembers(a.push(a.reads()), "search_tickets"))
	leads(t, b.goesOn(a.push(a.reads())))
}
