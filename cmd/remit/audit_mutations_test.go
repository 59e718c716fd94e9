package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/store/sqlite"
)

// mutation changes the ledger. It returns the record from which on the ledger is not what it was,
// whether verify must name exactly that one, and whether only a witness can know.
type mutation func(t testing.TB, l *ledger, path string, rng *rand.Rand) (first int64, exact, witness bool)

var mutations = map[string]mutation{
	"edit a text": func(t testing.TB, l *ledger, path string, rng *rand.Rand) (int64, bool, bool) {
		column := []string{"kind", "task", "user", "client", "agent", "resource", "jti", "execution", "request"}[rng.IntN(9)]
		seq := 1 + rng.Int64N(l.size)
		change(t, path, fmt.Sprintf(`UPDATE ledger SET %s = %s || 'x' WHERE seq = %d`, column, column, seq))
		return seq, true, false
	},
	"move a value to the next column": func(t testing.TB, l *ledger, path string, rng *rand.Rand) (int64, bool, bool) {
		seq := l.marked[rng.IntN(len(l.marked))]
		change(t, path, fmt.Sprintf(`UPDATE ledger SET user = '', client = user || client WHERE seq = %d`, seq))
		return seq, true, false
	},
	"edit a number": func(t testing.TB, l *ledger, path string, rng *rand.Rand) (int64, bool, bool) {
		seq := 1 + rng.Int64N(l.size)
		column, by := []string{"at", "n"}[rng.IntN(2)], []int64{-1, 1, 1 << 20, 1000}[rng.IntN(4)]
		if column == "n" {
			by = 1 << 20 // another number would be taken
		}
		change(t, path, fmt.Sprintf(`UPDATE ledger SET %s = %s + %d WHERE seq = %d`, column, column, by, seq))
		return seq, true, false
	},
	"edit a payload": func(t testing.TB, l *ledger, path string, rng *rand.Rand) (int64, bool, bool) {
		seq := l.marked[rng.IntN(len(l.marked))]
		change(t, path, fmt.Sprintf(`UPDATE ledger SET payload = replace(payload, 'someone', 'no one') || %q WHERE seq = %d`, strings.Repeat(" ", rng.IntN(3)), seq))
		return seq, true, false
	},
	"edit a payload and its digest": func(t testing.TB, l *ledger, path string, rng *rand.Rand) (int64, bool, bool) {
		seq := 1 + rng.Int64N(l.size)
		rec := store.NewRecord("", map[string]int64{"forged": seq})
		execute(t, path, `UPDATE ledger SET payload = ?, salt = ?, digest = ? WHERE seq = ?`, string(rec.Payload), rec.Salt, digest(rec), seq)
		return seq, true, false
	},
	"edit a blob": func(t testing.TB, l *ledger, path string, rng *rand.Rand) (int64, bool, bool) {
		column, seq := []string{"digest", "salt", "hash"}[rng.IntN(3)], 1+rng.Int64N(l.size)
		execute(t, path, fmt.Sprintf(`UPDATE ledger SET %s = randomblob(length(%s)) WHERE seq = ?`, column, column), seq)
		return seq, true, false
	},
	"erase a salt alone": func(t testing.TB, l *ledger, path string, rng *rand.Rand) (int64, bool, bool) {
		seq := 1 + rng.Int64N(l.size)
		execute(t, path, `UPDATE ledger SET salt = NULL WHERE seq = ?`, seq)
		return seq, true, false
	},
	"flip a bit of the file": func(t testing.TB, l *ledger, path string, rng *rand.Rand) (int64, bool, bool) {
		raw, err := os.ReadFile(path)
		must(t, err)
		was := fmt.Appendf(nil, "payload-%04d", rng.IntN(60))
		is := slices.Clone(was)
		is[rng.IntN(len(is))] ^= 1 << rng.IntN(7)
		// SQLite leaves old copies of a row in free space: they are changed too.
		must(t, os.WriteFile(path, bytes.ReplaceAll(raw, was, is), 0o600))
		return 1, false, false
	},
	"delete": func(t testing.TB, l *ledger, path string, rng *rand.Rand) (int64, bool, bool) {
		seq := 1 + rng.Int64N(l.size)
		execute(t, path, `DELETE FROM ledger WHERE seq = ?`, seq)
		return seq, true, false
	},
	"delete and close the gap": func(t testing.TB, l *ledger, path string, rng *rand.Rand) (int64, bool, bool) {
		seq := 1 + rng.Int64N(l.size)
		execute(t, path, `DELETE FROM ledger WHERE seq = ?`, seq)
		execute(t, path, `UPDATE ledger SET seq = -seq WHERE seq > ?`, seq)
		execute(t, path, `UPDATE ledger SET seq = -seq - 1 WHERE seq < 0`)
		return seq, true, false
	},
	"swap": func(t testing.TB, l *ledger, path string, rng *rand.Rand) (int64, bool, bool) {
		a := 1 + rng.Int64N(l.size-1)
		b := a + 1 + rng.Int64N(l.size-a)
		execute(t, path, `UPDATE ledger SET seq = -1 WHERE seq = ?`, a)
		execute(t, path, `UPDATE ledger SET seq = ? WHERE seq = ?`, a, b)
		execute(t, path, `UPDATE ledger SET seq = ? WHERE seq = -1`, b)
		return a, true, false
	},
	"insert": func(t testing.TB, l *ledger, path string, rng *rand.Rand) (int64, bool, bool) {
		seq := 1 + rng.Int64N(l.size)
		execute(t, path, `UPDATE ledger SET seq = -seq WHERE seq >= ?`, seq)
		execute(t, path, `UPDATE ledger SET seq = 1 - seq WHERE seq < 0`)
		execute(t, path, `INSERT INTO ledger (instance, n, at, kind, task, user, client, agent, resource, jti, execution, digest, payload, salt, seq, hash)
			SELECT instance, n + 1000, at, 'forged', task, user, client, agent, resource, jti, execution, digest, payload, salt, ?, randomblob(32)
			FROM ledger WHERE seq = ?`, seq, seq+1)
		return seq, true, false
	},
	"cut the tail": func(t testing.TB, l *ledger, path string, rng *rand.Rand) (int64, bool, bool) {
		seq := 1 + rng.Int64N(l.size)
		execute(t, path, `DELETE FROM ledger WHERE seq >= ?`, seq)
		return seq, true, false
	},
	"cut the tail and its checkpoints": func(t testing.TB, l *ledger, path string, rng *rand.Rand) (int64, bool, bool) {
		seq := 1 + rng.Int64N(l.size)
		execute(t, path, `DELETE FROM ledger WHERE seq >= ?`, seq)
		execute(t, path, `DELETE FROM checkpoints WHERE size >= ?`, seq)
		return seq, true, true
	},
	"put an old copy back": func(t testing.TB, l *ledger, path string, rng *rand.Rand) (int64, bool, bool) {
		copyFile(t, l.old, path)
		return l.size - 19, true, true
	},
	"fork": func(t testing.TB, l *ledger, path string, rng *rand.Rand) (int64, bool, bool) {
		seq := 1 + rng.Int64N(l.size)
		execute(t, path, `UPDATE ledger SET kind = 'forged' WHERE seq = ?`, seq)
		rechain(t, path, seq)
		return seq, false, false
	},
	"change a checkpoint": func(t testing.TB, l *ledger, path string, rng *rand.Rand) (int64, bool, bool) {
		id := 1 + rng.IntN(len(l.sizes))
		column := []string{"size = size + 1", "head = randomblob(32)", "at = at - 1000000", "signed = substr(signed, 1, 60) || 'x' || substr(signed, 62)"}[rng.IntN(4)]
		execute(t, path, `UPDATE checkpoints SET `+column+` WHERE id = ?`, id)
		return l.size, false, false
	},
}

