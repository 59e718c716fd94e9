package server_test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// who is the part of a consent page that says who asks.
func who(t *testing.T, page answer) string {
	t.Helper()
	start := strings.Index(page.Body, `class="card who"`)
	if page.Status != 200 || start < 0 {
		t.Fatalf("%d %s", page.Status, page.Body)
	}
	end := strings.Index(page.Body[start:], "</section>")
	return page.Body[start : start+end]
}

// host is the largest identity text of the page.
func host(card string) string {
	m := regexp.MustCompile(`class="host"><bdi>([^<]*)</bdi>`).FindStringSubmatch(card)
	if m == nil {
		return ""
	}
	return m[1]
}

func TestIdentityGrades(t *testing.T) { // ux C1 to C3
	v := newVendor(t)
	v.DNS.Set("xn--ggle-0nda.example.com", "127.0.0.1")
	published := func(hostname string, redirects ...string) func(t *testing.T) string {
		return func(t *testing.T) string {
			id := v.At(hostname, "/"+url.PathEscape(t.Name()))
			v.put("/"+t.Name(), document(id, map[string]any{"redirect_uris": redirects}))
			return id
		}
	}
	at := func(hostname string) string { return strings.TrimPrefix(v.At(hostname, ""), "https://") }
	for name, tt := range map[string]struct {
		client   func(t *testing.T) string
		redirect string
		host     string
		says     []string
		never    []string
	}{
		"pre-registered": {
			func(*testing.T) string { return v.w.client }, callback, "Demo Agent",
			[]string{"Registered by your admin", "A program on this computer"},
			[]string{"tile grey"},
		},
		"domain-verified": {
			published("agent.example.com", "https://agent.example.com/cb"), "https://agent.example.com/cb", at("agent.example.com"),
			[]string{"Domain verified", "Example Agent", "https://agent.example.com"},
			[]string{"Not verified", "is not"},
		},
		"domain-verified-same-site": {
			published("agent.example.com", "https://login.example.com/cb"), "https://login.example.com/cb", at("agent.example.com"),
			[]string{"Domain verified"},
			nil,
		},
		"answer-goes-elsewhere": {
			published("agent.example.com", "https://agent.example.net/cb"), "https://agent.example.net/cb", at("agent.example.com"),
			[]string{"Domain checked, this program is not", "goes to another one"},
			[]string{"Domain verified"},
		},
		"loopback": {
			published("agent.example.com", "http://localhost/cb"), "http://localhost:3118/cb", at("agent.example.com"),
			[]string{"Domain checked, this program is not", "A program on this computer", "http://localhost:3118"},
			[]string{"Domain verified"},
		},
		"private-use-scheme": {
			published("agent.example.com", "com.example.agent:/cb"), "com.example.agent:/cb", at("agent.example.com"),
			[]string{"Domain checked, this program is not", "An app on this device", "com.example.agent:"},
			[]string{"Domain verified"},
		},
		"mixed-scripts-in-punycode": {
			published("xn--ggle-0nda.example.com", "https://xn--ggle-0nda.example.com/cb"), "https://xn--ggle-0nda.example.com/cb", at("xn--ggle-0nda.example.com"),
			[]string{"Domain verified"},
			[]string{"gооgle"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := v.w.agent(tt.client(t))
			form := a.request()
			form.Set("redirect_uri", tt.redirect)
			card := who(t, v.w.mara().get(a.push(form)))
			if got := host(card); got != tt.host {
				t.Errorf("host %q, want %q", got, tt.host)
			}
			for _, text := range tt.says {
				if !strings.Contains(card, text) {
					t.Errorf("the card does not say %q: %s", text, card)
				}
			}
			for _, text := range tt.never {
				if strings.Contains(card, text) {
					t.Errorf("the card says %q", text)
				}
			}
		})
	}
}

func TestRegisteredClientIsUnverified(t *testing.T) { // RG3: the name of a known client, imitated
	w := newOpenWorld(t)
	for _, name := range []string{"Demo Agent", "Demо Agent", "Google"} {
		got := w.dcr(registration(map[string]any{"client_name": name, "logo_uri": "https://agent.example/logo.png"}))
		page := w.mara().get(w.agent(got.text("client_id")).push(w.agent(got.text("client_id")).request()))
		card := who(t, page)
		if host(card) != "an unverified app" || !strings.Contains(card, "Not verified") || !strings.Contains(card, "tile grey") || !strings.Contains(card, "Calls itself") {
			t.Errorf("%s: %s", name, card)
		}
		title := regexp.MustCompile(`(?s)<h1>(.*?)</h1>`).FindString(page.Body)
		if strings.Contains(title, name) || strings.Contains(page.Body, "logo.png") {
			t.Errorf("the page gives the name as its own, or loads the logo: %s", title)
		}
	}
}

func TestCM13LogosAreNotLoaded(t *testing.T) {
	v := newVendor(t)
	v.publish(map[string]any{"logo_uri": v.At("agent.example.com", "/logo.svg"), "tos_uri": "javascript:alert(1)"})
	a := v.w.agent(v.id())
	page := v.w.mara().get(a.push(a.request()))
	if strings.Contains(page.Body, "logo.svg") || strings.Contains(page.Body, "javascript:") || strings.Contains(page.Body, "<img") || v.fetched("/logo.svg") != 0 {
		t.Error("the client's logo or links are on the page")
	}
	if csp := page.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "img-src 'self'") {
		t.Error(csp)
	}
}

// TestFirstSeen: the page says whether the user, or anybody here, has let the client work; a consent that
// led to nothing counts for nobody else, and of the others it says no more than that.
func TestFirstSeen(t *testing.T) { // ux C5
	w := newWorld(t)
	a, noor := w.agent(w.client), w.noor()
	says := func(b *browser, want string) {
		t.Helper()
		page := b.get(a.push(a.request()))
		for _, text := range []string{"Nobody here has let", "others here have", "once before", "times before"} {
			if got := strings.Contains(page.Body, text); page.Status != 200 || got != (text == want) {
				t.Errorf("%d, %q: %t, want %q alone", page.Status, text, got, want)
			}
		}
		if strings.Contains(page.Body, "mara@") && b == noor {
			t.Error("the page names another user")
		}
	}
	says(w.mara(), "Nobody here has let")
	w.mara().consent(a.push(a.request()), "search_tickets") // the code is never redeemed
	says(noor, "Nobody here has let")
	says(w.mara(), "once before")
	a.tokens()
	says(noor, "others here have")
}
