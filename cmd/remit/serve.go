package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/remit-auth/remit/server"
)

// How long a connection may take. Feeds set their own deadlines, frame by frame.
const (
	headerTimeout  = 5 * time.Second
	readTimeout    = 8 * time.Second
	writeTimeout   = 10 * time.Second
	adminTimeout   = time.Minute // on the admin socket, where dumps are read
	idleTimeout    = 60 * time.Second
	maxHeaderBytes = 32 << 10
	maxStreams     = 100             // of one HTTP/2 connection
	drainTimeout   = 5 * time.Second // what requests under way may take when the server ends
)

type serveCmd struct {
	LogLevel slog.Level `help:"debug, info, warn or error." default:"info"`
	LogJSON  bool       `name:"log-json" help:"Log in JSON."`
}

// Run serves until the context ends.
func (c *serveCmd) Run(ctx context.Context, a *app) error {
	cfg, err := a.checkedConfig()
	if err != nil {
		return err
	}
	s, err := start(ctx, cfg, c.logger(a), nil)
	if err != nil {
		return err
	}
	if a.json {
		err = writeJSON(a.out, map[string]string{"issuer": cfg.Issuer, "listen": s.address()})
	} else {
		_, err = fmt.Fprintf(a.out, "remit serves %s on %s\n", cfg.Issuer, s.address())
		err = errors.Join(err, s.sayHowToSetUp(ctx, a))
	}
	return errors.Join(err, s.wait(ctx))
}

// sayHowToSetUp tells the operator of a server without users where to make the first admin.
func (s *service) sayHowToSetUp(ctx context.Context, a *app) error {
	at, err := s.server.SetUpURL(ctx)
	if errors.Is(err, context.Canceled) {
		return nil // it is told to end already, which is no failure
	}
	if err != nil || at == "" {
		return err
	}
	_, err = fmt.Fprintf(a.out, "no user yet: make the first admin at %s (open until any user is added)\n", at)
	return err
}

func (c *serveCmd) logger(a *app) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogJSON {
		return slog.New(slog.NewJSONHandler(a.err, options))
	}
	return slog.New(slog.NewTextHandler(a.err, options))
}

// instance is a server with its memories, not yet listening.
type instance struct {
	*backends
	server *server.Server
}

