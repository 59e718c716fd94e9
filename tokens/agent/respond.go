package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Error is a refusal of the authorization server, or of the resource when it says why.
type Error struct {
	Status      int
	Code        string        // the error member, as RFC 6749 §5.2 has it
	Description string        // error_description
	RetryAfter  time.Duration // of a 503 or 429; zero: not said
}

// Error describes the refusal.
func (e *Error) Error() string {
	s := fmt.Sprintf("agent: refused with %d", e.Status)
	if e.Code != "" {
		s += " " + e.Code
	}
	if e.Description != "" {
		s += ": " + e.Description
	}
	return s
}

// Over reports whether err says that the tokens are worth nothing any more: the task has ended,
// or the grant behind them is unknown. Only a new consent helps.
func Over(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && (e.Code == "invalid_grant" || e.Code == "invalid_token")
}

// errUnwanted says that the user did not allow what was asked for.
var errUnwanted = errors.New("agent: the user did not allow it")

func asError(err error) (*Error, bool) { return errors.AsType[*Error](err) }

// answer reads a JSON answer into v, or an Error when its status is another than want.
func answer(res *http.Response, want int, v any) error {
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxDocument+1))
	if err != nil {
		return fmt.Errorf("agent: read answer: %w", err)
	}
	if len(body) > maxDocument {
		return errors.New("agent: answer is too large")
	}
	if res.StatusCode != want {
		return refusal(res, body)
	}
	if v == nil {
		return nil
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("agent: answer is no JSON: %w", err)
	}
	return nil
}

func refusal(res *http.Response, body []byte) *Error {
	var told struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	_ = json.Unmarshal(body, &told) // a refusal without JSON is still one
	e := &Error{Status: res.StatusCode, Code: told.Error, Description: told.Description}
	if s, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && s >= 0 {
		e.RetryAfter = time.Duration(s) * time.Second
	}
	if e.Code == "" {
		e.Code = find(ParseChallenges(res.Header.Values("WWW-Authenticate")), "error")
	}
	return e
}
