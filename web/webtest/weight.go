//go:build browser

package webtest

import (
	"encoding/json"
	"net/url"
)

// Weight is what the tab's page took to load: bytes over the wire, were nothing in the cache, and the
// hosts asked.
func (t *Tab) Weight() (bytes int, hosts map[string]bool) {
	t.T.Helper()
	var loaded []struct {
		Name  string
		Bytes int
	}
	const each = `JSON.stringify([...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
		.map(e => ({Name: e.name, Bytes: Math.max(e.transferSize, e.encodedBodySize + 300)})))`
	t.must(json.Unmarshal([]byte(t.Read(each)), &loaded))
	hosts = map[string]bool{}
	for _, l := range loaded {
		u, err := url.Parse(l.Name)
		t.must(err)
		bytes += l.Bytes
		hosts[u.Host] = true
	}
	return bytes, hosts
}
