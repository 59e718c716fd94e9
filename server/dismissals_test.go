package server_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/remit-auth/remit/store"
)

// TestConsoleDismiss: a finding that is no problem leaves the list with a reason and for good, its record
// and the suspension that came with it stay, and viewers may not.
func TestConsoleDismiss(t *testing.T) {
	w := newWorld(t)
	_, claims := w.lend()
	_, err := w.store.SuspendTask(context.Background(), claims.Task.ID, store.ByRule, "refused_calls")
	must(t, err)
	rec := store.NewRecord("rule.fired", map[string]string{"rule": "refused_calls"})
	rec.Task, rec.User, rec.Client = claims.Task.ID, w.user.ID, w.client
	must(t, w.store.Append(context.Background(), rec, store.NewRecord("finding.refresh_with_another_key", nil)))
	found := w.records("rule.fired")[0]
	viewer, revoker, admin := w.staff("viewer@example.com", store.RoleViewer), w.staff("revoker@example.com", store.RoleRevoker), w.staff("admin@example.com", store.RoleAdmin)
	review := fmt.Sprintf("/admin/findings/dismiss?finding=%d", found.Seq)
	if page := viewer.get("/admin/findings"); strings.Contains(page.Body, "Not a problem") {
		t.Error("a viewer is offered to dismiss")
	}
	for _, page := range []answer{revoker.get("/admin/findings"), revoker.get("/admin")} {
		if !strings.Contains(page.Body, `href="`+review+`"`) {
			t.Errorf("no way to dismiss: %s", page.words())
		}
	}
	shows(t, revoker.get(review), "Is this finding no problem?", "A rule suspended a task", "Not a problem", fmt.Sprintf("remit finding dismiss %d --reason='…'", found.Seq))
	form := func() url.Values { return url.Values{"finding": {fmt.Sprint(found.Seq)}, "reason": {"x"}} }
	if got := viewer.fill("/admin/findings/dismiss", form()); got.Status != http.StatusForbidden {
		t.Errorf("a viewer: %d", got.Status)
	}
	if got := revoker.fill("/admin/findings/dismiss", url.Values{"finding": {fmt.Sprint(found.Seq)}}); got.Status != http.StatusBadRequest {
		t.Errorf("without a reason: %d", got.Status)
	}
	for _, other := range []string{"", "x", "0", "-1", "1", "99999", fmt.Sprint(found.Seq) + "x"} { // 1 is a record, and no finding
		got := revoker.fill("/admin/findings/dismiss", url.Values{"finding": {other}, "reason": {"x"}})
		if page := revoker.get("/admin/findings/dismiss?finding=" + url.QueryEscape(other)); got.Status != http.StatusNotFound || page.Status != http.StatusNotFound {
			t.Errorf("%q: %d, %d", other, got.Status, page.Status)
		}
	}
	shows(t, viewer.get("/admin/findings"), "A rule suspended a task")
	shows(t, revoker.act("/admin/findings/dismiss", form()), "Dismissed findings", "A rule suspended a task", "Not a problem, says revoker@example.com", "– “ INC-2291 runaway agent ”")
	for _, path := range []string{"/admin/findings", "/admin"} {
		if page := viewer.get(path); strings.Contains(page.Body, "A rule suspended a task") {
			t.Errorf("%s still lists it", path)
		}
	}
	shows(t, viewer.get("/admin/findings"), "A stolen refresh token?")
	if got := admin.fill("/admin/findings/dismiss", form()); got.Status != http.StatusConflict || !strings.Contains(got.words(), "dismissed before") {
		t.Errorf("again: %d %s", got.Status, got.words())
	}
	if again := w.records("rule.fired"); len(again) != 1 || string(again[0].Payload) != string(found.Payload) || again[0].Hash != found.Hash {
		t.Errorf("the finding's record has changed: %v", again)
	}
	told, said := w.said("findings.dismissed")
	if said["finding"] != float64(found.Seq) || said["kind"] != "rule.fired" || said["person"] != w.id("revoker@example.com") || said["reason"] != "INC-2291 runaway agent" || told.Task != claims.Task.ID {
		t.Errorf("recorded: %v", said)
	}
	if n := len(w.records("findings.dismissed")); n != 1 {
		t.Errorf("%d dismissals recorded", n)
	}
	if task, _, err := w.store.TaskByID(t.Context(), claims.Task.ID); err != nil || task.State != store.TaskSuspended || task.SuspendedBy != store.ByRule {
		t.Errorf("the task is %s by %s, %v", task.State, task.SuspendedBy, err)
	}
}

func TestAdminFindings(t *testing.T) {
	w := newWorld(t)
	must(t, w.store.Append(context.Background(), store.NewRecord("finding.code_with_another_key", nil)))
	list := func(query string) []any {
		t.Helper()
		got := w.operator("GET", "/admin/api/findings?"+query, nil)
		if got.Status != http.StatusOK {
			t.Fatalf("%s: %d %s", query, got.Status, got.Body)
		}
		return got.JSON["findings"].([]any)
	}
	open := list("")
	if len(open) != 1 || len(list("dismissed=true")) != 0 {
		t.Fatalf("open: %v", open)
	}
	seq := open[0].(map[string]any)["finding"]
	for name, tt := range map[string]struct {
		body   map[string]any
		status int
	}{
		"no reason": {map[string]any{"finding": seq, "reason": " "}, 400}, "two lines": {map[string]any{"finding": seq, "reason": "a\nb"}, 400}, "unknown": {map[string]any{"finding": 99999, "reason": "x"}, 404},
	} {
		if got := w.operator("POST", "/admin/api/findings/dismiss", tt.body); got.Status != tt.status {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
	if got := w.operator("POST", "/admin/api/findings/dismiss", map[string]any{"finding": seq, "reason": "a test"}); got.Status != http.StatusOK {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	if got := w.operator("POST", "/admin/api/findings/dismiss", map[string]any{"finding": seq, "reason": "a test"}); got.Status != http.StatusConflict {
		t.Errorf("again: %d %s", got.Status, got.Body)
	}
	if len(list("")) != 0 || len(list("dismissed=true")) != 1 || len(list("dismissed=true&limit=1&before=1")) != 0 {
		t.Error("it is not in the list of the dismissed, or still in the other")
	}
}
