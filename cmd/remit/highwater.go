package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/store"
)

// highWater keeps, beside the database, how far its ledger has come. A database that falls behind it
// was set back, and must not be served as if nothing had happened.
type highWater struct {
	path string
	log  *slog.Logger

	mu   sync.Mutex
	mark waterMark
}

// waterMark is the newest checkpoint that this instance has made or seen.
type waterMark struct {
	Epoch      int64  `json:"epoch"` // the microsecond in which it began
	Size       int64  `json:"size"`
	Head       string `json:"head"`
	Checkpoint string `json:"checkpoint"`
}

// newer reports whether m is of a later epoch, or of a longer ledger.
func (m waterMark) newer(than waterMark) bool {
	return m.Epoch > than.Epoch || m.Epoch == than.Epoch && m.Size > than.Size
}

func (c Config) highWater() string { return filepath.Join(c.DataDir, "highwater.json") }

// read takes the mark from its file; no file is no mark.
func (h *highWater) read() error {
	raw, err := os.ReadFile(h.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &h.mark)
	}
	if err != nil {
		return fmt.Errorf("%s, which says how far the ledger had come, cannot be read: %w", h.path, err)
	}
	return nil
}

// keep writes the mark when it is newer. What cannot be written is tried again at the next checkpoint.
func (h *highWater) keep(c store.Checkpoint, epoch int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	mark := waterMark{Epoch: epoch, Size: c.Size, Head: c.Head.String(), Checkpoint: c.Signed}
	if !mark.newer(h.mark) {
		return
	}
	raw, err := json.MarshalIndent(mark, "", "  ")
	if err == nil {
		tmp := h.path + ".new"
		if err = writeDurably(tmp, append(raw, '\n'), os.O_TRUNC); err == nil {
			err = os.Rename(tmp, h.path)
		}
	}
	if err != nil {
		h.log.Error("how far the ledger has come is not written down", "err", err)
		return
	}
	h.mark = mark
}

// check refuses a database that is behind the mark.
func (h *highWater) check(ctx context.Context, s *server.Server) error {
	why := ""
	var err error
	switch have := s.EpochBegan(); {
	case have > h.mark.Epoch:
		return nil
	case have < h.mark.Epoch:
		why = fmt.Sprintf("an epoch was raised on %s, and it does not know of that", time.UnixMicro(h.mark.Epoch).UTC().Format(time.RFC3339))
	default:
		if why, err = s.Contradicts(ctx, h.mark.Size, h.mark.Head); err != nil {
			return err
		}
	}
	if why == "" {
		return nil
	}
	return fmt.Errorf("the database is older than what this server has answered for: %s\n"+
		"If it was restored from a backup, run `remit epoch raise`: tasks that ended since then must not live again.\n"+
		"If it is another database on purpose, remove %s", why, h.path)
}
