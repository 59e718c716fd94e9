package tokens

// CheckAnswers holds to the constraints what comes along with a call besides its arguments: answers to what the
// tool has asked meanwhile (MCP 2026-07-28, inputResponses), and members that nobody knows. A tool that
// asks anew for something that is limited would be given it here, past all limits. So wherever in there a
// member has the name of a limited argument, in whatever case, it is spelt as the argument is and its
// value is one that the limits allow. Unlike arguments, none need be given. The error is an *ArgumentError.
func (c Constraints) CheckAnswers(besides []Member) error {
	if len(c) == 0 {
		return nil
	}
	a := answers{limits: c, names: make(map[string]string, len(c))}
	for name := range c {
		a.names[fold(name)] = name
	}
	for _, m := range besides {
		a.r = newReader(m.Value)
		level := unknownLevel
		if m.Name == "inputResponses" {
			level = 0
		}
		a.member(m.Name, level)
		if a.refused != nil {
			return a.refused
		}
		if err := a.r.end(); err != nil {
			return &ArgumentError{"", m.Name + ": " + err.Error()}
		}
	}
	return nil
}

// answers walks through what comes along with a call.
type answers struct {
	limits  Constraints
	names   map[string]string // of the limited arguments, by their folded form
	r       *reader
	within  bool // the value of one of these
	refused error
}

// unknownLevel is the level of everything whose members the protocol has not named.
const unknownLevel = 3

// protocolNames are the members of an answer (ElicitResult, CreateMessageResult, ListRootsResult), one level
// below its id. They are the protocol's, not the tool's.
var protocolNames = map[string]bool{"action": true, "content": true, "_meta": true, "role": true, "model": true, "stopReason": true, "roots": true}

// member reads the value of a member. At level 0 it is inputResponses itself, at 1 an answer by its id, at 2 what
// the protocol has in one.
func (a *answers) member(name string, level int) {
	argument, limited := a.names[fold(name)]
	if limited && level == 2 && protocolNames[name] || level < 2 && a.r.kind() == '{' {
		limited = false
	}
	if !limited {
		a.value(level + 1)
		return
	}
	if a.within || argument != name {
		a.refuse(argument, "is limited, and comes along under another name or within another")
		return
	}
	from, depth := a.r.pos, a.r.depth
	value := a.r.canonical(nil, true)
	if a.r.err != nil {
		return
	}
	for _, one := range a.limits[argument] {
		if reason := one.refuses(value); reason != "" {
			a.refuse(argument, "comes along with the call besides, and "+reason)
			return
		}
	}
	a.r.pos, a.r.depth = from, depth // once more, for what is within
	a.within = true
	a.value(level + 1)
	a.within = false
}

func (a *answers) value(level int) {
	switch a.r.kind() {
	case '{':
		for name := range a.r.members() {
			a.member(name, min(level, unknownLevel))
		}
	case '[':
		for range a.r.items() {
			a.value(unknownLevel)
		}
	default:
		a.r.value()
	}
}

func (a *answers) refuse(argument, reason string) {
	if a.refused == nil {
		a.refused = &ArgumentError{argument, reason}
	}
	a.r.fail("refused")
}
