package postgres

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/remit-auth/remit/store"
)

const (
	holdResourceSQL   = `SELECT 1 FROM resources WHERE uri = $1 FOR NO KEY UPDATE`
	holdEnrolmentSQL  = `SELECT 1 FROM resources WHERE enrol_hash = $1 FOR NO KEY UPDATE`
	spendEnrolmentSQL = `UPDATE resources SET enrol_hash = NULL, enrol_expires = 0 WHERE uri = $1`
	setGuardSQL       = `UPDATE guards SET id = $1, key = $2, next_execution = 1, ack_seq = 0, ack_at = 0 WHERE resource = $3`
)

// EnrolmentOpen tells whether the code could be spent now.
func (s *Store) EnrolmentOpen(ctx context.Context, code store.Hash) error {
	return s.read(ctx, func(c *conn) error {
		_, err := c.enrolling(code)
		return err
	})
}

// enrolling is the resource that waits for this code.
func (c *conn) enrolling(code store.Hash) (store.Resource, error) {
	r, err := c.resource(byEnrolment, code[:])
	if errors.Is(err, store.ErrResourceNotFound) || err == nil && (r.Disabled || !c.now().Before(r.EnrolExpires)) {
		return r, store.ErrEnrolment
	}
	return r, err
}

// EnrolGuard spends the enrolment code and stores the Guard's key. The new Guard numbers its
// executions from 1 and has acknowledged nothing.
func (s *Store) EnrolGuard(ctx context.Context, code store.Hash, guardID string, key json.RawMessage, recs ...store.Record) (r store.Resource, err error) {
	if guardID == "" {
		return r, errors.New("postgres: a Guard needs an ID")
	}
	err = s.write(ctx, func(tx *tx) (err error) {
		tx.later(holdEnrolmentSQL, code[:])
		if r, err = tx.enrolling(code); err != nil {
			return err
		}
		tx.later(spendEnrolmentSQL, r.URI)
		tx.later(forgetListenersSQL, r.URI)
		tx.later(setGuardSQL, guardID, string(key), r.URI)
		if r, err = tx.resource(byURI, r.URI); err != nil {
			return err
		}
		for _, rec := range recs {
			rec.Resource = r.URI
			if err := tx.record(rec); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return store.Resource{}, err
	}
	return r, nil
}

const (
	setPolicySQL = `UPDATE resources SET policy = $1, policy_version = $2 WHERE uri = $3`
	// A live definition equal to the approved one is not kept twice.
	publishToolSQL = `INSERT INTO tools (resource, name, definition, hash, live, live_hash, default_on)
VALUES ($1, $2, ''::bytea, '', $3, $4, false) ON CONFLICT (resource, name) DO UPDATE SET
live = CASE WHEN tools.hash = $4 THEN ''::bytea ELSE $3 END, live_hash = CASE WHEN tools.hash = $4 THEN '' ELSE $4 END, gone = false`
	withdrawToolSQL = `UPDATE tools SET live = ''::bytea, live_hash = '', gone = true WHERE resource = $1 AND name = $2`
	dropToolSQL     = `DELETE FROM tools WHERE resource = $1 AND name = $2 AND hash = ''`
)

// PublishManifest stores what the Guard offers and enforces. The live definition is a tool's Live
// and LiveHash, or else its Definition and Hash. A tool no longer offered keeps what was approved
// and is gone; one that never was is forgotten.
func (s *Store) PublishManifest(ctx context.Context, uri string, policy []byte, policyVersion string, live []store.Tool, recs ...store.Record) (r store.Resource, err error) {
	err = s.write(ctx, func(tx *tx) (err error) {
		tx.later(holdResourceSQL, uri)
		if r, err = tx.resource(byURI, uri); err != nil {
			return err
		}
		tx.later(setPolicySQL, bytes(policy), policyVersion, uri)
		if err := tx.publishTools(r, live); err != nil {
			return err
		}
		if r, err = tx.resource(byURI, uri); err != nil {
			return err
		}
		return tx.record(recs...)
	})
	if err != nil {
		return store.Resource{}, err
	}
	return r, nil
}

func (tx *tx) publishTools(r store.Resource, live []store.Tool) error {
	offered := make(map[string]bool)
	for _, t := range live {
		if len(t.Live) == 0 {
			t.Live, t.LiveHash = t.Definition, t.Hash
		}
		if t.LiveHash == "" {
			return errors.New("postgres: a published tool needs its definition hash")
		}
		offered[t.Name] = true
		tx.later(publishToolSQL, r.URI, t.Name, bytes(t.Live), t.LiveHash)
	}
	for _, t := range r.Tools {
		if offered[t.Name] {
			continue
		}
		tx.later(withdrawToolSQL, r.URI, t.Name)
		tx.later(dropToolSQL, r.URI, t.Name)
	}
	return nil
}

const (
	approveToolSQL = `UPDATE tools SET definition = live, hash = live_hash, live = ''::bytea, live_hash = ''
WHERE resource = $1 AND name = $2 AND live_hash = $3`
	approvedToolSQL = `SELECT EXISTS (SELECT 1 FROM tools WHERE resource = $1 AND name = $2 AND hash = $3 AND live_hash = '')`
)

// ApproveTool makes the live definition with this hash the approved one; one that already is
// changes nothing.
func (s *Store) ApproveTool(ctx context.Context, uri, tool, hash string, recs ...store.Record) error {
	if hash == "" {
		return store.ErrResourceNotFound
	}
	return s.write(ctx, func(tx *tx) error {
		tx.later(holdResourceSQL, uri)
		n, err := tx.exec(approveToolSQL, uri, tool, hash)
		if err != nil {
			return err
		}
		if n == 0 {
			var already bool
			if _, err := tx.one(approvedToolSQL, []any{uri, tool, hash}, &already); err != nil {
				return err
			}
			if !already {
				return store.ErrResourceNotFound
			}
		}
		return tx.record(recs...)
	})
}
