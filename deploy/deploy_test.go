// Package deploy_test parses or runs every file of this folder.
package deploy_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"go.yaml.in/yaml/v3"
)

// remit is the binary under test, static as in the image.
var remit string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "deploy")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	remit = filepath.Join(dir, "remit")
	build := exec.Command("go", "build", "-o", remit, "../cmd/remit")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
		return 1
	}
	return m.Run()
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// settings asks the binary what it makes of an environment, and fails on what it does not know.
func settings(t *testing.T, env map[string]string) map[string]any {
	t.Helper()
	cmd := exec.Command(remit, "config", "print", "--json")
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("remit config print with %v: %v %s", env, err, stderr(err))
	}
	var answer struct {
		Settings map[string]any
		Unknown  []string
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		t.Fatal(err)
	}
	if len(answer.Unknown) > 0 {
		t.Errorf("the binary does not know %v", answer.Unknown)
	}
	return answer.Settings
}

func stderr(err error) string {
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return string(e.Stderr)
	}
	return ""
}

// compose is as much of a compose file as ours may have; anything else is refused.
type compose struct {
	Name     string             `yaml:"name"`
	Instance *service           `yaml:"x-instance"`
	Services map[string]service `yaml:"services"`
	Networks map[string]struct {
		IPAM struct {
			Config []struct {
				Subnet string `yaml:"subnet"`
			} `yaml:"config"`
		} `yaml:"ipam"`
	} `yaml:"networks"`
	Secrets map[string]struct {
		File string `yaml:"file"`
	} `yaml:"secrets"`
	Volumes map[string]struct{} `yaml:"volumes"`
}

type service struct {
	Image       string            `yaml:"image"`
	Command     []string          `yaml:"command"`
	Environment map[string]string `yaml:"environment"`
	Secrets     []string          `yaml:"secrets"`
	Volumes     []string          `yaml:"volumes"`
	Networks    []string          `yaml:"networks"`
	Ports       []string          `yaml:"ports"`
	ReadOnly    bool              `yaml:"read_only"`
	CapDrop     []string          `yaml:"cap_drop"`
	SecurityOpt []string          `yaml:"security_opt"`
	StopGrace   string            `yaml:"stop_grace_period"`
	Restart     string            `yaml:"restart"`
	DependsOn   any               `yaml:"depends_on"`
	Health      any               `yaml:"healthcheck"`
}

func TestCompose(t *testing.T) {
	for name, instances := range map[string]int{"compose/sqlite.yaml": 1, "compose/several.yaml": 2} {
		t.Run(name, func(t *testing.T) {
			var c compose
			strict(t, name, &c)
			found := 0
			for service, s := range c.Services {
				c.check(t, service, s)
				if strings.HasPrefix(s.Image, "remit:") {
					found++
					c.checkInstance(t, service, s)
				}
			}
			if found != instances {
				t.Errorf("%d instances, want %d", found, instances)
			}
		})
	}
}

