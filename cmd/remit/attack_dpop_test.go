package main_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// TestAttackDPoP plays section 4.5 of the catalogue. The old nonce of DP18 is among the rows that
// take their time.
func TestAttackDPoP(t *testing.T) {
	play(t, map[string]row{
		"DP1": dp1, "DP2": dp2, "DP3": dp3, "DP4": dp4, "DP5": dp5, "DP6": dp6, "DP7": dp7, "DP8": dp8, "DP9": dp9, "DP10": dp10, "DP11": dp11,
		"DP12": dp12, "DP13": dp13, "DP14": dp14, "DP15": dp15, "DP16": dp16, "DP17": dp17, "DP18": dp18, "DP19": dp19, "DP20": dp20, "DP21": dp21, "DP22": dp22,
	})
}

// proofs sends the same good code with each bad proof, as the DPoP headers given, and then redeems it.
func (w *world) proofs(t *testing.T, x want, make func(good blackbox.Proof) map[string][]string) {
	t.Helper()
	f := w.code(t)
	for name, proofs := range make(w.server.Proof(f.Key, w.server.Token)) {
		t.Run(name, func(t *testing.T) {
			var headers []blackbox.Header
			for _, p := range proofs {
				headers = append(headers, blackbox.Header{Name: "DPoP", Value: p})
			}
			res := w.refuses(t, x, func() (blackbox.Response, error) {
				return blackbox.Post(t.Context(), w.direct(w.server.Token), f.RedeemForm(), headers...)
			})
			w.server.Note(res)
		})
	}
	good(t, f, (*blackbox.Flow).Redeem)
}

// direct is an address at one instance itself, for what the proxy before a pair would not pass on.
func (w *world) direct(address string) string {
	return "http://" + w.listen + strings.TrimPrefix(address, w.issuer)
}

// accepts redeems a fresh code with each of these proofs.
func (w *world) accepts(t *testing.T, make func(good blackbox.Proof) map[string]string) {
	t.Helper()
	names := make(blackbox.NewProof(blackbox.NewKey(), "POST", w.server.Token, "", ""))
	for name := range names {
		t.Run(name, func(t *testing.T) {
			f := w.code(t)
			proof := make(w.server.Proof(f.Key, w.server.Token))[name]
			res, err := blackbox.Post(t.Context(), w.server.Token, f.RedeemForm(), blackbox.Header{Name: "DPoP", Value: proof})
			if err != nil || res.Status != http.StatusOK {
				t.Errorf("%v %s", err, res)
			}
		})
	}
}

func badProof() want { return E("invalid_dpop_proof") }

// one wraps proofs that are sent alone.
func one(proofs map[string]string) map[string][]string {
	out := map[string][]string{}
	for name, p := range proofs {
		out[name] = []string{p}
	}
	return out
}

func dp1(t *testing.T, w *world) {
	w.proofs(t, badProof(), func(g blackbox.Proof) map[string][]string {
		return map[string][]string{
			"two":         {g.String(), g.Claim("jti", "b").String()},
			"the same":    {g.String(), g.String()},
			"in one line": {g.String() + ", " + g.Claim("jti", "c").String()},
		}
	})
}

func dp2(t *testing.T, w *world) {
	w.proofs(t, badProof().or(431), func(g blackbox.Proof) map[string][]string {
		p := g.String()
		return one(map[string]string{
			"empty": "", "x": "x", "one dot": "a.b", "three dots": p + ".x", "dots": "....", "a megabyte of dots": strings.Repeat(".", 1<<20),
			"no signature": p[:strings.LastIndexByte(p, '.')+1], "space inside": strings.Replace(p, ".", " .", 1), "padding": p + "=", "standard alphabet": p[:len(p)-2] + "+/",
		})
	})
}

func dp3(t *testing.T, w *world) {
	w.proofs(t, badProof(), func(g blackbox.Proof) map[string][]string {
		parts := strings.Split(g.String(), ".")
		signature := blackbox.Object{"protected": parts[0], "signature": parts[2]}
		return one(map[string]string{
			"flattened": blackbox.Object{"payload": parts[1], "protected": parts[0], "signature": parts[2]}.JSON(),
			"general":   blackbox.Object{"payload": parts[1], "signatures": []any{signature}}.JSON(),
			"two":       blackbox.Object{"payload": parts[1], "signatures": []any{signature, signature}}.JSON(),
		})
	})
}

