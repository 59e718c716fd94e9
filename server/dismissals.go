package server

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/web"
)

// A finding may be no problem. Who says so says why, and the ledger keeps both: the finding as it was
// and that somebody dismissed it. What a rule has suspended stays suspended.

// finding reports whether a record is one that a person should look at.
func finding(kind string) bool {
	return kind == "rule.fired" || kind == kindDisputed || strings.HasPrefix(kind, "finding.")
}

// findingAt is the finding at this place in the chain.
func (s *Server) findingAt(ctx context.Context, seq int64) (store.Record, error) {
	if seq <= 0 {
		return store.Record{}, store.ErrFindingNotFound
	}
	recs, err := s.store.Records(ctx, store.RecordFilter{AfterSeq: seq - 1, Limit: 1})
	switch {
	case err != nil:
		return store.Record{}, err
	case len(recs) != 1 || recs[0].Seq != seq || !finding(recs[0].Kind):
		return store.Record{}, store.ErrFindingNotFound
	}
	return recs[0], nil
}

// dismiss says that a finding is no problem.
func (s *Server) dismiss(ctx context.Context, a acting, seq int64, reason string) error {
	found, err := s.findingAt(ctx, seq)
	if err != nil {
		return err
	}
	rec := a.record("findings.dismissed", reason, map[string]any{"finding": seq, "kind": found.Kind})
	rec.Task, rec.User, rec.Client, rec.Agent, rec.Resource = found.Task, found.User, found.Client, found.Agent, found.Resource
	return s.store.DismissFinding(ctx, store.Dismissal{Finding: seq, At: s.now().UTC().Truncate(time.Microsecond), By: a.by, Person: a.person, Reason: reason}, rec)
}

// findingView is a finding as the admin API tells it.
type findingView struct {
	Finding   int64           `json:"finding"`
	At        time.Time       `json:"at"`
	Kind      string          `json:"kind"`
	Task      string          `json:"task,omitempty"`
	User      string          `json:"user,omitempty"`
	Client    string          `json:"client,omitempty"`
	Resource  string          `json:"resource,omitempty"`
	Payload   json.RawMessage `json:"payload"`
	Dismissed *dismissalView  `json:"dismissed,omitempty"`
}

type dismissalView struct {
	At     time.Time   `json:"at"`
	By     store.Actor `json:"by"`
	Person string      `json:"person,omitempty"`
	Reason string      `json:"reason"`
}

func viewFinding(a acting, rec store.Record) findingView {
	v := viewRecord(a, rec)
	return findingView{Finding: v.Seq, At: v.At, Kind: v.Kind, Task: v.Task, User: v.User, Client: v.Client, Resource: v.Resource, Payload: v.Payload}
}

// listFindings serves GET /admin/api/findings?dismissed=&before=&limit=, newest first.
func (s *Server) listFindings(w http.ResponseWriter, r *http.Request, a acting) error {
	q := r.URL.Query()
	limit, err := queryInt(q.Get("limit"), 100, 1000)
	if err != nil {
		return err
	}
	if err := s.sequence(r.Context()); err != nil {
		return err
	}
	views := []findingView{}
	if q.Get("dismissed") == "true" {
		all, err := s.store.DismissedFindings(r.Context(), placeInChain(r), limit)
		if err != nil {
			return err
		}
		for _, one := range all {
			v := viewFinding(a, one.Record)
			v.Dismissed = &dismissalView{one.Dismissal.At.UTC(), one.Dismissal.By, one.Dismissal.Person, one.Dismissal.Reason}
			views = append(views, v)
		}
		return writeJSON(w, http.StatusOK, map[string]any{"findings": views})
	}
	recs, err := s.store.Findings(r.Context(), placeInChain(r), limit)
	if err != nil {
		return err
	}
	for _, rec := range recs {
		views = append(views, viewFinding(a, rec))
	}
	return writeJSON(w, http.StatusOK, map[string]any{"findings": views})
}

// adminDismiss serves POST /admin/api/findings/dismiss.
func (s *Server) adminDismiss(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Finding int64  `json:"finding"`
		Reason  string `json:"reason"`
	}
	if err := readJSON(r, maxAdminBody, &in); err != nil {
		return err
	}
	if strings.TrimSpace(in.Reason) == "" {
		return bad("reason is missing: say why, for the ledger")
	}
	if err := checkReason(in.Reason); err != nil {
		return err
	}
	if err := s.dismiss(r.Context(), atSocket, in.Finding, in.Reason); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]int64{"finding": in.Finding})
}

