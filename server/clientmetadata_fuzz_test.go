package server_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// FuzzClientMetadata: whatever a document or a registration says, what is accepted of it is usable
// and safe, and what is refused is refused with a protocol error.
func FuzzClientMetadata(f *testing.F) {
	const id = "https://agent.example/client.json"
	for _, changes := range []map[string]any{
		nil,
		{"token_endpoint_auth_methods": []string{"none"}},
		{"redirect_uris": []string{"com.example.app:/cb", "javascript:x", "http://localhost:1/"}},
		{"jwks": map[string]any{"keys": []any{}}, "jwks_uri": "https://a.example/"},
		{"client_name": "a\u202eb", "scope": "a b"},
	} {
		raw, err := json.Marshal(document(id, changes))
		must(f, err)
		f.Add(raw)
	}
	w := newOpenWorld(f, func(c *server.Config) { c.CIMD.Enabled = true })
	judge := func(t *testing.T, c store.ClientMetadata, methods ...string) {
		if len(c.RedirectURIs) == 0 || !slices.Contains(methods, c.TokenEndpointAuthMethod) || !slices.Contains(c.GrantTypes, "authorization_code") || len(c.ClientName) > 400 {
			t.Errorf("accepted: %+v", c)
		}
		for _, uri := range c.RedirectURIs {
			if server.CheckRedirectURI(uri) != nil || strings.HasPrefix(uri, "javascript:") {
				t.Errorf("accepted: %q", uri)
			}
		}
		if len(c.JWKS) > 0 {
			if _, err := tokens.ParseKeySet(c.JWKS); err != nil || c.JWKSURI != "" {
				t.Errorf("accepted keys: %s, %s: %v", c.JWKS, c.JWKSURI, err)
			}
		}
		if c.TokenEndpointAuthMethod == "private_key_jwt" && len(c.JWKS) == 0 && c.JWKSURI == "" {
			t.Error("accepted private_key_jwt without keys")
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if c, err := w.server.ReadDocument(id, body); err == nil {
			judge(t, c, "none", "private_key_jwt")
			if !strings.Contains(string(body), "client_id") || c.ClientName == "" {
				t.Errorf("accepted: %s", body)
			}
		}
		if c, err := w.server.ReadRegistration(context.Background(), body); err == nil {
			judge(t, c, "none", "private_key_jwt", "client_secret_basic", "client_secret_post")
		}
	})
}
