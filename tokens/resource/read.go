package resource

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource/policy"
)

// maxTarget is the longest URI or name that is read.
const maxTarget = 2048

// readMethods are those that read one resource or one prompt, and where their params name it.
var readMethods = map[string]func(*message, tokens.Member) error{
	"resources/read":        (*message).readURI,
	"resources/subscribe":   (*message).readURI,
	"resources/unsubscribe": (*message).readURI,
	"prompts/get":           (*message).readName,
	"completion/complete":   (*message).readRef,
}

// listMethods list what can be read. They are answered as far as the policy opens anything; what each
// caller sees of the list is for the server to ask the Permit.
var listMethods = map[string]policy.Kind{
	"resources/list":           policy.Resources,
	"resources/templates/list": policy.Resources,
	"prompts/list":             policy.Prompts,
}

// parseRead reads the params of a readMethod.
func (m *message) parseRead() error {
	i := m.find("params")
	if i < 0 || m.id == nil {
		return errors.New(m.method + " must have an id and params")
	}
	params, err := tokens.Members(m.members[i].Value)
	if err != nil {
		return err
	}
	for _, one := range params {
		if one.Name == "_meta" {
			m.trace = traceparent(one.Value)
		} else if err := readMethods[m.method](m, one); err != nil {
			return err
		}
	}
	if m.target == "" || len(m.target) > maxTarget {
		return errors.New(m.method + " must name what it reads, in at most 2048 bytes")
	}
	return nil
}

func (m *message) readURI(one tokens.Member) (err error) {
	if one.Name != "uri" {
		return refuseTwin(one.Name, "uri", "_meta")
	}
	m.read = policy.Resources
	m.target, err = text(one)
	return err
}

func (m *message) readName(one tokens.Member) (err error) {
	if one.Name != "name" {
		return refuseTwin(one.Name, "name", "_meta")
	}
	m.read = policy.Prompts
	m.target, err = text(one)
	return err
}

// readRef reads what is to be completed: the argument of a prompt, or of a resource's template.
func (m *message) readRef(one tokens.Member) error {
	if one.Name != "ref" {
		return refuseTwin(one.Name, "ref", "_meta")
	}
	members, err := tokens.Members(one.Value)
	if err != nil {
		return err
	}
	var kind, name, uri string
	for _, one := range members {
		switch one.Name {
		case "type":
			kind, err = text(one)
		case "name":
			name, err = text(one)
		case "uri":
			uri, err = text(one)
		default:
			err = refuseTwin(one.Name, "type", "name", "uri")
		}
		if err != nil {
			return err
		}
	}
	switch {
	case kind == "ref/prompt" && uri == "":
		m.read, m.target = policy.Prompts, name
	case kind == "ref/resource" && name == "":
		m.read, m.target, m.template = policy.Resources, uri, true
	default:
		return errors.New("ref must name one prompt or one resource")
	}
	return nil
}

// opens reports whether the policy has anything of this kind to read: where it names no resource,
// none is there for agents, and so with prompts.
func (c *call) opens() bool {
	kind, lists := listMethods[c.msg.method]
	switch {
	case lists:
		return c.rules.Opens(kind)
	case c.msg.read != "":
		return c.rules.Opens(c.msg.read)
	}
	return false
}

// readSteps are the checks of a read, after those of every request. The scope is what the user has
// consented to, so it is never only observed.
var readSteps = []step{
	{"target", (*call).target},
	{"scope", (*call).readScope},
	{"role", (*call).readRole},
	{"condition", (*call).condition},
	{"grant", (*call).readBound},
}

// target checks that the policy names it, and that it is named in one way.
func (c *call) target() *refusal {
	if err := policy.CheckURI(c.msg.target); c.msg.read == policy.Resources && !c.msg.template && err != nil {
		return refuse(BadRequest, "the resource is not named in normal form: "+err.Error())
	}
	d := c.bearer.reads(c.rules, c.msg.read, c.msg.target, c.msg.template, c.holding())
	c.reach = reach{check: d.Check, lacks: d.Lacks}
	if d.Check == policy.CheckRead {
		return c.denyRead(UnknownResource)
	}
	return nil
}

func (c *call) readScope() *refusal {
	if c.reach.check == policy.CheckScope {
		return c.denyRead(NoScope)
	}
	return nil
}

func (c *call) readRole() *refusal {
	if c.reach.check == policy.CheckRole {
		return c.byPolicy(c.denyRead(NoRole))
	}
	return nil
}

// readBound holds tokens without a key to what the policy says of those that only read.
func (c *call) readBound() *refusal {
	if c.bearer.JKT == "" && c.rules.Bearer() == policy.BearerNone {
		return unbound()
	}
	return nil
}

