package sqlite

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/remit-auth/remit/store"
)

// childPath, when set, makes this test binary the process that is killed: it writes to the
// database there and prints each acknowledged record.
const childPath = "REMIT_TEST_SQLITE_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(childPath); path != "" {
		writeUntilKilled(path)
	}
	os.Exit(m.Run())
}

func writeUntilKilled(path string) {
	ctx := context.Background()
	s, err := Open(ctx, path, Options{})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	acks := make(chan string)
	for g := range 16 {
		go func() {
			for i := 0; ; i++ {
				kind := fmt.Sprintf("%d.%d.%d", os.Getpid(), g, i)
				if err := s.Append(ctx, store.NewRecord(kind, nil), store.NewRecord("pair", nil)); err != nil {
					kind = "error " + err.Error()
				}
				acks <- kind
			}
		}()
	}
	go func() {
		for {
			if _, err := s.Sequence(ctx); err != nil {
				acks <- "error " + err.Error()
			}
		}
	}()
	for ack := range acks {
		fmt.Println(ack)
	}
}

// TestKill kills the writing process without a warning and sees that every record which it had
// acknowledged is there, whole, numbered and chained.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "remit.db")
	acked := make(map[string]bool)
	for round := range 10 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), childPath+"="+path)
		out, err := child.StdoutPipe()
		check(t, err)
		child.Stderr = os.Stderr
		check(t, child.Start())
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			if acked[lines.Text()] = true; n == 100+37*round {
				check(t, child.Process.Kill())
			}
		}
		if err := lines.Err(); err != nil && err != io.ErrUnexpectedEOF {
			t.Fatal(err)
		}
		child.Wait()
		verify(t, path, acked)
	}
	t.Logf("%d acknowledged records, none lost", len(acked))
}

func verify(t *testing.T, path string, acked map[string]bool) {
	t.Helper()
	s := reopen(t, path, nil)
	defer s.Close()
	var integrity string
	check(t, s.read(t.Context(), func(c *conn) error {
		_, err := c.one(`PRAGMA integrity_check`, nil, &integrity)
		return err
	}))
	if integrity != "ok" {
		t.Fatalf("integrity_check: %s", integrity)
	}
	_, err := s.Sequence(t.Context())
	check(t, err)
	recs, err := s.Records(t.Context(), store.RecordFilter{Limit: 1 << 30})
	check(t, err)
	there := make(map[string]bool)
	var head store.Hash
	for i, r := range recs {
		if head = r.ChainHash(head); r.Seq != int64(i+1) || r.N != r.Seq || r.Hash != head {
			t.Fatalf("record %d: number %d, place %d", i+1, r.N, r.Seq)
		}
		if there[r.Kind] = true; (r.Kind == "pair") != (i%2 == 1) {
			t.Fatalf("record %d is half of a verb", i+1)
		}
	}
	for kind := range acked {
		if !there[kind] {
			t.Fatalf("acknowledged and lost: %s", kind)
		}
	}
}
