package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
	"github.com/remit-auth/remit/cmd/remit/demo"
	"github.com/remit-auth/remit/store/redis/redistest"
	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/agent"
	"github.com/remit-auth/remit/tokens/resource"
	"github.com/remit-auth/remit/tokens/resource/mcpauth"
)

// redirect is where the clients' users come back to: on the web, so that nothing is sent there.
const redirect = "https://agent.example/callback"

// World is everything: two instances behind a balancer, each with its own path to PostgreSQL and Redis.
type World struct {
	Dir       string
	rates     int // what the instances multiply their limits by
	Postgres  *Postgres
	Redis     *redistest.Server
	Instances []*Instance
	ToStore   []*Proxy // by instance
	ToRedis   []*Proxy
	ToPublic  []*Proxy // from the balancer
	Balancer  *Balancer
	History   History

	Issuer, Resource     string
	Public, Confidential string // clients
	ClientKey            blackbox.Key
	Guard                *resource.Guard

	closers []func()
	workers []*worker
	agents  []*agent.Session
}

// Build starts the world from a binary, in a directory whose name is short; seed decides what the
// workers do; rates multiplies the limits.
func Build(ctx context.Context, binary, dir string, seed uint64, workers, rates int) (_ *World, err error) {
	w := &World{Dir: dir, rates: rates, ClientKey: blackbox.NewKey()}
	defer func() {
		if err != nil {
			w.Close()
		}
	}()
	if err := w.startStores(); err != nil {
		return nil, err
	}
	if err := w.startInstances(binary); err != nil {
		return nil, err
	}
	if err := w.register(ctx); err != nil {
		return nil, err
	}
	if err := w.protect(ctx); err != nil {
		return nil, err
	}
	for i := range workers {
		if err := w.hire(ctx, i, rand.New(rand.NewPCG(seed, uint64(i)))); err != nil {
			return nil, err
		}
	}
	return w, nil
}

func (w *World) later(f func()) { w.closers = append(w.closers, f) }

// Close ends every process and listener, last started first.
func (w *World) Close() {
	for i := range w.closers {
		w.closers[len(w.closers)-1-i]()
	}
	w.closers = nil
}

func (w *World) startStores() (err error) {
	pg := filepath.Join(w.Dir, "pg")
	if err := os.Mkdir(pg, 0o755); err != nil {
		return err
	}
	w.onDisk(pg)
	if w.Postgres, err = NewPostgres(pg); err != nil {
		return err
	}
	w.later(func() { _ = w.Postgres.Kill() })
	if w.Redis, err = redistest.Start(w.Dir); err != nil {
		return err
	}
	w.later(func() { _ = w.Redis.Kill() })
	return nil
}

// free returns an address of loopback that nobody listens on now.
func free() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func (w *World) proxy(target string) (*Proxy, error) {
	p, err := NewProxy(target)
	if err == nil {
		w.later(func() { _ = p.Close() })
	}
	return p, err
}

