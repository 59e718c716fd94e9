package resource_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/remit-auth/remit/tokens/resource"
	"github.com/remit-auth/remit/tokens/resource/resourcetest"
)

// TestLongNamesDoNotStopTheLedger: what an agent calls a tool, or reads, is recorded as far as a name may
// go. A record that is longer than a batch would never arrive, nor would any after it.
func TestLongNamesDoNotStopTheLedger(t *testing.T) {
	w := newWorld(t)
	if err := w.guard.ReloadPolicy([]byte(ticketsPolicy + "  docs: {resources: [\"docs://handbook/**\"]}\n")); err != nil {
		t.Fatal(err)
	}
	token := w.token(reader())
	long := strings.Repeat("<", 1000<<10) // six bytes each in a record
	for _, body := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + long + `"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + long + `","Name":"x"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"docs://` + long + `"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"` + long + `"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search_tickets","arguments":{"` + long + `":1}}}`,
	} {
		if a := w.send(token, []byte(body)); a.status < 400 || a.status >= 500 {
			t.Errorf("%.100s: %d %.200s", body, a.status, a.body)
		}
	}
	w.good()
	w.eventually("the records arrive", func() bool {
		return slices.ContainsFunc(w.issuer.Executions(w.uri, 1), func(e resourcetest.Execution) bool { return e.Decision == "allowed" })
	})
	for _, e := range w.issuer.Executions(w.uri, 1) {
		if n := len(e.Tool) + len(e.Target); n > 2048 {
			t.Errorf("%d bytes of a name are recorded", n)
		}
	}
	if n := w.guard.Refusals()[resource.BadRequest]; n < 4 {
		t.Errorf("%d refusals", n)
	}
	if a := w.call(token, "get_ticket", web); a.status != http.StatusOK {
		t.Errorf("the good request: %d", a.status)
	}
}
