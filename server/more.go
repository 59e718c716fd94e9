package server

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/go-chi/chi/v5"

	"github.com/remit-auth/remit/consent"
	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/server/provider"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// A person who sees that a call was refused may allow its tool without being asked by the agent. It is
// a step-up all the same, on the same page and under the same rules, only that no client waits for a
// code: what is allowed is in force at once, and the agent's next token carries it.

// moreReasons are those refusals of calls that the user's own consent would lift.
var moreReasons = []string{"scope", "tool_not_granted", "argument_limit", "tool_budget", "definition_changed"}

// moreURL is where the user may allow the tool of a refused call; empty: they cannot.
func (b *taskBook) moreURL(rec store.Record, p executionPayload) string {
	if p.Tool == "" || p.Observed != "" || !slices.Contains(moreReasons, p.Reason) || !b.widenable[rec.Task] {
		return ""
	}
	if !slices.ContainsFunc(b.resources[rec.Resource].Tools, func(t store.Tool) bool { return t.Name == p.Tool }) {
		return ""
	}
	return b.s.base + "/agents/" + rec.Task + "/more?" + url.Values{"resource": {rec.Resource}, "tool": {p.Tool}}.Encode()
}

// widenable reports whether the task is one of those that a step-up can extend.
func widenable(t store.Task) bool {
	return t.JKT != "" && t.Parent == "" && consent.Extendable(t)
}

// allowMore serves GET /agents/{id}/more: the page that asks about one more tool.
func (s *Server) allowMore(w http.ResponseWriter, r *http.Request) error {
	v, err := s.visitor(r)
	if err != nil {
		return err
	}
	if v == nil {
		return s.signInPage(w, r, http.StatusOK, "", "", "", s.base+"/agents")
	}
	query, refused := oauth.ParseQuery(r.URL.RawQuery)
	if refused != nil {
		return refused
	}
	t, err := s.ownTask(r.Context(), v, chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	ask := consent.Ask{
		ClientID: t.ClientID, Resource: query.Get("resource"), JKT: t.JKT, Own: true, AskedAt: s.now().UnixMicro(),
		Details: tokens.Details{Task: &tokens.TaskDetail{Task: t.ID}, Tools: []tokens.ToolDetail{{Tool: query.Get("tool")}}},
	}
	resource, err := s.store.ResourceByURI(r.Context(), ask.Resource)
	if errors.Is(err, store.ErrResourceNotFound) || !widenable(t) {
		return &oauth.Error{Code: oauth.InvalidRequest, Description: say(r.Context(), textNothingToChange), HTTPStatus: http.StatusConflict}
	}
	if err != nil {
		return err
	}
	if err := errors.Join(checkTools(ask.Details, resource), s.checkExtends(r.Context(), ask)); err != nil {
		return err
	}
	client, err := s.store.ClientByID(r.Context(), t.ClientID)
	if err != nil {
		return err
	}
	secret, err := s.pushRequest(r, ask, v.ID)
	if err != nil {
		return err
	}
	return s.showConsent(w, r, v, client, ask, secret, http.StatusOK, "")
}

// allowOwn puts what the user allowed in force. What came between, another step-up or a narrowing, is
// shown before anything counts.
func (s *Server) allowOwn(w http.ResponseWriter, r *http.Request, v *visitor, client store.Client, ask consent.Ask, decided store.Approval, recs []store.Record, secret string) error {
	t, grants, err := s.store.TaskByID(r.Context(), ask.Task())
	if err != nil {
		return err
	}
	wide, replaces, err := provider.Widen(decided.Grants[0], grants, s.now())
	if err == nil {
		decided.Widened, decided.Replaces = &wide, replaces
		err = s.store.Approve(r.Context(), decided, append(recs, provider.Widened(t, wide))...)
	}
	switch {
	case errors.Is(err, store.ErrGrantChanged):
		return s.showConsent(w, r, v, client, ask, secret, http.StatusConflict, say(r.Context(), textOfferChanged))
	case err != nil && notExtendable(err):
		return errNotExtendable
	case err != nil:
		return requestError(err)
	}
	http.Redirect(w, r, s.base+"/agents?"+url.Values{"told": {toldWidened}}.Encode(), http.StatusSeeOther)
	return nil
}

const (
	toldWidened = "widened"
	textWidened = "Done. The agent may use the tool as soon as it asks for its next token."
)
