package provider

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/remit-auth/remit/store"
)

// identityLife is how long an ID token may be presented; the session that it tells of is another thing.
const identityLife = 5 * time.Minute

// Identity is what a code keeps for the ID token that comes of it (OpenID Connect Core 1.0 §2).
type Identity struct {
	Nonce    string   `json:"nonce,omitempty"`
	AuthTime int64    `json:"auth_time"` // Unix seconds
	Method   string   `json:"method"`    // store.Session.Method
	Scopes   []string `json:"scopes"`    // what the user allowed to be told
}

// Encode is the identity as a code keeps it.
func (i Identity) Encode() (string, error) {
	raw, err := json.Marshal(i)
	return string(raw), err
}

// PersonClaims say who the user is, as far as the scopes go (OpenID Connect Core 1.0 §5.4). Addresses
// come from an admin, or from a provider that has verified them; users cannot change theirs.
func PersonClaims(u store.User, scopes []string) map[string]any {
	claims := map[string]any{"sub": u.ID}
	if slices.Contains(scopes, "profile") && u.Name != "" {
		claims["name"] = u.Name
	}
	if slices.Contains(scopes, "email") && u.Email != "" {
		claims["email"], claims["email_verified"] = u.Email, true
	}
	return claims
}

// methods are the amr of each way to sign in (RFC 8176 §2).
var methods = map[string][]string{
	store.ByPassword: {"pwd"},
	store.ByCode:     {"pwd", "otp", "mfa"},
	store.ByPasskey:  {"hwk", "user"},
}

// idToken signs who the user is, to the client alone (OpenID Connect Core 1.0 §2); "" where the user
// was not asked to say so. It is of another type than every token that opens something.
func (p *Provider) idToken(st store.CodeState) (string, error) {
	if st.Code.Identity == "" {
		return "", nil
	}
	var i Identity
	if err := json.Unmarshal([]byte(st.Code.Identity), &i); err != nil {
		return "", err
	}
	now := p.now()
	claims := PersonClaims(st.User, i.Scopes)
	claims["iss"], claims["aud"] = p.issuer, st.Client.ID
	claims["iat"], claims["exp"], claims["auth_time"] = now.Unix(), now.Add(identityLife).Unix(), i.AuthTime
	if i.Nonce != "" {
		claims["nonce"] = i.Nonce
	}
	if amr := methods[i.Method]; amr != nil {
		claims["amr"] = amr
	}
	return p.signer("").Sign("JWT", claims)
}

// identityResource is the resource that stands for who the user is.
func (p *Provider) identityResource() string { return strings.TrimSuffix(p.issuer, "/") + "/userinfo" }
