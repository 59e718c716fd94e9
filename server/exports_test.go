package server_test

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
)

// rows are the lines of a CSV file after the first, by its names.
func rows(t *testing.T, got answer) (all []map[string]string) {
	t.Helper()
	lines, err := csv.NewReader(strings.NewReader(got.Body)).ReadAll()
	if err != nil || len(lines) == 0 {
		t.Fatalf("%d %v: %s", got.Status, err, got.Body)
	}
	for _, line := range lines[1:] {
		row := map[string]string{}
		for i, name := range lines[0] {
			row[name] = line[i]
		}
		all = append(all, row)
	}
	return all
}

// TestExportIsTheList: what the console's filter selects is what its file holds, in every format, and
// who took it along is told.
func TestExportIsTheList(t *testing.T) {
	w := newWorld(t)
	_, running := w.lend()
	_, over := w.lend()
	w.move("end", over.Task.ID)
	b := w.staff("viewer@example.com", store.RoleViewer)
	for query, want := range map[string]string{
		"": running.Task.ID, "&state=any": over.Task.ID + " " + running.Task.ID, "&state=revoked": over.Task.ID, "&tool=search_tickets": running.Task.ID, "&key=unbound": "",
		"&state=any&user=MARA@example.com&limit=1": over.Task.ID, "&user=viewer@example.com": "",
	} {
		var ids []string
		for _, row := range rows(t, b.get("/admin/export/tasks?format=csv"+query)) {
			ids = append(ids, row["id"])
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("%q: %s, want %s", query, got, want)
		}
		page := b.get("/admin?" + strings.TrimPrefix(query, "&"))
		if link := `/admin/export/tasks?format=csv`; !strings.Contains(page.Body, link) {
			t.Errorf("%q: the page has no %s", query, link)
		}
	}
	page := b.get("/admin?tool=search_tickets&user=mara@example.com").Body
	if !strings.Contains(page, `href="/admin/export/tasks?format=ocsf&amp;tool=search_tickets&amp;user=mara%40example.com"`) {
		t.Error("the page's file is of another filter")
	}
	for _, list := range []string{"tasks", "ledger"} {
		for format, media := range map[string]string{"csv": "text/csv; charset=utf-8", "json": "application/json", "jsonl": "application/x-ndjson", "ocsf": "application/x-ndjson"} {
			w.clock.Add(11 * time.Second) // a file every ten seconds
			got := b.get("/admin/export/" + list + "?format=" + format)
			for name, want := range map[string]string{
				"Content-Type": media, "Content-Disposition": `attachment; filename="remit-` + list + `.` + format + `"`, "Cache-Control": "no-store",
				"X-Content-Type-Options": "nosniff", "Remit-Export-Limit": "100000",
			} {
				if got.Status != http.StatusOK || got.Header.Get(name) != want {
					t.Errorf("%s as %s: %d %s: %s", list, format, got.Status, name, got.Header.Get(name))
				}
			}
			if format == "json" && !json.Valid([]byte(got.Body)) || got.Body == "" {
				t.Errorf("%s as %s: %s", list, format, got.Body)
			}
		}
	}
	rec, p := w.said("console.exported")
	if p["person"] != w.id("viewer@example.com") || p["list"] == nil || p["format"] == nil || rec.Task != "" {
		t.Errorf("told: %v", p)
	}
	for _, path := range []string{"/admin/export/tasks?", "/admin/export/tasks?format=xml", "/admin/export/tasks?format=csv&limit=0", "/admin/export/tasks?format=csv&limit=100001", "/admin/export/tasks?format=csv&state=x", "/admin/export/tasks?format=csv&tool=x&state=any", "/admin/export/ledger?format=../x"} {
		if got := b.get(path); got.Status != http.StatusBadRequest || got.Header.Get("Content-Disposition") != "" {
			t.Errorf("%s: %d %v", path, got.Status, got.Header)
		}
	}
	for range 20 {
		if got := b.get("/admin/export/tasks?format=csv"); got.Status == http.StatusTooManyRequests {
			return
		}
	}
	t.Error("anybody may take any number of files at once")
}

