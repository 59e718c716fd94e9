package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
	"github.com/remit-auth/remit/cmd/remit/demo"
	"github.com/remit-auth/remit/tokens/resource/mcpauth"
)

// TestAttackConsent plays section 4.13 of the catalogue.
func TestAttackConsent(t *testing.T) {
	play(t, map[string]row{
		"CS1": cs1, "CS2": cs2, "CS3": cs3, "CS4": cs4, "CS5": cs5, "CS6": cs6, "CS7": cs7, "CS8": cs8, "CS9": cs9, "CS10": cs10, "CS11": cs11, "CS12": cs12, "RC3": rc3,
	})
}

// asking is a pushed flow, and the page that it shows Mara.
func (w *world) asking(t *testing.T, f *blackbox.Flow) (*blackbox.Flow, blackbox.Page, blackbox.PageForm, blackbox.Response) {
	t.Helper()
	must(t, f, (*blackbox.Flow).Push)
	at := w.asks(t, f.AuthorizeURL())
	page, form, ok := blackbox.ConsentForm(at)
	if !ok {
		t.FailNow()
	}
	return f, page, form, at.Response
}

func cs1(t *testing.T, w *world) {
	f := w.flow()
	f.Redirect = "http://127.0.0.1/callback"
	_, page, form, _ := w.asking(t, f)
	for _, text := range []string{"Agent A", "127.0.0.1", "Any program on this computer", "Triage this week's bugs", w.r1.URL, w.mara.Email, "search_tickets", "add_comment", "Reads only", "Changes data", "WEB", "30 min"} {
		if !strings.Contains(page.Text, text) {
			t.Errorf("the page does not say %q: %s", text, page.Text)
		}
	}
	if tools, _ := form.Values("tool"); len(tools) != 3 {
		t.Errorf("the page offers %v", tools)
	}
	jot(t, "client, redirect host with a warning, resource, tools with their effect and limits, purpose, time limit, account")
}

// hostile is text that would like to be more; cs2 puts it wherever a stranger's text is shown.
const hostile = `</script><script>alert(1)</script>"><img src=x onerror=alert(1)>' onclick='x <!--`

// elements are the element names of a page in order, with the names of their attributes.
func elements(t *testing.T, body []byte) (all []string) {
	t.Helper()
	root, err := html.Parse(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		all = append(all, n.Data)
		for _, a := range n.Attr {
			all = append(all, n.Data+" "+a.Key)
			if v := strings.ToLower(strings.TrimSpace(a.Val)); (a.Key == "href" || a.Key == "action" || a.Key == "src") && strings.HasPrefix(v, "javascript:") {
				t.Errorf("%s %s=%q", n.Data, a.Key, a.Val)
			}
		}
	}
	return all
}

// offers registers a resource with one tool, whose words a stranger chose, and gives Mara its role.
func (w *world) offers(t *testing.T, uri, name string, tool blackbox.Object) {
	t.Helper()
	policy := fmt.Sprintf("version: 1\nscopes: {extra: {title: Extra, roles: [extra]}}\nroles: {extra: {tools: {%s: {}}}}\n", tool["name"])
	file := blackbox.Object{"uri": uri, "name": name, "policy": policy, "tools": []any{tool}}
	w.remit(t, nil, file.JSON(), "resource", "add", "-")
	w.remit(t, nil, "", "user", "assign", "--email", w.mara.Email, "--resource", uri, "--role", "extra")
}

// shownTool is the page that asks Mara for a tool of this resource.
func (w *world) shownTool(t *testing.T, client, uri, tool, purpose string) blackbox.Response {
	t.Helper()
	f := w.flow()
	f.ClientID, f.Resource = client, uri
	raw, err := json.Marshal([]any{blackbox.Object{"type": "mcp_task", "purpose": purpose, "max_duration": 1800}, blackbox.Object{"type": "mcp_tool", "locations": []string{uri}, "tool": tool}})
	if err != nil {
		t.Fatal(err)
	}
	f.Details = string(raw)
	_, _, form, res := w.asking(t, f)
	if tools, _ := form.Values("tool"); len(tools) != 1 {
		t.Fatalf("the page offers %v", tools)
	}
	return res
}

