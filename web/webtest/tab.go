//go:build browser

package webtest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// patience is how long a tab waits for what must come.
const patience = 30 * time.Second

// Browser is a Chromium process that reaches this computer alone.
type Browser struct{ ctx context.Context }

// Start starts a browser with an empty profile. Of the hosts of the world it finds only those in
// sites, a map of "host:port" to where that is served here, with any certificate.
func Start(t *testing.T, sites map[string]string) Browser {
	t.Helper()
	var rules []string
	for host, at := range sites {
		rules = append(rules, "MAP "+host+" "+at)
	}
	rules = append(rules, "MAP * ~NOTFOUND", "EXCLUDE 127.0.0.1")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(
		ctx, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.IgnoreCertErrors, chromedp.Flag("host-resolver-rules", strings.Join(rules, ",")),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true), chromedp.Flag("hide-scrollbars", true),
	)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	return Browser{ctx}
}

// Person opens the first tab of a browser of somebody's own: no cookie of others is in it.
func (b Browser) Person(t *testing.T, as Look) *Tab {
	t.Helper()
	return open(t, b.ctx, as, chromedp.WithNewBrowserContext())
}

// Look is how somebody looks at pages.
type Look struct{ Dark, Narrow, NoScript bool }

// Looks are enough to see each pair of a look's properties once.
var Looks = []Look{{}, {Dark: true, Narrow: true}, {Dark: true, NoScript: true}, {Narrow: true, NoScript: true}}

// String names a subtest.
func (l Look) String() string {
	name := "light"
	if l.Dark {
		name = "dark"
	}
	if l.Narrow {
		name += " 320 px"
	}
	if l.NoScript {
		name += " without scripts"
	}
	return name
}

// Tab is one tab of a browser. It fails its test at the end when a page complained, as it would
// about what its policy does not allow, unless Complaints has taken notice before.
type Tab struct {
	T    testing.TB
	Look Look
	ctx  context.Context

	mu         sync.Mutex
	complaints []string
}

func open(t testing.TB, parent context.Context, as Look, opts ...chromedp.ContextOption) *Tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(parent, opts...)
	tab := &Tab{T: t, Look: as, ctx: ctx}
	var listening sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		listening.Wait()
		for _, c := range tab.complaints {
			t.Error("the page complains: " + c)
		}
	})
	messages := chromedp.Console(ctx)
	listening.Go(func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			tab.heard(m)
		}
	})
	tab.Wear(as)
	return tab
}

// heard keeps a complaint. That a page is a refusal, by its status, is none.
func (t *Tab) heard(m chromedp.ConsoleMessage) {
	if m.Source == "network" && strings.Contains(m.Text, "server responded with a status of 4") && !strings.Contains(m.URL, "/static/") {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.complaints = append(t.complaints, strings.TrimSpace(fmt.Sprintf("%s %s %s", m.Type, m.Text, m.URL)))
}

// Complaints hands over what the pages complained about, once at least one text of it holds each of these.
func (t *Tab) Complaints(about ...string) {
	t.T.Helper()
	all := func() string {
		t.mu.Lock()
		defer t.mu.Unlock()
		return strings.Join(t.complaints, "\n")
	}
	t.Until(fmt.Sprintf("complaints about %q", about), func() bool {
		for _, a := range about {
			if !strings.Contains(all(), a) {
				return false
			}
		}
		return true
	})
	t.mu.Lock()
	defer t.mu.Unlock()
	t.complaints = nil
}

// Until asks until the condition holds.
func (t *Tab) Until(what string, holds func() bool) {
	t.T.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			t.T.Fatalf("not within %s: %s; the tab shows %s", patience, what, t.Text())
		}
	}
}

// Another opens one more tab of the same person's browser.
func (t *Tab) Another() *Tab {
	t.T.Helper()
	return open(t.T, t.ctx, t.Look)
}

// Wear makes the tab look at pages so.
func (t *Tab) Wear(l Look) {
	t.T.Helper()
	theme, width := "light", int64(1100)
	if l.Dark {
		theme = "dark"
	}
	if l.Narrow {
		width = 320
	}
	t.Look = l
	command(t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
	command(t, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 700, DeviceScaleFactor: 1})
	command(t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: l.NoScript})
}

// command sends one command of the DevTools protocol.
func command[P, R any](t *Tab, c cdp.Command[P, R], params P) R {
	t.T.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	r, err := chromedp.Call(ctx, c, params)
	t.must(err)
	return r
}

func (t *Tab) must(err error) {
	t.T.Helper()
	if err != nil {
		t.T.Fatal(err)
	}
}

// Do takes the steps, each of which waits for what it needs.
func (t *Tab) Do(steps ...chromedp.Action[chromedp.Void]) {
	t.T.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.T.Fatalf("%v; the tab shows %s", err, t.Text())
	}
}

