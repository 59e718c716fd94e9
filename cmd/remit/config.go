package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
)

// Config is what the operator decides. Each field is a flag (--ops-listen), an environment
// variable (REMIT_OPS_LISTEN) and a key of config.yaml (ops_listen); the first of them that is set
// wins, in this order. A secret may also stand in a file named by the variable with _FILE behind it.
type Config struct {
	Issuer         string   `koanf:"issuer"`          // RFC 8414 issuer, an https URL; in dev http on loopback
	Listen         string   `koanf:"listen"`          // public address
	OpsListen      string   `koanf:"ops_listen"`      // health and metrics; empty: none
	AdminListen    string   `koanf:"admin_listen"`    // the administration, for who has the token; empty: the socket alone
	AdminToken     string   `koanf:"admin_token"`     // what its requests bear
	AdminURL       string   `koanf:"admin_url"`       // of commands: the administration that they are for; empty: this machine's server
	DatabaseURL    string   `koanf:"database_url"`    // empty: remit.db in the data directory
	RedisURL       string   `koanf:"redis_url"`       // empty: replay memory in the process
	DataDir        string   `koanf:"data_dir"`        // database, master key, admin socket
	MasterKeyFile  string   `koanf:"master_key_file"` // 32 bytes in base64url; empty: master.key in the data directory, made when missing
	MasterKey      string   `koanf:"master_key"`      // the key itself, and after a rotation the former one behind it
	MasterKeyURL   []string `koanf:"master_key_url"`  // a key of a key management service: awskms:// gcpkms:// azurekeyvault:// hashivault://; the newest first
	KeyAlgorithm   string   `koanf:"key_algorithm"`   // ES256, EdDSA: of signing keys made from now on; empty: ES256
	KeyAge         string   `koanf:"key_age"`         // how old a signing key gets (90d, 12h), or off; empty: 90d
	TrustedProxies []string `koanf:"trusted_proxies"` // addresses or CIDRs whose X-Forwarded-For is believed
	TLSCert        string   `koanf:"tls_cert"`        // PEM files; both or neither
	TLSKey         string   `koanf:"tls_key"`
	Dev            bool     `koanf:"dev"` // http on loopback; refuses to listen anywhere else

	CIMD              string   `koanf:"cimd"`               // on, off: clients known by the URL of their metadata; empty: on
	KillTwo           string   `koanf:"kill_two_persons"`   // on: the kill switch for everything needs a second admin; empty: off
	Rules             string   `koanf:"rules"`              // on, off: rules that suspend a task by themselves; empty: on
	CIMDDomains       []string `koanf:"cimd_domains"`       // hosts accepted (agent.example, *.agent.example); empty: any
	CIMDPorts         []string `koanf:"cimd_ports"`         // ports fetched from besides 443
	Registration      string   `koanf:"registration"`       // closed, open: clients that register themselves; empty: closed
	RegistrationToken string   `koanf:"registration_token"` // initial access token: opens registration to whoever holds it
	Bearer            string   `koanf:"bearer"`             // added, all: which clients may have tokens without a key, where the resource allows them; empty: added by an admin, and told so
	RateFactor        string   `koanf:"rate_factor"`        // multiplies every rate limit; empty: 1

	restoring bool // a database that was set back is what this command is for

	TrustFile    string `koanf:"trust_file"`    // JSON of the issuers whose assertions are believed (RFC 7523); empty: none
	UpstreamFile string `koanf:"upstream_file"` // YAML of the OpenID providers that users may sign in with; empty: none
	MailServer   string `koanf:"mail_server"`   // host:port of the operator's mail server; empty: users are told nothing by e-mail
	MailFrom     string `koanf:"mail_from"`     // the sender, such as Acme ID <no-reply@acme.example>
	MailUsername string `koanf:"mail_username"` // empty: the mail server asks for none
	MailPassword string `koanf:"mail_password"`
	RememberDays string `koanf:"remember_days"` // for how many days, 0 to 30, users may let a choice of read-only tools go on; empty: 7
	Accent       string `koanf:"accent"`        // colour of links and buttons, such as #1f4fd8; a second one behind a comma is for the dark theme; empty: the pages' own
	LogoFile     string `koanf:"logo_file"`     // PNG or JPEG, at most 512 by 512 pixels; empty: the pages' own
	Operator     string `koanf:"operator"`      // who runs this server, as its pages say; empty: the issuer's host

	// Sources says where each value comes from: flag, environment, file, config, default.
	Sources map[string]string `koanf:"-"`
	// Unknown are variables that look like settings and are none.
	Unknown []string `koanf:"-"`
	// SecretFiles are those that secrets were read from.
	SecretFiles []string `koanf:"-"`
}

