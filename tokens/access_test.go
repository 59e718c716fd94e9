package tokens

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func testClaims(t testing.TB) Claims {
	t.Helper()
	return Claims{
		Issuer: testIssuer, Subject: "usr_mara", Audience: testResource, ClientID: "https://claude.ai/client", ID: "at_1",
		IssuedAt: testNow, Expires: testNow.Add(5 * time.Minute),
		Scope: []string{"tickets.read", "tool:add_comment"}, Roles: []string{"reader", "agent"}, JKT: rfc9449JKT,
		Task:    TaskClaim{"tsk_1", testNow.Add(time.Hour)},
		Details: must[Details](t)(ParseDetails([]byte(`[` + taskEntry + `,` + toolEntry + `]`))),
		Act:     &Actor{Subject: "cli_sub", ClientID: "cli_sub", Act: &Actor{Subject: "cli_sup"}},
	}
}

func wantAccess(now time.Time) AccessWant {
	return AccessWant{Issuer: testIssuer, Audience: testResource, Now: now}
}

func TestAccessToken(t *testing.T) {
	k := newKey(t)
	for name, change := range map[string]func(*Claims){
		"all claims":   func(*Claims) {},
		"bearer":       func(c *Claims) { c.JKT = "" },
		"nothing more": func(c *Claims) { c.Scope, c.Roles, c.Details, c.Act, c.Task = nil, nil, Details{}, nil, TaskClaim{} },
		"a grant hash": func(c *Claims) { c.Details, c.GrantHash = Details{}, HashBytes([]byte("grant")) },
		"odd letters":  func(c *Claims) { c.Subject, c.Roles = `<"ü\😀>`, []string{"a b", "</script>"} },
	} {
		t.Run(name, func(t *testing.T) {
			c := testClaims(t)
			change(&c)
			raw := must[string](t)(k.SignAccessToken(c))
			c.KeyID = k.ID()
			got, err := NewKeySet(newKey(t), k).VerifyAccessToken(raw, wantAccess(testNow))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c, got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
	raw := must[string](t)(k.SignAccessToken(testClaims(t)))
	header := must[[]byte](t)(decode64(raw[:strings.IndexByte(raw, '.')]))
	jsonEqual(t, header, []byte(`{"alg":"ES256","typ":"at+jwt","kid":"`+k.ID()+`"}`))
	payload, kid, err := NewKeySet(k).Verify(raw, TypeAccess)
	if err != nil || kid != k.ID() {
		t.Fatal(err)
	}
	jsonEqual(t, payload, []byte(`{"iss":"https://as.example","sub":"usr_mara","aud":"https://tickets.example/mcp","client_id":"https://claude.ai/client",
		"jti":"at_1","iat":1787227200,"exp":1787227500,"scope":"tickets.read tool:add_comment","roles":["reader","agent"],"cnf":{"jkt":"`+rfc9449JKT+`"},
		"task":{"id":"tsk_1","exp":1787230800},"authorization_details":[`+taskEntry+`,`+toolEntry+`],
		"act":{"sub":"cli_sub","client_id":"cli_sub","act":{"sub":"cli_sup"}}}`))
	if !testClaims(t).HasScope("tickets.read") || testClaims(t).HasScope("tickets") {
		t.Error("HasScope")
	}
}

// access signs the usual claims with one of them changed, as raw JSON.
func access(t testing.TB, k SigningKey, name, value string) string {
	t.Helper()
	payload := string(must[[]byte](t)(json.Marshal(testClaims(t))))
	return mint(t, k.key, accessHeader(k), edit(payload, name, value))
}

func accessHeader(k SigningKey) string {
	return fmt.Sprintf(`{"alg":"ES256","typ":"at+jwt","kid":%q}`, k.ID())
}

func TestVerifyAccessTokenRefuses(t *testing.T) {
	k, other := newKey(t), newKey(t)
	claim := func(name, value string) string { return access(t, k, name, value) }
	payload := string(must[[]byte](t)(json.Marshal(testClaims(t))))
	head := func(name, value string) string { return mint(t, k.key, edit(accessHeader(k), name, value), payload) }
	good := claim("x", "1")
	at := func(seconds int64) string { return fmt.Sprint(testNow.Unix() + seconds) }
	tests := map[string]struct {
		raw  string
		want error
	}{
		"RS5 aud of another":           {claim("aud", `"https://r2.example/mcp"`), ErrWrongAudience},
		"RS5 aud a list":               {claim("aud", `["https://tickets.example/mcp","https://r2.example/mcp"]`), ErrWrongAudience},
		"RS5 aud a list of one":        {claim("aud", `["https://tickets.example/mcp"]`), ErrWrongAudience},
		"RS5 aud a prefix":             {claim("aud", `"https://tickets.example/mcp.evil"`), ErrWrongAudience},
		"RS5 aud with a slash":         {claim("aud", `"https://tickets.example/mcp/"`), ErrWrongAudience},
		"RS5 aud in upper case":        {claim("aud", `"https://TICKETS.example/mcp"`), ErrWrongAudience},
		"RS5 aud missing":              {claim("aud", ""), ErrWrongAudience},
		"RS5 AUD alone":                {mint(t, k.key, accessHeader(k), edit(edit(payload, "aud", ""), "AUD", `"https://tickets.example/mcp"`)), ErrWrongAudience},
		"RS5 aud null":                 {claim("aud", "null"), ErrWrongAudience},
		"RS6 iss of another":           {claim("iss", `"https://evil.example"`), ErrWrongIssuer},
		"RS6 iss with a slash":         {claim("iss", `"https://as.example/"`), ErrWrongIssuer},
		"RS6 iss missing":              {claim("iss", ""), ErrMalformed},
		"RS7 typ JWT":                  {head("typ", `"JWT"`), ErrWrongType},
		"RS7 typ missing":              {head("typ", ""), ErrWrongType},
		"RS7 typ AT+JWT":               {head("typ", `"AT+JWT"`), ErrWrongType},
		"RS7 typ application/at+jwt":   {head("typ", `"application/at+jwt"`), ErrWrongType},
		"RS7 typ of an ID token":       {head("typ", `"id_token+jwt"`), ErrWrongType},
		"RS7 typ of a logout token":    {head("typ", `"logout+jwt"`), ErrWrongType},
		"RS7 typ of a SET":             {head("typ", `"secevent+jwt"`), ErrWrongType},
		"RS7 typ of an assertion":      {head("typ", `"client-authentication+jwt"`), ErrWrongType},
		"RS7 typ of a proof":           {head("typ", `"dpop+jwt"`), ErrWrongType},
		"RS8 alg none":                 {head("alg", `"none"`), ErrSignature},
		"RS8 alg none, no signature":   {noSignature(head("alg", `"none"`)), ErrMalformed},
		"RS8 alg HS256 with the JWKS":  {hs256(t, k, edit(accessHeader(k), "alg", `"HS256"`), payload), ErrSignature},
		"RS8 alg RS256":                {head("alg", `"RS256"`), ErrSignature},
		"RS8 alg PS256":                {head("alg", `"PS256"`), ErrSignature},
		"RS8 alg ES384":                {head("alg", `"ES384"`), ErrSignature},
		"RS8 alg EdDSA":                {head("alg", `"EdDSA"`), ErrSignature},
		"RS8 alg missing":              {head("alg", ""), ErrSignature},
		"RS8 alg es256":                {head("alg", `"es256"`), ErrSignature},
		"RS8 kid a path":               {head("kid", `"../../dev/null"`), ErrUnknownKey},
		"RS8 kid missing":              {head("kid", ""), ErrMalformed},
		"RS8 kid a number":             {head("kid", `1`), ErrMalformed},
		"RS8 kid of another":           {head("kid", `"`+other.ID()+`"`), ErrUnknownKey},
		"RS8 jku":                      {head("jku", `"https://evil.example/jwks"`), ErrMalformed},
		"RS8 x5u":                      {head("x5u", `"https://evil.example/x5u"`), ErrMalformed},
		"RS8 jwk":                      {head("jwk", string(other.PublicJWK())), ErrMalformed},
		"RS8 crit":                     {head("crit", `["exp"]`), ErrMalformed},
		"RS8 b64":                      {head("b64", `false`), ErrMalformed},
		"RS8 signed by another":        {mint(t, other.key, accessHeader(k), payload), ErrSignature},
		"RS8 the signature of another": {good[:strings.LastIndexByte(good, '.')] + head("typ", `"at+jwt"`)[strings.LastIndexByte(head("typ", `"at+jwt"`), '.'):], ErrSignature},
		"RS8 a signature of zeros":     {good[:strings.LastIndexByte(good, '.')+1] + strings.Repeat("A", 86), ErrSignature},
		"RS8 a signature too short":    {good[:len(good)-2], ErrSignature},
		"RS8 a signature too long":     {good + "AA", ErrSignature},
		"RS9 expired this instant":     {claim("exp", at(0)), ErrMalformed}, // and iat is as late
		"RS9 expired 1 s ago":          {mint(t, k.key, accessHeader(k), edit(edit(payload, "exp", at(-1)), "iat", at(-300))), ErrExpired},
		"RS9 expired 61 s ago":         {mint(t, k.key, accessHeader(k), edit(edit(payload, "exp", at(-61)), "iat", at(-300))), ErrExpired},
		"RS9 expires this instant":     {mint(t, k.key, accessHeader(k), edit(edit(payload, "exp", at(0)), "iat", at(-300))), ErrExpired},
		"RS9 nbf in 120 s":             {claim("nbf", at(120)), ErrNotYetValid},
		"RS9 nbf in 31 s":              {claim("nbf", at(31)), ErrNotYetValid},
		"RS9 iat in 31 s":              {claim("iat", at(31)), ErrNotYetValid},
		"RS9 exp missing":              {claim("exp", ""), ErrMalformed},
		"RS9 exp a text":               {claim("exp", `"`+at(300)+`"`), ErrMalformed},
		"RS9 exp a fraction":           {claim("exp", at(300)+".5"), ErrMalformed},
		"RS9 exp with an exponent":     {claim("exp", "1e20"), ErrMalformed},
		"RS9 exp beyond all time":      {claim("exp", "99999999999999999999"), ErrMalformed},
		"RS9 exp below zero":           {claim("exp", "-1"), ErrMalformed},
		"RS9 exp null":                 {claim("exp", "null"), ErrMalformed},
		"RS9 exp twice":                {mint(t, k.key, accessHeader(k), payload[:len(payload)-1]+`,"exp":`+at(900)+`}`), ErrMalformed},
		"RS9 EXP alone":                {mint(t, k.key, accessHeader(k), edit(edit(payload, "exp", ""), "EXP", at(300))), ErrMalformed},
		"RS9 iat missing":              {claim("iat", ""), ErrMalformed},
		"RS11 cnf empty":               {claim("cnf", `{}`), ErrMalformed},
		"RS11 cnf null":                {claim("cnf", `null`), ErrMalformed},
		"RS11 cnf.jkt empty":           {claim("cnf", `{"jkt":""}`), ErrMalformed},
		"RS11 cnf.jkt no thumbprint":   {claim("cnf", `{"jkt":"abc"}`), ErrMalformed},
		"RS11 cnf.jkt a list":          {claim("cnf", `{"jkt":["`+rfc9449JKT+`"]}`), ErrMalformed},
		"RS11 cnf with x5t alone":      {claim("cnf", `{"x5t#S256":"`+rfc9449JKT+`"}`), ErrMalformed},
		"RS11 cnf.JKT":                 {claim("cnf", `{"JKT":"`+rfc9449JKT+`"}`), ErrMalformed},
		"RM4 client_id missing":        {claim("client_id", ""), ErrMalformed},
		"sub missing":                  {claim("sub", ""), ErrMalformed},
		"jti missing":                  {claim("jti", ""), ErrMalformed},
		"jti too long":                 {claim("jti", `"`+strings.Repeat("x", 256)+`"`), ErrMalformed},
		"scope a list":                 {claim("scope", `["tickets.read"]`), ErrMalformed},
		"scope with two spaces":        {claim("scope", `"a  b"`), ErrMalformed},
		"roles a text":                 {claim("roles", `"admin"`), ErrMalformed},
		"task without exp":             {claim("task", `{"id":"tsk_1"}`), ErrMalformed},
		"task without id":              {claim("task", `{"exp":`+at(300)+`}`), ErrMalformed},
		"details of an unknown type":   {claim("authorization_details", `[{"type":"payment"}]`), ErrMalformed},
		"details with unknown limits":  {claim("authorization_details", `[{"type":"mcp_tool","tool":"x","constraints":{"a":{"not":1}}}]`), ErrMalformed},
		"grant_hash of another kind":   {claim("grant_hash", `"abc"`), ErrMalformed},
		"six actors":                   {claim("act", strings.Repeat(`{"sub":"a","act":`, 5)+`{"sub":"a"}`+strings.Repeat(`}`, 5)), ErrMalformed},
		"not claims":                   {mint(t, k.key, accessHeader(k), `[]`), ErrMalformed},
		"not JSON":                     {mint(t, k.key, accessHeader(k), `x`), ErrMalformed},
		"nothing":                      {"", ErrMalformed},
		"two parts":                    {good[:strings.LastIndexByte(good, '.')], ErrMalformed},
		"four parts":                   {good + ".x", ErrMalformed},
		"JSON serialization":           {jsonSerialized(good), ErrMalformed},
		"padded":                       {good + "==", ErrMalformed},
		"a line break":                 {good[:20] + "\n" + good[20:], ErrMalformed},
		"a carriage return at the end": {good + "\r", ErrMalformed},
		"a space before":               {" " + good, ErrMalformed},
		"stray bits":                   {strayBits(good), ErrMalformed},
		"17 KiB":                       {claim("x", `"`+strings.Repeat("x", 13<<10)+`"`), ErrMalformed},
		"1 MB of dots":                 {strings.Repeat(".", 1<<20), ErrMalformed},
	}
	set := NewKeySet(k)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := set.VerifyAccessToken(tt.raw, wantAccess(testNow))
			if !errors.Is(err, tt.want) {
				t.Errorf("VerifyAccessToken = %v, want %v", err, tt.want)
			}
			if c.ID != "" {
				t.Error("claims came with the error")
			}
		})
	}
	if _, err := set.VerifyAccessToken(good, wantAccess(testNow)); err != nil {
		t.Errorf("the good token after them: %v", err)
	}
}

