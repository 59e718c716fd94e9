package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/remit-auth/remit/store/sqlite"
)

// admin speaks to the administration of a server: the running one over its socket, or one made in
// this process, under the store's exclusive lock, when none is running.
type admin struct {
	client *http.Client
	there  *url.URL // another machine's server; nil: this one's
	close  func() error
}

// admin finds the server that this command is for.
func (a *app) admin(ctx context.Context) (*admin, error) {
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	cfg.restoring = a.restoring
	there, err := cfg.adminURL()
	if err != nil {
		return nil, err
	}
	if there != nil {
		if !a.json { // who forgot the variable is told where they are acting
			fmt.Fprintf(a.err, "remit: at %s\n", there.Host)
		}
		return overNetwork(there, cfg.AdminToken), nil
	}
	if cfg.DataDir == "" {
		return nil, errors.New("REMIT_DATA_DIR: name the directory of the server's data")
	}
	conn, err := net.DialTimeout("unix", cfg.socket(), 2*time.Second)
	if err == nil {
		conn.Close()
		return overSocket(cfg.socket()), nil
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("%s belongs to another user: run this as the server's user", cfg.socket())
	}
	return a.inProcess(ctx, cfg)
}

// overNetwork speaks to another machine's server. It follows no redirect: the token is for that one.
func overNetwork(there *url.URL, token string) *admin {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	return &admin{
		there: there,
		client: &http.Client{
			Transport: bearing{there, token, transport}, Timeout: time.Minute,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		close: func() error { transport.CloseIdleConnections(); return nil },
	}
}

// bearing sends requests there, with the token (RFC 6750 §2.1).
type bearing struct {
	there *url.URL
	token string
	next  http.RoundTripper
}

func (b bearing) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host, r.Host = b.there.Scheme, b.there.Host, b.there.Host
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.next.RoundTrip(r)
}

func overSocket(path string) *admin {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}}
	return &admin{
		client: &http.Client{Transport: transport, Timeout: time.Minute},
		close:  func() error { transport.CloseIdleConnections(); return nil },
	}
}

// inProcess serves the same handlers to this command alone.
func (a *app) inProcess(ctx context.Context, cfg Config) (*admin, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("no server answers at %s, and its settings are needed to work without one:\n%w", cfg.socket(), err)
	}
	log := slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	srv, err := open(ctx, cfg, log)
	if errors.Is(err, sqlite.ErrLocked) {
		return nil, fmt.Errorf("a server has the database open but does not answer at %s: wait until it has started", cfg.socket())
	}
	if err != nil {
		return nil, err
	}
	closeAll := func() error {
		settled := srv.server.Settle(context.WithoutCancel(ctx))
		srv.server.Close()
		return errors.Join(settled, srv.close())
	}
	return &admin{client: &http.Client{Transport: handlerTransport{srv.server.Admin()}}, close: closeAll}, nil
}

// do asks for path and decodes the answer into out. in nil is a GET; query may be nil.
func (c *admin) do(ctx context.Context, path string, query url.Values, in, out any) error {
	body, err := c.raw(ctx, path, query, in)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("answer of the server to %s: %w", path, err)
	}
	return nil
}

// raw asks for path and returns the answer's body; a problem (RFC 9457) is the error.
func (c *admin) raw(ctx context.Context, path string, query url.Values, in any) ([]byte, error) {
	method, reader := http.MethodGet, io.Reader(nil)
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		method, reader = http.MethodPost, bytes.NewReader(raw)
	}
	target := url.URL{Scheme: "http", Host: "remit", Path: "/admin/api/" + path, RawQuery: query.Encode()}
	if c.there != nil { // so that a failure names it
		target.Scheme, target.Host = c.there.Scheme, c.there.Host
	}
	req, err := http.NewRequestWithContext(ctx, method, target.String(), reader)
	if err != nil {
		return nil, err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("the server did not answer: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, fmt.Errorf("the server stopped answering: %w", err)
	}
	if res.StatusCode >= 300 {
		var p struct {
			Detail string `json:"detail"`
		}
		if json.Unmarshal(body, &p) != nil || p.Detail == "" {
			p.Detail = res.Status
		}
		return nil, errors.New(p.Detail)
	}
	return body, nil
}

// ask asks the server and hands the answer to show, or prints it as it is with --json.
func ask[T any](ctx context.Context, a *app, path string, query url.Values, in any, show func(T) error) (err error) {
	c, err := a.admin(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	body, err := c.raw(ctx, path, query, in)
	if err != nil {
		return err
	}
	if a.json {
		_, err = a.out.Write(body)
		return err
	}
	var out T
	if err := json.Unmarshal(body, &out); err != nil {
		return fmt.Errorf("answer of the server to %s: %w", path, err)
	}
	return show(out)
}

// handlerTransport calls a handler in place of the network.
type handlerTransport struct{ handler http.Handler }

// RoundTrip serves the request at once and returns what was written.
func (t handlerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	w := &answer{header: http.Header{}, status: http.StatusOK}
	t.handler.ServeHTTP(w, r)
	return &http.Response{
		StatusCode: w.status, Status: fmt.Sprintf("%d %s", w.status, http.StatusText(w.status)),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: w.header, Request: r,
		Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()),
	}, nil
}

type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *answer) Header() http.Header         { return w.header }
func (w *answer) WriteHeader(status int)      { w.status = status }
func (w *answer) Write(b []byte) (int, error) { return w.body.Write(b) }

// readFile reads a file named on the command line; "-" is standard input.
func (a *app) readFile(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(io.LimitReader(a.in, 4<<20))
	}
	return os.ReadFile(name)
}
