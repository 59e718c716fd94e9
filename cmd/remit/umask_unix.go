//go:build unix

package main

import "syscall"

// restrictFiles makes every file of this process its owner's alone, from the moment it exists.
func restrictFiles() { syscall.Umask(0o077) }
