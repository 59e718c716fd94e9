package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// diskSize is what PostgreSQL's disk holds: its files, and what a run writes, many times over.
const diskSize = 384 << 20

// disk makes dir a disk of its own. It takes a privilege that not every container has; without it the
// files lie in the directory itself, which cannot be filled.
func disk(dir string) (mounted bool) {
	return syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", diskSize)) == nil
}

// onDisk makes dir a disk of its own where that is allowed, and takes it away with the world.
func (w *World) onDisk(dir string) {
	if disk(dir) {
		w.later(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	}
}

// ownDisk reports whether dir is such a disk: no other one may be filled.
func ownDisk(dir string) bool {
	var fs syscall.Statfs_t
	return syscall.Statfs(dir, &fs) == nil && int64(fs.Blocks)*int64(fs.Bsize) == diskSize
}

// fillPostgres fills the disk that PostgreSQL writes to, until nothing more fits. Who reads goes on;
// somebody who writes must be told to try again, and nothing that was acknowledged may be gone.
func fillPostgres(ctx context.Context, w *World, healed func()) error {
	if !ownDisk(filepath.Dir(w.Postgres.Dir)) {
		return errors.New("chaos: to fill a disk takes the right to mount one (CAP_SYS_ADMIN)")
	}
	// The write-ahead log begins a new segment, whose room is taken beforehand: what fails is what
	// grows, as on a disk that fills up slowly.
	if _, err := w.Postgres.SQL(ctx, "CHECKPOINT"); err != nil {
		return err
	}
	if _, err := w.Postgres.SQL(ctx, "SELECT pg_switch_wal()"); err != nil {
		return err
	}
	pause(ctx, lasting/5)
	from := time.Now()
	ballast := filepath.Join(filepath.Dir(w.Postgres.Dir), "ballast")
	if err := fill(ballast); err != nil {
		return err
	}
	pause(ctx, 2*lasting)
	err := os.Remove(ballast)
	healed()
	if refused := w.History.Unknowns(from, time.Now()); err == nil && refused == 0 {
		return errors.New("chaos: the disk was full and nobody was refused")
	}
	return err
}

// fill writes a file until the disk is full, or holds more than the disk that was meant.
func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	written := 0
	for size := 1 << 20; size > 0; {
		n, err := f.Write(make([]byte, size))
		written += n
		switch {
		case written > diskSize:
			return errors.Join(errors.New("chaos: this disk is larger than the one to fill"), os.Remove(path))
		case errors.Is(err, syscall.ENOSPC):
			size /= 2
		case err != nil:
			return err
		}
	}
	return nil
}
