package tokens

import (
	"errors"
	"strings"
	"testing"
)

const addComment = `{"name":"add_comment","title":"Add a comment","description":"Says \u003csomething\u003e",
	"inputSchema":{"type":"object","required":["id"],"properties":{"id":{"type":"integer","maximum":18446744073709551615},"text":{"type":"string"}}},
	"outputSchema":{"type":"object"},"_meta":{"x":1},"icons":[],
	"annotations":{"title":"Comment","readOnlyHint":false,"destructiveHint":false,"vendorHint":true}}`

func TestDefinition(t *testing.T) {
	d := must[Definition](t)(ParseDefinition([]byte(addComment)))
	canonical := must[[]byte](t)(d.Canonical())
	want := `{"annotations":{"destructiveHint":false,"readOnlyHint":false,"title":"Comment"},"description":"Says <something>",` +
		`"inputSchema":{"properties":{"id":{"maximum":18446744073709552000,"type":"integer"},"text":{"type":"string"}},"required":["id"],"type":"object"},` +
		`"name":"add_comment","title":"Add a comment"}`
	if string(canonical) != want {
		t.Errorf("Canonical =\n%s\nwant\n%s", canonical, want)
	}
	hash := must[string](t)(d.Hash())
	if hash != HashBytes([]byte(want)) || !validHash(hash) {
		t.Errorf("Hash = %s", hash)
	}
	again := must[Definition](t)(ParseDefinition(canonical))
	if h := must[string](t)(again.Hash()); h != hash {
		t.Errorf("the hash of the canonical form is %s", h)
	}
}

// TestDefinitionHash: what a tool says changes its hash, how it says it does not.
func TestDefinitionHash(t *testing.T) {
	hash := func(raw string) string {
		t.Helper()
		return must[string](t)(must[Definition](t)(ParseDefinition([]byte(raw))).Hash())
	}
	base := hash(addComment)
	for name, raw := range map[string]string{
		"spelling":             strings.Replace(addComment, `\u003c`, `<`, 1),
		"another _meta":        edit(addComment, "_meta", `{"x":2}`),
		"no outputSchema":      edit(addComment, "outputSchema", ""),
		"another order":        edit(addComment, "name", `"add_comment"`),
		"an unknown hint less": edit(addComment, "annotations", `{"title":"Comment","readOnlyHint":false,"destructiveHint":false}`),
		"null for absent":      edit(addComment, "annotations", `{"idempotentHint":null,"title":"Comment","readOnlyHint":false,"destructiveHint":false}`),
	} {
		if hash(raw) != base {
			t.Errorf("%s changes the hash", name)
		}
	}
	for name, raw := range map[string]string{
		"name":            edit(addComment, "name", `"add_comments"`),
		"title":           edit(addComment, "title", `"Add a Comment"`),
		"no title":        edit(addComment, "title", ""),
		"description":     edit(addComment, "description", `"Says"`),
		"inputSchema":     edit(addComment, "inputSchema", `{"type":"object"}`),
		"no annotations":  edit(addComment, "annotations", ""),
		"a hint turned":   edit(addComment, "annotations", `{"title":"Comment","readOnlyHint":false,"destructiveHint":true}`),
		"a hint left out": edit(addComment, "annotations", `{"title":"Comment","readOnlyHint":false}`),
	} {
		if hash(raw) == base {
			t.Errorf("%s does not change the hash", name)
		}
	}
	if hash(edit(addComment, "annotations", "")) != hash(edit(addComment, "annotations", "{}")) ||
		hash(edit(addComment, "annotations", "")) != hash(edit(addComment, "annotations", "null")) {
		t.Error("annotations that say nothing are not as none")
	}
}

func TestParseDefinition(t *testing.T) {
	for name, raw := range map[string]string{
		"no object":                     `[]`,
		"no name":                       edit(addComment, "name", ""),
		"an empty name":                 edit(addComment, "name", `""`),
		"a name with a space":           edit(addComment, "name", `"add comment"`),
		"a name with a homoglyph":       edit(addComment, "name", `"аdd_comment"`),
		"a name of 129":                 edit(addComment, "name", `"`+strings.Repeat("x", 129)+`"`),
		"no inputSchema":                edit(addComment, "inputSchema", ""),
		"inputSchema null":              edit(addComment, "inputSchema", "null"),
		"inputSchema true":              edit(addComment, "inputSchema", "true"),
		"a repeated member":             `{"name":"x","name":"y","inputSchema":{}}`,
		"a repeated member, deep":       `{"name":"x","inputSchema":{"a":{"b":1,"b":2}}}`,
		"Name":                          `{"Name":"x","inputSchema":{}}`,
		"title of a wrong kind":         edit(addComment, "title", "1"),
		"a hint of a wrong kind":        edit(addComment, "annotations", `{"readOnlyHint":"true"}`),
		"it only reads and it destroys": edit(addComment, "annotations", `{"readOnlyHint":true,"destructiveHint":true}`),
		"too large":                     edit(addComment, "description", `"`+strings.Repeat("x", maxDefinition)+`"`),
		"a number that no double holds": edit(addComment, "inputSchema", `{"maximum":1e999}`),
	} {
		t.Run(name, func(t *testing.T) {
			if d, err := ParseDefinition([]byte(raw)); !errors.Is(err, ErrDefinition) {
				t.Errorf("ParseDefinition = %+v, %v", d, err)
			}
		})
	}
}
