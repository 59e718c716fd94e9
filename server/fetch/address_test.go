package fetch

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"code.dny.dev/ssrf"
)

func TestCheck(t *testing.T) { // CM1, CM5, CM7
	for name, raw := range map[string]string{
		"http":                "http://agent.example/c.json",
		"upper-case scheme":   "HTTPS://agent.example/c.json",
		"no host":             "https:///c.json",
		"opaque":              "https:agent.example/c.json",
		"fragment":            "https://agent.example/c.json#x",
		"empty fragment":      "https://agent.example/c.json#",
		"user":                "https://a:b@agent.example/c.json",
		"empty user":          "https://@agent.example/c.json",
		"backslash":           `https://agent.example\@evil.example/c.json`,
		"space":               "https://agent.example/c .json",
		"line break":          "https://agent.example/c.json\r\nX: y",
		"non-ASCII host":      "https://agént.example/c.json",
		"escaped host":        "https://%61gent.example/c.json",
		"upper-case host":     "https://Agent.example/c.json",
		"trailing dot":        "https://agent.example./c.json",
		"one label":           "https://intranet/c.json",
		"localhost":           "https://localhost/c.json",
		"empty label":         "https://agent..example/c.json",
		"underscore":          "https://a_b.example/c.json",
		"decimal host":        "https://2130706433/x",
		"hex host":            "https://0x7f000001/x",
		"hex and decimal":     "https://0x7f.1/x",
		"hex in both":         "https://0x7f.0x1/x",
		"octal host":          "https://0177.0.0.1/x",
		"short address":       "https://127.1/x",
		"address":             "https://127.0.0.1/x",
		"public address":      "https://93.184.216.34/x",
		"IPv6 address":        "https://[2606:2800:220:1::1]/x",
		"loopback IPv6":       "https://[::1]/x",
		"zone":                "https://[fe80::1%25eth0]/x",
		"port 22":             "https://agent.example:22/x",
		"port 25":             "https://agent.example:25/x",
		"port 6379":           "https://agent.example:6379/x",
		"port 80":             "https://agent.example:80/x",
		"empty port":          "https://agent.example:/x",
		"port with zeros":     "https://agent.example:0443/x",
		"port that overflows": "https://agent.example:65979/x", // 443 + 65536
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := New(Config{}).Check(raw); !errors.Is(err, ErrAddress) {
				t.Errorf("Check(%q) = %v", raw, err)
			}
		})
	}
	for _, raw := range []string{"https://agent.example/c.json", "https://agent.example:443/c", "https://xn--agnt-dpa.example/c", "https://a.b.c.example/c?d=e"} {
		if _, err := New(Config{}).Check(raw); err != nil {
			t.Errorf("Check(%q) = %v", raw, err)
		}
	}
	dev := New(Config{InsecureLoopback: true, Ports: []uint16{8443}})
	for _, raw := range []string{"https://localhost:8443/c", "https://127.0.0.1:8443/c", "https://[::1]:8443/c"} {
		if _, err := dev.Check(raw); err != nil {
			t.Errorf("in development Check(%q) = %v", raw, err)
		}
	}
	for _, raw := range []string{"https://localhost:22/c", "https://10.0.0.1:8443/c", "https://127.1:8443/c", "http://localhost:8443/c", "https://[::ffff:127.0.0.1]:8443/c"} {
		if _, err := dev.Check(raw); err == nil {
			t.Errorf("in development Check(%q) passed", raw)
		}
	}
}

// dialAllowed is what Dialer.Control says of an address.
func dialAllowed(c *Client, a netip.Addr) error {
	network := "tcp6"
	if a.Is4() {
		network = "tcp4"
	}
	return c.control(ssrf.New(c.rules()...))(network, net.JoinHostPort(a.String(), "443"), nil)
}

