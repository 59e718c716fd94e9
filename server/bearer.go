package server

import (
	"context"
	"errors"
	"slices"

	"github.com/remit-auth/remit/consent"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource/policy"
)

// Tokens without a key (RFC 6750) exist only where the policies of both the client and the resource
// allow them: most of today's MCP clients know no other. Config.BearerForAll is the policy of clients
// that no admin added. Such tokens live at most 120 s, reach read-only tools unless the resource's
// admin widens that, and are marked wherever they are seen.

// mayBearer is the client's side of that: what an admin said of it, or says of all.
func (s *Server) mayBearer(c store.Client) bool {
	if c.Origin == store.ByAdmins {
		return c.Policy.Bearer
	}
	return s.bearerForAll && !c.Metadata.DPoPBoundAccessTokens // RFC 9449 §5.2
}

// asksBearer reports whether the request may end in a token without a key: it names none, and both
// policies allow that.
func (s *Server) asksBearer(client store.Client, resource store.Resource, jkt string) (bool, error) {
	if jkt != "" || !s.mayBearer(client) {
		return false, nil
	}
	p, err := policyOf(resource)
	if err != nil {
		return false, err
	}
	return p.Bearer() != policy.BearerNone, nil
}

// asksBearerAt asks it of all the resources that a request is about.
func (s *Server) asksBearerAt(client store.Client, resources []store.Resource, jkt string) (ok bool, err error) {
	for _, resource := range resources {
		if ok, err = s.asksBearer(client, resource, jkt); err != nil || !ok {
			return false, err
		}
	}
	return ok, nil
}

// bearerAllowed judges a grant at issuance, by the policies and the manifest as they are now.
func (s *Server) bearerAllowed(ctx context.Context, client store.Client, g store.Grant) (bool, error) {
	resource, err := s.store.ResourceByURI(ctx, g.Resource)
	if err != nil && !errors.Is(err, store.ErrResourceNotFound) {
		return false, err
	}
	if asks, err2 := s.asksBearer(client, resource, ""); err != nil || err2 != nil || !asks {
		return false, err2
	}
	p, err := policyOf(resource)
	if err != nil {
		return false, err
	}
	details, err := tokens.ParseGrant(g.Details)
	if err != nil {
		return false, err
	}
	r := rights{policy: p}
	return !slices.ContainsFunc(details.Tools, func(t tokens.ToolDetail) bool { return !r.BearerAllowed(readOnly(resource, t.Tool)) }), nil
}

// readOnly reports whether the approved definition of the tool says that it only reads.
func readOnly(resource store.Resource, tool string) bool {
	i := slices.IndexFunc(resource.Tools, func(t store.Tool) bool { return t.Name == tool })
	if i < 0 || len(resource.Tools[i].Definition) == 0 {
		return false
	}
	d, err := tokens.ParseDefinition(resource.Tools[i].Definition)
	return err == nil && consent.RiskOf(d).ReadOnly
}
