package doctor

import (
	"fmt"

	"github.com/remit-auth/remit/tokens/resource/policy"
)

// Judge adds what the linter found in the server's policy.
func (r *Report) Judge(where string, found []policy.Finding) {
	const name = "policy"
	link := Link{name, OK, "no findings", ""}
	var worst policy.Finding
	for _, f := range found {
		if f.Severity.AtLeast(policy.Warning) && (worst.Code == "" || !worst.Severity.AtLeast(f.Severity)) {
			worst = f
		}
	}
	if worst.Code != "" {
		link = Link{name, Warn, fmt.Sprintf("%d findings; the worst: %s:%d: %s [%s]", len(found), where, worst.Line, worst.Message, worst.Code), worst.Mend}
		if worst.Severity.AtLeast(policy.Error) {
			link.State = Broken
		}
	}
	if link.State == Broken && r.Broken == "" {
		r.OK, r.Broken = false, name
	}
	r.Links = append(r.Links, link)
}
