package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/store/memory"
	"github.com/remit-auth/remit/store/sqlite"
	"github.com/remit-auth/remit/tokens"
)

// sayings writes a ledger of a Guard's enrolment, four executions and what it signed of them.
func sayings(t *testing.T) *ledger {
	t.Helper()
	ctx := context.Background()
	l := &ledger{path: filepath.Join(t.TempDir(), "remit.db")}
	masterKey := make([]byte, masterKeyLen)
	db, err := sqlite.Open(ctx, l.path, sqlite.Options{})
	must(t, err)
	s, err := server.New(ctx, server.Config{Issuer: ledgerIssuer, Store: db, Ephemeral: memory.New(memory.Options{}), MasterKey: masterKey})
	must(t, err)
	guard, key := tokens.NewID("grd_"), newKey(t)
	must(t, db.Append(ctx, store.NewRecord("guard.enrolled", map[string]any{"guard": guard, "key": key.PublicJWK()})))
	var digests []string
	for n := 1; n <= 4; n++ {
		rec := store.NewRecord("execution.decided", map[string]any{"guard": guard, "guard_at": 7, "tool": "get_ticket", "decision": "allowed", "n": n})
		rec.Execution, rec.Task = tokens.NewID("exe_"), tokens.NewID("tsk_")
		said := fmt.Sprintf(`{"kind":"execution.decided","execution":%q,"at":7,"task":%q,"tool":"get_ticket","decision":"allowed"}`, rec.Execution, rec.Task)
		digests = append(digests, tokens.HashBytes([]byte(said)))
		must(t, db.Append(ctx, rec))
	}
	signature, err := key.SignBatch(tokens.BatchClaims{
		Guard: guard, Issuer: ledgerIssuer, First: 1, Count: 4, Digest: tokens.BatchDigest(digests), At: time.Now(),
	})
	must(t, err)
	must(t, db.Append(ctx, store.NewRecord("execution.batch", map[string]any{"guard": guard, "first": 1, "digests": digests, "signature": signature})))
	must(t, s.Settle(ctx))
	checkpoints, err := db.Checkpoints(ctx)
	must(t, err)
	for _, c := range checkpoints {
		l.sizes = append(l.sizes, c.Size)
	}
	sealed, err := db.Keys(ctx)
	must(t, err)
	master, err := tokens.NewMasterKeys(masterKey)
	must(t, err)
	l.keys, err = server.OpenKeys(ctx, sealed, master)
	must(t, err)
	l.signer = openSigner(t, sealed, master)
	must(t, db.Close())
	change(t, l.path, dropTriggers(t, l.path)...)
	return l
}

func newKey(t *testing.T) tokens.SigningKey {
	t.Helper()
	key, err := tokens.NewSigningKey()
	must(t, err)
	return key
}

// find returns the n-th record of this kind.
func find(t *testing.T, path, kind string, n int) (found store.Record) {
	t.Helper()
	audit, err := sqlite.OpenAudit(context.Background(), path)
	must(t, err)
	must(t, errors.Join(audit.Records(func(r store.Record) error {
		if r.Kind == kind {
			if n--; n == 0 {
				found = r
			}
		}
		return nil
	}), audit.Close()))
	if found.Seq == 0 {
		t.Fatalf("there is no such record of kind %s", kind)
	}
	return found
}

// turn gives the record another payload, digest and all.
func turn(t *testing.T, path string, r store.Record, change func(p map[string]any)) {
	t.Helper()
	var p map[string]any
	must(t, json.Unmarshal(r.Payload, &p))
	change(p)
	var err error
	r.Payload, err = json.Marshal(p)
	must(t, err)
	execute(t, path, `UPDATE ledger SET payload = ?, digest = ? WHERE seq = ?`, string(r.Payload), digest(r), r.Seq)
}

