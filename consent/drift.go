package consent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// How a tool stands to what an admin approved.
const (
	DriftNew     = "new"
	DriftChanged = "changed"
	DriftRemoved = "removed"
)

// Drift is how one tool that a server offers differs from what an admin approved.
type Drift struct {
	Tool     string  `json:"tool"`
	State    string  `json:"state"` // new, changed, removed
	Hash     string  `json:"hash,omitempty"`
	LiveHash string  `json:"live_hash,omitempty"` // what an approval names
	Alarms   []Alarm `json:"alarms"`              // the worst first
	Fields   []Field `json:"fields"`              // those that differ
}

// Alarm is a change that a person should weigh before any other.
type Alarm struct {
	Code string `json:"code"`
	Text string `json:"text"`
	Bad  bool   `json:"bad"` // rather than merely worth a look
}

// Field is one member of a definition that differs.
type Field struct {
	Name  string `json:"name"`
	Lines []Line `json:"lines"`
}

// Drifts compares what a server offers with what was approved, tool by tool. What agrees is left out.
func Drifts(tools []store.Tool) []Drift {
	all := []Drift{}
	for _, t := range tools {
		d := Drift{Tool: t.Name, Hash: t.Hash, LiveHash: t.LiveHash, Alarms: []Alarm{}}
		live := t.Live
		switch {
		case t.Gone:
			d.State, live = DriftRemoved, nil
		case t.LiveHash == "":
			continue
		case t.Hash == "":
			d.State = DriftNew
		default:
			d.State = DriftChanged
		}
		d.Fields = fields(t.Definition, live)
		if !t.Gone {
			d.Alarms = alarms(t.Definition, live)
		}
		all = append(all, d)
	}
	return all
}

// members are those that a definition hash covers (DESIGN: tokens.Definition), as people read them.
var members = []string{"name", "title", "description", "annotations", "inputSchema"}

func fields(old, live json.RawMessage) []Field {
	before, now := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	_ = json.Unmarshal(old, &before) // what is stored was parsed; an empty definition has no members
	_ = json.Unmarshal(live, &now)
	all := []Field{}
	for _, name := range members {
		if was, is := readable(before[name]), readable(now[name]); !slices.Equal(was, is) {
			all = append(all, Field{name, compare(was, is)})
		}
	}
	return all
}

// readable is a value in lines: indented JSON in which nothing hides. A text is broken where it
// breaks its lines itself.
func readable(raw json.RawMessage) []string {
	if len(raw) == 0 {
		return nil
	}
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return []string{visible(string(raw))}
	}
	text := visible(b.String())
	if raw[0] == '"' {
		return broken(text)
	}
	return strings.Split(text, "\n")
}

// broken breaks a JSON string behind each line break that it writes.
func broken(text string) (lines []string) {
	from := 0
	for i := 0; i < len(text)-1; i++ {
		if text[i] != '\\' {
			continue
		}
		i++ // the character that is escaped
		if text[i] == 'n' && i < len(text)-2 {
			lines, from = append(lines, text[from:i+1]), i+1
		}
	}
	return append(lines, text[from:])
}

// visible shows what draws nothing, or turns how its neighbours are drawn, as JSON would escape it.
func visible(s string) string {
	if !strings.ContainsFunc(s, hidden) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case !hidden(r):
			b.WriteRune(r)
		case r > 0xFFFF:
			fmt.Fprintf(&b, `\u{%X}`, r)
		default:
			fmt.Fprintf(&b, `\u%04X`, r)
		}
	}
	return b.String()
}

// alarms says what a person should weigh first.
func alarms(old, live json.RawMessage) []Alarm {
	now, err := tokens.ParseDefinition(live)
	if err != nil {
		return []Alarm{{"unreadable", "The definition cannot be read: " + err.Error(), true}}
	}
	var before *tokens.Definition
	if d, err := tokens.ParseDefinition(old); err == nil {
		before = &d
	}
	all := slices.Concat(riskAlarms(before, now), wordAlarms(old, live), argumentAlarms(before, now))
	slices.SortStableFunc(all, func(a, b Alarm) int {
		switch {
		case a.Bad == b.Bad:
			return 0
		case a.Bad:
			return -1
		}
		return 1
	})
	return append([]Alarm{}, all...)
}

