package consent

import "github.com/remit-auth/remit/tokens"

// Lent is what may be had where no user is asked.
type Lent struct {
	Scopes  []string
	Details tokens.Details // without a task
}

// Lend takes all of the offer, less the tools that the filters refuse.
func (o Offer) Lend(refuse ...func(Tool) bool) Lent {
	var lent Lent
	var names []string
next:
	for _, t := range o.Tools {
		for _, refused := range refuse {
			if refused(t) {
				continue next
			}
		}
		lent.Details.Tools = append(lent.Details.Tools, t.Detail)
		names = append(names, t.Detail.Tool)
	}
	var reads []string
	for _, r := range o.Reads {
		reads = append(reads, r.Scope)
	}
	lent.Scopes = o.rights.Scopes(names, reads)
	return lent
}
