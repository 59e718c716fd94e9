package resource_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource"
	"github.com/remit-auth/remit/tokens/resource/resourcetest"
)

const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// Values of arguments are recorded where the operator says so, short, and never what looks like a secret.
func TestLogArguments(t *testing.T) {
	w := newWorld(t, func(c *resource.Config) {
		c.LogArguments = map[string][]string{"search_tickets": {"project", "query"}}
	})
	token := w.token(reader())
	jwt := "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln"
	for _, tt := range []struct {
		tool, query string
		want        map[string]any
	}{
		{"search_tickets", "printer", map[string]any{"project": "WEB", "query": "printer"}},
		{"search_tickets", "use " + jwt, map[string]any{"project": "WEB", "query": "[redacted]"}},
		{"search_tickets", "Authorization: Bearer abcdefgh12345678", map[string]any{"project": "WEB", "query": "[redacted]"}},
		{"search_tickets", "use ra_" + strings.Repeat("Ab1_", 11)[:43], map[string]any{"project": "WEB", "query": "[redacted]"}}, // an opaque access token
		{"search_tickets", "use rd_" + strings.Repeat("Ab1_", 11)[:43], map[string]any{"project": "WEB", "query": "[redacted]"}},
		{"search_tickets", "use sid_" + strings.Repeat("Ab1_", 11)[:43], map[string]any{"project": "WEB", "query": "[redacted]"}},
		{"search_tickets", "postgres://u:hunter2@db/x", map[string]any{"project": "WEB", "query": "[redacted]"}},
		{"search_tickets", "\x1b[31m\n{\"forged\":1}", map[string]any{"project": "WEB", "query": "\x1b[31m\n{\"forged\":1}"}},
		{"search_tickets", strings.Repeat("x", 300), map[string]any{"project": "WEB"}},
		{"get_ticket", "printer", nil},
	} {
		a := w.call(token, tt.tool, map[string]any{"project": "WEB", "query": tt.query})
		if a.status != http.StatusOK {
			t.Fatalf("got %d: %s", a.status, a.body)
		}
		var last resourcetest.Execution
		for _, e := range w.issuer.Executions(w.uri, 1) {
			if e.Kind == "execution.decided" {
				last = e
			}
		}
		w.eventually("the decision", func() bool {
			n := 0
			for _, e := range w.issuer.Executions(w.uri, 1) {
				if e.Kind == "execution.decided" {
					last, n = e, n+1
				}
			}
			return n == w.calls()
		})
		if diff := cmp.Diff(tt.want, last.Values); diff != "" || last.Arguments == "" || last.Duration < 1 {
			t.Errorf("%q: %s, digest %q, %d µs", tt.query, diff, last.Arguments, last.Duration)
		}
	}
	for _, name := range []string{"password", "apiKey", "api_key", "access_token", "client-secret", "sessionId"} {
		c := w.config
		c.StateDir, c.LogArguments = t.TempDir(), map[string][]string{"search_tickets": {name}}
		if g, err := resource.New(t.Context(), c); err == nil {
			g.Close()
			t.Errorf("%s is recorded", name)
		}
	}
}

// The trace context is taken when it is one.
func TestTraceparent(t *testing.T) {
	w := newWorld(t)
	token := w.token(resourcetest.Grant{Scopes: []string{"tickets.read"}, Roles: []string{"agent"}, Tools: []tokens.ToolDetail{{Tool: "search_tickets"}}})
	tests := map[string]string{
		parent: parent,
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01": "",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01": "",
		"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01": "",
		"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01": "",
		parent + "-more":   "",
		"<script>":         "",
		parent[:54] + "\t": "",
	}
	n := 0
	for header, want := range tests {
		r := w.signed(token, resourcetest.Call("search_tickets", web))
		r.Header.Set("Traceparent", header)
		if a := w.do(http.DefaultClient, r); a.status != http.StatusOK {
			t.Fatalf("got %d: %s", a.status, a.body)
		}
		n++
		var traces []string
		w.eventually("the record", func() bool {
			traces = nil
			for _, e := range w.issuer.Executions(w.uri, 1) {
				if e.Kind == "execution.decided" {
					traces = append(traces, e.Trace)
				}
			}
			return len(traces) == n
		})
		if traces[n-1] != want {
			t.Errorf("%q is recorded as %q", header, traces[n-1])
		}
	}
}
