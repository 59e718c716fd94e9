package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"

	"gocloud.dev/secrets"
	_ "gocloud.dev/secrets/localsecrets" // base64key://; masterkey_cloud.go has the others

	"github.com/remit-auth/remit/server"
)

// kms wraps with keys of key management services, the newest first.
type kms []*secrets.Keeper

// openKMS opens the key that each URL names.
func openKMS(ctx context.Context, urls []string) (server.Master, error) {
	var all kms
	for _, raw := range urls {
		keeper, err := secrets.OpenKeeper(ctx, raw)
		if err != nil {
			scheme := "?"
			if u, bad := url.Parse(raw); bad == nil {
				scheme = u.Scheme // the rest may be the key itself
			}
			return nil, fmt.Errorf("REMIT_MASTER_KEY_URL: the key at %s:// cannot be used (services in the cloud and Vault need a binary built with -tags kms)", scheme)
		}
		all = append(all, keeper)
	}
	return all, nil
}

// Wrap encrypts under the newest key. The services bind no label of ours, so it is inside.
func (k kms) Wrap(ctx context.Context, key []byte, label string) ([]byte, error) {
	if len(k) == 0 {
		return nil, errors.New("no master key")
	}
	plain := binary.AppendUvarint(nil, uint64(len(label)))
	plain = append(append(plain, label...), key...)
	return k[0].Encrypt(ctx, plain)
}

// Unwrap decrypts with whichever key it was.
func (k kms) Unwrap(ctx context.Context, wrapped []byte, label string) ([]byte, error) {
	err := errors.New("no master key")
	for _, keeper := range k {
		var plain []byte
		if plain, err = keeper.Decrypt(ctx, wrapped); err != nil {
			continue
		}
		n, size := binary.Uvarint(plain)
		if size <= 0 || n > uint64(len(plain)-size) || !bytes.Equal(plain[size:size+int(n)], []byte(label)) {
			return nil, errors.New("the key management service opens another key than this one")
		}
		return plain[size+int(n):], nil
	}
	return nil, err
}
