//go:build browser

package web

import (
	"testing"

	"github.com/remit-auth/remit/web/webtest"
)

// TestBrowserAxe lets axe-core judge every sample page, as it is looked at. Without scripts, only a
// page that has one can be another.
func TestBrowserAxe(t *testing.T) {
	pages := samples(asIs)
	url, b := serve(t, pages), webtest.Start(t, nil)
	for _, look := range webtest.Looks {
		t.Run(look.String(), func(t *testing.T) {
			tab := b.Person(t, look)
			for name := range pages {
				if look.NoScript && !scripted(name) {
					continue
				}
				tab.Open(url + "/" + name)
				tab.Accessible()
			}
		})
	}
}
