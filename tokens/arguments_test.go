package tokens

import (
	"errors"
	"strings"
	"testing"
)

var testProperties = []string{"id", "project", "limit", "text", "ids"}

const testSchema = `{"type":"object","properties":{"id":{},"project":{},"limit":{},"text":{},"ids":{}}}`

func TestCheckArguments(t *testing.T) {
	for name, tt := range map[string]struct{ limits, arguments, want string }{
		"no limits":                    {``, `{"id" : 1.0}`, `{"id":1}`},
		"no arguments":                 {``, ``, `{}`},
		"null arguments":               {``, `null`, `{}`},
		"an escaped name":              {`{"id":{"const":1}}`, `{"\u0069d":1}`, `{"id":1}`},
		"const":                        {`{"project":{"const":"WEB"}}`, `{"text":"x","project":"WEB"}`, `{"project":"WEB","text":"x"}`},
		"const by meaning":             {`{"id":{"const":{"b":1.0,"a":[]}}}`, `{"id":{"a":[ ],"b":1}}`, `{"id":{"a":[],"b":1}}`},
		"const null":                   {`{"id":{"const":null}}`, `{"id":null}`, `{"id":null}`},
		"enum":                         {`{"project":{"enum":["API","WEB"]}}`, `{"project":"WEB"}`, `{"project":"WEB"}`},
		"minimum":                      {`{"limit":{"minimum":1}}`, `{"limit":1}`, `{"limit":1}`},
		"maximum":                      {`{"limit":{"maximum":50}}`, `{"limit":5e1}`, `{"limit":50}`},
		"maxLength counts characters":  {`{"text":{"maxLength":2}}`, `{"text":"\ud83d\ude00ä"}`, `{"text":"😀ä"}`},
		"maxItems":                     {`{"ids":{"maxItems":2}}`, `{"ids":[1,[2,3]]}`, `{"ids":[1,[2,3]]}`},
		"pattern":                      {`{"text":{"pattern":"[a-z]+@example\\.com"}}`, `{"text":"mara@example.com"}`, `{"text":"mara@example.com"}`},
		"a number as it was sent":      {``, `{"limit":0.1}`, `{"limit":0.1}`},
		"names in values are no names": {``, `{"text":{"ID":1,"id":2}}`, `{"text":{"ID":1,"id":2}}`},
	} {
		t.Run(name, func(t *testing.T) {
			c := must[Constraints](t)(ParseConstraints([]byte(tt.limits)))
			got, err := c.CheckArguments([]byte(tt.arguments), []byte(testSchema))
			if err != nil || string(got) != tt.want {
				t.Errorf("CheckArguments = %s, %v", got, err)
			}
		})
	}
}

func TestCheckArgumentsRefuses(t *testing.T) {
	for name, tt := range map[string]struct{ limits, arguments, schema, argument string }{
		"a list":                              {``, `[]`, ``, ``},
		"a text":                              {``, `"id"`, ``, ``},
		"no JSON":                             {``, `{"id":`, ``, ``},
		"two objects":                         {``, `{}{}`, ``, ``},
		"an argument twice":                   {``, `{"id":1,"id":2}`, ``, ``},
		"an argument twice by escape":         {``, `{"id":1,"\u0069d":2}`, ``, ``},
		"a member twice, deep":                {``, `{"id":{"a":1,"a":2}}`, ``, ``},
		"an id that would change":             {``, `{"id":9007199254740993}`, ``, ``},
		"a number that no double holds":       {``, `{"id":1e999}`, ``, ``},
		"too deep":                            {``, `{"id":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`, ``, ``},
		"an argument the schema knows not":    {``, `{"admin":true}`, ``, "admin"},
		"__proto__":                           {``, `{"__proto__":{}}`, ``, "__proto__"},
		"another case":                        {``, `{"ID":1}`, ``, "ID"},
		"another case beside the right one":   {`{"project":{"const":"WEB"}}`, `{"project":"WEB","Project":"HR"}`, ``, "Project"},
		"another case by the long s":          {``, "{\"idſ\":1}", ``, "idſ"},
		"another case by Kelvin":              {``, "{\"\u212aey\":1}", `{"properties":{"key":{}}}`, "\u212aey"},
		"a schema with twins":                 {``, `{"a":1}`, `{"properties":{"a":{},"A":{}}}`, "a"},
		"a property of a zero byte":           {``, `{"\u0000":1}`, `{"properties":{"\u0000":{}}}`, "\x00"},
		"a schema that names nothing":         {``, `{"a":1}`, `{"type":"object"}`, "a"},
		"a schema that lets all pass":         {``, `{"a":1}`, `{"additionalProperties":true,"patternProperties":{".*":{}}}`, "a"},
		"no schema":                           {``, `{}`, ` `, ``},
		"a schema that is true":               {``, `{}`, `true`, ``},
		"a schema with a repeated member":     {``, `{}`, `{"properties":{"a":{}},"properties":{"b":{}}}`, ``},
		"what the schema requires":            {``, `{}`, `{"properties":{"a":{}},"required":["a"]}`, "a"},
		"what is limited must be there":       {`{"project":{"const":"WEB"}}`, `{}`, ``, "project"},
		"what is limited though none knows":   {`{"org":{"const":"WEB"}}`, `{"id":1}`, ``, "org"},
		"const":                               {`{"project":{"const":"WEB"}}`, `{"project":"web"}`, ``, "project"},
		"const of another kind":               {`{"id":{"const":1}}`, `{"id":"1"}`, ``, "id"},
		"const false is not null":             {`{"id":{"const":false}}`, `{"id":null}`, ``, "id"},
		"enum":                                {`{"project":{"enum":["API","WEB"]}}`, `{"project":["WEB"]}`, ``, "project"},
		"minimum":                             {`{"limit":{"minimum":1}}`, `{"limit":0.99}`, ``, "limit"},
		"maximum":                             {`{"limit":{"maximum":50}}`, `{"limit":50.001}`, ``, "limit"},
		"maximum of a number in a text":       {`{"limit":{"maximum":50}}`, `{"limit":"7"}`, ``, "limit"},
		"maximum of null":                     {`{"limit":{"maximum":50}}`, `{"limit":null}`, ``, "limit"},
		"maxLength":                           {`{"text":{"maxLength":2}}`, `{"text":"abc"}`, ``, "text"},
		"maxLength of a list":                 {`{"text":{"maxLength":2}}`, `{"text":["abcdef"]}`, ``, "text"},
		"maxItems":                            {`{"ids":{"maxItems":2}}`, `{"ids":[1,2,3]}`, ``, "ids"},
		"maxItems of an object":               {`{"ids":{"maxItems":2}}`, `{"ids":{"0":1}}`, ``, "ids"},
		"pattern is of the whole text":        {`{"text":{"pattern":"WEB"}}`, `{"text":"WEB-1"}`, ``, "text"},
		"pattern has no lines":                {`{"text":{"pattern":"WEB"}}`, `{"text":"WEB\n"}`, ``, "text"},
		"pattern has no lines of its own":     {`{"text":{"pattern":"(?m)WEB$"}}`, `{"text":"WEB\nHR"}`, ``, "text"},
		"pattern of alternatives is anchored": {`{"text":{"pattern":"a|b"}}`, `{"text":"ac"}`, ``, "text"},
		"pattern of a number":                 {`{"text":{"pattern":".*"}}`, `{"text":1}`, ``, "text"},
		"the second of two":                   {`{"limit":[{"maximum":50},{"maximum":20}]}`, `{"limit":30}`, ``, "limit"},
	} {
		t.Run(name, func(t *testing.T) {
			c := must[Constraints](t)(ParseConstraints([]byte(tt.limits)))
			schema := tt.schema
			if schema == "" {
				schema = testSchema
			}
			got, err := c.CheckArguments([]byte(tt.arguments), []byte(schema))
			refusal, ok := errors.AsType[*ArgumentError](err)
			if !ok || got != nil {
				t.Fatalf("CheckArguments = %s, %v", got, err)
			}
			if refusal.Argument != tt.argument || refusal.Reason == "" {
				t.Errorf("the refusal is about %q: %v", refusal.Argument, err)
			}
		})
	}
}

