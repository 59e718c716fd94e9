package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/remit-auth/remit/consent"
	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/web"
)

// showConsent renders the offer as a page; of several resources, the first one's.
func (s *Server) showConsent(w http.ResponseWriter, r *http.Request, v *visitor, client store.Client, ask consent.Ask, secret string, status int, notice string) error {
	r = speak(r, ask.UILocales)
	return s.showPart(w, r, v, client, ask, secret, status, notice, nil)
}

// showPart renders the offer of the resource that comes after those that were answered.
func (s *Server) showPart(w http.ResponseWriter, r *http.Request, v *visitor, client store.Client, ask consent.Ask, secret string, status int, notice string, before []answered) error {
	parts := ask.Parts()
	_, limit, err := s.chosen(r, v, client, parts, before)
	if err != nil {
		return err
	}
	if n := len(parts); n > 1 {
		notice = strings.TrimSpace(notice + " " + say(r.Context(), textPart, len(before)+1, n))
	}
	ask = parts[len(before)]
	offer, err := s.offerPart(r, v, client, ask, limit)
	if errors.Is(err, errNotExtendable) {
		return s.refuseAsk(w, r, v, client, ask, store.HashOf(secret))
	}
	if err != nil {
		return err
	}
	if ask.Redirects() && !redirectAllowed(client, ask.RedirectURI) { // it was, when the request came
		return oauth.Refuse(oauth.InvalidRequest, "The app no longer names the address that this request would send you to. Go back to the app and start again.")
	}
	history, changes, err := s.clientHistory(r.Context(), v, client)
	if err != nil {
		return err
	}
	remembered, notice, err := s.fillIn(r, v, client, &offer, notice)
	if err != nil {
		return err
	}
	digest, earlier := shownDigest(offer, client), sealAnswers(before)
	page := s.frame(r.Context(), v)
	page.SignOut += "?" + url.Values{"return_to": {s.requestPage(client.ID, secret)}}.Encode()
	view := web.Consent{
		Page: page, Action: s.base + "/consent",
		Hidden: []web.Field{
			{Name: "request", Value: secret},
			{Name: "client_id", Value: client.ID},
			{Name: "offer", Value: digest},
			{Name: "shown", Value: s.formToken(v, "consent", secret, digest, earlier)},
		},
		Client:    clientCard(r.Context(), client, ask),
		Task:      web.TaskCard{Purpose: ask.Purpose(), Resource: offer.Resource.Name, ResourceURI: offer.Resource.URI},
		Groups:    toolGroups(r.Context(), offer),
		Durations: durations(r.Context(), offer),
		Notice:    strings.TrimSpace(notice + " " + changes),
		History:   history,
		AgentsURL: s.base + "/agents",
		Details:   technicalDetails(ask, offer),
		Remember:  s.canRemember(client, offer),
	}
	if earlier != "" {
		view.Hidden = append(view.Hidden, web.Field{Name: fieldEarlier, Value: earlier})
	}
	if offer.Extends != nil {
		if view.StepUp, err = s.stepUpCard(r.Context(), offer); err != nil {
			return err
		}
		view.Task.Purpose = offer.Extends.Task.Purpose
	}
	if offer.Observed {
		view.Notice = strings.TrimSpace(view.Notice + " " + say(r.Context(), textObserved))
	}
	for _, out := range offer.LeftOut {
		view.LeftOut = append(view.LeftOut, web.LeftOut{Tool: out.Tool, Reason: say(r.Context(), textLeftOut[out.Reason])})
	}
	if offer.MaxCalls > 0 {
		view.Counts = say(r.Context(), "At most %d calls in all", offer.MaxCalls)
	}
	if view.Expiry, err = s.expiry(r, client, secret); err != nil {
		return err
	}
	asRemembered(remembered, &view)
	v.chosen(ask, &view)
	s.tellSignAgain(r.Context(), v, offer, view.Groups)
	s.fatigue.asked(v.User.ID, s.now())
	return s.renderUnder(w, r, status, web.ConsentPage(view), formTarget(ask.RedirectURI)+"; script-src 'self'")
}

