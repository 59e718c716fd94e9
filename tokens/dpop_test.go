package tokens

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// RFC 9449 §4.1 and §7.1: the two example proofs, and the access token of the second.
const (
	rfc9449Header        = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19"
	rfc9449TokenProof    = rfc9449Header + ".eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
	rfc9449ResourceProof = rfc9449Header + ".eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
	rfc9449AccessToken   = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
)

func TestParseProofRFC9449(t *testing.T) {
	p, err := ParseProof([]string{rfc9449TokenProof}, ProofWant{Method: "POST", URL: "https://server.example.com/token", Now: time.Unix(1562262620, 0)})
	want := Proof{JKT: rfc9449JKT, ID: "-BwC3ESc6acc2lTc", Method: "POST", URI: "https://server.example.com/token", IssuedAt: time.Unix(1562262616, 0).UTC()}
	if err != nil || p != want {
		t.Errorf("§4.1: %v\n%s", err, cmp.Diff(want, p))
	}
	p, err = ParseProof([]string{rfc9449ResourceProof}, ProofWant{
		Method: "GET", URL: "https://resource.example.org/protectedresource", AccessToken: rfc9449AccessToken, Now: time.Unix(1562262618, 0),
	})
	if err != nil || p.JKT != rfc9449JKT || p.ATH != "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo" {
		t.Errorf("§7.1: %v, %+v", err, p)
	}
}

func wantProof() ProofWant { return ProofWant{Method: "POST", URL: testToken, Now: testNow} }

func proofHeader(k SigningKey) string {
	return `{"typ":"dpop+jwt","alg":"ES256","jwk":` + string(k.PublicJWK()) + `}`
}

func proofPayload() string {
	return fmt.Sprintf(`{"jti":"j1","htm":"POST","htu":%q,"iat":%d}`, testToken, testNow.Unix())
}

