package resource

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A segment is a file of records, one per line: the CRC-32C of the rest in eight hexadecimal
// digits, a space, the record as JSON. The file's name is the number of its first record; numbers
// have no gaps within it.
type segment struct {
	path  string
	first int64
	count int64
	size  int64 // bytes that are whole and durable
	open  int   // decisions in it whose outcome is not known yet
}

const segmentSuffix = ".records"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (s *segment) next() int64 { return s.first + s.count }

func segmentPath(dir string, first int64) string {
	return filepath.Join(dir, fmt.Sprintf("%016d%s", first, segmentSuffix))
}

// unsealed begins a line whose checksum is not known yet.
const unsealed = "00000000 "

// seal writes the checksum of a line, still without its line end, into its first eight bytes.
func seal(line []byte) {
	const hex = "0123456789abcdef"
	sum := crc32.Checksum(line[len(unsealed):], castagnoli)
	for i := range 8 {
		line[i] = hex[sum>>(28-4*i)&15]
	}
}

// parseLine returns the record of a whole line without its line end.
func parseLine(line []byte) (record []byte, ok bool) {
	head, record, ok := bytes.Cut(line, []byte(" "))
	if !ok || len(head) != 8 {
		return nil, false
	}
	sum, err := strconv.ParseUint(string(head), 16, 32)
	return record, err == nil && uint32(sum) == crc32.Checksum(record, castagnoli)
}

// findSegments lists the directory's segments, oldest first, unread.
func findSegments(dir string) ([]*segment, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var all []*segment
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), segmentSuffix)
		if !ok {
			continue
		}
		first, err := strconv.ParseInt(name, 10, 64)
		if err != nil || first < 1 {
			return nil, fmt.Errorf("resource: %s is no segment of the spool", e.Name())
		}
		all = append(all, &segment{path: filepath.Join(dir, e.Name()), first: first})
	}
	slices.SortFunc(all, func(a, b *segment) int { return int(a.first - b.first) })
	return all, nil
}

// scan reads the whole segment and gives each record to visit. It is torn when what is behind the
// last whole record is not just room.
func (s *segment) scan(visit func(number int64, record []byte) error) (torn bool, err error) {
	f, err := os.Open(s.path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	s.count, s.size = 0, 0
	r := bufio.NewReaderSize(f, 64<<10)
	for {
		line, err := r.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return false, err
		}
		record, ok := parseLine(bytes.TrimSuffix(line, []byte("\n")))
		if err != nil || !ok {
			return len(bytes.Trim(line, "\x00")) > 0, nil
		}
		if err := visit(s.next(), record); err != nil {
			return false, err
		}
		s.count++
		s.size += int64(len(line))
	}
}

// readRecords reads records of the segment file from byte offset on, skipping the first skip of
// them, at most most of them and limit bytes (but one at least). It returns the offset behind them.
func readRecords(path string, offset, end, skip int64, most, limit int) (records []json.RawMessage, behind int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	raw := make([]byte, end-offset)
	if skip == 0 { // without lines to skip, no more than this is wanted
		raw = raw[:min(end-offset, int64(limit)+segmentSize/4)]
	}
	if _, err := f.ReadAt(raw, offset); err != nil {
		return nil, 0, err
	}
	for len(records) < most && len(raw) > 0 {
		line, rest, whole := bytes.Cut(raw, []byte("\n"))
		if !whole && len(records) > 0 {
			break
		}
		record, ok := parseLine(line)
		if !ok || !whole {
			return nil, 0, fmt.Errorf("resource: %s is damaged at byte %d", path, offset)
		}
		if skip > 0 {
			skip--
		} else if limit -= len(record) + 1; limit < 0 && len(records) > 0 {
			break
		} else {
			records = append(records, record)
		}
		offset += int64(len(line)) + 1
		raw = rest
	}
	return records, offset, nil
}