func dp4(t *testing.T, w *world) {
	w.proofs(t, badProof(), func(g blackbox.Proof) map[string][]string {
		return one(map[string]string{
			"missing": g.Head("typ", nil).String(), "JWT": g.Head("typ", "JWT").String(), "with application/": g.Head("typ", "application/dpop+jwt").String(),
			"case": g.Head("typ", "DPOP+JWT").String(), "at+jwt": g.Head("typ", "at+jwt").String(), "a list": g.Head("typ", []string{"dpop+jwt"}).String(),
		})
	})
}

func dp5(t *testing.T, w *world) {
	w.proofs(t, badProof(), func(g blackbox.Proof) map[string][]string {
		unsigned := func(alg string) string {
			return blackbox.B64([]byte(g.Head("alg", alg).Header.JSON())) + "." + blackbox.B64([]byte(g.Claims.JSON())) + "."
		}
		input := strings.TrimSuffix(unsigned("HS256"), ".")
		mac := hmac.New(sha256.New, []byte(g.Key.JWK().JSON()))
		mac.Write([]byte(input))
		all := map[string]string{"none": unsigned("none"), "nOnE": unsigned("nOnE"), "HS256 with the jwk": input + "." + blackbox.B64(mac.Sum(nil)), "missing": g.Head("alg", nil).String()}
		for _, alg := range []string{"RS256", "ES256K", "ES384", "es256", "PS256", "EdDSA", "HS256"} {
			all[alg] = g.Head("alg", alg).String()
		}
		return one(all)
	})
}

func dp6(t *testing.T, w *world) {
	w.proofs(t, badProof(), func(g blackbox.Proof) map[string][]string {
		jwk := g.Key.JWK()
		with := func(name string, value any) string { return g.Head("jwk", jwk.With(name, value)).String() }
		zero := blackbox.B64(make([]byte, 32))
		x, _ := jwk["x"].(string)
		okp := func(point []byte) string {
			return g.Head("alg", "EdDSA").Head("jwk", blackbox.Object{"kty": "OKP", "crv": "Ed25519", "x": blackbox.B64(point)}).String()
		}
		low := make([]byte, 32)
		low[0] = 1 // the neutral element, of order 1
		return one(map[string]string{
			"missing": g.Head("jwk", nil).String(), "null": g.Head("jwk", jwk["none"]).String(), "a string": g.Head("jwk", jwk.JSON()).String(), "private": g.Head("jwk", g.Key.PrivateJWK()).String(),
			"oct": g.Head("jwk", blackbox.Object{"kty": "oct", "k": x}).String(), "off the curve": with("y", x), "zero": g.Head("jwk", jwk.With("x", zero).With("y", zero)).String(),
			"short coordinate": with("x", blackbox.B64(blackbox.Unb64(x)[:31])), "long coordinate": with("x", blackbox.B64(append([]byte{0}, blackbox.Unb64(x)...))), "crv of another alg": with("crv", "P-384"),
			"kty of another alg": with("kty", "OKP"), "no y": g.Head("jwk", jwk.Without("y")).String(), "Ed25519 of small order": okp(low), "Ed25519 of zeros": okp(make([]byte, 32)), "another key": g.Head("jwk", blackbox.NewKey().JWK()).String(),
			"jku instead": g.Head("jwk", nil).Head("jku", "https://evil.example/jwks").String(), "kid instead": g.Head("jwk", nil).Head("kid", "x").String(), "x5c too": g.Head("jwk", jwk.With("x5c", []string{"AA=="})).Head("crit", []string{"x5c"}).String(),
		})
	})
}

