package resource_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource"
	"github.com/remit-auth/remit/tokens/resource/resourcetest"
)

const conditionalPolicy = `
version: 1
bearer: all
scopes: {tickets: {roles: [near, far, known, keyed, late]}}
roles:
  near:  {when: {addresses: [127.0.0.0/8, "::1"]}, tools: {search_tickets: {}}}
  far:   {when: {addresses: [203.0.113.0/24]}, tools: {get_ticket: {}}}
  known: {tools: {add_comment: {when: {client: [registered, cimd]}}}}
  keyed: {tools: {email_customer: {when: {key_bound: true}}}}
  late:  {tools: {delete_ticket: {when: {hours: [{days: [mon, tue, wed, thu, fri, sat, sun], from: "FROM", to: "TO", zone: UTC}]}}}}
`

// conditional is the policy with hours that begin so long after now.
func conditional(in time.Duration) string {
	from := time.Now().UTC().Add(in)
	return strings.NewReplacer("FROM", from.Format("15:04"), "TO", from.Add(time.Hour).Format("15:04")).Replace(conditionalPolicy)
}

func everything() resourcetest.Grant {
	g := resourcetest.Grant{Scopes: []string{"tickets"}, Roles: []string{"near", "far", "known", "keyed", "late"}}
	for _, tool := range []string{"search_tickets", "get_ticket", "add_comment", "email_customer", "delete_ticket"} {
		g.Tools = append(g.Tools, tokens.ToolDetail{Tool: tool})
	}
	return g
}

func TestConditionsOfTheGuard(t *testing.T) {
	w := newWorld(t, func(c *resource.Config) { c.Policy = []byte(conditional(2 * time.Hour)) })
	token := w.token(everything())
	for _, tool := range []string{"search_tickets", "add_comment", "email_customer"} {
		if a := w.call(token, tool, web); a.status != http.StatusOK {
			t.Errorf("%s: %d %s", tool, a.status, a.body)
		}
	}
	a := w.call(token, "get_ticket", web)
	w.wants(a, http.StatusForbidden, resource.NotNow)
	if d := a.denial.Error.Data; d.Remediation != "unavailable" || !strings.Contains(d.Hint, "networks") || strings.Contains(a.body, "203.0.113") {
		t.Errorf("the hint must help and not tell the networks: %s", a.body)
	}
	if strings.Contains(a.header.Get("WWW-Authenticate"), "scope=") {
		t.Errorf("a consent cannot help: %q", a.header.Get("WWW-Authenticate"))
	}
	w.wants(w.call(token, "delete_ticket", web), http.StatusForbidden, resource.NotNow)
	w.issuer.Advance(2*time.Hour + time.Minute)
	w.ready()
	if a := w.call(w.token(everything()), "delete_ticket", web); a.status != http.StatusOK {
		t.Errorf("in its hours: %d %s", a.status, a.body)
	}
	unknown := everything()
	for _, grade := range []string{"dcr", "none", "Registered"} {
		unknown.Grade = grade
		w.wants(w.call(w.token(unknown), "add_comment", web), http.StatusForbidden, resource.NotNow)
	}
	reasons := w.issuer.Executions(w.uri, 12)
	last := reasons[len(reasons)-1]
	if last.Reason != "condition" || last.Checks[len(last.Checks)-1].Name != "condition" || last.Checks[len(last.Checks)-1].OK {
		t.Errorf("the ledger is told %+v", last)
	}
}

