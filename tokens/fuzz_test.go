package tokens

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	josejson "github.com/go-jose/go-jose/v4/json"
	"github.com/google/go-cmp/cmp"
)

// fixedKey is the same in every run, so that a corpus stays good.
func fixedKey(t testing.TB) SigningKey {
	key := must[*ecdsa.PrivateKey](t)(ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{1}, 32)))
	return must[SigningKey](t)(signingKey(SigningKey{key: key}))
}

var algorithms = []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA}

// josePayload is the oracle: what go-jose says of a compact JWS. It skips line breaks and stray
// bits, so that only what it would write itself counts.
func josePayload(t *testing.T, raw string, key func(*jose.JSONWebSignature) any) []byte {
	t.Helper()
	jws, err := jose.ParseSignedCompact(raw, algorithms)
	if err != nil {
		t.Fatalf("go-jose does not parse what was accepted: %v\n%s", err, raw)
	}
	payload, err := jws.Verify(key(jws))
	if err != nil {
		t.Fatalf("go-jose does not verify what was accepted: %v\n%s", err, raw)
	}
	for _, part := range strings.Split(raw, ".") {
		if b, err := b64.DecodeString(part); err != nil || b64.EncodeToString(b) != part {
			t.Fatalf("accepted in another spelling: %s", raw)
		}
	}
	return payload
}

// FuzzParseProof signs any header and any claims, and gives any text as it is.
func FuzzParseProof(f *testing.F) {
	k := fixedKey(f)
	f.Add(proofHeader(k), proofPayload(), rfc9449TokenProof)
	for name, value := range map[string]string{"typ": `"JWT"`, "alg": `"none"`, "jwk": rfc8037JWK, "crit": `["b64"]`, "b64": "false", "kid": `"\u0000"`} {
		f.Add(edit(proofHeader(k), name, value), proofPayload(), "")
	}
	for name, value := range map[string]string{"jti": `""`, "JTI": `"x"`, "htm": `"post"`, "htu": `"https://AS.example:443/a/../%74oken?x#y"`, "iat": `1787227200.5`, "exp": `1`, "nbf": `1787227201`, "nonce": `"n"`, "ath": `1`} {
		f.Add(proofHeader(k), edit(proofPayload(), name, value), "")
	}
	f.Add(`{"typ":"dpop+jwt",`+proofHeader(k)[1:], `{"jti":"j0",`+proofPayload()[1:], rfc9449ResourceProof)
	f.Fuzz(func(t *testing.T, header, payload, raw string) {
		signed := must[string](t)(k.compact([]byte(header), []byte(payload)))
		for _, raw := range []string{signed, raw} {
			p, err := ParseProof([]string{raw}, wantProof())
			if err != nil {
				continue
			}
			got := josePayload(t, raw, func(jws *jose.JSONWebSignature) any { return jws.Signatures[0].Header.JSONWebKey })
			checkProof(t, p, got)
		}
	})
}

// checkProof reads the claims again with another strict decoder.
func checkProof(t *testing.T, p Proof, payload []byte) {
	t.Helper()
	var claims struct {
		ID       string `json:"jti"`
		Method   string `json:"htm"`
		URI      string `json:"htu"`
		Nonce    string `json:"nonce"`
		IssuedAt int64  `json:"iat"`
	}
	if err := josejson.Unmarshal(payload, &claims); err != nil {
		t.Fatalf("go-jose does not read the claims: %v\n%s", err, payload)
	}
	uri, err := NormalizeURI(claims.URI)
	if err != nil || uri != testToken || p.URI != uri || claims.Method != "POST" || p.Method != "POST" {
		t.Fatalf("another request: %s", payload)
	}
	if p.ID != claims.ID || p.ID == "" || p.Nonce != claims.Nonce || p.IssuedAt.Unix() != claims.IssuedAt || len(p.JKT) != 43 {
		t.Fatalf("%+v from %s", p, payload)
	}
	if age := testNow.Sub(p.IssuedAt); age > DefaultProofAge || age < -DefaultProofAhead {
		t.Fatalf("%v old", age)
	}
}

