package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// maxBatch is how many executions a Guard posts at once.
const maxBatch = 500

// The kinds of an execution's records.
const (
	kindDecided  = "execution.decided"
	kindFinished = "execution.finished"
	kindDisputed = "execution.disputed"
)

// executionBatch is a stretch of a Guard's own gapless sequence.
type executionBatch struct {
	Replica   string            `json:"replica"` // which of the Guard's; empty: the only one
	First     int64             `json:"first"`
	Records   []json.RawMessage `json:"records"`   // executions, as the Guard wrote them
	Signature string            `json:"signature"` // by the Guard's key, see executions_said.go
}

// execution is one decision, or one outcome, as a Guard tells it.
type execution struct {
	Kind      string  `json:"kind"`
	Execution string  `json:"execution"`
	At        int64   `json:"at"` // microseconds, by the Guard's clock
	Task      string  `json:"task"`
	JTI       string  `json:"jti"`
	ClientID  string  `json:"client_id"`
	User      string  `json:"user"`
	JKT       string  `json:"jkt"`
	Tool      string  `json:"tool"`
	Method    string  `json:"method"` // of a read: what is not tools/call
	Target    string  `json:"target"` // the resource's URI, or the prompt's name
	Decision  string  `json:"decision"`
	Reason    string  `json:"reason"`
	Observed  string  `json:"observed"` // why it would have been refused, were the policy not only observed
	Checks    []check `json:"checks"`

	Definition      string          `json:"definition"`
	Policy          string          `json:"policy"`
	ArgumentsDigest string          `json:"arguments_digest"`
	Values          json.RawMessage `json:"values"`
	Outcome         string          `json:"outcome"`
	DurationUS      int64           `json:"duration_us"`
	Trace           string          `json:"trace"`

	Of         string `json:"of"` // of a stand-in: the kind of what it stands for, and the rest of unrecorded.go
	Unrecorded string `json:"unrecorded"`
	Size       int64  `json:"size"`
}

// check is one step of a Guard's decision.
type check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

// executionPayload is what the ledger keeps beside the header.
type executionPayload struct {
	Guard           string            `json:"guard"`
	GuardAt         int64             `json:"guard_at"` // microseconds, by the Guard's clock
	Tool            string            `json:"tool,omitempty"`
	Method          string            `json:"method,omitempty"`
	Target          string            `json:"target,omitempty"`
	Observed        string            `json:"observed,omitempty"`
	Decision        string            `json:"decision,omitempty"`
	Reason          string            `json:"reason,omitempty"`
	Checks          []check           `json:"checks,omitempty"`
	Definition      string            `json:"definition,omitempty"`
	Policy          string            `json:"policy,omitempty"`
	ArgumentsDigest string            `json:"arguments_digest,omitempty"`
	Values          json.RawMessage   `json:"values,omitempty"` // of arguments that the resource's operator has recorded
	Outcome         string            `json:"outcome,omitempty"`
	DurationUS      int64             `json:"duration_us,omitempty"`
	Trace           string            `json:"trace,omitempty"`
	Dispute         string            `json:"dispute,omitempty"` // why we do not vouch for it
	Kind            string            `json:"kind,omitempty"`    // what a disputed record said it was
	Claimed         map[string]string `json:"claimed,omitempty"` // who, as the Guard says
	Replica         string            `json:"replica,omitempty"` // of the Guard
	N               int64             `json:"n,omitempty"`       // its own number of the record
	Said            string            `json:"said,omitempty"`    // to the letter, where the rest does not tell

	Unrecorded string `json:"unrecorded,omitempty"` // digest of what a Guard keeps because we refused it
	Size       int64  `json:"size,omitempty"`
}

