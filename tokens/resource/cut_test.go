package resource_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/tokens/resource"
	"github.com/remit-auth/remit/tokens/resource/resourcetest"
)

// TestAnswersEndWithTheirTask is RS13 for a server that knows nothing of permits: what it says after the end
// goes nowhere, whether it heeds its context or not, and the agent sees that the answer was broken off.
func TestAnswersEndWithTheirTask(t *testing.T) {
	ends := map[string]func(*resourcetest.Issuer, *resourcetest.Token){
		"the task ends":        func(i *resourcetest.Issuer, t *resourcetest.Token) { i.EndTask(t.Claims.Task.ID) },
		"the task is paused":   func(i *resourcetest.Issuer, t *resourcetest.Token) { i.SuspendTask(t.Claims.Task.ID) },
		"the token is revoked": func(i *resourcetest.Issuer, t *resourcetest.Token) { i.RevokeToken(t.Claims.ID) },
	}
	for _, heeds := range []bool{true, false} {
		for name, end := range ends {
			t.Run(fmt.Sprintf("%s, heeds %t", name, heeds), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				victim, bystander := w.token(reader()), w.token(reader())
				stopped, release := make(chan error, 1), make(chan struct{})
				w.mu.Lock()
				w.serve = func(rw http.ResponseWriter, r *http.Request) {
					if p, _ := resource.PrincipalFrom(r.Context()); p.Task != victim.Claims.Task.ID {
						say(rw)
						<-release
						say(rw)
						return
					}
					stopped <- goOn(rw, r, heeds)
				}
				w.mu.Unlock()
				others := begin(w, bystander)
				mine := begin(w, victim)
				ended := time.Now()
				end(w.issuer, victim)
				rest, err := io.ReadAll(mine)
				if took := time.Since(ended); err == nil || took > 2*time.Second { // P1
					t.Errorf("after %v the answer ended with %v: %.40q", took, err, rest)
				}
				if err := <-stopped; err == nil {
					t.Error("the server could go on")
				}
				close(release)
				if rest, err := io.ReadAll(others); err != nil || string(rest) != event {
					t.Errorf("another task's answer: %q %v", rest, err)
				}
				w.mu.Lock()
				w.serve = nil
				w.mu.Unlock()
				w.good()
			})
		}
	}
}

const event = "data: {}\n\n"

func say(rw http.ResponseWriter) error {
	if _, err := io.WriteString(rw, event); err != nil {
		return err
	}
	return http.NewResponseController(rw).Flush()
}

// goOn says something again and again, and returns what stopped it.
func goOn(rw http.ResponseWriter, r *http.Request, heeds bool) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 1000 {
		if err := say(rw); err != nil {
			return err
		}
		if heeds && r.Context().Err() != nil {
			return r.Context().Err()
		}
		<-tick.C
	}
	return nil
}

// begin makes a call and returns its answer after the first event.
func begin(w *world, token *resourcetest.Token) io.Reader {
	w.Helper()
	resp, err := token.Client().Do(w.request(resourcetest.Call("search_tickets", web)))
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { resp.Body.Close() })
	if _, err := io.CopyN(new(strings.Builder), resp.Body, int64(len(event))); err != nil {
		w.Fatal(err)
	}
	return resp.Body
}
