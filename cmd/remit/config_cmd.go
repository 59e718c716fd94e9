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
	values := map[string]any{
		"issuer": cfg.Issuer, "listen": cfg.Listen, "ops_listen": cfg.OpsListen,
		"database_url": redacted(cfg.DatabaseURL), "redis_url": redacted(cfg.RedisURL), "data_dir": cfg.DataDir,
		"master_key_file": cfg.MasterKeyFile, "master_key": hidden(cfg.MasterKey), "master_key_url": hidden(strings.Join(cfg.MasterKeyURL, "")),
		"key_algorithm": cfg.KeyAlgorithm, "key_age": cfg.KeyAge, "trusted_proxies": append([]string{}, cfg.TrustedProxies...),
		"tls_cert": cfg.TLSCert, "tls_key": cfg.TLSKey, "dev": cfg.Dev,
		"kill_two_persons": cfg.KillTwo, "rules": cfg.Rules, "cimd": cfg.CIMD, "cimd_domains": append([]string{}, cfg.CIMDDomains...), "cimd_ports": append([]string{}, cfg.CIMDPorts...),
		"registration": cfg.Registration, "registration_token": hidden(cfg.RegistrationToken), "bearer": cfg.Bearer, "rate_factor": cfg.RateFactor,
		"upstream_file": cfg.UpstreamFile, "trust_file": cfg.TrustFile, "operator": cfg.Operator, "remember_days": cfg.RememberDays, "accent": cfg.accentShown(), "logo_file": cfg.LogoFile,
		"mail_server": cfg.MailServer, "mail_from": cfg.MailFrom, "mail_username": cfg.MailUsername, "mail_password": hidden(cfg.MailPassword),
	}
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

// hidden says only that a secret is there.
func hidden(secret string) string {
	if secret == "" {
		return ""
	}
	return "(set)"
}

// redacted hides the password of a URL.
func redacted(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "(unreadable)"
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
	for _, name := range cfg.Unknown {
		fmt.Fprintf(a.err, "remit: %s is no setting of this version\n", name)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.out, "OK")
	return err
}
