package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // so that every machine reads the same file alike

	"go.yaml.in/yaml/v3"
)

// Grade is how a client came to be known, as the access token says (claim client_grade). Of a client that
// acts for others it is theirs too, each once, with a blank between; a condition is about all of them.
type Grade string

// among reports whether each of the grades is one of these.
func (g Grade) among(these []Grade) bool {
	all := strings.Fields(string(g))
	return len(all) > 0 && !slices.ContainsFunc(all, func(one string) bool { return !slices.Contains(these, Grade(one)) })
}

// The grades.
const (
	Registered Grade = "registered" // an admin added it
	Document   Grade = "cimd"       // its client_id is the URL of its metadata
	Dynamic    Grade = "dcr"        // it registered itself (RFC 7591)
)

// maxConditions is how many different conditions a file may hold: a Holding has a bit for each.
const maxConditions = 64

// Condition is when a role, or a tool in a role, counts: every part that is given must hold.
type Condition struct {
	Addresses []netip.Prefix // the client's address is in one of them
	Hours     []Hours        // the time is in one of them
	Client    []Grade        // the client's grade is one of them
	KeyBound  bool           // the token is bound to a key
}

// Hours is a stretch of the day on some days of the week, by a zone's wall clocks. One whose end is
// not after its beginning goes on into the next day.
type Hours struct {
	Days     []time.Weekday // on which it begins; sorted from Monday on
	From, To int            // minutes of the day; To may be 24:00
	Zone     *time.Location
}

// Context is what is known of one call besides who calls. What is not known holds no condition.
type Context struct {
	Address  netip.Addr // the client's; the zero value: not known
	At       time.Time  // the zero value: not known
	Grade    Grade      // empty: not known
	KeyBound bool
}

// Holding says which conditions of one Policy hold.
type Holding uint64

// Always is every condition holding.
const Always = ^Holding(0)

// The parts of a condition, as refusals name them.
const (
	partAddresses = "addresses"
	partHours     = "hours"
	partClient    = "client"
	partKeyBound  = "key_bound"
)

// lacks returns the parts that do not hold.
func (c Condition) lacks(in Context) (parts []string) {
	address := in.Address.Unmap().WithZone("")
	if len(c.Addresses) > 0 && !slices.ContainsFunc(c.Addresses, func(p netip.Prefix) bool { return p.Contains(address) }) {
		parts = append(parts, partAddresses)
	}
	if len(c.Hours) > 0 && (in.At.IsZero() || !slices.ContainsFunc(c.Hours, func(h Hours) bool { return h.holds(in.At) })) {
		parts = append(parts, partHours)
	}
	return append(parts, c.lacksIdentity(in.Grade, in.KeyBound)...)
}

// lacksIdentity is lacks for what an authorization server knows before any call is made.
func (c Condition) lacksIdentity(grade Grade, keyBound bool) (parts []string) {
	if len(c.Client) > 0 && !grade.among(c.Client) {
		parts = append(parts, partClient)
	}
	if c.KeyBound && !keyBound {
		parts = append(parts, partKeyBound)
	}
	return parts
}

func (h Hours) holds(at time.Time) bool {
	t := at.In(h.Zone)
	minute, day := t.Hour()*60+t.Minute(), t.Weekday()
	if h.From < h.To {
		return slices.Contains(h.Days, day) && h.From <= minute && minute < h.To
	}
	before := (day + 6) % 7
	return slices.Contains(h.Days, day) && minute >= h.From || slices.Contains(h.Days, before) && minute < h.To
}

// Conditional reports whether the file has conditions.
func (p *Policy) Conditional() bool { return len(p.conditions) > 0 }

// Hold judges the conditions of the file.
func (p *Policy) Hold(in Context) Holding {
	return p.hold(func(c Condition) bool { return len(c.lacks(in)) == 0 })
}

// HoldFor judges what is known of a client before it calls: conditions of address and hour may come
// to hold, those of its identity will not change.
func (p *Policy) HoldFor(grade Grade, keyBound bool) Holding {
	return p.hold(func(c Condition) bool { return len(c.lacksIdentity(grade, keyBound)) == 0 })
}

