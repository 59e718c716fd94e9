package tokens

import (
	"encoding/hex"
	"fmt"
	"time"
)

// TypeCheckpoint is the typ of a signed ledger checkpoint.
const TypeCheckpoint = "remit-checkpoint+jwt"

// CheckpointClaims say how long the ledger was at a time and what its last hash was.
type CheckpointClaims struct {
	Issuer string
	Size   int64
	Head   string // hexadecimal SHA-256
	At     time.Time
	KeyID  string // the kid that it was signed with; VerifyCheckpoint sets it
}

// SignCheckpoint returns the checkpoint as a JWT, which Guards keep as witnesses.
func (k SigningKey) SignCheckpoint(c CheckpointClaims) (string, error) {
	if err := c.check(); err != nil {
		return "", err
	}
	return k.Sign(TypeCheckpoint, struct {
		Issuer   string `json:"iss"`
		IssuedAt int64  `json:"iat"`
		At       int64  `json:"at"` // microseconds
		Size     int64  `json:"size"`
		Head     string `json:"head"`
	}{c.Issuer, c.At.Unix(), c.At.UnixMicro(), c.Size, c.Head})
}

// VerifyCheckpoint returns a checkpoint that a key of s signed; the issuer is for the caller to judge.
func (s KeySet) VerifyCheckpoint(raw string) (CheckpointClaims, error) {
	payload, kid, err := s.Verify(raw, TypeCheckpoint)
	if err != nil {
		return CheckpointClaims{}, err
	}
	c := CheckpointClaims{Size: -1}
	r := newReader(payload)
	for name := range r.members() {
		switch name {
		case "iss":
			c.Issuer = r.text()
		case "size":
			c.Size = r.integer(0, 1<<53)
		case "head":
			c.Head = r.text()
		case "at":
			c.At = time.UnixMicro(r.integer(1, maxUnix*1e6)).UTC()
		default:
			r.value()
		}
	}
	if err := r.end(); err != nil {
		return CheckpointClaims{}, fmt.Errorf("%w: checkpoint: %v", ErrMalformed, err)
	}
	if err := c.check(); err != nil {
		return CheckpointClaims{}, err
	}
	c.KeyID = kid
	return c, nil
}

func (c CheckpointClaims) check() error {
	head, err := hex.DecodeString(c.Head)
	if c.Issuer == "" || c.Size < 0 || c.At.IsZero() || err != nil || len(head) != 32 {
		return fmt.Errorf("%w: checkpoint: iss, at, size or head missing or wrong", ErrMalformed)
	}
	return nil
}
