// Package onetime is one-time codes by the clock (RFC 6238) and recovery codes. It keeps nothing:
// that a code is accepted once is the store's to see to, by the step that Check returns.
package onetime

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"net/url"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
)

// Authenticator apps know no other parameters for sure: SHA-1, six digits, 30 seconds.
const (
	period = 30
	drift  = 1 // steps before and after now (RFC 6238 §5.2)
)

var params = hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1}

// NewSecret returns a shared secret of 160 bits (RFC 4226 §4) in base32.
func NewSecret() string {
	b := make([]byte, 20)
	rand.Read(b)
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b)
}

// URI is the secret as authenticator apps read it from a QR code.
func URI(secret, issuer, account string) string {
	label := url.PathEscape(issuer + ":" + account)
	q := url.Values{"secret": {secret}, "issuer": {issuer}}
	return "otpauth://totp/" + label + "?" + strings.ReplaceAll(q.Encode(), "+", "%20")
}

// Check reports whether the code is right at this time, and the step that it stands for. Spaces in
// the code do not count.
func Check(secret, code string, now time.Time) (step int64, ok bool) {
	code = strings.Join(strings.Fields(code), "")
	at := now.Unix() / period
	for s := at - drift; s <= at+drift; s++ {
		want, err := hotp.GenerateCodeCustom(secret, uint64(s), params)
		if err == nil && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			step, ok = s, true
		}
	}
	return step, ok
}

// RecoveryCodes returns n new codes of 80 bits each, in groups that can be read out.
func RecoveryCodes(n int) []string {
	codes := make([]string, n)
	for i := range codes {
		b := make([]byte, 10)
		rand.Read(b)
		s := strings.ToLower(base32.StdEncoding.EncodeToString(b))
		codes[i] = s[:4] + "-" + s[4:8] + "-" + s[8:12] + "-" + s[12:]
	}
	return codes
}

// Recovery is a recovery code as it is compared: however a person typed it.
func Recovery(code string) string {
	return strings.NewReplacer("-", "", " ", "", "0", "o", "1", "l").Replace(strings.ToLower(strings.TrimSpace(code)))
}
