package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/web"
)

// ledgerShown is how many records a page of the ledger lists.
const ledgerShown = 50

// recordsWanted is the filter of records that the parameters of the admin API and of the console say.
func (s *Server) recordsWanted(ctx context.Context, q url.Values) (store.RecordFilter, error) {
	f := store.RecordFilter{Task: q.Get("task"), User: q.Get("user"), Kind: q.Get("kind"), Resource: q.Get("resource"), Request: q.Get("request")}
	if f.User == "" || strings.HasPrefix(f.User, "usr_") { // the ledger also knows those whom nobody knows any more
		return f, nil
	}
	u, err := s.store.UserByEmail(ctx, f.User)
	f.User = u.ID
	return f, err
}

// ledgerQuery is the filter of the ledger's page, as its address says it.
func ledgerQuery(q url.Values) (said []string, wanted url.Values) {
	wanted = url.Values{}
	for _, name := range []string{web.FieldKind, web.FieldTask, web.FieldUser, web.FieldResource, web.FieldRequest} {
		if value := strings.TrimSpace(q.Get(name)); value != "" {
			said = append(said, name, value)
			wanted.Set(name, value)
		}
	}
	return said, wanted
}

// consoleLedger serves GET /admin/ledger: the newest records, and how far they are sealed.
func (s *Server) consoleLedger(w http.ResponseWriter, r *http.Request, d *desk) error {
	ctx := r.Context()
	if err := s.sequence(ctx); err != nil { // what has just happened, too
		return err
	}
	said, q := ledgerQuery(r.URL.Query())
	filters := []string{"--kind", q.Get("kind"), "--task", q.Get("task"), "--user", q.Get("user"), "--resource", q.Get("resource"), "--request", q.Get("request")}
	view := web.ConsoleItem{Title: say(ctx, textLedger), Desk: s.desk(ctx, d, "/admin/ledger",
		cli("audit tail", nil, append([]string{"--last", strconv.Itoa(ledgerShown)}, filters...)...),
		cli("audit verify", nil), cli("audit export", nil, append([]string{"--format", "csv"}, filters...)...))}
	if err := s.sealedFacts(ctx, &view); err != nil {
		return err
	}
	section := web.Section{ID: "records", Hidden: d.argsHidden(ctx), Title: say(ctx, textRecordsTitle), Empty: say(ctx, textNoRecords)}
	f, err := s.recordsWanted(ctx, q)
	switch {
	case errors.Is(err, store.ErrUserNotFound):
		view.Notice, view.NoticeTone = say(ctx, textNoSuchUser), web.ToneWarn
	case err != nil:
		return err
	default:
		if err := s.ledgerPage(r, d, f, said, &section); err != nil {
			return err
		}
	}
	if section.Filter, err = s.ledgerFilter(ctx, said, q); err != nil {
		return err
	}
	section.Exports = s.exportLinks(ctx, d, "/admin/export/ledger", said)
	view.Sections = []web.Section{section}
	return s.render(w, r, http.StatusOK, web.ConsoleItemPage(view))
}

// ledgerPage adds the page of records that the address asks for.
func (s *Server) ledgerPage(r *http.Request, d *desk, f store.RecordFilter, said []string, section *web.Section) error {
	ctx := r.Context()
	f.Before, f.Limit = placeInChain(r), ledgerShown+1
	recs, next, err := s.store.RecordsBefore(ctx, f)
	if err != nil {
		return err
	}
	if len(recs) > ledgerShown {
		recs = recs[:ledgerShown]
		next = recs[ledgerShown-1].Seq
	} else if next > 0 {
		section.Note = say(ctx, textLookedAt, store.RecordsLookedAt)
	}
	if next > 0 {
		section.Older = s.at("/admin/ledger", append(said, queryBefore, strconv.FormatInt(next, 10))...)
	}
	if f.Before > 0 {
		section.Newest = s.at("/admin/ledger", said...)
	}
	book, err := s.consoleBook(ctx)
	if err != nil {
		return err
	}
	for _, rec := range recs {
		e, err := book.tellAny(ctx, d.read(rec))
		if err != nil {
			return err
		}
		section.Events = append(section.Events, e)
	}
	if len(recs) > 0 {
		section.Empty = ""
	}
	return nil
}

