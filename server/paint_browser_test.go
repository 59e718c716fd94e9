//go:build browser

package server_test

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/web/webtest"
)

// liveTasks are in the database while pages are looked at.
const liveTasks = 10_000

// TestPaint prints how soon pages are there in a browser, of a server with many live tasks, and what they
// weigh: make pages runs it. Times are the machine's, so that no limit is held here.
func TestPaint(t *testing.T) {
	w := newWorld(t)
	_, claims := w.lend()
	w.crowd(100)
	w.copies(claims.Task.ID, liveTasks-1, 100)
	w.staff("admin@example.com", store.RoleAdmin)
	tab := webtest.Start(t, nil).Person(t, webtest.Look{})
	see := func(name, path string) {
		t.Helper()
		var times []float64
		for range 11 {
			tab.Open(w.issuer + path)
			at, err := strconv.ParseFloat(tab.Awaits(`new Promise(done => new PerformanceObserver((list, self) => {
				for (const e of list.getEntriesByName("first-contentful-paint")) {
					self.disconnect()
					done(String(e.startTime))
				}
			}).observe({type: "paint", buffered: true}))`), 64)
			must(t, err)
			times = append(times, at)
		}
		slices.Sort(times)
		bytes, _ := tab.Weight()
		t.Logf("%-28s first paint %4.0f ms (median of %d, worst %4.0f ms), %3d KB", name, times[len(times)/2], len(times), times[len(times)-1], bytes>>10)
	}
	signIn := func(email string) {
		tab.Open(w.issuer + "/agents")
		tab.Type("#email", email)
		tab.Type("#password", password)
		tab.Press(".signin form:not([data-passkey]) .btn")
	}
	see("sign-in", "/agents")
	signIn("mara@example.com")
	see("consent", w.agent(w.client).push(w.agent(w.client).request()))
	see("agents, 101 tasks of theirs", "/agents")
	see("calls of a task", "/agents/"+claims.Task.ID)
	see("account", "/account")
	tab.Press(".account form button")
	signIn("admin@example.com")
	for _, page := range []string{"", "/findings", "/users", "/clients", "/resources", "/tasks/" + claims.Task.ID} {
		see(fmt.Sprintf("console %s", page[:min(len(page), 18)]), "/admin"+page)
	}
}
