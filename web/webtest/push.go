//go:build browser

package webtest

import (
	"context"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/serviceworker"
	"github.com/chromedp/chromedp"
)

// MayNotify lets the pages of an origin show notifications, as a person would who is asked.
func (t *Tab) MayNotify(origin string) {
	t.T.Helper()
	command(t, browser.SetPermission, browser.SetPermissionParams{
		Permission: &browser.PermissionDescriptor{Name: "notifications"}, Setting: browser.PermissionSettingGranted,
		Origin: origin, BrowserContextID: chromedp.FromContext(t.ctx).BrowserContextID,
	})
}

// atWork waits for the page's worker: what is pushed to one that is not active yet is lost.
const atWork = `navigator.serviceWorker.ready.then(({active}) => new Promise(done => {
	active.onstatechange = () => active.state === "activated" && done("yes")
	active.onstatechange()
}))`

// Pushed hands a message to the worker of an origin, whose page is open, as the browser does that got it from
// its push service.
func (t *Tab) Pushed(origin, message string) {
	t.T.Helper()
	t.Awaits(atWork)
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	events := chromedp.Events(ctx, serviceworker.WorkerRegistrationUpdated)
	command(t, serviceworker.Enable, cdp.Empty{})
	for event, err := range events {
		t.must(err)
		for _, r := range event.Registrations {
			if !r.IsDeleted {
				command(t, serviceworker.DeliverPushMessage, serviceworker.DeliverPushMessageParams{Origin: origin, RegistrationID: r.RegistrationID, Data: message})
				return
			}
		}
	}
}
