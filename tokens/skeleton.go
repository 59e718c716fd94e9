package tokens

import (
	"crypto"
	"encoding/json"
	"errors"
	"time"
)

var errUnwritten = errors.New("tokens: not written yet")

func NewID(prefix string) string     { panic(errUnwritten) }
func NewSecret(prefix string) string { panic(errUnwritten) }

func Canonical(raw []byte) ([]byte, error)    { return nil, errUnwritten }
func StrictUnmarshal(raw []byte, v any) error { return errUnwritten }
func CheckJSON(raw []byte) error              { return errUnwritten }
func HashBytes(b []byte) string               { panic(errUnwritten) }

type Definition struct {
	Name, Title, Description string
	InputSchema              json.RawMessage
	Annotations              *Annotations
}
type Annotations struct {
	Title                                                        string
	ReadOnlyHint, DestructiveHint, IdempotentHint, OpenWorldHint *bool
}

func ParseDefinition(raw []byte) (Definition, error) { return Definition{}, errUnwritten }
func (d Definition) Canonical() ([]byte, error)      { return nil, errUnwritten }
func (d Definition) Hash() (string, error)           { return "", errUnwritten }

const (
	TypeTask = "mcp_task"
	TypeTool = "mcp_tool"
)

type Details struct {
	Task  *TaskDetail
	Tools []ToolDetail
}
type TaskDetail struct {
	Purpose     string
	MaxDuration int
	MaxCalls    int
	Task        string
}
type ToolDetail struct {
	Locations   []string
	Tool        string
	Constraints Constraints
	MaxCalls    int
	Approval    string
	Definition  string
}

func ParseDetails(raw []byte) (Details, error) { return Details{}, errUnwritten }
func (d Details) MarshalJSON() ([]byte, error) { return nil, errUnwritten }
func (d Details) Canonical() ([]byte, error)   { return nil, errUnwritten }
func (d Details) For(resource string) Details  { panic(errUnwritten) }

type Constraints map[string]AllOf
type AllOf []Constraint
type Constraint struct {
	Const               json.RawMessage
	Enum                []json.RawMessage
	Minimum, Maximum    *json.Number
	MaxLength, MaxItems *int
	Pattern             string
}
type ArgumentError struct{ Argument, Reason string }

func (e *ArgumentError) Error() string { return e.Argument + ": " + e.Reason }

func ParseConstraints(raw []byte) (Constraints, error) { return nil, errUnwritten }
func (c Constraints) And(o Constraints) Constraints    { panic(errUnwritten) }
func (c Constraints) MarshalJSON() ([]byte, error)     { return nil, errUnwritten }
func (c *Constraints) UnmarshalJSON(raw []byte) error  { return errUnwritten }
func (c Constraints) Text() []string                   { panic(errUnwritten) }
func (c Constraints) CheckArguments(arguments, schema []byte) (canonical []byte, err error) {
	return nil, errUnwritten
}

type Claims struct {
	Issuer, Subject, Audience, ClientID, ID string
	IssuedAt, Expires                       time.Time
	Scope                                   []string
	Roles                                   []string
	JKT                                     string
	Task                                    TaskClaim
	Details                                 Details
	GrantHash                               string
	Act                                     *Actor
}
type TaskClaim struct {
	ID   string
	Ends time.Time
}
type Actor struct {
	Subject, ClientID string
	Act               *Actor
}

func (c Claims) HasScope(s string) bool { panic(errUnwritten) }

type SigningKey struct{}

func NewSigningKey() (SigningKey, error)             { return SigningKey{}, errUnwritten }
func ParseSigningKey(raw []byte) (SigningKey, error) { return SigningKey{}, errUnwritten }
func (k SigningKey) ID() string                      { panic(errUnwritten) }
func (k SigningKey) Marshal() ([]byte, error)        { return nil, errUnwritten }
func (k SigningKey) PublicJWK() json.RawMessage      { panic(errUnwritten) }

type KeySet struct{}

func ParseKeySet(jwks []byte) (KeySet, error) { return KeySet{}, errUnwritten }
func NewKeySet(keys ...SigningKey) KeySet     { panic(errUnwritten) }
func (s KeySet) JWKS() ([]byte, error)        { return nil, errUnwritten }
func (s KeySet) Has(kid string) bool          { panic(errUnwritten) }
func ParsePublicJWK(raw []byte) (key crypto.PublicKey, jkt string, err error) {
	return nil, "", errUnwritten
}
func Thumbprint(pub crypto.PublicKey) (string, error) { return "", errUnwritten }

var (
	ErrMalformed     = errors.New("tokens: malformed")
	ErrSignature     = errors.New("tokens: bad signature")
	ErrUnknownKey    = errors.New("tokens: unknown key")
	ErrWrongType     = errors.New("tokens: wrong type")
	ErrExpired       = errors.New("tokens: expired")
	ErrNotYetValid   = errors.New("tokens: not yet valid")
	ErrWrongIssuer   = errors.New("tokens: wrong issuer")
	ErrWrongAudience = errors.New("tokens: wrong audience")
)

