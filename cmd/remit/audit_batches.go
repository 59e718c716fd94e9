package main

import (
	"encoding/json"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/store"
)

// batches follow what Guards say: each execution of the ledger must be one that its Guard signed, with
// the key that it had enrolled. Whoever runs the server cannot put words into a Guard's mouth.
type batches struct {
	keys    map[string]json.RawMessage  // by Guard, as its enrolment recorded it
	waiting map[string]map[int64]spoken // by replica and its number, not yet signed for
	signed  map[string]int64            // by replica, the number behind the newest signed record
	count   int                         // of good signatures
}

// spoken is an execution in the ledger.
type spoken struct {
	record int64
	digest string
}

// noteSaid takes up a record that says what a Guard said, or that it signed it.
func (v *verifier) noteSaid(r store.Record) {
	b := &v.batches
	if b.keys == nil {
		b.keys, b.waiting, b.signed = map[string]json.RawMessage{}, map[string]map[int64]spoken{}, map[string]int64{}
	}
	if stream, n, digest, ok := server.Said(r); ok {
		if b.waiting[stream] == nil {
			b.waiting[stream] = map[int64]spoken{}
		}
		if _, twice := b.waiting[stream][n]; n == 0 || twice {
			v.problem(r.Seq, "no Guard signed it") // it has no number, or that of another
			return
		}
		b.waiting[stream][n] = spoken{r.Seq, digest}
		return
	}
	guard, key := server.GuardOf(r)
	switch {
	case guard == "":
	case key != nil:
		b.keys[guard] = key
	case b.keys[guard] != nil:
		v.noteBatch(r, b.keys[guard])
	default:
		v.problem(r.Seq, "a Guard signed it whose enrolment is not recorded")
	}
}

// noteBatch checks a signature against the records that it is for.
func (v *verifier) noteBatch(r store.Record, key json.RawMessage) {
	b := &v.batches
	stream, first, digests, err := server.SignedBatch(r, key)
	if err != nil {
		v.problem(r.Seq, "it is not what a Guard signed: %v", err)
		return
	}
	b.count++
	for i, digest := range digests {
		n := first + int64(i)
		said, ok := b.waiting[stream][n]
		if !ok {
			continue // erased, or signed for before
		}
		if said.digest != digest {
			v.problem(said.record, "it is not what the Guard said: its signature in record %d is for something else", r.Seq)
		}
		delete(b.waiting[stream], n)
	}
	b.signed[stream] = max(b.signed[stream], first+int64(len(digests)))
}

// judgeSaid finds executions that no Guard signed for. The newest may be in the ledger before their
// signature has its place in the chain.
func (v *verifier) judgeSaid() {
	for stream, all := range v.batches.waiting {
		for n, said := range all {
			if n < v.batches.signed[stream] || v.report.Unchained == 0 {
				v.problem(said.record, "no Guard signed it")
			}
		}
	}
	v.report.Batches = v.batches.count
}
