package blackbox

import "time"

// Proof is a DPoP proof in the making (RFC 9449 §4.2). A good one comes from NewProof; an attack
// changes a copy.
type Proof struct {
	Key    Key
	Header Object
	Claims Object
}

// NewProof returns a good proof. An empty nonce or token leaves the member out.
func NewProof(k Key, method, uri, nonce, token string) Proof {
	p := Proof{
		Key:    k,
		Header: Object{"typ": "dpop+jwt", "alg": "ES256", "jwk": k.JWK()},
		Claims: Object{"jti": Random(16), "htm": method, "htu": uri, "iat": time.Now().Unix()},
	}
	if nonce != "" {
		p.Claims["nonce"] = nonce
	}
	if token != "" {
		p.Claims["ath"] = Digest(token)
	}
	return p
}

// Head returns a copy whose header has the member; a nil value takes it away.
func (p Proof) Head(name string, value any) Proof {
	p.Header = change(p.Header, name, value)
	return p
}

// Claim returns a copy whose claims have the member; a nil value takes it away.
func (p Proof) Claim(name string, value any) Proof {
	p.Claims = change(p.Claims, name, value)
	return p
}

func change(o Object, name string, value any) Object {
	if value == nil {
		return o.Without(name)
	}
	return o.With(name, value)
}

// String is the signed proof.
func (p Proof) String() string { return p.Key.JWS(p.Header.JSON(), p.Claims.JSON()) }

// NewAssertion returns good client assertion claims (RFC 7523 §3), to be spoilt or signed.
func NewAssertion(clientID, issuer string) Object {
	now := time.Now().Unix()
	return Object{"iss": clientID, "sub": clientID, "aud": issuer, "jti": Random(16), "iat": now, "exp": now + 60}
}

// Asserted returns the form with the client authenticated by private_key_jwt.
func Asserted(f Form, k Key, claims Object) Form {
	jws := k.JWS(Object{"alg": "ES256", "typ": "JWT", "kid": k.JKT()}.JSON(), claims.JSON())
	return f.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer").Set("client_assertion", jws)
}
