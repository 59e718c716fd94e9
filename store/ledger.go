package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"
)

// Record is one line of the ledger. The header (everything but payload and salt) and the salted
// digest of the payload are covered by the hash, so that erasing a payload never breaks the chain.
type Record struct {
	Instance  string    // who wrote it; set by the store
	N         int64     // gapless per instance, from 1; set by the store
	At        time.Time // microseconds, UTC; set by the store when zero
	Kind      string    // "task.created", "execution.decided", …
	Task      string
	User      string
	Client    string
	Agent     string // jkt
	Resource  string
	JTI       string
	Execution string
	Request   string // req_…, the HTTP request that brought it about; set by the store, see WithRequest; empty: none

	Payload json.RawMessage // anything further, a JSON object; empty: {}
	Salt    []byte          // 16 random bytes; set by NewRecord or the store
	Digest  Hash            // SHA-256 of Salt ‖ Payload; set by the store

	Seq  int64 // place in the chain, from 1; 0: not yet chained
	Hash Hash  // of the chain up to and including this record
}

// NewRecord returns a record of this kind with the payload encoded as JSON.
func NewRecord(kind string, payload any) Record {
	r := Record{Kind: kind, Payload: json.RawMessage("{}"), Salt: make([]byte, 16)}
	rand.Read(r.Salt)
	if payload != nil {
		if b, err := json.Marshal(payload); err == nil {
			r.Payload = b
		}
	}
	return r
}

// PayloadDigest is the salted digest of the payload.
func (r Record) PayloadDigest() Hash {
	h := sha256.New()
	h.Write(r.Salt)
	h.Write(r.Payload)
	return Hash(h.Sum(nil))
}

