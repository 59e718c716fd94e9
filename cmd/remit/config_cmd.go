package main

import (
	"fmt"
	"net/url"
	"strings"
)

type configCmd struct {
	Print    configPrintCmd    `cmd:"" help:"Print the settings in force and where each comes from."`
	Validate configValidateCmd `cmd:"" help:"Check the settings as a server would."`
}

type configPrintCmd struct{}

// Run prints the settings; passwords in URLs are left out.
func (c *configPrintCmd) Run(a *app) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	values := cfg.shown()
	if a.json {
		return writeJSON(a.out, map[string]any{"settings": values, "sources": cfg.Sources, "unknown": append([]string{}, cfg.Unknown...)})
	}
	var rows [][]string
	for _, key := range keys {
		value := fmt.Sprint(values[key])
		if list, ok := values[key].([]string); ok {
			value = strings.Join(list, ",")
		}
		rows = append(rows, []string{key, value, cfg.Sources[key]})
	}
	return table(a.out, []string{"SETTING", "VALUE", "FROM"}, rows)
}

// shown are the settings by name, without the secrets.
func (c Config) shown() map[string]any {
	return map[string]any{
		"issuer": c.Issuer, "listen": c.Listen, "ops_listen": c.OpsListen,
		"admin_listen": c.AdminListen, "admin_token": hidden(c.AdminToken), "admin_url": redacted(c.AdminURL),
		"database_url": redacted(c.DatabaseURL), "redis_url": redacted(c.RedisURL), "data_dir": c.DataDir,
		"master_key_file": c.MasterKeyFile, "master_key": hidden(c.MasterKey), "master_key_url": hidden(strings.Join(c.MasterKeyURL, "")),
		"key_algorithm": c.KeyAlgorithm, "key_age": c.KeyAge, "trusted_proxies": append([]string{}, c.TrustedProxies...),
		"tls_cert": c.TLSCert, "tls_key": c.TLSKey, "dev": c.Dev,
		"kill_two_persons": c.KillTwo, "rules": c.Rules, "cimd": c.CIMD, "cimd_domains": append([]string{}, c.CIMDDomains...), "cimd_ports": append([]string{}, c.CIMDPorts...),
		"registration": c.Registration, "registration_token": hidden(c.RegistrationToken), "bearer": c.Bearer, "rate_factor": c.RateFactor,
		"upstream_file": c.UpstreamFile, "trust_file": c.TrustFile, "operator": c.Operator, "remember_days": c.RememberDays, "accent": c.accentShown(), "logo_file": c.LogoFile,
		"mail_server": c.MailServer, "mail_from": c.MailFrom, "mail_username": c.MailUsername, "mail_password": hidden(c.MailPassword),
	}
}

// hidden says only that a secret is there.
func hidden(secret string) string {
	if secret == "" {
		return ""
	}
	return "(set)"
}

// redacted hides the passwords of a URL, which PostgreSQL takes as parameters too.
func redacted(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "(unreadable)"
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return "(unreadable)"
	}
	for name := range q {
		if strings.Contains(strings.ToLower(name), "password") {
			q.Set(name, "xxxxx")
			u.RawQuery = q.Encode()
		}
	}
	return u.Redacted()
}

type configValidateCmd struct{}

// Run checks the settings.
func (c *configValidateCmd) Run(a *app) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	err = cfg.check()
	if a.json {
		problems := []string{}
		if err != nil {
			problems = strings.Split(err.Error(), "\n")
		}
		if werr := writeJSON(a.out, map[string]any{"ok": err == nil, "problems": problems, "unknown": append([]string{}, cfg.Unknown...)}); werr != nil {
			return werr
		}
		if err != nil {
			return errSilent
		}
		return nil
	}
	cfg.warn(a.err)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.out, "OK")
	return err
}