// asked is the finding that a request names.
func asked(raw string) (int64, error) {
	seq, err := strconv.ParseInt(raw, 10, 64)
	if err != nil {
		return 0, store.ErrFindingNotFound
	}
	return seq, nil
}

// consoleReviewDismiss serves GET /admin/findings/dismiss?finding=…: what would be dismissed, and why.
func (s *Server) consoleReviewDismiss(w http.ResponseWriter, r *http.Request, d *desk) error {
	ctx := r.Context()
	seq, err := asked(r.URL.Query().Get(web.FieldFinding))
	if err != nil {
		return err
	}
	rec, err := s.findingAt(ctx, seq)
	if err != nil {
		return err
	}
	told, err := s.findings(ctx, d, []store.Record{rec})
	if err != nil {
		return err
	}
	line := cli("finding dismiss", on(strconv.FormatInt(seq, 10)), "--reason", "…")
	view := web.ConsoleItem{
		Desk: s.desk(ctx, d, "/admin/findings", line), Title: say(ctx, textDismissTitle), Back: web.Link{Text: say(ctx, textFindings), Href: s.base + "/admin/findings"},
		Facts: []web.Fact{
			{Name: say(ctx, textFinding), Cells: []web.Cell{{Text: told[0].Title, Note: told[0].Why}}},
			{Name: say(ctx, "Time"), Cells: []web.Cell{{Text: told[0].Time}}},
		},
		Forms: []web.ConsoleForm{{
			ID: "dismiss", Title: say(ctx, textDismiss), Note: say(ctx, textDismissNote), Hidden: []web.Field{{Name: web.FieldFinding, Value: strconv.FormatInt(seq, 10)}},
			Buttons: []web.ConsoleButton{{Text: say(ctx, textDismiss), Action: s.base + "/admin/findings/dismiss", Icon: "check"}},
		}},
	}
	if told[0].Who != "" {
		view.Facts = append(view.Facts, web.Fact{Name: say(ctx, "Agent"), Cells: []web.Cell{{Text: told[0].Who, Href: told[0].Task.Href}}})
	}
	return s.render(w, r, http.StatusOK, web.ConsoleItemPage(view))
}

// consoleDismiss serves POST /admin/findings/dismiss.
func (s *Server) consoleDismiss(w http.ResponseWriter, r *http.Request, d *desk) error {
	reason, err := d.reason(r.Context())
	if err != nil {
		return err
	}
	seq, err := asked(d.form.Get(web.FieldFinding))
	if err != nil {
		return err
	}
	if err := s.dismiss(r.Context(), d.acting, seq, reason); err != nil {
		return err
	}
	http.Redirect(w, r, s.at("/admin/findings/dismissed"), http.StatusSeeOther)
	return nil
}

// consoleDismissed serves GET /admin/findings/dismissed: what was no problem, who said so, and why.
func (s *Server) consoleDismissed(w http.ResponseWriter, r *http.Request, d *desk) error {
	ctx, before := r.Context(), placeInChain(r)
	all, err := s.store.DismissedFindings(ctx, before, recordsShown+1)
	if err != nil {
		return err
	}
	recs := make([]store.Record, 0, len(all))
	for _, one := range all {
		recs = append(recs, one.Record)
	}
	view := web.ConsoleFindings{Desk: s.desk(ctx, d, "/admin/findings", cli("finding list", nil, "--dismissed")), Dismissed: true, Other: web.Link{Text: say(ctx, textOpenFindings), Href: s.base + "/admin/findings"}}
	recs, view.Newest, view.Older = pageOf(recs, before, s.base+"/admin/findings/dismissed")
	if view.Findings, err = s.findings(ctx, d, recs); err != nil {
		return err
	}
	view.Hidden = d.argsHidden(ctx)
	book, err := s.consoleBook(ctx)
	if err != nil {
		return err
	}
	for i := range view.Findings {
		said := all[i].Dismissal
		by := say(ctx, textBy[said.By])
		if said.Person != "" {
			if err := book.meet(ctx, said.Person); err != nil {
				return err
			}
			by = book.people[said.Person]
		}
		f := &view.Findings[i]
		f.Dismiss, f.Action, f.Tone = web.Link{}, web.Link{}, web.ToneInfo
		f.Dismissed, f.Reason = say(ctx, textDismissedBy, by, clock(ctx, said.At)), said.Reason
	}
	return s.render(w, r, http.StatusOK, web.ConsoleFindingsPage(view))
}
