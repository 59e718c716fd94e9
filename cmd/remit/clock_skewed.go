//go:build chaosclock

package main

import (
	"os"
	"time"
)

// serverClock is a clock that may be wrong, for tests of instances whose clocks differ. No release is
// built with it.
func serverClock() func() time.Time {
	offset, err := time.ParseDuration(os.Getenv("REMIT_TEST_CLOCK_OFFSET"))
	if err != nil {
		return nil
	}
	return func() time.Time { return time.Now().Add(offset) }
}
