package main

import (
	"fmt"
	"io"
)

// settings are the flags of Config's fields. A flag that is not given is nil, so that it does not
// hide what the environment or the config file says.
type settings struct {
	ConfigFile    string  `name:"config" help:"Settings file (REMIT_CONFIG)." placeholder:"config.yaml" group:"To begin with"`
	Issuer        *string `help:"Issuer URL (REMIT_ISSUER)." placeholder:"URL" group:"To begin with"`
	Listen        *string `help:"Public address (REMIT_LISTEN, 127.0.0.1:8080)." placeholder:"HOST:PORT" group:"To begin with"`
	DataDir       *string `help:"Data directory (REMIT_DATA_DIR, ~/.local/state/remit)." placeholder:"DIR" group:"To begin with"`
	DatabaseURL   *string `help:"Database (REMIT_DATABASE_URL, remit.db in the data directory)." placeholder:"URL" group:"To begin with"`
	RedisURL      *string `help:"Shared replay memory (REMIT_REDIS_URL)." placeholder:"URL" group:"To begin with"`
	MasterKeyFile *string `help:"File of the master key (REMIT_MASTER_KEY_FILE)." placeholder:"FILE" group:"To begin with"`
	Dev           *bool   `help:"Development: http on loopback, and nowhere else (REMIT_DEV)." group:"To begin with"`

	TLSCert        *string  `name:"tls-cert" help:"Certificate, PEM (REMIT_TLS_CERT)." placeholder:"FILE" group:"How it is reached"`
	TLSKey         *string  `name:"tls-key" help:"Its key, PEM (REMIT_TLS_KEY)." placeholder:"FILE" group:"How it is reached"`
	TrustedProxies []string `help:"Proxies whose X-Forwarded-For is believed (REMIT_TRUSTED_PROXIES)." placeholder:"CIDR" group:"How it is reached"`
	OpsListen      *string  `help:"Address of health and metrics (REMIT_OPS_LISTEN)." placeholder:"HOST:PORT" group:"How it is reached"`
	AdminListen    *string  `help:"Address of the administration, for who has the token of REMIT_ADMIN_TOKEN_FILE (REMIT_ADMIN_LISTEN)." placeholder:"HOST:PORT" group:"How it is reached"`
	AdminURL       *string  `name:"admin-url" help:"Administer the server there, with the token of REMIT_ADMIN_TOKEN_FILE (REMIT_ADMIN_URL)." placeholder:"URL" group:"How it is reached"`

	CIMD         *string  `name:"cimd" help:"Clients known by the URL of their metadata, on or off (REMIT_CIMD, on)." placeholder:"on|off" group:"Which clients it knows"`
	CIMDDomains  []string `name:"cimd-domains" help:"Hosts of such clients that are accepted (REMIT_CIMD_DOMAINS, any)." placeholder:"HOST" group:"Which clients it knows"`
	CIMDPorts    []string `name:"cimd-ports" help:"Ports that metadata is fetched from besides 443 (REMIT_CIMD_PORTS)." placeholder:"PORT" group:"Which clients it knows"`
	Registration *string  `help:"Clients that register themselves, open or closed (REMIT_REGISTRATION, closed)." placeholder:"open|closed" group:"Which clients it knows"`
	Invitation   *string  `name:"registration-token" help:"Initial access token of registration; rather name a file by REMIT_REGISTRATION_TOKEN_FILE." placeholder:"TOKEN" group:"Which clients it knows"`
	Bearer       *string  `help:"Which clients may have tokens without a key, where the resource allows them: those that an admin added and told so, or all (REMIT_BEARER, added)." placeholder:"added|all" group:"Which clients it knows"`
	TrustFile    *string  `help:"Issuers whose assertions are believed, JSON (REMIT_TRUST_FILE)." placeholder:"FILE" group:"Which clients it knows"`
	RateFactor   *string  `help:"Multiplies every rate limit (REMIT_RATE_FACTOR, 1)." placeholder:"NUMBER" group:"Which clients it knows"`

	UpstreamFile *string `help:"OpenID providers that users may sign in with, YAML (REMIT_UPSTREAM_FILE)." placeholder:"FILE" group:"What people meet"`
	MailServer   *string `help:"Mail server, for what users are told (REMIT_MAIL_SERVER)." placeholder:"HOST:PORT" group:"What people meet"`
	MailFrom     *string `help:"Sender of such mail (REMIT_MAIL_FROM)." placeholder:"ADDRESS" group:"What people meet"`
	MailUsername *string `help:"Name at the mail server (REMIT_MAIL_USERNAME)." placeholder:"NAME" group:"What people meet"`
	MailPassword *string `help:"Password there; rather name a file by REMIT_MAIL_PASSWORD_FILE." placeholder:"PASSWORD" group:"What people meet"`
	RememberDays *string `help:"For how many days users may let a choice of read-only tools go on (REMIT_REMEMBER_DAYS, 7; 0: never)." placeholder:"0-30" group:"What people meet"`
	Operator     *string `help:"Who runs this server, as its pages say (REMIT_OPERATOR)." placeholder:"NAME" group:"What people meet"`
	Accent       *string `help:"Colour of links and buttons, and behind a comma another for the dark theme (REMIT_ACCENT)." placeholder:"#RRGGBB" group:"What people meet"`
	LogoFile     *string `help:"Logo of the pages, PNG or JPEG (REMIT_LOGO_FILE)." placeholder:"FILE" group:"What people meet"`

	KeyAlgorithm *string `help:"Of signing keys made from now on, ES256 or EdDSA (REMIT_KEY_ALGORITHM, ES256)." placeholder:"ALG" group:"Keys and rules"`
	KeyAge       *string `help:"How old a signing key gets, or off (REMIT_KEY_AGE, 90d)." placeholder:"TIME" group:"Keys and rules"`
	Rules        *string `help:"Rules that suspend a task by themselves, on or off (REMIT_RULES, on)." placeholder:"on|off" group:"Keys and rules"`
	KillTwo      *string `name:"kill-two-persons" help:"Ask for a second admin before everything is stopped, on or off (REMIT_KILL_TWO_PERSONS, off)." placeholder:"on|off" group:"Keys and rules"`
}