func (p *Policy) hold(holds func(Condition) bool) Holding {
	h := Always
	for i, c := range p.conditions {
		if !holds(c) {
			h &^= 1 << i
		}
	}
	return h
}

// holds reports whether the condition of this index holds; -1 is none.
func (h Holding) holds(condition int) bool { return condition < 0 || h&(1<<condition) != 0 }

// Text says in words when the condition holds, a line for each part.
func (c Condition) Text() (lines []string) {
	if len(c.Addresses) > 0 {
		all := make([]string, len(c.Addresses))
		for i, p := range c.Addresses {
			all[i] = p.String()
		}
		lines = append(lines, "Only from "+strings.Join(all, ", "))
	}
	if len(c.Hours) > 0 {
		all := make([]string, len(c.Hours))
		for i, h := range c.Hours {
			all[i] = h.String()
		}
		lines = append(lines, "Only "+strings.Join(all, " or "))
	}
	if len(c.Client) > 0 {
		words := map[Grade]string{Registered: "added by an admin", Document: "known by their domain", Dynamic: "that registered themselves"}
		all := make([]string, len(c.Client))
		for i, g := range c.Client {
			all[i] = words[g]
		}
		lines = append(lines, "Only for apps "+strings.Join(all, " or "))
	}
	if c.KeyBound {
		lines = append(lines, "Only with a key-bound token")
	}
	return lines
}

// String is the stretch in words: Mon–Fri 08:00–18:00 Europe/Berlin.
func (h Hours) String() string {
	days := ""
	for i := 0; i < len(h.Days); {
		end := i
		for end+1 < len(h.Days) && h.Days[end+1] == (h.Days[end]+1)%7 {
			end++
		}
		if days != "" {
			days += ", "
		}
		switch days += h.Days[i].String()[:3]; {
		case end == i+1:
			days += ", " + h.Days[end].String()[:3]
		case end > i:
			days += "–" + h.Days[end].String()[:3]
		}
		i = end + 1
	}
	return fmt.Sprintf("%s %02d:%02d–%02d:%02d %s", days, h.From/60, h.From%60, h.To/60, h.To%60, h.Zone)
}

// fileWhen is a condition as written.
type fileWhen struct {
	Addresses []string    `yaml:"addresses"`
	Hours     []fileHours `yaml:"hours"`
	Client    []Grade     `yaml:"client"`
	KeyBound  *bool       `yaml:"key_bound"`
}

type fileHours struct {
	Days []string `yaml:"days"`
	From string   `yaml:"from"`
	To   string   `yaml:"to"`
	Zone string   `yaml:"zone"`
}

// checkWhens looks at every condition of the file.
func checkWhens(root *yaml.Node) (err error) {
	look := func(key, value *yaml.Node) {
		if key.Value == "when" && err == nil {
			err = checkWhen(value)
		}
	}
	for _, doc := range root.Content {
		each(doc, func(key, roles *yaml.Node) {
			if key.Value != "roles" {
				return
			}
			each(roles, func(_, role *yaml.Node) {
				each(role, look)
				each(role, func(key, tools *yaml.Node) {
					if key.Value == "tools" {
						each(tools, func(_, rule *yaml.Node) { each(rule, look) })
					}
				})
			})
		})
	}
	return err
}

// checkWhen refuses what says nothing inside a condition: left out, it would be one that always holds.
func checkWhen(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" || n.Kind != yaml.ScalarNode && len(n.Content) == 0 {
		return fmt.Errorf("line %d: a condition says nothing here; leave it out, or write what must hold", n.Line)
	}
	for _, child := range n.Content {
		if err := checkWhen(child); err != nil {
			return err
		}
	}
	return nil
}

