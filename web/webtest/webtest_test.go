//go:build browser

package webtest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestBrowserAxeFinds: a page with known faults is blamed for each of them, whatever its look.
func TestBrowserAxeFinds(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
		fmt.Fprint(w, `<!DOCTYPE html><title>x</title><main><h3>x</h3><p style="color:#888;background:#999">pale</p><input><a href="#x"></a></main>`)
	}))
	t.Cleanup(server.Close)
	b := Start(t, nil)
	for _, look := range Looks {
		t.Run(look.String(), func(t *testing.T) {
			tab := b.Person(t, look)
			tab.Open(server.URL)
			found := strings.Join(tab.violations(), "\n")
			for _, rule := range []string{"color-contrast", "html-has-lang", "label", "link-name", "page-has-heading-one"} {
				if !strings.Contains(found, rule+": ") {
					t.Errorf("%s is not blamed in %s", rule, found)
				}
			}
		})
	}
}

// TestBrowserComplains: what a page's policy forbids is heard.
func TestBrowserComplains(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'")
		fmt.Fprint(w, `<!DOCTYPE html><title>x</title><script>alert(1)</script>`)
	}))
	t.Cleanup(server.Close)
	tab := Start(t, nil).Person(t, Look{})
	tab.Open(server.URL)
	tab.Complaints("Content Security Policy")
}
