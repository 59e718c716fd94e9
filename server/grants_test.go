package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource"
)

const manyTools = 1000

// manyPolicy is a policy whose one scope reaches all of the tools.
func manyPolicy() string {
	var b strings.Builder
	b.WriteString("version: 1\nscopes: {all: {roles: [agent]}}\nroles:\n  agent:\n    tools:\n")
	for i := range manyTools {
		fmt.Fprintf(&b, "      tool_%04d: {}\n", i)
	}
	return b.String()
}

// A consent to a thousand tools: the token names them by their hash, and the Guard, which fetches
// them once, lets through what was ticked and nothing else.
func TestConsentToAThousandTools(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	ran := 0
	var guard *resource.Guard
	mcp := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		guard.Protect(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { ran++ })).ServeHTTP(rw, r)
	}))
	t.Cleanup(mcp.Close)
	uri := mcp.URL + "/mcp"
	res := store.Resource{URI: uri, Name: "Many", Policy: []byte(manyPolicy()), PolicyVersion: tokens.HashBytes([]byte(manyPolicy())), CreatedAt: w.clock.Now()}
	var live []json.RawMessage
	var names []string
	for i := range manyTools {
		name := fmt.Sprintf("tool_%04d", i)
		one := tool(t, name, `{"readOnlyHint":true,"openWorldHint":false}`, false)
		res.Tools = append(res.Tools, one)
		live, names = append(live, one.Definition), append(names, name)
	}
	must(t, w.store.AddResource(ctx, res))
	must(t, w.store.AssignRole(ctx, w.user.ID, uri, "agent"))
	var err error
	guard, err = resource.New(ctx, resource.Config{
		Issuer: w.issuer, Resource: uri, StateDir: t.TempDir(), EnrolmentCode: w.enrolCode(uri), Policy: res.Policy,
		Tools: func(context.Context) ([]json.RawMessage, error) { return live, nil }, Now: w.clock.Now, InsecureHTTP: true,
	})
	must(t, err)
	t.Cleanup(func() { guard.Close() })
	ready, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	must(t, guard.Ready(ready))

	a := w.agent(w.client)
	ask := a.request()
	ask.Del("authorization_details")
	ask.Set("scope", "all")
	ask.Set("resource", uri)
	code := w.mara().consent(a.push(ask), names[:manyTools-1]...).Query().Get("code")
	got := a.post("/token", a.codeForm(code))
	if got.Status != http.StatusOK {
		t.Fatalf("token: %d %s", got.Status, got.Body)
	}
	if granted, err := tokens.ParseGrant(rawMember(t, got, "authorization_details")); err != nil || len(granted.Tools) != manyTools-1 {
		t.Errorf("the client was told of %d tools: %v", len(granted.Tools), err)
	}
	if len(got.text("access_token")) > 2<<10 {
		t.Errorf("an access token of %d bytes", len(got.text("access_token")))
	}
	first := a.callTool(uri, got.text("access_token"), "tool_0000")
	last := a.callTool(uri, got.text("access_token"), names[manyTools-2])
	left := a.callTool(uri, got.text("access_token"), names[manyTools-1])
	if first != http.StatusOK || last != http.StatusOK || left != http.StatusForbidden || ran != 2 {
		t.Errorf("the first tool got %d, the last ticked %d, the one not ticked %d; %d ran", first, last, left, ran)
	}
	refreshed := a.post("/token", a.refreshForm(got.text("refresh_token")))
	if status := a.callTool(uri, refreshed.text("access_token"), "tool_0001"); status != http.StatusOK {
		t.Errorf("after a refresh: %d", status)
	}
	w.kill("tool", uri, "tool_0000", 0) // which stops that tool, and no other
	refreshed = a.post("/token", a.refreshForm(refreshed.text("refresh_token")))
	first, last = a.callTool(uri, refreshed.text("access_token"), "tool_0000"), a.callTool(uri, refreshed.text("access_token"), "tool_0001")
	if first != http.StatusForbidden || last != http.StatusOK {
		t.Errorf("while a tool is stopped, it got %d, another %d", first, last)
	}
}

func rawMember(t *testing.T, a answer, name string) []byte {
	t.Helper()
	var all map[string]json.RawMessage
	must(t, json.Unmarshal([]byte(a.Body), &all))
	return all[name]
}

// callTool calls a tool at an MCP server, with the nonce that it asks for.
func (a *agent) callTool(uri, token, name string) int {
	a.w.t.Helper()
	return a.callWith(uri, token, name, []byte("{}"))
}

// callWith is callTool with these arguments.
func (a *agent) callWith(uri, token, name string, arguments []byte) int {
	a.w.t.Helper()
	nonce := ""
	for {
		r, err := http.NewRequest("POST", uri, strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`+name+`","arguments":`+string(arguments)+`}}`))
		must(a.w.t, err)
		proof, err := a.key.Proof("POST", uri, nonce, token, a.w.clock.Now())
		must(a.w.t, err)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "DPoP "+token)
		r.Header.Set("DPoP", proof)
		resp, err := http.DefaultTransport.RoundTrip(r)
		got := read(a.w.t, resp, err)
		if next := got.Header.Get("DPoP-Nonce"); got.Status == http.StatusUnauthorized && next != "" && next != nonce {
			nonce = next
			continue
		}
		return got.Status
	}
}
