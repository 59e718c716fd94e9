//go:build unix

package gateway

import (
	"os/exec"
	"syscall"
)

// ownGroup gives the child a process group, so that what it starts ends with it, and so that an
// interrupt from the terminal is the gateway's to handle.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func endGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) } // perhaps gone already

func killGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // perhaps gone already
