package sqlite

import (
	"context"
	"time"

	"github.com/remit-auth/remit/store"
)

const (
	addResourceSQL = `INSERT INTO resources
(uri, name, policy, policy_version, enrol_hash, enrol_expires, disabled, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (uri) DO NOTHING`
	addGuardSQL = `INSERT INTO guards (resource, id, key, next_execution, ack_seq, ack_at) VALUES (?, NULLIF(?, ''), ?, 1, 0, 0)`
	addToolSQL  = `INSERT INTO tools (resource, name, definition, hash, live, live_hash, default_on) VALUES (?, ?, ?, ?, ?, ?, ?)`
)

// AddResource stores a new resource with its manifest.
func (s *Store) AddResource(ctx context.Context, r store.Resource, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error {
		n, err := tx.exec(addResourceSQL, r.URI, r.Name, bytes(r.Policy), r.PolicyVersion, hashValue(r.EnrolHash),
			micros(r.EnrolExpires), r.Disabled, micros(orNow(r.CreatedAt, tx.now)))
		if err != nil {
			return err
		}
		if n == 0 {
			return store.ErrResourceExists
		}
		if _, err := tx.exec(addGuardSQL, r.URI, r.GuardID, string(r.GuardKey)); err != nil {
			return err
		}
		for _, t := range r.Tools {
			_, err := tx.exec(addToolSQL, r.URI, t.Name, bytes(t.Definition), t.Hash, bytes(t.Live), t.LiveHash, t.DefaultOn)
			if err != nil {
				return err
			}
		}
		return tx.record(recs...)
	})
}

const (
	resourceColumns = `r.uri, r.name, r.policy, r.policy_version, r.enrol_hash, r.enrol_expires, r.disabled, r.created_at,
COALESCE(g.id, ''), g.key, g.ack_seq, g.ack_at`
	resourcesFrom      = ` FROM resources r JOIN guards g ON g.resource = r.uri `
	resourceByURISQL   = `SELECT ` + resourceColumns + resourcesFrom + `WHERE r.uri = ?`
	resourceByGuardSQL = `SELECT ` + resourceColumns + resourcesFrom + `WHERE g.id = ?`
	resourceByEnrolSQL = `SELECT ` + resourceColumns + resourcesFrom + `WHERE r.enrol_hash = ?`
	resourcesSQL       = `SELECT ` + resourceColumns + resourcesFrom + `ORDER BY r.uri`
	toolsSQL           = `SELECT name, definition, hash, live, live_hash, default_on, gone FROM tools WHERE resource = ? ORDER BY name`
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

// resources reads resources with their tools.
func (c *conn) resources(query string, args ...any) (all []store.Resource, err error) {
	err = c.each(query, args, func(scan func(...any) error) error {
		r, err := scanResource(scan)
		all = append(all, r)
		return err
	})
	for i := range all {
		if err != nil {
			break
		}
		all[i].Tools, err = c.tools(all[i].URI)
	}
	return all, err
}

func (c *conn) tools(resource string) (tools []store.Tool, err error) {
	err = c.each(toolsSQL, []any{resource}, func(scan func(...any) error) error {
		var t store.Tool
		var definition, live []byte
		err := scan(&t.Name, &definition, &t.Hash, &live, &t.LiveHash, &t.DefaultOn, &t.Gone)
		if len(definition) > 0 {
			t.Definition = definition
		}
		if len(live) > 0 {
			t.Live = live
		}
		tools = append(tools, t)
		return err
	})
	return tools, err
}

// resource reads the one resource that the query finds, or ErrResourceNotFound.
func (c *conn) resource(query string, key any) (store.Resource, error) {
	all, err := c.resources(query, key)
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
	return s.resource(ctx, resourceByURISQL, uri)
}

// ResourceByGuard finds the resource that this Guard is enrolled for.
func (s *Store) ResourceByGuard(ctx context.Context, guardID string) (store.Resource, error) {
	return s.resource(ctx, resourceByGuardSQL, guardID)
}

func (s *Store) resource(ctx context.Context, query, key string) (r store.Resource, err error) {
	err = s.snapshot(ctx, func(c *conn) (err error) {
		r, err = c.resource(query, key)
		return err
	})
	return r, err
}

// Resources returns all resources by URI.
func (s *Store) Resources(ctx context.Context) (all []store.Resource, err error) {
	err = s.snapshot(ctx, func(c *conn) (err error) {
		all, err = c.resources(resourcesSQL)
		return err
	})
	return all, err
}

const newEnrolmentSQL = `UPDATE resources SET enrol_hash = ?, enrol_expires = ? WHERE uri = ?`

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
	disableResourceSQL   = `UPDATE resources SET disabled = ? WHERE uri = ?`
	liveTasksResourceSQL = `SELECT t.id FROM tasks t WHERE t.ended_at = 0
AND EXISTS (SELECT 1 FROM grants g WHERE g.task_id = t.id AND g.resource = ? AND g.ended_at = 0 AND g.code IS NULL)`
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
			if _, err := tx.exec(forgetResourceSQL, uri); err != nil {
				return err
			}
			end := store.End{State: store.TaskRevoked, By: store.ByAdmin, Reason: "resource_disabled"}
			if ended, err = tx.endAll(liveTasksResourceSQL, uri, end); err != nil {
				return err
			}
		}
		return tx.record(recs...)
	})
	return ended, err
}
