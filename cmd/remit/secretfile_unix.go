//go:build unix

package main

import (
	"io/fs"
	"os"
	"syscall"
)

// modesTell: a file's mode says who may open it.
const modesTell = true

// ours reports whether the file belongs to the user of this process.
func ours(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}
