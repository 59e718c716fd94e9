package resource

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/remit-auth/remit/tokens"
)

// call is one request on its way through the Guard.
type call struct {
	g   *Guard
	w   http.ResponseWriter
	r   *http.Request
	now time.Time

	raw       string  // the access token
	dpop      bool    // the scheme of the Authorization header
	ath       string  // the hash of the token's text (RFC 9449 §4.2)
	bearer    *bearer // nil until the token is verified
	granted   *granted
	nonce     string // that the proof was made with
	body      []byte
	msg       message
	live      liveTool
	rules     *ruleset // the one version of the policy that judges this request
	reach     reach
	variant   *variant // the alternative that permits the call
	step      string   // the check that runs
	would     []would  // refusals that the policy's mode has kept from happening
	execution string
}

// step is one check. Its name is what the ledger calls it.
type step struct {
	name string
	run  func(*call) *refusal
}

// steps for every request, then those for tools/call, in the order of DESIGN §4 "Call".
var (
	steps = []step{
		{"token", (*call).token},
		{"proof", (*call).proof},
		{"view", (*call).view},
		{"details", (*call).details},
		{"message", (*call).message},
	}
	toolSteps = []step{
		{"definition", (*call).definition},
		{"introspection", (*call).askTool},
		{"scope", (*call).scope},
		{"role", (*call).role},
		{"condition", (*call).condition},
		{"grant", (*call).grant},
		{"switch", (*call).notSwitchedOff},
		{"limits", (*call).limits},
		{"approval", (*call).approval},
		{"budget", (*call).budget},
	}
	viewStep    = slices.IndexFunc(steps, func(s step) bool { return s.name == "view" })
	passed      = passedChecks(toolSteps)
	passedRead  = passedChecks(readSteps)
	passedJSON  = appendChecks(nil, passed)
	unboundJSON = appendChecks(nil, notKeyBound(passed))
)

// notKeyBound is what a decision records when the policy asked for no proof.
func notKeyBound(passed []check) []check {
	all := slices.Clone(passed)
	for i := range all {
		if all[i].Name == "proof" {
			all[i].Detail = "not key-bound"
		}
	}
	return all
}

// passedChecks is what a decision records when every step was passed.
func passedChecks(more []step) []check {
	var all []check
	for _, s := range append(steps[:len(steps):len(steps)], more...) {
		all = append(all, check{Name: s.name, OK: true})
	}
	return all
}

// passed is what the request has passed when it has passed everything.
func (c *call) passed() []check {
	if c.msg.read != "" {
		return passedRead
	}
	return passed
}

// Protect returns a handler that lets through to next only what the Guard allows. It reads the
// credentials, which next never sees; next gets the request with its principal in the context and,
// for tools/call, the very arguments that were checked. When the task ends meanwhile, so do the context
// of the request and its answer (promise P1); next cannot take over the connection, on which it could go on.
func (g *Guard) Protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &call{g: g, w: w, r: r, now: g.now(), rules: g.rules.Load()}
		n, f := c.decide()
		if f == nil && c.msg.recorded() {
			if f = c.stands(); f != nil {
				n = viewStep
			} else {
				f = c.record()
			}
		}
		if f != nil {
			c.refused(f, n)
			f.write(c)
			return
		}
		c.pass(next)
	})
}

// decide runs the steps. It returns the refusal, if any, and how many steps were passed.
func (c *call) decide() (int, *refusal) {
	c.dpop, _ = scheme(c.r)
	for i, s := range steps {
		if f := s.run(c); f != nil {
			return i, f
		}
	}
	more := toolSteps
	switch {
	case c.msg.read != "":
		more = readSteps
	case c.msg.method != methodCall:
		return 0, nil
	}
	c.execution = tokens.NewID("exe_")
	for i, s := range more {
		c.step = s.name
		if f := s.run(c); f != nil {
			return len(steps) + i, f
		}
	}
	return len(steps) + len(more), nil
}

// view refuses what has ended, and everything while the Guard does not hear what ends.
func (c *call) view() *refusal {
	if c.g.introspects {
		return c.introspect()
	}
	switch code := c.g.ends.check(c.bearer); code {
	case "":
	case StaleView:
		return refuse(code, "this server has not heard from its authorization server; try again soon")
	case TaskSuspended:
		return refuse(code, "the task is suspended").with(available, "Ask the user to resume the task, then try again.")
	case SwitchedOff:
		return refuse(code, "an administrator has stopped this for now").with(unavailable, stoppedHint)
	case TaskEnded:
		return refuse(code, "the task has ended")
	case BadToken:
		return refuse(code, "the access token is not valid here any more")
	default:
		return refuse(code, "the access token was revoked")
	}
	if !c.now.Before(c.bearer.Task.Ends) {
		return refuse(TaskEnded, "the task has ended")
	}
	return nil
}

// stands looks at the view once more: the steps since may have waited for the authorization server or
// for the tool server, and the task may have ended meanwhile. A Guard that asks does not look twice:
// what it waits for, a count or an approval, is refused there.
func (c *call) stands() *refusal {
	switch {
	case !c.g.now().Before(c.bearer.Task.Ends):
		return refuse(TaskEnded, "the task has ended")
	case c.g.introspects:
		return nil
	}
	if f := c.view(); f != nil {
		return f
	}
	return c.notSwitchedOff()
}

