package server

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/remit-auth/remit/server/export"
	"github.com/remit-auth/remit/store"
)

// Lists leave the console and the admin API as files, a page at a time, so that a long one costs no
// more memory than a short one. Values of arguments are among what is written only where the request asks
// for them and its reader may read them.
const (
	exportRows   = 100_000 // the newest
	exportedPage = 500
)

// exportHeader tells how many rows the file holds at most.
const exportHeader = "Remit-Export-Limit"

// exportTypes are the media types of the formats.
var exportTypes = map[string]string{
	"csv": "text/csv; charset=utf-8", "json": "application/json", "jsonl": "application/x-ndjson", "ocsf": "application/x-ndjson",
}

// exporting is what a request says about the file that it wants.
type exporting struct {
	format string
	most   int
	values bool // of arguments
}

// queryValues asks for the values of arguments too.
const queryValues = "values"

func readExporting(q url.Values) (e exporting, err error) {
	if e.format = q.Get("format"); !slices.Contains(export.Formats, e.format) {
		return e, bad("format is one of " + strings.Join(export.Formats, ", "))
	}
	e.most, err = queryInt(q.Get("limit"), exportRows, exportRows)
	return e, err
}

// readRecordsExporting is readExporting for records, which may be asked for with values.
func readRecordsExporting(a acting, q url.Values) (e exporting, err error) {
	if e, err = readExporting(q); err != nil {
		return e, err
	}
	switch e.values = q.Get(queryValues) == "true"; {
	case e.values && !a.readArgs:
		return e, forbidden("this account may not read arguments (audit.read_args); leave values out")
	case e.values && e.format == "ocsf":
		return e, bad("OCSF events hold no values of arguments; choose another format")
	}
	return e, nil
}

// sendExport writes what next returns, until that is nothing or the most. A failure on the way breaks
// the connection off, so that nobody takes a part for the whole.
func sendExport[T any](w http.ResponseWriter, name string, e exporting, begin func(string, io.Writer) (export.Writer[T], error), next func(limit int) ([]T, error)) error {
	page, err := next(min(exportedPage, e.most))
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", exportTypes[e.format])
	h.Set("Content-Disposition", `attachment; filename="`+name+`.`+e.format+`"`)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set(exportHeader, strconv.Itoa(e.most))
	conn := http.NewResponseController(w)
	out, err := begin(e.format, w)
	for n := 0; err == nil && len(page) > 0; {
		conn.SetWriteDeadline(time.Now().Add(frameDeadline)) // the machine's time, whatever the server's clock says
		for _, one := range page {
			if err = out.Write(one); err != nil {
				break
			}
		}
		if n += len(page); err != nil || n >= e.most {
			break
		}
		page, err = next(min(exportedPage, e.most-n))
	}
	if err == nil {
		err = out.Close()
	}
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	return nil
}

// sendTasks writes the tasks that the filter selects, newest first.
func (s *Server) sendTasks(w http.ResponseWriter, r *http.Request, f store.TaskFilter) error {
	e, err := readExporting(r.URL.Query())
	if err != nil {
		return err
	}
	return sendExport(w, "remit-tasks", e, export.NewTasks, func(limit int) (rows []export.Task, err error) {
		f.Limit = limit
		tasks, err := s.store.TaskList(r.Context(), f)
		for _, t := range tasks {
			rows, f.Before = append(rows, taskRow(t)), t.ID
		}
		return rows, err
	})
}

func taskRow(t store.Task) export.Task {
	row := export.Task{
		ID: t.ID, Parent: t.Parent, User: t.UserID, Client: t.ClientID, Agent: t.JKT, Resources: []string{}, Purpose: t.Purpose, State: string(t.State),
		SuspendedBy: string(t.SuspendedBy), Reason: t.Reason, MaxCalls: t.MaxCalls, CallsUsed: t.CallsUsed,
		CreatedAt: t.CreatedAt.UTC(), SeenAt: t.SeenAt.UTC(), EndsAt: t.EndsAt.UTC(), EndedAt: t.EndedAt.UTC(),
	}
	for _, leg := range t.Roles {
		row.Resources = append(row.Resources, leg.Resource)
	}
	return row
}