// Every block of the IANA special-purpose registries of both families, by one address at each end,
// and every form in which an IPv6 address carries an IPv4 one (RFC 6890, CM3).
func TestDialRefusesSpecialAddresses(t *testing.T) {
	c := New(Config{})
	for _, text := range []string{
		"0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255", "100.100.100.200",
		"127.0.0.0", "127.0.0.1", "127.255.255.255", "169.254.0.0", "169.254.169.254", "169.254.255.255",
		"172.16.0.0", "172.31.255.255", "192.0.0.0", "192.0.0.192", "192.0.0.255", "192.0.2.1", "192.31.196.1", "192.52.193.1",
		"192.88.99.1", "192.168.0.0", "192.168.255.255", "192.175.48.1", "198.18.0.0", "198.19.255.255",
		"198.51.100.1", "203.0.113.1", "224.0.0.0", "239.255.255.255", "240.0.0.0", "255.255.255.255", "168.63.129.16",
		"::", "::1", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:8.8.8.8", "::ffff:0:127.0.0.1",
		"64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::808:808", "64:ff9b:1::7f00:1",
		"100::1", "100:0:0:1::1", "2001::1", "2001:0:7f00:1::", "2001::8000:ffff:ffff:80ff:fffe", "2001:2::1", "2001:10::1", "2001:20::1", "2001:1ff:ffff::1",
		"2001:db8::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:808:808::1", "2620:4f:8000::1", "3fff::1", "3fff:fff::1", "5f00::1",
		"2606:4700::5efe:7f00:1", "2606:4700::200:5efe:a00:1", // ISATAP
		"fc00::1", "fd00:ec2::254", "fd20:ce::254", "fe80::1", "fe80::1%eth0", "fec0::1", "febf::1", "ff02::1", "ffff::1",
		"4000::1", "8000::1",
	} {
		if err := dialAllowed(c, netip.MustParseAddr(text)); !errors.Is(err, ErrAddress) {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{"93.184.216.34", "8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.1", "100.128.0.1", "2606:4700:4700::1111", "2a00:1450:4001::1"} {
		if err := dialAllowed(c, netip.MustParseAddr(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	dev := New(Config{InsecureLoopback: true})
	for _, text := range []string{"127.0.0.1", "::1"} {
		if err := dialAllowed(dev, netip.MustParseAddr(text)); err != nil {
			t.Errorf("in development %s: %v", text, err)
		}
	}
	for _, text := range []string{"10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "fd00::1", "0.0.0.0"} {
		if err := dialAllowed(dev, netip.MustParseAddr(text)); err == nil {
			t.Errorf("in development %s may be dialled", text)
		}
	}
}

func TestDialRefusesPortsAndNetworks(t *testing.T) {
	c := New(Config{Ports: []uint16{8443}})
	control := c.control(ssrf.New(c.rules()...))
	for name, at := range map[string][2]string{
		"port":      {"tcp4", "8.8.8.8:22"},
		"UDP":       {"udp4", "8.8.8.8:443"},
		"Unix":      {"unix", "/run/x.sock"},
		"no port":   {"tcp4", "8.8.8.8"},
		"a name":    {"tcp4", "example.com:443"},
		"malformed": {"tcp6", "[::1:443"},
	} {
		if err := control(at[0], at[1], nil); !errors.Is(err, ErrAddress) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := control("tcp4", "8.8.8.8:8443", nil); err != nil {
		t.Error(err)
	}
}

// FuzzDialAllow: whatever the standard library knows to be special is refused, and so is every
// address that carries an IPv4 address.
func FuzzDialAllow(f *testing.F) {
	for _, text := range []string{"127.0.0.1", "8.8.8.8", "::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "2001::1", "fd00::1", "2606:4700::1"} {
		f.Add(netip.MustParseAddr(text).AsSlice())
	}
	c := New(Config{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, ok := netip.AddrFromSlice(raw)
		if !ok || dialAllowed(c, a) != nil {
			return
		}
		if !a.IsGlobalUnicast() || a.IsPrivate() || a.Is4In6() || a.Zone() != "" {
			t.Errorf("%s may be dialled", a)
		}
		b := a.As16()
		carries := b[0] == 0x20 && b[1] == 0x02 || b[0] == 0x20 && b[1] == 0x01 && b[2] < 2 || b[10] == 0x5e && b[11] == 0xfe && b[9] == 0 && b[8] <= 3
		if a.Is6() && (b[0]>>5 != 1 || carries) {
			t.Errorf("%s may be dialled", a)
		}
		if a.Is4() && (b[12] == 0 || b[12] == 100 && b[13]>>6 == 1 || b[12] >= 224) {
			t.Errorf("%s may be dialled", a)
		}
	})
}
