package server

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/web"
)

// What agents pass to tools is their users' business. A console role shows that a call was made, and
// what became of it; what it was made with, only the right audit.read_args beside the role.

// mayReadArgs reports whether a user may read the values of arguments.
func mayReadArgs(u store.User) bool {
	return u.ReadArgs && reaches(u.ConsoleRole, store.RoleViewer)
}

// openMembers are what may be told of a payload to everybody who may see its record. None holds a value
// of an argument, nor anything that such a value can be guessed from, as its bare digest. What is not
// here is withheld, whatever it is.
var openMembers = map[string]bool{
	"all": true, "all_but": true, "approval": true, "asked_by": true, "backend": true, "by": true, "cause": true, "claimed": true, "client": true,
	"client_grade": true, "client_metadata": true, "client_name": true, "code": true, "confirmed_by": true, "console_role": true, "count": true,
	"deadline": true, "decision": true, "definition": true, "dispute": true, "duration_us": true, "ends": true, "epoch": true, "execution": true, "expires": true, "extends": true,
	"filter": true, "finding": true, "first": true, "format": true, "former": true, "grade": true, "grant": true, "granted": true, "guard": true, "guard_at": true,
	"kid": true, "kind": true, "left_out": true, "level": true, "list": true, "max_calls": true, "method": true, "n": true, "name": true, "next": true,
	"observed": true, "outcome": true, "password": true, "path": true, "person": true, "policy": true, "presented_by": true, "presented_key": true, "provider": true, "purpose": true,
	"read_args": true, "reason": true, "records": true, "redirect_uri": true, "remembered": true, "replica": true, "role": true, "roles": true, "rule": true,
	"scope": true, "scopes": true, "seconds": true, "shown": true, "size": true, "state": true, "subject": true, "switch": true, "tasks_ended": true, "tool": true, "trace": true,
	"unrecorded": true, "until": true, "use": true, "values_told": true,
}

// read is the record as this reader may read it. Every way out of the ledger goes through here: the
// console's pages, its files, and the admin API.
func (a acting) read(rec store.Record) store.Record {
	if a.readArgs {
		return rec
	}
	rec.Payload, rec.Salt = withheld(rec.Payload), nil // the salt would let the values be guessed by the digest
	return rec
}

// withheld leaves out of a payload what not everybody may read, and names what that was.
func withheld(payload []byte) []byte {
	var all map[string]json.RawMessage
	if json.Unmarshal(payload, &all) != nil || all == nil {
		return nil // erased, or no payload of ours
	}
	var names []string
	for name, value := range all {
		switch {
		case name == "values":
			names = append(names, membersOf(name, value)...)
		case name == "granted":
			var raw string
			if json.Unmarshal(value, &raw) == nil {
				all[name] = quoted(withoutLimits([]byte(raw)))
				continue
			}
			names = append(names, name)
		case name == "target" && string(all["method"]) == `"prompts/get"`, openMembers[name]: // a prompt's name is its own
			continue
		default:
			names = append(names, name)
		}
		delete(all, name)
	}
	delete(all, "withheld")
	if len(names) > 0 {
		slices.Sort(names)
		all["withheld"] = quoted(names)
	}
	return quoted(all)
}

// membersOf names the members of an object, or the object alone where it is none.
func membersOf(name string, raw json.RawMessage) (names []string) {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		return []string{name}
	}
	for member := range members {
		names = append(names, name+"."+member)
	}
	return names
}

// withoutLimits is authorization details without the limits of arguments: "const" is a value.
func withoutLimits(details []byte) string {
	var all []map[string]json.RawMessage
	if json.Unmarshal(details, &all) != nil {
		return "[]"
	}
	for _, one := range all {
		delete(one, "constraints")
	}
	return string(quoted(all))
}

// quoted is v as JSON; what it is given is made of JSON and texts, so there always is one.
func quoted(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		return []byte("null")
	}
	return raw
}

// grants are grants as this reader may read them.
func (a acting) grants(grants []store.Grant) []store.Grant {
	if a.readArgs {
		return grants
	}
	grants = slices.Clone(grants)
	for i := range grants {
		grants[i].Details = []byte(withoutLimits(grants[i].Details))
	}
	return grants
}

// argsOf are the values of arguments that a record, as it may be read, holds, and what is said of those
// that its reader may not see.
func argsOf(ctx context.Context, rec store.Record) (args []web.Arg, hidden string) {
	var p struct {
		Values   map[string]json.RawMessage `json:"values"`
		Withheld []string                   `json:"withheld"`
	}
	if json.Unmarshal(rec.Payload, &p) != nil {
		return nil, ""
	}
	for name, value := range p.Values {
		args = append(args, web.Arg{Name: name, Value: string(value)})
	}
	slices.SortFunc(args, func(a, b web.Arg) int { return strings.Compare(a.Name, b.Name) })
	var names []string
	for _, name := range p.Withheld {
		if name, isValue := strings.CutPrefix(name, "values."); isValue {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		hidden = say(ctx, textHiddenArgs, strings.Join(names, ", "))
	}
	return args, hidden
}

// argsHidden says that values are withheld, to whom they are.
func (d *desk) argsHidden(ctx context.Context) string {
	if d.readArgs {
		return ""
	}
	return say(ctx, textArgsHidden)
}

// readArgsForm gives a user the right, or takes it away: a button of its own, so that nobody gives it
// by saving a role.
func (s *Server) readArgsForm(ctx context.Context, u store.User) web.ConsoleForm {
	form := web.ConsoleForm{
		ID: "readargs", Title: say(ctx, textReadArgs), Note: say(ctx, textReadArgsNote),
		Hidden:  []web.Field{{Name: web.FieldUser, Value: u.ID}, {Name: web.FieldReadArgs, Value: strconv.FormatBool(!mayReadArgs(u))}},
		Buttons: []web.ConsoleButton{{Text: say(ctx, textGiveReadArgs), Action: s.base + "/admin/readargs", Icon: "eye"}},
	}
	if mayReadArgs(u) {
		form.Buttons[0].Text, form.Buttons[0].Icon = say(ctx, textTakeReadArgs), "cross"
	}
	return form
}

// consoleReadArgs serves POST /admin/readargs.
func (s *Server) consoleReadArgs(w http.ResponseWriter, r *http.Request, d *desk) error {
	reason, err := d.reason(r.Context())
	if err != nil {
		return err
	}
	give, err := strconv.ParseBool(d.form.Get(web.FieldReadArgs))
	if err != nil {
		return bad("read_args is true or false")
	}
	u, err := s.userNamed(r.Context(), d.form.Get(web.FieldUser))
	if err != nil {
		return err
	}
	return s.giveRights(w, r, d, u, store.ConsoleRights{ReadArgs: &give}, reason)
}

// What the console says of the values of arguments.
const (
	textArgsHidden   = "Values of arguments are hidden: your account may not read arguments (audit.read_args)."
	textReadArgs     = "Values of arguments"
	textReadArgsNote = "Whoever has audit.read_args beside a console role reads what agents passed to tools, as far as Guards record it: on these pages, in exports that say so, and in findings. The right ends with the console role."
	textGiveReadArgs = "Let this account read arguments"
	textTakeReadArgs = "Take the right away"
	textMayReadArgs  = "may read arguments"
	textHiddenArgs   = "hidden: %s"
	textExportArgs   = "%s with values"
)
