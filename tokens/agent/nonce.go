package agent

import (
	"net/http"
	"net/url"
	"sync"
)

// nonces remembers the newest nonce of every origin (RFC 9449 §8.2, §9).
type nonces struct {
	mu     sync.Mutex
	newest map[string]string
}

func (n *nonces) of(u *url.URL) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.newest[origin(u)]
}

// learn takes the nonce of an answer and reports whether there was one.
func (n *nonces) learn(u *url.URL, h http.Header) bool {
	v := h.Values("DPoP-Nonce")
	if len(v) != 1 || v[0] == "" { // RFC 9449 §8: more than one is an error
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.newest == nil {
		n.newest = map[string]string{}
	}
	n.newest[origin(u)] = v[0]
	return true
}
