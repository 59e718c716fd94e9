package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestLoadConfig(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file := write("config.yaml", "issuer: https://file.example\nlisten: 127.0.0.1:1\ntrusted_proxies: [10.0.0.0/8]\n")
	token := write("token", "an initial access token\n")
	secret := write("database", "sqlite:///from/secret\n")
	tests := map[string]struct {
		file    string
		flags   map[string]any
		environ []string
		want    Config // Sources and Unknown are not compared
		sources map[string]string
	}{
		"nothing": {want: Config{Listen: defaultListen, DataDir: ""}},
		"a file": {
			file: file, want: Config{Issuer: "https://file.example", Listen: "127.0.0.1:1", TrustedProxies: []string{"10.0.0.0/8"}},
			sources: map[string]string{"issuer": "config", "listen": "config"},
		},
		"a file named by the environment": {
			environ: []string{"REMIT_CONFIG=" + file}, want: Config{Issuer: "https://file.example", Listen: "127.0.0.1:1", TrustedProxies: []string{"10.0.0.0/8"}},
		},
		"the environment over the file": {
			file: file, environ: []string{"REMIT_ISSUER=https://env.example", "REMIT_TRUSTED_PROXIES=127.0.0.1, ::1"},
			want:    Config{Issuer: "https://env.example", Listen: "127.0.0.1:1", TrustedProxies: []string{"127.0.0.1", "::1"}},
			sources: map[string]string{"issuer": "environment", "listen": "config"},
		},
		"flags over all": {
			file: file, environ: []string{"REMIT_ISSUER=https://env.example"}, flags: map[string]any{"issuer": "https://flag.example"},
			want:    Config{Issuer: "https://flag.example", Listen: "127.0.0.1:1", TrustedProxies: []string{"10.0.0.0/8"}},
			sources: map[string]string{"issuer": "flag"},
		},
		"a secret from a file": {
			environ: []string{"REMIT_DATABASE_URL_FILE=" + secret}, want: Config{Listen: defaultListen, DatabaseURL: "sqlite:///from/secret"},
			sources: map[string]string{"database_url": "file"},
		},
		"the environment over a secret file": {
			environ: []string{"REMIT_DATABASE_URL_FILE=" + secret, "REMIT_DATABASE_URL=x.db"}, want: Config{Listen: defaultListen, DatabaseURL: "x.db"},
		},
		"clients that no admin added": {
			environ: []string{"REMIT_CIMD=off", "REMIT_CIMD_DOMAINS=agent.example, *.agent.example", "REMIT_CIMD_PORTS=8443", "REMIT_REGISTRATION=open", "REMIT_REGISTRATION_TOKEN_FILE=" + token},
			want:    Config{Listen: defaultListen, CIMD: "off", CIMDDomains: []string{"agent.example", "*.agent.example"}, CIMDPorts: []string{"8443"}, Registration: "open", RegistrationToken: "an initial access token"},
		},
		"a number of the file":       {file: write("rates.yaml", "rate_factor: 2.5\n"), want: Config{Listen: defaultListen, RateFactor: "2.5"}},
		"an empty variable is unset": {environ: []string{"REMIT_LISTEN="}, want: Config{Listen: defaultListen}},
		"dev": {
			environ: []string{"REMIT_DEV=1", "REMIT_LISTEN=127.0.0.1:9999"}, want: Config{Dev: true, Issuer: "http://localhost:9999", Listen: "127.0.0.1:9999"},
		},
		"dev off": {environ: []string{"REMIT_DEV=false"}, want: Config{Listen: defaultListen}},
		"the state directory": {
			environ: []string{"XDG_STATE_HOME=/state"}, want: Config{Listen: defaultListen, DataDir: "/state/remit"},
		},
		"the home directory": {
			environ: []string{"HOME=" + dir}, want: Config{Listen: defaultListen, DataDir: filepath.Join(dir, ".local/state/remit")},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := loadConfig(tt.file, tt.flags, tt.environ)
			if err != nil {
				t.Fatal(err)
			}
			for key, source := range tt.sources {
				if got.Sources[key] != source {
					t.Errorf("%s comes from %q, want %q", key, got.Sources[key], source)
				}
			}
			got.Sources, got.Unknown, got.SecretFiles = nil, nil, nil
			if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreUnexported(Config{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLoadConfigRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(text string) string {
		f, err := os.CreateTemp(dir, "*.yaml")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
		return f.Name()
	}
	tests := map[string]struct {
		file    string
		environ []string
		want    string
	}{
		"a file that is not there":        {file: filepath.Join(dir, "none.yaml"), want: "none.yaml"},
		"a file that is not YAML":         {file: write("issuer: [\n"), want: "config file"},
		"a key that is no setting":        {file: write("isuer: https://x.example\n"), want: `"isuer" is no setting`},
		"a list for a text":               {file: write("issuer: [a, b]\n"), want: "issuer"},
		"a secret file that is not there": {environ: []string{"REMIT_REDIS_URL_FILE=" + filepath.Join(dir, "none")}, want: "REMIT_REDIS_URL_FILE"},
		"neither true nor false":          {environ: []string{"REMIT_DEV=perhaps"}, want: "REMIT_DEV"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := loadConfig(tt.file, nil, tt.environ); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("err = %v, want %q in it", err, tt.want)
			}
		})
	}
}

func TestUnknownVariables(t *testing.T) {
	cfg, err := loadConfig("", nil, []string{"REMIT_LISTN=x", "REMIT_TEST_POSTGRES_URL=x", "REMIT_ISSUER=https://x.example", "OTHER=1"})
	if err != nil || !slices.Equal(cfg.Unknown, []string{"REMIT_LISTN"}) {
		t.Errorf("unknown = %v, err = %v", cfg.Unknown, err)
	}
}

func TestCheckConfig(t *testing.T) {
	good := Config{Issuer: "https://as.example", Listen: defaultListen, DataDir: "/data"}
	dev := Config{Issuer: "http://localhost:8080", Listen: defaultListen, DataDir: "/data", Dev: true}
	change := func(c Config, f func(*Config)) Config { f(&c); return c }
	fine := map[string]Config{
		"https":            good,
		"a path":           change(good, func(c *Config) { c.Issuer = "https://as.example/t1" }),
		"dev":              dev,
		"dev on 127.0.0.1": change(dev, func(c *Config) { c.Issuer = "http://127.0.0.1:1" }),
		"dev on ::1":       change(dev, func(c *Config) { c.Listen = "[::1]:0" }),
		"behind a proxy": change(good, func(c *Config) {
			c.Listen, c.TrustedProxies = "0.0.0.0:8080", []string{"10.0.0.1", "fd00::/8"}
		}),
		"with TLS":     change(good, func(c *Config) { c.Listen, c.TLSCert, c.TLSKey = ":443", "c", "k" }),
		"a file":       change(good, func(c *Config) { c.DatabaseURL = "/data/x.db" }),
		"PostgreSQL":   change(good, func(c *Config) { c.DatabaseURL = "postgres://u:secret@h/db" }),
		"a file URL":   change(good, func(c *Config) { c.DatabaseURL = "sqlite:///data/x.db" }),
		"redis":        change(good, func(c *Config) { c.RedisURL = "redis+sentinel://:secret@h:1?master_name=m" }),
		"more at once": change(good, func(c *Config) { c.RateFactor = "2.5" }),
		"ops":          change(good, func(c *Config) { c.OpsListen = "127.0.0.1:9" }),
		"ops outside":  change(good, func(c *Config) { c.OpsListen = "0.0.0.0:9" }),
	}
	for name, cfg := range fine {
		if err := cfg.check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	refused := map[string]struct {
		cfg  Config
		want string
	}{
		"no issuer":              {change(good, func(c *Config) { c.Issuer = "" }), "REMIT_ISSUER"},
		"http outside dev":       {change(good, func(c *Config) { c.Issuer = "http://as.example" }), "https"},
		"http on loopback":       {change(good, func(c *Config) { c.Issuer = "http://localhost:8080" }), "https"},
		"dev beyond loopback":    {change(dev, func(c *Config) { c.Issuer = "http://as.example" }), "loopback"},
		"a trailing slash":       {change(good, func(c *Config) { c.Issuer = "https://as.example/" }), "trailing slash"},
		"a query":                {change(good, func(c *Config) { c.Issuer = "https://as.example?x" }), "query"},
		"a user":                 {change(good, func(c *Config) { c.Issuer = "https://u@as.example" }), "user"},
		"not a URL":              {change(good, func(c *Config) { c.Issuer = "as.example" }), "not a URL"},
		"another scheme":         {change(good, func(c *Config) { c.Issuer = "ftp://as.example" }), "https"},
		"dev on all addresses":   {change(dev, func(c *Config) { c.Listen = ":8080" }), "loopback alone"},
		"dev on the network":     {change(dev, func(c *Config) { c.Listen = "192.0.2.1:8080" }), "loopback alone"},
		"dev ops on the network": {change(dev, func(c *Config) { c.OpsListen = "0.0.0.0:9090" }), "loopback alone"},
		"plain http outside":     {change(good, func(c *Config) { c.Listen = "0.0.0.0:8080" }), "REMIT_TLS_CERT"},
		"neither on nor off":     {change(good, func(c *Config) { c.CIMD = "maybe" }), "REMIT_CIMD"},
		"neither open nor not":   {change(good, func(c *Config) { c.Registration = "token" }), "REMIT_REGISTRATION"},
		"neither added nor all":  {change(good, func(c *Config) { c.Bearer = "some" }), "REMIT_BEARER"},
		"a port that is none":    {change(good, func(c *Config) { c.CIMDPorts = []string{"https"} }), "REMIT_CIMD_PORTS"},
		"no port":                {change(good, func(c *Config) { c.Listen = "127.0.0.1" }), "host:port"},
		"half of TLS":            {change(good, func(c *Config) { c.TLSCert = "c" }), "both or neither"},
		"no data directory":      {change(good, func(c *Config) { c.DataDir = "" }), "REMIT_DATA_DIR"},
		"another database":       {change(good, func(c *Config) { c.DatabaseURL = "mysql://u:secret@h/db" }), "mysql"},
		"no kind of Redis":       {change(good, func(c *Config) { c.RedisURL = "http://:secret@h" }), "REMIT_REDIS_URL"},
		"no limits":              {change(good, func(c *Config) { c.RateFactor = "0" }), "REMIT_RATE_FACTOR"},
		"limits below none":      {change(good, func(c *Config) { c.RateFactor = "-1" }), "REMIT_RATE_FACTOR"},
		"a factor in words":      {change(good, func(c *Config) { c.RateFactor = "double" }), "REMIT_RATE_FACTOR"},
		"a factor that is none":  {change(good, func(c *Config) { c.RateFactor = "NaN" }), "REMIT_RATE_FACTOR"},
		"a factor without end":   {change(good, func(c *Config) { c.RateFactor = "Inf" }), "REMIT_RATE_FACTOR"},
		"a proxy by name":        {change(good, func(c *Config) { c.TrustedProxies = []string{"proxy"} }), "CIDR"},
	}
	for name, tt := range refused {
		err := tt.cfg.check()
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: err = %v, want %q in it and no secret", name, err, tt.want)
		}
	}
}

func TestMasterKey(t *testing.T) {
	cfg := Config{DataDir: t.TempDir()}
	path, _ := cfg.masterKeyPath()
	made, err := openMaster(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := made.Wrap(t.Context(), []byte("a key"), "label")
	if err != nil {
		t.Fatal(err)
	}
	again, err := openMaster(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if key, err := again.Unwrap(t.Context(), wrapped, "label"); err != nil || string(key) != "a key" {
		t.Errorf("read again: %q, %v", key, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	for name, breakIt := range map[string]func() error{
		"readable by anybody": func() error { return os.Chmod(path, 0o604) },
		"too short":           func() error { return os.WriteFile(path, []byte("c2hvcnQ\n"), 0o600) },
		"not base64":          func() error { return os.WriteFile(path, []byte(strings.Repeat("!", 43)), 0o600) },
		"empty":               func() error { return os.WriteFile(path, nil, 0o600) },
	} {
		if err := os.Chmod(path, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := breakIt(); err != nil {
			t.Fatal(err)
		}
		if _, err := openMaster(t.Context(), cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	cfg.MasterKeyFile = filepath.Join(cfg.DataDir, "named.key")
	if _, err := openMaster(t.Context(), cfg); err == nil {
		t.Error("a key file that was named and is missing was made")
	}
}

func TestDataDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	if err := (Config{DataDir: dir}).prepareDataDir(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := (Config{DataDir: dir}).prepareDataDir(); err == nil {
		t.Error("a directory that anybody may write to was taken")
	}
}

// TestFlagsMatchSettings: every setting is a flag, a variable and a key of the file; but for the
// master key and the administration's token, which have no business on a command line.
func TestFlagsMatchSettings(t *testing.T) {
	text, list, yes := "x", []string{"x"}, true
	s := settings{
		Issuer: &text, Listen: &text, OpsListen: &text, AdminListen: &text, AdminURL: &text, DatabaseURL: &text, RedisURL: &text, DataDir: &text,
		MasterKeyFile: &text, TrustedProxies: list, TLSCert: &text, TLSKey: &text, Dev: &yes,
		CIMD: &text, CIMDDomains: list, CIMDPorts: list, Registration: &text, Invitation: &text, Bearer: &text, Rules: &text, KillTwo: &text, RateFactor: &text, UpstreamFile: &text, TrustFile: &text, Operator: &text, RememberDays: &text, Accent: &text, LogoFile: &text,
		KeyAlgorithm: &text, KeyAge: &text, MailServer: &text, MailFrom: &text, MailUsername: &text, MailPassword: &text,
	}
	want := slices.DeleteFunc(slices.Sorted(slices.Values(keys)), func(key string) bool { return key == "master_key" || key == "master_key_url" || key == "admin_token" })
	if got := slices.Sorted(maps.Keys(s.values())); !slices.Equal(got, want) {
		t.Errorf("flags %v, settings %v", got, keys)
	}
	if got := slices.Sorted(maps.Keys((Config{}).shown())); !slices.Equal(got, slices.Sorted(slices.Values(keys))) {
		t.Errorf("shown are %v, settings are %v", got, keys)
	}
	if got := (settings{}).values(); len(got) != 0 {
		t.Errorf("no flag given, yet %v", got)
	}
}

func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"plain é 日本":          "plain é 日本",
		"a\nb\x1b[2J":         `a\u000ab\u001b[2J`,
		"left\u202eright":     `left\u202eright`,
		"zero\u200bwidth":     `zero\u200bwidth`,
		"\U000e0041tag":       `\U000e0041tag`,
		"line\u2028break":     `line\u2028break`,
		"not \xff UTF-8":      `not \ufffd UTF-8`,
		"":                    "",
		"tab\there\r":         `tab\u0009here\u000d`,
		"\u0085next\u009bm":   `\u0085next\u009bm`,
		"emoji 👍 stays plain": "emoji 👍 stays plain",
	} {
		if got := plain(in); got != want {
			t.Errorf("plain(%q) = %q, want %q", in, got, want)
		}
	}
}
