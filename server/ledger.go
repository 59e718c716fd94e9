package server

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// How often the housekeeping runs. Records are chained within a second and sealed within ten
// (DESIGN §6, P3), each with room for one failed try.
const (
	sequenceEvery = 250 * time.Millisecond
	sealEvery     = 4 * time.Second
	sweepEvery    = time.Second
	flushEvery    = time.Minute
	pruneEvery    = 10 * time.Second
	lastSeal      = 3 * time.Second // what shutdown may take for it
)

// Run keeps the ledger chained and sealed and the tasks swept until ctx ends; then it chains and
// seals what is left, and returns.
func (s *Server) Run(ctx context.Context) error {
	if err := s.Settle(ctx); err != nil {
		s.log.Error("ledger not settled at the start", "err", err)
	}
	var jobs sync.WaitGroup
	for _, job := range []struct {
		name  string
		every time.Duration
		do    func(context.Context) error
	}{
		{"sequence the ledger", sequenceEvery, s.sequence},
		{"seal the ledger", sealEvery, s.sealInTurn},
		{"sweep tasks", sweepEvery, s.sweep},
		{"apply the rules", sequenceEvery, s.applyRules},
		{"read the keys", reloadEvery, s.ring.Reload},
		{"rotate the keys", reloadEvery, s.rotateKeys},
		{"forget what is over", pruneEvery, s.prune},
		{"write refusals", flushEvery, s.flushRefusals},
		{"forget unused clients", flushEvery, s.forgetClients},
	} {
		jobs.Go(func() { s.repeat(ctx, job.name, job.every, job.do) })
	}
	jobs.Wait()
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), lastSeal)
	defer stop()
	return errors.Join(s.flushRefusals(last), s.Settle(last))
}

