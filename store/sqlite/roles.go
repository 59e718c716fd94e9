package sqlite

import (
	"context"
	"errors"

	"github.com/remit-auth/remit/store"
)

const (
	assignRoleSQL   = `INSERT INTO roles (user_id, resource, role) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`
	unassignRoleSQL = `DELETE FROM roles WHERE user_id = ? AND resource = ? AND role = ?`
	rolesOfSQL      = `SELECT role FROM roles WHERE user_id = ? AND resource = ? ORDER BY role`
	assignableSQL   = `SELECT EXISTS (SELECT 1 FROM users WHERE id = ?), EXISTS (SELECT 1 FROM resources WHERE uri = ?)`
	liveTasksAtSQL  = `SELECT id FROM tasks INDEXED BY tasks_user_live WHERE user_id = ?1 AND ended_at = 0
AND EXISTS (SELECT 1 FROM grants g WHERE g.task_id = tasks.id AND g.resource = ?2)`
	renewTaskSQL = `UPDATE tasks SET generation = generation + 1 WHERE id = ?`
)

// AssignRole gives the user a role at a resource.
func (s *Store) AssignRole(ctx context.Context, userID, resource, role string, recs ...store.Record) error {
	return s.changeRole(ctx, userID, resource, role, recs, func(tx *tx) error {
		_, err := tx.exec(assignRoleSQL, userID, resource, role)
		return err
	})
}

// UnassignRole takes it away, with all that was issued by it.
func (s *Store) UnassignRole(ctx context.Context, userID, resource, role string, recs ...store.Record) error {
	return s.changeRole(ctx, userID, resource, role, recs, func(tx *tx) error {
		n, err := tx.exec(unassignRoleSQL, userID, resource, role)
		if err != nil || n == 0 {
			return err
		}
		return tx.roleLost(userID, resource)
	})
}

func (s *Store) changeRole(ctx context.Context, userID, resource, role string, recs []store.Record, change func(*tx) error) error {
	if role == "" {
		return errors.New("sqlite: a role needs a name")
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
// roles of now: access tokens, and choices that are remembered.
func (tx *tx) roleLost(userID, resource string) error {
	if _, err := tx.exec(forgetAtSQL, userID, resource); err != nil {
		return err
	}
	ids, err := tx.liveTasks(liveTasksAtSQL, userID, resource)
	for _, id := range ids {
		if err != nil {
			break
		}
		if _, err = tx.exec(renewTaskSQL, id); err == nil {
			err = tx.revokeAll(id, resource)
		}
	}
	return err
}

// sameRoles refuses a task whose roles were read before they changed.
func (tx *tx) sameRoles(t store.Task) error {
	for _, at := range t.Roles {
		now, err := tx.rolesOf(t.UserID, at.Resource)
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
		roles, err = c.rolesOf(userID, resource)
		return err
	})
	return roles, err
}

func (c *conn) rolesOf(userID, resource string) (roles []string, err error) {
	err = c.each(rolesOfSQL, []any{userID, resource}, func(scan func(...any) error) error {
		var role string
		err := scan(&role)
		roles = append(roles, role)
		return err
	})
	return roles, err
}
