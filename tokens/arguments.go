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
	if trimmed := bytes.TrimSpace(arguments); len(trimmed) == 0 || string(trimmed) == "null" {
		arguments = []byte("{}")
	}
	values, canonical, err := readArguments(arguments)
	if err != nil {
		return nil, err
	}
	known, required, err := readSchema(schema)
	if err != nil {
		return nil, err
	}
	if err := checkNames(values, known); err != nil {
		return nil, err
	}
	for _, name := range required {
		if _, ok := values[name]; !ok {
			return nil, &ArgumentError{name, "is required by the tool"}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c)) {
		value, ok := values[name]
		if !ok {
			return nil, &ArgumentError{name, "is limited by the consent and must be given"}
		}
		for _, one := range c[name] {
			if reason := one.refuses(value); reason != "" {
				return nil, &ArgumentError{name, reason}
			}
		}
	}
	return canonical, nil
}

// readArguments takes the arguments apart, from their canonical form.
func readArguments(raw []byte) (map[string][]byte, []byte, error) {
	canonical, err := canonicalExact(raw)
	if err != nil {
		return nil, nil, &ArgumentError{"", err.Error()}
	}
	values, r := map[string][]byte{}, newReader(canonical)
	for name := range r.members() {
		values[name] = r.value()
	}
	if err := r.end(); err != nil {
		return nil, nil, &ArgumentError{"", err.Error()}
	}
	return values, canonical, nil
}

// readSchema returns the properties that an inputSchema names at its top and those it requires.
func readSchema(raw []byte) (known map[string]bool, required []string, err error) {
	known, r := map[string]bool{}, newReader(raw)
	for name := range r.members() {
		switch name {
		case "properties":
			for property := range r.members() {
				known[property] = true
				r.value()
			}
		case "required":
			for range r.items() {
				required = append(required, r.text())
			}
		default:
			r.value()
		}
	}
	if err := r.end(); err != nil {
		return nil, nil, &ArgumentError{"", "the tool's input schema: " + err.Error()}
	}
	return known, required, nil
}

func checkNames(values map[string][]byte, known map[string]bool) error {
	if len(values) == 0 {
		return nil
	}
	folded := make(map[string]string, len(known))
	for name := range known {
		if f := fold(name); folded[f] == "" || folded[f] == name {
			folded[f] = name
		} else {
			folded[f] = "\x00" // twins: whichever is given could be read as the other
		}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		switch twin, ok := folded[fold(name)]; {
		case ok && twin != name:
			return &ArgumentError{name, "differs from another name by case alone"}
		case !known[name]:
			return &ArgumentError{name, "is not an argument of this tool"}
		}
	}
	return nil
}

// fold maps names that are equal under Unicode case folding, as encoding/json sees it, to one.
func fold(s string) string {
	return strings.Map(func(c rune) rune {
		least := c
		for f := unicode.SimpleFold(c); f != c; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, s)
}

// refuses tells why the canonical value does not meet the constraint; empty means that it does.
func (c Constraint) refuses(value []byte) string {
	switch {
	case c.Const != nil && !equalJSON(value, c.Const):
		return "is not the value that was consented to"
	case c.Enum != nil && !slices.ContainsFunc(c.Enum, func(e json.RawMessage) bool { return equalJSON(value, e) }):
		return "is none of the values that were consented to"
	case c.Minimum != nil && !bounded(value, *c.Minimum, func(v, low float64) bool { return v >= low }):
		return "must be a number of at least " + c.Minimum.String()
	case c.Maximum != nil && !bounded(value, *c.Maximum, func(v, high float64) bool { return v <= high }):
		return "must be a number of at most " + c.Maximum.String()
	case c.MaxLength != nil && (value[0] != '"' || utf8.RuneCountInString(textOf(value)) > *c.MaxLength):
		return "must be a text of at most " + strconv.Itoa(*c.MaxLength) + " characters"
	case c.MaxItems != nil && (value[0] != '[' || itemsOf(value) > *c.MaxItems):
		return "must be a list of at most " + strconv.Itoa(*c.MaxItems) + " items"
	case c.Pattern != "" && !matches(value, c.Pattern):
		return "does not match the pattern that was consented to"
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
