//go:build browser

package server_test

// Journeys over the agents page in Debian's Chromium, against a real server: make test runs them.

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/remit-auth/remit/store"
)

var pictures = flag.String("pictures", "", "write what the journeys see to this folder")

// tab drives one browser tab. It fails the test when the page complains, as it would about a
// script or a style that its policy does not allow.
type tab struct {
	*testing.T
	ctx context.Context
}

func browse(t *testing.T) tab {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(
		ctx, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true), chromedp.Flag("hide-scrollbars", true),
	)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	var listening sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		listening.Wait()
	})
	b := tab{t, ctx}
	b.size(1100)
	listening.Go(func() {
		for m, err := range chromedp.Console(ctx) {
			if err != nil {
				return
			}
			t.Errorf("the page complains: %s %s %s", m.Type, m.Text, m.URL)
		}
	})
	return b
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
	s, err := chromedp.Run(b.ctx, chromedp.EvaluateAsDevTools[string](expression))
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// waits waits until the page, by itself, reads so.
func (b tab) waits(text string) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	quoted, _ := json.Marshal(text)
	if _, err := chromedp.Run(ctx, chromedp.Poll[bool](fmt.Sprintf(`document.querySelector("main").innerText.includes(%s)`, quoted))); err != nil {
		b.Fatalf("%v: %q is not shown in: %s", err, text, b.read(`document.querySelector("main").innerText`))
	}
}

// reads checks that the page reads so now.
func (b tab) reads(texts ...string) {
	b.Helper()
	page := b.read(`document.querySelector("main").innerText`)
	for _, text := range texts {
		if !strings.Contains(page, text) {
			b.Errorf("%q is not shown in: %s", text, page)
		}
	}
}

func (b tab) size(width int64) {
	b.Helper()
	p := emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 600, DeviceScaleFactor: 2}
	if _, err := chromedp.Call(b.ctx, emulation.SetDeviceMetricsOverride, p); err != nil {
		b.Fatal(err)
	}
}

// picture keeps what the tab shows, in both themes and on a narrow screen, for people to look at.
func (b tab) picture(name string) {
	b.Helper()
	if *pictures == "" {
		return
	}
	for variant, v := range map[string]struct {
		theme string
		width int64
	}{"light": {"light", 1100}, "dark": {"dark", 1100}, "mobile": {"light", 320}} {
		features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: v.theme}}
		if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features}); err != nil {
			b.Fatal(err)
		}
		b.size(v.width)
		png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
		if err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(*pictures, name+"-"+variant+".png"), png, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	b.size(1100)
}

// signIn opens the agents page as a person who is not signed in.
func (b tab) signIn(w *world) {
	b.Helper()
	b.do(
		chromedp.Navigate(w.issuer+"/agents"),
		chromedp.SendKeys(chromedp.CSS("[name=email]"), "mara@example.com"),
		chromedp.SendKeys(chromedp.CSS("[name=password]"), password+kb.Enter),
		chromedp.WaitVisible(chromedp.CSS("#live")),
	)
}

// signOut ends the tab's session on the server alone.
func (b tab) signOut(w *world) {
	b.Helper()
	cookies, err := chromedp.Call(b.ctx, network.GetCookies, network.GetCookiesParams{})
	must(b, err)
	for _, c := range cookies.Cookies {
		must(b, w.store.RemoveSession(context.Background(), store.HashOf(c.Value)))
	}
}

// chain gives every record its place in the ledger, as the housekeeping would within a second.
func (w *world) chain() {
	w.t.Helper()
	must(w.t, w.server.Settle(context.Background()))
}

// obey lets the Guard act on each of so many ends 0.3 s after it has heard of it.
func obey(w *world, g *guardian, feed *feed, ends int) (done <-chan struct{}) {
	all := make(chan struct{})
	go func() {
		defer close(all)
		for range ends {
			e := feed.next()
			w.clock.Add(300 * time.Millisecond)
			g.call("POST", "/feed/ack", map[string]int64{"seq": e.seq()})
		}
	}()
	return all
}

func endButton(task string) string {
	return "#" + task + " [value=end]"
}