func cs2(t *testing.T, w *world) {
	tool := func(name, description string) blackbox.Object {
		return blackbox.Object{"name": name, "title": description, "description": description, "inputSchema": blackbox.Object{"type": "object", "properties": blackbox.Object{"a": blackbox.Object{"type": "string", "description": description}}}}
	}
	public := map[string]any{"token_endpoint_auth_method": "none", "redirect_uris": []string{redirectA}}
	w.offers(t, "https://plain.example/mcp", "Plain", tool("odd_tool", "Plain text"))
	w.offers(t, "https://evil.example/mcp", hostile, tool("odd_tool", hostile))
	plain := w.shownTool(t, w.client(t, "Plain", public), "https://plain.example/mcp", "odd_tool", "Plain purpose")
	evil := w.shownTool(t, w.client(t, hostile, public), "https://evil.example/mcp", "odd_tool", hostile)
	was, is := elements(t, plain.Body), elements(t, evil.Body)
	if strings.Join(was, "\n") != strings.Join(is, "\n") {
		t.Errorf("hostile text changed the page's elements:\n%v\n%v", was, is)
	}
	if !bytes.Contains(evil.Body, []byte("&lt;script&gt;")) {
		t.Error("the hostile text is not shown: the test shows nothing")
	}
	for _, policy := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"} {
		if csp := evil.Header.Get("Content-Security-Policy"); !strings.Contains(csp, policy) || strings.Contains(csp, "unsafe") {
			t.Errorf("Content-Security-Policy %q", csp)
		}
	}
	jot(t, "inert: the elements of a page with plain text")
}

// cs3: what hides is shown as a mark, what is long is cut, and the badge comes from annotations and policy.
func cs3(t *testing.T, w *world) {
	w.offers(t, "https://hidden.example/mcp", "Hidden", blackbox.Object{
		"name": "wipe_all", "description": "Reads only, harmless.\u202eevil\u200b\u0007\u001b[31m " + strings.Repeat("very safe ", 2000) + "DELETES EVERYTHING",
		"inputSchema": blackbox.Object{"type": "object"}, "annotations": blackbox.Object{"destructiveHint": true},
	})
	page := w.shownTool(t, w.a, "https://hidden.example/mcp", "wipe_all", "Tidy")
	for name, hidden := range map[string]string{"bidi": "\u202e", "zero width": "\u200b", "escape": "\u001b", "bell": "\u0007"} {
		if bytes.Contains(page.Body, []byte(hidden)) {
			t.Errorf("%s stands on the page", name)
		}
	}
	text := blackbox.ParsePage(w.issuer, page.Body).Text
	if !strings.Contains(text, "Deletes data") || strings.Count(text, "very safe") > 1000 {
		t.Errorf("no badge, or all of 20 kB: %.400s", text)
	}
	jot(t, "marks for what hides, cut, badge from the annotations")
}

// cs4: an unverified client is asked again, each time.
func cs4(t *testing.T, w *world) {
	for range 3 {
		f := w.token(t) // which fails without a page to decide on
		if at := w.asks(t, must(t, w.flow(), (*blackbox.Flow).Push).AuthorizeURL()); at.Left {
			t.Error("a code without asking")
		}
		w.works(t, f)
	}
	jot(t, "asked each time")
}

