package tokens

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"regexp/syntax"
	"slices"
	"sync"
)

// ErrConstraints is what every refusal of constraints wraps.
var ErrConstraints = errors.New("bad constraints")

const (
	maxArguments = 64       // constrained arguments of one tool
	maxAllOf     = 64       // constraints of one argument
	maxEnum      = 256      // values of one enum
	maxConst     = 4 << 10  // bytes of one value
	maxPattern   = 512      // bytes
	maxSteps     = 1_000    // of one pattern, repetitions written out
	maxAllSteps  = 8_000    // of all patterns of one text
	maxLimits    = 64 << 10 // bytes in all
)

// Constraints limit the top-level arguments of a tool, by name. A constrained argument is required.
type Constraints map[string]AllOf

// AllOf are constraints that must all hold: in JSON one object, or an array when there are more.
type AllOf []Constraint

// A Constraint is a closed profile of JSON Schema (DESIGN §4). A keyword that does not fit the
// kind of the value refuses it, where JSON Schema would look away.
type Constraint struct {
	Const     json.RawMessage   `json:"const,omitempty"`
	Enum      []json.RawMessage `json:"enum,omitempty"`
	Minimum   *json.Number      `json:"minimum,omitempty"`
	Maximum   *json.Number      `json:"maximum,omitempty"`
	MaxLength *int              `json:"maxLength,omitempty"` // Unicode characters
	MaxItems  *int              `json:"maxItems,omitempty"`
	Pattern   string            `json:"pattern,omitempty"` // RE2, of the whole string
}

// ParseConstraints reads the constraints of one tool; {} and nothing at all are none.
func ParseConstraints(raw []byte) (Constraints, error) {
	if len(raw) > maxLimits {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrConstraints, maxLimits)
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil, nil
	}
	r := newReader(raw)
	c := r.constraints()
	if err := r.end(); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrConstraints, err)
	}
	return c, nil
}

func (r *reader) constraints() Constraints {
	var all Constraints
	for name := range r.members() {
		if name == "" || len(name) > 128 || !plain(name) {
			r.fail("an argument's name must be 1 to 128 printable bytes")
		}
		if len(all) == maxArguments {
			r.fail("more than %d constrained arguments", maxArguments)
		}
		if all == nil {
			all = Constraints{}
		}
		all[name] = r.allOf(name)
	}
	return all
}

func (r *reader) allOf(argument string) (all AllOf) {
	if r.kind() != '[' {
		return AllOf{r.constraint(argument)}
	}
	for i := range r.items() {
		if i == maxAllOf {
			r.fail("more than %d constraints of %s", maxAllOf, shown(argument))
		}
		all = append(all, r.constraint(argument))
	}
	if len(all) == 0 {
		r.fail("the constraint of %s says nothing", shown(argument))
	}
	return all
}

func (r *reader) constraint(argument string) (c Constraint) {
	says := false
	for name := range r.members() {
		says = true
		switch name {
		case "const":
			c.Const = r.constant()
		case "enum":
			for i := range r.items() {
				if i == maxEnum {
					r.fail("an enum of more than %d values", maxEnum)
				}
				c.Enum = append(c.Enum, r.constant())
			}
			if c.Enum == nil {
				r.fail("an enum without a value")
			}
		case "minimum":
			c.Minimum = r.bound()
		case "maximum":
			c.Maximum = r.bound()
		case "maxLength":
			c.MaxLength = r.count()
		case "maxItems":
			c.MaxItems = r.count()
		case "pattern":
			if c.Pattern = r.text(); c.Pattern == "" || len(c.Pattern) > maxPattern || !plain(c.Pattern) {
				r.fail("a pattern must be 1 to %d printable bytes", maxPattern)
			} else {
				r.checkPattern(c.Pattern, argument)
			}
		default:
			r.fail("unknown constraint %s of %s", shown(name), shown(argument))
		}
	}
	if !says {
		r.fail("the constraint of %s says nothing", shown(argument))
	}
	return c
}

