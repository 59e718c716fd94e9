package resource

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

const (
	valueLimit  = 256  // bytes of a value, as JSON, that is recorded; of a longer one only the digest of all is
	valuesLimit = 2048 // bytes of all values of a call
	redacted    = `"[redacted]"`
)

var (
	// secretName is what no argument is called whose value may be recorded.
	secretName = regexp.MustCompile(`(?i)passw|passphrase|secret|token|credential|authorization|api.?key|private.?key|cookie|session|otp|\bpin\b`)
	// secretValue is what looks like a secret, whatever the argument is called: a JWT, our own tokens,
	// an authorization header, a key in PEM, keys of well-known forms.
	secretValue = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.|\b(ra|rc|rd|rr|rs|rq|sid|enrol)_[A-Za-z0-9_-]{20,}|(?i:\b(bearer|basic|dpop) [A-Za-z0-9+/_=.-]{8,})|-----BEGIN |\b(sk|pk|rk|gh[pousr]|xox[abprs]|AKIA|glpat|npm)[-_A-Z0-9][A-Za-z0-9_-]{15,}|://[^/\s:@"]+:[^/\s@"]+@`)
)

// checkLogArguments refuses to record what sounds like a secret.
func checkLogArguments(tools map[string][]string) error {
	for tool, names := range tools {
		for _, name := range names {
			if secretName.MatchString(name) {
				return fmt.Errorf("resource: LogArguments: the values of %q of the tool %q are not recorded: it sounds like a secret", name, tool)
			}
		}
	}
	return nil
}

// values are the arguments of a call that the configuration has recorded as they are: those it names,
// short ones, and none that looks like a secret. Nil: none.
func (g *Guard) values(tool string, canonical []byte) json.RawMessage {
	names := g.logArguments[tool]
	if len(names) == 0 {
		return nil
	}
	var all map[string]json.RawMessage
	if json.Unmarshal(canonical, &all) != nil {
		return nil
	}
	names = slices.Sorted(slices.Values(names))
	b := []byte{'{'}
	for _, name := range slices.Compact(names) {
		value, ok := all[name]
		if !ok || len(value) > valueLimit {
			continue
		}
		if looksSecret(value) {
			value = json.RawMessage(redacted)
		}
		if len(b)+len(name)+len(value) > valuesLimit {
			break
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(append(appendText(b, name), ':'), value...)
	}
	return append(b, '}')
}

// looksSecret reports whether a value, or a text in it, or a member's name looks like a secret.
func looksSecret(value json.RawMessage) bool {
	if secretValue.Match(value) {
		return true
	}
	if bytes.HasPrefix(value, []byte{'"'}) { // escapes must not hide it
		var text string
		return json.Unmarshal(value, &text) != nil || secretValue.MatchString(text)
	}
	return bytes.ContainsAny(value, "{[") && secretName.Match(value)
}

// validTrace returns the trace context (W3C Trace Context §3.2) that came with a request, if it is one.
func validTrace(s string) string {
	const zeros = "00000000000000000000000000000000"
	if len(s) != 55 || s[2] != '-' || s[35] != '-' || s[52] != '-' || s[:2] != "00" {
		return ""
	}
	id, parent := s[3:35], s[36:52]
	if id == zeros || parent == zeros[:16] || !lowerHex(id) || !lowerHex(parent) || !lowerHex(s[53:]) {
		return ""
	}
	return s
}

func lowerHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }
