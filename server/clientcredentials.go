package server

import (
	"net/http"

	"github.com/remit-auth/remit/consent"
	"github.com/remit-auth/remit/server/provider"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// clientCredentials serves grant_type=client_credentials (OAuth 2.1 §4.2): a client acts for itself. It
// is its own subject (RFC 9068 §5), and reaches what the roles reach that an admin assigned to it.
func (s *Server) clientCredentials(r *http.Request, g grantRequest) (provider.Response, error) {
	return s.lendTo(r, g, provider.Lending{Subject: g.client.ID, Kind: "task.lent_to_client"}, nil)
}

// lendTo makes the task that no user is asked about: for the subject, at the one resource that the
// request names.
func (s *Server) lendTo(r *http.Request, g grantRequest, l provider.Lending, narrow func(*consent.Ask) error, refuse ...func(consent.Tool) bool) (provider.Response, error) {
	none := provider.Response{}
	asked, err := g.details()
	if err != nil {
		return none, err
	}
	resource, err := s.readResource(r.Context(), g.client, g.targets(), asked)
	if err != nil {
		return none, err
	}
	ask := consent.Ask{ClientID: g.client.ID, Resource: resource.URI, Scopes: withoutOffline(g.scopes), Details: asked, JKT: g.jkt}
	if ask.Bearer, err = s.asksBearer(g.client, resource, g.jkt); err != nil {
		return none, err
	}
	if narrow != nil {
		if err := narrow(&ask); err != nil {
			return none, err
		}
	}
	lent, roles, err := s.lend(r.Context(), g.client, ask, l.Subject, refuse...)
	if err != nil {
		return none, err
	}
	l.Client, l.Resource, l.JKT, l.Roles = g.client, resource.URI, g.jkt, roles
	l.Scopes, l.Details = lent.Scopes, lent.Details
	if l.Asked = asked.Task; l.Asked == nil {
		l.Asked = &tokens.TaskDetail{}
	}
	return s.provider.Lend(r.Context(), l)
}

// targets are the resources that the request names, or that its credential names for it.
func (g grantRequest) targets() []string {
	if named := g.params.All("resource"); len(named) > 0 || g.vouched == nil {
		return named
	}
	return g.vouched.resources
}

// details are those that the request asks for, or that its credential grants (RFC 9396).
func (g grantRequest) details() (tokens.Details, error) {
	if g.vouched != nil && g.vouched.details != nil {
		return *g.vouched.details, nil
	}
	return readDetails(g.params)
}

// withoutOffline drops what says nothing here: such tasks are not refreshed.
func withoutOffline(scopes []string) []string {
	var kept []string
	for _, s := range scopes {
		if s != "offline_access" {
			kept = append(kept, s)
		}
	}
	return kept
}

// vouched is what an assertion of a trusted issuer says (RFC 7523 §3).
type vouched struct {
	subject   string // whose rights are used: a user, or the client itself
	resources []string
	scopes    []string // at most these; nil: it does not say
	details   *tokens.Details
	jkt       string // the only key that may present it; empty: any
	once      *store.Once
	why       map[string]any
	refuse    func(consent.Tool) bool // tools that it does not reach; nil: none
}
