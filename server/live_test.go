package server_test

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
)

// news is an open stream of GET /agents/live.
type news struct {
	t      testing.TB
	status int
	events chan string // closed when the stream has ended
}

func (b *browser) watch(headers ...string) *news {
	b.w.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	b.w.t.Cleanup(stop)
	r, err := http.NewRequestWithContext(ctx, "GET", b.w.issuer+"/agents/live", nil)
	must(b.w.t, err)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := b.http.Do(r)
	must(b.w.t, err)
	n := &news{b.w.t, resp.StatusCode, make(chan string, 1000)}
	go func() {
		defer resp.Body.Close()
		defer close(n.events)
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				n.events <- name
			}
		}
	}()
	return n
}

// hears waits for a word that something has moved.
func (n *news) hears(what string) {
	n.t.Helper()
	select {
	case e, open := <-n.events:
		if !open || e != "changed" {
			n.t.Fatalf("%s: %q", what, e)
		}
	case <-time.After(10 * time.Second):
		n.t.Fatalf("%s: not a word", what)
	}
}

func TestLive(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	_, claims := w.lend()
	c := &caller{guardian: g, claims: claims}
	mine, tab, others := w.mara().watch(), w.mara().watch(), w.person("otto@example.com").watch()
	for _, n := range []*news{mine, tab, others} {
		n.hears("at once")
	}
	told := func(what string) {
		t.Helper()
		must(t, w.server.Settle(context.Background()))
		mine.hears(what)
		tab.hears(what)
	}
	c.calls("get_ticket")
	told("a call")
	w.move("suspend", claims.Task.ID)
	told("a pause")
	w.move("end", claims.Task.ID)
	told("an end")
	g.call("POST", "/feed/ack", map[string]int64{"seq": 2})
	told("an acknowledgement")
	w.lend()
	told("another task")
	if len(others.events) > 0 {
		t.Error("somebody else heard of it")
	}
}

func TestLiveIsForTheSignedIn(t *testing.T) {
	w := newWorld(t)
	for name, n := range map[string]*news{
		"nobody":              w.browser().watch(),
		"from another site":   w.mara().watch("Sec-Fetch-Site", "cross-site"),
		"from another host":   w.mara().watch("Sec-Fetch-Site", "same-site"),
		"typed as an address": w.mara().watch("Sec-Fetch-Site", "none"),
	} {
		if n.status != http.StatusForbidden {
			t.Errorf("%s: %d", name, n.status)
		}
	}
	mine := w.mara().watch("Sec-Fetch-Site", "same-origin")
	mine.hears("at once")
	w.server.Close()
	for range mine.events { // until it ends with the server
	}
	if n := w.mara().watch(); n.status != http.StatusServiceUnavailable {
		t.Errorf("a stopped server: %d", n.status)
	}
}

// counting is a store that counts how often the ledger is read.
type counting struct {
	store.Store
	reads chan struct{}
}

func (c *counting) Records(ctx context.Context, f store.RecordFilter) ([]store.Record, error) {
	c.reads <- struct{}{}
	return c.Store.Records(ctx, f)
}

// TestManyPagesAreCheap: news are read once, however many pages wait, and wake only those concerned.
func TestManyPagesAreCheap(t *testing.T) {
	db := &counting{reads: make(chan struct{}, 10000)}
	w := newWorldOn(t, func(s store.Store) store.Store { db.Store = s; return db })
	g := w.guard(ticketsURI)
	_, claims := w.lend()
	c := &caller{guardian: g, claims: claims}
	const users, each = 50, 20
	var idle []*news
	for i := range users {
		b := w.person(string(rune('a'+i/26)) + string(rune('a'+i%26)) + "@example.com")
		for range each {
			idle = append(idle, b.watch())
		}
	}
	mine := w.mara().watch()
	mine.hears("at once")
	for _, n := range idle {
		n.hears("at once")
	}
	must(t, w.server.Settle(context.Background()))
	for len(db.reads) > 0 {
		<-db.reads
	}
	began := time.Now()
	c.calls("get_ticket", "get_ticket")
	mine.hears("a call")
	t.Logf("heard of it %s after the Guard's report, beside %d other pages", time.Since(began), len(idle))
	for _, n := range idle {
		if len(n.events) > 0 {
			t.Fatal("a page was woken that is not concerned")
		}
	}
	if n := len(db.reads); n > 2 { // one for the pages, one before the seal
		t.Errorf("the ledger was read %d times", n)
	}
}

func TestPagesPerUser(t *testing.T) {
	w := newWorld(t)
	for range 20 {
		if n := w.mara().watch(); n.status != http.StatusOK {
			t.Fatal(n.status)
		}
	}
	if n := w.mara().watch(); n.status != http.StatusServiceUnavailable {
		t.Errorf("one too many: %d", n.status)
	}
	if n := w.person("otto@example.com").watch(); n.status != http.StatusOK {
		t.Errorf("somebody else: %d", n.status)
	}
}
