package server_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/remit-auth/remit/store"
)

// defective panics where it is told to, with a secret in its mouth.
type defective struct {
	store.Store
	ends, appends atomic.Bool
	lists         atomic.Int32 // that are still good; 0: all
}

func (d *defective) EndTask(ctx context.Context, e store.End, recs ...store.Record) ([]store.Task, error) {
	if d.ends.Load() {
		panic("a secret: rr_xyz")
	}
	return d.Store.EndTask(ctx, e, recs...)
}

func (d *defective) Append(ctx context.Context, recs ...store.Record) error {
	if d.appends.Load() {
		panic("this one too")
	}
	return d.Store.Append(ctx, recs...)
}

func (d *defective) TaskList(ctx context.Context, f store.TaskFilter) ([]store.Task, error) {
	if d.lists.Load() > 0 && d.lists.Add(-1) == 0 {
		panic("half way")
	}
	return d.Store.TaskList(ctx, f)
}

// TestPanics: who meets a defect is told nothing but that, and the ledger and the console tell of it.
func TestPanics(t *testing.T) { // FT14
	broken := &defective{}
	w := newWorldOn(t, func(s store.Store) store.Store { broken.Store = s; return broken })
	a := w.agent(w.client)
	got := a.tokens()
	revoke := func() answer {
		return a.send("/revoke", url.Values{"client_id": {a.client}, "token": {got.text("refresh_token")}})
	}
	broken.ends.Store(true)
	refused := revoke()
	if refused.Status != http.StatusInternalServerError || refused.error() != "server_error" || strings.Contains(refused.Body, "rr_xyz") {
		t.Errorf("%d %s", refused.Status, refused.Body)
	}
	found := w.records("finding.server_panicked")
	if len(found) != 1 || found[0].Request != nameOf(t, refused.Header) || !strings.Contains(string(found[0].Payload), "/revoke") || strings.Contains(string(found[0].Payload), "rr_xyz") {
		t.Errorf("%+v", found)
	}
	page := w.staff("sam@example.org", store.RoleViewer).get("/admin/findings")
	if !strings.Contains(page.Body, "A defect of this server") || !strings.Contains(page.Body, nameOf(t, refused.Header)) {
		t.Errorf("the console: %s", page.words())
	}
	if res := w.operator("POST", "/admin/api/tasks/end", map[string]string{"id": got.text("task_id"), "reason": "x"}); res.Status != http.StatusInternalServerError || !strings.HasPrefix(res.Header.Get("Content-Type"), "application/problem+json") {
		t.Errorf("an admin: %d %s", res.Status, res.Body)
	}

	for range 20 {
		revoke()
	}
	if n := len(w.records("finding.server_panicked")); n < 2 || n > 12 {
		t.Errorf("%d findings of one defect", n)
	}

	broken.appends.Store(true) // the store can do nothing any more
	if refused := revoke(); refused.Status != http.StatusInternalServerError || refused.error() != "server_error" {
		t.Errorf("without a record: %d %s", refused.Status, refused.Body)
	}
	broken.ends.Store(false)
	broken.appends.Store(false)
	if res := revoke(); res.Status != http.StatusOK {
		t.Errorf("afterwards: %d %s", res.Status, res.Body)
	}
}

// TestPanicHalfWay: an answer that has begun when the defect shows is broken off, and not ended as if it were whole.
func TestPanicHalfWay(t *testing.T) { // FT14
	broken := &defective{}
	w := newWorldOn(t, func(s store.Store) store.Store { broken.Store = s; return broken })
	w.lend()
	served := httptest.NewServer(w.server.Admin())
	defer served.Close()
	export := func() error {
		res, err := served.Client().Get(served.URL + "/admin/api/tasks/export?format=jsonl")
		if err != nil {
			return err
		}
		defer res.Body.Close()
		_, err = io.ReadAll(res.Body)
		return err
	}
	broken.lists.Store(2)
	if err := export(); err == nil {
		t.Error("half a file looks whole")
	}
	if found := w.records("finding.server_panicked"); len(found) != 1 {
		t.Errorf("%d findings", len(found))
	}
	if err := export(); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
