// Package postgrestest gives tests a PostgreSQL of their own: one server per test process, started
// from the programs that Debian's package postgresql installs, and a new database for each test.
// REMIT_TEST_POSTGRES_URL names a server to use instead, by a role that may create databases.
//
// The server is real in all that matters: it syncs its files, and it listens on loopback alone. It is
// stopped when the test process ends, however it ends.
package postgrestest

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Env names the variable with the URL of a server to use.
const Env = "REMIT_TEST_POSTGRES_URL"

var server = sync.OnceValues(func() (*Server, error) {
	if given := os.Getenv(Env); given != "" {
		return &Server{URL: given}, nil
	}
	return Start()
})

// URL returns the URL of a new, empty database, which is dropped with the test. Without PostgreSQL the
// test fails: REMIT_TEST_POSTGRES_URL or .ci/install brings one.
func URL(t testing.TB) string {
	t.Helper()
	s, err := server()
	if err != nil {
		t.Fatal(err)
	}
	name := newName()
	if err := s.create(name, "template1"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.drop(name) })
	return s.Database(name)
}

func newName() string { return "remit_" + strings.ToLower(rand.Text()) }

// Server is a PostgreSQL server.
type Server struct {
	URL string // of its maintenance database
	Dir string // its data; empty: not ours
	cmd *exec.Cmd
	bin string
	in  *os.File // the guardian ends the server when this closes
}

// Database is the URL of a database of the server.
func (s *Server) Database(name string) string {
	u, err := url.Parse(s.URL)
	if err != nil {
		return s.URL
	}
	u.Path = "/" + name
	return u.String()
}

func (s *Server) create(name, template string) error {
	return do(s.URL, fmt.Sprintf(`CREATE DATABASE %s TEMPLATE %s`, name, template))
}

func (s *Server) drop(name string) error {
	return do(s.URL, fmt.Sprintf(`DROP DATABASE IF EXISTS %s WITH (FORCE)`, name))
}

// patience is how long connecting, or a script, may take.
const patience = 30 * time.Second

// do runs a script in the database at the URL.
func do(url, script string) error {
	c, err := connect(url)
	if err != nil {
		return fmt.Errorf("postgrestest: %w", err)
	}
	defer c.Close(context.Background())
	if err := run(c, script); err != nil {
		return fmt.Errorf("postgrestest: %s: %w", script, err)
	}
	return nil
}

func connect(url string) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return pgx.Connect(ctx, url)
}

func run(c *pgx.Conn, script string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := c.PgConn().Exec(ctx, script).ReadAll()
	return err
}

// programs is the folder of the newest PostgreSQL that is installed.
func programs() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if len(found) == 0 {
		if path, err := exec.LookPath("initdb"); err == nil {
			return filepath.Dir(path), nil
		}
		return "", errors.New("postgrestest: no PostgreSQL under /usr/lib/postgresql: install the package postgresql, run .ci/install, or set " + Env)
	}
	slices.SortFunc(found, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	return found[len(found)-1], nil
}

// Start starts a server with settings of its own, "name=value" each, that Stop ends.
func Start(settings ...string) (*Server, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "remit-postgres")
	if err != nil {
		return nil, err
	}
	s := &Server{Dir: dir, bin: bin}
	owner, err := s.prepare()
	if err == nil {
		err = s.run(owner, settings)
	}
	if err != nil {
		s.Stop()
		return nil, fmt.Errorf("postgrestest: %w", err)
	}
	return s, nil
}

// prepare makes the data, as a user who is not root, and returns how to become that user.
func (s *Server) prepare() (become []string, err error) {
	if os.Getuid() == 0 { // PostgreSQL refuses to run as root
		user := "postgres"
		if exec.Command("id", "-u", user).Run() != nil {
			user = "nobody"
		}
		become = []string{"setpriv", "--reuid=" + user, "--regid=" + group(user), "--clear-groups", "--"}
		if out, err := exec.Command("chown", "-R", user, s.Dir).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("chown: %s", out)
		}
	}
	args := append(become, filepath.Join(s.bin, "initdb"), "-D", filepath.Join(s.Dir, "data"), "-U", "remit", "-A", "trust",
		"-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = s.Dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return become, nil
}

func group(user string) string {
	if out, err := exec.Command("id", "-gn", user).Output(); err == nil {
		return strings.TrimSpace(string(out))
	}
	return "nogroup"
}

// guardian runs the server and ends it when its standard input closes, which the death of the test
// process does too; then it removes the data.
const guardian = `
dir=$1; shift
"$@" </dev/null >"$dir/log" 2>&1 &
pid=$!
( while kill -0 $pid 2>/dev/null; do sleep 1; done; kill $$ 2>/dev/null ) &
watcher=$!
trap 'kill -INT $pid 2>/dev/null; wait $pid; rm -rf "$dir"; exit 0' TERM
cat >/dev/null
kill $watcher 2>/dev/null
kill -INT $pid 2>/dev/null
wait $pid
rm -rf "$dir"
`

// run starts the server on a free port and waits until it answers.
func (s *Server) run(become, settings []string) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	args := []string{"-c", guardian, "guardian", s.Dir}
	args = append(append(args, become...), filepath.Join(s.bin, "postgres"), "-D", filepath.Join(s.Dir, "data"),
		"-p", fmt.Sprint(port), "-k", s.Dir)
	for _, setting := range append([]string{
		"listen_addresses=127.0.0.1", "fsync=on", "max_connections=400", "shared_buffers=64MB", "max_wal_size=2GB", "logging_collector=off",
	}, settings...) {
		args = append(args, "-c", setting)
	}
	s.cmd = exec.Command("sh", args...)
	s.cmd.Dir = s.Dir
	in, out, err := os.Pipe()
	if err != nil {
		return err
	}
	s.cmd.Stdin, s.in = in, out
	if err := s.cmd.Start(); err != nil {
		return err
	}
	in.Close()
	s.URL = fmt.Sprintf("postgres://remit@127.0.0.1:%d/postgres?sslmode=disable", port)
	return s.wait()
}

// wait waits until the server answers.
func (s *Server) wait() error {
	deadline := time.Now().Add(30 * time.Second)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		c, err := pgx.Connect(ctx, s.URL)
		if err == nil {
			err = c.Close(ctx)
		}
		cancel()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the server does not start: %w\n%s", err, s.Log())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Log is the end of what the server wrote.
func (s *Server) Log() string {
	f, err := os.Open(filepath.Join(s.Dir, "log"))
	if err != nil {
		return ""
	}
	defer f.Close()
	var lines []string
	for in := bufio.NewScanner(f); in.Scan(); {
		lines = append(lines, in.Text())
	}
	return strings.Join(lines[max(0, len(lines)-40):], "\n")
}

// Stop ends the server and removes its data.
func (s *Server) Stop() {
	if s.in != nil {
		s.in.Close()
		s.cmd.Wait()
	}
	if s.Dir != "" {
		os.RemoveAll(s.Dir)
	}
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
