package store

import (
	"context"
	"errors"
	"time"
)

// Sentinels of this file's nouns.
var (
	ErrApprovalNotFound = errors.New("store: approval not found")
	ErrApprovalDecided  = errors.New("store: approval decided, or not waiting any more")
	ErrApprovalsFull    = errors.New("store: the task waits for too many approvals, or asks too often")
)

// ApprovalState is a state of an approval's life.
type ApprovalState string

// Approval states. Asked waits for the user; allowed, for the call; the others are ends, of which
// denied is remembered for a while.
const (
	ApprovalAsked   ApprovalState = "asked"
	ApprovalAllowed ApprovalState = "allowed"
	ApprovalDenied  ApprovalState = "denied"
	ApprovalSpent   ApprovalState = "spent"   // by the one call that it was for
	ApprovalExpired ApprovalState = "expired" // not decided, or not used, in time
	ApprovalVoid    ApprovalState = "void"    // its task was ended or suspended
)

// CallApproval is the user's word on one exact call: this task, resource, tool, definition and
// arguments.
type CallApproval struct {
	ID         string // apv_…
	TaskID     string
	UserID     string // whose task it is, and who alone may decide
	Resource   string
	Tool       string
	Definition string // the tool's definition hash
	Digest     string // "sha-256:…" of the arguments in RFC 8785 form
	Arguments  []byte // sealed; forgotten as soon as nobody has to decide on them
	State      ApprovalState
	Execution  string // exe_… that asked; once spent, the one that may run
	AskedAt    time.Time
	DecidedAt  time.Time
	ExpiresAt  time.Time // asked, allowed and denied hold until then
}

// ApprovalAsk asks for one call.
type ApprovalAsk struct {
	// Call names task, resource, tool, definition, digest, sealed arguments and execution; ID and
	// ExpiresAt are those of a new approval. Whose task it is, the store knows.
	Call CallApproval
	JTI  string // of the access token that the call came with
	// A new approval is refused while MaxOpen of the task wait for the user, or when MaxRecent
	// have been asked for within the time Recent.
	MaxOpen, MaxRecent int
	Recent             time.Duration
}

// Approvals keeps approvals of single calls. An approval is what the clock makes it, read or judged,
// whether or not it was written down: past ExpiresAt it is expired.
//
// Each step leaves a record of the task in the ledger, in the same commit: approval.asked,
// approval.allowed, approval.denied, approval.spent, approval.expired, approval.void. Ending or
// suspending a task voids what it waits for, and so does ending a leg.
type Approvals interface {
	// AskApproval spends an allowed approval of exactly this call (state spent: the call may run,
	// once), or else returns the one that waits or was denied, or else stores a new one; in one
	// step. The task must be active and the token ours, live and of this task and resource
	// (ErrTaskNotActive, ErrTaskEnded, ErrTokenNotFound). Too many: ErrApprovalsFull. Asking counts
	// as use of the task.
	AskApproval(ctx context.Context, a ApprovalAsk) (CallApproval, error)
	// ApprovalByID returns the approval; ErrApprovalNotFound for the unknown and the forgotten.
	ApprovalByID(ctx context.Context, id string) (CallApproval, error)
	// WaitingApprovals returns the user's approvals in state asked, the oldest first, at most 100.
	WaitingApprovals(ctx context.Context, userID string) ([]CallApproval, error)
	// DecideApproval allows or denies an approval of this user (ErrApprovalNotFound for anybody
	// else's) that waits (ErrApprovalDecided otherwise) and whose task is active (ErrTaskNotActive,
	// ErrTaskEnded), until the given time, and forgets its arguments.
	DecideApproval(ctx context.Context, id, userID string, allow bool, until time.Time) (CallApproval, error)
}
