package policy

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const reading = `
version: 1
scopes:
  docs:   {title: "Read the handbook", roles: [reader]}
  drafts: {roles: [editor]}
roles:
  reader: {resources: ["docs://handbook/**", "docs://team/*/readme", "file:///srv/docs/*.md", "https://docs.example/*/index.html", "urn:doc:*"], prompts: [summarise]}
  editor: {include: [reader], resources: ["docs://drafts/*"], prompts: [rewrite]}
  late:   {when: {hours: [{days: [mon], from: "00:00", to: "24:00", zone: UTC}]}, resources: ["docs://late"]}
`

func TestDecideRead(t *testing.T) {
	p := parse(t, reading)
	tests := map[string]struct {
		uri   string
		check string
	}{
		"below a directory":          {"docs://handbook/a/b", ""},
		"right below it":             {"docs://handbook/a", ""},
		"the directory itself":       {"docs://handbook/", CheckRead},
		"without its slash":          {"docs://handbook", CheckRead},
		"another directory":          {"docs://handbook2/a", CheckRead},
		"one segment":                {"docs://team/red/readme", ""},
		"two segments for one":       {"docs://team/red/blue/readme", CheckRead},
		"none for one":               {"docs://team//readme", CheckRead},
		"an ending":                  {"file:///srv/docs/a.md", ""},
		"another ending":             {"file:///srv/docs/a.mdx", CheckRead},
		"nothing before the ending":  {"file:///srv/docs/.md", CheckRead},
		"a host":                     {"file://host/srv/docs/a.md", CheckRead},
		"opaque":                     {"urn:doc:7", ""},
		"another scheme":             {"https://handbook/a", CheckRead},
		"a scheme of another case":   {"DOCS://handbook/a", CheckRead},
		"a host of another case":     {"https://DOCS.example/a/index.html", CheckRead},
		"a directory of upper case":  {"docs://HANDBOOK/a", CheckRead},
		"user information":           {"https://docs.example@evil.example/a/index.html", CheckRead},
		"a user of the host":         {"https://me@docs.example/a/index.html", CheckRead},
		"a port":                     {"https://docs.example:8443/a/index.html", CheckRead},
		"a climb":                    {"docs://handbook/../drafts/a", CheckRead},
		"a climb at the end":         {"docs://handbook/a/..", CheckRead},
		"a dot":                      {"docs://handbook/./a", CheckRead},
		"an encoded climb":           {"docs://handbook/%2e%2e/drafts/a", CheckRead},
		"half encoded":               {"docs://handbook/.%2E/drafts/a", CheckRead},
		"an encoded slash":           {"file:///srv/docs/..%2F..%2Fetc%2Fpasswd.md", CheckRead},
		"twice encoded":              {"docs://handbook/%252e%252e/a", CheckRead},
		"a backslash":                {`docs://handbook/..\drafts\a`, CheckRead},
		"an encoded backslash":       {"docs://handbook/..%5Cdrafts", CheckRead},
		"an encoded NUL":             {"file:///srv/docs/etc%00.md", CheckRead},
		"a query":                    {"docs://handbook/a?file=/etc/passwd", CheckRead},
		"a query in a segment":       {"file:///srv/docs/x?.md", CheckRead},
		"a fragment":                 {"docs://handbook/a#b", CheckRead},
		"a needless encoding":        {"docs://handbook/%61", CheckRead},
		"an encoding in lower case":  {"docs://handbook/a%c3%a9", CheckRead},
		"a good encoding":            {"docs://handbook/a%20b%C3%A9", ""},
		"an empty segment":           {"docs://handbook//a", CheckRead},
		"a space":                    {"docs://handbook/a b", CheckRead},
		"a line break":               {"docs://handbook/a\nb", CheckRead},
		"beyond ASCII":               {"docs://handbook/é", CheckRead},
		"relative":                   {"handbook/a", CheckRead},
		"nothing":                    {"", CheckRead},
		"another role's":             {"docs://drafts/a", CheckScope},
		"what no scope reaches":      {"docs://late", CheckScope},
		"a pattern is no URI of its": {"docs://handbook/**", ""}, // * stands for itself in a path
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := p.DecideRead([]string{"docs", "tool:x", "tool:"}, []string{"editor"}, Resources, tt.uri, Always)
			if d.Check != tt.check || d.Allowed != (tt.check == "") {
				t.Errorf("%s: %+v", tt.uri, d)
			}
		})
	}
	if d := p.DecideRead([]string{"drafts"}, []string{"reader"}, Resources, "docs://drafts/a", Always); d.Check != CheckRole {
		t.Errorf("without the role: %+v", d)
	}
	if d := p.DecideRead([]string{"docs"}, []string{"reader"}, Prompts, "summarise", Always); !d.Allowed {
		t.Errorf("a prompt: %+v", d)
	}
	if d := p.DecideRead([]string{"docs"}, []string{"editor"}, Prompts, "rewrite", Always); d.Check != CheckScope {
		t.Errorf("a prompt of another scope: %+v", d)
	}
	for template, want := range map[string]bool{"docs://handbook/{page}": true, "docs://handbook{/path*}": true, "docs://{area}/x": false, "docs://handbook/{page}{?q}": true, "file:///{+path}": false} {
		if got := p.DecideTemplate([]string{"docs"}, []string{"reader"}, template, Always).Allowed; got != want {
			t.Errorf("%s: %t", template, got)
		}
	}
}

