// Package sqlite keeps the authorization server's durable memory in one SQLite file.
package sqlite

import (
	"context"
	"errors"
	"time"

	"github.com/remit-auth/remit/store"
)

// ErrLocked says that another process has the database open.
var ErrLocked = errors.New("sqlite: the database is in use by another process")

// Options are what Open may be told.
type Options struct {
	Now func() time.Time // the store's clock; nil: time.Now
}

// Store is a store.Store on one SQLite file.
type Store struct{ store.Store }

// Open opens the database, making it when missing.
func Open(ctx context.Context, path string, opts Options) (*Store, error) {
	return nil, errors.New("sqlite: not built yet")
}
