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
	_ = w
	tab := webtest.Start(t, map[string]string{}).Person(t, webtest.Look{})
	keys := tab.Authenticator()
	tab.Open(at + "/account")
	tab.Type("#email", "mara@example.com")
	tab.Type("#password", password)
	tab.Press("form:not([data-passkey]) button[type=submit]")
	tab.Type("#passkey-name", "Mara’s laptop")
	tab.Press(`form[data-passkey=create] button`)
	tab.Waits("The passkey was added.", "Mara’s laptop", "never")
	tab.Accessible()

	signOut := func() {
		tab.Press(".account form button")
		tab.Open(at + "/account")
	}
	signOut()
	keys.Verifies(false)
	tab.Click(`form[data-passkey=get] button`)
	tab.Waits("Sign in with a passkey")
	keys.Verifies(true)
	tab.Press(`form[data-passkey=get] button`)
	tab.Waits("Your account", "with a passkey")
	if strings.Contains(tab.Text(), "never") {
		t.Error("the passkey was never used")
	}
	signOut()
	keys.SignsWrongly(true)
	tab.Press(`form[data-passkey=get] button`)
	tab.Waits("This passkey was not accepted.")
	keys.SignsWrongly(false)
	tab.Press(`form[data-passkey=get] button`)
	tab.Waits("Your account")
	tab.Press(`.entries button[value=passkey_remove]`)
	tab.Waits("The passkey was removed.", "You have no passkey yet.")
	signOut()
	tab.Press(`form[data-passkey=get] button`)
	tab.Waits("This passkey was not accepted.")
}
