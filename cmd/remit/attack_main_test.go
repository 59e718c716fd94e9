package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
	_ "github.com/remit-auth/remit/server"       // what the binary under attack is made of: with it in
	_ "github.com/remit-auth/remit/store/sqlite" // the test's own, a change to it voids go test's cache
)

// binary is the remit binary under attack, built once for all tests.
var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(func() int {
		if flag.Lookup("test.fuzz").Value.String() != "" { // needs no binary, and each worker would build its own
			return m.Run()
		}
		dir, err := os.MkdirTemp("", "remit-attack-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "remit")
		build := exec.Command("go", append(append([]string{"build"}, buildFlags...), "-o", binary, ".")...)
		build.Stdout, build.Stderr = os.Stderr, os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "build remit:", err)
			return 1
		}
		code := m.Run()
		if *update {
			if err := keep(); err != nil {
				fmt.Fprintln(os.Stderr, "keep what was seen:", err)
				return 1
			}
		}
		return code
	}())
}

// process is a running `remit serve`.
type process struct {
	dir, listen, issuer string
	secure              bool // it listens with TLS
	env                 []string
	cmd                 *exec.Cmd
	log                 journal
}

// journal collects what the server writes.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

// serve starts a server on a free loopback port; path is the issuer's, env further settings.
func serve(t *testing.T, path string, env ...string) *process {
	t.Helper()
	p := &process{dir: shortDir(t), listen: freeAddress(t), env: append(engineEnv(t), env...)}
	p.issuer = "http://" + p.listen + path
	return p.run(t)
}

// run starts the server, and ends it with the test.
func (p *process) run(t *testing.T) *process {
	t.Helper()
	p.start(t)
	t.Cleanup(func() {
		p.stop(t)
		if t.Failed() {
			t.Logf("the server's log:\n%s", p.log.String())
		}
	})
	return p
}

// shortDir is a temporary directory whose name leaves room for a unix socket's.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "remit-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (p *process) environ() []string {
	env := []string{"REMIT_DEV=1", "REMIT_RULES=off", "REMIT_RATE_FACTOR=1000", "REMIT_DATA_DIR=" + p.dir, "REMIT_ISSUER=" + p.issuer, "REMIT_LISTEN=" + p.listen}
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "REMIT_") {
			env = append(env, pair)
		}
	}
	return append(env, p.env...)
}

func (p *process) start(t *testing.T) {
	t.Helper()
	issuer, err := url.Parse(p.issuer)
	if err != nil {
		t.Fatal(err)
	}
	p.cmd = exec.Command(binary, "serve")
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = p.environ(), &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, "the server answers", func() bool {
		if p.secure {
			conn, err := p.dialTLS(t.Context())
			if err == nil {
				conn.Close()
			}
			return err == nil
		}
		res, err := blackbox.Get(t.Context(), "http://"+p.listen+"/.well-known/oauth-authorization-server"+issuer.Path)
		return err == nil && res.Status == http.StatusOK
	})
}

func (p *process) stop(t *testing.T) {
	t.Helper()
	p.end(t, syscall.SIGTERM)
}

// kill is the end without a warning.
func (p *process) kill(t *testing.T) {
	t.Helper()
	p.end(t, syscall.SIGKILL)
}

func (p *process) end(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if p.cmd == nil || p.cmd.Process == nil {
		return
	}
	if err := p.cmd.Process.Signal(sig); err != nil {
		t.Errorf("end the server: %v", err)
	}
	if err := p.cmd.Wait(); err != nil && sig != syscall.SIGKILL {
		t.Errorf("the server ended with %v", err)
	}
	p.cmd = nil
}

// remit runs a command against the server and decodes its JSON answer.
func (p *process) remit(t *testing.T, v any, stdin string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, append(args, "--json")...)
	cmd.Env, cmd.Stdin = p.environ(), strings.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("remit %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.Bytes())
	}
	if v == nil {
		return
	}
	if err := json.Unmarshal(out, v); err != nil {
		t.Fatalf("remit %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// admin reads from the server's administration socket.
func (p *process) admin(t *testing.T, path string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), blackbox.Timeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", filepath.Join(p.dir, "admin.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	request := blackbox.Request{Method: "GET", Target: path}
	res, err := blackbox.Exchange(conn, "GET", request.Bytes("localhost"))
	if err != nil || res.Status != http.StatusOK {
		t.Fatalf("%s: %v %s", path, err, res)
	}
	return res.Body
}

// eventually asks until the condition holds.
func eventually(t *testing.T, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(limit); ; <-tick.C {
		if holds() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not so within %v: %s", limit, what)
		}
	}
}
