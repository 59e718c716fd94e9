package tokens

import (
	"fmt"
	"strings"
	"sync"
)

// A prover is what the header of a good DPoP proof says: who signs.
type prover struct {
	key publicKey
	jkt string
}

// checkProofHeader reads the header and checks all in it but the key.
func (c *compact) checkProofHeader() error {
	switch err := c.readHeader(); {
	case err != nil:
		return fmt.Errorf("%w: %v", ErrProofMalformed, err)
	case c.header.typ != TypeProof:
		return ErrProofType
	case c.header.alg != algES256 && c.header.alg != algEdDSA:
		return ErrProofAlgorithm
	case c.header.jwk == nil:
		return ErrProofKey
	}
	return nil
}

// prover reads the key of a header that was checked.
func (c *compact) prover() (prover, error) {
	key, err := parseJWK(c.header.jwk)
	if err != nil {
		return prover{}, fmt.Errorf("%w: %v", ErrProofKey, err)
	}
	if key.publicKey.alg() != c.header.alg {
		return prover{}, ErrProofKey
	}
	return prover{key.publicKey, key.thumbprint()}, nil
}

// verify checks a signature. The header's alg is the key's: that is how a prover comes about.
func (p prover) verify(c compact) bool {
	c.header.alg = p.key.alg()
	return c.verify(p.key)
}

// provers remembers the headers of proofs whose signatures were right, by their very text: an agent
// sends the same one with every proof, and to take it apart costs a fifth of what the signature
// does. A header means the same whoever reads it and whenever, so nothing in it can go stale.
var provers proverMemory

const (
	maxProvers    = 4096 // in each of two generations
	maxProverText = 1 << 10
)

type proverMemory struct {
	mu         sync.RWMutex
	young, old map[string]prover
}

func (m *proverMemory) get(head string) (prover, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	p, ok := m.young[head]
	if !ok {
		p, ok = m.old[head]
	}
	return p, ok
}

func (m *proverMemory) put(head string, p prover) {
	if len(head) > maxProverText {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.young == nil || len(m.young) >= maxProvers {
		m.old, m.young = m.young, map[string]prover{}
	}
	m.young[strings.Clone(head)] = p
}
