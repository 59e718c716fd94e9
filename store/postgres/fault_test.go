package postgres

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/store/storetest"
)

func TestFaults(t *testing.T) {
	storetest.RunFaults(t, func(t *testing.T, now store.Clock, f *storetest.Fault) store.Store {
		w := &wire{fault: f}
		return connectTo(t, database(t), Options{Now: now, MaxConns: 1, dial: w.dial, Fanout: quiet{}})
	}, tables, storetest.Refused, storetest.Lost)
}

// quiet carries no hints, so that verbs alone use the wire.
type quiet struct{}

func (quiet) Announce(...string)         {}
func (quiet) Listen(func(string)) func() { return func() {} }
func (quiet) Close() error               { return nil }

// wire is how a store reaches the server. It reads the store's messages, and asks the fault about every
// statement that is to run. One that is refused names a prepared statement that does not exist. After one
// that is lost nothing more reaches the server, and of its answers none the store.
type wire struct{ fault *storetest.Fault }

func (w *wire) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, address)
	return &wired{Conn: c, fault: w.fault}, err
}

type wired struct {
	net.Conn
	fault *storetest.Fault
	begun bool // the first message, which has no type, was sent
	deaf  atomic.Bool
}

// The messages that matter (PostgreSQL's frontend/backend protocol, message formats).
const (
	bindMessage    = 'B' // portal and name of a prepared statement, each ended by 0, and its arguments
	executeMessage = 'E'
)

var syncMessage = []byte{'S', 0, 0, 0, 4} // makes the server answer

func (c *wired) Write(b []byte) (int, error) {
	if !c.begun {
		c.begun = true
		return c.Conn.Write(b)
	}
	if c.deaf.Load() {
		return len(b), nil
	}
	sent, lost := slices.Clone(b), false
	for rest := sent; len(rest) >= 5; {
		size := 1 + int(binary.BigEndian.Uint32(rest[1:]))
		switch message := rest[:size]; {
		case message[0] == bindMessage:
			way := c.fault.Statement()
			if name := message[5+slices.Index(message[5:], 0)+1:]; way == storetest.Refused {
				name[0] ^= 1
			}
			lost = way == storetest.Lost
		case message[0] == executeMessage && lost:
			sent = append(sent[:len(sent)-len(rest)+size:len(sent)-len(rest)+size], syncMessage...)
			c.deaf.Store(true)
			_, err := c.Conn.Write(sent)
			return len(b), err
		}
		rest = rest[size:]
	}
	return c.Conn.Write(sent)
}

func (c *wired) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.deaf.Load() { // the server has done what it was told
		c.Conn.Close()
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}
