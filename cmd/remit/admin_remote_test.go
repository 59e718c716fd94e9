package main_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// TestRemoteAdmin: an operator administers the server of another machine, with its token and not without.
func TestRemoteAdmin(t *testing.T) {
	t.Parallel()
	token := blackbox.Random(32)
	secret := func(token string) string {
		file := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return "REMIT_ADMIN_TOKEN_FILE=" + file
	}
	address := freeAddress(t)
	p := serve(t, "", "REMIT_ADMIN_LISTEN="+address, secret(token))
	remit := func(env []string, args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), binary, args...)
		cmd.Env = append([]string{"HOME=" + t.TempDir()}, env...)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	there := "REMIT_ADMIN_URL=http://" + address
	if out, err := remit([]string{there, secret(token)}, "user", "add", "--email", "mara@acme.example", "--name", "Mara"); err != nil {
		t.Fatalf("with the token: %v %s", err, out)
	}
	p.remit(t, nil, "", "user", "show", "--email", "mara@acme.example") // at the socket, too

	list := "http://" + address + "/admin/api/users"
	bearer := func(value string) blackbox.Header {
		return blackbox.Header{Name: "Authorization", Value: value}
	}
	for name, ask := range map[string]func() (blackbox.Response, error){
		"no token": func() (blackbox.Response, error) { return blackbox.Get(t.Context(), list) },
		"another token": func() (blackbox.Response, error) {
			return blackbox.Get(t.Context(), list, bearer("Bearer "+blackbox.Random(32)))
		},
		"a beginning of it": func() (blackbox.Response, error) {
			return blackbox.Get(t.Context(), list, bearer("Bearer "+token[:31]))
		},
		"an empty one":      func() (blackbox.Response, error) { return blackbox.Get(t.Context(), list, bearer("Bearer ")) },
		"by another scheme": func() (blackbox.Response, error) { return blackbox.Get(t.Context(), list, bearer("Basic "+token)) },
		"two headers": func() (blackbox.Response, error) {
			return blackbox.Get(t.Context(), list, bearer("Bearer "+token), bearer("Bearer "+token))
		},
		"in the address":     func() (blackbox.Response, error) { return blackbox.Get(t.Context(), list+"?access_token="+token) },
		"a path that is not": func() (blackbox.Response, error) { return blackbox.Get(t.Context(), "http://"+address+"/authorize") },
		"a write, no token":  func() (blackbox.Response, error) { return blackbox.Post(t.Context(), list, nil) },
		"at the public server": func() (blackbox.Response, error) {
			return blackbox.Get(t.Context(), p.issuer+"/admin/api/users", bearer("Bearer "+token))
		},
	} {
		t.Run(name, func(t *testing.T) {
			res, err := ask()
			if err != nil || res.Status != http.StatusUnauthorized && (name != "at the public server" || res.Status != http.StatusNotFound) || strings.Contains(string(res.Body), "mara") {
				t.Errorf("%v %s", err, res)
			}
		})
	}
	if out, err := remit([]string{there, secret(blackbox.Random(32))}, "user", "list"); err == nil || !strings.Contains(out, "REMIT_ADMIN_TOKEN_FILE") {
		t.Errorf("the command with another token: %v %s", err, out)
	}
	if out, err := remit([]string{there, secret(token)}, "user", "list"); err != nil || !strings.Contains(out, "mara@acme.example") {
		t.Errorf("the good command: %v %s", err, out)
	}

	asked := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer elsewhere.Close()
	leads := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer leads.Close()
	if out, err := remit([]string{"REMIT_ADMIN_URL=" + leads.URL, secret(token)}, "user", "list"); err == nil || asked {
		t.Errorf("a redirect is followed: %v %s", err, out)
	}
	for name, refused := range map[string]struct {
		env   []string
		words string
	}{
		"plain http over the network":     {[]string{"REMIT_ADMIN_URL=http://id.acme.example", secret(token)}, "https"},
		"no token":                        {[]string{there}, "REMIT_ADMIN_TOKEN_FILE"},
		"a path":                          {[]string{there + "/admin", secret(token)}, "REMIT_ADMIN_URL"},
		"a server without a token":        {[]string{"REMIT_DEV=1", "REMIT_ADMIN_LISTEN=127.0.0.1:0"}, "REMIT_ADMIN_TOKEN_FILE"},
		"a server with a short token":     {[]string{"REMIT_DEV=1", "REMIT_ADMIN_LISTEN=127.0.0.1:0", secret("short")}, "32 characters"},
		"a server without TLS":            {[]string{"REMIT_ISSUER=https://id.acme.example", "REMIT_ADMIN_LISTEN=:8443", secret(token)}, "REMIT_TLS_CERT"},
		"a server in dev, on no loopback": {[]string{"REMIT_DEV=1", "REMIT_ADMIN_LISTEN=:8443", secret(token)}, "loopback"},
	} {
		t.Run(name, func(t *testing.T) {
			command := []string{"user", "list"}
			if strings.HasPrefix(name, "a server") {
				command = []string{"serve"}
			}
			if out, err := remit(refused.env, command...); err == nil || !strings.Contains(out, refused.words) {
				t.Errorf("%v %s", err, out)
			}
		})
	}
}
