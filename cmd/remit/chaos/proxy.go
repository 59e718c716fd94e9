package chaos

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Mode is what a proxy does with the bytes.
type Mode int32

// The modes.
const (
	Pass     Mode = iota
	Cut           // connections are reset, new ones refused
	Stall         // nothing passes, nobody is told
	HalfOpen      // requests pass, answers do not
	Slow          // every read is delayed
	CutAfter      // each connection is reset after some bytes of answer
)

// Proxy carries TCP to a target that may be changed.
type Proxy struct {
	Addr     string
	Delay    time.Duration // of Slow
	Bytes    int64         // of CutAfter
	listener net.Listener
	mode     atomic.Int32

	mu      sync.Mutex
	target  string
	conns   map[net.Conn]struct{}
	changed chan struct{} // closed when the mode changes
}

// NewProxy listens on a free port of loopback.
func NewProxy(target string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		Addr: l.Addr().String(), Delay: 100 * time.Millisecond, Bytes: 2000,
		listener: l, target: target, conns: map[net.Conn]struct{}{}, changed: make(chan struct{}),
	}
	go p.accept()
	return p, nil
}

// Set changes the mode. Cut, and a return to Pass, end the connections that are open: those that were
// stalled have lost what was in flight.
func (p *Proxy) Set(m Mode) {
	was := Mode(p.mode.Swap(int32(m)))
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.changed)
	p.changed = make(chan struct{})
	if m == Cut || m == Pass && was != Slow {
		p.dropLocked()
	}
}

// Target points the proxy elsewhere and ends what is open.
func (p *Proxy) Target(address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = address
	p.dropLocked()
}

func (p *Proxy) dropLocked() {
	for c := range p.conns {
		reset(c)
	}
	clear(p.conns)
}

// reset closes a connection with RST, as the death of its peer's machine would.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

// Close ends the proxy.
func (p *Proxy) Close() error {
	p.Set(Cut)
	return p.listener.Close()
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.serve(c)
	}
}

func (p *Proxy) serve(client net.Conn) {
	p.mu.Lock()
	target := p.target
	p.mu.Unlock()
	if Mode(p.mode.Load()) == Cut {
		reset(client)
		return
	}
	server, err := net.DialTimeout("tcp", target, 2*time.Second)
	if err != nil {
		reset(client)
		return
	}
	p.mu.Lock()
	p.conns[client], p.conns[server] = struct{}{}, struct{}{}
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { p.copy(server, client, false) })
	both.Go(func() { p.copy(client, server, true) })
	both.Wait()
	p.mu.Lock()
	delete(p.conns, client)
	delete(p.conns, server)
	p.mu.Unlock()
}

// copy carries one direction until it ends.
func (p *Proxy) copy(to, from net.Conn, answers bool) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 32<<10)
	var sent int64
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if !p.hold(answers) {
				return
			}
			if Mode(p.mode.Load()) == CutAfter && answers {
				if left := p.Bytes - sent; int64(n) >= left {
					_, _ = to.Write(buf[:max(left, 0)])
					reset(to)
					reset(from)
					return
				}
			}
			sent += int64(n)
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			if err != io.EOF {
				reset(to)
			}
			return
		}
	}
}

// hold keeps bytes back as the mode says, and reports whether they may go on.
func (p *Proxy) hold(answers bool) bool {
	for {
		p.mu.Lock()
		changed := p.changed
		p.mu.Unlock()
		switch m := Mode(p.mode.Load()); {
		case m == Cut:
			return false
		case m == Stall, m == HalfOpen && answers:
			<-changed
		case m == Slow:
			select {
			case <-time.After(p.Delay):
			case <-changed:
			}
			return true
		default:
			return true
		}
	}
}
