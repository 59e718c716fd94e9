package server

import (
	"context"
	"crypto/hmac"
	"net/http"
	"net/url"
	"strings"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/web"
)

// The console is the other edge of the administration, for people who are signed in. Its pages call
// what the admin API calls (acting.go); who may ask for which is this list, and nowhere else.

// consoleRoute is one line of it: the least console role that may ask.
type consoleRoute struct {
	method, path string
	need         store.ConsoleRole
	serve        func(w http.ResponseWriter, r *http.Request, d *desk) error
}

// consoleRoutes are the console: viewers see, revokers take away, admins also give.
func (s *Server) consoleRoutes() []consoleRoute {
	return []consoleRoute{
		{"GET", "/admin", store.RoleViewer, s.consoleTasks},
		{"GET", "/admin/tasks/{id}", store.RoleViewer, s.consoleTask},
		{"GET", "/admin/ended", store.RoleViewer, s.consoleEnded},
		{"GET", "/admin/findings", store.RoleViewer, s.consoleFindings},
		{"GET", "/admin/findings/dismissed", store.RoleViewer, s.consoleDismissed},
		{"GET", "/admin/ledger", store.RoleViewer, s.consoleLedger},
		{"GET", "/admin/export/tasks", store.RoleViewer, s.consoleExportTasks},
		{"GET", "/admin/export/ledger", store.RoleViewer, s.consoleExportLedger},
		{"GET", "/admin/users", store.RoleViewer, s.consoleUsers},
		{"GET", "/admin/user", store.RoleViewer, s.consoleUser},
		{"GET", "/admin/clients", store.RoleViewer, s.consoleClients},
		{"GET", "/admin/client", store.RoleViewer, s.consoleClient},
		{"GET", "/admin/resources", store.RoleViewer, s.consoleResources},
		{"GET", "/admin/resource", store.RoleViewer, s.consoleResource},
		{"GET", "/admin/keys", store.RoleViewer, s.consoleKeys},
		{"GET", "/admin/kill", store.RoleViewer, s.consoleKills},
		{"GET", "/admin/kill/{id}", store.RoleViewer, s.consoleKillOne},
		{"GET", "/admin/access", store.RoleViewer, s.consoleAccess},
		{"GET", "/admin/openapi", store.RoleViewer, s.consoleDescription}, // of the admin API

		{"GET", "/admin/end", store.RoleRevoker, s.consoleReviewEnd},
		{"POST", "/admin/end", store.RoleRevoker, s.consoleEnd},
		{"GET", "/admin/findings/dismiss", store.RoleRevoker, s.consoleReviewDismiss},
		{"POST", "/admin/findings/dismiss", store.RoleRevoker, s.consoleDismiss},
		{"GET", "/admin/block", store.RoleRevoker, s.consoleReviewBlock},
		{"POST", "/admin/block", store.RoleRevoker, s.consoleBlock},
		{"GET", "/admin/reconsent", store.RoleRevoker, s.consoleReviewReconsent},
		{"POST", "/admin/reconsent", store.RoleRevoker, s.consoleReconsent},
		{"POST", "/admin/suspend", store.RoleRevoker, s.consoleSuspend},
		{"POST", "/admin/resume", store.RoleRevoker, s.consoleResume}, // a revoker: revokers' suspensions alone
		{"GET", "/admin/disable", store.RoleRevoker, s.consoleReviewDisable},
		{"POST", "/admin/disable", store.RoleRevoker, s.consoleDisable},
		{"GET", "/admin/kill/review", store.RoleRevoker, s.consoleKillReview},
		{"POST", "/admin/kill", store.RoleRevoker, s.consoleKill},
		{"POST", "/admin/kill/lift", store.RoleRevoker, s.consoleLift}, // a revoker: revokers' switches alone

		{"POST", "/admin/kill/confirm", store.RoleAdmin, s.consoleConfirm},
		{"POST", "/admin/enable", store.RoleAdmin, s.consoleEnable},
		{"POST", "/admin/role", store.RoleAdmin, s.consoleSetRole},
		{"POST", "/admin/readargs", store.RoleAdmin, s.consoleReadArgs},
		{"POST", "/admin/approve", store.RoleAdmin, s.consoleApprove},
		{"POST", "/admin/rotate", store.RoleAdmin, s.consoleRotate},
		{"GET", "/admin/key", store.RoleAdmin, s.consoleKey},
		{"POST", "/admin/key/kill", store.RoleAdmin, s.consoleKillKey},
	}
}

// consolePages are the console's lines on the public map.
func (s *Server) consolePages() (all []route) {
	for _, rt := range s.consoleRoutes() {
		all = append(all, route{rt.method, rt.path, s.console(rt)})
	}
	return all
}

// consolePage reports whether a path is one that signing in may lead to.
func (s *Server) consolePage(raw string) bool {
	path, _, _ := strings.Cut(raw, "?")
	rest, under := strings.CutPrefix(path, s.base+"/admin/")
	return under && strings.Trim(rest, "abcdefghijklmnopqrstuvwxyz234567_/") == "" && !strings.Contains(path, "//")
}

