//go:build browser

package webtest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// axeVersion is the release of axe-core that .ci/install puts into the user's cache.
const axeVersion = "4.14.1"

// axe is axe-core itself.
var axe = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	source, err := os.ReadFile(filepath.Join(cache, "remit", "axe-core-"+axeVersion, "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		return "", fmt.Errorf("axe-core is not here, .ci/install fetches it: %w", err)
	}
	return string(source), nil
})

// axeRun asks for all that axe-core knows of WCAG 2.0 to 2.2, levels A and AA, and for what it
// calls best practice.
const axeRun = `axe.run(document, {
	resultTypes: ["violations"],
	runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}).then(r => JSON.stringify({
	Passed: r.passes.length,
	Violations: r.violations.map(v => ({ID: v.id, Help: v.help, Nodes: v.nodes.map(n => n.target.join(" ") + "  " + n.html + "  " + n.failureSummary)})),
}))`

// fewestRules is how many rules at least a page passes; with fewer, axe-core did not see the page.
const fewestRules = 15

// Accessible checks that axe-core finds nothing to blame in what the tab shows, and that nothing
// has to be scrolled sideways.
func (t *Tab) Accessible() {
	t.T.Helper()
	for _, v := range t.violations() {
		t.T.Errorf("%s, %s: %s", t.Address(), t.Look, v)
	}
	if by := t.Read(`String(document.documentElement.scrollWidth - document.documentElement.clientWidth)`); by != "0" {
		t.T.Errorf("%s, %s: scrolls sideways by %s px (WCAG 1.4.10)", t.Address(), t.Look, by)
	}
}

// violations is what axe-core finds in the page. The page's own policy stays in force: what the
// debugger evaluates is not held to it.
func (t *Tab) violations() []string {
	t.T.Helper()
	source, err := axe()
	t.must(err)
	// axe-core needs timers, which are off with scripts; those that the page did not run, it will not now.
	command(t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{})
	defer command(t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: t.Look.NoScript})
	t.evaluate(source + "\n;\"\"")
	var found struct {
		Passed     int
		Violations []struct {
			ID, Help string
			Nodes    []string
		}
	}
	t.must(json.Unmarshal([]byte(t.evaluate(axeRun, chromedp.EvalAwaitPromise)), &found))
	var all []string
	for _, v := range found.Violations {
		all = append(all, v.ID+": "+v.Help+"\n"+strings.Join(v.Nodes, "\n"))
	}
	if found.Passed < fewestRules {
		all = append(all, fmt.Sprintf("axe-core found only %d rules to apply to %s", found.Passed, t.Text()))
	}
	return all
}
