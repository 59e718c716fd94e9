package tokens

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	maxUnix  = 253402300799 // the last second of the year 9999
	maxActor = 5            // of an act chain
)

// Claims are what an access token says (RFC 9068).
type Claims struct {
	Issuer    string
	Subject   string
	Audience  string // always one
	ClientID  string
	ID        string
	IssuedAt  time.Time
	Expires   time.Time
	Scope     []string
	Roles     []string // of the user at this resource, RFC 9068 §2.2.3.1
	Grade     string   // client_grade: how the client, and each that it acts for, came to be known; empty: not said
	JKT       string   // cnf.jkt, RFC 9449 §6.1; empty: a bearer token
	Task      TaskClaim
	Details   Details
	GrantHash string // instead of Details, when they are too large for a token
	Act       *Actor
	KeyID     string // the kid that it is signed with; of the header, not the payload
	Opaque    string // the text of an opaque token, which is not signed; never part of the payload
}

// TaskClaim names the task that the token is worth nothing without.
type TaskClaim struct {
	ID   string
	Ends time.Time
}

// Actor is who acts for the subject (RFC 8693 §4.1); Act is who acted before.
type Actor struct {
	Subject  string
	ClientID string
	Act      *Actor
}

// HasScope reports whether the token carries the scope s.
func (c Claims) HasScope(s string) bool { return slices.Contains(c.Scope, s) }

// claimsWire is the payload as it is written. It is read by claims.read, which decodes to the letter.
type claimsWire struct {
	Issuer    string    `json:"iss"`
	Subject   string    `json:"sub"`
	Audience  string    `json:"aud"`
	ClientID  string    `json:"client_id"`
	ID        string    `json:"jti"`
	IssuedAt  int64     `json:"iat"`
	Expires   int64     `json:"exp"`
	Scope     string    `json:"scope,omitempty"`
	Roles     []string  `json:"roles,omitempty"`
	Grade     string    `json:"client_grade,omitempty"`
	Confirm   *cnfWire  `json:"cnf,omitempty"`
	Task      *taskWire `json:"task,omitempty"`
	Details   *Details  `json:"authorization_details,omitempty"`
	GrantHash string    `json:"grant_hash,omitempty"`
	Act       *actWire  `json:"act,omitempty"`
}

type cnfWire struct {
	JKT string `json:"jkt"`
}

type taskWire struct {
	ID   string `json:"id"`
	Ends int64  `json:"exp"`
}

type actWire struct {
	Subject  string   `json:"sub"`
	ClientID string   `json:"client_id,omitempty"`
	Act      *actWire `json:"act,omitempty"`
}

// MarshalJSON writes the act claim.
func (a *Actor) MarshalJSON() ([]byte, error) { return json.Marshal(a.wire()) }

func (a *Actor) wire() *actWire {
	if a == nil {
		return nil
	}
	return &actWire{a.Subject, a.ClientID, a.Act.wire()}
}

// MarshalJSON writes the payload of the access token.
func (c Claims) MarshalJSON() ([]byte, error) {
	w := claimsWire{
		Issuer: c.Issuer, Subject: c.Subject, Audience: c.Audience, ClientID: c.ClientID, ID: c.ID,
		IssuedAt: c.IssuedAt.Unix(), Expires: c.Expires.Unix(),
		Scope: strings.Join(c.Scope, " "), Roles: c.Roles, Grade: c.Grade, GrantHash: c.GrantHash, Act: c.Act.wire(),
	}
	if c.JKT != "" {
		w.Confirm = &cnfWire{c.JKT}
	}
	if c.Task != (TaskClaim{}) {
		w.Task = &taskWire{c.Task.ID, c.Task.Ends.Unix()}
	}
	if c.Details.Task != nil || len(c.Details.Tools) > 0 {
		w.Details = &c.Details
	}
	return json.Marshal(w)
}

// accessPayload is the payload as it was read; nbf is judged, not kept.
type accessPayload struct {
	Claims
	notBefore time.Time
}