// record makes the decision durable. Without it, no tool runs.
func (c *call) record() *refusal {
	e := c.about(kindDecided)
	e.Decision, e.Duration = allowed, c.took()
	e.Definition, e.Policy = c.live.definition, c.rules.Version()
	if c.msg.method == methodCall {
		e.Arguments = c.msg.digest()
		e.Values = c.g.values(c.msg.tool, c.msg.canonical)
	}
	if len(c.would) > 0 {
		e.Observed = c.would[0].Code
	}
	if len(c.would) > 0 || c.msg.read != "" {
		e.Checks = c.checks()
	}
	commit, err := c.g.spool.add(e, false)
	if err == nil {
		<-commit.done
		err = commit.err
	}
	if err != nil {
		c.g.log.Error("a decision could not be recorded", "error", err, "task", c.bearer.Task.ID)
		return refuse(LogUnavailable, "the call cannot be recorded now; try again soon")
	}
	return nil
}

// about returns a record about this call, with what is known from the start.
func (c *call) about(kind string) *execution {
	b := c.bearer
	e := &execution{
		Kind: kind, Execution: c.execution, At: c.now.UnixMicro(), Task: b.Task.ID, JTI: b.ID,
		Client: b.ClientID, User: b.Subject, JKT: b.JKT, Tool: cut(c.msg.tool, maxToolName), Trace: c.traceparent(),
	}
	if c.msg.read != "" {
		e.Method, e.Target = c.msg.method, cut(c.msg.target, maxTarget)
	}
	return e
}

// cut leaves of a name as much as one may have: a refused one has any length, and a record that is longer
// than a batch never arrives, nor any behind it.
func cut(s string, most int) string { return strings.ToValidUTF8(s[:min(len(s), most)], "") }

// took is how long the decision has taken, in microseconds.
func (c *call) took() int64 { return max(1, c.g.now().Sub(c.now).Microseconds()) }

func (c *call) traceparent() string {
	if all := c.r.Header.Values("Traceparent"); len(all) == 1 && validTrace(all[0]) != "" {
		return all[0]
	}
	return validTrace(c.msg.trace)
}

func (c *call) task() string {
	if c.bearer == nil {
		return ""
	}
	return c.bearer.Task.ID
}

// refused counts the refusal and, when the token was verified, records it: what strangers do is
// only counted, so that they cannot fill the disk. A proof without our nonce is no offence.
func (c *call) refused(f *refusal, n int) {
	c.g.count(f.Code)
	if c.bearer == nil || f.Code == UseNonce || f.Code == StaleView || f.Code == LogUnavailable {
		return
	}
	ok, suppressed := c.g.refusals.allow(c.bearer.Task.ID, c.now)
	if !ok {
		return
	}
	if c.execution == "" {
		c.execution = tokens.NewID("exe_")
	}
	e := c.about(kindDecided)
	e.Decision, e.Reason, e.Duration = refused, f.Code, c.took()
	if c.msg.method == methodCall {
		e.Arguments = c.msg.digest()
	}
	all := c.passed()
	e.Checks = append(all[:n:n], check{Name: all[n].Name, Detail: f.text})
	if suppressed > 0 {
		e.Checks[n].Detail += fmt.Sprintf(" (%d refusals before this one were not recorded)", suppressed)
	}
	e.Definition, e.Policy = c.live.definition, c.rules.Version()
	if _, err := c.g.spool.add(e, false); err != nil {
		c.g.log.Error("a refusal could not be recorded", "error", err, "task", e.Task)
	}
}

// pass hands the request on and records how it ended.
func (c *call) pass(next http.Handler) {
	p, a, returned := newPermit(c), &answering{ResponseWriter: c.w}, false
	if c.msg.recorded() {
		defer func() { c.finish(p, a.status, returned) }() // also when next panics
	}
	a.serve(p, next, c.admitted(p))
	returned = true
}

// admitted is the request as the server behind sees it, and the nonce for the next one.
func (c *call) admitted(p *Permit) *http.Request {
	r := c.r.WithContext(p.Context(c.r.Context()))
	r.Header = maps.Clone(c.r.Header)
	r.Header.Del("Authorization") // a token never travels further (MCP: no passthrough)
	r.Header.Del("DPoP")
	r.Header.Del("Content-Length")
	r.TransferEncoding = nil
	body := c.body
	if c.msg.method == methodCall {
		body = c.msg.encode()
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	if nonce := c.g.replay.issue(c.r.Context(), c.now); nonce != c.nonce && nonce != "" { // RFC 9449 §8.2
		h := c.w.Header()
		h.Set("DPoP-Nonce", nonce)
		h.Set("Cache-Control", "no-store")
		h.Set("Access-Control-Expose-Headers", "DPoP-Nonce, WWW-Authenticate")
	}
	return r
}

// finish records how the call ended. Nobody waits for it: should it be lost, the next start
// records "unknown".
func (c *call) finish(p *Permit, status int, returned bool) {
	e := c.about(kindFinished)
	end := c.g.now()
	e.At, e.Duration = end.UnixMicro(), max(1, end.Sub(c.now).Microseconds())
	switch said := p.outcome.Load(); {
	case said != nil:
		e.Outcome = *said
	case returned && status < http.StatusBadRequest:
		e.Outcome = outcomeOK
	default:
		e.Outcome = outcomeError
	}
	if _, err := c.g.spool.add(e, true); err != nil {
		c.g.log.Error("an outcome could not be recorded", "error", err, "execution", c.execution)
	}
}

// baseline is the scopes to ask for when there is no better idea.
func (g *Guard) baseline() string {
	if g.baselines != nil {
		return strings.Join(g.baselines, " ")
	}
	return strings.Join(g.rules.Load().Baseline(), " ")
}
