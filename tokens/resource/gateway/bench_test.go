package gateway_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/remit-auth/remit/tokens/resource/gateway"
)

// BenchmarkAddedLatency measures a call on loopback, one after the other: at a server that answers
// at once, through a gateway to that server, and through a gateway to a child. The difference of the
// first two is what proof, Guard, durable record and gateway add; signing the proof, which is the
// agent's part, is in it too.
func BenchmarkAddedLatency(b *testing.B) {
	search := []byte(body("search", ticket{Project: "WEB"}))
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		w.Header().Set("Content-Type", "application/json")
		switch {
		case bytes.Contains(raw, []byte("tools/call")):
			io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":{"content":[]}}`)
		case bytes.Contains(raw, []byte("initialize\"")):
			io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","capabilities":{}}}`)
		case bytes.Contains(raw, []byte("tools/list")):
			id := raw[bytes.Index(raw, []byte(`"id":`))+5:]
			id = id[:bytes.IndexByte(id, ',')]
			io.WriteString(w, `{"jsonrpc":"2.0","id":`+string(id)+`,"result":{"tools":[{"name":"search","inputSchema":{"type":"object","properties":{"project":{}}}}]}}`)
		default:
			w.WriteHeader(http.StatusAccepted)
		}
	}))
	b.Cleanup(plain.Close)
	b.Run("direct", func(b *testing.B) { latency(b, http.DefaultClient, plain.URL, search) })
	b.Run("gateway", func(b *testing.B) {
		w := newWorld(b, map[string]gateway.Upstream{"/mcp": {URL: plain.URL}})
		latency(b, w.token("/mcp", "mara", "search").Client(), w.base+"/mcp", search)
	})
	b.Run("child", func(b *testing.B) {
		w := newChildWorld(b) // takes up to 2 ms to answer, on purpose
		latency(b, w.token("/mcp", "mara", "echo").Client(), w.base+"/mcp", []byte(body("echo", map[string]string{"text": "a"})))
	})
}

func latency(b *testing.B, client *http.Client, url string, body []byte) {
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		resp, err := client.Post(url, "application/json", bytes.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
			b.Fatalf("%d %v", resp.StatusCode, err)
		}
		resp.Body.Close()
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	for name, at := range map[string]int{"p50-µs": len(took) / 2, "p99-µs": len(took) * 99 / 100} {
		b.ReportMetric(float64(took[at].Microseconds()), name)
	}
}
