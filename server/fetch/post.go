package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
)

// Post sends a body to this URL and returns the status of the answer, of which nothing else is read.
// Its error is one of the reasons above.
func (c *Client) Post(ctx context.Context, raw string, header http.Header, body []byte) (status int, err error) {
	u, err := c.Check(raw)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return 0, ErrBusy
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrAddress, err)
	}
	r.Header = header.Clone()
	r.Header.Set("User-Agent", "remit")
	resp, err := c.transport.RoundTrip(r) // not http.Client: it would follow redirects
	switch {
	case errors.Is(err, ErrAddress):
		return 0, err
	case err != nil:
		return 0, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return resp.StatusCode, resp.Body.Close()
}
