// Package server is the HTTP edge of the authorization server: it parses, authenticates the
// caller, calls inward, and writes what the RFC prescribes. routes.go is the map of it; respond.go
// holds the only writers. What is asked, shown and decided is package consent's; the grants run in
// server/provider.
package server

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/remit-auth/remit/consent"
	"github.com/remit-auth/remit/server/fetch"
	"github.com/remit-auth/remit/server/notify"
	"github.com/remit-auth/remit/server/passkey"
	"github.com/remit-auth/remit/server/provider"
	"github.com/remit-auth/remit/server/upstream"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/web"
)

// Config is all that a Server depends on; New checks it once.
type Config struct {
	// Issuer is the RFC 8414 URL of this server: https, or http on loopback with InsecureHTTP.
	// Every URL that leaves the server is built from it, never from a request's Host.
	Issuer string
	// InsecureHTTP allows an http issuer on a loopback host: for development and demos alone.
	InsecureHTTP bool
	// Store and Ephemeral are the server's memory.
	Store     store.Store
	Ephemeral store.Ephemeral
	// Master wraps the data keys that seal every key at rest. MasterKey, 32 bytes, is enough where
	// there is one master key in memory.
	Master    Master
	MasterKey []byte
	// KeyAlgorithm is what signing keys made from now on are for: ES256 or EdDSA; empty: ES256.
	KeyAlgorithm string
	// KeyAge is how old a signing key gets before the next one signs; 0: never by itself.
	KeyAge time.Duration
	// Sealed, when set, is told each checkpoint that this instance has made or taken over, with the
	// microsecond in which its epoch began: what outlives the database proves whether the database is an older one.
	Sealed func(c store.Checkpoint, epoch int64)
	// Operator names who runs this server, as its pages show it. Empty: the issuer's host.
	Operator string
	// Brand is the operator's logo and accent colour; zero: the pages' own.
	Brand web.Brand
	// AccessLife is how long an access token lives at most; 0: 300 s, which is also the most allowed.
	AccessLife time.Duration
	// PasswordSlots is how many passwords are hashed at once, at 19 MiB each; 0: 4.
	PasswordSlots int
	// TrustedProxies are the networks whose X-Forwarded-For is believed, for rate limits alone.
	TrustedProxies []string
	// CIMD lets a client_id be the URL of the client's own metadata.
	CIMD CIMD
	// Registration lets clients register themselves.
	Registration Registration
	// BearerForAll lets clients that no admin added have tokens without a key too, where a resource's
	// policy allows such tokens: right where users' MCP clients know no DPoP and come by themselves.
	BearerForAll bool
	// Fetch says where metadata and keys of clients may be fetched from. Loopback is open to it when,
	// and only when, the issuer itself is http on loopback.
	Fetch fetch.Config
	// RateFactor multiplies every rate limit; 0: 1. More is right where all clients come from behind
	// one address that is no trusted proxy.
	RateFactor float64
	// Trust are the issuers whose assertions are believed (RFC 7523); ParseTrust reads and checks them.
	Trust []TrustedIssuer
	// TwoPersons asks for a second admin before the kill switch for everything is in force.
	TwoPersons bool
	// Remember is for how long users may let a choice of read-only tools go on without reading it anew;
	// 0: not at all. At most 30 days.
	Remember time.Duration
	// NoRules turns off the rules that suspend a task by themselves.
	NoRules bool
	// Upstream are the OpenID providers that users may sign in with, and UpstreamRoots the certificate
	// authorities trusted for them; nil: the system's.
	Upstream      []upstream.Config
	UpstreamRoots *x509.CertPool
	// Mail sends what users are told by e-mail; nil: nothing is sent.
	Mail notify.Sender
	// Now tells the time; nil: time.Now.
	Now func() time.Time
	// Log receives what clients are not told; nil: slog.Default.
	Log *slog.Logger
}

// Server answers for one issuer. It is safe for concurrent use.
type Server struct {
	opaqueKinds opaqueKinds
	issuer      string
	base        string // path part of the issuer, "" or "/t1"
	insecure    bool
	operator    string
	brand       web.Brand
	store       store.Store
	ephemeral   store.Ephemeral
	ring        *keyRing
	nonces      *tokens.Nonces
	provider    *provider.Provider
	passwords   *passwordHasher
	formKey     []byte        // HMAC key of form tokens
	forms       tokens.Sealer // of what travels in pages, and of second factors
	passkeys    passkey.Party
	notices     *notify.Queue // nil: users are told nothing by e-mail
	pushes      *notify.Queue
	pushKey     tokens.PushKey
	pushWay     *fetch.Client
	upstreams   map[string]*upstream.Provider
	providers   []string // their names, as configured
	proxies     proxies
	refusals    refusals
	fatigue     fatigue
	rules       rules
	overviews   overviews
	unrecorded  atomic.Int64 // records that Guards keep because they were refused here
	hubs        feedHubs     // open feeds of Guards
	live        live         // open pages of users
	seal        seal         // newest ledger checkpoint
	sealed      func(store.Checkpoint, int64)
	behind      behind // proof that the database is an older one
	cimd        CIMD
	strangers   *strangers
	trust       []TrustedIssuer
	foreign     memo[tokens.ForeignKeys]

	registration Registration
	bearerForAll bool
	twoPersons   bool
	remember     time.Duration // how long choices go on

	classes    *classes // who is let in: admit.go, limits.go
	empty      empties
	rateFactor float64

	now func() time.Time
	log *slog.Logger

	feeds     sync.WaitGroup
	closing   chan struct{}
	closeOnce sync.Once
}

