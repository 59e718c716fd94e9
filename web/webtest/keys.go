//go:build browser

package webtest

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Key presses keys where the focus is.
func (t *Tab) Key(keys string) {
	t.T.Helper()
	t.Do(chromedp.KeyEvent(keys))
}

// focus is where the focus is, and how a person sees it.
type focus struct {
	None    bool   // it is on nothing
	Element string // its tag as it stands in the page, shortened
	Ring    bool   // a line of at least 2 px is drawn around it, or around its label (WCAG 2.4.7)
	Seen    bool   // it is on the screen and nothing covers it (WCAG 2.4.11)
	First   bool   // it is the first stop again
	After   bool   // it comes after the former stop in the page (WCAG 2.4.3)
	Is      bool   // it is what is looked for
}

const readFocus = `(selector => {
	const e = document.activeElement
	if (!e || e === document.body) return JSON.stringify({None: true})
	const ring = e => { const s = getComputedStyle(e); return s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2 }
	const r = e.getBoundingClientRect(), top = document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2)
	const after = !window.stop_ || !window.stop_.isConnected || !!(window.stop_.compareDocumentPosition(e) & Node.DOCUMENT_POSITION_FOLLOWING)
	const first = window.first_ === e
	window.stop_ = e
	window.first_ ||= e
	return JSON.stringify({
		Element: e.outerHTML.slice(0, 160), Ring: [e, ...(e.labels || [])].some(ring), After: after, First: first, Is: e.matches(selector),
		Seen: r.width > 0 && r.height > 0 && !!top && (e.contains(top) || top.contains(e) || [...(e.labels || [])].some(l => l.contains(top))),
	})
})(%q)`

func (t *Tab) focused(selector string) (f focus) {
	t.T.Helper()
	t.must(json.Unmarshal([]byte(t.Read(fmt.Sprintf(readFocus, selector))), &f))
	return f
}

// maxStops is more than any page has.
const maxStops = 400

// TabTo presses the tab key until the selector's element has the focus. Each stop on the way must be
// plain to see, and come after the one before it.
func (t *Tab) TabTo(selector string) {
	t.T.Helper()
	stops := 0
	for range maxStops {
		t.Key(kb.Tab)
		f := t.focused(selector)
		if f.None || f.First && !f.Is {
			t.T.Fatalf("the keyboard does not reach %s in %d stops on %s", selector, stops, t.Text())
		}
		stops++
		t.visible(f)
		if f.Is {
			return
		}
	}
	t.T.Fatalf("the keyboard does not come to %s", selector)
}

func (t *Tab) visible(f focus) {
	t.T.Helper()
	if !f.Ring || !f.Seen || !f.After {
		t.T.Errorf("%s, %s: ring %v, on the screen %v, in order %v: %s", t.Address(), t.Look, f.Ring, f.Seen, f.After, f.Element)
	}
}

// Walk goes through the whole page with the tab key and says how many stops there are.
func (t *Tab) Walk() (stops int) {
	t.T.Helper()
	for range maxStops {
		t.Key(kb.Tab)
		f := t.focused("*")
		if f.None || f.First {
			return stops
		}
		stops++
		t.visible(f)
	}
	t.T.Errorf("%s: the keyboard is caught", t.Address())
	return stops
}

// Stops counts what the keyboard should reach: all that can be used, and of a group of radio buttons one.
const Stops = `(() => {
	const all = [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']")]
		.filter(e => !e.disabled && (e.checkVisibility({visibilityProperty: true}) || e.matches(".skip")))
	const groups = new Set()
	return String(all.filter(e => {
		if (e.type !== "radio") return true
		const group = e.name + (e.form ? [...document.forms].indexOf(e.form) : "")
		return groups.has(group) ? false : groups.add(group)
	}).length)
})()`

// controls are the roles of what people use.
var controls = []string{
	"button", "link", "checkbox", "radio", "textbox", "searchbox", "combobox", "listbox", "spinbutton", "slider", "switch", "DisclosureTriangle", "menuitem", "tab",
}

// Nameless lists what a screen reader has no name for: controls, groups, pictures, landmarks of which
// there are several.
func (t *Tab) Nameless() (all []string) {
	t.T.Helper()
	tree := command(t, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	text := func(v *accessibility.Value) (s string) {
		if v != nil {
			_ = json.Unmarshal(v.Value, &s)
		}
		return s
	}
	n := 0
	for _, node := range tree.Nodes {
		role := text(node.Role)
		if node.Ignored || !slices.Contains(controls, role) && role != "group" && role != "image" && role != "region" {
			continue
		}
		if slices.Contains(controls, role) {
			n++
		}
		if text(node.Name) == "" && (role != "group" || len(node.ChildIDs) > 0 && role == "fieldset") {
			all = append(all, fmt.Sprintf("%s %s", role, node.NodeID))
		}
	}
	if n == 0 {
		all = append(all, "no control at all")
	}
	return all
}

// ForcedColors makes the tab draw with the colours of the system alone, as people do who need contrast.
func (t *Tab) ForcedColors() {
	t.T.Helper()
	command(t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "forced-colors", Value: "active"}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
}
