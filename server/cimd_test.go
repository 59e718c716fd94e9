package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/server/fetch"
	"github.com/remit-auth/remit/server/fetch/fetchtest"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// vendor publishes what tests write.
type vendor struct {
	*fetchtest.Site
	w *world

	mu    sync.Mutex
	files map[string]http.HandlerFunc
	cache string // Cache-Control of what put publishes
	hits  map[string]int
}

// newVendor returns a vendor's site and a server that accepts clients from there.
func newVendor(t testing.TB, changes ...func(*server.Config)) *vendor {
	t.Helper()
	v := &vendor{files: map[string]http.HandlerFunc{}, hits: map[string]int{}}
	v.Site = fetchtest.NewSite(t, v)
	allow := func(c *server.Config) {
		c.CIMD.Enabled = true
		c.Fetch = fetch.Config{Ports: []uint16{v.Port()}, Roots: v.Roots(), Resolver: v.DNS.Resolver(), Timeout: 20 * time.Second}
	}
	v.w = newWorldOn(t, func(s store.Store) store.Store { return s }, append([]func(*server.Config){allow}, changes...)...)
	return v
}

// impatient is for tests of a site that does not answer.
func impatient(c *server.Config) { c.Fetch.Timeout = time.Second }

func (v *vendor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	v.hits[r.URL.Path]++
	h := v.files[r.URL.Path]
	v.mu.Unlock()
	if h == nil {
		http.NotFound(w, r)
		return
	}
	h(w, r)
}

func (v *vendor) serve(path string, h http.HandlerFunc) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.files[path] = h
}

func (v *vendor) fetched(path string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.hits[path]
}

// put publishes a JSON file.
func (v *vendor) put(path string, doc any) {
	body, err := json.Marshal(doc)
	must(v.w.t, err)
	cache := v.cache
	v.serve(path, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", cache)
		w.Write(body)
	})
}

func (v *vendor) id() string { return v.At("agent.example.com", "/client.json") }

// document is a good document of this client, changed.
func document(id string, changes map[string]any) map[string]any {
	doc := map[string]any{
		"client_id": id, "client_name": "Example Agent", "redirect_uris": []string{"http://127.0.0.1/callback", "https://agent.example.com/cb"},
		"grant_types": []string{"authorization_code", "refresh_token"}, "token_endpoint_auth_method": "none",
	}
	maps.Copy(doc, changes)
	for name, value := range doc {
		if value == nil {
			delete(doc, name)
		}
	}
	return doc
}

// publish publishes the vendor's client, changed.
func (v *vendor) publish(changes map[string]any) { v.put("/client.json", document(v.id(), changes)) }

// push tries to push the good request of this client.
func (v *vendor) push(id string) answer {
	a := v.w.agent(id)
	return a.post("/par", a.request())
}

// later lets the server's memory of documents pass.
func (v *vendor) later() { v.w.clock.Add(5*time.Minute + time.Second) }

// nothing fails the test if a client with this id was stored.
func (v *vendor) nothing(t *testing.T, id string) {
	t.Helper()
	if c, err := v.w.store.ClientByID(context.Background(), id); err == nil {
		t.Errorf("the client was stored: %+v", c)
	}
}

func TestClientDocument(t *testing.T) {
	v := newVendor(t)
	v.publish(nil)
	meta := v.w.browser().get("/.well-known/oauth-authorization-server")
	if meta.JSON["client_id_metadata_document_supported"] != true {
		t.Error("the metadata do not say that documents are accepted")
	}
	a := v.w.agent(v.id())
	got := a.tokens()
	keys, err := tokens.ParseKeySet([]byte(v.w.mara().get("/jwks").Body))
	must(t, err)
	claims, err := keys.OpenAccessToken(got.text("access_token"), v.w.issuer)
	must(t, err)
	if claims.ClientID != v.id() {
		t.Errorf("client_id %q", claims.ClientID)
	}
	again := a.post("/token", a.refreshForm(got.text("refresh_token")))
	if again.Status != http.StatusOK {
		t.Fatalf("refresh: %d %s", again.Status, again.Body)
	}
	if n := v.fetched("/client.json"); n != 1 {
		t.Errorf("the document was fetched %d times", n)
	}
	v.later()
	if end := a.post("/revoke", url.Values{"client_id": {v.id()}, "token": {again.text("refresh_token")}}); end.Status != http.StatusOK {
		t.Fatalf("revoke: %d %s", end.Status, end.Body)
	}
	if n := v.fetched("/client.json"); n != 2 {
		t.Errorf("after 5 min the document was fetched %d times", n)
	}
	if page := v.w.mara().get("/agents"); !strings.Contains(page.Body, "agent.example.com") {
		t.Error("the agents page does not name the client's host")
	}
}

