package resource_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource"
	"github.com/remit-auth/remit/tokens/resource/resourcetest"
)

// BenchmarkProtect measures what the Guard's decision costs beside its ceiling, the one signature
// that nobody can avoid: the ECDSA P-256 verification of the proof. CPU time is the process's, and
// the ceiling is measured anew right before and after each benchmark, so that ratios are of one run.
func BenchmarkProtect(b *testing.B) {
	b.Run("ceiling", func(b *testing.B) {
		verify := verifier(b)
		b.ResetTimer()
		start := cpu(b)
		for range b.N {
			verify()
		}
		b.StopTimer()
		report(b, cpu(b)-start, 0)
	})
	b.Run("unrecorded", func(b *testing.B) { protect(b, 1, (*resource.Guard).Unrecorded) })
	b.Run("recorded16", func(b *testing.B) { protect(b, 16, (*resource.Guard).Protect) })
	b.Run("recorded1", func(b *testing.B) { protect(b, 1, (*resource.Guard).Protect) })
}

// protect runs b.N calls of a tool by that many clients at once.
func protect(b *testing.B, clients int, handler func(*resource.Guard, http.Handler) http.Handler) {
	protectAs(b, clients, handler, ticketsPolicy, benchTools(), resourcetest.Grant{
		Scopes: []string{"tickets.read"}, Roles: []string{"agent"},
		Tools: []tokens.ToolDetail{{Tool: "search_tickets"}, {Tool: "get_ticket"}},
	}, "search_tickets", 0)
}

// protectAs is protect with another policy, manifest, grant and tool, and with live tokens besides.
func protectAs(b *testing.B, clients int, handler func(*resource.Guard, http.Handler) http.Handler, rules string, tools []json.RawMessage, grant resourcetest.Grant, tool string, live int) {
	issuer := resourcetest.New(b)
	const uri = "https://tickets.example/mcp"
	config := issuer.Config(uri, rules, (&world{tools: tools}).list)
	config.HTTPClient = &http.Client{Transport: swallow{}}
	guard := issuer.Guard(config)
	guard.Remember(live)
	token := issuer.Token(uri, grant)
	var ran atomic.Int64
	h := handler(guard, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { ran.Add(1) }))
	body := resourcetest.Call(tool, map[string]any{"project": "WEB", "query": "printer on fire", "limit": 10})
	proofs := prove(b, h, token, uri, body)
	target, err := url.Parse(uri)
	if err != nil {
		b.Fatal(err)
	}
	authorization := "DPoP " + token.Raw
	ceiling := measure(b)
	runtime.GC() // what was prepared is not part of the work
	var next atomic.Int64
	var group sync.WaitGroup
	b.ResetTimer()
	start := cpu(b)
	for range clients {
		group.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				h.ServeHTTP(discard{http.Header{}}, request(target, authorization, proofs[i], body))
			}
		})
	}
	group.Wait()
	b.StopTimer()
	used := cpu(b) - start
	report(b, used, (ceiling+measure(b))/2)
	if got := ran.Load(); got != int64(b.N)+1 {
		b.Fatalf("%d of %d calls were let through: %v", got, b.N, guard.Refusals())
	}
}

// prove signs a proof for each of b.N requests, and one for good measure, before the clock runs.
func prove(b *testing.B, h http.Handler, token *resourcetest.Token, uri string, body []byte) []string {
	proof := func(nonce string) string {
		p, err := token.Key.Proof(http.MethodPost, uri, nonce, token.Raw, time.Now())
		if err != nil {
			b.Fatal(err)
		}
		return p
	}
	w := discard{http.Header{}}
	target, err := url.Parse(uri)
	if err != nil {
		b.Fatal(err)
	}
	authorization := "DPoP " + token.Raw
	h.ServeHTTP(w, request(target, authorization, proof(""), body))
	proofs := make([]string, b.N+1)
	for i := range proofs {
		proofs[i] = proof(w.header.Get("DPoP-Nonce"))
	}
	h.ServeHTTP(discard{http.Header{}}, request(target, authorization, proofs[0], body)) // from now on the token is known
	return proofs
}

// request puts together what net/http would hand over; taking the target apart is its work, not the
// handler's.
func request(target *url.URL, authorization, proof string, body []byte) *http.Request {
	return &http.Request{
		Method: http.MethodPost, URL: target, Host: target.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{
			"Authorization": {authorization}, "Dpop": {proof},
			"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"},
		},
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
}

func benchTools() (all []json.RawMessage) {
	for _, name := range []string{"search_tickets", "get_ticket", "add_comment"} {
		all = append(all, definition(name, "Does "+name))
	}
	return all
}

// swallow takes execution records as an authorization server would, without its work.
type swallow struct{}

func (swallow) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path != "/executions" {
		return http.DefaultTransport.RoundTrip(r)
	}
	var batch batch
	if _, err := io.Copy(&batch, r.Body); err != nil { // the whole body in one Write
		return nil, err
	}
	answer := `{"next":` + strconv.FormatInt(batch.first+batch.records, 10) + `}`
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(answer)), Request: r}, nil
}

// batch is what can be seen of a body of /executions without copying it.
type batch struct{ first, records int64 }

func (b *batch) Write(raw []byte) (int, error) {
	b.records += int64(bytes.Count(raw, []byte(`{"kind":"`)))
	for _, c := range bytes.TrimPrefix(raw, []byte(`{"first":`)) {
		if c < '0' || c > '9' {
			break
		}
		b.first = b.first*10 + int64(c-'0')
	}
	return len(raw), nil
}

// discard is an answer that nobody reads.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

// verifier returns one P-256 verification.
func verifier(b *testing.B) func() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	digest := sha256.Sum256([]byte("what is signed"))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		b.Fatal(err)
	}
	return func() {
		if !ecdsa.Verify(&key.PublicKey, digest[:], r, s) {
			b.Fatal("a good signature was refused")
		}
	}
}

// measure returns the CPU time of one verification.
func measure(b *testing.B) time.Duration {
	verify := verifier(b)
	const n = 2000
	start := cpu(b)
	for range n {
		verify()
	}
	return (cpu(b) - start) / n
}

// cpu is the CPU time that the process has used.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func report(b *testing.B, used, ceiling time.Duration) {
	each := float64(used) / float64(b.N)
	b.ReportMetric(each/1000, "cpu-µs/op")
	if ceiling > 0 {
		b.ReportMetric(each/float64(ceiling), "×verify")
	}
}
