package server

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/server/provider"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// grantType is one line of the table of grants: all in which a grant differs from the others. What
// they share is in token, so that none can forget it.
type grantType struct {
	name         string   // grant_type
	needs        []string // parameters that it cannot do without
	confidential bool     // only for clients that authenticate
	keyed        bool     // never without a proof, whatever the policies say
	// identify tells who asks; nil: a client, by authenticateClient.
	identify func(*http.Request, oauth.Params) (caller, error)
	// serve loads what is presented, checks all that binds it, cuts the rights, and commits one verb
	// of the store together with its ledger record.
	serve func(*http.Request, grantRequest) (provider.Response, error)
}

// grantRequest is a token request whose client is authenticated and may use the grant, whose targets
// and scopes the client's policy allows, and whose key is proven.
type grantRequest struct {
	caller
	params oauth.Params
	scopes []string // as asked; nil: not said
	jkt    string   // empty: no proof, which both policies must allow
	agreed *bool    // a proof that was presented besides has been spent by this request
}

// caller is who sends a token request.
type caller struct {
	client  store.Client
	guard   *store.Resource // a resource that exchanges its caller's token; client then stands for its Guard
	vouched *vouched        // what a trusted issuer's assertion says
}

// grantTypes is the table. The metadata list what stands here and nothing else (RFC 8414 §2).
func (s *Server) grantTypes() []grantType {
	table := []grantType{
		{name: oauth.GrantAuthorizationCode, needs: []string{"code"}, serve: s.redeemCode},
		{name: oauth.GrantRefreshToken, needs: []string{"refresh_token"}, serve: s.refresh},
		{name: oauth.GrantClientCredentials, confidential: true, serve: s.clientCredentials},
		{name: oauth.GrantDeviceCode, needs: []string{"device_code"}, serve: s.redeemDevice},
		{name: oauth.GrantTokenExchange, needs: []string{"subject_token", "subject_token_type"}, keyed: true, identify: s.identifyExchanger, serve: s.exchange},
	}
	if len(s.trust) > 0 {
		table = append(table, grantType{name: oauth.GrantJWTBearer, needs: []string{"assertion"}, identify: s.identifyBearer, serve: s.jwtBearer})
	}
	return table
}

// grantNames are the grant types of the table, as metadata and refusals list them.
func (s *Server) grantNames() (names []string) {
	for _, g := range s.grantTypes() {
		names = append(names, g.name)
	}
	return names
}

// token serves POST /token (OAuth 2.1 §3.2): parse, client, its policy, proof, and then what is the
// grant's own.
func (s *Server) token(w http.ResponseWriter, r *http.Request) error {
	p, refused := oauth.ParseBody(r)
	if refused != nil {
		return refused
	}
	g, err := s.grantOf(p)
	if err != nil {
		return err
	}
	who, err := s.identify(r, g, p)
	if err != nil {
		return err
	}
	scopes, err := s.checkGrantPolicy(g, who.client, p)
	if err != nil {
		return err
	}
	jkt, err := s.proveKey(w, r, "/token", "", !g.keyed && s.mayBearer(who.client))
	if err != nil {
		return err
	}
	request := grantRequest{who, p, scopes, jkt, new(bool)}
	response, err := g.serve(r, request)
	if errors.Is(err, store.ErrKeyStale) { // the key was changed between signing and storing; nothing was spent
		if err = s.ring.Reload(r.Context()); err == nil {
			response, err = g.serve(r, request)
		}
	}
	if errors.Is(err, store.ErrTaskNotActive) || errors.Is(err, store.ErrSwitched) {
		retryLater(w, 30) // suspended: clients must keep their credentials
	}
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, response)
}

func (s *Server) identify(r *http.Request, g grantType, p oauth.Params) (caller, error) {
	if g.identify != nil {
		return g.identify(r, p)
	}
	client, err := s.authenticateClient(r, p)
	return caller{client: client}, err
}

