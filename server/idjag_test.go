package server_test

import (
	"encoding/json"
	"maps"
	"net/url"
	"strings"
	"testing"
)

// signedJAG is a form with a good ID-JAG but for the claims that are changed; nil leaves one out.
func (a *agent) signedJAG(i *foreignIssuer, change map[string]any) url.Values {
	claims := a.w.idJAG(i, a)
	maps.Copy(claims, change)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return a.bearerForm(i.sign("oauth-id-jag+jwt", claims))
}

// TestIDJAGConfirmation: an ID-JAG that names a key is worth nothing to whoever holds another, or none
// (draft-ietf-oauth-identity-assertion-authz-grant, "Proof-of-Possession During ID-JAG Exchange").
func TestIDJAGConfirmation(t *testing.T) {
	w, enterprise, _ := trustWorld(t)
	a := w.grantClient("Desktop")
	thief := w.agent(a.client)
	thief.secret = a.secret
	bound := a.signedJAG(enterprise, map[string]any{"cnf": map[string]any{"jkt": a.key.JKT()}})
	want(t, thief.post("/token", bound), 400, "invalid_grant")
	for name, cnf := range map[string]any{
		"no key":             map[string]any{},
		"a certificate":      map[string]any{"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"},
		"a certificate too":  map[string]any{"jkt": a.key.JKT(), "x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"},
		"an empty key":       map[string]any{"jkt": ""},
		"not an object":      a.key.JKT(),
		"another's key":      map[string]any{"jkt": thief.key.JKT()},
		"a list":             []any{map[string]any{"jkt": a.key.JKT()}},
		"a key in no string": map[string]any{"jkt": 1},
	} {
		t.Run(name, func(t *testing.T) {
			want(t, a.post("/token", a.signedJAG(enterprise, map[string]any{"cnf": cnf})), 400, "invalid_grant")
		})
	}
	if got := a.post("/token", bound); got.Status != 200 || w.claims(got.text("access_token")).JKT != a.key.JKT() {
		t.Errorf("its own key, after the thief's: %d %s", got.Status, got.Body)
	}
}

// TestIDJAGDetails: what the enterprise limits by authorization_details stays limited.
func TestIDJAGDetails(t *testing.T) {
	w, enterprise, _ := trustWorld(t)
	a := w.grantClient("Desktop")
	only := func(raw string) url.Values {
		form := a.signedJAG(enterprise, map[string]any{"scope": nil, "authorization_details": json.RawMessage(raw)})
		form.Del("scope")
		return form
	}
	const search = `[{"type":"mcp_tool","locations":["` + ticketsURI + `"],"tool":"search_tickets","constraints":{"project":{"const":"WEB"}}}]`
	got := a.post("/token", only(search))
	if got.Status != 200 || strings.Contains(got.Body, "add_comment") || !strings.Contains(got.Body, `{"project":{"const":"WEB"}}`) {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	for name, tt := range map[string]struct {
		form url.Values
		code string
	}{
		"more asked for":          {with(only(search), "authorization_details", `[{"type":"mcp_tool","tool":"add_comment"}]`), "invalid_authorization_details"},
		"a wider scope asked for": {with(only(search), "scope", "tickets.write"), "invalid_scope"},
		"of an unknown type":      {only(`[{"type":"payment","amount":1}]`), "invalid_grant"},
		"no list":                 {only(`{"type":"mcp_tool","tool":"search_tickets"}`), "invalid_grant"},
		"of another resource":     {only(strings.ReplaceAll(search, ticketsURI, "https://other.example/mcp")), "invalid_target"},
	} {
		t.Run(name, func(t *testing.T) { want(t, a.post("/token", tt.form), 400, tt.code) })
	}
}

// TestIDJAGSubject: an address that the issuer has not verified, or a user of another tenant of the
// same issuer, is nobody here; and an assertion for other servers too is not for this one.
func TestIDJAGSubject(t *testing.T) {
	w, enterprise, _ := trustWorld(t)
	a := w.grantClient("Desktop")
	for name, change := range map[string]map[string]any{
		"an unverified address":         {"email_verified": false},
		"verified in words":             {"email_verified": "true"},
		"a tenant":                      {"tenant": "t-other"},
		"a tenant in no string":         {"tenant": 7},
		"two audiences":                 {"aud": []string{w.issuer, "https://other.example"}},
		"this audience twice":           {"aud": []string{w.issuer, w.issuer}},
		"the token endpoint, no issuer": {"aud": w.issuer + "/token"},
	} {
		t.Run(name, func(t *testing.T) {
			want(t, a.post("/token", a.signedJAG(enterprise, change)), 400, "invalid_grant")
		})
	}
	for name, change := range map[string]map[string]any{
		"a verified address":   {"email_verified": true},
		"one audience, listed": {"aud": []string{w.issuer}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := a.post("/token", a.signedJAG(enterprise, change)); got.Status != 200 {
				t.Errorf("%d %s", got.Status, got.Body)
			}
		})
	}
}
