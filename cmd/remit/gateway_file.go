package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	guards "github.com/remit-auth/remit/tokens/resource"
	"github.com/remit-auth/remit/tokens/resource/gateway"
)

// gatewayFile is the configuration of a gateway. Files are named relative to it. It holds no secret:
// those stand in files and variables that it names.
type gatewayFile struct {
	Listen string `yaml:"listen"` // host:port
	TLS    struct {
		Cert string `yaml:"cert"` // PEM files
		Key  string `yaml:"key"`
	} `yaml:"tls"`
	Dev         bool              `yaml:"dev"`             // http on loopback, and nowhere else
	BehindProxy bool              `yaml:"behind_proxy"`    // a proxy in front ends TLS
	Proxies     []string          `yaml:"trusted_proxies"` // networks whose X-Forwarded-For tells where a request is from
	Issuer      string            `yaml:"issuer"`          // of every upstream that names no other
	Upstreams   []gatewayUpstream `yaml:"upstreams"`

	dir string // where the file is
}

// gatewayUpstream is one MCP server.
type gatewayUpstream struct {
	Resource string   `yaml:"resource"` // its public URI
	Name     string   `yaml:"name"`
	Issuer   string   `yaml:"issuer"`
	Policy   string   `yaml:"policy"`    // the policy file
	StateDir string   `yaml:"state_dir"` // of its Guard alone
	Origins  []string `yaml:"origins"`   // web origins that may call from a browser
	Poll     string   `yaml:"poll"`      // how often the server is asked for its tools when nobody calls
	Path     string   `yaml:"path"`      // where requests arrive, when a proxy has changed the path
	Host     string   `yaml:"host"`      // of which host, when two upstreams have the same path

	Introspection   string              `yaml:"introspection"`    // always: ask about every request instead of listening
	IntrospectTools []string            `yaml:"introspect_tools"` // before whose calls it is asked about the token
	LogArguments    map[string][]string `yaml:"log_arguments"`    // by tool: whose values are recorded
	Replay          *gatewayReplay      `yaml:"replay"`           // replicas share their memory of used proofs

	EnrolmentCodeEnv  string `yaml:"enrolment_code_env"` // variable or file; needed once
	EnrolmentCodeFile string `yaml:"enrolment_code_file"`

	URL        string             `yaml:"url"` // a server on streamable HTTP, or:
	Credential *gatewayCredential `yaml:"credential"`
	Command    []string           `yaml:"command"` // a server to start
	Env        map[string]string  `yaml:"env"`
	PassEnv    []string           `yaml:"pass_env"` // variables of the gateway's that it gets too
	Dir        string             `yaml:"dir"`
}

// gatewayCredential is what the gateway shows a server.
type gatewayCredential struct {
	Header string `yaml:"header"`
	File   string `yaml:"file"` // the header's whole value
}

