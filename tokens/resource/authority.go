package resource

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/remit-auth/remit/tokens"
)

// answerLimit bounds what is read of an answer, callTimeout how long one may take.
const (
	answerLimit = 1 << 20
	callTimeout = 10 * time.Second
)

// authority is the authorization server as this Guard knows it.
type authority struct {
	enrolment
	issuer string
	client *http.Client
	now    func() time.Time
	key    tokens.SigningKey

	replica string        // the name of this replica; empty: the Guard that enrolled
	stale   time.Duration // how long it acts on what it has heard
}

// answerError is an answer that is not the one hoped for.
type answerError struct {
	Status int    `json:"-"`
	Code   string `json:"error"`
	Text   string `json:"error_description"`
	Next   int64  `json:"next"`   // 409 of /executions
	Record *int   `json:"record"` // of /executions: which of the batch is refused
}

func (e *answerError) Error() string {
	return fmt.Sprintf("the authorization server answered %d %s %s", e.Status, e.Code, e.Text)
}

// encoded is a body that is JSON already.
type encoded []byte

// call sends in as JSON and reads the answer into out, either of which may be nil.
func (a *authority) call(ctx context.Context, method, url string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	body, ready := in.(encoded)
	if in != nil && !ready {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	raw, err := a.exchange(ctx, method, url, body)
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(raw, out)
}

// exchange sends a body and returns that of the answer.
func (a *authority) exchange(ctx context.Context, method, url string, body []byte) ([]byte, error) {
	resp, err := a.send(ctx, method, url, body)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, answerLimit))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 != 2 {
		e := &answerError{Status: resp.StatusCode}
		_ = json.Unmarshal(raw, e) // an answer that is no JSON is told by its status
		return nil, e
	}
	return raw, nil
}

// send makes one request. Once enrolled, it carries a fresh client assertion (RFC 7523 §2.2) as
// its bearer token.
func (a *authority) send(ctx context.Context, method, url string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return a.do(req, body)
}

// open opens the feed. The newest checkpoint that this Guard has kept goes along, so that a server
// whose database was set back finds out.
func (a *authority) open(ctx context.Context, checkpoint string) (*http.Response, error) {
	query := url.Values{"stale": {strconv.Itoa(int(math.Ceil(a.stale.Seconds())))}}
	if a.replica != "" {
		query.Set("replica", a.replica)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.Feed+"?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	if checkpoint != "" {
		req.Header.Set("Remit-Witness", checkpoint)
	}
	return a.do(req, nil)
}

func (a *authority) do(req *http.Request, body []byte) (*http.Response, error) {
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	if a.GuardID != "" {
		assertion, err := a.key.Assertion(a.GuardID, a.issuer, a.now())
		if err != nil {
			return nil, err
		}
		req.Header.Set("Authorization", "Bearer "+assertion)
	}
	return a.client.Do(req)
}

// plainClient is c, or a sane default, without following redirects: an assertion must not travel.
func plainClient(c *http.Client) *http.Client {
	if c == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.ResponseHeaderTimeout = callTimeout
		c = &http.Client{Transport: t}
	}
	plain := *c
	plain.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &plain
}
