package blackbox

import (
	"net/url"
	"strings"
)

// Form is an ordered list of parameters; a name may occur more than once.
type Form []Param

// Param is one parameter.
type Param struct{ Name, Value string }

// Get returns the first value of name.
func (f Form) Get(name string) string {
	for _, p := range f {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

// Set returns a copy with name set to value: its first place is kept, later ones are dropped.
func (f Form) Set(name, value string) Form {
	out, done := make(Form, 0, len(f)+1), false
	for _, p := range f {
		switch {
		case p.Name != name:
			out = append(out, p)
		case !done:
			out, done = append(out, Param{name, value}), true
		}
	}
	if !done {
		out = append(out, Param{name, value})
	}
	return out
}

// Add returns a copy with one more parameter at the end.
func (f Form) Add(name, value string) Form {
	return append(append(make(Form, 0, len(f)+1), f...), Param{name, value})
}

// Prepend returns a copy with one more parameter at the beginning.
func (f Form) Prepend(name, value string) Form {
	return append(Form{{name, value}}, f...)
}

// Without returns a copy that lacks name.
func (f Form) Without(name string) Form {
	out := make(Form, 0, len(f))
	for _, p := range f {
		if p.Name != name {
			out = append(out, p)
		}
	}
	return out
}

// Encode is the application/x-www-form-urlencoded text, in order.
func (f Form) Encode() string {
	var b strings.Builder
	for i, p := range f {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(p.Name))
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(p.Value))
	}
	return b.String()
}
