package policy

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"go.yaml.in/yaml/v3"
)

func resolvedSchema(t *testing.T) *jsonschema.Resolved {
	t.Helper()
	var s jsonschema.Schema
	if err := json.Unmarshal(Schema, &s); err != nil {
		t.Fatal(err)
	}
	resolved, err := s.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	return resolved
}

// instance is YAML as an editor hands it to a validator.
func instance(t *testing.T, src string) any {
	t.Helper()
	var node, raw any
	if err := yaml.Unmarshal([]byte(src), &node); err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(node)
	if err == nil {
		err = json.Unmarshal(asJSON, &raw)
	}
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestSchema holds the schema and Parse to the same files.
func TestSchema(t *testing.T) {
	schema := resolvedSchema(t)
	roles := "version: 1\nroles:\n"
	good := map[string]string{
		"tickets":             tickets,
		"a draft":             string(Draft("tickets", desk)),
		"every keyword":       roles + "  r: {tools: {t: {max_calls: 1, limits: {a: {enum: [a, 1, null], maxLength: 3}, b: [{minimum: -1.5}, {maximum: 2}], c: {const: {x: 1}}, d: {pattern: 'a+', maxItems: 0}}}}}",
		"a role of nothing":   roles + "  r:",
		"a tool of no limits": roles + "  r: {tools: {t: }}",
		"keyless tokens":      "version: 1\nbearer: read_only\nroles: {r: {}}",
		"asking each time":    roles + "  r: {tools: {t: {approval: each_call}}}",
		"observed":            "version: 1\nmode: observe\nroles: {r: {}}",
		"conditions":          roles + "  r: {when: {addresses: [10.0.0.0/8, '2001:db8::1'], client: [registered, cimd], key_bound: true}, tools: {t: {when: {hours: [{days: [fri, mon], from: '22:00', to: '06:00', zone: Europe/Berlin}]}}}}",
		"reading":             roles + "  r: {resources: ['docs://handbook/**', 'file:///srv/docs/*.md'], prompts: [summarise, 'a prompt']}",
		"a tool called when":  roles + "  r: {tools: {when: }}\n  when: ",
		"a tool in baseline":  "version: 1\nbaseline: ['tool:t']\nroles: {r: {tools: {t: {}}}}",
	}
	bad := map[string]string{
		"another version":             "version: 2\nroles: {r: {tools: {t: {}}}}",
		"no version":                  "roles: {r: {tools: {t: {}}}}",
		"no roles":                    "version: 1",
		"roles of nothing":            "version: 1\nroles: {}",
		"an unknown key at the top":   "version: 1\nrolls: {}\nroles: {r: {}}",
		"an unknown key in a scope":   "version: 1\nscopes: {s: {roles: [r], role: [r]}}\nroles: {r: {}}",
		"an unknown key in a role":    roles + "  r: {tool: {t: {}}}",
		"an unknown key in a tool":    roles + "  r: {tools: {t: {limit: {}}}}",
		"a scope that reaches none":   "version: 1\nscopes: {s: {title: S}}\nroles: {r: {}}",
		"a scope of an empty list":    "version: 1\nscopes: {s: {roles: []}}\nroles: {r: {}}",
		"a baseline given twice":      "version: 1\nbaseline: ['tool:t', 'tool:t']\nroles: {r: {tools: {t: {}}}}",
		"a scope called tool:":        "version: 1\nscopes: {'tool:t': {roles: [r]}}\nroles: {r: {tools: {t: {}}}}",
		"a scope with a space":        "version: 1\nscopes: {'a b': {roles: [r]}}\nroles: {r: {}}",
		"a tool with a space":         roles + "  r: {tools: {'a b': {}}}",
		"a role with a slash":         roles + "  a/b: {tools: {t: {}}}",
		"max_calls of none":           roles + "  r: {tools: {t: {max_calls: 0}}}",
		"max_calls in words":          roles + "  r: {tools: {t: {max_calls: many}}}",
		"limits that are a list":      roles + "  r: {tools: {t: {limits: [1]}}}",
		"limits that are nothing":     roles + "  r: {tools: {t: {limits: null}}}",
		"another approval":            roles + "  r: {tools: {t: {approval: once}}}",
		"another mode":                "version: 1\nmode: off\nroles: {r: {}}",
		"a condition of nothing":      roles + "  r: {when: }",
		"an empty condition":          roles + "  r: {when: {}}",
		"a part of nothing":           roles + "  r: {when: {addresses: }}",
		"no addresses":                roles + "  r: {tools: {t: {when: {addresses: []}}}}",
		"an unknown part":             roles + "  r: {when: {mfa: true}}",
		"another grade":               roles + "  r: {when: {client: [good]}}",
		"a grade given twice":         roles + "  r: {when: {client: [cimd, cimd]}}",
		"key_bound false":             roles + "  r: {when: {key_bound: false}}",
		"hours without a zone":        roles + "  r: {when: {hours: [{days: [mon], from: '08:00', to: '18:00'}]}}",
		"hours without days":          roles + "  r: {when: {hours: [{from: '08:00', to: '18:00', zone: UTC}]}}",
		"a day of another name":       roles + "  r: {when: {hours: [{days: [monday], from: '08:00', to: '18:00', zone: UTC}]}}",
		"an hour too much":            roles + "  r: {when: {hours: [{days: [mon], from: '08:00', to: '25:00', zone: UTC}]}}",
		"an hour without a zero":      roles + "  r: {when: {hours: [{days: [mon], from: '8:00', to: '18:00', zone: UTC}]}}",
		"from the end of the day":     roles + "  r: {when: {hours: [{days: [mon], from: '24:00', to: '18:00', zone: UTC}]}}",
		"resources that are a map":    roles + "  r: {resources: {a: b}}",
		"a resource given twice":      roles + "  r: {resources: ['docs://a', 'docs://a']}",
		"a prompt given twice":        roles + "  r: {prompts: [a, a]}",
		"another kind of bearer":      "version: 1\nbearer: some\nroles: {r: {}}",
		"a file that is a list":       "[1]",
		"tools that are a list":       roles + "  r: {tools: [t]}",
		"an include that is one name": roles + "  r: {include: {r: 1}}",
	}
	for name, src := range good {
		if _, err := Parse([]byte(src), nil); err != nil {
			t.Errorf("%s: Parse: %v", name, err)
		}
		if err := schema.Validate(instance(t, src)); err != nil {
			t.Errorf("%s: the schema: %v", name, err)
		}
	}
	for name, src := range bad {
		if _, err := Parse([]byte(src), nil); err == nil {
			t.Errorf("%s: Parse accepts it", name)
		}
		if err := schema.Validate(instance(t, src)); err == nil {
			t.Errorf("%s: the schema accepts it", name)
		}
	}
}

// TestSchemaNamesEveryKey: a key that Parse learns is one that editors learn.
func TestSchemaNamesEveryKey(t *testing.T) {
	src, err := os.ReadFile("parse.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range strings.Split(string(src), "`yaml:\"")[1:] {
		key, _, _ := strings.Cut(part, `"`)
		if !bytes.Contains(Schema, []byte(`"`+key+`":`)) {
			t.Errorf("the schema lacks %q", key)
		}
	}
}

func TestPublishedSchema(t *testing.T) {
	published, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "policy.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(published, Schema) {
		t.Error("docs/policy.schema.json is stale: remit policy schema > docs/policy.schema.json")
	}
}
