// Package fetch is the one way out: it reads small JSON documents from servers of strangers, such as
// client metadata documents and key sets, posts to their push services, and does nothing else. It follows no redirect, obeys no proxy
// setting, keeps no connection, and never reaches an address that is not public, except where an admin named it: addresses are judged
// when they are dialled, so that no name can promise one and lead to another. What a document says is
// not its business, nor is keeping it.
//
//	fetch.go    one fetch and its bounds
//	post.go     one message to a push service, under the same bounds
//	address.go  which URLs and addresses may be reached   RFC 6890
//	fresh.go    how long an answer may be kept            RFC 9111 §4.2.1
package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"code.dny.dev/ssrf"
)

// Bounds of one fetch (draft-ietf-oauth-client-id-metadata-document §6.6 recommends 5 KB).
const (
	MaxBody    = 5 << 10
	MaxKeys    = 64 << 10 // of a key set: those of large identity providers carry certificates
	maxHeaders = 8 << 10
	timeout    = 2500 * time.Millisecond // who waits for it has an answer within 3 s
	slots      = 8
)

// Reasons why a document was not read.
var (
	ErrAddress     = errors.New("fetch: this URL, or the address behind its name, is not fetched")
	ErrUnreachable = errors.New("fetch: no answer")       // worth another try
	ErrAnswer      = errors.New("fetch: unusable answer") // not 200, not JSON, or too large
	ErrBusy        = errors.New("fetch: too many fetches at once")
)

// Config says where a Client may go; the zero value allows public addresses on port 443 alone.
type Config struct {
	// Ports may be used besides 443.
	Ports []uint16
	// InsecureLoopback also allows loopback addresses: right only when this server itself is on
	// loopback, for development.
	InsecureLoopback bool
	// Named is for URLs that an admin wrote into the configuration and no stranger can choose: they may
	// name private addresses, short names of an inner network and any port.
	Named bool
	// Roots are the certificate authorities trusted; nil: the system's.
	Roots *x509.CertPool
	// Resolver finds addresses; nil: Go's own with the system's settings.
	Resolver *net.Resolver
	// Timeout is what a fetch may take in all, and Slots how many run at once; 0: 2.5 s, 8.
	Timeout time.Duration
	Slots   int
}

// Client fetches. It is safe for concurrent use.
type Client struct {
	ports     []uint16
	loopback  bool
	named     bool
	timeout   time.Duration
	slots     chan struct{}
	dialer    net.Dialer
	transport *http.Transport
}

// New returns a Client.
func New(c Config) *Client {
	if c.Timeout <= 0 {
		c.Timeout = timeout
	}
	if c.Slots <= 0 {
		c.Slots = slots
	}
	if c.Resolver == nil {
		c.Resolver = &net.Resolver{PreferGo: true} // lookups that end with their context
	}
	f := &Client{
		ports: append([]uint16{443}, c.Ports...), loopback: c.InsecureLoopback, named: c.Named,
		timeout: c.Timeout, slots: make(chan struct{}, c.Slots),
	}
	f.dialer = net.Dialer{Resolver: c.Resolver, KeepAlive: -1}
	if !c.Named {
		f.dialer.Control = f.control(ssrf.New(f.rules()...))
	}
	f.transport = &http.Transport{
		Proxy:                  nil, // whoever sets HTTPS_PROXY did not mean these
		DialContext:            f.dial,
		TLSClientConfig:        &tls.Config{RootCAs: c.Roots, MinVersion: tls.VersionTLS12},
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeaders,
	}
	return f
}

// Document is an answer that was read whole.
type Document struct {
	Body  []byte
	Fresh time.Duration // how long the answer says that it may be kept; Unsaid when it does not
}

// JSON fetches the document at this URL. Its error is one of the reasons above.
func (c *Client) JSON(ctx context.Context, raw string) (Document, error) {
	return c.get(ctx, raw, MaxBody)
}

// Keys fetches the key set at this URL: JSON, with room for more.
func (c *Client) Keys(ctx context.Context, raw string) (Document, error) {
	return c.get(ctx, raw, MaxKeys)
}

func (c *Client) get(ctx context.Context, raw string, most int64) (Document, error) {
	u, err := c.Check(raw)
	if err != nil {
		return Document{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return Document{}, ErrBusy
	}
	return c.read(ctx, u, most)
}

func (c *Client) read(ctx context.Context, u *url.URL, most int64) (Document, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return Document{}, fmt.Errorf("%w: %w", ErrAddress, err)
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "remit")
	resp, err := c.transport.RoundTrip(r) // not http.Client: it would follow redirects
	if err != nil {
		if errors.Is(err, ErrAddress) {
			return Document{}, err
		}
		return Document{}, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	defer resp.Body.Close()
	unusable := judge(resp, most)
	var body []byte
	if unusable == nil {
		body, err = io.ReadAll(io.LimitReader(resp.Body, most+1))
	}
	if err == nil {
		err = ctx.Err() // a server that sees the connection close may still begin, and end, in good order
	}
	switch {
	case err != nil:
		return Document{}, fmt.Errorf("%w: %w", ErrUnreachable, err)
	case unusable != nil:
		return Document{}, unusable
	case int64(len(body)) > most:
		return Document{}, fmt.Errorf("%w: more than %d bytes", ErrAnswer, most)
	}
	return Document{body, lifetime(resp.Header)}, nil
}

// judge refuses all but 200 with uncompressed JSON of bounded size.
func judge(resp *http.Response, most int64) error {
	media, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case resp.StatusCode >= 500:
		return fmt.Errorf("%w: status %d", ErrUnreachable, resp.StatusCode)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("%w: status %d", ErrAnswer, resp.StatusCode)
	case err != nil || media != "application/json" && !(strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json")):
		return fmt.Errorf("%w: the content type is not JSON", ErrAnswer)
	case resp.Header.Get("Content-Encoding") != "":
		return fmt.Errorf("%w: it has a content encoding that was not asked for", ErrAnswer)
	case resp.ContentLength > most:
		return fmt.Errorf("%w: more than %d bytes", ErrAnswer, most)
	}
	return nil
}
