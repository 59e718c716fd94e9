package server_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/remit-auth/remit/store"
)

// A secret is taken from the header and from the form, whichever of the two was registered.
func TestClientSecret(t *testing.T) {
	w := newWorld(t)
	const secret = "rs_a-secret-that-nobody-guesses"
	for id, method := range map[string]string{"cli_basic": "client_secret_basic", "cli_post": "client_secret_post", "cli_unsaid": "", "cli_none": "none"} {
		c := store.Client{ID: id, CreatedAt: w.clock.Now(), Metadata: store.ClientMetadata{RedirectURIs: []string{callback}, TokenEndpointAuthMethod: method}}
		if method != "none" {
			c.SecretHash = store.HashOf(secret)
		}
		must(t, w.store.AddClient(context.Background(), c))
	}
	for name, tt := range map[string]struct {
		client, basic, post string
		status              int
		code                string
	}{
		"registered basic, sent so":          {"cli_basic", secret, "", 400, "use_dpop_nonce"}, // authenticated: the proof is judged after the client
		"registered basic, sent by post":     {"cli_basic", "", secret, 400, "use_dpop_nonce"},
		"registered post, sent so":           {"cli_post", "", secret, 400, "use_dpop_nonce"},
		"registered post, sent by basic":     {"cli_post", secret, "", 400, "use_dpop_nonce"},
		"registered neither, sent by post":   {"cli_unsaid", "", secret, 400, "use_dpop_nonce"},
		"a wrong secret by basic":            {"cli_basic", "rs_x", "", 401, "invalid_client"},
		"a wrong secret by post":             {"cli_basic", "", "rs_x", 401, "invalid_client"},
		"no secret":                          {"cli_basic", "", "", 401, "invalid_client"},
		"both at once":                       {"cli_post", secret, secret, 400, "invalid_request"},
		"a secret where none is known, post": {"cli_none", "", secret, 401, "invalid_client"},
		"a secret where none is known":       {"cli_none", secret, "", 401, "invalid_client"},
	} {
		t.Run(name, func(t *testing.T) {
			a := w.agent(tt.client)
			form := a.codeForm("rc_none")
			if tt.post != "" {
				form.Set("client_secret", tt.post)
			}
			r, err := http.NewRequest("POST", w.issuer+"/token", strings.NewReader(form.Encode()))
			must(t, err)
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("DPoP", a.proof("POST", "/token", ""))
			if tt.basic != "" {
				r.SetBasicAuth(url.QueryEscape(tt.client), url.QueryEscape(tt.basic))
			}
			resp, err := http.DefaultClient.Do(r)
			want(t, read(t, resp, err), tt.status, tt.code)
		})
	}
}
