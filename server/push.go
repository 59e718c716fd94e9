package server

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/remit-auth/remit/server/fetch"
	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/web"
)

// Push messages (RFC 8030) tell a user's browsers what mail tells too, and less of it: that something
// waits, and on which of this server's pages. Only the browser can read them. Where a browser takes
// them belongs to its session and ends with it. The address is one that a browser names, which may be
// anybody's: it is reached as every stranger's is.

// pushPlace is where one session takes push messages.
type pushPlace struct {
	Endpoint string `json:"endpoint"`
	P256DH   string `json:"p256dh"`
	Auth     string `json:"auth"`
	Language string `json:"language"`
}

// pushMessage is what the browser's worker is told: static/worker.js reads it.
type pushMessage struct {
	Title string `json:"title"`
	Body  string `json:"body"`
	Path  string `json:"path"`
}

const (
	pushLife     = approvalAskLife // how long a push service keeps a message for a browser that is off
	pushBrowsers = 20              // of one user, the newest
	pushWorkers  = 4               // users told at once
)

// userMark stands for the user in what a browser keeps, and tells nothing to others who use it.
func (s *Server) userMark(userID string) string {
	mac := hmac.New(sha256.New, s.formKey)
	mac.Write([]byte("user-mark\x00" + userID))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:12])
}

// sealPush ties the place to its session.
func (s *Server) sealPush(p pushPlace, session store.Hash) ([]byte, error) {
	plain, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	return s.forms.Seal(plain, "push:"+session.String())
}

func (s *Server) openPush(session store.Session) (p pushPlace, err error) {
	plain, err := s.forms.Open(session.Push, "push:"+session.ID.String())
	if err != nil {
		return p, err
	}
	return p, json.Unmarshal(plain, &p)
}

// pushView is what pages know of push messages: nothing where scripts of the browser may not ask for them.
func (s *Server) pushView(v *visitor) web.Push {
	return web.Push{
		Key: s.pushKey.Public(), Worker: s.base + "/worker.js", Action: s.base + "/account", On: len(v.Push) > 0,
		For: s.userMark(v.User.ID),
	}
}

// addPush keeps where this browser takes push messages.
func (s *Server) addPush(r *http.Request, v *visitor, form oauth.Params) (string, error) {
	p := pushPlace{
		Endpoint: form.Get(web.FieldEndpoint), P256DH: form.Get(web.FieldP256DH), Auth: form.Get(web.FieldAuth), Language: web.Language(r.Context()),
	}
	if _, err := s.pushWay.Check(p.Endpoint); err != nil {
		return "", &oauth.Error{Code: oauth.InvalidRequest, Description: textPushNowhere, Cause: err}
	}
	if _, err := tokens.ParsePushReceiver(p.P256DH, p.Auth); err != nil {
		return "", &oauth.Error{Code: oauth.InvalidRequest, Description: textPushNowhere, Cause: err}
	}
	sealed, err := s.sealPush(p, v.ID)
	if err != nil {
		return "", err
	}
	err = s.store.SetPush(r.Context(), v.User.ID, v.ID, sealed, about(store.NewRecord("push.added", nil), v.User))
	if errors.Is(err, store.ErrSessionNotFound) {
		return "", errForm
	}
	v.Push = sealed
	return say(r.Context(), textPushOn), err
}

func (s *Server) removePush(r *http.Request, v *visitor, _ oauth.Params) (string, error) {
	err := s.store.SetPush(r.Context(), v.User.ID, v.ID, nil, about(store.NewRecord("push.removed", nil), v.User))
	if errors.Is(err, store.ErrSessionNotFound) {
		return "", errForm
	}
	v.Push = nil
	return say(r.Context(), textPushOff), err
}

// keptPush is the place of a session that goes on under another name: who signs in again in the same
// browser is told there as before.
func (s *Server) keptPush(was *visitor, user store.User, now store.Hash) ([]byte, error) {
	if was == nil || was.User.ID != user.ID || len(was.Push) == 0 {
		return nil, nil
	}
	p, err := s.openPush(was.Session)
	if err != nil {
		return nil, nil // a place that cannot be read is none
	}
	return s.sealPush(p, now)
}

// push tells all browsers of the user that asked for it. Nothing waits for it and nothing fails with it.
func (s *Server) push(userID, text, path string) {
	s.pushes.Do("push", func(ctx context.Context) error {
		sessions, err := s.store.SessionsOf(ctx, userID)
		if err != nil {
			return err
		}
		var all sync.WaitGroup
		n := 0
		for _, session := range sessions {
			if len(session.Push) == 0 {
				continue
			}
			if n++; n > pushBrowsers {
				break
			}
			all.Go(func() {
				if err := s.pushTo(ctx, session, text, path); err != nil {
					s.log.Warn("a browser was not told", "err", err)
				}
			})
		}
		all.Wait()
		return nil
	})
}

// pushTo tells one browser. A place that is gone, or that takes nothing from us, is forgotten.
func (s *Server) pushTo(ctx context.Context, session store.Session, text, path string) error {
	p, err := s.openPush(session)
	if err != nil {
		return err
	}
	receiver, err := tokens.ParsePushReceiver(p.P256DH, p.Auth)
	if err != nil {
		return err
	}
	plain, err := json.Marshal(pushMessage{Title: cutName(s.operator), Body: say(web.WithLanguage(ctx, p.Language), text), Path: path})
	if err != nil {
		return err
	}
	body, err := receiver.Encrypt(plain)
	if err != nil {
		return err
	}
	authorization, err := s.pushKey.Authorization(p.Endpoint, s.pushContact(), s.now())
	if err != nil {
		return err
	}
	status, err := s.pushWay.Post(ctx, p.Endpoint, http.Header{ // RFC 8030 §5
		"Content-Type": {"application/octet-stream"}, "Content-Encoding": {"aes128gcm"}, "Authorization": {authorization},
		"Ttl": {strconv.Itoa(int(pushLife.Seconds()))}, "Urgency": {"high"},
	}, body)
	switch {
	case err != nil:
		return err
	case status == http.StatusNotFound || status == http.StatusGone || status == http.StatusForbidden || status == http.StatusUnauthorized:
		return s.store.ForgetPush(ctx, session.ID, session.Push)
	case status >= 300:
		return fmt.Errorf("%w: status %d", fetch.ErrAnswer, status)
	}
	return nil
}

// pushContact tells a push service who answers for the messages (RFC 8292 §2.1).
func (s *Server) pushContact() string {
	if strings.HasPrefix(s.issuer, "https:") {
		return s.issuer
	}
	return "https://localhost" // in development
}

// worker serves GET /worker.js: the script that a browser wakes for a push message. Its address stays
// the same, or browsers would lose it with each release.
func (s *Server) worker(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'")
	_, _ = w.Write(web.Worker())
}
