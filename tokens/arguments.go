package tokens

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// An ArgumentError says which argument of a call is refused and why.
type ArgumentError struct {
	Argument string // empty: the arguments as a whole
	Reason   string
}

// Error implements error.
func (e *ArgumentError) Error() string {
	if e.Argument == "" {
		return "arguments: " + e.Reason
	}
	return "argument " + shown(e.Argument) + ": " + e.Reason
}

// CheckArguments checks the arguments of a call against the tool's input schema, as far as it
// names and requires top-level properties, and against the constraints. It returns the RFC 8785
// form of what it checked, which is what the tool must be given. Refused are: members that are
// there twice, arguments that the schema does not name or that differ from another name by case
// alone (a server that folds case would read another value than was checked), whole numbers that
// a double would change, and missing arguments that the schema requires or a constraint limits.
// The error is an *ArgumentError.
func (c Constraints) CheckArguments(arguments, schema []byte) ([]byte, error) {
	s, err := ParseSchema(schema)
	if err != nil {
		return nil, err
	}
	return c.Check(arguments, s)
}

// Check is CheckArguments for a schema that was read before.
func (c Constraints) Check(arguments []byte, s Schema) ([]byte, error) {
	return c.CheckUnder(nil, arguments, s)
}

// CheckUnder is Check, and holds the arguments to a ceiling besides, such as a server's own policy
// sets: where it only bounds an argument (minimum, maximum, maxLength, maxItems) the argument may be
// left out; where it says which value (const, enum, pattern) the argument must be given, for nobody
// knows what the tool would take in its place.
func (c Constraints) CheckUnder(ceiling Constraints, arguments []byte, s Schema) ([]byte, error) {
	if trimmed := bytes.TrimSpace(arguments); len(trimmed) == 0 || string(trimmed) == "null" {
		arguments = []byte("{}")
	}
	given, err := readArguments(arguments)
	if err != nil {
		return nil, err
	}
	if err := checkNames(given, s.properties); err != nil {
		return nil, err
	}
	for _, name := range s.required {
		if _, ok := lookup(given, name); !ok {
			return nil, &ArgumentError{name, "is required by the tool"}
		}
	}
	if err := c.hold(given, "the consent", false); err != nil {
		return nil, err
	}
	if err := ceiling.hold(given, "the server's policy", true); err != nil {
		return nil, err
	}
	return appendObject(nil, given), nil
}

// hold checks what is given. by is who limits it; with open, what is only bounded may be left out.
func (c Constraints) hold(given []Member, by string, open bool) error {
	for _, name := range slices.Sorted(maps.Keys(c)) {
		value, ok := lookup(given, name)
		if !ok {
			if open && !c[name].chooses() {
				continue
			}
			return &ArgumentError{name, "is limited by " + by + " and must be given"}
		}
		for _, one := range c[name] {
			if reason := one.refuses(value); reason != "" {
				return &ArgumentError{name, reason}
			}
		}
	}
	return nil
}

// chooses reports whether the constraints say which value, and not only how large.
func (a AllOf) chooses() bool {
	return slices.ContainsFunc(a, func(c Constraint) bool { return c.Const != nil || c.Enum != nil || c.Pattern != "" })
}

// readArguments takes the arguments apart, in canonical form and order.
func readArguments(raw []byte) ([]Member, error) {
	r := newReader(raw)
	given := r.canonicalMembers(true)
	if err := r.end(); err != nil {
		return nil, &ArgumentError{"", err.Error()}
	}
	return given, nil
}

func lookup(given []Member, name string) ([]byte, bool) {
	i := slices.IndexFunc(given, func(m Member) bool { return m.Name == name })
	if i < 0 {
		return nil, false
	}
	return given[i].Value, true
}

// A Schema is what CheckArguments reads of an inputSchema: the properties that it names at its top,
// by their folded names, and those it requires.
type Schema struct {
	properties map[string]string
	required   []string
}

