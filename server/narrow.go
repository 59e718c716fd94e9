package server

import (
	"context"
	"crypto/hmac"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/remit-auth/remit/consent"
	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/web"
)

// A user may take back part of a running task: tools, calls, arguments, time. It only ever gets less,
// and what was issued for more is dead with the same write (store.NarrowTask): the agent has to ask
// for a token again, and gets one for what is left. More needs a new consent.

// leg is a task's part at one resource, as its user may cut it down.
type leg struct {
	task     store.Task
	grants   []store.Grant // in force, all of the task's
	grant    store.Grant   // this one
	resource store.Resource
	before   tokens.Details
	used     map[string]int // calls that its budgets have counted, by tool
	offer    consent.Offer  // its tools, for the page and its form
	rights   rights
}

// leg reads the part of the user's own task that a request is about; the task's first, where none is named.
func (s *Server) leg(ctx context.Context, v *visitor, id, uri string) (l leg, err error) {
	t, grants, err := s.store.TaskByID(ctx, id)
	if errors.Is(err, store.ErrTaskNotFound) || err == nil && t.UserID != v.User.ID {
		return l, &oauth.Error{Code: oauth.InvalidRequest, Description: say(ctx, textNoSuchTask), HTTPStatus: http.StatusNotFound}
	}
	if err != nil {
		return l, err
	}
	l.task = t
	l.grants = slices.DeleteFunc(slices.Clone(grants), func(g store.Grant) bool { return !g.EndedAt.IsZero() })
	i := slices.IndexFunc(l.grants, func(g store.Grant) bool { return !s.isIdentity(g.Resource) && (uri == "" || g.Resource == uri) })
	if t.State.Terminal() || i < 0 {
		return l, &oauth.Error{Code: oauth.InvalidRequest, Description: say(ctx, textNothingToChange), HTTPStatus: http.StatusConflict}
	}
	l.grant = l.grants[i]
	if l.resource, err = s.store.ResourceByURI(ctx, l.grant.Resource); err != nil {
		return l, err
	}
	if l.before, err = tokens.ParseGrant(l.grant.Details); err != nil {
		return l, err
	}
	if l.used, err = s.store.CountedCalls(ctx, t.ID, l.resource.URI); err != nil {
		return l, err
	}
	client, err := s.store.ClientByID(ctx, t.ClientID)
	if err != nil {
		return l, err
	}
	pol, err := policyOf(l.resource)
	if err != nil {
		return l, err
	}
	ask := consent.Ask{ClientID: t.ClientID, Resource: l.resource.URI, Scopes: l.grant.Scopes, Bearer: t.JKT == ""}
	l.rights = newRights(pol, ask, client, t.RolesAt(l.resource.URI))
	l.offer = consent.Offer{Resource: l.resource, Tools: consent.Held(l.before, l.used, definitions(l.resource)), Reads: l.rights.Reads(), Default: 0}
	return l, nil
}

// definitions are the approved ones of a resource's tools.
func definitions(r store.Resource) func(string) (tokens.Definition, bool) {
	return func(name string) (tokens.Definition, bool) {
		i := slices.IndexFunc(r.Tools, func(t store.Tool) bool { return t.Name == name })
		if i < 0 {
			return tokens.Definition{}, false
		}
		def, err := tokens.ParseDefinition(r.Tools[i].Definition)
		return def, err == nil
	}
}

// changeTools serves GET /agents/{id}/tools: what the task may do, to be cut down.
func (s *Server) changeTools(w http.ResponseWriter, r *http.Request) error {
	v, err := s.visitor(r)
	if err != nil {
		return err
	}
	if v == nil {
		return s.signInPage(w, r, http.StatusOK, "", "", "", s.base+"/agents")
	}
	l, err := s.leg(r.Context(), v, chi.URLParam(r, "id"), r.URL.Query().Get("resource"))
	if err != nil {
		return err
	}
	return s.showTools(w, r, v, l, http.StatusOK, "")
}

