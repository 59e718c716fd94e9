package server_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/server/fetch"
	"github.com/remit-auth/remit/server/fetch/fetchtest"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

const bearerGrant = "urn:ietf:params:oauth:grant-type:jwt-bearer"

// foreignIssuer is somebody else's issuer, whose key set is really served.
type foreignIssuer struct {
	t   testing.TB
	url string
	set jose.JSONWebKeySet
	key jose.SigningKey

	down  atomic.Bool
	asked atomic.Int32 // for its key set
}

func newForeignIssuer(t testing.TB, url string, alg jose.SignatureAlgorithm) *foreignIssuer {
	t.Helper()
	var key crypto.Signer
	var err error
	if alg == jose.RS256 {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	must(t, err)
	return &foreignIssuer{
		t: t, url: url, key: jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: "k1"}},
		set: jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k1", Algorithm: string(alg), Use: "sig"}}},
	}
}

// sign makes a JWT of this type with these claims.
func (i *foreignIssuer) sign(typ string, claims map[string]any) string {
	i.t.Helper()
	opts := &jose.SignerOptions{}
	if typ != "" {
		opts = opts.WithType(jose.ContentType(typ))
	}
	signer, err := jose.NewSigner(i.key, opts)
	must(i.t, err)
	raw, err := json.Marshal(claims)
	must(i.t, err)
	jws, err := signer.Sign(raw)
	must(i.t, err)
	text, err := jws.CompactSerialize()
	must(i.t, err)
	return text
}

// trustWorld is a world that trusts an identity provider and a cluster.
func trustWorld(t testing.TB) (w *world, enterprise, cluster *foreignIssuer) {
	enterprise = newForeignIssuer(t, "https://idp.example", jose.RS256)
	cluster = newForeignIssuer(t, "https://cluster.example", jose.ES256)
	site := fetchtest.NewSite(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		from := enterprise
		if r.URL.Path == "/cluster" {
			from = cluster
		}
		if from.asked.Add(1); from.down.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		json.NewEncoder(w).Encode(from.set)
	}))
	trust, err := server.ParseTrust([]byte(fmt.Sprintf(`{"trusted_issuers":[
		{"issuer":%q,"kind":"id-jag","jwks_uri":%q,"clients":["*"]},
		{"issuer":%q,"kind":"workload","jwks_uri":%q,"audience":"remit","rules":[
			{"match":{"sub":"system:serviceaccount:jobs:*"},"client":"cli_workload","scopes":["tickets.read"]}]}]}`,
		enterprise.url, site.At("agent.example.com", "/idp"), cluster.url, site.At("agent.example.com", "/cluster"))))
	must(t, err)
	w = newWorldOn(t, func(s store.Store) store.Store { return s }, func(c *server.Config) {
		c.Trust = trust
		c.Fetch = fetch.Config{Ports: []uint16{site.Port()}, Roots: site.Roots(), Resolver: site.DNS.Resolver(), Timeout: 20 * time.Second}
	})
	w.vouches = enterprise
	return w, enterprise, cluster
}

func init() {
	grantCases[bearerGrant] = grantCase{
		good: func(w *world, a *agent) (url.Values, string) {
			return a.bearerForm(w.vouches.sign("oauth-id-jag+jwt", w.idJAG(w.vouches, a))), ""
		},
		free: []string{"a wrong key", "an ended task"}, // it is bound to user and client, and begins a task of its own
	}
}

// idJAG are the claims of a good assertion for the agent's client and Mara.
func (w *world) idJAG(i *foreignIssuer, a *agent) map[string]any {
	return map[string]any{
		"iss": i.url, "sub": "00u1", "aud": w.issuer, "client_id": a.client, "jti": tokens.NewID(""), "email": "mara@example.com",
		"iat": w.clock.Now().Unix(), "exp": w.clock.Now().Add(5 * time.Minute).Unix(), "resource": ticketsURI, "scope": "tickets.read tickets.write",
	}
}

func (a *agent) bearerForm(assertion string) url.Values {
	return url.Values{"grant_type": {bearerGrant}, "client_id": {a.client}, "assertion": {assertion}, "scope": {"tickets.write"}}
}

