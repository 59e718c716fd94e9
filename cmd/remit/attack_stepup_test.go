package main_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// TestAttackStepUp plays the rows of step-up and of the approval of one call; SU4 and SU5 are among the races.
func TestAttackStepUp(t *testing.T) {
	play(t, map[string]row{"SU1": su1, "SU2": su2, "SU3": su3})
}

// extends is a request to add add_comment to a task.
func (w *world) extends(client string, key blackbox.Key, task string) *blackbox.Flow {
	f := w.flow()
	f.ClientID, f.Key = client, key
	f.Details = "[" + blackbox.Object{"type": "mcp_task", "task": task}.JSON() + "," +
		blackbox.Object{"type": "mcp_tool", "locations": []string{w.r1.URL}, "tool": "add_comment", "constraints": blackbox.Object{"project": blackbox.Object{"const": "WEB"}}}.JSON() + "]"
	return f
}

// reading is a task that may read alone.
func (w *world) reading(t *testing.T, who *blackbox.Browser) *blackbox.Flow {
	t.Helper()
	f := w.flow()
	f.Person, f.Details = who, w.details("get_ticket")
	return must(t, f, (*blackbox.Flow).ToToken)
}

// su1: nobody extends a task but its user, for its client, with its key.
func su1(t *testing.T, w *world) {
	lin := w.person(t, "lin", "user")
	w.remit(t, nil, "", "user", "assign", "--email", lin.Email, "--resource", w.r1.URL, "--role", "admin")
	f, lins, ended := w.reading(t, w.mara), w.reading(t, lin), w.reading(t, w.mara)
	w.remit(t, nil, "", "task", "end", ended.TaskID())
	for name, g := range map[string]*blackbox.Flow{
		"another client": w.extends(w.codeOnly, f.Key, f.TaskID()), "another key": w.extends(w.a, blackbox.NewKey(), f.TaskID()), "ended": w.extends(w.a, ended.Key, ended.TaskID()), "unknown": w.extends(w.a, f.Key, "tsk_aaaaaaaaaaaaaaaaaaaaaaaaaa"),
		"another user's": w.extends(w.a, lins.Key, lins.TaskID()),
	} {
		t.Run(name, func(t *testing.T) {
			records, tasks := w.rows(t)
			res, err := w.server.Send(t.Context(), g.Key, w.server.PAR, g.PushForm())
			if err != nil {
				t.Fatal(err)
			}
			sane(t, res)
			if g.RequestURI = res.Text("request_uri"); g.RequestURI == "" {
				seen(t, res)
			} else { // whose task it is shows when a user is there
				at := w.open(t, g.AuthorizeURL())
				if _, form, ok := blackbox.ConsentForm(at); ok && strings.Contains(at.Page.Text, "Same task") || at.Query("code") != "" {
					t.Errorf("the page offers to extend it: %v %s", form, at.Response)
				}
				seen(t, at.Response)
			}
			if r, n := w.rows(t); r != records || n != tasks {
				t.Errorf("it added %d ledger records and %d tasks", r-records, n-tasks)
			}
		})
	}
	g := w.extends(w.a, f.Key, f.TaskID())
	good(t, g, (*blackbox.Flow).ToToken)
	if g.TaskID() != f.TaskID() {
		t.Errorf("extended %s, not %s", g.TaskID(), f.TaskID())
	}
	if res := w.call(t, g, "add_comment", comment); res.Status != http.StatusOK {
		t.Errorf("what was added: %s", res)
	}
	w.works(t, lins)
}

// su2: a waiting call is its user's alone.
func su2(t *testing.T, w *world) {
	f, page := w.waiting(t)
	other := w.person(t, "curious", "admin")
	at, err := other.Get(t.Context(), page)
	if err != nil || strings.Contains(at.Page.Text, "from a reader") {
		t.Errorf("another user sees it: %v %s", err, at.Response)
	}
	want{statuses: []int{404}, page: true}.check(t, at.Response)
	mine, err := w.mara.Get(t.Context(), page)
	if err != nil {
		t.Fatal(err)
	}
	form, ok := mine.Page.With("decision")
	if !ok {
		t.Fatalf("no call waits: %s", mine.Response)
	}
	allow := form.Filled().Set("decision", "allow")
	for name, tt := range map[string]struct {
		cookies string
		form    blackbox.Form
	}{"another user with the form": {other.Cookies(), allow}, "nobody with the form": {"", allow}, "no token": {w.mara.Cookies(), allow.Without("csrf")}, "a guess": {w.mara.Cookies(), allow.Set("csrf", blackbox.Random(24))}} {
		t.Run(name, func(t *testing.T) {
			w.refuses(t, want{statuses: []int{401, 403, 404}, page: true}, func() (blackbox.Response, error) { return w.submitsAs(t, mine.Page, form, tt.cookies)(tt.form) })
			denied(t, w.call(t, f, "add_comment", comment), http.StatusForbidden, "approval_required")
		})
	}
	t.Run("another user with a token of their own", func(t *testing.T) {
		own, ok := w.sees(t, other, "/agents").Page.With("csrf")
		if !ok {
			t.Fatal("no form with a token")
		}
		w.refuses(t, want{statuses: []int{404}, page: true}, func() (blackbox.Response, error) {
			return w.submitsAs(t, mine.Page, form, other.Cookies())(allow.Set("csrf", own.Filled().Get("csrf")))
		})
		denied(t, w.call(t, f, "add_comment", comment), http.StatusForbidden, "approval_required")
	})
	if _, err := w.decideCall(t.Context(), w.mara, page, "allow"); err != nil {
		t.Fatal(err)
	}
	if res := w.call(t, f, "add_comment", comment); res.Status != http.StatusOK {
		t.Errorf("after its user allowed it: %s", res)
	}
	jot(t, goodAfter)
}

// su3: what was allowed is that call, of that task.
func su3(t *testing.T, w *world) {
	f, page := w.waiting(t)
	g, _ := w.waiting(t)
	if _, err := w.decideCall(t.Context(), w.mara, page, "allow"); err != nil {
		t.Fatal(err)
	}
	for name, arguments := range map[string]string{
		"another text": `{"project":"WEB","id":"WEB-118","text":"from a Reader"}`, "another ticket": `{"project":"WEB","id":"WEB-119","text":"from a reader"}`, "a blank more": `{"project":"WEB","id":"WEB-118","text":"from a reader "}`,
	} {
		t.Run(name, func(t *testing.T) {
			var o blackbox.Object
			if err := json.Unmarshal([]byte(arguments), &o); err != nil {
				t.Fatal(err)
			}
			res := w.call(t, f, "add_comment", o)
			denied(t, res, http.StatusForbidden, "approval_required")
			seen(t, res)
		})
	}
	t.Run("another task", func(t *testing.T) {
		res := w.call(t, g, "add_comment", comment)
		denied(t, res, http.StatusForbidden, "approval_required")
		seen(t, res)
	})
	if res := w.call(t, f, "add_comment", comment); res.Status != http.StatusOK {
		t.Errorf("the very call: %s", res)
	}
	jot(t, goodAfter)
	t.Run("the same again", func(t *testing.T) {
		res := w.call(t, f, "add_comment", comment)
		denied(t, res, http.StatusForbidden, "approval_required")
		seen(t, res)
	})
}
