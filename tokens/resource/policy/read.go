package policy

import (
	"fmt"
	"slices"
)

// Kind is what is read besides tools: what roles name under this key.
type Kind string

// The kinds.
const (
	Resources Kind = "resources" // URIs, by pattern
	Prompts   Kind = "prompts"   // by name
)

// CheckRead is the check that fails for what no role of the policy names.
const CheckRead = "unknown_resource"

// maxReads bounds what all roles together name of resources and prompts.
const maxReads = 4096

// Readable is what one scope lets a user read.
type Readable struct {
	Scope     string
	Title     string
	Resources []string // patterns
	Prompts   []string
	When      []Condition // of the roles: each pattern or prompt needs one of the ways that lead to it
}

// readings is what one role names besides tools.
type readings struct {
	resources []pattern
	prompts   []string
}

// Opens reports whether some role names resources, or prompts. Where none does, none can be read.
func (p *Policy) Opens(kind Kind) bool {
	for _, r := range p.reads {
		if kind == Resources && len(r.resources) > 0 || kind == Prompts && len(r.prompts) > 0 {
			return true
		}
	}
	return false
}

// DecideRead is Decide for a resource's URI or a prompt's name. A URI that CheckURI refuses is
// nobody's. tool:<name> reaches nothing here.
func (p *Policy) DecideRead(scopes, userRoles []string, kind Kind, name string, h Holding) Decision {
	if kind == Resources && CheckURI(name) != nil {
		return Decision{Check: CheckRead}
	}
	return p.decideIn(p.readRules(kind, name), scopes, userRoles, "", CheckRead, h)
}

// DecideTemplate is DecideRead for a URI template (RFC 6570): for what it may expand to.
func (p *Policy) DecideTemplate(scopes, userRoles []string, template string, h Holding) Decision {
	return p.DecideRead(scopes, userRoles, Resources, sample(template), h)
}

// readRules are a rule for each role that names it.
func (p *Policy) readRules(kind Kind, name string) (rules []Rule) {
	for _, role := range p.readRoles {
		r := p.reads[role]
		if kind == Resources && slices.ContainsFunc(r.resources, func(one pattern) bool { return one.matches(name) }) ||
			kind == Prompts && slices.Contains(r.prompts, name) {
			rules = append(rules, Rule{Role: role, when: -1})
		}
	}
	return rules
}

// Readable lists what each of the scopes lets a user with these roles read; scopes that let nothing
// be read are left out.
func (p *Policy) Readable(scopes, userRoles []string, h Holding) []Readable {
	var all []Readable
	for _, name := range scopes {
		s, known := p.scopes[name]
		if !known {
			continue
		}
		one := Readable{Scope: name, Title: s.Title}
		for _, role := range p.readRoles {
			if !p.reaches([]string{name}, role, "", h) || !p.holds(userRoles, role, h) {
				continue
			}
			for _, r := range p.reads[role].resources {
				one.Resources = append(one.Resources, r.text)
			}
			one.Prompts = append(one.Prompts, p.reads[role].prompts...)
			if c, has := p.RoleCondition(role); has {
				one.When = append(one.When, c)
			}
		}
		if len(one.Resources)+len(one.Prompts) > 0 {
			slices.Sort(one.Resources)
			slices.Sort(one.Prompts)
			one.Resources, one.Prompts = slices.Compact(one.Resources), slices.Compact(one.Prompts)
			all = append(all, one)
		}
	}
	return all
}

func (p *Policy) addReads(f file) error {
	n := 0
	for _, role := range sortedKeys(f.Roles) {
		var r readings
		for _, text := range f.Roles[role].Resources {
			one, err := parsePattern(text)
			if err != nil {
				return fmt.Errorf("role %q: %w", role, err)
			}
			if slices.Contains(f.Roles[role].Resources[:len(r.resources)], text) {
				return fmt.Errorf("role %q: resource %q is given twice", role, text)
			}
			r.resources = append(r.resources, one)
		}
		for _, name := range f.Roles[role].Prompts {
			if !promptName.MatchString(name) || slices.Contains(r.prompts, name) {
				return fmt.Errorf("role %q: prompt %q: a prompt's name is 1 to 128 printable characters, given once", role, name)
			}
			r.prompts = append(r.prompts, name)
		}
		if n += len(r.resources) + len(r.prompts); n > maxReads {
			return fmt.Errorf("more than %d resources and prompts", maxReads)
		}
		if len(r.resources)+len(r.prompts) > 0 {
			p.reads[role] = r
			p.readRoles = append(p.readRoles, role)
		}
	}
	return nil
}