// HeaderBytes is the header as the chain hashes it: a version line, then each field as its
// length and its bytes, so that no two headers share an encoding. A record of no request is of
// version 1, which knew of none.
func (r Record) HeaderBytes() []byte {
	fields := []string{r.Instance, r.Kind, r.Task, r.User, r.Client, r.Agent, r.Resource, r.JTI, r.Execution}
	b := []byte("remit-ledger/1\n")
	if r.Request != "" {
		b, fields = []byte("remit-ledger/2\n"), append(fields, r.Request)
	}
	b = binary.AppendVarint(b, r.Seq)
	b = binary.AppendVarint(b, r.N)
	b = binary.AppendVarint(b, r.At.UnixMicro())
	for _, s := range fields {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

// ChainHash is the hash of the chain after this record: SHA-256 of the hash before it, its
// header and its payload's digest.
func (r Record) ChainHash(prev Hash) Hash {
	h := sha256.New()
	h.Write(prev[:])
	h.Write(r.HeaderBytes())
	h.Write(r.Digest[:])
	return Hash(h.Sum(nil))
}

// Checkpoint is a signed statement of the chain's length and hash.
type Checkpoint struct {
	Size   int64 // number of chained records
	Head   Hash  // hash of the last of them; zero when there are none
	At     time.Time
	Signed string // compact JWS, see tokens.Checkpoint
}

// What becomes of a finding that is to be dismissed.
var (
	ErrFindingNotFound  = errors.New("store: no such finding")
	ErrFindingDismissed = errors.New("store: the finding was dismissed before")
)

// Dismissal says that a finding is no problem.
type Dismissal struct {
	Finding int64 // the place of its record in the chain
	At      time.Time
	By      Actor
	Person  string // usr_…; empty: whoever may open the server's socket
	Reason  string
}

// DismissedFinding is a finding with who said that it is none.
type DismissedFinding struct {
	Record    Record
	Dismissal Dismissal
}

// RecordFilter selects ledger records; zero fields select all.
type RecordFilter struct {
	AfterSeq int64
	Before   int64 // of RecordsBefore: the place in front of which it begins; 0: at the end
	Task     string
	User     string
	Kind     string
	Resource string
	Request  string // what its answer called it: req_…
	Limit    int    // 0: 1000
	Look     int    // of RecordsBefore: how many records it looks at, at most; 0: RecordsLookedAt
}

// RecordsLookedAt bounds what one page of a narrow filter costs in a long ledger.
const RecordsLookedAt = 20_000

// Calls counts the decisions that Guards took on calls of a task, and those that were no. Unrecorded counts
// the records about its calls that a Guard could not bring: only what stands for them is in the ledger.
type Calls struct{ All, Blocked, Unrecorded int }

// Ledger is the one append-only, tamper-evident audit log.
type Ledger interface {
	// Append stores records that belong to no other verb.
	Append(ctx context.Context, recs ...Record) error
	// AppendExecutions stores a batch of one replica of a Guard. first is its own number of recs[0];
	// numbers are gapless per Guard and replica from 1; about is stored with the first of recs that is
	// new, and has no number; a replica with a name that was never heard of
	// may begin later, which a record of kind execution.lost tells (guard, replica, first, next). Records already stored are skipped; a gap stores nothing. next
	// is the number expected after the call. A Guard that is not enrolled is ErrResourceNotFound.
	// Executions count as use of their tasks. After RaiseEpoch a Guard's first batch may leave a gap,
	// which a record of kind execution.lost tells (guard, first and next of what is missing).
	AppendExecutions(ctx context.Context, guardID, replica string, first int64, recs []Record, about ...Record) (next int64, err error)
	// Sequence gives every unchained record its place and hash; it returns how many.
	Sequence(ctx context.Context) (int, error)
	// Records returns chained records in order.
	Records(ctx context.Context, f RecordFilter) ([]Record, error)
	// RecordsBefore returns chained records, newest first. Those of a task, a user or else a kind are
	// found by an index, and what else the filter says is looked for among at most Look of them. next is
	// the Before with which to go on; 0: there are no others.
	RecordsBefore(ctx context.Context, f RecordFilter) (recs []Record, next int64, err error)
	// TaskCalls counts the chained records of the kinds execution.decided and finding.execution_unrecorded,
	// by task; a task without any is left out. A decision whose payload was erased counts among All alone.
	TaskCalls(ctx context.Context, taskIDs ...string) (map[string]Calls, error)
	// NewestCalls returns what TaskCalls counts of one task, newest first; only records before the
	// given place in the chain, when it is not 0.
	NewestCalls(ctx context.Context, taskID string, before int64, limit int) ([]Record, error)
	// NewestRecords returns the chained records of a task, newest first; only those before the given
	// place in the chain, when it is not 0.
	NewestRecords(ctx context.Context, taskID string, before int64, limit int) ([]Record, error)
	// Findings returns what a person should look at, newest first as NewestRecords does: records of
	// kind rule.fired, execution.disputed, and finding.… of any sort, but for those that were dismissed.
	Findings(ctx context.Context, before int64, limit int) ([]Record, error)
	// DismissFinding takes a finding out of that list, in one step with recs; its own record stays as it
	// is. What is no finding, or not chained yet, is ErrFindingNotFound; what somebody has dismissed,
	// ErrFindingDismissed.
	DismissFinding(ctx context.Context, d Dismissal, recs ...Record) error
	// DismissedFindings returns the dismissed ones, each with who said why, in the order of Findings.
	DismissedFindings(ctx context.Context, before int64, limit int) ([]DismissedFinding, error)
	// Head returns the chain's length and hash.
	Head(ctx context.Context) (size int64, head Hash, err error)
	// AddCheckpoint stores a signed checkpoint, but leaves out one of fewer records, or of an earlier
	// time, than the newest: two instances may seal at once. LastCheckpoint returns the newest (zero when none),
	// Checkpoints all of them, oldest first.
	AddCheckpoint(ctx context.Context, c Checkpoint) error
	LastCheckpoint(ctx context.Context) (Checkpoint, error)
	Checkpoints(ctx context.Context) ([]Checkpoint, error)
}
