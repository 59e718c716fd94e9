package server_test

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
)

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

// deviceRequest is the good request at /device.
func (a *agent) deviceRequest() url.Values {
	return url.Values{"client_id": {a.client}, "resource": {ticketsURI}, "authorization_details": {details}}
}

// device asks for a code.
func (a *agent) device() answer {
	a.w.t.Helper()
	got := a.post("/device", a.deviceRequest())
	if got.Status != 200 {
		a.w.t.Fatalf("device: %d %s", got.Status, got.Body)
	}
	return got
}

func (a *agent) poll(code string) answer {
	a.w.t.Helper()
	return a.post("/token", url.Values{"grant_type": {deviceGrant}, "client_id": {a.client}, "device_code": {code}})
}

var csrfField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// typeCode types a user code at /activate.
func (b *browser) typeCode(code string) answer {
	b.w.t.Helper()
	page := b.get("/activate")
	m := csrfField.FindStringSubmatch(page.Body)
	if m == nil {
		b.w.t.Fatalf("activate: %d %s", page.Status, page.Body)
	}
	return b.post("/activate", url.Values{"csrf": {m[1]}, "user_code": {code}})
}

// answerDevice decides on the consent page that followed.
func (b *browser) answerDevice(page answer, decision string, tools ...string) answer {
	b.w.t.Helper()
	form := hidden(page.Body)
	form["tool"] = tools
	form.Set("duration", "1800")
	form.Set("decision", decision)
	return b.post("/consent", form)
}

// allowDevice is the whole of what Mara does.
func (w *world) allowDevice(asked answer) {
	w.t.Helper()
	w.clock.Add(31 * time.Second) // a person takes a while, and may try a code that often
	page := w.mara().typeCode(asked.text("user_code"))
	if got := w.mara().answerDevice(page, "allow", "search_tickets"); got.Status != 200 {
		w.t.Fatalf("allow: %d %s", got.Status, got.Body)
	}
}

func init() {
	grantCases[deviceGrant] = grantCase{good: func(w *world, a *agent) (url.Values, string) {
		asked := a.device()
		w.allowDevice(asked)
		st, err := w.store.CodeByID(context.Background(), store.HashOf(asked.text("device_code")))
		must(w.t, err)
		return url.Values{"grant_type": {deviceGrant}, "client_id": {a.client}, "device_code": {asked.text("device_code")}}, st.Task.ID
	}}
}

func TestDeviceFlow(t *testing.T) {
	w := newWorld(t)
	a := w.grantClient("Headless")
	asked := a.device()
	code, words := asked.text("user_code"), asked.text("pairing_words")
	if !regexp.MustCompile(`^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$`).MatchString(code) || len(strings.Fields(words)) != 3 ||
		asked.text("verification_uri") != w.issuer+"/activate" || asked.JSON["interval"].(float64) != 5 {
		t.Errorf("device: %s", asked.Body)
	}
	secret := asked.text("device_code")
	want(t, a.poll(secret), 400, "authorization_pending")
	want(t, a.poll(secret), 400, "authorization_pending")
	want(t, a.poll(secret), 400, "slow_down")
	w.clock.Add(10 * time.Second)
	want(t, a.poll(secret), 400, "authorization_pending")
	want(t, w.sibling(a).poll(secret), 400, "invalid_grant") // another key
	other := w.grantClient("Other")
	want(t, other.poll(secret), 400, "invalid_grant")
	want(t, a.poll(secret+"x"), 400, "invalid_grant")

	if stranger := w.browser().get("/activate?user_code=" + code); stranger.Status != 200 || !strings.Contains(stranger.Body, `name="password"`) {
		t.Errorf("not signed in: %d", stranger.Status)
	}
	b := w.mara()
	if page := b.get("/activate?user_code=" + code); !strings.Contains(page.Body, code) || !strings.Contains(page.Body, `<svg class="qr"`) || strings.Contains(page.Body, "search_tickets") {
		t.Errorf("activate: %s", page.Body)
	}
	if image := b.get("/activate/qr/" + code); image.Status != 200 || image.Header.Get("Content-Type") != "image/svg+xml" || !strings.HasPrefix(image.Body, "<svg") {
		t.Errorf("QR: %d %s", image.Status, image.Header)
	}
	if image := b.get("/activate/qr/nothing"); image.Status != 404 {
		t.Errorf("QR of nothing: %d", image.Status)
	}
	page := b.typeCode(strings.ToLower(strings.ReplaceAll(code, "-", " ")))
	if page.Status != 200 || !strings.Contains(page.Body, words) || !strings.Contains(page.Body, "cannot tell where this request came from") {
		t.Fatalf("consent: %d %s", page.Status, page.Body)
	}
	if i := strings.Index(page.Body, `value="delete_ticket"`); i >= 0 && strings.Contains(page.Body[i:i+120], "checked") {
		t.Error("what deletes is ticked already")
	}
	if got := b.answerDevice(page, "allow", "search_tickets"); got.Status != 200 {
		t.Fatalf("allow: %d %s", got.Status, got.Body)
	}
	want(t, w.sibling(a).poll(secret), 400, "invalid_grant")
	got := a.poll(secret)
	if got.Status != 200 || got.text("token_type") != "DPoP" || got.text("refresh_token") == "" || !strings.Contains(got.Body, "search_tickets") {
		t.Fatalf("token: %d %s", got.Status, got.Body)
	}
	if shown := a.call("GET", "/tasks/"+got.text("task_id"), got.text("access_token")); shown.text("state") != "active" {
		t.Errorf("task: %s", shown.Body)
	}
	asCode := a.codeForm(secret) // a device code is no authorization code
	want(t, a.post("/token", asCode), 400, "invalid_grant")
}

