package main_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// TestAgentsPageAtWork: a real Guard's calls are on the page of the user, and so is how fast it
// acted on the user's "End now" (DESIGN §6, P1; research/ux.md U2).
func TestAgentsPageAtWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.token(t)
	w.works(t, f)
	if res, err := w.r1.Call(t.Context(), f.Key, f.Access(), "delete_ticket", readArguments); err != nil || res.Status != http.StatusForbidden {
		t.Fatalf("a tool that was not allowed: %v %s", err, res)
	}
	open := func(path string) blackbox.Landing {
		t.Helper()
		at, err := w.mara.Get(t.Context(), w.issuer+path)
		if err != nil || at.Status != http.StatusOK {
			t.Fatalf("%s: %v %s", path, err, at.Response)
		}
		return at
	}
	eventually(t, 5*time.Second, "the page shows the calls", func() bool {
		page := open("/agents").Page.Text
		return strings.Contains(page, "it is outside what you allowed") && strings.Contains(page, "All 2 calls")
	})
	at := open("/agents")
	form, ok := at.Page.With("task")
	if !ok {
		t.Fatalf("no form that ends the task: %s", at.Page.Text)
	}
	began := time.Now()
	at, err := w.mara.Submit(t.Context(), at.Page, form, form.Filled().Set("action", "end"))
	if err != nil || at.Status != http.StatusOK {
		t.Fatalf("end now: %v %s", err, at.Response)
	}
	took := time.Since(began)
	said := regexp.MustCompile(`is ended: dead everywhere in (0\.\d) s`).FindString(at.Page.Text)
	if said == "" || took > 2*time.Second {
		t.Fatalf("after %s the page says: %s", took, at.Page.Text)
	}
	t.Logf("%s; the page was there after %s", said, took.Round(time.Millisecond))
	if res, err := w.r1.Call(t.Context(), f.Key, f.Access(), "get_ticket", readArguments); err != nil || res.Status != http.StatusUnauthorized {
		t.Errorf("dead, yet: %v %s", err, res)
	}
}
