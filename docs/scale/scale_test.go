// Package scale computes the tables of docs/scale.md from what was measured.
package scale

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
)

// What was measured, per operation.
const (
	callsPerTask, refreshesPerTask = 30, 6
	recordsPerTask                 = 4 + 1 // consent to first tokens, end
	recordsPerRefresh              = 1
	recordsPerCall                 = 2
	bytesPerRecord                 = 950.0 // with indexes
	cpuTask, cpuRefresh, cpuCall   = 2.4e-3 + 0.5e-3, 0.6e-3, 60e-6
	day                            = 86400.0
)

// load is what a number of executions a day asks of the server.
type load struct{ tasks, records, cores, ledgerDay float64 }

func simulate(executions float64) load {
	tasks := executions / callsPerTask
	records := tasks*recordsPerTask + tasks*refreshesPerTask*recordsPerRefresh + executions*recordsPerCall
	cpu := tasks*cpuTask + tasks*refreshesPerTask*cpuRefresh + executions*cpuCall
	return load{tasks, records / day, cpu / day, records * bytesPerRecord}
}

// TestScale prints the table, and holds the page to it.
func TestScale(t *testing.T) {
	page, err := os.ReadFile("../scale.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		executions float64
		label      string
	}{{1e4, "| 10⁴ |"}, {1e6, "| 10⁶ |"}, {1e9, "| 10⁹ |"}} {
		l := simulate(row.executions)
		t.Logf("%s %.0f tasks, %.1f records/s, %.4f cores, %.1f GB a day, %.1f TB a year",
			row.label, l.tasks, l.records, l.cores, l.ledgerDay/1e9, l.ledgerDay*365/1e12)
		var cells []string
		for line := range strings.Lines(string(page)) {
			if strings.HasPrefix(line, row.label) {
				cells = strings.Split(line, "|")
			}
		}
		if len(cells) < 7 {
			t.Fatalf("the page has no row %s", row.label)
		}
		var said float64
		if _, err := fmt.Sscanf(strings.ReplaceAll(strings.TrimSpace(cells[3]), ",", ""), "%f", &said); err != nil {
			t.Fatal(err)
		}
		if math.Abs(said-l.records)/l.records > 0.15 {
			t.Errorf("%s the page says %v records a second, and it is %.1f", row.label, said, l.records)
		}
	}
}