// showTools renders the page.
func (s *Server) showTools(w http.ResponseWriter, r *http.Request, v *visitor, l leg, status int, notice string) error {
	ctx := r.Context()
	b, err := s.gatherTasks(ctx, []store.Task{l.task})
	if err != nil {
		return err
	}
	seen := l.seen()
	view := web.Narrow{
		Page: s.frame(ctx, v), Action: s.base + "/agents/" + l.task.ID + "/tools", Back: s.base + "/agents",
		Hidden: []web.Field{
			{Name: "resource", Value: l.resource.URI},
			{Name: "seen", Value: seen},
			{Name: "shown", Value: s.formToken(v, "narrow", l.task.ID, l.resource.URI, seen)},
		},
		Task: b.row(ctx, l.task), Resource: l.resource.Name, URI: l.resource.URI, Notice: notice,
		Groups: toolGroups(ctx, l.offer), Durations: s.shorter(ctx, l.task),
	}
	for _, g := range l.grants {
		if g.Resource != l.resource.URI && !s.isIdentity(g.Resource) {
			view.Others = append(view.Others, web.Link{
				Text: b.resources[g.Resource].Name, Href: view.Action + "?" + url.Values{"resource": {g.Resource}}.Encode(),
			})
		}
	}
	return s.render(w, r, status, web.NarrowPage(view))
}

// seen names the grants that the page was made from.
func (l leg) seen() string {
	var ids []string
	for _, g := range l.grants {
		ids = append(ids, g.ID)
	}
	return strings.Join(ids, " ")
}

// nearer are the times that a running task may be cut down to.
var nearer = []time.Duration{5 * time.Minute, 15 * time.Minute, 30 * time.Minute, 2 * time.Hour}

// shorter are the choices of a deadline: as it is, or nearer.
func (s *Server) shorter(ctx context.Context, t store.Task) []web.Duration {
	left := t.EndsAt.Sub(s.now())
	all := []web.Duration{{Seconds: 0, Text: say(ctx, textAsItIs, clock(ctx, t.EndsAt)), Checked: true}}
	for _, d := range nearer {
		if d < left {
			all = append(all, web.Duration{Seconds: int(d.Seconds()), Text: say(ctx, textIn, durationText(d))})
		}
	}
	return all
}

// narrowTask serves POST /agents/{id}/tools: the task gets less, at once.
func (s *Server) narrowTask(w http.ResponseWriter, r *http.Request) error {
	v, form, err := s.signedInForm(r)
	if err != nil {
		return err
	}
	id, uri, seen := chi.URLParam(r, "id"), form.Get("resource"), form.Get("seen")
	l, err := s.leg(r.Context(), v, id, uri)
	if err != nil {
		return err
	}
	if !hmac.Equal([]byte(form.Get("shown")), []byte(s.formToken(v, "narrow", id, uri, seen))) {
		return errForm
	}
	if seen != l.seen() {
		return s.showTools(w, r, v, l, http.StatusConflict, say(r.Context(), textTaskChanged))
	}
	d, err := s.readNarrowing(l, form)
	if err != nil {
		return err
	}
	n, err := s.narrowing(l, d)
	if errors.Is(err, consent.ErrNothing) {
		return s.endTasks(w, r, v, id)
	}
	if errors.Is(err, consent.ErrNotOffered) {
		return &oauth.Error{Code: oauth.InvalidRequest, Description: "The answer names something that was not offered.", Cause: err}
	}
	if errors.Is(err, consent.ErrTooMuch) {
		return &oauth.Error{Code: oauth.InvalidRequest, Description: "This is more than one task can hold. Go back and write fewer limits.", Cause: err}
	}
	if err != nil {
		return err
	}
	switch _, err = s.store.NarrowTask(r.Context(), n, narrowedRecord(l, n, d)); {
	case errors.Is(err, store.ErrGrantChanged):
		if l, err = s.leg(r.Context(), v, id, uri); err != nil {
			return err
		}
		return s.showTools(w, r, v, l, http.StatusConflict, say(r.Context(), textTaskChanged))
	case errors.Is(err, store.ErrTaskEnded):
	case err != nil:
		return err
	}
	http.Redirect(w, r, s.base+"/agents?"+url.Values{"told": {toldNarrowed}}.Encode(), http.StatusSeeOther)
	return nil
}

// readNarrowing reads the form as a decision about what the task has.
func (s *Server) readNarrowing(l leg, form oauth.Params) (consent.Decision, error) {
	o := l.offer
	o.Extends = &consent.Running{} // no duration is asked for here: the deadline only comes nearer
	d, err := readDecision(o, form)
	if err != nil || form.Get(web.FieldDuration) == "" {
		return d, err
	}
	seconds, err := strconv.Atoi(form.Get(web.FieldDuration))
	if err != nil || seconds < 0 || seconds > int((7*24*time.Hour).Seconds()) {
		return d, oauth.Refuse(oauth.InvalidRequest, "Choose how long the task may last.")
	}
	d.Duration = time.Duration(seconds) * time.Second
	return d, nil
}