// harmless are the variables that every child gets.
var harmless = []string{"PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "SYSTEMROOT"}

// readGatewayFile reads and checks the file; what it does not know it refuses.
func readGatewayFile(path string) (*gatewayFile, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f := &gatewayFile{dir: filepath.Dir(path)}
	d := yaml.NewDecoder(bytes.NewReader(raw))
	d.KnownFields(true)
	if err := d.Decode(f); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := f.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

func (f *gatewayFile) check() error {
	host, _, err := net.SplitHostPort(f.Listen)
	switch {
	case err != nil:
		return fmt.Errorf("listen: %q is not host:port", f.Listen)
	case f.Dev && !loopback(host):
		return fmt.Errorf("listen: dev mode listens on loopback alone, not on %q", f.Listen)
	case (f.TLS.Cert == "") != (f.TLS.Key == ""):
		return errors.New("tls: name both cert and key")
	case f.TLS.Cert == "" && !f.BehindProxy && !loopback(host):
		return fmt.Errorf("listen: plain http on %q: add tls, or behind_proxy: true when a proxy ends TLS", f.Listen)
	case len(f.Upstreams) == 0:
		return errors.New("upstreams: name at least one")
	}
	for i, u := range f.Upstreams {
		for key, value := range map[string]string{"resource": u.Resource, "policy": u.Policy, "state_dir": u.StateDir, "issuer": u.Issuer + f.Issuer} {
			if value == "" {
				return fmt.Errorf("upstreams: number %d: %s is missing", i+1, key)
			}
		}
		if r := u.Replay; r != nil && (r.URLEnv == "") == (r.URLFile == "") {
			return fmt.Errorf("upstreams: %s: replay: name redis_url_env or redis_url_file", u.Resource)
		}
		if u.EnrolmentCodeEnv != "" && u.EnrolmentCodeFile != "" {
			return fmt.Errorf("upstreams: %s: name enrolment_code_env or enrolment_code_file, not both", u.Resource)
		}
	}
	return nil
}

// config is what the gateway is told.
func (f *gatewayFile) config(environ []string, log *slog.Logger) (gateway.Config, error) {
	config := gateway.Config{Log: log}
	for _, u := range f.Upstreams {
		up, err := f.upstream(u, environ)
		if err != nil {
			return config, fmt.Errorf("upstream %s: %w", u.Resource, err)
		}
		config.Upstreams = append(config.Upstreams, up)
	}
	return config, nil
}

func (f *gatewayFile) upstream(u gatewayUpstream, environ []string) (up gateway.Upstream, err error) {
	code := lookup(environ, u.EnrolmentCodeEnv)
	if u.EnrolmentCodeFile != "" {
		raw, err := readSecret(f.beside(u.EnrolmentCodeFile))
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // after the first start it need not be there
			return up, err
		}
		code = string(raw)
	}
	issuer := u.Issuer
	if issuer == "" {
		issuer = f.Issuer
	}
	up = gateway.Upstream{Path: u.Path, Host: u.Host, URL: u.URL, Command: u.Command}
	if u.Poll != "" {
		if up.Poll, err = time.ParseDuration(u.Poll); err != nil || up.Poll < time.Second {
			return up, fmt.Errorf("poll: %q is no duration of a second or more, such as 30s", u.Poll)
		}
	}
	g := &up.Guard
	g.Issuer, g.Resource, g.Name, g.Origins, g.InsecureHTTP = issuer, u.Resource, u.Name, u.Origins, f.Dev
	g.TrustedProxies = f.Proxies
	g.Introspection, g.IntrospectTools, g.LogArguments = guards.Introspection(u.Introspection), u.IntrospectTools, u.LogArguments
	g.PolicyFile, g.StateDir, g.EnrolmentCode = f.beside(u.Policy), f.beside(u.StateDir), strings.TrimSpace(code)
	if u.Credential != nil {
		raw, err := readSecret(f.beside(u.Credential.File))
		if err != nil {
			return up, fmt.Errorf("credential: %w", err)
		}
		up.Credential = &gateway.Credential{Header: u.Credential.Header, Value: strings.TrimSpace(string(raw))}
	}
	if len(u.Command) == 0 {
		if len(u.Env) > 0 || len(u.PassEnv) > 0 || u.Dir != "" {
			return up, errors.New("env, pass_env and dir are for a command")
		}
		return up, nil
	}
	up.Env = childEnv(environ, u)
	if up.Dir = f.dir; u.Dir != "" {
		up.Dir = f.beside(u.Dir)
	}
	return up, nil
}

// childEnv is the whole environment of a child.
func childEnv(environ []string, u gatewayUpstream) []string {
	var env []string
	for _, name := range slices.Concat(harmless, u.PassEnv) {
		if value := lookup(environ, name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(u.Env)) {
		env = append(env, name+"="+u.Env[name])
	}
	return env
}

// beside is a path that the file names.
func (f *gatewayFile) beside(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(f.dir, path)
}