func cs5(t *testing.T, w *world) {
	_, page, form, _ := w.asking(t, w.flow())
	_, _, second, _ := w.asking(t, w.flow())
	lin := w.person(t, "lin", "user")
	w.remit(t, nil, "", "user", "assign", "--email", lin.Email, "--resource", w.r1.URL, "--role", "admin")
	answer := blackbox.Choice{Duration: 1800}.Fill(form)
	other := second.Filled()
	for name, tt := range map[string]struct {
		cookies string
		answer  blackbox.Form
	}{
		"no token": {w.mara.Cookies(), answer.Without("csrf")}, "a guess": {w.mara.Cookies(), answer.Set("csrf", blackbox.Random(24))}, "another's session": {lin.Cookies(), answer}, "nobody": {"", answer},
		"another page's request": {w.mara.Cookies(), answer.Set("request", other.Get("request"))}, "another page's mark": {w.mara.Cookies(), answer.Set("shown", other.Get("shown"))},
	} {
		t.Run(name, func(t *testing.T) {
			res := w.refuses(t, want{statuses: []int{403}, page: true}, func() (blackbox.Response, error) { return w.submitsAs(t, page, form, tt.cookies)(tt.answer) })
			if res.Header.Get("Location") != "" {
				t.Errorf("%s", res)
			}
		})
	}
	t.Run("another site", func(t *testing.T) {
		w.refuses(t, want{statuses: []int{403}, page: true}, func() (blackbox.Response, error) {
			return blackbox.Post(t.Context(), w.issuer+"/consent", answer, blackbox.Header{Name: "Cookie", Value: w.mara.Cookies()}, blackbox.Header{Name: "Origin", Value: "https://evil.example"}, blackbox.Header{Name: "Sec-Fetch-Site", Value: "cross-site"})
		})
	})
	t.Run("GET", func(t *testing.T) {
		w.refuses(t, want{statuses: []int{404, 405}}, func() (blackbox.Response, error) {
			return blackbox.Get(t.Context(), w.issuer+"/consent?"+answer.Encode(), blackbox.Header{Name: "Cookie", Value: w.mara.Cookies()})
		})
	})
	first := w.submit(t, page, form, w.mara.Cookies(), answer)[0]
	if first.Status != http.StatusSeeOther {
		t.Errorf("the right form: %s", first)
	}
	jot(t, goodAfter)
	t.Run("again", func(t *testing.T) {
		w.refuses(t, PAGE(), func() (blackbox.Response, error) { return w.submitsAs(t, page, form, w.mara.Cookies())(answer) })
	})
}

// cs6: no page of a person's lets itself be framed.
func cs6(t *testing.T, w *world) {
	_, _, _, consent := w.asking(t, w.flow())
	pages := map[string]blackbox.Response{"consent": consent}
	for _, path := range []string{"/signin", "/agents", "/account", "/activate", "/admin", "/authorize", "/logout", "/approvals/apv_x", "/nowhere"} {
		at, err := w.mara.Get(t.Context(), w.issuer+path)
		if err != nil {
			t.Fatal(err)
		}
		pages[path] = at.Response
	}
	for name, res := range pages {
		if strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") && (res.Header.Get("X-Frame-Options") != "DENY" || !strings.Contains(res.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'")) {
			t.Errorf("%s may be framed: %v", name, res.Header)
		}
	}
	jot(t, "frame-ancestors 'none' and X-Frame-Options: DENY on every page")
}

func cs7(t *testing.T, w *world) {
	_, _, _, res := w.asking(t, w.flow())
	for name, value := range map[string]string{"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "Cross-Origin-Opener-Policy": "same-origin", "X-Content-Type-Options": "nosniff"} {
		if !strings.Contains(res.Header.Get(name), value) {
			t.Errorf("%s: %q", name, res.Header.Get(name))
		}
	}
	if csp := res.Header.Get("Content-Security-Policy"); strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") || !strings.Contains(csp, "form-action 'self'") {
		t.Errorf("Content-Security-Policy: %s", csp)
	}
	if bytes.Contains(res.Body, []byte("<style")) || bytes.Contains(res.Body, []byte(" style=")) || bytes.Contains(res.Body, []byte(" onclick")) {
		t.Error("inline script or style")
	}
	jot(t, "all as it should be")
}

