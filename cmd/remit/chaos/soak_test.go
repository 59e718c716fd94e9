//go:build chaos

package chaos

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

var soakFor = flag.Duration("soak.for", time.Minute, "how long the soak lasts")

// tables counts the rows of every table as PostgreSQL estimates them, and the size of all.
const tables = `SELECT relname || ' ' || n_live_tup FROM pg_stat_user_tables ORDER BY 1`

// growth is how much an instance may gain in an hour, extrapolated from the second half of a soak that
// is long enough to tell.
var growth = map[string]float64{"goroutines": 200, "files": 200, "RSS MiB": 128}

// TestSoak lets good and hostile clients work for a long time, and prints what grows.
func TestSoak(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	w := build(t, 10)
	ctx, stop := context.WithTimeout(t.Context(), *soakFor)
	defer stop()
	wait := w.Work(ctx)
	hostile := attack(ctx, w, *hostileRate/6)
	seen := map[string][]point{}
	before := rows(t, w)
	for began := time.Now(); ctx.Err() == nil; pause(ctx, max(time.Second, *soakFor/120)) {
		for _, in := range w.Instances {
			s, err := in.Size(context.WithoutCancel(ctx))
			if err != nil {
				t.Fatal(err)
			}
			for what, v := range map[string]float64{"RSS MiB": float64(s.RSS) / (1 << 20), "goroutines": float64(s.Goroutines), "files": float64(s.Files)} {
				seen[in.Name+" "+what] = append(seen[in.Name+" "+what], point{time.Since(began).Hours(), v})
			}
		}
	}
	h, err := hostile()
	if err != nil {
		t.Fatal(err)
	}
	wait()
	table := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "instance\tfirst\tlast\tslope an hour, second half")
	for what, points := range seen {
		half := slope(points[len(points)/2:])
		fmt.Fprintf(table, "%s\t%.0f\t%.0f\t%+.1f\n", what, points[0].y, points[len(points)-1].y, half)
		if _, name, _ := strings.Cut(what, " "); *soakFor >= 20*time.Minute && half > growth[name] {
			t.Errorf("%s grows by %.0f an hour", what, half)
		}
	}
	for name, n := range rows(t, w) {
		if n != before[name] {
			fmt.Fprintf(table, "rows of %s\t%.0f\t%.0f\t%+.0f\n", name, before[name], n, (n-before[name])/soakFor.Hours())
		}
	}
	table.Flush()
	for _, answer := range h.Served {
		t.Errorf("a hostile request was answered with %s", answer)
	}
	judge(t, w)
}

type point struct{ x, y float64 }

// slope is that of the straight line through the points (least squares).
func slope(points []point) float64 {
	var n, x, y, xx, xy float64
	for _, p := range points {
		n, x, y, xx, xy = n+1, x+p.x, y+p.y, xx+p.x*p.x, xy+p.x*p.y
	}
	if d := n*xx - x*x; d != 0 {
		return (n*xy - x*y) / d
	}
	return 0
}

// rows are the tables' sizes.
func rows(t *testing.T, w *World) map[string]float64 {
	t.Helper()
	out, err := w.Postgres.SQL(t.Context(), tables)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for line := range strings.Lines(out) {
		name, count, _ := strings.Cut(strings.TrimSpace(line), " ")
		if all[name], err = strconv.ParseFloat(count, 64); err != nil {
			t.Fatal(err)
		}
	}
	return all
}