func (k SigningKey) Sign(typ string, claims any) (string, error) { return "", errUnwritten }
func (k SigningKey) SignAccessToken(c Claims) (string, error)    { return "", errUnwritten }

type AccessWant struct {
	Issuer, Audience string
	Now              time.Time
	Leeway           time.Duration
}

func (s KeySet) VerifyAccessToken(raw string, want AccessWant) (Claims, error) {
	return Claims{}, errUnwritten
}
func (s KeySet) OpenAccessToken(raw, issuer string) (Claims, error) { return Claims{}, errUnwritten }
func (s KeySet) Verify(raw, typ string) (payload []byte, kid string, err error) {
	return nil, "", errUnwritten
}

type Proof struct {
	JKT, ID, Method, Nonce, ATH string
	URI                         string
	IssuedAt                    time.Time
}
type ProofWant struct {
	Method, URL      string
	AccessToken      string
	Now              time.Time
	MaxAge, MaxAhead time.Duration
}

var (
	ErrProofMissing   = errors.New("tokens: no proof")
	ErrProofMany      = errors.New("tokens: more than one proof")
	ErrProofMalformed = errors.New("tokens: proof malformed")
	ErrProofType      = errors.New("tokens: proof typ")
	ErrProofAlgorithm = errors.New("tokens: proof alg")
	ErrProofKey       = errors.New("tokens: proof jwk")
	ErrProofSignature = errors.New("tokens: proof signature")
	ErrProofMethod    = errors.New("tokens: proof htm")
	ErrProofURI       = errors.New("tokens: proof htu")
	ErrProofTime      = errors.New("tokens: proof time")
	ErrProofID        = errors.New("tokens: proof jti")
	ErrProofToken     = errors.New("tokens: proof ath")
)

func ParseProof(headers []string, want ProofWant) (Proof, error) { return Proof{}, errUnwritten }
func (p Proof) ReplayKey() string                                { panic(errUnwritten) }
func NormalizeURI(raw string) (string, error)                    { return "", errUnwritten }

type ProofKey struct{}

func NewProofKey() (ProofKey, error)             { return ProofKey{}, errUnwritten }
func ParseProofKey(raw []byte) (ProofKey, error) { return ProofKey{}, errUnwritten }
func (k ProofKey) Marshal() ([]byte, error)      { return nil, errUnwritten }
func (k ProofKey) JKT() string                   { panic(errUnwritten) }
func (k ProofKey) Proof(method, url, nonce, accessToken string, now time.Time) (string, error) {
	return "", errUnwritten
}

type Nonces struct{}

func NewNonces(key []byte, life time.Duration) *Nonces          { panic(errUnwritten) }
func (n *Nonces) Issue(epoch string, now time.Time) string      { panic(errUnwritten) }
func (n *Nonces) Check(nonce, epoch string, now time.Time) bool { panic(errUnwritten) }

type Assertion struct {
	ClientID, ID string
	Expires      time.Time
}

func PeekAssertionClient(raw string) (clientID string, err error) { return "", errUnwritten }
func (s KeySet) VerifyAssertion(raw, clientID, issuer string, now time.Time) (Assertion, error) {
	return Assertion{}, errUnwritten
}
func (k SigningKey) Assertion(clientID, issuer string, now time.Time) (string, error) {
	return "", errUnwritten
}

type Sealer struct{}

func NewSealer(masterKey []byte) (Sealer, error)                  { return Sealer{}, errUnwritten }
func (s Sealer) Seal(plain []byte, label string) ([]byte, error)  { return nil, errUnwritten }
func (s Sealer) Open(sealed []byte, label string) ([]byte, error) { return nil, errUnwritten }
func SealFor(secret string, plain []byte) ([]byte, error)         { return nil, errUnwritten }
func OpenFor(secret string, sealed []byte) ([]byte, error)        { return nil, errUnwritten }

func VerifyPKCE(verifier, challenge string) bool { panic(errUnwritten) }
func ValidChallenge(s string) bool               { panic(errUnwritten) }
func ValidVerifier(s string) bool                { panic(errUnwritten) }
func S256(verifier string) string                { panic(errUnwritten) }

type CheckpointClaims struct {
	Issuer string
	Size   int64
	Head   string
	At     time.Time
}

func (k SigningKey) SignCheckpoint(c CheckpointClaims) (string, error) { return "", errUnwritten }
func (s KeySet) VerifyCheckpoint(raw string) (CheckpointClaims, error) {
	return CheckpointClaims{}, errUnwritten
}

type SET struct {
	Issuer, Audience, ID string
	IssuedAt             time.Time
	Events               map[string]json.RawMessage
}

func (k SigningKey) SignSET(s SET) (string, error)                   { return "", errUnwritten }
func (s KeySet) VerifySET(raw, issuer, audience string) (SET, error) { return SET{}, errUnwritten }