func TestDeviceRefusals(t *testing.T) {
	w := newWorld(t)
	a := w.grantClient("Headless")
	denied := a.device()
	if got := w.mara().answerDevice(w.mara().typeCode(denied.text("user_code")), "deny"); got.Status != 200 {
		t.Fatalf("deny: %d %s", got.Status, got.Body)
	}
	want(t, a.poll(denied.text("device_code")), 400, "access_denied")
	if again := w.mara().typeCode(denied.text("user_code")); again.Status != 400 {
		t.Errorf("a decided code: %d", again.Status)
	}
	late := a.device()
	w.clock.Add(10 * time.Minute)
	want(t, a.poll(late.text("device_code")), 400, "expired_token")
	if page := w.mara().typeCode(late.text("user_code")); page.Status != 400 {
		t.Errorf("an expired code: %d", page.Status)
	}
	want(t, a.send("/device", with(a.deviceRequest(), "client_secret", a.secret)), 400, "invalid_dpop_proof")
	for name, form := range map[string]url.Values{
		"invalid_target":                {"resource": {"https://unknown.example/mcp"}, "authorization_details": nil},
		"invalid_scope":                 {"scope": {"everything"}},
		"invalid_authorization_details": {"authorization_details": {`[{"type":"mcp_tool","tool":"unknown"}]`}},
	} {
		bad := a.deviceRequest()
		for k, v := range form {
			bad[k] = v
		}
		want(t, a.post("/device", bad), 400, name)
	}
	public := w.agent(w.client)
	want(t, public.post("/device", public.deviceRequest()), 400, "unauthorized_client")
	wrong := 0
	for range 30 {
		if got := w.mara().typeCode("BBBB-BBBB"); got.Status == http.StatusTooManyRequests {
			break
		}
		wrong++
	}
	if wrong > 12 {
		t.Errorf("%d codes tried in a row", wrong)
	}
	w.clock.Add(10 * time.Minute)
	asked := a.device()
	w.allowDevice(asked)
	if got := a.poll(asked.text("device_code")); got.Status != 200 {
		t.Errorf("the good request after them: %d %s", got.Status, got.Body)
	}
}

// One device code gives tokens once, however many poll at once.
func TestDeviceRace(t *testing.T) {
	w := newWorld(t)
	a := w.grantClient("Headless")
	for range 5 {
		asked := a.device()
		w.allowDevice(asked)
		a.post("/token", url.Values{"grant_type": {deviceGrant}, "client_id": {a.client}, "device_code": {"rd_none"}}) // for its nonce
		form := url.Values{"grant_type": {deviceGrant}, "client_id": {a.client}, "client_secret": {a.secret}, "device_code": {asked.text("device_code")}}
		var ok atomic.Int64
		var wg sync.WaitGroup
		for range 32 {
			proof := a.proof("POST", "/token", "")
			wg.Go(func() {
				r, err := http.NewRequest("POST", w.issuer+"/token", strings.NewReader(form.Encode()))
				if err != nil {
					return
				}
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				r.Header.Set("DPoP", proof)
				resp, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
				if resp.StatusCode == 200 {
					ok.Add(1)
				}
			})
		}
		wg.Wait()
		if ok.Load() != 1 {
			t.Errorf("%d answers to one device code", ok.Load())
		}
	}
}