// New returns a server that is ready to serve: it has read or made its keys.
func New(ctx context.Context, c Config) (*Server, error) {
	s := &Server{
		issuer: c.Issuer, insecure: c.InsecureHTTP, operator: c.Operator, brand: c.Brand,
		store: c.Store, ephemeral: c.Ephemeral,
		now: c.Now, log: c.Log, closing: make(chan struct{}),
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	issuer, err := checkIssuer(c.Issuer, c.InsecureHTTP)
	if err != nil {
		return nil, err
	}
	s.base = issuer.Path
	if s.operator == "" {
		s.operator = issuer.Host
	}
	if c.AccessLife < 0 || c.AccessLife > maxAccessLife {
		return nil, fmt.Errorf("server: AccessLife is at most %s", maxAccessLife)
	}
	if c.Remember < 0 || c.Remember > consent.MostRemembered {
		return nil, errors.New("server: Remember is at most 30 days")
	}
	s.remember = c.Remember
	if err := errors.Join(c.CIMD.check(), c.Registration.check()); err != nil {
		return nil, err
	}
	s.cimd, s.registration, s.bearerForAll = c.CIMD, c.Registration, c.BearerForAll
	c.Fetch.InsecureLoopback = issuer.Scheme == "http" // checkIssuer: on loopback, in dev mode
	s.strangers, s.classes, s.rateFactor = newStrangers(c.Fetch), newClasses(), c.RateFactor
	if s.trust, err = checkTrust(c.Trust); err != nil {
		return nil, err
	}
	if s.rateFactor <= 0 {
		s.rateFactor = 1
	}
	if s.proxies, err = parseProxies(c.TrustedProxies); err != nil {
		return nil, err
	}
	s.sealed = c.Sealed
	if s.ring, err = openKeyRing(ctx, c.Store, c, s.now); err != nil {
		return nil, err
	}
	nonceKey, err1 := s.derive("dpop-nonce")
	formKey, err2 := s.derive("form-token")
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	s.nonces = tokens.NewNonces(nonceKey, nonceLife)
	s.formKey = formKey
	sealKey, err := s.derive("sealed-forms")
	if err != nil {
		return nil, err
	}
	if s.forms, err = tokens.NewSealer(sealKey); err != nil {
		return nil, err
	}
	pushSecret, err := s.derive("web-push")
	if err != nil {
		return nil, err
	}
	if s.pushKey, err = tokens.NewPushKey(pushSecret); err != nil {
		return nil, err
	}
	s.pushWay = fetch.New(c.Fetch)
	if s.passkeys, err = passkey.New(s.issuer, s.operator); err != nil {
		return nil, err
	}
	if err := s.openUpstreams(c.Upstream, c.UpstreamRoots); err != nil {
		return nil, err
	}
	if c.Mail != nil {
		s.notices = notify.Start(c.Mail, s.log)
	}
	s.pushes = notify.Open(pushWorkers, s.log)
	s.rules.off, s.twoPersons = c.NoRules, c.TwoPersons
	s.passwords = newPasswordHasher(c.PasswordSlots)
	s.provider = provider.New(provider.Config{
		Issuer: s.issuer, Store: s.store, Now: s.now, AccessLife: c.AccessLife,
		Signer: s.ring.SignerOf, BearerAllowed: s.bearerAllowed, Opaque: s.opaqueAt,
		Findings: s.worthRecording, MayRefresh: s.mayRefresh, Switched: s.toolsOff,
	})
	return s, nil
}

// maxAccessLife bounds every access token (DESIGN §4); nonceLife is one window of a DPoP nonce.
const (
	maxAccessLife = 300 * time.Second
	nonceLife     = 60 * time.Second
)

// derive returns a key for one purpose from the server's own secret.
func (s *Server) derive(purpose string) ([]byte, error) {
	return hkdf.Key(sha256.New, s.ring.secret, nil, "remit/"+purpose, 32)
}

// checkIssuer refuses what RFC 8414 §2 refuses, and http beyond loopback development.
func checkIssuer(raw string, insecure bool) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("server: issuer: %w", err)
	}
	switch {
	case u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(raw, "#"):
		return nil, errors.New("server: the issuer is a URL of scheme, host and path alone (RFC 8414 §2)")
	case strings.HasSuffix(raw, "/"):
		return nil, errors.New("server: the issuer has no trailing slash: clients compare it byte by byte")
	case u.Scheme == "https":
	case u.Scheme == "http" && insecure && isLoopbackHost(u.Hostname()):
	default:
		return nil, errors.New("server: the issuer is https (http on loopback in dev mode alone)")
	}
	return u, nil
}

// url returns the server's own URL of a path.
func (s *Server) url(path string) string { return s.issuer + path }

// Close ends what outlives a request: feeds. Run ends with its own context.
func (s *Server) Close() {
	s.closeOnce.Do(func() { close(s.closing) })
	s.feeds.Wait()
	s.notices.Close()
	s.pushes.Close()
}

// Handler returns the public side of the server.
func (s *Server) Handler() http.Handler { return s.routes() }