func TestCM1ClientIDsThatAreNotFetched(t *testing.T) { // and CM5, CM7
	v := newVendor(t)
	v.publish(nil)
	host := fmt.Sprintf("agent.example.com:%d", v.Port())
	for name, id := range map[string]string{
		"http":                 "http://" + host + "/client.json",
		"upper-case scheme":    "HTTPS://" + host + "/client.json",
		"no path":              "https://" + host,
		"root path":            "https://" + host + "/",
		"dot segments":         "https://" + host + "/a/../client.json",
		"dot segment":          "https://" + host + "/./client.json",
		"last segment":         "https://" + host + "/client.json/..",
		"escaped dot segments": "https://" + host + "/a/%2e%2E/client.json",
		"half escaped":         "https://" + host + "/a/.%2e/client.json",
		"fragment":             "https://" + host + "/client.json#a",
		"user":                 "https://a@" + host + "/client.json",
		"user and password":    "https://a:b@" + host + "/client.json",
		"query":                "https://" + host + "/client.json?a=b",
		"empty query":          "https://" + host + "/client.json?",
		"decimal host":         fmt.Sprintf("https://2130706433:%d/client.json", v.Port()),
		"hex host":             fmt.Sprintf("https://0x7f.1:%d/client.json", v.Port()),
		"octal host":           fmt.Sprintf("https://0177.0.0.1:%d/client.json", v.Port()),
		"short host":           fmt.Sprintf("https://127.1:%d/client.json", v.Port()),
		"port 22":              "https://agent.example.com:22/client.json",
		"port 25":              "https://agent.example.com:25/client.json",
		"port 6379":            "https://agent.example.com:6379/client.json",
		"upper-case host":      fmt.Sprintf("https://Agent.example.com:%d/client.json", v.Port()),
		"too long":             "https://" + host + "/" + strings.Repeat("a", 2000),
	} {
		t.Run(name, func(t *testing.T) {
			want(t, v.push(id), 401, "invalid_client")
			a := v.w.agent(id)
			noCode(t, v.w.mara().get("/authorize?"+a.request().Encode()), 400)
			v.nothing(t, id)
		})
	}
	if n := v.Connections(); n != 0 || v.DNS.Asked() != 0 {
		t.Errorf("%d connections, %d queries", n, v.DNS.Asked())
	}
	if got := v.push(v.id()); got.Status != http.StatusCreated {
		t.Errorf("the good request after it: %d %s", got.Status, got.Body)
	}
}

