package server

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"time"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/tokens"
)

// Between two steps of signing in, what the server must know again travels in the page, sealed: no
// table fills with attempts that nobody finishes. It is good for one purpose and, where it opens
// something, for one use.

// sealedText is what travels.
type sealedText struct {
	Value   json.RawMessage `json:"v"`
	Expires int64           `json:"e"` // Unix seconds
}

// errSealed is what a step is told that belongs to no first one.
var errSealed = &oauth.Error{Code: oauth.InvalidRequest, Description: "This page is too old, or was used already. Start again.", HTTPStatus: http.StatusForbidden}

// seal wraps v for a purpose and a time.
func (s *Server) sealFor(purpose string, v any, life time.Duration) (string, error) {
	value, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	plain, err := json.Marshal(sealedText{value, s.now().Add(life).Unix()})
	if err != nil {
		return "", err
	}
	raw, err := s.forms.Seal(plain, purpose)
	return base64.RawURLEncoding.EncodeToString(raw), err
}

// opened reads what sealFor made for this purpose.
func (s *Server) opened(purpose, text string, v any) error {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return errSealed
	}
	plain, err := s.forms.Open(raw, purpose)
	if err != nil {
		return errSealed
	}
	var t sealedText
	if err := json.Unmarshal(plain, &t); err != nil {
		return err
	}
	if s.now().Unix() >= t.Expires {
		return errSealed
	}
	return json.Unmarshal(t.Value, v)
}

// openedOnce is opened for what must not be used twice, within a life that is no shorter than the seal's.
func (s *Server) openedOnce(ctx context.Context, purpose, text string, v any, life time.Duration) error {
	if err := s.opened(purpose, text, v); err != nil {
		return err
	}
	epoch, err := s.ephemeral.Epoch(ctx)
	if err != nil {
		return replayUnknown(err)
	}
	first, err := s.ephemeral.FirstUse(ctx, epoch, "sealed:"+tokens.HashBytes([]byte(text)), life+time.Minute)
	if err != nil {
		return replayUnknown(err)
	}
	if !first {
		return errSealed
	}
	return nil
}

// errTooMany is what somebody is told who asks too often.
var errTooMany = &oauth.Error{Code: oauth.InvalidRequest, Description: textSignInTooMany, HTTPStatus: http.StatusTooManyRequests}
