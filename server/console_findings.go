package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/web"
)

// consoleFindings serves GET /admin/findings: what a person should look at, newest first.
func (s *Server) consoleFindings(w http.ResponseWriter, r *http.Request, d *desk) error {
	if err := s.sequence(r.Context()); err != nil { // what has just happened, too
		return err
	}
	before := placeInChain(r)
	recs, err := s.store.Findings(r.Context(), before, recordsShown+1)
	if err != nil {
		return err
	}
	view := web.ConsoleFindings{Hidden: d.argsHidden(r.Context()), Other: web.Link{Text: say(r.Context(), textDismissedFindings), Href: s.base + "/admin/findings/dismissed"}, Desk: s.desk(r.Context(), d, "/admin/findings",
		cli("finding list", nil), cli("audit tail", nil, "--kind", "rule.fired"), cli("audit tail", nil, "--kind", kindDisputed))}
	recs, view.Newest, view.Older = pageOf(recs, before, s.base+"/admin/findings")
	if view.Findings, err = s.findings(r.Context(), d, recs); err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, web.ConsoleFindingsPage(view))
}

// placeInChain is ?before=; nonsense is the newest page.
func placeInChain(r *http.Request) int64 {
	before, err := strconv.ParseInt(r.URL.Query().Get("before"), 10, 64)
	if err != nil || before < 0 {
		return 0
	}
	return before
}

// pageOf cuts one record more than a page down to the page, with the ways to its neighbours.
func pageOf(recs []store.Record, before int64, here string) (page []store.Record, newest, older string) {
	if len(recs) > recordsShown {
		recs = recs[:recordsShown]
		older = here + "?before=" + strconv.FormatInt(recs[recordsShown-1].Seq, 10)
	}
	if before > 0 {
		newest = here
	}
	return recs, newest, older
}

// freshFindings are the newest, for the page of tasks.
func (s *Server) freshFindings(ctx context.Context, d *desk) ([]web.Finding, error) {
	recs, err := s.store.Findings(ctx, 0, newestFindings)
	if err != nil {
		return nil, err
	}
	for i, rec := range recs {
		if s.now().Sub(rec.At) > findingsFresh {
			recs = recs[:i]
			break
		}
	}
	return s.findings(ctx, d, recs)
}

// findings tells the records, each with its task as it is now.
func (s *Server) findings(ctx context.Context, d *desk, recs []store.Record) ([]web.Finding, error) {
	tasks, known := []store.Task{}, map[string]store.Task{}
	for _, rec := range recs {
		if _, read := known[rec.Task]; read || rec.Task == "" {
			continue
		}
		t, _, err := s.store.TaskByID(ctx, rec.Task)
		if err != nil && !errors.Is(err, store.ErrTaskNotFound) {
			return nil, err
		}
		if known[rec.Task] = t; err == nil { // a disputed record may name a task that never was
			tasks = append(tasks, t)
		}
	}
	book, err := s.consoleBook(ctx, tasks...)
	if err != nil {
		return nil, err
	}
	all := make([]web.Finding, 0, len(recs))
	for _, rec := range recs {
		rec = d.read(rec)
		f := web.Finding{At: rec.At.Format(time.RFC3339), Time: clock(ctx, rec.At)}
		f.Args, f.Hidden = argsOf(ctx, rec)
		f.Title, f.Why, f.Tone = findingText(ctx, rec)
		if d.may(store.RoleRevoker) {
			f.Dismiss = web.Link{Text: say(ctx, textNoProblem), Href: s.at("/admin/findings/dismiss", web.FieldFinding, strconv.FormatInt(rec.Seq, 10))}
		}
		if t := known[rec.Task]; t.ID != "" {
			f.Who = say(ctx, "%s for %s", book.who(ctx, t.ClientID), book.people[t.UserID])
			f.Task = web.Link{Text: say(ctx, textTimeline), Href: book.taskURL(t.ID)}
			if !t.State.Terminal() && d.may(store.RoleRevoker) {
				f.Action = web.Link{Text: say(ctx, textEndThis), Href: s.at("/admin/end", web.FieldTask, t.ID)}
			}
		}
		all = append(all, f)
	}
	return all, nil
}

