package server_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/tokens"
)

// What a Guard signed is kept, and proves each execution of the ledger, disputed and odd ones too.
func TestSignedBatches(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	_, claims := w.lend()
	odd := but(decided(claims), map[string]any{"tool": strings.Repeat("x", 300), "trace": "<&>"})
	forged := but(decided(claims), map[string]any{"user": "usr_other"})
	if got := g.call("POST", "/executions", batch(1, decided(claims), odd, forged)); got.Status != http.StatusOK {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	kept := w.records("execution.batch")
	if len(kept) != 1 {
		t.Fatalf("%d signatures are kept", len(kept))
	}
	stream, first, digests, err := server.SignedBatch(kept[0], g.key.PublicJWK())
	if err != nil || stream != g.id+"/" || first != 1 || len(digests) != 3 {
		t.Fatalf("%q %d %v %v", stream, first, digests, err)
	}
	other, err := tokens.NewSigningKey()
	must(t, err)
	if _, _, _, err := server.SignedBatch(kept[0], other.PublicJWK()); err == nil {
		t.Error("another Guard's key proves it")
	}
	all := append(w.records("execution.decided"), w.records("execution.disputed")...)
	if len(all) != 3 {
		t.Fatalf("%d executions", len(all))
	}
	for _, rec := range all {
		where, n, digest, ok := server.Said(rec)
		if !ok || where != stream || digest != digests[n-1] {
			t.Errorf("record %d of %q is not proven", n, where)
		}
		var p map[string]any
		must(t, json.Unmarshal(rec.Payload, &p))
		p["decision"], p["reason"] = "refused", "scope"
		rec.Payload, err = json.Marshal(p)
		must(t, err)
		if _, n, digest, _ := server.Said(rec); digest == digests[n-1] {
			t.Errorf("record %d is proven though it was turned", n)
		}
	}
}

func TestBatchSignatureRefused(t *testing.T) {
	w := newWorld(t)
	w.addOther()
	g, other := w.guard(ticketsURI), w.guard(otherURI)
	_, claims := w.lend()
	one := decided(claims)
	for name, body := range map[string]func() map[string]any{
		"none": func() map[string]any {
			b := g.sign(batch(1, one))
			delete(b, "signature")
			b["signature"] = ""
			return b
		},
		"another Guard's": func() map[string]any { return other.sign(batch(1, one)) },
		"another number":  func() map[string]any { b := g.sign(batch(2, one)); b["first"] = 1; return b },
		"another replica": func() map[string]any { b := g.sign(batch(1, one)); b["replica"] = tokens.NewID("rpl_"); return b },
		"other records": func() map[string]any {
			b := g.sign(batch(1, one))
			b["records"] = []any{decided(claims)}
			return b
		},
		"one record more": func() map[string]any {
			b := g.sign(batch(1, one))
			b["records"] = append(b["records"].([]json.RawMessage), b["records"].([]json.RawMessage)[0])
			return b
		},
	} {
		if got := g.call("POST", "/executions", body()); got.Status != http.StatusBadRequest || got.error() != "invalid_request" {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
	if n := len(w.records("execution.decided")); n != 0 {
		t.Errorf("%d records are kept", n)
	}
	if got := g.call("POST", "/executions", batch(1, one)); got.Status != http.StatusOK {
		t.Errorf("the good batch: %d %s", got.Status, got.Body)
	}
}
