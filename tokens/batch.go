package tokens

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"time"
)

// TypeBatch is the typ of what a Guard signs with a batch of execution records.
const TypeBatch = "remit-executions+jwt"

// BatchClaims say which execution records a Guard sent: those from First on, of one of its replicas.
type BatchClaims struct {
	Guard   string
	Issuer  string // whom it was sent to
	Replica string
	First   int64
	Count   int64
	Digest  string // BatchDigest of the records' digests
	At      time.Time
}

// BatchDigest is the digest of a batch whose records have these digests, as HashBytes makes them.
func BatchDigest(digests []string) string {
	h := sha256.New()
	h.Write([]byte("remit-executions/1\n"))
	for _, d := range digests {
		h.Write([]byte(d + "\n"))
	}
	return hashPrefix + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// SignBatch returns the statement as a JWT, which the authorization server keeps.
func (k SigningKey) SignBatch(c BatchClaims) (string, error) {
	if err := c.check(); err != nil {
		return "", err
	}
	return k.Sign(TypeBatch, struct {
		Guard    string `json:"iss"`
		Issuer   string `json:"aud"`
		IssuedAt int64  `json:"iat"`
		Replica  string `json:"replica,omitempty"`
		First    int64  `json:"first"`
		Count    int64  `json:"count"`
		Digest   string `json:"digest"`
	}{c.Guard, c.Issuer, c.At.Unix(), c.Replica, c.First, c.Count, c.Digest})
}

// VerifyBatch returns a statement that a key of s signed; whose and about what is for the caller to judge.
func (s KeySet) VerifyBatch(raw string) (BatchClaims, error) {
	payload, _, err := s.Verify(raw, TypeBatch)
	if err != nil {
		return BatchClaims{}, err
	}
	c := BatchClaims{Count: -1}
	r := newReader(payload)
	for name := range r.members() {
		switch name {
		case "iss":
			c.Guard = r.text()
		case "aud":
			c.Issuer = r.audience()
		case "iat":
			c.At = r.time()
		case "replica":
			c.Replica = r.text()
		case "first":
			c.First = r.integer(1, 1<<53)
		case "count":
			c.Count = r.integer(0, 1<<20)
		case "digest":
			c.Digest = r.text()
		default:
			r.value()
		}
	}
	if err := r.end(); err != nil {
		return BatchClaims{}, fmt.Errorf("%w: batch: %v", ErrMalformed, err)
	}
	return c, c.check()
}

func (c BatchClaims) check() error {
	if c.Guard == "" || c.Issuer == "" || c.First < 1 || c.Count < 0 || c.At.IsZero() || !validHash(c.Digest) {
		return fmt.Errorf("%w: batch: iss, aud, first, count, iat or digest missing or wrong", ErrMalformed)
	}
	return nil
}