// parseAccess reads the payload of an access token and holds it to RFC 9068 §2.2: every required
// claim is there, in its one form. A cnf that is not a jkt refuses the token, so that no bound
// token is ever taken for a bearer token.
func parseAccess(raw []byte) (accessPayload, error) {
	var c accessPayload
	bound, r := false, newReader(raw)
	for name := range r.members() {
		switch name {
		case "iss":
			c.Issuer = r.text()
		case "sub":
			c.Subject = r.text()
		case "aud":
			c.Audience = r.audience()
		case "client_id":
			c.ClientID = r.text()
		case "jti":
			c.ID = r.text()
		case "iat":
			c.IssuedAt = r.time()
		case "exp":
			c.Expires = r.time()
		case "nbf":
			c.notBefore = r.time()
		case "scope":
			c.Scope = r.scope()
		case "roles":
			c.Roles = r.texts()
		case "client_grade":
			c.Grade = r.text()
		case "cnf":
			bound, c.JKT = true, r.confirmation()
		case "task":
			c.Task = r.task()
		case "authorization_details":
			c.Details = r.details(maxEntries)
		case "grant_hash":
			c.GrantHash = r.text()
		case "act":
			c.Act = r.actor(maxActor)
		default:
			r.value()
		}
	}
	if err := r.end(); err != nil {
		return c, fmt.Errorf("%w: claims: %v", ErrMalformed, err)
	}
	if bound && c.JKT == "" {
		return c, fmt.Errorf("%w: cnf without jkt", ErrMalformed)
	}
	if err := c.check(); err != nil {
		return c, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	return c, nil
}

// check holds for what is signed and for what is read.
func (c Claims) check() error {
	switch {
	case c.Issuer == "":
		return errors.New("iss missing")
	case c.Subject == "":
		return errors.New("sub missing")
	case c.ClientID == "":
		return errors.New("client_id missing")
	case c.ID == "" || len(c.ID) > maxJTI:
		return errors.New("jti missing or too long")
	case c.IssuedAt.IsZero() || c.Expires.IsZero() || !c.Expires.After(c.IssuedAt):
		return errors.New("iat or exp missing, or exp not after iat")
	case c.JKT != "" && !validDigest(c.JKT):
		return errors.New("cnf.jkt is no thumbprint")
	case c.GrantHash != "" && !validHash(c.GrantHash):
		return errors.New("grant_hash is no hash")
	}
	return nil
}

// audience reads aud; anything but one string is no audience of ours (DESIGN §4).
func (r *reader) audience() string {
	if r.kind() != '"' {
		r.value()
		return ""
	}
	return r.text()
}

// time reads a NumericDate in whole seconds.
func (r *reader) time() time.Time {
	return time.Unix(r.integer(1, maxUnix), 0).UTC()
}

// scope reads a space-delimited list (RFC 6749 §3.3).
func (r *reader) scope() []string {
	s := r.text()
	if s == "" {
		return nil
	}
	all := strings.Split(s, " ")
	if slices.Contains(all, "") {
		r.fail("scope is no list")
	}
	return all
}

func (r *reader) texts() (all []string) {
	for range r.items() {
		all = append(all, r.text())
	}
	return all
}

func (r *reader) confirmation() (jkt string) {
	for name := range r.members() {
		if name == "jkt" {
			jkt = r.text()
		} else {
			r.value()
		}
	}
	return jkt
}

func (r *reader) task() (t TaskClaim) {
	for name := range r.members() {
		switch name {
		case "id":
			t.ID = r.text()
		case "exp":
			t.Ends = r.time()
		default:
			r.value()
		}
	}
	if t.ID == "" || t.Ends.IsZero() {
		r.fail("task without id or exp")
	}
	return t
}

func (r *reader) actor(depth int) *Actor {
	if depth == 0 {
		r.fail("more than %d actors", maxActor)
		return nil
	}
	a := new(Actor)
	for name := range r.members() {
		switch name {
		case "sub":
			a.Subject = r.text()
		case "client_id":
			a.ClientID = r.text()
		case "act":
			a.Act = r.actor(depth - 1)
		default:
			r.value()
		}
	}
	return a
}
