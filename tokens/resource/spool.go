package resource

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"
)

// errSpool is what callers learn when a record cannot be made durable.
var errSpool = errors.New("resource: the record cannot be written")

// spool keeps execution records on disk until the authorization server has them. Records get their
// numbers, gapless from 1, when they are written; all that arrive during one fsync share the next.
type spool struct {
	dir string
	max int64
	log *slog.Logger
	// create opens a new segment file; tests make it fail.
	create func(path string) (spoolFile, error)

	mu       sync.Mutex
	segments []*segment // oldest first; the last one is written to
	open     map[string]*segment
	lasting  lasting // what is open of segments that are gone
	size     int64   // bytes in all segments
	arrived  int64   // of these, in the segment that is written to, those that have been sent
	gather   *commit // what the next fsync will make durable
	spare    []byte  // an empty buffer for the one after it
	shipped  int64   // records below this number are at the authorization server
	conflict bool    // the authorization server has records that this spool never wrote
	usual    int     // how many decisions shared the last fsync
	closed   bool
	starting bool // nothing new comes yet: what an earlier process began is finished, however much waits

	wake     chan struct{} // to the writer
	fresh    chan struct{} // to the shipper: there is something new
	done     chan struct{} // the writer has stopped
	patience *time.Timer   // the writer's

	file spoolFile // the last segment; the writer's alone; nil at the start and after an error
}

// openSpool reads what an earlier process left and finishes, as unknown, what that one began.
func openSpool(dir string, limit int64, now func() int64, log *slog.Logger) (*spool, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	s := &spool{
		dir: dir, max: limit, log: log, create: createSegment, open: map[string]*segment{}, shipped: 1,
		wake: make(chan struct{}, 1), fresh: make(chan struct{}, 1), done: make(chan struct{}),
		patience: time.NewTimer(time.Hour), starting: true,
	}
	unfinished, err := s.load()
	if err != nil {
		return nil, err
	}
	go s.write()
	if err := s.finish(unfinished, now()); err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.mu.Lock()
	s.starting = false
	s.mu.Unlock()
	return s, nil
}

// finish records that nobody knows how these executions ended.
func (s *spool) finish(unfinished []execution, now int64) error {
	var last *commit
	for _, e := range unfinished {
		e.Kind, e.Outcome, e.At = kindFinished, outcomeUnknown, now
		c, err := s.add(&e, true)
		if err != nil {
			return err
		}
		last = c
	}
	if last == nil {
		return nil
	}
	<-last.done // the groups before it are durable too
	return last.err
}

// waiting is how many bytes have not been sent, as far as that is known without reading. Callers hold mu.
func (s *spool) waiting() int64 { return s.size - s.arrived }

// load reads the segments. What is no record can only be room that was never used, or, in the last
// segment, a write that a crash tore: nobody was answered on its strength, so it is passed over.
func (s *spool) load() (unfinished []execution, err error) {
	if s.segments, err = findSegments(s.dir); err != nil {
		return nil, err
	}
	decided := map[string]execution{}
	var order []string
	visit := func(seg *segment) func(int64, []byte) error {
		return func(_ int64, record []byte) error {
			var e execution
			if err := json.Unmarshal(record, &e); err != nil {
				return fmt.Errorf("resource: %s: %w", seg.path, err)
			}
			_, again := decided[e.Execution] // a crash came before its segment was removed
			switch {
			case e.Kind == kindDecided && e.Decision == allowed && !again:
				decided[e.Execution] = e
				order = append(order, e.Execution)
				s.open[e.Execution] = seg
				if seg.open++; seg == &s.lasting.segment {
					s.lasting.lines[e.Execution] = line(record)
				}
			case e.Kind == kindFinished:
				s.shut(e.Execution)
				delete(decided, e.Execution)
			}
			return nil
		}
	}
	if err := s.scanLasting(visit(&s.lasting.segment)); err != nil {
		return nil, err
	}
	for i, seg := range s.segments {
		torn, err := seg.scan(visit(seg))
		if err != nil {
			return nil, err
		}
		if torn && i < len(s.segments)-1 {
			return nil, fmt.Errorf("resource: %s is damaged after %d records", seg.path, seg.count)
		} else if torn {
			s.log.Warn("an unfinished write is passed over", "file", seg.path, "records", seg.count)
		}
		if i > 0 && s.segments[i-1].next() > seg.first {
			return nil, fmt.Errorf("resource: %s overlaps the segment before it", seg.path)
		}
		s.size += seg.size
	}
	if len(s.segments) > 0 {
		s.shipped = s.segments[0].first
	}
	for _, id := range order {
		if e, ok := decided[id]; ok {
			unfinished = append(unfinished, execution{Execution: id, Task: e.Task, JTI: e.JTI, Client: e.Client, User: e.User, JKT: e.JKT, Tool: e.Tool})
		}
	}
	return unfinished, nil
}