func TestCM2DocumentsThatAreNotValid(t *testing.T) { // and CM10
	v := newVendor(t)
	id := v.id()
	for name, changes := range map[string]map[string]any{
		"client_id of another path":       {"client_id": id + "x"},
		"client_id with a trailing slash": {"client_id": id + "/"},
		"client_id in upper case":         {"client_id": strings.ToUpper(id)},
		"client_id with escapes":          {"client_id": strings.Replace(id, "client.json", "%63lient.json", 1)},
		"no client_id":                    {"client_id": nil},
		"client_id of another type":       {"client_id": []string{id}},
		"client_id by another case":       {"client_id": nil, "CLIENT_ID": id},
		"no client_name":                  {"client_name": nil},
		"a name that turns direction":     {"client_name": "Agent \u202egnihton"},
		"no redirect_uris":                {"redirect_uris": nil},
		"empty redirect_uris":             {"redirect_uris": []string{}},
		"redirect_uris of no use":         {"redirect_uris": []string{"http://agent.example.com/cb", "javascript:alert(1)"}},
		"redirect_uris of another type":   {"redirect_uris": "http://127.0.0.1/callback"},
		"a secret":                        {"client_secret": "s"},
		"a secret that expires":           {"client_secret_expires_at": 0},
		"client_secret_basic":             {"token_endpoint_auth_method": "client_secret_basic"},
		"client_secret_post":              {"token_endpoint_auth_method": "client_secret_post"},
		"client_secret_jwt":               {"token_endpoint_auth_method": "client_secret_jwt"},
		"a secret among the methods":      {"token_endpoint_auth_method": nil, "token_endpoint_auth_methods": []string{"none", "client_secret_basic"}},
		"a secret among those supported":  {"token_endpoint_auth_method": nil, "token_endpoint_auth_methods_supported": []string{"client_secret_post"}},
		"an unknown method":               {"token_endpoint_auth_method": "tls_client_auth"},
		"methods that disagree":           {"token_endpoint_auth_methods": []string{"private_key_jwt"}},
		"private_key_jwt without keys":    {"token_endpoint_auth_method": "private_key_jwt"},
		"keys twice":                      {"jwks": map[string]any{"keys": []any{}}, "jwks_uri": "https://agent.example.com/jwks"},
		"keys at an address":              {"jwks_uri": "https://10.0.0.1/jwks"},
		"symmetric keys":                  {"jwks": map[string]any{"keys": []any{map[string]string{"kty": "oct", "k": "AAAA"}}}},
		"no grant that is served":         {"grant_types": []string{"client_credentials"}},
		"no response_type code":           {"response_types": []string{"token"}},
	} {
		t.Run(name, func(t *testing.T) {
			v.publish(changes)
			want(t, v.push(id), 401, "invalid_client")
			v.nothing(t, id)
			v.w.clock.Add(10 * time.Second)
		})
	}
	for name, body := range map[string]string{
		"not JSON":          "<html>",
		"two documents":     `{} {}`,
		"not an object":     `[]`,
		"null":              `null`,
		"duplicate members": `{"client_id":"` + id + `","client_id":"` + id + `","client_name":"A","redirect_uris":["https://agent.example.com/cb"]}`,
	} {
		t.Run(name, func(t *testing.T) {
			v.serve("/client.json", func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprint(w, body)
			})
			want(t, v.push(id), 401, "invalid_client")
			v.w.clock.Add(10 * time.Second)
		})
	}
	v.publish(nil) // CM8: nothing of this was remembered
	if got := v.push(id); got.Status != http.StatusCreated {
		t.Errorf("the good document after it: %d %s", got.Status, got.Body)
	}
}

func TestCM3SpecialAddresses(t *testing.T) {
	v := newVendor(t, func(c *server.Config) { c.Issuer, c.InsecureHTTP = "https://as.example", false })
	v.publish(nil)
	for _, addr := range []string{"127.0.0.1", "::1", "10.0.0.1", "169.254.169.254", "fd00::1", "100.64.0.1", "0.0.0.0", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"} {
		host := strings.NewReplacer(":", "-", ".", "-").Replace("x"+addr+"x") + ".example.com"
		v.DNS.Set(host, addr)
		id := v.At(host, "/client.json")
		v.put("/client.json", document(id, nil))
		got := v.w.agent(id).send("/par", url.Values{"client_id": {id}})
		want(t, got, 401, "invalid_client")
		if strings.Contains(got.Body, addr) {
			t.Errorf("the refusal tells what the name resolves to: %s", got.Body)
		}
		v.w.clock.Add(10 * time.Second)
	}
	if v.Connections() != 0 || v.DNS.Asked() == 0 {
		t.Errorf("%d connections, %d queries", v.Connections(), v.DNS.Asked())
	}
}

