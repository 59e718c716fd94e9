package postgres

import (
	"context"
	"strconv"
	"time"

	"github.com/remit-auth/remit/store"
)

// reasonRestored is why tasks end when a backup was restored.
const (
	reasonRestored = "restored"
	restoreTimeout = 10 * time.Minute // every live task ends in one step
)

const (
	lastEpochSQL = `SELECT n, at, size FROM epochs ORDER BY n DESC LIMIT 1`
	addEpochSQL  = `INSERT INTO epochs (n, at, size) VALUES ($1, $2, $3)`
	ledgerLenSQL = `SELECT size + (SELECT count(*) FROM ledger_inbox) FROM chain`

	everyLiveTaskSQL     = `SELECT id FROM tasks WHERE ended_at = 0`
	forgetAllSessionsSQL = `DELETE FROM sessions`
	forgetAllRequestsSQL = `DELETE FROM requests`
	retireNextSQL        = `UPDATE keys SET state = 'retired', retired_at = $2 WHERE use = $1 AND state IN ('active', 'next')`
	// A negative number says that the Guard may go on with a later one.
	skipExecutionsSQL = `UPDATE guards SET next_execution = -next_execution WHERE next_execution > 0`
	skipStreamsSQL    = `UPDATE guard_streams SET next_execution = -next_execution WHERE next_execution > 0`
)

// LastEpoch returns the newest epoch.
func (s *Store) LastEpoch(ctx context.Context) (e store.Epoch, err error) {
	err = s.read(ctx, func(c *conn) error {
		e, err = c.lastEpoch()
		return err
	})
	return e, err
}

func (c *conn) lastEpoch() (e store.Epoch, err error) {
	_, err = c.one(lastEpochSQL, nil, &e.N, at(&e.At), &e.Size)
	return e, err
}

// RaiseEpoch declares that the store was restored from a backup.
func (s *Store) RaiseEpoch(ctx context.Context, active, next store.Key, recs ...store.Record) (e store.Epoch, ended int, err error) {
	err = s.writeFor(ctx, restoreTimeout, func(tx *tx) error {
		tx.mutex("epoch", "")
		tx.mutex("keys", active.Use)
		if e, err = tx.lastEpoch(); err != nil {
			return err
		}
		e.N, e.At = e.N+1, tx.now()
		if _, err := tx.one(ledgerLenSQL, nil, &e.Size); err != nil {
			return err
		}
		tasks, err := tx.endAll(everyLiveTaskSQL, nil, store.End{State: store.TaskRevoked, By: store.ByServer, Reason: reasonRestored})
		if err != nil {
			return err
		}
		ended = len(tasks)
		return tx.raise(e, ended, active, next, recs)
	})
	return e, ended, err
}

// raise writes the epoch down and tells of it.
func (tx *tx) raise(e store.Epoch, ended int, active, next store.Key, recs []store.Record) error {
	for _, query := range []string{forgetAllSessionsSQL, forgetAllRequestsSQL, skipExecutionsSQL, skipStreamsSQL} {
		tx.later(query)
	}
	tx.later(retireNextSQL, active.Use, micros(tx.now()))
	if err := tx.addKey(&active, store.KeyActive); err != nil {
		return err
	}
	if err := tx.addKey(&next, store.KeyNext); err != nil {
		return err
	}
	tx.later(addEpochSQL, e.N, micros(e.At), e.Size)
	if err := tx.tellAll(store.Event{Kind: store.EventEpochRaised, JTI: strconv.FormatInt(e.N, 10)}); err != nil {
		return err
	}
	raised := store.NewRecord(store.EventEpochRaised, map[string]any{"epoch": e.N, "records": e.Size, "tasks_ended": ended})
	return tx.record(append([]store.Record{raised}, recs...)...)
}
