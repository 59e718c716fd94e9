package web

import "context"

// Names of the console's form fields, beside those of the other pages.
const (
	FieldReason      = "reason"       // why, kept in the ledger
	FieldCount       = "count"        // how many tasks, as a person typed it
	FieldShown       = "shown"        // how many tasks the page said
	FieldUser        = "user"         // e-mail or id
	FieldClient      = "client"       // client_id
	FieldResource    = "resource"     // URI
	FieldRequest     = "request"      // req_…, as its answer named it
	FieldState       = "state"        // of tasks
	FieldConsoleRole = "console_role" // user, viewer, revoker, admin
	FieldReadArgs    = "read_args"    // true, false: may read the values of arguments
	FieldHash        = "hash"         // definition that is approved
	FieldLevel       = "level"        // of a kill switch
	FieldSubject     = "subject"      // what it is for
	FieldSeconds     = "seconds"      // how long
	FieldSwitch      = "switch"       // its id
	FieldArguments   = "arguments"    // JSON, of a call that nobody makes
	FieldKeyID       = "kid"          // of a signing key
	FieldConfirm     = "confirm"      // what a person typed before there is no way back
	FieldFinding     = "finding"      // its place in the ledger
	FieldKind        = "kind"         // of records
	FieldKey         = "key"          // bound or unbound: whether a task's tokens need its agent's key
)

// Desk is the frame of every page of the console.
type Desk struct {
	Page
	Role       string // the person's console role
	Areas      []Area
	CLI        []string // what does the same on the command line
	Notice     string   // what the last action did
	NoticeTone string
}

// Area is one part of the console.
type Area struct {
	Text, Href string
	Here       bool
}

// Cell is one fact in a table or a list of facts.
type Cell struct {
	Text string // shown as it is
	Free string // a stranger's words, quoted
	Href string // where the text, or else the words, lead
	Chip Chip
	Note string // in a smaller voice
}

// Table lists things, each with the same facts.
type Table struct {
	Name  string // what it lists
	Heads []string
	Rows  []TableRow
	Tick  string // name of the box before each row; empty: no boxes
	Empty string // said in place of an empty table
}

// TableRow is one thing. Label names it for the box.
type TableRow struct {
	ID, Label string
	Cells     []Cell
}

// Filter is a form whose answers stand in the page's address.
type Filter struct {
	Action string
	Hidden []Field
	Texts  []TextField
	Picks  []Pick
	Clear  string // the page without any; empty: there is nothing to clear
	Active []Active
}

// Said names one answer as the form does.
func (f Filter) Said(name, value string) string {
	for _, t := range f.Texts {
		if t.Name == name {
			return t.Label + ": " + value
		}
	}
	for _, p := range f.Picks {
		for _, o := range p.Options {
			if p.Name == name && o.Value == value {
				return p.Label + ": " + o.Text
			}
		}
	}
	return value
}

// Active is one answer that narrows what is listed, and the page without it.
type Active struct{ Text, Without string }

// TextField is one line to fill in.
type TextField struct{ Name, Label, Value string }

// Pick is a choice of one.
type Pick struct {
	Name, Label string
	Options     []Option
}

// Option is one of them.
type Option struct {
	Value, Text string
	Selected    bool
}

// Finding is something that a person should look at.
type Finding struct {
	At, Time string // RFC 3339, and for people
	Title    string
	Why      string
	Who      string // client and user
	Tone     string
	Task     Link // its timeline; empty: about no task
	Action   Link // the one thing to do now; empty: nothing
	Dismiss  Link // where it is said to be no problem; empty: not by this person

	Args   []Arg  // of the call that it is about
	Hidden string // says which are withheld; empty: none

	Dismissed string // who said that, and when; empty: nobody
	Reason    string // why
}

// ConsoleTasks is the console's first page: live tasks, and what is unusual about them.
type ConsoleTasks struct {
	Desk
	Figures  []Figure
	Charts   []Chart
	Danger   []Link    // such as: the kill switch
	Findings []Finding // the newest
	AllOf    string    // where all findings are
	Filter   Filter
	Exports  Exports
	Counts   string
	EndURL   string          // where ticked tasks are ended; empty: not by this person
	More     []ConsoleButton // what else may be done about them
	Table    Table
	Pages    Pages
}

