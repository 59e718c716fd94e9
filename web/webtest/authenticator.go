//go:build browser

package webtest

import (
	"github.com/chromedp/cdproto/webauthn"
)

// Authenticator is a person's device with passkeys: it is present and, unless told otherwise, knows
// its person.
type Authenticator struct {
	tab *Tab
	id  webauthn.AuthenticatorID
}

// Authenticator gives the tab's browser a device of its own (WebAuthn Level 3 §11, virtual authenticators).
func (t *Tab) Authenticator() *Authenticator {
	t.T.Helper()
	command(t, webauthn.Enable, webauthn.EnableParams{})
	made := command(t, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
		HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
	}})
	return &Authenticator{t, made.AuthenticatorID}
}

// Verifies says whether the device recognises its person from now on.
func (a *Authenticator) Verifies(ok bool) {
	a.tab.T.Helper()
	command(a.tab, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: a.id, IsUserVerified: ok})
}

// Present says whether its person answers what it asks.
func (a *Authenticator) Present(there bool) {
	a.tab.T.Helper()
	command(a.tab, webauthn.SetAutomaticPresenceSimulation, webauthn.SetAutomaticPresenceSimulationParams{AuthenticatorID: a.id, Enabled: there})
}

// SignsWrongly says whether its signatures are wrong from now on.
func (a *Authenticator) SignsWrongly(wrong bool) {
	a.tab.T.Helper()
	command(a.tab, webauthn.SetResponseOverrideBits, webauthn.SetResponseOverrideBitsParams{AuthenticatorID: a.id, IsBogusSignature: &wrong})
}
