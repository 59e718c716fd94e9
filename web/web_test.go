package web

import (
	"compress/gzip"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/a-h/templ"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"
)

var update = flag.Bool("update", false, "write the golden files")

// hostile turns a text into one that tries to break out of wherever it is put.
func hostile(s string) string {
	return s + `"'><script>alert(1)</script><img src=x onerror=alert(1)>--><style>*{}</style></title>` +
		"{{7*7}} javascript:alert(1) &lt;b&gt; \x00\r\n\u202e\u2066\u200b\U000e0041\u2028" + "\xff"
}

func render(t *testing.T, page templ.Component) string {
	t.Helper()
	var b strings.Builder
	if err := page.Render(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestGolden holds each page, filled with hostile text, to its file in testdata.
func TestGolden(t *testing.T) {
	for name, page := range samples(hostile) {
		t.Run(name, func(t *testing.T) {
			got := render(t, page)
			got = regexp.MustCompile(`/static/(\w+)-[\w-]+`).ReplaceAllString(got, "/static/$1-HASH")
			got = strings.ReplaceAll(got, "><", ">\n<")
			golden := filepath.Join("testdata", name+".html")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("page differs from %s (go test ./web -update writes it):\n%s", golden, diff)
			}
		})
	}
}

// TestHostileTextChangesNoElement renders each page twice, with plain and with hostile text: the
// trees of elements and attribute names must be the same.
func TestHostileTextChangesNoElement(t *testing.T) {
	plainPages, hostilePages := samples(asIs), samples(hostile)
	for name := range plainPages {
		t.Run(name, func(t *testing.T) {
			want, got := tree(t, render(t, plainPages[name])), tree(t, render(t, hostilePages[name]))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("hostile text changed the tree:\n%s", diff)
			}
		})
	}
}

// tree lists the elements of a page with their depth and attribute names, and with the values of
// the attributes that decide how a browser acts.
func tree(t *testing.T, page string) []string {
	t.Helper()
	var lines []string
	var walk func(n *html.Node, depth int)
	walk = func(n *html.Node, depth int) {
		if n.Type == html.CommentNode {
			lines = append(lines, "comment")
		}
		if n.Type == html.ElementNode {
			line := strings.Repeat(" ", depth) + n.Data
			for _, a := range n.Attr {
				line += " " + a.Key
				if slices.Contains([]string{"id", "class", "for", "type", "name", "href", "action", "formaction", "method", "src", "role"}, a.Key) {
					line += "=" + a.Val
				}
			}
			lines = append(lines, line)
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c, depth+1)
		}
	}
	walk(parse(t, page), 0)
	return lines
}