func TestCM6AnswersThatAreNotDocuments(t *testing.T) { // and CM4, CM8
	v := newVendor(t, impatient)
	v.put("/good.json", document(v.id(), nil))
	good, err := json.Marshal(document(v.id(), nil))
	must(t, err)
	typed := func(status int, contentType string, body []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.Header().Set("Location", "/good.json")
			w.WriteHeader(status)
			w.Write(body)
		}
	}
	for name, h := range map[string]http.HandlerFunc{
		"301":          typed(301, "application/json", good),
		"302":          typed(302, "application/json", good),
		"308":          typed(308, "application/json", good),
		"204":          typed(204, "application/json", nil),
		"206":          typed(206, "application/json", good),
		"404":          typed(404, "application/json", good),
		"500":          typed(500, "application/json", good),
		"HTML":         typed(200, "text/html", good),
		"6 KB":         typed(200, "application/json", append(good, []byte(strings.Repeat(" ", 6<<10))...)),
		"never ending": func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	} {
		t.Run(name, func(t *testing.T) {
			v.serve("/client.json", h)
			want(t, v.push(v.id()), 401, "invalid_client")
			v.w.clock.Add(10 * time.Second)
		})
	}
	if n := v.fetched("/good.json"); n != 0 {
		t.Errorf("a redirect was followed %d times", n)
	}
	v.publish(nil)
	if got := v.push(v.id()); got.Status != http.StatusCreated {
		t.Errorf("CM8: the good document after it: %d %s", got.Status, got.Body)
	}
}

func TestCM11FloodOfHosts(t *testing.T) {
	v := newVendor(t)
	v.publish(nil)
	if got := v.push(v.id()); got.Status != http.StatusCreated {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	v.later()
	v.DNS.Set("*", "127.0.0.1")
	refused := 0
	for i := range 300 {
		id := v.At(fmt.Sprintf("h%d.example.com", i), "/client.json")
		if got := v.w.agent(id).send("/par", url.Values{"client_id": {id}}); got.Status == http.StatusTooManyRequests {
			refused++
			if got.Header.Get("Retry-After") == "" {
				t.Fatal("429 without Retry-After")
			}
		}
	}
	if refused < 250 || v.Connections() > 50 {
		t.Errorf("%d of 300 refused, %d connections", refused, v.Connections())
	}
	if got := v.push(v.id()); got.Status != http.StatusCreated {
		t.Errorf("a client that is known suffers: %d %s", got.Status, got.Body)
	}
}

func TestCM12Certificates(t *testing.T) {
	v := newVendor(t)
	v.DNS.Set("agent.example.net", "127.0.0.1")
	id := v.At("agent.example.net", "/client.json")
	v.put("/client.json", document(id, nil))
	want(t, v.push(id), 401, "invalid_client")
	if v.fetched("/client.json") != 0 {
		t.Error("it was fetched under another host's certificate")
	}
}

func TestOneFetchServesAll(t *testing.T) {
	v := newVendor(t)
	arrived, release := make(chan struct{}, 10), make(chan struct{})
	body, err := json.Marshal(document(v.id(), nil))
	must(t, err)
	v.serve("/client.json", func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-release
		w.Header().Set("Content-Type", "application/json")
		w.Write(body)
	})
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			a := v.w.agent(v.id())
			if got := a.send("/par", a.request()); got.error() != "use_dpop_nonce" && got.error() != "invalid_dpop_proof" && got.Status != http.StatusCreated {
				t.Errorf("%d %s", got.Status, got.Body)
			}
		})
	}
	<-arrived
	close(release)
	all.Wait()
	if n := v.fetched("/client.json"); n != 1 {
		t.Errorf("fetched %d times", n)
	}
}

