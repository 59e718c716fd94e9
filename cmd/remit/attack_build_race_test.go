//go:build race

package main_test

// buildFlags of the binary under attack: with the race detector on, it runs in the server too, and
// a race there ends the server with a status that its test does not accept. SQLite and argon2 are left out,
// as they are in .ci/test.
var buildFlags = []string{"-race", "-gcflags=modernc.org/sqlite/lib=-race=false", "-gcflags=modernc.org/libc=-d=checkptr=0", "-gcflags=golang.org/x/crypto/argon2=-race=false"}
