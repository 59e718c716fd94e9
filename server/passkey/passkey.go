// Package passkey runs the two ceremonies of WebAuthn: adding a passkey and signing in with one. It
// is the only importer of the WebAuthn library. A ceremony is two steps; what the second must know
// of the first is handed out as bytes, which the caller keeps from being read, changed or used twice.
package passkey

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

// Errors of this package. What exactly was wrong with a response is in the error's text, for the log.
var (
	ErrRefused = errors.New("passkey: the response does not answer this ceremony")
	// ErrCloned: the authenticator's counter went back, so that two copies of the key may be in use
	// (WebAuthn Level 3 §6.1.1).
	ErrCloned = errors.New("passkey: the counter went back")
)

// Life is how long a person may take for a ceremony.
const Life = 5 * time.Minute

// Party is the server as browsers know it: passkeys work at its origin alone.
type Party struct{ web *webauthn.WebAuthn }

// User is whom a passkey stands for.
type User struct {
	ID, Email, Name string
	Credentials     [][]byte // as Create and SignIn returned them
}

// New returns the party whose origin is the issuer's (WebAuthn Level 3 §5.4.2). Passkeys belong to a
// domain: at an issuer whose host is an IP address, it is a party without passkeys.
func New(issuer, name string) (Party, error) {
	u, err := url.Parse(issuer)
	if err != nil {
		return Party{}, err
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		return Party{}, nil
	}
	timeout := webauthn.TimeoutConfig{Enforce: true, Timeout: Life, TimeoutUVD: Life}
	w, err := webauthn.New(&webauthn.Config{
		RPID: u.Hostname(), RPDisplayName: name, RPOrigins: []string{u.Scheme + "://" + u.Host},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationRequired,
		},
		Timeouts: webauthn.TimeoutsConfig{Login: timeout, Registration: timeout},
	})
	if err != nil {
		return Party{}, fmt.Errorf("passkey: %w", err)
	}
	return Party{w}, nil
}

// Able reports whether there are passkeys here.
func (p Party) Able() bool { return p.web != nil }

// BeginCreate returns the options for the browser (PublicKeyCredentialCreationOptionsJSON) and the
// state for Create. Passkeys that the user has are not made twice.
func (p Party) BeginCreate(u User) (options, state []byte, err error) {
	user, err := known(u)
	if err != nil {
		return nil, nil, err
	}
	var have []protocol.CredentialDescriptor
	for _, c := range user.credentials {
		have = append(have, c.Descriptor())
	}
	creation, session, err := p.web.BeginRegistration(user, webauthn.WithExclusions(have))
	if err != nil {
		return nil, nil, err
	}
	return both(creation.Response, session)
}

// Create checks the browser's answer and returns the new passkey's ID and its credential.
func (p Party) Create(u User, state, response []byte) (id, credential []byte, err error) {
	user, err := known(u)
	if err != nil {
		return nil, nil, err
	}
	session, err := read[webauthn.SessionData](state)
	if err != nil {
		return nil, nil, err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(response)
	if err != nil {
		return nil, nil, refused(err)
	}
	made, err := p.web.CreateCredential(user, session, parsed)
	if err != nil {
		return nil, nil, refused(err)
	}
	credential, err = json.Marshal(made)
	return made.ID, credential, err
}

// BeginSignIn returns the options for the browser (PublicKeyCredentialRequestOptionsJSON) and the
// state for SignIn. Nobody is named: the passkey tells who it is.
func (p Party) BeginSignIn() (options, state []byte, err error) {
	assertion, session, err := p.web.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return nil, nil, err
	}
	return both(assertion.Response, session)
}

// SignIn checks the browser's answer with the user whom find returns for the passkey's ID, and
// returns the passkey's ID and the credential after this use.
func (p Party) SignIn(state, response []byte, find func(id []byte) (User, error)) (id, credential []byte, err error) {
	session, err := read[webauthn.SessionData](state)
	if err != nil {
		return nil, nil, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(response)
	if err != nil {
		return nil, nil, refused(err)
	}
	var unfound error
	used, err := p.web.ValidateDiscoverableLogin(func(rawID, handle []byte) (webauthn.User, error) {
		u, err := find(rawID)
		if err != nil {
			unfound = err
			return nil, err
		}
		if string(handle) != u.ID { // §7.2 step 6: the handle names the owner
			return nil, ErrRefused
		}
		return known(u)
	}, session, parsed)
	if unfound != nil {
		return nil, nil, unfound
	}
	if err != nil {
		return nil, nil, refused(err)
	}
	if used.Authenticator.CloneWarning {
		return used.ID, nil, ErrCloned
	}
	credential, err = json.Marshal(used)
	return used.ID, credential, err
}

func refused(err error) error {
	if e, ok := errors.AsType[*protocol.Error](err); ok {
		return fmt.Errorf("%w: %s %s", ErrRefused, e.Details, e.DevInfo)
	}
	return fmt.Errorf("%w: %w", ErrRefused, err)
}

// person is a User as the library asks for one.
type person struct {
	User
	credentials []webauthn.Credential
}

func known(u User) (person, error) {
	p := person{User: u}
	for _, raw := range u.Credentials {
		c, err := read[webauthn.Credential](raw)
		if err != nil {
			return p, err
		}
		p.credentials = append(p.credentials, c)
	}
	return p, nil
}

// The user's ID is the user handle (WebAuthn Level 3 §5.4.3): it tells nothing of the person.
func (p person) WebAuthnID() []byte                         { return []byte(p.ID) }
func (p person) WebAuthnName() string                       { return p.Email }
func (p person) WebAuthnDisplayName() string                { return p.Name }
func (p person) WebAuthnCredentials() []webauthn.Credential { return p.credentials }

func both(options, session any) (o, s []byte, err error) {
	o, err1 := json.Marshal(options)
	s, err2 := json.Marshal(session)
	return o, s, errors.Join(err1, err2)
}

// read decodes what this package made.
func read[T any](raw []byte) (v T, err error) {
	if err := json.Unmarshal(raw, &v); err != nil {
		return v, fmt.Errorf("passkey: %w", err)
	}
	return v, nil
}
