package gateway

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"iter"
)

var errLong = errors.New("gateway: the server's message is too long")

// events reads the data of server-sent events, as they come. An event that the end of the stream
// cuts off is none.
func events(r io.Reader) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		lines := bufio.NewScanner(r)
		lines.Buffer(make([]byte, 0, 4096), maxMessage)
		var data []byte
		for lines.Scan() {
			line := lines.Bytes()
			field, value, _ := bytes.Cut(line, []byte(":"))
			switch {
			case len(line) == 0:
				if len(data) > 0 && !yield(data, nil) {
					return
				}
				data = data[:0]
			case string(field) == "data":
				if len(data) > 0 {
					data = append(data, '\n')
				}
				if data = append(data, bytes.TrimPrefix(value, []byte(" "))...); len(data) > maxMessage {
					yield(nil, errLong)
					return
				}
			}
		}
		if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
			yield(nil, errLong)
		} else if err != nil {
			yield(nil, err)
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
