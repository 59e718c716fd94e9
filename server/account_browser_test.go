//go:build browser

package server_test

import (
	"strings"
	"testing"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/web/webtest"
)

// TestBrowserPasskey: a user adds a passkey, signs out, and comes back with it; a passkey that does
// not verify its user, or signs wrongly, opens nothing.
func TestBrowserPasskey(t *testing.T) {
	var at string
	w := newWorldOn(t, func(s store.Store) store.Store { return s }, func(c *server.Config) {
		c.Issuer = strings.Replace(c.Issuer, "127.0.0.1", "localhost", 1) // passkeys belong to a domain
		at = c.Issuer
	})
	host := strings.TrimPrefix(at, "http://")
	tab := webtest.Start(t, map[string]string{host: strings.TrimPrefix(w.issuer, "http://")}).Person(t, webtest.Look{})
	keys := tab.Authenticator()
	tab.Open(at + "/account")
	tab.Type("#email", "mara@example.com")
	tab.Type("#password", password)
	tab.Press("form:not([data-passkey]) button[type=submit]")
	tab.Type("#passkey-name", "Mara’s laptop")
	tab.Press(`form[data-passkey=create] button`)
	tab.Waits("The passkey was added.", "Mara’s laptop", "never")
	tab.Accessible()

	signOut := func() { // and do not answer what the sign-in page asks by itself
		keys.Present(false)
		tab.Press(".account form button")
		tab.Open(at + "/account")
	}
	use := func() {
		keys.Present(true)
		tab.Press(`form[data-passkey=get] button`)
	}
	signOut()
	keys.Verifies(false)
	keys.Present(true)
	tab.Click(`form[data-passkey=get] button`)
	tab.Waits("not allowed")
	keys.Verifies(true)
	use()
	tab.Waits("Your account", "with a passkey")
	if strings.Contains(tab.Text(), "never") {
		t.Error("the passkey was never used")
	}
	signOut()
	keys.SignsWrongly(true)
	use()
	tab.Waits("This passkey was not accepted.")
	keys.SignsWrongly(false)
	use()
	tab.Waits("Your account")
	tab.Press(`.entries button[value=passkey_remove]`)
	tab.Waits("The passkey was removed.", "You have no passkey yet.")
	signOut()
	use()
	tab.Waits("This passkey was not accepted.")
}
