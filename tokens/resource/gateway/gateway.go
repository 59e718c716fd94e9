// Package gateway puts a Guard before MCP servers that cannot import one: any server on streamable
// HTTP, and any server on standard input and output, which the gateway starts itself. Several stand
// behind one gateway, each a resource of its own. Servers get what the Guard checked and nothing of
// who asked: no token, no proof, no cookie. The gateway decides nothing that the Guard decides, and
// reads of an answer only what it must: which tools it lists, and how a call ended.
//
//	gateway.go   Config, New, which upstream a request is for
//	serve.go     one request behind the Guard, from its permit to its answer
//	message.go   JSON-RPC messages in both directions
//	answer.go    what the agent gets: one JSON answer or a stream of events
//	remote.go    a server on streamable HTTP; headers.go, sessions.go, sse.go
//	child.go     a server that the gateway starts; process.go, stdio.go
//	tools.go     the live definitions
//	streams.go   streams that agents open and resume; params.go: headers that repeat arguments
//	watch.go     the first enrolment, and news of the tools
//
// Agents cannot answer requests of servers: the Guard lets no answers through, so the gateway refuses
// the requests.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/remit-auth/remit/tokens/resource"
)

// Config is what a gateway is told.
type Config struct {
	// Upstreams are the MCP servers behind the gateway.
	Upstreams []Upstream
	// Log receives what an operator should know, and what children write to standard error; nil:
	// discarded.
	Log *slog.Logger
}

// Upstream is one MCP server behind the gateway: either URL or Command.
type Upstream struct {
	// Guard configures the Guard before this server. Its Tools does not count: the gateway asks the
	// server.
	Guard resource.Config
	// Path is where agents' requests for this server arrive; empty: the path of the resource's URI.
	Path string
	// Host is the host name that they arrive for; empty: any.
	Host string
	// Poll is how often the server is asked for its tools when nobody calls; 0: 30 s.
	Poll time.Duration

	// URL is the endpoint of a server on streamable HTTP. Redirects are not followed.
	URL string
	// Credential is what the gateway shows that server; nil: nothing.
	Credential *Credential

	// Command starts a server that speaks on standard input and output.
	Command []string
	// Env is its whole environment: nothing is inherited.
	Env []string
	// Dir is its working directory; empty: the gateway's.
	Dir string
}

// Credential is a header of the gateway's own. It never travels over http to another machine.
type Credential struct{ Header, Value string }

// Gateway is a running gateway.
type Gateway struct {
	routes  []*route
	stop    context.CancelFunc
	running sync.WaitGroup
}

// route is one upstream at work.
type route struct {
	resource, host, path, metadata string
	backend                        backend
	tools                          *definitions
	news                           chan struct{} // receives when the server says that its tools have changed
	poll                           time.Duration
	log                            *slog.Logger

	behind atomic.Pointer[guarded] // nil: not enrolled yet
	up     chan struct{}           // closed when enrolled
}

// guarded is a Guard and what stands behind it.
type guarded struct {
	*resource.Guard
	protected http.Handler
}

// backend is an MCP server, wherever it runs.
type backend interface {
	// exchange sends an agent's message on and hands what comes back to out. It returns with the
	// answer, or with an error when there is none.
	exchange(ctx context.Context, in *message, out *answer) error
	// listen sends what the server says by itself, until it ends; forget ends the agent's session.
	listen(ctx context.Context, in *message, out *answer) error
	forget(ctx context.Context, in *message, out *answer) error
	// call is a request of the gateway's own.
	call(ctx context.Context, method string, params any) ([]byte, error)
	close() error
}

const wellKnown = "/.well-known/oauth-protected-resource" // RFC 9728 §3

// New starts the servers and their Guards. A Guard that was never enrolled enrols with its server's
// tools; when server or authorization server do not answer yet, that is tried again, and until then
// requests are answered with 503.
func New(ctx context.Context, c Config) (*Gateway, error) {
	if len(c.Upstreams) == 0 {
		return nil, errors.New("gateway: there are no upstreams")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	g := &Gateway{}
	life, stop := context.WithCancel(context.Background())
	g.stop = stop
	for _, u := range c.Upstreams {
		r, err := newRoute(u, c.Log.With("resource", u.Guard.Resource))
		if err == nil {
			err = g.add(r)
		}
		if err == nil {
			err = r.connect(u)
		}
		if err == nil {
			err = g.start(ctx, life, r, u)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("gateway: upstream %s: %w", u.Guard.Resource, err), g.Close())
		}
	}
	return g, nil
}

