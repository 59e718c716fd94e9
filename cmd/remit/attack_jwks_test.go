package main_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// vendorKeys publishes a client that authenticates with the keys at an address of the vendor, and returns its client_id.
func (v *vendor) vendorKeys(name string, page http.HandlerFunc) string {
	v.serves("/ca9/"+name+"/keys.json", page)
	return v.publishes("/ca9/"+name+"/client.json", blackbox.Object{"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": v.url + "/ca9/" + name + "/keys.json"})
}

// pushesAs pushes as the client with this key.
func (w *world) pushesAs(t *testing.T, id string, key blackbox.Key) (blackbox.Response, error) {
	t.Helper()
	form := blackbox.Asserted(w.documented(id).PushForm(), key, blackbox.NewAssertion(id, w.issuer))
	return blackbox.Post(t.Context(), w.server.PAR, form, blackbox.DPoP(w.server.Proof(blackbox.NewKey(), w.server.PAR)))
}

// ca9Keys: a client's key set that is slow, gone or endless is asked for twice, and then once a minute, and keys
// that are not in one do not have it read again before that.
func ca9Keys(t *testing.T, w *world, v *vendor) {
	key := blackbox.NewKey()
	set, err := json.Marshal(blackbox.Object{"keys": []any{key.JWK().With("kid", key.JKT()).With("alg", "ES256").With("use", "sig")}})
	if err != nil {
		t.Fatal(err)
	}
	w.nonce(t)
	for name, tt := range map[string]struct {
		page http.HandlerFunc
		x    want
	}{
		"down":     {says(http.StatusBadGateway, "text/html", nil), want{statuses: []int{http.StatusServiceUnavailable}}},
		"slow":     {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, want{statuses: []int{http.StatusServiceUnavailable}}},
		"gone":     {http.NotFound, E401()},
		"too many": {says(http.StatusOK, "application/json", []byte(`{"keys":[`+strings.TrimSuffix(strings.Repeat(key.JWK().JSON()+",", 10_000), ",")+"]}")), E401()},
		"unknown":  {says(http.StatusOK, "application/json", []byte(`{"keys":[`+blackbox.NewKey().JWK().With("kid", "other").JSON()+"]}")), E401()},
	} {
		t.Run(name, func(t *testing.T) {
			path := strings.ReplaceAll(name, " ", "-")
			id := v.vendorKeys(path, tt.page)
			for range 3 {
				began := time.Now()
				for _, res := range together(t, func(int) (blackbox.Response, error) { return w.pushesAs(t, id, key) }) {
					w.told(t, tt.x, res)
				}
				if took := time.Since(began); took > 8*time.Second { // three seconds, and a busy machine
					t.Errorf("refused after %v", took)
				}
			}
			if n, _ := v.counts("/ca9/" + path + "/keys.json"); n == 0 || n > 2*len(w.all()) {
				t.Errorf("the keys were asked for %d times", n)
			}
		})
	}
	jot(t, "96 requests, two fetches by each instance")
	id := v.vendorKeys("good", says(http.StatusOK, "application/json", set))
	for range 3 {
		if res, err := w.pushesAs(t, id, key); err != nil || res.Status != http.StatusCreated {
			t.Errorf("the good request afterwards: %v %s", err, res)
		}
		res, err := w.pushesAs(t, id, blackbox.NewKey())
		if err != nil {
			t.Fatal(err)
		}
		E401().check(t, res)
	}
	if n, _ := v.counts("/ca9/good/keys.json"); n > len(w.all()) {
		t.Errorf("strangers' keys had the set read %d times", n)
	}
	jot(t, goodAfter)
}

// told checks a refusal, which may be that nobody knows now.
func (w *world) told(t *testing.T, x want, res blackbox.Response) {
	t.Helper()
	if x.statuses[0] != http.StatusServiceUnavailable {
		x.check(t, res)
		return
	}
	if seen(t, res); res.Status != http.StatusServiceUnavailable || res.Code() != "temporarily_unavailable" || res.Header.Get("Retry-After") == "" {
		t.Errorf("neither refused nor sent away for a while: %s", res)
	}
}