func (w *World) startInstances(binary string) error {
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	w.later(func() { front.Close() })
	w.Issuer = "http://" + front.Addr().String()
	master := filepath.Join(w.Dir, "master.key")
	if err := os.WriteFile(master, []byte(blackbox.Random(32)+"\n"), 0o600); err != nil {
		return err
	}
	var pairs [][2]string
	for i := range 2 {
		toStore, err1 := w.proxy(w.Postgres.Addr)
		toRedis, err2 := w.proxy(w.Redis.Addr)
		public, err3 := free()
		ops, err4 := free()
		toPublic, err5 := w.proxy(public)
		if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
			return err
		}
		in := &Instance{
			Name: fmt.Sprint(i + 1), Binary: binary, Dir: filepath.Join(w.Dir, fmt.Sprint("i", i+1)), Public: public, Ops: ops,
			Env: []string{
				"REMIT_DEV=1", "REMIT_RULES=off", "REMIT_RATE_FACTOR=" + fmt.Sprint(w.rates), "REMIT_TRUSTED_PROXIES=127.0.0.1",
				"REMIT_ISSUER=" + w.Issuer, "REMIT_MASTER_KEY_FILE=" + master,
				"REMIT_DATABASE_URL=" + w.Postgres.URL(toStore.Addr), "REMIT_REDIS_URL=redis://" + toRedis.Addr,
			},
		}
		if err := in.Run(); err != nil {
			return err
		}
		w.later(func() { in.Kill() })
		w.Instances, w.ToStore, w.ToRedis, w.ToPublic = append(w.Instances, in), append(w.ToStore, toStore), append(w.ToRedis, toRedis), append(w.ToPublic, toPublic)
		pairs = append(pairs, [2]string{toPublic.Addr, ops})
	}
	w.Balancer = NewBalancer(front, pairs...)
	w.later(w.Balancer.Close)
	return w.await(10*time.Second, "two instances that are ready", func() bool { return w.Balancer.Ready() == 2 })
}

// await polls until it is so.
func (w *World) await(limit time.Duration, what string, so func() bool) error {
	for end := time.Now().Add(limit); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("chaos: waited in vain for %s", what)
		}
	}
	return nil
}

// register adds the clients.
func (w *World) register(ctx context.Context) error {
	public := map[string]any{
		"client_name": "Agents", "token_endpoint_auth_method": "none", "redirect_uris": []string{redirect},
		"grant_types": []string{"authorization_code", "refresh_token"},
	}
	jwk := w.ClientKey.JWK().With("kid", w.ClientKey.JKT()).With("alg", "ES256").With("use", "sig")
	confidential := map[string]any{
		"client_name": "Service", "token_endpoint_auth_method": "private_key_jwt", "redirect_uris": []string{redirect},
		"grant_types": []string{"authorization_code", "refresh_token"}, "jwks": map[string]any{"keys": []any{jwk}},
	}
	for _, c := range []struct {
		id       *string
		metadata map[string]any
	}{{&w.Public, public}, {&w.Confidential, confidential}} {
		raw, err := json.Marshal(c.metadata)
		if err != nil {
			return err
		}
		var added struct {
			ID string `json:"client_id"`
		}
		if err := w.remit(ctx, &added, string(raw), "client", "add", "-"); err != nil {
			return err
		}
		*c.id = added.ID
	}
	return nil
}

// remit runs a command at the first instance.
func (w *World) remit(ctx context.Context, v any, stdin string, args ...string) error {
	out, err := w.Instances[0].Remit(ctx, stdin, args...)
	if err != nil || v == nil {
		return err
	}
	return json.Unmarshal(out, v)
}

// protect serves tools behind a Guard that reaches the instances by the balancer.
func (w *World) protect(ctx context.Context) error {
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	w.Resource = "http://" + listen.Addr().String() + "/mcp"
	server, policy := demo.NewTickets()
	tools, err := mcpauth.Tools(server)(ctx)
	if err != nil {
		return err
	}
	file, err := json.Marshal(map[string]any{"uri": w.Resource, "name": "Tickets", "policy": string(policy), "tools": tools, "default_on": []string{"add_comment"}})
	if err != nil {
		return err
	}
	var added struct {
		Code string `json:"enrolment_code"`
	}
	if err := w.remit(ctx, &added, string(file), "resource", "add", "-"); err != nil {
		return err
	}
	w.Guard, err = resource.New(ctx, resource.Config{
		Issuer: w.Issuer, Resource: w.Resource, StateDir: filepath.Join(w.Dir, "guard"), EnrolmentCode: added.Code, Policy: policy,
		Tools: mcpauth.Tools(server), Name: "Tickets", InsecureHTTP: true,
	})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/mcp", mcpauth.Protect(w.Guard, server, nil))
	mux.Handle("/.well-known/", w.Guard.Metadata())
	web := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = web.Serve(listen) }()
	w.later(func() { web.Close(); w.Guard.Close() })
	return w.Guard.Ready(ctx)
}

