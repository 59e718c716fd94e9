package tokens

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Text says the constraints in words for the consent page, one line each, sorted. Nothing is cut
// short: what limits a consent is shown in full.
func (c Constraints) Text() []string { return c.TextIn(fmt.Sprintf) }

// TextIn is Text in another language: say formats a line that is given in English.
func (c Constraints) TextIn(say func(format string, args ...any) string) []string {
	var lines []string
	for name, all := range c {
		for _, one := range all {
			lines = append(lines, one.text(bare(name), say)...)
		}
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

func (c Constraint) text(name string, format func(format string, args ...any) string) (lines []string) {
	say := func(text string, args ...any) { lines = append(lines, format(text, args...)) }
	if c.Const != nil {
		say("Only %s: %s", name, spoken(c.Const))
	}
	if c.Enum != nil {
		var values []string
		for _, e := range c.Enum {
			values = append(values, spoken(e))
		}
		say("Only %s: %s", name, strings.Join(values, ", "))
	}
	if c.Minimum != nil {
		say("At least %s for %s", c.Minimum, name)
	}
	if c.Maximum != nil {
		say("At most %s for %s", c.Maximum, name)
	}
	if c.MaxLength != nil {
		say("At most %d characters of %s", *c.MaxLength, name)
	}
	if c.MaxItems != nil {
		say("At most %d items of %s", *c.MaxItems, name)
	}
	if c.Pattern != "" {
		say("Only %s like %s", name, c.Pattern)
	}
	return lines
}

// spoken shows a text bare when nothing in it could be taken for more than one word, and every
// other value as JSON.
func spoken(value json.RawMessage) string {
	if canonical, err := Canonical(value); err == nil {
		value = canonical
	}
	if len(value) > 2 && value[0] == '"' {
		return bare(textOf(value))
	}
	return string(value)
}

func bare(s string) string {
	odd := func(c rune) bool {
		return !unicode.IsLetter(c) && !unicode.IsMark(c) && !unicode.IsDigit(c) && !strings.ContainsRune("_-.@:/+", c)
	}
	if s != "" && !strings.ContainsFunc(s, odd) {
		return s
	}
	return fmt.Sprintf("%q", s)
}
