package redisreplay_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/remit-auth/remit/store/redis/redistest"
	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource/redisreplay"
	"github.com/remit-auth/remit/tokens/resource/resourcetest"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// server starts a Redis of the test's own.
func server(t testing.TB, args ...string) *redistest.Server {
	t.Helper()
	s, err := redistest.Start(t.TempDir(), args...)
	must(t, err)
	t.Cleanup(func() { s.Kill() })
	return s
}

func do(t testing.TB, s *redistest.Server, args ...string) string {
	t.Helper()
	out, err := s.Do(args...)
	must(t, err)
	return out
}

func open(t testing.TB, o redisreplay.Options) *redisreplay.Memory {
	t.Helper()
	if o.Resource == "" {
		o.Resource = fmt.Sprintf("https://%d.example/%s", time.Now().UnixNano(), t.Name())
	}
	m, err := redisreplay.Open(t.Context(), o)
	must(t, err)
	t.Cleanup(func() { m.Close() })
	return m
}

// anyRedis is the URL of REMIT_TEST_REDIS_URL, or of a server started here.
func anyRedis(t testing.TB) string {
	if url := os.Getenv("REMIT_TEST_REDIS_URL"); url != "" {
		return url
	}
	return server(t).URL()
}

// epoch asks for the name until Redis answers.
func epoch(t testing.TB, m *redisreplay.Memory) string {
	t.Helper()
	var err error
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		var name string
		if name, err = m.Epoch(t.Context()); err == nil {
			return name
		}
	}
	t.Fatal(err)
	return ""
}

// use spends a proof and reports whether it was fresh.
func use(t testing.TB, m *redisreplay.Memory, name, proof string) bool {
	t.Helper()
	fresh, _, err := m.Use(t.Context(), name, proof)
	must(t, err)
	return fresh
}

func TestMemory(t *testing.T) {
	url := anyRedis(t)
	o := redisreplay.Options{URL: url, Resource: fmt.Sprint("https://a.example/", time.Now().UnixNano())}
	a, b, other := open(t, o), open(t, o), open(t, redisreplay.Options{URL: url})
	name := epoch(t, a)
	if epoch(t, b) != name || epoch(t, other) == name {
		t.Error("replicas share a name, and resources do not")
	}
	if !use(t, a, name, "one") || use(t, b, name, "one") || use(t, a, name, "one") || !use(t, b, name, "two") {
		t.Error("a proof is fresh once, wherever it is used")
	}
	fresh, now, err := a.Use(t.Context(), "another name", "three")
	if err != nil || fresh || now != name {
		t.Errorf("in the memory of another name: %v %q %v", fresh, now, err)
	}
	if !use(t, a, name, "three") {
		t.Error("what was not noted is spent")
	}
}

// Of many replicas at once, one takes the proof.
func TestRace(t *testing.T) {
	o := redisreplay.Options{URL: anyRedis(t), Resource: fmt.Sprint("https://race.example/", time.Now().UnixNano())}
	var all []*redisreplay.Memory
	for range 4 {
		all = append(all, open(t, o))
	}
	name := epoch(t, all[0])
	for round := range 25 {
		var fresh atomic.Int64
		var start, done sync.WaitGroup
		start.Add(1)
		for i := range 32 {
			done.Go(func() {
				start.Wait()
				if ok, _, err := all[i%4].Use(t.Context(), name, fmt.Sprint("proof ", round)); err == nil && ok {
					fresh.Add(1)
				}
			})
		}
		start.Done()
		done.Wait()
		if fresh.Load() != 1 {
			t.Fatalf("round %d: %d took it", round, fresh.Load())
		}
	}
}

