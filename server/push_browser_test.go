//go:build browser

package server_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/web/webtest"
)

// atService lets the browser's own half of the Push API lead to the test's service; what the page, the
// worker and the server do is theirs.
const atService = `
	const at = key => ({ options: { applicationServerKey: key.buffer }, unsubscribe: async () => true, toJSON: () => (%s) });
	PushManager.prototype.getSubscription = async () => null;
	PushManager.prototype.subscribe = async ({ userVisibleOnly, applicationServerKey }) => {
		if (!userVisibleOnly || applicationServerKey.length !== 65) throw new Error("not so");
		return at(applicationServerKey);
	};`

// TestBrowserPush: a person has this browser told, is told of a call that waits, and on signing in again is
// told as before until they say no.
func TestBrowserPush(t *testing.T) {
	p := newPushService(t)
	x := asks(t, p.allowed)
	form := p.subscription("laptop")
	sub, err := json.Marshal(map[string]any{"endpoint": form.Get("endpoint"), "keys": map[string]string{"p256dh": form.Get("p256dh"), "auth": form.Get("auth")}})
	must(t, err)
	tab := webtest.Start(t, nil).Person(t, webtest.Look{})
	tab.MayNotify(x.issuer)
	tab.Before(fmt.Sprintf(atService, sub))
	signIn := func() {
		tab.Open(x.issuer + "/agents")
		tab.Type("#email", "mara@example.com")
		tab.Type("#password", password)
		tab.Press(".signin form:not([data-passkey]) .btn")
	}
	signIn()
	tab.Waits("Tell me in this browser when an agent waits")
	tab.Accessible()
	tab.Press("form[data-push] button")
	tab.Waits("This browser is told when an agent waits for you.", "This browser is told.")
	tab.Accessible()

	path := x.waits("add_comment", hello)
	m := p.gets("laptop")
	message, err := json.Marshal(map[string]string{"title": m.Title, "body": m.Body, "path": m.Path})
	must(t, err)
	tab.Pushed(x.issuer, string(message))
	shown := tab.Awaits(`navigator.serviceWorker.ready.then(worker => worker.getNotifications())
		.then(all => all.map(n => n.body + " " + n.data).join())`)
	if shown != "An agent waits for your answer. "+path {
		t.Errorf("the browser shows %q", shown)
	}

	tab.Press(".account form button") // sign out
	signIn()
	tab.Waits("Your agents")
	tab.Until("the page has told the server again", func() bool {
		sessions, err := x.store.SessionsOf(t.Context(), x.user.ID)
		must(t, err)
		return slices.ContainsFunc(sessions, func(s store.Session) bool { return len(s.Push) > 0 })
	})
	x.waits("delete_ticket", `{"id":"WEB-2"}`)
	p.gets("laptop")
	tab.Open(x.issuer + "/account")
	tab.Press("form[data-push-off] button")
	tab.Waits("This browser is told nothing any more.", "Tell me in this browser when an agent waits")
	tab.Press(".account form button")
	signIn()
	tab.Waits("Tell me in this browser when an agent waits")
	x.server.Close()
	p.hasNone("laptop")
}
