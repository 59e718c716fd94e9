package server_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/store"
)

// The benchmarks of this file report CPU per operation of server and store together, with 16
// requests at once and proofs signed before the window, beside the ceiling measured in the same
// run: the signatures and durable writes that the operation cannot do without.

const benchParallel = 16

// cpu is the processor time that this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// together runs n operations, 16 at once, and returns the CPU of one.
func together(n int, op func(worker, i int)) time.Duration {
	var next atomic.Int64
	var all sync.WaitGroup
	before := cpu()
	for worker := range benchParallel {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				op(worker, i)
			}
		})
	}
	all.Wait()
	return (cpu() - before) / time.Duration(n)
}

// report prints the operation beside its ceiling.
func report(b *testing.B, op, ceiling time.Duration) {
	b.ReportMetric(0, "ns/op") // wall time of both together means nothing here
	b.ReportMetric(float64(op.Microseconds()), "cpu-µs/op")
	b.ReportMetric(float64(ceiling.Microseconds()), "ceiling-µs/op")
	b.ReportMetric(float64(op)/float64(ceiling), "×ceiling")
}

// unavoidable does the signatures and durable writes of one operation.
func unavoidable(b *testing.B, s store.Store, verifies, signs, writes int) func(int, int) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(b, err)
	digest := sha256.Sum256([]byte("remit"))
	sig, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	must(b, err)
	return func(int, int) {
		for range verifies {
			if !ecdsa.VerifyASN1(&key.PublicKey, digest[:], sig) {
				panic("signature")
			}
		}
		for range signs {
			if _, err := ecdsa.SignASN1(rand.Reader, key, digest[:]); err != nil {
				panic(err)
			}
		}
		for range writes {
			if err := s.Append(context.Background(), store.NewRecord("bench", nil)); err != nil {
				panic(err)
			}
		}
	}
}

// serve sends a request straight to the handler.
func serve(h http.Handler, method, target, body, cookie string, proof string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	if proof != "" {
		r.Header.Set("DPoP", proof)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// benchWorld is newWorld whose limits no benchmark meets; they are drawn from all the same.
func benchWorld(b *testing.B) *world {
	return newWorldOn(b, func(s store.Store) store.Store { return s }, func(c *server.Config) { c.RateFactor = 1e6 })
}

// proofs signs n proofs of the agent for one endpoint, with the nonce that it holds.
func (a *agent) proofs(path string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = a.proof("POST", path, "")
	}
	return all
}

// BenchmarkTokenWithDPoP is a refresh: client, proof, rotation, a new key-bound access token.
func BenchmarkTokenWithDPoP(b *testing.B) {
	w := benchWorld(b)
	h := w.server.Handler()
	agents, refresh := make([]*agent, benchParallel), make([]string, benchParallel)
	proofs := make([][]string, benchParallel)
	n := max(b.N, 2000)
	for i := range agents {
		agents[i] = w.agent(w.client)
		refresh[i] = agents[i].tokens().text("refresh_token")
		proofs[i] = agents[i].proofs("/token", n)
	}
	ceiling := together(n, unavoidable(b, w.store, 1, 1, 1))
	op := together(n, func(worker, i int) {
		got := serve(h, "POST", "/token", agents[worker].refreshForm(refresh[worker]).Encode(), "", proofs[worker][i])
		if got.Code != http.StatusOK {
			panic(got.Body.String())
		}
		_, rest, _ := strings.Cut(got.Body.String(), `"refresh_token":"`)
		refresh[worker], _, _ = strings.Cut(rest, `"`)
	})
	report(b, op, ceiling)
}

// BenchmarkCodeFlow is PAR with a proof, the consent page, the decision and the token with a proof,
// by a user who is signed in.
func BenchmarkCodeFlow(b *testing.B) {
	w := benchWorld(b)
	h := w.server.Handler()
	a := w.agent(w.client)
	a.post("/par", a.request()) // learns the nonce
	person := w.browser()
	person.signIn()
	cookie := person.http.Jar.Cookies(&url.URL{Scheme: "http", Host: strings.TrimPrefix(w.issuer, "http://"), Path: "/"})[0].String()
	n := max(b.N, 500)
	pushes, redemptions := a.proofs("/par", n), a.proofs("/token", n)
	ceiling := together(n, unavoidable(b, w.store, 2, 1, 4))
	op := together(n, func(_, i int) {
		pushed := serve(h, "POST", "/par", a.request().Encode(), "", pushes[i])
		_, rest, _ := strings.Cut(pushed.Body.String(), `"request_uri":"`)
		uri, _, _ := strings.Cut(rest, `"`)
		page := serve(h, "GET", "/authorize?"+url.Values{"client_id": {a.client}, "request_uri": {uri}}.Encode(), "", cookie, "")
		form := hidden(page.Body.String())
		form["tool"], form["duration"], form["decision"] = []string{"search_tickets", "add_comment"}, []string{"1800"}, []string{"allow"}
		decided := serve(h, "POST", "/consent", form.Encode(), cookie, "")
		to, err := url.Parse(decided.Header().Get("Location"))
		if err != nil || to.Query().Get("code") == "" {
			panic(decided.Body.String())
		}
		if got := serve(h, "POST", "/token", a.codeForm(to.Query().Get("code")).Encode(), "", redemptions[i]); got.Code != http.StatusOK {
			panic(got.Body.String())
		}
	})
	report(b, op, ceiling)
}

// BenchmarkClientCredentials is a token for the client itself: secret, proof, a new key-bound access token.
func BenchmarkClientCredentials(b *testing.B) {
	w := benchWorld(b)
	h := w.server.Handler()
	a := w.grantClient("Nightly job")
	form := with(a.ownForm(), "client_secret", a.secret).Encode()
	a.post("/token", a.ownForm()) // learns the nonce
	n := max(b.N, 1000)
	proofs := a.proofs("/token", n)
	ceiling := together(n, unavoidable(b, w.store, 1, 1, 1))
	op := together(n, func(_, i int) {
		if got := serve(h, "POST", "/token", form, "", proofs[i]); got.Code != http.StatusOK {
			panic(got.Body.String())
		}
	})
	report(b, op, ceiling)
}
