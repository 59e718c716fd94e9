//go:build !linux

package main_test

import (
	"testing"
	"time"
)

// cpu and memory are measured on Linux alone.
func (p *process) cpu(*testing.T) time.Duration { return 0 }

func (p *process) memory(*testing.T) int64 { return 0 }
