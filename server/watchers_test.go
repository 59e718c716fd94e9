package server_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// The page of a user who watches costs the server a connection and little else.
const (
	watchers    = 1000
	perWatcher  = 64 << 10 // bytes, with both ends of the connection, which are in this process
	perPerson   = 20       // pages of one user
	watchPeople = watchers / perPerson
)

// watcher is a raw connection on which a page listens.
type watcher struct {
	conn  net.Conn
	lines *bufio.Reader
}

// hears reads up to the next word that something has moved.
func (c watcher) hears(deadline time.Time) error {
	if err := c.conn.SetReadDeadline(deadline); err != nil {
		return err
	}
	for {
		line, err := c.lines.ReadString('\n')
		if err != nil {
			return err
		}
		if strings.TrimSpace(line) == "event: changed" {
			return nil
		}
	}
}

// TestLiveHoldsAThousand: so many pages listen at once; each is told of what moves, and forgotten when it
// goes.
func TestLiveHoldsAThousand(t *testing.T) {
	w := newWorld(t)
	host := strings.TrimPrefix(w.issuer, "http://")
	var users []store.User
	var cookies []string
	for i := range watchPeople {
		u := store.User{ID: tokens.NewID("usr_"), Email: fmt.Sprintf("u%d@example.com", i), ConsoleRole: store.RoleUser}
		must(t, w.store.AddUser(t.Context(), u))
		secret := tokens.NewSecret("sid_")
		must(t, w.store.AddSession(t.Context(), store.Session{ID: store.HashOf(secret), UserID: u.ID, AuthTime: w.clock.Now(), ExpiresAt: w.clock.Now().Add(time.Hour)}))
		users, cookies = append(users, u), append(cookies, secret)
	}
	before := inUse()
	open := make([]watcher, watchers)
	deadline := time.Now().Add(2 * time.Minute)
	each := func(what string, do func(i int) error) {
		t.Helper()
		var all sync.WaitGroup
		errs := make(chan error, watchers)
		for i := range watchers {
			all.Go(func() {
				if err := do(i); err != nil {
					errs <- err
				}
			})
		}
		all.Wait()
		if len(errs) > 0 {
			t.Fatalf("%s: %d of %d were not served: %v", what, len(errs), watchers, <-errs)
		}
	}
	each("at once", func(i int) error {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", host)
		if err != nil {
			return err
		}
		open[i] = watcher{conn, bufio.NewReaderSize(conn, 512)}
		fmt.Fprintf(conn, "GET /agents/live HTTP/1.1\r\nHost: %s\r\nSec-Fetch-Site: same-origin\r\nCookie: remit_session=%s\r\n\r\n", host, cookies[i/perPerson])
		return open[i].hears(deadline)
	})
	used := (inUse() - before) / watchers
	t.Logf("%d bytes for each watcher", used)
	if used > perWatcher {
		t.Errorf("%d bytes for each watcher, more than %d", used, perWatcher)
	}
	for _, u := range users {
		rec := store.NewRecord("task.seen", nil)
		rec.User, rec.Task = u.ID, tokens.NewID("tsk_")
		must(t, w.store.Append(t.Context(), rec))
	}
	must(t, w.server.Settle(t.Context()))
	each("what moves", func(i int) error { return open[i].hears(deadline) })

	// They go, and leave room for others.
	each("going", func(i int) error { return open[i].conn.Close() })
	last := w.browser()
	last.signIn()
	n := last.watch()
	n.hears("after them")
	if n.status != http.StatusOK {
		t.Errorf("a page after them: %d", n.status)
	}
}

// inUse is the memory in use, stacks with it.
func inUse() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapInuse + m.StackInuse)
}
