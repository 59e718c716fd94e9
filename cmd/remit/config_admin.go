package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// minAdminToken is how many characters the token of the administration must have.
const minAdminToken = 32

// checkAdmin refuses an administration that anybody could reach, or hear.
func (c Config) checkAdmin() error {
	if c.AdminListen == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(c.AdminListen)
	switch {
	case err != nil:
		return fmt.Errorf("REMIT_ADMIN_LISTEN: %q is not host:port", c.AdminListen)
	case strings.ContainsFunc(c.AdminToken, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("REMIT_ADMIN_TOKEN_FILE: the token is one word of ASCII, which no request could bear otherwise (openssl rand -hex 32)")
	case len(c.AdminToken) < minAdminToken:
		return fmt.Errorf("REMIT_ADMIN_LISTEN: it needs REMIT_ADMIN_TOKEN_FILE, a file with a random token of at least %d characters (openssl rand -hex 32)", minAdminToken)
	case c.Dev && !loopback(host):
		return fmt.Errorf("REMIT_ADMIN_LISTEN: dev mode listens on loopback alone, not on %q", c.AdminListen)
	case !loopback(host) && c.TLSCert == "":
		return fmt.Errorf("REMIT_ADMIN_LISTEN: plain http on %q: set REMIT_TLS_CERT and REMIT_TLS_KEY", c.AdminListen)
	}
	return nil
}

// adminURL is where the administration of another machine's server is; nil: of this one's.
func (c Config) adminURL() (*url.URL, error) {
	if c.AdminURL == "" {
		return nil, nil
	}
	u, err := url.Parse(c.AdminURL)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/":
		return nil, fmt.Errorf("REMIT_ADMIN_URL: %q is not a URL such as https://id.acme.example:8443", c.AdminURL)
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		return nil, fmt.Errorf("REMIT_ADMIN_URL: %q must be an https URL, or one of this machine", c.AdminURL)
	case c.AdminToken == "":
		return nil, errors.New("REMIT_ADMIN_URL: it needs REMIT_ADMIN_TOKEN_FILE, the file of the server's token")
	case c.Sources["data_dir"] == "flag":
		return nil, errors.New("REMIT_ADMIN_URL and --data-dir name two servers: leave one of them out")
	}
	return u, nil
}

// here refuses to act on this machine's database while the settings name another machine's server.
func (c Config) here() error {
	if c.AdminURL == "" {
		return nil
	}
	return fmt.Errorf("REMIT_ADMIN_URL names the server at %s, and this works on its database itself: run it there, or here without REMIT_ADMIN_URL", redacted(c.AdminURL))
}