// Before runs a script in every page to come, before the page's own.
func (t *Tab) Before(script string) {
	t.T.Helper()
	command(t, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
}

// Open opens an address and returns the answer.
func (t *Tab) Open(address string) *network.Response {
	t.T.Helper()
	return t.Answer(chromedp.Navigate(address))
}

// Go opens an address whose page may leave it again by itself.
func (t *Tab) Go(address string) {
	t.T.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	_, err := chromedp.Call(ctx, page.Navigate, page.NavigateParams{URL: address})
	t.must(err)
}

// Answer takes the steps and returns the answer to the navigation that they cause.
func (t *Tab) Answer(steps ...chromedp.Action[chromedp.Void]) *network.Response {
	t.T.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	res, err := chromedp.RunResponse(ctx, steps...)
	if err != nil || res == nil {
		t.T.Fatalf("%v; the tab shows %s", err, t.Text())
	}
	return res
}

// Click presses what the selector finds.
func (t *Tab) Click(selector string) {
	t.T.Helper()
	t.Do(chromedp.Click(chromedp.CSS(selector)))
}

// Press presses a button and returns the answer that it leads to.
func (t *Tab) Press(selector string) *network.Response {
	t.T.Helper()
	return t.Answer(chromedp.Click(chromedp.CSS(selector)))
}

// Type types a text into a field, in the place of what is there.
func (t *Tab) Type(selector, text string) {
	t.T.Helper()
	t.Do(chromedp.Focus(chromedp.CSS(selector)))
	t.Read(`document.activeElement.select(), ""`)
	t.Do(chromedp.KeyEvent(text))
}

// Read evaluates a JavaScript expression from outside the page.
func (t *Tab) Read(expression string) string {
	t.T.Helper()
	return t.evaluate(expression)
}

// Awaits evaluates an expression that promises a text.
func (t *Tab) Awaits(expression string) string {
	t.T.Helper()
	return t.evaluate(expression, chromedp.EvalAwaitPromise)
}

func (t *Tab) evaluate(expression string, opts ...chromedp.EvaluateOption) string {
	t.T.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	s, err := chromedp.Run(ctx, chromedp.Evaluate[string](expression, opts...))
	t.must(err)
	return s
}

// Address is where the tab is.
func (t *Tab) Address() string { return t.Read(`location.href`) }

// Text is all that the page shows.
func (t *Tab) Text() string {
	return t.glance(`location.origin + location.pathname + ": " + (document.body ? document.body.innerText : "")`)
}

// glance evaluates an expression on a page that may be about to go away; then it is the error.
func (t *Tab) glance(expression string) string {
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	s, err := chromedp.Run(ctx, chromedp.EvaluateAsDevTools[string](expression))
	if err != nil {
		return err.Error()
	}
	return s
}

// Waits waits until the page, by itself, shows the texts, and has loaded.
func (t *Tab) Waits(texts ...string) {
	t.T.Helper()
	t.Until(fmt.Sprintf("%q", texts), func() bool {
		page := t.Text()
		for _, text := range texts {
			if !strings.Contains(page, text) {
				return false
			}
		}
		return t.glance("document.readyState") == "complete"
	})
}

// Shows checks that the page shows the texts.
func (t *Tab) Shows(texts ...string) {
	t.T.Helper()
	page := t.Text()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			t.T.Errorf("%q is not shown in: %s", text, page)
		}
	}
}

// Values lists an attribute or property of all elements that the selector finds.
func (t *Tab) Values(selector, property string) []string {
	t.T.Helper()
	quoted, _ := json.Marshal(selector)
	var all []string
	raw := t.Read(fmt.Sprintf(`JSON.stringify([...document.querySelectorAll(%s)].map(e => String(e.%s)))`, quoted, property))
	t.must(json.Unmarshal([]byte(raw), &all))
	return all
}

// Cookies are the cookies that the tab's page can be sent.
func (t *Tab) Cookies() []*network.Cookie {
	t.T.Helper()
	return command(t, network.GetCookies, network.GetCookiesParams{}).Cookies
}

// SetCookie puts a cookie into the person's browser.
func (t *Tab) SetCookie(address, name, value string) {
	t.T.Helper()
	command(t, network.SetCookie, network.SetCookieParams{Name: name, Value: value, URL: address})
}

// Frames are the addresses of the frames that the page was allowed to draw.
func (t *Tab) Frames() []string {
	t.T.Helper()
	var drawn []string
	for _, child := range command(t, page.GetFrameTree, cdp.Empty{}).FrameTree.ChildFrames {
		if child.Frame.UnreachableURL == "" {
			drawn = append(drawn, child.Frame.URL)
		}
	}
	return drawn
}
