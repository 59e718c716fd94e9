package main_test

import (
	"bytes"
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
		"a server with two tokens":        {[]string{"REMIT_DEV=1", "REMIT_ADMIN_LISTEN=127.0.0.1:0", secret(token + "\n" + token)}, "one word"},
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

// TestRemoteAdminOrHere: what works on a database itself does not touch this machine's while the settings
// name another machine's server.
func TestRemoteAdminOrHere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	database, token := filepath.Join(dir, "remit.db"), filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte(blackbox.Random(32)), 0o600); err != nil {
		t.Fatal(err)
	}
	here := []string{"HOME=" + dir, "REMIT_DATA_DIR=" + dir, "REMIT_DEV=1"}
	there := append(here[:3:3], "REMIT_ADMIN_URL=https://id.acme.example:8443", "REMIT_ADMIN_TOKEN_FILE="+token)
	remit := func(env []string, args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), binary, args...)
		cmd.Env = env
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	refused := func(args ...string) {
		t.Helper()
		if out, err := remit(there, args...); err == nil || !strings.Contains(out, "REMIT_ADMIN_URL") {
			t.Errorf("%v: %v %s", args, err, out)
		}
	}
	refused("migrate")
	if _, err := os.Stat(database); err == nil {
		t.Fatal("it has migrated this machine's database")
	}
	backup := filepath.Join(dir, "backup")
	for _, args := range [][]string{{"user", "add", "--email", "mara@acme.example", "--name", "Mara"}, {"backup", backup}} {
		if out, err := remit(here, args...); err != nil {
			t.Fatalf("%v: %v %s", args, err, out)
		}
	}
	before, err := os.ReadFile(database)
	if err != nil {
		t.Fatal(err)
	}
	refused("backup", backup+".2")
	refused("restore", backup, "--yes")
	refused("audit", "verify")
	refused("user", "list", "--data-dir", dir)
	after, err := os.ReadFile(database)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("this machine's database has changed (%v)", err)
	}
	if out, err := remit(there, "audit", "verify", "--database", database); err != nil { // told so
		t.Errorf("a file that is named: %v %s", err, out)
	}
	for _, args := range [][]string{{"audit", "verify"}, {"restore", backup, "--yes"}} {
		if out, err := remit(here, args...); err != nil {
			t.Errorf("%v: %v %s", args, err, out)
		}
	}
}

// TestRemoteAdminUnreachable: a failure names the server that it is about, and nobody's token.
func TestRemoteAdminUnreachable(t *testing.T) {
	t.Parallel()
	token, there := blackbox.Random(32), freeAddress(t)
	file := filepath.Join(t.TempDir(), "token")
	for _, content := range []string{token, token + "\n" + token} { // the second is none that a request can bear
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), binary, "user", "list")
		cmd.Env = []string{"HOME=" + t.TempDir(), "REMIT_ADMIN_URL=http://" + there, "REMIT_ADMIN_TOKEN_FILE=" + file}
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), there) || strings.Contains(string(out), token) {
			t.Errorf("%v %s", err, out)
		}
	}
}
