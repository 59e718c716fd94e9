package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// Stranger asks for nothing good, at a bounded rate, on loopback alone.
type Stranger struct {
	Issuer, Resource, Client, Details string
	PerSecond                         int

	server *blackbox.Server
}

// Hostile is what became of it.
type Hostile struct {
	Refused map[string]int // by kind and status; "none": cut off without an answer
	Served  []string       // what should have been refused

	mu sync.Mutex
}

// strangerAddress is where hostile requests come from; who is good comes from elsewhere.
var strangerAddress = net.IPv4(127, 0, 0, 66)

// hostileAtOnce bounds how many hostile requests are under way.
const hostileAtOnce = 256

// strangerVariable makes this program a Stranger.
const strangerVariable = "REMIT_CHAOS_STRANGER"

// Attack lets a stranger send until the context ends. It is a process of its own, which runs when nobody else wants
// the processor: a real attacker's requests are not made on the server's machine, much less by the threads of those
// who measure.
func (w *World) Attack(ctx context.Context, perSecond int) (*Hostile, error) {
	spec, err := json.Marshal(Stranger{Issuer: w.Issuer, Resource: w.Resource, Client: w.Public, Details: w.details(), PerSecond: perSecond})
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("nice", "-n", "19", os.Args[0])
	cmd.Env = append(os.Environ(), strangerVariable+"="+string(spec))
	end, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := begin(cmd); err != nil {
		return nil, err
	}
	<-ctx.Done()
	h := &Hostile{}
	if err := errors.Join(end.Close(), cmd.Wait(), json.Unmarshal(out.Bytes(), h)); err != nil {
		return nil, fmt.Errorf("chaos: the stranger: %w: %s", err, log.Bytes())
	}
	return h, nil
}

// BeStranger is the other side of Attack: where this program was started to be a stranger, it is one until its input
// ends, says what it saw, and true.
func BeStranger() (bool, error) {
	spec := os.Getenv(strangerVariable)
	if spec == "" {
		return false, nil
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	var s Stranger
	if err := json.Unmarshal([]byte(spec), &s); err != nil {
		return true, err
	}
	h, err := s.attack(ctx)
	if err != nil {
		return true, err
	}
	return true, json.NewEncoder(os.Stdout).Encode(h)
}

// kinds are what strangers try; none of it is to be served, but a flood of good pushes, which are counted and may be.
func (s *Stranger) kinds() map[string]func(context.Context) (blackbox.Response, error) {
	flow := func() *blackbox.Flow {
		return &blackbox.Flow{Server: s.server, ClientID: s.Client, Redirect: redirect, Resource: s.Resource, Key: blackbox.NewKey(), Details: s.Details}
	}
	flood, key, huge := flow(), blackbox.NewKey(), blackbox.Form{{Name: "client_id", Value: s.Client}, {Name: "x", Value: strings.Repeat("x", 1<<20)}}
	return map[string]func(context.Context) (blackbox.Response, error){
		"bad refresh token": func(ctx context.Context) (blackbox.Response, error) {
			return s.server.Send(ctx, key, s.server.Token, blackbox.Form{{Name: "grant_type", Value: "refresh_token"}, {Name: "client_id", Value: s.Client}, {Name: "refresh_token", Value: "rr_" + blackbox.Random(32)}})
		},
		"bad access token": func(ctx context.Context) (blackbox.Response, error) {
			return blackbox.Get(ctx, s.server.Issuer+"/tasks/tsk_aaaaaaaaaaaaaaaaaaaaaaaaaa", blackbox.Header{Name: "Authorization", Value: "DPoP " + blackbox.Random(64)})
		},
		"bad proof": func(ctx context.Context) (blackbox.Response, error) {
			return blackbox.Post(ctx, s.server.PAR, flow().PushForm(), blackbox.DPoP(s.server.Proof(key, s.server.Token)))
		},
		"huge body": func(ctx context.Context) (blackbox.Response, error) {
			return blackbox.Post(ctx, s.server.PAR, huge)
		},
		"unknown client": func(ctx context.Context) (blackbox.Response, error) {
			f := flow()
			f.ClientID = "cli_" + blackbox.Random(16)
			return s.server.Send(ctx, f.Key, s.server.PAR, f.PushForm())
		},
		"another client's code": func(ctx context.Context) (blackbox.Response, error) {
			f := flow()
			f.Code, f.Verifier = "rc_"+blackbox.Random(32), blackbox.Random(32)
			return s.server.Send(ctx, f.Key, s.server.Token, f.RedeemForm())
		},
		"PAR flood": func(ctx context.Context) (blackbox.Response, error) {
			return s.server.Send(ctx, flood.Key, s.server.PAR, flood.PushForm())
		},
		"slow sender": s.slowly,
	}
}

// slowly sends a request a few bytes at a time, for as long as it is listened to.
func (s *Stranger) slowly(ctx context.Context) (blackbox.Response, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: strangerAddress}}
	conn, err := d.DialContext(ctx, "tcp", strings.TrimPrefix(s.Issuer, "http://"))
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

// attack sends hostile requests of every kind in turn, until the context ends.
func (s *Stranger) attack(ctx context.Context) (_ *Hostile, err error) {
	ctx = blackbox.From(ctx, strangerAddress)
	if s.server, err = blackbox.Discover(ctx, s.Issuer); err != nil {
		return nil, err
	}
	h, kinds, work := &Hostile{Refused: map[string]int{}}, s.kinds(), make(chan attempt)
	var all sync.WaitGroup
	defer all.Wait()
	defer close(work)
	for range hostileAtOnce {
		all.Go(func() {
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
	tick := time.NewTicker(time.Second / time.Duration(s.PerSecond))
	defer tick.Stop()
	for {
		for kind, send := range kinds {
			select {
			case <-ctx.Done():
				return h, nil
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
