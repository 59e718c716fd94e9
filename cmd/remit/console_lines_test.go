package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	main "github.com/remit-auth/remit/cmd/remit"
	"github.com/remit-auth/remit/cmd/remit/blackbox"
	"github.com/remit-auth/remit/cmd/remit/demo"
	"github.com/remit-auth/remit/tokens/resource"
	"github.com/remit-auth/remit/tokens/resource/mcpauth"
)

// TestConsoleLines: every command line that the console shows is one that remit takes after a shell
// has read it, whatever names the things there have (research/ux.md A9).
func TestConsoleLines(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.token(t)
	w.works(t, f)
	task := f.TaskID()
	odd := w.odd(t)
	w.remit(t, nil, "", "kill", "tool", w.r1.URL, "delete_ticket", "--for", "1h", "--reason", "it's \"odd\"")
	w.remit(t, nil, "", "kill", "client", w.b, "--for", "1h", "--reason=-x")
	w.remit(t, nil, "", "client", "disable", w.codeOnly)
	w.remit(t, nil, "", "resource", "disable", w.r2.URL)
	admin := w.atConsole(t)
	pages := []string{
		"/admin?" + url.Values{"client": {`--x'; touch "$HOME"`}, "user": {w.mara.Email}, "state": {"any"}}.Encode(),
		"/admin?" + url.Values{"tool": {oddTool}, "key": {"unbound"}}.Encode(), "/admin?key=bound&tool=-j&state=suspended",
		"/admin/ledger?" + url.Values{"kind": {"-j"}, "task": {task}, "user": {w.mara.Email}, "resource": {odd}}.Encode(),
		"/admin?user=-j&resource=-j&state=pending", "/admin/end?task=" + task, "/admin/block?task=" + task, "/admin/reconsent?task=" + task,
		"/admin/access?" + url.Values{"resource": {odd}, "tool": {oddTool}, "user": {"--user"}, "client": {"-c"}, "arguments": {`{"a":"'\n-"}`}}.Encode(),
		"/admin/kill/review?level=everything", "/admin/kill/review?level=domain&subject=agent.example&seconds=3600", "/admin/kill/review?level=task&subject=" + task,
		"/admin/kill/review?" + url.Values{"level": {"tool"}, "subject": {odd}, "tool": {oddTool}, "seconds": {"60"}}.Encode(),
	}
	for _, subject := range []url.Values{{"user": {w.mara.Email}}, {"client": {w.a}}, {"resource": {w.r1.URL}}} {
		pages = append(pages, "/admin/disable?"+subject.Encode())
		for level, of := range subject {
			pages = append(pages, "/admin/kill/review?"+url.Values{"level": {level}, "subject": of}.Encode())
		}
	}
	lines := w.walkConsole(t, admin, append([]string{"/admin"}, pages...))
	seen := map[string]bool{}
	for line, page := range lines {
		words := shellReads(t, line)
		if err := main.ParseLine(words); err != nil {
			t.Errorf("%s shows %q: %v", page, line, err)
		}
		seen[strings.Join(words[:min(2, len(words))], " ")] = true
	}
	for _, verb := range []string{
		"task list", "task export", "task show", "task end", "task reconsent", "finding list", "task suspend", "audit tail", "audit verify", "audit export", "user list", "user show", "user role", "user disable", "client list", "client disable", "client enable",
		"resource list", "resource show", "resource approve", "resource access", "resource simulate", "resource disable", "resource enable", "key list", "key rotate", "key kill",
		"kill list", "kill show", "kill lift", "kill task", "kill client", "kill domain", "kill user", "kill tool", "kill resource", "kill everything",
	} {
		if !seen[verb] {
			t.Errorf("no page shows remit %s", verb)
		}
	}
}

// oddTool is a name that a tool may have, and a flag has.
const oddTool = "--reason"

