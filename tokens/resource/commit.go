package resource

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

const (
	segmentSize  = 1 << 20               // bytes after which a new segment begins
	outcomeDelay = 20 * time.Millisecond // how long an outcome may wait for company
	longestWait  = 2 * time.Millisecond  // how long a decision may
)

// commit is a group of records that become durable together.
type commit struct {
	lines   []byte
	count   int64
	waiting int      // decisions among them, for which somebody waits
	opened  []string // executions whose decision is in it
	shut    []string // executions whose outcome is in it
	done    chan struct{}
	err     error
}

// write is the writer: the only one who touches the files' ends.
func (s *spool) write() {
	defer close(s.done)
	for range s.wake {
		s.await()
		s.mu.Lock()
		c, closed := s.gather, s.closed
		if s.gather = nil; c != nil && c.waiting > 0 {
			s.usual = max(c.waiting, s.usual-1)
		}
		s.mu.Unlock()
		if c != nil {
			c.err = s.commit(c)
			s.reuse(c)
			close(c.done)
			select {
			case s.fresh <- struct{}{}:
			default:
			}
		}
		if closed {
			break
		}
	}
	s.retire()
}

// reuse keeps the buffer of a group that was written, unless it is unusually large.
func (s *spool) reuse(c *commit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cap(c.lines) <= 256<<10 {
		s.spare = c.lines[:0]
	}
	c.lines = nil
}

// await gives calls that are being decided the chance to share the next fsync: as many as
// usually do, and not for long. A call that is alone does not wait.
func (s *spool) await() {
	if s.company() {
		return
	}
	s.patience.Reset(longestWait)
	for !s.company() {
		select {
		case <-s.wake:
		case <-s.patience.C:
			return
		}
	}
}

// company reports whether nobody is left to wait for.
func (s *spool) company() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed || s.gather == nil || s.gather.waiting == 0 || s.gather.waiting >= s.usual
}

// commit makes the group durable, or leaves no trace of it.
func (s *spool) commit(c *commit) error {
	seg, err := s.target()
	if err == nil {
		if _, err = s.file.WriteAt(c.lines, seg.size); err == nil {
			err = s.file.Sync()
		}
		if err != nil { // the kernel may have dropped the pages: start over behind what is known to be good
			s.file.Close()
			s.file = nil
		}
	}
	if err != nil {
		s.log.Error("execution records could not be written", "error", err, "records", c.count)
		return fmt.Errorf("%w: %w", errSpool, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	seg.count += c.count
	seg.size += int64(len(c.lines))
	s.size += int64(len(c.lines))
	for _, id := range c.opened {
		s.open[id] = seg
		seg.open++
	}
	for _, id := range c.shut {
		s.shut(id)
	}
	return nil
}

// target returns the segment to write to, with its file open. A new one begins when the last is
// full, and where it is not known what a failed write left behind.
func (s *spool) target() (*segment, error) {
	s.mu.Lock()
	var last *segment
	if n := len(s.segments); n > 0 {
		last = s.segments[n-1]
	}
	s.mu.Unlock()
	switch {
	case last == nil:
		return s.begin(&segment{first: 1})
	case s.file != nil && last.size < segmentSize:
		return last, nil
	}
	if err := s.retire(); err != nil {
		return nil, err
	}
	if last.count == 0 {
		return s.begin(last)
	}
	return s.begin(&segment{first: last.next()})
}

// retire closes the last segment and cuts off what is not known to be good.
func (s *spool) retire() error {
	if s.file != nil {
		s.file.Close()
		s.file = nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.segments); n > 0 {
		return os.Truncate(s.segments[n-1].path, s.segments[n-1].size)
	}
	return nil
}

// begin opens a segment without records, which may be one that is known already.
func (s *spool) begin(seg *segment) (*segment, error) {
	known := seg.path != ""
	seg.path = segmentPath(s.dir, seg.first)
	file, err := s.create(seg.path)
	if err != nil {
		return nil, err
	}
	if err := syncDir(s.dir); err != nil {
		file.Close()
		return nil, err
	}
	s.file = file
	s.mu.Lock()
	defer s.mu.Unlock()
	if !known {
		s.segments, s.arrived = append(s.segments, seg), 0
	}
	return seg, nil
}

// spoolFile is what the writer needs of a file.
type spoolFile interface {
	io.WriterAt
	io.Closer
	Sync() error
}

// segmentFile is a file with room for a whole segment. To overwrite room costs a disk much less than
// to make a file longer: nothing but the data has to be brought to it.
type segmentFile struct{ *os.File }

// Sync brings the data to the disk.
func (f segmentFile) Sync() error { return datasync(f.File) }

func createSegment(path string) (spoolFile, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	room := make([]byte, 64<<10)
	for size := 0; size < segmentSize+segmentSize/4 && err == nil; size += len(room) {
		_, err = f.Write(room)
	}
	if err := errors.Join(err, f.Sync()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return segmentFile{f}, nil
}
