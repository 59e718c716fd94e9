package resource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/remit-auth/remit/tokens"
)

// Config is what a Guard is told. Issuer, Resource, StateDir, Tools and one of Policy and PolicyFile
// are required, EnrolmentCode the first time; the zero value of the rest is the safest.
type Config struct {
	// Issuer is the authorization server, byte for byte as its metadata says (RFC 8414 §2).
	Issuer string
	// Resource is this MCP server's public URI (RFC 8707): what tokens name as audience and proofs as htu.
	Resource string
	// StateDir keeps the Guard's key, its enrolment, unsent records and the ledger's checkpoints. No
	// two processes may share one: a replica has its own, with copies of key.json and guard.json.
	StateDir string
	// EnrolmentCode is what `remit resource add` printed. It is needed once.
	EnrolmentCode string
	// Policy is the policy file; PolicyFile, where to read it from instead. A file is looked at every
	// two seconds and put in force when it has changed and was left alone between two looks; one that is
	// not valid changes nothing.
	Policy     []byte
	PolicyFile string
	// TrustedProxies are the networks of the proxies before this server, in CIDR form: where a request
	// comes from one, X-Forwarded-For says who the client is. Name only what adds to that header.
	// Nil: the peer is the client. Conditions of the policy ask for it, and nothing else does.
	TrustedProxies []string
	// Tools returns the live definitions: the entries that tools/list would answer to somebody who
	// may see them all. While calls arrive it is asked once a second.
	Tools func(context.Context) ([]json.RawMessage, error)

	// Name is shown in the metadata (RFC 9728 resource_name).
	Name string
	// Baseline is the scopes that a challenge without a better idea names; nil: the policy's.
	Baseline []string
	// Origins are the web origins, besides the resource's own, that may call from a browser.
	Origins []string
	// StaleAfter is how long the Guard trusts its view of what has ended without hearing from the
	// authorization server; 0: 10 s, at most 60 s.
	StaleAfter time.Duration
	// Streams lets agents open streams with GET and end sessions with DELETE, for a server that keeps
	// a session of each agent's and knows whose it is. A stream ends with its task.
	Streams bool
	// MaxBody is the largest request body in bytes; 0: 1 MiB.
	MaxBody int64
	// MaxSpool is how many bytes of unsent records may wait on disk before calls are refused; 0: 64 MiB.
	MaxSpool int64
	// LogArguments names, by tool, the top-level arguments whose values are recorded with each allowed
	// call. Of all others, of values of more than 256 bytes and of what looks like a secret there is
	// only the digest of all arguments.
	LogArguments map[string][]string
	// Introspection says how the Guard knows what has ended: by default it listens to the feed.
	Introspection Introspection
	// IntrospectTools are the tools before each call of which the authorization server is asked about
	// the token besides (RFC 7662): what it answers is never remembered. For tools that can do much harm.
	IntrospectTools []string
	// Replay remembers used proofs for all replicas of this Guard, see redisreplay; nil: in this
	// process, which is right for one process, and for replicas to which each client keeps.
	Replay Replay
	// HTTPClient reaches the authorization server; nil: one with sane time limits. It is never made
	// to follow redirects.
	HTTPClient *http.Client
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Log receives what an operator should know; nil: discarded.
	Log *slog.Logger
	// InsecureHTTP allows http on loopback addresses, for tests and demonstrations.
	InsecureHTTP bool
}

// Guard is the resource-side enforcement point of one MCP server.
type Guard struct {
	issuer, resource, dir, name string
	htu                         string // the resource's URI, normalised (RFC 9449 §4.3)
	metadataURL, metadataPath   string
	origins                     map[string]bool
	baselines                   []string
	maxBody                     int64
	streams                     bool
	http                        *http.Client
	now                         func() time.Time
	log                         *slog.Logger

	authority       *authority
	exchanged       exchanges
	keys            *keys
	ends            *view
	tools           *liveTools
	rules           atomic.Pointer[ruleset]
	policyChanged   chan struct{}
	file            policyFile
	proxies         proxies
	verified        recent
	grants          *grants
	logArguments    map[string][]string
	introspects     bool
	introspectTools map[string]bool
	replay          proofs
	counts          counts
	refusals        limiter
	spool           *spool
	quarantine      *quarantine
	unrecorded      atomic.Int64 // records set aside
	seen            sighting     // the newest checkpoint kept; the feed's goroutine alone
	ack             chan struct{}
	acked           atomic.Int64
	refusedBy       sync.Map // Code -> *atomic.Int64

	stop    context.CancelFunc
	running sync.WaitGroup
	unlock  func() error
	closing sync.Once
	closed  error // of closing
}

// New returns a running Guard. The first time it enrols at the authorization server; from then on
// starting needs nobody, but until the feed has been heard every call is answered with 503.
func New(ctx context.Context, c Config) (*Guard, error) {
	g, err := configure(c)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(g.dir, 0o700); err != nil {
		return nil, err
	}
	if g.unlock, err = lockDir(g.dir); err != nil {
		return nil, err
	}
	if err := g.open(ctx, c); err != nil {
		return nil, errors.Join(err, g.unlock())
	}
	g.start()
	return g, nil
}

// open takes up what the state directory holds.
func (g *Guard) open(ctx context.Context, c Config) (err error) {
	if g.authority, err = g.enrolled(ctx, c.EnrolmentCode); err != nil {
		return err
	}
	g.keys = &keys{authority: g.authority, now: g.now}
	g.authority.stale = g.ends.staleAfter
	if g.authority.replica, err = g.replicaName(); err != nil {
		return err
	}
	if err := g.loadWitness(); err != nil {
		return err
	}
	if g.quarantine, err = openQuarantine(filepath.Join(g.dir, quarantineDir)); err != nil {
		return err
	}
	now := func() int64 { return g.now().UnixMicro() }
	g.spool, err = openSpool(filepath.Join(g.dir, spoolDir), orElse(c.MaxSpool, 64<<20), now, g.log)
	return err
}

