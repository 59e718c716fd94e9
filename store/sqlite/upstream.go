package sqlite

import (
	"context"

	"github.com/remit-auth/remit/store"
)

const (
	userByUpstreamSQL = `SELECT ` + userColumns + ` FROM identities i JOIN users u ON u.id = i.user_id WHERE i.issuer = ? AND i.subject = ?`
	addIdentitySQL    = `INSERT INTO identities (issuer, subject, user_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`

	upstreamRolesSQL     = `SELECT resource, role FROM upstream_roles WHERE user_id = ? ORDER BY resource, role`
	dropUpstreamRolesSQL = `DELETE FROM roles WHERE user_id = ?1
AND EXISTS (SELECT 1 FROM upstream_roles p WHERE p.user_id = ?1 AND p.resource = roles.resource AND p.role = roles.role)`
	forgetUpstreamRolesSQL = `DELETE FROM upstream_roles WHERE user_id = ?`
	// Of a role that an admin assigned too, nothing is noted: it is the admin's to take away.
	noteUpstreamRoleSQL = `INSERT INTO upstream_roles (user_id, resource, role)
SELECT ?1, r.uri, ?3 FROM resources r WHERE r.uri = ?2
AND NOT EXISTS (SELECT 1 FROM roles o WHERE o.user_id = ?1 AND o.resource = ?2 AND o.role = ?3) ON CONFLICT DO NOTHING`
)

// AdmitUpstream returns the user who has this identity, with the roles from upstream.
func (s *Store) AdmitUpstream(ctx context.Context, up store.Upstream, recs ...store.Record) (u store.User, err error) {
	err = s.write(ctx, func(tx *tx) error {
		u = store.User{}
		found, err := tx.one(userByUpstreamSQL, []any{up.Issuer, up.Subject}, userFields(&u)...)
		if err != nil {
			return err
		}
		if !found {
			if u, err = tx.addUpstream(up, recs); err != nil {
				return err
			}
		}
		if u.Disabled {
			return store.ErrUserDisabled
		}
		return tx.setUpstreamRoles(u.ID, up.Roles)
	})
	return u, err
}

// addUpstream stores a user whom no identity led to.
func (tx *tx) addUpstream(up store.Upstream, recs []store.Record) (store.User, error) {
	u := up.User
	u.CreatedAt = orNow(u.CreatedAt, tx.now)
	if err := tx.addUser(u); err != nil {
		return u, err
	}
	if _, err := tx.exec(addIdentitySQL, up.Issuer, up.Subject, u.ID); err != nil {
		return u, err
	}
	return u, tx.record(recs...)
}

func (tx *tx) setUpstreamRoles(userID string, at []store.TaskRoles) error {
	var before []store.TaskRoles
	err := tx.each(upstreamRolesSQL, []any{userID}, func(scan func(...any) error) error {
		var role string
		had := store.TaskRoles{}
		err := scan(&had.Resource, &role)
		had.Roles = []string{role}
		before = append(before, had)
		return err
	})
	if err != nil {
		return err
	}
	for _, query := range []string{dropUpstreamRolesSQL, forgetUpstreamRolesSQL} {
		if _, err := tx.exec(query, userID); err != nil {
			return err
		}
	}
	for _, there := range at {
		for _, role := range there.Roles {
			n, err := tx.exec(noteUpstreamRoleSQL, userID, there.Resource, role)
			if err == nil && n > 0 {
				_, err = tx.exec(assignRoleSQL, userID, there.Resource, role)
			}
			if err != nil {
				return err
			}
		}
	}
	return tx.upstreamRolesLost(userID, before)
}

// upstreamRolesLost makes void what was issued by roles that are no longer held.
func (tx *tx) upstreamRolesLost(userID string, before []store.TaskRoles) error {
	for _, had := range before {
		now, err := tx.rolesOf(userID, had.Resource)
		if err == nil && !had.Within(now) {
			err = tx.roleLost(userID, had.Resource)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// LinkUpstream gives the user this identity.
func (s *Store) LinkUpstream(ctx context.Context, userID, issuer, subject string, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error {
		if err := tx.liveUser(userID); err != nil {
			return err
		}
		n, err := tx.exec(addIdentitySQL, issuer, subject, userID)
		if err == nil && n == 0 {
			err = store.ErrUserExists
		}
		return errOr(err, func() error { return tx.record(recs...) })
	})
}

// UserByUpstream finds the user with this identity.
func (s *Store) UserByUpstream(ctx context.Context, issuer, subject string) (u store.User, err error) {
	err = s.read(ctx, func(c *conn) error {
		found, err := c.one(userByUpstreamSQL, []any{issuer, subject}, userFields(&u)...)
		if err == nil && !found {
			return store.ErrUserNotFound
		}
		return err
	})
	return u, err
}
