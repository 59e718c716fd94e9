package server_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// canary is what an agent passed to a tool.
const canary = "CANARY-4711"

// withCanary is a world with a task whose calls, limits and findings hold the canary wherever a Guard or a
// client may put an argument. It returns the task, and a finding that was dismissed.
func withCanary(t *testing.T) (w *world, task, dismissed string) {
	t.Helper()
	w = newWorld(t)
	g := w.guard(ticketsURI)
	_, claims := w.lend()
	values := map[string]any{"query": canary, "project": "WEB"}
	call := but(decided(claims), map[string]any{"values": values, "arguments_digest": tokens.HashBytes([]byte(canary))})
	unknown := but(call, map[string]any{"jti": tokens.NewID("at_"), "execution": tokens.NewID("exe_")})
	recs := []any{
		call,
		but(call, map[string]any{"execution": tokens.NewID("exe_"), "tool": "", "method": "resources/read", "target": "docs://" + canary}),
		but(call, map[string]any{"execution": tokens.NewID("exe_"), "decision": "refused", "reason": "argument_limit", "checks": []any{map[string]any{"name": "arguments", "ok": false, "detail": canary}}}),
		unknown,
		but(unknown, map[string]any{"execution": tokens.NewID("exe_")}),
	}
	if got := g.call("POST", "/executions", batch(1, recs...)); got.Status != http.StatusOK {
		t.Fatalf("executions: %d %s", got.Status, got.Body)
	}
	granted := `[{"type":"mcp_tool","locations":["` + ticketsURI + `"],"tool":"search_tickets","constraints":{"query":{"const":"` + canary + `"}}}]`
	for _, said := range []map[string]any{
		{"granted": granted, "seconds": 900, "purpose": "Triage"},
		{"a member of tomorrow": canary, "by": "admin"},
		{"granted": map[string]any{"query": canary}},
	} {
		rec := store.NewRecord("consent.allowed", said)
		rec.Task, rec.User, rec.Resource = claims.Task.ID, w.user.ID, ticketsURI
		must(t, w.store.Append(context.Background(), rec))
	}
	disputed := w.records("execution.disputed")
	if len(disputed) != 2 {
		t.Fatalf("%d disputed", len(disputed))
	}
	dismissed = strconv.FormatInt(disputed[0].Seq, 10)
	if got := w.operator("POST", "/admin/api/findings/dismiss", map[string]any{"finding": disputed[0].Seq, "reason": "a test"}); got.Status != http.StatusOK {
		t.Fatalf("dismiss: %d %s", got.Status, got.Body)
	}
	return w, claims.Task.ID, dismissed
}

// tellsCanary reports whether an answer tells the canary, or lets it be found by its digest.
func tellsCanary(body string) bool {
	return strings.Contains(body, canary) || strings.Contains(body, tokens.HashBytes([]byte(canary)))
}

// may is staff with the right to read arguments.
func (w *world) may(email string, role store.ConsoleRole) *browser {
	w.t.Helper()
	b, yes := w.staff(email, role), true
	must(w.t, w.store.SetConsoleRights(context.Background(), w.id(email), store.ConsoleRights{ReadArgs: &yes}))
	return b
}

