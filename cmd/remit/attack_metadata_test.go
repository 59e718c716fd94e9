package main_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// TestAttackMetadata plays section 4.12 of the catalogue.
func TestAttackMetadata(t *testing.T) {
	play(t, map[string]row{"MD1": md1, "MD2": md2, "MD3": md3, "MD4": md4, "MD5": md5})
}

func list(o blackbox.Object, name string) []string {
	var all []string
	values, _ := o[name].([]any)
	for _, v := range values {
		s, _ := v.(string)
		all = append(all, s)
	}
	return all
}

func md1(t *testing.T, w *world) {
	m := w.server.Metadata
	for name, want := range map[string][]string{"response_types_supported": {"code"}, "code_challenge_methods_supported": {"S256"}, "grant_types_supported": {"authorization_code", "refresh_token", "client_credentials", deviceGrant, exchangeGrant}} {
		if got := list(m, name); !slices.Equal(got, want) {
			t.Errorf("%s = %v, want %v", name, got, want)
		}
	}
	for _, name := range []string{"dpop_signing_alg_values_supported", "token_endpoint_auth_signing_alg_values_supported"} {
		got := list(m, name)
		if !slices.Contains(got, "ES256") || slices.ContainsFunc(got, func(alg string) bool { return !slices.Contains([]string{"ES256", "EdDSA", "PS256"}, alg) }) {
			t.Errorf("%s = %v", name, got)
		}
	}
	if !slices.Contains(list(m, "token_endpoint_auth_methods_supported"), "none") {
		t.Errorf("token_endpoint_auth_methods_supported = %v: clients pick CIMD only with none (mcp.md A18)", list(m, "token_endpoint_auth_methods_supported"))
	}
	for name, want := range map[string]any{"issuer": w.issuer, "authorization_response_iss_parameter_supported": true, "client_id_metadata_document_supported": true} {
		if m[name] != want {
			t.Errorf("%s = %v, want %v", name, m[name], want)
		}
	}
	if _, ok := m["require_pushed_authorization_requests"].(bool); !ok {
		t.Error("require_pushed_authorization_requests is not said")
	}
	if details := list(m, "authorization_details_types_supported"); !slices.Equal(details, []string{"mcp_task", "mcp_tool"}) {
		t.Errorf("authorization_details_types_supported = %v", details)
	}
}

// md2: the document is made of the configured issuer, not of what the request says.
func md2(t *testing.T, w *world) {
	const path = "/.well-known/oauth-authorization-server"
	honest, err := blackbox.Get(t.Context(), w.issuer+path)
	if err != nil {
		t.Fatal(err)
	}
	for name, headers := range map[string][]blackbox.Header{
		"Host":      {{Name: "Host", Value: "evil.example"}},
		"Forwarded": {{Name: "X-Forwarded-Host", Value: "evil.example"}, {Name: "X-Forwarded-Proto", Value: "https"}, {Name: "Forwarded", Value: "host=evil.example;proto=https"}, {Name: "X-Original-URL", Value: "/evil"}},
	} {
		t.Run(name, func(t *testing.T) {
			res, err := blackbox.Do(t.Context(), w.issuer, blackbox.Request{Method: "GET", Target: path, Headers: headers})
			if err != nil || !bytes.Equal(res.Body, honest.Body) && res.Status == http.StatusOK {
				t.Errorf("%v %s", err, res)
			}
		})
	}
}

func md3(t *testing.T, w *world) {
	plain := regexp.MustCompile(`^http://127\.0\.0\.1:\d+(/[a-z/-]*)?$`)
	for name, v := range w.server.Metadata {
		s, ok := v.(string)
		if !ok || !strings.Contains(s, "://") || name == "service_documentation" {
			continue
		}
		if !plain.MatchString(s) {
			t.Errorf("%s = %q", name, s)
		}
	}
}

func md4(t *testing.T, w *world) {
	res, err := blackbox.Get(t.Context(), w.server.JWKS)
	if err != nil || res.Status != http.StatusOK {
		t.Fatalf("%v %s", err, res)
	}
	age := regexp.MustCompile(`max-age=(\d+)`).FindStringSubmatch(res.Header.Get("Cache-Control"))
	if len(age) != 2 {
		t.Fatalf("Cache-Control %q", res.Header.Get("Cache-Control"))
	}
	if n, _ := strconv.Atoi(age[1]); n > 300 {
		t.Errorf("cached for %d s", n)
	}
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal(res.Body, &set); err != nil || len(set.Keys) == 0 {
		t.Fatalf("%v %s", err, res)
	}
	seen := map[any]bool{}
	for _, k := range set.Keys {
		for _, member := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
			if k[member] != nil {
				t.Errorf("the key set has the private member %s", member)
			}
		}
		if k["kid"] == nil || seen[k["kid"]] {
			t.Errorf("kid %v is missing or stands twice", k["kid"])
		}
		seen[k["kid"]] = true
	}
}

// md5: an issuer with a path is found at every form that clients probe, and no other.
func md5(t *testing.T, w *world) {
	p := serve(t, "/t1")
	u, err := url.Parse(p.issuer)
	if err != nil {
		t.Fatal(err)
	}
	origin := u.Scheme + "://" + u.Host
	for path, want := range map[string]int{
		"/.well-known/oauth-authorization-server/t1": 200, "/.well-known/openid-configuration/t1": 200, "/t1/.well-known/openid-configuration": 200,
		"/.well-known/oauth-authorization-server/t2": 404, "/.well-known/oauth-authorization-server": 404, "/.well-known/openid-configuration": 404, "/t2/.well-known/openid-configuration": 404, "/.well-known/oauth-authorization-server/t1/": 404, "/token": 404,
	} {
		t.Run(path, func(t *testing.T) {
			res, err := blackbox.Get(t.Context(), origin+path)
			if err != nil || res.Status != want || want == 200 && (res.Text("issuer") != p.issuer || res.Text("token_endpoint") != p.issuer+"/token") {
				t.Errorf("%v %s", err, res)
			}
		})
	}
	for _, path := range []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"} {
		if res, err := blackbox.Get(t.Context(), w.issuer+path); err != nil || res.Text("issuer") != w.issuer {
			t.Errorf("issuer without a path, %s: %v %s", path, err, res)
		}
	}
}
