package server

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"

	"github.com/remit-auth/remit/store"
)

const (
	// kindStandIn is what a Guard sends in the place of a record that this server refused, each time, for what
	// it says, so that the records behind it arrive. The record itself stays with the Guard.
	kindStandIn = "execution.unrecorded"
	// kindUnrecorded is what the ledger makes of it: something that a person should look at.
	kindUnrecorded = "finding.execution_unrecorded"
	// maxStandIn is more bytes than a Guard of ours needs for one.
	maxStandIn = 4 << 10
)

// limitStandIns bounds the findings that a Guard, or a thief of its key, can make. A Guard waits then, and so
// do its calls when too many wait.
func (s *Server) limitStandIns(ctx context.Context, res store.Resource, batch []execution) error {
	for _, e := range batch {
		if e.Kind == kindStandIn {
			if err := s.limit(ctx, byStandIn.of("stand-in:"+res.GuardID)); err != nil {
				return err
			}
		}
	}
	return nil
}

// standInProblem says what is wrong with a stand-in. It is told little, so that little can be wrong.
func (e execution) standInProblem() string {
	switch {
	case e.Execution != "" && !validID(e.Execution, "exe_"):
		return "execution is not an execution id"
	case e.Task != "" && !validID(e.Task, "tsk_"):
		return "task is not a task id"
	case e.JTI != "" && !validJTI(e.JTI):
		return "jti is not a token id"
	case !validDigest(e.Unrecorded):
		return "unrecorded is not a digest"
	}
	return ""
}

func validDigest(s string) bool {
	hash, ok := strings.CutPrefix(s, "sha-256:")
	return ok && len(hash) == 43 && strings.Trim(hash, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// unrecorded is the ledger's finding of a stand-in. Task and user are named only where the token is one that we
// issued for this resource: nobody is blamed for what another Guard claims.
func (e execution) unrecorded(res store.Resource, state *store.AccessState, replica string, n int64, raw []byte) store.Record {
	payload := executionPayload{
		Guard: res.GuardID, GuardAt: e.At, Kind: cut(e.Of, 64), Unrecorded: e.Unrecorded, Size: e.Size, Reason: cut(e.Reason, 256),
		Replica: replica, N: n, Said: string(raw),
	}
	rec := store.Record{Kind: kindUnrecorded, Resource: res.URI, Execution: e.Execution}
	if state != nil && e.dispute(res, state) == "" {
		rec.Task, rec.JTI, rec.User, rec.Client, rec.Agent = e.Task, e.JTI, state.Task.UserID, state.Token.ClientID, state.Token.JKT
	}
	rec.Payload = store.NewRecord(kindUnrecorded, payload).Payload // salted when it is stored
	return rec
}

// repeatsStandIn reports whether what the Guard said is what the rest of the record says.
func (p executionPayload) repeatsStandIn(rec store.Record) bool {
	var said execution
	if json.Unmarshal([]byte(p.Said), &said) != nil {
		return false
	}
	return said.Kind == kindStandIn && said.Execution == rec.Execution && said.At == p.GuardAt && said.Unrecorded == p.Unrecorded && said.Size == p.Size &&
		cut(said.Of, 64) == p.Kind && cut(said.Reason, 256) == p.Reason && (rec.Task == "" || rec.Task == said.Task) && (rec.JTI == "" || rec.JTI == said.JTI)
}

// countUnrecorded tells the operator, once a batch with stand-ins is stored.
func (s *Server) countUnrecorded(res store.Resource, batch []execution) {
	for _, e := range batch {
		if e.Kind == kindStandIn {
			s.unrecorded.Add(1)
			s.log.Error("a Guard could not record a call: what this server refused is in quarantine there", slog.String("guard", res.GuardID),
				slog.String("execution", e.Execution), slog.String("digest", e.Unrecorded), slog.String("reason", cut(e.Reason, 256)))
		}
	}
}

// Unrecorded is how many records Guards could not bring here, since the start.
func (s *Server) Unrecorded() int64 { return s.unrecorded.Load() }
