package gateway

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Patience with a child that is to end: after its input is closed, and after SIGTERM.
const (
	closeTime = 3 * time.Second
	termTime  = 2 * time.Second
	restTime  = time.Second // for what it said at last
)

// maxLogLine is how much of one line of standard error is logged.
const maxLogLine = 2048

// process is one run of a child.
type process struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *os.File
	stderr *os.File
	exited chan struct{} // closed when the process has ended and is cleaned up
	err    error         // of its end, after exited
}

// launch starts the command with this environment and no other.
func launch(u Upstream) (*process, error) {
	cmd := exec.Command(u.Command[0], u.Command[1:]...)
	cmd.Env, cmd.Dir = append([]string{}, u.Env...), u.Dir
	ownGroup(cmd)
	p := &process{cmd: cmd, exited: make(chan struct{})}
	// Pipes of our own: those of exec.Cmd are closed by Wait, before all has been read.
	childIn, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, childOut, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, childIn.Close(), in.Close())
	}
	stderr, childErr, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, childIn.Close(), in.Close(), out.Close(), childOut.Close())
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = childIn, childOut, childErr
	err = cmd.Start()
	for _, end := range []*os.File{childIn, childOut, childErr} {
		end.Close() // the child has its own
	}
	if err != nil {
		return nil, errors.Join(err, in.Close(), out.Close(), stderr.Close())
	}
	p.in, p.out, p.stderr = in, out, stderr
	go func() {
		p.err = cmd.Wait()
		killGroup(cmd) // what the child itself has started and left behind
		in.Close()
		close(p.exited)
	}()
	return p, nil
}

// logErrors logs what the child writes to standard error.
func (p *process) logErrors(log *slog.Logger) {
	lines := bufio.NewReaderSize(p.stderr, maxLogLine)
	for {
		line, more, err := lines.ReadLine()
		if err != nil {
			return
		}
		if text := strings.TrimSpace(strings.ToValidUTF8(string(line), "?")); text != "" {
			log.Info("the server says", "stderr", text)
		}
		for more && err == nil { // the rest of a long line is left out
			_, more, err = lines.ReadLine()
		}
	}
}

// stop ends the child: it is asked by closing its input, then told, then killed (MCP, stdio).
func (p *process) stop() {
	p.in.Close()
	defer func() { // somebody else may hold the other ends open
		for _, pipe := range []*os.File{p.out, p.stderr} {
			_ = pipe.SetReadDeadline(time.Now().Add(restTime)) // closed pipes need none
		}
	}()
	for _, step := range []struct {
		patience time.Duration
		then     func(*exec.Cmd)
	}{{closeTime, endGroup}, {termTime, killGroup}} {
		select {
		case <-p.exited:
			return
		case <-time.After(step.patience):
			step.then(p.cmd)
		}
	}
	<-p.exited
}