// Whatever may have made Redis forget gives the memory another name.
func TestForgetfulRedis(t *testing.T) {
	tests := map[string]func(t *testing.T, s *redistest.Server){
		"FLUSHALL": func(t *testing.T, s *redistest.Server) { do(t, s, "FLUSHALL") },
		"restart": func(t *testing.T, s *redistest.Server) {
			must(t, s.Kill())
			must(t, s.Run())
		},
		"restart with what was saved before": func(t *testing.T, s *redistest.Server) {
			do(t, s, "SAVE")
			must(t, s.Kill())
			must(t, s.Run("--dbfilename", "dump.rdb"))
		},
		"an evicted key": func(t *testing.T, s *redistest.Server) {
			do(t, s, "CONFIG", "SET", "maxmemory-policy", "allkeys-random")
			for i := range 64 {
				do(t, s, "SET", fmt.Sprint("ballast ", i), strings.Repeat("x", 1<<14))
			}
			do(t, s, "CONFIG", "SET", "maxmemory", "1500000")
			do(t, s, "SET", "one more", "")
			do(t, s, "CONFIG", "SET", "maxmemory", "0")
			do(t, s, "CONFIG", "SET", "maxmemory-policy", "noeviction")
		},
	}
	for name, forget := range tests {
		t.Run(name, func(t *testing.T) {
			s := server(t)
			m := open(t, redisreplay.Options{URL: s.URL()})
			before := epoch(t, m)
			if !use(t, m, before, "one") {
				t.Fatal("a fresh proof is used")
			}
			forget(t, s)
			after := epoch(t, m)
			if after == before {
				t.Fatal("the memory has its old name")
			}
			if use(t, m, before, "two") {
				t.Error("the old name is taken")
			}
			if !use(t, m, after, "one") || use(t, m, after, "one") {
				t.Error("under its new name it does not remember")
			}
		})
	}
}

// A promoted replica may lack the newest proofs.
func TestFailover(t *testing.T) {
	first := server(t)
	host, port, _ := strings.Cut(first.Addr, ":")
	second := server(t, "--replicaof", host, port)
	o := redisreplay.Options{URL: first.URL(), Resource: "https://failover.example/mcp"}
	m := open(t, o)
	before := epoch(t, m)
	use(t, m, before, "one")
	for end := time.Now().Add(10 * time.Second); !strings.Contains(do(t, second, "INFO", "replication"), "master_link_status:up"); {
		if time.Now().After(end) {
			t.Fatal("the replica has no link")
		}
	}
	must(t, first.Kill())
	if _, _, err := m.Use(t.Context(), before, "two"); err == nil {
		t.Error("without a server a proof was judged")
	}
	o.URL = second.URL()
	if _, err := redisreplay.Open(t.Context(), o); err == nil {
		t.Error("a replica that takes no writes was opened")
	}
	do(t, second, "REPLICAOF", "NO", "ONE")
	promoted := open(t, o)
	if after := epoch(t, promoted); after == before || use(t, promoted, before, "two") || !use(t, promoted, after, "two") {
		t.Error("the promoted server goes on under the old name")
	}
}

// FT4: a server that may drop keys is refused, at the start and later; a full one says so.
func TestEvictionPolicy(t *testing.T) {
	s := server(t, "--maxmemory-policy", "allkeys-lru")
	o := redisreplay.Options{URL: s.URL(), Resource: "https://evict.example/mcp"}
	if _, err := redisreplay.Open(t.Context(), o); !errors.Is(err, redisreplay.ErrEvicts) {
		t.Errorf("opened with allkeys-lru: %v", err)
	}
	do(t, s, "CONFIG", "SET", "maxmemory-policy", "noeviction")
	m := open(t, o)
	name := epoch(t, m)
	do(t, s, "CONFIG", "SET", "maxmemory-policy", "volatile-ttl")
	if _, _, err := m.Use(t.Context(), name, "one"); !errors.Is(err, redisreplay.ErrEvicts) {
		t.Errorf("used with volatile-ttl: %v", err)
	}
	do(t, s, "CONFIG", "SET", "maxmemory-policy", "noeviction")
	do(t, s, "CONFIG", "SET", "maxmemory", "1")
	if _, _, err := m.Use(t.Context(), name, "two"); err == nil {
		t.Error("a full server took a proof")
	}
	do(t, s, "CONFIG", "SET", "maxmemory", "0")
	if !use(t, m, name, "two") {
		t.Error("afterwards a fresh proof is not taken")
	}
}

// RX11: a flood of proofs is bounded, and forgets nothing that could be used again.
func TestLimit(t *testing.T) {
	s := server(t)
	m := open(t, redisreplay.Options{URL: s.URL(), Limit: 100})
	name := epoch(t, m)
	for i := range 100 {
		if !use(t, m, name, fmt.Sprint(i)) {
			t.Fatalf("proof %d is not fresh", i)
		}
	}
	fresh, now, err := m.Use(t.Context(), name, "one too many")
	if err != nil || fresh || now == name {
		t.Errorf("the proof behind the last: %v %q %v", fresh, now, err)
	}
	if use(t, m, name, "0") || !use(t, m, now, "0") {
		t.Error("the old name is still good, or the new one is not")
	}
	if keys := do(t, s, "DBSIZE"); keys != "2" {
		t.Errorf("%s keys are left", keys)
	}
}