func dp7(t *testing.T, w *world) {
	w.proofs(t, badProof().or(431), func(g blackbox.Proof) map[string][]string {
		rsa := func(bits int, e []byte) string {
			n := make([]byte, bits/8)
			for i := range n {
				n[i] = 0xff
			}
			return g.Head("alg", "RS256").Head("jwk", blackbox.Object{"kty": "RSA", "n": blackbox.B64(n), "e": blackbox.B64(e)}).String()
		}
		f4 := []byte{1, 0, 1}
		return one(map[string]string{"512": rsa(512, f4), "1024": rsa(1024, f4), "2048": rsa(2048, f4), "16384": rsa(16384, f4), "e=1": rsa(2048, []byte{1}), "huge e": rsa(2048, []byte{0x7f, 0xff, 0xff, 0xff})})
	})
}

func dp8(t *testing.T, w *world) {
	w.proofs(t, badProof(), func(g blackbox.Proof) map[string][]string {
		p := g.String()
		cut := strings.LastIndexByte(p, '.')
		sig := blackbox.Unb64(p[cut+1:])
		flip := append([]byte{}, sig...)
		flip[10] ^= 1
		parts := strings.Split(g.Claim("jti", "other").String(), ".")
		return one(map[string]string{
			"one bit": p[:cut+1] + blackbox.B64(flip), "zeros": p[:cut+1] + blackbox.B64(make([]byte, 64)), "short": p[:cut+1] + blackbox.B64(sig[:63]), "long": p[:cut+1] + blackbox.B64(append(sig, 0)),
			"of other claims": strings.Join([]string{parts[0], parts[1]}, ".") + p[cut:], "DER": p[:cut+1] + blackbox.B64(append([]byte{0x30, 0x44, 0x02, 0x20}, sig...)),
		})
	})
}

func dp9(t *testing.T, w *world) {
	w.proofs(t, badProof(), func(g blackbox.Proof) map[string][]string {
		return one(map[string]string{"GET": g.Claim("htm", "GET").String(), "post": g.Claim("htm", "post").String(), "missing": g.Claim("htm", nil).String(), "a list": g.Claim("htm", []string{"POST"}).String()})
	})
}

func dp10(t *testing.T, w *world) {
	w.proofs(t, badProof(), func(g blackbox.Proof) map[string][]string {
		all := map[string]string{"missing": g.Claim("htu", nil).String(), "number": g.Claim("htu", 5).String(), "list": g.Claim("htu", []string{w.server.Token}).String()}
		for name, uri := range map[string]string{
			"other host": "https://evil.example/token", "other path": w.server.PAR, "https": strings.Replace(w.server.Token, "http:", "https:", 1), "other port": "http://127.0.0.1:1/token", "relative": "/token",
			"below": w.server.Token + "/x", "slash": w.server.Token + "/", "upper-case path": strings.Replace(w.server.Token, "/token", "/TOKEN", 1), "userinfo": strings.Replace(w.server.Token, "http://", "http://a@", 1), "localhost": strings.Replace(w.server.Token, "127.0.0.1", "localhost", 1),
		} {
			all[name] = g.Claim("htu", uri).String()
		}
		return one(all)
	})
}

// dp11: the same address in other spellings (RFC 3986 §6.2.2, §6.2.3) is the same address.
func dp11(t *testing.T, w *world) {
	w.accepts(t, func(g blackbox.Proof) map[string]string {
		uri := w.server.Token
		return map[string]string{
			"query": g.Claim("htu", uri+"?a=b").String(), "fragment": g.Claim("htu", uri+"#x").String(), "upper-case scheme": g.Claim("htu", "HTTP"+uri[4:]).String(),
			"encoded letter": g.Claim("htu", strings.Replace(uri, "/token", "/%74oken", 1)).String(), "dot segment": g.Claim("htu", strings.Replace(uri, "/token", "/./token", 1)).String(),
		}
	})
}

func dp12(t *testing.T, w *world) {
	w.accepts(t, func(g blackbox.Proof) map[string]string {
		now := time.Now().Unix()
		return map[string]string{"-10 s": g.Claim("iat", now-10).String(), "+10 s": g.Claim("iat", now+10).String()}
	})
}

