package oauth

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func post(body, contentType string) *http.Request {
	r := httptest.NewRequest("POST", "/token?code=query", strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return r
}

const form = "application/x-www-form-urlencoded"

func TestParseBodyRefuses(t *testing.T) {
	tests := map[string]struct {
		request *http.Request
		status  int
	}{
		"GET":                 {httptest.NewRequest("GET", "/token?a=b", nil), 405},
		"no content type":     {post("a=b", ""), 415},
		"JSON":                {post(`{"a":"b"}`, "application/json"), 415},
		"multipart":           {post("--x--", "multipart/form-data; boundary=x"), 415},
		"too large":           {post("a="+strings.Repeat("b", MaxBody), form), 413},
		"twice, same value":   {post("code=a&code=a", form), 400},
		"twice, other value":  {post("code=a&code=b", form), 400},
		"twice, one empty":    {post("code=a&code=", form), 400},
		"too many parameters": {post(strings.Repeat("a=b&", 200), form), 400},
		"broken encoding":     {post("a=%zz", form), 400},
		"a NUL":               {post("a=%00", form), 400},
		"not UTF-8":           {post("a=%ff", form), 400},
		"a semicolon":         {post("a=b;c=d", form), 400},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, refused := ParseBody(tt.request); refused == nil || refused.Status() != tt.status {
				t.Errorf("ParseBody = %v, want status %d", refused, tt.status)
			}
		})
	}
}

func TestParseBody(t *testing.T) {
	p, refused := ParseBody(post("a=1&empty=&resource=x&resource=y", form+"; charset=utf-8"))
	if refused != nil {
		t.Fatal(refused)
	}
	if p.Get("a") != "1" || p.Has("empty") || p.Has("code") || len(p.All("resource")) != 2 {
		t.Errorf("parameters: %v", p)
	}
}

func TestScopes(t *testing.T) {
	for raw, want := range map[string]string{"": "", "a": "a", "a b a": "a,b"} {
		if got, err := Scopes(raw); err != nil || strings.Join(got, ",") != want {
			t.Errorf("Scopes(%q) = %v, %v", raw, got, err)
		}
	}
	for _, raw := range []string{" ", "a  b", " a", "a\tb", "a\"", "ä", strings.Repeat("x", 200)} {
		if got, err := Scopes(raw); err == nil {
			t.Errorf("Scopes(%q) = %v", raw, got)
		}
	}
}

// FuzzForm: whatever parses is free of duplicates and survives another round.
func FuzzForm(f *testing.F) {
	for _, seed := range []string{"a=b&c=d", "a=1&a=2", "resource=x&resource=y", "%00", "a;b", "=", "&&&", "a=%e2%82%ac"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		p, refused := ParseQuery(raw)
		if refused != nil {
			return
		}
		again, refused := ParseQuery(p.Encode())
		if refused != nil || again.Encode() != p.Encode() {
			t.Fatalf("%q: second round %v", raw, refused)
		}
		values, err := url.ParseQuery(p.Encode())
		if err != nil {
			t.Fatal(err)
		}
		for name, all := range values {
			if name != "resource" && len(all) != 1 {
				t.Fatalf("%q stands %d times", name, len(all))
			}
		}
	})
}
