package upstream

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// Logout is what a provider says with a logout token (OpenID Connect Back-Channel Logout 1.0 §2.4).
type Logout struct {
	ID, Issuer   string
	Subject, SID string // one of them may be empty
	IssuedAt     time.Time
}

// Bounds of logout tokens. One is taken for as long as LogoutLife, and that its ID was used is to be
// remembered for as long.
const (
	maxSID     = 255
	maxJTI     = 255
	LogoutLife = 5 * time.Minute
	logoutSkew = 30 * time.Second // that the provider's clock may be ahead
)

const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// Logout checks a logout token (§2.6), all but that it is used once.
func (p *Provider) Logout(ctx context.Context, raw string) (Logout, error) {
	if err := checkLogoutType(raw); err != nil {
		return Logout{}, err
	}
	found, err := p.discover(ctx)
	if err != nil {
		return Logout{}, err
	}
	verifier := found.VerifierContext(oidc.ClientContext(ctx, p.http), &oidc.Config{ClientID: p.ClientID, SupportedSigningAlgs: algorithms, Now: p.now})
	token, err := verifier.VerifyLogout(ctx, raw)
	if err != nil {
		return Logout{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	var claims struct {
		Events map[string]json.RawMessage `json:"events"`
	}
	if err := token.Claims(&claims); err != nil || !strings.HasPrefix(string(claims.Events[logoutEvent]), "{") {
		return Logout{}, fmt.Errorf("%w: no logout event", ErrRefused)
	}
	switch age := p.now().Sub(token.IssuedAt); {
	case age > LogoutLife || age < -logoutSkew:
		return Logout{}, fmt.Errorf("%w: a logout token of %s ago", ErrRefused, age)
	case len(token.TokenID) > maxJTI || len(token.SessionID) > maxSID:
		return Logout{}, fmt.Errorf("%w: too long a jti or sid", ErrRefused)
	}
	return Logout{ID: token.TokenID, Issuer: token.Issuer, Subject: token.Subject, SID: token.SessionID, IssuedAt: token.IssuedAt}, nil
}

// checkLogoutType refuses a token that says that it is for something else (§2.4, RFC 8725 §3.11). Many
// providers say nothing.
func checkLogoutType(raw string) error {
	head, _, _ := strings.Cut(raw, ".")
	text, err := base64.RawURLEncoding.DecodeString(head)
	var header struct {
		Typ string `json:"typ"`
	}
	if err == nil {
		err = json.Unmarshal(text, &header)
	}
	if err != nil {
		return fmt.Errorf("%w: not a JWT", ErrRefused)
	}
	switch strings.TrimPrefix(strings.ToLower(header.Typ), "application/") {
	case "", "jwt", "logout+jwt":
		return nil
	}
	return fmt.Errorf("%w: a token of the type %q", ErrRefused, header.Typ)
}
