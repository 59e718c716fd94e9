//go:build browser

package web

import (
	"strconv"
	"testing"

	"github.com/remit-auth/remit/web/webtest"
)

// TestBrowserKeyboard goes through every sample page with the tab key alone: it comes to all that can be
// used, in the page's order, and the focus is plain to see, also in forced colours.
func TestBrowserKeyboard(t *testing.T) {
	pages := samples(asIs)
	url, b := serve(t, pages), webtest.Start(t, nil)
	for _, look := range []struct {
		name   string
		wear   webtest.Look
		forced bool
	}{{"as it is", webtest.Look{}, false}, {"forced colours, 320 px", webtest.Look{Narrow: true}, true}} {
		t.Run(look.name, func(t *testing.T) {
			tab := b.Person(t, look.wear)
			if look.forced {
				tab.ForcedColors()
			}
			for name := range pages {
				tab.Open(url + "/" + name)
				tab.Until("what scripts show is there", func() bool {
					return tab.Read(`String([...document.querySelectorAll("#updates")].every(e => e.checkVisibility()))`) == "true"
				})
				want := tab.Read(webtest.Stops)
				if got := strconv.Itoa(tab.Walk()); got != want {
					t.Errorf("%s: the keyboard comes to %s of %s", name, got, want)
				}
			}
		})
	}
}

// TestBrowserNames: all that can be used has a name and a role for those who listen.
func TestBrowserNames(t *testing.T) {
	pages := samples(asIs)
	url, tab := serve(t, pages), webtest.Start(t, nil).Person(t, webtest.Look{})
	for name := range pages {
		tab.Open(url + "/" + name)
		for _, nameless := range tab.Nameless() {
			t.Errorf("%s: a %s has no name", name, nameless)
		}
	}
}

// TestBrowserLargeText: with letters of twice the size (WCAG 1.4.4) and with the spacing of WCAG 1.4.12,
// nothing is cut off and nothing has to be scrolled sideways.
func TestBrowserLargeText(t *testing.T) {
	pages := samples(asIs)
	url, tab := serve(t, pages), webtest.Start(t, nil).Person(t, webtest.Look{})
	const grow = `(() => {
		document.documentElement.style.fontSize = "200%"
		for (const e of document.body.querySelectorAll("*")) {
			e.style.letterSpacing = "0.12em"
			e.style.wordSpacing = "0.16em"
		}
		const cut = [...document.body.querySelectorAll("p, h1, h2, h3, li, td, th, label, legend, button, a.btn, .chip")]
			.filter(e => e.checkVisibility() && !e.closest(".unseen, .skip") && getComputedStyle(e).overflowX === "hidden" && e.scrollWidth > e.clientWidth + 1)
			.map(e => e.outerHTML.slice(0, 100))
		const by = document.documentElement.scrollWidth - document.documentElement.clientWidth
		return (by > 0 ? "scrolls sideways by " + by + " px " : "") + cut.join()
	})()`
	for name := range pages {
		tab.Open(url + "/" + name)
		if wrong := tab.Read(grow); wrong != "" {
			t.Errorf("%s: %s", name, wrong)
		}
	}
}

// TestBrowserStill: whoever asked for less motion sees none (WCAG 2.3.3).
func TestBrowserStill(t *testing.T) {
	pages := samples(asIs)
	url, tab := serve(t, pages), webtest.Start(t, nil).Person(t, webtest.Look{})
	const moving = `[...document.querySelectorAll("*")].filter(e => {
		const s = getComputedStyle(e)
		return s.animationName !== "none" || s.transitionDuration.split(", ").some(d => parseFloat(d) > 0) || s.scrollBehavior === "smooth"
	}).map(e => e.outerHTML.slice(0, 80)).join()`
	for name := range pages {
		tab.Open(url + "/" + name)
		if moves := tab.Read(moving); moves != "" {
			t.Errorf("%s: %s", name, moves)
		}
	}
}
