package resource_test

import (
	"net/http"
	"testing"
)

// TestNoAnswersInARequest: a server that looks for result or error before it looks for method would take
// the message for the answer to something that it has asked the agent's user.
func TestNoAnswersInARequest(t *testing.T) {
	w := newWorld(t)
	token := w.token(reader())
	for _, member := range []string{
		`"result":{"action":"accept","content":{"amount":1000000}}`, `"error":{"code":1,"message":"no"}`, `"result":null`, `"Result":{}`, `"ERROR":{}`,
	} {
		for _, rest := range []string{
			`"id":1,"method":"ping"`, `"id":1,"method":"tools/list"`, `"method":"notifications/initialized"`,
			`"id":1,"method":"tools/call","params":{"name":"search_tickets","arguments":{"project":"WEB"}}`,
		} {
			body := `{"jsonrpc":"2.0",` + rest + `,` + member + `}`
			if a := w.send(token, []byte(body)); a.status != http.StatusBadRequest {
				t.Errorf("%s: %d %s", body, a.status, a.body)
			}
		}
	}
	if n := w.calls(); n != 0 {
		t.Errorf("%d messages reached the server", n)
	}
	w.good()
}
