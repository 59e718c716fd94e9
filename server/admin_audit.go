package server

import (
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/remit-auth/remit/store"
)

// auditRecord is one line of an export: all that a reader needs to check the chain.
type auditRecord struct {
	Seq       int64           `json:"seq"`
	At        time.Time       `json:"at"`
	Instance  string          `json:"instance"`
	N         int64           `json:"n"`
	Kind      string          `json:"kind"`
	Task      string          `json:"task,omitempty"`
	User      string          `json:"user,omitempty"`
	Client    string          `json:"client,omitempty"`
	Agent     string          `json:"agent,omitempty"`
	Resource  string          `json:"resource,omitempty"`
	JTI       string          `json:"jti,omitempty"`
	Execution string          `json:"execution,omitempty"`
	Request   string          `json:"request,omitempty"`
	Payload   json.RawMessage `json:"payload"` // null: erased
	Salt      string          `json:"salt,omitempty"`
	Digest    string          `json:"digest"`
	Hash      string          `json:"hash"`
}

// viewRecord is a record as this reader may read it.
func viewRecord(a acting, rec store.Record) auditRecord {
	rec = a.read(rec)
	v := auditRecord{
		Seq: rec.Seq, At: rec.At.UTC(), Instance: rec.Instance, N: rec.N, Kind: rec.Kind, Task: rec.Task, User: rec.User,
		Client: rec.Client, Agent: rec.Agent, Resource: rec.Resource, JTI: rec.JTI, Execution: rec.Execution, Request: rec.Request,
		Payload: json.RawMessage("null"), Salt: hex.EncodeToString(rec.Salt), Digest: rec.Digest.String(), Hash: rec.Hash.String(),
	}
	if json.Valid(rec.Payload) {
		v.Payload = rec.Payload
	}
	return v
}

// auditRecords serves GET /admin/api/audit/records?after=&task=&user=&kind=&resource=&limit= as one JSON object a
// line, in the order of the chain. What is not yet chained is chained first.
func (s *Server) auditRecords(w http.ResponseWriter, r *http.Request, a acting) error {
	q := r.URL.Query()
	f, err := s.recordsWanted(r.Context(), q)
	if err != nil {
		return err
	}
	if after := q.Get("after"); after != "" {
		if f.AfterSeq, err = strconv.ParseInt(after, 10, 64); err != nil || f.AfterSeq < 0 {
			return bad("after is the number of a record")
		}
	}
	if f.Limit, err = queryInt(q.Get("limit"), 1000, 10000); err != nil {
		return err
	}
	if err := s.sequence(r.Context()); err != nil {
		return err
	}
	recs, err := s.store.Records(r.Context(), f)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/jsonl")
	w.Header().Set("Cache-Control", "no-store")
	lines := json.NewEncoder(w)
	for _, rec := range recs {
		if err := lines.Encode(viewRecord(a, rec)); err != nil {
			return nil // the reader has gone
		}
	}
	return nil
}

// auditCheckpoints serves GET /admin/api/audit/checkpoints, oldest first.
func (s *Server) auditCheckpoints(w http.ResponseWriter, r *http.Request) error {
	all, err := s.store.Checkpoints(r.Context())
	if err != nil {
		return err
	}
	type view struct {
		Size   int64     `json:"size"`
		Head   string    `json:"head"`
		At     time.Time `json:"at"`
		Signed string    `json:"signed"`
	}
	views := []view{}
	for _, c := range all {
		views = append(views, view{c.Size, c.Head.String(), c.At.UTC(), c.Signed})
	}
	return writeJSON(w, http.StatusOK, map[string]any{"checkpoints": views})
}
