package chaos

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// echo answers every line with itself.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); io.Copy(c, c) }()
		}
	}()
	return l.Addr().String()
}

func TestProxy(t *testing.T) {
	p, err := NewProxy(echo(t))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	dial := func() net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", p.Addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	say := func(c net.Conn, words string) (string, error) {
		c.SetDeadline(time.Now().Add(300 * time.Millisecond))
		if _, err := io.WriteString(c, words); err != nil {
			return "", err
		}
		buf := make([]byte, len(words))
		n, err := io.ReadFull(c, buf)
		return string(buf[:n]), err
	}
	good := func(when string) {
		t.Helper()
		if got, err := say(dial(), "hello"); err != nil || got != "hello" {
			t.Errorf("%s: %q, %v", when, got, err)
		}
	}
	good("at first")
	open := dial()
	say(open, "x")
	p.Set(Cut)
	if _, err := say(open, "hello"); err == nil {
		t.Error("an open connection outlives a cut")
	}
	if c, err := net.Dial("tcp", p.Addr); err == nil { // or it is reset already
		if _, err := say(c, "hello"); err == nil {
			t.Error("a new connection passes a cut")
		}
		c.Close()
	}
	for _, m := range []Mode{Stall, HalfOpen} {
		p.Set(m)
		if _, err := say(dial(), "hello"); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("mode %d: %v", m, err)
		}
		p.Set(Pass)
		good("again")
	}
	p.Bytes = 3
	p.Set(CutAfter)
	if got, err := say(dial(), "hello"); err == nil || len(got) > 3 {
		t.Errorf("cut after three bytes: %q, %v", got, err)
	}
	p.Set(Pass)
	p.Target(echo(t))
	good("elsewhere")
}

func TestHistory(t *testing.T) {
	at := func(ms int) time.Time { return time.UnixMilli(int64(ms)) }
	for name, tt := range map[string]struct {
		events []Event
		want   string
	}{
		"nothing wrong": {[]Event{
			{Op: "code", Key: "a", Result: OK},
			{Op: "code", Key: "a", Result: Refused},
			{Op: "code", Key: "b", Result: Unknown},
			{Op: "code", Key: "b", Result: OK},
			{Op: "refresh", Key: "r", Detail: "s", Result: OK},
			{Op: "refresh", Key: "r", Detail: "s", Result: OK},
			{Op: "end", Key: "t", Result: OK, End: at(1000)},
			{Op: "call", Detail: "t", Result: OK, Start: at(999)},
			{Op: "call", Detail: "t", Result: OK, Start: at(1500)},
			{Op: "call", Detail: "t", Result: Refused, Start: at(9000)},
		}, ""},
		"a code twice":      {[]Event{{Op: "code", Key: "a", Result: OK}, {Op: "code", Key: "a", Result: OK}}, "code a succeeded twice"},
		"two successors":    {[]Event{{Op: "refresh", Key: "r", Detail: "s", Result: OK}, {Op: "refresh", Key: "r", Detail: "u", Result: OK}}, "two successors"},
		"a call far beyond": {[]Event{{Op: "end", Key: "t", Result: OK, End: at(1000)}, {Op: "call", Detail: "t", Result: OK, Start: at(3001)}}, "was served"},
		"refreshed after":   {[]Event{{Op: "end", Key: "t", Result: OK, End: at(1000)}, {Op: "refresh of", Key: "t", Result: OK, Start: at(1001)}}, "was refreshed"},
	} {
		t.Run(name, func(t *testing.T) {
			var h History
			for _, e := range tt.events {
				h.Note(e)
			}
			wrong, _ := h.Check(2 * time.Second)
			got := strings.Join(wrong, "; ")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("Check = %q, want %q", got, tt.want)
			}
		})
	}
}
