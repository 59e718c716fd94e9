package server_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// ticks answers the page at target with these tools.
func (b *browser) ticks(target string, tools ...string) answer {
	form := b.consentForm(target)
	form["tool"] = tools
	return b.post("/consent", form)
}

// signsInOnce follows the answer to the sign-in and returns to where that leads.
func (b *browser) signsInOnce(got answer) (back string) {
	b.w.t.Helper()
	to := mustURL(b.w.t, got.Header.Get("Location"))
	if got.Status != http.StatusSeeOther || to.Path != "/signin" {
		b.w.t.Fatalf("not asked to sign in again: %d to %q", got.Status, got.Header.Get("Location"))
	}
	back = to.Query().Get("return_to")
	got = b.post("/signin", url.Values{"email": {"mara@example.com"}, "password": {password}, "return_to": {back}})
	if got.Status != http.StatusSeeOther || got.Header.Get("Location") != back {
		b.w.t.Fatalf("sign-in: %d to %q, want %q", got.Status, got.Header.Get("Location"), back)
	}
	b.w.clock.Add(time.Second)
	return back
}

// leads fails unless the answer brings a code.
func leads(t *testing.T, got answer) {
	t.Helper()
	if to := mustURL(t, got.Header.Get("Location")); got.Status != http.StatusSeeOther || to.Query().Get("code") == "" {
		t.Errorf("no code: %d to %q %s", got.Status, got.Header.Get("Location"), got.Body)
	}
}

// TestDestructiveTicksNeedAFreshSignIn: some minutes after signing in, what destroys is allowed only
// after doing so again, by the same request; what does not destroy is allowed at once.
func TestDestructiveTicksNeedAFreshSignIn(t *testing.T) { // C25
	w := newWorld(t)
	must(t, w.store.AssignRole(context.Background(), w.user.ID, ticketsURI, "admin"))
	a, b := w.agent(w.client), w.browser()
	b.signIn()
	leads(t, b.ticks(a.push(a.request()), "search_tickets", "delete_ticket")) // just signed in
	w.clock.Add(6 * time.Minute)
	target := a.push(a.request())
	if page := b.get(target).Body; !strings.Contains(page, "you are asked to sign in once more") {
		t.Error("the page does not say that ticking asks for a sign-in")
	}
	leads(t, b.ticks(a.push(a.request()), "search_tickets"))
	got := b.ticks(target, "search_tickets", "delete_ticket")
	back := b.signsInOnce(got)
	noCode(t, w.browser().get(back), http.StatusOK) // to another browser it is a sign-in page
	leads(t, b.ticks(back, "search_tickets", "delete_ticket"))
}

// TestManyAllowsMeanMoreCare: whoever allowed more than five requests within ten minutes signs in for
// each further one that can destroy; after a while that is over. What people answer is counted.
func TestManyAllowsMeanMoreCare(t *testing.T) { // C23
	w := newWorld(t)
	if now := w.clock.Now(); now.Truncate(24*time.Hour) != now.Add(15*time.Minute).Truncate(24*time.Hour) {
		w.clock.Add(15 * time.Minute) // prompts are counted by the day
	}
	must(t, w.store.AssignRole(context.Background(), w.user.ID, ticketsURI, "admin"))
	a, b := w.agent(w.client), w.browser()
	b.signIn()
	w.clock.Add(time.Second)
	for range 5 {
		leads(t, b.ticks(a.push(a.request()), "search_tickets"))
	}
	leads(t, b.ticks(a.push(a.request()), "search_tickets")) // nothing is destroyed
	back := b.signsInOnce(b.ticks(a.push(a.request()), "delete_ticket"))
	leads(t, b.ticks(back, "delete_ticket"))
	w.clock.Add(10 * time.Minute)
	b.signIn()
	w.clock.Add(time.Second)
	leads(t, b.ticks(a.push(a.request()), "delete_ticket"))
	form := b.consentForm(a.push(a.request()))
	form.Set("decision", "deny")
	b.post("/consent", form)
	if got := w.server.ConsentFigures(); got.Allowed != 8 || got.Denied != 1 || got.PromptsPerUser < 9 {
		t.Errorf("figures = %+v", got)
	}
}
