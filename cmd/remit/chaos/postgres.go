package chaos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// Postgres is a PostgreSQL server of our own, which may be killed and started again.
type Postgres struct {
	Addr string
	Dir  string // its data
	bin  string
	cred *syscall.Credential
	cmd  *exec.Cmd
	gone chan struct{}
}

// NewPostgres makes an empty database cluster in dir and starts it. PostgreSQL does not run as root.
func NewPostgres(dir string) (*Postgres, error) {
	p := &Postgres{Dir: filepath.Join(dir, "data")}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(found) == 0 {
		return nil, errors.New("chaos: no PostgreSQL under /usr/lib/postgresql; .ci/install brings one")
	}
	slices.Sort(found)
	p.bin = found[len(found)-1]
	if err := p.become(dir); err != nil {
		return nil, err
	}
	if err := p.command("initdb", "-D", p.Dir, "-U", "remit", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-instructions"); err != nil {
		return nil, err
	}
	return p, p.Run()
}

// become finds whom to run as, and gives them the directory.
func (p *Postgres) become(dir string) error {
	if os.Getuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return err
		}
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	p.cred = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return errors.Join(err1, err2, os.Chown(dir, int(uid), int(gid)), os.Chmod(dir, 0o755))
}

func (p *Postgres) command(program string, args ...string) error {
	cmd := exec.Command(filepath.Join(p.bin, program), args...)
	cmd.Dir, cmd.SysProcAttr = filepath.Dir(p.Dir), &syscall.SysProcAttr{Credential: p.cred}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("chaos: %s: %w\n%s", program, err, out)
	}
	return nil
}

// Replica copies the server into dir and follows it.
func (p *Postgres) Replica(dir string) (*Postgres, error) {
	r := &Postgres{Dir: filepath.Join(dir, "data"), bin: p.bin}
	if err := r.become(dir); err != nil {
		return nil, err
	}
	host, port, _ := net.SplitHostPort(p.Addr)
	if err := r.command("pg_basebackup", "-D", r.Dir, "-h", host, "-p", port, "-U", "remit", "-X", "stream", "-R", "-c", "fast"); err != nil {
		return nil, err
	}
	return r, r.Run()
}

// Run starts the server, again after Kill, and waits until it takes connections.
func (p *Postgres) Run() error {
	if p.Addr == "" {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		p.Addr = l.Addr().String()
		l.Close()
	}
	_, port, _ := net.SplitHostPort(p.Addr)
	var last error
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if last = p.once(port); last == nil {
			return nil
		}
	}
	return last
}

// once starts the server; what is left of a killed one may hold on to its memory for a moment.
func (p *Postgres) once(port string) error {
	log, err := os.OpenFile(filepath.Join(filepath.Dir(p.Dir), "postgres.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(filepath.Join(p.bin, "postgres"), "-D", p.Dir, "-p", port, "-k", "",
		"-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200", "-c", "shared_buffers=64MB", "-c", "fsync=on")
	cmd.Dir, cmd.Stdout, cmd.Stderr = filepath.Dir(p.Dir), log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.cred}
	if err := begin(cmd); err != nil {
		return err
	}
	gone := make(chan struct{})
	go func() { _ = cmd.Wait(); close(gone) }()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		if p.command("pg_isready", "-q", "-h", "127.0.0.1", "-p", port) == nil {
			p.cmd, p.gone = cmd, gone
			return nil
		}
		select {
		case <-gone:
			return fmt.Errorf("chaos: postgres ended at once; see %s", log.Name())
		case <-time.After(20 * time.Millisecond):
		}
	}
	_ = cmd.Process.Kill()
	<-gone
	return errors.New("chaos: postgres does not answer")
}

// Kill ends the server with SIGKILL; its children notice and end by themselves.
func (p *Postgres) Kill() error {
	if p.cmd == nil {
		return nil
	}
	err := p.cmd.Process.Kill()
	<-p.gone
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	return err
}

// Promote makes a replica a server of its own.
func (p *Postgres) Promote() error {
	return p.command("pg_ctl", "promote", "-D", p.Dir, "-w", "-s")
}

// SQL runs one statement.
func (p *Postgres) SQL(ctx context.Context, statement string) (string, error) {
	host, port, _ := net.SplitHostPort(p.Addr)
	out, err := exec.CommandContext(ctx, filepath.Join(p.bin, "psql"), "-X", "-A", "-t", "-q", "-h", host, "-p", port, "-U", "remit", "-d", "postgres", "-c", statement).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("chaos: %s: %w: %s", statement, err, out)
	}
	return string(out), nil
}

// URL is where a client reaches the server by way of this address.
func (p *Postgres) URL(by string) string {
	return "postgres://remit@" + by + "/postgres?sslmode=disable"
}
