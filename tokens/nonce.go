package tokens

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"
)

// Nonces issues and knows DPoP nonces (RFC 9449 §8) without a memory: a nonce is a MAC over the
// present window of time and the epoch of the replay memory, so that one from before that memory
// was lost is never good again. Instances that share the key share the nonces.
type Nonces struct {
	key  []byte
	life time.Duration
}

// NewNonces returns nonces that are issued for life and good for as long again. It panics without
// a key: with none, anybody could make nonces.
func NewNonces(key []byte, life time.Duration) *Nonces {
	if len(key) == 0 || life <= 0 {
		panic("tokens: NewNonces needs a key and a life")
	}
	return &Nonces{slices.Clone(key), life}
}

// Issue returns the nonce of the present window.
func (n *Nonces) Issue(epoch string, now time.Time) string {
	return n.nonce(epoch, n.window(now))
}

// Check reports whether nonce is that of the present or the previous window.
func (n *Nonces) Check(nonce, epoch string, now time.Time) bool {
	w := n.window(now)
	return hmac.Equal([]byte(nonce), []byte(n.nonce(epoch, w))) ||
		hmac.Equal([]byte(nonce), []byte(n.nonce(epoch, w-1)))
}

func (n *Nonces) window(now time.Time) int64 { return now.UnixNano() / int64(n.life) }

func (n *Nonces) nonce(epoch string, window int64) string {
	mac := hmac.New(sha256.New, n.key)
	mac.Write(binary.BigEndian.AppendUint64([]byte("remit dpop nonce\x00"), uint64(window)))
	mac.Write([]byte(epoch))
	return b64.EncodeToString(mac.Sum(nil)[:18])
}
