package resource

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// lastingFile is, beside the segments, where decisions stand whose call still lasts when the rest of their
// segment has been sent: a call may last for hours, and much more than it be recorded meanwhile.
const lastingFile = "lasting"

// lasting is that file, in the form of a segment whose numbers say nothing.
type lasting struct {
	segment
	lines map[string][]byte // by execution
	stale bool              // the file has some that have ended since
}

// line is a record as a file holds it.
func line(record []byte) []byte {
	b := append([]byte(unsealed), record...)
	seal(b)
	return append(b, '\n')
}

// scanLasting is scan for the file, which is written whole or not at all.
func (s *spool) scanLasting(visit func(int64, []byte) error) error {
	s.lasting = lasting{segment: segment{path: filepath.Join(s.dir, lastingFile)}, lines: map[string][]byte{}}
	torn, err := s.lasting.scan(visit)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err == nil && torn:
		return errors.New("resource: " + s.lasting.path + " is damaged")
	}
	return err
}

// carry brings the decisions of calls that last from segments that will be removed into the file, and takes
// out those that have ended: what tells of their end may be in these segments. The shipper's alone.
func (s *spool) carry(gone []*segment) error {
	s.mu.Lock()
	from := map[*segment]segment{}
	if len(gone) > 0 {
		for _, seg := range s.open {
			if slices.Contains(gone, seg) {
				from[seg] = *seg
			}
		}
	}
	keep := len(from) == 0 && (!s.lasting.stale || len(gone) == 0 && len(s.lasting.lines) > 0)
	s.mu.Unlock()
	if keep {
		return nil
	}
	found := map[string][]byte{}
	for _, seg := range from {
		if _, err := seg.scan(func(_ int64, record []byte) error {
			id, err := openedBy(record)
			if id != "" {
				found[id] = line(record)
			}
			return err
		}); err != nil {
			return err
		}
	}
	err := s.lasting.write(s.takeOver(gone, found))
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.lasting.stale = true
	}
	return err
}

// write makes the file hold this; nothing: there is none.
func (l *lasting) write(file []byte) error {
	if len(file) > 0 {
		return writeFile(l.path, file)
	}
	if err := os.Remove(l.path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// takeOver notes the found decisions that are open still as the file's, and returns what it should hold.
func (s *spool) takeOver(gone []*segment, found map[string][]byte) (file []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, line := range found {
		if seg := s.open[id]; slices.Contains(gone, seg) {
			seg.open--
			s.open[id], s.lasting.lines[id] = &s.lasting.segment, line
		}
	}
	for _, id := range slices.Sorted(maps.Keys(s.lasting.lines)) {
		file = append(file, s.lasting.lines[id]...)
	}
	s.lasting.open, s.lasting.stale = len(s.lasting.lines), false
	return file
}
