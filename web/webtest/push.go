//go:build browser

package webtest

import (
	"context"

	"github.com/chromedp/cdproto/backgroundservice"
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

// Pushed hands a message to the worker of an origin, whose page is open, as the browser does that got it from
// its push service. It returns when the notification that comes of it is drawn: Chromium forgets one that it is
// asked about before.
func (t *Tab) Pushed(origin, message string) {
	t.T.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	drawn := chromedp.Events(ctx, backgroundservice.BackgroundServiceEventReceived)
	const notifications = backgroundservice.ServiceNameNotifications
	command(t, backgroundservice.StartObserving, backgroundservice.StartObservingParams{Service: notifications})
	command(t, backgroundservice.SetRecording, backgroundservice.SetRecordingParams{Service: notifications, ShouldRecord: true})
	command(t, serviceworker.DeliverPushMessage, serviceworker.DeliverPushMessageParams{Origin: origin, RegistrationID: t.registration(ctx), Data: message})
	for event, err := range drawn {
		t.must(err)
		if event.BackgroundServiceEvent.EventName == "Notification displayed" {
			return
		}
	}
}

// registration is that of the worker.
func (t *Tab) registration(ctx context.Context) serviceworker.RegistrationID {
	t.T.Helper()
	events := chromedp.Events(ctx, serviceworker.WorkerRegistrationUpdated)
	command(t, serviceworker.Enable, cdp.Empty{})
	for event, err := range events {
		t.must(err)
		for _, r := range event.Registrations {
			if !r.IsDeleted {
				return r.RegistrationID
			}
		}
	}
	t.T.Fatal("no worker is registered")
	return ""
}
