package postgres

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/remit-auth/remit/store"
)

const (
	assignRoleSQL   = `INSERT INTO roles (user_id, resource, role) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`
	unassignRoleSQL = `DELETE FROM roles WHERE user_id = $1 AND resource = $2 AND role = $3`
	rolesOfSQL      = `SELECT role FROM roles WHERE user_id = $1 AND resource = $2 ORDER BY role`
	assignableSQL   = `SELECT EXISTS (SELECT 1 FROM users WHERE id = $1), EXISTS (SELECT 1 FROM resources WHERE uri = $2)`
	// Who lends or begins a task shares the user's row: a task that is not there yet is not begun meanwhile.
	holdUserOfRoleSQL = `SELECT 1 FROM users WHERE id = $1 FOR NO KEY UPDATE`
	liveTasksAtSQL    = `SELECT id FROM tasks t WHERE user_id = $1 AND ended_at = 0
AND EXISTS (SELECT 1 FROM grants g WHERE g.task_id = t.id AND g.resource = $2) ORDER BY n`
	renewTasksSQL    = `UPDATE tasks SET generation = generation + 1 WHERE id = ANY($1)`
	revokeTasksAtSQL = `UPDATE access_tokens SET revoked = true WHERE task_id = ANY($1) AND resource = $2 AND NOT revoked RETURNING jti, task_id, resource`
)

// AssignRole gives the user a role at a resource.
func (s *Store) AssignRole(ctx context.Context, userID, resource, role string, recs ...store.Record) error {
	return s.changeRole(ctx, userID, resource, role, recs, func(tx *tx) error {
		tx.later(assignRoleSQL, userID, resource, role)
		return nil
	})
}

// UnassignRole takes it away, with all that was issued by it.
func (s *Store) UnassignRole(ctx context.Context, userID, resource, role string, recs ...store.Record) error {
	return s.changeRole(ctx, userID, resource, role, recs, func(tx *tx) error {
		tx.later(holdUserOfRoleSQL, userID)
		n, err := tx.exec(unassignRoleSQL, userID, resource, role)
		if err != nil || n == 0 {
			return err
		}
		return tx.roleLost(userID, resource)
	})
}

func (s *Store) changeRole(ctx context.Context, userID, resource, role string, recs []store.Record, change func(*tx) error) error {
	if role == "" {
		return errors.New("postgres: a role needs a name")
	}
	return s.write(ctx, func(tx *tx) error {
		var user, place bool
		if _, err := tx.one(assignableSQL, []any{userID, resource}, &user, &place); err != nil {
			return err
		}
		if !user {
			return store.ErrUserNotFound
		}
		if !place {
			return store.ErrResourceNotFound
		}
		return errOr(change(tx), func() error { return tx.record(recs...) })
	})
}

// roleLost makes void what the user's tasks hold at a resource, so that it has to be had anew, by the
// roles of now: access tokens, and choices that are remembered. The user is held.
func (tx *tx) roleLost(userID, resource string) error {
	ids, err := tx.strings(liveTasksAtSQL, userID, resource)
	if err != nil {
		return err
	}
	if len(ids) > 0 {
		tx.later(holdTasksSQL, ids)
		tx.later(renewTasksSQL, ids)
		if err := tx.revokeAll(revokeTasksAtSQL, ids, resource); err != nil {
			return err
		}
	}
	tx.remembering(userID)
	tx.later(forgetAtSQL, userID, resource)
	return nil
}

// revokeAll kills the access tokens that the statement finds and tells their resources: of the expired
// ones too, because a call that one began may run on.
func (tx *tx) revokeAll(statement string, args ...any) error {
	var events []store.Event
	err := tx.each(statement, args, func(scan func(...any) error) error {
		e := store.Event{Kind: store.EventTokenRevoked}
		err := scan(&e.JTI, &e.TaskID, &e.Resource)
		events = append(events, e)
		return err
	})
	slices.SortFunc(events, func(a, b store.Event) int { return cmp.Compare(a.JTI, b.JTI) }) // rows come as the plan has it
	for _, e := range events {
		tx.tell(e)
	}
	return err
}

// sameRoles refuses a task whose roles were read before they changed.
func (tx *tx) sameRoles(t store.Task) error {
	for _, at := range t.Roles {
		now, err := tx.strings(rolesOfSQL, t.UserID, at.Resource)
		if err != nil {
			return err
		}
		if !at.Within(now) {
			return store.ErrGrantChanged
		}
	}
	return nil
}

// RolesOf returns the user's roles at the resource, sorted.
func (s *Store) RolesOf(ctx context.Context, userID, resource string) (roles []string, err error) {
	err = s.read(ctx, func(c *conn) error {
		roles, err = c.strings(rolesOfSQL, userID, resource)
		return err
	})
	return roles, err
}
