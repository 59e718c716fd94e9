package tokens

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

const testClient = "cli_1"

func assertionPayload() string {
	return fmt.Sprintf(`{"iss":"cli_1","sub":"cli_1","aud":%q,"jti":"j1","iat":%d,"exp":%d}`, testIssuer, testNow.Unix(), testNow.Unix()+60)
}

func TestVerifyAssertion(t *testing.T) {
	k, other := newKey(t), newKey(t)
	header := fmt.Sprintf(`{"alg":"ES256","typ":"JWT","kid":%q}`, k.ID())
	claim := func(name, value string) string { return mint(t, k.key, header, edit(assertionPayload(), name, value)) }
	head := func(name, value string) string { return mint(t, k.key, edit(header, name, value), assertionPayload()) }
	at := func(seconds int64) string { return fmt.Sprint(testNow.Unix() + seconds) }
	good := claim("x", "1")
	proof := mint(t, k.key, proofHeader(k), edit(edit(edit(edit(proofPayload(), "iss", `"cli_1"`), "sub", `"cli_1"`), "aud", `"https://as.example"`), "exp", at(60)))
	tests := map[string]struct {
		raw  string
		want error
	}{
		"a good one":                        {good, nil},
		"typ missing":                       {head("typ", ""), nil},
		"typ jwt":                           {head("typ", `"jwt"`), nil},
		"typ client-authentication+jwt":     {head("typ", `"client-authentication+jwt"`), nil},
		"a header for others":               {head("x5t", `"abc"`), nil},
		"kid missing":                       {head("kid", ""), nil},
		"CA1 alg RS256":                     {head("alg", `"RS256"`), ErrSignature},
		"CA1 alg none":                      {head("alg", `"none"`), ErrSignature},
		"CA1 alg none, no signature":        {noSignature(head("alg", `"none"`)), ErrMalformed},
		"CA1 HS256 with the public key":     {hs256(t, k, edit(header, "alg", `"HS256"`), assertionPayload()), ErrSignature},
		"CA1 HS256 without kid":             {hs256(t, k, `{"alg":"HS256"}`, assertionPayload()), ErrSignature},
		"CA2 aud the token endpoint":        {claim("aud", `"https://as.example/token"`), ErrWrongAudience},
		"CA2 aud the PAR endpoint":          {claim("aud", `"https://as.example/par"`), ErrWrongAudience},
		"CA2 aud a list":                    {claim("aud", `["https://as.example"]`), ErrWrongAudience},
		"CA2 aud another server":            {claim("aud", `"https://other.example"`), ErrWrongAudience},
		"CA2 aud with a slash":              {claim("aud", `"https://as.example/"`), ErrWrongAudience},
		"CA2 aud missing":                   {claim("aud", ""), ErrWrongAudience},
		"CA3 sub missing":                   {claim("sub", ""), ErrWrongIssuer},
		"CA3 sub another":                   {claim("sub", `"cli_2"`), ErrWrongIssuer},
		"CA3 iss another":                   {claim("iss", `"cli_2"`), ErrWrongIssuer},
		"CA3 both another":                  {mint(t, k.key, header, edit(edit(assertionPayload(), "iss", `"cli_2"`), "sub", `"cli_2"`)), ErrWrongIssuer},
		"CA4 exp 5 min ago":                 {claim("exp", at(-300)), ErrExpired},
		"CA4 exp now":                       {claim("exp", at(0)), ErrExpired},
		"CA4 exp missing":                   {claim("exp", ""), ErrMalformed},
		"CA4 exp a text":                    {claim("exp", `"x"`), ErrMalformed},
		"CA4 exp in 5 min":                  {claim("exp", at(300)), nil},
		"CA4 exp in 6 min":                  {claim("exp", at(360)), ErrTooLong},
		"CA4 exp in 10 years":               {claim("exp", at(10*365*86400)), ErrTooLong},
		"CA4 iat in 8 s":                    {claim("iat", at(8)), nil},
		"CA4 nbf in 8 s":                    {claim("nbf", at(8)), nil},
		"CA4 iat in 61 s":                   {claim("iat", at(61)), ErrNotYetValid},
		"CA4 nbf in 61 s":                   {claim("nbf", at(61)), ErrNotYetValid},
		"CA4 iat missing":                   {claim("iat", ""), nil}, // RFC 7523 §3: optional
		"CA6 jti missing":                   {claim("jti", ""), ErrMalformed},
		"CA6 jti empty":                     {claim("jti", `""`), ErrMalformed},
		"CA6 jti of 256":                    {claim("jti", `"`+strings.Repeat("x", 256)+`"`), ErrMalformed},
		"CA7 garbage":                       {"garbage", ErrMalformed},
		"CA7 empty":                         {"", ErrMalformed},
		"CA8 typ dpop+jwt":                  {head("typ", `"dpop+jwt"`), ErrWrongType},
		"CA8 a proof":                       {proof, ErrWrongType},
		"CA8 typ at+jwt":                    {head("typ", `"at+jwt"`), ErrWrongType},
		"CA9 kid unknown":                   {head("kid", `"x"`), ErrUnknownKey},
		"signed by another":                 {mint(t, other.key, header, assertionPayload()), ErrSignature},
		"signed by another, no kid":         {mint(t, other.key, `{"alg":"ES256"}`, assertionPayload()), ErrSignature},
		"a claim twice":                     {mint(t, k.key, header, `{"sub":"cli_2",`+assertionPayload()[1:]), ErrMalformed},
		"SUB":                               {mint(t, k.key, header, strings.Replace(assertionPayload(), `"sub"`, `"SUB"`, 1)), ErrWrongIssuer},
		"crit":                              {head("crit", `["x"]`), ErrMalformed},
		"a jwk in the header is no key":     {mint(t, other.key, `{"alg":"ES256","jwk":`+string(other.PublicJWK())+`}`, assertionPayload()), ErrSignature},
		"JSON serialization":                {jsonSerialized(good), ErrMalformed},
		"a line break at the end":           {good + "\n", ErrMalformed},
		"the same with another ES256 s":     {twin(good), nil}, // spent by its jti, not by its text
		"a payload that is not claims":      {mint(t, k.key, header, `"x"`), ErrMalformed},
		"17 KiB":                            {claim("x", `"`+strings.Repeat("x", 13<<10)+`"`), ErrMalformed},
		"iat in milliseconds":               {claim("iat", at(0)+"000"), ErrMalformed},
		"exp in milliseconds":               {claim("exp", at(60)+"000"), ErrMalformed},
		"a client_id that is only a prefix": {mint(t, k.key, header, edit(edit(assertionPayload(), "iss", `"cli_1 "`), "sub", `"cli_1 "`)), ErrWrongIssuer},
	}
	keys := NewKeySet(newKey(t), k)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a, err := keys.VerifyAssertion(tt.raw, testClient, testIssuer, testNow)
			if !errors.Is(err, tt.want) {
				t.Fatalf("VerifyAssertion = %v, want %v", err, tt.want)
			}
			if ok := a.ClientID == testClient && a.ID == "j1" && a.Expires.After(testNow); ok != (err == nil) {
				t.Errorf("VerifyAssertion = %+v, %v", a, err)
			}
		})
	}
	for name, want := range map[string][2]string{"no client": {"", testIssuer}, "no issuer": {testClient, ""}} {
		if _, err := keys.VerifyAssertion(mint(t, k.key, header, edit(edit(edit(assertionPayload(), "iss", `""`), "sub", `""`), "aud", `""`)), want[0], want[1], testNow); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := (KeySet{}).VerifyAssertion(head("kid", ""), testClient, testIssuer, testNow); !errors.Is(err, ErrSignature) {
		t.Errorf("no keys: %v", err)
	}
}

