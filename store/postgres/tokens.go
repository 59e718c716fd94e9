package postgres

import (
	"context"

	"github.com/remit-auth/remit/store"
)

const addAccessSQL = `INSERT INTO access_tokens (jti, task_id, resource, client_id, jkt, issued_at, expires_at, revoked, kid, claims)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`

// addAccess stores an access token, whose key signs.
func (tx *tx) addAccess(a store.AccessToken) {
	tx.later(addAccessSQL, a.JTI, a.TaskID, a.Resource, a.ClientID, a.JKT,
		micros(orNow(a.IssuedAt, tx.now())), micros(a.ExpiresAt), a.Revoked, a.KID, a.Claims)
}

// signsColumn tells of the key in $3: 0 is active, -1 is none that signs, else when it was retired.
const signsColumn = `COALESCE((SELECT CASE k.state WHEN 'active' THEN 0 WHEN 'retired' THEN k.retired_at ELSE -1 END FROM keys k WHERE k.id = $3), -1)`

// signs reports whether a token of the key that signsColumn told of may be issued.
func (tx *tx) signs(kid string, told int64) bool {
	return kid == "" || told == 0 || told > micros(tx.now().Add(-store.RetiredSigns))
}

const accessByJTISQL = `SELECT a.jti, a.task_id, a.resource, a.client_id, a.jkt, a.kid, a.issued_at, a.expires_at, a.claims,
a.revoked OR EXISTS (SELECT 1 FROM keys k WHERE k.id = a.kid AND k.state = 'killed'), ` + resourceUntilHead + `a.resource` + resourceUntilTail + `,
` + taskColumns + `, ` + userColumns + `
FROM access_tokens a JOIN tasks t ON t.id = a.task_id JOIN users u ON u.id = t.user_id WHERE a.jti = $1`

// AccessByJTI returns the issued token with its task. A token for a resource that has ended its
// part of the task, or by a key that was killed, is as good as revoked.
func (s *Store) AccessByJTI(ctx context.Context, jti string) (st store.AccessState, err error) {
	err = s.read(ctx, func(c *conn) error {
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
		st.Task = row.asOf(c.now())
		leg := false
		for _, g := range row.grants {
			if g.Resource == a.Resource {
				st.Grants = append(st.Grants, g)
				leg = leg || g.EndedAt.IsZero()
			}
		}
		a.Revoked = a.Revoked || !leg
		st.Held = micros(c.now()) < switched
		return nil
	})
	return st, err
}

const (
	holdAccessSQL   = `SELECT 1 FROM tasks WHERE id = (SELECT t.root FROM access_tokens a JOIN tasks t ON t.id = a.task_id WHERE a.jti = $1) FOR NO KEY UPDATE`
	revocableSQL    = `SELECT task_id, resource, revoked FROM access_tokens WHERE jti = $1`
	revokeAccessSQL = `UPDATE access_tokens SET revoked = true WHERE jti = $1`
)

// RevokeAccess kills one access token and tells its resource, once.
func (s *Store) RevokeAccess(ctx context.Context, jti string, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error {
		e := store.Event{Kind: store.EventTokenRevoked, JTI: jti}
		var revoked bool
		tx.later(holdAccessSQL, jti)
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
		tx.later(revokeAccessSQL, jti)
		tx.tell(e)
		return tx.record(recs...)
	})
}

const addRefreshSQL = `INSERT INTO refresh_tokens
(id, task_id, client_id, jkt, scopes, resource, expires_at, created_at, spent_at, replays) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0)`

func (tx *tx) addRefresh(r store.RefreshToken) {
	tx.later(addRefreshSQL, r.ID[:], r.TaskID, r.ClientID, r.JKT, words(r.Scopes), r.Resource,
		micros(r.ExpiresAt), micros(orNow(r.CreatedAt, tx.now())))
}

const refreshByIDSQL = `SELECT r.id, r.task_id, r.client_id, r.jkt, r.scopes, r.resource, r.expires_at, r.created_at, r.spent_at,
` + taskColumns + `, ` + clientColumns + `, ` + userColumns + `
FROM refresh_tokens r JOIN tasks t ON t.id = r.task_id JOIN clients cl ON cl.id = t.client_id JOIN users u ON u.id = t.user_id
WHERE r.id = $1`

// RefreshByID returns the refresh token with all that its rotation depends on.
func (s *Store) RefreshByID(ctx context.Context, id store.Hash) (st store.RefreshState, err error) {
	err = s.read(ctx, func(c *conn) error {
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
		st.Task = row.asOf(c.now())
		st.Grants = row.grants
		return nil
	})
	return st, err
}