func TestBrowserEndNow(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	feed := g.listen(t)
	feed.next()
	_, first := w.lend()
	_, second := w.lend()
	c := &caller{guardian: g, claims: first}
	b := browse(t)
	b.signIn(w)
	b.waits("This page updates by itself.")
	b.reads("2 tasks are running.")
	button := endButton(first.Task.ID)
	b.do(chromedp.Focus(chromedp.CSS(button)))
	b.read(`window.mark = "still the same page"`)

	// Calls come in by themselves; who was about to press a button still is.
	c.calls("search_tickets", "delete_ticket tool_not_granted")
	b.waits("you did not allow this tool")
	b.reads("All 2 calls", "1 blocked", "Title of search_tickets")
	focus := `String(document.activeElement === document.querySelector("` + button + `")) + " " + window.mark`
	if got := b.read(focus); got != "true still the same page" {
		t.Errorf("focus and page: %s", got)
	}
	b.picture("journey-running")

	// Paused, the page stands still; resumed, it catches up.
	updates := chromedp.CSS("#updates button")
	b.do(chromedp.Click(updates))
	b.waits("Updates are paused.")
	c.calls("get_ticket")
	b.do(chromedp.Click(updates))
	b.waits("This page updates by itself.")
	b.waits("All 3 calls")

	// One click, no dialog; the page that follows tells how fast it was in force.
	acted := obey(w, g, feed, 2)
	b.do(chromedp.Click(chromedp.CSS(button)))
	b.do(chromedp.WaitVisible(chromedp.CSS(".note")))
	b.waits("“Triage bugs” is ended: dead everywhere in 0.3 s.") // in the answer, or soon after it
	b.reads("1 task is running.", "Ended by you")
	b.waits("This page updates by itself.")
	b.picture("journey-ended")

	// An end from elsewhere shows up by itself, and so does the Guard's word.
	b.read(`window.mark = "still the same page"`)
	w.move("end", second.Task.ID)
	<-acted
	w.chain()
	b.waits("No agent is working for you right now.")
	b.reads("This page updates by itself.")
	if got := b.read(`window.mark`); got != "still the same page" {
		t.Error("the page was loaded anew")
	}
	if got := b.read(`String(document.querySelectorAll("#finished ~ table tbody tr").length)`); got != "2" {
		t.Errorf("%s finished tasks", got)
	}

	// Signed out elsewhere, the page shows nothing more.
	b.signOut(w)
	_, third := w.lend()
	w.move("suspend", third.Task.ID)
	w.chain()
	b.do(chromedp.WaitVisible(chromedp.CSS("[name=password]")))
}

// TestBrowserWithoutScript is the same journey for whom no script runs: links and forms alone.
func TestBrowserWithoutScript(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	feed := g.listen(t)
	feed.next()
	_, first := w.lend()
	w.lend()
	c := &caller{guardian: g, claims: first}
	b := browse(t)
	if _, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		t.Fatal(err)
	}
	b.signIn(w)
	b.reads("2 tasks are running.")
	if page := b.read(`document.querySelector("main").innerText`); strings.Contains(page, "updates") {
		t.Errorf("a control that cannot work: %s", page)
	}
	c.calls("search_tickets", "delete_ticket tool_not_granted")
	b.do(chromedp.Click(chromedp.CSS(".bar a")), chromedp.WaitVisible(chromedp.CSS(".calls")))
	b.reads("All 2 calls", "you did not allow this tool")
	b.do(chromedp.Click(chromedp.CSS(".all a")), chromedp.WaitVisible(chromedp.CSS(".back")))
	b.reads("All calls of this task", "Title of search_tickets")
	b.picture("journey-calls")

	acted := obey(w, g, feed, 1)
	b.do(chromedp.Click(chromedp.CSS("[value=end]")), chromedp.WaitVisible(chromedp.CSS(".note")))
	<-acted
	b.do(chromedp.Reload())
	b.reads("“Triage bugs” is ended: dead everywhere in 0.3 s.", "1 task is running.")
	acted = obey(w, g, feed, 1)
	b.do(chromedp.Click(chromedp.CSS("[value=end_all]")), chromedp.WaitVisible(chromedp.CSS("#none")))
	<-acted
	b.do(chromedp.Reload())
	b.reads("Everything is stopped: dead everywhere in 0.3 s.", "No agent is working for you right now.")
	b.picture("journey-stopped")
}
