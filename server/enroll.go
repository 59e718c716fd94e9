package server

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// enrolment is what a Guard says first: the code that the operator gave it and its own key.
type enrolment struct {
	Code   string            `json:"enrolment_code"`
	Key    json.RawMessage   `json:"key"`
	Policy string            `json:"policy"`
	Tools  []json.RawMessage `json:"tools"`
}

// enrolled is all that a Guard needs to know from then on.
type enrolled struct {
	GuardID      string   `json:"guard_id"`
	Issuer       string   `json:"issuer"`
	Resource     string   `json:"resource"`
	JWKSURI      string   `json:"jwks_uri"`
	Manifest     string   `json:"manifest"`
	Feed         string   `json:"feed"`
	Ack          string   `json:"ack"`
	Executions   string   `json:"executions"`
	Reserve      string   `json:"reserve"`
	Introspect   string   `json:"introspect"`
	Grants       string   `json:"grants"`
	PendingTools []string `json:"pending_tools"`
}

// enroll serves POST /enroll: it spends the one-time code and takes the Guard's key. Everything in
// the request is checked before the code is spent, so that a refused request spends nothing.
func (s *Server) enroll(w http.ResponseWriter, r *http.Request) error {
	var in enrolment
	if err := readJSON(r, oauth.MaxBody, &in); err != nil {
		return err
	}
	// First of all, for to read a policy is work that is not done for strangers.
	if err := s.store.EnrolmentOpen(r.Context(), store.HashOf(in.Code)); err != nil {
		if errors.Is(err, store.ErrEnrolment) {
			return errEnrolment
		}
		return err
	}
	key, err := guardKey(in.Key)
	if err != nil {
		return err
	}
	m, err := parseManifest(in.Policy, in.Tools)
	if err != nil {
		return err
	}
	id := tokens.NewID(guardPrefix)
	rec := store.NewRecord("guard.enrolled", map[string]any{"guard": id, "key": json.RawMessage(key)})
	res, err := s.store.EnrolGuard(r.Context(), store.HashOf(in.Code), id, key, rec)
	if errors.Is(err, store.ErrEnrolment) {
		return errEnrolment
	}
	if err != nil {
		return err
	}
	s.hubs.drop(res.URI) // the former Guard of this resource is no longer heard
	if in.Policy != "" || len(in.Tools) > 0 {
		// The code is spent and the Guard is enrolled whatever happens now; it publishes again when it starts.
		if published, err := s.publish(r.Context(), res, m); err != nil {
			s.log.Error("manifest of an enrolled guard not published", "resource", res.URI, "err", err)
		} else {
			res = published
		}
	}
	return writeJSON(w, http.StatusCreated, s.enrolledAs(id, res))
}

var errEnrolment = oauth.Refuse(oauth.InvalidGrant, "the enrolment code is unknown, used or expired; make a new one with remit resource enrol")

func (s *Server) enrolledAs(guardID string, res store.Resource) enrolled {
	return enrolled{
		GuardID: guardID, Issuer: s.issuer, Resource: res.URI,
		JWKSURI: s.url("/jwks"), Manifest: s.url("/manifest"),
		Feed: s.url("/feed"), Ack: s.url("/feed/ack"),
		Executions: s.url("/executions"), Reserve: s.url("/executions/reserve"),
		Introspect: s.url("/introspect"), Grants: s.url("/grants/"),
		PendingTools: pendingTools(res.Tools),
	}
}
