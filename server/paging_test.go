package server_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/remit-auth/remit/store"
)

// copies adds n live tasks like the one with this id: the first of them of its user, the others of users
// named usr_0 to usr_99.
func (w *world) copies(id string, n, ofUser int) {
	w.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.ToSlash(w.path)+"?_pragma=busy_timeout(20000)")
	must(w.t, err)
	defer db.Close()
	const ids = `'tsk_' || printf('%026d', n.i)`
	const numbers = ` FROM %s x, (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT i FROM n) n WHERE x.%s = ?`
	for _, add := range []string{
		`INSERT INTO tasks (id, parent, user_id, client_id, jkt, purpose, state, suspended_by, reason, max_calls, calls_used, created_at, activated_at, seen_at, suspended_at, ends_at, ended_at, pending_until)
			SELECT ` + ids + `, parent, iif(n.i <= ` + fmt.Sprint(ofUser) + `, user_id, 'usr_' || (n.i % 100)), client_id, jkt, purpose || n.i, state, suspended_by, reason, max_calls, calls_used, created_at + n.i, activated_at, seen_at, suspended_at, ends_at + n.i, ended_at, pending_until` +
			fmt.Sprintf(numbers, "tasks", "id"),
		`INSERT INTO grants (id, task_id, resource, scopes, details, hash, created_at, ended_at)
			SELECT id || n.i, ` + ids + `, resource, scopes, details, hash, created_at, ended_at` + fmt.Sprintf(numbers, "grants", "task_id"),
	} {
		_, err := db.ExecContext(w.t.Context(), add, n, id)
		must(w.t, err)
	}
}

// crowd adds users.
func (w *world) crowd(n int) {
	w.t.Helper()
	for i := range n {
		must(w.t, w.store.AddUser(w.t.Context(), store.User{ID: fmt.Sprintf("usr_%d", i), Email: fmt.Sprintf("u%03d@example.com", i), Name: strings.Repeat("Name ", 12), ConsoleRole: store.RoleUser}))
	}
}

var (
	articles  = regexp.MustCompile(`<article class="card task" id="([^"]+)"`)
	olderLink = regexp.MustCompile(`<a href="([^"]+)">Older</a>`)
	nextLink  = regexp.MustCompile(`<a href="([^"]+)">Next page</a>`)
	taskLinks = regexp.MustCompile(`href="[^"]*/admin/tasks/(tsk_[^"]+)"`)
	userLinks = regexp.MustCompile(`href="[^"]*/admin/user\?user=([^"]+)"`)
	assets    = regexp.MustCompile(`(?:href|src)="([^"]*/static/[^"]+)"`)
)

// walk follows a list's links from page to page and returns what each page lists.
func (b *browser) walk(first string, link, listed *regexp.Regexp) (all [][]string) {
	b.w.t.Helper()
	for at := first; at != "" && len(all) < 50; {
		page := b.get(at)
		var here []string
		for _, m := range listed.FindAllStringSubmatch(page.Body, -1) {
			if !slices.Contains(here, m[1]) {
				here = append(here, m[1])
			}
		}
		all, at = append(all, here), ""
		if m := link.FindStringSubmatch(page.Body); m != nil {
			at = strings.ReplaceAll(m[1], "&amp;", "&")
		}
	}
	return all
}

// eachOnce checks that the pages list so many things, none of them twice.
func eachOnce(t *testing.T, name string, pages [][]string, sizes ...int) {
	t.Helper()
	var got []int
	var all []string
	for _, p := range pages {
		got, all = append(got, len(p)), append(all, p...)
	}
	slices.Sort(all)
	if !slices.Equal(got, sizes) || len(slices.Compact(slices.Clone(all))) != len(all) {
		t.Errorf("%s: pages of %v, want %v, all different", name, got, sizes)
	}
}

func TestAgentsInPages(t *testing.T) {
	w := newWorld(t)
	_, claims := w.lend()
	w.crowd(100)
	w.copies(claims.Task.ID, 30, 24)
	b := w.mara()
	pages := b.walk("/agents", olderLink, articles)
	eachOnce(t, "running", pages, 8, 8, 8, 1)
	shows(t, b.get("/agents"), "25 tasks are running, 8 of them on this page. “Stop everything now” stops them all.")
	second := "/agents?before=" + pages[0][7]
	csrf := hidden(b.get(second).Body).Get("csrf")

	// What is done on an older page leads back to it.
	got := b.post(second, url.Values{"csrf": {csrf}, "action": {"end"}, "task": {pages[1][0]}})
	if got.Status != http.StatusSeeOther || !strings.Contains(got.Header.Get("Location"), "before="+pages[0][7]) {
		t.Fatalf("ended: %d %s", got.Status, got.Header.Get("Location"))
	}
	shows(t, b.get(got.Header.Get("Location")), "is ended", "24 tasks are running, 8 of them")
	// A page begins after a task of this user, and of nobody else.
	for _, id := range []string{"tsk_" + fmt.Sprintf("%026d", 30), "tsk_nobody"} {
		for _, query := range []string{"before", "finished", "ended"} {
			if got := b.get("/agents?" + query + "=" + id); got.Status != http.StatusNotFound {
				t.Errorf("%s=%s: %d", query, id, got.Status)
			}
		}
	}

	// Everything is more than what one page shows.
	got = b.post(second, url.Values{"csrf": {csrf}, "action": {"end_all"}})
	if got.Status != http.StatusSeeOther {
		t.Fatalf("all: %d %s", got.Status, got.Body)
	}
	got = b.get(got.Header.Get("Location"))
	if got.Status != http.StatusSeeOther { // its page has become empty
		t.Fatalf("after all: %d", got.Status)
	}
	shows(t, b.get(got.Header.Get("Location")), "Everything is stopped", "No agent is working for you")
	live, err := w.store.TaskCount(t.Context(), store.TaskFilter{Live: true})
	must(t, err)
	if live != 6 {
		t.Errorf("%d tasks live, want those 6 of others", live)
	}
	eachOnce(t, "finished", b.walk("/agents", olderLink, regexp.MustCompile(`<tr role="row" id="([^"]+)"`)), 8, 8, 8, 1)
}

