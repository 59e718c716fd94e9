package main_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
	"github.com/remit-auth/remit/cmd/remit/demo"
	"github.com/remit-auth/remit/tokens/resource"
	"github.com/remit-auth/remit/tokens/resource/mcpauth"
	"github.com/remit-auth/remit/tokens/resource/redisreplay"
)

// TestAttackRoles plays section 4.17 of the catalogue, and those of 4.16 that need a Guard of their own.
func TestAttackRoles(t *testing.T) {
	play(t, map[string]row{
		"RM1": rm1, "RM2": rm2, "RM3": rm3, "RM5": rm5, "RM6": rm6, "RM7": rm7, "RM8": rm8, "RS13": rs13, "RS14": rs14, "RS16": rs16,
	})
}

// scoped is a token that Mara lent for these scopes alone.
func (w *world) scoped(t *testing.T, r *protected, scope string) *blackbox.Flow {
	t.Helper()
	f := w.flow()
	f.Resource, f.Details, f.Scope = r.URL, "", scope
	return must(t, f, (*blackbox.Flow).ToToken)
}

// refused403 checks R403 for a tool: the challenge names what to ask for.
func refused403(t *testing.T, res blackbox.Response, scopes ...string) {
	t.Helper()
	sane(t, res)
	seen(t, res)
	challenges := blackbox.Challenges(res)
	if res.Status != http.StatusForbidden || len(challenges) == 0 {
		t.Errorf("want 403 with a challenge: %s", res)
		return
	}
	for _, c := range challenges {
		for _, scope := range scopes {
			if c.Params["error"] != "insufficient_scope" || !strings.Contains(" "+c.Params["scope"]+" ", " "+scope+" ") {
				t.Errorf("the challenge does not name %s: %s", scope, res)
			}
		}
	}
}

// rm1: the challenge names at once all that the tool needs.
func rm1(t *testing.T, w *world) {
	f := w.scoped(t, w.r1, "tickets.read")
	refused403(t, w.call(t, f, "add_comment", comment), "tool:add_comment")
	w.works(t, f)
}

// rm2: with a role that its user lost, what was issued by it is dead within P1; what is issued next is without it.
func rm2(t *testing.T, w *world) {
	b := w.person(t, "demoted", "user")
	w.remit(t, nil, "", "user", "assign", "--email", b.Email, "--resource", w.r1.URL, "--role", "admin")
	f, other := w.flow(), w.token(t)
	f.Person = b
	must(t, f, (*blackbox.Flow).ToToken)
	w.works(t, f)
	if res := w.call(t, f, "add_comment", comment); res.Status != http.StatusOK {
		t.Fatalf("with the role: %s", res)
	}
	w.remit(t, nil, "", "user", "assign", "--email", b.Email, "--resource", w.r1.URL, "--role", "reader")
	w.works(t, f) // a role more takes nothing away
	w.remit(t, nil, "", "user", "unassign", "--email", b.Email, "--resource", w.r1.URL, "--role", "admin")
	w.refusedBy(t, w.r1, f)
	w.inactive(t, w.r1, f.Access())
	must(t, f, (*blackbox.Flow).Refresh)
	refused403(t, w.call(t, f, "add_comment", comment))
	w.works(t, f)
	w.works(t, other)
}

// rm3: no argument outside what was allowed, however it is written.
func rm3(t *testing.T, w *world) {
	f := w.token(t)
	for name, arguments := range map[string]string{
		"another project": `{"project":"OPS","id":"WEB-118"}`, "no project": `{"id":"WEB-118"}`, "a list": `{"project":["WEB"],"id":"WEB-118"}`, "null": `{"project":null,"id":"WEB-118"}`, "lower case": `{"project":"web","id":"WEB-118"}`,
		"a blank": `{"project":"WEB ","id":"WEB-118"}`, "another member's case": `{"project":"WEB","Project":"OPS","id":"WEB-118"}`, "twice": `{"project":"WEB","project":"OPS","id":"WEB-118"}`, "unknown": `{"project":"WEB","id":"WEB-118","all":true}`,
	} {
		t.Run(name, func(t *testing.T) {
			body := strings.Replace(blackbox.CallBody("get_ticket", blackbox.Object{"@": 1}), `{"@":1}`, arguments, 1)
			res, err := w.r1.Post(t.Context(), "tools/call", "get_ticket", body, authorization("DPoP", f.Access()), blackbox.DPoP(w.r1.Proof(f.Key, f.Access())))
			if err != nil || res.Status != http.StatusForbidden && res.Status != http.StatusBadRequest {
				t.Errorf("%v %s", err, res)
			}
			sane(t, res)
			seen(t, res)
		})
	}
	w.works(t, f)
}

// rm5: a scope to read reaches no tool that writes.
func rm5(t *testing.T, w *world) {
	f := w.scoped(t, w.r1, "tickets.read")
	for _, tool := range []string{"add_comment", "email_customer", "delete_ticket"} {
		refused403(t, w.call(t, f, tool, comment))
	}
	w.works(t, f)
}

