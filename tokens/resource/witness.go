package resource

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/remit-auth/remit/tokens"
)

// sighting is one line of the witness file: a checkpoint of the ledger that this Guard has seen.
// Whoever holds the file can prove that the ledger had this head, whatever the server says later.
type sighting struct {
	Size       int64  `json:"size"`
	Head       string `json:"head"`
	Checkpoint string `json:"checkpoint"`      // the signed statement
	Epoch      int64  `json:"epoch,omitempty"` // of the server's database: a restored one begins anew
}

// newer reports whether s is of a longer ledger, or of a later epoch.
func (s sighting) newer(than sighting) bool {
	return s.Epoch > than.Epoch || s.Epoch == than.Epoch && s.Size > than.Size
}

// loadWitness reads the newest checkpoint that was kept.
func (g *Guard) loadWitness() error {
	f, err := os.Open(filepath.Join(g.dir, witnessFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var s sighting
		if json.Unmarshal(bytes.TrimSpace(lines.Bytes()), &s) == nil && !g.seen.newer(s) {
			g.seen = s // a torn last line is no sighting
		}
	}
	return lines.Err()
}

// witness keeps a checkpoint when the ledger has grown. A ledger that shrank or changed its past
// is an alarm, and the older statement stays. Called by the feed's goroutine alone.
func (g *Guard) witness(raw string) {
	if raw == g.seen.Checkpoint {
		return
	}
	c, err := g.checkpoint(raw)
	if err != nil {
		g.log.Error("a checkpoint of the ledger does not verify", "error", err)
		return
	}
	_, epoch := g.ends.standing()
	if c.At.Unix() <= epoch {
		return // of the database as it was before it was restored
	}
	switch s := (sighting{c.Size, c.Head, raw, max(epoch, g.seen.Epoch)}); {
	case g.seen.newer(s), !s.newer(g.seen) && s.Head != g.seen.Head:
		g.log.Error("the ledger was rewritten", "kept", g.seen.Checkpoint, "now", raw)
	case s.newer(g.seen):
		if err := g.keep(s); err != nil {
			g.log.Error("a checkpoint could not be kept", "error", err)
			return
		}
		g.seen = s
	}
}

func (g *Guard) checkpoint(raw string) (c tokens.CheckpointClaims, err error) {
	set := g.keys.known.Load()
	if set == nil {
		return c, errNoKeys
	}
	killed, _ := g.ends.standing()
	if c, err = set.Without(killed...).VerifyCheckpoint(raw); err == nil && c.Issuer != g.issuer {
		err = tokens.ErrWrongIssuer
	}
	return c, err
}

// witnessed is the newest checkpoint that was kept; "" when there is none.
func (g *Guard) witnessed() string { return g.seen.Checkpoint }

func (g *Guard) keep(s sighting) error {
	line, err := json.Marshal(s)
	if err != nil {
		return err
	}
	line = append([]byte("\n"), line...) // a line torn by a crash must not swallow this one
	f, err := os.OpenFile(filepath.Join(g.dir, witnessFile), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Sync(), f.Close())
}
