package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/store/memory"
	"github.com/remit-auth/remit/store/redis"
	"github.com/remit-auth/remit/store/sqlite"
)

// backends are what an instance remembers in: durably, and for minutes.
type backends struct {
	store     store.Store
	ephemeral store.Ephemeral
	closers   []func() error // in the order of opening
}

// openBackends opens what the settings name; with an error nothing is left open.
func openBackends(ctx context.Context, cfg Config) (_ *backends, err error) {
	b := &backends{}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	fanout, err := b.openEphemeral(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return b, b.openStore(ctx, cfg, fanout)
}

// openEphemeral opens Redis where the settings name one. The hints of other instances, which a store
// shared with them wants, come with it.
func (b *backends) openEphemeral(ctx context.Context, cfg Config) (store.Fanout, error) {
	if cfg.RedisURL == "" {
		b.ephemeral = memory.New(memory.Options{})
		return nil, nil
	}
	issuer := sha256.Sum256([]byte(cfg.Issuer)) // servers of different issuers may share one Redis
	shared, err := redis.Open(ctx, cfg.RedisURL, redis.Options{Prefix: "remit:" + hex.EncodeToString(issuer[:6])})
	if err != nil {
		return nil, err
	}
	fanout := shared.Fanout()
	b.ephemeral = shared
	b.closers = append(b.closers, shared.Close, fanout.Close)
	return fanout, nil
}

// openStore opens the database.
func (b *backends) openStore(ctx context.Context, cfg Config, fanout store.Fanout) error {
	if cfg.postgres() {
		return b.openPostgres(ctx, cfg, fanout)
	}
	path, err := cfg.database()
	if err != nil {
		return err
	}
	db, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		return err
	}
	b.store = db
	b.closers = append(b.closers, db.Close)
	return nil
}

// close closes everything, last opened first.
func (b *backends) close() error {
	var errs []error
	for i := range b.closers {
		errs = append(errs, b.closers[len(b.closers)-1-i]())
	}
	b.closers = nil
	return errors.Join(errs...)
}
