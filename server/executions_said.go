package server

import (
	"encoding/json"
	"fmt"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

const kindBatch = "execution.batch"

// batchPayload is what the ledger keeps of a batch: what its Guard signed, and the digests of the
// records as they were sent, so that the signature stands when a record's payload is erased.
type batchPayload struct {
	Guard     string   `json:"guard"`
	Replica   string   `json:"replica,omitempty"`
	First     int64    `json:"first"`
	Digests   []string `json:"digests"`
	Signature string   `json:"signature"`
}

var errSignature = oauth.Refuse(oauth.InvalidRequest, "signature is not this Guard's, of these records")

// signed checks that the Guard signed this batch, and returns the ledger's record of that.
func (b executionBatch) signed(res store.Resource, issuer string) (store.Record, error) {
	keys, err := tokens.ParseKeySet([]byte(`{"keys":[` + string(res.GuardKey) + `]}`))
	if err != nil {
		return store.Record{}, fmt.Errorf("server: key of %s: %w", res.GuardID, err)
	}
	p := batchPayload{Guard: res.GuardID, Replica: b.Replica, First: b.First, Signature: b.Signature}
	for _, raw := range b.Records {
		p.Digests = append(p.Digests, tokens.HashBytes(raw))
	}
	c, err := keys.VerifyBatch(b.Signature)
	if err != nil || c.Guard != res.GuardID || c.Issuer != issuer || c.Replica != b.Replica || c.First != b.First ||
		c.Count != int64(len(b.Records)) || c.Digest != tokens.BatchDigest(p.Digests) {
		return store.Record{}, errSignature
	}
	rec := store.NewRecord(kindBatch, p)
	rec.Resource = res.URI
	return rec, nil
}

// saidExecution is an execution in the form in which Guards write it.
type saidExecution struct {
	Kind       string          `json:"kind"`
	Execution  string          `json:"execution"`
	At         int64           `json:"at"`
	Task       string          `json:"task,omitempty"`
	JTI        string          `json:"jti,omitempty"`
	Client     string          `json:"client_id,omitempty"`
	User       string          `json:"user,omitempty"`
	JKT        string          `json:"jkt,omitempty"`
	Tool       string          `json:"tool,omitempty"`
	Method     string          `json:"method,omitempty"`
	Target     string          `json:"target,omitempty"`
	Decision   string          `json:"decision,omitempty"`
	Reason     string          `json:"reason,omitempty"`
	Observed   string          `json:"observed,omitempty"`
	Checks     []saidCheck     `json:"checks,omitempty"`
	Definition string          `json:"definition,omitempty"`
	Policy     string          `json:"policy,omitempty"`
	Arguments  string          `json:"arguments_digest,omitempty"`
	Values     json.RawMessage `json:"values,omitempty"`
	Outcome    string          `json:"outcome,omitempty"`
	Duration   int64           `json:"duration_us,omitempty"`
	Trace      string          `json:"trace,omitempty"`
}

type saidCheck struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

// rebuilt is the execution of a ledger record in the form in which Guards write it.
func (p executionPayload) rebuilt(rec store.Record) []byte {
	e := saidExecution{
		Kind: rec.Kind, Execution: rec.Execution, At: p.GuardAt, Task: rec.Task, JTI: rec.JTI, Client: rec.Client, User: rec.User,
		JKT: rec.Agent, Tool: p.Tool, Method: p.Method, Target: p.Target, Observed: p.Observed, Decision: p.Decision, Reason: p.Reason, Definition: p.Definition, Policy: p.Policy,
		Arguments: p.ArgumentsDigest, Values: p.Values, Outcome: p.Outcome, Duration: p.DurationUS, Trace: p.Trace,
	}
	for _, c := range p.Checks {
		e.Checks = append(e.Checks, saidCheck(c))
	}
	raw, err := json.Marshal(e)
	if err != nil { // what we wrote ourselves always marshals
		return nil
	}
	return raw
}

// remember notes where in its Guard's sequence the record stands and, where the rest of it does not
// say so already, what the Guard said to the letter.
func (p *executionPayload) remember(rec store.Record, replica string, n int64, raw []byte) {
	p.N, p.Replica = n, replica
	if string(p.rebuilt(rec)) != string(raw) {
		p.Said = string(raw)
	}
}

// Said is where in a Guard's sequence an execution of the ledger stands, and the digest of what the
// Guard said. It is false for records of other kinds and erased ones. A number of 0 is none: no Guard
// said it.
func Said(rec store.Record) (stream string, n int64, digest string, ok bool) {
	var p executionPayload
	switch rec.Kind {
	case kindDecided, kindFinished, kindDisputed, kindUnrecorded:
	default:
		return "", 0, "", false
	}
	if json.Unmarshal(rec.Payload, &p) != nil {
		return "", 0, "", false
	}
	if p.N <= 0 {
		return p.Guard + "/" + p.Replica, 0, "", true
	}
	raw := []byte(p.Said)
	if p.Said == "" {
		raw = p.rebuilt(rec)
	} else if !p.repeats(rec) {
		return p.Guard + "/" + p.Replica, p.N, "", true // what was said is not what the record says
	}
	return p.Guard + "/" + p.Replica, p.N, tokens.HashBytes(raw), true
}

// repeats reports whether what the Guard said is what the rest of the record says.
func (p executionPayload) repeats(rec store.Record) bool {
	if rec.Kind == kindUnrecorded {
		return p.repeatsStandIn(rec)
	}
	var said saidExecution
	if json.Unmarshal([]byte(p.Said), &said) != nil {
		return false
	}
	kind := rec.Kind
	if kind == kindDisputed {
		kind = p.Kind
	}
	return said.Kind == kind && said.Execution == rec.Execution && said.Task == rec.Task && said.JTI == rec.JTI && said.At == p.GuardAt &&
		cut(said.Tool, 128) == p.Tool && said.Decision == p.Decision && cut(said.Reason, 64) == p.Reason && said.Outcome == p.Outcome
}

// SignedBatch reads what a Guard signed, from the ledger's record of it, and checks the signature with
// the Guard's key, which the record of its enrolment holds.
func SignedBatch(rec store.Record, key json.RawMessage) (stream string, first int64, digests []string, err error) {
	var p batchPayload
	if err := json.Unmarshal(rec.Payload, &p); err != nil {
		return "", 0, nil, err
	}
	keys, err := tokens.ParseKeySet([]byte(`{"keys":[` + string(key) + `]}`))
	if err != nil {
		return "", 0, nil, fmt.Errorf("the key of %s: %w", p.Guard, err)
	}
	c, err := keys.VerifyBatch(p.Signature)
	switch {
	case err != nil:
		return "", 0, nil, err
	case c.Guard != p.Guard || c.Replica != p.Replica || c.First != p.First || c.Count != int64(len(p.Digests)) || c.Digest != tokens.BatchDigest(p.Digests):
		return "", 0, nil, fmt.Errorf("%s signed another batch", p.Guard)
	}
	return p.Guard + "/" + p.Replica, p.First, p.Digests, nil
}

// GuardOf is the Guard that a record of a batch or of an enrolment names, and the key that it has from
// an enrolment on.
func GuardOf(rec store.Record) (id string, key json.RawMessage) {
	var p struct {
		Guard string          `json:"guard"`
		Key   json.RawMessage `json:"key"`
	}
	if rec.Kind != "guard.enrolled" && rec.Kind != kindBatch || json.Unmarshal(rec.Payload, &p) != nil {
		return "", nil
	}
	return p.Guard, p.Key
}