func cs8(t *testing.T, w *world) {
	for name, change := range map[string]func(blackbox.Form) blackbox.Form{
		"deny": func(f blackbox.Form) blackbox.Form { return f.Set("decision", "deny") }, "no tool": func(f blackbox.Form) blackbox.Form { return f.Without("tool") },
		"no decision": func(f blackbox.Form) blackbox.Form { return f.Without("decision") }, "a word of one's own": func(f blackbox.Form) blackbox.Form { return f.Set("decision", "ALLOW") },
	} {
		t.Run(name, func(t *testing.T) {
			f, page, form, _ := w.asking(t, w.flow())
			res := w.submit(t, page, form, w.mara.Cookies(), change(blackbox.Choice{Duration: 1800}.Fill(form)))[0]
			w.redirects(t, blackbox.Landing{Response: res, URL: res.Header.Get("Location"), Left: true}, f, "access_denied")
			PAGE().check(t, w.landed(t, f.AuthorizeURL()))
		})
	}
	good(t, w.flow(), (*blackbox.Flow).ToToken)
}

// cs9: however often and fast a form is submitted, one code leaves.
func cs9(t *testing.T, w *world) {
	_, page, form, _ := w.asking(t, w.flow())
	answer := blackbox.Choice{Duration: 1800}.Fill(form)
	codes := 0
	for _, res := range settled(t, racers, w.submits(t, page, form, answer)) {
		if sane(t, res); strings.Contains(res.Header.Get("Location"), "code=") {
			codes++
		}
	}
	if codes != 1 {
		t.Errorf("%d codes of one form", codes)
	}
	jot(t, "one code")
}

