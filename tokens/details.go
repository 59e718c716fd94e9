package tokens

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The types of authorization details (RFC 9396 §2) that Remit knows.
const (
	TypeTask = "mcp_task"
	TypeTool = "mcp_tool"
)

// ApprovalEachCall is the one value of ToolDetail.Approval: ask the user before every call.
const ApprovalEachCall = "each_call"

const (
	maxDetails   = 64 << 10 // bytes
	maxEntries   = 64
	maxGrant     = 1 << 20 // bytes of details that were granted, for scopes may stand for many tools
	maxGranted   = 1001    // a task and the tools of one manifest
	maxLocations = 8
	maxPurpose   = 140 // runes
	maxCount     = 1_000_000
	maxSeconds   = 366 * 24 * 3600
)

// ErrDetails is what every refusal of authorization_details wraps; its text is fit for an
// error_description.
var ErrDetails = errors.New("bad authorization_details")

// Details are the authorization details of a request, a grant or a token (RFC 9396).
type Details struct {
	Task  *TaskDetail
	Tools []ToolDetail
}

// TaskDetail says what the task is and how far it may go; zero leaves it to the user.
type TaskDetail struct {
	Purpose     string `json:"purpose,omitempty"`
	MaxDuration int    `json:"max_duration,omitempty"` // seconds
	MaxCalls    int    `json:"max_calls,omitempty"`
	Task        string `json:"task,omitempty"` // step-up: the task to extend
}

// ToolDetail is one tool of the resources named in Locations.
type ToolDetail struct {
	Locations   []string    `json:"locations,omitempty"`
	Tool        string      `json:"tool"`
	Constraints Constraints `json:"constraints,omitempty"`
	MaxCalls    int         `json:"max_calls,omitempty"` // 0: no budget of its own
	Approval    string      `json:"approval,omitempty"`
	Definition  string      `json:"definition,omitempty"`
}

// ParseDetails reads authorization_details. Unknown types and unknown members are refused
// (RFC 9396 §5), so is a tool that is listed twice for one location, for nobody could say which
// entry's limits hold.
func ParseDetails(raw []byte) (Details, error) {
	if len(raw) > maxDetails {
		return Details{}, fmt.Errorf("%w: more than %d bytes", ErrDetails, maxDetails)
	}
	return parseDetails(raw, maxEntries)
}

// ParseGrant reads details that an authorization server granted: what ParseDetails reads, and as much
// of it as scopes can expand to.
func ParseGrant(raw []byte) (Details, error) {
	if len(raw) > maxGrant {
		return Details{}, fmt.Errorf("%w: more than %d bytes", ErrDetails, maxGrant)
	}
	return parseDetails(raw, maxGranted)
}

func parseDetails(raw []byte, most int) (Details, error) {
	r := newReader(raw)
	d := r.details(most)
	if err := r.end(); err != nil {
		return Details{}, fmt.Errorf("%w: %v", ErrDetails, err)
	}
	return d, nil
}

func (r *reader) details(most int) Details {
	var d Details
	seen := names{}
	for i := range r.items() {
		if i == most {
			r.fail("more than %d entries", most)
			break
		}
		switch typ := r.detailType(); typ {
		case TypeTask:
			if d.Task != nil {
				r.fail("more than one %s", TypeTask)
			}
			d.Task = r.taskDetail()
		case TypeTool:
			t := r.toolDetail()
			if len(t.Locations) == 0 && !seen.add(t.Tool) {
				r.fail("tool %s is listed twice", t.Tool)
			}
			for _, l := range t.Locations {
				if !seen.add(t.Tool + " " + l) {
					r.fail("tool %s is listed twice for %s", t.Tool, shown(l))
				}
			}
			d.Tools = append(d.Tools, t)
		default:
			r.fail("entry %d: unknown type %s; known are %s and %s", i, shown(typ), TypeTask, TypeTool)
		}
	}
	return d
}

// detailType looks ahead for the type of the entry that comes next.
func (r *reader) detailType() (typ string) {
	ahead := *r
	for name := range ahead.members() {
		if name == "type" {
			typ = ahead.text()
		} else {
			ahead.value()
		}
	}
	if ahead.err != nil {
		r.fail("%v", ahead.err)
	}
	return typ
}

