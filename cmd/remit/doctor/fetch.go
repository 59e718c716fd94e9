package doctor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// maxDocument bounds what is read of an answer.
const maxDocument = 1 << 20

// date is what a server says that the time is.
type date struct {
	host string
	skew time.Duration // of its clock against ours; what the answer took on the way is left out
}

// do sends a request and reads the answer.
func (e *exam) do(method, address, body string) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(e.ctx, method, address, strings.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Accept", "application/json, text/event-stream")
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	sent := e.now()
	res, err := e.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	e.heard(res, sent, e.now())
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxDocument))
	return res, raw, err
}

// heard notes the answer's Date (RFC 9110 §6.6.1), which is some second between sent and received.
func (e *exam) heard(res *http.Response, sent, received time.Time) {
	at, err := http.ParseTime(res.Header.Get("Date"))
	if err != nil {
		return
	}
	d := date{host: res.Request.URL.Host}
	switch {
	case at.Add(time.Second).Before(sent):
		d.skew = at.Sub(sent).Round(time.Second)
	case at.After(received):
		d.skew = at.Sub(received).Round(time.Second)
	}
	e.dates = append(e.dates, d)
}

// document gets a JSON document. The error says what came instead.
func (e *exam) document(address string, v any) error {
	res, raw, err := e.do(http.MethodGet, address, "")
	if err != nil {
		return err
	}
	switch {
	case res.StatusCode >= 300 && res.StatusCode < 400:
		return fmt.Errorf("it redirects to %s", res.Header.Get("Location"))
	case res.StatusCode != http.StatusOK:
		return errors.New("it answers " + res.Status)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("it is no JSON object (%s)", orNone(res.Header.Get("Content-Type")))
	}
	return nil
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// clocks compares what the servers say that the time is. A Guard takes tokens whose iat is up to
// 30 s ahead of its clock, and proofs within 300 s.
func (e *exam) clocks() {
	const name, most = "clock", 30 * time.Second
	if len(e.dates) == 0 {
		return
	}
	first, last := e.dates[0], e.dates[len(e.dates)-1]
	apart := (first.skew - last.skew).Abs()
	switch {
	case apart > most:
		e.broken(name, fmt.Sprintf("the clocks of %s and %s are %s apart: fresh tokens will count as expired or not yet valid", first.host, last.host, apart), "let both take their time by NTP")
	case first.skew.Abs() > most:
		e.warn(name, fmt.Sprintf("%s is %s off this machine's clock, and the servers agree with each other", first.host, first.skew), "set this machine's clock: proofs are refused when they are old or early")
	default:
		e.ok(name, "the servers agree on the time, and with this machine")
	}
}
