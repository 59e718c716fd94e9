package main_test

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// vendor publishes what its AI application is (draft-ietf-oauth-client-id-metadata-document), over TLS
// that the server under attack trusts, on loopback: in dev mode it reads documents there.
type vendor struct {
	url, port string
	mu        sync.Mutex
	pages     map[string]http.HandlerFunc
	fetched   map[string]int
	reached   int // connections
	expired   *httptest.Server
	stranger  *httptest.Server // whose certificate nobody trusts
}

func newVendor(t *testing.T) *vendor {
	t.Helper()
	v := &vendor{pages: map[string]http.HandlerFunc{}, fetched: map[string]int{}}
	server := httptest.NewUnstartedServer(http.HandlerFunc(v.ServeHTTP))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of connections that are refused: it is what the rows are about
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			v.mu.Lock()
			v.reached++
			v.mu.Unlock()
		}
	}
	server.StartTLS()
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	v.url = server.URL
	v.port = portOf(server.URL)
	return v
}

func portOf(url string) string { return url[strings.LastIndex(url, ":")+1:] }

// ServeHTTP answers with the page of the path.
func (v *vendor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	page := v.pages[r.URL.Path]
	v.fetched[r.URL.Path]++
	v.mu.Unlock()
	if page == nil {
		page = http.NotFound
	}
	page(w, r)
}

// env are the settings of a server that may read the vendor's documents. It trusts expired's certificate
// as well, which has ended.
func (v *vendor) env(t *testing.T) []string {
	t.Helper()
	v.expired = httptest.NewUnstartedServer(http.HandlerFunc(v.ServeHTTP))
	cert, key := certificate(t, time.Now().Add(-time.Hour), "127.0.0.1")
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	v.expired.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	v.expired.Config.ErrorLog = log.New(io.Discard, "", 0)
	v.expired.StartTLS()
	t.Cleanup(v.expired.Close)
	v.stranger = httptest.NewUnstartedServer(http.HandlerFunc(v.ServeHTTP))
	selfCert, selfKey := certificate(t, time.Now().Add(24*time.Hour), "127.0.0.1")
	own, err := tls.LoadX509KeyPair(selfCert, selfKey)
	if err != nil {
		t.Fatal(err)
	}
	v.stranger.TLS = &tls.Config{Certificates: []tls.Certificate{own}}
	v.stranger.Config.ErrorLog = log.New(io.Discard, "", 0)
	v.stranger.StartTLS()
	t.Cleanup(v.stranger.Close)
	ended, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", strings.TrimPrefix(v.url, "https://"), &tls.Config{InsecureSkipVerify: true}) // #nosec G402: reads the certificate to trust
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	file := filepath.Join(shortDir(t), "roots.pem")
	roots := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: conn.ConnectionState().PeerCertificates[0].Raw}), ended...)
	if err := os.WriteFile(file, roots, 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"SSL_CERT_FILE=" + file, "REMIT_CIMD_PORTS=" + v.port + "," + portOf(v.expired.URL) + "," + portOf(v.stranger.URL)}
}

// serves publishes a page.
func (v *vendor) serves(path string, page http.HandlerFunc) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.pages[path] = page
}

// publishes publishes the document of the client with this path, changed, and returns its client_id.
func (v *vendor) publishes(path string, changes blackbox.Object) string {
	id := v.url + path
	document := blackbox.Object{"client_id": id, "client_name": "Vendor's Agent", "redirect_uris": []string{redirectA}, "token_endpoint_auth_method": "none", "grant_types": []string{"authorization_code", "refresh_token"}}
	maps.Copy(document, changes)
	for name, value := range document {
		if value == nil {
			delete(document, name)
		}
	}
	v.serves(path, says(http.StatusOK, "application/json", []byte(document.JSON())))
	return id
}

func says(status int, contentType string, body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = w.Write(body)
	}
}

// counts are how often a path was asked for, and how often anybody connected.
func (v *vendor) counts(path string) (fetched, reached int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.fetched[path], v.reached
}

// TestAttackCIMD plays section 4.11 of the catalogue.
func TestAttackCIMD(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	w := newWorld(t, v.env(t)...)
	rows := map[string]row{"CM13": func(t *testing.T, w *world) { cm13(t, w, v) }}
	for id, play := range map[string]func(*testing.T, *world, *vendor){
		"CM1": cm1, "CM2": cm2, "CM3": cm3, "CM4": cm4, "CM5": cm5, "CM6": cm6, "CM7": cm7, "CM8": cm8, "CM10": cm10, "CM12": cm12, "RC5": rc5, "CA9": ca9Keys,
	} {
		rows[id] = func(t *testing.T, w *world) { play(t, w, v) }
	}
	playOn(t, w, rows)
}