// TestExportSaysNoArgument: calls leave with the names of their tools, and nothing that the agent passed.
func TestExportSaysNoArgument(t *testing.T) {
	w := newWorld(t)
	_, claims := w.lend()
	c := &caller{guardian: w.guard(ticketsURI), claims: claims}
	c.calls("search_tickets", "delete_ticket tool_not_granted")
	must(t, w.server.Settle(context.Background()))
	secret := store.NewRecord("execution.decided", map[string]any{"tool": "=x", "arguments": "SECRET-VALUE", "values": map[string]any{"a": "SECRET-VALUE"}})
	secret.Task, secret.User = claims.Task.ID, w.user.ID
	must(t, w.store.Append(context.Background(), secret))
	b := w.staff("viewer@example.com", store.RoleViewer)
	for _, path := range []string{"/admin/export/ledger?format=csv", "/admin/export/ledger?format=jsonl", "/admin/export/ledger?format=json", "/admin/export/ledger?format=ocsf"} {
		if got := b.get(path); got.Status != http.StatusOK || strings.Contains(got.Body, "SECRET-VALUE") || !strings.Contains(got.Body, "delete_ticket") {
			t.Errorf("%s: %d %s", path, got.Status, got.Body)
		}
	}
	if got := b.get("/admin/ledger"); strings.Contains(got.Body, "SECRET-VALUE") {
		t.Errorf("the page says an argument: %s", got.words())
	}
	got := rows(t, b.get("/admin/export/ledger?format=csv&kind=execution.decided&task="+claims.Task.ID))
	if len(got) != 3 || got[0]["tool"] != "'=x" || got[1]["tool"] != "delete_ticket" || got[2]["tool"] != "search_tickets" {
		t.Errorf("%v", got)
	}
	of := func(query string) int {
		w.clock.Add(11 * time.Second)
		return len(rows(t, b.get("/admin/export/ledger?format=csv&"+query)))
	}
	for query, least := range map[string]int{"user=mara@example.com": 3, "user=" + w.user.ID: 3, "resource=" + url.QueryEscape(ticketsURI): 2, "kind=nonsense": 0, "limit=2": 2, "limit=1&kind=execution.decided": 1} {
		if n := of(query); n < least || strings.HasPrefix(query, "limit") && n != least || least == 0 && n != 0 {
			t.Errorf("%s: %d rows", query, n)
		}
	}
}

// TestAdminExport: the same files of the admin API, as its description says.
func TestAdminExport(t *testing.T) {
	w := newWorld(t)
	_, claims := w.lend()
	for _, path := range []string{"/admin/api/tasks/export?live=true&format=", "/admin/api/audit/export?kind=task.created&user=mara@example.com&format="} {
		for _, format := range []string{"csv", "json", "jsonl", "ocsf"} {
			if got := w.operator("GET", path+format, nil); got.Status != http.StatusOK || !strings.Contains(got.Body, claims.Task.ID) {
				t.Errorf("%s%s: %d %s", path, format, got.Status, got.Body)
			}
		}
		if got := w.operator("GET", path+"xml", nil); got.Status != http.StatusBadRequest {
			t.Errorf("xml: %d", got.Status)
		}
	}
	if got := w.operator("GET", "/admin/api/audit/export?user=nobody@example.com&format=csv", nil); got.Status != http.StatusNotFound {
		t.Errorf("of nobody: %d", got.Status)
	}
	if got := w.operator("GET", "/admin/api/audit/records?kind=task.created&user=mara@example.com", nil); strings.Count(got.Body, "\n") != 1 {
		t.Errorf("records of a user: %s", got.Body)
	}
}

// stuttering is a store that fails to list tasks after so many pages.
type stuttering struct {
	store.Store
	pages int
}

func (f *stuttering) TaskList(ctx context.Context, tf store.TaskFilter) ([]store.Task, error) {
	if f.pages--; f.pages < 0 {
		return nil, errors.New("disk on fire")
	}
	return f.Store.TaskList(ctx, tf)
}

