package storetest

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/remit-auth/remit/store"
)

// FaultOpener is an Opener of a store whose statements ask the fault.
type FaultOpener func(t *testing.T, now store.Clock, f *Fault) store.Store

// RunFaults fails every statement of every verb, one at a time and in each of the ways. A verb whose
// statement failed never answers with success or with a refusal, unless it has recovered by itself and
// all of it has happened; nothing of it is half done; repeated, it succeeds once; and the ledger's chain
// and numbers are whole.
func RunFaults(t *testing.T, open FaultOpener, tables func(t *testing.T, s store.Store) map[string]string, ways ...Way) {
	points := 0
	for name, verb := range faultVerbs {
		t.Run(name, func(t *testing.T) {
			var done map[string]string // as the first way leaves it behind, whose last run nothing disturbs
			for _, way := range ways {
				b := newBreaker(t, open, tables, verb)
				b.name, b.way, b.done = name, way, done
				points += b.run()
				done = b.done
			}
		})
	}
	t.Run("reads", func(t *testing.T) {
		for _, way := range ways {
			points += readsFail(t, open, tables, way)
		}
	})
	t.Logf("%d points of failure", points)
	complete(t)
}

// complete sees that no method of the store is left out.
func complete(t *testing.T) {
	named := map[string]bool{"Close": true, "WatchFeed": true} // they need no statement
	for name := range faultVerbs {
		method, _, _ := strings.Cut(name, ",")
		named[method] = true
	}
	for name := range faultReads {
		method, _, _ := strings.Cut(name, ",")
		named[method] = true
	}
	of := reflect.TypeFor[store.Store]()
	for i := range of.NumMethod() {
		if m := of.Method(i).Name; !named[m] {
			t.Errorf("no fault is tried in %s", m)
		}
	}
}

// inSteps are the verbs whose comments promise several steps, each atomic: what they have done stays done.
var inSteps = map[string]bool{"SweepTasks": true, "Prune": true}

// breaker tries one verb in a world of its own.
type breaker struct {
	*world
	name         string
	verb         func() error
	fault        *Fault
	way          Way
	before, done map[string]string // by table, what there was, and what an undisturbed run leaves behind; nil: not known yet
}

func newBreaker(t *testing.T, open FaultOpener, tables func(*testing.T, store.Store) map[string]string, verb func(*world) func() error) *breaker {
	f := &Fault{}
	s := &suite{tables: tables, open: func(t *testing.T, now store.Clock) store.Store { return open(t, now, f) }}
	b := &breaker{world: s.world(t), fault: f}
	b.verb = verb(b.world)
	return b
}

// run fails its statements one after the other, until it has no more, and says how many that were.
func (b *breaker) run() (points int) {
	b.before = b.rows()
	state, happened := b.before, false
	for n := 1; ; n++ {
		b.fault.Arm(n, b.way)
		err := b.verb()
		if !b.fault.Disarm() {
			b.after(err, happened, state)
			return points
		}
		points++
		now := b.rows()
		switch changed := !cmp.Equal(now, state); {
		case happened && (err == nil || isRefusal(err)): // it is done, and says so
		case err == nil && !b.complete(now):
			b.t.Fatalf("statement %d %s: answered with success\n%s", n, b.way, b.differs(now))
		case isRefusal(err):
			b.t.Fatalf("statement %d %s: answered with %v", n, b.way, err)
		case changed && inSteps[b.name]: // each of its steps is whole
			state = now
		case changed && (err != nil && b.way != Lost || !happened && !b.complete(now)):
			b.t.Fatalf("statement %d %s, and with %v something of it has happened:\n%s\nnot all of it:\n%s", n, b.way, err, cmp.Diff(state, now), b.differs(now))
		case changed:
			state, happened = now, true
		}
	}
}

// after judges the run that nothing disturbed any more: what had not happened does; what had is told, or
// refused, and changes nothing by being refused.
func (b *breaker) after(err error, happened bool, state map[string]string) {
	b.t.Helper()
	now := b.rows()
	switch {
	case happened && err != nil && !cmp.Equal(now, state):
		b.t.Fatalf("repeated after it had happened: %v, and it changes\n%s", err, cmp.Diff(state, now))
	case happened:
	case cmp.Equal(now, b.before):
		b.t.Fatal("it changes nothing")
	case err != nil && !isRefusal(err):
		b.t.Fatalf("repeated: %v", err)
	case !b.complete(now):
		b.t.Fatalf("repeated, it leaves something else behind:\n%s", b.differs(now))
	case b.done == nil:
		b.done = now
	}
	b.intact(b.chained())
}

// complete reports whether the tables are as an undisturbed run leaves them. Of the ledger, whose salts
// are chance, the number of records counts.
func (b *breaker) complete(now map[string]string) bool { return b.done == nil || b.differs(now) == "" }

func (b *breaker) differs(now map[string]string) string {
	return cmp.Diff(counted(b.done), counted(now))
}

func counted(tables map[string]string) map[string]string {
	all := make(map[string]string)
	for table, what := range tables {
		if strings.HasPrefix(table, "ledger") || table == "chain" || table == "checkpoints" {
			what, _, _ = strings.Cut(what, ",")
		}
		all[table] = what
	}
	return all
}

// isRefusal reports whether an error is one of the sentinels, which tell that something was judged.
func isRefusal(err error) bool { return err != nil && strings.HasPrefix(err.Error(), "store: ") }

// readsFail fails the statements of what only reads, in one world for all.
func readsFail(t *testing.T, open FaultOpener, tables func(*testing.T, store.Store) map[string]string, way Way) (points int) {
	var in *reading
	b := newBreaker(t, open, tables, func(w *world) func() error { in = w.reading(); return nil })
	for name, read := range faultReads {
		t.Run(fmt.Sprint(name, " ", way), func(t *testing.T) {
			want, err := read(in)
			if err != nil {
				t.Fatal(err)
			}
			for n := 1; ; n++ {
				b.fault.Arm(n, way)
				got, err := read(in)
				met := b.fault.Disarm()
				if err == nil {
					if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
						t.Fatalf("statement %d: another answer:\n%s", n, diff)
					}
				}
				switch {
				case !met && err != nil:
					t.Fatalf("afterwards: %v", err)
				case !met:
					return
				case err != nil && isRefusal(err):
					t.Fatalf("statement %d: answered with %v", n, err)
				}
				points++
			}
		})
	}
	return points
}