// newRoute checks an upstream. Nothing runs yet.
func newRoute(u Upstream, log *slog.Logger) (*route, error) {
	uri, err := url.Parse(u.Guard.Resource)
	if err != nil {
		return nil, err
	}
	r := &route{
		resource: u.Guard.Resource, host: strings.ToLower(u.Host), path: u.Path, poll: u.Poll, log: log,
		news: make(chan struct{}, 1), up: make(chan struct{}),
	}
	if r.poll <= 0 {
		r.poll = pollEvery
	}
	if r.path == "" {
		r.path = uri.EscapedPath()
	}
	r.path = strings.TrimSuffix(r.path, "/")
	if r.path != "" && !strings.HasPrefix(r.path, "/") {
		return nil, fmt.Errorf("the path %q does not begin with a slash", r.path)
	}
	r.metadata = wellKnown + strings.TrimSuffix(uri.EscapedPath(), "/")
	return r, nil
}

// connect names the server, and starts it where it is a command.
func (r *route) connect(u Upstream) error {
	switch {
	case (u.URL == "") == (len(u.Command) == 0):
		return errors.New("name either a URL or a command")
	case u.URL != "" && (len(u.Env) > 0 || u.Dir != ""), u.URL == "" && u.Credential != nil:
		return errors.New("environment and directory are for a command, a credential for a URL")
	case u.URL == "":
		r.backend = newChild(u, r.announce, r.log)
	default:
		remote, err := newRemote(u, r.announce, r.log)
		if err != nil {
			return err
		}
		r.backend = remote
	}
	r.tools = &definitions{backend: r.backend}
	return nil
}

// add refuses two upstreams in one place.
func (g *Gateway) add(r *route) error {
	for _, other := range g.routes {
		if other.path == r.path && (other.host == r.host || other.host == "" || r.host == "") {
			return fmt.Errorf("another upstream has the path %q already; give both a host or another path", r.path+"/")
		}
	}
	g.routes = append(g.routes, r)
	return nil
}

// ServeHTTP serves the upstreams and the metadata of each.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, host := strings.TrimSuffix(r.URL.EscapedPath(), "/"), hostname(r.Host)
	var here []*route // those that this host has
	for _, one := range g.routes {
		switch {
		case one.host != "" && one.host != host:
			continue
		case path == one.path:
			one.serveGuarded(w, r, func(g *guarded) http.Handler { return g.protected })
			return
		case path == one.metadata:
			one.serveGuarded(w, r, func(g *guarded) http.Handler { return g.Metadata() })
			return
		}
		here = append(here, one)
	}
	if path == wellKnown && len(here) == 1 { // where some clients look alone
		here[0].serveGuarded(w, r, func(g *guarded) http.Handler { return g.Metadata() })
		return
	}
	http.NotFound(w, r)
}

func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(host)
}

// Ready returns when every Guard can allow calls.
func (g *Gateway) Ready(ctx context.Context) error {
	for _, r := range g.routes {
		select {
		case <-r.up:
		case <-ctx.Done():
			return fmt.Errorf("gateway: %s is not enrolled yet: %w", r.resource, ctx.Err())
		}
		if err := r.behind.Load().Ready(ctx); err != nil {
			return err
		}
	}
	return nil
}

// ReloadPolicy puts another policy file in force at one resource. With an error the old one stays.
func (g *Gateway) ReloadPolicy(resource string, src []byte) error {
	for _, r := range g.routes {
		if r.resource != resource {
			continue
		}
		if b := r.behind.Load(); b != nil {
			return b.ReloadPolicy(src)
		}
		return nil // the first start reads the file
	}
	return fmt.Errorf("gateway: there is no upstream %s", resource)
}

// Close ends the servers that the gateway has started, and the Guards.
func (g *Gateway) Close() error {
	g.stop()
	g.running.Wait()
	var errs []error
	for _, r := range g.routes {
		if b := r.behind.Load(); b != nil {
			errs = append(errs, b.Close())
		}
		if r.backend != nil {
			errs = append(errs, r.backend.close())
		}
	}
	return errors.Join(errs...)
}