// TestReadArgsConsole walks every page of the console, and all other pages that a person may ask for: without
// audit.read_args none of them tells what an agent passed to a tool, whatever the console role; with it,
// these do and no others.
func TestReadArgsConsole(t *testing.T) {
	w, task, _ := withCanary(t)
	targets := w.targets(task)
	targets["/admin/findings/dismiss"] = "/admin/findings/dismiss?finding=" + w.finding()
	targets["/admin/export/ledger"] += "&values=true"
	paths := map[string]string{"plain export": "/admin/export/ledger?format=json", "plain export, csv": "/admin/export/ledger?format=csv", "plain export, ocsf": "/admin/export/ledger?format=ocsf"}
	for _, rt := range w.server.PublicRoutes() {
		path := strings.NewReplacer("{id}", task).Replace(rt[1])
		if target := targets[rt[1]]; target != "" {
			path = target
		}
		if rt[0] == "GET" && rt[1] != "/feed" && !strings.HasSuffix(rt[1], "/live") { // those two do not end
			paths[rt[1]] = path
		}
	}
	people := map[string]*browser{
		"a viewer": w.staff("viewer@example.com", store.RoleViewer), "a revoker": w.staff("revoker@example.com", store.RoleRevoker), "an admin": w.staff("admin@example.com", store.RoleAdmin),
	}
	reader := w.may("reader@example.com", store.RoleAdmin)
	want := []string{"/admin", "/admin/export/ledger", "/admin/findings", "/admin/findings/dismissed", "/admin/ledger", "/admin/tasks/{id}"}
	var tell []string
	for name, path := range paths {
		for who, b := range people {
			if strings.Contains(path, "/export/") {
				w.clock.Add(11 * time.Second) // a file every ten seconds
			}
			if got := b.get(path); tellsCanary(got.Body) {
				t.Errorf("%s tells %s: %s", path, who, got.words())
			}
		}
		got := reader.get(path)
		if strings.HasPrefix(name, "/admin") && got.Status != http.StatusOK {
			t.Errorf("%s is %d; say in targets how it is asked for", path, got.Status)
		}
		if tellsCanary(got.Body) {
			tell = append(tell, name)
		}
	}
	slices.Sort(tell)
	if !slices.Equal(tell, want) {
		t.Errorf("told with the right: %v, want %v", tell, want)
	}
	const hidden = "Values of arguments are hidden: your account may not read arguments (audit.read_args)."
	for _, path := range []string{"/admin/tasks/" + task, "/admin/ledger", "/admin/findings", "/admin/findings/dismissed"} {
		shows(t, people["a viewer"].get(path), hidden, "hidden: project, query")
		if got := reader.get(path); strings.Contains(got.Body, "audit.read_args") || !strings.Contains(got.words(), `query : "`+canary+`"`) {
			t.Errorf("%s to who may: %s", path, got.words())
		}
	}
	shows(t, people["a viewer"].get("/admin/tasks/"+task), "allowed search_tickets, for 15 min")
	shows(t, people["a viewer"].get("/admin/tasks/"+task), "resources/read at")
	shows(t, reader.get("/admin/tasks/"+task), "docs://"+canary+" at")
	if page := people["an admin"].get("/admin/ledger").Body; strings.Contains(page, "values=true") {
		t.Error("a file with values is offered to who may not have it")
	}
}

// TestReadArgsAdminAPI walks the admin API as one who may not read arguments would be answered, and as the
// operator is.
func TestReadArgsAdminAPI(t *testing.T) {
	w, task, _ := withCanary(t)
	grant := canaryGrant(t, w)
	queries := map[string]string{
		"/admin/api/users/show": "?user=" + w.user.ID, "/admin/api/resources/show": "?uri=" + url.QueryEscape(ticketsURI), "/admin/api/resources/drift": "?uri=" + url.QueryEscape(ticketsURI),
		"/admin/api/resources/access": "?uri=" + url.QueryEscape(ticketsURI), "/admin/api/switches/show": "?id=" + w.kill("domain", "nobody.example", "", 0),
		"/admin/api/switches/dryrun": "?level=user&subject=" + w.user.ID, "/admin/api/dryrun": "?task=" + task, "/admin/api/tasks/export": "?format=json", "/admin/api/tasks/show": "?id=" + grant,
		"/admin/api/audit/export": "?format=csv&values=true",
	}
	ask := func(h http.Handler, method, path string, body string) answer {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		return read(t, rec.Result(), nil)
	}
	without, with := w.server.AdminWithoutArgs(), w.server.Admin()
	want := []string{"/admin/api/audit/export", "/admin/api/audit/records", "/admin/api/findings", "/admin/api/tasks/show"}
	tell := map[string]bool{}
	for _, rt := range w.server.AdminRoutes() {
		if rt[0] != "GET" {
			for _, body := range []string{"{}", `{"id":"` + task + `","reason":"x"}`} {
				if got := ask(without, rt[0], rt[1], body); tellsCanary(got.Body) {
					t.Errorf("%s tells: %s", rt[1], got.Body)
				}
			}
			continue
		}
		got := ask(with, "GET", rt[1]+queries[rt[1]], "")
		if got.Status != http.StatusOK {
			t.Errorf("%s is %d %s; say how it is asked for", rt[1], got.Status, got.Body)
		}
		if tellsCanary(got.Body) {
			tell[rt[1]] = true
		}
		if got := ask(without, "GET", rt[1]+queries[rt[1]], ""); tellsCanary(got.Body) || got.Status != http.StatusOK && rt[1] != "/admin/api/audit/export" {
			t.Errorf("%s without the right: %d %s", rt[1], got.Status, got.Body)
		}
	}
	if got := slices.Sorted(maps.Keys(tell)); !slices.Equal(got, want) {
		t.Errorf("told with the right: %v, want %v", got, want)
	}
	for path, status := range map[string]int{"findings?dismissed=true": 200, "audit/records?task=" + task: 200, "audit/export?format=csv": 200, "audit/export?format=csv&values=true": 403} {
		got := ask(without, "GET", "/admin/api/"+path, "")
		if got.Status != status || tellsCanary(got.Body) || strings.Contains(got.Body, `"salt"`) {
			t.Errorf("%s: %d %s", path, got.Status, got.Body)
		}
	}
	records := ask(without, "GET", "/admin/api/audit/records?kind=execution.decided", "").Body
	var first struct {
		Payload struct {
			Tool     string   `json:"tool"`
			Withheld []string `json:"withheld"`
		} `json:"payload"`
	}
	must(t, json.Unmarshal([]byte(strings.SplitN(records, "\n", 2)[0]), &first))
	if first.Payload.Tool == "" || !slices.Contains(first.Payload.Withheld, "values.query") || !slices.Contains(first.Payload.Withheld, "arguments_digest") {
		t.Errorf("the names are not told: %s", records)
	}
	if got := ask(with, "GET", "/admin/api/findings?dismissed=true", ""); !tellsCanary(got.Body) {
		t.Errorf("dismissed findings to the operator: %s", got.Body)
	}
	if got := ask(with, "GET", "/admin/api/audit/export?format=ocsf&values=true", ""); got.Status != http.StatusBadRequest {
		t.Errorf("values as OCSF: %d", got.Status)
	}
}

