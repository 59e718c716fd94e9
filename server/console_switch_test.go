package server_test

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
)

// TestConsoleKillSwitches: everything of one user, one client or one resource is dead, and counted (AD4).
func TestConsoleKillSwitches(t *testing.T) {
	for noun, tt := range map[string]struct {
		field, name string
		id          func(w *world) string
	}{
		"user":     {"user", "mara@example.com", func(w *world) string { return w.user.ID }},
		"client":   {"client", "Demo Agent", func(w *world) string { return w.client }},
		"resource": {"resource", "Tickets", func(*world) string { return ticketsURI }},
	} {
		t.Run(noun, func(t *testing.T) {
			w := newWorld(t)
			g := w.guard(ticketsURI)
			feed := g.listen(t)
			feed.next()
			a := w.agent(w.client)
			lent := []answer{a.tokens(), a.tokens()}
			b := w.staff("revoker@example.com", store.RoleRevoker)
			admin := w.staff("admin@example.com", store.RoleAdmin)
			query := url.Values{tt.field: {tt.id(w)}}.Encode()
			shows(t, b.get("/admin/"+noun+"?"+query), tt.name, "Enabled", "See the tasks", "Disable…", "remit "+noun+" disable")
			shows(t, b.get("/admin/disable?"+query), "Disable "+tt.name+"?", "2 tasks", "Type 2 to go on", "These tasks end", "mara@example.com Demo Agent Tickets", "mara@example.com Demo Agent Tickets", "--dry-run")
			form := func() url.Values { return url.Values{tt.field: {tt.id(w)}, "shown": {"2"}, "count": {"2"}} }
			for name, change := range map[string]url.Values{"not typed": {"count": {""}}, "typed wrongly": {"count": {"1"}}, "not shown": {"shown": {""}, "count": {""}}} {
				wrong := form()
				maps.Copy(wrong, change)
				wrong.Set("reason", "x")
				if got := b.fill("/admin/disable", wrong); got.Status != http.StatusConflict || !strings.Contains(got.words(), "2 tasks would end now") {
					t.Errorf("%s: %d %s", name, got.Status, got.words())
				}
			}
			acked := make(chan struct{})
			go func() {
				defer close(acked)
				feed.next()
				e := feed.next()
				w.clock.Add(300 * time.Millisecond)
				g.call("POST", "/feed/ack", map[string]int64{"seq": e.seq()})
			}()
			b.act("/admin/disable", form())
			<-acked
			page := b.get("/admin/" + noun + "?" + query)
			shows(t, page, tt.name, "Disabled", "Where the end is in force", ticketsURI, "2 in force after 0.3 s", "remit "+noun+" enable")
			if strings.Contains(page.Body, "/admin/enable") {
				t.Error("a revoker is offered to give back")
			}
			for _, one := range lent {
				if got := g.introspect(one.text("access_token")); got.JSON["active"] != false {
					t.Errorf("introspect: %s", got.Body)
				}
				if got := a.post("/token", a.refreshForm(one.text("refresh_token"))); got.Status < 400 || got.Status > 401 {
					t.Errorf("refresh: %d %s", got.Status, got.Body)
				}
			}
			rec, said := w.said(noun + ".disabled")
			if said["person"] != w.id("revoker@example.com") || said["by"] != "revoker" || said["reason"] != "INC-2291 runaway agent" || rec.User+rec.Client+rec.Resource != tt.id(w) {
				t.Errorf("recorded: %v %+v", said, rec)
			}
			shows(t, admin.act("/admin/enable", url.Values{tt.field: {tt.id(w)}}), "Enabled")
			if _, said := w.said(noun + ".enabled"); said["person"] != w.id("admin@example.com") || said["by"] != "admin" {
				t.Errorf("recorded: %v", said)
			}
			if noun == "user" {
				w.signedIn = nil // signed out everywhere
			}
			a.tokens()
			if got := a.post("/token", a.refreshForm(lent[0].text("refresh_token"))); got.error() != "invalid_grant" {
				t.Errorf("what had ended: %d %s", got.Status, got.Body)
			}
		})
	}
}

