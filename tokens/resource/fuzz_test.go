package resource

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/remit-auth/remit/tokens"
)

// FuzzMessage: what is accepted means the same to a decoder that folds case and lets the last
// duplicate win, before and after it is written again.
func FuzzMessage(f *testing.F) {
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search","arguments":{"a":1},"_meta":{"traceparent":"00-1"}}}`))
	f.Add([]byte(`{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"na\u006de":"search"}}`))
	f.Add([]byte(`{"jsonrpc":"2.0","method":"notifications/initialized"}`))
	f.Add([]byte(`[{"jsonrpc":"2.0","id":1,"method":"ping"}]`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := parseMessage(raw)
		if err != nil {
			return
		}
		type lax struct {
			Method string
			ID     json.RawMessage
			Params json.RawMessage
		}
		var got lax
		if err := json.Unmarshal(raw, &got); err != nil || got.Method != m.method {
			t.Fatalf("%s: the Guard reads %q, encoding/json %q, %v", raw, m.method, got.Method, err)
		}
		if m.method != methodCall {
			return
		}
		m.canonical = []byte(`{"checked":true}`)
		again := m.encode()
		var call struct {
			Method string
			Params struct {
				Name      string
				Arguments json.RawMessage
			}
		}
		if err := json.Unmarshal(again, &call); err != nil || call.Method != methodCall || call.Params.Name != m.tool || string(call.Params.Arguments) != string(m.canonical) {
			t.Fatalf("%s became %s: %+v, %v", raw, again, call, err)
		}
		if n, err := parseMessage(again); err != nil || n.tool != m.tool || !bytes.Equal(n.id, m.id) {
			t.Fatalf("%s became %s: %+v, %v", raw, again, n, err)
		}
	})
}

// FuzzSegment: any bytes in a spool file are read without a fault, up to the first that are no record.
func FuzzSegment(f *testing.F) {
	line := append([]byte(unsealed), `{"kind":"execution.decided","execution":"a","at":1}`...)
	seal(line)
	f.Add(append(line, '\n'))
	f.Add([]byte("00000000 {}\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		path := filepath.Join(t.TempDir(), "0000000000000001.records")
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		s := &segment{path: path, first: 1}
		var read [][]byte
		torn, err := s.scan(func(_ int64, record []byte) error {
			read = append(read, bytes.Clone(record))
			return nil
		})
		if err != nil || s.size > int64(len(raw)) || int(s.count) != len(read) || torn && s.size == int64(len(raw)) {
			t.Fatalf("%t torn, %d whole of %d bytes, %v", torn, s.size, len(raw), err)
		}
		again, behind, err := readRecords(path, 0, s.size, 0, 1<<30, 1<<30)
		if err != nil || behind != s.size || len(again) != len(read) {
			t.Fatalf("read %d records to %d, %v; scanned %d to %d", len(again), behind, err, len(read), s.size)
		}
	})
}

// FuzzCredentials: nothing but one token of a known scheme is taken from the header.
func FuzzCredentials(f *testing.F) {
	for _, h := range []string{"DPoP abc", "dpop  abc", "Bearer a,b", "DPoP a b", "Basic abc", "DPoP", ""} {
		f.Add(h)
	}
	f.Fuzz(func(t *testing.T, header string) {
		r, err := newTestRequest(header)
		if err != nil {
			return
		}
		raw, refusal := credentials(r)
		if refusal == nil && (strings.ContainsAny(raw, " ,\t") || !strings.HasSuffix(header, raw)) {
			t.Errorf("%q gave %q", header, raw)
		}
	})
}

func FuzzTraceparent(f *testing.F) {
	f.Add("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	f.Add("")
	form := regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)
	f.Fuzz(func(t *testing.T, s string) {
		if got := validTrace(s); got != "" && (got != s || !form.MatchString(s)) {
			t.Fatalf("%q is taken for %q", s, got)
		}
	})
}

func FuzzValues(f *testing.F) {
	f.Add([]byte(`{"a":"eyJhbGciOiJFUzI1NiJ9.x","b":[1]}`))
	g := &Guard{logArguments: map[string][]string{"t": {"a", "b"}}}
	f.Fuzz(func(t *testing.T, raw []byte) {
		canonical, err := tokens.Canonical(raw)
		if err != nil {
			return
		}
		if out := g.values("t", canonical); len(out) > 0 && (!json.Valid(out) || len(out) > valuesLimit+2) {
			t.Fatalf("%s is recorded as %s", canonical, out)
		}
	})
}
