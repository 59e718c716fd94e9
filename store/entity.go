package store

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Sentinels of this file's nouns.
var (
	ErrUserNotFound     = errors.New("store: user not found")
	ErrUserExists       = errors.New("store: a user with this e-mail exists")
	ErrUserDisabled     = errors.New("store: user is disabled")
	ErrPasswordChanged  = errors.New("store: the password has been changed")
	ErrClientNotFound   = errors.New("store: client not found")
	ErrClientExists     = errors.New("store: client exists")
	ErrClientDisabled   = errors.New("store: client is disabled")
	ErrResourceNotFound = errors.New("store: resource not found")
	ErrResourceExists   = errors.New("store: resource exists")
	ErrEnrolment        = errors.New("store: enrolment code unknown, used or expired")
	ErrSessionNotFound  = errors.New("store: session unknown or expired")
	ErrLastAdmin        = errors.New("store: the last enabled admin")
	ErrNoConsoleRole    = errors.New("store: the user has no console role")
)

// ConsoleRole is what a person may do in Remit itself.
type ConsoleRole string

// The console roles, from least to most.
const (
	RoleUser    ConsoleRole = "user"
	RoleViewer  ConsoleRole = "viewer"
	RoleRevoker ConsoleRole = "revoker"
	RoleAdmin   ConsoleRole = "admin"
)

// User is a resource owner.
type User struct {
	ID           string // usr_…
	Email        string // compared without regard to case
	Name         string
	PasswordHash string // PHC string, argon2id; empty: no password sign-in
	ConsoleRole  ConsoleRole
	ReadArgs     bool // may read the values of arguments; counts for nothing without a console role
	Disabled     bool
	CreatedAt    time.Time
	Service      bool // no person: a client that acts for itself, under the client's id (RFC 9068 §5)
}

// ConsoleRights are a change of what a person may do in Remit itself.
type ConsoleRights struct {
	Role     ConsoleRole // empty: as it is
	ReadArgs *bool       // nil: as it is
}

// Session is a signed-in browser.
type Session struct {
	ID        Hash // of the cookie's value
	UserID    string
	AuthTime  time.Time
	ExpiresAt time.Time
	Method    string // how it began: ByPassword and its like
	Browser   string // what the browser calls itself, shortened; shown to its user alone
	Push      []byte // where it takes push messages, sealed; empty: it takes none
	Upstream  string // the issuer whose provider it began at; empty: none
	SID       string // the provider's name for its own session, where it told one
	Password  string // the hash of the password that it begins by, not kept; empty: it begins by something else
}

// People keeps users, their sessions and their roles at resources.
type People interface {
	// AddUser stores a new user. An e-mail already taken is ErrUserExists.
	AddUser(ctx context.Context, u User, recs ...Record) error
	// UserByEmail and UserByID return ErrUserNotFound for the unknown; disabled users are returned.
	UserByEmail(ctx context.Context, email string) (User, error)
	UserByID(ctx context.Context, id string) (User, error)
	// Users returns all of them; clients that act for themselves are found by ID alone.
	Users(ctx context.Context) ([]User, error)
	// DisableUser sets the flag and, when disabling, removes the user's sessions and ends every
	// live task of the user as revoked with reason "user_disabled". It returns the ended tasks. The
	// only enabled admin is not disabled: ErrLastAdmin.
	DisableUser(ctx context.Context, id string, disabled bool, recs ...Record) ([]Task, error)
	// SetConsoleRights changes what the user may do in Remit itself, from the next request on. The only
	// enabled admin stays one: ErrLastAdmin. Who is or becomes RoleUser may not read arguments: the right
	// ends with the role, does not come back with another, and giving it then is ErrNoConsoleRole.
	SetConsoleRights(ctx context.Context, id string, rights ConsoleRights, recs ...Record) error

	// AssignRole gives the user a role at a resource; repeating it changes nothing. An unknown user
	// or resource is ErrUserNotFound or ErrResourceNotFound, here and below.
	AssignRole(ctx context.Context, userID, resource, role string, recs ...Record) error
	// UnassignRole takes it away, and in the same step every access token of the user's live tasks at the
	// resource, which is told: what follows is issued by the roles that are left. Tokens that are being
	// made from the roles of before are refused (AccessToken.Generation). A role not held changes nothing.
	UnassignRole(ctx context.Context, userID, resource, role string, recs ...Record) error
	// RolesOf returns the user's roles at the resource, sorted.
	RolesOf(ctx context.Context, userID, resource string) ([]string, error)

	// AddSession stores a new session of a live user, or says ErrPasswordChanged where the password that it begins by
	// is no longer the user's. SessionByID returns it with its user, or ErrSessionNotFound when unknown or expired, or
	// ErrUserDisabled. RemoveSession forgets it.
	AddSession(ctx context.Context, s Session, recs ...Record) error
	SessionByID(ctx context.Context, id Hash) (Session, User, error)
	RemoveSession(ctx context.Context, id Hash) error
}

