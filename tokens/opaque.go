package tokens

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

const (
	opaquePrefix = "ra_"
	opaqueLabel  = "remit opaque access token\x00"
)

// NewOpaque returns a fresh access token whose text says nothing, and the jti that names it: so much of
// its hash that whoever knows the jti knows nothing of the token.
func NewOpaque() (token, jti string) {
	token = NewSecret(opaquePrefix)
	return token, opaqueID(token)
}

// OpaqueID returns the jti of an opaque access token; false: the text has another form.
func OpaqueID(token string) (jti string, ok bool) {
	rest, ok := strings.CutPrefix(token, opaquePrefix)
	if !ok {
		return "", false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(rest)
	if err != nil || len(raw) != 32 || strings.ContainsAny(rest, "\r\n") {
		return "", false
	}
	return opaqueID(token), true
}

func opaqueID(token string) string {
	sum := sha256.Sum256([]byte(opaqueLabel + token))
	return "at_" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// ParseClaims reads claims that this server wrote with MarshalJSON, or answered with: as strictly as
// those of a signed token.
func ParseClaims(raw []byte) (Claims, error) {
	c, err := parseAccess(raw)
	return c.Claims, err
}
