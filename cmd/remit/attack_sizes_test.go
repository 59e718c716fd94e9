package main_test

import (
	"flag"
	"fmt"
)

var full = flag.Bool("full", false, "play as many tries of each row as the catalogue names, which takes minutes")

// sizes are how many tries the tests play of rows that count: on every run, and with -full. What is seen must
// be the same.
var sizes = map[string]struct {
	each, full int
	what       string
}{
	"RV7":  {20, 1_000, "tasks, each ended and then tried"},
	"AU6":  {64, 10_000, "records by each instance"},
	"FT12": {10, 200, "kills"},
	"RX7":  {2_000, 5_000, "idle connections"},
	"CM11": {300, 5_000, "hosts"},
}

// size is how many tries this run plays of a row.
func size(id string) int {
	if *full {
		return sizes[id].full
	}
	return sizes[id].each
}

// sizeOf says so to readers; empty for a row whose size does not vary.
func sizeOf(id string) string {
	if s, counts := sizes[id]; counts {
		return fmt.Sprintf("%s: %d on every run, %d by `make catalogue`", s.what, s.each, s.full)
	}
	return ""
}
