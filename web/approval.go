package web

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Names and values of the fields of step-ups and approvals.
const (
	FieldMode = "mode." // and the tool's name: how the tool may be used; a number: so many calls

	FieldLimit = "limit." // and tool.argument.kind: what the person limits an argument to

	End          = "end"       // of FieldDecision: end the task instead
	Again        = "again"     // of FieldDecision: sign in again first
	ModeTask     = "task"      // for the task, as offered
	ModeEachCall = "each_call" // ask before each call
)

// Mode is one way in which a tool may be used.
type Mode struct {
	Value, Text string
	Selected    bool
}

// StepUp is what the consent page shows of the task that would be extended.
type StepUp struct {
	Left  string // such as: 12 min left
	Calls string // such as: 14 calls so far
	Lent  []LentTool
}

// LentTool is a tool that the task has already.
type LentTool struct {
	Name, Title string
	Chips       []Chip
}

// Approval is the page of one waiting call.
type Approval struct {
	Page
	Action    string
	Hidden    []Field
	Live      Live
	Client    string // host of the client_id, or the admin's name for it
	Name      string // self-asserted, quoted
	Purpose   string
	Resource  string
	URI       string // of the resource
	Tool      ToolRow
	Arguments []Argument
	NoWords   bool   // there are no arguments
	Asked     string // when
	Left      string // how long there is to decide
	Outcome   string // once it is decided: what became of it; the form is gone then
	Tone      string // of Outcome
	SignAgain bool   // to allow it, the person must have signed in a moment ago
	Notice    string // why the last answer did not count
}

// Argument is one argument of a waiting call, as it is.
type Argument struct {
	Name string
	Kind string // text, number, yes or no, list, object, nothing
	Text string // the value: text without its quotes, anything else as JSON
}

// Waiting is one call that waits for the user.
type Waiting struct {
	Href                   string
	Client, Title, Tool    string
	Resource, Asked, Until string
}

// How much of an argument is shown before it is folded.
const (
	foldAfterRunes = 400
	foldAfterLines = 12
	foldedShown    = 160
)

// folded reports whether the value is long.
func (a Argument) folded() bool {
	return utf8.RuneCountInString(a.Text) > foldAfterRunes || strings.Count(a.Text, "\n") >= foldAfterLines
}

// start is the beginning of a long value.
func (a Argument) start() string {
	first, _, _ := strings.Cut(a.Text, "\n")
	return capped(visible(first), foldedShown)
}

// size tells how long a value is.
func (a Argument) size(ctx context.Context) string {
	return fill(say(ctx).Approve.Size, strconv.Itoa(utf8.RuneCountInString(a.Text)))
}

// hiddenRunes counts what a reader could not see.
func (a Argument) hiddenRunes() (n int) {
	for _, r := range a.Name + a.Text {
		if r != '\n' && r != '\t' && invisible(r) {
			n++
		}
	}
	return n
}

func (a Argument) hiddenText(ctx context.Context) string {
	if n := a.hiddenRunes(); n != 1 {
		return fill(say(ctx).Approve.Hidden, strconv.Itoa(n))
	}
	return say(ctx).Approve.OneHidden
}

// visible shows text to the letter: what draws nothing, or turns the direction of its neighbours,
// stands as its number. Line breaks and tabs are kept.
func visible(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r != '\n' && r != '\t' && invisible(r) {
			fmt.Fprintf(&b, "⟨U+%04X⟩", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// stepUpTitle counts the tools asked for on top. Of a user who asks there is one.
func (c Consent) stepUpTitle(ctx context.Context) string {
	if c.Client.Own {
		return say(ctx).Approve.Own
	}
	if n := c.toolCount(); n != 1 {
		return fill(say(ctx).Approve.MoreTools, "{0}", strconv.Itoa(n))
	}
	return say(ctx).Approve.OneMore
}

// waitingText counts what waits.
func waitingText(ctx context.Context, n int) string {
	if n == 1 {
		return say(ctx).Approve.OneWaits
	}
	return fill(say(ctx).Approve.ManyWait, strconv.Itoa(n))
}
