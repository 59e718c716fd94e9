//go:build !race

package main_test

// buildFlags of the binary under attack.
var buildFlags []string