func TestConditionOfAKey(t *testing.T) {
	w := newWorld(t, func(c *resource.Config) { c.Policy = []byte(conditional(0)) })
	g := everything()
	g.Bearer = true
	token := w.token(g)
	send := func(tool string) answer {
		r := w.request(resourcetest.Call(tool, web))
		r.Header.Set("Authorization", "Bearer "+token.Raw)
		return w.do(http.DefaultClient, r)
	}
	w.wants(send("email_customer"), http.StatusForbidden, resource.NotNow)
	if a := send("search_tickets"); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestClientAddress: a right may follow from an address, so no header is believed that a trusted
// proxy has not written, and what cannot be read is no address.
func TestClientAddress(t *testing.T) {
	tests := map[string]struct {
		proxies   []string
		peer      string
		forwarded []string
		want      string // empty: not known
	}{
		"the peer":                        {nil, "203.0.113.7:1000", nil, "203.0.113.7"},
		"IPv4 in IPv6":                    {nil, "[::ffff:203.0.113.7]:1000", nil, "203.0.113.7"},
		"an address with a zone":          {nil, "[fe80::1%eth0]:1000", nil, "fe80::1"},
		"a header without a proxy":        {nil, "203.0.113.7:1000", []string{"10.0.0.1"}, "203.0.113.7"},
		"a header of another peer":        {[]string{"192.0.2.1"}, "203.0.113.7:1000", []string{"10.0.0.1"}, "203.0.113.7"},
		"behind a proxy":                  {[]string{"192.0.2.1"}, "192.0.2.1:1000", []string{"203.0.113.7"}, "203.0.113.7"},
		"a client that writes the header": {[]string{"192.0.2.1"}, "192.0.2.1:1000", []string{"10.0.0.1, 203.0.113.7"}, "203.0.113.7"},
		"two headers":                     {[]string{"192.0.2.1"}, "192.0.2.1:1000", []string{"10.0.0.1", "203.0.113.7"}, "203.0.113.7"},
		"two proxies":                     {[]string{"192.0.2.0/24"}, "192.0.2.1:1000", []string{"10.0.0.1, 203.0.113.7, 192.0.2.2"}, "203.0.113.7"},
		"a proxy that says nothing":       {[]string{"192.0.2.1"}, "192.0.2.1:1000", nil, ""},
		"a proxy that says unknown":       {[]string{"192.0.2.1"}, "192.0.2.1:1000", []string{"unknown"}, ""},
		"a hop behind a proxy":            {[]string{"192.0.2.0/24"}, "192.0.2.1:1000", []string{"what, 192.0.2.2"}, ""},
		"a port behind a proxy":           {[]string{"192.0.2.1"}, "192.0.2.1:1000", []string{"203.0.113.7:80"}, ""},
		"no peer":                         {nil, "@", nil, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r, err := http.NewRequest(http.MethodPost, "http://tickets.example/mcp", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.RemoteAddr = tt.peer
			r.Header["X-Forwarded-For"] = tt.forwarded
			got, err := resource.ClientAddress(tt.proxies, r)
			if err != nil {
				t.Fatal(err)
			}
			if want, _ := netip.ParseAddr(tt.want); got != want {
				t.Errorf("the client is at %v, want %v", got, want)
			}
		})
	}
	if _, err := resource.ClientAddress([]string{"proxy.example"}, nil); err == nil {
		t.Error("a proxy by name is taken")
	}
}

func TestConditionBehindAProxy(t *testing.T) {
	w := newWorld(t, func(c *resource.Config) {
		c.Policy, c.TrustedProxies = []byte(conditional(0)), []string{"127.0.0.1", "::1"}
	})
	token := w.token(everything())
	from := func(tool, address string) answer {
		r := w.signed(token, resourcetest.Call(tool, web))
		if address != "" {
			r.Header.Set("X-Forwarded-For", address)
		}
		return w.do(http.DefaultClient, r)
	}
	if a := from("get_ticket", "203.0.113.9"); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
	w.wants(from("get_ticket", "203.0.113.9, 198.51.100.1"), http.StatusForbidden, resource.NotNow)
	w.wants(from("get_ticket", ""), http.StatusForbidden, resource.NotNow)
	w.wants(from("search_tickets", "127.0.0.9, what"), http.StatusForbidden, resource.NotNow)
}
