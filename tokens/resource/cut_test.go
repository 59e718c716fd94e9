package resource_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
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

// TestDeafAnswersEnd are the ways in which a server that heeds nothing, or its agent, could go on all the same.
func TestDeafAnswersEnd(t *testing.T) {
	tests := map[string]struct {
		serve func(http.ResponseWriter, *http.Request) error // what stopped it
		front func(http.ResponseWriter) http.ResponseWriter  // what stands before the Guard
		leave bool                                           // the agent says that it sends no more, and reads on
		after int                                            // events until the task ends
	}{
		"it gives itself time": {serve: func(rw http.ResponseWriter, r *http.Request) error {
			return goOn(patient{rw}, r, false)
		}},
		"no deadline can be set": {
			serve: func(rw http.ResponseWriter, r *http.Request) error { return goOn(rw, r, false) },
			front: func(rw http.ResponseWriter) http.ResponseWriter { return flushing{rw} },
		},
		"its agent seems to have left": {leave: true, after: 75, serve: func(rw http.ResponseWriter, r *http.Request) error {
			<-r.Context().Done()
			return goOn(rw, r, false)
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if inner := w.server.Config.Handler; tt.front != nil {
				w.server.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { inner.ServeHTTP(tt.front(rw), r) })
			}
			token, stopped := w.token(reader()), make(chan error, 1)
			w.serves(func(rw http.ResponseWriter, r *http.Request) {
				_ = say(rw)
				stopped <- tt.serve(rw, r)
			})
			conn := w.dial(token)
			if tt.leave {
				if err := conn.CloseWrite(); err != nil {
					t.Fatal(err)
				}
			}
			for events := bufio.NewReader(conn); tt.after >= 0; tt.after-- {
				if _, err := events.ReadString('{'); err != nil {
					t.Fatal(err)
				}
			}
			w.issuer.EndTask(token.Claims.Task.ID)
			if err := <-stopped; err == nil {
				t.Error("the server could go on")
			}
			w.serves(nil)
			w.good()
		})
	}
}

// TestSilentAnswersEnd: an agent does not wait for a server that says nothing and does not return.
func TestSilentAnswersEnd(t *testing.T) {
	for name, first := range map[string]func(http.ResponseWriter) error{
		"before it has begun": func(http.ResponseWriter) error { return nil },
		"in the midst of it":  say,
	} {
		for _, two := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, HTTP/2 %t", name, two), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				token, began, release := w.token(reader()), make(chan struct{}), make(chan struct{})
				w.serves(func(rw http.ResponseWriter, _ *http.Request) {
					_ = first(rw)
					close(began)
					<-release
				})
				r, client := w.signed(token, resourcetest.Call("search_tickets", web)), http.DefaultClient
				if two {
					client = w.secondVersion(r)
				}
				seen := make(chan error, 1)
				go func() {
					resp, err := client.Do(r)
					if err == nil {
						_, err = io.Copy(io.Discard, resp.Body)
						resp.Body.Close()
					}
					seen <- err
				}()
				<-began
				w.issuer.EndTask(token.Claims.Task.ID)
				select {
				case err := <-seen:
					if err == nil {
						t.Error("the answer looks complete")
					}
				case <-time.After(10 * time.Second):
					t.Error("the agent still waits")
				}
				close(release)
				w.serves(nil)
				w.good()
				if n := w.outcome(); n != "error" {
					t.Errorf("the outcome is %q", n)
				}
			})
		}
	}
}

// TestDeadlinesEndWithTheAnswer: what a server has left behind touches no answer that its connection carries later.
func TestDeadlinesEndWithTheAnswer(t *testing.T) {
	w := newWorld(t)
	left := make(chan http.ResponseWriter, 1)
	w.serves(func(rw http.ResponseWriter, _ *http.Request) {
		if conn, _, err := http.NewResponseController(rw).Hijack(); err == nil {
			t.Error("the server has taken over the connection")
			conn.Close()
		}
		left <- rw
	})
	w.call(w.token(reader()), "search_tickets", web)
	rw := <-left
	if err := http.NewResponseController(rw).SetWriteDeadline(time.Now()); err == nil {
		t.Error("a deadline was set")
	}
	if n, err := rw.Write([]byte(event)); err == nil {
		t.Errorf("%d bytes were written", n)
	}
	w.serves(nil)
	w.good()
}

// TestCutOffIsTrue: why a call was cut off is said as far as it is known.
func TestCutOffIsTrue(t *testing.T) {
	for name, tt := range map[string]struct {
		config func(*resource.Config)
		end    func(*resourcetest.Issuer, *resourcetest.Token)
		want   resource.CutOff
	}{
		"an admin has stopped the client": {
			config: func(*resource.Config) {},
			end: func(i *resourcetest.Issuer, t *resourcetest.Token) {
				i.ThrowSwitch(resourcetest.Switch{ID: "swt_1", Level: "client", Subject: t.Claims.ClientID}, 0)
			},
			want: resource.CutOff{Message: "the call was cut off: an administrator has stopped it for now", Code: resource.SwitchedOff},
		},
		"the task has ended, as a Guard sees it that asks": {
			config: always,
			end:    func(i *resourcetest.Issuer, t *resourcetest.Token) { i.EndTask(t.Claims.Task.ID) },
			want:   resource.CutOff{Message: "the call was cut off: its token is no longer active", Code: resource.TokenRevoked},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tt.config)
			token, told := w.token(reader()), make(chan resource.CutOff, 1)
			w.serves(func(_ http.ResponseWriter, r *http.Request) {
				p, _ := resource.PermitFrom(r.Context())
				tt.end(w.issuer, token)
				told <- p.CutOff(p.Wait(r.Context()))
			})
			w.call(token, "search_tickets", web)
			tt.want.Task, tt.want.Reason = token.Claims.Task.ID, "insufficient_authorization"
			if got := <-told; got != tt.want {
				t.Errorf("it is told %+v", got)
			}
		})
	}
}

// patient gives each write a minute.
type patient struct{ http.ResponseWriter }

func (p patient) Write(b []byte) (int, error) {
	_ = http.NewResponseController(p.ResponseWriter).SetWriteDeadline(time.Now().Add(time.Minute))
	return p.ResponseWriter.Write(b)
}

func (p patient) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// flushing hides all of a writer but that it can flush.
type flushing struct{ http.ResponseWriter }

func (f flushing) Flush() { f.ResponseWriter.(http.Flusher).Flush() }

// serves sets what the protected server does.
func (w *world) serves(serve http.HandlerFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.serve = serve
}

// dial makes a call on a connection of its own.
func (w *world) dial(token *resourcetest.Token) *net.TCPConn {
	w.Helper()
	r := w.signed(token, resourcetest.Call("search_tickets", web))
	conn, err := net.Dial("tcp", r.URL.Host)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { conn.Close() })
	if err := r.Write(conn); err != nil {
		w.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

// secondVersion sends the request to the same server on HTTP/2.
func (w *world) secondVersion(r *http.Request) *http.Client {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	server := httptest.NewUnstartedServer(w.server.Config.Handler)
	server.Config.Protocols = &protocols
	server.Start()
	w.Cleanup(server.Close)
	r.URL.Host = strings.TrimPrefix(server.URL, "http://")
	transport := &http.Transport{Protocols: &protocols}
	w.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// outcome is how the first call ended, as it is recorded, once two have.
func (w *world) outcome() string {
	w.Helper()
	records := w.issuer.Executions(w.uri, 4)
	for _, e := range records {
		if e.Execution == records[0].Execution && e.Outcome != "" {
			return e.Outcome
		}
	}
	return ""
}
