package main_test

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
	"github.com/remit-auth/remit/store/postgres/postgrestest"
	"github.com/remit-auth/remit/store/redis/redistest"
)

// gate stands between a server and what it keeps its memory in, and can be shut.
type gate struct {
	net.Listener
	target string
	mu     sync.Mutex
	shut   bool
	open   map[net.Conn]bool
}

// newGate returns a gate before this address.
func newGate(t *testing.T, target string) *gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{Listener: l, target: target, open: map[net.Conn]bool{}}
	t.Cleanup(func() { l.Close(); g.set(true) })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go g.passes(in)
		}
	}()
	return g
}

func (g *gate) passes(in net.Conn) {
	defer in.Close()
	out, err := net.Dial("tcp", g.target)
	if err != nil {
		return
	}
	defer out.Close()
	g.mu.Lock()
	if g.shut {
		g.mu.Unlock()
		return
	}
	g.open[in] = true
	g.mu.Unlock()
	go func() { _, _ = io.Copy(out, in); out.Close() }()
	_, _ = io.Copy(in, out)
	g.mu.Lock()
	delete(g.open, in)
	g.mu.Unlock()
}

// set shuts the gate, which ends what goes through it, or opens it again.
func (g *gate) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = shut
	for c := range g.open {
		if shut {
			c.Close()
		}
	}
}

// before is the URL with the gate in front of what it names.
func (g *gate) before(t *testing.T, raw string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	g.target, u.Host = u.Host, g.Addr().String()
	return u.String()
}

// TestAttackFault plays the rows in which the database is away. A file is never: FT11, FT12 are its rows.
func TestAttackFault(t *testing.T) {
	if *engine == "sqlite" {
		return
	}
	t.Parallel()
	database := newGate(t, "")
	playOn(t, newWorld(t, "REMIT_DATABASE_URL="+database.before(t, postgrestest.URL(t))), map[string]row{
		"FT1": func(t *testing.T, w *world) { ft1(t, w, database) }, "FT2": ft2, "FT15": ft15,
		"IN5": func(t *testing.T, w *world) { in5(t, w, database) }, "AD5": func(t *testing.T, w *world) { ad5(t, w, func(away bool) { database.set(away) }) },
	})
}

// TestAttackMemory plays the rows in which Redis is away or full, whatever the database is.
func TestAttackMemory(t *testing.T) {
	t.Parallel()
	redis, err := redistest.Start(shortDir(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = redis.Kill() })
	memory := newGate(t, "")
	playOn(t, newWorld(t, "REMIT_REDIS_URL="+memory.before(t, redis.URL())), map[string]row{
		"FT3": func(t *testing.T, w *world) { ft3(t, w, memory) },
		"FT4": func(t *testing.T, w *world) { ft4(t, w, redis) },
	})
}

// away is the answer while a store is away: 503, and when to come again.
func away(t *testing.T, what string, res blackbox.Response) {
	t.Helper()
	jot(t, fmt.Sprint(what, ": ", res.Status))
	if res.Status != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" || res.Code() != "temporarily_unavailable" && res.Code() != "server_error" {
		t.Errorf("%s: %s", what, res)
	}
	for _, inside := range []string{"sql", "pgx", "postgres", "redis", "dial", "127.0.0.1:"} {
		if strings.Contains(strings.ToLower(string(res.Body)), inside) {
			t.Errorf("%s tells of the inside: %s", what, res)
		}
	}
}

// back waits until a good request is served again, which has to be within five seconds (P4).
func (w *world) back(t *testing.T) {
	t.Helper()
	began := time.Now()
	inRow := 0
	eventually(t, blackbox.Timeout, "served again", func() bool { // by every instance: they take turns
		if inRow++; w.flow().Push(t.Context()) != nil {
			inRow = 0
		}
		return inRow == 6
	})
	if took := time.Since(began); took > 10*time.Second { // five on a machine of its own
		t.Errorf("served again after %v", took)
	}
	jot(t, "served again, without a restart")
}

