package resource_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/tokens/resource"
)

func TestKilledKey(t *testing.T) {
	w := newWorld(t)
	token := w.token(reader())
	if a := w.call(token, "search_tickets", web); a.status != http.StatusOK {
		t.Fatalf("before: %d", a.status)
	}
	w.issuer.Kill()
	w.wants(w.call(token, "search_tickets", web), http.StatusUnauthorized, resource.BadToken)
	w.good() // signed by the survivor
	w.restart()
	w.ready()
	w.wants(w.call(token, "search_tickets", web), http.StatusUnauthorized, resource.BadToken)
	w.good()
}

// TestKilledWhileAway kills a key while the Guard cannot hear: it refuses all, and knows when it is back.
func TestKilledWhileAway(t *testing.T) {
	w := newWorld(t)
	token := w.token(reader())
	w.good()
	w.issuer.Silence(true)
	w.issuer.Kill()
	w.issuer.Advance(11 * time.Second)
	w.wants(w.call(token, "search_tickets", web), http.StatusServiceUnavailable, resource.StaleView)
	w.issuer.Silence(false)
	w.ready()
	w.wants(w.call(token, "search_tickets", web), http.StatusUnauthorized, resource.BadToken)
	w.good()
}

func TestEpoch(t *testing.T) {
	var log bytes.Buffer
	w := newWorld(t, func(c *resource.Config) { c.Log = logTo(&log) })
	lines := func() []string {
		raw, _ := os.ReadFile(filepath.Join(w.config.StateDir, "witness.jsonl"))
		return strings.Fields(string(raw))
	}
	head := func(n int) string { return fmt.Sprintf("%064x", n) }
	w.issuer.SetLedger(9, head(9))
	w.eventually("the first checkpoint", func() bool { return len(lines()) == 1 })
	token := w.token(reader())
	w.issuer.Restore(7, head(70))
	w.wants(w.call(token, "search_tickets", web), http.StatusUnauthorized, resource.TaskEnded)
	w.issuer.Advance(2 * time.Second)
	w.good()                        // issued after
	w.issuer.SetLedger(7, head(70)) // a beat tells it
	w.eventually("a checkpoint of the shorter ledger", func() bool { return len(lines()) == 2 })
	w.restart()
	w.ready()
	w.wants(w.call(token, "search_tickets", web), http.StatusUnauthorized, resource.TaskEnded)
	w.good()
	w.issuer.SetLedger(8, head(80))
	w.eventually("the next one", func() bool { return len(lines()) == 3 })
	w.issuer.SetLedger(6, head(60)) // but never back within an epoch
	w.eventually("the alarm", func() bool { return strings.Contains(w.logged(&log), "the ledger was rewritten") })
	if len(lines()) != 3 {
		t.Errorf("kept %v", lines())
	}
}
