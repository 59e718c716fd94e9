package main

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"
)

// TestConnectionsAreCapped: an address has so many connections and no more, others have theirs, and a
// closed one makes room.
func TestConnectionsAreCapped(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	l := capped(inner, []netip.Prefix{netip.MustParsePrefix("127.0.0.9/32")})
	l.all, l.single = 6, 2
	defer l.Close()
	accepted := make(chan net.Conn, 16)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	dial := func(from string) net.Conn {
		t.Helper()
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c, err := d.Dial("tcp", inner.Addr().String())
		must(t, err)
		t.Cleanup(func() { c.Close() })
		return c
	}
	refused := func(c net.Conn) bool {
		t.Helper()
		must(t, c.SetReadDeadline(time.Now().Add(200*time.Millisecond)))
		_, err := c.Read(make([]byte, 1))
		return errors.Is(err, io.EOF)
	}
	first := dial("127.0.0.1")
	held := <-accepted
	dial("127.0.0.1")
	<-accepted
	if !refused(dial("127.0.0.1")) {
		t.Error("a third connection of one address was taken")
	}
	if refused(dial("127.0.0.2")) {
		t.Error("another address was refused")
	}
	<-accepted
	must(t, held.Close())
	held.Close() // gives its place back once
	if refused(dial("127.0.0.1")) {
		t.Error("no room after a close")
	}
	<-accepted
	for range 3 {
		if refused(dial("127.0.0.9")) {
			t.Error("a proxy was counted as one address")
		}
		<-accepted
	}
	if !refused(dial("127.0.0.3")) {
		t.Error("more connections than there is room for in all")
	}
	first.Close()
}

// TestLeaving: who asks for readiness hears of the end before it comes; where nobody asks, nobody is
// waited for.
func TestLeaving(t *testing.T) {
	now := time.Now()
	alone := newLeaving()
	alone.announce(now)
	if !alone.ask(now) {
		t.Error("ready after the announcement")
	}
	l := newLeaving()
	if l.ask(now) {
		t.Error("not ready before the announcement")
	}
	done := make(chan struct{})
	go func() { l.announce(now); close(done) }()
	for !l.ask(now) {
		select {
		case <-done:
			t.Fatal("the end came before anybody heard of it")
		default:
		}
	}
	select {
	case <-done:
	case <-time.After(tellTime + actTime):
		t.Error("it waits for ever")
	}
	forgotten := newLeaving()
	forgotten.ask(now.Add(-askedLately))
	forgotten.announce(now)
}

// TestSlowClientsAreClosed: whoever sends a header or a body in drops is closed within ten seconds.
func TestSlowClientsAreClosed(t *testing.T) {
	s := startService(t, devConfig(t))
	t.Cleanup(func() { s.stop() }) // after the parallel ones
	for name, said := range map[string]string{
		"nothing":       "",
		"half a header": "POST /token HTTP/1.1\r\nHost: x\r\nX-Slow: ",
		"half a body":   "POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\ngrant_type=",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := net.Dial("tcp", s.address())
			must(t, err)
			defer c.Close()
			_, err = io.WriteString(c, said)
			must(t, err)
			began := time.Now()
			must(t, c.SetReadDeadline(began.Add(12*time.Second)))
			_, _ = io.Copy(io.Discard, c) // ends with the connection, whoever closes it how
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("closed after %v", took)
			}
		})
	}
}