// TestCheckArgumentsByHand: constraints that nobody parsed fail closed.
func TestCheckArgumentsByHand(t *testing.T) {
	for name, c := range map[string]Constraints{
		"a broken pattern": {"text": {{Pattern: "("}}},
		"a broken const":   {"text": {{Const: []byte("{")}}},
	} {
		if _, err := c.CheckArguments([]byte(`{"text":"x"}`), []byte(testSchema)); err == nil {
			t.Errorf("%s lets pass", name)
		}
	}
}

// TestCheckUnder: a ceiling that only bounds is for what is given; one that says which value, and the
// consent's own limits, are for what is left out too.
func TestCheckUnder(t *testing.T) {
	tests := map[string]struct {
		consent, ceiling, arguments string
		ok                          bool
	}{
		"below a ceiling":              {``, `{"limit":{"maximum":50}}`, `{"limit":50}`, true},
		"above a ceiling":              {``, `{"limit":{"maximum":50}}`, `{"limit":51}`, false},
		"a number that is a text":      {``, `{"limit":{"maximum":50}}`, `{"limit":"7"}`, false},
		"null is given":                {``, `{"limit":{"maximum":50}}`, `{"limit":null}`, false},
		"left out":                     {``, `{"limit":{"minimum":1,"maximum":50},"text":{"maxLength":1},"ids":{"maxItems":1}}`, `{}`, true},
		"another case is not left out": {``, `{"limit":{"maximum":50}}`, `{"Limit":51}`, false},
		"left out of a choice":         {``, `{"project":{"const":"WEB"}}`, `{}`, false},
		"left out of a list":           {``, `{"project":{"enum":["WEB","API"]}}`, `{}`, false},
		"left out of a pattern":        {``, `{"text":{"pattern":"a*"}}`, `{}`, false},
		"left out of a bounded choice": {``, `{"text":[{"maxLength":3},{"pattern":"a*"}]}`, `{}`, false},
		"the consent limits it too":    {`{"limit":{"maximum":10}}`, `{"limit":{"maximum":50}}`, `{}`, false},
		"the consent is narrower":      {`{"limit":{"maximum":10}}`, `{"limit":{"maximum":50}}`, `{"limit":11}`, false},
		"the ceiling is narrower":      {`{"limit":{"maximum":50}}`, `{"limit":{"maximum":10}}`, `{"limit":11}`, false},
		"within both":                  {`{"limit":{"maximum":50}}`, `{"limit":{"maximum":10}}`, `{"limit":10}`, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			consent := must[Constraints](t)(ParseConstraints([]byte(tt.consent)))
			ceiling := must[Constraints](t)(ParseConstraints([]byte(tt.ceiling)))
			schema := must[Schema](t)(ParseSchema([]byte(testSchema)))
			got, err := consent.CheckUnder(ceiling, []byte(tt.arguments), schema)
			if _, refused := errors.AsType[*ArgumentError](err); refused == tt.ok || (got == nil) == tt.ok {
				t.Errorf("%s, %v", got, err)
			}
		})
	}
}
