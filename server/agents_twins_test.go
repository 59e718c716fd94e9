package server_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// TestTwins: tasks of an app that registers itself for each sign-in stand together, with how often it
// did; another app of that name that leads elsewhere is none of them.
func TestTwins(t *testing.T) {
	w := newWorld(t)
	b := w.mara()
	register := func(name, redirect string) *agent {
		id := tokens.NewID("cli_")
		must(t, w.store.AddClient(context.Background(), store.Client{ID: id, Origin: store.ByRegistration, CreatedAt: w.clock.Now(), Metadata: store.ClientMetadata{
			ClientName: name, RedirectURIs: []string{redirect}, TokenEndpointAuthMethod: "none",
			GrantTypes: []string{"authorization_code", "refresh_token"}, ResponseTypes: []string{"code"},
		}}))
		return w.agent(id)
	}
	lend := func(a *agent, purpose, redirect string) {
		form := a.request()
		form.Set("redirect_uri", redirect)
		form.Set("authorization_details", strings.Replace(details, "Triage bugs", purpose, 1))
		code := a.codeForm(b.consent(a.push(form), "search_tickets").Query().Get("code"))
		code.Set("redirect_uri", redirect)
		if got := a.post("/token", code); got.Status != 200 {
			t.Fatalf("token: %d %s", got.Status, got.Body)
		}
		w.clock.Add(time.Second)
	}
	lend(register("Twin", "http://127.0.0.1:1111/callback"), "Oldest", "http://127.0.0.1:1111/callback")
	lend(register("Other", webCallback), "Between", webCallback)
	lend(register("Twin", webCallback), "Elsewhere", webCallback)
	lend(register("Twin", "http://127.0.0.1:2222/callback"), "Newest", "http://127.0.0.1:2222/callback")
	page := b.get("/agents").Body
	if n := strings.Count(page, "Registered itself 2 times"); n != 2 {
		t.Errorf("said %d times", n)
	}
	if !strings.Contains(page, "Goes on while you are away") {
		t.Error("it is not said that tasks go on")
	}
	last := -1
	for _, purpose := range []string{"Newest", "Oldest", "Elsewhere", "Between"} {
		if at := strings.Index(page, purpose); at <= last {
			t.Errorf("%s stands at another place", purpose)
		} else {
			last = at
		}
	}
}
