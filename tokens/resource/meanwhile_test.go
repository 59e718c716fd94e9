package resource_test

import (
	"context"
	"encoding/json"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/remit-auth/remit/tokens/resource"
)

// TestEndsWhileTheCallWaits: what has ended while the call waited for something else does not run, though
// it was alive when the call came.
func TestEndsWhileTheCallWaits(t *testing.T) {
	var meanwhile atomic.Pointer[func()]
	w := newWorld(t, func(c *resource.Config) {
		list := c.Tools
		c.Tools = func(ctx context.Context) ([]json.RawMessage, error) {
			if do := meanwhile.Swap(nil); do != nil {
				(*do)()
			}
			return list(ctx)
		}
	})
	tests := map[string]struct {
		do     func(task, jti string)
		status int
		code   resource.Code
	}{
		"the task ends":        {func(task, _ string) { w.issuer.EndTask(task) }, http.StatusUnauthorized, resource.TaskEnded},
		"the task is paused":   {func(task, _ string) { w.issuer.SuspendTask(task) }, http.StatusForbidden, resource.TaskSuspended},
		"the token is revoked": {func(_, jti string) { w.issuer.RevokeToken(jti) }, http.StatusUnauthorized, resource.TokenRevoked},
	}
	for name, tc := range tests {
		token := w.token(reader())
		if a := w.call(token, "search_tickets", web); a.status != http.StatusOK {
			t.Fatalf("%s: before: %d %s", name, a.status, a.body)
		}
		w.issuer.Advance(2 * time.Second) // the definitions are read again
		ran := w.calls()
		do := func() { tc.do(token.Claims.Task.ID, token.Claims.ID) }
		meanwhile.Store(&do)
		w.wants(w.call(token, "search_tickets", web), tc.status, tc.code)
		if w.calls() != ran {
			t.Errorf("%s: the call ran", name)
		}
	}
	w.good()
}
