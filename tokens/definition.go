package tokens

import (
	"encoding/json"
	"errors"
	"fmt"
)

// ErrDefinition is what every refusal of a tool's definition wraps.
var ErrDefinition = errors.New("tokens: bad tool definition")

const maxDefinition = 256 << 10

// A Definition is what a user consents to when they allow a tool: all of its tools/list entry
// that says what it does. Its hash names it; a tool whose hash is another is another tool.
type Definition struct {
	Name        string          `json:"name"`
	Title       string          `json:"title,omitempty"`
	Description string          `json:"description,omitempty"`
	InputSchema json.RawMessage `json:"inputSchema"`
	Annotations *Annotations    `json:"annotations,omitempty"`
}

// Annotations are the hints that MCP defines; others are no part of the definition.
type Annotations struct {
	Title           string `json:"title,omitempty"`
	ReadOnlyHint    *bool  `json:"readOnlyHint,omitempty"`
	DestructiveHint *bool  `json:"destructiveHint,omitempty"`
	IdempotentHint  *bool  `json:"idempotentHint,omitempty"`
	OpenWorldHint   *bool  `json:"openWorldHint,omitempty"`
}

// ParseDefinition reads a tools/list entry. What is no part of the definition (outputSchema,
// icons, _meta …) is passed over; null counts as absent. A tool that says it only reads and also
// destroys is refused.
func ParseDefinition(raw []byte) (Definition, error) {
	if len(raw) > maxDefinition {
		return Definition{}, fmt.Errorf("%w: more than %d bytes", ErrDefinition, maxDefinition)
	}
	d, r := Definition{}, newReader(raw)
	for name := range r.members() {
		switch name {
		case "name":
			d.Name = r.text()
		case "title":
			d.Title = r.optionalText()
		case "description":
			d.Description = r.optionalText()
		case "inputSchema":
			if r.kind() != '{' {
				r.fail("inputSchema is no object")
			}
			d.InputSchema = r.canonical(nil, false)
		case "annotations":
			d.Annotations = r.annotations()
		default:
			r.value()
		}
	}
	if err := r.end(); err != nil {
		return Definition{}, fmt.Errorf("%w: %v", ErrDefinition, err)
	}
	if err := d.check(); err != nil {
		return Definition{}, err
	}
	return d, nil
}

func (d Definition) check() error {
	switch a := d.Annotations; {
	case !validTool(d.Name):
		return fmt.Errorf("%w: the name must be 1 to 128 of A-Z a-z 0-9 _ . -", ErrDefinition)
	case d.InputSchema == nil:
		return fmt.Errorf("%w: %s has no inputSchema", ErrDefinition, d.Name)
	case a != nil && is(a.ReadOnlyHint) && is(a.DestructiveHint):
		return fmt.Errorf("%w: %s says both readOnlyHint and destructiveHint", ErrDefinition, d.Name)
	}
	return nil
}

func is(b *bool) bool { return b != nil && *b }

func (r *reader) annotations() *Annotations {
	if r.null() {
		return nil
	}
	a := new(Annotations)
	for name := range r.members() {
		switch name {
		case "title":
			a.Title = r.optionalText()
		case "readOnlyHint":
			a.ReadOnlyHint = r.optionalBool()
		case "destructiveHint":
			a.DestructiveHint = r.optionalBool()
		case "idempotentHint":
			a.IdempotentHint = r.optionalBool()
		case "openWorldHint":
			a.OpenWorldHint = r.optionalBool()
		default:
			r.value()
		}
	}
	if *a == (Annotations{}) {
		return nil // says nothing: the same as absent
	}
	return a
}

func (r *reader) optionalText() string {
	if r.null() {
		return ""
	}
	return r.text()
}

func (r *reader) optionalBool() *bool {
	if r.null() {
		return nil
	}
	b := r.boolean()
	return &b
}

// Canonical returns the RFC 8785 form of the definition, without the members that are absent.
func (d Definition) Canonical() ([]byte, error) {
	if d.Annotations != nil && *d.Annotations == (Annotations{}) {
		d.Annotations = nil
	}
	raw, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrDefinition, err)
	}
	return Canonical(raw)
}

// Hash names the definition: "sha-256:" and the digest of its canonical form.
func (d Definition) Hash() (string, error) {
	raw, err := d.Canonical()
	if err != nil {
		return "", err
	}
	return HashBytes(raw), nil
}

// validTool reports whether s is a tool name as MCP 2026-07-28 has them.
func validTool(s string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	for i := range len(s) {
		switch b := s[i]; {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9', b == '_', b == '.', b == '-':
		default:
			return false
		}
	}
	return true
}
