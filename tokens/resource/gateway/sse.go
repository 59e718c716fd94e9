package gateway

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"iter"
	"regexp"
)

var errLong = errors.New("gateway: the server's message is too long")

// event is one server-sent event, or a comment that keeps the connection busy.
type event struct {
	data    []byte
	id      string // by which a client resumes after it; "": none
	retry   string // how many milliseconds a client waits before it does
	comment bool
}

// What an event's id and its waiting time look like; others are left out.
var (
	eventID = regexp.MustCompile(`^[ -~]{1,512}$`)
	waiting = regexp.MustCompile(`^\d{1,7}$`)
)

// events reads server-sent events, as they come. One that the end of the stream cuts off is none.
// The data is good until the next one is read.
func events(r io.Reader) iter.Seq2[event, error] {
	return func(yield func(event, error) bool) {
		lines := bufio.NewScanner(r)
		lines.Buffer(make([]byte, 0, 4096), maxMessage)
		var e event
		for lines.Scan() {
			line := lines.Bytes()
			field, value, _ := bytes.Cut(line, []byte(":"))
			value = bytes.TrimPrefix(value, []byte(" "))
			switch {
			case len(line) == 0:
				if (len(e.data) > 0 || e.id != "" || e.comment) && !yield(e, nil) {
					return
				}
				e = event{data: e.data[:0]}
			case len(field) == 0:
				e.comment = true
			case string(field) == "id" && eventID.Match(value):
				e.id = string(value)
			case string(field) == "retry" && waiting.Match(value):
				e.retry = string(value)
			case string(field) == "data":
				if len(e.data) > 0 {
					e.data = append(e.data, '\n')
				}
				if e.data = append(e.data, value...); len(e.data) > maxMessage {
					yield(event{}, errLong)
					return
				}
			}
		}
		if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
			yield(event{}, errLong)
		} else if err != nil {
			yield(event{}, err)
		}
	}
}

// readAll reads a whole answer of bounded length.
func readAll(r io.Reader) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxMessage+1))
	if err == nil && len(raw) > maxMessage {
		err = errLong
	}
	return raw, err
}
