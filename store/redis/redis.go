// Package redis is replay memory, rate limits and hints between instances in Redis: a
// store.Ephemeral and a store.Fanout that any number of instances of one issuer share. Nothing in it
// is needed for longer than minutes, and nothing that it loses can be taken for something that never
// was: epoch.go says how.
//
//	redis.go    connections: one server, Sentinel, Cluster
//	epoch.go    which memory this is, and when it may have forgotten
//	replay.go   first use of a proof or assertion
//	bucket.go   rate limits
//	fanout.go   "a feed has grown"
package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"golang.org/x/sync/singleflight"

	"github.com/remit-auth/remit/store"
)

var (
	_ store.Ephemeral = (*Ephemeral)(nil)
	_ store.Fanout    = (*Fanout)(nil)
)

// Options say how the memory is used; zero values are the defaults.
type Options struct {
	// Prefix begins the name of every key and channel: what instances of one issuer share, and no
	// others. Empty: remit.
	Prefix string
	// Now tells the time of buckets and of what is remembered, for tests. Nil: time.Now, and for
	// buckets the server's clock.
	Now func() time.Time
	// Timeout bounds one step; 0: half a second.
	Timeout time.Duration
}

// clusterParts is over how many slots of a cluster the replay memory is spread.
const clusterParts = 16

// Ephemeral is the memory. Its methods may be called from any goroutine.
type Ephemeral struct {
	client  goredis.UniversalClient
	prefix  string
	now     func() time.Time
	own     bool // now is not the server's clock
	timeout time.Duration
	parts   []string // hash tags: what is judged together lies in one slot

	reading singleflight.Group
	views   views
}

// Open connects to the server or servers that the URL names, and refuses one that may forget keys
// before their time.
//
//	redis://[user:password@]host:port/db           one server; rediss: over TLS; unix:///path
//	redis+sentinel://sentinel:port/db?master_name=m&addr=other:port
//	redis+cluster://node:port?addr=other:port
func Open(ctx context.Context, url string, opts Options) (*Ephemeral, error) {
	connect, err := parse(url)
	if err != nil {
		return nil, err
	}
	if opts.Prefix == "" {
		opts.Prefix = "remit"
	}
	e := &Ephemeral{prefix: opts.Prefix, now: opts.Now, own: opts.Now != nil, timeout: opts.Timeout, parts: []string{"{" + opts.Prefix + "}"}}
	if e.now == nil {
		e.now = time.Now
	}
	if e.timeout <= 0 {
		e.timeout = time.Second / 2
	}
	if connect.IsClusterMode {
		e.parts = nil
		for i := range clusterParts {
			e.parts = append(e.parts, fmt.Sprintf("{%s/%d}", opts.Prefix, i))
		}
	}
	tune(connect, e.timeout)
	goredis.SetLogger(silent{})
	e.client = goredis.NewUniversalClient(connect)
	if _, err := e.Epoch(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("redis: %w", err), e.client.Close())
	}
	return e, nil
}

// parse reads the URL. What it says of a bad one does not repeat it: there may be a password in it.
func parse(url string) (*goredis.UniversalOptions, error) {
	scheme, rest, _ := strings.Cut(url, "://")
	base, kind, _ := strings.Cut(scheme, "+")
	var (
		u   *goredis.UniversalOptions
		bad = errors.New("redis: the URL is redis://host:port, rediss://…, unix:///path, redis+sentinel://host:port?master_name=… or redis+cluster://host:port")
	)
	switch kind {
	case "":
		o, err := goredis.ParseURL(url)
		if err != nil {
			return nil, bad
		}
		u = &goredis.UniversalOptions{Addrs: []string{o.Addr}, DB: o.DB, Username: o.Username, Password: o.Password, TLSConfig: o.TLSConfig}
		if o.Network == "unix" {
			u.Dialer = func(ctx context.Context, _, address string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", address)
			}
		}
	case "sentinel":
		o, err := goredis.ParseFailoverURL(base + "://" + rest)
		if err != nil || o.MasterName == "" {
			return nil, bad
		}
		u = &goredis.UniversalOptions{
			Addrs: o.SentinelAddrs, MasterName: o.MasterName, DB: o.DB, Username: o.Username, Password: o.Password,
			SentinelUsername: o.SentinelUsername, SentinelPassword: o.SentinelPassword, TLSConfig: o.TLSConfig,
		}
	case "cluster":
		o, err := goredis.ParseClusterURL(base + "://" + rest)
		if err != nil {
			return nil, bad
		}
		u = &goredis.UniversalOptions{Addrs: o.Addrs, IsClusterMode: true, Username: o.Username, Password: o.Password, TLSConfig: o.TLSConfig}
	default:
		return nil, bad
	}
	return u, nil
}

// tune makes every step end in time and none run twice: a step whose answer was lost is unknown. A
// connection on which a step ran out of time is closed, never used again, so that no late answer
// meets another question (CVE-2025-29923, for which nothing is sent to introduce ourselves either).
func tune(u *goredis.UniversalOptions, timeout time.Duration) {
	u.Protocol = 2
	u.DisableIdentity = true
	u.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	u.MaxRetries = -1
	u.DialerRetries = 1
	u.DialTimeout, u.ReadTimeout, u.WriteTimeout, u.PoolTimeout = timeout, timeout, timeout, timeout
	u.ContextTimeoutEnabled = true
	u.ConnMaxIdleTime = 5 * time.Minute
	if u.TLSConfig != nil {
		u.TLSConfig.MinVersion = max(u.TLSConfig.MinVersion, 0x0303) // TLS 1.2
	}
}

// Close releases the connections.
func (e *Ephemeral) Close() error { return e.client.Close() }

// bound gives a step the time that it may take.
func (e *Ephemeral) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, e.timeout)
}

// silent keeps the library from writing where our log goes: every error comes back to the caller.
type silent struct{}

// Printf drops the line.
func (silent) Printf(context.Context, string, ...any) {}