// hire adds a person with a worker, and an agent that does nothing but ask.
func (w *World) hire(ctx context.Context, i int, rng *rand.Rand) error {
	email, password := fmt.Sprintf("user%d@acme.example", i), blackbox.Random(12)
	if err := w.remit(ctx, nil, password+"\n", "user", "add", "--email", email, "--name", "User", "--password-stdin"); err != nil {
		return err
	}
	if err := w.remit(ctx, nil, "", "user", "assign", "--email", email, "--resource", w.Resource, "--role", "admin"); err != nil {
		return err
	}
	server, err := blackbox.Discover(ctx, w.Issuer)
	if err != nil {
		return err
	}
	k := &worker{
		world: w, home: net.IPv4(127, 0, 1, byte(i+1)), person: &blackbox.Browser{Email: email, Password: password}, server: server,
		tools: &blackbox.Tools{URL: w.Resource}, rng: rng,
	}
	w.workers = append(w.workers, k)
	session, err := w.lend(ctx, k)
	w.agents = append(w.agents, session)
	return err
}

// lend runs the flow of tokens/agent once and returns its session.
func (w *World) lend(ctx context.Context, k *worker) (*agent.Session, error) {
	key, err := tokens.NewProofKey()
	if err != nil {
		return nil, err
	}
	found, err := agent.Discover(ctx, nil, w.Resource)
	if err != nil {
		return nil, err
	}
	client, err := agent.NewClient(agent.Config{
		ClientID: w.Public, RedirectURI: redirect, Server: found.Server, Resource: found.Resource, Key: key,
		HTTP: &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{
			DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: k.home}}).DialContext,
		}},
	})
	if err != nil {
		return nil, err
	}
	details, err := tokens.ParseDetails([]byte(w.details()))
	if err != nil {
		return nil, err
	}
	request, err := client.Push(ctx, agent.Ask{Details: details})
	if err != nil {
		return nil, err
	}
	at, err := k.person.Consent(ctx, client.AuthorizeURL(request), blackbox.Choice{Duration: 1800})
	if err != nil {
		return nil, err
	}
	if at.Query("code") == "" {
		return nil, fmt.Errorf("chaos: no code at %s: %s", at.URL, at.Response)
	}
	token, err := client.Redeem(ctx, request, at.Query("code"))
	if err != nil {
		return nil, err
	}
	return client.Session(token), nil
}

// Work lets workers and agents go on until the context ends; wait returns when they have stopped.
func (w *World) Work(ctx context.Context) (wait func()) {
	var all sync.WaitGroup
	for _, k := range w.workers {
		all.Go(func() { k.run(ctx) })
	}
	for _, s := range w.agents {
		all.Go(func() { w.probe(ctx, s) })
	}
	return all.Wait
}

// probeEvery is how often an agent asks.
const probeEvery = 100 * time.Millisecond

// probe asks about the agent's task, ten times a second: a proof, a read of the database, a write to
// the replay memory.
func (w *World) probe(ctx context.Context, s *agent.Session) {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		p := Probe{Start: time.Now()}
		within, cancel := context.WithTimeout(ctx, 2*time.Second)
		_, err := s.Task(within)
		cancel()
		if ctx.Err() != nil {
			return
		}
		if p.End, p.OK = time.Now(), err == nil; err != nil {
			p.Why = why(err)
		}
		w.History.Probed(p)
	}
}

// why is an error without what differs each time.
func why(err error) string {
	if e, ok := errors.AsType[*agent.Error](err); ok {
		return fmt.Sprintf("%d %s", e.Status, e.Code)
	}
	text := err.Error()
	for _, word := range []string{"deadline exceeded", "connection refused", "connection reset", "EOF", "Timeout"} {
		if strings.Contains(text, word) {
			return word
		}
	}
	return text
}
