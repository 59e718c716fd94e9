package redis

import (
	"crypto/rand"
	"fmt"
	"testing"
	"time"
)

// hear listens and hands on what is heard.
func hear(t *testing.T, f *Fanout) <-chan string {
	t.Helper()
	heard := make(chan string, 4096)
	stop := f.Listen(func(resource string) { heard <- resource })
	t.Cleanup(stop)
	return heard
}

// expect waits until the word is heard.
func expect(t *testing.T, heard <-chan string, want string) {
	t.Helper()
	end := time.After(20 * time.Second)
	for {
		select {
		case got := <-heard:
			if got == want {
				return
			}
		case <-end:
			t.Fatalf("%q was not heard", want)
		}
	}
}

func fanout(t *testing.T, e *Ephemeral) *Fanout {
	t.Helper()
	f := e.Fanout()
	t.Cleanup(func() { f.Close() })
	return f
}

// TestFanout: what one instance announces, the others hear, and it does not hear itself.
func TestFanout(t *testing.T) {
	s := server(t)
	a, b := fanout(t, memory(t, s.URL(), Options{})), fanout(t, memory(t, s.URL(), Options{}))
	atA, atB := hear(t, a), hear(t, b)
	expect(t, atA, "")
	expect(t, atB, "")
	a.Announce("https://tickets.example/mcp", "https://mail.example/mcp")
	for range 2 {
		if got := <-atB; got != "https://tickets.example/mcp" && got != "https://mail.example/mcp" {
			t.Errorf("heard %q", got)
		}
	}
	b.Announce("https://files.example/mcp")
	if got := <-atA; got != "https://files.example/mcp" {
		t.Errorf("the announcer heard %q, first of all", got)
	}
}

// TestFanoutLost: after a loss every feed is to be looked at, and announcing never waits.
func TestFanoutLost(t *testing.T) {
	s := server(t)
	a, b := fanout(t, memory(t, s.URL(), Options{})), fanout(t, memory(t, s.URL(), Options{}))
	atB := hear(t, b)
	expect(t, atB, "")
	must(t, s.Kill())
	for i := range 2 * waiting {
		a.Announce(fmt.Sprint("https://", i, ".example"))
	}
	must(t, s.Run())
	expect(t, atB, "") // the connection is made anew
	await(t, "an announcement", func() bool {
		a.Announce("https://tickets.example/mcp")
		select {
		case got := <-atB:
			return got == "https://tickets.example/mcp"
		case <-time.After(50 * time.Millisecond):
			return false
		}
	})
}

func BenchmarkFirstUse(b *testing.B) {
	e := memory(b, server(b).URL(), Options{})
	epoch := epochOf(b, e)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if first, err := e.FirstUse(b.Context(), epoch, rand.Text(), time.Minute); err != nil || !first {
				b.Fatal(first, err)
			}
		}
	})
}

func BenchmarkTake(b *testing.B) {
	e := memory(b, server(b).URL(), Options{})
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, _, err := e.Take(b.Context(), "key", 1e6, 1e6); err != nil {
				b.Fatal(err)
			}
		}
	})
}
