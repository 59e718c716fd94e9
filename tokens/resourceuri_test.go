package tokens

import (
	"net/url"
	"path"
	"strings"
	"testing"
)

func TestCheckResourceURI(t *testing.T) {
	for _, good := range []string{
		"https://tickets.example/mcp", "https://tickets.example", "https://tickets.example/", "https://tickets.example/mcp/", "https://tickets.example:8443/mcp",
		"http://localhost:9000/mcp", "http://127.0.0.1:1/a", "https://[2001:db8::1]/mcp", "https://[2001:db8::1]:8443/mcp", "https://tickets.example/a/b.c/..d/.e/f..",
		"https://tickets.example/mcp;v=1", "https://tickets.example/a@b:c,d=e", "https://tickets.example/stra%C3%9Fe", "https://tickets.example/a%20b", "https://xn--strae-oqa.example/mcp",
	} {
		if err := CheckResourceURI(good); err != nil {
			t.Errorf("%s is refused", good)
		}
	}
	for name, bad := range map[string]string{
		"nothing": "", "no scheme": "tickets.example/mcp", "relative": "/mcp", "no host": "https:///mcp", "another scheme": "ftp://tickets.example/mcp", "a name": "urn:mcp:tickets",
		"a user": "https://u@tickets.example/mcp", "a query": "https://tickets.example/mcp?a=b", "an empty query": "https://tickets.example/mcp?", "a fragment": "https://tickets.example/mcp#a", "an empty fragment": "https://tickets.example/mcp#",
		"upper case scheme": "HTTPS://tickets.example/mcp", "upper case host": "https://Tickets.example/mcp", "default port": "https://tickets.example:443/mcp", "no port": "https://tickets.example:/mcp", "default port of http": "http://localhost:80/mcp",
		"an empty segment": "https://tickets.example//mcp", "an empty one within": "https://tickets.example/a//mcp",
		"dots": "https://tickets.example/a/../mcp", "one dot": "https://tickets.example/./mcp", "dots at the end": "https://tickets.example/mcp/..", "dots, escaped": "https://tickets.example/a/%2e%2e/mcp", "dots, half escaped": "https://tickets.example/a/.%2E/mcp",
		"dots with parameters": "https://tickets.example/a/..;/mcp", "with more of them": "https://tickets.example/a/..;x=y/mcp", "one dot with parameters": "https://tickets.example/.;/mcp", "escaped, with parameters": "https://tickets.example/a/%2e%2e;/mcp", "escaped parameters": "https://tickets.example/a/..%3B/mcp",
		"overlong dots": "https://tickets.example/a/%C0%AE%C0%AE/mcp", "overlong slash": "https://tickets.example/a%C0%AFmcp", "no UTF-8": "https://tickets.example/%FF",
		"slash, escaped": "https://tickets.example/a%2Fmcp", "in lower case": "https://tickets.example/a%2fmcp", "escaped twice": "https://tickets.example/a/%252e%252e/mcp", "a percent sign": "https://tickets.example/100%25",
		"a backslash": `https://tickets.example/a\mcp`, "backslashes": `https:\\tickets.example\mcp`, "a backslash, escaped": "https://tickets.example/a%5Cmcp", "a backslash in the host": `https://tickets.example\.evil.example/mcp`,
		"an escape of a letter": "https://tickets.example/%6Dcp", "an escape in lower case": "https://tickets.example/stra%c3%9fe", "half an escape": "https://tickets.example/mcp%2", "no escape": "https://tickets.example/%zz", "a percent sign at the end": "https://tickets.example/mcp%",
		"a NUL": "https://tickets.example/mcp%00", "a line end": "https://tickets.example/mcp\n", "an escaped line end": "https://tickets.example/mcp%0A", "a blank": "https://tickets.example/mcp ", "a blank before": " https://tickets.example/mcp", "a tab": "https://tickets.example/m\tcp",
		"beyond ASCII": "https://tickets.example/straße", "a host beyond ASCII": "https://straße.example/mcp", "an escaped host": "https://tickets%2Eexample/mcp", "a full-width slash": "https://tickets.example／mcp",
	} {
		if CheckResourceURI(bad) == nil {
			t.Errorf("%s passes: %q", name, bad)
		}
	}
}

// What passes is the same to who decodes and cleans it as to who compares bytes.
func FuzzCheckResourceURI(f *testing.F) {
	for _, seed := range []string{"https://a.example/b", "https://a.example/..;/b", "https://a.example/%2e%2e/b", "https://a.example/%c0%ae", `https://a.example/\`, "https://a.example//b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if CheckResourceURI(raw) != nil {
			return
		}
		u, err := url.Parse(raw)
		if err != nil || u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.ContainsAny(raw, `?#\`) {
			t.Fatalf("%q: %v", raw, err)
		}
		if u.Path == "" {
			u.Path = "/"
		}
		if once, err := url.PathUnescape(u.Path); err != nil || once != u.Path {
			t.Errorf("%q decodes twice, to %q", raw, once)
		}
		if whole := path.Clean(u.Path); whole != u.Path && whole+"/" != u.Path {
			t.Errorf("%q is cleaned to %q", raw, whole)
		}
		for segment := range strings.SplitSeq(u.Path, "/") {
			if name, _, _ := strings.Cut(segment, ";"); name == "." || name == ".." {
				t.Errorf("%q has dots", raw)
			}
		}
	})
}
