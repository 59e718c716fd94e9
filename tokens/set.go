package tokens

import (
	"encoding/json"
	"fmt"
	"time"
)

// TypeSET is the typ of a security event token (RFC 8417 §2.3).
const TypeSET = "secevent+jwt"

// A SET tells one audience what happened (RFC 8417): the data of events by their URI.
type SET struct {
	Issuer   string
	Audience string
	ID       string
	IssuedAt time.Time
	Events   map[string]json.RawMessage
	KeyID    string // the kid that it was signed with; VerifySET sets it
}

type setWire struct {
	Issuer   string                     `json:"iss"`
	Audience []string                   `json:"aud"`
	ID       string                     `json:"jti"`
	IssuedAt int64                      `json:"iat"`
	Events   map[string]json.RawMessage `json:"events"`
}

// SignSET returns the SET as a JWT.
func (k SigningKey) SignSET(s SET) (string, error) {
	if err := s.check(); err != nil {
		return "", err
	}
	return k.Sign(TypeSET, setWire{s.Issuer, []string{s.Audience}, s.ID, s.IssuedAt.Unix(), s.Events})
}

// VerifySET returns a SET that a key of s signed for this issuer and this audience alone. It
// carries no exp (RFC 8417 §2.2): how old it may be is for the caller to judge.
func (s KeySet) VerifySET(raw, issuer, audience string) (SET, error) {
	payload, kid, err := s.Verify(raw, TypeSET)
	if err != nil {
		return SET{}, err
	}
	set, err := parseSET(payload)
	switch {
	case err != nil:
		return SET{}, err
	case issuer == "" || set.Issuer != issuer:
		return SET{}, fmt.Errorf("%w: %s", ErrWrongIssuer, shown(set.Issuer))
	case audience == "" || set.Audience != audience:
		return SET{}, fmt.Errorf("%w: %s", ErrWrongAudience, shown(set.Audience))
	}
	if err := set.check(); err != nil {
		return SET{}, err
	}
	set.KeyID = kid
	return set, nil
}

func parseSET(raw []byte) (SET, error) {
	var s SET
	r := newReader(raw)
	for name := range r.members() {
		switch name {
		case "iss":
			s.Issuer = r.text()
		case "aud":
			if all := r.texts(); len(all) == 1 {
				s.Audience = all[0]
			}
		case "jti":
			s.ID = r.text()
		case "iat":
			s.IssuedAt = r.time()
		case "events":
			s.Events = map[string]json.RawMessage{}
			for event := range r.members() {
				s.Events[event] = r.value()
			}
		default:
			r.value()
		}
	}
	if err := r.end(); err != nil {
		return SET{}, fmt.Errorf("%w: SET: %v", ErrMalformed, err)
	}
	return s, nil
}

func (s SET) check() error {
	if s.Issuer == "" || s.Audience == "" || s.ID == "" || len(s.ID) > maxJTI || s.IssuedAt.IsZero() || len(s.Events) == 0 {
		return fmt.Errorf("%w: SET: iss, aud, jti, iat or events missing", ErrMalformed)
	}
	return nil
}
