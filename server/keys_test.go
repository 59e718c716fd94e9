package server_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/store/memory"
	"github.com/remit-auth/remit/tokens"
)

// instance is another instance of the server, on the same store.
func (w *world) instance(changes ...func(*server.Config)) *world {
	w.t.Helper()
	config := server.Config{
		Issuer: w.issuer, InsecureHTTP: true, Store: w.store, Ephemeral: memory.New(memory.Options{Now: w.clock.Now}),
		MasterKey: w.masterKey, Now: w.clock.Now, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	for _, change := range changes {
		change(&config)
	}
	s, err := server.New(context.Background(), config)
	must(w.t, err)
	w.t.Cleanup(s.Close)
	twin := *w
	twin.server = s
	return &twin
}

// at sends a request to this instance, whatever listens at the issuer.
func (w *world) at(r *http.Request) answer {
	w.t.Helper()
	rec := httptest.NewRecorder()
	w.server.Handler().ServeHTTP(rec, r)
	return read(w.t, rec.Result(), nil)
}

// active asks this instance whether a token is.
func (g *guardian) active(w *world, token string) bool {
	g.w.t.Helper()
	form := url.Values{
		"token": {token}, "client_assertion": {g.assertion()},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
	}
	r := httptest.NewRequest("POST", "/introspect", nil)
	r.Body = io.NopCloser(strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	got := w.at(r)
	if got.Status != http.StatusOK {
		g.w.t.Fatalf("introspect: %d %s", got.Status, got.Body)
	}
	return got.JSON["active"] == true
}

func (w *world) rotate() answer { return w.operator("POST", "/admin/api/keys/rotate", struct{}{}) }

func kid(t *testing.T, token string) string {
	t.Helper()
	return jwsHeader(t, token)["kid"].(string)
}

func TestRotation(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	before, claims := w.lend()
	if got := w.rotate(); got.Status != http.StatusCreated {
		t.Fatalf("rotate: %d %s", got.Status, got.Body)
	}
	after, _ := w.lend()
	if kid(t, before) == kid(t, after) {
		t.Error("the same key signs")
	}
	if !w.keys().Has(kid(t, before)) || !g.active(w, before) || !g.active(w, after) {
		t.Error("a token of before or after is refused")
	}
	// The next key waits until everybody knows it.
	if got := w.rotate(); got.Status != http.StatusConflict {
		t.Errorf("at once again: %d %s", got.Status, got.Body)
	}
	w.clock.Add(70 * time.Second)
	if got := w.rotate(); got.Status != http.StatusCreated {
		t.Errorf("a minute later: %d %s", got.Status, got.Body)
	}
	// Published until the last token that it signed has expired, and not for ever.
	w.clock.Add(300*time.Second - 71*time.Second)
	must(t, w.server.ReloadKeys(t.Context()))
	if !w.clock.Now().Before(claims.Expires) || !w.keys().Has(kid(t, before)) || !g.active(w, before) {
		t.Error("a retired key is gone before the tokens that it signed")
	}
	w.clock.Add(5 * time.Minute)
	must(t, w.server.ReloadKeys(t.Context()))
	if w.keys().Has(kid(t, before)) {
		t.Error("a retired key is published for ever")
	}
	must(t, w.server.Settle(t.Context())) // which verifies a checkpoint of the first key
}

// TestRotateAtOnce is RC7: two admins, at two instances.
func TestRotateAtOnce(t *testing.T) {
	w := newWorld(t)
	twin := w.instance()
	first := w.keys()
	var wg sync.WaitGroup
	kids := make([]string, 8)
	for i := range kids {
		wg.Go(func() {
			on := w
			if i%2 == 1 {
				on = twin
			}
			kids[i] = on.rotate().text("kid")
		})
	}
	wg.Wait()
	signers := map[string]bool{}
	for _, id := range kids {
		if id != "" {
			signers[id] = true
		}
	}
	if len(signers) != 1 || len(w.records("key.rotated")) != 1 {
		t.Errorf("%v sign, and the ledger says %d rotations", signers, len(w.records("key.rotated")))
	}
	for id := range signers {
		if !first.Has(id) {
			t.Error("the key that signs was not published before")
		}
	}
}

func TestScheduledRotation(t *testing.T) {
	w := newWorldOn(t, func(s store.Store) store.Store { return s }, func(c *server.Config) { c.KeyAge = 24 * time.Hour })
	tick := func() string {
		must(t, w.server.RotateKeys(t.Context()))
		w.signedIn = nil // days pass
		token, _ := w.lend()
		return kid(t, token)
	}
	first := tick()
	w.clock.Add(24*time.Hour - time.Second)
	if tick() != first {
		t.Error("rotated too soon")
	}
	w.clock.Add(time.Second)
	second := tick()
	if second == first || tick() != second {
		t.Error("not rotated once")
	}
	if recs := w.records("key.rotated"); len(recs) != 1 || payload(t, recs[0])["by"] != "clock" {
		t.Errorf("the ledger says %v", recs)
	}
}

// TestRotationUnderLoad is P6: whatever is issued while keys change is accepted, by AS and JWKS.
func TestRotationUnderLoad(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	twin := w.instance()
	w.mara()
	a := w.agent(w.client)
	refresh := a.post("/token", a.codeForm(a.code())).text("refresh_token")
	var issued []string
	for range 6 {
		w.clock.Add(70 * time.Second)
		var rotating sync.WaitGroup
		for _, on := range []*world{w, twin} {
			rotating.Go(func() { on.rotate() })
		}
		for range 5 {
			got := a.post("/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {w.client}, "refresh_token": {refresh}})
			if got.Status != http.StatusOK {
				t.Fatalf("refresh: %d %s", got.Status, got.Body)
			}
			refresh = got.text("refresh_token")
			issued = append(issued, got.text("access_token"))
		}
		rotating.Wait()
		for _, token := range issued[max(0, len(issued)-20):] { // those that live
			if !w.keys().Has(kid(t, token)) || !g.active(w, token) || !g.active(twin, token) {
				t.Errorf("a token of key %s is refused", kid(t, token))
			}
		}
	}
	if n := len(w.records("key.rotated")); n != 6 {
		t.Errorf("%d rotations", n)
	}
}

func TestKill(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	twin := w.instance()
	stolen, _ := w.lend()
	live := g.listen(t)
	live.next()
	dead := kid(t, stolen)
	if got := w.operator("POST", "/admin/api/keys/kill", map[string]string{"kid": "none"}); got.Status != http.StatusNotFound {
		t.Errorf("an unknown key: %d %s", got.Status, got.Body)
	}
	got := w.operator("POST", "/admin/api/keys/kill", map[string]string{"kid": dead, "reason": "laptop lost"})
	if got.Status != http.StatusOK || got.text("signer") == dead {
		t.Fatalf("kill: %d %s", got.Status, got.Body)
	}
	f := live.next() // verified by what was published before
	if f.kind != store.EventKeyKilled || f.body["kid"] != dead {
		t.Errorf("told %+v", f)
	}
	if f := g.listen(t).next(); len(f.body["keys"].([]any)) != 1 {
		t.Errorf("the snapshot says %+v", f)
	}
	if w.keys().Has(dead) || g.active(w, stolen) || g.active(twin, stolen) {
		t.Error("the dead key's token is accepted")
	}
	// The other instance, which has not read the keys since, neither signs with it nor is fooled by it.
	fresh, claims := w.lend()
	if kid(t, fresh) == dead || !g.active(twin, fresh) || !g.active(w, fresh) {
		t.Error("the survivor's token is refused")
	}
	claims.KeyID = ""
	forged, err := signerOf(t, w, dead).SignAccessToken(claims)
	must(t, err)
	if g.active(twin, forged) || g.active(w, forged) {
		t.Error("a token forged with the dead key passes for a live one")
	}
	if recs := w.records("key.killed"); len(recs) != 1 || payload(t, recs[0])["reason"] != "laptop lost" {
		t.Errorf("the ledger says %v", recs)
	}
	last, err := w.store.LastCheckpoint(t.Context())
	must(t, err)
	if c, err := w.keys().VerifyCheckpoint(last.Signed); err != nil || c.KeyID == dead {
		t.Errorf("sealed by %s: %v", c.KeyID, err)
	}
}

// signerOf opens a key of the ring as a thief with the database and the master key would.
func signerOf(t *testing.T, w *world, id string) tokens.SigningKey {
	t.Helper()
	keys, err := w.store.Keys(t.Context())
	must(t, err)
	master, err := tokens.NewMasterKeys(w.masterKey)
	must(t, err)
	var data tokens.Sealer
	for _, k := range keys {
		if k.Use == "wrap" {
			raw, err := master.Unwrap(t.Context(), k.Sealed, k.ID)
			must(t, err)
			data, err = tokens.NewSealer(raw)
			must(t, err)
		}
	}
	for _, k := range keys {
		if k.ID == id {
			raw, err := data.Open(k.Sealed, k.ID)
			must(t, err)
			key, err := tokens.ParseSigningKey(raw)
			must(t, err)
			return key
		}
	}
	t.Fatalf("no key %s", id)
	return tokens.SigningKey{}
}

func TestEdDSATokens(t *testing.T) {
	w := newWorldOn(t, func(s store.Store) store.Store { return s }, func(c *server.Config) { c.KeyAlgorithm = "EdDSA" })
	g := w.guard(ticketsURI)
	token, claims := w.lend()
	if jwsHeader(t, token)["alg"] != "EdDSA" || !g.active(w, token) {
		t.Errorf("header %v", jwsHeader(t, token))
	}
	payload, err := json.Marshal(claims)
	must(t, err)
	other, err := tokens.NewSigningKey()
	must(t, err)
	crossed, err := other.Sign(tokens.TypeAccess, json.RawMessage(payload))
	must(t, err)
	if g.active(w, crossed) || g.active(w, withKID(t, crossed, kid(t, token))) {
		t.Error("ES256 under the kid of an EdDSA key is accepted")
	}
	if !g.active(w, token) {
		t.Error("and then the good one is refused")
	}
}

// TestMasterRotation wraps the data keys anew while instances run.
func TestMasterRotation(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	token, _ := w.lend()
	fresh := make([]byte, 32)
	fresh[0] = 1
	both, err := tokens.NewMasterKeys(fresh, w.masterKey)
	must(t, err)
	twin := w.instance(func(c *server.Config) { c.Master = both })
	if got := twin.operator("POST", "/admin/api/keys/rewrap", struct{}{}); got.Status != http.StatusOK || got.JSON["keys"] != 1.0 {
		t.Fatalf("rewrap: %d %s", got.Status, got.Body)
	}
	must(t, w.server.ReloadKeys(t.Context())) // it knows the former master key alone, and goes on
	if got := w.rotate(); got.Status != http.StatusCreated {
		t.Errorf("rotate: %d %s", got.Status, got.Body)
	}
	if another, _ := w.lend(); !g.active(w, token) || !g.active(twin, another) {
		t.Error("a token is refused")
	}
	newOnly, err := tokens.NewMasterKeys(fresh)
	must(t, err)
	if third := w.instance(func(c *server.Config) { c.Master = newOnly }); !g.active(third, token) {
		t.Error("under the new master key alone the token is refused")
	}
	config := server.Config{Issuer: w.issuer, InsecureHTTP: true, Store: w.store, Ephemeral: memory.New(memory.Options{}), MasterKey: w.masterKey}
	if _, err := server.New(t.Context(), config); err == nil {
		t.Error("the former master key still opens the ring")
	}
}

func TestEpoch(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	a := w.agent(w.client)
	got := a.post("/token", a.codeForm(a.code()))
	token, refresh := got.text("access_token"), got.text("refresh_token")
	code := a.code()
	w.clock.Add(time.Second)
	if got := w.operator("POST", "/admin/api/epoch/raise", map[string]string{"reason": "disk died"}); got.Status != http.StatusCreated || got.JSON["epoch"] != 1.0 || got.JSON["tasks_ended"].(float64) < 1 {
		t.Fatalf("raise: %d %s", got.Status, got.Body)
	}
	if g.active(w, token) || w.keys().Has(kid(t, token)) {
		t.Error("what was issued before lives on")
	}
	refused := func(name string, form url.Values) {
		t.Helper()
		if got := a.post("/token", form); got.error() != "invalid_grant" {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
	refused("a code of before", a.codeForm(code))
	refused("a refresh token of before", url.Values{"grant_type": {"refresh_token"}, "client_id": {w.client}, "refresh_token": {refresh}})
	f := g.listen(t).next()
	if f.body["epoch"] != 1.0 || f.body["not_before"] != float64(w.clock.Now().Unix()) {
		t.Errorf("the snapshot says %v", f.body)
	}
	w.signedIn = nil // everybody signs in again
	w.clock.Add(time.Second)
	if fresh, _ := w.lend(); !g.active(w, fresh) {
		t.Error("what is issued after is dead")
	}
}

// jwsHeader decodes the header of a compact JWS.
func jwsHeader(t *testing.T, token string) map[string]any {
	t.Helper()
	head, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(head)
	must(t, err)
	var header map[string]any
	must(t, json.Unmarshal(raw, &header))
	return header
}

// withKID puts another kid into the header; the signature stays.
func withKID(t *testing.T, token, id string) string {
	t.Helper()
	header := jwsHeader(t, token)
	header["kid"] = id
	raw, err := json.Marshal(header)
	must(t, err)
	_, rest, _ := strings.Cut(token, ".")
	return base64.RawURLEncoding.EncodeToString(raw) + "." + rest
}
