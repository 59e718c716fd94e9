package resource_test

import (
	"bytes"
	"log/slog"
	"sync"
)

var logLock sync.Mutex

// logTo logs into b, under logLock.
func logTo(b *bytes.Buffer) *slog.Logger { return slog.New(slog.NewTextHandler(&locked{b}, nil)) }

type locked struct{ b *bytes.Buffer }

func (l *locked) Write(p []byte) (int, error) {
	logLock.Lock()
	defer logLock.Unlock()
	return l.b.Write(p)
}

func (w *world) logged(b *bytes.Buffer) string {
	logLock.Lock()
	defer logLock.Unlock()
	return b.String()
}