// rm6: a tool that is not there is refused as one that was not granted.
func rm6(t *testing.T, w *world) {
	f := w.token(t)
	known := w.call(t, f, "delete_ticket", readArguments)
	for _, tool := range []string{"format_disk", "get_ticket ", "GET_TICKET", "get_ticket\u200b", "../get_ticket", "__proto__"} {
		res := w.call(t, f, tool, readArguments)
		if sane(t, res); res.Status != known.Status && res.Status != http.StatusBadRequest {
			t.Errorf("%q: %s; one that is not granted: %s", tool, res, known)
		}
		seen(t, res)
	}
	w.works(t, f)
}

// reloaded is a protected server whose Guard reads its policy from a file.
func (w *world) reloaded(t *testing.T) (r *protected, file string, good []byte) {
	t.Helper()
	_, good = demo.NewTickets()
	file = filepath.Join(shortDir(t), "policy.yaml")
	if err := os.WriteFile(file, good, 0o600); err != nil {
		t.Fatal(err)
	}
	r = w.protectBy(t, protection{name: "Reloaded", change: func(c *resource.Config) { c.Policy, c.PolicyFile = nil, file }})
	return r, file, good
}

// at calls a tool of this server.
func (w *world) at(t *testing.T, r *protected, f *blackbox.Flow, tool string, arguments blackbox.Object) blackbox.Response {
	t.Helper()
	res, err := r.Call(t.Context(), f.Key, f.Access(), tool, arguments)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// rm7: a mapping with a mistake changes nothing, and starts nothing.
func rm7(t *testing.T, w *world) {
	r, file, good := w.reloaded(t)
	f := w.scoped(t, r, "tickets.read")
	for name, text := range map[string]string{
		"not YAML": "{", "an unknown role": "version: 1\nscopes: {tickets.read: {title: x, roles: [nobody]}}\nroles: {}\n", "a role twice": string(good) + "roles: {}\n", "an unknown member": string(good) + "admin: all\n",
		"empty": "", "a later version": strings.Replace(string(good), "version: 1", "version: 9", 1),
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := r.guard.Reload(); err == nil {
				t.Error("taken")
			}
			if res := w.at(t, r, f, "get_ticket", readArguments); res.Status != http.StatusOK {
				t.Errorf("under the old mapping: %s", res)
			}
			refused403(t, w.at(t, r, f, "delete_ticket", readArguments))
			if _, err := resource.New(t.Context(), resource.Config{Issuer: w.issuer, Resource: r.URL, StateDir: filepath.Join(shortDir(t), "guard"), Policy: []byte(text + " "), Tools: mcpauth.Tools(nil), InsecureHTTP: true}); err == nil || !strings.Contains(err.Error(), "policy") {
				t.Errorf("a Guard that starts with it: %v", err)
			}
		})
	}
	if err := os.WriteFile(file, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.guard.Reload(); err != nil {
		t.Error(err)
	}
	jot(t, "the old mapping stays in force")
}

// rm8: while the mapping changes under load, each decision is of one version, which its record names.
func rm8(t *testing.T, w *world) {
	r, _, good := w.reloaded(t)
	narrow := []byte(strings.Replace(string(good), "get_ticket: {}", "", 1))
	f := w.scoped(t, r, "tickets.read")
	version := map[bool]string{}
	for wide, text := range map[bool][]byte{true: good, false: narrow} {
		if err := r.guard.ReloadPolicy(text); err != nil {
			t.Fatal(err)
		}
		version[wide] = r.guard.PolicyStatus().Version
	}
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for range 25 {
				if res, err := r.Call(t.Context(), f.Key, f.Access(), "get_ticket", readArguments); err != nil || res.Status != http.StatusOK && res.Status != http.StatusForbidden {
					t.Errorf("%v %s", err, res)
				}
			}
		})
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				if err := r.guard.ReloadPolicy([][]byte{good, narrow}[i%2]); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	callers.Wait()
	close(stop)
	<-stopped
	decided := 0
	count := func(e entry) bool {
		decided += btoi(e.Kind == "execution.decided")
		return decided == 100
	}
	for _, e := range w.story(t, f.TaskID(), func(e entry) bool { return count(e) }) {
		if allowed := e.text("decision") == "allowed"; e.Kind == "execution.decided" && e.text("policy") != version[allowed] {
			t.Fatalf("%s under %s", e.text("decision"), e.text("policy"))
		}
	}
	jot(t, "each decision by one version, which its record names")
}

