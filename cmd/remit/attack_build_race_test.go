//go:build race

package main_test

// buildFlags of the binary under attack: with the race detector on, it runs in the server too, and
// a race there ends the server with a status that its test does not accept. SQLite is left out, as it is
// in .ci/test.
var buildFlags = []string{"-race", "-gcflags=modernc.org/sqlite/lib=-race=false", "-gcflags=modernc.org/libc=-d=checkptr=0"}
