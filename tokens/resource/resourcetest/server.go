package resourcetest

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/remit-auth/remit/tokens"
)

// Execution is one record that a Guard sent.
type Execution struct {
	Kind       string         `json:"kind"`
	Execution  string         `json:"execution"`
	At         int64          `json:"at"`
	Task       string         `json:"task"`
	JTI        string         `json:"jti"`
	Client     string         `json:"client_id"`
	User       string         `json:"user"`
	JKT        string         `json:"jkt"`
	Tool       string         `json:"tool"`
	Method     string         `json:"method"` // of a read
	Target     string         `json:"target"`
	Observed   string         `json:"observed"` // why it would have been refused
	Decision   string         `json:"decision"`
	Reason     string         `json:"reason"`
	Checks     []Check        `json:"checks"`
	Definition string         `json:"definition"`
	Policy     string         `json:"policy"`
	Arguments  string         `json:"arguments_digest"`
	Values     map[string]any `json:"values"`
	Outcome    string         `json:"outcome"`
	Duration   int64          `json:"duration_us"`
	Trace      string         `json:"trace"`
	Of         string         `json:"of"`         // of execution.unrecorded: the kind of what it stands for
	Unrecorded string         `json:"unrecorded"` // and the digest of the file that keeps that
	Size       int            `json:"size"`
}

// Check is one step of a decision.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// Executions waits until at least n records of the resource have arrived and returns them all.
func (i *Issuer) Executions(uri string, n int) (records []Execution) {
	i.t.Helper()
	i.until("execution records", func() bool {
		records = slices.Clone(i.resources[uri].records)
		return len(records) >= n
	})
	return records
}

// Refusal is an answer to records that the issuer does not take.
type Refusal struct {
	Status     int
	Code, Text string
}

// RefuseExecutions makes the issuer refuse every batch in which refuse finds a record that it does not
// take; it is asked about the batch itself with no record. Nil: all are taken again.
func (i *Issuer) RefuseExecutions(refuse func(record json.RawMessage) *Refusal) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.refuse = refuse
}

// RefusedExecutions is how many batches were refused for that.
func (i *Issuer) RefusedExecutions() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.refusals
}

func (i *Issuer) refused(record json.RawMessage) *Refusal {
	if i.refuse == nil {
		return nil
	}
	return i.refuse(record)
}

// Manifest returns the policy and the tools that the resource's Guard published last.
func (i *Issuer) Manifest(uri string) (policy string, tools []json.RawMessage) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.resources[uri].policy, i.resources[uri].tools
}

// WaitManifest waits until what the resource's Guard published last is as the test wants it.
func (i *Issuer) WaitManifest(uri string, holds func(policy string, tools []json.RawMessage) bool) {
	i.t.Helper()
	i.until("the manifest", func() bool { return holds(i.resources[uri].policy, i.resources[uri].tools) })
}

func (i *Issuer) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", i.metadata)
	mux.HandleFunc("GET /jwks", i.jwks)
	mux.HandleFunc("POST /enroll", i.enrol)
	mux.HandleFunc("POST /introspect", i.introspect)
	for pattern, h := range map[string]func(http.ResponseWriter, *http.Request, *protected){
		"PUT /manifest":            i.manifest,
		"GET /feed":                i.feed,
		"POST /feed/ack":           i.ack,
		"POST /executions":         i.executions,
		"POST /executions/reserve": i.reserve,
		"POST /approvals":          i.ask,
		"GET /grants/{hash}":       i.largeGrant,
	} {
		mux.HandleFunc(pattern, i.authenticated(h))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		down := i.down
		i.mu.Unlock()
		if down {
			w.Header().Set("Retry-After", "1")
			answer(w, http.StatusServiceUnavailable, map[string]any{"error": "temporarily_unavailable"})
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // nobody is left to tell
}

// authenticated finds the resource whose Guard signed the assertion.
func (i *Issuer) authenticated(h func(http.ResponseWriter, *http.Request, *protected)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		raw, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		id, err := tokens.PeekAssertionClient(raw)
		i.mu.Lock()
		var res *protected
		for _, one := range i.resources {
			if one.guardID != "" && one.guardID == id {
				res = one
			}
		}
		var key tokens.KeySet
		if res != nil {
			key = res.key
		}
		now := i.now()
		i.mu.Unlock()
		if err == nil {
			_, err = key.VerifyAssertion(raw, id, i.URL(), now)
		}
		if err != nil || res == nil {
			answer(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
			return
		}
		h(w, r, res)
	}
}

func (i *Issuer) metadata(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{"issuer": i.URL(), "jwks_uri": i.URL() + "/jwks"})
}

func (i *Issuer) jwks(w http.ResponseWriter, _ *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	raw, err := tokens.NewKeySet(i.published...).JWKS()
	if err != nil {
		panic(err) // keys of our own
	}
	_, _ = w.Write(raw) // nobody is left to tell
}

func (i *Issuer) enrol(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Code   string            `json:"enrolment_code"`
		Key    json.RawMessage   `json:"key"`
		Policy string            `json:"policy"`
		Tools  []json.RawMessage `json:"tools"`
	}
	if !read(w, r, &in) {
		return
	}
	key, err := tokens.ParseKeySet([]byte(`{"keys":[` + string(in.Key) + `]}`))
	i.mu.Lock()
	defer i.mu.Unlock()
	uri, ok := i.codes[in.Code]
	if !ok || err != nil {
		answer(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
		return
	}
	delete(i.codes, in.Code)
	res := i.resources[uri]
	res.guardID, res.key, res.policy, res.tools = tokens.NewID("grd_"), key, in.Policy, in.Tools
	i.change()
	answer(w, http.StatusCreated, map[string]any{
		"guard_id": res.guardID, "issuer": i.URL(), "resource": uri, "jwks_uri": i.URL() + "/jwks",
		"feed": i.URL() + "/feed", "ack": i.URL() + "/feed/ack", "executions": i.URL() + "/executions",
		"reserve": i.URL() + "/executions/reserve", "introspect": i.URL() + "/introspect", "pending_tools": []string{},
	})
}

