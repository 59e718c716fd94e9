package resourcetest

import (
	"net/http"

	"github.com/remit-auth/remit/tokens"
)

// SetRoles changes the roles that the user holds from now on, as introspection tells them; tokens that
// were minted keep theirs.
func (i *Issuer) SetRoles(user string, roles ...string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.roles == nil {
		i.roles = map[string][]string{}
	}
	i.roles[user] = append([]string{}, roles...)
}

// TamperIntrospection lets the test change what the next introspections answer; nil ends that.
func (i *Issuer) TamperIntrospection(f func(answer map[string]any)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.tamper = f
}

// introspect serves POST /introspect (RFC 7662) for the Guard of the token's resource.
func (i *Issuer) introspect(w http.ResponseWriter, r *http.Request) {
	assertion := r.PostFormValue("client_assertion")
	id, err := tokens.PeekAssertionClient(assertion)
	i.mu.Lock()
	defer i.mu.Unlock()
	var res *protected
	for _, one := range i.resources {
		if one.guardID != "" && one.guardID == id {
			res = one
		}
	}
	if err == nil && res != nil {
		_, err = res.key.VerifyAssertion(assertion, id, i.URL(), i.now())
	}
	if err != nil || res == nil {
		answer(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		return
	}
	i.asked++
	out := map[string]any{"active": false}
	c, err := tokens.NewKeySet(i.published...).OpenAccessToken(r.PostFormValue("token"), i.URL())
	if err == nil && c.Audience == res.uri && i.now().Before(c.Expires) && res.live(c) {
		out = map[string]any{
			"active": true, "iss": c.Issuer, "sub": c.Subject, "aud": c.Audience, "client_id": c.ClientID, "jti": c.ID,
			"exp": c.Expires.Unix(), "roles": c.Roles, "task": map[string]any{"id": c.Task.ID}, "grant_hash": c.GrantHash,
		}
		if c.JKT != "" {
			out["cnf"] = map[string]string{"jkt": c.JKT}
		}
		if held, ok := i.roles[c.Subject]; ok {
			out["roles"] = held
		}
	}
	if i.tamper != nil {
		i.tamper(out)
	}
	answer(w, http.StatusOK, out)
}

// live reports what the resource's events have left of the token.
func (p *protected) live(c tokens.Claims) bool {
	alive := true
	for _, e := range p.events {
		switch {
		case e.Kind == "task.ended" && e.Task == c.Task.ID, e.Kind == "token.revoked" && e.JTI == c.ID:
			return false
		case e.Task == c.Task.ID && (e.Kind == "task.suspended" || e.Kind == "task.resumed"):
			alive = e.Kind == "task.resumed"
		}
	}
	return alive
}

// Introspections is how many tokens were asked about.
func (i *Issuer) Introspections() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked
}
