package chaos

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// Hostile asks for nothing good, at a bounded rate, on loopback alone.
type Hostile struct {
	Refused map[string]int // by kind and status; "none": cut off without an answer
	Served  []string       // what should have been refused

	mu sync.Mutex
}

// stranger is where hostile requests come from; who is good comes from elsewhere.
var stranger = net.IPv4(127, 0, 0, 66)

// hostileAtOnce bounds how many hostile requests are under way.
const hostileAtOnce = 64

// kinds are what strangers try; none of it is to be served.
func (w *World) kinds() map[string]func(context.Context) (blackbox.Response, error) {
	server := w.workers[0].server
	flow := func() *blackbox.Flow {
		return &blackbox.Flow{Server: server, ClientID: w.Public, Redirect: redirect, Resource: w.Resource, Key: blackbox.NewKey(), Details: w.details()}
	}
	key, huge := blackbox.NewKey(), blackbox.Form{{Name: "client_id", Value: w.Public}, {Name: "x", Value: strings.Repeat("x", 1<<20)}}
	return map[string]func(context.Context) (blackbox.Response, error){
		"bad refresh token": func(ctx context.Context) (blackbox.Response, error) {
			return server.Send(ctx, key, server.Token, blackbox.Form{{Name: "grant_type", Value: "refresh_token"}, {Name: "client_id", Value: w.Public}, {Name: "refresh_token", Value: "rr_" + blackbox.Random(32)}})
		},
		"bad access token": func(ctx context.Context) (blackbox.Response, error) {
			return blackbox.Get(ctx, server.Issuer+"/tasks/tsk_aaaaaaaaaaaaaaaaaaaaaaaaaa", blackbox.Header{Name: "Authorization", Value: "DPoP " + blackbox.Random(64)})
		},
		"bad proof": func(ctx context.Context) (blackbox.Response, error) {
			return blackbox.Post(ctx, server.PAR, flow().PushForm(), blackbox.DPoP(server.Proof(key, server.Token)))
		},
		"huge body": func(ctx context.Context) (blackbox.Response, error) {
			return blackbox.Post(ctx, server.PAR, huge)
		},
		"unknown client": func(ctx context.Context) (blackbox.Response, error) {
			f := flow()
			f.ClientID = "cli_" + blackbox.Random(16)
			return server.Send(ctx, f.Key, server.PAR, f.PushForm())
		},
		"another client's code": func(ctx context.Context) (blackbox.Response, error) {
			f := flow()
			f.Code, f.Verifier = "rc_"+blackbox.Random(32), blackbox.Random(32)
			return server.Send(ctx, f.Key, server.Token, f.RedeemForm())
		},
		"slow sender": func(ctx context.Context) (blackbox.Response, error) { return w.slowly(ctx) },
	}
}

// slowly sends a request a few bytes at a time, for as long as it is listened to.
func (w *World) slowly(ctx context.Context) (blackbox.Response, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: stranger}}
	conn, err := d.DialContext(ctx, "tcp", strings.TrimPrefix(w.Issuer, "http://"))
	if err != nil {
		return blackbox.Response{}, err
	}
	defer conn.Close()
	head := []byte("POST /par HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 60000\r\n\r\n")
	for _, b := range append(head, bytes.Repeat([]byte("x"), 200)...) {
		if _, err := conn.Write([]byte{b}); err != nil {
			return blackbox.Response{}, err
		}
		select {
		case <-ctx.Done():
			return blackbox.Response{}, ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
	return blackbox.Response{}, context.DeadlineExceeded
}

// Attack sends hostile requests of every kind in turn, so many a second, until the context ends; a
// flood of good pushes is among them, which are counted and may be served.
func (w *World) Attack(ctx context.Context, perSecond int) *Hostile {
	ctx = blackbox.From(ctx, stranger)
	h := &Hostile{Refused: map[string]int{}}
	kinds := w.kinds()
	f := &blackbox.Flow{Server: w.workers[0].server, ClientID: w.Public, Redirect: redirect, Resource: w.Resource, Key: blackbox.NewKey(), Details: w.details()}
	kinds["PAR flood"] = func(ctx context.Context) (blackbox.Response, error) {
		return f.Server.Send(ctx, f.Key, f.Server.PAR, f.PushForm())
	}
	work := make(chan attempt)
	var all sync.WaitGroup
	defer all.Wait()
	defer close(work)
	for range hostileAtOnce {
		all.Go(func() {
			stepBack()
			for a := range work {
				within, cancel := context.WithTimeout(ctx, 5*time.Second)
				res, err := a.send(within)
				cancel()
				if ctx.Err() == nil {
					h.note(a.kind, res, err)
				}
			}
		})
	}
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	for {
		for kind, send := range kinds {
			select {
			case <-ctx.Done():
				return h
			case <-tick.C:
			}
			select {
			case work <- attempt{kind, send}:
			default: // as many as are allowed are under way
			}
		}
	}
}

// attempt is one hostile request to be sent.
type attempt struct {
	kind string
	send func(context.Context) (blackbox.Response, error)
}

// stepBack gives the goroutine a thread of its own, which runs when nobody else wants the processor: a real
// attacker's proofs are not computed on the server's machine. The thread ends with the goroutine.
func stepBack() {
	runtime.LockOSThread()
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, 19) // of this thread, on Linux
}

func (h *Hostile) note(kind string, res blackbox.Response, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	status := fmt.Sprint(res.Status)
	if err != nil || res.Status == 0 {
		status = "none"
	}
	h.Refused[kind+" "+status]++
	if kind != "PAR flood" && res.Status/100 == 2 || res.Status == 500 {
		h.Served = append(h.Served, kind+" "+res.String())
	}
}

// Latency is what the probes say of a stretch of time: how many, how many failed, and their p50 and p99.
func (h *History) Latency(from, to time.Time) (n, failed int, p50, p99 time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var took []time.Duration
	for _, p := range h.probes {
		if p.Start.Before(from) || p.End.After(to) {
			continue
		}
		if !p.OK {
			failed++
		}
		took = append(took, p.End.Sub(p.Start))
	}
	if n = len(took); n == 0 {
		return 0, failed, 0, 0
	}
	slices.Sort(took)
	return n, failed, took[n/2], took[n*99/100]
}

// Size is what an instance holds.
type Size struct {
	RSS        int64 // bytes
	Files      int   // open file descriptors
	Goroutines int
}

// Size looks at an instance from outside.
func (i *Instance) Size(ctx context.Context) (s Size, err error) {
	proc := fmt.Sprintf("/proc/%d", i.cmd.Process.Pid)
	raw, err := os.ReadFile(proc + "/statm")
	if err != nil {
		return s, err
	}
	var total, resident int64
	if _, err := fmt.Sscan(string(raw), &total, &resident); err != nil {
		return s, err
	}
	s.RSS = resident * int64(os.Getpagesize())
	files, err := os.ReadDir(proc + "/fd")
	if err != nil {
		return s, err
	}
	s.Files = len(files)
	res, err := blackbox.Get(ctx, "http://"+i.Ops+"/metrics")
	if err != nil {
		return s, err
	}
	for line := range strings.Lines(string(res.Body)) {
		if n, ok := strings.CutPrefix(line, "go_goroutines "); ok {
			s.Goroutines, err = strconv.Atoi(strings.TrimSpace(n))
		}
	}
	return s, err
}
