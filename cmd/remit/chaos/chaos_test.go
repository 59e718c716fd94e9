//go:build chaos

package chaos

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

var (
	long   = flag.Bool("chaos.long", false, "every fault, in an order that the seed decides")
	rounds = flag.Int("chaos.rounds", 1, "how often each fault happens")
	seed   = flag.Uint64("chaos.seed", 0, "decides what workers do, and the order; 0: by the clock")
	only   = flag.String("chaos.only", "", "faults whose name contains this, and no others")
	crowd  = flag.Int("chaos.workers", 4, "people at work, each with an agent that asks besides")
)

// Bounds that the promises name (P1, P4), and how long the world is left alone after a fault.
const (
	fence     = 10*time.Second + 500*time.Millisecond // no feed for so long: the Guard refuses all
	oneGone   = time.Second
	recovery  = 5 * time.Second
	breath    = 2 * time.Second
	settleFor = 6 * time.Second
)

// TestMain is a stranger where this program was started to be one.
func TestMain(m *testing.M) {
	if stranger, err := BeStranger(); err != nil {
		log.Fatal(err)
	} else if !stranger {
		os.Exit(m.Run())
	}
}

// TestChaos plays faults under load and checks what the clients wrote down.
func TestChaos(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", *seed)
	w := build(t, 10) // each worker does what no person could in the time
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	wait := w.Work(ctx)
	play(t, ctx, w, choose())
	stop()
	wait()
	judge(t, w)
	if t.Failed() {
		for _, in := range w.Instances {
			log := in.Log.String()
			t.Logf("instance %s:\n%s", in.Name, log[max(0, len(log)-6000):])
		}
	}
}

// build makes the binary and a world of it, which ends with the test.
func build(t *testing.T, rates int) *World {
	t.Helper()
	dir, err := os.MkdirTemp("", "chaos-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // PostgreSQL runs as somebody else
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "remit")
	if out, err := exec.Command("go", "build", "-tags", "chaosclock", "-o", binary, "github.com/remit-auth/remit/cmd/remit").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	w, err := Build(t.Context(), binary, dir, *seed, *crowd, rates)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// choose is what happens, in order.
func choose() []Fault {
	faults := slices.DeleteFunc(Faults(), func(f Fault) bool { return *only == "" && !*long && !f.Short || !strings.Contains(f.Name, *only) })
	var all []Fault
	for range *rounds {
		all = append(all, faults...)
	}
	if *long && len(all) > 1 {
		rand.New(rand.NewPCG(*seed, 1)).Shuffle(len(all)-1, func(i, j int) { all[i+1], all[j+1] = all[j+1], all[i+1] })
	}
	return all
}

// play does one fault after the other and prints what the probes say of each.
func play(t *testing.T, ctx context.Context, w *World, faults []Fault) {
	table := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "fault\tlasted\tprobes\tfailed\terror seconds\tuntil healed probes succeed\twhy")
	defer table.Flush()
	pause(ctx, breath)
	for _, f := range faults {
		from := time.Now()
		healed := from
		if err := f.Do(ctx, w, func() { healed = time.Now() }); err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		if err := w.await(15*time.Second, "two ready instances after "+f.Name, func() bool { return w.Balancer.Ready() == 2 }); err != nil {
			t.Fatal(err)
		}
		pause(ctx, breath)
		seen := w.History.Window(from, healed, time.Now())
		fmt.Fprintf(table, "%s\t%.1f s\t%d\t%d\t%.1f s\t%.1f s\t%v\n", f.Name, healed.Sub(from).Seconds(), seen.Probes, seen.Failed, seen.Error.Seconds(), seen.Recovered.Seconds(), seen.Why)
		bound := f.MaxError
		if bound == 0 {
			bound = oneGone
		}
		if f.Outage {
			bound = healed.Sub(from) + recovery
		}
		if seen.Error > bound {
			t.Errorf("%s: %v of errors, at most %v", f.Name, seen.Error, bound)
		}
		if seen.Recovered > recovery {
			t.Errorf("%s: errors until %v after it was healed", f.Name, seen.Recovered)
		}
		if f.Name == "rolling SIGTERM" && seen.Failed > 0 {
			t.Errorf("%d requests dropped by a rolling SIGTERM", seen.Failed)
		}
	}
}

// judge checks the notes, and the ledger against them.
func judge(t *testing.T, w *World) {
	fmt.Println(w.History.Counts())
	wrong, late := w.History.Check(fence)
	for _, line := range wrong {
		t.Error(line)
	}
	if len(late) > 0 {
		fmt.Printf("ended tasks: %d; last good call after the end was acknowledged: median %v, p99 %v, most %v\n",
			len(late), late[len(late)/2].Round(time.Millisecond), late[len(late)*99/100].Round(time.Millisecond), late[len(late)-1].Round(time.Millisecond))
	}
	if len(w.History.Keys("end")) < 3 {
		t.Error("hardly anything was done: the checks say nothing")
	}
	within, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := w.await(settleFor, "the Guard's records", func() bool { return w.Guard.Ready(within) == nil }); err != nil {
		t.Error(err)
	}
	for _, in := range w.Instances {
		in.Stop() // which chains and seals what is left
	}
	if err := w.Instances[0].Run(); err != nil { // and what a request wrote that was cut off after that, the next start does
		t.Error(err)
	}
	w.Instances[0].Stop()
	out, err := w.Instances[0].Remit(within, "", "audit", "verify", "--database", w.Postgres.URL(w.Postgres.Addr))
	if err != nil {
		t.Errorf("the ledger: %v\n%s", err, out)
	}
	var report struct {
		OK        bool  `json:"ok"`
		Records   int64 `json:"records"`
		Unchained int   `json:"unchained"`
	}
	if err := json.Unmarshal(out, &report); err != nil || !report.OK || report.Unchained > 0 {
		t.Errorf("the ledger: %v %s", err, out)
	}
	lost := 0
	for kind, tasks := range map[string][]string{"token.issued": w.History.Keys("granted"), "task.ended": w.History.Keys("end")} {
		rows, err := w.Postgres.SQL(within, "SELECT DISTINCT task FROM ledger WHERE kind = '"+kind+"'")
		if err != nil {
			t.Fatal(err)
		}
		known := strings.Fields(rows)
		for _, task := range tasks {
			if !slices.Contains(known, task) {
				lost++
				t.Errorf("the ledger has no %s of %s, which was acknowledged", kind, task)
			}
		}
	}
	fmt.Printf("ledger: %d records verified, %d acknowledged ones lost\n", report.Records, lost)
}
