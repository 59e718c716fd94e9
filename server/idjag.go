package server

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/remit-auth/remit/consent"
	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// idJAG are the claims of an identity assertion authorization grant that are looked at besides those of
// every assertion (draft-ietf-oauth-identity-assertion-authz-grant).
type idJAG struct {
	clientID, resource, scope, tenant string

	user     string // by which the user is found
	jkt      string // of the key that it is for; empty: it names none
	details  *tokens.Details
	verified bool // the address, or nothing is said of that
}

// readIDJAGClaims reads them. What would narrow the grant and cannot be read refuses the whole.
func readIDJAGClaims(t TrustedIssuer, raw []byte) (says idJAG, err error) {
	var claims map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(raw, &claims), tokens.CheckJSON(raw)); err != nil {
		return says, badAssertion(err)
	}
	name := t.UserClaim
	if name == "" {
		name = "email"
	}
	for name, into := range map[string]any{
		"client_id": &says.clientID, "resource": &says.resource, "scope": &says.scope, "tenant": &says.tenant, name: &says.user,
	} {
		if value, ok := claims[name]; ok {
			if err := json.Unmarshal(value, into); err != nil {
				return says, badAssertion(err)
			}
		}
	}
	if says.jkt, err = confirmedKey(claims); err != nil {
		return says, err
	}
	// OpenID Connect Core 1.0 §5.1, §5.7: an address that nobody has verified is not its holder's.
	verified, said := claims["email_verified"]
	says.verified = name != "email" || !said || string(verified) == "true"
	if value, ok := claims["authorization_details"]; ok {
		details, err := tokens.ParseDetails(value)
		if err != nil {
			return says, badAssertion(err)
		}
		says.details = &details
	}
	return says, nil
}

// confirmedKey is the thumbprint of the key that an assertion is for (RFC 7800 §3.1, RFC 9449 §6.1);
// empty: it is for no key. One confirmed in a way that cannot be checked here is not taken.
func confirmedKey(claims map[string]json.RawMessage) (jkt string, err error) {
	value, ok := claims["cnf"]
	if !ok {
		return "", nil
	}
	var cnf map[string]json.RawMessage
	if err := json.Unmarshal(value, &cnf); err != nil {
		return "", badAssertion(err)
	}
	if err := json.Unmarshal(cnf["jkt"], &jkt); err != nil || jkt == "" || len(cnf) != 1 {
		return "", badAssertion(errors.New("cnf names something else than the thumbprint of a key"))
	}
	return jkt, nil
}

// readIDJAG holds an ID-JAG to its profile: for this server alone, this client, used once, for a user known here.
func (s *Server) readIDJAG(ctx context.Context, t TrustedIssuer, raw string, client store.Client) (*vouched, error) {
	age := time.Duration(t.MaxAge) * time.Second
	if age == 0 {
		age = 5 * time.Minute
	}
	a, once, err := s.verifyForeign(ctx, t, raw, tokens.ForeignWant{Types: []string{typeIDJAG}, Sole: true, MaxAge: age, MaxLife: 10 * time.Minute})
	if err != nil {
		return nil, err
	}
	says, err := readIDJAGClaims(t, a.Raw)
	if err != nil {
		return nil, err
	}
	switch {
	case a.ID == "":
		return nil, badAssertion(errors.New("jti missing"))
	case says.clientID != client.ID:
		return nil, badAssertion(errors.New("client_id is another client's"))
	case !slices.Contains(t.Clients, client.ID) && !slices.Contains(t.Clients, "*"):
		return nil, oauth.Refuse(oauth.UnauthorizedClient, "the issuer does not vouch for this client here")
	case says.tenant != t.Tenant:
		return nil, badAssertion(errors.New("the user is of another tenant"))
	case says.user == "" || !says.verified:
		return nil, badAssertion(errors.New("the user is not named, or by an address that is not verified"))
	}
	user, err := s.store.UserByEmail(ctx, says.user)
	if errors.Is(err, store.ErrUserNotFound) {
		return nil, badAssertion(err)
	}
	if err != nil {
		return nil, err
	}
	v := &vouched{
		subject: user.ID, scopes: strings.Fields(says.scope), details: says.details, jkt: says.jkt, once: once,
		why: map[string]any{"issuer": t.Issuer, "subject": a.Subject, "assertion": a.ID},
	}
	if says.resource != "" {
		v.resources = []string{says.resource}
	}
	if !t.Destructive {
		v.refuse = func(o consent.Tool) bool { return o.Risk.Destructive }
	}
	return v, nil
}
