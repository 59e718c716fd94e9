package agent

import "strings"

// Challenge is one challenge of a WWW-Authenticate header (RFC 9110 §11.6.1).
type Challenge struct {
	Scheme string
	Params map[string]string // names in lower case
}

// ParseChallenges reads all challenges of all header lines. What it cannot read it leaves out: a
// challenge is advice, and what it leads to is checked.
func ParseChallenges(lines []string) []Challenge {
	var all []Challenge
	for _, line := range lines {
		s := scanner{line}
		for s.skip(" \t,"); s.rest != ""; s.skip(" \t,") {
			word := s.token()
			if word == "" {
				break // no token where one must stand
			}
			if value, ok := s.value(); ok && len(all) > 0 {
				all[len(all)-1].Params[strings.ToLower(word)] = value
				continue
			}
			all = append(all, Challenge{Scheme: word, Params: map[string]string{}})
		}
	}
	return all
}

// find returns the first value of a parameter among challenges that an agent can answer.
func find(all []Challenge, name string) string {
	for _, c := range all {
		if !strings.EqualFold(c.Scheme, "Bearer") && !strings.EqualFold(c.Scheme, "DPoP") {
			continue
		}
		if v := c.Params[name]; v != "" {
			return v
		}
	}
	return ""
}

// scanner reads a header value from the left.
type scanner struct{ rest string }

func (s *scanner) skip(set string) { s.rest = strings.TrimLeft(s.rest, set) }

// token reads an RFC 9110 §5.6.2 token.
func (s *scanner) token() string {
	n := 0
	for n < len(s.rest) && isTokenByte(s.rest[n]) {
		n++
	}
	word := s.rest[:n]
	s.rest = s.rest[n:]
	return word
}

// value reads "=" and a token or quoted-string, if they follow.
func (s *scanner) value() (string, bool) {
	after := strings.TrimLeft(s.rest, " \t")
	if !strings.HasPrefix(after, "=") {
		return "", false
	}
	s.rest = strings.TrimLeft(after[1:], " \t")
	if !strings.HasPrefix(s.rest, `"`) {
		return s.token(), true
	}
	var b strings.Builder
	for i := 1; i < len(s.rest); i++ {
		switch c := s.rest[i]; {
		case c == '"':
			s.rest = s.rest[i+1:]
			return b.String(), true
		case c == '\\' && i+1 < len(s.rest):
			i++
			b.WriteByte(s.rest[i])
		default:
			b.WriteByte(c)
		}
	}
	s.rest = ""
	return "", true // a quote that nobody closed says nothing
}

func isTokenByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}
