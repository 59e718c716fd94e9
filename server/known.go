package server

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"github.com/remit-auth/remit/store"
)

// A browser that has signed in is marked as known for that account. Its guesses are counted by
// themselves, so that a stranger who uses up the account's leaves its owner a way in. The mark opens
// nothing: it only tells which bucket a sign-in draws from.

// knownLife is how long a browser stays known.
const knownLife = 180 * 24 * time.Hour

func (s *Server) knownCookieName() string {
	if s.insecure {
		return "remit_known"
	}
	return "__Host-remit_known"
}

// rememberBrowser marks the browser that has just signed in.
func (s *Server) rememberBrowser(w http.ResponseWriter, email string) {
	mark := rand.Text()
	http.SetCookie(w, &http.Cookie{
		Name: s.knownCookieName(), Value: mark + "." + s.knownMAC(mark, email), Path: "/", MaxAge: int(knownLife.Seconds()),
		Secure: !s.insecure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// knownBrowser returns the mark of a browser that has signed in to this account, "" for any other.
func (s *Server) knownBrowser(r *http.Request, email string) string {
	cookies := r.CookiesNamed(s.knownCookieName())
	if len(cookies) != 1 {
		return ""
	}
	mark, mac, _ := strings.Cut(cookies[0].Value, ".")
	if !hmac.Equal([]byte(mac), []byte(s.knownMAC(mark, email))) {
		return ""
	}
	return mark
}

func (s *Server) knownMAC(mark, email string) string {
	mac := hmac.New(sha256.New, s.formKey)
	mac.Write([]byte("known-browser\x00" + mark + "\x00" + store.EmailKey(email)))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