// TestConsoleLastAdmin: the last admin stays, nobody raises themselves, and nobody is disabled from
// below (AD8, AD10).
func TestConsoleLastAdmin(t *testing.T) {
	w := newWorld(t)
	admin, revoker, viewer := w.staff("admin@example.com", store.RoleAdmin), w.staff("revoker@example.com", store.RoleRevoker), w.staff("viewer@example.com", store.RoleViewer)
	role := func(who, role string) url.Values {
		return url.Values{"user": {w.id(who)}, "console_role": {role}, "reason": {"x"}}
	}
	user := func(who string) url.Values { return url.Values{"user": {w.id(who)}, "reason": {"x"}} }
	refused := func(name string, got answer, status int, text string) {
		t.Helper()
		if got.Status != status || !strings.Contains(got.words(), text) {
			t.Errorf("%s: %d %s", name, got.Status, got.words())
		}
	}
	refused("a viewer raises themselves", viewer.fill("/admin/role", role("viewer@example.com", "admin")), 403, "role")
	refused("a revoker raises themselves", revoker.fill("/admin/role", role("revoker@example.com", "admin")), 403, "role")
	refused("an admin changes their own", admin.fill("/admin/role", role("admin@example.com", "user")), 403, "nobody changes their own")
	refused("the last admin disables themselves", admin.fill("/admin/disable", user("admin@example.com")), 409, "this is the last admin")
	refused("a revoker disables an admin", revoker.fill("/admin/disable", user("admin@example.com")), 403, "above your own")
	refused("no such role", admin.fill("/admin/role", role("viewer@example.com", "root")), 400, "console_role is")
	refused("no role", admin.fill("/admin/role", user("viewer@example.com")), 400, "console_role is")
	for who, want := range map[string]store.ConsoleRole{"admin@example.com": store.RoleAdmin, "revoker@example.com": store.RoleRevoker, "viewer@example.com": store.RoleViewer} {
		if u, err := w.store.UserByEmail(context.Background(), who); err != nil || u.ConsoleRole != want || u.Disabled {
			t.Errorf("%s is %+v, %v", who, u, err)
		}
	}
	if page := admin.get("/admin/user?user=admin@example.com"); strings.Contains(page.Body, "/admin/role") || !strings.Contains(page.words(), "Nobody changes their own console role.") {
		t.Errorf("an admin's own page: %s", page.words())
	}

	shows(t, admin.act("/admin/role", role("viewer@example.com", "admin")), "viewer@example.com", "Console role admin")
	rec, said := w.said("user.role_changed")
	if said["person"] != w.id("admin@example.com") || said["console_role"] != "admin" || said["former"] != "viewer" || said["reason"] != "INC-2291 runaway agent" || rec.User != w.id("viewer@example.com") {
		t.Errorf("recorded: %v %+v", said, rec)
	}
	if got := viewer.fill("/admin/disable", user("admin@example.com")); got.Status != http.StatusSeeOther {
		t.Errorf("one of two admins: %d %s", got.Status, got.words())
	}
	refused("the one that is left", viewer.fill("/admin/disable", user("viewer@example.com")), 409, "this is the last admin")
}

// TestConsoleApprove: an admin compares and approves what the server offers, and that alone.
func TestConsoleApprove(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	if got := g.call("PUT", "/manifest", map[string]any{"policy": ticketsPolicy, "tools": []any{plainTool("get_ticket"), plainTool("close_ticket")}}); got.Status != http.StatusOK {
		t.Fatalf("manifest: %d %s", got.Status, got.Body)
	}
	admin, revoker := w.staff("admin@example.com", store.RoleAdmin), w.staff("revoker@example.com", store.RoleRevoker)
	at := "/admin/resource?resource=" + url.QueryEscape(ticketsURI)
	page := admin.get(at)
	shows(t, page, "Waiting for approval", "close_ticket", "New", "It may delete or overwrite things.", `"close_ticket"`, "Approve what the server offers now", "get_ticket", "Changed", `"Title of get_ticket"`, "No longer offered", "delete_ticket", "Gone")
	shows(t, admin.get("/admin/resources"), "Tickets", "2 to approve", "Guard enrolled", "Enabled")
	if strings.Contains(revoker.get(at).Body, "/admin/approve") {
		t.Error("a revoker is offered to approve")
	}
	res, err := w.store.ResourceByURI(context.Background(), ticketsURI)
	must(t, err)
	hash := res.Tools[slices.IndexFunc(res.Tools, func(t store.Tool) bool { return t.Name == "close_ticket" })].LiveHash
	form := func(hash string) url.Values {
		return url.Values{"resource": {ticketsURI}, "tool": {"close_ticket"}, "hash": {hash}, "reason": {"x"}}
	}
	for name, tt := range map[string]struct {
		form   url.Values
		status int
	}{"another definition": {form("sha-256:x"), 404}, "no definition": {form(""), 400}, "no tool": {url.Values{"resource": {ticketsURI}, "hash": {hash}, "reason": {"x"}}, 404}} {
		if got := admin.fill("/admin/approve", tt.form); got.Status != tt.status {
			t.Errorf("%s: %d %s", name, got.Status, got.words())
		}
	}
	page = admin.act("/admin/approve", form(hash))
	if strings.Contains(page.words(), "It may delete or overwrite things.") {
		t.Errorf("still waiting: %s", page.words())
	}
	if _, said := w.said("tool.approved"); said["person"] != w.id("admin@example.com") || said["definition"] != hash || said["reason"] == "" {
		t.Errorf("recorded: %v", said)
	}
}

func TestConsoleRotate(t *testing.T) {
	w := newWorld(t)
	token, _ := w.lend()
	admin := w.staff("admin@example.com", store.RoleAdmin)
	if strings.Contains(w.staff("revoker@example.com", store.RoleRevoker).get("/admin/keys").Body, "/admin/rotate") {
		t.Error("a revoker is offered to rotate")
	}
	shows(t, admin.act("/admin/rotate", url.Values{}), "Keys", "active", "retired", "remit key rotate")
	if _, said := w.said("key.rotated"); said["person"] != w.id("admin@example.com") || said["kid"] == "" || said["reason"] == "" {
		t.Errorf("recorded: %v", said)
	}
	if _, err := w.keys().OpenAccessToken(token, w.issuer); err != nil {
		t.Errorf("a valid token is refused: %v", err)
	}
}
