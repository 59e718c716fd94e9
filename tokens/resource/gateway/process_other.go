//go:build !unix

package gateway

import "os/exec"

func ownGroup(*exec.Cmd) {}

// Without signals, the child is killed; what it has started itself is its own.
func endGroup(cmd *exec.Cmd) { _ = cmd.Process.Kill() } // perhaps gone already

func killGroup(cmd *exec.Cmd) { _ = cmd.Process.Kill() } // perhaps gone already