// keys are the settings, and those whose value may be a secret.
var (
	keys = []string{
		"issuer", "listen", "ops_listen", "admin_listen", "admin_token", "admin_url", "database_url", "redis_url", "data_dir",
		"master_key_file", "master_key", "master_key_url", "key_algorithm", "key_age", "trusted_proxies", "tls_cert", "tls_key", "dev",
		"cimd", "cimd_domains", "cimd_ports", "registration", "registration_token", "bearer", "upstream_file", "trust_file", "operator", "accent", "logo_file", "remember_days", "mail_server", "mail_from", "mail_username", "mail_password", "rules", "kill_two_persons", "rate_factor",
	}
	secretKeys = []string{"admin_token", "database_url", "redis_url", "registration_token", "master_key", "mail_password"}
)

// redisSchemes are the kinds of Redis: one server, Sentinel, Cluster, each plain or over TLS.
var redisSchemes = []string{"redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"}

const envPrefix = "REMIT_"

// defaultListen is where a server listens when nothing else is said.
const defaultListen = "127.0.0.1:8080"

// loadConfig reads the settings from flags, environment and config file, and checks none of them.
func loadConfig(configFile string, flags map[string]any, environ []string) (Config, error) {
	fromEnv, fromFiles, named, unknown, err := environment(environ)
	if err != nil {
		return Config{}, err
	}
	if configFile == "" {
		configFile = lookup(environ, envPrefix+"CONFIG")
	}
	fromConfig, err := configYAML(configFile)
	if err != nil {
		return Config{}, err
	}
	if holdsSecret(fromConfig) {
		named = append(named, configFile)
	}
	merged := koanf.New(".")
	sources := map[string]string{}
	layers := []struct {
		source string
		values map[string]any
	}{
		{"default", map[string]any{"listen": defaultListen, "data_dir": defaultDataDir(environ)}},
		{"config", fromConfig},
		{"file", fromFiles},
		{"environment", fromEnv},
		{"flag", flags},
	}
	for _, layer := range layers {
		for key, value := range layer.values {
			if err := merged.Set(key, value); err != nil {
				return Config{}, fmt.Errorf("%s %s: %w", layer.source, key, err)
			}
			sources[key] = layer.source
		}
	}
	cfg := Config{Sources: sources, Unknown: unknown, SecretFiles: named}
	if err := merged.Unmarshal("", &cfg); err != nil {
		return Config{}, fmt.Errorf("settings: %w", err)
	}
	if cfg.Issuer == "" && cfg.Dev {
		cfg.Issuer, cfg.Sources["issuer"] = devIssuer(cfg.Listen), "default"
	}
	return cfg, nil
}

