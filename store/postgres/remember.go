package postgres

import (
	"context"
	"time"

	"github.com/remit-auth/remit/store"
)

const (
	rememberedColumns = `id, user_id, client_id, grade, resource, choice, created_at, expires_at, used_at, uses`
	rememberedBySQL   = `SELECT ` + rememberedColumns + ` FROM remembered WHERE user_id = $1 AND expires_at > $2 ORDER BY created_at DESC, id`
	rememberedForSQL  = `SELECT ` + rememberedColumns + ` FROM remembered
WHERE user_id = $1 AND client_id = $2 AND grade = $3 AND resource = $4 AND expires_at > $5`

	forgetRememberedSQL = `DELETE FROM remembered WHERE id IN (SELECT id FROM remembered WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)`
)

func rememberedFields(r *store.Remembered) []any {
	return []any{
		&r.ID, &r.UserID, &r.ClientID, &r.Grade, &r.Resource, &r.Choice, at(&r.CreatedAt), at(&r.ExpiresAt), at(&r.UsedAt), &r.Uses,
	}
}

// RememberedBy returns the user's live choices.
func (s *Store) RememberedBy(ctx context.Context, userID string) (all []store.Remembered, err error) {
	err = s.read(ctx, func(c *conn) error {
		all = nil
		return c.each(rememberedBySQL, []any{userID, micros(c.now())}, func(scan func(...any) error) error {
			var r store.Remembered
			err := scan(rememberedFields(&r)...)
			all = append(all, r)
			return err
		})
	})
	return all, err
}

// RememberedFor returns the one live choice.
func (s *Store) RememberedFor(ctx context.Context, userID, clientID, grade, resource string) (r store.Remembered, err error) {
	err = s.read(ctx, func(c *conn) error {
		found, err := c.one(rememberedForSQL, []any{userID, clientID, grade, resource, micros(c.now())}, rememberedFields(&r)...)
		if err == nil && !found {
			err = store.ErrNotRemembered
		}
		return err
	})
	return r, err
}

const (
	forgetOneSQL      = `DELETE FROM remembered WHERE user_id = $1 AND id = $2 AND expires_at > $3`
	forgetUserSQL     = `DELETE FROM remembered WHERE user_id = $1`
	forgetClientSQL   = `DELETE FROM remembered WHERE client_id = $1`
	forgetResourceSQL = `DELETE FROM remembered WHERE resource = $1`
	forgetAgentsSQL   = `DELETE FROM remembered r USING unnest($1::text[], $2::text[]) AS agent (user_id, client_id)
WHERE r.user_id = agent.user_id AND r.client_id = agent.client_id`
	forgetAtSQL    = `DELETE FROM remembered WHERE user_id = $1 AND resource = $2`
	forgetGradeSQL = `DELETE FROM remembered WHERE user_id = $1 AND client_id = $2 AND grade = $3 AND resource = $4`
)

// remembering makes what is remembered for a user, and what makes it void, follow each other: a choice
// that is only just being stored is no row yet that could be held.
func (tx *tx) remembering(userID string) { tx.mutex("remembered", userID) }

// Forget forgets one choice of this user.
func (s *Store) Forget(ctx context.Context, userID, id string, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error {
		tx.remembering(userID)
		n, err := tx.exec(forgetOneSQL, userID, id, micros(tx.now()))
		if err == nil && n == 0 {
			err = store.ErrNotRemembered
		}
		return errOr(err, func() error { return tx.record(recs...) })
	})
}

// ForgetAll forgets all of the user's choices.
func (s *Store) ForgetAll(ctx context.Context, userID string, recs ...store.Record) (forgotten int, err error) {
	err = s.write(ctx, func(tx *tx) error {
		tx.remembering(userID)
		n, err := tx.exec(forgetUserSQL, userID)
		if forgotten = int(n); err != nil || n == 0 {
			return err
		}
		return tx.record(recs...)
	})
	return forgotten, err
}

// forgetAgents makes void what was remembered for the agents from which somebody else has taken tasks, or
// part of one: they would begin again with all of it.
func (tx *tx) forgetAgents(tasks []store.Task) {
	var users, clients []string
	for _, t := range tasks {
		users, clients = append(users, t.UserID), append(clients, t.ClientID)
	}
	tx.later(forgetAgentsSQL, users, clients)
}

const continuesSQL = `SELECT user_id, client_id, resource, expires_at FROM remembered WHERE id = $1 FOR NO KEY UPDATE`

// continues refuses to go by a choice that is not remembered for this very user, client and resource.
func (tx *tx) continues(a store.Approval) error {
	var user, client, resource string
	var expires time.Time
	found, err := tx.one(continuesSQL, []any{a.Continues}, &user, &client, &resource, at(&expires))
	if err != nil {
		return err
	}
	if !found || user != a.Task.UserID || client != a.Task.ClientID || !tx.now().Before(expires) || expires.Before(a.Task.EndsAt) ||
		a.Extends != "" || len(a.Grants) != 1 || a.Grants[0].Resource != resource {
		return store.ErrNotRemembered
	}
	return nil
}

const (
	useRememberedSQL = `UPDATE remembered SET uses = uses + 1, used_at = $1 WHERE id = $2`
	rememberSQL      = `INSERT INTO remembered (` + rememberedColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0)
ON CONFLICT (user_id, client_id, grade, resource) DO UPDATE SET id = excluded.id, choice = excluded.choice,
created_at = excluded.created_at, expires_at = excluded.expires_at, used_at = 0, uses = 0`
)

// remember stores what an approval says is to be remembered, or no longer is.
func (tx *tx) remember(a store.Approval) error {
	if a.Continues != "" {
		tx.later(useRememberedSQL, micros(tx.now()), a.Continues)
	}
	switch r := a.Remember; {
	case r == nil:
	case r.ID == "":
		tx.later(forgetGradeSQL, r.UserID, r.ClientID, r.Grade, r.Resource)
	default:
		tx.remembering(r.UserID)
		tx.later(rememberSQL, r.ID, r.UserID, r.ClientID, r.Grade, r.Resource, bytes(r.Choice),
			micros(orNow(r.CreatedAt, tx.now())), micros(r.ExpiresAt))
	}
	return nil
}

const (
	forgetEverythingSQL = `DELETE FROM remembered`
	forgetTaskSQL       = `DELETE FROM remembered r USING tasks t WHERE t.id = $1 AND r.user_id = t.user_id AND r.client_id = t.client_id`
	documentsSQL        = `SELECT DISTINCT client_id FROM remembered WHERE substr(client_id, 1, 8) = 'https://'`
)

// forgetSwitched makes void what a kill switch covers now, for when it is lifted. Of a tool that is all
// at its resource: what a choice holds is not known here.
func (tx *tx) forgetSwitched(s store.Switch) error {
	switch s.Level {
	case store.LevelUser:
		tx.later(forgetUserSQL, s.Subject)
	case store.LevelClient:
		tx.later(forgetClientSQL, s.Subject)
	case store.LevelResource, store.LevelTool:
		tx.later(forgetResourceSQL, s.Subject)
	case store.LevelTask:
		tx.later(forgetTaskSQL, s.Subject)
	case store.LevelDomain:
		ids, err := tx.strings(documentsSQL)
		for _, id := range ids {
			if store.UnderDomain(id, s.Subject) {
				tx.later(forgetClientSQL, id)
			}
		}
		return err
	default:
		tx.later(forgetEverythingSQL)
	}
	return nil
}