func parse(t *testing.T, page string) *html.Node {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// TestPolicyHolds: nothing on a page needs more than the strict Content-Security-Policy, and what
// a machine can check of accessibility without drawing the page is in order.
func TestPolicyHolds(t *testing.T) {
	for name, page := range samples(hostile) {
		t.Run(name, func(t *testing.T) {
			p := pageFacts{ids: map[string]bool{}, labelled: map[string]bool{}}
			p.collect(parse(t, render(t, page)), false)
			for _, problem := range append(p.problems, p.unresolved()...) {
				t.Error(problem)
			}
			if p.h1 != 1 {
				t.Errorf("page has %d h1, want 1", p.h1)
			}
			if p.lang != "en" {
				t.Errorf("lang = %q, want en", p.lang)
			}
			if p.gets && !strings.HasPrefix(name, "console") {
				t.Error("a form with method get")
			}
			if p.csrf != p.posts {
				t.Errorf("%d of %d forms carry the CSRF value", p.csrf, p.posts)
			}
		})
	}
}

// pageFacts is what one walk over a page finds.
type pageFacts struct {
	problems        []string
	ids, labelled   map[string]bool // ids that exist, ids that a label names
	refs, inputs    []string        // ids that attributes point to, ids of unwrapped inputs
	lang            string
	h1, posts, csrf int
	gets            bool
}

func (p *pageFacts) collect(n *html.Node, inLabel bool) {
	if n.Type == html.ElementNode {
		p.element(n, inLabel)
		inLabel = inLabel || n.Data == "label"
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		p.collect(c, inLabel)
	}
}

func (p *pageFacts) element(n *html.Node, inLabel bool) {
	attr := map[string]string{}
	for _, a := range n.Attr {
		attr[a.Key] = a.Val
		switch {
		case a.Key == "style" || strings.HasPrefix(a.Key, "on"):
			p.problem("inline " + a.Key + " on " + n.Data)
		case a.Key == "href" || a.Key == "src" || a.Key == "action" || a.Key == "formaction":
			if !strings.HasPrefix(a.Val, "/") && !strings.HasPrefix(a.Val, "#") {
				p.problem(n.Data + " points to " + a.Val)
			}
		case a.Key == "id" && p.ids[a.Val]:
			p.problem("id twice: " + a.Val)
		case a.Key == "aria-describedby" || a.Key == "aria-labelledby":
			p.refs = append(p.refs, a.Val)
		}
	}
	if id := attr["id"]; id != "" {
		p.ids[id] = true
	}
	switch n.Data {
	case "script":
		ours := slices.ContainsFunc([]string{"agents.js", "passkey.js", "push.js", "consent.js"}, func(name string) bool { return attr["src"] == StaticPath(name) })
		if !ours || n.FirstChild != nil {
			p.problem("a script that is not one of the files")
		}
	case "img":
		if !strings.HasPrefix(attr["src"], "/") || attr["alt"] == "" {
			p.problem("an image from elsewhere, or without words")
		}
	case "style", "iframe", "object", "embed", "base":
		p.problem("forbidden element " + n.Data)
	case "html":
		p.lang = attr["lang"]
	case "h1":
		p.h1++
	case "form":
		switch attr["method"] {
		case "post":
			p.posts++
		case "get": // a filter, or a page to look at before anything is done
			p.gets = true
		default:
			p.problem("form without method")
		}
	case "select", "textarea":
		p.inputs = append(p.inputs, attr["id"])
	case "label":
		p.labelled[attr["for"]] = true
	case "input":
		if attr["name"] == FieldCSRF {
			p.csrf++
		}
		if _, unseen := attr["hidden"]; attr["type"] != "hidden" && !unseen && !inLabel {
			p.inputs = append(p.inputs, attr["id"])
		}
	case "fieldset":
		if first := firstElement(n); first == nil || first.Data != "legend" {
			p.problem("fieldset without legend")
		}
	case "button":
		if attr["type"] != "submit" && attr["type"] != "button" {
			p.problem("button without type")
		}
	}
}

func (p *pageFacts) problem(s string) { p.problems = append(p.problems, s) }

func (p *pageFacts) unresolved() []string {
	var problems []string
	for _, id := range p.inputs {
		if !p.labelled[id] || !p.ids[id] {
			problems = append(problems, "input without label: "+id)
		}
	}
	for _, id := range p.refs {
		if !p.ids[id] {
			problems = append(problems, "reference to nothing: "+id)
		}
	}
	return problems
}

func firstElement(n *html.Node) *html.Node {
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.Type == html.ElementNode {
			return c
		}
	}
	return nil
}

// TestConsentForm holds what handlers and scripts rely on (DESIGN §5), and that the form's default
// button, the first one, is deny (research/ux.md C17).
func TestConsentForm(t *testing.T) {
	var got []string
	var walk func(n *html.Node, in bool)
	walk = func(n *html.Node, in bool) {
		attr := map[string]string{}
		for _, a := range n.Attr {
			attr[a.Key] = a.Val
		}
		in = in || n.Data == "form" && attr["class"] == "consent"
		if _, checked := attr["checked"]; in && (n.Data == "button" || n.Data == "input") {
			line := attr["type"] + " " + attr["name"] + "=" + attr["value"]
			if checked {
				line += " checked"
			}
			if _, disabled := attr["disabled"]; disabled {
				line += " disabled"
			}
			got = append(got, line)
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c, in)
		}
	}
	walk(parse(t, render(t, ConsentPage(sampleConsent(asIs)))), false)
	want := []string{
		"hidden csrf=csrf-token", "hidden request=req_1",
		"radio duration=900", "radio duration=1800 checked", "radio duration=7200", "radio duration=28800 disabled",
		"checkbox tool=search_tickets checked", "checkbox tool=get_ticket checked", "checkbox tool=add_comment checked",
		"checkbox tool=email_customer", "checkbox tool=delete_ticket", "checkbox remember=1",
		"submit decision=deny", "submit decision=allow", "submit decision=more",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("consent form:\n%s", diff)
	}
}

