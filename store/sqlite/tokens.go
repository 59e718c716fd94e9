package sqlite

import (
	"context"

	"github.com/remit-auth/remit/store"
)

const addAccessSQL = `INSERT INTO access_tokens (jti, task_id, resource, client_id, jkt, issued_at, expires_at, revoked, kid, claims)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?11 WHERE ?9 = ''
OR EXISTS (SELECT 1 FROM keys WHERE id = ?9 AND (state = 'active' OR state = 'retired' AND retired_at > ?10))`

// addAccess stores an access token, unless the key that signed it does not sign any more.
func (tx *tx) addAccess(a store.AccessToken) error {
	n, err := tx.exec(addAccessSQL, a.JTI, a.TaskID, a.Resource, a.ClientID, a.JKT,
		micros(orNow(a.IssuedAt, tx.now)), micros(a.ExpiresAt), a.Revoked, a.KID, micros(tx.now.Add(-store.RetiredSigns)), a.Claims)
	if err == nil && n == 0 {
		return store.ErrKeyStale
	}
	return err
}

const accessByJTISQL = `SELECT a.jti, a.task_id, a.resource, a.client_id, a.jkt, a.kid, a.issued_at, a.expires_at, a.claims,
a.revoked OR EXISTS (SELECT 1 FROM keys k WHERE k.id = a.kid AND k.state = 'killed'), ` + resourceUntilHead + `a.resource` + resourceUntilTail + `,
` + taskColumns + `, ` + userColumns + `
FROM access_tokens a JOIN tasks t ON t.id = a.task_id JOIN users u ON u.id = t.user_id WHERE a.jti = ?`

// AccessByJTI returns the issued token with its task. A token for a resource that has ended its
// part of the task, or by a key that was killed, is as good as revoked.
func (s *Store) AccessByJTI(ctx context.Context, jti string) (st store.AccessState, err error) {
	err = s.snapshot(ctx, func(c *conn) error {
		var row task
		var switched int64
		a := &st.Token
		fields := []any{&a.JTI, &a.TaskID, &a.Resource, &a.ClientID, &a.JKT, &a.KID, at(&a.IssuedAt), at(&a.ExpiresAt), &a.Claims, &a.Revoked, &switched}
		fields = append(append(fields, row.fields()...), userFields(&st.User)...)
		found, err := c.one(accessByJTISQL, []any{jti}, fields...)
		if err != nil {
			return err
		}
		if !found {
			return store.ErrTokenNotFound
		}
		st.Task = row.asOf(s.clock())
		all, err := c.grants(&st.Task, store.Hash{})
		leg := false
		for _, g := range all {
			if g.Resource == a.Resource {
				st.Grants = append(st.Grants, g)
				leg = leg || g.EndedAt.IsZero()
			}
		}
		a.Revoked = a.Revoked || !leg
		st.Held = micros(s.clock()) < switched
		return err
	})
	return st, err
}

const (
	revocableSQL    = `SELECT task_id, resource, revoked FROM access_tokens WHERE jti = ?`
	revokeAccessSQL = `UPDATE access_tokens SET revoked = 1 WHERE jti = ?`
)

// RevokeAccess kills one access token and tells its resource, once.
func (s *Store) RevokeAccess(ctx context.Context, jti string, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error {
		e := store.Event{Kind: store.EventTokenRevoked, JTI: jti}
		var revoked bool
		found, err := tx.one(revocableSQL, []any{jti}, &e.TaskID, &e.Resource, &revoked)
		if err != nil {
			return err
		}
		if !found {
			return store.ErrTokenNotFound
		}
		if revoked {
			return nil
		}
		if _, err := tx.exec(revokeAccessSQL, jti); err != nil {
			return err
		}
		if err := tx.tell(e); err != nil {
			return err
		}
		return tx.record(recs...)
	})
}

const addRefreshSQL = `INSERT INTO refresh_tokens
(id, task_id, client_id, jkt, scopes, resource, expires_at, created_at, spent_at, replays) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 0)`

func (tx *tx) addRefresh(r store.RefreshToken) error {
	_, err := tx.exec(addRefreshSQL, r.ID[:], r.TaskID, r.ClientID, r.JKT, words(r.Scopes), r.Resource,
		micros(r.ExpiresAt), micros(orNow(r.CreatedAt, tx.now)))
	return err
}

const refreshByIDSQL = `SELECT r.id, r.task_id, r.client_id, r.jkt, r.scopes, r.resource, r.expires_at, r.created_at, r.spent_at,
` + taskColumns + `, ` + clientColumns + `, ` + userColumns + `
FROM refresh_tokens r JOIN tasks t ON t.id = r.task_id JOIN clients cl ON cl.id = t.client_id JOIN users u ON u.id = t.user_id
WHERE r.id = ?`

// RefreshByID returns the refresh token with all that its rotation depends on.
func (s *Store) RefreshByID(ctx context.Context, id store.Hash) (st store.RefreshState, err error) {
	err = s.snapshot(ctx, func(c *conn) error {
		var row task
		r := &st.Token
		fields := []any{
			hash(&r.ID), &r.TaskID, &r.ClientID, &r.JKT,
			jsonColumn{&r.Scopes},
			&r.Resource,
			at(&r.ExpiresAt), at(&r.CreatedAt), at(&r.SpentAt),
		}
		fields = append(append(append(fields, row.fields()...), clientFields(&st.Client)...), userFields(&st.User)...)
		found, err := c.one(refreshByIDSQL, []any{id[:]}, fields...)
		if err != nil {
			return err
		}
		if !found {
			return store.ErrRefreshNotFound
		}
		r.Spent = !r.SpentAt.IsZero()
		st.Task = row.asOf(s.clock())
		st.Grants, err = c.grants(&st.Task, store.Hash{})
		return err
	})
	return st, err
}
