package server_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/server/fetch"
	"github.com/remit-auth/remit/server/fetch/fetchtest"
	"github.com/remit-auth/remit/store"
)

// pushed is a message as its browser reads it.
type pushed struct {
	Title, Body, Path string
	header            http.Header
}

// pushService keeps what is sent to each of its browsers, as a push service does, and lets them read it.
type pushService struct {
	*fetchtest.Site
	t       *testing.T
	mu      sync.Mutex
	answers map[string]func(http.ResponseWriter)
	boxes   map[string]chan pushed
	readers map[string]*pushReader
	strays  int
}

// pushReader is the half of a browser that reads (RFC 8291 §3).
type pushReader struct {
	key  *ecdh.PrivateKey
	auth []byte
}

func newPushService(t *testing.T) *pushService {
	t.Helper()
	p := &pushService{t: t, answers: map[string]func(http.ResponseWriter){}, boxes: map[string]chan pushed{}, readers: map[string]*pushReader{}}
	p.Site = fetchtest.NewSite(t, p)
	p.DNS.Set("push.example.com", "127.0.0.1")
	return p
}

// allowed lets a server send there.
func (p *pushService) allowed(c *server.Config) {
	c.Fetch = fetch.Config{Ports: []uint16{p.Port()}, Roots: p.Roots(), Resolver: p.DNS.Resolver(), Timeout: 20 * time.Second}
}

// subscription is what a browser would say.
func (p *pushService) subscription(name string) url.Values {
	p.t.Helper()
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	must(p.t, err)
	r := &pushReader{key, make([]byte, 16)}
	rand.Read(r.auth)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.readers["/send/"+name], p.boxes["/send/"+name] = r, make(chan pushed, 16)
	b64 := base64.RawURLEncoding
	return url.Values{
		"endpoint": {p.At("push.example.com", "/send/"+name)}, "p256dh": {b64.EncodeToString(key.PublicKey().Bytes())}, "auth": {b64.EncodeToString(r.auth)},
	}
}

