package resource

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/remit-auth/remit/tokens"
)

// A record that the authorization server refuses for what it says would hold up all records behind it for
// ever. It is set aside: a file in the state directory keeps it, and a stand-in takes its number, which
// tells that there was one, what its digest is and why it was refused. The server has a finding of it, so
// that nothing can be hidden in this way. Refusals for who sends, for when and for how much
// are none of a record's fault, and are waited out.
//
// Should the server refuse the stand-in too, it was not the record's fault after all, and nothing has changed.
const (
	quarantineDir   = "quarantine"
	quarantineFiles = 1000     // more than that, and somebody must look: records wait, and with them calls
	quarantineBytes = 16 << 20 // of all of them
	contentTries    = 4        // refusals in a row before a record is set aside
	asideBurst      = 10       // records set aside at once; then one a minute
)

var errQuarantine = errors.New("resource: no more records are set aside")

// quarantine is the directory of records that were set aside. The shipper's alone.
type quarantine struct {
	dir   string
	files int
	bytes int64
	left  float64
	at    time.Time
}

// openQuarantine counts what an earlier process set aside.
func openQuarantine(dir string) (*quarantine, error) {
	q := &quarantine{dir: dir, left: asideBurst}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		if strings.HasSuffix(e.Name(), ".json") {
			q.files++
			q.bytes += info.Size()
		}
	}
	return q, nil
}

// keep makes the record durable and returns the digest of the file that it is in. The file has something random in it,
// so that nobody learns by trial from the digest what an argument was.
func (q *quarantine) keep(number int64, record []byte, now time.Time) (path, digest string, err error) {
	name := fmt.Sprintf("%016d-%s.json", number, strings.TrimPrefix(tokens.HashBytes(record), "sha-256:"))
	path = filepath.Join(q.dir, name)
	if raw, err := os.ReadFile(path); err == nil { // it was set aside before, and is sent again
		return path, tokens.HashBytes(raw), nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return path, "", err
	}
	raw := fmt.Appendf(nil, `{"number":%d,"random":%q,"record":%s}`, number, rand.Text(), record)
	if err := q.room(int64(len(raw)), now); err != nil {
		return path, "", err
	}
	if err := os.MkdirAll(q.dir, 0o700); err != nil {
		return path, "", err
	}
	if err := writeFile(path, raw); err != nil {
		return path, "", err
	}
	q.files++
	q.bytes += int64(len(raw))
	return path, tokens.HashBytes(raw), nil
}

// room refuses more than a person would want to look at. Who has looked moves files elsewhere.
func (q *quarantine) room(size int64, now time.Time) error {
	if q.files >= quarantineFiles || q.bytes+size > quarantineBytes {
		there, err := openQuarantine(q.dir)
		if err != nil {
			return err
		}
		q.files, q.bytes = there.files, there.bytes
	}
	if q.files >= quarantineFiles || q.bytes+size > quarantineBytes {
		return fmt.Errorf("%w: %d are in %s; find out why, and move them elsewhere", errQuarantine, q.files, q.dir)
	}
	q.left = min(asideBurst, q.left+max(0, now.Sub(q.at).Minutes()))
	if q.at = now; q.left < 1 {
		return fmt.Errorf("%w: too many in a short time", errQuarantine)
	}
	q.left--
	return nil
}

// ofContent reports whether the authorization server refused what was said, and not who said it, when, or how much.
func (e *answerError) ofContent() bool {
	switch e.Status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return e.Code == "invalid_request" // in our words, not in those of something in between
	}
	return false
}

// standIn is what is sent in the place of a record that was set aside.
type standIn struct {
	Kind       string `json:"kind"`
	Execution  string `json:"execution,omitempty"`
	At         int64  `json:"at"`
	Task       string `json:"task,omitempty"`
	JTI        string `json:"jti,omitempty"`
	Of         string `json:"of"`         // the record's kind
	Unrecorded string `json:"unrecorded"` // digest of the file that keeps it
	Size       int    `json:"size"`       // the record's
	Reason     string `json:"reason"`     // the authorization server's
}

// setAside keeps the record and sends its stand-in; next is the number that is expected then. Right before,
// the server takes a batch of nothing and refuses the record once more: what it refuses is
// not whoever sends, nor everything.
func (g *Guard) setAside(ctx context.Context, number int64, record []byte) (next int64, err error) {
	if next, err = g.shipBatch(ctx, number, nil); err != nil || next > number { // it has this number, from before a restart
		return next, err
	}
	var answer *answerError
	if next, err = g.shipBatch(ctx, number, []json.RawMessage{record}); !errors.As(err, &answer) || !answer.ofContent() {
		return next, err
	}
	reason := answer.Text
	path, digest, err := g.quarantine.keep(number, record, g.now())
	if err != nil {
		return number, err
	}
	var e execution
	if err := json.Unmarshal(record, &e); err != nil { // it was read when it was written, and at the start
		return number, err
	}
	full := standIn{
		Kind: kindUnrecorded, Execution: e.Execution, At: g.now().UnixMicro(), Task: e.Task, JTI: e.JTI,
		Of: e.Kind, Unrecorded: digest, Size: len(record), Reason: cut(reason, 256),
	}
	bare := full
	bare.Task, bare.JTI = "", "" // they may be what is wrong
	for _, s := range []standIn{full, bare} {
		var raw []byte
		if raw, err = json.Marshal(s); err != nil {
			return number, err
		}
		if next, err = g.shipBatch(ctx, number, []json.RawMessage{raw}); err == nil {
			break
		}
		if !errors.As(err, &answer) || !answer.ofContent() {
			return number, err
		}
	}
	if err != nil {
		return number, err
	}
	g.unrecorded.Add(1)
	g.log.Error("UNRECORDED: the authorization server does not take a record; the ledger says that it is missing, and a file keeps it",
		"number", number, "execution", e.Execution, "task", e.Task, "reason", reason, "file", path, "digest", digest)
	return next, nil
}

// SetAside is how many records the authorization server has refused for what they say since the start. Each
// is a file in the directory quarantine of the state directory, and a finding in the ledger. It should be 0.
func (g *Guard) SetAside() int64 { return g.unrecorded.Load() }