// odd is an MCP server with a tool of that name that waits to be approved beside one that is.
func (w *world) odd(t *testing.T) (uri string) {
	t.Helper()
	uri = "http://" + freeAddress(t) + "/odd"
	server, policy := demo.NewTickets()
	tools, err := mcpauth.Tools(server)(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	file, err := json.Marshal(map[string]any{"uri": uri, "name": "Odd", "policy": string(policy), "tools": tools[:1]})
	if err != nil {
		t.Fatal(err)
	}
	var out struct {
		Code string `json:"enrolment_code"`
	}
	w.remit(t, &out, string(file), "resource", "add", "-")
	guard, err := resource.New(t.Context(), resource.Config{
		Issuer: w.issuer, Resource: uri, StateDir: filepath.Join(shortDir(t), "guard"), EnrolmentCode: out.Code, Policy: policy,
		Name: "Odd", InsecureHTTP: true, Tools: func(context.Context) ([]json.RawMessage, error) {
			return []json.RawMessage{tools[0], json.RawMessage(`{"name": "` + oddTool + `", "inputSchema": {"type": "object"}}`)}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { guard.Close() })
	eventually(t, 20*time.Second, "the odd tool waits", func() bool { return w.drift(t, uri, oddTool).Live != "" })
	return uri
}

// atConsole is an admin who is signed in there.
func (w *world) atConsole(t *testing.T) *blackbox.Browser {
	t.Helper()
	b := &blackbox.Browser{Email: "ada@acme.example", Password: blackbox.Random(12)}
	w.remit(t, nil, b.Password+"\n", "user", "add", "--email", b.Email, "--name", "Ada", "--console-role", "admin", "--password-stdin")
	at, err := b.Get(t.Context(), w.issuer+"/admin")
	if err != nil {
		t.Fatal(err)
	}
	form, ok := at.Page.With("password")
	if !ok {
		t.Fatalf("no form to sign in: %s", at.Response)
	}
	at, err = b.Submit(t.Context(), at.Page, form, form.Filled().Set("email", b.Email).Set("password", b.Password))
	if err != nil || at.Status != http.StatusOK {
		t.Fatalf("Ada signs in: %v %s", err, at.Response)
	}
	return b
}

// walkConsole opens these pages and all of the console that they lead to, and returns the command
// lines there, each with a page that shows it.
func (w *world) walkConsole(t *testing.T, b *blackbox.Browser, pages []string) map[string]string {
	t.Helper()
	lines, met := map[string]string{}, map[string]bool{}
	for len(pages) > 0 {
		page := pages[0]
		if pages = pages[1:]; met[page] {
			continue
		}
		met[page] = true
		at, err := b.Get(t.Context(), w.issuer+page)
		if err != nil || at.Status != http.StatusOK {
			t.Errorf("%s: %v %s", page, err, at.Response)
			continue
		}
		root, err := html.Parse(bytes.NewReader(at.Body))
		if err != nil {
			t.Fatal(err)
		}
		for n := range root.Descendants() {
			switch {
			case n.Data == "a":
				i := slices.IndexFunc(n.Attr, func(a html.Attribute) bool { return a.Key == "href" })
				if i >= 0 && strings.HasPrefix(n.Attr[i].Val, "/admin") && !strings.HasPrefix(n.Attr[i].Val, "/admin/openapi") && !strings.HasPrefix(n.Attr[i].Val, "/admin/export/") {
					pages = append(pages, n.Attr[i].Val)
				}
			case n.Data == "pre":
				lines[textOf(n)] = page
			}
		}
	}
	return lines
}

func textOf(n *html.Node) (text string) {
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			text += d.Data
		}
	}
	return text
}

// shellReads is what remit would be given if a person put the line into a shell.
func shellReads(t *testing.T, line string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "sh", "-c", "set -eu\nremit() { printf '%s\\0' \"$@\"; }\n"+line).Output()
	if err != nil {
		t.Fatalf("a shell cannot read %q: %v", line, err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}
