//go:build browser

package server_test

import (
	"strings"
	"testing"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/web/webtest"
)

// passkeyTab is a browser on a server that has passkeys, and the server's address there.
func passkeyTab(t *testing.T) (*webtest.Tab, string) {
	t.Helper()
	var at string
	w := newWorldOn(t, func(s store.Store) store.Store { return s }, func(c *server.Config) {
		c.Issuer = strings.Replace(c.Issuer, "127.0.0.1", "localhost", 1) // passkeys belong to a domain
		at = c.Issuer
	})
	host := strings.TrimPrefix(at, "http://")
	return webtest.Start(t, map[string]string{host: strings.TrimPrefix(w.issuer, "http://")}).Person(t, webtest.Look{}), at
}

// addsPasskey signs in with the password and adds a passkey.
func addsPasskey(tab *webtest.Tab, at string) {
	tab.T.Helper()
	tab.Open(at + "/account")
	tab.Type("#email", "mara@example.com")
	tab.Type("#password", password)
	tab.Press("form:not([data-passkey]) button[type=submit]")
	tab.Type("#passkey-name", "Mara’s laptop")
	tab.Press(`form[data-passkey=create] button`)
	tab.Waits("The passkey was added.", "Mara’s laptop", "never")
}

// nothingByItself takes from the browser what asks for a passkey before a button is pressed: a device
// whose person answers at once would answer that, too, at a time of its own.
const nothingByItself = `PublicKeyCredential.isConditionalMediationAvailable = async () => false`

// TestBrowserPasskey: a user adds a passkey, signs out, and comes back with it; a passkey that does
// not verify its user, or signs wrongly, opens nothing.
func TestBrowserPasskey(t *testing.T) {
	tab, at := passkeyTab(t)
	keys := tab.Authenticator()
	tab.Before(nothingByItself)
	addsPasskey(tab, at)
	tab.Accessible()

	signOut := func() {
		tab.Press(".account form button")
		tab.Open(at + "/account")
	}
	use := `form[data-passkey=get] button`
	signOut()
	keys.Verifies(false)
	tab.Click(use)
	tab.Waits("not allowed")
	keys.Verifies(true)
	tab.Press(use)
	tab.Waits("Your account", "with a passkey")
	if strings.Contains(tab.Text(), "never") {
		t.Error("the passkey was never used")
	}
	signOut()
	keys.SignsWrongly(true)
	tab.Press(use)
	tab.Waits("This passkey was not accepted.")
	keys.SignsWrongly(false)
	tab.Press(use)
	tab.Waits("Your account")
	tab.Press(`.entries button[value=passkey_remove]`)
	tab.Waits("The passkey was removed.", "You have no passkey yet.")
	signOut()
	tab.Press(use)
	tab.Waits("This passkey was not accepted.")
}

// TestBrowserPasskeyByItself: the e-mail field's suggestions sign in without a button, where the browser
// offers passkeys there. A page that tells of a refusal asks for nothing by itself, or a device that
// answers at once would ask for ever.
func TestBrowserPasskeyByItself(t *testing.T) {
	tab, at := passkeyTab(t)
	keys := tab.Authenticator()
	addsPasskey(tab, at)
	keys.SignsWrongly(true)
	tab.Click(".account form button")
	tab.Waits("This passkey was not accepted.")
	if waits := tab.Values(`form[data-passkey=get]`, "dataset.waits"); len(waits) != 1 || waits[0] != "undefined" {
		t.Errorf("after a refusal the page waits %q", waits)
	}
	keys.SignsWrongly(false)
	tab.Go(at + "/account")
	tab.Waits("Your account", "with a passkey")
}
