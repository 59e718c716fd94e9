package web

// Names of the form fields that every page keeps stable, because password managers, scripts and
// the handlers rely on them.
const (
	FieldCSRF     = "csrf"
	FieldEmail    = "email"
	FieldPassword = "password"
	FieldTool     = "tool"     // one checkbox per tool, value = tool name
	FieldRead     = "read"     // one checkbox per scope that lets resources and prompts be read, value = scope
	FieldDuration = "duration" // seconds
	FieldRemember = "remember"
	FieldDecision = "decision" // allow or deny
	FieldTask     = "task"     // agents page: the task acted on
	FieldAction   = "action"   // agents page: end, suspend, resume or end_all
)

// Values of FieldDecision and FieldAction.
const (
	Allow = "allow"
	Deny  = "deny"
	More  = "more" // time, please

	ActionEnd     = "end"
	ActionSuspend = "suspend"
	ActionResume  = "resume"
	ActionEndAll  = "end_all"
)

// Tones of chips, notes and messages. Any other value is shown as ToneInfo.
const (
	ToneOK   = "ok"
	ToneWarn = "warn"
	ToneBad  = "bad"
	ToneInfo = "info"
)

// Page is what the frame around every page shows.
type Page struct {
	Operator string // who runs this server, in the header and the title
	Brand    Brand  // the operator's logo and colour
	Email    string // empty: not signed in
	CSRF     string // hidden in every form as FieldCSRF
	Dev      bool   // says loudly that this is a development server
	SignOut  string // where "Not you?" posts to; empty: not offered
	Base     string // path of the issuer, under which Static is mounted; empty: the root
	Account  string // where a signed-in user says how to sign in; empty: not offered
	Other    Link   // the other place of whoever has two: console and own agents
}

// Field is one hidden form field.
type Field struct{ Name, Value string }

// Consent is all that the consent page shows: one client, one task, one resource.
type Consent struct {
	Page
	Action    string
	Hidden    []Field
	Client    ClientCard
	Task      TaskCard
	Groups    []ToolGroup
	LeftOut   []LeftOut
	Durations []Duration
	Notice    string // what the user must know first, such as: a tool has changed
	Counts    string // a line under "What it may do", such as: 5 tools asked for
	AgentsURL string // where running tasks are watched and ended
	History   string // such as: You gave claude.ai access 4 times before; last 19 Nov.
	Remember  int    // for how many days a choice may go on; 0: not asked
	Remembers bool   // that was chosen before
	Expiry    Expiry
	Details   string  // the technical request, folded
	StepUp    *StepUp // the running task that would get more; nil: a new task
}

// ClientCard says who asks. Host is what was verified; Name is what the client calls itself.
type ClientCard struct {
	Words        string // that the device shows, instead of an address to go back to; empty: no device
	Title        string // how an admin named it; empty: it is called by its quoted Name
	Host         string // host of the client_id, the largest identity text
	Name         string // self-asserted, always quoted
	Grade        string // how far the identity is verified
	GradeNote    string
	GradeTone    string
	RedirectHost string // where the browser goes next, always shown
	RedirectNote string
	RedirectTone string
	Initial      string // the letter on the tile; there is no remote logo
	KeyBound     bool   // the token works only with the agent's key
	Loopback     bool   // the redirect goes to a program on this computer
	Unverified   bool   // nobody vouches for it: Title is not its name, the tile is grey
	Own          bool   // it does not ask: its user does, on a page of ours
}

// TaskCard says what for and where.
type TaskCard struct {
	Purpose     string // the agent's words, quoted
	Resource    string
	ResourceURI string
}

// ToolGroup is one fieldset of tools of the same kind of risk.
type ToolGroup struct {
	Title string
	Tools []ToolRow
}

// ToolRow is one tool that may be allowed or not.
type ToolRow struct {
	Name        string // the value that the form submits
	Field       string // under which name; empty: FieldTool
	Title       string
	Description string // text from the approved manifest
	Chips       []Chip
	Ticked      bool
	Disabled    bool
	Note        string
	Modes       []Mode // how it may be used; empty: not asked
	Limits      []Limit
}

