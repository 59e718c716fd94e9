package server_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/remit-auth/remit/store"
)

// TestDisabledResource: what is switched off gets nothing new, and everything there is dead; its
// Guard goes on hearing and telling the truth.
func TestDisabledResource(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	feed := g.listen(t)
	feed.next()
	a := w.agent(w.client)
	running := a.tokens()
	waiting := a.code() // consented, not yet redeemed
	pushed := a.push(a.request())

	dry := w.operator("GET", "/admin/api/dryrun?resource="+url.QueryEscape(ticketsURI), nil)
	off := w.operator("POST", "/admin/api/resources/disable", map[string]string{"uri": ticketsURI, "reason": "INC-2291"})
	if off.Status != http.StatusOK || len(off.JSON["ended_tasks"].([]any)) != 2 || len(dry.JSON["would_end"].([]any)) != 2 {
		t.Fatalf("disable: %d %s after %s", off.Status, off.Body, dry.Body)
	}
	for range 2 {
		if e := feed.next(); e.kind != store.EventTaskEnded || e.body["reason"] != "resource_disabled" {
			t.Errorf("the Guard hears %+v", e)
		}
	}
	if got := g.introspect(running.text("access_token")); got.Status != http.StatusOK || got.JSON["active"] != false {
		t.Errorf("introspect: %d %s", got.Status, got.Body)
	}
	if got := g.call("POST", "/feed/ack", map[string]int64{"seq": 2}); got.Status != http.StatusNoContent {
		t.Errorf("ack: %d %s", got.Status, got.Body)
	}
	claims, err := w.keys().OpenAccessToken(running.text("access_token"), w.issuer)
	must(t, err)
	if got := g.call("POST", "/executions", batch(1, decided(claims))); got.Status != http.StatusOK {
		t.Errorf("executions: %d %s", got.Status, got.Body)
	}
	if again := g.listen(t).next(); again.kind != "snapshot" || len(again.body["tasks"].([]any)) != 2 {
		t.Errorf("a new feed begins with %+v", again)
	}

	if got := a.post("/token", a.codeForm(waiting)); got.error() != "invalid_grant" {
		t.Errorf("the code: %d %s", got.Status, got.Body)
	}
	if got := a.post("/token", a.refreshForm(running.text("refresh_token"))); got.error() != "invalid_grant" {
		t.Errorf("the refresh token: %d %s", got.Status, got.Body)
	}
	if got := a.post("/par", a.request()); got.error() != "invalid_target" {
		t.Errorf("par: %d %s", got.Status, got.Body)
	}
	if page := w.mara().get(pushed); page.Status == http.StatusOK || strings.Contains(page.Body, `value="allow"`) {
		t.Errorf("the pushed request: %d %s", page.Status, page.words())
	}
	back, err := url.Parse(w.mara().get("/authorize?" + a.request().Encode()).Header.Get("Location"))
	if must(t, err); back.Query().Get("error") != "invalid_target" {
		t.Errorf("authorize: %s", back)
	}
	if page := w.mara().get("/agents"); !strings.Contains(page.words(), "Ended by your admin: the server was switched off") {
		t.Errorf("the user reads: %s", page.words())
	}

	if got := w.operator("POST", "/admin/api/resources/enable", map[string]string{"uri": ticketsURI}); got.Status != http.StatusOK {
		t.Fatalf("enable: %d %s", got.Status, got.Body)
	}
	a.tokens()
	if got := a.post("/token", a.refreshForm(running.text("refresh_token"))); got.error() != "invalid_grant" {
		t.Errorf("what had ended: %d %s", got.Status, got.Body)
	}
}

// TestSwitchRefusals: what the switches of the admin API refuse, they leave as it was.
func TestSwitchRefusals(t *testing.T) {
	w := newWorld(t)
	w.lend()
	long := strings.Repeat("x", 201)
	for name, tt := range map[string]struct {
		path   string
		in     map[string]string
		status int
	}{
		"no such resource":          {"resources/disable", map[string]string{"uri": otherURI}, 404},
		"no resource":               {"resources/enable", map[string]string{}, 404},
		"a long reason":             {"resources/disable", map[string]string{"uri": ticketsURI, "reason": long}, 400},
		"two lines of reason":       {"users/disable", map[string]string{"user": "mara@example.com", "reason": "a\nb"}, 400},
		"a long reason for clients": {"clients/disable", map[string]string{"client_id": w.client, "reason": long}, 400},
		"no such role":              {"users/role", map[string]string{"user": "mara@example.com", "console_role": "root"}, 400},
		"no role":                   {"users/role", map[string]string{"user": "mara@example.com"}, 400},
		"nobody's role":             {"users/role", map[string]string{"user": "no@example.com", "console_role": "admin"}, 404},
	} {
		if got := w.operator("POST", "/admin/api/"+tt.path, tt.in); got.Status != tt.status {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
	for _, query := range []string{"", "x=1", "user=no@example.com", "client=cli_no", "resource=x", "user=mara@example.com&client=" + w.client, strings.Repeat("task=a&", 101)} {
		if got := w.operator("GET", "/admin/api/dryrun?"+query, nil); got.Status != 400 && got.Status != 404 {
			t.Errorf("%s: %d %s", query, got.Status, got.Body)
		}
	}
	tasks, err := w.store.TaskList(context.Background(), store.TaskFilter{Live: true})
	if must(t, err); len(tasks) != 1 {
		t.Errorf("%d tasks live", len(tasks))
	}
}
