package sqlite

import (
	"context"
	"path/filepath"
	"testing"
)

func TestSmoke(t *testing.T) {
	ctx := context.Background()
	p := filepath.Join(t.TempDir(), "a b?#%.db")
	s, err := Open(ctx, p, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Ping(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, err = Open(ctx, p, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(ctx, p, Options{}); err == nil {
		t.Fatal("no lock")
	} else {
		t.Log(err)
	}
	s.Close()
}