// ft1: a code that was made before the database went away is redeemed once, afterwards.
func ft1(t *testing.T, w *world, g *gate) {
	f := w.code(t)
	w.nonce(t)
	g.set(true)
	res, err := blackbox.Post(t.Context(), w.server.Token, f.RedeemForm(), blackbox.DPoP(w.server.Proof(f.Key, w.server.Token)))
	if err != nil {
		t.Fatal(err)
	}
	away(t, "redeem", res)
	for _, path := range []string{"/jwks", "/.well-known/oauth-authorization-server"} {
		if res, err := blackbox.Get(t.Context(), w.issuer+path); err != nil || res.Status != http.StatusOK {
			t.Errorf("%s needs the store: %v %s", path, err, res)
		}
	}
	g.set(false)
	w.back(t)
	good(t, f, (*blackbox.Flow).Redeem)
	if res, err = w.server.Send(t.Context(), f.Key, w.server.Token, f.RedeemForm()); err != nil {
		t.Fatal(err)
	}
	E("invalid_grant").check(t, res)
}

// ft2: a database that can only be read takes nothing, and nobody is told that something was done.
func ft2(t *testing.T, w *world) {
	f := w.token(t)
	name := strings.Trim(mustURL(t, w.databaseURL()).Path, "/")
	write := func(on string) {
		w.behind(t, fmt.Sprintf("START TRANSACTION READ WRITE; ALTER DATABASE %s SET default_transaction_read_only = %s; COMMIT", name, on))
		w.behind(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	}
	write("on")
	eventually(t, blackbox.Timeout, "writing is refused", func() bool {
		res, err := w.server.Send(t.Context(), blackbox.NewKey(), w.server.PAR, w.flow().PushForm())
		return err == nil && res.Status == http.StatusServiceUnavailable
	})
	jot(t, "503 for who writes")
	if res := w.revoke503(t, f); res.Status != http.StatusServiceUnavailable {
		t.Errorf("a revocation that was not done: %s", res)
	}
	write("off")
	w.back(t)
	eventually(t, blackbox.Timeout, "the token is as good as before", func() bool {
		res, err := w.r1.Call(t.Context(), f.Key, f.Access(), "get_ticket", readArguments)
		return err == nil && res.Status == http.StatusOK
	})
	if res := w.revoke(t, f.ClientID, f.RefreshToken()); res.Status != http.StatusOK {
		t.Errorf("the same again: %s", res)
	}
	w.dead(t, f)
}

// revoke503 is revoke, of a server that cannot.
func (w *world) revoke503(t *testing.T, f *blackbox.Flow) blackbox.Response {
	t.Helper()
	return mustPost(t, w.server.Revoke, blackbox.Form{{Name: "client_id", Value: f.ClientID}, {Name: "token", Value: f.RefreshToken()}})
}

// in5: a server that does not know says so, and not that a token is dead.
func in5(t *testing.T, w *world, g *gate) {
	f := w.token(t)
	g.set(true)
	away(t, "introspect", w.introspect(t, w.r1, f.Access()))
	away(t, "revoke", w.revoke503(t, f))
	g.set(false)
	w.back(t)
	if res := w.introspect(t, w.r1, f.Access()); res.JSON()["active"] != true {
		t.Errorf("afterwards: %s", res)
	}
	jot(t, goodAfter)
}

// ad5: an end that was not done is not told as done, and the same again does it.
func ad5(t *testing.T, w *world, away func(bool)) {
	f := w.token(t)
	away(true)
	if out, err := w.typed(t, "", "task", "end", f.TaskID()); err == nil {
		t.Errorf("it was told as done: %s", out)
	}
	jot(t, "refused while the store is away")
	w.works(t, f)
	away(false)
	w.back(t)
	eventually(t, blackbox.Timeout, "the same again does it", func() bool {
		_, err := w.typed(t, "", "task", "end", f.TaskID())
		return err == nil
	})
	w.dead(t, f)
}

// ft3: without the memory of proofs nothing is accepted.
func ft3(t *testing.T, w *world, g *gate) {
	f := w.code(t)
	w.nonce(t)
	proof := blackbox.DPoP(w.server.Proof(f.Key, w.server.Token))
	g.set(true)
	res, err := blackbox.Post(t.Context(), w.server.Token, f.RedeemForm(), proof)
	if err != nil {
		t.Fatal(err)
	}
	away(t, "redeem", res)
	g.set(false)
	w.back(t)
	good(t, f, (*blackbox.Flow).Redeem)
}

// ft4: a full memory refuses, and one that forgets by itself is not begun with.
func ft4(t *testing.T, w *world, redis *redistest.Server) {
	f := w.code(t)
	w.nonce(t)
	do := func(args ...string) {
		t.Helper()
		if out, err := redis.Do(args...); err != nil {
			t.Fatal(out, err)
		}
	}
	do("CONFIG", "SET", "maxmemory", "1")
	res, err := blackbox.Post(t.Context(), w.server.Token, f.RedeemForm(), blackbox.DPoP(w.server.Proof(f.Key, w.server.Token)))
	if err != nil {
		t.Fatal(err)
	}
	away(t, "redeem with a full memory", res)
	do("CONFIG", "SET", "maxmemory", "0")
	w.back(t)
	good(t, f, (*blackbox.Flow).Redeem)
	evicting, err := redistest.Start(shortDir(t), "--maxmemory-policy", "allkeys-lru")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = evicting.Kill() })
	refusesToStart(t, append(engineEnv(t), "REMIT_REDIS_URL="+evicting.URL()), "noeviction")
}

