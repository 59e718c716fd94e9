package server_test

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// opaqueWorld has a resource whose policy asks for opaque tokens, behind a real Guard.
func opaqueWorld(t *testing.T) (*world, *tokenless, *hop, *agent) {
	var db *tokenless
	w := newWorldOn(t, func(s store.Store) store.Store { db = &tokenless{Store: s}; return db })
	h := w.serveHopWith("Opaque", "access_token: opaque"+hopPolicy, nil)
	return w, db, h, w.agent(w.client)
}

func (a *agent) opaque(h *hop) answer {
	a.w.t.Helper()
	ask := a.with("scope", "read", "resource", h.uri)
	ask.Del("authorization_details")
	got := a.post("/token", a.codeForm(a.w.mara().consent(a.push(ask), "look").Query().Get("code")))
	if got.Status != http.StatusOK {
		a.w.t.Fatalf("token: %d %s", got.Status, got.Body)
	}
	return got
}

// TestOpaqueTokens: their text says nothing, and only the resource that they are for learns what they
// stand for.
func TestOpaqueTokens(t *testing.T) {
	w, db, h, a := opaqueWorld(t)
	got := a.opaque(h)
	token := got.text("access_token")
	if strings.Contains(token, ".") || !strings.HasPrefix(token, "ra_") || got.text("token_type") != "DPoP" {
		t.Fatalf("no opaque token: %s", got.Body)
	}
	if status := a.callTool(h.uri, token, "look"); status != http.StatusOK || h.who.User != w.user.ID || h.who.Task != got.text("task_id") {
		t.Fatalf("call: %d %+v", status, h.who)
	}
	if status := a.callTool(h.uri, token, "change"); status != http.StatusForbidden {
		t.Errorf("a tool that was not granted: %d", status)
	}
	if status := w.agent(w.client).callTool(h.uri, token, "look"); status != http.StatusUnauthorized {
		t.Errorf("with another key: %d", status)
	}
	if status := a.callTool(h.uri, "ra_"+strings.Repeat("A", 43), "look"); status != http.StatusUnauthorized {
		t.Errorf("one that was never issued: %d", status)
	}
	jti, _ := tokens.OpaqueID(token)
	if st, err := w.store.AccessByJTI(context.Background(), jti); err != nil || strings.Contains(st.Token.Claims, token) || st.Token.JTI == token {
		t.Errorf("the store knows the token: %+v %v", st.Token, err)
	}

	other := w.guard(ticketsURI) // IN3
	if got := other.introspect(token); got.Status != http.StatusOK || strings.TrimSpace(got.Body) != `{"active":false}` {
		t.Errorf("IN3 another resource: %d %s", got.Status, got.Body)
	}
	db.down.Store(true) // IN5
	if got := other.introspect(token); got.Status != http.StatusServiceUnavailable {
		t.Errorf("IN5 the store fails: %d %s", got.Status, got.Body)
	}
	if got := a.post("/revoke", url.Values{"client_id": {a.client}, "token": {token}}); got.Status != http.StatusServiceUnavailable {
		t.Errorf("revoked while the store fails: %d %s", got.Status, got.Body)
	}
	if status := a.callTool(h.uri, token, "look"); status != http.StatusServiceUnavailable {
		t.Errorf("a call while nothing is known: %d", status)
	}
	db.down.Store(false)
	if status := a.callTool(h.uri, token, "look"); status != http.StatusOK {
		t.Errorf("the good call after it: %d", status)
	}
}

