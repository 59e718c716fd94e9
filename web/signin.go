package web

// Names of the form fields of signing in, besides e-mail and password.
const (
	FieldReturnTo    = "return_to"
	FieldSealed      = "sealed"     // what the server must know again, sealed
	FieldCredential  = "credential" // a browser's answer to a ceremony of passkeys, as JSON
	FieldCode        = "code"       // one-time or recovery code
	FieldName        = "name"
	FieldNewPassword = "new_password"
	FieldID          = "id"

	FieldEndpoint = "endpoint" // where a browser takes push messages
	FieldP256DH   = "p256dh"
	FieldAuth     = "auth"
)

// SignIn is all that the sign-in page shows.
type SignIn struct {
	Page
	Action     string // where the form posts to
	Hidden     []Field
	Email      string // what was typed before, kept
	Error      string // why the last attempt failed
	Notice     string // why signing in is asked for, when that is not plain
	ClientHost string // whom signing in continues to; empty: nobody
	Passkey    Ceremony
	Providers  []Link // upstream providers
}

// Ceremony is one use of passkeys, which a script runs in the browser. Without scripts it is not offered.
type Ceremony struct {
	Action  string // where its form posts to; empty: not offered
	Options string // what the browser is asked, as JSON
	State   string
}

// SignInCode is the second step after a password.
type SignInCode struct {
	Page
	Action string
	Hidden []Field
	Error  string
}

// SetUp is the page of a server that has no user yet.
type SetUp struct {
	Page
	Action      string
	Hidden      []Field
	Email, Name string
	Error       string
}

// Account is the page on which a user decides how to sign in, and sees where they are signed in.
type Account struct {
	Page
	Action     string // where its forms post to
	Notice     string // what the last action did
	NoticeTone string
	Stale      string // where to sign in again, before anything can be changed; empty: no need
	Passkeys   []PasskeyRow
	Passkey    Ceremony // adds one
	HasCodes   bool     // a second factor is set up
	Recovery   int      // how many recovery codes are left
	CodeURL    string   // where one-time codes are set up
	Password   bool     // signs in with a password
	Sessions   []SessionRow
	Identities []Link // providers that may be linked
	Push       Push
	ExportURL  string
}

// Push is what the script for push messages needs to know. Without scripts there are none.
type Push struct {
	Key    string // the server's public key (RFC 8292)
	Worker string // the script that the browser wakes
	Action string // where its form posts to
	For    string // stands for the user, in what the browser keeps
	On     bool   // this browser's session takes push messages
}

// PasskeyRow is one passkey.
type PasskeyRow struct {
	ID, Name    string
	Added, Used string // Used is empty for one that was never used
}

// SessionRow is one browser that is signed in.
type SessionRow struct {
	ID           string
	Browser, How string
	Since        string
	Here         bool
}

// SetUpCodes shows the secret of new one-time codes, once.
type SetUpCodes struct {
	Page
	Action string
	Hidden []Field
	Square string // the QR code as the path data of an SVG
	Side   int    // its side in units of the path
	Secret string // the same to type, in groups
	Error  string
}

// Recovery shows new recovery codes, once.
type Recovery struct {
	Page
	Codes []string
	Back  string
}

// Actions of the account page.
const (
	ActionPasskeyAdd    = "passkey_add"
	ActionPasskeyRemove = "passkey_remove"
	ActionCodesRemove   = "codes_remove"
	ActionRecovery      = "recovery"
	ActionPassword      = "password"
	ActionSessionEnd    = "session_end"
	ActionSessionsEnd   = "sessions_end"
	ActionStopAll       = "stop_all"
	ActionPushOn        = "push_on"
	ActionPushOff       = "push_off"
)