// repeat does the job now and then again and again; it logs when a job starts to fail, and when it
// works again.
func (s *Server) repeat(ctx context.Context, name string, every time.Duration, do func(context.Context) error) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	failing := false
	for {
		err := do(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing:
			s.log.Error("cannot "+name, "err", err)
		case err == nil && failing:
			s.log.Info("again able to " + name)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Settle chains and seals every record written so far.
func (s *Server) Settle(ctx context.Context) error {
	if err := s.sequence(ctx); err != nil {
		return err
	}
	return s.sealLedger(ctx)
}

// sequence gives every new record its place in the chain, and tells the pages that wait for it.
func (s *Server) sequence(ctx context.Context) error {
	for {
		n, err := s.store.Sequence(ctx)
		if err != nil {
			return err
		}
		if n == 0 {
			return s.live.tell(ctx, s.store)
		}
	}
}

func (s *Server) prune(ctx context.Context) error {
	_, err := s.store.Prune(ctx)
	return err
}

func (s *Server) sweep(ctx context.Context) error {
	_, err := s.store.SweepTasks(ctx)
	return err
}

// seal remembers the newest checkpoint, so that beats carry it without a read.
type seal struct {
	mu   sync.Mutex // one sealing at a time
	last atomic.Pointer[store.Checkpoint]
}

// forget makes the next sealing read the newest checkpoint again.
func (l *seal) forget() { l.last.Store(nil) }

// newest is the newest checkpoint that this instance knows; zero before the first.
func (l *seal) newest() store.Checkpoint {
	if c := l.last.Load(); c != nil {
		return *c
	}
	return store.Checkpoint{}
}

// errLedgerAltered means that the chain no longer goes through the last checkpoint. It is never
// sealed over: `remit audit verify` tells what happened.
var errLedgerAltered = errors.New("server: the ledger no longer matches its last checkpoint")

// sealLedger signs a checkpoint when the chain has grown since the last one, or when the last one is
// signed by a key that does not count any more.
func (s *Server) sealLedger(ctx context.Context) error {
	s.seal.mu.Lock()
	defer s.seal.mu.Unlock()
	return s.sealNow(ctx)
}

// sealInTurn seals unless another instance has just done so.
func (s *Server) sealInTurn(ctx context.Context) error {
	s.seal.mu.Lock()
	defer s.seal.mu.Unlock()
	mine := s.seal.newest()
	last, err := s.lastCheckpoint(ctx)
	if err != nil || last.Signed != mine.Signed && s.now().Sub(last.At) < sealEvery/2 {
		return err
	}
	return s.sealNow(ctx)
}

func (s *Server) sealNow(ctx context.Context) error {
	last, err := s.lastCheckpoint(ctx)
	if err != nil {
		return err
	}
	size, head, err := s.store.Head(ctx)
	if err != nil {
		return err
	}
	if err := s.continues(ctx, last, size, head); err != nil || size == last.Size && s.stands(last) {
		return err
	}
	if err := s.ring.Reload(ctx); err != nil { // no killed key signs a ledger that tells of its death
		return err
	}
	c := store.Checkpoint{Size: size, Head: head, At: s.now().UTC().Truncate(time.Microsecond)}
	c.Signed, err = s.ring.Signer().SignCheckpoint(tokens.CheckpointClaims{Issuer: s.issuer, Size: size, Head: hex.EncodeToString(head[:]), At: c.At})
	if err != nil {
		return err
	}
	if err := s.store.AddCheckpoint(ctx, c); err != nil {
		return err
	}
	s.sealedAs(&c)
	return nil
}

// stands reports whether a Guard could verify the checkpoint now.
func (s *Server) stands(c store.Checkpoint) bool {
	if c.Size == 0 {
		return true
	}
	_, err := s.ring.Keys().VerifyCheckpoint(c.Signed)
	return err == nil
}

// sealedAs takes a checkpoint for the newest one.
func (s *Server) sealedAs(c *store.Checkpoint) {
	s.seal.last.Store(c)
	if s.sealed != nil {
		s.sealed(*c, s.EpochBegan())
	}
}

// lastCheckpoint is the newest checkpoint: the one sealed here, or a later one in the store, by this
// server before it started or by another instance, if its signature is ours.
func (s *Server) lastCheckpoint(ctx context.Context) (store.Checkpoint, error) {
	last, err := s.store.LastCheckpoint(ctx)
	if err != nil {
		return last, err
	}
	if known := s.seal.last.Load(); known != nil && (last.Size < known.Size || last.Signed == known.Signed || last.At.Before(known.At)) {
		return *known, nil
	}
	if last.Size == 0 {
		return last, nil
	}
	signed, err := s.ring.All().VerifyCheckpoint(last.Signed)
	if err != nil { // by a key that another instance has made?
		if err := s.ring.Reload(ctx); err != nil {
			return last, err
		}
		signed, err = s.ring.All().VerifyCheckpoint(last.Signed)
	}
	if err != nil {
		return last, fmt.Errorf("%w: its signature: %w", errLedgerAltered, err)
	}
	if signed.Issuer != s.issuer || signed.Size != last.Size || signed.Head != last.Head.String() {
		return last, errLedgerAltered
	}
	s.sealedAs(&last)
	return last, nil
}

// continues reports whether a chain of this size and head goes through the checkpoint.
func (s *Server) continues(ctx context.Context, last store.Checkpoint, size int64, head store.Hash) error {
	switch {
	case size < last.Size, size == last.Size && head != last.Head:
		return errLedgerAltered
	case size == last.Size || last.Size == 0:
		return nil
	}
	recs, err := s.store.Records(ctx, store.RecordFilter{AfterSeq: last.Size - 1, Limit: 1})
	if err != nil {
		return err
	}
	if len(recs) != 1 || recs[0].Seq != last.Size || recs[0].Hash != last.Head {
		return errLedgerAltered
	}
	return nil
}

// Ready reports whether the server can answer: it is not stopping, its store takes writes and
// replays can be judged.
func (s *Server) Ready(ctx context.Context) error {
	select {
	case <-s.closing:
		return errFeedClosing
	default:
		return s.ready(ctx)
	}
}

// FeedsOpen is how many Guards listen to their feed here.
func (s *Server) FeedsOpen() int { return s.hubs.listening() }

// SealedRecords is how many records the newest checkpoint covers; SealedAt, when it was made, in
// seconds since 1970.
func (s *Server) SealedRecords() int64 { return s.seal.newest().Size }

// SealedAt is 0 before the first checkpoint.
func (s *Server) SealedAt() float64 {
	if at := s.seal.newest().At; !at.IsZero() {
		return float64(at.Unix())
	}
	return 0
}
