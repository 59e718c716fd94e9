package server_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// answers reads the page's form after somebody chose and asked for more time.
func (b *browser) moreTime(form url.Values) answer {
	b.w.t.Helper()
	form.Set("decision", "more")
	return b.post("/consent", form)
}

// TestMoreTime: the page says until when it can be answered; whoever asks has as much time again, with
// all that was chosen, and no longer than two hours in all.
func TestMoreTime(t *testing.T) { // C26, WCAG 2.2.1
	w := newWorld(t)
	a, b := w.agent(w.client), w.browser()
	b.signIn()
	form := b.consentForm(a.push(a.request()))
	form["tool"] = []string{"add_comment"}
	form.Set("duration", "900")
	form.Set("mode.add_comment", "1")
	form.Set("limit.add_comment.text.prefix", "Note: <b>")
	w.clock.Add(9*time.Minute + 30*time.Second)
	page := b.moreTime(form)
	if page.Status != http.StatusOK || !strings.Contains(page.Body, "You can answer until "+w.clock.Now().UTC().Add(10*time.Minute).Format("15:04:05")) {
		t.Errorf("more time: %d %s", page.Status, page.Body)
	}
	if !ticked(page.Body, "add_comment") || ticked(page.Body, "search_tickets") || !ticked(page.Body, "900") || !strings.Contains(page.Body, ">Note: &lt;b&gt;</textarea>") ||
		!strings.Contains(page.Body, `<option value="1" selected`) {
		t.Errorf("what was chosen is gone: %s", page.Body)
	}
	w.clock.Add(9 * time.Minute)
	next := hidden(page.Body)
	next["tool"], next["duration"], next["decision"] = []string{"add_comment"}, []string{"900"}, []string{"allow"}
	leads(t, b.post("/consent", next))

	form = b.consentForm(a.push(a.request()))
	other := w.noor()
	noCode(t, other.moreTime(form), http.StatusForbidden)
	for range 14 {
		if page = b.moreTime(form); page.Status != http.StatusOK {
			break
		}
		w.clock.Add(10*time.Minute - time.Second)
		form = hidden(page.Body)
	}
	if page.Status == http.StatusOK {
		t.Error("time has no end")
	}
	late := b.consentForm(a.push(a.request()))
	w.clock.Add(10 * time.Minute)
	noCode(t, b.moreTime(late), http.StatusBadRequest)
	leads(t, b.ticks(a.push(a.request()), "search_tickets"))
}

// TestChoicesOutliveASignIn: what was chosen fills in the page after the sign-in that it asked for; to
// somebody else it says nothing.
func TestChoicesOutliveASignIn(t *testing.T) { // C26, WCAG 3.3.7
	w := newWorld(t)
	must(t, w.store.AssignRole(context.Background(), w.user.ID, ticketsURI, "admin"))
	a, b := w.agent(w.client), w.browser()
	b.signIn()
	w.clock.Add(6 * time.Minute)
	back := b.signsInOnce(b.ticks(a.push(a.request()), "delete_ticket"))
	page := b.get(back)
	if !ticked(page.Body, "delete_ticket") || ticked(page.Body, "search_tickets") {
		t.Error("the choice is gone")
	}
	leads(t, b.ticks(back, "delete_ticket"))
	w.clock.Add(6 * time.Minute)
	got := b.ticks(a.push(a.request()), "delete_ticket")
	back = mustURL(t, got.Header.Get("Location")).Query().Get("return_to")
	noor := w.noor()
	must(t, w.store.AssignRole(context.Background(), w.userID("noor@example.com"), ticketsURI, "admin"))
	if page := noor.get(back); ticked(page.Body, "delete_ticket") {
		t.Error("somebody else's choice is filled in")
	}
}

func (w *world) userID(email string) string {
	w.t.Helper()
	u, err := w.store.UserByEmail(context.Background(), email)
	must(w.t, err)
	return u.ID
}