// riskAlarms compare what the tool says that it can do.
func riskAlarms(before *tokens.Definition, now tokens.Definition) (all []Alarm) {
	is := RiskOf(now)
	if before == nil {
		switch {
		case is.Destructive:
			all = append(all, Alarm{"destructive", "It may delete or overwrite things.", true})
		case !is.ReadOnly:
			all = append(all, Alarm{"writes", "It changes things.", false})
		}
		if is.OpenWorld {
			all = append(all, Alarm{"open_world", "It may reach beyond this server.", false})
		}
		return all
	}
	was := RiskOf(*before)
	switch {
	case is.Destructive && was.ReadOnly:
		all = append(all, Alarm{"destructive", "It said that it only reads; now it may delete or overwrite things.", true})
	case is.Destructive && !was.Destructive:
		all = append(all, Alarm{"destructive", "It said that it only adds; now it may delete or overwrite things.", true})
	case was.ReadOnly && !is.ReadOnly:
		all = append(all, Alarm{"writes", "It said that it only reads; now it changes things.", true})
	case was.Destructive && is.ReadOnly:
		all = append(all, Alarm{"claims_harmless", "It may have deleted or overwritten things before; now it says that it only reads.", false})
	}
	if is.OpenWorld && !was.OpenWorld {
		all = append(all, Alarm{"open_world", "It said that it stays within this server; now it may reach beyond.", true})
	}
	return all
}

// orders are words by which a text speaks to the model instead of describing the tool. The list
// finds the clumsy ones; the diff is what a person decides by.
var orders = regexp.MustCompile(`(?i)(ignore|disregard|forget)\s+(all|any|every|previous|prior|earlier|what|the)\b` +
	`|(do\s+not|don'?t|never|without)\s+(tell|telling|mention|mentioning|inform|informing|show|showing|ask|asking|reveal)\b` +
	`|<\s*/?\s*(important|system|instructions?|secret|assistant)\b` +
	`|\b(you|the\s+(model|assistant|agent))\s+(must|should|shall|have\s+to|need\s+to)\b` +
	`|\b(before|after|instead\s+of|whenever)\s+(using|calling|you\s+(use|call)|any\s+other)\b` +
	`|\b(always|first|also)\s+(call|use|run|read|send|include|pass)\b` +
	`|\bsystem\s+prompt\b|https?://`)

// wordAlarms look at the texts: what hides in them, and what speaks to the model.
func wordAlarms(old, live json.RawMessage) (all []Alarm) {
	before, now := texts(old), texts(live)
	if strings.ContainsFunc(now, concealed) && !strings.ContainsFunc(before, concealed) {
		all = append(all, Alarm{"hidden_characters", "Its texts hold characters that nobody sees; they are shown below as \\u….", true})
	}
	said := map[string]bool{}
	for _, words := range orders.FindAllString(now, -1) {
		words = strings.Join(strings.Fields(visible(words)), " ")
		if key := strings.ToLower(words); !said[key] && !strings.Contains(strings.ToLower(before), key) && len(said) < 3 {
			said[key] = true
			all = append(all, Alarm{"instructions", "Its texts speak to the model: “" + words + "”", true})
		}
	}
	return all
}

// concealed is hidden without the line breaks and tabs that texts have.
func concealed(r rune) bool { return r != '\n' && r != '\t' && r != '\r' && hidden(r) }

// texts are all the strings of a definition, one after the other.
func texts(definition json.RawMessage) string {
	var b strings.Builder
	d := json.NewDecoder(bytes.NewReader(definition))
	for {
		token, err := d.Token()
		if err != nil {
			return b.String()
		}
		if s, ok := token.(string); ok {
			b.WriteString(s + "\n")
		}
	}
}

// argumentAlarms name arguments that were not there before.
func argumentAlarms(before *tokens.Definition, now tokens.Definition) []Alarm {
	if before == nil {
		return nil
	}
	was, is := arguments(before.InputSchema), arguments(now.InputSchema)
	var added []string
	for _, name := range is {
		if !slices.Contains(was, name) {
			added = append(added, visible(name))
		}
	}
	if len(added) == 0 {
		return nil
	}
	return []Alarm{{"new_arguments", "It takes arguments that it did not: " + strings.Join(added, ", "), false}}
}

func arguments(schema json.RawMessage) (names []string) {
	var s struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	_ = json.Unmarshal(schema, &s) // a schema of another shape names no arguments
	for name := range s.Properties {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
