package resource_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource"
	"github.com/remit-auth/remit/tokens/resource/resourcetest"
)

var b64 = base64.RawURLEncoding

func TestGoodCall(t *testing.T) {
	w := newWorld(t)
	token := w.token(reader())
	a := w.call(token, "search_tickets", map[string]any{"project": "WEB", "limit": 10})
	if a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if p := w.ran[0]; p.User != "usr_test" || p.Task != token.Claims.Task.ID || p.JKT != token.Key.JKT() || p.Execution == "" {
		t.Errorf("principal %+v", p)
	}
	if !strings.Contains(w.sent[0], `"arguments":{"limit":10,"project":"WEB"}`) {
		t.Errorf("the server got %s, not the canonical arguments", w.sent[0])
	}
	records := w.issuer.Executions(w.uri, 2)
	decided, finished := records[0], records[1]
	if decided.Decision != "allowed" || decided.Tool != "search_tickets" || decided.User != "usr_test" || decided.JTI != token.Claims.ID ||
		decided.Arguments != tokens.HashBytes([]byte(`{"limit":10,"project":"WEB"}`)) || len(decided.Checks) < 13 {
		t.Errorf("decision %+v", decided)
	}
	if finished.Execution != decided.Execution || finished.Outcome != "ok" || finished.Duration == 0 {
		t.Errorf("outcome %+v", finished)
	}
}

func TestRS1NoToken(t *testing.T) {
	w := newWorld(t)
	a := w.do(http.DefaultClient, w.request(resourcetest.Call("search_tickets", web)))
	w.wants(a, http.StatusUnauthorized, resource.NoToken)
	for i, c := range a.header.Values("WWW-Authenticate") {
		if strings.Contains(c, "error") || !strings.Contains(c, `scope="tickets.read"`) ||
			!strings.Contains(c, `resource_metadata="`+w.server.URL+`/.well-known/oauth-protected-resource/mcp"`) {
			t.Errorf("challenge %d: %s", i, c)
		}
	}
	if c := a.header.Values("WWW-Authenticate")[1]; !strings.Contains(c, `algs="ES256 EdDSA"`) {
		t.Errorf("DPoP challenge: %s", c)
	}
	w.good()
}

func TestRS2WhereTheTokenIs(t *testing.T) {
	w := newWorld(t)
	token := w.token(reader())
	body := resourcetest.Call("search_tickets", web)
	tests := map[string]struct {
		change func(*http.Request)
		status int
		code   resource.Code
	}{
		"bound token as Bearer": {func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token.Raw) }, 401, resource.NotKeyBound},
		"token in the query": {func(r *http.Request) {
			r.Header.Del("Authorization")
			r.URL.RawQuery = "access_token=" + token.Raw
		}, 401, resource.NoToken},
		"two Authorization headers": {func(r *http.Request) { r.Header.Add("Authorization", "DPoP "+token.Raw) }, 400, resource.BadRequest},
		"both schemes":              {func(r *http.Request) { r.Header.Add("Authorization", "Bearer "+token.Raw) }, 400, resource.BadRequest},
		"both schemes in one":       {func(r *http.Request) { r.Header.Set("Authorization", "DPoP "+token.Raw+", Bearer "+token.Raw) }, 400, resource.BadRequest},
		"an empty token":            {func(r *http.Request) { r.Header.Set("Authorization", "DPoP ") }, 401, resource.NoToken},
		"another scheme":            {func(r *http.Request) { r.Header.Set("Authorization", "Basic "+token.Raw) }, 401, resource.NoToken},
		"a header without end":      {func(r *http.Request) { r.Header.Set("Authorization", "DPoP "+strings.Repeat("a", 20<<10)) }, 400, resource.BadRequest},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := w.signed(token, body)
			tt.change(r)
			w.wants(w.do(http.DefaultClient, r), tt.status, tt.code)
		})
	}
	form := w.request([]byte("access_token=" + token.Raw))
	form.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w.wants(w.do(http.DefaultClient, form), 401, resource.NoToken)
	if w.calls() != 0 {
		t.Errorf("the server ran %d times", w.calls())
	}
	w.good()
}