func (i *Issuer) manifest(w http.ResponseWriter, r *http.Request, res *protected) {
	var in struct {
		Policy string            `json:"policy"`
		Tools  []json.RawMessage `json:"tools"`
	}
	if !read(w, r, &in) {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	res.policy, res.tools = in.Policy, in.Tools
	i.change()
	answer(w, http.StatusOK, map[string]any{"pending_tools": []string{}})
}

func (i *Issuer) ack(w http.ResponseWriter, r *http.Request, res *protected) {
	var in struct {
		Seq int64 `json:"seq"`
	}
	if !read(w, r, &in) {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	res.acked = max(res.acked, in.Seq)
	i.change()
	w.WriteHeader(http.StatusNoContent)
}

func (i *Issuer) executions(w http.ResponseWriter, r *http.Request, res *protected) {
	var in struct {
		First     int64             `json:"first"`
		Replica   string            `json:"replica"`
		Records   []json.RawMessage `json:"records"`
		Signature string            `json:"signature"`
	}
	if !read(w, r, &in) {
		return
	}
	digests, records := make([]string, len(in.Records)), make([]Execution, len(in.Records))
	for n, raw := range in.Records {
		digests[n] = tokens.HashBytes(raw)
		if json.Unmarshal(raw, &records[n]) != nil {
			answer(w, http.StatusBadRequest, map[string]any{"error": "invalid_request"})
			return
		}
	}
	signed, err := res.key.VerifyBatch(in.Signature)
	if err != nil || signed.Guard != res.guardID || signed.Replica != in.Replica || signed.First != in.First || signed.Digest != tokens.BatchDigest(digests) {
		answer(w, http.StatusBadRequest, map[string]any{"error": "invalid_request", "error_description": "signature"})
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, raw := range append(in.Records, nil) {
		if refused := i.refused(raw); refused != nil {
			i.refusals++
			answer(w, refused.Status, map[string]any{"error": refused.Code, "error_description": refused.Text})
			return
		}
	}
	if res.next == nil {
		res.next = map[string]int64{}
	}
	next := max(res.next[in.Replica], 1)
	if in.First > next {
		answer(w, http.StatusConflict, map[string]any{"error": "out_of_sequence", "next": next})
		return
	}
	for n, e := range records {
		if in.First+int64(n) == next {
			res.records = append(res.records, e)
			next++
		}
	}
	res.next[in.Replica] = next
	i.change()
	answer(w, http.StatusOK, map[string]any{"next": next})
}

func (i *Issuer) reserve(w http.ResponseWriter, r *http.Request, _ *protected) {
	var in struct {
		Execution, Task, JTI, Tool string

		Most int `json:"max_calls"` // of the policy
	}
	if !read(w, r, &in) {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	b := i.budgets[in.Task]
	most := in.Most
	if b != nil {
		if granted := b.tools[in.Tool]; most == 0 || granted > 0 && granted < most {
			most = granted
		}
	}
	switch {
	case b == nil || b.over:
		answer(w, http.StatusGone, map[string]any{"error": "task_not_active"})
		return
	case b.seen[in.Execution]:
	case most > 0 && b.called[in.Tool] >= most:
		answer(w, http.StatusConflict, map[string]any{"error": "tool_budget_spent"})
		return
	case b.task == 0:
		b.over = true
		answer(w, http.StatusConflict, map[string]any{"error": "task_budget_spent"})
		return
	default:
		b.seen[in.Execution] = true
		b.called[in.Tool]++
		if b.task > 0 {
			b.task--
		}
	}
	left := -1
	if most > 0 {
		left = most - b.called[in.Tool]
	}
	answer(w, http.StatusOK, map[string]any{"tool_left": left, "task_left": b.task})
}

func (i *Issuer) largeGrant(w http.ResponseWriter, r *http.Request, res *protected) {
	i.mu.Lock()
	defer i.mu.Unlock()
	res.fetched++
	raw, ok := res.grants[r.PathValue("hash")]
	if !ok {
		answer(w, http.StatusNotFound, map[string]any{"error": "invalid_request"})
		return
	}
	_, _ = w.Write(raw) // nobody is left to tell
}

// SetGrant changes what the issuer answers when the resource's Guard fetches the grant of this hash;
// nil: that there is none.
func (i *Issuer) SetGrant(uri, hash string, raw []byte) {
	i.mu.Lock()
	defer i.mu.Unlock()
	res := i.resources[uri]
	if res.grants == nil {
		res.grants = map[string][]byte{}
	}
	res.grants[hash] = raw
	if raw == nil {
		delete(res.grants, hash)
	}
}

// GrantFetches is how often the resource's Guard has fetched a grant.
func (i *Issuer) GrantFetches(uri string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.resources[uri].fetched
}

// read decodes a body, or refuses it.
func read(w http.ResponseWriter, r *http.Request, v any) bool {
	raw, err := io.ReadAll(io.LimitReader(r.Body, 2<<20))
	if err == nil {
		err = json.Unmarshal(raw, v)
	}
	if err != nil {
		answer(w, http.StatusBadRequest, map[string]any{"error": "invalid_request", "error_description": err.Error()})
		return false
	}
	return true
}
