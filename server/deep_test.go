package server_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// TestWhatGuardsSendMayNestAsDeepAsWhatTheyTake: a Guard reads a call, and a tool, as deep as it may nest, and
// sends what it read on within more. Refused here, the batch would come again for ever, with all records
// behind it, and so would the manifest.
func TestWhatGuardsSendMayNestAsDeepAsWhatTheyTake(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	_, claims := w.lend()
	nest := func(n int) json.RawMessage { return json.RawMessage(strings.Repeat("[", n) + strings.Repeat("]", n)) }
	deep := but(decided(claims), map[string]any{"values": map[string]any{"project": nest(61)}}) // in message, params and arguments: 64
	if got := g.call("POST", "/executions", batch(1, deep, decided(claims))); got.Status != http.StatusOK || got.JSON["next"] != 3.0 {
		t.Errorf("batch: %d %s", got.Status, got.Body)
	}
	if n := len(w.records("execution.decided")); n != 2 {
		t.Errorf("%d records", n)
	}
	tool := func(n int) map[string]any {
		return map[string]any{"policy": "", "tools": []any{map[string]any{"name": "deep", "inputSchema": map[string]any{"type": "object", "examples": nest(n)}}}}
	}
	if got := g.call("PUT", "/manifest", tool(62)); got.Status != http.StatusOK {
		t.Errorf("manifest: %d %s", got.Status, got.Body)
	}
	for name, got := range map[string]answer{
		"manifest": g.call("PUT", "/manifest", tool(70)),
		"batch":    g.call("POST", "/executions", batch(3, but(decided(claims), map[string]any{"values": map[string]any{"project": nest(70)}}))),
	} {
		if got.Status != http.StatusBadRequest {
			t.Errorf("a %s that nests without end: %d %s", name, got.Status, got.Body)
		}
	}
	if got := g.call("POST", "/executions", batch(3, decided(claims))); got.Status != http.StatusOK {
		t.Errorf("the good batch: %d %s", got.Status, got.Body)
	}
}