// canaryGrant lends a task with the canary among its limits.
func canaryGrant(t *testing.T, w *world) string {
	t.Helper()
	a := w.agent(w.client)
	r := a.request()
	r.Set("authorization_details", `[{"type":"mcp_tool","locations":["`+ticketsURI+`"],"tool":"search_tickets","constraints":{"query":{"const":"`+canary+`"}}}]`)
	r.Del("scope")
	return w.claims(a.tokenOf(w.mara().consent(a.push(r), "search_tickets").Query().Get("code"))).Task.ID
}

// TestReadArgsIsGiven: an admin gives the right to others, never to themselves, and only beside a console
// role; it acts from the next request of a session that runs, and so does losing it.
func TestReadArgsIsGiven(t *testing.T) {
	w, task, _ := withCanary(t)
	admin, revoker, viewer := w.staff("admin@example.com", store.RoleAdmin), w.staff("revoker@example.com", store.RoleRevoker), w.staff("viewer@example.com", store.RoleViewer)
	id := w.id("viewer@example.com")
	form := func(user, give, reason string) url.Values {
		return url.Values{"user": {user}, "read_args": {give}, "reason": {reason}}
	}
	reads := func() bool { return tellsCanary(viewer.get("/admin/tasks/" + task).Body) }
	for name, tt := range map[string]struct {
		by     *browser
		form   url.Values
		status int
	}{
		"a revoker":          {revoker, form(id, "true", "x"), http.StatusForbidden},
		"the viewer":         {viewer, form(id, "true", "x"), http.StatusForbidden},
		"to themselves":      {admin, form(w.id("admin@example.com"), "true", "x"), http.StatusForbidden},
		"no reason":          {admin, form(id, "true", ""), http.StatusBadRequest},
		"nonsense":           {admin, form(id, "maybe", "x"), http.StatusBadRequest},
		"nothing":            {admin, url.Values{"user": {id}, "reason": {"x"}}, http.StatusBadRequest},
		"nobody":             {admin, form("usr_nobody", "true", "x"), http.StatusNotFound},
		"no console role":    {admin, form(w.user.ID, "true", "x"), http.StatusConflict},
		"a user of no rank":  {w.mara(), form(id, "true", "x"), http.StatusNotFound},
		"by saving the role": {admin, url.Values{"user": {id}, "console_role": {"viewer"}, "read_args": {"true"}, "reason": {"x"}}, http.StatusSeeOther},
	} {
		path := "/admin/readargs"
		if name == "by saving the role" {
			path = "/admin/role"
		}
		if got := tt.by.fill(path, tt.form); got.Status != tt.status || reads() {
			t.Errorf("%s: %d %s; reads: %v", name, got.Status, got.words(), reads())
		}
	}
	if got := admin.post("/admin/readargs", form(id, "true", "x")); got.Status < 400 || reads() {
		t.Errorf("without the page's token: %d", got.Status)
	}
	if page := admin.get("/admin/user?user=" + w.user.ID).Body; strings.Contains(page, "/admin/readargs") {
		t.Error("the right is offered to a user without a console role")
	}
	if page := admin.get("/admin/user?user=" + w.id("admin@example.com")).Body; strings.Contains(page, "/admin/readargs") {
		t.Error("an admin is offered the right for themselves")
	}
	shows(t, admin.get("/admin/user?user="+id), "Let this account read arguments", "remit user role --email=viewer@example.com --read-args=true")

	shows(t, admin.act("/admin/readargs", form(id, "true", "")), "viewer may read arguments", "Take the right away")
	if !reads() {
		t.Error("the right does not act on the next request")
	}
	rec, said := w.said("user.read_args")
	if rec.User != id || said["person"] != w.id("admin@example.com") || said["read_args"] != true || said["reason"] != "INC-2291 runaway agent" {
		t.Errorf("recorded: %v %v", rec, said)
	}
	shows(t, admin.get("/admin/users"), "viewer@example.com", "viewer may read arguments")
	if got := viewer.get("/admin/export/ledger?format=csv&values=true"); !tellsCanary(got.Body) {
		t.Errorf("a file with values: %d %s", got.Status, got.Body)
	}
	if _, said := w.said("console.exported"); said["values_told"] != true {
		t.Errorf("recorded: %v", said)
	}
	admin.act("/admin/role", url.Values{"user": {id}, "console_role": {"revoker"}})
	if !reads() {
		t.Error("another console role takes the right away")
	}
	admin.act("/admin/readargs", form(id, "false", ""))
	if reads() {
		t.Error("the right was taken away, and the session that runs has it")
	}
	if got := viewer.get("/admin/export/ledger?format=csv&values=true"); got.Status != http.StatusForbidden || tellsCanary(got.Body) {
		t.Errorf("a file with values afterwards: %d", got.Status)
	}
	admin.act("/admin/readargs", form(id, "true", ""))
	admin.act("/admin/role", url.Values{"user": {id}, "console_role": {"user"}})
	if got := viewer.get("/admin/tasks/" + task); got.Status != http.StatusNotFound {
		t.Errorf("without a role: %d", got.Status)
	}
	if _, said := w.said("user.read_args"); said["read_args"] != false {
		t.Errorf("recorded: %v", said)
	}
	admin.act("/admin/role", url.Values{"user": {id}, "console_role": {"viewer"}})
	if reads() {
		t.Error("the right came back with the role")
	}
}