func TestHowLongDocumentsCount(t *testing.T) {
	for name, tt := range map[string]struct {
		cacheControl string
		fresh, stale time.Duration
	}{
		"unsaid":   {"", 4 * time.Minute, 5*time.Minute + time.Second},
		"no-store": {"no-store", 59 * time.Second, 61 * time.Second},
		"2 min":    {"max-age=120", 119 * time.Second, 121 * time.Second},
		"a year":   {"max-age=31536000", 4 * time.Minute, 5*time.Minute + time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVendor(t)
			v.cache = tt.cacheControl
			v.publish(nil)
			for _, step := range []struct {
				wait time.Duration
				hits int
			}{{0, 1}, {tt.fresh, 1}, {tt.stale - tt.fresh, 2}} {
				v.w.clock.Add(step.wait)
				if got := v.push(v.id()); got.Status != http.StatusCreated || v.fetched("/client.json") != step.hits {
					t.Fatalf("after %s: %d, fetched %d times, want %d", step.wait, got.Status, v.fetched("/client.json"), step.hits)
				}
			}
		})
	}
}

func TestKnownClientWhoseSiteIsDown(t *testing.T) {
	v := newVendor(t)
	v.publish(nil)
	a := v.w.agent(v.id())
	got := a.tokens()
	v.later()
	v.serve("/client.json", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) })
	want(t, a.post("/token", a.refreshForm(got.text("refresh_token"))), 503, "temporarily_unavailable")
	v.serve("/client.json", nil) // 404: it is gone
	want(t, a.post("/token", a.refreshForm(got.text("refresh_token"))), 401, "invalid_client")
	v.publish(nil)
	if got := a.post("/token", a.refreshForm(got.text("refresh_token"))); got.Status != http.StatusOK {
		t.Errorf("after it: %d %s", got.Status, got.Body)
	}
}

func TestCIMDSwitches(t *testing.T) {
	off := newVendor(t, func(c *server.Config) { c.CIMD.Enabled = false })
	off.publish(nil)
	want(t, off.push(off.id()), 401, "invalid_client")
	if off.Connections() != 0 || off.w.browser().get("/.well-known/oauth-authorization-server").JSON["client_id_metadata_document_supported"] != false {
		t.Error("switched off, documents are fetched or promised")
	}
	v := newVendor(t, func(c *server.Config) { c.CIMD.Domains = []string{"agent.example.com", "*.apps.example.com"} })
	v.DNS.Set("*", "127.0.0.1")
	for host, ok := range map[string]bool{
		"agent.example.com": true, "a.apps.example.com": false /* its certificate is not for two labels */, "example.com": false,
		"other.example.com": false, "apps.example.com": false, "xagent.example.com": false,
	} {
		id := v.At(host, "/client.json")
		v.put("/client.json", document(id, nil))
		before := v.Connections()
		got := v.push(id)
		if (got.Status == http.StatusCreated) != ok {
			t.Errorf("%s: %d %s", host, got.Status, got.Body)
		}
		if connected := v.Connections() > before; connected != (ok || host == "a.apps.example.com") {
			t.Errorf("%s: connected %v", host, connected)
		}
	}
	for _, domains := range [][]string{{""}, {"*"}, {"https://a.example"}, {"A.example"}, {"a.example."}, {"*.*.example"}} {
		_, err := server.New(context.Background(), server.Config{Issuer: "https://as.example", CIMD: server.CIMD{Domains: domains}})
		if err == nil || !strings.Contains(err.Error(), "CIMD domain") {
			t.Errorf("domains %q: %v", domains, err)
		}
	}
}

func TestDisabledDocumentClient(t *testing.T) {
	v := newVendor(t)
	v.publish(nil)
	a := v.w.agent(v.id())
	got := a.tokens()
	_, err := v.w.store.DisableClient(context.Background(), v.id(), true)
	must(t, err)
	v.later()
	v.publish(map[string]any{"client_name": "Another name"})
	want(t, v.push(v.id()), 401, "invalid_client")
	want(t, a.post("/token", a.refreshForm(got.text("refresh_token"))), 401, "invalid_client")
	if v.fetched("/client.json") != 1 {
		t.Error("the document of a disabled client was fetched")
	}
}
