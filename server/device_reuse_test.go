package server_test

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
)

// bearerDevice is a client that may do without a key, and asks by device codes.
func (w *world) bearerDevice() *agent {
	w.t.Helper()
	must(w.t, w.store.AddClient(context.Background(), store.Client{ID: "cli_bearer", CreatedAt: w.clock.Now(), Policy: store.ClientPolicy{Bearer: true}, Metadata: store.ClientMetadata{
		ClientName: "Old Device", TokenEndpointAuthMethod: "none", GrantTypes: []string{deviceGrant, "refresh_token"},
	}}))
	return w.agent("cli_bearer")
}

// unproven sends what poll sends, without a proof.
func (a *agent) unproven(code string) answer {
	a.w.t.Helper()
	return a.send("/token", url.Values{"grant_type": {deviceGrant}, "client_id": {a.client}, "device_code": {code}})
}

// endedByReuse is that the task has ended because its code came twice, and its tokens with it.
func (w *world) endedByReuse(t *testing.T, task string) {
	t.Helper()
	got, _, err := w.store.TaskByID(context.Background(), task)
	must(t, err)
	if got.State != store.TaskRevoked || got.Reason != "code_reuse" {
		t.Errorf("the task is %s (%s)", got.State, got.Reason)
	}
}

// active is that nobody has ended the task.
func (w *world) active(t *testing.T, task string) {
	t.Helper()
	if got, _, err := w.store.TaskByID(context.Background(), task); err != nil || got.State != store.TaskActive {
		t.Errorf("strangers ended it: %s (%s), %v", got.State, got.Reason, err)
	}
}

// A device code that comes again ends what it began, as an authorization code does (RFC 6749 §10.5): where
// no key tells a thief from the owner, the second of them is how the first is found, while the owner may be
// polling. After that only somebody who has seen the code would come, and hurts nobody.
func TestDeviceCodeAgain(t *testing.T) {
	w := newWorld(t)
	w.setPolicy("bearer: read_only" + ticketsPolicy)
	for name, a := range map[string]*agent{"with a key": w.grantClient("Headless"), "without": w.bearerDevice()} {
		for after, wait := range map[string]time.Duration{"at once": 0, "when its request is forgotten": 25 * time.Minute} {
			t.Run(name+" "+after, func(t *testing.T) {
				poll, ask := a.poll, a.post
				if a.secret == "" {
					poll, ask = a.unproven, func(path string, form url.Values) answer { return a.send(path, form) }
				}
				asked := ask("/device", with(a.deviceRequest(), "authorization_details", strings.Replace(details, "1800", "14400", 1)))
				secret := asked.text("device_code")
				w.clock.Add(31 * time.Second)
				form := hidden(w.mara().typeCode(asked.text("user_code")).Body)
				form["tool"], form["duration"], form["decision"] = []string{"search_tickets"}, []string{"14400"}, []string{"allow"}
				if page := w.mara().post("/consent", form); page.Status != 200 {
					t.Fatalf("allow: %d %s", page.Status, page.Body)
				}
				got := poll(secret)
				if got.Status != 200 {
					t.Fatalf("token: %d %s", got.Status, got.Body)
				}
				for range wait / (25 * time.Minute) * 4 { // used now and then, it does not fall asleep
					w.clock.Add(25 * time.Minute)
					_, err := w.store.SweepTasks(context.Background())
					must(t, err)
					if got = ask("/token", a.refreshForm(got.text("refresh_token"))); got.Status != 200 {
						t.Fatalf("refresh: %d %s", got.Status, got.Body)
					}
				}
				other := w.grantClient("Other")
				want(t, other.poll(secret), 400, "invalid_grant") // in foreign hands it has no effect
				if a.secret != "" {
					want(t, w.sibling(a).poll(secret), 400, "invalid_grant")
				}
				w.active(t, got.text("task_id"))
				want(t, poll(secret), 400, "invalid_grant")
				if a.secret == "" && wait > 0 {
					w.active(t, got.text("task_id"))
					return
				}
				w.endedByReuse(t, got.text("task_id"))
			})
		}
	}
}

// What the page said of keys holds for device codes too, whatever the resource's policy says meanwhile.
func TestDeviceKeyPromised(t *testing.T) {
	w := newWorld(t)
	a := w.bearerDevice()
	asked := a.send("/device", a.deviceRequest()) // the resource takes no tokens without a key: the page says so
	w.allowDevice(asked)
	w.setPolicy("bearer: read_only" + ticketsPolicy)
	want(t, a.unproven(asked.text("device_code")), 400, "invalid_dpop_proof")
	if got := a.poll(asked.text("device_code")); got.Status != 200 || got.text("token_type") != "DPoP" {
		t.Errorf("with a key: %d %s", got.Status, got.Body)
	}
}

// A key that fixes itself when the code is redeemed tells the owner from a thief too: who has seen the code and shows
// another key ends nothing once its owner polls no more.
func TestDeviceCodeSeen(t *testing.T) {
	w := newWorld(t)
	a := w.bearerDevice()
	asked := a.send("/device", a.deviceRequest())
	secret := asked.text("device_code")
	w.allowDevice(asked)
	got := a.poll(secret)
	if got.Status != 200 {
		t.Fatalf("token: %d %s", got.Status, got.Body)
	}
	w.clock.Add(11 * time.Minute)
	want(t, w.sibling(a).poll(secret), 400, "invalid_grant")
	want(t, a.unproven(secret), 400, "invalid_dpop_proof")
	w.active(t, got.text("task_id"))
	want(t, a.poll(secret), 400, "invalid_grant")
	w.endedByReuse(t, got.text("task_id"))
}