// documented is a flow of the client that is known by this address.
func (w *world) documented(id string) *blackbox.Flow {
	f := w.flow()
	f.ClientID = id
	return f
}

// serves checks that the vendor's good client is served.
func (w *world) serves(t *testing.T, v *vendor, path string) {
	t.Helper()
	good(t, w.documented(v.publishes(path, nil)), (*blackbox.Flow).ToToken)
}

// unfetched wants each client_id refused at PAR and on the page, without a connection to the vendor.
func (w *world) unfetched(t *testing.T, v *vendor, ids map[string]string) {
	t.Helper()
	_, before := v.counts("")
	for name, id := range ids {
		t.Run(name, func(t *testing.T) {
			w.refuses(t, E401(), func() (blackbox.Response, error) {
				return blackbox.Post(t.Context(), w.server.PAR, w.documented(id).PushForm(), blackbox.DPoP(w.server.Proof(blackbox.NewKey(), w.server.PAR)))
			})
			PAGE().check(t, w.landed(t, w.front(w.documented(id).PushForm())))
		})
	}
	if _, after := v.counts(""); after != before {
		t.Errorf("%d connections to what is never to be fetched", after-before)
	}
}

func cm1(t *testing.T, w *world, v *vendor) {
	host := strings.TrimPrefix(v.url, "https://")
	v.publishes("/one.json", nil)
	w.unfetched(t, v, map[string]string{
		"http": "http://" + host + "/one.json", "upper-case scheme": "HTTPS://" + host + "/one.json", "no path": v.url, "root": v.url + "/", "dot segments": v.url + "/a/../one.json", "dot segment": v.url + "/./one.json",
		"escaped dot segments": v.url + "/a/%2e%2E/one.json", "fragment": v.url + "/one.json#a", "user": "https://a@" + host + "/one.json", "password": "https://a:b@" + host + "/one.json",
		"query": v.url + "/one.json?a=b", "empty query": v.url + "/one.json?", "too long": v.url + "/" + strings.Repeat("a", 2000),
	})
	w.serves(t, v, "/one.json")
}

// notDocuments wants what the vendor publishes refused, each under a path of its own.
func (w *world) notDocuments(t *testing.T, v *vendor, row string, documents map[string]http.HandlerFunc) {
	t.Helper()
	for name, page := range documents {
		t.Run(name, func(t *testing.T) {
			path := "/" + row + "/" + url.PathEscape(strings.ReplaceAll(name, " ", "-")) + ".json"
			if page != nil {
				v.serves(path, page)
			}
			began := time.Now()
			w.refuses(t, E401(), func() (blackbox.Response, error) {
				return w.server.Send(t.Context(), blackbox.NewKey(), w.server.PAR, w.documented(v.url+path).PushForm())
			})
			if took := time.Since(began); took > 8*time.Second { // three seconds, and a busy machine
				t.Errorf("refused after %v", took)
			}
		})
	}
	w.serves(t, v, "/"+row+"/good.json")
}

// spoiled are documents with these changes; ID stands for the address.
func spoiled(v *vendor, row string, all map[string]blackbox.Object) map[string]http.HandlerFunc {
	pages := map[string]http.HandlerFunc{}
	for name, changes := range all {
		path := "/" + row + "/" + url.PathEscape(strings.ReplaceAll(name, " ", "-")) + ".json"
		for member, value := range changes {
			if s, ok := value.(string); ok {
				changes[member] = strings.ReplaceAll(s, "ID", v.url+path)
			}
		}
		v.publishes(path, changes)
		pages[name] = nil // published already
	}
	return pages
}

func cm2(t *testing.T, w *world, v *vendor) {
	w.notDocuments(t, v, "cm2", spoiled(v, "cm2", map[string]blackbox.Object{
		"another path": {"client_id": "IDx"}, "a trailing slash": {"client_id": "ID/"}, "another case": {"client_id": strings.ToUpper(v.url) + "/cm2/another-case.json"}, "escapes": {"client_id": v.url + "/%63m2/escapes.json"},
		"no client_id": {"client_id": nil}, "a list": {"client_id": []string{"x"}}, "the member in another case": {"client_id": nil, "CLIENT_ID": "ID"}, "no name": {"client_name": nil},
		"a name that turns direction": {"client_name": "Agent \u202egnihton"}, "no redirect_uris": {"redirect_uris": nil}, "none of use": {"redirect_uris": []string{"http://agent.example/cb", "javascript:alert(1)"}},
	}))
}

