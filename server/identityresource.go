package server

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/remit-auth/remit/consent"
	"github.com/remit-auth/remit/server/provider"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// Who the user is, is a resource of its own: the userinfo endpoint, named by its URL, with a policy
// that makes openid, profile and email scopes that open something to read (OpenID Connect Core 1.0
// §5.4). So it is asked, shown, granted, bound to a key, ended and written down like everything else:
// a token for it is good nowhere else, and an admin who disables it has no OpenID Connect.

// identityRole is held by everybody, at this one resource.
const identityRole = "person"

// The scopes that stand for it.
const (
	scopeOpenID  = "openid"
	scopeProfile = "profile"
	scopeEmail   = "email"
)

func isIdentityScope(scope string) bool {
	return scope == scopeOpenID || scope == scopeProfile || scope == scopeEmail
}

// identityURI names the resource.
func (s *Server) identityURI() string { return s.url("/userinfo") }

func (s *Server) isIdentity(uri string) bool { return uri == s.identityURI() }

const identityPolicy = `version: 1
bearer: read_only
scopes:
  openid:  {title: "Sign you in there: it learns which account is yours", roles: [openid]}
  profile: {title: "Your name", roles: [profile]}
  email:   {title: "Your e-mail address", roles: [email]}
roles:
  openid:  {resources: ["%[1]s"]}
  profile: {resources: ["%[1]s/name"]}
  email:   {resources: ["%[1]s/email"]}
  person:  {include: [openid, profile, email]}
`

// withIdentity adds the resource to those of a request that asks for openid. A step-up says nothing of
// who the user is: its task does, or does not, already.
func (s *Server) withIdentity(uris []string, ask *consent.Ask) []string {
	if !slices.Contains(ask.Scopes, scopeOpenID) || slices.Contains(uris, s.identityURI()) {
		return uris
	}
	if ask.Task() != "" {
		ask.Scopes = slices.DeleteFunc(ask.Scopes, isIdentityScope)
		return uris
	}
	return append(uris, s.identityURI())
}

// resourceOrIdentity finds a resource. The identity resource is stored when it is asked for first.
func (s *Server) resourceOrIdentity(ctx context.Context, uri string) (store.Resource, error) {
	resource, err := s.store.ResourceByURI(ctx, uri)
	if !errors.Is(err, store.ErrResourceNotFound) || !s.isIdentity(uri) {
		return resource, err
	}
	policy := []byte(fmt.Sprintf(identityPolicy, uri))
	resource = store.Resource{
		URI: uri, Name: textIdentityName, Policy: policy, PolicyVersion: tokens.HashBytes(policy), CreatedAt: s.now(),
	}
	rec := store.NewRecord("resource.added", map[string]any{"name": resource.Name, "policy": resource.PolicyVersion, "by": "server"})
	rec.Resource = uri
	if err := s.store.AddResource(ctx, resource, rec); err != nil && !errors.Is(err, store.ErrResourceExists) {
		return resource, err
	}
	return s.store.ResourceByURI(ctx, uri)
}

// identityOf is what the code keeps for an ID token, where the user allowed openid.
func (s *Server) identityOf(v *visitor, ask consent.Ask, grants []store.Grant) (string, error) {
	i := slices.IndexFunc(grants, func(g store.Grant) bool { return s.isIdentity(g.Resource) && slices.Contains(g.Scopes, scopeOpenID) })
	if i < 0 {
		return "", nil
	}
	return provider.Identity{Nonce: ask.Nonce, AuthTime: v.AuthTime.Unix(), Method: v.Method, Scopes: grants[i].Scopes}.Encode()
}
