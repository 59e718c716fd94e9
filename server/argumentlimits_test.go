package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestLimitsOfArguments: what a person writes beside a tool limits the grant, beyond what the app
// and the policy said; what makes no sense grants nothing, and the same form then still counts.
func TestLimitsOfArguments(t *testing.T) { // C10
	w := newWorld(t)
	a, b := w.agent(w.client), w.browser()
	b.signIn()
	target := a.push(a.request())
	page := b.get(target).Body
	name := "limit.search_tickets.text.only"
	if !strings.Contains(page, `name="`+name+`"`) || !strings.Contains(page, "Only these, one a line") {
		t.Fatalf("the page has no field %s: %s", name, page)
	}
	form := b.consentForm(target)
	form.Set("limit.search_tickets.limit.max", "ten")
	noCode(t, b.post("/consent", form), http.StatusBadRequest)

	form.Set("limit.search_tickets.limit.max", "")
	form.Set(name, "crash\r\nhang")
	form.Set("limit.delete_ticket.id.only", "not ticked, not read")
	got := b.post("/consent", form)
	to, err := url.Parse(got.Header.Get("Location"))
	if err != nil || to.Query().Get("code") == "" {
		t.Fatalf("consent: %d %s", got.Status, got.Body)
	}
	granted := a.post("/token", a.codeForm(to.Query().Get("code"))).Body
	for _, want := range []string{`"text":{"enum":["crash","hang"]}`, `"project":`} {
		if !strings.Contains(granted, want) {
			t.Errorf("granted %s, which lacks %s", granted, want)
		}
	}
}