func dp13(t *testing.T, w *world) {
	w.proofs(t, badProof(), func(g blackbox.Proof) map[string][]string {
		now := time.Now().Unix()
		all := map[string]string{"missing": g.Claim("iat", nil).String()}
		for name, iat := range map[string]any{"-1 h": now - 3600, "+1 h": now + 3600, "0": 0, "-5": -5, "1e18": 1e18, "text": fmt.Sprint(now), "list": []int64{now}, "false": false} {
			all[name] = g.Claim("iat", iat).String()
		}
		all["null"] = g.Key.JWS(g.Header.JSON(), strings.Replace(g.Claims.JSON(), fmt.Sprintf(`"iat":%d`, g.Claims["iat"]), `"iat":null`, 1))
		all["1e400"] = g.Key.JWS(g.Header.JSON(), strings.Replace(g.Claims.JSON(), fmt.Sprintf(`"iat":%d`, g.Claims["iat"]), `"iat":1e400`, 1))
		return one(all)
	})
}

func dp14(t *testing.T, w *world) {
	w.proofs(t, badProof(), func(g blackbox.Proof) map[string][]string {
		return one(map[string]string{
			"missing": g.Claim("jti", nil).String(), "empty": g.Claim("jti", "").String(), "number": g.Claim("jti", 7).String(), "10 kB": g.Claim("jti", strings.Repeat("j", 10<<10)).String(),
			"null": g.Key.JWS(g.Header.JSON(), strings.Replace(g.Claims.JSON(), fmt.Sprintf(`"jti":%q`, g.Claims["jti"]), `"jti":null`, 1)),
		})
	})
}

// dp15: a proof counts once, also when what came after it failed.
func dp15(t *testing.T, w *world) {
	f := w.code(t)
	first := w.server.Proof(f.Key, w.server.Token)
	send := func(form blackbox.Form, p blackbox.Proof, signed string) func() (blackbox.Response, error) {
		return func() (blackbox.Response, error) {
			return blackbox.Post(t.Context(), w.server.Token, form, blackbox.Header{Name: "DPoP", Value: signed})
		}
	}
	signed := first.String()
	w.refuses(t, E("invalid_grant"), send(f.RedeemForm().Set("code", "rc_none"), first, signed))
	w.refuses(t, badProof(), send(f.RedeemForm(), first, signed))
	w.refuses(t, badProof(), send(f.RedeemForm(), first, first.String())) // the same claims, another signature
	good(t, f, (*blackbox.Flow).Redeem)
}

// dp16: a jti is its key's and its address's own.
func dp16(t *testing.T, w *world) {
	f, g := w.code(t), w.code(t)
	p := w.server.Proof(f.Key, w.server.Token)
	res, err := blackbox.Post(t.Context(), w.server.Token, f.RedeemForm(), blackbox.DPoP(p))
	if err != nil || res.Status != http.StatusOK {
		t.Fatalf("%v %s", err, res)
	}
	other := w.server.Proof(g.Key, w.server.Token).Claim("jti", p.Claims["jti"])
	if res, err = blackbox.Post(t.Context(), w.server.Token, g.RedeemForm(), blackbox.DPoP(other)); err != nil || res.Status != http.StatusOK {
		t.Errorf("same jti, other key: %v %s", err, res)
	}
	elsewhere := w.server.Proof(f.Key, w.server.PAR).Claim("jti", p.Claims["jti"])
	if res, err = blackbox.Post(t.Context(), w.server.PAR, w.flow().PushForm(), blackbox.DPoP(elsewhere)); err != nil || res.Status != http.StatusCreated {
		t.Errorf("same jti, other htu: %v %s", err, res)
	}
}

// dp17: without a nonce the server asks for one, in a form that clients understand.
func dp17(t *testing.T, w *world) {
	f := w.code(t)
	res := w.refuses(t, E("use_dpop_nonce"), func() (blackbox.Response, error) {
		return blackbox.Post(t.Context(), w.server.Token, f.RedeemForm(), blackbox.DPoP(w.server.Proof(f.Key, w.server.Token).Claim("nonce", nil)))
	})
	if nonces := res.Header.Values("DPoP-Nonce"); len(nonces) != 1 || nonces[0] == "" {
		t.Errorf("DPoP-Nonce %q", nonces)
	}
	if v := res.Header.Get("Access-Control-Expose-Headers"); !strings.Contains(v, "DPoP-Nonce") {
		t.Errorf("Access-Control-Expose-Headers %q", v)
	}
	good(t, f, (*blackbox.Flow).Redeem)
}