// toolGroups sorts the offered tools by what they can do: look, change, delete.
func toolGroups(ctx context.Context, o consent.Offer) []web.ToolGroup {
	groups := []web.ToolGroup{{Title: say(ctx, textGroupLook)}, {Title: say(ctx, textGroupChange)}, {Title: say(ctx, textGroupDelete)}}
	limited := map[string]bool{}
	for _, t := range o.Tools {
		i := 1
		switch {
		case t.Risk.ReadOnly:
			i = 0
		case t.Risk.Destructive:
			i = 2
		}
		groups[i].Tools = append(groups[i].Tools, web.ToolRow{
			Name: t.Detail.Tool, Title: t.Title, Description: t.Description, Chips: chips(ctx, t), Ticked: t.Ticked,
			Note: changeNote(ctx, t), Modes: modes(ctx, t), Limits: limitFields(ctx, t, limited),
		})
	}
	if len(o.Reads) > 0 {
		groups = append(groups, web.ToolGroup{Title: say(ctx, textGroupRead), Tools: readRows(ctx, o)})
	}
	kept := groups[:0]
	for _, g := range groups {
		if len(g.Tools) > 0 {
			kept = append(kept, g)
		}
	}
	return kept
}

// chips say what a tool can do and under which limits, in words, never by colour alone.
func chips(ctx context.Context, t consent.Tool) []web.Chip {
	var all []web.Chip
	switch {
	case t.Risk.ReadOnly:
		all = append(all, web.Chip{Text: say(ctx, textReads), Tone: web.ToneOK, Icon: "eye"})
	case t.Risk.Destructive:
		all = append(all, web.Chip{Text: say(ctx, textDeletes), Tone: web.ToneBad, Icon: "cross"})
	default:
		all = append(all, web.Chip{Text: say(ctx, textChanges), Tone: web.ToneWarn, Icon: "pencil"})
	}
	if t.Risk.OpenWorld {
		all = append(all, web.Chip{Text: say(ctx, textLeaves), Tone: web.ToneWarn, Icon: "arrow"})
	}
	used := notRunning
	if t.Running {
		used = t.Used
	}
	return append(append(all, termChips(ctx, t.Detail, t.PolicyLimit, used)...), whenChips(ctx, t.When)...)
}

// readRows are what the scopes let be read, each with its own checkbox.
func readRows(ctx context.Context, o consent.Offer) (rows []web.ToolRow) {
	for _, r := range o.Reads {
		row := web.ToolRow{Name: r.Scope, Field: web.FieldRead, Title: r.Title, Ticked: o.Extends == nil}
		for _, uri := range r.Resources {
			row.Chips = append(row.Chips, web.Chip{Text: say(ctx, textReadsURI, uri), Tone: web.ToneOK, Icon: "eye"})
		}
		for _, name := range r.Prompts {
			row.Chips = append(row.Chips, web.Chip{Text: say(ctx, textReadsPrompt, name), Tone: web.ToneOK, Icon: "eye"})
		}
		row.Chips = append(row.Chips, whenChips(ctx, r.When)...)
		rows = append(rows, row)
	}
	return rows
}

// whenChips say when the server's policy lets something be done.
func whenChips(ctx context.Context, lines []string) (all []web.Chip) {
	for _, line := range lines {
		all = append(all, web.Chip{Text: sayCondition(ctx, line), Tone: web.ToneInfo, Icon: "limit"})
	}
	return all
}

func durations(ctx context.Context, o consent.Offer) []web.Duration {
	var all []web.Duration
	for _, d := range o.Durations {
		all = append(all, web.Duration{Seconds: int(d.Seconds()), Text: durationText(d), Checked: d == o.Default})
	}
	for _, d := range o.Refused {
		all = append(all, web.Duration{Seconds: int(d.Seconds()), Text: durationText(d), Disabled: true, Note: say(ctx, textNotAllowed)})
	}
	return all
}

func durationText(d time.Duration) string {
	switch {
	case d%time.Hour == 0:
		return strconv.Itoa(int(d/time.Hour)) + " h"
	case d%time.Minute == 0:
		return strconv.Itoa(int(d/time.Minute)) + " min"
	}
	return d.String()
}

// technicalDetails is what experts unfold: what was asked, and what each tick would grant.
func technicalDetails(ask consent.Ask, o consent.Offer) string {
	type line struct {
		ClientID    string   `json:"client_id"`
		RedirectURI string   `json:"redirect_uri"`
		Resource    string   `json:"resource"`
		Scope       []string `json:"scope,omitempty"`
		Key         string   `json:"dpop_jkt,omitempty"`
		Details     any      `json:"authorization_details"`
	}
	details := ask.Details
	details.Tools = nil
	for _, t := range o.Tools {
		details.Tools = append(details.Tools, t.Detail)
	}
	raw, err := json.MarshalIndent(line{ask.ClientID, ask.RedirectURI, ask.Resource, ask.Scopes, ask.JKT, details}, "", "  ")
	if err != nil {
		return ""
	}
	return string(raw)
}