// Limit is an argument of a tool with the fields by which a person may limit it.
type Limit struct {
	Argument string
	Open     bool // something is written there
	Fields   []LimitField
}

// LimitField is one such limit. What is written there can only take away.
type LimitField struct{ Name, Label, Value string }

// Expiry is until when a page can be answered.
type Expiry struct {
	Until   string // the time; empty: not said
	Seconds int    // how long that is from now
	More    bool   // it can be later
}

// Chip is a short fact: an icon, words and a colour, so that no fact is told by colour alone.
type Chip struct {
	Text string
	Tone string
	Icon string // eye pencil arrow cross key coin limit count; anything else: none
}

// LeftOut is a tool that was asked for and is not offered.
type LeftOut struct{ Tool, Reason string }

// Duration is one choice of how long the task may last at most.
type Duration struct {
	Seconds  int
	Text     string
	Checked  bool
	Disabled bool
	Note     string // why it is disabled
}

// Message is a page that only says something: an error, "you can close this window".
type Message struct {
	Page
	Title  string
	Text   string
	Detail string // codes and ids for whoever is asked for help
	Tone   string
	Links  []Link
	Form   *MessageForm // what may be answered; nil: nothing
}

// MessageForm is one button below a message.
type MessageForm struct {
	Action, Button string
	Hidden         []Field
}

// Link is a way on from a message.
type Link struct{ Text, Href string }

// Agents is the user's page of running and finished tasks.
type Agents struct {
	Page
	Action        string // where its forms post to; empty: /agents
	Live          Live
	Push          Push
	Waiting       []Waiting // calls that wait for the user
	Running       []TaskRow
	InAll         string // how many run, when not all are on this page
	Pages         Pages  // of those that run
	Finished      []TaskRow
	FinishedPages Pages
	Remembered    []RememberedRow // choices that go on
	Notice        string          // what the last action did
	NoticeTone    string          // empty: ToneOK
}

// Pages are the ways from one page of a list to others; empty where there is none.
type Pages struct{ Newest, Older string }

// Live is how a page keeps itself up to date where scripts run. Where they do not, it has a link.
type Live struct {
	Source string // server-sent events that say when to look again; empty: the page stays as it is
	Again  int    // look again after so many seconds, whatever is said; 0: no need
}

// TaskRow is one task on the agents page.
type TaskRow struct {
	ID        string
	Client    string // host of the client_id, or the admin's name for it
	Name      string // self-asserted, quoted; empty: not shown
	Resource  string
	Purpose   string
	State     string
	StateTone string
	LastUsed  string // empty: not used yet
	Offline   bool   // it goes on while its user is away
	Twins     string // that its app registered itself several times; empty: it did not
	Unbound   bool   // its tokens are bound to no key
	Started   string
	Ends      string
	Calls     int
	Blocked   int
	Missing   int       // records about its calls that could not be kept
	CallsURL  string    // the page of all calls; empty: there is none
	ChangeURL string    // the page that cuts it down; empty: there is none
	Newest    []CallRow // of a running task

	Left                      string // of a running task, such as: 12 min of 30 min left
	SecondsUsed, SecondsInAll int    // drawn as a bar; none when SecondsInAll is 0

	HowEnded    string
	Reached     string // where the end is in force, such as: dead everywhere in 0.3 s
	ReachedTone string

	CanEnd, CanSuspend, CanResume bool
}

// CallRow is one decision on a call.
type CallRow struct {
	Tool    string // its name
	Title   string // from the approved manifest, or a word of ours; empty: the name is shown
	At      string // RFC 3339
	Time    string // the same for people
	Blocked bool
	Reason  string // why it was blocked, in plain words
	MoreURL string // where its tool can be allowed; empty: nowhere
}

// Calls is the page of all calls of one task.
type Calls struct {
	Page
	Action string // where its forms post to, and the page that it leads back to
	Live   Live
	Task   TaskRow
	Calls  []CallRow
	Newest string // the first of these pages; empty: this is it
	Older  string // the next one; empty: this is the last
}
