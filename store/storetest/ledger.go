package storetest

import (
	"fmt"
	"time"

	"github.com/remit-auth/remit/store"
)

// batch is a Guard's executions, numbered from first.
func (w *world) batch(first, n int, task string) (recs []store.Record) {
	for i := range n {
		r := store.NewRecord("execution.decided", map[string]int{"n": first + i})
		r.Task, r.Resource, r.Execution, r.At = task, tickets, fmt.Sprintf("exe_%d", first+i), w.clock.Now()
		recs = append(recs, r)
	}
	return recs
}

func (w *world) executions(first, n int, want int64) {
	w.t.Helper()
	next, err := w.s.AppendExecutions(w.ctx, "grd_1", "", int64(first), w.batch(first, n, ""))
	w.must(err)
	w.same("next", next, want)
}

// intact recomputes the chain from nothing but the records.
func (w *world) intact(recs []store.Record) {
	w.t.Helper()
	var head store.Hash
	numbers := make(map[string]int64)
	for i, r := range recs {
		w.same("sequence", r.Seq, int64(i+1))
		w.same("digest", r.Digest, r.PayloadDigest())
		numbers[r.Instance]++
		w.same("number", r.N, numbers[r.Instance])
		head = r.ChainHash(head)
		w.same("hash", r.Hash, head)
	}
	size, got, err := w.s.Head(w.ctx)
	w.must(err)
	w.same("head", []any{size, got}, []any{int64(len(recs)), head})
}

