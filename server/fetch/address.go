package fetch

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"code.dny.dev/ssrf"
)

// maxURL bounds a URL, maxHost a name (RFC 1035 §2.3.4).
const (
	maxURL  = 2000
	maxHost = 253
)

// Check refuses URLs that are never fetched, before any name is looked up: all but https, to a full
// DNS name in its one plain spelling, on an allowed port, without user or fragment.
func (c *Client) Check(raw string) (*url.URL, error) {
	refused := func(why string) (*url.URL, error) { return nil, fmt.Errorf("%w: %s", ErrAddress, why) }
	if len(raw) > maxURL || strings.ContainsFunc(raw, func(r rune) bool { return r <= 0x20 || r > 0x7e || r == '\\' || r == '#' }) {
		return refused("it is not plain ASCII without a fragment")
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return refused("it is not a URL")
	case u.Scheme != "https" || !strings.HasPrefix(raw, "https://"+u.Host):
		return refused("it is not an https URL in its plain spelling")
	case u.User != nil || u.Opaque != "":
		return refused("it names a user")
	case !c.hostAllowed(u.Hostname()):
		return refused("its host is not a full DNS name")
	case !c.portAllowed(u):
		return refused("its port is not allowed")
	}
	return u, nil
}

// hostAllowed wants a DNS name of two labels or more whose last one begins with a letter. So
// addresses in every notation (127.1, 0x7f.1, 2130706433) are no names, and nor are the short names
// of an inner network.
func (c *Client) hostAllowed(host string) bool {
	if c.named {
		return host != ""
	}
	if c.loopback {
		if ip, err := netip.ParseAddr(host); host == "localhost" || err == nil && ip.IsLoopback() && !ip.Is4In6() && ip.String() == host {
			return true
		}
	}
	labels := strings.Split(host, ".")
	if len(host) > maxHost || len(labels) < 2 {
		return false
	}
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	first := labels[len(labels)-1][0]
	return 'a' <= first && first <= 'z'
}

func (c *Client) portAllowed(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil && strconv.FormatUint(port, 10) == u.Port() && (c.named || slices.Contains(c.ports, uint16(port)))
}

// dial connects to a name as a whole: no search list may lengthen it.
func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if _, err := netip.ParseAddr(host); err != nil && strings.Contains(host, ".") && !c.named {
		host += "."
	}
	return c.dialer.DialContext(ctx, network, net.JoinHostPort(host, port))
}

// rules are the ports, and the address blocks beside the special-purpose registries of IANA.
func (c *Client) rules() []ssrf.Option {
	rules := []ssrf.Option{
		ssrf.WithPorts(c.ports...),
		// The platform service of Azure has a public address inside every virtual machine.
		ssrf.WithDeniedV4Prefixes(netip.MustParsePrefix("168.63.129.16/32")),
	}
	if c.loopback {
		rules = append(rules,
			ssrf.WithAllowedV4Prefixes(netip.MustParsePrefix("127.0.0.0/8")),
			ssrf.WithAllowedV6Prefixes(netip.MustParsePrefix("::1/128")))
	}
	return rules
}

// control judges each address in the moment before it is connected to: what the name resolved to
// earlier, or will next time, does not matter.
func (c *Client) control(rules *ssrf.Guardian) func(network, address string, _ syscall.RawConn) error {
	return func(network, address string, raw syscall.RawConn) error {
		if err := rules.Safe(network, address, raw); err != nil {
			return fmt.Errorf("%w: %w", ErrAddress, err)
		}
		if at, err := netip.ParseAddrPort(address); err != nil || isISATAP(at.Addr()) {
			return fmt.Errorf("%w: %s carries an IPv4 address", ErrAddress, address)
		}
		return nil
	}
}

// isISATAP reports whether an IPv6 address carries an IPv4 address in its lower half (RFC 5214
// §6.1). The other forms that do are blocks of their own, and among the rules.
func isISATAP(a netip.Addr) bool {
	b := a.As16()
	return a.Is6() && b[8]&^0x03 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe
}