// open makes the server of these settings. The store's lock is held from here on.
func open(ctx context.Context, cfg Config, log *slog.Logger) (_ *instance, err error) {
	if err := cfg.prepareDataDir(); err != nil {
		return nil, err
	}
	b, err := openBackends(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	master, err := openMaster(ctx, cfg)
	if err != nil {
		return nil, err
	}
	mark := &highWater{path: cfg.highWater(), log: log}
	if err := mark.read(); err != nil {
		return nil, err
	}
	settings := server.Config{
		Issuer: cfg.Issuer, InsecureHTTP: cfg.Dev, Store: b.store, Ephemeral: b.ephemeral,
		Master: master, Sealed: mark.keep, TrustedProxies: cfg.TrustedProxies, NoRules: cfg.Rules == "off", TwoPersons: cfg.KillTwo == "on", Operator: cfg.Operator, Now: serverClock(), Log: log,
	}
	if err := errors.Join(cfg.clients(&settings), cfg.keys(&settings), cfg.upstream(&settings), cfg.mail(&settings), cfg.trust(&settings), cfg.limits(&settings), cfg.brand(&settings)); err != nil {
		return nil, err
	}
	s, err := server.New(ctx, settings)
	if err != nil {
		return nil, err
	}
	if !cfg.restoring {
		if err := mark.check(ctx, s); err != nil {
			return nil, err
		}
	}
	return &instance{backends: b, server: s}, nil
}

// service is a server at work: listeners, housekeeping, and how they end.
type service struct {
	*instance
	log       *slog.Logger
	public    net.Listener
	listeners []*drainer // those that clients reach
	ops       *drainer   // readiness and metrics, which end last; nil: none
	leaving   *leaving
	serving   sync.WaitGroup
	failed    chan error // the first listener or job that gave up
	stopJobs  context.CancelFunc
	jobsDone  chan error
	socket    string
}

// start opens the store and every listener, and begins to serve. listen, when not nil, is the public
// listener in place of cfg.Listen.
func start(ctx context.Context, cfg Config, log *slog.Logger, listen net.Listener) (_ *service, err error) {
	s := &service{log: log, public: listen, leaving: newLeaving(), failed: make(chan error, 4), jobsDone: make(chan error, 1), socket: cfg.socket()}
	if s.public == nil {
		if s.public, err = net.Listen("tcp", cfg.Listen); err != nil {
			return nil, fmt.Errorf("REMIT_LISTEN: %w", err)
		}
	}
	if s.instance, err = open(ctx, cfg, log); err != nil {
		return nil, errors.Join(err, s.public.Close())
	}
	if err := s.listen(cfg); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// listen serves on all listeners of cfg and starts the housekeeping.
func (s *service) listen(cfg Config) error {
	jobs, stop := context.WithCancel(context.Background())
	s.stopJobs = stop
	go func() { s.jobsDone <- s.server.Run(jobs) }()

	socket, err := listenSocket(s.socket)
	if err != nil {
		s.public.Close()
		return err
	}
	meter := newMeter(s.instance)
	s.listeners = append(s.listeners, s.serve("admin", socket, s.server.Admin(), adminTimeout))
	if cfg.OpsListen != "" {
		ops, err := net.Listen("tcp", cfg.OpsListen)
		if err != nil {
			s.public.Close()
			return fmt.Errorf("REMIT_OPS_LISTEN: %w", err)
		}
		s.ops = s.serve("ops", ops, opsHandler(s.instance, meter, s.leaving), writeTimeout)
	}
	trusted, err := cfg.proxies()
	if err != nil {
		s.public.Close()
		return err
	}
	secured, err := cfg.secured(s.log)
	if err == nil {
		err = s.listenAdmin(cfg, secured)
	}
	if err != nil {
		s.public.Close()
		return err
	}
	public := secured(capped(s.public, trusted))
	s.listeners = append(s.listeners, s.serve("public", public, meter.count(s.server.Handler()), writeTimeout))
	return nil
}

// listenAdmin serves the administration to who has the token.
func (s *service) listenAdmin(cfg Config, secured func(net.Listener) net.Listener) error {
	if cfg.AdminListen == "" {
		return nil
	}
	l, err := net.Listen("tcp", cfg.AdminListen)
	if err != nil {
		return fmt.Errorf("REMIT_ADMIN_LISTEN: %w", err)
	}
	s.listeners = append(s.listeners, s.serve("remote admin", secured(capped(l, nil)), s.server.RemoteAdmin(cfg.AdminToken), adminTimeout))
	return nil
}

// secured puts TLS before a listener, where there is a certificate.
func (c Config) secured(log *slog.Logger) (func(net.Listener) net.Listener, error) {
	if c.TLSCert == "" {
		return func(l net.Listener) net.Listener { return l }, nil
	}
	certificate, err := newKeyPair(c.TLSCert, c.TLSKey, log)
	if err != nil {
		return nil, fmt.Errorf("REMIT_TLS_CERT, REMIT_TLS_KEY: %w", err)
	}
	return certificate.over, nil
}

// serve answers on one listener in the background.
func (s *service) serve(name string, l net.Listener, h http.Handler, write time.Duration) *drainer {
	hs := &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: write,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes, HTTP2: &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	d := newDrainer(hs, l)
	s.serving.Go(func() {
		if err := d.serve(); err != nil {
			s.failed <- fmt.Errorf("%s listener: %w", name, err)
		}
	})
	return d
}

// listenSocket opens the admin socket, for its owner alone. The store's lock says that a socket
// found in its place is a dead server's.
func listenSocket(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("admin socket: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("admin socket (a path of at most 100 characters; see REMIT_DATA_DIR): %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("admin socket: %w", err)
	}
	return l, nil
}

// address is where the public listener really listens.
func (s *service) address() string { return s.public.Addr().String() }

// wait serves until ctx ends or a listener fails, and stops.
func (s *service) wait(ctx context.Context) error {
	var failed error
	select {
	case <-ctx.Done():
	case failed = <-s.failed:
	}
	return errors.Join(failed, s.stop())
}

// stop takes readiness away, ends feeds, lets requests under way finish, seals the ledger and closes
// the store.
func (s *service) stop() error {
	if s.ops != nil {
		s.leaving.announce(time.Now())
	}
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	var drained sync.WaitGroup
	for _, d := range s.listeners {
		drained.Go(func() {
			if err := d.drain(ctx); err != nil {
				s.log.Warn("requests were cut off", "err", err)
			}
		})
	}
	s.server.Close()
	drained.Wait()
	if s.ops != nil {
		if err := s.ops.http.Close(); err != nil {
			s.log.Warn("ops listener", "err", err)
		}
	}
	s.serving.Wait()
	var jobs error
	if s.stopJobs != nil {
		s.stopJobs()
		jobs = <-s.jobsDone
	}
	return errors.Join(jobs, s.close())
}
