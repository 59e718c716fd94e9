package tokens_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/remit-auth/remit/tokens"
)

// FuzzUnwrap: whatever was not sealed by one of the master keys under this label stays shut, be it
// bent, cut or lengthened.
func FuzzUnwrap(f *testing.F) {
	const secret = "rt_0123456789012345678901234567890123456789abc"
	ctx := context.Background()
	former, newest := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	old, err := tokens.NewMasterKeys(former)
	if err != nil {
		f.Fatal(err)
	}
	keys, err := tokens.NewMasterKeys(newest, former)
	if err != nil {
		f.Fatal(err)
	}
	byFormer, err := old.Wrap(ctx, []byte("a key"), "sig")
	if err != nil {
		f.Fatal(err)
	}
	forSecret, err := tokens.SealFor(secret, []byte("a successor"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{}, "sig", 0, byte(0))
	f.Add(byFormer[:len(byFormer)-1], "sig", 1, byte(1))
	f.Add(append(bytes.Clone(byFormer), 0), "enc", 0, byte(0))
	f.Add(forSecret, secret, 30, byte(128))
	f.Fuzz(func(t *testing.T, raw []byte, label string, at int, flip byte) {
		// Texts that another process sealed open too: these tests share their keys.
		if key, err := keys.Unwrap(ctx, raw, label); err == nil && (string(key) != "a key" || label != "sig") || err != nil && !errors.Is(err, tokens.ErrSealed) {
			t.Errorf("Unwrap(%x, %q) = %q, %v", raw, label, key, err)
		}
		if plain, err := tokens.OpenFor(label, raw); err == nil && (string(plain) != "a successor" || label != secret) {
			t.Errorf("OpenFor(%q, %x) = %q", label, raw, plain)
		}
		if key, err := keys.Unwrap(ctx, bent(byFormer, at, flip), label); (err == nil) != (flip == 0 && label == "sig") {
			t.Errorf("bent at %d by %x, Unwrap(%q) = %q, %v", at, flip, label, key, err)
		}
		if plain, err := tokens.OpenFor(label, bent(forSecret, at, flip)); (err == nil) != (flip == 0 && label == secret) {
			t.Errorf("bent at %d by %x, OpenFor(%q) = %q, %v", at, flip, label, plain, err)
		}
	})
}

// bent is a copy with one byte changed.
func bent(b []byte, at int, flip byte) []byte {
	b = bytes.Clone(b)
	b[uint(at)%uint(len(b))] ^= flip
	return b
}
