// Package redistest starts real Redis servers on private ports, for tests that also kill, flush,
// stall and promote them. Nothing is started but what a test asked for, and all of it is stopped
// with the test.
package redistest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Server is one redis-server, alive or not.
type Server struct {
	Addr string
	dir  string
	args []string

	mu   sync.Mutex
	cmd  *exec.Cmd
	gone chan struct{} // closed when the process has ended
}

// startTime is how long a server may take to answer.
const startTime = 10 * time.Second

// Start runs a server without persistence, with its files in dir; args are more of its settings,
// as on its command line.
func Start(dir string, args ...string) (*Server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &Server{Addr: net.JoinHostPort("127.0.0.1", port), dir: dir}
	s.args = append([]string{
		"--port", port, "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "no",
		"--logfile", filepath.Join(dir, "redis-"+port+".log"), "--enable-debug-command", "local",
	}, args...)
	return s, s.Run()
}

// StartSentinel runs a Sentinel that watches the master of this name and fails over after down.
func StartSentinel(dir, name string, master *Server, quorum int, down time.Duration) (*Server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	host, masterPort, _ := net.SplitHostPort(master.Addr)
	conf := filepath.Join(dir, "sentinel-"+port+".conf")
	text := fmt.Sprintf("port %s\nbind 127.0.0.1\ndir %s\nlogfile %s\nsentinel monitor %s %s %s %d\nsentinel down-after-milliseconds %s %d\nsentinel failover-timeout %s 5000\n",
		port, dir, filepath.Join(dir, "sentinel-"+port+".log"), name, host, masterPort, quorum, name, down.Milliseconds(), name)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	s := &Server{Addr: net.JoinHostPort("127.0.0.1", port), dir: dir, args: []string{conf, "--sentinel"}}
	return s, s.Run()
}

// URL is where clients find the server.
func (s *Server) URL() string { return "redis://" + s.Addr }

// Run starts the server, again after Kill; args are more of its settings.
func (s *Server) Run(args ...string) error {
	cmd := exec.Command("redis-server", slices.Concat(s.args, args)...)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("redistest: %w", err)
	}
	gone := make(chan struct{})
	go func() { _ = cmd.Wait(); close(gone) }()
	s.mu.Lock()
	s.cmd, s.gone = cmd, gone
	s.mu.Unlock()
	for end := time.Now().Add(startTime); ; {
		if out, err := s.Do("PING"); err == nil && out == "PONG" {
			return nil
		}
		select {
		case <-gone:
			return fmt.Errorf("redistest: redis-server %s ended at once: see its log in %s", s.Addr, s.dir)
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(end) {
			return errors.Join(errors.New("redistest: redis-server does not answer"), s.Kill())
		}
	}
}

// signal sends a signal to the server's own process.
func (s *Server) signal(sig os.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cmd.Process.Signal(sig)
}

// Kill ends the server with SIGKILL and waits for its end. One that has ended already is no error.
func (s *Server) Kill() error {
	err := s.signal(syscall.SIGKILL)
	s.mu.Lock()
	gone := s.gone
	s.mu.Unlock()
	<-gone
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// Stall stops the server's process without ending it; Resume lets it go on.
func (s *Server) Stall() error { return s.signal(syscall.SIGSTOP) }

// Resume lets a stalled server go on.
func (s *Server) Resume() error { return s.signal(syscall.SIGCONT) }

// Do sends one command and returns its answer as text; an array is one line per element.
func (s *Server) Do(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.Addr)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return "", err
	}
	var text strings.Builder
	fmt.Fprintf(&text, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&text, "$%d\r\n%s\r\n", len(a), a)
	}
	if _, err := io.WriteString(conn, text.String()); err != nil {
		return "", err
	}
	return reply(bufio.NewReader(conn))
}

// reply reads one answer of the Redis protocol.
func reply(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	kind, rest := line[0], strings.TrimRight(line[1:], "\r\n")
	switch kind {
	case '+', ':':
		return rest, nil
	case '-':
		return "", errors.New(rest)
	}
	n, err := strconv.Atoi(rest)
	if err != nil || n < 0 {
		return "", err
	}
	if kind == '$' {
		raw := make([]byte, n+2)
		_, err := io.ReadFull(r, raw)
		return string(raw[:n]), err
	}
	all := make([]string, n)
	for i := range all {
		if all[i], err = reply(r); err != nil {
			return "", err
		}
	}
	return strings.Join(all, "\n"), nil
}

// freePort returns a port that nobody listens on now.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}