// findingText says what was found, and why it counts.
func findingText(ctx context.Context, rec store.Record) (title, why, tone string) {
	var p struct {
		Rule    string `json:"rule"`
		Dispute string `json:"dispute"`
		Reason  string `json:"reason"`
		Digest  string `json:"unrecorded"`
	}
	if json.Unmarshal(rec.Payload, &p) != nil {
		p.Rule, p.Dispute = "", say(ctx, textErasedRecord)
	}
	switch rec.Kind {
	case "rule.fired":
		return say(ctx, textRuleFired), cmp.Or(say(ctx, textRules[p.Rule]), p.Rule), web.ToneBad
	case kindDisputed:
		return say(ctx, textDisputed), p.Dispute + ".", web.ToneWarn
	}
	if text, known := textFindingKinds[rec.Kind]; known {
		title, why = say(ctx, text[0]), say(ctx, text[1])
		switch rec.Kind {
		case kindUnrecorded:
			why = fmt.Sprintf("%s: %s (%s).", why, oauth.Printable(p.Reason), p.Digest) // in its Guard's words
		case kindPanicked:
			why = fmt.Sprintf("%s: %s.", why, rec.Request)
		}
		return title, why, web.ToneBad
	}
	return say(ctx, textOtherFinding, strings.TrimPrefix(rec.Kind, "finding.")), "", web.ToneBad
}

// timeline is the ledger of one task, newest first, a page at a time.
func (s *Server) timeline(r *http.Request, d *desk, book *consoleBook, t store.Task) (web.Section, error) {
	section := web.Section{ID: "timeline", Title: say(r.Context(), textTimeline), Hidden: d.argsHidden(r.Context())}
	if err := s.sequence(r.Context()); err != nil { // what has just been done, too
		return section, err
	}
	before := placeInChain(r)
	recs, err := s.store.NewestRecords(r.Context(), t.ID, before, recordsShown+1)
	if err != nil {
		return section, err
	}
	recs, section.Newest, section.Older = pageOf(recs, before, book.taskURL(t.ID))
	for _, rec := range recs {
		e, err := book.tell(r.Context(), d.read(rec))
		if err != nil {
			return section, err
		}
		section.Events = append(section.Events, e)
	}
	if len(recs) == 0 {
		section.Empty = say(r.Context(), textTimelineNone)
	}
	section.Exports = s.exportLinks(r.Context(), d, "/admin/export/ledger", []string{web.FieldTask, t.ID})
	return section, nil
}

// told is what the payloads of a task's records may say.
type told struct {
	executionPayload
	Person  string      `json:"person"`
	By      store.Actor `json:"by"`
	Rule    string      `json:"rule"`
	Granted string      `json:"granted"`
	Seconds int         `json:"seconds"`
	Purpose string      `json:"purpose"`
}

