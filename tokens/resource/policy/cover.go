package policy

import "slices"

// ScopesFor returns the least set of scopes that reaches all the tools: scopes that bring few other
// tools are taken first, none is redundant, and a tool that no scope reaches gets tool:<name>.
// The result is sorted.
func (p *Policy) ScopesFor(tools []string) []string {
	wanted := map[string]bool{}
	for _, t := range tools {
		wanted[t] = true
	}
	offers := p.offers()
	var cover []string
	for left := len(wanted); left > 0; {
		best, news := bestOffer(offers, wanted)
		if news == 0 {
			break
		}
		cover = append(cover, best)
		for t := range offers[best] {
			if wanted[t] {
				wanted[t], left = false, left-1
			}
		}
	}
	cover = dropRedundant(cover, offers, tools)
	for t, open := range wanted {
		if open {
			cover = append(cover, ToolScope+t)
		}
	}
	slices.Sort(cover)
	return cover
}

// offers returns the tools that each scope of the file reaches.
func (p *Policy) offers() map[string]map[string]bool {
	offers := map[string]map[string]bool{}
	for name, s := range p.scopes {
		offers[name] = map[string]bool{}
		for tool, rules := range p.rules {
			if slices.ContainsFunc(rules, func(r Rule) bool { return s.reach[r.Role] }) {
				offers[name][tool] = true
			}
		}
	}
	return offers
}

// bestOffer picks the scope with the fewest unwanted tools per newly reached one; on a tie the one
// that reaches more, then the first by name. A tool already reached (false in wanted) costs nothing.
func bestOffer(offers map[string]map[string]bool, wanted map[string]bool) (best string, news int) {
	excess := 0
	for _, name := range sortedKeys(offers) {
		n, e := 0, 0
		for t := range offers[name] {
			if open, known := wanted[t]; open {
				n++
			} else if !known {
				e++
			}
		}
		if n > 0 && (news == 0 || e*news < excess*n || e*news == excess*n && n > news) {
			best, news, excess = name, n, e
		}
	}
	return best, news
}

// dropRedundant removes every scope whose wanted tools the others reach too, widest first.
func dropRedundant(cover []string, offers map[string]map[string]bool, tools []string) []string {
	order := slices.Clone(cover)
	slices.SortFunc(order, func(a, b string) int { return len(offers[b]) - len(offers[a]) })
	for _, name := range order {
		rest := slices.DeleteFunc(slices.Clone(cover), func(s string) bool { return s == name })
		needed := slices.ContainsFunc(tools, func(t string) bool {
			return offers[name][t] && !slices.ContainsFunc(rest, func(s string) bool { return offers[s][t] })
		})
		if !needed {
			cover = rest
		}
	}
	return cover
}
