//go:build !chaosclock

package main

import "time"

// serverClock is the clock of the server: the machine's.
func serverClock() func() time.Time { return nil }