// appendExecutions serves POST /executions: the Guard's half of the ledger. What a Guard says of
// itself is overwritten with what we know, and what we cannot vouch for is kept as disputed.
func (s *Server) appendExecutions(w http.ResponseWriter, r *http.Request) error {
	res, err := s.authenticateGuard(r)
	if err != nil {
		return err
	}
	var in executionBatch
	if err := readJSON(r, maxLargeBody, &in); err != nil {
		return err
	}
	batch, bad, err := in.parse()
	if refused, ok := errors.AsType[*oauth.Error](err); ok && bad >= 0 { // which of them, so that the Guard need not search
		s.note(r, refused)
		return writeJSON(w, http.StatusBadRequest, map[string]any{"error": refused.Code, "error_description": refused.Description, "record": bad})
	}
	if err != nil {
		return err
	}
	signed, err := in.signed(res, s.issuer)
	if err != nil {
		return err
	}
	if err := s.limitStandIns(r.Context(), res, batch); err != nil {
		return err
	}
	recs, err := s.executionRecords(r.Context(), res, in, batch)
	if err != nil {
		return err
	}
	next, err := s.store.AppendExecutions(r.Context(), res.GuardID, in.Replica, in.First, recs, signed)
	if err != nil {
		return err
	}
	if next < in.First+int64(len(recs)) {
		return writeJSON(w, http.StatusConflict, map[string]any{"error": "out_of_sequence", "error_description": "send the records from next on", "next": next})
	}
	if next == in.First+int64(len(recs)) { // else it was sent before
		s.countUnrecorded(res, batch)
	}
	return writeJSON(w, http.StatusOK, map[string]int64{"next": next})
}

// parse reads the records, and refuses a batch that no Guard of ours would send; bad is the first bad
// record, or -1.
func (b executionBatch) parse() (batch []execution, bad int, err error) {
	if !validReplica(b.Replica) {
		return nil, -1, oauth.Refuse(oauth.InvalidRequest, "replica is no name of one")
	}
	if b.First < 1 || len(b.Records) > maxBatch {
		return nil, -1, oauth.Refuse(oauth.InvalidRequest, fmt.Sprintf("first counts from 1, and a batch has at most %d records", maxBatch))
	}
	batch = make([]execution, len(b.Records))
	for i, raw := range b.Records {
		problem := ""
		if err := tokens.StrictUnmarshal(raw, &batch[i]); err != nil {
			problem = oauth.Printable(err.Error())
		} else {
			problem = batch[i].problem()
		}
		if problem == "" && batch[i].Kind == kindStandIn && len(raw) > maxStandIn {
			problem = "a stand-in is short"
		}
		if problem != "" {
			return nil, i, oauth.Refuse(oauth.InvalidRequest, fmt.Sprintf("records[%d]: %s", i, problem))
		}
	}
	return batch, -1, nil
}

func (e execution) problem() string {
	switch {
	case e.Kind == kindStandIn:
		return e.standInProblem()
	case e.Kind != kindDecided && e.Kind != kindFinished:
		return "kind is execution.decided or execution.finished"
	case !validID(e.Execution, "exe_"):
		return "execution is not an execution id"
	case e.Task != "" && !validID(e.Task, "tsk_"):
		return "task is not a task id"
	case e.JTI != "" && !validJTI(e.JTI):
		return "jti is not a token id"
	case e.Kind == kindDecided && e.Decision != "allowed" && e.Decision != "refused":
		return "decision is allowed or refused"
	case e.Kind == kindFinished && e.Outcome != "ok" && e.Outcome != "error" && e.Outcome != "unknown":
		return "outcome is ok, error or unknown"
	case len(e.Checks) > 32:
		return "more than 32 checks"
	}
	return ""
}

