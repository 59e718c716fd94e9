package resource

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/remit-auth/remit/tokens"
)

// liveToken is a verified token as a Guard keeps it, of two tools with limits.
func liveToken(t testing.TB, keys tokens.KeySet, raw string, now time.Time) *bearer {
	t.Helper()
	b := &bearer{}
	var err error
	if b.Claims, err = keys.VerifyAccessToken(raw, tokens.AccessWant{Issuer: "https://id.example", Audience: "https://tickets.example/mcp", Now: now}); err != nil {
		t.Fatal(err)
	}
	b.granted = newGranted(b.Details.For("https://tickets.example/mcp"))
	b.Details = tokens.Details{}
	return b
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// 10⁵ live tokens are remembered at a few KiB each; expired ones leave, and too many are forgotten.
func TestTokenMemory(t *testing.T) {
	key, err := tokens.NewSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	keys, start := tokens.NewKeySet(key), time.Unix(1e9, 0)
	raw, err := key.SignAccessToken(tokens.Claims{
		Issuer: "https://id.example", Subject: tokens.NewID("usr_"), Audience: "https://tickets.example/mcp", ClientID: tokens.NewID("cli_"),
		ID: tokens.NewID("at_"), IssuedAt: start, Expires: start.Add(5 * time.Minute), Scope: []string{"tickets.read", "tickets.write"},
		Roles: []string{"agent"}, JKT: tokens.S256("key"), Task: tokens.TaskClaim{ID: tokens.NewID("tsk_"), Ends: start.Add(time.Hour)},
		Details: tokens.Details{Task: &tokens.TaskDetail{Purpose: "Triage this week's bugs"}, Tools: []tokens.ToolDetail{
			{Locations: []string{"https://tickets.example/mcp"}, Tool: "search_tickets", Definition: tokens.HashBytes(nil)},
			{Locations: []string{"https://tickets.example/mcp"}, Tool: "add_comment", MaxCalls: 20, Definition: tokens.HashBytes(nil)},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	const live, verified = 100_000, 5_000 // each token was verified, which takes its time
	var m recent
	before := heap()
	for i := range verified {
		m.put(sha256.Sum256(binary.AppendVarint(nil, int64(i))), liveToken(t, keys, raw, start), start)
	}
	each := float64(heap()-before) / verified
	t.Logf("%.0f bytes for each live token", each)
	if m.size() != verified || each > 4096 {
		t.Errorf("%d tokens of %.0f bytes each", m.size(), each)
	}
	for i := range 2 * live { // a steady stream: half a minute between one token and the next of its hundred
		now := start.Add(5*time.Minute + time.Duration(i)*3*time.Millisecond)
		b := &bearer{}
		b.Expires = now.Add(5 * time.Minute)
		m.put(sha256.Sum256(fmt.Append(nil, "later", i)), b, now)
	}
	if n := m.size(); n > live*11/10 { // 300 s of one each 3 ms live, and what was not yet swept
		t.Errorf("%d are remembered though %d live", n, live)
	}
	small := recent{limit: 16}
	for i := range live {
		small.put(sha256.Sum256(binary.AppendVarint(nil, int64(i))), &bearer{}, start)
	}
	if n := small.size(); n > 16*tokenShards {
		t.Errorf("%d are remembered, of at most %d", n, 16*tokenShards)
	}
	runtime.KeepAlive(&m)
}

// What has ended leaves the view when no living token can be of it.
func TestViewMemory(t *testing.T) {
	now := time.Unix(1e9, 0)
	v := newView(func() time.Time { return now }, 10*time.Second)
	for i := range 50_000 {
		v.apply(eventEnded, event{Task: fmt.Sprint("tsk_", i), State: "completed"})
		v.apply(eventRevoked, event{JTI: fmt.Sprint("at_", i)})
		v.apply(eventSuspended, event{Task: fmt.Sprint("tsk_s", i)})
	}
	if len(v.tasks) != 100_000 || len(v.tokens) != 50_000 {
		t.Fatalf("%d tasks, %d tokens", len(v.tasks), len(v.tokens))
	}
	now = now.Add(remembered + time.Second)
	v.forget()
	if len(v.tasks)+len(v.tokens) != 0 {
		t.Errorf("%d tasks and %d tokens are left", len(v.tasks), len(v.tokens))
	}
}

// RX11: a flood of unique proofs takes no more than the limit, and what it makes the memory forget is
// refused by its nonce.
func TestProofFlood(t *testing.T) {
	m := newReplay()
	m.limit = 50_000
	now := time.Unix(1e9, 0)
	before := heap()
	nonce, first := m.issue(t.Context(), now), ""
	for i := range 200_000 {
		key := fmt.Sprintf("%043d", i)
		if i == m.limit {
			t.Logf("%d bytes for each of at most %d proofs", (heap()-before)/uint64(m.limit), m.limit)
		}
		if code := m.use(t.Context(), nonce, key, now); code == UseNonce {
			if first != "" && m.use(t.Context(), nonce, first, now) != UseNonce {
				t.Fatal("a forgotten proof is good again")
			}
			nonce, first = m.issue(t.Context(), now), key
		}
		now = now.Add(time.Millisecond)
	}
	if len(m.young)+len(m.old) > 2*m.limit {
		t.Errorf("%d are remembered", len(m.young)+len(m.old))
	}
}
