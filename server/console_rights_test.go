package server_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
)

// TestRightsAreGivenByWhoJustSignedIn: at a screen that was left alone nobody gives rights; to take them, no sign-in
// is waited for.
func TestRightsAreGivenByWhoJustSignedIn(t *testing.T) {
	w := newWorld(t)
	admin := w.staff("admin@example.com", store.RoleAdmin)
	w.staff("viewer@example.com", store.RoleViewer)
	id := w.id("viewer@example.com")
	role := func(role string) url.Values { return url.Values{"user": {id}, "console_role": {role}} }
	args := func(give string) url.Values { return url.Values{"user": {id}, "read_args": {give}} }
	is := func(role store.ConsoleRole, args bool) {
		t.Helper()
		if u, err := w.store.UserByID(t.Context(), id); err != nil || u.ConsoleRole != role || u.ReadArgs != args {
			t.Errorf("%s, reads arguments: %v, %v", u.ConsoleRole, u.ReadArgs, err)
		}
	}
	refused := func(path string, form url.Values) {
		t.Helper()
		form.Set("reason", "x")
		if got := admin.fill(path, form); got.Status != http.StatusUnauthorized {
			t.Errorf("%s %v: %d %s", path, form, got.Status, got.words())
		} else {
			shows(t, got, "Sign in again to give a right", "Password")
		}
	}
	admin.act("/admin/role", role("revoker"))
	admin.act("/admin/readargs", args("true"))
	w.clock.Add(6 * time.Minute)
	refused("/admin/role", role("admin"))
	is(store.RoleRevoker, true)
	admin.act("/admin/readargs", args("false"))
	refused("/admin/readargs", args("true"))
	is(store.RoleRevoker, false)
	admin.act("/admin/role", role("viewer"))
	is(store.RoleViewer, false)
	admin.signInAs("admin@example.com")
	admin.act("/admin/role", role("admin"))
	admin.act("/admin/readargs", args("true"))
	is(store.RoleAdmin, true)
}