// cm3: no address that is not public is connected to, however it is written; the servers under attack
// are one in dev mode, which may reach its own machine, and one that is not.
func cm3(t *testing.T, w *world, v *vendor) {
	w.unfetched(t, v, map[string]string{
		"10/8": "https://10.0.0.1:" + v.port + "/c.json", "the cloud's metadata": "https://169.254.169.254:" + v.port + "/c.json", "100.64/10": "https://100.64.0.1:" + v.port + "/c.json", "0.0.0.0": "https://0.0.0.0:" + v.port + "/c.json",
		"fd00": "https://[fd00::1]:" + v.port + "/c.json", "IPv4 in IPv6": "https://[::ffff:127.0.0.1]:" + v.port + "/c.json", "a name of one label": "https://intranet:" + v.port + "/c.json",
	})
	outside := &process{dir: shortDir(t), listen: freeAddress(t), issuer: "https://as.acme.example", env: append(append(engineEnv(t), v.env(t)...), "REMIT_DEV=")}
	outside.run(t)
	_, before := v.counts("")
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "127.1", "0.0.0.0"} {
		res := mustPost(t, "http://"+outside.listen+"/par", w.documented("https://"+host+":"+v.port+"/c.json").PushForm())
		E401().check(t, res)
	}
	if _, after := v.counts(""); after != before {
		t.Errorf("%d connections to loopback", after-before)
	}
	jot(t, "no connection")
	w.serves(t, v, "/cm3.json")
}

func cm4(t *testing.T, w *world, v *vendor) {
	v.publishes("/cm4/target.json", nil)
	pages := map[string]http.HandlerFunc{}
	for _, status := range []int{301, 302, 303, 307, 308} {
		for name, to := range map[string]string{"inside": v.url + "/cm4/target.json", "away": "https://public.example/"} {
			pages[fmt.Sprint(status, " ", name)] = func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Location", to); w.WriteHeader(status) }
		}
	}
	w.notDocuments(t, v, "cm4", pages)
	if n, _ := v.counts("/cm4/target.json"); n != 0 {
		t.Errorf("a redirect was followed %d times", n)
	}
}

func cm5(t *testing.T, w *world, v *vendor) {
	w.unfetched(t, v, map[string]string{"decimal": "https://2130706433:" + v.port + "/x", "hex": "https://0x7f000001:" + v.port + "/x", "hex and short": "https://0x7f.1:" + v.port + "/x", "octal": "https://0177.0.0.1:" + v.port + "/x", "short": "https://127.1:" + v.port + "/x"})
	w.serves(t, v, "/cm5.json")
}

func cm6(t *testing.T, w *world, v *vendor) {
	endless := func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(bytes.Repeat([]byte(" "), 1<<16)); err != nil {
				return
			}
		}
	}
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = z.Write(bytes.Repeat([]byte(" "), 10<<20))
	_ = z.Close()
	good := []byte(blackbox.Object{"client_id": v.url + "/cm6/206.json", "client_name": "A", "redirect_uris": []string{redirectA}}.JSON())
	w.notDocuments(t, v, "cm6", map[string]http.HandlerFunc{
		"100 MB": endless, "206": says(206, "application/json", good), "204": says(204, "application/json", nil), "404": says(404, "application/json", good), "500": says(500, "application/json", good), "HTML": says(200, "text/html", good),
		"gzip": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(bomb.Bytes())
		},
		"a byte at a time": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			tick := time.NewTicker(500 * time.Millisecond)
			defer tick.Stop()
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte(" "))
				_ = http.NewResponseController(w).Flush()
				<-tick.C
			}
		},
		"never": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"headers without end": func(w http.ResponseWriter, _ *http.Request) {
			for i := range 2000 {
				w.Header().Set(fmt.Sprint("X-", i), strings.Repeat("a", 100))
			}
			w.WriteHeader(200)
		},
	})
}

func cm7(t *testing.T, w *world, v *vendor) {
	w.unfetched(t, v, map[string]string{"22": "https://127.0.0.1:22/x", "25": "https://127.0.0.1:25/x", "6379": "https://127.0.0.1:6379/x", "80": "https://agent.example:80/x", "zeros": "https://127.0.0.1:0" + v.port + "/x"})
	w.serves(t, v, "/cm7.json")
}