// consoleDescription serves GET /admin/openapi.
func (s *Server) consoleDescription(w http.ResponseWriter, _ *http.Request, _ *desk) error {
	return writeDescription(w)
}

// desk is a person at the console.
type desk struct {
	*visitor
	acting
	form oauth.Params // of a POST, its token checked
}

// may reports whether the person may do what needs this role.
func (d *desk) may(need store.ConsoleRole) bool { return reaches(d.acting.role, need) }

// reason is why, which every action must say.
func (d *desk) reason(ctx context.Context) (string, error) {
	reason := strings.TrimSpace(d.form.Get(web.FieldReason))
	if reason == "" {
		return "", bad(say(ctx, textNoReason))
	}
	return reason, checkReason(reason)
}

// console lets nobody past who may not ask. To users without a console role there is no console.
func (s *Server) console(rt consoleRoute) http.HandlerFunc {
	return s.page(func(w http.ResponseWriter, r *http.Request) error {
		v, err := s.visitor(r)
		if err != nil {
			return err
		}
		switch {
		case v == nil && r.Method == http.MethodPost:
			return errForm
		case v == nil:
			return s.signInPage(w, r, http.StatusUnauthorized, "", "", "", r.URL.RequestURI())
		case !reaches(v.User.ConsoleRole, store.RoleViewer):
			s.notFound(w, r)
			return nil
		}
		d := &desk{visitor: v, acting: atConsole(v.User)}
		if r.Method == http.MethodPost {
			if d.form, err = s.consoleForm(r, v); err != nil {
				return err
			}
		}
		if !d.may(rt.need) {
			return consoleError(forbidden(say(r.Context(), textRoleTooLow)))
		}
		return consoleError(rt.serve(w, r, d))
	})
}

// consoleForm reads a form that a page of this session made.
func (s *Server) consoleForm(r *http.Request, v *visitor) (oauth.Params, error) {
	form, refused := oauth.ParseForm(r, web.FieldTask)
	if refused != nil {
		return form, refused
	}
	if !hmac.Equal([]byte(form.Get(web.FieldCSRF)), []byte(s.formToken(v, "page"))) {
		return form, errForm
	}
	return form, nil
}

// consoleError says on a page what the admin API says as a problem.
func consoleError(err error) error {
	if err == nil {
		return nil
	}
	p := problemOf(err)
	e := &oauth.Error{Code: oauth.InvalidRequest, Description: p.Detail, HTTPStatus: p.Status, Cause: p.Cause}
	switch {
	case p.Status >= http.StatusInternalServerError:
		e.Code = oauth.ServerError
	case p.Status == http.StatusForbidden:
		e.Code = oauth.AccessDenied
	}
	return e
}

// areas are the parts of the console, by the paths that they begin with.
var areas = []struct{ path, text string }{
	{"/admin", textTasks},
	{"/admin/findings", textFindings},
	{"/admin/users", textUsers},
	{"/admin/clients", textClients},
	{"/admin/resources", textResources},
	{"/admin/keys", textKeys},
	{"/admin/ledger", textLedger},
	{"/admin/kill", textKill},
}

// desk is the frame of a console page in the area that begins with this path.
func (s *Server) desk(ctx context.Context, d *desk, area string, cli ...string) web.Desk {
	view := web.Desk{Page: s.frame(ctx, d.visitor), Role: string(d.acting.role), CLI: cli}
	view.SignOut += "?" + url.Values{"return_to": {s.base + "/admin"}}.Encode()
	view.Other = web.Link{Text: say(ctx, textOwnAgents), Href: s.base + "/agents"}
	for _, a := range areas {
		view.Areas = append(view.Areas, web.Area{Text: a.text, Href: s.base + a.path, Here: a.path == area})
	}
	return view
}

// at is the address of a console page.
func (s *Server) at(path string, query ...string) string {
	values := url.Values{}
	for i := 0; i+1 < len(query); i += 2 {
		values.Add(query[i], query[i+1])
	}
	if len(values) == 0 {
		return s.base + path
	}
	return s.base + path + "?" + values.Encode()
}

// cli is a command line that a shell and remit read as it is meant: a verb, what it is about, and
// flags in pairs of a name and a value. A flag of no value is left out; a last one without any stands alone.
func cli(verb string, about []string, flags ...string) string {
	line := []string{"remit", verb}
	var end []string
	for _, word := range about {
		if strings.HasPrefix(word, "-") { // a tool may have any name, also that of a flag
			end = []string{"--"}
		}
	}
	for _, word := range about {
		end = append(end, shellWord(word))
	}
	if len(end) == len(about) {
		line, end = append(line, end...), nil
	}
	for i := 0; i < len(flags); i += 2 {
		switch {
		case i+1 == len(flags):
			line = append(line, flags[i])
		case flags[i+1] != "":
			line = append(line, flags[i]+"="+shellWord(flags[i+1]))
		}
	}
	return strings.Join(append(line, end...), " ")
}

// on is what a command line is about.
func on(words ...string) []string { return words }

// shellWord quotes what a shell would not take as it is.
func shellWord(s string) string {
	plain := strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+:,./_-") == ""
	if s != "" && plain && len(s) < 1000 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
