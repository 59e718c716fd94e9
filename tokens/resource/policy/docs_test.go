package policy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDocs: every example of the file's description is a policy, by Parse and by the schema, and every
// key of the schema is described.
func TestDocs(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "policy.md"))
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(raw), "```yaml\n")
	if len(parts) < 6 {
		t.Errorf("%d examples", len(parts)-1)
	}
	schema := resolvedSchema(t)
	for i, part := range parts[1:] {
		example, _, _ := strings.Cut(part, "```")
		p, err := Parse([]byte(example), nil)
		if err != nil {
			t.Errorf("example %d: %v", i+1, err)
			continue
		}
		if err := schema.Validate(instance(t, example)); err != nil {
			t.Errorf("example %d: the schema: %v", i+1, err)
		}
		for _, f := range Lint(p, nil) {
			if f.Severity == Error {
				t.Errorf("example %d: %+v", i+1, f)
			}
		}
	}
	for _, key := range []string{
		"version", "mode", "bearer", "baseline", "scopes", "roles", "title", "include", "when", "tools", "resources", "prompts", "limits", "max_calls", "approval",
		"const", "enum", "minimum", "maximum", "maxLength", "maxItems", "pattern", "addresses", "hours", "days", "from", "to", "zone", "client", "key_bound",
	} {
		if !strings.Contains(string(raw), "`"+key) || !strings.Contains(string(Schema), `"`+key+`"`) {
			t.Errorf("%s is not described", key)
		}
	}
}