func dp18(t *testing.T, w *world) {
	other := newWorld(t) // another issuer
	foreign, err := other.server.FreshNonce(t.Context(), other.a)
	if err != nil {
		t.Fatal(err)
	}
	w.works(t, w.token(t)) // which learns the resource's nonce
	own, known := w.r1.Proof(blackbox.NewKey(), "x").Claims["nonce"].(string)
	if !known || own == "" {
		t.Fatal("the resource gave no nonce")
	}
	w.proofs(t, E("use_dpop_nonce"), func(g blackbox.Proof) map[string][]string {
		nonce, _ := g.Claims["nonce"].(string)
		all := map[string]string{"of another issuer": g.Claim("nonce", foreign).String(), "invented": g.Claim("nonce", blackbox.Random(32)).String(), "empty": g.Claim("nonce", "").String(), "changed": g.Claim("nonce", "A"+nonce[1:]+"A").String(), "cut": g.Claim("nonce", nonce[:len(nonce)-1]).String(), "of the resource": g.Claim("nonce", own).String()}
		return one(all)
	})
}

func dp19(t *testing.T, w *world) {
	w.proofs(t, badProof(), func(g blackbox.Proof) map[string][]string {
		now := time.Now().Unix()
		return one(map[string]string{"nbf ahead": g.Claim("nbf", now+3600).String(), "exp past": g.Claim("exp", now-3600).String(), "nbf text": g.Claim("nbf", "soon").String(), "exp text": g.Claim("exp", "never").String()})
	})
}

// dp20: the thumbprint is of the key alone, whatever else the jwk says (RFC 7638 §3.2).
func dp20(t *testing.T, w *world) {
	w.accepts(t, func(g blackbox.Proof) map[string]string {
		return map[string]string{"extra members": g.Head("jwk", g.Key.JWK().With("kid", "k").With("use", "sig").With("alg", "ES256")).String()}
	}) // and the code was bound to the key by a push without them
}

func dp21(t *testing.T, w *world) {
	w.proofs(t, badProof(), func(g blackbox.Proof) map[string][]string {
		twice := func(text, member string) string { return strings.TrimSuffix(text, "}") + "," + member + "}" }
		return one(map[string]string{
			"typ twice": g.Key.JWS(twice(g.Header.JSON(), `"typ":"dpop+jwt"`), g.Claims.JSON()), "alg twice": g.Key.JWS(twice(g.Header.JSON(), `"alg":"none"`), g.Claims.JSON()),
			"jti twice": g.Key.JWS(g.Header.JSON(), twice(g.Claims.JSON(), `"jti":"other"`)), "htu twice": g.Key.JWS(g.Header.JSON(), twice(g.Claims.JSON(), `"htu":"https://evil.example"`)),
			"jwk member twice": g.Key.JWS(strings.Replace(g.Header.JSON(), `"kty":"EC"`, `"kty":"EC","kty":"EC"`, 1), g.Claims.JSON()), "behind it": g.Key.JWS(g.Header.JSON()+"x", g.Claims.JSON()),
			"only JTI": g.Key.JWS(g.Header.JSON(), strings.Replace(g.Claims.JSON(), `"jti"`, `"JTI"`, 1)), "escaped twice": g.Key.JWS(g.Header.JSON(), twice(g.Claims.JSON(), `"\u006ati":"other"`)),
		})
	})
	w.accepts(t, func(g blackbox.Proof) map[string]string {
		return map[string]string{"JTI beside jti": g.Claim("JTI", "other").String(), "HTU beside htu": g.Claim("HTU", "https://evil.example").String()}
	})
}

func dp22(t *testing.T, w *world) {
	w.accepts(t, func(g blackbox.Proof) map[string]string {
		return map[string]string{"ath": g.Claim("ath", blackbox.Digest("x")).String(), "unknown claim": g.Claim("x_unknown", 1).String(), "unknown header": g.Head("x_unknown", 1).String()}
	})
}