// grantOf finds the line of the table, and whether the request has what it needs.
func (s *Server) grantOf(p oauth.Params) (grantType, error) {
	name := p.Get("grant_type")
	if name == "" {
		return grantType{}, oauth.Refuse(oauth.InvalidRequest, "grant_type is missing")
	}
	table := s.grantTypes()
	i := slices.IndexFunc(table, func(g grantType) bool { return g.name == name })
	if i < 0 {
		return grantType{}, oauth.Refuse(oauth.UnsupportedGrantType, "the grant types are "+strings.Join(s.grantNames(), ", "))
	}
	for _, need := range table[i].needs {
		if !p.Has(need) {
			return grantType{}, oauth.Refuse(oauth.InvalidRequest, need+" is missing")
		}
	}
	return table[i], nil
}

// checkGrantPolicy holds the request to what the client may ask for at all, and returns its scopes.
// What was granted is judged later, against the same policy.
func (s *Server) checkGrantPolicy(g grantType, c store.Client, p oauth.Params) ([]string, error) {
	if !provider.MayUse(c, g.name) {
		return nil, oauth.Refuse(oauth.UnauthorizedClient, "the client is not registered for this grant type, or its policy does not allow it")
	}
	if g.confidential && authMethod(c) == oauth.AuthNone {
		return nil, oauth.Refuse(oauth.UnauthorizedClient, "this grant is for clients that authenticate")
	}
	for _, uri := range append(slices.Clone(p.All("resource")), p.All("audience")...) {
		if err := tokens.CheckResourceURI(uri); err != nil {
			return nil, oauth.Refuse(oauth.InvalidTarget, err.Error())
		}
		if !mayAsk(c, store.Resource{URI: uri}) {
			return nil, oauth.Refuse(oauth.InvalidTarget, "the resource is not known here, or not open to this client")
		}
	}
	scopes, err := oauth.Scopes(p.Get("scope"))
	if err != nil {
		return nil, oauth.Refuse(oauth.InvalidScope, err.Error())
	}
	for _, scope := range scopes {
		if !mayHave(c, scope) {
			return nil, oauth.Refuse(oauth.InvalidScope, "a scope is not open to this client")
		}
	}
	return scopes, nil
}

// mayHave reports whether the client may ask for the scope: what it registered for (RFC 7591 §2), and
// what its policy allows. offline_access says nothing here: every task may be refreshed until it ends.
func mayHave(c store.Client, scope string) bool {
	registered := strings.Fields(c.Metadata.Scope)
	return scope == "offline_access" ||
		(len(registered) == 0 || slices.Contains(registered, scope)) &&
			(len(c.Policy.Scopes) == 0 || slices.Contains(c.Policy.Scopes, scope))
}

// redeemCode serves grant_type=authorization_code (OAuth 2.1 §4.1.3).
func (s *Server) redeemCode(r *http.Request, g grantRequest) (provider.Response, error) {
	if !g.params.Has("code_verifier") {
		return provider.Response{}, oauth.Refuse(oauth.InvalidGrant, "code_verifier is missing")
	}
	return s.provider.RedeemCode(r.Context(), provider.CodeExchange{
		Client: g.client, Code: g.params.Get("code"), Verifier: g.params.Get("code_verifier"),
		RedirectURI: g.params.Get("redirect_uri"), Scopes: g.scopes, Resources: g.params.All("resource"), JKT: g.jkt,
	})
}

// refresh serves grant_type=refresh_token (OAuth 2.1 §4.3).
func (s *Server) refresh(r *http.Request, g grantRequest) (provider.Response, error) {
	in := provider.RefreshExchange{
		Client: g.client, Token: g.params.Get("refresh_token"), Scopes: g.scopes,
		Resources: g.params.All("resource"), JKT: g.jkt,
	}
	if raw := g.params.Get("authorization_details"); raw != "" {
		in.Details = []byte(raw)
	}
	return s.provider.Refresh(r.Context(), in)
}
