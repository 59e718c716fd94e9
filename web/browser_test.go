//go:build browser

package web

// Tests that need a browser: make test and make screenshots run them in Debian's Chromium.

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/a-h/templ"
	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

var screenshots = flag.String("screenshots", "", "write the pages' pictures to this folder")

const csp = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// tab drives one browser tab.
type tab struct {
	*testing.T
	ctx context.Context
}

// browse starts a browser of its own with an empty profile.
func browse(t *testing.T) tab {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(
		ctx, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true), chromedp.Flag("hide-scrollbars", true),
	)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	return tab{t, ctx}
}

func (b tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.Fatal(err)
	}
}

// read evaluates a JavaScript expression from outside the page.
func (b tab) read(expression string) string {
	b.Helper()
	s, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](expression))
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func (b tab) size(width int64, scale float64) {
	b.Helper()
	p := emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 480, DeviceScaleFactor: scale}
	if _, err := chromedp.Call(b.ctx, emulation.SetDeviceMetricsOverride, p); err != nil {
		b.Fatal(err)
	}
}

func (b tab) media(features ...*emulation.MediaFeature) {
	b.Helper()
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features}); err != nil {
		b.Fatal(err)
	}
}

func theme(name string) *emulation.MediaFeature {
	return &emulation.MediaFeature{Name: "prefers-color-scheme", Value: name}
}

// still lets a page change its colours at once.
var still = &emulation.MediaFeature{Name: "prefers-reduced-motion", Value: "reduce"}

// scripted reports whether a page links the script.
func scripted(page string) bool {
	return strings.HasPrefix(page, "agents") || strings.HasPrefix(page, "calls") || strings.HasPrefix(page, "approval") || page == "account" || page == "account-stale" || page == "signin-ways" ||
		strings.HasPrefix(page, "consent") || strings.HasPrefix(page, "stepup")
}