func (p *pushService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	reader := p.readers[r.URL.Path]
	if reader == nil || r.Method != http.MethodPost {
		p.strays++
		http.NotFound(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err == nil {
		var m pushed
		var plain []byte
		if plain, err = reader.read(body); err == nil {
			err = json.Unmarshal(plain, &m)
		}
		m.header = r.Header
		if err == nil {
			p.boxes[r.URL.Path] <- m
		}
	}
	if err != nil {
		p.t.Errorf("a message cannot be read: %v", err)
	}
	if answer := p.answers[r.URL.Path]; answer != nil {
		answer(w)
		return
	}
	w.WriteHeader(http.StatusCreated)
}

// read decrypts with nothing of what encrypted (RFC 8188 §2.1, RFC 8291 §3.4).
func (r *pushReader) read(body []byte) ([]byte, error) {
	if len(body) < 21 || len(body) < 21+int(body[20]) || binary.BigEndian.Uint32(body[16:20]) < uint32(len(body)-21-int(body[20])) {
		return nil, fmt.Errorf("no header in %d bytes", len(body))
	}
	salt, id, sealed := body[:16], body[21:21+int(body[20])], body[21+int(body[20]):]
	sender, err := ecdh.P256().NewPublicKey(id)
	if err != nil {
		return nil, err
	}
	shared, err := r.key.ECDH(sender)
	if err != nil {
		return nil, err
	}
	derive := func(secret, salt []byte, info string, n int) []byte {
		key, err := hkdf.Key(sha256.New, secret, salt, info, n)
		if err != nil {
			panic(err)
		}
		return key
	}
	ikm := derive(shared, r.auth, "WebPush: info\x00"+string(r.key.PublicKey().Bytes())+string(id), 32)
	block, err := aes.NewCipher(derive(ikm, salt, "Content-Encoding: aes128gcm\x00", 16))
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	padded, err := aead.Open(nil, derive(ikm, salt, "Content-Encoding: nonce\x00", 12), sealed, nil)
	if err != nil {
		return nil, err
	}
	text, ok := strings.CutSuffix(strings.TrimRight(string(padded), "\x00"), "\x02")
	if !ok {
		return nil, fmt.Errorf("no delimiter in %q", padded)
	}
	return []byte(text), nil
}

// gets waits for the next message to a browser.
func (p *pushService) gets(name string) pushed {
	p.t.Helper()
	p.mu.Lock()
	box := p.boxes["/send/"+name]
	p.mu.Unlock()
	select {
	case m := <-box:
		return m
	case <-time.After(30 * time.Second):
		p.t.Fatalf("%s was not told", name)
		return pushed{}
	}
}

func (p *pushService) hasNone(names ...string) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, name := range names {
		if n := len(p.boxes["/send/"+name]); n != 0 {
			p.t.Errorf("%s was told %d times", name, n)
		}
	}
}

// account does one thing on the account page.
func (b *browser) account(action string, form url.Values) answer {
	b.w.t.Helper()
	page := b.get("/account")
	sent := url.Values{"csrf": {field(page.Body, "csrf")}, "action": {action}}
	for name, values := range form {
		sent[name] = values
	}
	return b.post("/account", sent)
}

// listens signs somebody in as Mara, and has that browser told.
func (p *pushService) listens(w *world, name string) *browser {
	p.t.Helper()
	b := w.browser()
	b.signIn()
	if got := b.account("push_on", p.subscription(name)); got.Status != http.StatusOK || !strings.Contains(got.Body, "This browser is told when an agent waits for you.") {
		p.t.Fatalf("%s: %d %s", name, got.Status, got.Body)
	}
	return b
}

// TestPush: the browsers that asked for it are told of a call that waits, once, and where; and nobody
// who carries the message reads it, or learns what it is about.
func TestPush(t *testing.T) {
	p := newPushService(t)
	x := asks(t, p.allowed)
	laptop := p.listens(x.world, "laptop")
	p.listens(x.world, "phone")
	path := x.waits("add_comment", hello)
	for _, name := range []string{"laptop", "phone"} {
		m := p.gets(name)
		if m.Path != path || m.Body != "An agent waits for your answer." || m.Title == "" {
			t.Errorf("%s is told %+v", name, m)
		}
		h := m.header
		if h.Get("Content-Encoding") != "aes128gcm" || h.Get("Ttl") != "600" || h.Get("Urgency") != "high" || h.Get("Cookie") != "" {
			t.Errorf("headers %v", h)
		}
		signedBy(t, h.Get("Authorization"), pushKeyOf(t, x.mara()), p.At("push.example.com", ""), x.clock.Now())
	}
	x.waits("add_comment", hello) // asked again, the same question
	x.waits("delete_ticket", `{"id":"WEB-2"}`)
	if m := p.gets("laptop"); m.Path == path {
		t.Error("told twice of one call")
	}
	p.gets("phone")

	// Signed out, or told to be quiet, a browser hears no more.
	laptop.post("/signout", url.Values{"csrf": {field(laptop.get("/agents").Body, "csrf")}})
	tablet := p.listens(x.world, "tablet")
	if got := tablet.account("push_off", nil); got.Status != http.StatusOK {
		t.Fatalf("push_off: %d", got.Status)
	}
	x.mara().decide(path, "deny")
	x.waits("add_comment", `{"project":"WEB","id":"WEB-3","text":"x"}`)
	p.gets("phone")
	p.hasNone("laptop", "tablet", "phone")
	kinds := map[string]int{}
	must(t, x.server.Settle(t.Context()))
	recs, err := x.store.Records(t.Context(), store.RecordFilter{Limit: 500})
	must(t, err)
	for _, rec := range recs {
		kinds[rec.Kind]++
		if strings.Contains(string(rec.Payload), "push.example.com") {
			t.Errorf("the ledger tells where a browser is: %s", rec.Payload)
		}
	}
	if kinds["push.added"] != 3 || kinds["push.removed"] != 1 {
		t.Errorf("ledger: %v", kinds)
	}
}

// pushKeyOf is the key that pages give to browsers.
func pushKeyOf(t *testing.T, b *browser) string {
	t.Helper()
	_, after, ok := strings.Cut(b.get("/account").Body, `data-push="`)
	key, _, _ := strings.Cut(after, `"`)
	if !ok {
		t.Fatal("messages are not offered")
	}
	return key
}

// signedBy checks the header as a push service does (RFC 8292 §2, §4.2).
func signedBy(t *testing.T, header, key, audience string, now time.Time) {
	t.Helper()
	token, k, _ := strings.Cut(strings.TrimPrefix(header, "vapid t="), ", k=")
	raw, err := base64.RawURLEncoding.DecodeString(k)
	if err != nil || k != key || len(raw) != 65 {
		t.Fatalf("Authorization: %s, for a subscription made with %s", header, key)
	}
	jwk := jose.JSONWebKey{}
	must(t, jwk.UnmarshalJSON(fmt.Appendf(nil, `{"kty":"EC","crv":"P-256","x":%q,"y":%q}`,
		base64.RawURLEncoding.EncodeToString(raw[1:33]), base64.RawURLEncoding.EncodeToString(raw[33:]))))
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	must(t, err)
	payload, err := jws.Verify(jwk)
	must(t, err)
	var claims struct {
		Aud, Sub string
		Exp      int64
	}
	must(t, json.Unmarshal(payload, &claims))
	if claims.Aud != audience || !strings.HasPrefix(claims.Sub, "https:") || claims.Exp <= now.Unix() || claims.Exp > now.Add(24*time.Hour).Unix() {
		t.Errorf("claims %s", payload)
	}
}

// TestPushOfFirstTask: whoever works for somebody for the first time is told of.
func TestPushOfFirstTask(t *testing.T) {
	p := newPushService(t)
	w := newWorldOn(t, func(s store.Store) store.Store { return s }, p.allowed)
	p.listens(w, "laptop")
	w.lend()
	if m := p.gets("laptop"); m.Path != "/agents" || m.Body != "An agent works for you that never did before." {
		t.Errorf("told %+v", m)
	}
	w.lend()
	p.hasNone("laptop")
}

// TestPushAddresses: the address of a push service is a stranger's, and keys are checked before they are kept.
func TestPushAddresses(t *testing.T) {
	p := newPushService(t)
	x := asks(t, p.allowed)
	good := p.subscription("good")
	b := x.browser()
	b.signIn()
	for name, spoil := range map[string][2]string{
		"plain http":         {"endpoint", strings.Replace(good.Get("endpoint"), "https:", "http:", 1)},
		"an address":         {"endpoint", "https://10.0.0.1/x"},
		"metadata":           {"endpoint", "https://169.254.169.254/latest"},
		"a port":             {"endpoint", "https://push.example.com:22/x"},
		"a user":             {"endpoint", "https://a@push.example.com/x"},
		"a short name":       {"endpoint", "https://intranet/x"},
		"no endpoint":        {"endpoint", ""},
		"a file":             {"endpoint", "file:///etc/passwd"},
		"a line break":       {"endpoint", good.Get("endpoint") + "\r\nX: y"},
		"no key":             {"p256dh", ""},
		"a point off course": {"p256dh", "BA" + good.Get("p256dh")[2:85] + "AA"},
		"a short secret":     {"auth", "AAAA"},
	} {
		form := url.Values{"endpoint": good["endpoint"], "p256dh": good["p256dh"], "auth": good["auth"]}
		form.Set(spoil[0], spoil[1])
		if got := b.account("push_on", form); got.Status != http.StatusBadRequest || strings.Contains(got.Body, "This browser is told.") {
			t.Errorf("%s: %d", name, got.Status)
		}
	}
	if got := b.post("/account", url.Values{"action": {"push_on"}, "endpoint": good["endpoint"], "p256dh": good["p256dh"], "auth": good["auth"]}); got.Status != http.StatusForbidden {
		t.Errorf("without the form's mark: %d", got.Status)
	}

	// A name that leads inside is not reached, a redirect not followed; who is told besides still is.
	p.DNS.Set("inner.example.com", "127.0.0.1", "10.0.0.1")
	p.DNS.Turn("inner.example.com", []string{"10.0.0.1"}, []string{"169.254.169.254"})
	inner := p.subscription("inner")
	inner.Set("endpoint", p.At("inner.example.com", "/send/inner"))
	if got := b.account("push_on", inner); got.Status != http.StatusOK {
		t.Fatalf("inner: %d", got.Status)
	}
	p.listens(x.world, "moved")
	p.mu.Lock()
	p.answers["/send/moved"] = func(w http.ResponseWriter) {
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(http.StatusTemporaryRedirect)
	}
	p.mu.Unlock()
	p.listens(x.world, "fine")
	for _, id := range []string{"WEB-1", "WEB-2"} {
		x.waits("delete_ticket", `{"id":"`+id+`"}`)
		p.gets("moved")
		p.gets("fine")
	}
	x.server.Close()
	p.hasNone("inner", "good")
	if p.strays != 0 {
		t.Errorf("%d requests went elsewhere", p.strays)
	}
}

// TestPushIsForgotten: a place that is gone is not told again; signing in again in the same browser keeps it.
func TestPushIsForgotten(t *testing.T) {
	p := newPushService(t)
	x := asks(t, p.allowed)
	gone, stays := p.listens(x.world, "gone"), p.listens(x.world, "stays")
	p.mu.Lock()
	p.answers["/send/gone"] = func(w http.ResponseWriter) { w.WriteHeader(http.StatusGone) }
	p.mu.Unlock()
	x.waits("delete_ticket", `{"id":"WEB-1"}`)
	p.gets("gone")
	p.gets("stays")
	for deadline := time.Now().Add(30 * time.Second); strings.Contains(gone.get("/account").Body, "This browser is told."); {
		if time.Now().After(deadline) {
			t.Fatal("a place that is gone is still kept")
		}
	}
	stays.signIn()
	if page := stays.get("/account"); !strings.Contains(page.Body, "This browser is told.") {
		t.Error("signing in again ended the messages")
	}
	x.waits("delete_ticket", `{"id":"WEB-2"}`)
	p.gets("stays")
	p.hasNone("gone")

	// Somebody else in the same browser is not told what the former was.
	mallory := store.User{ID: "usr_mallory", Email: "mallory@example.com", PasswordHash: x.user.PasswordHash, ConsoleRole: store.RoleUser}
	must(t, x.store.AddUser(t.Context(), mallory))
	if got := stays.post("/signin", url.Values{"email": {mallory.Email}, "password": {password}}); got.Status != http.StatusSeeOther {
		t.Fatal("mallory cannot sign in")
	}
	if page := stays.get("/account"); strings.Contains(page.Body, "This browser is told.") {
		t.Error("mallory is told what Mara was")
	}
	p.listens(x.world, "other")
	x.waits("delete_ticket", `{"id":"WEB-3"}`)
	p.gets("other")
	p.hasNone("stays", "gone")
}
