//go:build browser

package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
	"github.com/remit-auth/remit/web/webtest"
)

// setUpLine is where the log of a new server says that the first admin is made.
var setUpLine = regexp.MustCompile(`http://\S+/setup\?code=\S+`)

// TestBrowserFirstAdmin: who has just started a server opens the page that its log names, and is its
// admin. Nobody is by that page a second time.
func TestBrowserFirstAdmin(t *testing.T) {
	t.Parallel()
	b := webtest.Start(t, nil)
	for _, look := range webtest.Looks {
		t.Run(look.String(), func(t *testing.T) {
			p := serve(t, "")
			page := ""
			eventually(t, 10*time.Second, "the log says where", func() bool {
				page = setUpLine.FindString(p.log.String())
				return page != ""
			})
			tab := b.Person(t, look)
			if got := tab.Open(page); got.Status != http.StatusOK {
				t.Fatalf("the page: %d", got.Status)
			}
			tab.Accessible()
			tab.Type("#email", "ada@acme.example")
			tab.Type("#name", "Ada")
			tab.Type("#password", blackbox.Random(12))
			tab.Press("form .btn[type=submit]")
			tab.Shows("ada@acme.example", "Where you are signed in")
			tab.Accessible()
			if got := tab.Open(p.issuer + "/admin"); got.Status != http.StatusOK {
				t.Errorf("the console: %d", got.Status)
			}
			tab.Shows("ada@acme.example", "There are no such tasks.")
			stranger := b.Person(t, look)
			if got := stranger.Open(page); got.Status != http.StatusNotFound {
				t.Errorf("the page once more: %d", got.Status)
			}
			if got := stranger.Open(p.issuer + "/admin"); got.Status != http.StatusUnauthorized {
				t.Errorf("the console, for a stranger: %d", got.Status)
			}
			stranger.Shows("Sign in")
		})
	}
}

// TestBrowserUpstream: people sign in at another OpenID provider, which is a Remit of its own here, and
// come back as users of this one; a no there is a no here.
func TestBrowserUpstream(t *testing.T) {
	t.Parallel()
	provider := serve(t, "")
	person := &blackbox.Browser{Email: "lin@acme.example", Password: blackbox.Random(12)}
	provider.remit(t, nil, person.Password+"\n", "user", "add", "--email", person.Email, "--name", "Lin", "--password-stdin")
	p := &process{dir: shortDir(t), listen: freeAddress(t)}
	p.issuer = "http://" + p.listen
	var party struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	provider.remit(t, &party, blackbox.Object{
		"client_name": "Agents of Acme", "redirect_uris": []string{p.issuer + "/signin/from/acme"}, "grant_types": []string{"authorization_code"},
		"token_endpoint_auth_method": "client_secret_basic", "remit": blackbox.Object{"bearer": true},
	}.JSON(), "client", "add", "-")
	file := filepath.Join(p.dir, "upstream.yaml")
	raw, err := json.Marshal(map[string]any{"providers": []any{map[string]any{
		"name": "acme", "title": "Acme Login", "issuer": provider.issuer, "client_id": party.ID, "client_secret": party.Secret, "add_users": true,
	}}})
	if err == nil {
		err = os.WriteFile(file, raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	p.env = append(engineEnv(t), "REMIT_UPSTREAM_FILE="+file)
	p.run(t)
	p.remit(t, nil, blackbox.Random(12)+"\n", "user", "add", "--email", "ada@acme.example", "--name", "Ada", "--password-stdin")
	b := webtest.Start(t, nil)
	for _, look := range webtest.Looks {
		t.Run(look.String(), func(t *testing.T) {
			leaves := func() *webtest.Tab {
				tab := b.Person(t, look)
				tab.Open(p.issuer + "/agents")
				tab.Accessible()
				tab.Press(`a[href*="/signin/with/acme"]`)
				tab.Type("#email", person.Email)
				tab.Type("#password", person.Password)
				tab.Press(signInButton)
				tab.Shows("Agents of Acme", p.issuer)
				return tab
			}
			tab := leaves()
			tab.Press(denyButton)
			tab.Shows("Sign in")
			tab.Open(p.issuer + "/agents")
			tab.Shows("Sign in")

			tab = leaves()
			tab.Accessible()
			for _, scope := range tab.Values("input[name=read]:not(:checked)", "value") {
				tab.Click(fmt.Sprintf("input[name=read][value=%q]", scope))
			}
			tab.Press(allowButton)
			tab.Shows("Signed in as", person.Email, "Your agents")
			if at := tab.Address(); at != p.issuer+"/agents" {
				t.Errorf("led to %s", at)
			}
		})
	}
}