// validID reports whether id is one that tokens.NewID(prefix) makes.
func validID(id, prefix string) bool {
	rest, ok := strings.CutPrefix(id, prefix)
	return ok && len(rest) == 26 && strings.Trim(rest, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

// validJTI reports whether id can be the jti of an access token: of a signed one, which tokens.NewID makes,
// or of an opaque one, which is its hash.
func validJTI(id string) bool {
	hash, ok := strings.CutPrefix(id, "at_")
	opaque := ok && len(hash) == 43 && strings.Trim(hash, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == ""
	return opaque || validID(id, "at_")
}

// executionRecords turns a batch into ledger records, reading each token once.
func (s *Server) executionRecords(ctx context.Context, res store.Resource, in executionBatch, batch []execution) ([]store.Record, error) {
	issued := map[string]*store.AccessState{}
	recs := make([]store.Record, 0, len(batch))
	for i, e := range batch {
		if _, read := issued[e.JTI]; !read && e.JTI != "" {
			state, err := s.store.AccessByJTI(ctx, e.JTI)
			switch {
			case err == nil:
				issued[e.JTI] = &state
			case errors.Is(err, store.ErrTokenNotFound):
				issued[e.JTI] = nil
			default:
				return nil, err
			}
		}
		recs = append(recs, e.record(res, issued[e.JTI], in.Replica, in.First+int64(i), in.Records[i]))
	}
	return recs, nil
}

// record is the ledger's record of an execution. state is the token that it names, as we issued it.
func (e execution) record(res store.Resource, state *store.AccessState, replica string, n int64, raw []byte) store.Record {
	if e.Kind == kindStandIn {
		return e.unrecorded(res, state, replica, n, raw)
	}
	payload := executionPayload{
		Guard: res.GuardID, GuardAt: e.At, Tool: cut(e.Tool, 128), Method: cut(e.Method, 64), Target: cut(e.Target, 2048), Observed: cut(e.Observed, 64), Decision: e.Decision, Reason: cut(e.Reason, 64),
		Checks: cutChecks(e.Checks), Definition: cut(e.Definition, 64), Policy: cut(e.Policy, 64),
		ArgumentsDigest: cut(e.ArgumentsDigest, 64), Values: smallObject(e.Values), Outcome: e.Outcome, DurationUS: e.DurationUS, Trace: cut(e.Trace, 128),
		Dispute: e.dispute(res, state),
	}
	kind := e.Kind
	if payload.Dispute != "" {
		kind, payload.Kind = kindDisputed, e.Kind
		payload.Claimed = map[string]string{"user": cut(e.User, 64), "client_id": cut(e.ClientID, 256), "jkt": cut(e.JKT, 64)}
	}
	rec := store.Record{Kind: kind, Resource: res.URI, Execution: e.Execution, Task: e.Task, JTI: e.JTI}
	if state != nil {
		rec.User, rec.Client, rec.Agent = state.Task.UserID, state.Token.ClientID, state.Token.JKT
	}
	payload.remember(rec, replica, n, raw)
	rec.Payload, rec.Salt = store.NewRecord(kind, payload).Payload, nil // salted when it is stored
	return rec
}

// dispute says why we do not vouch for the execution; "" when we do.
func (e execution) dispute(res store.Resource, state *store.AccessState) string {
	switch {
	case e.JTI == "" && e.Task == "" && e.Kind == kindDecided && e.Decision == "refused":
		return "" // a caller without a token of ours, refused
	case state == nil:
		return "no token with this jti was issued"
	case state.Token.Resource != res.URI:
		return "the token was issued for another resource"
	case state.Token.TaskID != e.Task:
		return "the token belongs to another task"
	case e.ClientID != "" && e.ClientID != state.Token.ClientID, e.User != "" && e.User != state.Task.UserID, e.JKT != "" && e.JKT != state.Token.JKT:
		return "user, client or key are not those of the token"
	}
	return ""
}

// smallObject is the values that a Guard has recorded, when they are an object of a size that ours send.
func smallObject(raw json.RawMessage) json.RawMessage {
	if len(raw) > 4<<10 || !bytes.HasPrefix(raw, []byte{'{'}) {
		return nil
	}
	return raw
}

// cut shortens text to at most n bytes: the log keeps a part rather than nothing.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

func cutChecks(checks []check) []check {
	short := make([]check, 0, len(checks))
	for _, c := range checks {
		short = append(short, check{Name: cut(c.Name, 64), OK: c.OK, Detail: cut(c.Detail, 256)})
	}
	return short
}