func FuzzVerifyAccessToken(f *testing.F) {
	k := fixedKey(f)
	payload := string(must[[]byte](f)(json.Marshal(testClaims(f))))
	f.Add(accessHeader(k), payload, "")
	for name, value := range map[string]string{"typ": `"JWT"`, "alg": `"none"`, "kid": `"../../dev/null"`, "jku": `"https://evil.example"`, "crit": `[]`} {
		f.Add(edit(accessHeader(k), name, value), payload, "")
	}
	for name, value := range map[string]string{
		"aud": `["https://tickets.example/mcp"]`, "iss": `"https://as.example/"`, "exp": `1e20`, "nbf": `1787227260`, "cnf": `{"x5t#S256":""}`, "scope": `"a  b"`,
		"act": `{"sub":"a","act":{}}`, "task": `{"id":"t","exp":1}`, "grant_hash": `"x"`, "roles": `[]`, "EXP": `1`,
	} {
		f.Add(accessHeader(k), edit(payload, name, value), "")
	}
	f.Fuzz(func(t *testing.T, header, payload, raw string) {
		signed := must[string](t)(k.compact([]byte(header), []byte(payload)))
		for _, raw := range []string{signed, raw} {
			c, err := NewKeySet(k).VerifyAccessToken(raw, wantAccess(testNow))
			if err == nil {
				checkAccess(t, k, c, josePayload(t, raw, func(*jose.JSONWebSignature) any { return &k.key.PublicKey }))
			}
		}
	})
}

func checkAccess(t *testing.T, k SigningKey, c Claims, payload []byte) {
	t.Helper()
	var claims struct {
		Issuer   string `json:"iss"`
		Audience string `json:"aud"`
		Subject  string `json:"sub"`
		Scope    string `json:"scope"`
		Expires  int64  `json:"exp"`
		Confirm  *struct {
			JKT string `json:"jkt"`
		} `json:"cnf"`
	}
	if err := josejson.Unmarshal(payload, &claims); err != nil {
		t.Fatalf("go-jose does not read the claims: %v\n%s", err, payload)
	}
	if claims.Issuer != testIssuer || claims.Audience != testResource || c.Subject != claims.Subject || claims.Expires <= testNow.Unix() {
		t.Fatalf("accepted: %s", payload)
	}
	if (claims.Confirm != nil) != (c.JKT != "") || strings.Join(c.Scope, " ") != claims.Scope {
		t.Fatalf("%+v from %s", c, payload)
	}
	raw, err := k.SignAccessToken(c)
	if err != nil {
		return // larger in our spelling than a token may be
	}
	again, err := NewKeySet(k).VerifyAccessToken(raw, wantAccess(testNow))
	if err != nil {
		t.Fatalf("what was accepted is refused when signed again: %v", err)
	}
	if len(c.Roles) == 0 {
		c.Roles = nil // [] and absent mean the same
	}
	if d := cmp.Diff(c, again); d != "" {
		t.Fatal(d)
	}
}

func FuzzVerifyAssertion(f *testing.F) {
	k := fixedKey(f)
	f.Add(`{"alg":"ES256"}`, assertionPayload())
	f.Add(`{"alg":"ES256","typ":"jwt","kid":"x"}`, edit(assertionPayload(), "aud", `["https://as.example"]`))
	f.Fuzz(func(t *testing.T, header, payload string) {
		raw := must[string](t)(k.compact([]byte(header), []byte(payload)))
		a, err := NewKeySet(k).VerifyAssertion(raw, testClient, testIssuer, testNow)
		if err != nil {
			return
		}
		josePayload(t, raw, func(*jose.JSONWebSignature) any { return &k.key.PublicKey })
		if id, err := PeekAssertionClient(raw); err != nil || id != testClient || a.ID == "" || a.Expires.Sub(testNow) > maxAssertion+time.Minute {
			t.Fatalf("%+v, %s, %v", a, id, err)
		}
	})
}