// shut forgets that the execution is open. Callers hold mu, or nobody else is there yet.
func (s *spool) shut(id string) {
	if seg := s.open[id]; seg != nil {
		seg.open--
		delete(s.open, id)
		if seg == &s.lasting.segment {
			delete(s.lasting.lines, id)
			s.lasting.stale = true
		}
	}
}

// add queues a record for the next fsync. Outcomes (closing true) may use a reserve, so that what
// was begun can always be finished.
func (s *spool) add(e *execution, closing bool) (*commit, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	limit, waiting := s.max, s.waiting()
	if closing {
		limit += limit / 4
	}
	switch {
	case s.closed:
		return nil, fmt.Errorf("%w: the Guard is closed", errSpool)
	case s.conflict:
		return nil, fmt.Errorf("%w: the authorization server has newer records of this Guard; its state directory was put back", errSpool)
	case s.starting:
	case s.gather != nil && waiting+int64(len(s.gather.lines)) > limit, waiting > limit:
		return nil, fmt.Errorf("%w: %d bytes wait to be sent", errSpool, waiting)
	}
	if s.gather == nil {
		s.gather = &commit{lines: s.spare, done: make(chan struct{})}
		s.spare = nil
	}
	c := s.gather
	start := len(c.lines)
	c.lines = e.append(append(c.lines, unsealed...))
	seal(c.lines[start:])
	c.lines = append(c.lines, '\n')
	c.count++
	switch {
	case e.Kind == kindFinished:
		c.shut = append(c.shut, e.Execution)
	case e.Decision == allowed:
		c.opened = append(c.opened, e.Execution)
	}
	if closing {
		if c.count == 1 { // nobody waits for it: the next decision may take it along
			time.AfterFunc(outcomeDelay, s.poke)
		}
		return c, nil
	}
	if c.waiting++; c.waiting == 1 || c.waiting == s.usual {
		s.poke()
	}
	return c, nil
}

// poke wakes the writer.
func (s *spool) poke() {
	select {
	case s.wake <- struct{}{}:
	default: // it is awake, and will look again
	}
}

// close writes what is queued and stops the writer.
func (s *spool) close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.poke()
	<-s.done
	return nil
}

// cursor remembers where in which file the next record to ship begins.
type cursor struct {
	path   string
	number int64
	offset int64
}

// read returns up to most records from the given number on, or from the first one behind it that
// there is. No records: everything durable was read.
func (s *spool) read(from int64, most, limit int, at *cursor) (first int64, records []json.RawMessage, err error) {
	s.mu.Lock()
	var seg segment
	for _, one := range s.segments {
		if one.next() > from && one.count > 0 {
			seg = *one
			break
		}
	}
	s.mu.Unlock()
	if seg.count == 0 {
		return from, nil, nil
	}
	first = max(from, seg.first)
	if at.path != seg.path || at.number > first {
		*at = cursor{seg.path, seg.first, 0}
	}
	records, behind, err := readRecords(seg.path, at.offset, seg.size, first-at.number, most, limit)
	if err != nil {
		return 0, nil, err
	}
	*at = cursor{seg.path, first + int64(len(records)), behind}
	return first, records, nil
}

// ship notes that everything below next has arrived and deletes the segments that nobody needs: wholly
// shipped and not written to.
func (s *spool) ship(next int64) {
	gone := s.sent(next)
	if err := s.carry(gone); err != nil {
		s.log.Warn("what is open in sent segments could not be kept elsewhere", "error", err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seg := range gone {
		if err := os.Remove(seg.path); err != nil {
			s.log.Warn("a sent segment could not be removed", "error", err)
			return
		}
		s.size -= seg.size
		s.segments = s.segments[1:]
	}
}

// sent returns the segments, oldest first, that hold nothing but what has arrived.
func (s *spool) sent(next int64) []*segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(s.segments) - 1
	if next > s.segments[last].next() {
		s.conflict = true
		return nil
	}
	s.shipped = max(s.shipped, next)
	if next == s.segments[last].next() {
		s.arrived = s.segments[last].size
	}
	n := 0
	for n < last && s.segments[n].next() <= s.shipped {
		n++
	}
	return slices.Clone(s.segments[:n])
}
