package resource

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/remit-auth/remit/tokens"
)

const (
	keysFresh   = time.Minute      // after that the feed fetches them again
	keysUsable  = 10 * time.Minute // after that they are worth nothing
	keysRetried = time.Second      // the least time between two fetches, which strangers' tokens can cause
)

// errNoKeys means that no usable key set could be had.
var errNoKeys = errors.New("resource: no fresh keys of the authorization server")

// keys are the issuer's public keys, fetched when first needed.
type keys struct {
	authority *authority
	now       func() time.Time
	known     atomic.Pointer[keySet]

	mu    sync.Mutex // one fetch at a time
	tried time.Time
}

type keySet struct {
	tokens.KeySet
	raw    []byte
	at     time.Time
	serial int // another one for other keys
}

// usable returns the key set, fetching it if there is none or it is too old.
func (k *keys) usable(ctx context.Context) (*keySet, error) {
	if set := k.known.Load(); set != nil && k.now().Sub(set.at) < keysUsable {
		return set, nil
	}
	return k.fetch(ctx, nil)
}

// fetch replaces the key set, unless somebody replaced old meanwhile or a fetch was just tried.
func (k *keys) fetch(ctx context.Context, old *keySet) (*keySet, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	if set := k.known.Load(); set != nil && set != old && now.Sub(set.at) < keysUsable {
		return set, nil
	}
	if time.Since(k.tried) < keysRetried {
		return nil, errNoKeys
	}
	k.tried = time.Now()
	fresh, err := k.get(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoKeys, err)
	}
	fresh.at = now
	if last := k.known.Load(); last != nil {
		fresh.serial = last.serial
		if !bytes.Equal(last.raw, fresh.raw) {
			fresh.serial++
		}
	}
	k.known.Store(fresh)
	return fresh, nil
}

// refresh fetches the keys when they are no longer fresh.
func (k *keys) refresh(ctx context.Context) error {
	set := k.known.Load()
	if set != nil && k.now().Sub(set.at) < keysFresh {
		return nil
	}
	_, err := k.fetch(ctx, set)
	return err
}

func (k *keys) get(ctx context.Context) (*keySet, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.authority.JWKS, nil)
	if err != nil {
		return nil, err
	}
	resp, err := k.authority.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, answerLimit))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, &answerError{Status: resp.StatusCode}
	}
	set, err := tokens.ParseKeySet(raw)
	return &keySet{KeySet: set, raw: raw}, err
}

// verify runs check with the key set, and once more with a newer one if the key was unknown.
func (k *keys) verify(ctx context.Context, check func(tokens.KeySet) error) (*keySet, error) {
	set, err := k.usable(ctx)
	if err != nil {
		return nil, err
	}
	err = check(set.KeySet)
	if !errors.Is(err, tokens.ErrUnknownKey) {
		return set, err
	}
	newer, fetchErr := k.fetch(ctx, set)
	if fetchErr != nil || newer == set {
		return set, err
	}
	return newer, check(newer.KeySet)
}
