package sqlite

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/remit-auth/remit/store"
)

const (
	spendEnrolmentSQL = `UPDATE resources SET enrol_hash = NULL, enrol_expires = 0 WHERE uri = ?`
	setGuardSQL       = `UPDATE guards SET id = ?, key = ?, next_execution = 1, ack_seq = 0, ack_at = 0 WHERE resource = ?`
)

// EnrolmentOpen tells whether the code could be spent now.
func (s *Store) EnrolmentOpen(ctx context.Context, code store.Hash) error {
	return s.snapshot(ctx, func(c *conn) error {
		_, err := s.enrolling(c, code)
		return err
	})
}

// enrolling is the resource that waits for this code.
func (s *Store) enrolling(c *conn, code store.Hash) (store.Resource, error) {
	r, err := c.resource(resourceByEnrolSQL, code[:])
	if errors.Is(err, store.ErrResourceNotFound) || err == nil && (r.Disabled || !s.clock().Before(r.EnrolExpires)) {
		return r, store.ErrEnrolment
	}
	return r, err
}

// EnrolGuard spends the enrolment code and stores the Guard's key. The new Guard numbers its
// executions from 1 and has acknowledged nothing.
func (s *Store) EnrolGuard(ctx context.Context, code store.Hash, guardID string, key json.RawMessage, recs ...store.Record) (r store.Resource, err error) {
	if guardID == "" {
		return r, errors.New("sqlite: a Guard needs an ID")
	}
	err = s.write(ctx, func(tx *tx) (err error) {
		if r, err = s.enrolling(tx.conn, code); err != nil {
			return err
		}
		if _, err := tx.exec(spendEnrolmentSQL, r.URI); err != nil {
			return err
		}
		if _, err := tx.exec(setGuardSQL, guardID, string(key), r.URI); err != nil {
			return err
		}
		if _, err := tx.exec(forgetListenersSQL, r.URI); err != nil {
			return err
		}
		if r, err = tx.resource(resourceByURISQL, r.URI); err != nil {
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
	setPolicySQL = `UPDATE resources SET policy = ?, policy_version = ? WHERE uri = ?`
	// A live definition equal to the approved one is not kept twice.
	publishToolSQL = `INSERT INTO tools (resource, name, definition, hash, live, live_hash, default_on)
VALUES (?1, ?2, x'', '', ?3, ?4, 0) ON CONFLICT (resource, name) DO UPDATE SET
live = CASE WHEN hash = ?4 THEN x'' ELSE ?3 END, live_hash = CASE WHEN hash = ?4 THEN '' ELSE ?4 END, gone = 0`
	withdrawToolSQL = `UPDATE tools SET live = x'', live_hash = '', gone = 1 WHERE resource = ? AND name = ?`
	dropToolSQL     = `DELETE FROM tools WHERE resource = ? AND name = ? AND hash = ''`
)

// PublishManifest stores what the Guard offers and enforces. The live definition is a tool's Live
// and LiveHash, or else its Definition and Hash. A tool no longer offered keeps what was approved
// and is gone; one that never was is forgotten.
func (s *Store) PublishManifest(ctx context.Context, uri string, policy []byte, policyVersion string, live []store.Tool, recs ...store.Record) (r store.Resource, err error) {
	err = s.write(ctx, func(tx *tx) (err error) {
		if r, err = tx.resource(resourceByURISQL, uri); err != nil {
			return err
		}
		if _, err := tx.exec(setPolicySQL, bytes(policy), policyVersion, uri); err != nil {
			return err
		}
		if err := tx.publishTools(r, live); err != nil {
			return err
		}
		if r, err = tx.resource(resourceByURISQL, uri); err != nil {
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
			return errors.New("sqlite: a published tool needs its definition hash")
		}
		offered[t.Name] = true
		if _, err := tx.exec(publishToolSQL, r.URI, t.Name, bytes(t.Live), t.LiveHash); err != nil {
			return err
		}
	}
	for _, t := range r.Tools {
		if offered[t.Name] {
			continue
		}
		if _, err := tx.exec(withdrawToolSQL, r.URI, t.Name); err != nil {
			return err
		}
		if _, err := tx.exec(dropToolSQL, r.URI, t.Name); err != nil {
			return err
		}
	}
	return nil
}

const (
	approveToolSQL = `UPDATE tools SET definition = live, hash = live_hash, live = x'', live_hash = ''
WHERE resource = ? AND name = ? AND live_hash = ?`
	approvedToolSQL = `SELECT EXISTS (SELECT 1 FROM tools WHERE resource = ? AND name = ? AND hash = ? AND live_hash = '')`
)

// ApproveTool makes the live definition with this hash the approved one; one that already is
// changes nothing.
func (s *Store) ApproveTool(ctx context.Context, uri, tool, hash string, recs ...store.Record) error {
	if hash == "" {
		return store.ErrResourceNotFound
	}
	return s.write(ctx, func(tx *tx) error {
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