func TestRS3BadProofs(t *testing.T) {
	w := newWorld(t)
	token := w.token(reader())
	nonce := w.nonce(token)
	proof := func(method, uri, nonce, raw string, at time.Time) string {
		p, err := token.Key.Proof(method, uri, nonce, raw, at)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	now := w.issuer.Now()
	good := proof("POST", w.uri, nonce, token.Raw, now)
	parts := strings.Split(good, ".")
	reheaded := func(change func(map[string]any)) string { // the signature breaks too, but the header is judged first
		raw, _ := b64.DecodeString(parts[0])
		var h map[string]any
		_ = json.Unmarshal(raw, &h)
		change(h)
		raw, _ = json.Marshal(h)
		return b64.EncodeToString(raw) + "." + parts[1] + "." + parts[2]
	}
	reclaimed := func(name string, value any) string {
		raw, _ := b64.DecodeString(parts[1])
		var c map[string]any
		_ = json.Unmarshal(raw, &c)
		c[name] = value
		if value == nil {
			delete(c, name)
		}
		raw, _ = json.Marshal(c)
		return parts[0] + "." + b64.EncodeToString(raw) + "." + parts[2]
	}
	tests := map[string][]string{
		"none":              {},
		"two":               {good, good},
		"not a JWT":         {"proof"},
		"JSON serialized":   {`{"protected":"` + parts[0] + `","payload":"` + parts[1] + `","signature":"` + parts[2] + `"}`},
		"typ JWT":           {reheaded(func(h map[string]any) { h["typ"] = "JWT" })},
		"typ missing":       {reheaded(func(h map[string]any) { delete(h, "typ") })},
		"alg none":          {reheaded(func(h map[string]any) { h["alg"] = "none" })},
		"alg HS256":         {reheaded(func(h map[string]any) { h["alg"] = "HS256" })},
		"alg RS256":         {reheaded(func(h map[string]any) { h["alg"] = "RS256" })},
		"alg EdDSA":         {reheaded(func(h map[string]any) { h["alg"] = "EdDSA" })},
		"jwk missing":       {reheaded(func(h map[string]any) { delete(h, "jwk") })},
		"jwk private":       {reheaded(func(h map[string]any) { h["jwk"].(map[string]any)["d"] = "AQAB" })},
		"jwk symmetric":     {reheaded(func(h map[string]any) { h["jwk"] = map[string]any{"kty": "oct", "k": "AQAB"} })},
		"crit":              {reheaded(func(h map[string]any) { h["crit"] = []string{"exp"} })},
		"signature changed": {parts[0] + "." + parts[1] + "." + strings.Repeat("A", 86)},
		"htm GET":           {proof("GET", w.uri, nonce, token.Raw, now)},
		"htm post":          {proof("post", w.uri, nonce, token.Raw, now)},
		"htm missing":       {reclaimed("htm", nil)},
		"htu other host":    {proof("POST", "https://evil.example/mcp", nonce, token.Raw, now)},
		"htu other path":    {proof("POST", w.server.URL+"/other", nonce, token.Raw, now)},
		"htu a number":      {reclaimed("htu", 7)},
		"htu missing":       {reclaimed("htu", nil)},
		"iat an hour old":   {proof("POST", w.uri, nonce, token.Raw, now.Add(-time.Hour))},
		"iat an hour ahead": {proof("POST", w.uri, nonce, token.Raw, now.Add(time.Hour))},
		"iat missing":       {reclaimed("iat", nil)},
		"iat a string":      {reclaimed("iat", "5")},
		"jti missing":       {reclaimed("jti", nil)},
		"jti empty":         {reclaimed("jti", "")},
		"jti of 10 kB":      {reclaimed("jti", strings.Repeat("j", 10_000))},
		"ath missing":       {proof("POST", w.uri, nonce, "", now)},
	}
	for name, headers := range tests {
		t.Run(name, func(t *testing.T) {
			r := w.request(resourcetest.Call("search_tickets", web))
			r.Header.Set("Authorization", "DPoP "+token.Raw)
			for _, h := range headers {
				r.Header.Add("DPoP", h)
			}
			a := w.do(http.DefaultClient, r)
			w.wants(a, http.StatusUnauthorized, resource.BadProof)
			if c := a.header.Values("WWW-Authenticate"); !strings.Contains(c[1], `error="invalid_dpop_proof"`) || strings.Contains(c[0], "error") {
				t.Errorf("challenges %q", c)
			}
		})
	}
	for name, uri := range map[string]string{"as it is": w.uri, "with a query": w.uri + "?a=b#c", "upper case": strings.Replace(w.uri, "http:", "HTTP:", 1)} {
		r := w.request(resourcetest.Call("search_tickets", web))
		r.Header.Set("Authorization", "DPoP "+token.Raw)
		r.Header.Set("DPoP", proof("POST", uri, nonce, token.Raw, now))
		if a := w.do(http.DefaultClient, r); a.status != http.StatusOK {
			t.Errorf("htu %s: %d %s", name, a.status, a.body)
		}
	}
}

func TestNoncesAndReplay(t *testing.T) {
	w := newWorld(t)
	token := w.token(reader())
	body := resourcetest.Call("search_tickets", web)
	r := w.request(body)
	if err := token.Sign(r, ""); err != nil {
		t.Fatal(err)
	}
	a := w.do(http.DefaultClient, r)
	w.wants(a, http.StatusUnauthorized, resource.UseNonce)
	if n := a.header.Values("DPoP-Nonce"); len(n) != 1 || a.header.Get("Cache-Control") != "no-store" ||
		!strings.Contains(a.header.Get("Access-Control-Expose-Headers"), "DPoP-Nonce") {
		t.Errorf("nonces %q, headers %v", n, a.header)
	}
	r = w.signed(token, body)
	again := r.Clone(r.Context())
	again.Body, _ = r.GetBody()
	if a := w.do(http.DefaultClient, r); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	w.wants(w.do(http.DefaultClient, again), http.StatusUnauthorized, resource.ProofReplayed)

	old := w.signed(token, body)
	w.issuer.Advance(3 * time.Minute)
	w.ready()
	w.wants(w.do(http.DefaultClient, old), http.StatusUnauthorized, resource.UseNonce)
	forged := w.request(body)
	if err := token.Sign(forged, "not-one-of-ours"); err != nil {
		t.Fatal(err)
	}
	w.wants(w.do(http.DefaultClient, forged), http.StatusUnauthorized, resource.UseNonce)
	w.good()
	if w.calls() != 2 {
		t.Errorf("the server ran %d times, want 2", w.calls())
	}
}

func TestRS4StolenToken(t *testing.T) {
	w := newWorld(t)
	token, other := w.token(reader()), w.token(reader())
	body := resourcetest.Call("search_tickets", web)

	r := w.signed(other, body) // a proof of another token, by that token's own key
	r.Header.Set("Authorization", "DPoP "+token.Raw)
	w.wants(w.do(http.DefaultClient, r), http.StatusUnauthorized, resource.BadProof)

	thief := *token
	thief.Key = other.Key // the right ath, the wrong key
	w.wants(w.do(http.DefaultClient, w.signed(&thief, body)), http.StatusUnauthorized, resource.WrongKey)
	if w.calls() != 0 {
		t.Error("the server ran")
	}
	told := w.issuer.Executions(w.uri, 2)
	for i, reason := range []resource.Code{resource.BadProof, resource.WrongKey} {
		if e := told[i]; e.Decision != "refused" || e.Reason != string(reason) || e.Task == "" {
			t.Errorf("the ledger is told %+v, want %s", e, reason)
		}
	}
	w.good()
}

// sign signs claims changed at will, as a compact JWS of the issuer.
func (w *world) sign(typ string, change func(map[string]any), token *resourcetest.Token) string {
	w.Helper()
	raw, err := json.Marshal(token.Claims)
	if err != nil {
		w.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(raw, &claims); err != nil {
		w.Fatal(err)
	}
	change(claims)
	signed, err := w.issuer.Key().Sign(typ, claims)
	if err != nil {
		w.Fatal(err)
	}
	return signed
}

func TestRS5to11BadTokens(t *testing.T) {
	w := newWorld(t)
	token := w.token(reader())
	set := func(name string, value any) func(map[string]any) {
		return func(c map[string]any) {
			if c[name] = value; value == nil {
				delete(c, name)
			}
		}
	}
	now := w.issuer.Now().Unix()
	nothing := func(map[string]any) {}
	parts := strings.Split(token.Raw, ".")
	header := func(h string) string { return b64.EncodeToString([]byte(h)) + "." + parts[1] + "." + parts[2] }
	public := w.issuer.Key().PublicJWK()
	mac := hmac.New(sha256.New, public)
	hs := b64.EncodeToString([]byte(`{"alg":"HS256","typ":"at+jwt","kid":"`+w.issuer.Key().ID()+`"}`)) + "." + parts[1]
	mac.Write([]byte(hs))
	kid := w.issuer.Key().ID()
	tests := map[string]struct {
		raw  string
		code resource.Code
	}{
		"RS5 aud of another":       {w.sign("at+jwt", set("aud", "https://r2.example/mcp"), token), resource.WrongAudience},
		"RS5 aud an array":         {w.sign("at+jwt", set("aud", []string{w.uri, "https://r2.example"}), token), resource.WrongAudience},
		"RS5 aud a longer name":    {w.sign("at+jwt", set("aud", w.uri+".evil"), token), resource.WrongAudience},
		"RS5 aud with a slash":     {w.sign("at+jwt", set("aud", w.uri+"/"), token), resource.WrongAudience},
		"RS5 aud missing":          {w.sign("at+jwt", set("aud", nil), token), resource.WrongAudience},
		"RS6 iss of another":       {w.sign("at+jwt", set("iss", "https://evil.example"), token), resource.BadToken},
		"RS6 iss with a slash":     {w.sign("at+jwt", set("iss", w.issuer.URL()+"/"), token), resource.BadToken},
		"RS7 typ JWT":              {w.sign("JWT", nothing, token), resource.BadToken},
		"RS7 logout token":         {w.sign("logout+jwt", nothing, token), resource.BadToken},
		"RS7 client assertion":     {w.sign("client-authentication+jwt", nothing, token), resource.BadToken},
		"RS7 a SET":                {w.sign("secevent+jwt", nothing, token), resource.BadToken},
		"RS8 alg none":             {header(`{"alg":"none","typ":"at+jwt","kid":"` + kid + `"}`), resource.BadToken},
		"RS8 no signature":         {parts[0] + "." + parts[1] + ".", resource.BadToken},
		"RS8 HS256 with the JWK":   {hs + "." + b64.EncodeToString(mac.Sum(nil)), resource.BadToken},
		"RS8 RS256":                {header(`{"alg":"RS256","typ":"at+jwt","kid":"` + kid + `"}`), resource.BadToken},
		"RS8 PS256":                {header(`{"alg":"PS256","typ":"at+jwt","kid":"` + kid + `"}`), resource.BadToken},
		"RS8 EdDSA":                {header(`{"alg":"EdDSA","typ":"at+jwt","kid":"` + kid + `"}`), resource.BadToken},
		"RS8 kid a path":           {header(`{"alg":"ES256","typ":"at+jwt","kid":"../../dev/null"}`), resource.BadToken},
		"RS8 jku":                  {header(`{"alg":"ES256","typ":"at+jwt","kid":"` + kid + `","jku":"https://evil.example/jwks"}`), resource.BadToken},
		"RS8 jwk in the header":    {header(`{"alg":"ES256","typ":"at+jwt","jwk":` + string(public) + `}`), resource.BadToken},
		"RS9 exp passed by 1 s":    {w.sign("at+jwt", func(c map[string]any) { c["iat"], c["exp"] = now-60, now-1 }, token), resource.TokenExpired},
		"RS9 exp passed by 61 s":   {w.sign("at+jwt", func(c map[string]any) { c["iat"], c["exp"] = now-90, now-61 }, token), resource.TokenExpired},
		"RS9 nbf in two minutes":   {w.sign("at+jwt", set("nbf", now+120), token), resource.BadToken},
		"RS9 no exp":               {w.sign("at+jwt", set("exp", nil), token), resource.BadToken},
		"RS9 exp a string":         {w.sign("at+jwt", set("exp", "4102444800"), token), resource.BadToken},
		"RS9 exp a float":          {w.sign("at+jwt", set("exp", 4102444800.5), token), resource.BadToken},
		"RS9 exp 1e20":             {w.sign("at+jwt", set("exp", 1e20), token), resource.BadToken},
		"RS11 cnf missing":         {w.sign("at+jwt", set("cnf", nil), token), resource.NotKeyBound},
		"RS11 cnf.jkt empty":       {w.sign("at+jwt", set("cnf", map[string]any{"jkt": ""}), token), resource.BadToken},
		"RS11 cnf with x5t only":   {w.sign("at+jwt", set("cnf", map[string]any{"x5t#S256": "abc"}), token), resource.BadToken},
		"RM4 no client_id":         {w.sign("at+jwt", set("client_id", nil), token), resource.BadToken},
		"no task":                  {w.sign("at+jwt", set("task", nil), token), resource.BadToken},
		"the payload is no object": {header(`{"alg":"ES256","typ":"at+jwt"}`), resource.BadToken},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bad := *token
			bad.Raw = tt.raw
			a := w.do(http.DefaultClient, w.signed(&bad, resourcetest.Call("search_tickets", web)))
			w.wants(a, http.StatusUnauthorized, tt.code)
			if c := a.header.Values("WWW-Authenticate"); !strings.Contains(c[0], `error="invalid_token"`) {
				t.Errorf("challenges %q", c)
			}
		})
	}
	if w.calls() != 0 {
		t.Error("the server ran")
	}
	w.good()
}

