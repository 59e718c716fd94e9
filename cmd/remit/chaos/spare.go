package chaos

import (
	"os"
	"path/filepath"

	"github.com/remit-auth/remit/store/redis/redistest"
)

// spareRedis starts another Redis.
func (w *World) spareRedis() (*redistest.Server, error) {
	dir, err := w.subdir("redis2")
	if err != nil {
		return nil, err
	}
	s, err := redistest.Start(dir)
	if err != nil {
		return nil, err
	}
	w.later(func() { _ = s.Kill() })
	return s, nil
}

// subdir makes a directory of this name, or of one like it.
func (w *World) subdir(name string) (string, error) {
	return os.MkdirTemp(w.Dir, filepath.Base(name)+"-")
}