func TestVerifyAccessTokenAccepts(t *testing.T) {
	k := newKey(t)
	at := func(seconds int64) string { return fmt.Sprint(testNow.Unix() + seconds) }
	for name, raw := range map[string]string{
		"iat in 30 s":       access(t, k, "iat", at(30)),
		"nbf in 30 s":       access(t, k, "nbf", at(30)),
		"an unknown claim":  access(t, k, "vendor", `{"a":[1]}`),
		"another case":      access(t, k, "JTI", `"other"`),
		"five actors":       access(t, k, "act", strings.Repeat(`{"sub":"a","act":`, 4)+`{"sub":"a"}`+strings.Repeat(`}`, 4)),
		"the other ES256 s": twin(access(t, k, "x", "1")), // which is why nothing keys on a token's text
	} {
		c, err := NewKeySet(k).VerifyAccessToken(raw, wantAccess(testNow))
		if err != nil || c.ID != "at_1" {
			t.Errorf("%s: %q, %v", name, c.ID, err)
		}
	}
	raw := access(t, k, "iat", at(60))
	want := wantAccess(testNow)
	want.Leeway = time.Minute
	if _, err := NewKeySet(k).VerifyAccessToken(raw, want); err != nil {
		t.Errorf("a leeway of one's own: %v", err)
	}
	for name, want := range map[string]AccessWant{"no issuer": {Audience: testResource, Now: testNow}, "no audience": {Issuer: testIssuer, Now: testNow}} {
		if _, err := NewKeySet(k).VerifyAccessToken(access(t, k, "aud", ""), want); err == nil {
			t.Errorf("a verifier with %s accepts", name)
		}
	}
	if _, err := (KeySet{}).VerifyAccessToken(raw, wantAccess(testNow)); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("no keys: %v", err)
	}
}

