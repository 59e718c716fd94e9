//go:build browser

package server_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
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
	for i := range liveTasks / 100 {
		must(t, w.store.AddUser(t.Context(), store.User{ID: fmt.Sprintf("usr_%d", i), Email: fmt.Sprintf("u%d@example.com", i), ConsoleRole: store.RoleUser}))
	}
	db, err := sql.Open("sqlite", "file:"+filepath.ToSlash(w.path)+"?_pragma=busy_timeout(20000)")
	must(t, err)
	t.Cleanup(func() { db.Close() })
	const ids = `'tsk_' || printf('%026d', n.i)`
	const numbers = ` FROM %s x, (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT i FROM n) n WHERE x.%s = ?`
	for _, copies := range []string{
		`INSERT INTO tasks (id, parent, user_id, client_id, jkt, purpose, state, suspended_by, reason, max_calls, calls_used, created_at, activated_at, seen_at, suspended_at, ends_at, ended_at, pending_until)
			SELECT ` + ids + `, parent, iif(n.i <= 100, user_id, 'usr_' || (n.i % 100)), client_id, jkt, purpose || n.i, state, suspended_by, reason, max_calls, calls_used, created_at + n.i, activated_at, seen_at, suspended_at, ends_at + n.i, ended_at, pending_until` +
			fmt.Sprintf(numbers, "tasks", "id"),
		`INSERT INTO grants (id, task_id, resource, scopes, details, hash, created_at, ended_at)
			SELECT id || n.i, ` + ids + `, resource, scopes, details, hash, created_at, ended_at` + fmt.Sprintf(numbers, "grants", "task_id"),
	} {
		_, err := db.ExecContext(t.Context(), copies, liveTasks-1, claims.Task.ID)
		must(t, err)
	}
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
	see("agents, 100 of them", "/agents")
	see("calls of a task", "/agents/"+claims.Task.ID)
	see("account", "/account")
	tab.Press(".account form button")
	signIn("admin@example.com")
	for _, page := range []string{"", "/findings", "/users", "/clients", "/resources", "/tasks/" + claims.Task.ID} {
		see(fmt.Sprintf("console %s", page[:min(len(page), 18)]), "/admin"+page)
	}
}