// start runs what a Guard does besides answering.
func (g *Guard) start() {
	ctx, stop := context.WithCancel(context.Background())
	g.stop = stop
	all := []func(context.Context){g.shipRecords, g.publish, g.watchPolicy}
	if !g.introspects {
		all = append(all, g.listen, g.sendAcks)
	}
	for _, run := range all {
		g.running.Go(func() { run(ctx) })
	}
}

// Close stops the Guard and brings its records to disk; unsent ones are sent after the next start.
func (g *Guard) Close() error {
	g.closing.Do(func() {
		g.stop()
		g.running.Wait()
		g.closed = errors.Join(g.spool.close(), g.unlock())
	})
	return g.closed
}

// Ready returns when the Guard has a fresh view of what has ended, so that calls can be allowed.
func (g *Guard) Ready(ctx context.Context) error {
	if g.introspects {
		_, err := g.keys.usable(ctx)
		return err
	}
	for {
		fresh, next := g.ends.waiting()
		if fresh {
			return nil
		}
		select {
		case <-next:
		case <-ctx.Done():
			return fmt.Errorf("resource: the authorization server's feed is not heard: %w", ctx.Err())
		}
	}
}

// Refusals returns how often each code was answered since the start.
func (g *Guard) Refusals() map[Code]int64 {
	all := map[Code]int64{}
	g.refusedBy.Range(func(code, n any) bool {
		all[code.(Code)] = n.(*atomic.Int64).Load()
		return true
	})
	return all
}

func (g *Guard) count(code Code) {
	n, ok := g.refusedBy.Load(code)
	if !ok {
		n, _ = g.refusedBy.LoadOrStore(code, new(atomic.Int64))
	}
	n.(*atomic.Int64).Add(1)
}

// configure checks the configuration and returns a Guard that does not run yet.
func configure(c Config) (*Guard, error) {
	if _, err := checkURL("Issuer", c.Issuer, c.InsecureHTTP); err != nil {
		return nil, err
	}
	resource, err := checkURL("Resource", c.Resource, c.InsecureHTTP)
	if err != nil {
		return nil, err
	}
	if err := tokens.CheckResourceURI(c.Resource); err != nil { // so the server can know it under no other name
		return nil, fmt.Errorf("resource: Resource %q: %w", c.Resource, err)
	}
	htu, err := tokens.NormalizeURI(c.Resource)
	switch {
	case err != nil:
		return nil, fmt.Errorf("resource: Resource: %w", err)
	case c.StateDir == "":
		return nil, errors.New("resource: StateDir is missing")
	case c.Tools == nil:
		return nil, errors.New("resource: Tools is missing")
	case c.StaleAfter < 0 || c.StaleAfter > time.Minute:
		return nil, errors.New("resource: StaleAfter must be at most 60 s")
	case c.MaxBody < 0 || c.MaxSpool < 0:
		return nil, errors.New("resource: MaxBody and MaxSpool must not be negative")
	}
	g := &Guard{
		issuer: c.Issuer, resource: c.Resource, dir: c.StateDir, name: c.Name, htu: htu,
		metadataURL: metadataURL(resource), metadataPath: metadataPath(resource),
		origins: map[string]bool{resource.Scheme + "://" + resource.Host: true}, baselines: c.Baseline,
		maxBody: orElse(c.MaxBody, 1<<20), streams: c.Streams, logArguments: c.LogArguments, http: plainClient(c.HTTPClient), now: c.Now, log: c.Log,
		policyChanged: make(chan struct{}, 1), replay: newReplay(), ack: make(chan struct{}, 1),
	}
	if g.now == nil {
		g.now = time.Now
	}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	for _, o := range c.Origins {
		g.origins[o] = true
	}
	g.grants = &grants{fetch: g.fetchGrant, now: g.now, limit: grantsLimit}
	if c.Replay != nil {
		g.replay = &shared{memory: c.Replay, log: g.log}
	}
	g.ends = newView(g.now, orElse(c.StaleAfter, 10*time.Second))
	g.tools = &liveTools{list: c.Tools, now: g.now, log: g.log, changed: make(chan struct{}, 1)}
	return g, errors.Join(g.checkIntrospection(c), checkLogArguments(c.LogArguments), g.loadPolicy(c))
}

func (g *Guard) loadPolicy(c Config) (err error) {
	if g.proxies, err = parseProxies(c.TrustedProxies); err != nil {
		return err
	}
	if c.PolicyFile == "" {
		return g.ReloadPolicy(c.Policy)
	}
	if len(c.Policy) > 0 {
		return errors.New("resource: Policy and PolicyFile are both set")
	}
	g.file.path = c.PolicyFile
	return g.Reload()
}

// checkURL wants https, or http on loopback where that was asked for.
func checkURL(what, s string, insecure bool) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil, u.Host == "", u.Fragment != "", u.RawQuery != "", u.User != nil:
		return nil, fmt.Errorf("resource: %s %q is not an absolute URL without user, query and fragment", what, s)
	case u.Scheme == "https", u.Scheme == "http" && insecure && loopback(u.Hostname()):
		return u, nil
	}
	return nil, fmt.Errorf("resource: %s %q must be https, or http on loopback with InsecureHTTP", what, s)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