// TestOpenAccessToken: what is over or meant for others can still be revoked.
func TestOpenAccessToken(t *testing.T) {
	k := newKey(t)
	c, err := NewKeySet(k).OpenAccessToken(access(t, k, "aud", `"https://r2.example"`), testIssuer)
	if err != nil || c.ID != "at_1" || c.Audience != "https://r2.example" {
		t.Errorf("OpenAccessToken = %+v, %v", c, err)
	}
	for _, issuer := range []string{"", "https://other.example"} {
		if c, err := NewKeySet(k).OpenAccessToken(access(t, k, "x", "1"), issuer); !errors.Is(err, ErrWrongIssuer) || c.ID != "" {
			t.Errorf("issuer %q: %v", issuer, err)
		}
	}
	if _, err := NewKeySet(newKey(t)).OpenAccessToken(access(t, k, "x", "1"), testIssuer); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("another key: %v", err)
	}
}

func TestSignAccessTokenRefuses(t *testing.T) {
	k := newKey(t)
	for name, change := range map[string]func(*Claims){
		"iss":          func(c *Claims) { c.Issuer = "" },
		"sub":          func(c *Claims) { c.Subject = "" },
		"aud":          func(c *Claims) { c.Audience = "" },
		"client_id":    func(c *Claims) { c.ClientID = "" },
		"jti":          func(c *Claims) { c.ID = "" },
		"exp":          func(c *Claims) { c.Expires = time.Time{} },
		"exp past iat": func(c *Claims) { c.Expires = c.IssuedAt },
		"jkt":          func(c *Claims) { c.JKT = "abc" },
		"too large":    func(c *Claims) { c.Roles = []string{strings.Repeat("x", maxToken)} },
	} {
		c := testClaims(t)
		change(&c)
		if raw, err := k.SignAccessToken(c); err == nil || raw != "" {
			t.Errorf("signed without a good %s", name)
		}
	}
}

func noSignature(raw string) string { return raw[:strings.LastIndexByte(raw, '.')+1] }

// hs256 is the classic confusion: a MAC keyed with the published keys.
func hs256(t testing.TB, k SigningKey, header, payload string) string {
	text := b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(payload))
	mac := hmac.New(sha256.New, must[[]byte](t)(NewKeySet(k).JWKS()))
	mac.Write([]byte(text))
	return text + "." + b64.EncodeToString(append(mac.Sum(nil), make([]byte, 32)...))
}

func jsonSerialized(raw string) string {
	p := strings.Split(raw, ".")
	return fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, p[0], p[1], p[2])
}

// strayBits sets a bit of the last character that no byte holds.
func strayBits(raw string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, raw[len(raw)-1])
	return raw[:len(raw)-1] + string(alphabet[last|1])
}