func (r *reader) taskDetail() *TaskDetail {
	t := new(TaskDetail)
	for name := range r.members() {
		switch name {
		case "type":
			r.value()
		case "purpose":
			if t.Purpose = r.text(); !plain(t.Purpose) || utf8.RuneCountInString(t.Purpose) > maxPurpose {
				r.fail("purpose must be at most %d printable characters", maxPurpose)
			}
		case "max_duration":
			t.MaxDuration = int(r.integer(1, maxSeconds))
		case "max_calls":
			t.MaxCalls = int(r.integer(1, maxCount))
		case "task":
			if t.Task = r.text(); !validTask(t.Task) {
				r.fail("task must be the id of a task, tsk_ and what follows")
			}
		default:
			r.fail("unknown member %s of %s", shown(name), TypeTask)
		}
	}
	return t
}

func (r *reader) toolDetail() ToolDetail {
	var t ToolDetail
	for name := range r.members() {
		switch name {
		case "type":
			r.value()
		case "locations":
			t.Locations = r.locations()
		case "tool":
			t.Tool = r.text()
		case "constraints":
			t.Constraints = r.constraints()
		case "max_calls":
			t.MaxCalls = int(r.integer(1, maxCount))
		case "approval":
			if t.Approval = r.text(); t.Approval != ApprovalEachCall {
				r.fail("approval can only be %s", ApprovalEachCall)
			}
		case "definition":
			if t.Definition = r.text(); !validHash(t.Definition) {
				r.fail("definition must be %s and 43 characters of base64url", hashPrefix)
			}
		default:
			r.fail("unknown member %s of %s", shown(name), TypeTool)
		}
	}
	if !validTool(t.Tool) {
		r.fail("tool must be 1 to 128 of A-Z a-z 0-9 _ . -")
	}
	return t
}

func (r *reader) locations() (all []string) {
	for i := range r.items() {
		l := r.text()
		if u, err := url.Parse(l); i == maxLocations || err != nil || !u.IsAbs() || u.Host == "" || strings.Contains(l, "#") {
			r.fail("locations must be 1 to %d absolute URIs without a fragment", maxLocations)
		}
		all = append(all, l)
	}
	if len(all) == 0 {
		r.fail("locations must be 1 to %d absolute URIs without a fragment", maxLocations)
	}
	return all
}

// validTask reports whether s can be the id of a task.
func validTask(s string) bool {
	id, ok := strings.CutPrefix(s, "tsk_")
	return ok && validTool(id) && len(id) <= 64
}

// plain reports whether s can be shown to a person as it is: no control characters and none that
// turn the direction of the text.
func plain(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool {
		return unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c) || c == '\u2028' || c == '\u2029'
	})
}

// MarshalJSON writes the task first, then the tools in their order.
func (d Details) MarshalJSON() ([]byte, error) {
	type task struct {
		Type string `json:"type"`
		*TaskDetail
	}
	type tool struct {
		Type string `json:"type"`
		ToolDetail
	}
	all := make([]any, 0, 1+len(d.Tools))
	if d.Task != nil {
		all = append(all, task{TypeTask, d.Task})
	}
	for _, t := range d.Tools {
		all = append(all, tool{TypeTool, t})
	}
	return json.Marshal(all)
}

// UnmarshalJSON is ParseDetails.
func (d *Details) UnmarshalJSON(raw []byte) (err error) {
	*d, err = ParseDetails(raw)
	return err
}

// Canonical returns the RFC 8785 form, which names a grant.
func (d Details) Canonical() ([]byte, error) {
	raw, err := d.MarshalJSON()
	if err != nil {
		return nil, err
	}
	return Canonical(raw)
}

// For returns the task and the tools of one resource. A tool without locations is no resource's.
func (d Details) For(resource string) Details {
	one := Details{Task: d.Task}
	for _, t := range d.Tools {
		if slices.Contains(t.Locations, resource) {
			t.Locations = []string{resource}
			one.Tools = append(one.Tools, t)
		}
	}
	return one
}

// Widen returns these details with more: an entry of more takes the place of the one for the same
// tool, whole, or comes behind. The task stays as it is. Both must be of one resource.
func (d Details) Widen(more Details) Details {
	if d.Task == nil {
		d.Task = more.Task
	}
	d.Tools = slices.Clone(d.Tools)
	for _, t := range more.Tools {
		i := slices.IndexFunc(d.Tools, func(u ToolDetail) bool { return u.Tool == t.Tool })
		if i < 0 {
			d.Tools = append(d.Tools, t)
		} else {
			d.Tools[i] = t
		}
	}
	return d
}
