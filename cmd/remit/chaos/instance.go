package chaos

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Instance is one `remit serve`.
type Instance struct {
	Name, Binary string
	Dir          string // data directory, with the admin socket
	Env          []string
	Public, Ops  string
	Log          journal

	cmd  *exec.Cmd
	gone chan struct{}
}

// journal collects what a process writes.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write adds to the journal.
func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(b)
}

// String is all of it.
func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

// environ is the environment without settings of whoever runs this.
func (i *Instance) environ() []string {
	env := []string{"REMIT_DATA_DIR=" + i.Dir, "REMIT_LISTEN=" + i.Public, "REMIT_OPS_LISTEN=" + i.Ops}
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "REMIT_") {
			env = append(env, pair)
		}
	}
	return append(env, i.Env...)
}

// Run starts the instance with more of its environment, and waits until it is ready.
func (i *Instance) Run(more ...string) error {
	end := time.Now().Add(30 * time.Second)
	for {
		err := i.once(end, more)
		if err == nil || time.Now().After(end) {
			return err
		}
		time.Sleep(200 * time.Millisecond) // what a supervisor does
	}
}

func (i *Instance) once(end time.Time, more []string) error {
	cmd := exec.Command(i.Binary, "serve")
	cmd.Env, cmd.Stdout, cmd.Stderr = append(i.environ(), more...), &i.Log, &i.Log
	if err := begin(cmd); err != nil {
		return err
	}
	gone := make(chan struct{})
	go func() { _ = cmd.Wait(); close(gone) }()
	i.cmd, i.gone = cmd, gone
	for time.Now().Before(end) {
		if i.ready() {
			return nil
		}
		select {
		case <-gone:
			return fmt.Errorf("chaos: instance %s ended: %s", i.Name, i.Log.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
	return fmt.Errorf("chaos: instance %s is not ready: %s", i.Name, i.Log.String())
}

func (i *Instance) ready() bool {
	res, err := http.Get("http://" + i.Ops + "/readyz")
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// Kill is the end without a warning.
func (i *Instance) Kill() { i.end(syscall.SIGKILL) }

// Stop asks the instance to end, and returns how long it took.
func (i *Instance) Stop() time.Duration {
	began := time.Now()
	i.end(syscall.SIGTERM)
	return time.Since(began)
}

func (i *Instance) end(sig syscall.Signal) {
	if i.cmd == nil {
		return
	}
	_ = i.cmd.Process.Signal(sig)
	<-i.gone
	i.cmd = nil
}

// Remit runs a command on the instance's data directory.
func (i *Instance) Remit(ctx context.Context, stdin string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, i.Binary, append(args, "--json")...)
	cmd.Env, cmd.Stdin = i.environ(), strings.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("chaos: remit %s: %w: %s%s", strings.Join(args, " "), err, out, stderr.Bytes())
	}
	return out, nil
}
