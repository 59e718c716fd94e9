package server

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/remit-auth/remit/consent"
	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/web"
)

// A request waits for ten minutes. Whoever reads slower, or writes limits with care, may have as much
// again, as often as they like within two hours (WCAG 2.2.1); what they chose so far is kept, as it is
// through a sign-in on the way (3.3.7).

// longestRequest is how long a request waits at most, however often its user asked for more time.
const longestRequest = 2 * time.Hour

// moreTime lets the request wait longer and shows its page again as it was filled in.
func (s *Server) moreTime(w http.ResponseWriter, r *http.Request, v *visitor, client store.Client, ask consent.Ask, held store.Request, secret string, form oauth.Params, before []answered) error {
	until := s.now().Add(requestLife)
	if most := held.CreatedAt.Add(longestRequest); until.After(most) {
		until = most
	}
	if err := s.store.ProlongRequest(r.Context(), held.ID, v.ID, until); err != nil {
		return requestError(err)
	}
	ask.Choices, ask.ChosenBy = choiceFields(form), v.User.ID
	return s.showPart(w, r, v, client, ask, secret, http.StatusOK, "", before)
}

// choiceFields are the fields of the form that hold choices.
func choiceFields(form oauth.Params) string {
	return form.Only(func(name string) bool {
		return slices.Contains([]string{web.FieldDuration, web.FieldTool, web.FieldRead, web.FieldRemember}, name) ||
			strings.HasPrefix(name, web.FieldMode) || strings.HasPrefix(name, web.FieldLimit)
	}).Encode()
}

// chosen fills the page in as this user had filled it in before. It is a page all the same: nothing
// counts before it is submitted.
func (v *visitor) chosen(ask consent.Ask, view *web.Consent) {
	if ask.Choices == "" || ask.ChosenBy != v.User.ID {
		return
	}
	form, refused := oauth.ParseFields(ask.Choices)
	if refused != nil {
		return
	}
	for _, g := range view.Groups {
		for i := range g.Tools {
			fillRow(form, &g.Tools[i])
		}
	}
	if one := form.Get(web.FieldDuration); slices.ContainsFunc(view.Durations, func(d web.Duration) bool { return strconv.Itoa(d.Seconds) == one && !d.Disabled }) {
		for i := range view.Durations {
			view.Durations[i].Checked = strconv.Itoa(view.Durations[i].Seconds) == one
		}
	}
	view.Remembers = form.Get(web.FieldRemember) != ""
}

func fillRow(form oauth.Params, row *web.ToolRow) {
	field := web.FieldTool
	if row.Field != "" {
		field = row.Field
	}
	row.Ticked = slices.Contains(form.All(field), row.Name)
	mode := form.Get(web.FieldMode + row.Name)
	if slices.ContainsFunc(row.Modes, func(m web.Mode) bool { return m.Value == mode }) {
		for i := range row.Modes {
			row.Modes[i].Selected = row.Modes[i].Value == mode
		}
	}
	fillLimits(form, row)
}

func fillLimits(form oauth.Params, row *web.ToolRow) {
	for i := range row.Limits {
		for k := range row.Limits[i].Fields {
			one := &row.Limits[i].Fields[k]
			one.Value = form.Get(one.Name)
			row.Limits[i].Open = row.Limits[i].Open || one.Value != ""
		}
	}
}

// expiry says until when the page can be answered, and whether that can be later.
func (s *Server) expiry(r *http.Request, client store.Client, secret string) (web.Expiry, error) {
	held, err := s.store.RequestByID(r.Context(), store.HashOf(secret), client.ID)
	if err != nil {
		return web.Expiry{}, requestError(err)
	}
	left := held.ExpiresAt.Sub(s.now())
	return web.Expiry{
		Until: sayTime(r.Context(), held.ExpiresAt, formSeconds), Seconds: int(left.Seconds()),
		More: held.ExpiresAt.Before(held.CreatedAt.Add(longestRequest)),
	}, nil
}
