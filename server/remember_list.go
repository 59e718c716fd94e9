package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/remit-auth/remit/consent"
	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/web"
)

// What the pages say of choices that go on.
const (
	textRememberedSince = "You chose this on %s; it goes on until %s."
	textRememberedNot   = "You let a choice go on here, but it no longer fits: the tools, their rules, your roles, the app or the request are not what they were. Please choose again."
	textRememberedNever = "not used yet"
	textRememberedUsed  = "used %d times, last on %s"
	textRememberedOnce  = "used once, on %s"
	textForgotten       = "Forgotten. You are asked again from now on; a task that is running goes on until it ends or you end it."
	textNoSuchChoice    = "There is no such remembered choice."
	forgotten           = "forgotten"
)

// textTold is what the agents page says after another page has led to it.
var textTold = map[string]string{forgotten: textForgotten, toldNarrowed: textNarrowed, toldWidened: textWidened}

// remembered are the rows of the agents page about choices that go on.
func (s *Server) remembered(ctx context.Context, v *visitor) (rows []web.RememberedRow, err error) {
	all, err := s.store.RememberedBy(ctx, v.User.ID)
	if err != nil {
		return nil, err
	}
	for _, kept := range all {
		m, err := consent.DecodeMemory(kept.Choice)
		if err != nil {
			s.log.Error("a remembered choice cannot be read", "id", kept.ID, "err", err)
		}
		client, err1 := s.store.ClientByID(ctx, kept.ClientID)
		resource, err2 := s.store.ResourceByURI(ctx, kept.Resource)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		row := web.RememberedRow{
			ID: kept.ID, Client: clientHost(ctx, client), Resource: resource.Name, For: durationText(m.Duration),
			Until: sayTime(ctx, kept.ExpiresAt, formMinute), Used: usedText(ctx, kept.Uses, kept.UsedAt),
		}
		if name := client.Metadata.ClientName; name != row.Client {
			row.Name = name
		}
		titles := toolTitles(resource)
		for _, name := range m.Tools {
			detail := tokens.ToolDetail{Tool: name, Constraints: m.Limits[name], MaxCalls: m.Terms[name].MaxCalls}
			if m.Terms[name].EachCall {
				detail.Approval = tokens.ApprovalEachCall
			}
			row.Tools = append(row.Tools, web.LentTool{Name: name, Title: titles[name], Chips: termChips(ctx, detail, nil, notRunning)})
		}
		for _, scope := range m.Reads {
			row.Tools = append(row.Tools, web.LentTool{Name: scope})
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func usedText(ctx context.Context, n int, last time.Time) string {
	switch n {
	case 0:
		return say(ctx, textRememberedNever)
	case 1:
		return say(ctx, textRememberedOnce, sayTime(ctx, last, formMinute))
	}
	return say(ctx, textRememberedUsed, n, sayTime(ctx, last, formMinute))
}

// forget forgets one choice of the user. Somebody else's does not exist.
func (s *Server) forget(w http.ResponseWriter, r *http.Request, v *visitor, id string) error {
	err := s.forgetChoice(r.Context(), v, id)
	if errors.Is(err, store.ErrNotRemembered) {
		return &oauth.Error{Code: oauth.InvalidRequest, Description: say(r.Context(), textNoSuchChoice), HTTPStatus: http.StatusNotFound}
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, s.base+"/agents?told="+forgotten, http.StatusSeeOther)
	return nil
}

// forgetChoice forgets one of the user's own.
func (s *Server) forgetChoice(ctx context.Context, v *visitor, id string) error {
	rec := store.NewRecord("consent.forgotten", map[string]any{"remembered": id, "by": store.ByUser})
	rec.User = v.User.ID
	return s.store.Forget(ctx, v.User.ID, id, rec)
}

// forgetAll forgets every choice of the user, with all their tasks.
func (s *Server) forgetAll(ctx context.Context, v *visitor) error {
	rec := store.NewRecord("consent.forgotten", map[string]any{"all": true, "by": store.ByUser})
	rec.User = v.User.ID
	_, err := s.store.ForgetAll(ctx, v.User.ID, rec)
	return err
}

// exportedChoice is a choice that goes on, as its user may take it along.
type exportedChoice struct {
	ID       string          `json:"id"`
	Client   string          `json:"client_id"`
	Grade    string          `json:"grade"`
	Resource string          `json:"resource"`
	Choice   json.RawMessage `json:"choice"`
	Created  time.Time       `json:"created_at"`
	Until    time.Time       `json:"until"`
	Used     time.Time       `json:"used_at,omitzero"`
	Uses     int             `json:"uses"`
}

func (s *Server) exportChoices(ctx context.Context, userID string, out *exported) error {
	all, err := s.store.RememberedBy(ctx, userID)
	out.Remembered = []exportedChoice{}
	for _, r := range all {
		one := exportedChoice{r.ID, r.ClientID, r.Grade, r.Resource, nil, r.CreatedAt, r.ExpiresAt, r.UsedAt, r.Uses}
		if json.Valid(r.Choice) {
			one.Choice = json.RawMessage(r.Choice)
		}
		out.Remembered = append(out.Remembered, one)
	}
	return err
}
