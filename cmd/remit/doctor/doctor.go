// Package doctor looks at an MCP server from outside, as a client does that knows nothing but its
// URL, and names the first link that is broken between it and its authorization server, and the
// mend. It sends no token, changes nothing and follows no redirect.
//
//	doctor.go    Examine, Report, the order of the links
//	resource.go  the 401 challenge (RFC 9110 §11.6.1) and the resource's metadata (RFC 9728)
//	server.go    the authorization server's metadata (RFC 8414) and its keys (RFC 7517)
//	differ.go    how two URLs that should be one differ, and what that comes from
//	replicas.go  several servers behind one URL
//	policy.go    what the policy's linter found
//	fetch.go     requests, and what their answers say of the clock
package doctor

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"time"
)

// State is how a link was found.
type State string

// The states.
const (
	OK     State = "ok"
	Warn   State = "warn"   // it works, and some clients will stumble
	Broken State = "BROKEN" // clients stop here
)

// Link is one thing that was looked at.
type Link struct {
	Name   string `json:"name"`
	State  State  `json:"state"`
	Detail string `json:"detail"`
	Fix    string `json:"fix,omitempty"`
}

// Report is what was found, in the order in which a client gets there.
type Report struct {
	URL    string `json:"url"`
	OK     bool   `json:"ok"`
	Broken string `json:"broken,omitempty"` // the first broken link
	Links  []Link `json:"links"`
}

// Examine looks at the MCP server at mcpURL.
func Examine(ctx context.Context, c *http.Client, mcpURL string, now func() time.Time) Report {
	still := *c
	still.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	e := &exam{ctx: ctx, client: &still, now: now, report: Report{URL: mcpURL, Links: []Link{}}}
	for _, look := range []func() bool{e.address, e.challenge, e.resourceMetadata, e.serverMetadata} {
		if !look() {
			break
		}
	}
	if e.meta.Issuer != "" {
		e.pkce()
		e.algorithms()
		e.proofs()
		e.responses()
		e.pushed()
		e.registration()
		e.keys()
	}
	e.clocks()
	if e.protected {
		e.replicas()
	}
	e.report.OK = e.report.Broken == ""
	return e.report
}

// exam is one examination.
type exam struct {
	ctx    context.Context
	client *http.Client
	now    func() time.Time
	report Report

	server    *url.URL
	named     string // resource_metadata of the challenge
	protected bool   // it answered with a challenge
	resource  resourceDocument
	meta      serverDocument
	dates     []date
}

func (e *exam) add(name string, state State, detail, fix string) {
	if state == Broken && e.report.Broken == "" {
		e.report.Broken = name
	}
	e.report.Links = append(e.report.Links, Link{name, state, detail, fix})
}

func (e *exam) ok(name, detail string)               { e.add(name, OK, detail, "") }
func (e *exam) warn(name, detail, fix string)        { e.add(name, Warn, detail, fix) }
func (e *exam) broken(name, detail, fix string) bool { e.add(name, Broken, detail, fix); return false }

// address looks at the URL itself.
func (e *exam) address() bool {
	const name = "url"
	u, err := url.Parse(e.report.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return e.broken(name, "this is no http URL", "give the URL of the MCP endpoint, such as https://tickets.example/mcp")
	case u.User != nil || u.Fragment != "" || u.RawQuery != "":
		return e.broken(name, "the URL has a user, a query or a fragment", "give the URL as clients are to name the resource (RFC 8707 §2)")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		e.warn(name, "plain http: whoever is on the way reads every token", "serve it over https; clients refuse http but on loopback")
	default:
		e.ok(name, e.report.URL)
	}
	e.server = u
	return true
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
