// Package memory is replay memory and rate limits within one process.
package memory

import (
	"time"

	"github.com/remit-auth/remit/store"
)

// Options are what New may be told; zero values are the defaults.
type Options struct {
	Now     func() time.Time // nil: time.Now
	MaxKeys int              // replay keys remembered at once; 0: 1<<20
}

// Ephemeral is a store.Ephemeral that is lost with the process.
type Ephemeral struct{ store.Ephemeral }

// New returns an empty memory with a fresh epoch.
func New(opts Options) *Ephemeral { return &Ephemeral{} }