// condition notes a condition as written and returns its index; -1 for none.
func (p *Policy) condition(w *fileWhen) (int, error) {
	if w == nil {
		return -1, nil
	}
	c, err := w.parse()
	if err != nil {
		return -1, fmt.Errorf("when: %w", err)
	}
	if i := slices.IndexFunc(p.conditions, c.equal); i >= 0 {
		return i, nil
	}
	if len(p.conditions) == maxConditions {
		return -1, fmt.Errorf("when: more than %d different conditions", maxConditions)
	}
	p.conditions = append(p.conditions, c)
	return len(p.conditions) - 1, nil
}

func (w fileWhen) parse() (c Condition, err error) {
	if len(w.Addresses) > 64 || len(w.Hours) > 16 {
		return c, errors.New("the most are 64 addresses and 16 hours")
	}
	for _, text := range w.Addresses {
		prefix, err := parsePrefix(text)
		if err != nil {
			return c, err
		}
		c.Addresses = append(c.Addresses, prefix)
	}
	for _, h := range w.Hours {
		hours, err := h.parse()
		if err != nil {
			return c, fmt.Errorf("hours: %w", err)
		}
		c.Hours = append(c.Hours, hours)
	}
	for _, g := range w.Client {
		if g != Registered && g != Document && g != Dynamic || slices.Contains(c.Client, g) {
			return c, fmt.Errorf("client: %q, want each of registered, cimd and dcr at most once", g)
		}
		c.Client = append(c.Client, g)
	}
	if w.KeyBound != nil {
		if c.KeyBound = *w.KeyBound; !c.KeyBound {
			return c, errors.New("key_bound is true or is left out")
		}
	}
	return c, nil
}

// parsePrefix reads a network, whose address has no bit behind its length, or one address.
func parsePrefix(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" && !addr.Is4In6() {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil || prefix.Masked() != prefix || prefix.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("addresses: %q is not a network like 10.0.0.0/8 or an address", text)
	}
	return prefix, nil
}

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

func (f fileHours) parse() (h Hours, err error) {
	if f.Zone == "" || f.Zone == "Local" { // what a machine is set to is nobody's rule
		return h, errors.New("zone is missing: name an IANA time zone, like Europe/Berlin or UTC")
	}
	if h.Zone, err = time.LoadLocation(f.Zone); err != nil {
		return h, fmt.Errorf("zone %q is not an IANA time zone", f.Zone)
	}
	for _, d := range f.Days {
		i := slices.Index(weekdays, d)
		if i < 0 || slices.Contains(h.Days, time.Weekday(i)) {
			return h, fmt.Errorf("days: %q, want each of mon tue wed thu fri sat sun at most once", d)
		}
		h.Days = append(h.Days, time.Weekday(i))
	}
	if h.Days == nil {
		return h, errors.New("days are missing")
	}
	slices.SortFunc(h.Days, func(a, b time.Weekday) int { return int((a+6)%7) - int((b+6)%7) })
	var ok1, ok2 bool
	h.From, ok1 = minuteOf(f.From)
	h.To, ok2 = minuteOf(f.To)
	switch {
	case !ok1 || !ok2 || h.From == 24*60:
		return h, fmt.Errorf("from %q to %q: want times like 08:00, and at most 24:00 at the end", f.From, f.To)
	case h.From == h.To:
		return h, errors.New("from and to are the same: write 00:00 to 24:00 for whole days")
	}
	return h, nil
}

// minuteOf reads hh:mm.
func minuteOf(s string) (int, bool) {
	if s == "24:00" {
		return 24 * 60, true
	}
	t, err := time.Parse("15:04", s)
	return t.Hour()*60 + t.Minute(), err == nil && len(s) == 5
}

func (c Condition) equal(o Condition) bool {
	return slices.Equal(c.Addresses, o.Addresses) && slices.EqualFunc(c.Hours, o.Hours, Hours.equal) &&
		slices.Equal(c.Client, o.Client) && c.KeyBound == o.KeyBound
}

func (h Hours) equal(o Hours) bool {
	return slices.Equal(h.Days, o.Days) && h.From == o.From && h.To == o.To && h.Zone.String() == o.Zone.String()
}