func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{
		`{"b":[1,2.50,-0,1e21,1e-7],"a":"\u20ac\ud83d\ude00\u0000"}`, `{"\ufb33":1,"\ud83d\ude00":2}`, `9007199254740993`, `"\ud800"`, `{"a":1,"\u0061":2}`, `[[[]]] x`, "\"\xff\"", `1e400`, `5e-324`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := Canonical(raw)
		if (err == nil) != (CheckJSON(raw) == nil) && json.Valid(raw) && !bytes.ContainsAny(raw, "0123456789") {
			t.Fatalf("Canonical and CheckJSON differ: %v", err)
		}
		if err != nil {
			return
		}
		if again, err := Canonical(got); err != nil || !bytes.Equal(again, got) {
			t.Fatalf("%s becomes %s becomes %s", raw, got, again)
		}
		var was, is, oracle any
		if json.Unmarshal(raw, &was) != nil || json.Unmarshal(got, &is) != nil || !reflect.DeepEqual(was, is) {
			t.Fatalf("%s becomes %s", raw, got)
		}
		if err := josejson.Unmarshal(raw, &oracle); err != nil {
			t.Fatalf("go-jose refuses %s: %v", raw, err)
		}
	})
}

func FuzzParseDetails(f *testing.F) {
	f.Add([]byte(`[` + taskEntry + `,` + toolEntry + `]`))
	f.Add([]byte(`[{"type":"mcp_tool","tool":"x","constraints":{"a":[{"enum":[1,"x"]},{"pattern":"a|b","maxLength":3}]}}]`))
	f.Add([]byte(`[{"type":"mcp_task","task":"tsk_x","max_calls":1}]`))
	f.Add([]byte(`[{"type":"payment"}]`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := ParseDetails(raw)
		if err != nil {
			if strings.ContainsFunc(err.Error(), func(c rune) bool { return c < ' ' || c > '~' || c == '"' || c == '\\' }) {
				t.Fatalf("unfit for an error_description: %q", err)
			}
			return
		}
		printed := must[[]byte](t)(d.Canonical())
		again, err := ParseDetails(printed)
		if err != nil && len(printed) <= maxDetails {
			t.Fatalf("%v\n%s", err, printed)
		}
		if diff := cmp.Diff(d, again); err == nil && diff != "" {
			t.Fatal(diff)
		}
		for _, tool := range d.For(testResource).Tools {
			if len(tool.Locations) != 1 || tool.Locations[0] != testResource {
				t.Fatalf("For: %+v", tool)
			}
		}
	})
}