// tellAny tells a record of any task, or of none, as its reader may read it.
func (b *consoleBook) tellAny(ctx context.Context, rec store.Record) (web.EventRow, error) {
	if _, known := b.resources[rec.Resource]; !known && rec.Resource != "" {
		res, err := b.s.store.ResourceByURI(ctx, rec.Resource)
		if err != nil && !errors.Is(err, store.ErrResourceNotFound) {
			return web.EventRow{}, err
		}
		b.resources[rec.Resource] = res
	}
	e, err := b.tell(ctx, rec)
	if err != nil {
		return e, err
	}
	e.Time, e.Number = clock(ctx, rec.At), "#"+strconv.FormatInt(rec.Seq, 10)
	var p told
	if json.Unmarshal(rec.Payload, &p) == nil && e.Who == "" {
		by := cmp.Or(p.Person, rec.User)
		if err := b.meet(ctx, by); err != nil {
			return e, err
		}
		e.Who, e.Quote = b.people[by], cmp.Or(e.Quote, p.Reason)
	}
	if e.Text != rec.Kind {
		e.Kind = rec.Kind
	}
	if rec.Task != "" {
		e.Task = web.Link{Text: rec.Task, Href: b.taskURL(rec.Task)}
	}
	return e, nil
}

// sealedFacts says how long the ledger is and how far it is sealed. It reads two records at most:
// whoever wants all of them checked does that beside the server.
func (s *Server) sealedFacts(ctx context.Context, view *web.ConsoleItem) error {
	last, sealed := s.lastCheckpoint(ctx)
	size, head, err := s.store.Head(ctx)
	if err != nil {
		return err
	}
	if sealed == nil {
		sealed = s.continues(ctx, last, size, head)
	}
	switch {
	case errors.Is(sealed, errLedgerAltered):
		view.State = web.Chip{Text: say(ctx, textAltered), Tone: web.ToneBad, Icon: "alert"}
	case sealed != nil:
		return sealed
	case last.Size == 0:
		view.State = web.Chip{Text: say(ctx, textNotSealed), Tone: web.ToneInfo, Icon: "info"}
	default:
		view.State = web.Chip{Text: say(ctx, textLastSealed, last.At.UTC().Format(time.TimeOnly)), Tone: web.ToneOK, Icon: "check"}
	}
	view.Facts = []web.Fact{{Name: say(ctx, textSize), Cells: []web.Cell{{Text: strconv.FormatInt(size, 10)}}}}
	if size > 0 {
		view.Facts = append(view.Facts, web.Fact{Name: say(ctx, textHead), Cells: []web.Cell{{Text: head.String()}}})
	}
	if last.Size > 0 {
		view.Facts = append(view.Facts, web.Fact{Name: say(ctx, textSealed), Cells: []web.Cell{{Text: clock(ctx, last.At), Note: say(ctx, textSealedOf, last.Size)}}})
	}
	view.Facts = append(view.Facts, web.Fact{Name: say(ctx, textVerify), Cells: []web.Cell{{Text: say(ctx, textVerifyNote)}}})
	return nil
}

// ledgerFilter is the form of the filter, as it stands.
func (s *Server) ledgerFilter(ctx context.Context, said []string, q url.Values) (*web.Filter, error) {
	resources, err := s.store.Resources(ctx)
	if err != nil {
		return nil, err
	}
	places := web.Pick{Name: web.FieldResource, Label: say(ctx, "Resource"), Options: []web.Option{{Text: say(ctx, textAnyResource), Selected: q.Get("resource") == ""}}}
	for _, res := range resources {
		places.Options = append(places.Options, web.Option{Value: res.URI, Text: res.Name, Selected: res.URI == q.Get("resource")})
	}
	f := &web.Filter{
		Action: s.base + "/admin/ledger", Picks: []web.Pick{places},
		Texts: []web.TextField{
			{Name: web.FieldKind, Label: say(ctx, textKindOf), Value: q.Get("kind")},
			{Name: web.FieldTask, Label: say(ctx, "Task"), Value: q.Get("task")},
			{Name: web.FieldUser, Label: say(ctx, "User (e-mail or id)"), Value: q.Get("user")},
			{Name: web.FieldRequest, Label: say(ctx, "Request"), Value: q.Get("request")},
		},
	}
	s.narrowed(f, "/admin/ledger", said)
	return f, nil
}

// exportLinks lead to what the filter selects as a file of each format; of the ledger also with values, for
// a person who may read them.
func (s *Server) exportLinks(ctx context.Context, d *desk, path string, said []string) web.Exports {
	e := web.Exports{Note: say(ctx, textExportNote, exportRows)}
	for _, f := range []struct{ format, name string }{{"csv", "CSV"}, {"json", "JSON"}, {"jsonl", "JSON Lines"}, {"ocsf", "OCSF"}} {
		e.Links = append(e.Links, web.Link{Text: f.name, Href: s.at(path, append(said[:len(said):len(said)], "format", f.format)...)})
	}
	if d == nil || !d.readArgs {
		return e
	}
	for _, f := range []struct{ format, name string }{{"csv", "CSV"}, {"json", "JSON"}} {
		e.Links = append(e.Links, web.Link{Text: say(ctx, textExportArgs, f.name), Href: s.at(path, append(said[:len(said):len(said)], "format", f.format, queryValues, "true")...)})
	}
	return e
}