// values are the flags that were given, by setting.
func (s settings) values() map[string]any {
	given := map[string]any{}
	for key, flag := range map[string]*string{
		"issuer": s.Issuer, "listen": s.Listen, "ops_listen": s.OpsListen, "admin_listen": s.AdminListen, "admin_url": s.AdminURL, "database_url": s.DatabaseURL, "redis_url": s.RedisURL,
		"data_dir": s.DataDir, "master_key_file": s.MasterKeyFile, "key_algorithm": s.KeyAlgorithm, "key_age": s.KeyAge, "tls_cert": s.TLSCert, "tls_key": s.TLSKey,
		"cimd": s.CIMD, "rules": s.Rules, "kill_two_persons": s.KillTwo, "registration": s.Registration, "registration_token": s.Invitation, "bearer": s.Bearer, "rate_factor": s.RateFactor,
		"upstream_file": s.UpstreamFile, "trust_file": s.TrustFile, "operator": s.Operator, "remember_days": s.RememberDays, "accent": s.Accent, "logo_file": s.LogoFile,
		"mail_server": s.MailServer, "mail_from": s.MailFrom, "mail_username": s.MailUsername, "mail_password": s.MailPassword,
	} {
		if flag != nil {
			given[key] = *flag
		}
	}
	for key, list := range map[string][]string{"trusted_proxies": s.TrustedProxies, "cimd_domains": s.CIMDDomains, "cimd_ports": s.CIMDPorts} {
		if list != nil {
			given[key] = list
		}
	}
	if s.Dev != nil {
		given["dev"] = *s.Dev
	}
	return given
}

// config reads the settings for this command.
func (a *app) config() (Config, error) {
	return loadConfig(a.flags.ConfigFile, a.flags.values(), a.environ)
}

// checkedConfig reads the settings and refuses those that no server may run with.
func (a *app) checkedConfig() (Config, error) {
	cfg, err := a.config()
	if err != nil {
		return cfg, err
	}
	if err := cfg.check(); err != nil {
		return cfg, err
	}
	cfg.warn(a.err)
	return cfg, nil
}

// warn names what no server must refuse and its operator should know.
func (c Config) warn(to io.Writer) {
	for _, name := range c.Unknown {
		fmt.Fprintf(to, "remit: %s is no setting of this version\n", name)
	}
	for _, path := range groupSecrets(c.secretFiles()) {
		fmt.Fprintf(to, "remit: %s holds a secret and a group may open it too; chmod 600 it, unless that group is the server's alone\n", path)
	}
}
