package tokens

import (
	"crypto/sha256"
	"crypto/subtle"
)

// S256 returns the challenge of a verifier (RFC 7636 §4.2). It is the only method there is here.
func S256(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return b64.EncodeToString(sum[:])
}

// VerifyPKCE reports whether verifier is a valid one and that of challenge (RFC 7636 §4.6).
func VerifyPKCE(verifier, challenge string) bool {
	return ValidVerifier(verifier) && ValidChallenge(challenge) &&
		subtle.ConstantTimeCompare([]byte(S256(verifier)), []byte(challenge)) == 1
}

// ValidVerifier reports whether s has the form of a code_verifier (RFC 7636 §4.1).
func ValidVerifier(s string) bool {
	if len(s) < 43 || len(s) > 128 {
		return false
	}
	for i := range len(s) {
		if !unreserved(s[i]) {
			return false
		}
	}
	return true
}

// ValidChallenge reports whether s has the form of an S256 code_challenge.
func ValidChallenge(s string) bool { return validDigest(s) }
