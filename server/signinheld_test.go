package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestHeldOutIsToldTheSame (LG6): whoever guesses too often is told when to come again and what else may
// work, and not whether anybody has this address.
func TestHeldOutIsToldTheSame(t *testing.T) {
	w := newWorld(t)
	said := map[string]string{}
	for _, email := range []string{"mara@example.com", "nobody@example.com"} {
		var got answer
		for range 11 {
			got = w.browser().post("/signin", url.Values{"email": {email}, "password": {"guess"}})
		}
		if got.Status != http.StatusTooManyRequests || got.Header.Get("Retry-After") == "" {
			t.Fatalf("%s: %d", email, got.Status)
		}
		said[email] = got.Body[strings.Index(got.Body, `role="alert"`):strings.Index(got.Body, "</form>")]
		if !strings.Contains(got.Body, "Wait "+got.Header.Get("Retry-After")+" seconds") || !strings.Contains(got.Body, "A passkey") {
			t.Errorf("the page does not help: %s", said[email])
		}
	}
	if known, unknown := said["mara@example.com"], strings.ReplaceAll(said["nobody@example.com"], "nobody@", "mara@"); known != unknown {
		t.Errorf("an address that somebody has is told\n%s\nand one that nobody has\n%s", known, unknown)
	}
}