// cs10: a tool that turns on its users between the page and the click is not allowed by it.
func cs10(t *testing.T, w *world) {
	f := w.flow()
	f.Resource, f.Details = w.r2.URL, w.detailsAt(w.r2.URL, "get_ticket", "search_tickets")
	_, page, form, _ := w.asking(t, f)
	server, policy := demo.NewTickets()
	tools, err := mcpauth.Tools(server)(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var changed []any
	for _, raw := range tools {
		var tool blackbox.Object
		if err := json.Unmarshal(raw, &tool); err != nil {
			t.Fatal(err)
		}
		if tool["name"] == "get_ticket" {
			tool["description"] = "Now it also mails them out."
		}
		changed = append(changed, tool)
	}
	id, key := w.guardOf(t, w.r2)
	assertion := key.JWS(blackbox.Object{"alg": "ES256", "typ": "JWT"}.JSON(), blackbox.NewAssertion(id, w.issuer).JSON())
	res, err := blackbox.Do(t.Context(), w.issuer, blackbox.Request{
		Method: "PUT", Target: "/manifest", Headers: []blackbox.Header{{Name: "Content-Type", Value: "application/json"}, authorization("Bearer", assertion)},
		Body: []byte(blackbox.Object{"policy": string(policy), "tools": changed}.JSON()),
	})
	if err != nil || res.Status != http.StatusOK {
		t.Fatalf("publish: %v %s", err, res)
	}
	got := w.submit(t, page, form, w.mara.Cookies(), blackbox.Choice{Duration: 1800}.Fill(form))[0]
	if seen(t, got); got.Status != http.StatusConflict || got.Header.Get("Location") != "" {
		t.Errorf("a page whose tool has changed: %s", got)
	}
	again, ok := blackbox.ParsePage(page.URL, got.Body).With("decision")
	if tools, _ := again.Values("tool"); !ok || len(tools) != 1 || tools[0] != "search_tickets" {
		t.Errorf("asked again for %v: %s", tools, got)
	}
	jot(t, "asked again, without the tool that changed")
}

// cs11: two windows of one person, two clients: neither takes what the other was shown.
func cs11(t *testing.T, w *world) {
	a, pageA, formA, _ := w.asking(t, w.flow())
	other := w.flow()
	other.ClientID, other.Redirect, other.Details = w.b, redirectB, w.details("get_ticket")
	b, pageB, formB, _ := w.asking(t, other)
	answers := map[*blackbox.Flow]blackbox.Response{
		b: w.submit(t, pageB, formB, w.mara.Cookies(), blackbox.Choice{Duration: 1800}.Fill(formB))[0],
		a: w.submit(t, pageA, formA, w.mara.Cookies(), blackbox.Choice{Duration: 1800}.Fill(formA))[0],
	}
	for f, res := range answers {
		u, err := url.Parse(res.Header.Get("Location"))
		if err != nil || !strings.HasPrefix(u.String(), f.Redirect+"?") || u.Query().Get("state") != f.State {
			t.Fatalf("%s", res)
		}
		f.Code = u.Query().Get("code")
		good(t, f, (*blackbox.Flow).Redeem)
	}
	if raw, _ := json.Marshal(b.Issued["authorization_details"]); strings.Contains(string(raw), "add_comment") {
		t.Errorf("B got what A was shown: %s", raw)
	}
	PAGE().check(t, w.landed(t, a.AuthorizeURL())) // the back button
}

// cs12: what the user ends on the page of the agents is dead, and what they take away from a task is gone.
func cs12(t *testing.T, w *world) {
	f, other := w.token(t), w.token(t)
	at, err := w.mara.Get(t.Context(), w.issuer+"/agents")
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range at.Page.Forms {
		if form.Filled().Get("task") != f.TaskID() {
			continue
		}
		if done, err := w.mara.Submit(t.Context(), at.Page, form, form.Filled().Set("action", "end")); err != nil || done.Status >= 400 {
			t.Fatalf("end: %v %s", err, done.Response)
		}
		break
	}
	w.dead(t, f)
	w.alive(t, other)
	w.narrows(t, other)
}

// rc3: allowed and denied at once, one of them counts; what was ended after it was allowed is dead.
func rc3(t *testing.T, w *world) {
	withdrawn := 0
	for round := range 5 {
		f, page, form, _ := w.asking(t, w.flow())
		allow := blackbox.Choice{Duration: 1800}.Fill(form)
		send, codes, denials := w.submitsAs(t, page, form, w.mara.Cookies()), 0, 0
		for _, res := range settled(t, racers, func(i int) (blackbox.Response, error) {
			if i%4 < 2 || round == 0 { // once without a no, which is the quicker
				return send(allow)
			}
			return send(allow.Set("decision", "deny"))
		}) {
			sane(t, res)
			u, _ := url.Parse(res.Header.Get("Location"))
			codes += btoi(u.Query().Has("code"))
			denials += btoi(u.Query().Get("error") == "access_denied")
			if c := u.Query().Get("code"); c != "" {
				f.Code = c
			}
		}
		if codes+denials != 1 {
			t.Fatalf("%d codes and %d denials of one page", codes, denials)
		}
		if codes == 0 {
			continue
		}
		var list struct{ Tasks []struct{ ID, Agent string } }
		if err := json.Unmarshal(w.admin(t, "/admin/api/tasks?state=pending&limit=1"), &list); err != nil || len(list.Tasks) != 1 {
			t.Fatalf("the task that was allowed: %v %v", err, list)
		}
		w.remit(t, nil, "", "task", "end", list.Tasks[0].ID)
		withdrawn++
		if res, err := w.server.Send(t.Context(), f.Key, w.server.Token, f.RedeemForm()); err != nil || res.Status != http.StatusBadRequest || res.Code() != "invalid_grant" {
			t.Errorf("after the end: %v %s", err, res)
		}
	}
	if withdrawn == 0 {
		t.Error("no answer was a yes")
	}
	jot(t, "one answer counts; no token after the end")
}