// sendRecords writes the ledger's records that the filter selects, newest first.
func (s *Server) sendRecords(w http.ResponseWriter, r *http.Request, a acting, f store.RecordFilter) error {
	e, err := readRecordsExporting(a, r.URL.Query())
	if err != nil {
		return err
	}
	if err := s.sequence(r.Context()); err != nil { // what has just happened, too
		return err
	}
	over := false
	return sendExport(w, "remit-ledger", e, export.New, func(limit int) (rows []export.Record, err error) {
		for f.Limit = limit; len(rows) == 0 && !over && err == nil; over = over || f.Before == 0 {
			var recs []store.Record
			recs, f.Before, err = s.store.RecordsBefore(r.Context(), f)
			for _, rec := range recs {
				rows = append(rows, recordRow(a, rec, e.values))
			}
		}
		return rows, err
	})
}

func recordRow(a acting, rec store.Record, values bool) export.Record {
	a.readArgs = a.readArgs && values // who does not ask for them does not get them
	v := viewRecord(a, rec)
	row := export.Record{
		Seq: v.Seq, At: v.At, Kind: v.Kind, Task: v.Task, User: v.User, Client: v.Client, Agent: v.Agent, Resource: v.Resource,
		JTI: v.JTI, Execution: v.Execution, Request: v.Request, Payload: v.Payload, Hash: v.Hash,
	}
	var p struct {
		Values json.RawMessage `json:"values"`
	}
	if values && json.Unmarshal(v.Payload, &p) == nil {
		row.Values = p.Values
	}
	return row
}

// adminExportTasks serves GET /admin/api/tasks/export?format=, with the filter of the list.
func (s *Server) adminExportTasks(w http.ResponseWriter, r *http.Request) error {
	f, err := s.tasksWanted(r.Context(), r.URL.Query())
	if err != nil {
		return err
	}
	return s.sendTasks(w, r, f)
}

// auditExport serves GET /admin/api/audit/export?format=&task=&user=&kind=&resource=.
func (s *Server) auditExport(w http.ResponseWriter, r *http.Request, a acting) error {
	f, err := s.recordsWanted(r.Context(), r.URL.Query())
	if err != nil {
		return err
	}
	return s.sendRecords(w, r, a, f)
}

// consoleExportTasks serves GET /admin/export/tasks?format=, with the filter of the console's page.
func (s *Server) consoleExportTasks(w http.ResponseWriter, r *http.Request, d *desk) error {
	f, err := s.tasksWanted(r.Context(), readTaskQuery(r.URL.Query()).wanted())
	if err != nil {
		return err
	}
	if err := s.mayExport(r, d, "tasks"); err != nil {
		return err
	}
	return s.sendTasks(w, r, f)
}

// consoleExportLedger serves GET /admin/export/ledger?format=, with the filter of the ledger's page.
func (s *Server) consoleExportLedger(w http.ResponseWriter, r *http.Request, d *desk) error {
	f, err := s.recordsWanted(r.Context(), r.URL.Query())
	if err != nil {
		return err
	}
	if err := s.mayExport(r, d, "ledger"); err != nil {
		return err
	}
	return s.sendRecords(w, r, d.acting, f)
}

// mayExport lets a person have a file now and then, and tells the ledger who took what along.
func (s *Server) mayExport(r *http.Request, d *desk, list string) error {
	e, err := readRecordsExporting(d.acting, r.URL.Query())
	if err != nil {
		return err
	}
	wait, err := s.draw(r, bucket{"export:console:" + d.person, 1.0 / 10, 10})
	if err != nil {
		return err
	}
	if wait > 0 {
		return &problem{Status: http.StatusTooManyRequests, Detail: say(r.Context(), textExportsMany)}
	}
	q := r.URL.Query()
	q.Del("format")
	rec := d.record("console.exported", "", map[string]any{"list": list, "format": e.format, "values_told": e.values, "filter": q.Encode()})
	return s.store.Append(r.Context(), rec)
}
