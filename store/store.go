// Package store holds the entities of the authorization server and the contract that every
// backend keeps: verbs named for the protocol, each atomic, each committed together with its
// ledger records before it returns. It knows no SQL, no HTTP and no cryptography beyond SHA-256.
//
//	entity.go     users, clients, resources, sessions
//	key.go        the key ring; restorations from a backup
//	signin.go     what users sign in with
//	request.go    authorization requests (RFC 9126) and codes (OAuth 2.1 §4.1)
//	task.go       tasks, grants, budgets
//	switch.go     kill switches
//	approval.go  approval of single calls
//	start.go      tasks that begin without a code, device codes (RFC 8628), principals and backends
//	approval.go  approval of single calls
//	remember.go   choices that users let go on
//	token.go      refresh and access tokens
//	feed.go       what resources are told, one gapless sequence each
//	ledger.go     ledger records and their chain bytes
//	ephemeral.go  replay memory: what may be lost with the process, but never lied about
package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// Hash is the SHA-256 of a secret. Secrets enter the store in no other form.
type Hash [sha256.Size]byte

// HashOf returns the hash of a secret.
func HashOf(secret string) Hash { return sha256.Sum256([]byte(secret)) }

// String returns the hash in hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// IsZero reports whether h is unset.
func (h Hash) IsZero() bool { return h == Hash{} }

// Store is the durable memory of the authorization server.
//
// Every verb that writes is one atomic step: it returns nil only when its effects and the
// records handed to it are durable, and with an error nothing of it has happened. A verb that
// finds its condition unmet returns the sentinel of the noun; any other error means that the
// outcome is unknown and must be answered with 503. Times are the store's clock, in UTC with
// microseconds; the liveness of user, client and task is judged inside the verb.
type Store interface {
	People
	SignIns
	Clients
	Resources
	Keys
	Epochs
	Requests
	Devices
	Starts
	Tasks
	Switches
	Tokens
	Remembers
	Approvals
	Feed
	Ledger
	Approvals

	// Ping reports whether the store can serve reads and durable writes.
	Ping(ctx context.Context) error
	// Close waits for the verbs under way and releases the store.
	Close() error
}

// Clock tells the time; the zero value of a config uses time.Now.
type Clock func() time.Time