func TestConsoleInPages(t *testing.T) {
	w := newWorld(t)
	_, claims := w.lend()
	w.crowd(100)
	w.copies(claims.Task.ID, 200, 44)
	b := w.staff("admin@example.com", store.RoleAdmin)
	filter := "/admin?user=" + w.user.ID
	shows(t, b.get(filter), "20 of 45 tasks, newest first")
	eachOnce(t, "tasks of a user", b.walk(filter, olderLink, taskLinks), 20, 20, 5)
	shows(t, b.get("/admin"), "201", "20 of 201 tasks, newest first")
	users := b.walk("/admin/users?user=u0", nextLink, userLinks)
	eachOnce(t, "users", users, 25, 25, 25, 25)
	second := b.get("/admin/users?user=u0&after=" + users[0][24])
	shows(t, second, "26 to 50 of 100", "Previous page")
}

// packed is how many bytes a file takes on its way to a browser.
func (b *browser) packed(path string) int {
	b.w.t.Helper()
	r, err := http.NewRequestWithContext(b.w.t.Context(), http.MethodGet, b.w.issuer+path, nil)
	must(b.w.t, err)
	r.Header.Set("Accept-Encoding", "gzip, deflate, br") // said here, so that the client does not unpack
	resp, err := b.http.Do(r)
	got := read(b.w.t, resp, err)
	if got.Status != http.StatusOK || got.Header.Get("Content-Encoding") != "gzip" {
		b.w.t.Errorf("%s: %d %v", path, got.Status, got.Header)
	}
	return len(got.Body)
}

// TestFullPagesAreLight: nobody waits for a page because its lists are long.
func TestFullPagesAreLight(t *testing.T) {
	const most, overhead = 50 << 10, 500 // with all that belongs to it, nothing in the cache; heads of answers
	w := newWorld(t)
	_, claims := w.lend()
	w.crowd(200)
	w.copies(claims.Task.ID, 390, 190)
	c := &caller{guardian: w.guard(ticketsURI)}
	for range 11 {
		_, c.claims = w.lend()
		c.calls("get_ticket constraint_violated", "get_ticket approval_required", "get_ticket", "get_ticket constraint_violated")
	}
	db, err := sql.Open("sqlite", "file:"+filepath.ToSlash(w.path)+"?_pragma=busy_timeout(20000)")
	must(t, err)
	defer db.Close()
	_, err = db.ExecContext(t.Context(), `UPDATE tasks SET state = 'revoked', reason = 'user', ended_at = created_at + 1 WHERE id <= 'tsk_' || printf('%026d', 20) AND id > 'tsk_0000'`)
	must(t, err)
	_, err = db.ExecContext(t.Context(), `UPDATE tasks SET purpose = ?`, strings.Repeat("Look into what customers say of it. ", 28))
	must(t, err)
	light := func(b *browser, path string) {
		t.Helper()
		page := b.get(path)
		bytes := overhead + len(page.Body)
		for _, m := range assets.FindAllStringSubmatch(page.Body, -1) {
			bytes += overhead + b.packed(m[1])
		}
		if t.Logf("%6d bytes, %6d of them the page itself  %s", bytes, len(page.Body), path); page.Status != http.StatusOK || bytes > most {
			t.Errorf("%s: %d, %d bytes", path, page.Status, bytes)
		}
	}
	light(w.mara(), "/agents")
	admin := w.staff("admin@example.com", store.RoleAdmin)
	for _, path := range []string{"/admin", "/admin?state=any&user=" + w.user.ID, "/admin/users", "/admin/users?user=u0", "/admin/clients"} {
		light(admin, path)
	}
	mara := w.mara()
	got := mara.post("/agents", url.Values{"csrf": {hidden(mara.get("/agents").Body).Get("csrf")}, "action": {"end_all"}})
	light(mara, strings.TrimPrefix(got.Header.Get("Location"), w.issuer))
}