// ClientOrigin is how a client came to be known.
type ClientOrigin string

// The origins of clients.
const (
	ByAdmins       ClientOrigin = ""     // added by an admin
	ByDocument     ClientOrigin = "cimd" // its client_id is the URL of its metadata
	ByRegistration ClientOrigin = "dcr"  // registered itself (RFC 7591)
)

// Client is an AI application known to the server.
type Client struct {
	ID         string // cli_… or an https URL (CIMD)
	Metadata   ClientMetadata
	Policy     ClientPolicy
	SecretHash Hash // of client_secret; zero: none
	Disabled   bool
	CreatedAt  time.Time
	Origin     ClientOrigin
	Digest     Hash // of a registration that others may share; zero: none may
}

// ClientMetadata is what RFC 7591 §2 lets a client say of itself.
type ClientMetadata struct {
	ClientName              string          `json:"client_name,omitempty"`
	ClientURI               string          `json:"client_uri,omitempty"`
	RedirectURIs            []string        `json:"redirect_uris,omitempty"`
	PostLogoutRedirectURIs  []string        `json:"post_logout_redirect_uris,omitempty"` // OpenID Connect RP-Initiated Logout 1.0 §3.1
	GrantTypes              []string        `json:"grant_types,omitempty"`
	ResponseTypes           []string        `json:"response_types,omitempty"`
	Scope                   string          `json:"scope,omitempty"`
	TokenEndpointAuthMethod string          `json:"token_endpoint_auth_method,omitempty"` // none, client_secret_basic, client_secret_post, private_key_jwt
	JWKS                    json.RawMessage `json:"jwks,omitempty"`
	JWKSURI                 string          `json:"jwks_uri,omitempty"`
	ApplicationType         string          `json:"application_type,omitempty"`
	DPoPBoundAccessTokens   bool            `json:"dpop_bound_access_tokens,omitempty"`
}

// ClientPolicy is the admin's "remit" member: what the client may ask for. Zero values are the
// safest: DPoP required, PAR optional, every registered resource may be asked for.
type ClientPolicy struct {
	Grants       []string `json:"grants,omitempty"`        // grant types, of those registered for; empty: all of them, for a client that an admin added
	Scopes       []string `json:"scopes,omitempty"`        // empty: any
	Resources    []string `json:"resources,omitempty"`     // empty: any registered resource
	MaxDuration  int      `json:"max_duration,omitempty"`  // of a task, in seconds; 0: the server's limit
	AccessLife   int      `json:"access_life,omitempty"`   // of an access token, in seconds; 0: the server's limit
	ExchangeFrom []string `json:"exchange_from,omitempty"` // clients whose tasks this one may work in besides its own (RFC 8693)
	RequirePAR   bool     `json:"require_par,omitempty"`   // refuse authorization requests that were not pushed
	Bearer       bool     `json:"bearer,omitempty"`        // tokens without a key, where the resource allows them too
	RefreshGrace *int     `json:"refresh_grace,omitempty"` // seconds; nil: 10; 0: none

	RememberDays     *int `json:"remember_days,omitempty"`     // how long users may let a choice go on, at most; nil: as long as the server says; 0: not at all
	RememberSilently bool `json:"remember_silently,omitempty"` // without a page, where an admin added the client and it answers on the web

	TrustedByName bool `json:"verified_by_admin,omitempty"` // shown as "pre-registered by your admin"
}