func TestRS9ExpiryIsJudgedEveryTime(t *testing.T) {
	w := newWorld(t)
	token := w.token(reader())
	if a := w.call(token, "search_tickets", web); a.status != http.StatusOK {
		t.Fatal(a.body)
	}
	w.issuer.Advance(301 * time.Second)
	w.ready()
	w.wants(w.call(token, "search_tickets", web), http.StatusUnauthorized, resource.TokenExpired)
	w.good()
}

func TestRS10SchemeHasNoCase(t *testing.T) {
	w := newWorld(t)
	for _, s := range []string{"dpop ", "DPOP ", "DpOp "} {
		token := w.token(reader())
		r := w.signed(token, resourcetest.Call("search_tickets", web))
		r.Header.Set("Authorization", s+token.Raw)
		if a := w.do(http.DefaultClient, r); a.status != http.StatusOK {
			t.Errorf("%s: %d %s", s, a.status, a.body)
		}
	}
}

func TestRS17BehindAProxy(t *testing.T) {
	w := newWorld(t, func(c *resource.Config) { c.Origins = []string{"https://app.example"} })
	token := w.token(reader())
	r := w.signed(token, resourcetest.Call("search_tickets", web))
	r.Host = "inner.example:9000" // what the request says about itself has no say
	r.Header.Set("X-Forwarded-Host", "evil.example")
	r.Header.Set("X-Forwarded-Proto", "https")
	if a := w.do(http.DefaultClient, r); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
	inner := w.request(resourcetest.Call("search_tickets", web))
	proof, err := token.Key.Proof("POST", "http://inner.example:9000/mcp", w.nonce(token), token.Raw, w.issuer.Now())
	if err != nil {
		t.Fatal(err)
	}
	inner.Host = "inner.example:9000"
	inner.Header.Set("Authorization", "DPoP "+token.Raw)
	inner.Header.Set("DPoP", proof)
	w.wants(w.do(http.DefaultClient, inner), http.StatusUnauthorized, resource.BadProof)
}

func TestKeyRotation(t *testing.T) {
	w := newWorld(t)
	w.good()
	w.issuer.Rotate()
	w.eventually("a token of the new key", func() bool {
		return w.call(w.token(reader()), "search_tickets", web).status == http.StatusOK
	})
}
