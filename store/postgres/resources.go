package postgres

import (
	"context"
	"time"

	"github.com/remit-auth/remit/store"
)

const (
	addResourceSQL = `INSERT INTO resources
(uri, name, policy, policy_version, enrol_hash, enrol_expires, disabled, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (uri) DO NOTHING`
	addGuardSQL = `INSERT INTO guards (resource, id, key, next_execution, ack_seq, ack_at) VALUES ($1, NULLIF($2, ''), $3, 1, 0, 0)`
	addHeadSQL  = `INSERT INTO feed_heads (resource, seq) VALUES ($1, 0)`
	addToolSQL  = `INSERT INTO tools (resource, name, definition, hash, live, live_hash, default_on) VALUES ($1, $2, $3, $4, $5, $6, $7)`
)

// AddResource stores a new resource with its manifest.
func (s *Store) AddResource(ctx context.Context, r store.Resource, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error {
		n, err := tx.exec(addResourceSQL, r.URI, r.Name, bytes(r.Policy), r.PolicyVersion, hashValue(r.EnrolHash),
			micros(r.EnrolExpires), r.Disabled, micros(orNow(r.CreatedAt, tx.now())))
		if err != nil {
			return err
		}
		if n == 0 {
			return store.ErrResourceExists
		}
		tx.later(addHeadSQL, r.URI)
		tx.later(addGuardSQL, r.URI, r.GuardID, string(r.GuardKey))
		for _, t := range r.Tools {
			tx.later(addToolSQL, r.URI, t.Name, bytes(t.Definition), t.Hash, bytes(t.Live), t.LiveHash, t.DefaultOn)
		}
		return tx.record(recs...)
	})
}

const (
	resourceColumns = `r.uri, r.name, r.policy, r.policy_version, r.enrol_hash, r.enrol_expires, r.disabled, r.created_at,
COALESCE(g.id, ''), g.key, g.ack_seq, g.ack_at`
	resourcesFrom  = ` FROM resources r JOIN guards g ON g.resource = r.uri `
	toolColumns    = `t.name, t.definition, t.hash, t.live, t.live_hash, t.default_on, t.gone, t.resource`
	toolsFrom      = ` FROM tools t JOIN guards g ON g.resource = t.resource JOIN resources r ON r.uri = t.resource `
	resourcesOrder = ` ORDER BY r.uri`
	toolsOrder     = ` ORDER BY t.resource, t.name`
)

func scanResource(scan func(...any) error) (r store.Resource, err error) {
	var key []byte
	err = scan(&r.URI, &r.Name, &r.Policy, &r.PolicyVersion, hash(&r.EnrolHash), at(&r.EnrolExpires), &r.Disabled,
		at(&r.CreatedAt), &r.GuardID, &key, &r.AckSeq, at(&r.AckAt))
	if len(key) > 0 {
		r.GuardKey = key
	}
	return r, err
}

// How resources are found: a condition for the statement that reads them and for that which reads
// their tools.
const (
	byURI       = `WHERE r.uri = $1`
	byGuard     = `WHERE g.id = $1`
	byEnrolment = `WHERE r.enrol_hash = $1`
	allOfThem   = ``
)

// askResources queues the reading of resources with their tools; all is complete after the flush.
func (c *conn) askResources(all *[]store.Resource, where string, args ...any) {
	*all = nil
	c.ask(`SELECT `+resourceColumns+resourcesFrom+where+resourcesOrder, args, func(scan func(...any) error) error {
		r, err := scanResource(scan)
		*all = append(*all, r)
		return err
	})
	at := 0
	c.ask(`SELECT `+toolColumns+toolsFrom+where+toolsOrder, args, func(scan func(...any) error) error {
		t, resource, err := scanTool(scan)
		for at < len(*all) && (*all)[at].URI != resource { // both are in the order of the URIs
			at++
		}
		if at < len(*all) {
			(*all)[at].Tools = append((*all)[at].Tools, t)
		}
		return err
	})
}

func scanTool(scan func(...any) error) (t store.Tool, resource string, err error) {
	var definition, live []byte
	err = scan(&t.Name, &definition, &t.Hash, &live, &t.LiveHash, &t.DefaultOn, &t.Gone, &resource)
	if len(definition) > 0 {
		t.Definition = definition
	}
	if len(live) > 0 {
		t.Live = live
	}
	return t, resource, err
}

// resource reads the one resource that is meant, or ErrResourceNotFound.
func (c *conn) resource(where string, key any) (store.Resource, error) {
	var all []store.Resource
	c.askTime()
	c.askResources(&all, where, key)
	return oneResource(all, c.flush())
}

func oneResource(all []store.Resource, err error) (store.Resource, error) {
	if err != nil {
		return store.Resource{}, err
	}
	if len(all) == 0 {
		return store.Resource{}, store.ErrResourceNotFound
	}
	return all[0], nil
}

// ResourceByURI finds the resource, disabled or not.
func (s *Store) ResourceByURI(ctx context.Context, uri string) (store.Resource, error) {
	return s.resource(ctx, byURI, uri)
}

// ResourceByGuard finds the resource that this Guard is enrolled for.
func (s *Store) ResourceByGuard(ctx context.Context, guardID string) (store.Resource, error) {
	return s.resource(ctx, byGuard, guardID)
}

func (s *Store) resource(ctx context.Context, where, key string) (store.Resource, error) {
	var all []store.Resource
	err := s.snapshot(ctx, func(c *conn) { c.askResources(&all, where, key) })
	return oneResource(all, err)
}

// Resources returns all resources by URI.
func (s *Store) Resources(ctx context.Context) (all []store.Resource, err error) {
	err = s.snapshot(ctx, func(c *conn) { c.askResources(&all, allOfThem) })
	return all, err
}

const newEnrolmentSQL = `UPDATE resources SET enrol_hash = $1, enrol_expires = $2 WHERE uri = $3`

// NewEnrolment replaces the outstanding enrolment code of the resource.
func (s *Store) NewEnrolment(ctx context.Context, uri string, code store.Hash, expires time.Time, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error {
		n, err := tx.exec(newEnrolmentSQL, hashValue(code), micros(expires), uri)
		if err == nil && n == 0 {
			err = store.ErrResourceNotFound
		}
		return errOr(err, func() error { return tx.record(recs...) })
	})
}

const (
	disableResourceSQL   = `UPDATE resources SET disabled = $1 WHERE uri = $2`
	liveTasksResourceSQL = `SELECT t.id FROM tasks t WHERE t.ended_at = 0
AND EXISTS (SELECT 1 FROM grants g WHERE g.task_id = t.id AND g.resource = $1 AND g.ended_at = 0 AND g.code IS NULL) ORDER BY t.n`
)

// DisableResource sets the flag; disabling ends the tasks that have a part at the resource.
func (s *Store) DisableResource(ctx context.Context, uri string, disabled bool, recs ...store.Record) (ended []store.Task, err error) {
	err = s.write(ctx, func(tx *tx) error {
		ended = nil
		n, err := tx.exec(disableResourceSQL, disabled, uri)
		if err != nil {
			return err
		}
		if n == 0 {
			return store.ErrResourceNotFound
		}
		if disabled {
			tx.later(forgetResourceSQL, uri)
			end := store.End{State: store.TaskRevoked, By: store.ByAdmin, Reason: "resource_disabled"}
			if ended, err = tx.endAll(liveTasksResourceSQL, []any{uri}, end); err != nil {
				return err
			}
		}
		return tx.record(recs...)
	})
	return ended, err
}
