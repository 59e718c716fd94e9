package agent_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/remit-auth/remit/tokens/agent"
)

func TestDiscover(t *testing.T) {
	w := newWorld(t)
	d, err := agent.Discover(t.Context(), nil, w.rs.URL+"/mcp")
	if err != nil {
		t.Fatal(err)
	}
	if d.Resource != w.rs.URL+"/mcp" || d.Name != "Tickets" || d.Server.Issuer != w.as.URL || !slices.Equal(d.Scopes, []string{"tickets.read"}) {
		t.Errorf("Discover = %+v", d)
	}
}

func TestDiscoverRefuses(t *testing.T) {
	set := func(name string, v any) func(map[string]any) { return func(m map[string]any) { m[name] = v } }
	tests := map[string]struct {
		prm, meta func(map[string]any)
		want      string
	}{
		"metadata of another resource":    {set("resource", "https://other.example/mcp"), nil, "not about"},
		"resource that only looks like":   {func(m map[string]any) { m["resource"] = m["resource"].(string) + "evil" }, nil, "not about"},
		"no authorization server":         {set("authorization_servers", []string{}), nil, "no authorization server"},
		"issuer over plain http":          {set("authorization_servers", []string{"http://id.example"}), nil, "no issuer"},
		"issuer with a slash behind it":   {nil, func(m map[string]any) { m["issuer"] = m["issuer"].(string) + "/" }, "says issuer"},
		"another issuer":                  {nil, set("issuer", "https://evil.example"), "says issuer"},
		"no PKCE":                         {nil, set("code_challenge_methods_supported", nil), "PKCE"},
		"plain PKCE alone":                {nil, set("code_challenge_methods_supported", []string{"plain"}), "PKCE"},
		"no DPoP":                         {nil, set("dpop_signing_alg_values_supported", nil), "DPoP"},
		"token endpoint over plain http":  {nil, set("token_endpoint", "http://id.example/token"), "neither https nor loopback"},
		"no endpoint for pushed requests": {nil, set("pushed_authorization_request_endpoint", ""), "not the URL of an endpoint"},
		"an endpoint that is a script":    {nil, set("authorization_endpoint", "javascript:alert(1)"), "not the URL of an endpoint"},
		"task endpoint of another scheme": {nil, set("remit_task_endpoint", "ftp://id.example/tasks"), "neither https nor loopback"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.prm, w.meta = tt.prm, tt.meta
			if _, err := agent.Discover(t.Context(), nil, w.rs.URL+"/mcp"); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Discover = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestDiscoverRefusesAnOpenServer(t *testing.T) {
	w := newWorld(t)
	if _, err := agent.Discover(t.Context(), nil, w.rs.URL+"/elsewhere"); err == nil || !strings.Contains(err.Error(), "not 401") {
		t.Errorf("Discover = %v", err)
	}
	if _, err := agent.Discover(t.Context(), nil, "http://mcp.example/mcp"); err == nil {
		t.Error("plain http away from loopback was tried")
	}
}

func TestParseChallenges(t *testing.T) {
	tests := map[string]struct {
		lines []string
		want  []agent.Challenge
	}{
		"two in a line": {
			[]string{`Bearer resource_metadata="https://r/x", scope="a b", DPoP algs="ES256 EdDSA", error=use_dpop_nonce`},
			[]agent.Challenge{
				{Scheme: "Bearer", Params: map[string]string{"resource_metadata": "https://r/x", "scope": "a b"}},
				{Scheme: "DPoP", Params: map[string]string{"algs": "ES256 EdDSA", "error": "use_dpop_nonce"}},
			},
		},
		"two lines":             {[]string{"Bearer", `DPoP algs="ES256"`}, []agent.Challenge{{"Bearer", map[string]string{}}, {"DPoP", map[string]string{"algs": "ES256"}}}},
		"blanks and upper case": {[]string{`BEARER  Realm = "a\"b" ,error="x"`}, []agent.Challenge{{"BEARER", map[string]string{"realm": `a"b`, "error": "x"}}}},
		"an open quote":         {[]string{`Bearer scope="a`}, []agent.Challenge{{"Bearer", map[string]string{"scope": ""}}}},
		"no token":              {[]string{`"Bearer"`}, nil},
		"nothing":               {nil, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, agent.ParseChallenges(tt.lines)); d != "" {
				t.Error(d)
			}
		})
	}
}

func FuzzParseChallenges(f *testing.F) {
	f.Add(`Bearer resource_metadata="https://r/x", scope="a b", DPoP algs="ES256 EdDSA", error=use_dpop_nonce`)
	f.Add(`a=b, "c", d e=`)
	f.Fuzz(func(t *testing.T, line string) {
		for _, c := range agent.ParseChallenges([]string{line}) {
			if c.Scheme == "" || c.Params == nil {
				t.Errorf("%q: %+v", line, c)
			}
		}
	})
}

// TestDiscoverFollowsNoRedirect: metadata is not fetched from where a stranger points.
func TestDiscoverFollowsNoRedirect(t *testing.T) {
	w := newWorld(t)
	followed := false
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { followed = true; return nil }}
	w.as.Config.Handler = http.RedirectHandler(w.rs.URL+"/elsewhere", http.StatusFound)
	if _, err := agent.Discover(t.Context(), c, w.rs.URL+"/mcp"); err == nil || followed {
		t.Errorf("Discover = %v, followed %v", err, followed)
	}
}