// denyRead is deny for what is read. What exists is not told apart from what does not.
func (c *call) denyRead(code Code) *refusal {
	f := refuse(code, quotable(c.msg.target)+" is not part of what the user allowed for this task")
	if code == NoRole {
		return f.with(unavailable, "The user's role does not include it; a new consent cannot change that.")
	}
	if c.msg.opener = c.opener(); c.msg.opener != "" {
		return f.with(available, "Ask for consent to the scope "+c.msg.opener+".")
	}
	f.shown = NoScope
	return f.with(undisclosed, "Do without it, or ask the user about it.")
}

// opener is a scope by which this user could read it.
func (c *call) opener() string {
	for _, s := range c.rules.Scopes() {
		if c.bearer.HasScope(s.Name) {
			continue
		}
		one := bearer{}
		one.Scope, one.Roles = []string{s.Name}, c.bearer.Roles
		if one.reads(c.rules, c.msg.read, c.msg.target, c.msg.template, policy.Always).Allowed {
			return s.Name
		}
	}
	return ""
}

func (b *bearer) reads(rules *ruleset, kind policy.Kind, target string, template bool, h policy.Holding) policy.Decision {
	if template {
		return rules.DecideTemplate(b.Scope, b.Roles, target, h)
	}
	return rules.DecideRead(b.Scope, b.Roles, kind, target, h)
}

// MayRead reports whether the principal could read the resource: what resources/list should show.
func (p *Permit) MayRead(uri string) bool { return p.mayRead(policy.Resources, uri, false) }

// MayReadTemplate is MayRead for what a URI template may expand to: what resources/templates/list
// should show.
func (p *Permit) MayReadTemplate(template string) bool {
	return p.mayRead(policy.Resources, template, true)
}

// MayPrompt reports whether the principal could get the prompt: what prompts/list should show.
func (p *Permit) MayPrompt(name string) bool { return p.mayRead(policy.Prompts, name, false) }

// Opens reports whether the policy names resources, or prompts, at all: what a server should say
// that it has.
func (p *Permit) Opens(kind string) bool { return p.g != nil && p.rules.Opens(policy.Kind(kind)) }

func (p *Permit) mayRead(kind policy.Kind, target string, template bool) bool {
	if p.g == nil {
		return false
	}
	d := p.bearer.reads(p.rules, kind, target, template, p.holding)
	return d.Allowed || p.rules.Mode() == policy.Observe && (d.Check == policy.CheckRole || d.Check == policy.CheckCondition)
}

// recorded reports whether the request is one execution: a call of a tool, or a read.
func (m *message) recorded() bool { return m.method == methodCall || m.read != "" }

// byPolicy is the refusal f, which the policy alone asks for. Where the policy is only observed, it
// is noted and the call goes on.
func (c *call) byPolicy(f *refusal) *refusal {
	if c.rules.Mode() != policy.Observe {
		return f
	}
	c.would = append(c.would, would{c.step, f})
	return nil
}

// would is a refusal that the policy's mode has kept from happening.
type would struct {
	step string
	*refusal
}

// checks is what a decision records when a policy is only observed and would have refused.
func (c *call) checks() []check {
	all := slices.Clone(c.passed())
	for i := range all {
		for _, w := range c.would {
			if all[i].Name == w.step {
				all[i] = check{Name: w.step, Detail: w.text}
			}
		}
		if all[i].Name == "proof" && c.bearer.JKT == "" {
			all[i].Detail = "not key-bound"
		}
	}
	return all
}

// holding is which conditions of the policy hold for this request.
func (c *call) holding() policy.Holding {
	if !c.rules.Conditional() {
		return policy.Always
	}
	return c.rules.Hold(policy.Context{
		Address: c.g.proxies.client(c.r), At: c.now, Grade: policy.Grade(c.bearer.Grade), KeyBound: c.bearer.JKT != "",
	})
}

// condition checks that what lets the call be made counts now.
func (c *call) condition() *refusal {
	if c.reach.check != policy.CheckCondition {
		return nil
	}
	f := refuse(NotNow, "the server's policy does not allow this now: "+strings.Join(c.reach.lacks, ", "))
	return c.byPolicy(f.with(unavailable, helpFor(c.reach.lacks)).status(http.StatusForbidden))
}

// helpFor says what would let a call pass whose conditions do not hold, without telling the policy's
// own networks and hours.
func helpFor(lacks []string) string {
	help := map[string]string{
		"addresses": "It is allowed from certain networks alone.",
		"hours":     "It is allowed at certain hours alone: try again later.",
		"client":    "It is allowed to apps that are known better alone: ask an admin to register this one.",
		"key_bound": "It needs a token that is bound to a key.",
	}
	var all []string
	for _, l := range lacks {
		all = append(all, help[l])
	}
	return strings.Join(all, " ") + " A new consent cannot change that."
}