// tell tells one record of the task's timeline, as its reader may read it.
func (b *consoleBook) tell(ctx context.Context, rec store.Record) (web.EventRow, error) {
	e := web.EventRow{At: rec.At.Format(time.RFC3339), Time: callClock(ctx, rec.At, b.now), Text: cmp.Or(say(ctx, textRecords[rec.Kind]), rec.Kind)}
	var p told
	if json.Unmarshal(rec.Payload, &p) != nil {
		e.Quote = say(ctx, textErasedRecord)
		return e, nil
	}
	e.Args, e.Hidden = argsOf(ctx, rec)
	switch rec.Kind {
	case kindDecided, kindFinished, kindDisputed:
		b.tellCall(ctx, &e, rec, p)
	case "consent.allowed", "consent.denied":
		if err := b.meet(ctx, rec.User); err != nil {
			return e, err
		}
		e.Who, e.Quote = b.people[rec.User], p.Purpose
		if rec.Kind == "consent.allowed" {
			e.Text = say(ctx, "%s %s, for %s", e.Text, strings.Join(grantedTools(store.Grant{Details: []byte(p.Granted)}), ", "), spanText(time.Duration(p.Seconds)*time.Second))
		}
		e.Chip = web.Chip{Text: say(ctx, "consent"), Tone: web.ToneInfo, Icon: "check"}
	case "task.ended", "task.suspended", "task.resumed":
		e.Text = say(ctx, "%s by %s", e.Text, cmp.Or(say(ctx, textBy[p.By]), string(p.By)))
		e.Quote = p.Reason
		if why, ours := textWhy[p.Reason]; ours {
			e.Text, e.Quote = strings.TrimSuffix(e.Text+": "+say(ctx, why), ": "), ""
		}
		e.Chip = map[string]web.Chip{
			"task.ended": {Text: say(ctx, "ended"), Tone: web.ToneBad, Icon: "stop"}, "task.suspended": {Text: say(ctx, "suspended"), Tone: web.ToneWarn, Icon: "pause"},
			"task.resumed": {Text: say(ctx, "resumed"), Tone: web.ToneOK, Icon: "play"},
		}[rec.Kind]
	case "console.ended", "console.suspended", "console.resumed":
		if err := b.meet(ctx, p.Person); err != nil {
			return e, err
		}
		e.Who, e.Quote = b.people[p.Person], p.Reason
		e.Chip = web.Chip{Text: say(ctx, "console"), Tone: web.ToneInfo, Icon: "key"}
	default:
		if title, why, _ := findingText(ctx, rec); rec.Kind == "rule.fired" || strings.HasPrefix(rec.Kind, "finding.") {
			e.Text, e.Chip = strings.TrimSpace(title+": "+why), web.Chip{Text: "finding", Tone: web.ToneBad, Icon: "alert"}
		}
		if rec.Resource != "" && say(ctx, textRecords[rec.Kind]) != "" {
			e.Text += " for " + b.resourceCell(rec.Resource).Text
		}
	}
	return e, nil
}

// tellCall tells a decision on a call, its outcome, or what a Guard claims.
func (b *consoleBook) tellCall(ctx context.Context, e *web.EventRow, rec store.Record, p told) {
	e.Text = cmp.Or(p.Tool, p.Target, p.Method, say(ctx, textNoTool)) + " at " + b.resourceCell(rec.Resource).Text
	switch {
	case rec.Kind == kindDisputed:
		e.Text = say(ctx, textDisputed) + ": " + p.Dispute
		e.Chip = web.Chip{Text: "disputed", Tone: web.ToneWarn, Icon: "alert"}
	case rec.Kind == kindFinished:
		e.Text += " finished in " + time.Duration(p.DurationUS*int64(time.Microsecond)).Round(time.Millisecond).String()
		e.Chip = map[string]web.Chip{
			"ok": {Text: "ok", Tone: web.ToneOK, Icon: "check"}, "error": {Text: "error", Tone: web.ToneWarn, Icon: "alert"},
		}[p.Outcome]
		if e.Chip.Text == "" {
			e.Chip = web.Chip{Text: say(ctx, "outcome unknown"), Tone: web.ToneWarn, Icon: "alert"}
		}
	case p.Decision == "refused":
		e.Text += " – " + cmp.Or(say(ctx, textBlockedConsole[p.Reason]), blockedText(ctx, p.Reason))
		e.Chip = web.Chip{Text: "blocked", Tone: web.ToneBad, Icon: "cross"}
	case p.Observed != "": // the policy is only watched, so it ran
		e.Text += " – " + say(ctx, "would have been blocked") + ": " + cmp.Or(say(ctx, textBlockedConsole[p.Observed]), blockedText(ctx, p.Observed))
		e.Chip = web.Chip{Text: say(ctx, "observed"), Tone: web.ToneWarn, Icon: "eye"}
	default:
		e.Chip = web.Chip{Text: "allowed", Tone: web.ToneOK, Icon: "check"}
	}
}

// grantedTools are the names of the tools that a grant allows.
func grantedTools(g store.Grant) (names []string) {
	details, err := tokens.ParseGrant(g.Details)
	if err != nil {
		return nil
	}
	for _, t := range details.Tools {
		names = append(names, t.Tool)
	}
	return names
}
