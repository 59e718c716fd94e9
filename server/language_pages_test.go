package server_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// saysAll fails unless the page is in this language and says all of this.
func saysAll(t *testing.T, where, language string, page answer, texts ...string) {
	t.Helper()
	if !strings.Contains(page.Body, `<html lang="`+language+`">`) || page.Header.Get("Content-Language") != language {
		t.Errorf("%s is not said to be in %s (Content-Language %q)", where, language, page.Header.Get("Content-Language"))
	}
	for _, text := range texts {
		if !strings.Contains(page.Body, text) {
			t.Errorf("%s does not say %q", where, text)
		}
	}
}

var signInAction = regexp.MustCompile(`action="([^"]*/signin[^"]*)"`)

// TestUILocales: the client's wish decides from the sign-in on, a failed attempt and the consent
// with it, whether the request was pushed or not (OpenID Connect Core 1.0 §3.1.2.1).
func TestUILocales(t *testing.T) {
	w := newWorld(t)
	for name, target := range map[string]func(a *agent, request url.Values) string{
		"pushed": (*agent).push,
		"in the front channel": func(_ *agent, request url.Values) string {
			return "/authorize?" + request.Encode()
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := w.agent(w.client), w.browser()
			request := a.request()
			request.Set("ui_locales", "fr de-CH")
			page := b.get(target(a, request))
			saysAll(t, "sign-in", "de", page, "Anmelden", "um eine Anfrage von", "Passwort")
			action := signInAction.FindStringSubmatch(page.Body)
			if action == nil {
				t.Fatalf("no sign-in: %s", page.Body)
			}
			form := hidden(page.Body)
			form.Set("email", "mara@example.com")
			form.Set("password", "wrong wrong")
			saysAll(t, "a failed sign-in", "de", b.post(strings.TrimPrefix(action[1], w.issuer), form), "E-Mail-Adresse oder Passwort stimmt nicht.")
			b.signIn()
			page = b.get(target(a, request))
			saysAll(t, "consent", "de", page, "Wer fragt", "Liest nur", "Nur project", "Nicht erlauben", "spätestens nach")
			for _, english := range []string{"Reads only", "Only project", "Don’t allow", "your roles"} {
				if strings.Contains(page.Body, english) {
					t.Errorf("German consent says %q", english)
				}
			}
		})
	}
}

// TestAcceptLanguage: where nobody wishes for another, pages and refusals speak what the browser likes.
func TestAcceptLanguage(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	for accept, language := range map[string]string{"de-DE,de;q=0.9,en;q=0.8": "de", "en-GB": "en", "": "en", "fr": "en"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.issuer+"/authorize?client_id=nobody", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept-Language", accept)
		text := map[string]string{"de": "ist diesem Server nicht bekannt", "en": "is not known to this server"}[language]
		resp, err := b.http.Do(req)
		saysAll(t, "a refusal for "+accept, language, read(t, resp, err), text)
	}
}