// serve serves each page under its name, and POSTs as the decision they carry.
func serve(t *testing.T, pages map[string]templ.Component) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("GET /static/", Static())
	mux.HandleFunc("GET /agents/live", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	for name, page := range pages {
		policy := csp
		if scripted(name) {
			policy += "; script-src 'self'; connect-src 'self'"
		}
		mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Security-Policy", policy)
			templ.Handler(page).ServeHTTP(w, r.WithContext(WithLanguage(r.Context(), r.URL.Query().Get("in"))))
		})
	}
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		r.PostForm.Del(FieldCSRF)
		fmt.Fprintf(w, `<p id="posted">%s</p>`, templ.EscapeString(r.PostForm.Encode()))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func TestBrowserScreenshots(t *testing.T) {
	folder := *screenshots
	if folder == "" {
		folder = t.TempDir() // made to see that they can be, and thrown away
	}
	url, b := serve(t, samples(asIs)), browse(t)
	for _, name := range []string{"signin", "signin-ways", "consent", "continue", "narrow", "stepup", "approval", "approval-again", "message", "agents", "agents-remembers", "agents-waiting", "calls", "account", "account-codes", "console", "console-task", "console-ledger", "console-findings", "console-user", "console-block", "console-reconsent"} {
		wide := int64(800)
		switch {
		case name == "agents" || name == "calls":
			wide = 1100
		case strings.HasPrefix(name, "console"):
			wide = 1280
		}
		for variant, v := range map[string]struct {
			theme string
			width int64
		}{"light": {"light", wide}, "dark": {"dark", wide}, "mobile": {"light", 320}} {
			b.media(theme(v.theme), still)
			b.size(v.width, 2)
			b.do(chromedp.Navigate(url + "/" + name))
			if name == "agents" || name == "calls" {
				b.do(chromedp.WaitVisible(chromedp.CSS("#updates")))
			}
			png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(folder, name+"-"+variant+".png"), png, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestBrowserLayout holds what WCAG 2.2 asks and a machine can measure, on the pages as they are drawn.
func TestBrowserLayout(t *testing.T) {
	long := func(s string) string {
		return s + strings.Repeat("W", 120) + " " + strings.Repeat("é\u0300\u0301\u0302\u0303\u0304", 40)
	}
	b := browse(t)
	for kind, mutate := range map[string]func(string) string{"plain": asIs, "long": long} {
		pages := samples(mutate)
		url := serve(t, pages)
		for name := range pages {
			b.do(chromedp.Navigate(url + "/" + name))
			for _, width := range []int64{1280, 640, 400, 320} {
				b.size(width, 1)
				where := fmt.Sprintf("%s (%s text) at %d px", name, kind, width)
				fits(t, b, where, kind == "plain")
				if width == 320 { // German words are longer, and English has been seen at every width
					b.do(chromedp.Navigate(url + "/" + name + "?in=" + German))
					fits(t, b, where+" in German", kind == "plain")
				}
				if radius := b.read(`getComputedStyle(document.querySelector(".card")).borderRadius`); radius != "12px" {
					t.Errorf("%s: the style sheet did not load under the policy", where)
				}
			}
		}
	}
}

// fits holds a page to its window. Where its words are ours, no button breaks one.
func fits(t *testing.T, b tab, where string, ours bool) {
	t.Helper()
	if by := b.read(`String(document.documentElement.scrollWidth - document.documentElement.clientWidth)`); by != "0" {
		t.Errorf("%s scrolls sideways by %s px (WCAG 1.4.10)", where, by)
	}
	if small := b.read(smallTargets); small != "" {
		t.Errorf("%s: targets below 24 px (WCAG 2.5.8): %s", where, small)
	}
	if broken := b.read(brokenWords); ours && broken != "" {
		t.Errorf("%s: broken words on buttons: %s", where, broken)
	}
}

// brokenWords are words on buttons of which a part stands on another line.
const brokenWords = `(() => {
	const broken = [];
	for (const button of document.querySelectorAll(".btn")) {
		if (!button.checkVisibility()) continue;
		const texts = document.createTreeWalker(button, NodeFilter.SHOW_TEXT);
		for (let text; text = texts.nextNode();) {
			if (text.parentElement.closest(".unseen")) continue;
			for (const word of text.data.matchAll(/[^\s-]+/g)) {
				const range = document.createRange();
				range.setStart(text, word.index);
				range.setEnd(text, word.index + word[0].length);
				if (new Set([...range.getClientRects()].map(r => Math.round(r.top))).size > 1) broken.push(word[0]);
			}
		}
	}
	return broken.join(" ");
})()`

func TestBrowserContrast(t *testing.T) {
	pages := samples(asIs)
	url, b := serve(t, pages), browse(t)
	for page := range pages {
		b.do(chromedp.Navigate(url + "/" + page))
		for _, name := range []string{"light", "dark"} {
			b.media(theme(name), still)
			if low := b.read(lowContrast); low != "" {
				t.Errorf("%s, %s: contrast below 4.5 (WCAG 1.4.3): %s", page, name, low)
			}
		}
	}
}

// smallTargets lists what can be clicked and is smaller than 24 px; links inside a sentence are exempt.
const smallTargets = `[...document.querySelectorAll("button, input:not([type=hidden]), select, summary, a:not(p a, .skip)")]
	.filter(e => e.checkVisibility()).map(e => [e, e.getBoundingClientRect()]).filter(([e, r]) => r.width < 24 || r.height < 24)
	.map(([e, r]) => e.outerHTML.slice(0, 80) + " " + r.width + "x" + r.height).join("\n")`

// lowContrast lists texts whose colour is too near to the nearest opaque ground beneath them.
const lowContrast = `(() => {
	const rgb = s => s.match(/[\d.]+/g).map(Number)
	const light = ([r, g, b]) => [r, g, b].map(v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
		.reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0)
	const ground = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c } return [255, 255, 255] }
	const low = []
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
	for (let n; n = walk.nextNode();) {
		if (!n.data.trim() || !n.parentElement.offsetParent || n.parentElement.closest(":disabled")) continue
		const [a, b] = [light(rgb(getComputedStyle(n.parentElement).color)), light(ground(n.parentElement))].sort((x, y) => y - x)
		if ((a + .05) / (b + .05) < 4.5) low.push(n.data.trim().slice(0, 40) + " " + ((a + .05) / (b + .05)).toFixed(2))
	}
	return low.join("\n")
})()`

// emptyLimits are fields for a tool's arguments that nobody filled in.
var emptyLimits = regexp.MustCompile(`limit\.[^=&]+=&`)

// TestBrowserDecision presses keys and buttons as a person does (research/ux.md C12, C17).
func TestBrowserDecision(t *testing.T) {
	const denied = "decision=deny&duration=1800&limit.search_tickets.project.only=WEB&request=req_1&tool=search_tickets&tool=get_ticket&tool=add_comment"
	type steps = []chromedp.Action[chromedp.Void]
	allow, search := chromedp.CSS("[value=allow]"), chromedp.CSS("#tool-0-0")
	tests := map[string]struct {
		do   steps
		want string
	}{
		"Enter in a checkbox denies": {steps{chromedp.Focus(search), chromedp.KeyEvent(kb.Enter)}, denied},
		"Enter in a radio denies":    {steps{chromedp.Focus(chromedp.CSS(".dur-1")), chromedp.KeyEvent(kb.Enter)}, denied},
		"deny comes before allow":    {steps{chromedp.Focus(chromedp.CSS("[name=remember]")), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Enter)}, denied},
		"allow takes a press":        {steps{chromedp.Click(allow)}, strings.Replace(denied, "deny", "allow", 1)},
		"an unticked tool is not sent": {
			steps{chromedp.Click(search), chromedp.Click(chromedp.CSS(".dur-0")), chromedp.Click(allow)},
			"decision=allow&duration=900&limit.search_tickets.project.only=WEB&request=req_1&tool=get_ticket&tool=add_comment",
		},
	}
	url, b := serve(t, samples(asIs)), browse(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b.do(chromedp.Navigate(url + "/consent"))
			b.do(tt.do...)
			b.do(chromedp.WaitReady(chromedp.CSS("#posted")))
			posted := b.read(`document.querySelector("#posted").textContent`)
			if got := emptyLimits.ReplaceAllString(posted, ""); got != tt.want {
				t.Errorf("posted %q, want %q", posted, tt.want)
			}
		})
	}
}

