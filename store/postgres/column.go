package postgres

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/remit-auth/remit/store"
)

// How Go values stand in columns: a time as microseconds with 0 for the zero time, a hash as its
// bytes with NULL for the zero hash, lists and structures as JSON.

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// timeColumn scans microseconds.
type timeColumn time.Time

func at(t *time.Time) sql.Scanner { return (*timeColumn)(t) }

func (t *timeColumn) Scan(v any) error {
	us, ok := v.(int64)
	if !ok {
		return fmt.Errorf("time is %T", v)
	}
	*t = timeColumn(fromMicros(us))
	return nil
}

func hashValue(h store.Hash) any {
	if h.IsZero() {
		return nil
	}
	return h[:]
}

// hashColumn scans a hash or NULL.
type hashColumn store.Hash

func hash(h *store.Hash) sql.Scanner { return (*hashColumn)(h) }

func (h *hashColumn) Scan(v any) error {
	*h = hashColumn{}
	if v == nil {
		return nil
	}
	b, ok := v.([]byte)
	if !ok || len(b) != len(h) {
		return fmt.Errorf("hash is %T of %d bytes", v, len(b))
	}
	copy(h[:], b)
	return nil
}

// jsonColumn scans JSON text into what v points to.
type jsonColumn struct{ v any }

func (j jsonColumn) Scan(v any) error {
	switch v := v.(type) {
	case string:
		return json.Unmarshal([]byte(decodeText(v)), j.v)
	case []byte:
		return json.Unmarshal(v, j.v)
	}
	return fmt.Errorf("JSON is %T", v)
}

// words is a list of strings as JSON text, never null.
func words(list []string) string {
	if len(list) == 0 {
		return "[]"
	}
	return toJSON(list)
}

func toJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("postgres: " + err.Error()) // the store's own structures always encode
	}
	return string(b)
}

// bytes is b as a value for a NOT NULL column.
func bytes(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// orNow is t, or now when t was left zero.
func orNow(t, now time.Time) time.Time {
	if t.IsZero() {
		return now
	}
	return t
}
