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
