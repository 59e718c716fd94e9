// Package agent is what an AI agent imports to work within a task that a user lends it: it finds
// the authorization server of an MCP server, asks for the task, keeps its key-bound tokens fresh,
// signs every request, and says when it has finished. It opens no browser and keeps no file: the
// page is opened, and the callback received, by the program around it.
//
//	discover.go   Discover: 401 → RFC 9728 → RFC 8414
//	challenge.go  WWW-Authenticate (RFC 9110 §11.6.1)
//	client.go     Client: push (RFC 9126), callback (RFC 9207), token (OAuth 2.1 §3.2), tasks
//	grants.go     without a browser: Own, Present, Delegate and Take, AskDevice and Await
//	session.go    Session: the tokens of one task, refreshed by one caller at a time
//	transport.go  Transport: Authorization: DPoP and a fresh proof on every request (RFC 9449 §7)
//	denied.go     step-up and approvals: what may turn a 403 around
//	nonce.go      the newest nonce per origin (RFC 9449 §8, §9)
//	respond.go    answers of the authorization server, and Error
package agent

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// maxDocument bounds every answer that this package reads.
const maxDocument = 1 << 20

// checkEndpoint refuses addresses that tokens and codes must not travel to: https, or http on
// loopback (RFC 8252 §7.3), with no user and no fragment.
func checkEndpoint(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, err
	}
	switch {
	case u.Host == "" || u.User != nil || u.Fragment != "" || u.Opaque != "":
		return nil, errors.New("not the URL of an endpoint: " + raw)
	case u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()):
		return u, nil
	}
	return nil, errors.New("neither https nor loopback: " + raw)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// origin is scheme and host in lower case, the default port left out.
func origin(u *url.URL) string {
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	switch {
	case scheme == "https":
		host = strings.TrimSuffix(host, ":443")
	case scheme == "http":
		host = strings.TrimSuffix(host, ":80")
	}
	return scheme + "://" + host
}

// within reports whether u lies at base or under it, on the same origin.
func within(u, base *url.URL) bool {
	if origin(u) != origin(base) || strings.Contains(u.Path, "..") {
		return false
	}
	root := strings.TrimSuffix(base.Path, "/")
	return u.Path == base.Path || u.Path == root || strings.HasPrefix(u.Path, root+"/")
}

// steady returns a copy of c that follows no redirect: neither code, token nor metadata may be
// fetched from where somebody else points.
func steady(c *http.Client) *http.Client {
	if c == nil {
		c = http.DefaultClient
	}
	still := *c
	still.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &still
}