// cm8: a failure is not remembered.
func cm8(t *testing.T, w *world, v *vendor) {
	for name, page := range map[string]http.HandlerFunc{"500": says(500, "application/json", nil), "garbage": says(200, "application/json", []byte("{"))} {
		path := "/cm8/" + name + ".json"
		v.serves(path, page)
		w.refuses(t, E401().or(http.StatusServiceUnavailable), func() (blackbox.Response, error) {
			return w.server.Send(t.Context(), blackbox.NewKey(), w.server.PAR, w.documented(v.url+path).PushForm())
		})
		id := v.publishes(path, nil)
		eventually(t, 12*time.Second, "the good document counts", func() bool {
			f := w.documented(id)
			return f.Push(t.Context()) == nil
		})
	}
	jot(t, goodAfter)
}

func cm10(t *testing.T, w *world, v *vendor) {
	w.notDocuments(t, v, "cm10", spoiled(v, "cm10", map[string]blackbox.Object{
		"a secret": {"client_secret": "s"}, "a secret that expires": {"client_secret_expires_at": 0}, "basic": {"token_endpoint_auth_method": "client_secret_basic"}, "post": {"token_endpoint_auth_method": "client_secret_post"},
		"jwt": {"token_endpoint_auth_method": "client_secret_jwt"}, "symmetric keys": {"jwks": blackbox.Object{"keys": []any{blackbox.Object{"kty": "oct", "k": "AAAA"}}}},
	}))
}

// cm12: a document comes from who the certificate says, or not at all.
func cm12(t *testing.T, w *world, v *vendor) {
	before, _ := v.counts("/cm12.json")
	v.publishes("/cm12.json", nil)
	for name, origin := range map[string]string{"another host": "https://localhost:" + v.port, "expired": v.expired.URL, "self-signed": v.stranger.URL, "another address": "https://127.0.0.2:" + v.port} {
		t.Run(name, func(t *testing.T) {
			w.refuses(t, E401(), func() (blackbox.Response, error) {
				return w.server.Send(t.Context(), blackbox.NewKey(), w.server.PAR, w.documented(origin+"/cm12.json").PushForm())
			})
		})
	}
	if after, _ := v.counts("/cm12.json"); after != before {
		t.Error("the document was read")
	}
	w.serves(t, v, "/cm12.json")
}

// cm13: no logo leads the user's browser anywhere.
func cm13(t *testing.T, w *world, v *vendor) {
	f := w.documented(v.publishes("/cm13.json", blackbox.Object{"logo_uri": v.url + "/logo.svg"}))
	v.serves("/logo.svg", says(200, "image/svg+xml", []byte(`<svg onload="alert(1)"/>`)))
	must(t, f, (*blackbox.Flow).Push)
	at := w.asks(t, f.AuthorizeURL())
	if n, _ := v.counts("/logo.svg"); n != 0 || bytes.Contains(at.Body, []byte("logo.svg")) || bytes.Contains(at.Body, []byte("onload")) {
		t.Errorf("the logo was fetched %d times: %s", n, at.Response)
	}
	jot(t, "not shown, not fetched")
	good(t, f, (*blackbox.Flow).Consent)
}

// rc5: fifty requests that see a client first, at once: one fetch at each instance.
func rc5(t *testing.T, w *world, v *vendor) {
	id := v.publishes("/rc5.json", nil)
	good := v.pages["/rc5.json"]
	arrived := make(chan struct{}, 100)
	v.serves("/rc5.json", func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		select { // a slow vendor: all others come meanwhile
		case <-time.After(300 * time.Millisecond):
		case <-r.Context().Done():
		}
		good(w, r)
	})
	w.nonce(t)
	served := 0
	const asking = 50
	for _, res := range atOnce(t, asking, func(int) (blackbox.Response, error) {
		return w.server.Send(t.Context(), blackbox.NewKey(), w.server.PAR, w.documented(id).PushForm())
	}) {
		if sane(t, res); res.Status == http.StatusCreated {
			served++
		}
	}
	if n, _ := v.counts("/rc5.json"); served != asking || n > map[bool]int{true: 2, false: 1}[*engine == "pair"] {
		t.Errorf("%d of %d served, %d fetches", served, asking, n)
	}
	jot(t, "all served, by one fetch at each instance")
}