// TestExportIsWholeOrBroken: a file that could not be written to its end is no file, and a long one is
// the newest rows, each once.
func TestExportIsWholeOrBroken(t *testing.T) {
	var flaky *stuttering
	w := newWorldOn(t, func(s store.Store) store.Store { flaky = &stuttering{s, 1 << 30}; return flaky })
	_, claims := w.lend()
	w.copies(claims.Task.ID, 1300, 1300)
	b := w.staff("viewer@example.com", store.RoleViewer)
	seen := map[string]bool{}
	for _, row := range rows(t, b.get("/admin/export/tasks?format=csv&limit=1201")) {
		seen[row["id"]] = true
	}
	if len(seen) != 1201 {
		t.Errorf("%d tasks", len(seen))
	}
	flaky.pages = 1
	resp, err := b.http.Get(w.issuer + "/admin/export/tasks?format=json")
	must(t, err)
	defer resp.Body.Close()
	var all []any
	if err := json.NewDecoder(resp.Body).Decode(&all); err == nil {
		t.Errorf("a file that broke off looks whole: %d rows", len(all))
	}
	flaky.pages = 0
	if got := b.get("/admin/export/tasks?format=json"); got.Status < 500 || got.Header.Get("Content-Disposition") != "" || strings.Contains(got.Body, "fire") {
		t.Errorf("%d %v", got.Status, got.Header)
	}
	flaky.pages = 1 << 30
	if got := b.get("/admin/export/tasks?format=json"); got.Status != http.StatusOK || !json.Valid([]byte(got.Body)) {
		t.Errorf("afterwards: %d", got.Status)
	}
}

func TestConsoleLedger(t *testing.T) {
	w := newWorld(t)
	_, claims := w.lend()
	w.move("end", claims.Task.ID)
	admin := w.staff("admin@example.com", store.RoleAdmin)
	if got := admin.fill("/admin/rotate", url.Values{"reason": {"routine"}}); got.Status != http.StatusSeeOther {
		t.Fatalf("rotate: %d", got.Status)
	}
	must(t, w.server.Settle(context.Background()))
	size, head, err := w.store.Head(context.Background())
	must(t, err)
	b := w.staff("viewer@example.com", store.RoleViewer)
	page := b.get("/admin/ledger")
	shows(t, page, "Ledger", "Last sealed "+w.clock.Now().UTC().Format("15:04:05")+" UTC", fmt.Sprintf("Records %d", size), head.String(), fmt.Sprintf("the first %d records", size),
		"admin@example.com key.rotated – “ routine ”", "task.ended", "task.created", "newest 100000 rows at most", "remit audit tail --last=50", "remit audit verify", "remit audit export --format=csv")
	if !strings.Contains(page.Body, `href="/admin/tasks/`+claims.Task.ID+`"`) {
		t.Error("no way to the task")
	}
	for query, want := range map[string][2]string{
		"kind=key.rotated":       {"key.rotated", "task.created"},
		"task=" + claims.Task.ID: {"task.created", "key.rotated"},
		"user=mara@example.com":  {"task.created", "key.rotated"},
		"resource=" + url.QueryEscape(ticketsURI) + "&kind=token.issued": {"token.issued", "key.added"},
		"user=mara@example.com&kind=task.created":                        {"task.created", "consent.allowed"},
	} {
		got := b.get("/admin/ledger?" + query)
		if got.Status != http.StatusOK || !strings.Contains(got.Body, ">"+want[0]+"<") && !strings.Contains(got.words(), want[0]) || strings.Contains(got.words(), " "+want[1]+" ") {
			t.Errorf("%s: %d %s", query, got.Status, got.words())
		}
	}
	shows(t, b.get("/admin/ledger?user=nobody@example.com"), "There is no such user.", "There are no such records.")
	shows(t, b.get("/admin/ledger?kind="+url.QueryEscape("<script>")), "Without Kind, such as task.ended: &lt;script&gt;", "There are no such records.")
	for i := range 120 {
		must(t, w.store.Append(context.Background(), store.NewRecord("test.many", map[string]int{"i": i})))
	}
	must(t, w.server.Settle(context.Background()))
	seen := 0
	for path := "/admin/ledger?kind=test.many"; path != ""; {
		got := b.get(path)
		seen += strings.Count(got.Body, ">test.many<")
		next := olderLink.FindStringSubmatch(got.Body)
		if path = ""; next != nil {
			path = strings.ReplaceAll(next[1], "&amp;", "&")
		}
		if len(got.Body) > 50<<10 {
			t.Errorf("%d bytes", len(got.Body))
		}
	}
	if seen != 120 {
		t.Errorf("%d records on the pages", seen)
	}
	// A ledger that does not go through its newest seal is told at once, though nobody reads all of it.
	mutate(t, w.path, `UPDATE ledger SET hash = zeroblob(32) WHERE seq = (SELECT MAX(size) FROM checkpoints)`)
	must(t, w.store.Append(context.Background(), store.NewRecord("test.after", nil)))
	shows(t, b.get("/admin/ledger"), "it was altered")
}
