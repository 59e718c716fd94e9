package server

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/remit-auth/remit/consent"
	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/web"
)

// Who is asked often stops reading. So it is counted how often people are asked, what they answer and
// how fast, and who has allowed much in a short time signs in once more before they allow something
// that can destroy.

// tired: whoever allows more than this many requests within that time.
const (
	tiredAfter = 5
	tiredSpan  = 10 * time.Minute
)

const maxCountedUsers = 100_000

// fatigue counts on this replica; the users are those asked today.
type fatigue struct {
	mu      sync.Mutex
	day     string
	prompts int
	users   map[string]struct{}
	total   ConsentFigures
}

// ConsentFigures are what is counted of consents since the start.
type ConsentFigures struct {
	PromptsPerUser  float64 // today, of those who were asked at all
	Allowed, Denied int
	SecondsToAllow  float64 // in sum, from the request to the answer
}

// asked counts a page that asks.
func (f *fatigue) asked(user string, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.turn(now)
	if _, known := f.users[user]; known || len(f.users) < maxCountedUsers {
		f.prompts++
		f.users[user] = struct{}{}
	}
}

// turn begins a new day.
func (f *fatigue) turn(now time.Time) {
	if day := now.UTC().Format(time.DateOnly); day != f.day {
		f.day, f.prompts, f.users = day, 0, map[string]struct{}{}
	}
}

// answered counts a decision, and how long it took when it was a yes.
func (f *fatigue) answered(allowed bool, took time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !allowed {
		f.total.Denied++
		return
	}
	f.total.Allowed++
	f.total.SecondsToAllow += max(0, took.Seconds())
}

// ConsentFigures tells the operator's metrics how people are asked, and how they answer.
func (s *Server) ConsentFigures() ConsentFigures {
	f := &s.fatigue
	f.mu.Lock()
	defer f.mu.Unlock()
	f.turn(s.now())
	figures := f.total
	if len(f.users) > 0 {
		figures.PromptsPerUser = float64(f.prompts) / float64(len(f.users))
	}
	return figures
}

// confirms reports whether the person must sign in again before this answer counts: something that can
// destroy was ticked, and they have not shown for a while, or not since the request when they have
// allowed much of late, that it is they.
func (s *Server) confirms(r *http.Request, v *visitor, offer consent.Offer, ask consent.Ask, ticked []string) (bool, error) {
	tired, err := s.tired(r, v)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(offer.Tools, func(t consent.Tool) bool {
		return slices.Contains(ticked, t.Detail.Tool) && (s.mustSignAgain(v, t.Risk) ||
			tired && t.Risk.Destructive && v.AuthTime.Before(time.UnixMicro(ask.AskedAt)))
	}), nil
}

// tired counts a yes, and reports whether there were too many of late.
func (s *Server) tired(r *http.Request, v *visitor) (bool, error) {
	fresh, _, err := s.ephemeral.Take(r.Context(), "allows:"+v.User.ID, tiredAfter/tiredSpan.Seconds(), tiredAfter)
	if err != nil {
		return false, replayUnknown(err)
	}
	return !fresh, nil
}

// askAgain sends the person to sign in, and then to the same request: as a new one, because a request
// belongs to the session that has seen it. What they chose fills in the page that they come back to.
func (s *Server) askAgain(w http.ResponseWriter, r *http.Request, v *visitor, client store.Client, ask consent.Ask, form oauth.Params) error {
	ask.Choices, ask.ChosenBy = choiceFields(form), v.User.ID
	ask.SignIn, ask.AskedAt = true, s.now().UnixMicro()
	secret, err := s.pushRequest(r, ask, store.Hash{})
	if err != nil {
		return err
	}
	return s.signInAnew(w, r, client, ask, secret)
}

// tellSignAgain says beside the tools that can destroy that ticking them asks for a sign-in.
func (s *Server) tellSignAgain(ctx context.Context, v *visitor, offer consent.Offer, groups []web.ToolGroup) {
	for _, g := range groups {
		for i := range g.Tools {
			row := &g.Tools[i]
			if row.Note == "" && slices.ContainsFunc(offer.Tools, func(t consent.Tool) bool {
				return t.Detail.Tool == row.Name && row.Field == "" && s.mustSignAgain(v, t.Risk)
			}) {
				row.Note = say(ctx, textTickSignsAgain)
			}
		}
	}
}