// Clients keeps the registered clients.
type Clients interface {
	// AddClient stores a new client; an ID already taken is ErrClientExists.
	AddClient(ctx context.Context, c Client, recs ...Record) error
	// ClientByID returns ErrClientNotFound for the unknown; disabled clients are returned.
	ClientByID(ctx context.Context, id string) (Client, error)
	Clients(ctx context.Context) ([]Client, error)
	// SetClientPolicy replaces what the client may ask for, from the next request on. Unknown:
	// ErrClientNotFound.
	SetClientPolicy(ctx context.Context, id string, p ClientPolicy, recs ...Record) error
	// RegisterClient stores a client that registered itself and returns it; or, without records, the
	// client with the same digest that is there already, disabled or not, and counts it as renewed.
	RegisterClient(ctx context.Context, c Client, recs ...Record) (Client, error)
	// PutDocument stores what a client says of itself at its client_id and returns the client. It
	// makes the client when it is new; policy and flag of a known one stay. Former metadata under
	// which a task was lent is kept for MetadataAt, and the records are written in that case alone:
	// strangers change their documents at will.
	PutDocument(ctx context.Context, id string, m ClientMetadata, recs ...Record) (Client, error)
	// MetadataAt returns the metadata that the client had when a task was lent to it; ErrClientNotFound
	// when that is not known.
	MetadataAt(ctx context.Context, id string, at time.Time) (ClientMetadata, error)
	// ForgetClients forgets clients that no admin added, renewed last at this time or before, without
	// a task or a request, a bounded number at a time, and returns how many. Disabled ones stay.
	ForgetClients(ctx context.Context, renewed time.Time) (int, error)
	// DisableClient sets the flag and, when disabling, ends every live task of the client as
	// revoked with reason "client_disabled". It returns the ended tasks.
	DisableClient(ctx context.Context, id string, disabled bool, recs ...Record) ([]Task, error)
}

// Resource is a protected MCP server, named by its RFC 8707 URI.
type Resource struct {
	URI           string
	Name          string
	Policy        []byte          // the policy file as published, YAML
	PolicyVersion string          // "sha-256:…" of Policy
	Tools         []Tool          // sorted by name
	GuardKey      json.RawMessage // public JWK of the enrolled Guard; empty: not enrolled
	GuardID       string          // grd_…, the Guard's client_id; empty: not enrolled
	EnrolHash     Hash            // of the one-time enrolment code; zero: none outstanding
	EnrolExpires  time.Time
	Disabled      bool
	CreatedAt     time.Time
	AckSeq        int64     // newest feed sequence acknowledged by the Guard
	AckAt         time.Time // when
}

// Tool is one line of the manifest.
type Tool struct {
	Name       string
	Definition json.RawMessage // approved definition in RFC 8785 form; empty: never approved
	Hash       string          // its definition hash, "sha-256:…"; empty: never approved
	Live       json.RawMessage // what the Guard published last, when it differs from Definition
	LiveHash   string          // hash of Live; empty: the live definition is the approved one
	DefaultOn  bool            // the admin lets the consent page tick this additive tool
	Gone       bool            // approved, and not in the manifest that the Guard published last
}

// Resources keeps resources, their manifests and their Guards.
type Resources interface {
	// AddResource stores a new resource with its approved manifest; a taken URI is ErrResourceExists.
	AddResource(ctx context.Context, r Resource, recs ...Record) error
	// ResourceByURI and ResourceByGuard return ErrResourceNotFound for the unknown.
	ResourceByURI(ctx context.Context, uri string) (Resource, error)
	ResourceByGuard(ctx context.Context, guardID string) (Resource, error)
	Resources(ctx context.Context) ([]Resource, error)
	// NewEnrolment replaces the outstanding enrolment code of the resource.
	NewEnrolment(ctx context.Context, uri string, code Hash, expires time.Time, recs ...Record) error
	// EnrolmentOpen returns nil while a resource waits for this code, ErrEnrolment otherwise.
	EnrolmentOpen(ctx context.Context, code Hash) error
	// EnrolGuard spends the enrolment code and stores the Guard's key, in one step. An unknown,
	// used or expired code is ErrEnrolment. A former Guard of the resource is replaced.
	// The records are about the resource.
	EnrolGuard(ctx context.Context, code Hash, guardID string, key json.RawMessage, recs ...Record) (Resource, error)
	// PublishManifest stores what the Guard offers and enforces: its policy, and per tool the live
	// definition (Live and LiveHash, or else Definition and Hash). New and changed tools keep their
	// approved definition until ApproveTool; a tool no longer offered keeps it too and is Gone
	// until it is offered again, one that was never approved is forgotten.
	PublishManifest(ctx context.Context, uri string, policy []byte, policyVersion string, live []Tool, recs ...Record) (Resource, error)
	// ApproveTool makes the live definition with this hash the approved one. Another hash, or no
	// such tool, is ErrResourceNotFound; approving what is approved changes nothing.
	ApproveTool(ctx context.Context, uri, tool, hash string, recs ...Record) error
	// DisableResource sets the flag and, when disabling, ends every live task with a part at the
	// resource, its parts elsewhere too, as revoked with reason "resource_disabled". It returns the
	// ended tasks. No token is issued for a disabled resource; its Guard goes on hearing and telling.
	DisableResource(ctx context.Context, uri string, disabled bool, recs ...Record) ([]Task, error)
}
