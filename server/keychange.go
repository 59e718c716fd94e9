package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// Rotate lets the next key sign and publishes another one behind it. Of two who rotate at once, one
// does, and both are told the same key. record tells the ledger.
func (k *keyRing) Rotate(ctx context.Context, record func(about map[string]any) store.Record) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.reload(ctx); err != nil {
		return "", err
	}
	state := k.held.Load()
	if wait := state.ready.Sub(k.now()); wait > 0 {
		return "", &problem{Status: http.StatusConflict, Detail: fmt.Sprintf(
			"the keys were changed just now: the next one, %s, may sign in %d s, when everybody knows it", state.next.ID, int(wait.Seconds())+1)}
	}
	fresh, err := k.newSigningKey()
	if err != nil {
		return "", err
	}
	about := aboutKey(state.next)
	about["next"] = fresh.ID
	err = k.store.RotateKey(ctx, state.next.ID, fresh, record(about))
	if err != nil && !errors.Is(err, store.ErrKeyChanged) {
		return "", err
	}
	if err := k.reload(ctx); err != nil {
		return "", err
	}
	return k.Signer().ID(), nil
}

// rotateKeys is the scheduled rotation: when the signing key is old enough, the next one signs.
func (s *Server) rotateKeys(ctx context.Context) error {
	state := s.ring.held.Load()
	now := s.now()
	if s.ring.age <= 0 || now.Before(state.since.Add(s.ring.age)) || now.Before(state.ready) {
		return nil
	}
	_, err := s.ring.Rotate(ctx, func(about map[string]any) store.Record {
		about["by"], about["reason"] = store.ByClock, "age"
		return store.NewRecord("key.rotated", about)
	})
	return err
}

// Kill makes a key worthless, at once and everywhere.
func (k *keyRing) Kill(ctx context.Context, kid string, record func(about map[string]any) store.Record) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.reload(ctx); err != nil {
		return err
	}
	key, ok := k.held.Load().signer(kid)
	if !ok {
		return store.ErrKeyNotFound
	}
	fresh, err := k.newSigningKey()
	if err != nil {
		return err
	}
	about := map[string]any{"kid": kid, "use": useSign, "alg": key.Algorithm()}
	if err := k.store.KillKey(ctx, kid, fresh, record(about)); err != nil {
		return err
	}
	return k.reload(ctx)
}

// signedAsStored reports whether the key that verified a token is the one that signed the token with
// this id when it was issued: a stolen key, killed elsewhere a moment ago, cannot sign in its place.
func signedAsStored(c tokens.Claims, t store.AccessToken) bool {
	return t.KID == "" || c.KeyID == t.KID
}

// RaiseEpoch declares that the database was restored from a backup: whatever was issued before is
// dead, and new keys sign (store.Epochs). It returns the epoch and how many tasks it ended.
func (s *Server) RaiseEpoch(ctx context.Context, reason string) (store.Epoch, int, error) {
	k := s.ring
	k.mu.Lock()
	defer k.mu.Unlock()
	active, err := k.newSigningKey()
	if err != nil {
		return store.Epoch{}, 0, err
	}
	next, err := k.newSigningKey()
	if err != nil {
		return store.Epoch{}, 0, err
	}
	why := atSocket.record("epoch.declared", reason, map[string]any{"kid": active.ID, "next": next.ID})
	e, ended, err := k.store.RaiseEpoch(ctx, active, next, why)
	if err != nil {
		return e, ended, err
	}
	return e, ended, k.reload(ctx)
}

// Epoch is the last restoration of the database that this instance knows of.
func (s *Server) Epoch() store.Epoch { return s.ring.held.Load().epoch }

// EpochBegan is when the last epoch began, in microseconds; 0 when there was none. Unlike its number
// it only grows: the same backup may be restored twice.
func (s *Server) EpochBegan() int64 {
	if e := s.Epoch(); e.N > 0 {
		return e.At.UnixMicro()
	}
	return 0
}

// keyAge is how old the signing key is.
func (s *Server) keyAge() time.Duration { return s.now().Sub(s.ring.held.Load().since) }

// KeyAge is how many seconds ago the signing key began to sign.
func (s *Server) KeyAge() float64 { return s.keyAge().Seconds() }
