package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/store/memory"
	"github.com/remit-auth/remit/store/sqlite"
	"github.com/remit-auth/remit/tokens"
)

// ledger is a finished ledger, sealed several times, with what a Guard would have kept of it.
type ledger struct {
	path    string // the database file, its triggers dropped
	old     string // a copy of it from before the last records
	witness string // every checkpoint, as a Guard keeps them
	keys    tokens.KeySet
	signer  tokens.SigningKey
	size    int64
	sizes   []int64 // of the checkpoints
	marked  []int64 // the records that a test wrote, with every member filled
}

const ledgerIssuer = "https://as.example"

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// makeLedger writes 60 records under 6 checkpoints.
func makeLedger(t *testing.T) *ledger {
	t.Helper()
	ctx, dir := context.Background(), t.TempDir()
	l := &ledger{path: filepath.Join(dir, "remit.db"), old: filepath.Join(dir, "old.db"), witness: filepath.Join(dir, "witness.jsonl")}
	masterKey := make([]byte, masterKeyLen)
	db, err := sqlite.Open(ctx, l.path, sqlite.Options{})
	must(t, err)
	s, err := server.New(ctx, server.Config{Issuer: ledgerIssuer, Store: db, Ephemeral: memory.New(memory.Options{}), MasterKey: masterKey})
	must(t, err)
	for i := range 60 {
		rec := store.NewRecord(fmt.Sprintf("kind.%d", i%7), map[string]any{"marker": fmt.Sprintf("payload-%04d", i), "text": "someone did something"})
		rec.Task, rec.User, rec.Client, rec.Agent = tokens.NewID("tsk_"), tokens.NewID("usr_"), tokens.NewID("cli_"), "jkt"
		rec.Resource, rec.JTI, rec.Execution = "https://tickets.example/mcp", tokens.NewID("at_"), tokens.NewID("exe_")
		must(t, db.Append(ctx, rec))
		if i%10 == 9 {
			must(t, s.Settle(ctx))
		}
		if i == 39 {
			must(t, db.Close())
			copyFile(t, l.path, l.old)
			db, err = sqlite.Open(ctx, l.path, sqlite.Options{})
			must(t, err)
			s, err = server.New(ctx, server.Config{Issuer: ledgerIssuer, Store: db, Ephemeral: memory.New(memory.Options{}), MasterKey: masterKey})
			must(t, err)
		}
	}
	checkpoints, err := db.Checkpoints(ctx)
	must(t, err)
	var kept strings.Builder
	for _, c := range checkpoints {
		l.sizes = append(l.sizes, c.Size)
		line, err := json.Marshal(map[string]any{"size": c.Size, "head": c.Head.String(), "checkpoint": c.Signed})
		must(t, err)
		kept.WriteString("\n" + string(line) + "\n")
	}
	must(t, os.WriteFile(l.witness, []byte(kept.String()+`{"size":9`), 0o600)) // and a torn last line
	l.size, _, err = db.Head(ctx)
	must(t, err)
	sealed, err := db.Keys(ctx)
	must(t, err)
	master, err := tokens.NewMasterKeys(masterKey)
	must(t, err)
	l.keys, err = server.OpenKeys(ctx, sealed, master)
	must(t, err)
	l.signer = openSigner(t, sealed, master)
	must(t, db.Close())
	for _, path := range []string{l.path, l.old} {
		change(t, path, dropTriggers(t, path)...)
	}
	audit, err := sqlite.OpenAudit(ctx, l.path)
	must(t, err)
	must(t, errors.Join(audit.Records(func(r store.Record) error {
		if strings.Contains(string(r.Payload), "payload-") {
			l.marked = append(l.marked, r.Seq)
		}
		return nil
	}), audit.Close()))
	return l
}

func openSigner(t *testing.T, sealed []store.Key, master tokens.MasterKeys) tokens.SigningKey {
	t.Helper()
	data := sealed[slices.IndexFunc(sealed, func(k store.Key) bool { return k.Use == "wrap" })]
	dataKey, err := master.Unwrap(t.Context(), data.Sealed, data.ID)
	must(t, err)
	sealer, err := tokens.NewSealer(dataKey)
	must(t, err)
	i := slices.IndexFunc(sealed, func(k store.Key) bool { return k.Use == "sig" })
	raw, err := sealer.Open(sealed[i].Sealed, sealed[i].ID)
	must(t, err)
	key, err := tokens.ParseSigningKey(raw)
	must(t, err)
	return key
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	raw, err := os.ReadFile(from)
	must(t, err)
	must(t, os.WriteFile(to, raw, 0o600))
}

// openRaw opens the database as an intruder would.
func openRaw(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path+"?_pragma=synchronous(OFF)")
	must(t, err)
	db.SetMaxOpenConns(1)
	return db
}

func change(t testing.TB, path string, statements ...string) {
	t.Helper()
	db := openRaw(t, path)
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	must(t, db.Close())
}

func dropTriggers(t testing.TB, path string) (drops []string) {
	t.Helper()
	db := openRaw(t, path)
	rows, err := db.Query(`SELECT 'DROP TRIGGER ' || name FROM sqlite_schema WHERE type = 'trigger'`)
	must(t, err)
	for rows.Next() {
		var drop string
		must(t, rows.Scan(&drop))
		drops = append(drops, drop)
	}
	must(t, errors.Join(rows.Err(), rows.Close(), db.Close()))
	return drops
}

