package postgres

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/remit-auth/remit/store"
)

var _ store.Ephemeral = (*Ephemeral)(nil)

// Ephemeral is replay memory and rate limits in unlogged tables, shared by all instances. A crash of
// the database empties them together, and so does taking over by a replica: the epoch, whose name is
// in one of them, has another name afterwards. What is written there waits for no disk.
type Ephemeral struct{ s *Store }

// Ephemeral returns the store's replay memory. It is closed with the store.
func (s *Store) Ephemeral() *Ephemeral {
	e := &Ephemeral{s}
	s.ring.working.Go(func() {
		tick := time.NewTicker(forgetEvery)
		defer tick.Stop()
		for {
			select {
			case <-s.ring.ctx.Done():
				return
			case <-tick.C:
				e.Forget(s.ring.ctx) // what is not forgotten now is later
			}
		}
	})
	return e
}

const (
	epochSQL    = `SELECT name FROM replay_epoch`
	newEpochSQL = `INSERT INTO replay_epoch (name) VALUES ($1) ON CONFLICT DO NOTHING`
)

// Epoch names this replay memory.
func (e *Ephemeral) Epoch(ctx context.Context) (name string, err error) {
	err = e.s.read(ctx, func(c *conn) error {
		read := func(scan func(...any) error) error { return scan(&name) }
		name = ""
		c.ask(epochSQL, nil, read)
		if err := c.flush(); err != nil || name != "" {
			return err
		}
		c.later(newEpochSQL, rand.Text())
		c.ask(epochSQL, nil, read) // the first of those who begin together
		return c.flush()
	})
	if err == nil && name == "" {
		err = errors.New("postgres: the replay memory has no epoch")
	}
	return name, err
}

// A key past its time counts as unseen whether or not it was forgotten. $4 is the present or 0.
const firstUseSQL = `WITH clock AS (
	SELECT COALESCE(NULLIF($4::bigint, 0), (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) AS now),
epoch AS (SELECT 1 FROM replay_epoch WHERE name = $1),
used AS (
	INSERT INTO replays (key, expires_at) SELECT $2, clock.now + $3 FROM clock WHERE EXISTS (SELECT 1 FROM epoch)
	ON CONFLICT (key) DO UPDATE SET expires_at = excluded.expires_at WHERE replays.expires_at <= excluded.expires_at - $3 RETURNING 1)
SELECT EXISTS (SELECT 1 FROM epoch), EXISTS (SELECT 1 FROM used)`

// FirstUse remembers the key for ttl and reports whether it was unseen.
func (e *Ephemeral) FirstUse(ctx context.Context, epoch, key string, ttl time.Duration) (first bool, err error) {
	if ttl <= 0 {
		return false, errors.New("postgres: a key is remembered for some time")
	}
	d := sha256.Sum256([]byte(key))
	var known bool
	err = e.once(ctx, func(c *conn) error {
		c.ask(firstUseSQL, []any{epoch, d[:], ttl.Microseconds(), e.present()}, func(scan func(...any) error) error {
			return scan(&known, &first)
		})
		return c.flush()
	})
	switch {
	case err != nil:
		return false, err
	case !known:
		return false, store.ErrEpochOver
	}
	return first, nil
}

// A bucket is one number (GCRA): the time at which it will be full again. $2 is what one token takes
// to grow back, $3 what all take.
const takeSQL = `WITH clock AS (
	SELECT COALESCE(NULLIF($4::bigint, 0), (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) AS now),
drawn AS (
	INSERT INTO buckets (key, full_at) SELECT $1, clock.now + $2 FROM clock
	ON CONFLICT (key) DO UPDATE SET full_at = GREATEST(buckets.full_at, excluded.full_at - $2) + $2
	WHERE GREATEST(buckets.full_at, excluded.full_at - $2) + $2 - (excluded.full_at - $2) <= $3 RETURNING 1)
SELECT EXISTS (SELECT 1 FROM drawn), clock.now, COALESCE((SELECT full_at FROM buckets WHERE key = $1), 0) FROM clock`

// Take draws one from the key's bucket.
func (e *Ephemeral) Take(ctx context.Context, key string, rate float64, burst int) (ok bool, wait time.Duration, err error) {
	if rate < 1e-6 || burst < 1 {
		return false, 0, errors.New("postgres: a rate limit needs a rate and a burst")
	}
	one := max(int64(1e6/rate), 1)
	d := sha256.Sum256([]byte(key))
	var now, full int64
	err = e.once(ctx, func(c *conn) error {
		c.ask(takeSQL, []any{d[:], one, one * int64(burst), e.present()}, func(scan func(...any) error) error {
			return scan(&ok, &now, &full)
		})
		return c.flush()
	})
	if err != nil || ok {
		return ok && err == nil, 0, err
	}
	return false, max(time.Duration(max(full, now)+one-now-one*int64(burst))*time.Microsecond, time.Millisecond), nil
}

// present is the time of an injected clock, or 0 for the database's.
func (e *Ephemeral) present() int64 {
	if e.s.opts.Now == nil {
		return 0
	}
	return micros(e.s.opts.Now())
}

// once runs a statement that may have been executed though it is not known: it is not tried again.
func (e *Ephemeral) once(ctx context.Context, f func(*conn) error) error {
	return e.s.with(ctx, time.Now().Add(e.s.opts.patient(verbTimeout)), f)
}

const (
	forgetReplaysSQL = `DELETE FROM replays WHERE key IN (SELECT key FROM replays WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)`
	forgetBucketsSQL = `DELETE FROM buckets WHERE key IN (SELECT key FROM buckets WHERE full_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)`
	forgetEvery      = 5 * time.Second
	forgetBatch      = 5000
	forgetRounds     = 20
)

// Forget forgets keys past their time and buckets that are full again, a bounded number.
func (e *Ephemeral) Forget(ctx context.Context) (forgotten int, err error) {
	for _, query := range []string{forgetReplaysSQL, forgetBucketsSQL} {
		for range forgetRounds {
			var n int64
			err := e.s.read(ctx, func(c *conn) (err error) {
				n, err = c.exec(query, micros(c.now()), forgetBatch)
				return err
			})
			if forgotten += int(n); err != nil {
				return forgotten, err
			}
			if n < forgetBatch {
				break
			}
		}
	}
	return forgotten, nil
}
