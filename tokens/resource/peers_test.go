package resource_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/modelcontextprotocol/go-sdk/auth"

	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource"
	"github.com/remit-auth/remit/tokens/resource/resourcetest"
)

// BenchmarkTools is the decision with that many consented tools, and with 10⁵ live tokens besides.
func BenchmarkTools(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			rules, all, details := manyTools(n)
			for i := range details { // as the live definitions are: a large manifest is published a little later
				d, err := tokens.ParseDefinition(all[i])
				if err != nil {
					b.Fatal(err)
				}
				if details[i].Definition, err = d.Hash(); err != nil {
					b.Fatal(err)
				}
			}
			grant := resourcetest.Grant{Scopes: []string{"all"}, Roles: []string{"agent"}, Tools: details}
			protectAs(b, 1, (*resource.Guard).Unrecorded, rules, all, grant, fmt.Sprintf("tool_%04d", n-1), 0)
		})
	}
	b.Run("live100000", func(b *testing.B) {
		rules, all, details := manyTools(1)
		grant := resourcetest.Grant{Scopes: []string{"all"}, Roles: []string{"agent"}, Tools: details}
		protectAs(b, 1, (*resource.Guard).Unrecorded, rules, all, grant, "tool_0000", 100_000)
	})
}

// BenchmarkPeers is what others check in the same place: a signature and some claims, or by hand, with
// a library, the token and its proof. None of them knows tasks, tools, limits or records.
func BenchmarkPeers(b *testing.B) {
	for name, wrap := range map[string]func(*peer, http.Handler) http.Handler{
		"golang-jwt": (*peer).byHand, "sdk-bearer": (*peer).bySDK,
	} {
		b.Run(name, func(b *testing.B) {
			issuer := resourcetest.New(b)
			const uri = "https://tickets.example/mcp"
			issuer.Enrolment(uri)
			token := issuer.Token(uri, reader())
			public, _, err := tokens.ParsePublicJWK(issuer.Key().PublicJWK())
			if err != nil {
				b.Fatal(err)
			}
			p := &peer{key: public, uri: uri, seen: map[string]bool{}}
			ran := 0
			h := wrap(p, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { ran++ }))
			body := resourcetest.Call("search_tickets", web)
			target, err := url.Parse(uri)
			if err != nil {
				b.Fatal(err)
			}
			scheme := "DPoP "
			if name == "sdk-bearer" {
				scheme = "Bearer "
			}
			proofs := make([]string, b.N)
			for i := range proofs {
				if proofs[i], err = token.Key.Proof(http.MethodPost, uri, "", token.Raw, time.Now()); err != nil {
					b.Fatal(err)
				}
			}
			ceiling := measure(b)
			runtime.GC()
			b.ResetTimer()
			start := cpu(b)
			for i := range b.N {
				h.ServeHTTP(discard{http.Header{}}, request(target, scheme+token.Raw, proofs[i], body))
			}
			b.StopTimer()
			report(b, cpu(b)-start, (ceiling+measure(b))/2)
			if ran != b.N {
				b.Fatalf("%d of %d were let through", ran, b.N)
			}
		})
	}
}

// peer is a check as an author would write it.
type peer struct {
	key  any
	uri  string
	mu   sync.Mutex
	seen map[string]bool
}

func (p *peer) token(raw string) (jwt.MapClaims, error) {
	claims := jwt.MapClaims{}
	_, err := jwt.ParseWithClaims(raw, claims, func(*jwt.Token) (any, error) { return p.key, nil },
		jwt.WithValidMethods([]string{"ES256"}), jwt.WithAudience(p.uri), jwt.WithExpirationRequired())
	return claims, err
}

func (p *peer) byHand(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw := strings.TrimPrefix(r.Header.Get("Authorization"), "DPoP ")
		claims, err := p.token(raw)
		if err == nil {
			err = p.proof(r, raw, claims)
		}
		var message map[string]any
		if err == nil {
			err = json.NewDecoder(r.Body).Decode(&message)
		}
		if err != nil || message["method"] != "tools/call" {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (p *peer) proof(r *http.Request, raw string, claims jwt.MapClaims) error {
	var thumbprint string
	proof := jwt.MapClaims{}
	_, err := jwt.ParseWithClaims(r.Header.Get("DPoP"), proof, func(t *jwt.Token) (any, error) {
		jwk, err := json.Marshal(t.Header["jwk"])
		if err != nil {
			return nil, err
		}
		key, jkt, err := tokens.ParsePublicJWK(jwk)
		thumbprint = jkt
		return key, err
	}, jwt.WithValidMethods([]string{"ES256"}))
	sum := sha256.Sum256([]byte(raw))
	bound, _ := claims["cnf"].(map[string]any)
	jti, _ := proof["jti"].(string)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err != nil:
		return err
	case bound["jkt"] != thumbprint, proof["htm"] != r.Method, proof["htu"] != p.uri, proof["ath"] != base64.RawURLEncoding.EncodeToString(sum[:]), p.seen[jti]:
		return errors.New("the proof is not good")
	}
	p.seen[jti] = true
	return nil
}

func (p *peer) bySDK(next http.Handler) http.Handler {
	return auth.RequireBearerToken(func(_ context.Context, raw string, _ *http.Request) (*auth.TokenInfo, error) {
		claims, err := p.token(raw)
		if err != nil {
			return nil, auth.ErrInvalidToken
		}
		expires, err := claims.GetExpirationTime()
		if err != nil {
			return nil, err
		}
		return &auth.TokenInfo{Expiration: expires.Time, UserID: fmt.Sprint(claims["sub"])}, nil
	}, nil)(next)
}

// BenchmarkStreams is what a thousand open streams take of the Guard's process, net/http and the
// test's clients included, and how soon all of them end with their task.
func BenchmarkStreams(b *testing.B) {
	const streams = 1000
	for range b.N {
		issuer := resourcetest.New(b)
		var guard *resource.Guard
		var open sync.WaitGroup
		open.Add(streams)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			guard.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				p, ok := resource.PermitFrom(r.Context())
				if !ok || p.Method() != "tools/call" {
					return
				}
				w.WriteHeader(http.StatusOK)
				http.NewResponseController(w).Flush()
				open.Done()
				p.Wait(r.Context())
			})).ServeHTTP(w, r)
		}))
		uri := server.URL + "/mcp"
		guard = issuer.Guard(issuer.Config(uri, ticketsPolicy, (&world{tools: benchTools()}).list))
		token := issuer.Token(uri, reader())
		client := token.Client()
		resp, err := client.Post(uri, "application/json", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)) // for a nonce
		if err != nil {
			b.Fatal(err)
		}
		resp.Body.Close()
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var ended sync.WaitGroup
		for range streams {
			ended.Go(func() {
				resp, err := client.Post(uri, "application/json", strings.NewReader(string(resourcetest.Call("search_tickets", web))))
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			})
		}
		open.Wait()
		runtime.GC()
		runtime.ReadMemStats(&after)
		start := time.Now()
		issuer.EndTask(token.Claims.Task.ID)
		ended.Wait()
		b.ReportMetric(float64(after.HeapInuse+after.StackInuse-before.HeapInuse-before.StackInuse)/streams/1024, "KiB/stream")
		b.ReportMetric(float64(time.Since(start).Milliseconds()), "ms-to-end-all")
		server.Close()
	}
}