// TestVerifyWhatGuardsSaid: whoever runs the server, signing key and all, cannot put words into a Guard's
// mouth, nor take them out.
func TestVerifyWhatGuardsSaid(t *testing.T) {
	l := sayings(t)
	if r := l.verify(t, l.path, false); !r.OK || r.Batches != 1 {
		t.Fatalf("%+v", r)
	}
	one := func(t *testing.T, path string) store.Record { return find(t, path, "execution.decided", 2) }
	for name, tt := range map[string]struct {
		forge func(t *testing.T, path string) (record int64)
		text  string
	}{
		"a call that was refused": {func(t *testing.T, path string) int64 {
			r := one(t, path)
			turn(t, path, r, func(p map[string]any) { p["decision"], p["reason"] = "refused", "scope" })
			return r.Seq
		}, "it is not what the Guard said"},
		"another tool": {func(t *testing.T, path string) int64 {
			r := one(t, path)
			turn(t, path, r, func(p map[string]any) { p["tool"] = "delete_ticket" })
			return r.Seq
		}, "it is not what the Guard said"},
		"another task": {func(t *testing.T, path string) int64 {
			r := one(t, path)
			execute(t, path, `UPDATE ledger SET task = ? WHERE seq = ?`, tokens.NewID("tsk_"), r.Seq)
			return r.Seq
		}, "it is not what the Guard said"},
		"without its number": {func(t *testing.T, path string) int64 {
			r := one(t, path)
			turn(t, path, r, func(p map[string]any) { delete(p, "n"); p["tool"] = "delete_ticket" })
			return r.Seq
		}, "no Guard signed it"},
		"a number that nobody signed": {func(t *testing.T, path string) int64 {
			r := one(t, path)
			turn(t, path, r, func(p map[string]any) { p["n"] = 99 })
			return r.Seq
		}, "no Guard signed it"},
		"another's number": {func(t *testing.T, path string) int64 {
			r := one(t, path)
			turn(t, path, r, func(p map[string]any) { p["n"] = 1; p["tool"] = "delete_ticket" })
			return r.Seq
		}, "no Guard signed it"},
		"of another Guard": {func(t *testing.T, path string) int64 {
			r := one(t, path)
			turn(t, path, r, func(p map[string]any) { p["guard"] = tokens.NewID("grd_") })
			return r.Seq
		}, "no Guard signed it"},
		"a batch of other digests": {func(t *testing.T, path string) int64 {
			r := find(t, path, "execution.batch", 1)
			turn(t, path, r, func(p map[string]any) { p["digests"].([]any)[1] = tokens.HashBytes([]byte("{}")) })
			return one(t, path).Seq - 1 // none of the batch is proven, the first comes first
		}, "no Guard signed it"},
		"a batch signed by another key": {func(t *testing.T, path string) int64 {
			r := find(t, path, "execution.batch", 1)
			var p struct {
				Guard   string
				Digests []string
			}
			must(t, json.Unmarshal(r.Payload, &p))
			signature, err := newKey(t).SignBatch(tokens.BatchClaims{Guard: p.Guard, Issuer: ledgerIssuer, First: 1, Count: 4, Digest: tokens.BatchDigest(p.Digests), At: time.Now()})
			must(t, err)
			turn(t, path, r, func(p map[string]any) { p["signature"] = signature })
			return one(t, path).Seq - 1
		}, "no Guard signed it"},
		"no batch at all": {func(t *testing.T, path string) int64 {
			r := find(t, path, "execution.batch", 1)
			execute(t, path, `UPDATE ledger SET kind = 'test' WHERE seq = ?`, r.Seq)
			return one(t, path).Seq - 1
		}, "no Guard signed it"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "forged.db")
			copyFile(t, l.path, path)
			seq := tt.forge(t, path)
			l.resign(t, path, seq)
			r := l.verify(t, path, false)
			if r.OK || len(r.Problems) == 0 || r.Problems[0].Record != seq || !strings.Contains(r.Problems[0].Text, tt.text) {
				t.Errorf("record %d is named %+v, want %q", seq, r.Problems, tt.text)
			}
		})
	}
	erased := filepath.Join(t.TempDir(), "erased.db")
	copyFile(t, l.path, erased)
	execute(t, erased, `UPDATE ledger SET payload = NULL, salt = NULL WHERE seq = ?`, one(t, erased).Seq)
	if r := l.verify(t, erased, false); !r.OK || r.Erased != 1 {
		t.Errorf("after an erasure: %+v", r)
	}
}
