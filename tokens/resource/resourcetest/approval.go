package resourcetest

import (
	"encoding/json"
	"net/http"
	"slices"
	"sync"

	"github.com/remit-auth/remit/tokens"
)

// Approval is a call that a Guard has asked about.
type Approval struct {
	ID, Task, Tool, Definition string
	Arguments                  json.RawMessage // as the user would read them
}

// approvals are the calls that were asked about, and what was said of them.
type approvals struct {
	mu      sync.Mutex
	waiting []Approval
	said    map[string]bool // by call: allowed, or denied
}

func (a Approval) call() string {
	return a.Task + "\n" + a.Tool + "\n" + a.Definition + "\n" + tokens.HashBytes(a.Arguments)
}

// Approvals returns the calls that wait for an answer.
func (i *Issuer) Approvals() []Approval {
	i.approvals.mu.Lock()
	defer i.approvals.mu.Unlock()
	return append([]Approval(nil), i.approvals.waiting...)
}

// Decide answers for the user on a call that waits. A yes is good for one call.
func (i *Issuer) Decide(a Approval, allow bool) {
	p := &i.approvals
	p.mu.Lock()
	defer p.mu.Unlock()
	for n, w := range p.waiting {
		if w.ID == a.ID {
			p.waiting = append(p.waiting[:n:n], p.waiting[n+1:]...)
			if p.said == nil {
				p.said = map[string]bool{}
			}
			p.said[w.call()] = allow
			return
		}
	}
	i.t.Helper()
	i.t.Errorf("resourcetest: no call %s waits", a.ID)
}

// ask is POST /approvals.
func (i *Issuer) ask(w http.ResponseWriter, r *http.Request, _ *protected) {
	var in struct {
		Execution, Task, JTI, Tool, Definition string
		Arguments                              json.RawMessage
	}
	if !read(w, r, &in) {
		return
	}
	canonical, err := tokens.Canonical(in.Arguments)
	if err != nil {
		answer(w, http.StatusBadRequest, map[string]any{"error": "invalid_request"})
		return
	}
	a := Approval{ID: tokens.NewID("apv_"), Task: in.Task, Tool: in.Tool, Definition: in.Definition, Arguments: canonical}
	p := &i.approvals
	p.mu.Lock()
	defer p.mu.Unlock()
	if allowed, said := p.said[a.call()]; said && !allowed {
		answer(w, http.StatusForbidden, map[string]any{"error": "approval_denied"})
		return
	} else if said {
		delete(p.said, a.call())
		answer(w, http.StatusOK, map[string]any{"approval": a.ID, "state": "spent"})
		return
	}
	if n := slices.IndexFunc(p.waiting, func(w Approval) bool { return w.call() == a.call() }); n >= 0 {
		a = p.waiting[n]
	} else {
		p.waiting = append(p.waiting, a)
	}
	answer(w, http.StatusAccepted, map[string]any{"approval": a.ID, "state": "asked", "url": i.URL() + "/approvals/" + a.ID, "expires_in": 600})
}
