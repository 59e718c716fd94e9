package tokens

import "slices"

// names is a set that costs nothing while it is small and stays linear when it is not.
type names struct {
	few  []string
	many map[string]struct{}
}

// add reports whether name was not there yet.
func (n *names) add(name string) bool {
	if n.many == nil {
		if slices.Contains(n.few, name) {
			return false
		}
		if n.few = append(n.few, name); len(n.few) < 32 {
			return true
		}
		n.many = make(map[string]struct{}, 2*len(n.few))
		for _, f := range n.few {
			n.many[f] = struct{}{}
		}
		return true
	}
	if _, ok := n.many[name]; ok {
		return false
	}
	n.many[name] = struct{}{}
	return true
}

// shown makes a stranger's word fit for an error text (RFC 6749 §5.2 allows no quote or
// backslash in an error_description).
func shown(s string) string {
	const most = 40
	out := make([]byte, 0, most+3)
	for _, c := range s {
		if len(out) >= most {
			return string(append(out, "..."...))
		}
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			c = '?'
		}
		out = append(out, byte(c))
	}
	return string(out)
}
