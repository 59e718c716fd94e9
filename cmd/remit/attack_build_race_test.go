//go:build race

package main_test

// buildFlags of the binary under attack: with the race detector on, it runs in the server too, and
// a race there ends the server with a status that its test does not accept.
var buildFlags = []string{"-race"}