func TestVerifyAssertionEd25519(t *testing.T) {
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	keys := must[KeySet](t)(ParseKeySet([]byte(`{"keys":[` + rfc9449JWK + `,` + edit(rfc8037JWK, "x", `"`+b64.EncodeToString(pub)+`"`) + `]}`)))
	if _, err := keys.VerifyAssertion(mintEd(key, `{"alg":"EdDSA"}`, assertionPayload()), testClient, testIssuer, testNow); err != nil {
		t.Error(err)
	}
	if _, err := keys.VerifyAssertion(mintEd(key, `{"alg":"EdDSA","kid":"`+rfc9449JKT+`"}`, assertionPayload()), testClient, testIssuer, testNow); !errors.Is(err, ErrSignature) {
		t.Errorf("EdDSA by an ES256 key: %v", err)
	}
}

func TestAssertion(t *testing.T) {
	k := newKey(t)
	raw := must[string](t)(k.Assertion("grd_1", testIssuer, testNow))
	a, err := NewKeySet(k).VerifyAssertion(raw, "grd_1", testIssuer, testNow)
	if err != nil || a.ClientID != "grd_1" || !a.Expires.Equal(testNow.Add(time.Minute)) || a.ID == "" {
		t.Errorf("VerifyAssertion = %+v, %v", a, err)
	}
	if id, err := PeekAssertionClient(raw); err != nil || id != "grd_1" {
		t.Errorf("PeekAssertionClient = %s, %v", id, err)
	}
	if b, _ := NewKeySet(k).VerifyAssertion(must[string](t)(k.Assertion("grd_1", testIssuer, testNow)), "grd_1", testIssuer, testNow); b.ID == a.ID {
		t.Error("two assertions have one jti")
	}
	for name, payload := range map[string]string{
		"iss and sub differ": edit(assertionPayload(), "iss", `"cli_2"`),
		"no sub":             edit(assertionPayload(), "sub", ""),
		"no claims":          `[]`,
	} {
		if id, err := PeekAssertionClient(mint(t, k.key, `{"alg":"ES256"}`, payload)); err == nil || id != "" {
			t.Errorf("%s: PeekAssertionClient = %s, %v", name, id, err)
		}
	}
	if _, err := PeekAssertionClient("x"); !errors.Is(err, ErrMalformed) {
		t.Errorf("garbage: %v", err)
	}
}
