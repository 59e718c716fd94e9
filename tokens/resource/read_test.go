package resource_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/remit-auth/remit/tokens/resource"
	"github.com/remit-auth/remit/tokens/resource/resourcetest"
)

const readingPolicy = `
version: 1
scopes:
  docs:   {title: "Read the handbook", roles: [reader]}
  drafts: {roles: [editor]}
  night:  {roles: [night]}
roles:
  reader: {resources: ["docs://handbook/**", "docs://team/*"], prompts: [summarise], tools: {search_tickets: {}}}
  editor: {include: [reader], resources: ["docs://drafts/*"], prompts: [rewrite]}
  night:  {when: {addresses: [203.0.113.1]}, resources: ["docs://night"]}
`

func message(method string, params any) []byte {
	raw, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	if err != nil {
		panic(err)
	}
	return raw
}

func uri(u string) map[string]any { return map[string]any{"uri": u} }

func TestReads(t *testing.T) {
	w := newWorld(t, func(c *resource.Config) { c.Policy = []byte(readingPolicy) })
	token := w.token(resourcetest.Grant{Scopes: []string{"docs", "night"}, Roles: []string{"editor", "night"}})
	for name, body := range map[string][]byte{
		"a resource":             message("resources/read", uri("docs://handbook/a/b")),
		"a subscription":         message("resources/subscribe", uri("docs://team/red")),
		"its end":                message("resources/unsubscribe", uri("docs://team/red")),
		"a prompt":               message("prompts/get", map[string]any{"name": "summarise", "arguments": map[string]string{"a": "b"}}),
		"a prompt to complete":   message("completion/complete", map[string]any{"ref": map[string]string{"type": "ref/prompt", "name": "summarise"}, "argument": map[string]string{"name": "a", "value": "b"}}),
		"a template to complete": message("completion/complete", map[string]any{"ref": map[string]string{"type": "ref/resource", "uri": "docs://team/{name}"}, "argument": map[string]string{"name": "name", "value": "r"}}),
		"the list of resources":  message("resources/list", nil),
		"the list of templates":  message("resources/templates/list", nil),
		"the list of prompts":    message("prompts/list", nil),
	} {
		t.Run(name, func(t *testing.T) {
			ran := w.calls()
			if a := w.send(token, body); a.status != http.StatusOK || w.calls() != ran+1 || w.sent[ran] != string(body) {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	refused := map[string]struct {
		body   []byte
		status int
		code   resource.Code
	}{
		"another scope's":              {message("resources/read", uri("docs://drafts/a")), 403, resource.NoScope},
		"what nobody has":              {message("resources/read", uri("docs://secret/a")), 403, resource.NoScope},
		"at another time":              {message("resources/read", uri("docs://night")), 403, resource.NotNow},
		"another prompt":               {message("prompts/get", map[string]any{"name": "rewrite"}), 403, resource.NoScope},
		"no such prompt":               {message("prompts/get", map[string]any{"name": "Summarise"}), 403, resource.NoScope},
		"a prompt of another scope":    {message("completion/complete", map[string]any{"ref": map[string]string{"type": "ref/prompt", "name": "rewrite"}}), 403, resource.NoScope},
		"a template of all":            {message("completion/complete", map[string]any{"ref": map[string]string{"type": "ref/resource", "uri": "docs://{area}/{name}"}}), 403, resource.NoScope},
		"a template that climbs":       {message("completion/complete", map[string]any{"ref": map[string]string{"type": "ref/resource", "uri": "docs://handbook/../{name}"}}), 403, resource.NoScope},
		"a climb":                      {message("resources/read", uri("docs://handbook/../drafts/a")), 400, resource.BadRequest},
		"an encoded climb":             {message("resources/read", uri("docs://handbook/%2e%2e/drafts/a")), 400, resource.BadRequest},
		"an encoded slash":             {message("resources/read", uri("docs://handbook/..%2Fdrafts%2Fa")), 400, resource.BadRequest},
		"a backslash":                  {message("resources/read", uri(`docs://handbook/..\drafts\a`)), 400, resource.BadRequest},
		"user information":             {message("resources/read", uri("docs://handbook@drafts/a")), 400, resource.BadRequest},
		"another case":                 {message("resources/read", uri("DOCS://handbook/a")), 400, resource.BadRequest},
		"another scheme":               {message("resources/read", uri("file:///handbook/a")), 403, resource.NoScope},
		"a climb to unsubscribe":       {message("resources/unsubscribe", uri("docs://handbook/../a")), 400, resource.BadRequest},
		"the uri twice":                {[]byte(`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"docs://team/a","uri":"docs://drafts/a"}}`), 400, resource.BadRequest},
		"the uri in another case":      {[]byte(`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"docs://team/a","URI":"docs://drafts/a"}}`), 400, resource.BadRequest},
		"the uri in another case only": {[]byte(`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"Uri":"docs://team/a"}}`), 400, resource.BadRequest},
		"a uri that is a list":         {[]byte(`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":["docs://team/a"]}}`), 400, resource.BadRequest},
		"no uri":                       {message("resources/read", map[string]any{}), 400, resource.BadRequest},
		"no params":                    {[]byte(`{"jsonrpc":"2.0","id":1,"method":"resources/read"}`), 400, resource.BadRequest},
		"no id":                        {[]byte(`{"jsonrpc":"2.0","method":"resources/read","params":{"uri":"docs://team/a"}}`), 400, resource.BadRequest},
		"a ref to both":                {message("completion/complete", map[string]any{"ref": map[string]string{"type": "ref/prompt", "name": "summarise", "uri": "docs://drafts/a"}}), 400, resource.BadRequest},
		"a ref of another type":        {message("completion/complete", map[string]any{"ref": map[string]string{"type": "ref/tool", "name": "summarise"}}), 400, resource.BadRequest},
		"a method of nobody":           {message("resources/write", uri("docs://team/a")), 403, resource.BadRequest},
		"too long":                     {message("resources/read", uri("docs://handbook/"+strings.Repeat("a", 3000))), 400, resource.BadRequest},
	}
	for name, tt := range refused {
		t.Run(name, func(t *testing.T) {
			ran := w.calls()
			w.wants(w.send(token, tt.body), tt.status, tt.code)
			if w.calls() != ran {
				t.Error("the server ran")
			}
		})
	}
	a := w.send(w.token(resourcetest.Grant{Roles: []string{"editor"}}), message("resources/read", uri("docs://drafts/a")))
	w.wants(a, http.StatusForbidden, resource.NoScope)
	if d := a.denial.Error.Data; !strings.Contains(a.header.Get("WWW-Authenticate"), `scope="drafts"`) || d.Remediation != "available" {
		t.Errorf("the scope that would help: %q %s", a.header.Get("WWW-Authenticate"), a.body)
	}
	w.wants(w.send(w.token(resourcetest.Grant{Scopes: []string{"drafts"}, Roles: []string{"reader"}}), message("resources/read", uri("docs://drafts/a"))), 403, resource.NoRole)
	w.eventually("the records of the reads", func() bool {
		read, finished := false, map[string]bool{}
		for _, e := range w.issuer.Executions(w.uri, 10) {
			if e.Kind == "execution.finished" {
				finished[e.Execution] = e.Outcome == "ok"
			}
		}
		for _, e := range w.issuer.Executions(w.uri, 10) {
			read = read || e.Decision == "allowed" && e.Method == "resources/read" && e.Target == "docs://handbook/a/b" && e.Tool == "" && e.Policy != "" && finished[e.Execution]
		}
		return read
	})
}

// TestNothingToRead: where the policy names no resource, there are none for agents; and so with prompts.
func TestNothingToRead(t *testing.T) {
	w := newWorld(t)
	token := w.token(reader())
	for _, method := range []string{"resources/read", "resources/list", "resources/templates/list", "resources/subscribe", "prompts/list", "completion/complete"} {
		w.wants(w.send(token, message(method, map[string]any{"uri": "docs://a/b", "ref": map[string]string{"type": "ref/prompt", "name": "p"}})), http.StatusForbidden, resource.BadRequest)
	}
	w.wants(w.send(token, message("prompts/get", map[string]any{"name": "p"})), http.StatusForbidden, resource.BadRequest)
	w.good()
}

// TestPermitLists: what a server may show of its lists.
func TestPermitLists(t *testing.T) {
	w := newWorld(t, func(c *resource.Config) { c.Policy = []byte(readingPolicy) })
	var got []bool
	w.serve = func(rw http.ResponseWriter, r *http.Request) {
		p, _ := resource.PermitFrom(r.Context())
		got = []bool{
			p.MayRead("docs://handbook/a"), p.MayReadTemplate("docs://team/{name}"), p.MayPrompt("summarise"), p.Opens("resources"), p.Opens("prompts"),
			p.MayRead("docs://drafts/a"), p.MayRead("docs://night"), p.MayReadTemplate("docs://{area}"), p.MayPrompt("rewrite"), p.MayRead("docs://handbook/../drafts"),
		}
	}
	w.send(w.token(resourcetest.Grant{Scopes: []string{"docs", "night"}, Roles: []string{"editor", "night"}}), message("resources/list", nil))
	for i, may := range got {
		if may != (i < 5) {
			t.Errorf("%d: %t", i, may)
		}
	}
	if len(got) != 10 || (&resource.Permit{}).MayRead("docs://handbook/a") || (&resource.Permit{}).Opens("resources") {
		t.Errorf("%v", got)
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{`{"uri":"docs://handbook/a"}`, `{"ref":{"type":"ref/resource","uri":"docs://{a}"}}`, `{"name":"summarise"}`, `{"uri":"a","URI":"b"}`, `{"uri":"\u0064ocs://a"}`} {
		for _, m := range []string{"resources/read", "prompts/get", "completion/complete"} {
			f.Add(m, s)
		}
	}
	f.Fuzz(func(t *testing.T, method, params string) {
		kind, target, err := resource.ParseRead([]byte(`{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":` + params + `}`))
		if err != nil || kind == "" {
			return
		}
		var loose struct {
			URI, Name string
			Ref       struct{ URI, Name string }
		}
		if err := json.Unmarshal([]byte(params), &loose); err != nil {
			t.Fatalf("%s: %v", params, err)
		}
		want := map[string]string{"resources/read": loose.URI, "resources/subscribe": loose.URI, "resources/unsubscribe": loose.URI, "prompts/get": loose.Name, "completion/complete": loose.Ref.URI + loose.Ref.Name}
		if target != want[method] {
			t.Errorf("%s: the Guard reads %q, a decoder that folds case %q", params, target, want[method])
		}
	})
}