func TestParseProofRefuses(t *testing.T) {
	k, other := newKey(t), newKey(t)
	claim := func(name, value string) []string {
		return []string{mint(t, k.key, proofHeader(k), edit(proofPayload(), name, value))}
	}
	head := func(name, value string) []string {
		return []string{mint(t, k.key, edit(proofHeader(k), name, value), proofPayload())}
	}
	at := func(seconds int64) string { return fmt.Sprint(testNow.Unix() + seconds) }
	good := claim("x", "1")[0]
	bearer := must[string](t)(k.SignAccessToken(testClaims(t)))
	assertion := must[string](t)(k.Assertion("cli_1", testIssuer, testNow))
	tests := map[string]struct { // RFC 9449 §4.3, in its order
		headers []string
		want    error
	}{
		"no header":                     {nil, ErrProofMissing},
		"DP1 two headers":               {[]string{good, good}, ErrProofMany},
		"DP1 a list in one header":      {[]string{good + ", " + good}, ErrProofMalformed},
		"DP2 empty":                     {[]string{""}, ErrProofMalformed},
		"DP2 x":                         {[]string{"x"}, ErrProofMalformed},
		"DP2 two dots":                  {[]string{".."}, ErrProofMalformed},
		"DP2 four dots":                 {[]string{"...."}, ErrProofMalformed},
		"DP2 four dots and text":        {[]string{good + ".x.y"}, ErrProofMalformed},
		"DP2 1 MB of dots":              {[]string{strings.Repeat(".", 1<<20)}, ErrProofMalformed},
		"DP2 9 KiB":                     {claim("x", `"`+strings.Repeat("x", 6<<10)+`"`), ErrProofMalformed},
		"DP2 a line break":              {[]string{good[:9] + "\n" + good[9:]}, ErrProofMalformed},
		"DP2 padded":                    {[]string{good + "="}, ErrProofMalformed},
		"DP2 stray bits":                {[]string{strayBits(good)}, ErrProofMalformed},
		"DP3 JSON serialization":        {[]string{jsonSerialized(good)}, ErrProofMalformed},
		"DP3 two signatures":            {[]string{good + good[strings.LastIndexByte(good, '.'):]}, ErrProofMalformed},
		"DP4 typ missing":               {head("typ", ""), ErrProofType},
		"DP4 typ JWT":                   {head("typ", `"JWT"`), ErrProofType},
		"DP4 typ application/dpop+jwt":  {head("typ", `"application/dpop+jwt"`), ErrProofType},
		"DP4 typ DPOP+JWT":              {head("typ", `"DPOP+JWT"`), ErrProofType},
		"DP4 TYP":                       {[]string{mint(t, k.key, strings.Replace(proofHeader(k), `"typ"`, `"TYP"`, 1), proofPayload())}, ErrProofType},
		"DP5 alg missing":               {head("alg", ""), ErrProofAlgorithm},
		"DP5 none":                      {head("alg", `"none"`), ErrProofAlgorithm},
		"DP5 nOnE":                      {head("alg", `"nOnE"`), ErrProofAlgorithm},
		"DP5 none, no signature":        {[]string{noSignature(head("alg", `"none"`)[0])}, ErrProofMalformed},
		"DP5 HS256":                     {[]string{hs256(t, k, edit(proofHeader(k), "alg", `"HS256"`), proofPayload())}, ErrProofAlgorithm},
		"DP5 RS256":                     {head("alg", `"RS256"`), ErrProofAlgorithm},
		"DP5 ES256K":                    {head("alg", `"ES256K"`), ErrProofAlgorithm},
		"DP5 es256":                     {head("alg", `"es256"`), ErrProofAlgorithm},
		"DP6 jwk missing":               {head("jwk", ""), ErrProofKey},
		"DP6 jwk of another alg":        {head("alg", `"EdDSA"`), ErrProofKey},
		"DP6 EdDSA's under ES256":       {head("jwk", rfc8037JWK), ErrProofKey},
		"DP6 crit":                      {head("crit", `["b64"]`), ErrProofMalformed},
		"DP6 crit empty":                {head("crit", `[]`), ErrProofMalformed},
		"DP6 b64":                       {head("b64", `true`), ErrProofMalformed},
		"DP8 signed by another":         {[]string{mint(t, other.key, proofHeader(k), proofPayload())}, ErrProofSignature},
		"DP8 another jwk":               {head("jwk", string(other.PublicJWK())), ErrProofSignature},
		"DP8 signature of another":      {[]string{good[:strings.LastIndexByte(good, '.')] + claim("x", "2")[0][strings.LastIndexByte(claim("x", "2")[0], '.'):]}, ErrProofSignature},
		"DP8 signature of zeros":        {[]string{good[:strings.LastIndexByte(good, '.')+1] + strings.Repeat("A", 86)}, ErrProofSignature},
		"DP9 htm GET":                   {claim("htm", `"GET"`), ErrProofMethod},
		"DP9 htm post":                  {claim("htm", `"post"`), ErrProofMethod},
		"DP9 htm missing":               {claim("htm", ""), ErrProofMethod},
		"DP9 htm a list":                {claim("htm", `["POST"]`), ErrProofMethod},
		"DP10 another host":             {claim("htu", `"https://evil.example/token"`), ErrProofURI},
		"DP10 another path":             {claim("htu", `"https://as.example/par"`), ErrProofURI},
		"DP10 another case of the path": {claim("htu", `"https://as.example/Token"`), ErrProofURI},
		"DP10 a slash more":             {claim("htu", `"https://as.example/token/"`), ErrProofURI},
		"DP10 http":                     {claim("htu", `"http://as.example/token"`), ErrProofURI},
		"DP10 another port":             {claim("htu", `"https://as.example:8443/token"`), ErrProofURI},
		"DP10 userinfo":                 {claim("htu", `"https://as.example@evil.example/token"`), ErrProofURI},
		"DP10 a path alone":             {claim("htu", `"/token"`), ErrProofURI},
		"DP10 a number":                 {claim("htu", `1`), ErrProofURI},
		"DP10 a list":                   {claim("htu", `["https://as.example/token"]`), ErrProofURI},
		"DP10 missing":                  {claim("htu", ""), ErrProofURI},
		"DP13 iat 1 h ago":              {claim("iat", at(-3600)), ErrProofTime},
		"DP13 iat 61 s ago":             {claim("iat", at(-61)), ErrProofTime},
		"DP13 iat in 1 h":               {claim("iat", at(3600)), ErrProofTime},
		"DP13 iat in 11 s":              {claim("iat", at(11)), ErrProofTime},
		"DP13 iat in milliseconds":      {claim("iat", at(0)+"000"), ErrProofTime},
		"DP13 iat 0":                    {claim("iat", "0"), ErrProofTime},
		"DP13 iat -5":                   {claim("iat", "-5"), ErrProofTime},
		"DP13 iat 1e18":                 {claim("iat", "1e18"), ErrProofTime},
		"DP13 iat 10^18":                {claim("iat", "1000000000000000000"), ErrProofTime},
		"DP13 iat 10^30":                {claim("iat", "1"+strings.Repeat("0", 30)), ErrProofTime},
		"DP13 iat with a fraction":      {claim("iat", at(0)+".5"), ErrProofTime},
		"DP13 iat a text":               {claim("iat", `"`+at(0)+`"`), ErrProofTime},
		"DP13 iat null":                 {claim("iat", "null"), ErrProofTime},
		"DP13 iat missing":              {claim("iat", ""), ErrProofTime},
		"DP14 jti missing":              {claim("jti", ""), ErrProofID},
		"DP14 jti null":                 {claim("jti", "null"), ErrProofID},
		"DP14 jti empty":                {claim("jti", `""`), ErrProofID},
		"DP14 jti a number":             {claim("jti", "7"), ErrProofID},
		"DP14 jti of 256":               {claim("jti", `"`+strings.Repeat("x", 256)+`"`), ErrProofID},
		"DP14 jti of 10 kB":             {claim("jti", `"`+strings.Repeat("x", 10<<10)+`"`), ErrProofMalformed},
		"DP17 nonce a number":           {claim("nonce", "7"), ErrProofMalformed},
		"DP19 nbf in 11 s":              {claim("nbf", at(11)), ErrProofTime},
		"DP19 nbf a text":               {claim("nbf", `"now"`), ErrProofTime},
		"DP19 exp now":                  {claim("exp", at(0)), ErrProofTime},
		"DP19 exp 1 h ago":              {claim("exp", at(-3600)), ErrProofTime},
		"DP21 a header member twice":    {[]string{mint(t, k.key, `{"typ":"dpop+jwt",`+proofHeader(k)[1:], proofPayload())}, ErrProofMalformed},
		"DP21 alg twice":                {[]string{mint(t, k.key, `{"alg":"none",`+proofHeader(k)[1:], proofPayload())}, ErrProofMalformed},
		"DP21 a claim twice":            {[]string{mint(t, k.key, proofHeader(k), `{"jti":"j0",`+proofPayload()[1:])}, ErrProofMalformed},
		"DP21 a claim twice by escape":  {[]string{mint(t, k.key, proofHeader(k), `{"\u006ati":"j0",`+proofPayload()[1:])}, ErrProofMalformed},
		"DP21 JTI alone":                {[]string{mint(t, k.key, proofHeader(k), strings.Replace(proofPayload(), "jti", "JTI", 1))}, ErrProofID},
		"DP21 claims that are a list":   {[]string{mint(t, k.key, proofHeader(k), `[]`)}, ErrProofMalformed},
		"DP21 text behind the claims":   {[]string{mint(t, k.key, proofHeader(k), proofPayload()+`{}`)}, ErrProofMalformed},
		"CA8 an assertion as proof":     {[]string{assertion}, ErrProofType},
		"an access token as proof":      {[]string{bearer}, ErrProofType},
	}
	for name, raw := range badJWKs(t) { // DP6, DP7
		tests["DP6 "+name] = struct {
			headers []string
			want    error
		}{head("jwk", raw), ErrProofKey}
	}
	tests["DP6 x twice"] = struct { // no strict header either
		headers []string
		want    error
	}{head("jwk", badJWKs(t)["x twice"]), ErrProofMalformed}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, err := ParseProof(tt.headers, wantProof())
			if !errors.Is(err, tt.want) || p != (Proof{}) {
				t.Errorf("ParseProof = %+v, %v, want %v", p, err, tt.want)
			}
		})
	}
	if _, err := ParseProof([]string{good}, wantProof()); err != nil {
		t.Errorf("the good proof after them: %v", err)
	}
}