// ConsoleFindings lists all findings, a page at a time.
type ConsoleFindings struct {
	Desk
	Hidden        string // that the reader may not see values; empty: they may
	Dismissed     bool   // those that are no problem, and no others
	Other         Link   // the other list
	Findings      []Finding
	Newest, Older string
}

// ConsoleList is a page with one table.
type ConsoleList struct {
	Desk
	Title, Note string
	Filter      Filter // none, when it has no texts
	Forms       []ConsoleForm
	Table       Table
	Count       string // which of how many are listed
	Earlier     string // the page before, in the list's order; empty: this is the first
	Further     string // the page after
}

// ConsoleItem is a page about one thing, or one decision.
type ConsoleItem struct {
	Desk
	Back     Link
	Title    string
	Free     string // a stranger's words under the title, quoted
	State    Chip
	Facts    []Fact
	Links    []Link // such as: its tasks, its kill switch
	Danger   []Link
	Forms    []ConsoleForm
	Sections []Section
}

// Fact is one line about the thing.
type Fact struct {
	Name  string
	Cells []Cell
}

// Section is a part of the page below the facts: a table, a timeline or definitions to compare.
type Section struct {
	ID            string
	Title, Note   string
	Hidden        string  // that the reader may not see values; empty: they may
	Filter        *Filter // a form whose answers stand in the address
	Exports       Exports
	Table         *Table
	Events        []EventRow
	Diffs         []Diff
	Empty         string
	Newest, Older string
}

// Exports lead to a list as a file of several formats.
type Exports struct {
	Note  string
	Links []Link
}

// EventRow is one record of the ledger, told.
type EventRow struct {
	At, Time string // RFC 3339, and for people
	Number   string // its place in the ledger; empty: not told
	Text     string
	Kind     string // what the ledger calls it; empty: not told
	Task     Link   // its task; empty: the page's
	Who      string // who did it, when that is a person
	Quote    string // words that a person or a stranger chose
	Chip     Chip
	Args     []Arg  // what a call was made with
	Hidden   string // names of those that the reader may not see
}

// Arg is one argument, its value as JSON.
type Arg struct{ Name, Value string }

// Diff is a tool that is not as it was approved. What its lines hold is shown as it is: whoever
// makes them has made visible what nobody would see.
type Diff struct {
	Name   string
	State  Chip
	Alarms []Chip // what to weigh first
	Fields []DiffField
	Hash   string // of what would be approved
	Form   ConsoleForm
}

// DiffField is one member of a definition that differs.
type DiffField struct {
	Name  string
	Lines []DiffLine
}

// DiffLine is one line: "-" approved only, "+" offered only, " " both, "…" left out.
type DiffLine struct{ Op, Text string }

// kind is the class of the line.
func (l DiffLine) kind() string {
	switch l.Op {
	case "-":
		return "was"
	case "+":
		return "is"
	}
	return "same"
}

// spoken is what a screen reader says before the line.
func (l DiffLine) spoken(ctx context.Context) string {
	switch l.Op {
	case "-":
		return say(ctx).Console.Was
	case "+":
		return say(ctx).Console.Is
	case "…":
		return say(ctx).Console.LeftOut
	}
	return ""
}

// ConsoleForm is something to do. Every one asks why.
type ConsoleForm struct {
	ID      string
	Title   string
	Note    string
	Hidden  []Field
	Count   int    // tasks that will end; more than one is to be typed
	Confirm string // to be typed; empty: nothing is
	Pick    Pick
	Buttons []ConsoleButton
}

// ConsoleButton sends its form to Action.
type ConsoleButton struct {
	Text, Action, Icon string
	Danger             bool
}

// kind is the class of the button.
func (b ConsoleButton) kind() string {
	if b.Danger {
		return "dng"
	}
	return "sec"
}

// action is where the form posts to when no button says otherwise.
func (f ConsoleForm) action() string {
	if len(f.Buttons) == 0 {
		return ""
	}
	return f.Buttons[0].Action
}

// noticeTone is the tone of the notice.
func (d Desk) noticeTone() string {
	if d.NoticeTone == "" {
		return ToneOK
	}
	return d.NoticeTone
}

// columns gives a row as many cells as the table has columns.
func (t Table) columns(r TableRow) []Cell {
	cells := make([]Cell, len(t.Heads))
	copy(cells, r.Cells)
	return cells
}
