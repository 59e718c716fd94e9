package server

import (
	"context"
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

// moreURL is where the user may allow the tool of a refused call; empty: they cannot, or the task has it
// already as far as they could allow it.
func (b *taskBook) moreURL(ctx context.Context, rec store.Record, p executionPayload) (string, error) {
	if p.Tool == "" || p.Observed != "" || !slices.Contains(moreReasons, p.Reason) || !b.widenable[rec.Task] {
		return "", nil
	}
	i := slices.IndexFunc(b.resources[rec.Resource].Tools, func(t store.Tool) bool { return t.Name == p.Tool })
	if i < 0 {
		return "", nil
	}
	grants, known := b.grants[rec.Task]
	if !known {
		var err error
		if _, grants, err = b.s.store.TaskByID(ctx, rec.Task); err != nil {
			return "", err
		}
		b.grants[rec.Task] = grants
	}
	r, ok, err := consent.NewRunning(store.Task{ID: rec.Task}, grants, rec.Resource, true)
	if err != nil || !ok || !r.Lacks(b.resources[rec.Resource].Tools[i]) {
		return "", err
	}
	return b.s.base + "/agents/" + rec.Task + "/more?" + url.Values{"resource": {rec.Resource}, "tool": {p.Tool}}.Encode(), nil
}

// widenable reports whether the task is one of those that a step-up can extend.
func widenable(t store.Task) bool {
	return t.JKT != "" && t.Parent == "" && consent.Extendable(t)
}

// allowMore serves GET /agents/{id}/more: the page that asks about one more tool. It is for who comes from a
// page of ours: an agent knows the address too, and must ask in its own name.
func (s *Server) allowMore(w http.ResponseWriter, r *http.Request) error {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" { // Fetch Metadata
		http.Redirect(w, r, s.base+"/agents", http.StatusSeeOther)
		return nil
	}
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
	offer, err := s.offer(r, v, client, ask)
	if err != nil {
		return err
	}
	if len(offer.Tools)+len(offer.LeftOut) == 0 {
		return &oauth.Error{Code: oauth.InvalidRequest, Description: say(r.Context(), textHasItAlready), HTTPStatus: http.StatusConflict}
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
	toldWidened      = "widened"
	textHasItAlready = "The agent may use this tool already, as far as you can allow it. Its call was blocked for something else, such as what it asked the tool for, or before you allowed it."
	textWidened      = "Done. The agent may use the tool as soon as it asks for its next token."
)
