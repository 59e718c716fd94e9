package policy

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

const conditional = `
version: 1
scopes:
  read:  {roles: [reader]}
  write: {roles: [writer]}
roles:
  reader: {tools: {look: {}}}
  writer:
    when: {addresses: [10.0.0.0/8, "2001:db8::/32"]}
    include: [reader]
    tools:
      put: {}
      drop:
        when:
          hours: [{days: [mon, tue, wed, thu, fri], from: "08:00", to: "18:00", zone: Europe/Berlin}]
          client: [registered]
          key_bound: true
  boss: {include: [writer]}
`

func at(t *testing.T, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestConditions(t *testing.T) {
	p := parse(t, conditional)
	good := Context{Address: netip.MustParseAddr("10.1.2.3"), At: at(t, "2026-07-06T08:30:00+02:00"), Grade: Registered, KeyBound: true}
	tests := map[string]struct {
		change func(*Context)
		tool   string
		lacks  string // empty: allowed
	}{
		"all holds":                  {func(*Context) {}, "drop", ""},
		"an address of IPv6":         {func(c *Context) { c.Address = netip.MustParseAddr("2001:db8::7") }, "put", ""},
		"IPv4 in IPv6":               {func(c *Context) { c.Address = netip.MustParseAddr("::ffff:10.1.2.3") }, "put", ""},
		"another address":            {func(c *Context) { c.Address = netip.MustParseAddr("11.0.0.1") }, "put", "addresses"},
		"no address":                 {func(c *Context) { c.Address = netip.Addr{} }, "put", "addresses"},
		"before the hours":           {func(c *Context) { c.At = at(t, "2026-07-06T05:59:59Z") }, "drop", "client hours key_bound"},
		"after the hours":            {func(c *Context) { c.At = at(t, "2026-07-06T16:00:00Z") }, "drop", "client hours key_bound"},
		"an hour later, in winter":   {func(c *Context) { c.At = at(t, "2026-01-05T16:30:00Z") }, "drop", ""},
		"on Sunday":                  {func(c *Context) { c.At = at(t, "2026-07-05T10:00:00Z") }, "drop", "client hours key_bound"},
		"no time":                    {func(c *Context) { c.At = time.Time{} }, "drop", "client hours key_bound"},
		"another client":             {func(c *Context) { c.Grade = Dynamic }, "drop", "client hours key_bound"},
		"an unknown client":          {func(c *Context) { c.Grade = "" }, "drop", "client hours key_bound"},
		"acting for another client":  {func(c *Context) { c.Grade = Registered + " " + Dynamic }, "drop", "client hours key_bound"},
		"no key":                     {func(c *Context) { c.KeyBound = false }, "drop", "client hours key_bound"},
		"what has no condition":      {func(c *Context) { *c = Context{} }, "look", ""},
		"what is included elsewhere": {func(c *Context) { c.Address = netip.Addr{} }, "look", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			in := good
			tt.change(&in)
			d := p.DecideIn([]string{"read", "write"}, []string{"reader", "writer"}, tt.tool, p.Hold(in))
			if d.Allowed != (tt.lacks == "") || strings.Join(d.Lacks, " ") != tt.lacks || !d.Allowed && d.Check != CheckCondition {
				t.Errorf("%+v", d)
			}
		})
	}
	// A role that does not count leads to nothing, whatever it includes.
	outside := p.Hold(Context{At: good.At, Grade: Registered, KeyBound: true})
	for _, held := range []string{"writer", "boss"} {
		if d := p.DecideIn([]string{"read"}, []string{held}, "look", outside); d.Check != CheckCondition {
			t.Errorf("%s: %+v", held, d)
		}
	}
	if d := p.DecideIn([]string{"tool:put"}, []string{"boss"}, "put", outside); d.Check != CheckCondition {
		t.Errorf("tool:put: %+v", d)
	}
	if d := p.DecideIn([]string{"write"}, []string{"reader"}, "put", outside); d.Check != CheckRole {
		t.Errorf("whoever has no role learns of no condition: %+v", d)
	}
	if h := p.HoldFor(Registered, true); h != Always {
		t.Errorf("what may come to hold does not: %b", h)
	}
	if d := p.DecideIn([]string{"write"}, []string{"writer"}, "drop", p.HoldFor(Document, true)); d.Allowed {
		t.Error("a client of another grade may come to be allowed")
	}
}

func TestHoursOverMidnight(t *testing.T) {
	p := parse(t, `
version: 1
scopes: {s: {roles: [r]}}
roles: {r: {when: {hours: [{days: [fri], from: "22:00", to: "06:00", zone: UTC}]}, tools: {t: {}}}}
`)
	for when, want := range map[string]bool{
		"2026-07-03T21:59:00Z": false, "2026-07-03T22:00:00Z": true, "2026-07-04T05:59:00Z": true,
		"2026-07-04T06:00:00Z": false, "2026-07-04T22:30:00Z": false, "2026-07-03T03:00:00Z": false,
	} {
		if got := p.DecideIn([]string{"s"}, []string{"r"}, "t", p.Hold(Context{At: at(t, when)})).Allowed; got != want {
			t.Errorf("%s: %t", when, got)
		}
	}
}

func TestConditionText(t *testing.T) {
	p := parse(t, conditional)
	rule, _ := p.rule("writer", "drop")
	var all []string
	for _, c := range p.Conditions(rule) {
		all = append(all, c.Text()...)
	}
	want := []string{
		"Only Mon–Fri 08:00–18:00 Europe/Berlin", "Only for apps added by an admin", "Only with a key-bound token",
		"Only from 10.0.0.0/8, 2001:db8::/32",
	}
	if !slices.Equal(all, want) {
		t.Errorf("%q", all)
	}
}

func TestBadConditions(t *testing.T) {
	for name, when := range map[string]string{
		"host bits":               "{addresses: [10.0.0.1/8]}",
		"no address":              "{addresses: [example.com]}",
		"IPv4 written in IPv6":    "{addresses: ['::ffff:10.0.0.0/104']}",
		"an address with a zone":  "{addresses: ['fe80::1%eth0']}",
		"no such zone":            "{hours: [{days: [mon], from: '08:00', to: '18:00', zone: Mars/Base}]}",
		"the machine's zone":      "{hours: [{days: [mon], from: '08:00', to: '18:00', zone: Local}]}",
		"a zone that climbs":      "{hours: [{days: [mon], from: '08:00', to: '18:00', zone: ../../etc/passwd}]}",
		"hours that never begin":  "{hours: [{days: [mon], from: '08:00', to: '08:00', zone: UTC}]}",
		"a day given twice":       "{hours: [{days: [mon, mon], from: '08:00', to: '09:00', zone: UTC}]}",
		"an unknown key of hours": "{hours: [{days: [mon], from: '08:00', to: '09:00', zone: UTC, not: true}]}",
	} {
		if _, err := Parse([]byte("version: 1\nroles: {r: {when: "+when+", tools: {t: {}}}}"), nil); err == nil {
			t.Errorf("%s: %s is accepted", name, when)
		}
	}
	var many strings.Builder
	many.WriteString("version: 1\nroles:\n  r:\n    tools:\n")
	for i := range maxConditions + 1 {
		many.WriteString("      t" + string(rune('a'+i%26)) + string(rune('a'+i/26)) + ": {when: {addresses: [10.0.0." + netip.AddrFrom4([4]byte{1, 1, 1, byte(i)}).String()[6:] + "]}}\n")
	}
	if _, err := Parse([]byte(many.String()), nil); err == nil {
		t.Error("more conditions than a Holding has bits are accepted")
	}
}
