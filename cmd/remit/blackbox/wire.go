// Package blackbox attacks a running Remit from outside, as a stranger with a socket would. It
// writes its own HTTP/1.1 bytes, makes its own JOSE objects and parses pages as a browser does,
// so that it can send what no honest library would. It shares no code with the server, with
// package tokens or with package agent, and uses the standard library and an HTML parser alone.
//
//	wire.go     requests as bytes: duplicate headers, wrong lengths, any target
//	form.go     ordered forms with duplicate parameters
//	jose.go     keys, and JWS with any header and any claims
//	proof.go    DPoP proofs (RFC 9449), good ones to be spoilt
//	page.go     HTML forms
//	browser.go  cookies, sign-in, consent
//	server.go   an authorization server seen from outside: endpoints and nonces
//	flow.go     the good flow, step by step
//	mcp.go      raw JSON-RPC calls to a protected MCP server
package blackbox

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"
)

// Timeout bounds one exchange with the server.
const Timeout = 20 * time.Second

// maxAnswer bounds what is read of an answer.
const maxAnswer = 4 << 20

// Header is one header line, written as given.
type Header struct{ Name, Value string }

// Request is one HTTP/1.1 request, written as given. Host and Content-Length are added when the
// headers do not name them.
type Request struct {
	Method  string
	Target  string // origin form, may be anything
	Headers []Header
	Body    []byte
}

// Response is an answer read to its end.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// JSON decodes the body; a body that is no JSON object gives nil.
func (r Response) JSON() map[string]any {
	var m map[string]any
	d := json.NewDecoder(bytes.NewReader(r.Body))
	d.UseNumber()
	if d.Decode(&m) != nil {
		return nil
	}
	return m
}

// Text returns a string member of the JSON body.
func (r Response) Text(name string) string {
	s, _ := r.JSON()[name].(string)
	return s
}

// Code is the OAuth error code of the answer: the body's error member, or empty.
func (r Response) Code() string { return r.Text("error") }

// String is a line for failure messages.
func (r Response) String() string {
	b := r.Body
	if len(b) > 300 {
		b = append(b[:300:300], "…"...)
	}
	s := fmt.Sprintf("%d %s", r.Status, bytes.TrimSpace(b))
	for _, name := range []string{"Location", "WWW-Authenticate", "DPoP-Nonce"} {
		if v := r.Header.Values(name); len(v) > 0 {
			s += fmt.Sprintf(" %s=%q", name, v)
		}
	}
	return s
}

// Bytes is the request as it is written to the socket of host.
func (r Request) Bytes(host string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", r.Method, r.Target)
	has := func(name string) bool {
		for _, h := range r.Headers {
			if http.CanonicalHeaderKey(h.Name) == name {
				return true
			}
		}
		return false
	}
	if !has("Host") {
		fmt.Fprintf(&b, "Host: %s\r\n", host)
	}
	for _, h := range r.Headers {
		fmt.Fprintf(&b, "%s: %s\r\n", h.Name, h.Value)
	}
	if !has("Content-Length") && !has("Transfer-Encoding") && (len(r.Body) > 0 || r.Method == "POST" || r.Method == "PUT") {
		fmt.Fprintf(&b, "Content-Length: %s\r\n", strconv.Itoa(len(r.Body)))
	}
	if !has("Connection") {
		b.WriteString("Connection: close\r\n")
	}
	b.WriteString("\r\n")
	b.Write(r.Body)
	return b.Bytes()
}

// from is the key of a context's own address.
type from struct{}

// From lets what is sent under the context come from this address of the machine.
func From(ctx context.Context, ip net.IP) context.Context { return context.WithValue(ctx, from{}, ip) }

// Do sends the request to the origin of base, which is an http URL, and reads the answer.
func Do(ctx context.Context, base string, r Request) (Response, error) {
	u, err := url.Parse(base)
	if err != nil {
		return Response{}, err
	}
	return Raw(ctx, u.Host, r.Method, r.Bytes(u.Host))
}

// Raw writes bytes to a fresh connection and reads one answer to a request with this method.
func Raw(ctx context.Context, host, method string, b []byte) (Response, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	var d net.Dialer
	if ip, ok := ctx.Value(from{}).(net.IP); ok {
		d.LocalAddr = &net.TCPAddr{IP: ip}
	}
	conn, err := d.DialContext(ctx, "tcp", host)
	if err != nil {
		return Response{}, err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()

	return Exchange(conn, method, b)
}

// Exchange writes bytes to a connection and reads one answer to a request with this method.
func Exchange(conn net.Conn, method string, b []byte) (Response, error) {
	// A server that refuses early closes while we still write: its answer counts, not our error.
	written := make(chan error, 1)
	go func() { _, err := conn.Write(b); written <- err }()
	res, err := readResponse(conn, method)
	if err != nil {
		conn.Close()
		if werr := <-written; werr != nil {
			return Response{}, fmt.Errorf("write: %w; read: %w", werr, err)
		}
		return Response{}, err
	}
	return res, nil
}

func readResponse(conn io.Reader, method string) (Response, error) {
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		return Response{}, fmt.Errorf("read answer: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil && res.ContentLength < 0 && errors.Is(err, syscall.ECONNRESET) {
		err = nil // refused before all of it was read: the end of the answer is the end of the connection
	}
	if err != nil {
		return Response{}, fmt.Errorf("read answer's body: %w", err)
	}
	return Response{Status: res.StatusCode, Header: res.Header, Body: body}, nil
}
