package main_test

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/cmd/remit/demo"
	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource"
	"github.com/remit-auth/remit/tokens/resource/mcpauth"
)

// TestUnrecorded: a real server refuses one of a real Guard's records. What is behind it arrives, the ledger
// verifies and says that one is missing, and the Guard keeps it.
func TestUnrecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	uri := "http://" + freeAddress(t) + "/mcp"
	server, policy := demo.NewTickets()
	tools, err := mcpauth.Tools(server)(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	file, err := json.Marshal(map[string]any{"uri": uri, "name": "Edge", "policy": string(policy), "tools": tools})
	if err != nil {
		t.Fatal(err)
	}
	var out struct {
		Code string `json:"enrolment_code"`
	}
	w.remit(t, &out, string(file), "resource", "add", "-")

	state := filepath.Join(shortDir(t), "guard")
	if err := os.MkdirAll(filepath.Join(state, "spool"), 0o700); err != nil {
		t.Fatal(err)
	}
	odd := strings.Repeat(`{"name":"x","ok":true},`, 40) + `{"name":"x","ok":true}` // more checks than a Guard makes
	var segment []byte
	for _, checks := range []string{"", odd, ""} {
		record := fmt.Sprintf(`{"kind":"execution.decided","execution":%q,"at":%d,"tool":"search_tickets","decision":"refused","reason":"bad_token","checks":[%s]}`, tokens.NewID("exe_"), time.Now().UnixMicro(), checks)
		segment = fmt.Appendf(segment, "%08x %s\n", crc32.Checksum([]byte(record), crc32.MakeTable(crc32.Castagnoli)), record)
	}
	if err := os.WriteFile(filepath.Join(state, "spool", fmt.Sprintf("%016d.records", 1)), segment, 0o600); err != nil {
		t.Fatal(err)
	}
	guard, err := resource.New(t.Context(), resource.Config{
		Issuer: w.issuer, Resource: uri, StateDir: state, EnrolmentCode: out.Code, Policy: policy, Name: "Edge", InsecureHTTP: true, Tools: mcpauth.Tools(server),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { guard.Close() })
	var found struct {
		Findings []struct {
			Kind    string
			Payload struct {
				Unrecorded, Reason, Kind string
				N                        int64
			}
		}
	}
	eventually(t, 30*time.Second, "the finding", func() bool {
		w.remit(t, &found, "", "finding", "list")
		return len(found.Findings) > 0
	})
	kept, err := filepath.Glob(filepath.Join(state, "quarantine", "*.json"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept %v, %v", kept, err)
	}
	raw, err := os.ReadFile(kept[0])
	if err != nil {
		t.Fatal(err)
	}
	f := found.Findings[0]
	if f.Kind != "finding.execution_unrecorded" || f.Payload.Unrecorded != tokens.HashBytes(raw) || !strings.Contains(f.Payload.Reason, "32 checks") || f.Payload.N != 2 || !strings.Contains(string(raw), odd) {
		t.Errorf("found %+v, kept %s", found, raw)
	}
	var verified struct {
		OK       bool
		Problems []any
	}
	eventually(t, 30*time.Second, "the ledger verifies", func() bool {
		w.remit(t, &verified, "", "audit", "verify")
		return verified.OK
	})
	if len(verified.Problems) > 0 || guard.SetAside() != 1 {
		t.Errorf("%+v, %d set aside", verified, guard.SetAside())
	}
}
