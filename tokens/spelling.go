package tokens

import (
	"encoding/base64"
	"strings"
)

// OneSpelling returns the one text that Verify takes of a compact JWS. Lenient readers take many: base64url leaves
// bits unused at a segment's end, and line ends may be skipped (RFC 4648 §3.3, §3.5). It verifies nothing; what
// is no JWS comes back as it is.
func OneSpelling(jws string) string {
	parts := strings.Split(strings.NewReplacer("\r", "", "\n", "").Replace(jws), ".")
	if len(parts) != 3 { // an opaque token has one text alone
		return jws
	}
	for i, part := range parts {
		raw, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil {
			return jws
		}
		parts[i] = base64.RawURLEncoding.EncodeToString(raw)
	}
	return strings.Join(parts, ".")
}