var ledger = map[string]func(*world){
	"a record is kept as it was": func(w *world) {
		r := store.NewRecord("test", map[string]string{"text": "line\n{\"forged\":1} \x1b[31m"})
		r.Task, r.User, r.Client, r.Agent = "tsk_1", "usr_1", "cli_1", "jkt"
		r.Resource, r.JTI, r.Execution, r.At = tickets, "at_1", "exe_1", w.clock.Now().Add(-time.Hour)
		w.must(w.s.Append(w.ctx, r))
		got := w.chained()[0]
		if got.Instance == "" {
			w.t.Error("no instance")
		}
		want := r
		want.Instance, want.N, want.Seq, want.Digest = got.Instance, 1, 1, r.PayloadDigest()
		want.Hash = want.ChainHash(store.Hash{})
		w.same("record", got, want)
	},
	"what the store sets": func(w *world) {
		w.must(w.s.Append(w.ctx, store.Record{Kind: "bare"}, store.Record{Kind: "bare"}))
		recs := w.chained()
		w.same("time", recs[0].At, w.clock.Now())
		w.same("payload", string(recs[0].Payload), "{}")
		w.same("salt", len(recs[0].Salt), 16)
		if string(recs[0].Salt) == string(recs[1].Salt) {
			w.t.Error("two records share a salt")
		}
	},
	"a record names the request that it was written for": func(w *world) {
		forged := store.NewRecord("forged", nil)
		forged.Request = "req_of_another"
		w.must(w.s.Append(store.WithRequest(w.ctx, "req_1"), store.NewRecord("one", nil), store.NewRecord("two", nil)))
		w.must(w.s.Append(w.ctx, store.NewRecord("of none", nil)))
		w.must(w.s.Append(store.WithRequest(w.ctx, "req_2"), forged))
		var names []string
		recs := w.chained()
		for _, r := range recs {
			names = append(names, r.Request)
		}
		w.same("requests", names, []string{"req_1", "req_1", "", "req_2"})
		w.intact(recs)
	},
	"an empty chain": func(w *world) {
		n, err := w.s.Sequence(w.ctx)
		w.must(err)
		w.same("chained", n, 0)
		w.intact(nil)
	},
	"the chain": func(w *world) {
		want := 0
		for i := range 7 {
			n := i * 100
			recs := make([]store.Record, n)
			for j := range recs {
				recs[j] = store.NewRecord("test", map[string]int{"i": i, "j": j})
			}
			w.must(w.s.Append(w.ctx, recs...))
			got, err := w.s.Sequence(w.ctx)
			w.must(err)
			w.same("chained", got, n)
			want += n
		}
		recs := w.chained()
		w.same("number", len(recs), want)
		w.intact(recs)
	},
	"unchained records are not shown": func(w *world) {
		w.must(w.s.Append(w.ctx, record("one")))
		_, err := w.s.Sequence(w.ctx)
		w.must(err)
		w.must(w.s.Append(w.ctx, record("two")))
		recs, err := w.s.Records(w.ctx, store.RecordFilter{})
		w.must(err)
		for _, r := range recs {
			if r.Seq == 0 || r.Hash.IsZero() {
				w.t.Error("an unchained record is shown")
			}
		}
		w.same("after chaining", w.kinds(), []string{"one", "two"})
	},
	"filters": func(w *world) {
		for i := range 10 {
			r := record([]string{"even", "odd"}[i%2])
			r.Task, r.User, r.Resource = []string{"tsk_a", "tsk_b", ""}[i%3], []string{"usr_a", ""}[i/5], []string{tickets, mail}[i/8]
			w.must(w.s.Append(store.WithRequest(w.ctx, []string{"req_a", "req_b", "", ""}[i%4]), r))
		}
		w.chained()
		for name, tt := range map[string]struct {
			filter store.RecordFilter
			want   []int64
		}{
			"all":            {store.RecordFilter{}, []int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}},
			"after":          {store.RecordFilter{AfterSeq: 8}, []int64{9, 10}},
			"after the last": {store.RecordFilter{AfterSeq: 99}, nil},
			"limit":          {store.RecordFilter{AfterSeq: 2, Limit: 3}, []int64{3, 4, 5}},
			"task":           {store.RecordFilter{Task: "tsk_b"}, []int64{2, 5, 8}},
			"task after":     {store.RecordFilter{Task: "tsk_b", AfterSeq: 2, Limit: 1}, []int64{5}},
			"kind":           {store.RecordFilter{Kind: "odd", AfterSeq: 4}, []int64{6, 8, 10}},
			"task and kind":  {store.RecordFilter{Task: "tsk_a", Kind: "odd"}, []int64{4, 10}},
			"user":           {store.RecordFilter{User: "usr_a", AfterSeq: 2}, []int64{3, 4, 5}},
			"user and kind":  {store.RecordFilter{User: "usr_a", Kind: "even"}, []int64{1, 3, 5}},
			"request":        {store.RecordFilter{Request: "req_a", AfterSeq: 1}, []int64{5, 9}},
			"and its task":   {store.RecordFilter{Request: "req_b", Task: "tsk_b"}, []int64{2}},
			"no request":     {store.RecordFilter{Request: "req_c"}, nil},
			"resource":       {store.RecordFilter{Resource: mail, Limit: 1}, []int64{9}},
		} {
			recs, err := w.s.Records(w.ctx, tt.filter)
			w.must(err)
			var got []int64
			for _, r := range recs {
				got = append(got, r.Seq)
			}
			w.same(name, got, tt.want)
		}
	},
	"filters, newest first": func(w *world) {
		for i := range 10 {
			r := record([]string{"even", "odd"}[i%2])
			r.Task, r.User, r.Resource = []string{"tsk_a", "tsk_b", ""}[i%3], []string{"usr_a", ""}[i/5], []string{tickets, mail}[i/8]
			w.must(w.s.Append(store.WithRequest(w.ctx, []string{"req_a", "req_b", "", ""}[i%4]), r))
		}
		w.chained()
		w.must(w.s.Append(w.ctx, record("unchained")))
		type filter = store.RecordFilter
		for name, tt := range map[string]struct {
			filter filter
			want   []int64
			next   int64
		}{
			"all":                        {filter{}, []int64{10, 9, 8, 7, 6, 5, 4, 3, 2, 1}, 0},
			"limit":                      {filter{Limit: 3}, []int64{10, 9, 8}, 8},
			"before":                     {filter{Before: 4}, []int64{3, 2, 1}, 0},
			"before the first":           {filter{Before: 1}, nil, 0},
			"before what is not":         {filter{Before: 99, Limit: 1}, []int64{10}, 10},
			"task":                       {filter{Task: "tsk_b"}, []int64{8, 5, 2}, 0},
			"task and kind":              {filter{Task: "tsk_a", Kind: "odd", Before: 10}, []int64{4}, 0},
			"user":                       {filter{User: "usr_a", Before: 5}, []int64{4, 3, 2, 1}, 0},
			"user and kind":              {filter{User: "usr_a", Kind: "odd"}, []int64{4, 2}, 0},
			"user and task":              {filter{User: "usr_a", Task: "tsk_b"}, []int64{5, 2}, 0},
			"user and resource":          {filter{User: "usr_a", Resource: mail}, nil, 0},
			"kind":                       {filter{Kind: "odd", Limit: 2}, []int64{10, 8}, 8},
			"resource":                   {filter{Resource: mail}, []int64{10, 9}, 0},
			"request":                    {filter{Request: "req_b"}, []int64{10, 6, 2}, 0},
			"request and kind":           {filter{Request: "req_b", Kind: "even"}, nil, 0},
			"everything":                 {filter{Task: "tsk_a", User: "usr_a", Kind: "even", Resource: tickets}, []int64{1}, 0},
			"unchained":                  {filter{Kind: "unchained"}, nil, 0},
			"not all are looked at":      {filter{Resource: tickets, Look: 3}, []int64{8}, 8},
			"none among those looked at": {filter{User: "usr_a", Kind: "odd", Look: 1}, nil, 5},
			"nor among the next":         {filter{User: "usr_a", Kind: "even", Look: 1, Before: 5}, nil, 4},
			"but then":                   {filter{User: "usr_a", Kind: "odd", Look: 1, Before: 5}, []int64{4}, 4},
		} {
			recs, next, err := w.s.RecordsBefore(w.ctx, tt.filter)
			w.must(err)
			var got []int64
			for _, r := range recs {
				got = append(got, r.Seq)
			}
			w.same(name, []any{got, next}, []any{tt.want, tt.next})
		}
	},
	"a Guard's batches": func(w *world) {
		w.enrol(tickets, "grd_1")
		w.executions(1, 3, 4)
		w.unchanged(func() { w.executions(1, 3, 4) }) // already stored
		w.unchanged(func() { w.executions(6, 2, 4) }) // a gap
		w.unchanged(func() { w.executions(4, 0, 4) }) // nothing
		w.executions(2, 4, 6)                         // overlaps
		w.executions(6, 1, 7)
		var got []string
		for _, r := range w.chained() {
			got = append(got, r.Execution)
		}
		w.same("stored", got, []string{"exe_1", "exe_2", "exe_3", "exe_4", "exe_5", "exe_6"})
	},
	"batches are numbered per Guard, from 1": func(w *world) {
		w.enrol(tickets, "grd_1")
		w.executions(1, 2, 3)
		w.enrol(mail, "grd_2")
		next, err := w.s.AppendExecutions(w.ctx, "grd_2", "", 1, w.batch(1, 1, ""))
		w.must(err)
		w.same("next", next, int64(2))
		w.unchanged(func() {
			if _, err := w.s.AppendExecutions(w.ctx, "grd_1", "", 0, w.batch(0, 1, "")); err == nil {
				w.t.Error("numbered from 0")
			}
		})
		w.refused(store.ErrResourceNotFound, func() error {
			_, err := w.s.AppendExecutions(w.ctx, "grd_nobody", "", 1, w.batch(1, 1, ""))
			return err
		})
	},
	"executions are use": func(w *world) {
		w.enrol(tickets, "grd_1")
		l, elsewhere := w.lend(), w.lendAt(mail, func(a *store.Approval) { a.Grants[0].Resource = mail })
		start := w.clock.Now()
		w.clock.Advance(time.Minute)
		recs := append(w.batch(1, 1, l.ID), w.batch(2, 1, elsewhere.ID)...)
		recs[0].At = w.clock.Now().Add(time.Hour) // a Guard's clock that runs ahead
		_, err := w.s.AppendExecutions(w.ctx, "grd_1", "", 1, recs)
		w.must(err)
		w.same("seen", w.task(l.ID).SeenAt, w.clock.Now())
		w.same("seen elsewhere", w.task(elsewhere.ID).SeenAt, start)
	},
	"calls of tasks": func(w *world) {
		decide := func(task, decision string) store.Record {
			r := store.NewRecord("execution.decided", map[string]string{"decision": decision})
			r.Task = task
			return r
		}
		finished, disputed := record("execution.finished"), record("execution.disputed")
		finished.Task, disputed.Task = "tsk_a", "tsk_a"
		missing, stray := record("finding.execution_unrecorded"), record("finding.execution_unrecorded")
		missing.Task = "tsk_c"
		w.must(w.s.Append(w.ctx, decide("tsk_a", "allowed"), finished, decide("tsk_b", "refused"), decide("", "refused"),
			decide("tsk_a", "refused"), disputed, decide("tsk_a", "allowed"),
			missing, missing, stray))
		counted := func() map[string]store.Calls {
			calls, err := w.s.TaskCalls(w.ctx, "tsk_a", "tsk_b", "tsk_c", "tsk_none", "")
			w.must(err)
			return calls
		}
		w.same("before they are chained", len(counted()), 0)
		w.chained()
		w.must(w.s.Append(w.ctx, decide("tsk_a", "refused"), missing))
		w.same("counts", counted(), map[string]store.Calls{"tsk_a": {All: 3, Blocked: 1}, "tsk_b": {All: 1, Blocked: 1}, "tsk_c": {Unrecorded: 2}})
		none, err := w.s.TaskCalls(w.ctx)
		w.must(err)
		w.same("of no task", len(none), 0)
		for name, tt := range map[string]struct {
			task   string
			before int64
			limit  int
			want   []int64
		}{
			"newest first": {"tsk_a", 0, 10, []int64{7, 5, 1}},
			"limit":        {"tsk_a", 0, 2, []int64{7, 5}},
			"before":       {"tsk_a", 7, 10, []int64{5, 1}},
			"no more":      {"tsk_a", 1, 10, nil},
			"another task": {"tsk_b", 0, 10, []int64{3}},
			"no task":      {"", 0, 10, nil},
		} {
			recs, err := w.s.NewestCalls(w.ctx, tt.task, tt.before, tt.limit)
			w.must(err)
			var got []int64
			for _, r := range recs {
				got = append(got, r.Seq)
			}
			w.same(name, got, tt.want)
		}
	},
	"checkpoints": func(w *world) {
		c, err := w.s.LastCheckpoint(w.ctx)
		w.must(err)
		w.same("none", c, store.Checkpoint{})
		first := store.Checkpoint{At: w.clock.Now(), Signed: "jws1"}
		second := store.Checkpoint{Size: 5, Head: w.secret(), At: w.clock.Now(), Signed: "jws2"}
		w.must(w.s.AddCheckpoint(w.ctx, first))
		w.must(w.s.AddCheckpoint(w.ctx, second))
		c, err = w.s.LastCheckpoint(w.ctx)
		w.must(err)
		w.same("newest", c, second)
		all, err := w.s.Checkpoints(w.ctx)
		w.must(err)
		w.same("all", all, []store.Checkpoint{first, second})
		w.must(w.s.AddCheckpoint(w.ctx, store.Checkpoint{Size: 4, At: w.clock.Now(), Signed: "of fewer records"}))
		w.must(w.s.AddCheckpoint(w.ctx, store.Checkpoint{Size: 6, At: w.clock.Now().Add(-time.Second), Signed: "of an earlier time"}))
		all, err = w.s.Checkpoints(w.ctx)
		w.must(err)
		w.same("in order", all, []store.Checkpoint{first, second})
	},
}
