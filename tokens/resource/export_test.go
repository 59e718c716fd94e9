package resource

import (
	"crypto/sha256"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/remit-auth/remit/tokens"
)

// Unrecorded is Protect without the record, to measure what the decision alone costs.
func (g *Guard) Unrecorded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &call{g: g, w: w, r: r, now: g.now(), rules: g.rules.Load()}
		if n, f := c.decide(); f != nil {
			c.refused(f, n)
			f.write(c)
			return
		}
		next.ServeHTTP(w, c.admitted(newPermit(c)))
	})
}

// newTestRequest is a request with this Authorization header.
func newTestRequest(authorization string) (*http.Request, error) {
	r, err := http.NewRequest(http.MethodPost, "https://tickets.example/mcp", nil)
	if err == nil {
		r.Header.Set("Authorization", authorization)
	}
	return r, err
}

// GlanceAtPolicy is what the Guard does with its policy file every two seconds; LookAtPolicy is two of
// these, after which a file that is left alone is in force.
func (g *Guard) GlanceAtPolicy() { g.lookAtPolicy() }

func (g *Guard) LookAtPolicy() {
	g.lookAtPolicy()
	g.lookAtPolicy()
}

// ClientAddress is where a request came from, as a Guard behind these proxies sees it.
func ClientAddress(trusted []string, r *http.Request) (netip.Addr, error) {
	p, err := parseProxies(trusted)
	if err != nil {
		return netip.Addr{}, err
	}
	return p.client(r), nil
}

// ParseRead is what a message would read.
func ParseRead(raw []byte) (kind, target string, err error) {
	m, err := parseMessage(raw)
	return string(m.read), m.target, err
}

// Remember fills the memory of verified tokens with n that live.
func (g *Guard) Remember(n int) {
	now := g.now()
	for i := range n {
		b := &bearer{granted: &granted{}}
		b.ID, b.Expires = tokens.NewID("at_"), now.Add(5*time.Minute)
		g.verified.put(sha256.Sum256([]byte(strconv.Itoa(i))), b, now)
	}
}
