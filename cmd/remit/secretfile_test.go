package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/remit-auth/remit/server"
)

// secretPlaces are all the ways in which a file with a secret is named; open reads it as the program does.
func secretPlaces(t *testing.T) map[string]struct {
	text string
	open func(path string) error
} {
	t.Helper()
	cert, key, _ := certificate(t)
	raw, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(cert, 0o644); err != nil { // a certificate is for all
		t.Fatal(err)
	}
	variable := func(name string) func(string) error {
		return func(path string) error {
			_, err := loadConfig("", nil, []string{name + "=" + path})
			return err
		}
	}
	config := func(path string) error {
		_, err := loadConfig(path, nil, nil)
		return err
	}
	upstream := func(text string) func(string) error {
		return func(path string) error {
			file := filepath.Join(t.TempDir(), "gateway.yaml")
			text := "issuer: https://as.example\nlisten: 127.0.0.1:0\nupstreams:\n  - {resource: https://x.example/mcp, policy: p.yaml, state_dir: s, url: http://127.0.0.1:1, " + strings.ReplaceAll(text, "FILE", path) + "}\n"
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				return err
			}
			f, err := readGatewayFile(file)
			if err != nil {
				return err
			}
			if f.Upstreams[0].Replay != nil {
				if _, err = f.openReplay(t.Context(), nil, f.Upstreams[0]); err != nil && !strings.Contains(err.Error(), path) {
					err = nil // it was read, and leads nowhere
				}
				return err
			}
			_, err = f.config(nil, nil)
			return err
		}
	}
	return map[string]struct {
		text string
		open func(path string) error
	}{
		"master key": {newMasterKey(), func(path string) error {
			_, err := openMaster(t.Context(), Config{MasterKeyFile: path})
			return err
		}},
		"database":                       {"postgres://u:p@h/d", variable("REMIT_DATABASE_URL_FILE")},
		"Redis":                          {"redis://u:p@h/0", variable("REMIT_REDIS_URL_FILE")},
		"token of admins":                {"a token", variable("REMIT_ADMIN_TOKEN_FILE")},
		"initial token":                  {"a token", variable("REMIT_REGISTRATION_TOKEN_FILE")},
		"password of mail":               {"a password", variable("REMIT_MAIL_PASSWORD_FILE")},
		"config with a key":              {"master_key: " + newMasterKey(), config},
		"config with a password":         {"database_url: postgres://u:p@h/d", config},
		"config with a password behind":  {"database_url: postgres://h/d?password=p", config},
		"config with a secret of digits": {"mail_password: 12345678", config},
		"config with a key's URL":        {"master_key_url: ['base64key://" + newMasterKey() + "']", config},
		"providers with a secret": {"providers:\n  - {name: acme, issuer: 'https://login.example', client_id: x, client_secret: s}", func(path string) error {
			return Config{UpstreamFile: path}.upstream(&server.Config{})
		}},
		"provider's secret": {"a secret", func(path string) error {
			_, err := upstreamProvider{ClientSecretFile: path}.config()
			return err
		}},
		"key of TLS": {string(raw), func(path string) error {
			_, err := newKeyPair(cert, path, nil)
			return err
		}},
		"credential of a gateway": {"a key", upstream("credential: {header: X-Api-Key, file: FILE}")},
		"enrolment code":          {"enrol_x", upstream("enrolment_code_file: FILE")},
		"replay memory":           {"nothing://", upstream("replay: {redis_url_file: FILE}")},
	}
}

// What holds a secret is not read when anybody on the machine could have read or changed it.
func TestSecretFilesOfEverybody(t *testing.T) {
	places := secretPlaces(t)
	for name, place := range places {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "secret")
			if err := os.WriteFile(path, []byte(place.text+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, mode := range []fs.FileMode{0o644, 0o604, 0o602, 0o666, 0o444} {
				if err := os.Chmod(path, mode); err != nil {
					t.Fatal(err)
				}
				if err := place.open(path); err == nil || !strings.Contains(err.Error(), "anybody on this machine") || !strings.Contains(err.Error(), path) {
					t.Errorf("%04o: %v", mode, err)
				}
			}
			for _, mode := range []fs.FileMode{0o600, 0o400, 0o440, 0o640, 0o660} { // 0440 is a secret in Kubernetes, 0660 a volume there
				if err := os.Chmod(path, mode); err != nil {
					t.Fatal(err)
				}
				if err := place.open(path); err != nil {
					t.Errorf("%04o: %v", mode, err)
				}
			}
			link := filepath.Join(t.TempDir(), "link") // Kubernetes mounts links to links
			if err := os.Symlink(path, link); err != nil {
				t.Fatal(err)
			}
			if err := place.open(link); err != nil {
				t.Errorf("by a link: %v", err)
			}
			if err := os.Chmod(path, 0o604); err != nil {
				t.Fatal(err)
			}
			if err := place.open(link); err == nil {
				t.Error("a link hides who may read")
			}
		})
	}
}

// What a group may open is named, once, to who starts the server.
func TestSecretFilesOfAGroup(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "master.key")
	if err := os.WriteFile(path, []byte(newMasterKey()), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, warned := range map[fs.FileMode]bool{0o600: false, 0o400: false, 0o640: true, 0o660: true} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		Config{DataDir: dir}.warn(&out)
		if got := strings.Contains(out.String(), path+" holds a secret and a group may open it"); got != warned {
			t.Errorf("%04o: %q", mode, out.String())
		}
	}
	var out bytes.Buffer
	Config{DataDir: dir, MasterKey: "a key"}.warn(&out) // the file is not used
	if out.Len() > 0 {
		t.Errorf("warned of a file that nobody reads: %q", out.String())
	}
}

func TestConfigWithoutSecretsIsForAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte("issuer: https://as.example\ndatabase_url: postgres://h/d?sslmode=verify-full\nmaster_key_url: ['awskms://x']\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := loadConfig(path, nil, nil); err != nil {
		t.Error(err)
	}
}

func TestRedacted(t *testing.T) {
	for raw, want := range map[string]string{
		"postgres://u:secret@h/d":                           "postgres://u:xxxxx@h/d",
		"postgres://h/d?user=u&password=secret":             "postgres://h/d?password=xxxxx&user=u",
		"postgres://h/d?sslmode=require&SSLpassword=secret": "postgres://h/d?SSLpassword=xxxxx&sslmode=require",
		"postgres://h/d?sslmode=require":                    "postgres://h/d?sslmode=require",
		"postgres://h/d?password=%zzsecret":                 "(unreadable)",
		"":                                                  "",
	} {
		if got := redacted(raw); got != want {
			t.Errorf("redacted(%q) = %q, want %q", raw, got, want)
		}
	}
}