// ParseSchema reads an inputSchema. The error is an *ArgumentError.
func ParseSchema(raw []byte) (Schema, error) {
	s, r := Schema{properties: map[string]string{}}, newReader(raw)
	for name := range r.members() {
		switch name {
		case "properties":
			for property := range r.members() {
				if f := fold(property); s.properties[f] == "" {
					s.properties[f] = property
				} else {
					s.properties[f] = twins
				}
				r.value()
			}
		case "required":
			s.required = r.texts()
		default:
			r.value()
		}
	}
	if err := r.end(); err != nil {
		return Schema{}, &ArgumentError{"", "the tool's input schema: " + err.Error()}
	}
	return s, nil
}

// twins stands for properties that differ by case alone: whichever is given, the tool might read
// another.
const twins = "\x00"

// checkNames lets pass the names that the schema knows to the letter. Two that are twins never
// both pass, for only one of them can be the schema's.
func checkNames(given []Member, known map[string]string) error {
	for _, m := range given {
		switch property, ok := known[fold(m.Name)]; {
		case !ok:
			return &ArgumentError{m.Name, "is not an argument of this tool"}
		case property == twins || property != m.Name:
			return &ArgumentError{m.Name, "differs from another name by case alone"}
		}
	}
	return nil
}

// fold maps names that are equal under Unicode case folding, as encoding/json sees it, to one. What
// is lower-case ASCII stays as it is.
func fold(s string) string {
	return strings.Map(func(c rune) rune {
		if c < utf8.RuneSelf && !('A' <= c && c <= 'Z') {
			return c
		}
		least := c
		for f := unicode.SimpleFold(c); f != c; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		if 'A' <= least && least <= 'Z' {
			least += 'a' - 'A'
		}
		return least
	}, s)
}

// refuses tells why the canonical value does not meet the constraint; empty means that it does.
func (c Constraint) refuses(value []byte) string {
	switch {
	case c.Const != nil && !equalJSON(value, c.Const):
		return "is not the value that is allowed"
	case c.Enum != nil && !slices.ContainsFunc(c.Enum, func(e json.RawMessage) bool { return equalJSON(value, e) }):
		return "is none of the values that are allowed"
	case c.Minimum != nil && !bounded(value, *c.Minimum, func(v, low float64) bool { return v >= low }):
		return "must be a number of at least " + c.Minimum.String()
	case c.Maximum != nil && !bounded(value, *c.Maximum, func(v, high float64) bool { return v <= high }):
		return "must be a number of at most " + c.Maximum.String()
	case c.MaxLength != nil && (value[0] != '"' || utf8.RuneCountInString(textOf(value)) > *c.MaxLength):
		return "must be a text of at most " + strconv.Itoa(*c.MaxLength) + " characters"
	case c.MaxItems != nil && (value[0] != '[' || itemsOf(value) > *c.MaxItems):
		return "must be a list of at most " + strconv.Itoa(*c.MaxItems) + " items"
	case c.Pattern != "" && !matches(value, c.Pattern):
		return "does not match the pattern that is allowed"
	}
	return ""
}

// equalJSON compares a canonical value with one that need not be.
func equalJSON(canonical, value []byte) bool {
	if bytes.Equal(canonical, value) {
		return true
	}
	value, err := canonicalExact(value)
	return err == nil && bytes.Equal(canonical, value)
}

func bounded(value []byte, bound json.Number, holds func(value, bound float64) bool) bool {
	if newReader(value).kind() != '0' {
		return false
	}
	v, err := strconv.ParseFloat(string(value), 64)
	b, errBound := bound.Float64()
	return err == nil && errBound == nil && holds(v, b)
}

func matches(value []byte, pattern string) bool {
	if value[0] != '"' {
		return false
	}
	re, err := compiled(pattern)
	return err == nil && re.MatchString(textOf(value))
}

func textOf(value []byte) string { return newReader(value).text() }

func itemsOf(value []byte) int {
	n, r := 0, newReader(value)
	for range r.items() {
		n++
		r.value()
	}
	return n
}
