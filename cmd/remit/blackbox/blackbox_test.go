package blackbox

import (
	"go/parser"
	"go/token"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"
)

// TestImports: what judges the server shares no code with it.
func TestImports(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), f.Name(), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range parsed.Imports {
			path := strings.Trim(i.Path.Value, `"`)
			if strings.Contains(path, ".") && path != "golang.org/x/net/html" {
				t.Errorf("%s imports %s", f.Name(), path)
			}
		}
	}
}

// TestThumbprint is the proof of RFC 9449 §4.2, whose thumbprint §6.1 gives.
func TestThumbprint(t *testing.T) {
	const proof = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
	header, claims, err := Decode(proof)
	if err != nil {
		t.Fatal(err)
	}
	if header["typ"] != "dpop+jwt" || claims["htm"] != "POST" {
		t.Errorf("%v %v", header, claims)
	}
	jwk, _ := header["jwk"].(map[string]any)
	if got := Digest(`{"crv":"P-256","kty":"EC","x":"` + jwk["x"].(string) + `","y":"` + jwk["y"].(string) + `"}`); got != "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" {
		t.Errorf("thumbprint %s", got)
	}
}

func TestSignAndVerify(t *testing.T) {
	k := NewKey()
	back, err := ParseKey([]byte(k.PrivateJWK().JSON()))
	if err != nil || back.JKT() != k.JKT() {
		t.Fatalf("%v %s %s", err, back.JKT(), k.JKT())
	}
	jwks := []byte(Object{"keys": []any{k.JWK().With("kid", "1")}}.JSON())
	good := k.JWS(`{"alg":"ES256","kid":"1"}`, `{"a":1}`)
	if err := Verify(good, jwks); err != nil {
		t.Error(err)
	}
	for name, bad := range map[string]string{
		"another key": NewKey().JWS(`{"alg":"ES256","kid":"1"}`, `{"a":1}`), "another kid": k.JWS(`{"alg":"ES256","kid":"2"}`, `{"a":1}`), "another alg": k.JWS(`{"alg":"none","kid":"1"}`, `{"a":1}`),
		"changed": strings.Replace(good, B64([]byte(`{"a":1}`)), B64([]byte(`{"a":2}`)), 1), "cut": good[:len(good)-4], "two parts": "a.b",
	} {
		if Verify(bad, jwks) == nil {
			t.Errorf("%s: verified", name)
		}
	}
}

func TestRequestBytes(t *testing.T) {
	r := Request{Method: "POST", Target: "/token?x", Headers: []Header{{"DPoP", "a"}, {"DPoP", "b"}, {"content-length", "9"}}, Body: []byte("body")}
	want := "POST /token?x HTTP/1.1\r\nHost: h:1\r\nDPoP: a\r\nDPoP: b\r\ncontent-length: 9\r\nConnection: close\r\n\r\nbody"
	if got := string(r.Bytes("h:1")); got != want {
		t.Errorf("%q", got)
	}
}

func TestForm(t *testing.T) {
	f := Form{{"a", "1"}, {"b", "2"}, {"a", "3"}}
	for want, got := range map[string]Form{
		"a=1&b=2&a=3": f, "a=x&b=2": f.Set("a", "x"), "a=1&b=2&a=3&c=4": f.Set("c", "4"), "b=2": f.Without("a"), "z=0&a=1&b=2&a=3": f.Prepend("z", "0"), "a=1&b=2&a=3&a=+%26": f.Add("a", " &"),
	} {
		if got.Encode() != want {
			t.Errorf("%s, want %s", got.Encode(), want)
		}
	}
}

func TestChallenges(t *testing.T) {
	res := Response{Header: http.Header{"Www-Authenticate": {`Bearer error="insufficient_scope", scope="a b", resource_metadata="https://r/x?y"`, `DPoP algs="ES256 EdDSA", error=use_dpop_nonce`}}}
	want := []Challenge{
		{"bearer", map[string]string{"error": "insufficient_scope", "scope": "a b", "resource_metadata": "https://r/x?y"}},
		{"dpop", map[string]string{"algs": "ES256 EdDSA", "error": "use_dpop_nonce"}},
	}
	if got := Challenges(res); !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
	if !Challenged(res, "use_dpop_nonce") || Challenged(res, "invalid_token") {
		t.Error("Challenged")
	}
}

func TestParsePage(t *testing.T) {
	p := ParsePage("http://h/x", []byte(`<title>T</title><style>no</style><p>Hello  <b>you</b></p><form method=post action="/go"><input type=hidden name=csrf value=1>
		<input type=checkbox name=tool value=a checked><input type=checkbox name=tool value=b><input type=checkbox name=tool value=c disabled checked><textarea name=t></textarea><button name=decision value=allow>Allow</button></form>`))
	form, ok := p.With("decision")
	if !ok || p.Title != "T" || p.Text != "T Hello you Allow" || form.Method != "POST" || form.Action != "/go" {
		t.Errorf("%+v", p)
	}
	all, checked := form.Values("tool")
	if !reflect.DeepEqual(all, []string{"a", "b"}) || !reflect.DeepEqual(checked, []string{"a"}) || form.Filled().Encode() != "csrf=1&tool=a&t=" {
		t.Errorf("%v %v %s", all, checked, form.Filled().Encode())
	}
	if got := (Choice{Tools: []string{"b"}, Duration: 9, Deny: true}).fill(form).Encode(); got != "csrf=1&t=&tool=b&duration=9&decision=deny" {
		t.Errorf("%s", got)
	}
}