// TestOpaqueTokensEnd: revocation by the token itself, by a foreign client, and by refreshing narrower.
func TestOpaqueTokensEnd(t *testing.T) { // RV1 to RV4
	w, _, h, a := opaqueWorld(t)
	got := a.opaque(h)
	token := got.text("access_token")
	foreign := w.agent(w.other)
	want(t, foreign.post("/revoke", url.Values{"client_id": {w.other}, "token": {token}}), 400, "unauthorized_client")
	if status := a.callTool(h.uri, token, "look"); status != http.StatusOK {
		t.Errorf("RV3 another client revoked it: %d", status)
	}
	fresh := a.post("/token", a.refreshForm(got.text("refresh_token")))
	if !strings.HasPrefix(fresh.text("access_token"), "ra_") || fresh.text("access_token") == token {
		t.Fatalf("refresh: %d %s", fresh.Status, fresh.Body)
	}
	for name, form := range map[string]url.Values{
		"RV1 cut":     {"token": {token[:20]}},
		"RV1 nothing": {"token": {"ra_" + strings.Repeat("A", 43)}},
		"RV4 hint":    {"token": {token}, "token_type_hint": {"refresh_token"}},
	} {
		form.Set("client_id", a.client)
		if got := a.post("/revoke", form); got.Status != http.StatusOK || got.Body != "" {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
	if status := a.callTool(h.uri, token, "look"); status != http.StatusUnauthorized {
		t.Errorf("after it was revoked: %d", status)
	}
	if status := a.callTool(h.uri, fresh.text("access_token"), "look"); status != http.StatusOK {
		t.Errorf("the other token of the task: %d", status)
	}
	first := got.text("refresh_token") // RV2: of the first generation, spent long since
	if got := a.post("/revoke", url.Values{"client_id": {a.client}, "token": {first}}); got.Status != http.StatusOK {
		t.Errorf("RV2: %d %s", got.Status, got.Body)
	}
	if status := a.callTool(h.uri, fresh.text("access_token"), "look"); status != http.StatusUnauthorized {
		t.Errorf("RV2 after the refresh token was revoked: %d", status)
	}
}

// TestSignedInPlaceOfOpaque: nothing that is signed passes as an opaque token.
func TestSignedInPlaceOfOpaque(t *testing.T) {
	w, _, h, a := opaqueWorld(t)
	token := a.opaque(h).text("access_token")
	jti, _ := tokens.OpaqueID(token)
	st, err := w.store.AccessByJTI(context.Background(), jti)
	must(t, err)
	claims, err := tokens.ParseClaims([]byte(st.Token.Claims))
	must(t, err)
	stolen, err := tokens.NewSigningKey()
	must(t, err)
	forged, err := stolen.SignAccessToken(claims)
	must(t, err)
	if status := a.callTool(h.uri, forged, "look"); status != http.StatusUnauthorized {
		t.Errorf("signed by a stranger: %d", status)
	}
	if status := a.callTool(h.uri, token, "look"); status != http.StatusOK {
		t.Errorf("the token itself: %d", status)
	}
}

// TestOpaqueTokensAreCountedAskedAndRecorded: what a Guard tells of a call names its token, whatever form that has.
func TestOpaqueTokensAreCountedAskedAndRecorded(t *testing.T) {
	w := newWorld(t)
	for tool, want := range map[string][]int{
		"look: {max_calls: 1}":        {http.StatusOK, http.StatusForbidden},
		"look: {approval: each_call}": {http.StatusForbidden},
	} {
		h := w.serveHopWith(tool, "access_token: opaque"+strings.Replace(hopPolicy, "look: {}", tool, 1), nil)
		a := w.agent(w.client)
		got := a.opaque(h)
		token := got.text("access_token")
		for i, status := range want {
			if got := a.callTool(h.uri, token, "look"); got != status {
				t.Errorf("%s: call %d: %d, want %d", tool, i+1, got, status)
			}
		}
		jti, _ := tokens.OpaqueID(token)
		st, err := w.store.AccessByJTI(context.Background(), jti)
		must(t, err)
		claims, err := tokens.ParseClaims([]byte(st.Token.Claims))
		must(t, err)
		one := decided(claims)
		if got := w.guard(h.uri).call("POST", "/executions", batch(1, one)); got.Status != http.StatusOK {
			t.Fatalf("%s: the record is refused: %d %s", tool, got.Status, got.Body)
		}
		if recs := w.records("execution.decided"); !slices.ContainsFunc(recs, func(rec store.Record) bool {
			return rec.Execution == one["execution"] && rec.JTI == jti && rec.Task == got.text("task_id")
		}) {
			t.Errorf("%s: the ledger says %+v", tool, recs)
		}
	}
}
