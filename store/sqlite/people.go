package sqlite

import (
	"cmp"
	"context"

	"github.com/remit-auth/remit/store"
)

const addUserSQL = `INSERT INTO users (id, email, email_key, name, password_hash, console_role, disabled, created_at, read_args)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`

// AddUser stores a new user.
func (s *Store) AddUser(ctx context.Context, u store.User, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error {
		return errOr(tx.addUser(u), func() error { return tx.record(recs...) })
	})
}

func (tx *tx) addUser(u store.User) error {
	n, err := tx.exec(addUserSQL, u.ID, u.Email, store.EmailKey(u.Email), u.Name, u.PasswordHash,
		string(u.ConsoleRole), u.Disabled, micros(orNow(u.CreatedAt, tx.now)), u.ReadArgs)
	if err == nil && n == 0 {
		err = store.ErrUserExists
	}
	return err
}

const anyUserSQL = `SELECT 1 FROM users WHERE service = 0 LIMIT 1`

// HasUsers reports whether there is any user.
func (s *Store) HasUsers(ctx context.Context) (found bool, err error) {
	err = s.read(ctx, func(c *conn) error {
		var one int
		found, err = c.one(anyUserSQL, nil, &one)
		return err
	})
	return found, err
}

// AddFirstAdmin stores u while there is no user at all.
func (s *Store) AddFirstAdmin(ctx context.Context, u store.User, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error {
		var one int
		found, err := tx.one(anyUserSQL, nil, &one)
		if err == nil && found {
			err = store.ErrSetUp
		}
		if err == nil {
			err = tx.addUser(u)
		}
		return errOr(err, func() error { return tx.record(recs...) })
	})
}

// errOr is err, or else what next returns.
func errOr(err error, next func() error) error {
	if err != nil {
		return err
	}
	return next()
}

const userColumns = `u.id, u.email, u.name, u.password_hash, u.console_role, u.disabled, u.created_at, u.service, u.read_args`

func userFields(u *store.User) []any {
	return []any{&u.ID, &u.Email, &u.Name, &u.PasswordHash, &u.ConsoleRole, &u.Disabled, at(&u.CreatedAt), &u.Service, &u.ReadArgs}
}

const (
	userByEmailSQL = `SELECT ` + userColumns + ` FROM users u WHERE u.email_key = ? AND u.service = 0`
	userByIDSQL    = `SELECT ` + userColumns + ` FROM users u WHERE u.id = ?`
	usersSQL       = `SELECT ` + userColumns + ` FROM users u WHERE u.service = 0 ORDER BY u.email_key`
)

// UserByEmail finds the user whatever the case of the e-mail.
func (s *Store) UserByEmail(ctx context.Context, email string) (store.User, error) {
	return s.user(ctx, userByEmailSQL, store.EmailKey(email))
}

// UserByID finds the user, disabled or not.
func (s *Store) UserByID(ctx context.Context, id string) (store.User, error) {
	return s.user(ctx, userByIDSQL, id)
}

func (s *Store) user(ctx context.Context, query, key string) (u store.User, err error) {
	err = s.read(ctx, func(c *conn) error {
		found, err := c.one(query, []any{key}, userFields(&u)...)
		if err == nil && !found {
			return store.ErrUserNotFound
		}
		return err
	})
	return u, err
}

// Users returns all users by e-mail.
func (s *Store) Users(ctx context.Context) (users []store.User, err error) {
	err = s.read(ctx, func(c *conn) error {
		return c.each(usersSQL, nil, func(scan func(...any) error) error {
			var u store.User
			err := scan(userFields(&u)...)
			users = append(users, u)
			return err
		})
	})
	return users, err
}

const (
	disableUserSQL   = `UPDATE users SET disabled = ? WHERE id = ?`
	signOutUserSQL   = `DELETE FROM sessions WHERE user_id = ?`
	liveTasksUserSQL = `SELECT id FROM tasks INDEXED BY tasks_user_live WHERE user_id = ? AND ended_at = 0`
)

// DisableUser sets the flag; disabling signs the user out everywhere and ends the user's tasks.
func (s *Store) DisableUser(ctx context.Context, id string, disabled bool, recs ...store.Record) (ended []store.Task, err error) {
	err = s.write(ctx, func(tx *tx) error {
		ended = nil
		if disabled {
			if err := tx.notLastAdmin(id); err != nil {
				return err
			}
		}
		n, err := tx.exec(disableUserSQL, disabled, id)
		if err != nil {
			return err
		}
		if n == 0 {
			return store.ErrUserNotFound
		}
		if disabled {
			if _, err := tx.exec(signOutUserSQL, id); err != nil {
				return err
			}
			if _, err := tx.exec(forgetUserSQL, id); err != nil {
				return err
			}
			end := store.End{State: store.TaskRevoked, By: store.ByAdmin, Reason: "user_disabled"}
			if ended, err = tx.endAll(liveTasksUserSQL, id, end); err != nil {
				return err
			}
		}
		return tx.record(recs...)
	})
	return ended, err
}

const (
	lastAdminSQL = `SELECT EXISTS (SELECT 1 FROM users WHERE id = ?1 AND console_role = 'admin' AND NOT disabled)
AND NOT EXISTS (SELECT 1 FROM users WHERE id <> ?1 AND console_role = 'admin' AND NOT disabled)`
	consoleRoleSQL      = `SELECT console_role FROM users WHERE id = ?`
	setConsoleRightsSQL = `UPDATE users SET console_role = ?2, read_args = CASE
	WHEN ?2 = 'user' THEN 0 WHEN ?3 IS NOT NULL THEN ?3 WHEN console_role = 'user' THEN 0 ELSE read_args END WHERE id = ?1`
)

// notLastAdmin refuses the only enabled admin.
func (tx *tx) notLastAdmin(id string) error {
	var last bool
	_, err := tx.one(lastAdminSQL, []any{id}, &last)
	if err == nil && last {
		return store.ErrLastAdmin
	}
	return err
}

// SetConsoleRights changes what the user may do in Remit itself.
func (s *Store) SetConsoleRights(ctx context.Context, id string, rights store.ConsoleRights, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error {
		var role string
		found, err := tx.one(consoleRoleSQL, []any{id}, &role)
		if err == nil && !found {
			err = store.ErrUserNotFound
		}
		if err != nil {
			return err
		}
		role = cmp.Or(string(rights.Role), role)
		if rights.ReadArgs != nil && *rights.ReadArgs && role == string(store.RoleUser) {
			return store.ErrNoConsoleRole
		}
		if role != string(store.RoleAdmin) {
			if err := tx.notLastAdmin(id); err != nil {
				return err
			}
		}
		if _, err := tx.exec(setConsoleRightsSQL, id, role, orNull(rights.ReadArgs)); err != nil {
			return err
		}
		return tx.record(recs...)
	})
}

// orNull is the value, or none.
func orNull(b *bool) any {
	if b == nil {
		return nil
	}
	return *b
}
