package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/server/upstream"
)

// TestUpstreamFile reads the example of docs/operate.md, and refuses what is wrong with others.
func TestUpstreamFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	secret := write("secret", "s3cret\n")
	guide, err := os.ReadFile("../../docs/operate.md")
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile("(?s)```yaml\n(providers:.*?)```").FindSubmatch(guide)
	if example == nil {
		t.Fatal("the guide has no example")
	}
	good := strings.Replace(string(example[1]), "/run/secrets/acme", secret, 1)
	read := func(text string) (server.Config, error) {
		var into server.Config
		err := Config{UpstreamFile: write("upstream.yaml", text)}.upstream(&into)
		return into, err
	}
	got, err := read(good)
	if err != nil {
		t.Fatal(err)
	}
	want := []upstream.Config{{
		Name: "acme", Title: "Acme Login", Issuer: "https://login.acme.example", ClientID: "remit", ClientSecret: "s3cret",
		GroupsClaim: "groups", Groups: []string{"staff"}, AddUsers: true, LogoutEndsTasks: true,
		Roles: []upstream.GroupRoles{{Group: "support", Resource: "https://tickets.acme.example/mcp", Roles: []string{"agent"}}},
	}}
	if diff := cmp.Diff(want, got.Upstream); diff != "" {
		t.Error(diff)
	}
	for name, text := range map[string]string{
		"an unknown key":     strings.Replace(good, "add_users", "add_user", 1),
		"two secrets":        strings.Replace(good, "client_id: remit", "client_id: remit\n    client_secret: x", 1),
		"a secret not there": strings.Replace(good, secret, secret+".not", 1),
		"authorities":        good + "ca_file: " + secret + "\n",
		"no YAML":            "providers: [",
	} {
		if _, err := read(text); err == nil || !strings.Contains(err.Error(), "REMIT_UPSTREAM_FILE") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (Config{UpstreamFile: filepath.Join(dir, "none")}).upstream(&server.Config{}); err == nil {
		t.Error("a missing file was taken")
	}
}

func FuzzUpstreamFile(f *testing.F) {
	f.Add("providers:\n  - {name: acme, issuer: https://a.example, client_id: x, client_secret: y}\n")
	path := filepath.Join(f.TempDir(), "upstream.yaml")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "_file") || strings.Contains(text, "\\") { // that another file is read is not what is tried here
			return
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var into server.Config
		if err := (Config{UpstreamFile: path}).upstream(&into); err != nil {
			return
		}
		for _, c := range into.Upstream {
			if _, err := upstream.New(c, "https://id.example/signin/from/"+c.Name, nil, false, nil); err == nil && (c.Name == "" || c.ClientSecret == "" || !strings.HasPrefix(strings.ToLower(c.Issuer), "https:")) {
				t.Errorf("taken: %+v", c)
			}
		}
	})
}
