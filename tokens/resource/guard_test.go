package resource_test

import (
	"context"
	"testing"
	"time"
)

// ready waits until the Guard's view is fresh again.
func (w *world) ready() {
	w.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := w.guard.Ready(ctx); err != nil {
		w.Fatal(err)
	}
}

// eventually asks until it holds, for what has no event to wait for.
func (w *world) eventually(what string, holds func() bool) {
	w.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		if holds() {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
	w.Fatalf("waited in vain for %s", what)
}

func TestX(t *testing.T) {}