func digest(rec store.Record) []byte { d := rec.PayloadDigest(); return d[:] }

func execute(t testing.TB, path, statement string, args ...any) {
	t.Helper()
	db := openRaw(t, path)
	defer db.Close()
	if _, err := db.Exec(statement, args...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// rechain makes the chain consistent again from seq on, as somebody without the signing key can.
func rechain(t testing.TB, path string, seq int64) {
	t.Helper()
	audit, err := sqlite.OpenAudit(context.Background(), path)
	must(t, err)
	var head store.Hash
	hashes := map[int64]store.Hash{}
	must(t, audit.Records(func(r store.Record) error {
		if r.Seq >= seq {
			r.Hash = r.ChainHash(head)
			hashes[r.Seq] = r.Hash
		}
		head = r.Hash
		return nil
	}))
	must(t, audit.Close())
	db := openRaw(t, path)
	defer db.Close()
	tx, err := db.Begin()
	must(t, err)
	for at, hash := range hashes {
		_, err := tx.Exec(`UPDATE ledger SET hash = ? WHERE seq = ?`, hash[:], at)
		must(t, err)
	}
	must(t, tx.Commit())
}

// TestVerifyFindsMutations: 1,000 random mutations, each found, and the first bad record named (AU3).
func TestVerifyFindsMutations(t *testing.T) {
	l := makeLedger(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	var names []string
	for name := range mutations {
		names = append(names, name)
	}
	slices.Sort(names)
	path := filepath.Join(t.TempDir(), "mutated.db")
	for i := range 1000 {
		name := names[i%len(names)]
		copyFile(t, l.path, path)
		first, exact, onlyWitness := mutations[name](t, l, path, rng)
		witness := onlyWitness || rng.IntN(2) == 0
		r := l.verify(t, path, witness)
		switch {
		case r.OK:
			t.Fatalf("%d: %s at record %d was not found (witness %v)", i, name, first, witness)
		case exact && r.Problems[0].Record != first, !exact && name == "fork" && r.Problems[0].Record > first:
			t.Fatalf("%d: %s at record %d is named %+v (witness %v)", i, name, first, r.Problems, witness)
		}
	}
}
