//go:build browser

package server_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/remit-auth/remit/store"
)

// TestBrowserAdminEnds: an admin finds what is unusual and ends it, then throws a kill switch. The
// console has no script; the tab refuses to run any.
func TestBrowserAdminEnds(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	feed := g.listen(t)
	feed.next()
	_, first := w.lend()
	_, second := w.lend()
	w.lend()
	must(t, w.server.ApplyRules(t.Context()))
	c := &caller{guardian: g, claims: first}
	c.calls("search_tickets", "delete_ticket tool_not_granted", "get_ticket wrong_key")
	must(t, w.server.ApplyRules(t.Context()))
	w.chain()
	feed.next() // the suspension
	w.staff("admin@example.com", store.RoleAdmin)
	b := browse(t)
	b.size(1280)
	if _, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		t.Fatal(err)
	}

	// Whoever has a console role finds the console from their own page.
	b.do(
		chromedp.Navigate(w.issuer+"/agents"),
		chromedp.SendKeys(chromedp.CSS("[name=email]"), "admin@example.com"),
		chromedp.SendKeys(chromedp.CSS("[name=password]"), password+kb.Enter),
		chromedp.Click(chromedp.CSS(`.account a[href="/admin"]`)),
		chromedp.WaitVisible(chromedp.CSS(".areas")),
	)
	b.reads("Unusual", "A rule suspended a task", "3 tasks", "Suspended by a rule", "remit task list --live")
	b.picture("console-tasks")

	// The finding leads to its timeline, and from there it ends, with a reason.
	b.do(chromedp.Click(chromedp.CSS(".finding a.sec")), chromedp.WaitVisible(chromedp.CSS("#timeline")))
	b.reads(first.Task.ID, "Somebody used a copy of its token with another key.", "the user did not allow this tool", "search_tickets at Tickets")
	b.picture("console-task")
	acted := obey(w, g, feed, 1)
	b.do(
		chromedp.SendKeys(chromedp.CSS("#act-reason"), "INC-2291 runaway agent"),
		chromedp.Click(chromedp.CSS(`[formaction="/admin/end"]`)),
		chromedp.WaitVisible(chromedp.CSS("#propagation")),
	)
	<-acted
	b.do(chromedp.Reload())
	b.reads("Revoked", "in force after 0.3 s", "admin@example.com ended the task", "INC-2291 runaway agent")
	b.picture("console-ended")

	// Ticked tasks are shown first, and counted by hand.
	b.do(chromedp.Click(chromedp.CSS(`.areas a[href="/admin"]`)), chromedp.WaitVisible(chromedp.CSS(".ticked")))
	b.reads("2 tasks")
	b.do(
		chromedp.Click(chromedp.CSS(`input[value="`+second.Task.ID+`"]`)),
		chromedp.Click(chromedp.CSS(".ticked button")), chromedp.WaitVisible(chromedp.CSS("#planned")),
	)
	b.reads("End the tasks listed here?", "1 task")
	if strings.Contains(b.read(`document.querySelector("main").innerText`), "Type 1") {
		t.Error("one task is to be counted")
	}

	// The user's kill switch ends both that are left, after the count is typed.
	b.do(
		chromedp.Click(chromedp.CSS(`#planned ~ table a[href^="/admin/user?"]`)), chromedp.WaitVisible(chromedp.CSS(".do .dng")),
		chromedp.Click(chromedp.CSS(".do .dng")), chromedp.WaitVisible(chromedp.CSS("#disable-count")),
	)
	b.reads("Disable mara@example.com?", "Type 2 to go on", "remit user disable --email=mara@example.com --dry-run")
	b.picture("console-disable")
	acted = obey(w, g, feed, 2)
	b.do(
		chromedp.SendKeys(chromedp.CSS("#disable-count"), "2"),
		chromedp.SendKeys(chromedp.CSS("#disable-reason"), "INC-2291"+kb.Enter),
		chromedp.WaitVisible(chromedp.CSS("#propagation")),
	)
	<-acted
	b.do(chromedp.Reload())
	b.reads("Disabled", "in force after", "Enable")
	b.picture("console-disabled")
	b.do(chromedp.Navigate(w.issuer+"/admin/access?resource="+url.QueryEscape(ticketsURI)+"&user=mara@example.com&tool=search_tickets&client="+w.client), chromedp.WaitVisible(chromedp.CSS("#would")))
	b.picture("console-access")
	b.do(chromedp.Navigate(w.issuer+"/admin/kill/review?level=tool&subject="+url.QueryEscape(ticketsURI)+"&tool=search_tickets&seconds=3600"), chromedp.WaitVisible(chromedp.CSS("#kill-reason")))
	b.picture("console-kill-review")
	b.do(chromedp.SendKeys(chromedp.CSS("#kill-reason"), "INC-2291"+kb.Enter), chromedp.WaitVisible(chromedp.CSS("#lift-reason")))
	b.reads("A tool search_tickets", "In force", "INC-2291")
	b.picture("console-kill-one")
	for _, page := range []string{"findings", "users", "clients", "resources", "keys", "kill"} {
		b.do(chromedp.Click(chromedp.CSS(`.areas a[href="/admin/`+page+`"]`)), chromedp.WaitVisible(chromedp.CSS(`.areas a[href="/admin/`+page+`"][aria-current]`)))
		b.picture("console-" + page)
	}
}