// narrowing makes what is left of the task. Its other parts stay as they are, but are made anew: what
// was issued before is dead everywhere.
func (s *Server) narrowing(l leg, d consent.Decision) (store.Narrowing, error) {
	n := store.Narrowing{TaskID: l.task.ID, UserID: l.task.UserID, Replaces: strings.Fields(l.seen())}
	if d.Duration > 0 {
		n.EndsAt = s.now().Add(d.Duration)
	}
	for _, g := range l.grants {
		if g.Resource != l.resource.URI {
			n.Grants = append(n.Grants, anew(g, s.now()))
		}
	}
	for _, scope := range d.Reads {
		if !slices.ContainsFunc(l.offer.Reads, func(r consent.Read) bool { return r.Scope == scope }) {
			return n, consent.ErrNotOffered
		}
	}
	after, err := consent.Narrow(l.before, l.used, d)
	nothing := errors.Is(err, consent.ErrNothing)
	if err != nil && !nothing {
		return n, err
	}
	kept := anew(l.grant, s.now())
	kept.Scopes, after.Tools = l.rights.without(l.grant.Scopes, l.offer.Reads, d.Reads, after.Tools)
	if len(after.Tools) == 0 && len(d.Reads) == 0 {
		if len(n.Grants) == 0 || !slices.ContainsFunc(n.Grants, func(g store.Grant) bool { return !s.isIdentity(g.Resource) }) {
			return n, consent.ErrNothing
		}
		return n, nil // this part ends
	}
	canonical, err := consent.CanonicalGrant(after)
	if err != nil {
		return n, err
	}
	kept.Details, kept.Hash = canonical, tokens.HashBytes(canonical)
	n.Grants = append(n.Grants, kept)
	return n, nil
}

// anew is the same grant under another name.
func anew(g store.Grant, now time.Time) store.Grant {
	g.ID, g.CreatedAt = tokens.NewID("gnt_"), now
	return g
}

// without takes scopes away: those whose documents and prompts are no longer to be read, and those that
// reached only tools that are gone. A tool that nothing reaches then goes with them: to name it by a
// scope of its own could open more of it than was lent.
func (r rights) without(scopes []string, reads []consent.Read, kept []string, tools []tokens.ToolDetail) ([]string, []tokens.ToolDetail) {
	reading := func(scope string) bool {
		return slices.ContainsFunc(reads, func(one consent.Read) bool { return one.Scope == scope })
	}
	left := slices.DeleteFunc(slices.Clone(scopes), func(scope string) bool { return reading(scope) && !slices.Contains(kept, scope) })
	tools = slices.DeleteFunc(slices.Clone(tools), func(t tokens.ToolDetail) bool {
		return r.policy.Decide(scopes, r.policy.Roles(), t.Tool).Allowed && !r.policy.Decide(left, r.policy.Roles(), t.Tool).Allowed
	})
	left = slices.DeleteFunc(left, func(scope string) bool {
		reach := r.policy.Reach([]string{scope}, r.policy.Roles())
		return len(reach) > 0 && !slices.Contains(kept, scope) &&
			!slices.ContainsFunc(tools, func(t tokens.ToolDetail) bool { _, ok := reach[t.Tool]; return ok })
	})
	return left, tools
}

// narrowedRecord tells the ledger what is left.
func narrowedRecord(l leg, n store.Narrowing, d consent.Decision) store.Record {
	said := map[string]any{"by": store.ByUser, "was": l.grant.Hash, "granted": "[]", "deadline": l.task.EndsAt.Unix()}
	for _, g := range n.Grants {
		if g.Resource == l.resource.URI {
			said["granted"], said["grant"], said["scope"] = string(g.Details), g.Hash, g.Scopes
		}
	}
	if !n.EndsAt.IsZero() && n.EndsAt.Before(l.task.EndsAt) {
		said["deadline"] = n.EndsAt.Unix()
	}
	rec := store.NewRecord("task.narrowed", said)
	rec.Task, rec.User, rec.Client, rec.Agent, rec.Resource = l.task.ID, l.task.UserID, l.task.ClientID, l.task.JKT, l.resource.URI
	return rec
}

const (
	toldNarrowed        = "narrowed"
	textNarrowed        = "Done. The task has less from now on; what its agent held for more is dead at every server."
	textTaskChanged     = "The task changed since this page was made. Please look again."
	textNothingToChange = "Nothing of this task can be changed any more."
	textAsItIs          = "as it is: at %s"
	textIn              = "in %s from now"
)
