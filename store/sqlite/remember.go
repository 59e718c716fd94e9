package sqlite

import (
	"context"
	"time"

	"github.com/remit-auth/remit/store"
)

const (
	rememberedColumns = `id, user_id, client_id, grade, resource, choice, created_at, expires_at, used_at, uses`
	rememberedBySQL   = `SELECT ` + rememberedColumns + ` FROM remembered WHERE user_id = ? AND expires_at > ? ORDER BY created_at DESC, id`
	rememberedForSQL  = `SELECT ` + rememberedColumns + ` FROM remembered
WHERE user_id = ? AND client_id = ? AND grade = ? AND resource = ? AND expires_at > ?`

	forgetRememberedSQL = `DELETE FROM remembered WHERE rowid IN (SELECT rowid FROM remembered WHERE expires_at <= ? LIMIT ?)`
)

func rememberedFields(r *store.Remembered) []any {
	return []any{
		&r.ID, &r.UserID, &r.ClientID, &r.Grade, &r.Resource, &r.Choice, at(&r.CreatedAt), at(&r.ExpiresAt), at(&r.UsedAt), &r.Uses,
	}
}

// RememberedBy returns the user's live choices.
func (s *Store) RememberedBy(ctx context.Context, userID string) (all []store.Remembered, err error) {
	err = s.read(ctx, func(c *conn) error {
		return c.each(rememberedBySQL, []any{userID, micros(s.clock())}, func(scan func(...any) error) error {
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
		found, err := c.one(rememberedForSQL, []any{userID, clientID, grade, resource, micros(s.clock())}, rememberedFields(&r)...)
		if err == nil && !found {
			err = store.ErrNotRemembered
		}
		return err
	})
	return r, err
}

const (
	forgetOneSQL      = `DELETE FROM remembered WHERE user_id = ? AND id = ? AND expires_at > ?`
	forgetUserSQL     = `DELETE FROM remembered WHERE user_id = ?`
	forgetClientSQL   = `DELETE FROM remembered WHERE client_id = ?`
	forgetResourceSQL = `DELETE FROM remembered WHERE resource = ?`
	forgetAgentSQL    = `DELETE FROM remembered WHERE user_id = ? AND client_id = ?`
	forgetAtSQL       = `DELETE FROM remembered WHERE user_id = ? AND resource = ?`
	forgetGradeSQL    = `DELETE FROM remembered WHERE user_id = ? AND client_id = ? AND grade = ? AND resource = ?`
)

// Forget forgets one choice of this user.
func (s *Store) Forget(ctx context.Context, userID, id string, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error {
		n, err := tx.exec(forgetOneSQL, userID, id, micros(tx.now))
		if err == nil && n == 0 {
			err = store.ErrNotRemembered
		}
		return errOr(err, func() error { return tx.record(recs...) })
	})
}

// ForgetAll forgets all of the user's choices.
func (s *Store) ForgetAll(ctx context.Context, userID string, recs ...store.Record) (forgotten int, err error) {
	err = s.write(ctx, func(tx *tx) error {
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
func (tx *tx) forgetAgents(tasks []store.Task) error {
	for _, t := range tasks {
		if _, err := tx.exec(forgetAgentSQL, t.UserID, t.ClientID); err != nil {
			return err
		}
	}
	return nil
}

const continuesSQL = `SELECT user_id, client_id, resource, expires_at FROM remembered WHERE id = ?`

// continues refuses to go by a choice that is not remembered for this very user, client and resource.
func (tx *tx) continues(a store.Approval) error {
	var user, client, resource string
	var expires time.Time
	found, err := tx.one(continuesSQL, []any{a.Continues}, &user, &client, &resource, at(&expires))
	if err != nil {
		return err
	}
	if !found || user != a.Task.UserID || client != a.Task.ClientID || !tx.now.Before(expires) || expires.Before(a.Task.EndsAt) ||
		a.Extends != "" || len(a.Grants) != 1 || a.Grants[0].Resource != resource {
		return store.ErrNotRemembered
	}
	return nil
}

const (
	useRememberedSQL = `UPDATE remembered SET uses = uses + 1, used_at = ? WHERE id = ?`
	rememberSQL      = `INSERT INTO remembered (` + rememberedColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 0)
ON CONFLICT (user_id, client_id, grade, resource) DO UPDATE SET id = excluded.id, choice = excluded.choice,
created_at = excluded.created_at, expires_at = excluded.expires_at, used_at = 0, uses = 0`
)

// remember stores what an approval says is to be remembered, or no longer is.
func (tx *tx) remember(a store.Approval) (err error) {
	if a.Continues != "" {
		_, err = tx.exec(useRememberedSQL, micros(tx.now), a.Continues)
	}
	switch r := a.Remember; {
	case err != nil, r == nil:
	case r.ID == "":
		_, err = tx.exec(forgetGradeSQL, r.UserID, r.ClientID, r.Grade, r.Resource)
	default:
		_, err = tx.exec(rememberSQL, r.ID, r.UserID, r.ClientID, r.Grade, r.Resource, bytes(r.Choice),
			micros(orNow(r.CreatedAt, tx.now)), micros(r.ExpiresAt))
	}
	return err
}

const (
	forgetEverythingSQL = `DELETE FROM remembered`
	forgetTaskSQL       = `DELETE FROM remembered WHERE (user_id, client_id) IN (SELECT user_id, client_id FROM tasks WHERE id = ?)`
	documentsSQL        = `SELECT DISTINCT client_id FROM remembered WHERE substr(client_id, 1, 8) = ?`
)

// forgetSwitched makes void what a kill switch covers now, for when it is lifted. Of a tool that is all
// at its resource: what a choice holds is not known here.
func (tx *tx) forgetSwitched(s store.Switch) (err error) {
	switch s.Level {
	case store.LevelUser:
		_, err = tx.exec(forgetUserSQL, s.Subject)
	case store.LevelClient:
		_, err = tx.exec(forgetClientSQL, s.Subject)
	case store.LevelResource, store.LevelTool:
		_, err = tx.exec(forgetResourceSQL, s.Subject)
	case store.LevelTask:
		_, err = tx.exec(forgetTaskSQL, s.Subject)
	case store.LevelDomain:
		var ids []string
		ids, err = tx.liveTasks(documentsSQL, "https://")
		for _, id := range ids {
			if err == nil && store.UnderDomain(id, s.Subject) {
				_, err = tx.exec(forgetClientSQL, id)
			}
		}
	default:
		_, err = tx.exec(forgetEverythingSQL)
	}
	return err
}
