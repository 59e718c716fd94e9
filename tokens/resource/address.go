package resource

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// proxies are the networks whose X-Forwarded-For is believed.
type proxies []netip.Prefix

func parseProxies(raw []string) (proxies, error) {
	var all proxies
	for _, text := range raw {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			addr, err := netip.ParseAddr(text)
			if err != nil {
				return nil, fmt.Errorf("resource: TrustedProxies: %q is neither a network nor an address", text)
			}
			prefix = netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen())
		}
		all = append(all, prefix)
	}
	return all, nil
}

func (p proxies) trust(a netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(a) {
			return true
		}
	}
	return false
}

// client is the address that the request came from: the peer's or, behind trusted proxies, the one
// nearest to us that no such proxy has. The zero value is an address that is not known: a proxy that
// names nobody, or a hop that is no address. A right may follow from it, so nothing is guessed.
func (p proxies) client(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := peer.Addr().Unmap().WithZone("")
	if !p.trust(addr) {
		return addr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			return netip.Addr{}
		}
		if addr = hop.Unmap().WithZone(""); !p.trust(addr) {
			break
		}
	}
	return addr
}
