package main_test

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

type contextOf = context.Context

// want is a right answer of the catalogue; several statuses or codes are alternatives.
type want struct {
	statuses []int
	codes    []string // of the JSON body; nil: any or none
	page     bool     // an HTML page
}

// The catalogue's words (research/attacks.md 4.0).

// E is HTTP 400 with this error.
func E(codes ...string) want { return want{statuses: []int{400}, codes: codes} }

// E401 is 401 invalid_client.
func E401() want { return want{statuses: []int{401}, codes: []string{"invalid_client"}} }

// PAGE is a 400 page that leads nowhere.
func PAGE() want { return want{statuses: []int{400}, page: true} }

// or adds another status to the alternatives.
func (x want) or(status int) want {
	x.statuses = append(slices.Clone(x.statuses), status)
	return x
}

func (x want) check(t *testing.T, res blackbox.Response) {
	t.Helper()
	sane(t, res)
	seen(t, res)
	if !slices.Contains(x.statuses, res.Status) {
		t.Errorf("status %d, want %v: %s", res.Status, x.statuses, res)
	}
	if x.page {
		checkPage(t, res)
		return
	}
	if res.Status == http.StatusRequestHeaderFieldsTooLarge {
		return // the listener's own answer, before anything of ours has run
	}
	if x.codes != nil && !slices.Contains(x.codes, res.Code()) {
		t.Errorf("error %q, want %v: %s", res.Code(), x.codes, res)
	}
	if res.Status >= 400 && res.Status != http.StatusNotFound {
		if cc := res.Header.Get("Cache-Control"); !strings.Contains(cc, "no-store") {
			t.Errorf("Cache-Control %q of a refusal: %s", cc, res)
		}
		if ct := res.Header.Get("Content-Type"); !strings.HasPrefix(ct, "application/json") {
			t.Errorf("Content-Type %q of a refusal: %s", ct, res)
		}
	}
}

// checkPage holds a refusal page to its word: it leads nowhere and runs nothing.
func checkPage(t *testing.T, res blackbox.Response) {
	t.Helper()
	if !strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") || res.Header.Get("Location") != "" || res.Header.Get("Refresh") != "" {
		t.Errorf("not a page that leads nowhere: %s %v", res, res.Header)
	}
	if csp := res.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") {
		t.Errorf("Content-Security-Policy %q", csp)
	}
	for _, bad := range []string{"<script", "<img onerror", "javascript:", "http-equiv"} {
		if bytes.Contains(bytes.ToLower(res.Body), []byte(bad)) {
			t.Errorf("the page contains %q", bad)
		}
	}
}

// sane holds for every answer: no failure of the server, and nothing of its inside.
func sane(t *testing.T, res blackbox.Response) {
	t.Helper()
	if res.Status >= 500 {
		t.Errorf("the server failed: %s", res)
	}
	for _, inside := range []string{"goroutine ", ".go:", "sqlite", "SELECT ", "INSERT ", "UPDATE ", "runtime error", "fosite"} {
		if bytes.Contains(res.Body, []byte(inside)) {
			t.Errorf("the answer shows %q of the inside: %s", inside, res)
		}
	}
}

// redirects checks REDIR(x): after sign-in, 303 to the client with the error, the state and the issuer.
func (w *world) redirects(t *testing.T, at blackbox.Landing, f *blackbox.Flow, codes ...string) {
	t.Helper()
	u, err := url.Parse(at.URL)
	if err != nil || !at.Left || at.Status != http.StatusSeeOther || !strings.HasPrefix(at.URL, f.Redirect+"?") {
		t.Errorf("not a 303 to the client: %s %s", at.URL, at.Response)
		return
	}
	q := u.Query()
	jot(t, "303 to the client, "+q.Get("error"))
	if !slices.Contains(codes, q.Get("error")) || q.Get("state") != f.State || q.Get("iss") != w.issuer || q.Has("code") {
		t.Errorf("redirected with %s, want error %v, the state and the issuer", u.RawQuery, codes)
	}
}

// pageOrRedirect checks an answer that the catalogue leaves open: a page, or an error to the client.
func (w *world) pageOrRedirect(t *testing.T, at blackbox.Landing, f *blackbox.Flow, codes ...string) {
	t.Helper()
	if at.Left {
		w.redirects(t, at, f, codes...)
		return
	}
	PAGE().check(t, at.Response)
}

// open opens an address as Mara, and checks that nothing is added by it.
func (w *world) open(t *testing.T, address string) blackbox.Landing {
	t.Helper()
	records, tasks := w.rows(t)
	at, err := w.mara.Get(t.Context(), address)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	sane(t, at.Response)
	if r, n := w.rows(t); r != records || n != tasks {
		t.Errorf("opening it added %d ledger records and %d tasks", r-records, n-tasks)
	}
	return at
}

// front is the address of an authorization request that was not pushed.
func (w *world) front(form blackbox.Form) string { return w.server.Authorize + "?" + form.Encode() }

// asks checks that an address shows Mara the consent page.
func (w *world) asks(t *testing.T, address string) blackbox.Landing {
	t.Helper()
	at, err := w.mara.Get(t.Context(), address)
	if _, _, ok := blackbox.ConsentForm(at); err != nil || !ok {
		t.Errorf("no consent page: %v %s", err, at.Response)
	}
	return at
}

// refusesPage checks that each address gives a page that leads nowhere, and that the good request
// is shown afterwards.
func (w *world) refusesPage(t *testing.T, addresses map[string]string) {
	t.Helper()
	for name, address := range addresses {
		t.Run(name, func(t *testing.T) { PAGE().check(t, w.landed(t, address)) })
	}
	w.asks(t, w.front(w.flow().PushForm()))
}

// landed opens an address and fails when the browser was sent away from the server.
func (w *world) landed(t *testing.T, address string) blackbox.Response {
	t.Helper()
	at := w.open(t, address)
	if at.Left {
		t.Errorf("the browser was sent to %s", at.URL)
	}
	return at.Response
}