func TestReadable(t *testing.T) {
	p := parse(t, reading)
	got := p.Readable([]string{"docs", "drafts", "tool:x"}, []string{"reader"}, Always)
	want := []Readable{{Scope: "docs", Title: "Read the handbook", Prompts: []string{"summarise"}, Resources: []string{
		"docs://handbook/**", "docs://team/*/readme", "file:///srv/docs/*.md", "https://docs.example/*/index.html", "urn:doc:*",
	}}, {Scope: "drafts", Prompts: []string{"summarise"}}}
	want[1].Resources = want[0].Resources // drafts reach editor, which includes reader
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !p.Opens(Resources) || !p.Opens(Prompts) || parse(t, tickets).Opens(Resources) {
		t.Error("what the policies open")
	}
}

func TestBadPatterns(t *testing.T) {
	for name, text := range map[string]string{
		"everything":               "**",
		"a wildcard for a scheme":  "*://a/b",
		"in a scheme":              "d*cs://a/b",
		"a wildcard for a host":    "https://*/a",
		"in a host":                "https://*.example/a",
		"all hosts":                "https://**",
		"in a name like a host":    "docs://hand*/a",
		"two in a segment":         "docs://a/*b*",
		"** in the middle":         "docs://a/**/b",
		"** with more":             "docs://a/b**",
		"a climb":                  "docs://a/../*",
		"an encoded climb":         "docs://a/%2E%2E/*",
		"a host in upper case":     "https://Docs.example/*",
		"a user":                   "https://me@docs.example/*",
		"a template":               "docs://a/{id}",
		"a fragment":               "docs://a/b#c",
		"an empty segment":         "docs://a//b",
		"too long":                 "docs://a/" + strings.Repeat("a", maxURI),
		"a space":                  "docs://a/b c",
		"an encoding of lower hex": "docs://a/%c3",
	} {
		if _, err := Parse([]byte("version: 1\nroles: {r: {resources: ['"+text+"']}}"), nil); err == nil {
			t.Errorf("%s: %s is accepted", name, text)
		}
	}
}

func FuzzResourceURI(f *testing.F) {
	for _, s := range []string{"docs://handbook/a", "docs://handbook/../a", "file:///srv/docs/%2e%2e/a.md", "urn:doc:1", "https://u@docs.example/a/index.html"} {
		f.Add(s)
	}
	p, err := Parse([]byte(reading), nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		if !p.DecideRead([]string{"docs"}, []string{"reader"}, Resources, uri, Always).Allowed {
			return
		}
		lower := strings.ToLower(uri)
		for _, bad := range []string{"/../", "/./", "%2e", "%2f", "%5c", "%25", "\\", "#", "?", "@"} {
			if strings.Contains(lower, bad) && bad != "@" {
				t.Errorf("%q is allowed", uri)
			}
		}
		begins := func(s string) bool { return strings.HasPrefix(uri, s) }
		if !slices.ContainsFunc([]string{"docs://handbook/", "docs://team/", "file:///srv/docs/", "https://docs.example/", "urn:doc:"}, begins) || strings.HasSuffix(uri, "/..") {
			t.Errorf("%q is allowed", uri)
		}
	})
}