func TestIDJAG(t *testing.T) {
	w, enterprise, cluster := trustWorld(t)
	ctx := context.Background()
	a, other := w.grantClient("Desktop"), w.grantClient("Other")
	got := a.post("/token", a.bearerForm(enterprise.sign("oauth-id-jag+jwt", w.idJAG(enterprise, a))))
	if got.Status != 200 || got.text("token_type") != "DPoP" || got.text("refresh_token") != "" {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	c := w.claims(got.text("access_token"))
	if c.Subject != w.user.ID || c.ClientID != a.client || c.Audience != ticketsURI || strings.Contains(got.Body, "delete_ticket") || !strings.Contains(got.Body, "add_comment") {
		t.Errorf("claims: %+v", c)
	}
	good := func(typ string, change map[string]any) url.Values {
		claims := w.idJAG(enterprise, a)
		for k, v := range change {
			if claims[k] = v; v == nil {
				delete(claims, k)
			}
		}
		return a.bearerForm(enterprise.sign(typ, claims))
	}
	now := w.clock.Now()
	once := good("oauth-id-jag+jwt", nil)
	if got := a.post("/token", once); got.Status != 200 {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	for name, tt := range map[string]struct {
		form url.Values
		code string
	}{
		"used twice":             {once, "invalid_grant"},
		"typ JWT":                {good("JWT", nil), "invalid_grant"},
		"typ at+jwt":             {good("at+jwt", nil), "invalid_grant"},
		"another audience":       {good("oauth-id-jag+jwt", map[string]any{"aud": "https://other.example"}), "invalid_grant"},
		"no audience":            {good("oauth-id-jag+jwt", map[string]any{"aud": nil}), "invalid_grant"},
		"another issuer":         {good("oauth-id-jag+jwt", map[string]any{"iss": "https://other.example"}), "invalid_grant"},
		"an issuer of workloads": {a.bearerForm(cluster.sign("oauth-id-jag+jwt", w.idJAG(cluster, a))), "invalid_grant"},
		"signed by another key":  {a.bearerForm(cluster.sign("oauth-id-jag+jwt", w.idJAG(enterprise, a))), "invalid_grant"},
		"for another client":     {good("oauth-id-jag+jwt", map[string]any{"client_id": other.client}), "invalid_grant"},
		"for no client":          {good("oauth-id-jag+jwt", map[string]any{"client_id": nil}), "invalid_grant"},
		"no jti":                 {good("oauth-id-jag+jwt", map[string]any{"jti": nil}), "invalid_grant"},
		"expired":                {good("oauth-id-jag+jwt", map[string]any{"exp": now.Unix()}), "invalid_grant"},
		"without an end":         {good("oauth-id-jag+jwt", map[string]any{"exp": nil}), "invalid_grant"},
		"too long":               {good("oauth-id-jag+jwt", map[string]any{"exp": now.Add(time.Hour).Unix()}), "invalid_grant"},
		"too old":                {good("oauth-id-jag+jwt", map[string]any{"iat": now.Add(-time.Hour).Unix()}), "invalid_grant"},
		"of the future":          {good("oauth-id-jag+jwt", map[string]any{"iat": now.Add(time.Hour).Unix()}), "invalid_grant"},
		"an unknown user":        {good("oauth-id-jag+jwt", map[string]any{"email": "nobody@example.com"}), "invalid_grant"},
		"no user":                {good("oauth-id-jag+jwt", map[string]any{"email": nil}), "invalid_grant"},
		"not a JWT":              {a.bearerForm("x.y"), "invalid_grant"},
		"a wider scope":          {good("oauth-id-jag+jwt", map[string]any{"scope": "tickets.read"}), "invalid_scope"},
		"an unknown resource":    {good("oauth-id-jag+jwt", map[string]any{"resource": "https://unknown.example/mcp"}), "invalid_target"},
		"a resource besides":     {with(good("oauth-id-jag+jwt", nil), "resource", "https://other.example/mcp"), "invalid_target"},
	} {
		t.Run(name, func(t *testing.T) {
			want(t, a.post("/token", tt.form), 400, tt.code)
			if got := a.post("/token", good("oauth-id-jag+jwt", nil)); got.Status != 200 {
				t.Errorf("the good request after it: %d %s", got.Status, got.Body)
			}
		})
	}
	must(t, w.store.UnassignRole(ctx, w.user.ID, ticketsURI, "agent"))
	want(t, a.post("/token", good("oauth-id-jag+jwt", nil)), 400, "invalid_scope") // never more than the user's roles
}

// TestTrustedKeysUnread: while an issuer's key set cannot be read, no flood of assertions reaches its server.
func TestTrustedKeysUnread(t *testing.T) { // CA9, of those that an admin trusts
	w, enterprise, _ := trustWorld(t)
	a := w.grantClient("Desktop")
	signed := func() answer {
		return a.post("/token", a.bearerForm(enterprise.sign("oauth-id-jag+jwt", w.idJAG(enterprise, a))))
	}
	enterprise.down.Store(true)
	for range 6 {
		want(t, signed(), 503, "temporarily_unavailable")
	}
	if n := enterprise.asked.Load(); n != 2 {
		t.Errorf("asked for %d times", n)
	}
	enterprise.down.Store(false)
	w.clock.Add(time.Minute)
	if got := signed(); got.Status != 200 {
		t.Errorf("afterwards: %d %s", got.Status, got.Body)
	}
}

func TestWorkload(t *testing.T) {
	w, enterprise, cluster := trustWorld(t)
	ctx := context.Background()
	must(t, w.store.AddClient(ctx, store.Client{ID: "cli_workload", CreatedAt: w.clock.Now(), Metadata: store.ClientMetadata{
		ClientName: "Nightly job", TokenEndpointAuthMethod: "none", GrantTypes: []string{bearerGrant},
	}}))
	must(t, w.store.AssignClientRole(ctx, "cli_workload", ticketsURI, "reader"))
	a := w.agent("cli_workload")
	claims := func(change map[string]any) map[string]any {
		c := map[string]any{
			"iss": cluster.url, "sub": "system:serviceaccount:jobs:nightly", "aud": []string{"remit"}, "jti": tokens.NewID(""),
			"iat": w.clock.Now().Unix(), "exp": w.clock.Now().Add(time.Hour).Unix(),
		}
		for k, v := range change {
			c[k] = v
		}
		return c
	}
	form := func(i *foreignIssuer, typ string, change map[string]any) url.Values {
		return url.Values{"grant_type": {bearerGrant}, "assertion": {i.sign(typ, claims(change))}, "resource": {ticketsURI}}
	}
	got := a.post("/token", form(cluster, "", nil))
	if got.Status != 200 || w.claims(got.text("access_token")).Subject != "cli_workload" || strings.Contains(got.Body, "add_comment") {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	once := form(cluster, "JWT", nil)
	if got := a.post("/token", once); got.Status != 200 {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	for name, tt := range map[string]struct {
		form url.Values
		code string
	}{
		"used twice":        {once, "invalid_grant"},
		"another namespace": {form(cluster, "", map[string]any{"sub": "system:serviceaccount:other:nightly"}), "invalid_grant"},
		"another audience":  {form(cluster, "", map[string]any{"aud": "https://kubernetes.default.svc"}), "invalid_grant"},
		"another issuer":    {form(enterprise, "", map[string]any{"iss": enterprise.url}), "invalid_grant"},
		"as an ID-JAG":      {form(cluster, "oauth-id-jag+jwt", nil), "invalid_grant"},
		"for days":          {form(cluster, "", map[string]any{"exp": w.clock.Now().Add(72 * time.Hour).Unix()}), "invalid_grant"},
		"a scope beyond":    {with(form(cluster, "", nil), "scope", "tickets.write"), "invalid_scope"},
	} {
		t.Run(name, func(t *testing.T) { want(t, a.post("/token", tt.form), 400, tt.code) })
	}
	want(t, a.post("/token", with(form(cluster, "", nil), "client_id", w.client)), 401, "invalid_client")
	// Once, however many present it together.
	for range 5 {
		assertion := form(cluster, "", nil)
		var ok atomic.Int64
		var wg sync.WaitGroup
		for range 32 {
			proof := a.proof("POST", "/token", "")
			wg.Go(func() {
				r, err := http.NewRequest("POST", w.issuer+"/token", strings.NewReader(assertion.Encode()))
				if err != nil {
					return
				}
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				r.Header.Set("DPoP", proof)
				resp, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
				if resp.StatusCode == 200 {
					ok.Add(1)
				}
			})
		}
		wg.Wait()
		if ok.Load() != 1 {
			t.Errorf("%d tasks by one assertion", ok.Load())
		}
	}
}

func TestParseTrust(t *testing.T) {
	for name, file := range map[string]string{
		"unknown member":       `{"trusted_issuers":[],"more":1}`,
		"no issuer":            `{"trusted_issuers":[{"kind":"id-jag","jwks_uri":"https://x/jwks","clients":["*"]}]}`,
		"no keys":              `{"trusted_issuers":[{"issuer":"https://x","kind":"id-jag","clients":["*"]}]}`,
		"another kind":         `{"trusted_issuers":[{"issuer":"https://x","kind":"all","jwks_uri":"https://x/jwks"}]}`,
		"an id-jag for nobody": `{"trusted_issuers":[{"issuer":"https://x","kind":"id-jag","jwks_uri":"https://x/jwks"}]}`,
		"a rule without sub":   `{"trusted_issuers":[{"issuer":"https://x","kind":"workload","jwks_uri":"https://x/jwks","rules":[{"match":{"ns":"a"},"client":"c"}]}]}`,
		"a rule for all":       `{"trusted_issuers":[{"issuer":"https://x","kind":"workload","jwks_uri":"https://x/jwks","rules":[{"match":{"sub":"*"},"client":"c"}]}]}`,
		"a private key":        `{"trusted_issuers":[{"issuer":"https://x","kind":"id-jag","clients":["*"],"jwks":{"keys":[{"kty":"oct","k":"AAAA"}]}}]}`,
	} {
		if _, err := server.ParseTrust([]byte(file)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