func (r *reader) constant() json.RawMessage {
	v := r.canonical(nil, true)
	if len(v) > maxConst {
		r.fail("a value of more than %d bytes", maxConst)
	}
	return v
}

func (r *reader) bound() *json.Number {
	n := json.Number(r.canonicalNumber(nil, true))
	return &n
}

func (r *reader) count() *int {
	n := int(r.integer(0, 1<<31-1))
	return &n
}

// checkPattern refuses what is no pattern, and what would cost more to compile and to match than a
// stranger's request may.
func (r *reader) checkPattern(pattern, argument string) {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		r.fail("the pattern of %s is not RE2", shown(argument))
		return
	}
	n := steps(parsed)
	if r.steps += n; n > maxSteps || r.steps > maxAllSteps {
		r.fail("the pattern of %s repeats too much: %d steps in one pattern, %d in all", shown(argument), maxSteps, maxAllSteps)
	} else if _, err := compile(pattern); err != nil {
		r.fail("the pattern of %s is not RE2", shown(argument))
	}
}

// steps is about how long the program of a pattern is, which grows with every repetition.
func steps(re *syntax.Regexp) int {
	n := 1 + len(re.Rune)/32 // a class of letters is a long table
	if re.Op == syntax.OpLiteral {
		n = len(re.Rune)
	}
	for _, sub := range re.Sub {
		n += steps(sub)
	}
	if re.Op == syntax.OpRepeat {
		n = min(n, 1<<20) * max(re.Min, re.Max, 1)
	}
	return n
}

// compile compiles a pattern, anchored at both ends. The pattern must also stand on its own:
// a)|(?:b would otherwise break out of the anchors.
func compile(pattern string) (*regexp.Regexp, error) {
	if _, err := regexp.Compile(pattern); err != nil {
		return nil, err
	}
	return regexp.Compile(`^(?:` + pattern + `)$`)
}

// patterns keeps what was compiled, for the same few patterns are checked at every call.
var patterns = struct {
	sync.RWMutex
	compiled map[string]*regexp.Regexp
}{compiled: map[string]*regexp.Regexp{}}

// compiled is compile with a memory of at most 512 patterns.
func compiled(pattern string) (*regexp.Regexp, error) {
	patterns.RLock()
	re := patterns.compiled[pattern]
	patterns.RUnlock()
	if re != nil {
		return re, nil
	}
	re, err := compile(pattern)
	if err != nil {
		return nil, err
	}
	patterns.Lock()
	defer patterns.Unlock()
	if len(patterns.compiled) >= 512 {
		clear(patterns.compiled)
	}
	patterns.compiled[pattern] = re
	return re, nil
}

// And returns the constraints that hold where both c and o hold: rights only ever narrow.
func (c Constraints) And(o Constraints) Constraints {
	if len(c)+len(o) == 0 {
		return nil
	}
	both := maps.Clone(c)
	if both == nil {
		both = Constraints{}
	}
	for name, all := range o {
		joined := slices.Clone(both[name])
		for _, one := range all {
			if !slices.ContainsFunc(joined, one.equal) {
				joined = append(joined, one)
			}
		}
		both[name] = joined
	}
	return both
}

func (c Constraint) equal(o Constraint) bool {
	return bytes.Equal(c.Const, o.Const) &&
		slices.EqualFunc(c.Enum, o.Enum, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) &&
		same(c.Minimum, o.Minimum) && same(c.Maximum, o.Maximum) &&
		same(c.MaxLength, o.MaxLength) && same(c.MaxItems, o.MaxItems) && c.Pattern == o.Pattern
}

func same[T comparable](a, b *T) bool {
	return a == b || a != nil && b != nil && *a == *b
}

// MarshalJSON writes one constraint as an object, more of them as an array.
func (a AllOf) MarshalJSON() ([]byte, error) {
	if len(a) == 1 {
		return json.Marshal(a[0])
	}
	return json.Marshal([]Constraint(a))
}

// UnmarshalJSON is ParseConstraints.
func (c *Constraints) UnmarshalJSON(raw []byte) (err error) {
	*c, err = ParseConstraints(raw)
	return err
}