// environment reads REMIT_* and, for secrets, the files that REMIT_*_FILE name.
func environment(environ []string) (values, files map[string]any, named, unknown []string, err error) {
	k := koanf.New(".")
	provider := env.Provider(".", env.Opt{Prefix: envPrefix, EnvironFunc: func() []string { return environ }, TransformFunc: func(name, value string) (string, any) {
		return strings.ToLower(strings.TrimPrefix(name, envPrefix)), value
	}})
	if err := k.Load(provider, nil); err != nil {
		return nil, nil, nil, nil, fmt.Errorf("environment: %w", err)
	}
	values, files = map[string]any{}, map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(k.All())) {
		value := k.String(key)
		secret, isFile := strings.CutSuffix(key, "_file")
		switch {
		case value == "" || key == "config" || strings.HasPrefix(key, "test_"):
		case slices.Contains(keys, key):
			if values[key], err = typed(key, value); err != nil {
				return nil, nil, nil, nil, err
			}
		case isFile && slices.Contains(secretKeys, secret):
			raw, err := readSecret(value)
			if err != nil {
				return nil, nil, nil, nil, fmt.Errorf("%s: %w", envName(key), err)
			}
			named = append(named, value)
			files[secret] = strings.TrimSpace(string(raw))
		default:
			unknown = append(unknown, envName(key))
		}
	}
	return values, files, named, unknown, nil
}

// typed turns a variable's text into the type of its setting.
func typed(key, value string) (any, error) {
	switch key {
	case "dev":
		switch strings.ToLower(value) {
		case "1", "true", "yes", "on":
			return true, nil
		case "0", "false", "no", "off":
			return false, nil
		}
		return nil, fmt.Errorf("%s: %q is neither true nor false", envName(key), value)
	case "trusted_proxies", "cimd_domains", "cimd_ports", "master_key_url":
		return strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' }), nil
	}
	return value, nil
}

// configYAML reads the config file; a key that is no setting is refused by name.
func configYAML(path string) (map[string]any, error) {
	if path == "" {
		return nil, nil
	}
	k := koanf.New(".")
	if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
		return nil, fmt.Errorf("config file %s: %w", path, err)
	}
	values := k.Raw()
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if !slices.Contains(keys, key) {
			return nil, fmt.Errorf("config file %s: %q is no setting; the settings are %s", path, key, strings.Join(keys, ", "))
		}
	}
	if !holdsSecret(values) {
		return values, nil
	}
	info, err := os.Stat(path)
	if err == nil {
		err = private(path, info)
	}
	if err != nil {
		return nil, fmt.Errorf("config file: %w", err)
	}
	return values, nil
}

// check refuses settings that a server must not start with, and says what to do instead.
func (c Config) check() error {
	var errs []error
	for _, check := range []func() error{c.checkIssuer, c.checkListen, c.checkTLS, c.checkBackends, c.checkClients, c.checkKeys, c.checkLimits, c.checkBrand, c.checkAdmin} {
		errs = append(errs, check())
	}
	if c.DataDir == "" {
		errs = append(errs, errors.New("REMIT_DATA_DIR: name the directory for database, keys and admin socket"))
	}
	_, err := c.proxies()
	return errors.Join(append(errs, err)...)
}

func (c Config) checkIssuer() error {
	if c.Issuer == "" {
		return errors.New("REMIT_ISSUER: name the https URL that clients reach this server at, or set REMIT_DEV=true to try it on this machine")
	}
	u, err := url.Parse(c.Issuer)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return fmt.Errorf("REMIT_ISSUER: %q is not a URL", c.Issuer)
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(u.Path, "/"): // RFC 8414 §2
		return fmt.Errorf("REMIT_ISSUER: %q must have no user, query, fragment or trailing slash", c.Issuer)
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && c.Dev && loopback(u.Hostname()):
		return nil
	case c.Dev:
		return fmt.Errorf("REMIT_ISSUER: %q: dev mode serves http on loopback names alone (localhost, 127.0.0.1)", c.Issuer)
	}
	return fmt.Errorf("REMIT_ISSUER: %q must be an https URL (http is for REMIT_DEV=true on loopback)", c.Issuer)
}

