package main

import (
	"net"
	"net/netip"
	"sync"
)

// How many connections the public listener holds at once: in all, and of one address (of IPv6 its
// /64) that is no trusted proxy. What comes on top is closed at once, so that a storm costs a moment
// each and takes no place from others.
const (
	maxConns        = 16_000
	maxAddressConns = 1_000
)

// cappedListener accepts connections as long as there is room for them.
type cappedListener struct {
	net.Listener
	trusted     []netip.Prefix
	all, single int

	mu   sync.Mutex
	open int
	of   map[netip.Addr]int
}

func capped(l net.Listener, trusted []netip.Prefix) *cappedListener {
	return &cappedListener{Listener: l, trusted: trusted, all: maxConns, single: maxAddressConns, of: map[netip.Addr]int{}}
}

// Accept returns the next connection for which there is room.
func (l *cappedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := l.counted(c.RemoteAddr())
		if l.enter(from) {
			return &cappedConn{Conn: c, listener: l, from: from}, nil
		}
		c.Close()
	}
}

// counted is the address that a connection counts for; of a trusted proxy none.
func (l *cappedListener) counted(a net.Addr) netip.Addr {
	at, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	from := at.Addr().Unmap().WithZone("")
	for _, p := range l.trusted {
		if p.Contains(from) {
			return netip.Addr{}
		}
	}
	if from.Is6() {
		from = netip.PrefixFrom(from, 64).Masked().Addr()
	}
	return from
}

func (l *cappedListener) enter(from netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open >= l.all || from.IsValid() && l.of[from] >= l.single {
		return false
	}
	l.open++
	if from.IsValid() {
		l.of[from]++
	}
	return true
}

func (l *cappedListener) leave(from netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if !from.IsValid() {
		return
	}
	if l.of[from]--; l.of[from] == 0 {
		delete(l.of, from)
	}
}

// cappedConn gives its place back once.
type cappedConn struct {
	net.Conn
	listener *cappedListener
	from     netip.Addr
	once     sync.Once
}

// Close closes the connection.
func (c *cappedConn) Close() error {
	c.once.Do(func() { c.listener.leave(c.from) })
	return c.Conn.Close()
}