// TestToneAndIcon: a view can name no class and no mark but ours.
func TestToneAndIcon(t *testing.T) {
	got := render(t, chip(Chip{Text: "x", Tone: `bad" onclick="x`, Icon: "<script>"}))
	if want := `<span class="chip info"><bdi>x</bdi></span>`; got != want {
		t.Errorf("chip = %s, want %s", got, want)
	}
}

func TestLinksThatRunScriptsAreRefused(t *testing.T) {
	for name, href := range map[string]string{
		"javascript": "javascript:alert", "data": "data:text/html,x", "case": "JaVaScRiPt:x", "vbscript": "vbscript:x",
	} {
		t.Run(name, func(t *testing.T) {
			for page, c := range map[string]templ.Component{
				"message": MessagePage(Message{Links: []Link{{"go", href}}}),
				"consent": ConsentPage(Consent{Action: href, AgentsURL: href}),
				"signin":  SignInPage(SignIn{Action: href}),
			} {
				if strings.Contains(render(t, c), href) {
					t.Errorf("%s page links to %q", page, href)
				}
			}
		})
	}
}

func TestStatic(t *testing.T) {
	tests := map[string]struct {
		method, path string
		status       int
	}{
		"style sheet":      {"GET", StaticPath("remit.css"), 200},
		"its headers":      {"HEAD", StaticPath("remit.css"), 200},
		"below a base":     {"GET", "/auth" + StaticPath("remit.css"), 200},
		"mark":             {"GET", StaticPath("remit.svg"), 200},
		"script":           {"GET", StaticPath("agents.js"), 200},
		"without its hash": {"GET", "/static/remit.css", 404},
		"folder":           {"GET", "/static/", 404},
		"outside":          {"GET", "/static/../web.go", 404},
		"written":          {"POST", StaticPath("remit.css"), 405},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			r := httptest.NewRequest(tt.method, "/", nil)
			r.URL.Path = tt.path
			Static().ServeHTTP(w, r)
			if w.Code != tt.status {
				t.Errorf("status = %d, want %d", w.Code, tt.status)
			}
			cached := w.Header().Get("Cache-Control") == "public, max-age=31536000, immutable"
			if cached != (tt.status == http.StatusOK) {
				t.Errorf("Cache-Control = %q with status %d", w.Header().Get("Cache-Control"), tt.status)
			}
		})
	}
	if got := StaticPath("../go.mod"); got != "" {
		t.Errorf("StaticPath of a file that is not embedded = %q", got)
	}
}

// TestTransferredSize: a page with all that it loads stays small, in each language, uncompressed.
func TestTransferredSize(t *testing.T) {
	const most = 50 << 10
	for name, page := range samples(asIs) {
		for language := range catalogues {
			var b strings.Builder
			if err := page.Render(WithLanguage(t.Context(), language), &b); err != nil {
				t.Fatal(err)
			}
			size := b.Len()
			for _, a := range assets {
				if strings.Contains(b.String(), a.url) {
					size += len(a.body)
				}
			}
			if size > most {
				t.Errorf("%s in %s: %d bytes, more than %d", name, language, size, most)
			}
		}
	}
}

func TestStaticFilesArePacked(t *testing.T) {
	path := StaticPath("remit.css")
	for accepted, packed := range map[string]bool{
		"": false, "br": false, "gzip": true, "deflate, GZIP;q=0.5": true, "gzip;q=0": false, "br, gzip; q=0.000": false, "gzip;q=1.0": true, "notgzip": false,
	} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("Accept-Encoding", accepted)
		got := httptest.NewRecorder()
		Static().ServeHTTP(got, r)
		if is := got.Header().Get("Content-Encoding") == "gzip"; is != packed || got.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: %v", accepted, got.Header())
		}
		var body io.Reader = got.Body
		if packed {
			var err error
			if body, err = gzip.NewReader(body); err != nil {
				t.Fatalf("%q: %v", accepted, err)
			}
		}
		if text, err := io.ReadAll(body); err != nil || string(text) != string(assets["remit.css"].body) {
			t.Errorf("%q: %d bytes, %v", accepted, len(text), err)
		}
	}
}