// verify verifies a database file, with or without the witness.
func (l *ledger) verify(t testing.TB, path string, witness bool) report {
	t.Helper()
	db, err := sqlite.OpenAudit(context.Background(), path)
	must(t, err)
	defer db.Close()
	v := newVerifier()
	v.keys = l.keys
	if witness {
		must(t, v.readWitness(l.witness))
	}
	return v.verify(db)
}

func TestVerify(t *testing.T) {
	l := makeLedger(t)
	for _, witness := range []bool{false, true} {
		r := l.verify(t, l.path, witness)
		if !r.OK || r.Records != l.size || r.Sealed != l.size || r.Checkpoints != len(l.sizes) || len(r.Problems) != 0 {
			t.Fatalf("%+v", r)
		}
		if witness && r.Witnesses != len(l.sizes) {
			t.Errorf("%d witnesses agree, want %d", r.Witnesses, len(l.sizes))
		}
	}
	// Erasing a payload never breaks the chain (DESIGN §4), and is told.
	erased := filepath.Join(t.TempDir(), "erased.db")
	copyFile(t, l.path, erased)
	change(t, erased, `UPDATE ledger SET payload = NULL, salt = NULL WHERE seq IN (5, 6)`)
	if r := l.verify(t, erased, true); !r.OK || r.Erased != 2 {
		t.Errorf("after an erasure: %+v", r)
	}
	// A clock set back is told; the order of writing stands (AU8).
	turned := filepath.Join(t.TempDir(), "turned.db")
	now := time.Now()
	db, err := sqlite.Open(context.Background(), turned, sqlite.Options{Now: func() time.Time { return now }})
	must(t, err)
	for range 3 {
		must(t, db.Append(context.Background(), store.NewRecord("test", nil)))
		now = now.Add(-time.Hour)
	}
	_, err = db.Sequence(context.Background())
	must(t, errors.Join(err, db.Close()))
	if r := l.verify(t, turned, false); !r.OK || r.ClockBack != 2 {
		t.Errorf("after the clock was set back: %+v", r)
	}
	// A database with another server's keys proves nothing.
	stranger, err := tokens.NewSigningKey()
	must(t, err)
	if r := (&ledger{keys: tokens.NewKeySet(stranger)}).verify(t, l.path, false); r.OK {
		t.Error("checkpoints by a stranger's key were taken")
	}
}

// resign makes chain and checkpoints agree with the records again from seq on, as somebody with the
// signing key can.
func (l *ledger) resign(t *testing.T, path string, seq int64) {
	t.Helper()
	rechain(t, path, seq)
	db := openRaw(t, path)
	for _, size := range l.sizes {
		head, at := []byte{}, int64(0)
		must(t, db.QueryRow(`SELECT hash FROM ledger WHERE seq = ?`, size).Scan(&head))
		must(t, db.QueryRow(`SELECT at FROM checkpoints WHERE size = ?`, size).Scan(&at))
		signed, err := l.signer.SignCheckpoint(tokens.CheckpointClaims{Issuer: ledgerIssuer, Size: size, Head: fmt.Sprintf("%x", head), At: time.UnixMicro(at).UTC()})
		must(t, err)
		_, err = db.Exec(`UPDATE checkpoints SET head = ?, signed = ? WHERE size = ?`, head, signed, size)
		must(t, err)
	}
	must(t, db.Close())
}

// TestVerifyStolenKey: with the signing key stolen too, the database can be made to agree with
// itself; everything up to the newest checkpoint that a Guard holds is still proven (P3).
func TestVerifyStolenKey(t *testing.T) {
	l := makeLedger(t)
	path := filepath.Join(t.TempDir(), "forged.db")
	copyFile(t, l.path, path)
	execute(t, path, `UPDATE ledger SET kind = 'forged' WHERE seq = 15`)
	l.resign(t, path, 15)
	if r := l.verify(t, path, false); !r.OK {
		t.Fatalf("the forgery is not even consistent: %+v", r)
	}
	r := l.verify(t, path, true)
	if r.OK || r.Problems[0].Record > 15 {
		t.Errorf("the witness does not prove it: %+v", r)
	}
}

func TestVerifyWitnessFiles(t *testing.T) {
	l := makeLedger(t)
	dir := t.TempDir()
	stranger, err := tokens.NewSigningKey()
	must(t, err)
	forged, err := stranger.SignCheckpoint(tokens.CheckpointClaims{Issuer: ledgerIssuer, Size: 3, Head: strings.Repeat("a", 64), At: time.Now()})
	must(t, err)
	for name, text := range map[string]string{"no checkpoint": "\n\n", "nonsense": "nonsense\n", "a stranger's": forged + "\n"} {
		path := filepath.Join(dir, "witness")
		must(t, os.WriteFile(path, []byte(text), 0o600))
		v := newVerifier()
		v.keys = l.keys
		if err := v.readWitness(path); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if err := newVerifier().readWitness(filepath.Join(dir, "none")); err == nil {
		t.Error("a missing file was taken")
	}
	// A checkpoint of another issuer, though signed by our key, is no witness of this ledger.
	other, err := l.signer.SignCheckpoint(tokens.CheckpointClaims{Issuer: "https://other.example", Size: l.size, Head: strings.Repeat("a", 64), At: time.Now()})
	must(t, err)
	must(t, os.WriteFile(l.witness, []byte(other+"\n"), 0o600))
	if r := l.verify(t, l.path, true); r.OK {
		t.Errorf("another issuer's checkpoint: %+v", r)
	}
}