// rs13: a stream that an agent has open is closed when its task ends.
func rs13(t *testing.T, w *world) {
	r := w.protectBy(t, protection{name: "Streaming", change: func(c *resource.Config) { c.Streams = true }, serve: func(g *resource.Guard) http.Handler {
		return g.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "data: open\n\n")
			_ = http.NewResponseController(w).Flush()
			if r.Method == http.MethodGet {
				<-r.Context().Done()
			}
		}))
	}})
	f, other := w.scoped(t, r, "tickets.read"), w.scoped(t, r, "tickets.read")
	w.at(t, r, other, "get_ticket", readArguments) // which learns the nonce
	var closed [2]chan time.Time
	for i, g := range []*blackbox.Flow{f, other} {
		conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(r.URL, "http://"), "/mcp"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		proof := r.Proof(g.Key, g.Access()).Claim("htm", "GET")
		request := blackbox.Request{Method: "GET", Target: "/mcp", Headers: []blackbox.Header{{Name: "Accept", Value: "text/event-stream"}, authorization("DPoP", g.Access()), blackbox.DPoP(proof)}}
		if _, err := conn.Write(request.Bytes("x")); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(conn)
		for lines.Scan() && !strings.Contains(lines.Text(), "data: open") {
			if strings.HasPrefix(lines.Text(), "HTTP/1.1 4") {
				t.Fatalf("the stream: %s", lines.Text())
			}
		}
		closed[i] = make(chan time.Time, 1)
		go func() {
			for lines.Scan() {
			}
			closed[i] <- time.Now()
		}()
	}
	w.remit(t, nil, "", "task", "end", f.TaskID())
	ended := time.Now()
	select {
	case at := <-closed[0]:
		jot(t, "closed")
		if at.Sub(ended) > 2*time.Second {
			t.Errorf("closed after %v", at.Sub(ended))
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the stream outlives its task")
	}
	select {
	case <-closed[1]:
		t.Error("another task's stream was closed with it")
	default:
		jot(t, "another task's: open")
	}
}

// rs14: a proof counts once at all replicas of a Guard.
func rs14(t *testing.T, w *world) {
	url := aRedis(t)
	memory := func(c *resource.Config) {
		m, err := redisreplay.Open(t.Context(), redisreplay.Options{URL: url, Resource: c.Resource})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.Close() })
		c.Replay = m
	}
	var settings resource.Config
	first := w.protectBy(t, protection{name: "Replicas", change: func(c *resource.Config) { memory(c); settings = *c }})
	second := settings
	second.StateDir, second.EnrolmentCode = filepath.Join(shortDir(t), "guard"), ""
	if err := os.Mkdir(second.StateDir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"key.json", "guard.json"} {
		raw, err := os.ReadFile(filepath.Join(first.state, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(second.StateDir, name), raw, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	memory(&second)
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, _ := demo.NewTickets()
	servesGuarded(t, listen, second, func(g *resource.Guard) http.Handler { return mcpauth.Protect(g, server, nil) })
	replica := &protected{Tools: &blackbox.Tools{URL: "http://" + listen.Addr().String() + "/mcp"}}
	f := w.scoped(t, first, "tickets.read")
	w.at(t, first, f, "get_ticket", readArguments)
	for name, pair := range map[string][2]*protected{"the second": {first, replica}, "the first": {replica, first}} {
		proof := blackbox.DPoP(first.Proof(f.Key, f.Access()))
		if res := pair[0].post(t, authorization("DPoP", f.Access()), proof); res.Status != http.StatusOK {
			t.Fatalf("the first use: %s", res)
		}
		t.Run("again at "+name, func(t *testing.T) {
			refused401At(t, pair[1].post(t, authorization("DPoP", f.Access()), proof), "invalid_dpop_proof")
		})
	}
	if res := w.at(t, first, f, "get_ticket", readArguments); res.Status != http.StatusOK {
		t.Errorf("a good call: %s", res)
	}
	jot(t, goodAfter)
}

// refused401At is refused401 where the metadata's address is not looked at.
func refused401At(t *testing.T, res blackbox.Response, code string) {
	t.Helper()
	sane(t, res)
	seen(t, res)
	if res.Status != http.StatusUnauthorized || !blackbox.Challenged(res, code) {
		t.Errorf("want 401 %s: %s", code, res)
	}
}

// rs16: where each call is asked about, no answer is another's, and none is remembered.
func rs16(t *testing.T, w *world) {
	r := w.protectBy(t, protection{name: "Asking", change: func(c *resource.Config) { c.Introspection = resource.IntrospectAlways }})
	f, other := w.scoped(t, r, "tickets.read"), w.scoped(t, r, "tickets.write")
	serves := func(when string) {
		t.Helper()
		if res := w.at(t, r, f, "get_ticket", readArguments); res.Status != http.StatusOK {
			t.Errorf("%s: %s", when, res)
		}
	}
	serves("at first")
	if res := w.at(t, r, other, "add_comment", comment); res.Status != http.StatusOK {
		t.Errorf("another's right: %s", res)
	}
	refused403(t, w.at(t, r, f, "add_comment", comment))
	w.remit(t, nil, "", "task", "suspend", f.TaskID())
	res := w.at(t, r, f, "get_ticket", readArguments)
	if seen(t, res); res.Status == http.StatusOK {
		t.Errorf("while suspended: %s", res)
	}
	w.remit(t, nil, "", "task", "resume", f.TaskID())
	serves("after it was resumed")
	w.remit(t, nil, "", "task", "end", f.TaskID())
	refused401At(t, w.at(t, r, f, "get_ticket", readArguments), "invalid_token")
	if res := w.at(t, r, other, "add_comment", comment); res.Status != http.StatusOK {
		t.Errorf("another's, afterwards: %s", res)
	}
	jot(t, goodAfter)
}
