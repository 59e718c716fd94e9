package server

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// witnessHeader carries the newest checkpoint that a Guard has kept, when it opens its feed.
const witnessHeader = "Remit-Witness"

// behind remembers proof that the database is older than what it was: somebody restored a backup
// and raised no epoch. Then nothing is issued, until an administrator does.
type behind struct {
	proof atomic.Pointer[string]
}

func (b *behind) clear() { b.proof.Store(nil) }

// errBehind is what callers are told meanwhile.
var errBehind = &oauth.Error{
	Code:        oauth.TemporarilyUnavailable,
	Description: "this server's database is older than what it has issued; its operator has to raise the epoch",
}

// unlessBehind serves while there is no such proof. Whoever verifies may go on reading the keys.
func (s *Server) unlessBehind(path string, serve http.HandlerFunc) http.HandlerFunc {
	if path == "/jwks" {
		return serve
	}
	return func(w http.ResponseWriter, r *http.Request) {
		if s.behind.proof.Load() != nil {
			s.refuse(w, r, errBehind)
			return
		}
		serve(w, r)
	}
}

// Behind says why the server refuses to issue anything; "" when it does not.
func (s *Server) Behind() string {
	if p := s.behind.proof.Load(); p != nil {
		return *p
	}
	return ""
}

// hearWitness takes in what a Guard has seen of the ledger. A statement that we signed, with a key
// that nobody has stolen as far as we know, about a ledger that ours does not continue, is proof.
func (s *Server) hearWitness(r *http.Request) error {
	raw := r.Header.Get(witnessHeader)
	if raw == "" {
		return nil
	}
	seen, err := s.ring.held.Load().verifyWitness(raw)
	if err != nil || seen.Issuer != s.issuer || !seen.At.After(s.Epoch().At) {
		s.log.Warn("a Guard shows a checkpoint that says nothing here", "err", err)
		return nil
	}
	why, err := s.Contradicts(r.Context(), seen.Size, seen.Head)
	if err != nil || why == "" {
		return err
	}
	s.behind.proof.CompareAndSwap(nil, &why)
	s.log.Error("a Guard proves that the database was set back: nothing is issued until `remit epoch raise`", "proof", why, "checkpoint", raw)
	return errBehind
}

// verifyWitness verifies a checkpoint with any key that was not killed.
func (r *ringState) verifyWitness(raw string) (tokens.CheckpointClaims, error) {
	return r.all.Without(r.killed...).VerifyCheckpoint(raw)
}

// Contradicts says how the ledger differs from a statement about its size and its last hash, in
// hexadecimal; "" when it goes through it.
func (s *Server) Contradicts(ctx context.Context, size int64, head string) (string, error) {
	if size <= 0 {
		return "", nil
	}
	if err := s.sequence(ctx); err != nil {
		return "", err
	}
	recs, err := s.store.Records(ctx, store.RecordFilter{AfterSeq: size - 1, Limit: 1})
	switch {
	case err != nil:
		return "", err
	case len(recs) == 0:
		have, _, err := s.store.Head(ctx)
		return fmt.Sprintf("the ledger had %d records once, and has %d", size, have), err
	case hex.EncodeToString(recs[0].Hash[:]) != head:
		return fmt.Sprintf("record %d of the ledger is not what it was", size), nil
	}
	return "", nil
}