func mustURL(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// refusesToStart runs a server with these settings, which has to end with a line that says this.
func refusesToStart(t *testing.T, env []string, says string) {
	t.Helper()
	p := &process{dir: shortDir(t), listen: freeAddress(t), env: env}
	p.issuer = "http://" + p.listen
	ctx, cancel := context.WithTimeout(t.Context(), blackbox.Timeout) // one that starts would go on
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "serve")
	cmd.Env = p.environ()
	out, err := cmd.CombinedOutput()
	text := strings.TrimSpace(string(out))
	if err == nil || !strings.Contains(text, says) || strings.Contains(text, "goroutine") || strings.Count(text, "\n") > 2 {
		t.Errorf("with %v: %v\n%s\nwant one line with %q", env, err, text, says)
	}
	jot(t, "refuses to start, and says why")
}

// TestAttackFT13: a server that is not set up as it must be does not start.
func TestAttackFT13(t *testing.T) {
	t.Parallel()
	plays(t)
	running := serve(t, "")
	for _, tt := range []struct{ env, says string }{
		{"REMIT_LISTEN=0.0.0.0:0", "dev mode listens on loopback alone"},
		{"REMIT_ISSUER=http://as.example", "REMIT_ISSUER"},
		{"REMIT_DEV=maybe", "REMIT_DEV"},
		{"REMIT_MASTER_KEY_FILE=/nowhere/key", "master key"},
		{"REMIT_TLS_CERT=/nowhere/cert", "REMIT_TLS"},
		{"REMIT_CONFIG=/nowhere/config.yaml", "config"},
		{"REMIT_TRUST_FILE=/nowhere/trust.json", "TRUST_FILE"},
		{"REMIT_DATABASE_URL=mysql://x", "REMIT_DATABASE_URL"},
		{"REMIT_LISTEN=" + running.listen, "REMIT_LISTEN"},
	} {
		refusesToStart(t, []string{tt.env}, tt.says)
	}
	corrupt := filepath.Join(shortDir(t), "config.yaml")
	if err := os.WriteFile(corrupt, []byte("issuer: [\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	refusesToStart(t, []string{"REMIT_CONFIG=" + corrupt}, "config")
	other := filepath.Join(shortDir(t), "master.key")
	if err := os.WriteFile(other, []byte(blackbox.Random(32)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	used := serve(t, "")
	used.stop(t)
	of := append(slices.Clone(used.env), "REMIT_DATA_DIR="+used.dir)
	refusesToStart(t, append(slices.Clone(of), "REMIT_MASTER_KEY_FILE="+other), "master key")
	used.behind(t, "INSERT INTO schema_version (version_id, is_applied) VALUES (999999, TRUE)")
	refusesToStart(t, of, "newer than this program")
}

// TestAttackFT12: killed again and again while it writes, a server on a file loses nothing that it has
// answered, and no second one opens the file.
func TestAttackFT12(t *testing.T) {
	if *engine != "sqlite" {
		return
	}
	t.Parallel()
	plays(t)
	w := newWorld(t)
	var f *blackbox.Flow
	for range size("FT12") {
		f = w.token(t)
		stop := make(chan struct{})
		var load sync.WaitGroup
		for range 4 {
			load.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						_ = w.flow().Push(t.Context()) // cut by the kill, sooner or later
					}
				}
			})
		}
		must(t, f, (*blackbox.Flow).Refresh)
		w.kill(t)
		close(stop)
		load.Wait()
		w.start(t)
		good(t, f, (*blackbox.Flow).Refresh)
	}
	refusesToStart(t, []string{"REMIT_DATA_DIR=" + w.dir}, "in use by another process")
	w.stop(t)
	db, err := sql.Open("sqlite", filepath.Join(w.dir, "remit.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var verdict string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity: %v %s", err, verdict)
	}
	w.remit(t, nil, "", "audit", "verify")
	w.start(t)
	jot(t, "whole after every kill")
}
