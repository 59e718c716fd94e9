package fetch

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Unsaid is the Fresh of an answer that does not say how long it may be kept.
const Unsaid time.Duration = -1

// maxLifetime is the longest lifetime told; nobody keeps an answer that long anyway.
const maxLifetime = 24 * time.Hour

// lifetime is how long the answer may be kept (RFC 9111 §4.2.1, §5.2.2): 0 when it must not be.
func lifetime(h http.Header) time.Duration {
	life := Unsaid
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return 0
		case "max-age":
			life = max(seconds(strings.Trim(value, `"`))-seconds(h.Get("Age")), 0)
		}
	}
	if life != Unsaid || h.Get("Expires") == "" {
		return life
	}
	expires, err1 := http.ParseTime(h.Get("Expires"))
	date, err2 := http.ParseTime(h.Get("Date"))
	if err1 != nil || err2 != nil {
		return 0 // RFC 9111 §5.3: what cannot be read has expired
	}
	return min(max(expires.Sub(date), 0), maxLifetime)
}

// seconds reads delta-seconds; what cannot be read is 0, and more than a day is a day.
func seconds(s string) time.Duration {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0
	}
	return min(time.Duration(n)*time.Second, maxLifetime)
}
