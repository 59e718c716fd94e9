package chaos

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// Balancer passes requests on to backends that are ready, in turn. It asks for readiness twice a
// second at their ops address, takes a backend out at once when a connection to it is refused, and passes it over for a moment when
// it breaks off a request.
type Balancer struct {
	Addr     string
	server   *http.Server
	backends []*backend
	next     atomic.Uint64
	stop     context.CancelFunc
	asking   sync.WaitGroup
}

type backend struct {
	public, ops string
	ready       atomic.Bool
	changed     atomic.Int64 // when ready changed, unix ms
	spared      atomic.Int64 // until when it is passed over, unix ns
	proxy       *httputil.ReverseProxy
}

// askEvery is how often readiness is asked for.
const askEvery = 250 * time.Millisecond

// NewBalancer serves what the listener takes, in front of pairs of public and ops addresses.
func NewBalancer(l net.Listener, backends ...[2]string) *Balancer {
	ctx, stop := context.WithCancel(context.Background())
	b := &Balancer{Addr: l.Addr().String(), stop: stop}
	for _, pair := range backends {
		be := &backend{public: pair[0], ops: pair[1]}
		transport := &http.Transport{MaxIdleConnsPerHost: 256, DialContext: (&net.Dialer{Timeout: time.Second}).DialContext, IdleConnTimeout: 5 * time.Second}
		be.proxy = &httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(&url.URL{Scheme: "http", Host: be.public})
				r.Out.Host = r.In.Host
				r.SetXForwarded()
			},
			Transport: transport, FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0),
			ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
				if r.Context().Err() == nil {
					be.spared.Store(time.Now().Add(spareFor).UnixNano())
				}
				if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
					be.set(false)
				}
				w.WriteHeader(http.StatusBadGateway)
			},
		}
		b.backends = append(b.backends, be)
		b.asking.Go(func() { be.watch(ctx) })
	}
	b.server = &http.Server{Handler: b, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = b.server.Serve(l) }()
	return b
}

// spareFor is how long a backend that broke off a request is passed over while another is ready: the path to
// it may be broken where the one that its readiness is asked on is not. Balancers do so (nginx: max_fails).
const spareFor = time.Second

// ServeHTTP passes the request to the next backend that is ready; without one it is 503.
func (b *Balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start, now := b.next.Add(1), time.Now().UnixNano()
	var spared *backend
	for i := range b.backends {
		be := b.backends[(start+uint64(i))%uint64(len(b.backends))]
		switch {
		case !be.ready.Load():
		case be.spared.Load() > now:
			spared = be
		default:
			be.proxy.ServeHTTP(w, r)
			return
		}
	}
	if spared != nil {
		spared.proxy.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Retry-After", "1")
	w.WriteHeader(http.StatusServiceUnavailable)
}

// Ready tells how many backends are.
func (b *Balancer) Ready() int {
	n := 0
	for _, be := range b.backends {
		if be.ready.Load() {
			n++
		}
	}
	return n
}

// Close ends the balancer.
func (b *Balancer) Close() {
	b.stop()
	b.asking.Wait()
	_ = b.server.Close()
}

func (be *backend) set(ready bool) {
	if be.ready.Swap(ready) != ready {
		be.changed.Store(time.Now().UnixMilli())
	}
}

func (be *backend) watch(ctx context.Context) {
	client := &http.Client{Timeout: 1500 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		be.set(be.ask(ctx, client))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (be *backend) ask(ctx context.Context, client *http.Client) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+be.ops+"/readyz", nil)
	if err != nil {
		return false
	}
	res, err := client.Do(r)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	return res.StatusCode == http.StatusOK
}