func (c Config) checkListen() error {
	for name, address := range map[string]string{"REMIT_LISTEN": c.Listen, "REMIT_OPS_LISTEN": c.OpsListen} {
		if address == "" && name == "REMIT_OPS_LISTEN" {
			continue
		}
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return fmt.Errorf("%s: %q is not host:port", name, address)
		}
		if c.Dev && !loopback(host) {
			return fmt.Errorf("%s: dev mode listens on loopback alone, not on %q", name, address)
		}
		if name == "REMIT_LISTEN" && !loopback(host) && c.TLSCert == "" && len(c.TrustedProxies) == 0 {
			return fmt.Errorf("REMIT_LISTEN: plain http on %q: set REMIT_TLS_CERT and REMIT_TLS_KEY, or REMIT_TRUSTED_PROXIES to the proxy that ends TLS", address)
		}
	}
	return nil
}

func (c Config) checkTLS() error {
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return errors.New("REMIT_TLS_CERT and REMIT_TLS_KEY: set both or neither")
	}
	return nil
}

func (c Config) checkBackends() error {
	if scheme, _, ok := strings.Cut(c.RedisURL, "://"); c.RedisURL != "" && (!ok || !slices.Contains(redisSchemes, scheme)) {
		// The rest of the URL may hold a password.
		return fmt.Errorf("REMIT_REDIS_URL: begin it with one of %s://", strings.Join(redisSchemes, "://, "))
	}
	if c.postgres() {
		return nil
	}
	_, err := c.database()
	return err
}

// database is the path of the SQLite file.
func (c Config) database() (string, error) {
	switch scheme, rest, ok := strings.Cut(c.DatabaseURL, ":"); {
	case c.DatabaseURL == "":
		return filepath.Join(c.DataDir, "remit.db"), nil
	case !ok:
		return c.DatabaseURL, nil
	case scheme == "sqlite" || scheme == "file":
		return strings.TrimPrefix(rest, "//"), nil
	default:
		// The rest of the URL may hold a password.
		return "", fmt.Errorf("REMIT_DATABASE_URL: this version has no backend for %s:, use postgres://…, sqlite:///path or leave it empty", scheme)
	}
}

// proxies are the networks that may speak for others.
func (c Config) proxies() ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, text := range c.TrustedProxies {
		prefix, err := netip.ParsePrefix(text)
		if address, bad := netip.ParseAddr(text); bad == nil {
			prefix, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("REMIT_TRUSTED_PROXIES: %q is neither an address nor a CIDR", text)
		}
		all = append(all, prefix.Masked())
	}
	return all, nil
}

func (c Config) socket() string { return filepath.Join(c.DataDir, "admin.sock") }

// masterKeyPath is the key's file and whether it may be made when it is missing.
func (c Config) masterKeyPath() (path string, make bool) {
	if c.MasterKeyFile != "" {
		return c.MasterKeyFile, false
	}
	return filepath.Join(c.DataDir, "master.key"), true
}

// prepareDataDir makes the data directory, for its owner alone.
func (c Config) prepareDataDir() error {
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	info, err := os.Stat(c.DataDir)
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	if info.Mode().Perm()&0o002 != 0 {
		return fmt.Errorf("data directory %s: anybody may write to it; chmod 700 it", c.DataDir)
	}
	return nil
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && address.IsLoopback()
}

// devIssuer is the issuer of a dev server on this address.
func devIssuer(listen string) string {
	_, port, err := net.SplitHostPort(listen)
	if err != nil || port == "0" {
		port = "8080"
	}
	return "http://localhost:" + port
}

func defaultDataDir(environ []string) string {
	if dir := lookup(environ, "XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "remit")
	}
	home := lookup(environ, "HOME")
	if _, err := os.Stat(home); home == "" || errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return filepath.Join(home, ".local", "state", "remit")
}

func lookup(environ []string, name string) string {
	for _, pair := range slices.Backward(environ) {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value
		}
	}
	return ""
}

func envName(key string) string { return envPrefix + strings.ToUpper(key) }
