package tokens

import (
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNormalizeURI(t *testing.T) {
	const token = "https://as.example/token"
	for name, tt := range map[string]struct{ in, want string }{ // RFC 3986 §6.2
		"as it is":                    {token, token},
		"upper-case scheme":           {"HTTPS://as.example/token", token},
		"upper-case host":             {"https://AS.Example/token", token},
		"default port":                {"https://as.example:443/token", token},
		"an empty port":               {"https://as.example:/token", token},
		"query and fragment":          {"https://as.example/token?a=/../b#c", token},
		"a fragment first":            {"https://as.example/token#c?a", token},
		"a query without path":        {"https://as.example?a", "https://as.example/"},
		"escaped letters":             {"https://as.example/%74oken", token},
		"escaped tilde":               {"https://as.example/%7Euser", "https://as.example/~user"},
		"escapes in lower case":       {"https://as.example/a%2fb%c3%a4", "https://as.example/a%2Fb%C3%A4"},
		"dot segments":                {"https://as.example/a/./b/../../token", token},
		"escaped dot segments":        {"https://as.example/a/%2e%2E/token", token},
		"above the root":              {"https://as.example/../../token", token},
		"a dot segment at the end":    {"https://as.example/token/.", "https://as.example/token/"},
		"two dots at the end":         {"https://as.example/a/b/..", "https://as.example/a/"},
		"names that begin with a dot": {"https://as.example/.well-known/..x", "https://as.example/.well-known/..x"},
		"empty segments stay":         {"https://as.example//token", "https://as.example//token"},
		"no path":                     {"https://as.example", "https://as.example/"},
		"another port":                {"https://as.example:8443/token", "https://as.example:8443/token"},
		"443 is not http's port":      {"http://as.example:443/", "http://as.example:443/"},
		"port 80":                     {"http://localhost:80/x", "http://localhost/x"},
		"IPv6":                        {"https://[2001:DB8::1]:443/x", "https://[2001:db8::1]/x"},
		"sub-delims":                  {"https://as.example/a;b=c,d:e@f!$&'()*+", "https://as.example/a;b=c,d:e@f!$&'()*+"},
		"case of the path stays":      {"https://as.example/Token", "https://as.example/Token"},
		"an underscore in the host":   {"http://as_1:8080/", "http://as_1:8080/"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := NormalizeURI(tt.in); err != nil || got != tt.want {
				t.Errorf("NormalizeURI = %s, %v", got, err)
			}
		})
	}
	for name, in := range map[string]string{
		"nothing":                 "",
		"a path":                  "/token",
		"no scheme":               "as.example/token",
		"no slashes":              "https:as.example/token",
		"another scheme":          "ftp://as.example/",
		"javascript":              "javascript://as.example/%0a",
		"no host":                 "https:///token",
		"a port without host":     "https://:443/token",
		"userinfo":                "https://as.example@evil.example/token",
		"userinfo and password":   "https://a:b@as.example/token",
		"a backslash":             `https://as.example\token`,
		"a backslash in the path": `https://as.example/\token`,
		"a space":                 "https://as.example/to ken",
		"a line break":            "https://as.example/token\n",
		"a zero byte":             "https://as.example/token\x00",
		"a broken escape":         "https://as.example/%4",
		"no escape":               "https://as.example/%zz",
		"an escape in the host":   "https://as%2eexample/token",
		"beyond ASCII":            "https://äs.example/token",
		"beyond ASCII, path":      "https://as.example/tökén",
		"Kelvin":                  "https://as.example\u212a/token",
		"a port of letters":       "https://as.example:44e/token",
		"a port too long":         "https://as.example:000443/token",
		"two ports":               "https://as.example:443:443/token",
		"IPv6 without end":        "https://[::1/token",
		"IPv6 with a zone":        "https://[fe80::1%25eth0]/token",
		"text behind IPv6":        "https://[::1]x/token",
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := NormalizeURI(in); err == nil {
				t.Errorf("NormalizeURI = %s", got)
			}
		})
	}
}

// TestNormalizeURIMeans: the normal form is its own, and net/url finds the same host and path in
// it as in what it was made of.
func TestNormalizeURIMeans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.StringMatching(`(https?|HTTP)://(\[::1\]|[a-zA-Z.]{1,8})(:(80|443|8080)?)?(/(\.|\.\.|%2[eEfF]|%7e|[a-zA-Z~;]{1,3})?){0,6}([?#][a-z/.?#]{0,5})?`).Draw(t, "uri")
		got, err := NormalizeURI(in)
		if err != nil {
			t.Fatalf("%s: %v", in, err)
		}
		if again, err := NormalizeURI(got); err != nil || again != got {
			t.Fatalf("%s becomes %s becomes %s", in, got, again)
		}
		was, err := url.Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		is, err := url.Parse(got)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.EqualFold(was.Hostname(), is.Hostname()) || is.RawQuery != "" || is.Fragment != "" {
			t.Fatalf("%s becomes %s", in, got)
		}
		if was.Path == "" || strings.Contains(was.Path, "//") || strings.Contains(in, "%2") {
			return // net/url resolves these differently
		}
		if want := was.ResolveReference(&url.URL{Path: was.Path}).Path; is.Path != want {
			t.Fatalf("%s becomes %s, not %s", in, got, want)
		}
	})
}