// TestReadArgsByOperator: the operator gives the right, alone or with a role, and the ledger tells.
func TestReadArgsByOperator(t *testing.T) {
	w := newWorld(t)
	role := func(body map[string]any) answer {
		body["user"] = "mara@example.com"
		return w.operator("POST", "/admin/api/users/role", body)
	}
	for name, body := range map[string]map[string]any{"without a role": {"read_args": true}, "with the role of none": {"read_args": true, "console_role": "user"}} {
		if got := role(body); got.Status != http.StatusConflict || !strings.Contains(got.Body, "no console role") {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
	if got := role(map[string]any{}); got.Status != http.StatusBadRequest {
		t.Errorf("nothing: %d %s", got.Status, got.Body)
	}
	for _, step := range []struct {
		body map[string]any
		want bool
	}{
		{map[string]any{"console_role": "viewer", "read_args": true}, true},
		{map[string]any{"console_role": "admin"}, true},
		{map[string]any{"read_args": false}, false},
		{map[string]any{"read_args": true}, true},
	} {
		if got := role(step.body); got.Status != http.StatusOK || got.JSON["read_args"] != step.want {
			t.Errorf("%v: %d %s", step.body, got.Status, got.Body)
		}
	}
	if got := len(w.records("user.read_args")); got != 3 {
		t.Errorf("%d records", got)
	}
	add := map[string]any{"email": "new@example.com", "name": "New", "read_args": true}
	if got := w.operator("POST", "/admin/api/users", add); got.Status != http.StatusConflict {
		t.Errorf("a new user without a role: %d %s", got.Status, got.Body)
	}
	add["console_role"] = "viewer"
	if got := w.operator("POST", "/admin/api/users", add); got.Status != http.StatusCreated || got.JSON["read_args"] != true {
		t.Errorf("a new viewer: %d %s", got.Status, got.Body)
	}
}