func TestOptions(t *testing.T) {
	for name, o := range map[string]redisreplay.Options{
		"no resource":           {URL: "redis://127.0.0.1:1"},
		"no URL":                {Resource: "x"},
		"http":                  {Resource: "x", URL: "http://user:hunter2@127.0.0.1"},
		"nobody there":          {Resource: "x", URL: "redis://user:hunter2@127.0.0.1:1"},
		"a negative limit":      {Resource: "x", URL: "redis://127.0.0.1:1", Limit: -1},
		"a master, no sentinel": {Resource: "x", URL: "redis://127.0.0.1:1", Master: "m"},
	} {
		if _, err := redisreplay.Open(t.Context(), o); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

const rules = `
version: 1
scopes: {all: {roles: [agent]}}
roles: {agent: {tools: {search: {}}}}
`

// replicas are two Guards of one resource behind one address, each request at the next one.
func replicas(t *testing.T, s *redistest.Server) (*resourcetest.Token, func(*http.Request) (int, string)) {
	t.Helper()
	issuer := resourcetest.New(t)
	var handlers []http.Handler
	var next atomic.Int64
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handlers[int(next.Add(1))%len(handlers)].ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	uri := front.URL + "/mcp"
	list := func(context.Context) ([]json.RawMessage, error) {
		return []json.RawMessage{[]byte(`{"name":"search","inputSchema":{"type":"object"}}`)}, nil
	}
	config := issuer.Config(uri, rules, list)
	for i := range 2 {
		if i > 0 { // a replica has the first one's identity and a state of its own
			dir := t.TempDir()
			for _, name := range []string{"key.json", "guard.json"} {
				raw, err := os.ReadFile(config.StateDir + "/" + name)
				must(t, err)
				must(t, os.WriteFile(dir+"/"+name, raw, 0o600))
			}
			config.StateDir = dir
		}
		config.Replay = open(t, redisreplay.Options{URL: s.URL(), Resource: uri, Timeout: 300 * time.Millisecond})
		guard := issuer.Guard(config)
		handlers = append(handlers, guard.Protect(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("{}")) })))
	}
	token := issuer.Token(uri, resourcetest.Grant{Scopes: []string{"all"}, Roles: []string{"agent"}, Tools: []tokens.ToolDetail{{Tool: "search"}}})
	return token, func(r *http.Request) (int, string) {
		resp, err := http.DefaultTransport.RoundTrip(r)
		must(t, err)
		resp.Body.Close()
		return resp.StatusCode, resp.Header.Get("DPoP-Nonce")
	}
}

// RS14: replicas behind round robin take each proof once, and each other's nonces; when Redis is
// gone nothing is allowed, and when it is back nonces of before are refused.
func TestReplicas(t *testing.T) {
	s := server(t)
	token, send := replicas(t, s)
	request := func(nonce string) *http.Request {
		r, err := http.NewRequest(http.MethodPost, token.Claims.Audience, strings.NewReader(string(resourcetest.Call("search", map[string]any{}))))
		must(t, err)
		r.Header.Set("Content-Type", "application/json")
		must(t, token.Sign(r, nonce))
		return r
	}
	copyOf := func(r *http.Request) *http.Request {
		again := request("")
		again.Header = r.Header.Clone()
		return again
	}
	_, nonce := send(request(""))
	if nonce == "" {
		t.Fatal("no nonce")
	}
	for i := range 10 {
		r := request(nonce)
		status, _ := send(r)
		replayed, _ := send(copyOf(r))
		again, _ := send(copyOf(r))
		if status != http.StatusOK || replayed != http.StatusUnauthorized || again != http.StatusUnauthorized {
			t.Fatalf("round %d: %d, replayed %d and %d", i, status, replayed, again)
		}
	}
	must(t, s.Kill())
	if status, _ := send(request(nonce)); status != http.StatusServiceUnavailable {
		t.Errorf("without Redis: %d", status)
	}
	must(t, s.Run())
	status, fresh := send(request(nonce))
	for end := time.Now().Add(10 * time.Second); status == http.StatusServiceUnavailable && time.Now().Before(end); {
		status, fresh = send(request(nonce))
	}
	if status != http.StatusUnauthorized || fresh == "" || fresh == nonce {
		t.Fatalf("with a nonce of before: %d, new nonce %q", status, fresh)
	}
	for i := range 4 {
		if status, _ := send(request(fresh)); status != http.StatusOK {
			t.Errorf("good request %d: %d", i, status)
		}
	}
}