func TestParseProofAccepts(t *testing.T) {
	k := newKey(t)
	claim := func(name, value string) string {
		return mint(t, k.key, proofHeader(k), edit(proofPayload(), name, value))
	}
	at := func(seconds int64) string { return fmt.Sprint(testNow.Unix() + seconds) }
	bare := k.jwk()
	good := claim("x", "1")
	for name, raw := range map[string]string{
		"DP11 query and fragment":  claim("htu", `"https://as.example/token?a=b#c"`),
		"DP11 upper-case host":     claim("htu", `"HTTPS://AS.EXAMPLE/token"`),
		"DP11 :443":                claim("htu", `"https://as.example:443/token"`),
		"DP11 an escaped letter":   claim("htu", `"https://as.example/%74oken"`),
		"DP11 dot segments":        claim("htu", `"https://as.example/x/../token"`),
		"DP12 iat 10 s ago":        claim("iat", at(-10)),
		"DP12 iat 60 s ago":        claim("iat", at(-60)),
		"DP12 iat in 10 s":         claim("iat", at(10)),
		"DP14 jti of 255":          claim("jti", `"`+strings.Repeat("x", 255)+`"`),
		"DP19 exp in 1 s":          claim("exp", at(1)),
		"DP19 nbf now":             claim("nbf", at(0)),
		"DP20 a bare jwk":          mint(t, k.key, edit(proofHeader(k), "jwk", `{"kty":"EC","crv":"P-256","x":"`+bare.x+`","y":"`+bare.y+`"}`), proofPayload()),
		"DP20 a jwk with more":     mint(t, k.key, edit(proofHeader(k), "jwk", edit(string(k.PublicJWK()), "key_ops", `["verify"]`)), proofPayload()),
		"DP21 JTI beside jti":      claim("JTI", `"other"`),
		"DP22 ath at the AS":       claim("ath", `"fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"`),
		"DP22 unknown claims":      claim("vendor", `{"a":[{}]}`),
		"an unknown header":        mint(t, k.key, edit(proofHeader(k), "kid", `"x"`), proofPayload()),
		"another order":            mint(t, k.key, edit(proofHeader(k), "typ", `"dpop+jwt"`), proofPayload()),
		"DP8 the other ES256 sign": twin(good), // the replay memory keys on jti: see TestReplayKey
	} {
		p, err := ParseProof([]string{raw}, wantProof())
		if err != nil || p.JKT != k.ID() || p.URI != testToken || p.ID == "" || p.ID == "other" {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	spelled := wantProof()
	spelled.URL = "https://AS.example:443/%7Eu"
	if p, err := ParseProof([]string{claim("htu", `"https://as.example/~u"`)}, spelled); err != nil || p.URI != "https://as.example/~u" {
		t.Errorf("DP11 %%7E: %+v, %v", p, err)
	}
	wide := wantProof()
	wide.MaxAge, wide.MaxAhead = 5*time.Minute, 5*time.Minute
	for _, seconds := range []int64{-300, 300} {
		if _, err := ParseProof([]string{claim("iat", at(seconds))}, wide); err != nil {
			t.Errorf("a window of 5 min, %d s: %v", seconds, err)
		}
	}
	wide.URL = "not a URL"
	if _, err := ParseProof([]string{claim("htu", `"not a URL"`)}, wide); !errors.Is(err, ErrProofURI) {
		t.Errorf("a verifier without URL: %v", err)
	}
}

func TestParseProofEd25519(t *testing.T) {
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	jkt := must[string](t)(Thumbprint(pub))
	header := `{"typ":"dpop+jwt","alg":"EdDSA","jwk":` + edit(rfc8037JWK, "x", `"`+b64.EncodeToString(pub)+`"`) + `}`
	p, err := ParseProof([]string{mintEd(key, header, proofPayload())}, wantProof())
	if err != nil || p.JKT != jkt {
		t.Errorf("ParseProof = %+v, %v", p, err)
	}
	bad := mintEd(key, edit(header, "jwk", rfc8037JWK), proofPayload())
	if _, err := ParseProof([]string{bad}, wantProof()); !errors.Is(err, ErrProofSignature) {
		t.Errorf("another key: %v", err)
	}
	off := make([]byte, 32) // y = 2 is no point of the curve
	off[0] = 2
	bad = mintEd(key, edit(header, "jwk", edit(rfc8037JWK, "x", `"`+b64.EncodeToString(off)+`"`)), proofPayload())
	if _, err := ParseProof([]string{bad}, wantProof()); err == nil {
		t.Error("a point off the curve is accepted")
	}
}

// TestParseProofToken is RFC 9449 §4.3 check 12, at a resource: RS4.
func TestParseProofToken(t *testing.T) {
	k := must[ProofKey](t)(NewProofKey())
	want := wantProof()
	want.AccessToken = "token"
	proof := func(token string) []string {
		return []string{must[string](t)(k.Proof("POST", testToken, "n", token, testNow))}
	}
	if p, err := ParseProof(proof("token"), want); err != nil || p.Nonce != "n" {
		t.Errorf("the right token: %v", err)
	}
	for name, headers := range map[string][]string{"no ath": proof(""), "another token": proof("Token")} {
		if _, err := ParseProof(headers, want); !errors.Is(err, ErrProofToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, ath := range []string{`""`, `1`, `null`, `"` + tokenHash("token") + `="`} {
		header := proofHeader(k.key)
		raw := mint(t, k.key.key, header, edit(proofPayload(), "ath", ath))
		if _, err := ParseProof([]string{raw}, want); !errors.Is(err, ErrProofToken) {
			t.Errorf("ath %s: %v", ath, err)
		}
	}
}

// TestReplayKey is DP15 and DP16: one proof has one key however it is written, and a jti is spent
// for one key and one URI alone.
func TestReplayKey(t *testing.T) {
	p := Proof{JKT: "k", ID: "j", URI: "u", Method: "POST"}
	for name, o := range map[string]Proof{
		"another key": {JKT: "k2", ID: "j", URI: "u"}, "another jti": {JKT: "k", ID: "j2", URI: "u"}, "another URI": {JKT: "k", ID: "j", URI: "u2"},
		"parts that moved": {JKT: "k1", ID: ":j", URI: "u"}, "parts that moved more": {JKT: "", ID: "kj", URI: "u"},
	} {
		if o.ReplayKey() == p.ReplayKey() {
			t.Errorf("%s has the same replay key", name)
		}
	}
	k := must[ProofKey](t)(NewProofKey())
	raw := must[string](t)(k.Proof("POST", testToken, "", "", testNow))
	a, errA := ParseProof([]string{raw}, wantProof())
	b, errB := ParseProof([]string{twin(raw)}, wantProof())
	if errA != nil || errB != nil || raw == twin(raw) || a.ReplayKey() != b.ReplayKey() {
		t.Errorf("a rewritten proof is a new one: %v, %v", errA, errB)
	}
}

func TestProofKey(t *testing.T) {
	k := must[ProofKey](t)(NewProofKey())
	again := must[ProofKey](t)(ParseProofKey(must[[]byte](t)(k.Marshal())))
	if again.JKT() != k.JKT() || k.JKT() == "" {
		t.Error("Marshal and ParseProofKey lose the key")
	}
	raw := must[string](t)(again.Proof("POST", testToken+"?a=b", "", "", testNow))
	if p, err := ParseProof([]string{raw}, wantProof()); err != nil || p.JKT != k.JKT() || p.Nonce != "" || p.ATH != "" {
		t.Errorf("ParseProof = %+v, %v", p, err)
	}
	payload := must[[]byte](t)(decode64(strings.Split(raw, ".")[1]))
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil || len(claims) != 4 || claims["htu"] != testToken {
		t.Errorf("the proof says %s", payload)
	}
	if raw2 := must[string](t)(again.Proof("POST", testToken, "", "", testNow)); raw2 == raw {
		t.Error("two proofs are the same")
	}
	if _, err := k.Proof("POST", "nowhere", "", "", testNow); err == nil {
		t.Error("a proof for no URI")
	}
	if _, err := (ProofKey{}).Proof("POST", testToken, "", "", testNow); err == nil {
		t.Error("no key proves something")
	}
}
