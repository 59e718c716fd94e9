package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
)

// TestRX5Allocations: whatever stands in a hostile body, refusing it takes less than 4 MB of memory, all that
// was let go of meanwhile included (attacks.md RX3, RX5). What it takes of time, BenchmarkHostileBodies reports.
func TestRX5Allocations(t *testing.T) {
	w := hostileWorld(t)
	h := w.server.Handler()
	for name, body := range hostileBodies(w) {
		t.Run(name, func(t *testing.T) {
			least := uint64(1 << 40) // others allocate too
			for range 5 {
				var before, after runtime.MemStats
				r := body.request()
				runtime.ReadMemStats(&before)
				got := httptest.NewRecorder()
				h.ServeHTTP(got, r)
				runtime.ReadMemStats(&after)
				least = min(least, after.TotalAlloc-before.TotalAlloc)
				if !body.judged(got) {
					t.Fatalf("%d %s", got.Code, got.Body)
				}
			}
			if least >= 4<<20 {
				t.Errorf("%d bytes", least)
			}
		})
	}
}

// BenchmarkHostileBodies is what refusing each of them costs; the bound is 10 ms.
func BenchmarkHostileBodies(b *testing.B) {
	w := hostileWorld(b)
	h := w.server.Handler()
	for name, body := range hostileBodies(w) {
		b.Run(strings.ReplaceAll(name, " ", "-"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				got := httptest.NewRecorder()
				if h.ServeHTTP(got, body.request()); !body.judged(got) {
					b.Fatal(got.Body.String())
				}
			}
		})
	}
}

// hostileWorld is a world in which anybody may register, without limits that a few tries meet.
func hostileWorld(t testing.TB) *world {
	return newWorldOn(t, func(s store.Store) store.Store { return s }, func(c *server.Config) {
		c.RateFactor, c.Registration = 1e6, server.Registration{Open: true}
	})
}

// hostileBody is a request that is refused, for what stands in it.
type hostileBody struct {
	path, kind, body string
	proof            func() string
	refused          string
}

func (h hostileBody) request() *http.Request {
	r := httptest.NewRequest("POST", h.path, strings.NewReader(h.body))
	r.Header.Set("Content-Type", h.kind)
	if h.proof != nil {
		r.Header.Set("DPoP", h.proof())
	}
	return r
}

// judged reports whether the answer is the refusal of this body: one that is too large is not read.
func (h hostileBody) judged(got *httptest.ResponseRecorder) bool {
	if len(h.body) > oauth.MaxBody {
		return got.Code == http.StatusRequestEntityTooLarge
	}
	return got.Code == http.StatusBadRequest && (strings.Contains(got.Body.String(), h.refused) || strings.Contains(h.body, "%FF") || strings.Contains(h.body, "\xff"))
}

// hostileBodies are those of RX3 and RX5, as large as they may be and larger.
func hostileBodies(w *world) map[string]hostileBody {
	a := w.agent(w.client)
	a.post("/par", a.request()) // learns the nonce
	all := map[string]hostileBody{}
	entry := `{"type":"mcp_tool","locations":["` + ticketsURI + `"],"tool":"get_ticket"}`
	list := func(item string, n int) string { return strings.TrimSuffix(strings.Repeat(item+",", n), ",") }
	for name, text := range map[string]string{
		"100 000 deep": strings.Repeat("[", 100_000), "20 000 deep": strings.Repeat("[", 20_000), "20 000 deep, closed": strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000), "as deep in a limit": `[{"type":"mcp_tool","constraints":` + strings.Repeat(`{"not":`, 8_000),
		"1 000 000 members": "[{" + list(`"a":1`, 1_000_000) + "}]", "5 000 members": "[{" + list(`"a":1`, 5_000) + "}]", "members of other names": "[{" + manyMembers(3_000) + "}]", "1e400": `[{"type":"mcp_task","max_duration":1e400}]`,
		"a huge exponent": `[{"type":"mcp_task","max_duration":1e` + strings.Repeat("9", 50_000) + "}]", "a long number": `[{"type":"mcp_task","max_duration":` + strings.Repeat("9", 60_000) + "}]", "not UTF-8": "[\"" + strings.Repeat("\xff", 20_000) + "\"]",
		"lone surrogates": `["` + strings.Repeat(`\udfff`, 10_000) + `"]`, "1 MB": `["` + strings.Repeat("a", 1<<20) + `"]`, "10 000 entries": "[" + list(entry, 10_000) + "]", "800 entries": "[" + list(entry, 800) + "]", "10 000 tools": `[{"type":"mcp_tool","tool":[` + list(`"get_ticket"`, 10_000) + "]}]",
	} {
		form := a.request()
		form.Set("authorization_details", text)
		all["par "+name] = hostileBody{"/par", "application/x-www-form-urlencoded", form.Encode(), func() string { return a.proof("POST", "/par", "") }, "invalid_authorization_details"}
		metadata := `{"client_name":"x","redirect_uris":["https://a.example/cb"],"jwks":` + text + "}"
		all["register "+name] = hostileBody{"/register", "application/json", metadata, nil, "invalid_client_metadata"}
	}
	return all
}

func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"m%d":%d`, i, i)
	}
	return b.String()[1:]
}