// TestBrowserAllowButtonSays reads the name that a screen reader hears for the allow button; it follows
// the ticks without a script on the page.
func TestBrowserAllowButtonSays(t *testing.T) {
	url, b := serve(t, samples(asIs)), browse(t)
	b.do(chromedp.Navigate(url + "/consent"))
	says := func(want string) {
		t.Helper()
		if got := b.allowName(); got != want {
			t.Errorf("allow says %q, want %q", got, want)
		}
	}
	says("Allow 3 of 5 tools for 30 min")
	b.do(chromedp.Click(chromedp.CSS("#tool-0-0")), chromedp.Click(chromedp.CSS(".dur-2")))
	says("Allow 2 of 5 tools for 2 h")
	b.do(chromedp.Click(chromedp.CSS("#tool-0-1")), chromedp.Click(chromedp.CSS("#tool-1-0")))
	says("Allow nothing – cancel")
	sizes := b.read(`[...document.querySelectorAll(".decision button")].map(b => b.getBoundingClientRect()).map(r => r.width + "x" + r.height).join(" ")`)
	if deny, allow, _ := strings.Cut(sizes, " "); deny != allow {
		t.Errorf("deny is %s px, allow is %s", deny, allow)
	}
}

// allowName is the computed accessible name of the allow button.
func (b tab) allowName() string {
	b.Helper()
	tree, err := chromedp.Call(b.ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range tree.Nodes {
		if n.Role == nil || n.Name == nil || string(n.Role.Value) != `"button"` {
			continue
		}
		var name string
		if err := json.Unmarshal(n.Name.Value, &name); err != nil {
			b.Fatal(err)
		}
		if strings.HasPrefix(name, "Allow") {
			return strings.Join(strings.Fields(name), " ")
		}
	}
	b.Fatal("the page has no allow button")
	return ""
}
