// Package fetchtest is the outside world of tests that fetch: a DNS server that says what it is told,
// true or not, and a TLS server that counts who comes.
package fetchtest

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// DNS answers queries over UDP on loopback.
type DNS struct {
	conn net.PacketConn

	mu    sync.Mutex
	names map[string][]netip.Addr
	turns map[string][][]netip.Addr
	asked int
}

// New starts a DNS server that knows no name; it ends with the test.
func New(t testing.TB) *DNS {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &DNS{conn: conn, names: map[string][]netip.Addr{}, turns: map[string][][]netip.Addr{}}
	done := make(chan struct{})
	go func() { defer close(done); d.serve() }()
	t.Cleanup(func() { conn.Close(); <-done })
	return d
}

// Set makes the name resolve to these addresses. "*" stands for every name that is not set.
func (d *DNS) Set(name string, addrs ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.names[name] = parse(addrs)
}

// Turn makes the name resolve to the next list with each query for IPv4 addresses; the last one stays.
func (d *DNS) Turn(name string, lists ...[]string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, list := range lists {
		d.turns[name] = append(d.turns[name], parse(list))
	}
}

// Asked is how many queries there were.
func (d *DNS) Asked() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked
}

func parse(addrs []string) (all []netip.Addr) {
	for _, a := range addrs {
		all = append(all, netip.MustParseAddr(a))
	}
	return all
}

// Resolver asks this server.
func (d *DNS) Resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", d.conn.LocalAddr().String())
	}}
}

func (d *DNS) serve() {
	buf := make([]byte, 1500)
	for {
		n, from, err := d.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		if answer, err := d.answer(buf[:n]); err == nil {
			d.conn.WriteTo(answer, from)
		}
	}
}

func (d *DNS) answer(query []byte) ([]byte, error) {
	var p dnsmessage.Parser
	header, err := p.Start(query)
	if err != nil {
		return nil, err
	}
	q, err := p.Question()
	if err != nil {
		return nil, err
	}
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: header.ID, Response: true, Authoritative: true, RecursionAvailable: true})
	if err := b.StartQuestions(); err != nil {
		return nil, err
	}
	if err := b.Question(q); err != nil {
		return nil, err
	}
	if err := b.StartAnswers(); err != nil {
		return nil, err
	}
	for _, a := range d.lookUp(q) {
		rh := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class}
		switch {
		case q.Type == dnsmessage.TypeA && a.Is4():
			err = b.AResource(rh, dnsmessage.AResource{A: a.As4()})
		case q.Type == dnsmessage.TypeAAAA && a.Is6():
			err = b.AAAAResource(rh, dnsmessage.AAAAResource{AAAA: a.As16()})
		}
		if err != nil {
			return nil, err
		}
	}
	return b.Finish()
}

func (d *DNS) lookUp(q dnsmessage.Question) []netip.Addr {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	name := strings.TrimSuffix(q.Name.String(), ".")
	if lists := d.turns[name]; len(lists) > 0 {
		if q.Type == dnsmessage.TypeA && len(lists) > 1 {
			d.turns[name] = lists[1:]
		}
		return lists[0]
	}
	if addrs, known := d.names[name]; known {
		return addrs
	}
	return d.names["*"]
}