func FuzzParseDefinition(f *testing.F) {
	f.Add([]byte(addComment))
	f.Add([]byte(edit(addComment, "annotations", `{"readOnlyHint":true,"destructiveHint":null}`)))
	f.Add([]byte(`{"name":"x","inputSchema":{}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := ParseDefinition(raw)
		if err != nil {
			return
		}
		canonical := must[[]byte](t)(d.Canonical())
		if len(canonical) > maxDefinition {
			return
		}
		again := must[Definition](t)(ParseDefinition(canonical))
		if diff := cmp.Diff(d, again); diff != "" || must[string](t)(again.Hash()) != HashBytes(canonical) {
			t.Fatalf("%s\n%s", canonical, diff)
		}
	})
}

func FuzzCheckArguments(f *testing.F) {
	limits := `{"project":{"enum":["WEB",1]},"limit":{"minimum":0,"maximum":50},"text":[{"maxLength":3},{"pattern":"a|b"}],"ids":{"maxItems":2},"id":{"const":{"x":1}}}`
	f.Add([]byte(`{"project":"WEB","limit":5e1,"text":"a","ids":[],"id":{"x":1.0}}`), []byte(testSchema), []byte(limits))
	f.Add([]byte(`{"ID":1}`), []byte(testSchema), []byte(``))
	f.Add([]byte(`{"key":1,"\u212aey":2}`), []byte(`{"properties":{"key":{}},"required":["key"]}`), []byte(`{}`))
	f.Fuzz(func(t *testing.T, arguments, schema, limits []byte) {
		c, err := ParseConstraints(limits)
		if err != nil {
			return
		}
		got, err := c.CheckArguments(arguments, schema)
		if err != nil {
			return
		}
		if again, err := c.CheckArguments(got, schema); err != nil || !bytes.Equal(got, again) {
			t.Fatalf("%s becomes %s, %v", got, again, err)
		}
		checkArguments(t, c, got, schema)
	})
}

// checkArguments is the oracle: the same rules over encoding/json's view of what was passed on.
func checkArguments(t *testing.T, c Constraints, passed, schema []byte) {
	t.Helper()
	var s struct {
		Properties map[string]any `json:"properties"`
	}
	var args map[string]any
	if json.Unmarshal(schema, &s) != nil || json.Unmarshal(passed, &args) != nil {
		t.Fatalf("no JSON: %s\n%s", schema, passed)
	}
	for name := range args {
		if _, ok := s.Properties[name]; !ok {
			t.Fatalf("%q is not in %s", name, schema)
		}
		for other := range args {
			if name != other && strings.EqualFold(name, other) {
				t.Fatalf("twins: %q %q", name, other)
			}
		}
	}
	for name, all := range c {
		value, ok := args[name]
		if !ok {
			t.Fatalf("%q is limited and missing in %s", name, passed)
		}
		for _, one := range all {
			if !oracleAllows(one, value) {
				t.Fatalf("%s passes %+v", passed, one)
			}
		}
	}
}

func oracleAllows(c Constraint, value any) bool {
	equal := func(raw json.RawMessage) bool {
		var want any
		return json.Unmarshal(raw, &want) == nil && reflect.DeepEqual(want, value)
	}
	number, isNumber := value.(float64)
	text, isText := value.(string)
	list, isList := value.([]any)
	bound := func(n *json.Number) float64 { f, _ := n.Float64(); return f }
	switch {
	case c.Const != nil && !equal(c.Const),
		c.Enum != nil && !slices.ContainsFunc(c.Enum, equal),
		c.Minimum != nil && (!isNumber || number < bound(c.Minimum)),
		c.Maximum != nil && (!isNumber || number > bound(c.Maximum)),
		c.MaxLength != nil && (!isText || len([]rune(text)) > *c.MaxLength),
		c.MaxItems != nil && (!isList || len(list) > *c.MaxItems),
		c.Pattern != "" && !isText:
		return false
	}
	return true
}

func FuzzParseKeySet(f *testing.F) {
	f.Add([]byte(`{"keys":[` + rfc8037JWK + `,` + rfc9449JWK + `]}`))
	for _, raw := range badJWKs(f) {
		f.Add([]byte(`{"keys":[` + raw + `]}`))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := ParseKeySet(raw)
		if err != nil {
			return
		}
		for _, k := range s.keys {
			var oracle jose.JSONWebKey
			if err := json.Unmarshal(k.public(), &oracle); err != nil || !oracle.Valid() || !oracle.IsPublic() {
				t.Fatalf("go-jose does not read %s: %v", k.public(), err)
			}
		}
	})
}

func FuzzNormalizeURI(f *testing.F) {
	for _, seed := range []string{"https://as.example/token", "HTTPS://AS:443/a/../%7e?b#c", "http://[::1]:80//x/%2F/.", "https://a@b/", "https://a/.."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := NormalizeURI(raw)
		if err != nil {
			return
		}
		again, err := NormalizeURI(got)
		_, afterScheme, _ := strings.Cut(got, "://")
		_, path, _ := strings.Cut(afterScheme, "/")
		if err != nil || again != got || strings.ContainsAny(got, "?#\\ ") || strings.Contains("/"+path+"/", "/../") {
			t.Fatalf("%q becomes %q becomes %q", raw, got, again)
		}
	})
}