// strict decodes YAML in which every key must be known.
func strict(t *testing.T, name string, into any) {
	t.Helper()
	d := yaml.NewDecoder(bytes.NewReader(must[[]byte](t)(os.ReadFile(name))))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// check follows every name that a service uses to where it is declared.
func (c compose) check(t *testing.T, name string, s service) {
	t.Helper()
	for _, secret := range s.Secrets {
		if c.Secrets[secret].File == "" {
			t.Errorf("%s: secret %s is declared nowhere", name, secret)
		}
	}
	for _, network := range s.Networks {
		if _, ok := c.Networks[network]; !ok {
			t.Errorf("%s: network %s is declared nowhere", name, network)
		}
	}
	for _, mount := range s.Volumes {
		from, _, _ := strings.Cut(mount, ":")
		if strings.HasPrefix(from, "./") {
			if _, err := os.Stat(filepath.Join("compose", from)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		} else if _, ok := c.Volumes[from]; !ok {
			t.Errorf("%s: volume %s is declared nowhere", name, from)
		}
	}
	for variable, value := range s.Environment {
		if secret, ok := strings.CutPrefix(value, "/run/secrets/"); ok && !slices.Contains(s.Secrets, secret) {
			t.Errorf("%s: %s names the secret %s, which it is not given", name, variable, secret)
		}
	}
	if s.Image == "" || s.Restart == "" {
		t.Errorf("%s: no image, or no restart policy", name)
	}
}

// checkInstance holds the environment of an instance to the settings that the binary knows.
func (c compose) checkInstance(t *testing.T, name string, s service) {
	t.Helper()
	env := map[string]string{"REMIT_DATA_DIR": "/data", "REMIT_LISTEN": ":8080", "REMIT_OPS_LISTEN": ":9090"} // the image's
	for variable, value := range s.Environment {
		if strings.HasPrefix(value, "/run/secrets/") && variable != "REMIT_MASTER_KEY_FILE" {
			file := filepath.Join(t.TempDir(), "secret")
			if err := os.WriteFile(file, []byte("postgres://remit:x@postgres/remit"), 0o600); err != nil {
				t.Fatal(err)
			}
			value = file
		}
		env[variable] = regexp.MustCompile(`\$\{REMIT_HOST[^}]*\}`).ReplaceAllString(value, "auth.example.com")
	}
	got := settings(t, env)
	if got["issuer"] != "https://auth.example.com" || fmt.Sprint(got["trusted_proxies"]) != "["+c.Networks["inside"].IPAM.Config[0].Subnet+"]" {
		t.Errorf("%s: issuer %v, proxies %v", name, got["issuer"], got["trusted_proxies"])
	}
	if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || len(s.Ports) > 0 {
		t.Errorf("%s: it could write, has capabilities, or is open to the outside", name)
	}
}

func TestConfigFile(t *testing.T) {
	got := settings(t, map[string]string{"REMIT_CONFIG": "config.yaml"})
	if got["issuer"] != "https://auth.example.com" || got["data_dir"] != "/var/lib/remit" {
		t.Errorf("settings %v", got)
	}
	// What is commented out must be settings too, and every setting must be told.
	text := string(must[[]byte](t)(os.ReadFile("config.yaml")))
	for _, m := range regexp.MustCompile(`(?m)^(?:# )?([a-z_]+): `).FindAllStringSubmatch(text, -1) {
		if _, known := got[m[1]]; !known {
			t.Errorf("%s is no setting", m[1])
		}
	}
	var uncommented []string
	for line := range strings.Lines(text) {
		if m := regexp.MustCompile(`^# ([a-z_]+: \S+)`).FindStringSubmatch(line); m != nil {
			uncommented = append(uncommented, m[1])
		}
	}
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(strings.Join(uncommented, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	settings(t, map[string]string{"REMIT_CONFIG": file})
}

func TestUnit(t *testing.T) {
	raw := string(must[[]byte](t)(os.ReadFile("systemd/remit.service")))
	section, set := "", map[string][]string{}
	for line := range strings.Lines(raw) {
		line = strings.TrimSpace(line)
		switch name, value, ok := strings.Cut(line, "="); {
		case line == "", strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]"):
			section = line
		case !ok:
			t.Errorf("not understood: %s", line)
		default:
			set[section+name] = append(set[section+name], value)
		}
	}
	for _, want := range []string{"NoNewPrivileges", "DynamicUser", "PrivateUsers", "MemoryDenyWriteExecute", "LockPersonality"} {
		if !slices.Equal(set["[Service]"+want], []string{"yes"}) {
			t.Errorf("%s is %v", want, set["[Service]"+want])
		}
	}
	env := map[string]string{}
	for _, pair := range set["[Service]Environment"] {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = strings.Replace(value, "/etc/remit/config.yaml", "config.yaml", 1)
	}
	settings(t, env)
	if tool, err := exec.LookPath("systemd-analyze"); err == nil {
		unit := filepath.Join(t.TempDir(), "remit.service")
		text := strings.ReplaceAll(raw, "/usr/local/bin/remit", remit)
		if err := os.WriteFile(unit, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(tool, "verify", "--man=no", unit).CombinedOutput(); err != nil || bytes.Contains(out, []byte("remit.service:")) {
			t.Errorf("systemd-analyze verify: %v\n%s", err, out)
		}
		if out, err := exec.Command(tool, "security", "--offline=true", "--threshold=20", unit).CombinedOutput(); err != nil {
			t.Errorf("systemd-analyze security: %v\n%s", err, out)
		}
	}
}

func TestKubernetes(t *testing.T) {
	d := yaml.NewDecoder(bytes.NewReader(must[[]byte](t)(os.ReadFile("kubernetes/remit.yaml"))))
	kinds := map[string]map[string]any{}
	for {
		var object map[string]any
		err := d.Decode(&object)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		kinds[object["kind"].(string)] = object
	}
	if got := slices.Sorted(maps.Keys(kinds)); !slices.Equal(got, []string{"Deployment", "PodDisruptionBudget", "Service"}) {
		t.Fatalf("kinds %v", got)
	}
	var deployment struct {
		Spec struct {
			Template struct {
				Spec struct {
					Containers []struct {
						Env []struct{ Name, Value string }
					}
				}
			}
		}
	}
	if err := yaml.Unmarshal(must[[]byte](t)(yaml.Marshal(kinds["Deployment"])), &deployment); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{}
	for _, e := range deployment.Spec.Template.Spec.Containers[0].Env {
		if strings.HasSuffix(e.Name, "_FILE") && e.Name != "REMIT_MASTER_KEY_FILE" {
			e.Value = os.DevNull
		}
		env[e.Name] = e.Value
	}
	if got := settings(t, env); got["issuer"] != "https://auth.example.com" {
		t.Errorf("settings %v", got)
	}
}

// TestMetrics holds alerts and dashboard to the metrics that exist.
func TestMetrics(t *testing.T) {
	ops := string(must[[]byte](t)(os.ReadFile("../cmd/remit/ops.go")))
	var alerts struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	strict(t, "prometheus/alerts.yaml", &alerts)
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(must[[]byte](t)(os.ReadFile("grafana/remit.json")), &board); err != nil {
		t.Fatal(err)
	}
	exprs := map[string]string{}
	for _, g := range alerts.Groups {
		for _, r := range g.Rules {
			exprs[r.Alert] = r.Expr
			if r.Annotations["summary"] == "" || r.Labels["severity"] == "" {
				t.Errorf("%s says nothing to whom it wakes", r.Alert)
			}
		}
	}
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			exprs[p.Title] = target.Expr
		}
	}
	if len(exprs) < 15 {
		t.Fatalf("%d expressions", len(exprs))
	}
	for name, expr := range exprs {
		for _, metric := range regexp.MustCompile(`\b(?:remit|process)_[a-z_]+`).FindAllString(expr, -1) {
			base := strings.TrimSuffix(metric, "_bucket")
			if strings.HasPrefix(base, "remit_") && !strings.Contains(ops, `"`+base+`"`) {
				t.Errorf("%s asks for %s, which does not exist", name, metric)
			}
		}
		if strings.Count(expr, "(") != strings.Count(expr, ")") {
			t.Errorf("%s: %s", name, expr)
		}
	}
}

func TestImage(t *testing.T) {
	dir := t.TempDir()
	certs := filepath.Join(dir, "certs.pem")
	if err := os.WriteFile(certs, []byte("-----BEGIN CERTIFICATE-----\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var archives [][]byte
	for _, name := range []string{"a.tar", "b.tar"} {
		out := filepath.Join(dir, name)
		cmd := exec.Command("go", "run", "./image", "-binary", remit, "-certs", certs, "-version", "v1.2.3", "-out", out)
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		archives = append(archives, must[[]byte](t)(os.ReadFile(out)))
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("the same input gives other bytes")
	}
	blobs := untar(t, archives[0])
	if string(blobs["oci-layout"].body) != `{"imageLayoutVersion":"1.0.0"}` {
		t.Error("no OCI layout")
	}
	type descriptor struct {
		MediaType, Digest string
		Size              int
		Annotations       map[string]string
	}
	follow := func(d descriptor, into any) []byte {
		t.Helper()
		blob := blobs["blobs/sha256/"+strings.TrimPrefix(d.Digest, "sha256:")].body
		if sum := sha256.Sum256(blob); "sha256:"+hex.EncodeToString(sum[:]) != d.Digest || len(blob) != d.Size {
			t.Fatalf("%s: digest or size are wrong", d.MediaType)
		}
		if into != nil {
			if err := json.Unmarshal(blob, into); err != nil {
				t.Fatal(err)
			}
		}
		return blob
	}
	var index struct{ Manifests []descriptor }
	if err := json.Unmarshal(blobs["index.json"].body, &index); err != nil || len(index.Manifests) != 1 {
		t.Fatalf("index: %v", err)
	}
	var manifest struct {
		Config descriptor
		Layers []descriptor
	}
	follow(index.Manifests[0], &manifest)
	var config struct {
		Config struct {
			User       string
			Entrypoint []string
			Env        []string
			Labels     map[string]string
		}
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	follow(manifest.Config, &config)
	if len(manifest.Layers) != 1 || !slices.Equal(config.RootFS.DiffIDs, []string{manifest.Layers[0].Digest}) {
		t.Fatal("the layers are not those of the configuration")
	}
	if config.Config.User != "65532:65532" || config.Config.Labels["org.opencontainers.image.version"] != "v1.2.3" {
		t.Errorf("config %+v", config.Config)
	}
	env := map[string]string{}
	for _, pair := range config.Config.Env {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	settings(t, env)
	start(t, untar(t, follow(manifest.Layers[0], nil)), config.Config.Entrypoint[0])
}

type entry struct {
	*tar.Header
	body []byte
}

func untar(t *testing.T, raw []byte) map[string]entry {
	t.Helper()
	all := map[string]entry{}
	r := tar.NewReader(bytes.NewReader(raw))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all[h.Name] = entry{h, must[[]byte](t)(io.ReadAll(r))}
	}
}

// start unpacks the image's files and runs its program, as its user in its root when the test may.
func start(t *testing.T, files map[string]entry, program string) {
	t.Helper()
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f, path := files[name], filepath.Join(root, name)
		var err error
		if f.Typeflag == tar.TypeDir {
			err = os.MkdirAll(path, f.FileInfo().Mode().Perm())
		} else {
			err = os.WriteFile(path, f.body, f.FileInfo().Mode().Perm())
		}
		if err != nil {
			t.Fatal(err)
		}
		if os.Getuid() == 0 {
			if err := os.Chown(path, f.Uid, f.Gid); err != nil {
				t.Fatal(err)
			}
		}
	}
	if files["data/"].Uid != 65532 || files["data/"].Mode != 0o700 || !bytes.Contains(files["etc/passwd"].body, []byte("remit:x:65532:")) {
		t.Error("the data directory is not the user's own")
	}
	cmd := exec.Command(filepath.Join(root, program), "migrate")
	cmd.Env = []string{"REMIT_DATA_DIR=" + filepath.Join(root, "data")}
	if os.Getuid() == 0 {
		cmd = exec.Command(program, "migrate")
		cmd.Env, cmd.Dir = []string{"REMIT_DATA_DIR=/data"}, "/data"
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("this version's schema")) {
		t.Errorf("in the image: %v\n%s", err, out)
	}
}

// TestExample: the file that README adds a server by is one that the program takes, with its policy.
func TestExample(t *testing.T) {
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(remit, args...)
		cmd.Env = append(os.Environ(), "REMIT_DEV=1", "REMIT_DATA_DIR="+t.TempDir(), "REMIT_ISSUER=http://127.0.0.1:8080")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("remit %q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	run("policy", "lint", filepath.Join("example", "tickets.policy.yaml"))
	if out := run("resource", "add", filepath.Join("example", "tickets.json")); !strings.Contains(out, "with 3 tools") || !strings.Contains(out, "enrolment code") {
		t.Errorf("resource add: %s", out)
	}
}
