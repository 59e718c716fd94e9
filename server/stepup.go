package server

import (
	"context"
	"errors"
	"net/http"
	"reflect"

	"github.com/remit-auth/remit/consent"
	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
)

// A step-up is an authorization request that extends a running task instead of beginning another
// (DESIGN §4). It names the task in mcp_task.task; a client that knows nothing of tasks is understood
// without: by the same client, user and key, at the same resource, asking for something new. What was
// lent stays lent, under the same purpose, deadline and budget. The code is redeemed with the task's
// own key alone, and from then on every token of the task, also by an older refresh token, carries
// what was granted before and now: a refresh token names its task, and the consent is the task's.

// errNotExtendable is what a request gets that names a task which it cannot extend. It does not
// say why: whether the task exists is nobody else's to know.
var errNotExtendable = oauth.Refuse(oauth.InvalidAuthorizationDetails, "the task named here is not a running, key-bound task of this client, key and resource; ask for a new one")

// checkExtends refuses a request that names a task which its client and key could not extend, before
// any page is shown. The user is not known yet.
func (s *Server) checkExtends(ctx context.Context, ask consent.Ask) error {
	if ask.Task() == "" {
		return nil
	}
	t, grants, err := s.store.TaskByID(ctx, ask.Task())
	if errors.Is(err, store.ErrTaskNotFound) {
		return errNotExtendable
	}
	if err != nil {
		return err
	}
	_, ok, err := extends(t, grants, ask, true)
	if err == nil && !ok {
		err = errNotExtendable
	}
	return err
}

// extends reports whether the request may extend the task, as far as client, key, resource and the
// task's state say. A task whose tokens are bound to no key cannot be: nobody could tell its agent from
// another. Nor can one that hangs under another: it is never wider than that (DESIGN §2.4), so that one
// is extended, and hands on anew.
func extends(t store.Task, grants []store.Grant, ask consent.Ask, named bool) (consent.Running, bool, error) {
	if t.ClientID != ask.ClientID || t.JKT == "" || t.JKT != ask.JKT || t.Parent != "" || !consent.Extendable(t) {
		return consent.Running{}, false, nil
	}
	return consent.NewRunning(t, grants, ask.Resource, named)
}

// errOtherUsersTask is a page, not an answer to the client: somebody else may be the one to answer.
var errOtherUsersTask = &oauth.Error{Code: oauth.AccessDenied, Description: "This request is about a task of another account. Sign in as the person who lent the task, or go back to the app.", HTTPStatus: http.StatusForbidden}

// stepUp makes the offer a step-up, if the request is one.
func (s *Server) stepUp(ctx context.Context, v *visitor, offer *consent.Offer) error {
	ask := offer.Ask
	if id := ask.Task(); id != "" {
		t, grants, err := s.store.TaskByID(ctx, id)
		if err != nil && !errors.Is(err, store.ErrTaskNotFound) {
			return err
		}
		r, ok, err2 := extends(t, grants, ask, true)
		switch {
		case err2 != nil:
			return err2
		case err == nil && t.UserID != v.User.ID:
			return errOtherUsersTask
		case err != nil, !ok:
			return errNotExtendable
		}
		if r.Used, err = s.store.CountedCalls(ctx, id, ask.Resource); err != nil {
			return err
		}
		offer.Extend(r)
		return nil
	}
	r, ok, err := s.runningTask(ctx, v, ask)
	if err != nil || !ok {
		return err
	}
	if r.Used, err = s.store.CountedCalls(ctx, r.Task.ID, ask.Resource); err != nil {
		return err
	}
	whole := *offer
	whole.Tools = append([]consent.Tool(nil), offer.Tools...)
	if !offer.Extend(r) { // nothing new: an agent that lost its tokens begins again
		*offer = whole
	}
	return nil
}

// runningTask finds the newest running task of this client, user and key at the resource. A request
// that gives another purpose is about something else.
func (s *Server) runningTask(ctx context.Context, v *visitor, ask consent.Ask) (none consent.Running, ok bool, err error) {
	if ask.JKT == "" {
		return none, false, nil
	}
	f := store.TaskFilter{UserID: v.User.ID, ClientID: ask.ClientID, JKT: ask.JKT, Resource: ask.Resource, Live: true, Begun: true}
	seen := 0
	for _, f.Limit = range []int{2, 100} { // nearly always the newest is the one, or there is none
		tasks, err := s.store.TaskList(ctx, f)
		if err != nil {
			return none, false, err
		}
		for _, t := range tasks[min(seen, len(tasks)):] {
			if ask.Purpose() != "" && ask.Purpose() != t.Purpose {
				continue
			}
			t, grants, err := s.store.TaskByID(ctx, t.ID)
			if err != nil {
				return none, false, err
			}
			if r, ok, err := extends(t, grants, ask, false); ok || err != nil {
				return r, ok, err
			}
		}
		if seen = len(tasks); seen < f.Limit {
			break
		}
	}
	return none, false, nil
}

// Moves compares what the policy says of a tool through some scopes, and through more.
func (r rights) Moves(scopes, more []string, tool string) bool {
	before := r.policy.Decide(scopes, r.roles, tool)
	after := r.policy.Decide(append(append([]string(nil), scopes...), more...), r.roles, tool)
	return !reflect.DeepEqual(before, after)
}
