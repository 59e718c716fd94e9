package chaos

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// begin starts a process that is killed when this one ends. To the kernel its parent is the thread that
// starts it (prctl(2), PR_SET_PDEATHSIG), and threads may end. So one thread that never ends starts all.
func begin(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	done := make(chan error)
	starter() <- func() { done <- cmd.Start() }
	return <-done
}

var starter = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for start := range work {
			start()
		}
	}()
	return work
})
