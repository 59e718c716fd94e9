package chaos

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// Latency is what the probes say of a stretch of time: how many, how many failed, and their p50 and p99.
func (h *History) Latency(from, to time.Time) (n, failed int, p50, p99 time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var took []time.Duration
	for _, p := range h.probes {
		if p.Start.Before(from) || p.End.After(to) {
			continue
		}
		if !p.OK {
			failed++
		}
		took = append(took, p.End.Sub(p.Start))
	}
	if n = len(took); n == 0 {
		return 0, failed, 0, 0
	}
	slices.Sort(took)
	return n, failed, took[n/2], took[n*99/100]
}

// Size is what an instance holds.
type Size struct {
	RSS        int64 // bytes
	Files      int   // open file descriptors
	Goroutines int
}

// Size looks at an instance from outside.
func (i *Instance) Size(ctx context.Context) (s Size, err error) {
	proc := fmt.Sprintf("/proc/%d", i.cmd.Process.Pid)
	raw, err := os.ReadFile(proc + "/statm")
	if err != nil {
		return s, err
	}
	var total, resident int64
	if _, err := fmt.Sscan(string(raw), &total, &resident); err != nil {
		return s, err
	}
	s.RSS = resident * int64(os.Getpagesize())
	files, err := os.ReadDir(proc + "/fd")
	if err != nil {
		return s, err
	}
	s.Files = len(files)
	res, err := blackbox.Get(ctx, "http://"+i.Ops+"/metrics")
	if err != nil {
		return s, err
	}
	for line := range strings.Lines(string(res.Body)) {
		if n, ok := strings.CutPrefix(line, "go_goroutines "); ok {
			s.Goroutines, err = strconv.Atoi(strings.TrimSpace(n))
		}
	}
	return s, err
}
