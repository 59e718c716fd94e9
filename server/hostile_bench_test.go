package server_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// BenchmarkHostile is what refusing strangers costs the server, kind by kind (P5); "shed" is one beyond the
// limit of its address.
func BenchmarkHostile(b *testing.B) {
	w := benchWorld(b)
	strict := newWorldOn(b, func(s store.Store) store.Store { return s }, func(c *server.Config) { c.RateFactor = 0.001 })
	h := w.server.Handler()
	a := w.agent(w.client)
	a.post("/par", a.request()) // learns the nonce
	ask := a.request().Encode()
	unknown := with(a.request(), "client_id", tokens.NewID("cli_")).Encode()
	foreign := a.codeForm(tokens.NewSecret("rc_")).Encode()
	refresh := a.refreshForm(tokens.NewSecret("rr_")).Encode()
	huge := "client_id=" + w.client + "&x=" + strings.Repeat("x", 1<<20)
	for _, kind := range []struct {
		name, path, body string
		proofs           string // for which endpoint; empty: none
		handler          http.Handler
		status           int
	}{
		{"shed", "/par", ask, "", strict.server.Handler(), 429},
		{"huge body", "/par", huge, "", h, 413},
		{"no proof", "/token", foreign, "", h, 400},
		{"unknown client", "/par", unknown, "/par", h, 401},
		{"another endpoint's proof", "/par", ask, "/token", h, 400},
		{"another client's code", "/token", foreign, "/token", h, 400},
		{"bad refresh token", "/token", refresh, "/token", h, 400},
		{"good push", "/par", ask, "/par", h, 201},
	} {
		b.Run(kind.name, func(b *testing.B) {
			n := max(b.N, 500)
			proofs := make([]string, n)
			if kind.proofs != "" {
				proofs = a.proofs(kind.proofs, n)
			}
			for range 5 { // empties the bucket of who is to be shed
				serve(kind.handler, "POST", kind.path, kind.body, "", "")
			}
			op := together(n, func(_, i int) {
				if got := serve(kind.handler, "POST", kind.path, kind.body, "", proofs[i]); got.Code != kind.status {
					panic(got.Body.String())
				}
			})
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(op.Microseconds()), "cpu-µs/op")
		})
	}
}
