package tokens

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// laxly finds, as a server would that decodes without care, every value that has a limited name in whatever case.
func laxly(v any, name string, found *[]any) {
	switch v := v.(type) {
	case map[string]any:
		for k, one := range v {
			if strings.EqualFold(k, name) {
				*found = append(*found, one)
			}
			laxly(one, name, found)
		}
	case []any:
		for _, one := range v {
			laxly(one, name, found)
		}
	}
}

// What passes holds no value past its limit, wherever a server that decodes without care would look for it.
func TestNoAnswerPastItsLimit(t *testing.T) {
	limits, err := ParseConstraints([]byte(`{"project":{"const":"WEB"}}`))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		var value func(depth int) string
		name := rapid.SampledFrom([]string{`"project"`, `"Project"`, `"\u0070roject"`, `"q"`, `"content"`, `"action"`, `"_meta"`, `"roots"`, `"role"`, `"inputResponses"`, `"x"`})
		value = func(depth int) string {
			kinds := []string{`"WEB"`, `"SECRET"`, `null`, `1`, `"accept"`}
			k := rapid.IntRange(0, len(kinds)+3).Draw(t, "kind")
			if k < len(kinds) || depth == 0 {
				return kinds[k%len(kinds)]
			}
			var parts []string
			for range rapid.IntRange(0, 3).Draw(t, "size") {
				if part := value(depth - 1); k%2 == 0 {
					parts = append(parts, part)
				} else {
					parts = append(parts, name.Draw(t, "name")+":"+part)
				}
			}
			if k%2 == 0 {
				return "[" + strings.Join(parts, ",") + "]"
			}
			return "{" + strings.Join(parts, ",") + "}"
		}
		raw := value(5)
		member := rapid.SampledFrom([]string{"inputResponses", "InputResponses", "requestState", "task", "content"}).Draw(t, "member")
		if limits.CheckAnswers([]Member{{member, []byte(raw)}}) != nil {
			return
		}
		var v any
		if err := json.Unmarshal([]byte(raw), &v); err != nil {
			t.Fatalf("%s passes: %v", raw, err)
		}
		if answers, ok := v.(map[string]any); ok && member == "inputResponses" { // an answer's id is the client's own
			renamed := map[string]any{}
			for id, one := range answers {
				if _, isAnswer := one.(map[string]any); isAnswer {
					id = "the answer " + id
				}
				renamed[id] = one
			}
			v = renamed
		}
		var found []any
		laxly(v, "project", &found)
		for _, one := range found {
			if one != "WEB" {
				t.Fatalf("%s: %s passes with %v", member, raw, one)
			}
		}
	})
}
