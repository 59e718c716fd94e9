package server

import (
	"net/http"
	"strings"
	"time"

	"github.com/remit-auth/remit/store"
)

// switchView is a kill switch as administrators see one.
type switchView struct {
	ID        string            `json:"id"`
	Level     store.Level       `json:"level"`
	Subject   string            `json:"subject,omitempty"`
	Tool      string            `json:"tool,omitempty"`
	State     store.SwitchState `json:"state"`
	By        store.Actor       `json:"by"`
	Person    string            `json:"person,omitempty"`
	Confirmed string            `json:"confirmed_by,omitempty"`
	Reason    string            `json:"reason"`
	CreatedAt time.Time         `json:"created_at"`
	ConfirmBy *time.Time        `json:"confirm_by,omitempty"`
	ThrownAt  *time.Time        `json:"thrown_at,omitempty"`
	Until     *time.Time        `json:"until,omitempty"`
	LiftedAt  *time.Time        `json:"lifted_at,omitempty"`
	Told      []toldView        `json:"told,omitempty"`
}

// toldView is how one resource was told.
type toldView struct {
	Resource string     `json:"resource"`
	At       time.Time  `json:"at"`
	InForce  *time.Time `json:"in_force_at,omitempty"` // as its Guard says
}

func viewSwitch(sw store.Switch) switchView {
	return switchView{
		ID: sw.ID, Level: sw.Level, Subject: sw.Subject, Tool: sw.Tool, State: sw.State, By: sw.By, Person: sw.Person, Confirmed: sw.Second,
		Reason: sw.Reason, CreatedAt: sw.CreatedAt.UTC(), ConfirmBy: known(sw.ConfirmBy), ThrownAt: known(sw.ThrownAt), Until: known(sw.Until), LiftedAt: known(sw.LiftedAt),
	}
}

// listSwitches serves GET /admin/api/switches?all=true.
func (s *Server) listSwitches(w http.ResponseWriter, r *http.Request) error {
	all, err := s.store.Switches(r.Context(), r.URL.Query().Get("all") == "true")
	if err != nil {
		return err
	}
	views := []switchView{}
	for _, sw := range all {
		views = append(views, viewSwitch(sw))
	}
	return writeJSON(w, http.StatusOK, map[string]any{"switches": views})
}

// showSwitch serves GET /admin/api/switches/show?id=…, with where it is in force.
func (s *Server) showSwitch(w http.ResponseWriter, r *http.Request) error {
	id := r.URL.Query().Get("id")
	sw, err := s.store.SwitchByID(r.Context(), id)
	if err != nil {
		return err
	}
	told, err := s.store.SwitchTold(r.Context(), id)
	if err != nil {
		return err
	}
	view := viewSwitch(sw)
	for _, e := range told {
		view.Told = append(view.Told, toldView{e.Resource, e.At.UTC(), known(e.AckedAt)})
	}
	return writeJSON(w, http.StatusOK, view)
}

// addSwitch serves POST /admin/api/switches.
func (s *Server) addSwitch(w http.ResponseWriter, r *http.Request) error {
	var in throwing
	if err := readJSON(r, maxAdminBody, &in); err != nil {
		return err
	}
	sw, err := s.throwSwitch(r.Context(), atSocket, in)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, viewSwitch(sw))
}

// wouldHold serves GET /admin/api/switches/dryrun?level=&subject=&tool=: the tasks that a kill switch
// would stop now.
func (s *Server) wouldHold(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	sw, err := s.aimSwitch(r.Context(), atSocket, throwing{Level: store.Level(q.Get("level")), Subject: q.Get("subject"), Tool: q.Get("tool")})
	if err != nil {
		return err
	}
	tasks, err := s.store.HeldBy(r.Context(), sw)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{"would_hold": taskIDs(tasks)})
}

// switchMove names a switch and why it is moved.
type switchMove struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
}

func readSwitchMove(r *http.Request) (in switchMove, err error) {
	if err = readJSON(r, maxAdminBody, &in); err == nil {
		err = checkReason(in.Reason)
	}
	if err == nil && strings.TrimSpace(in.Reason) == "" {
		err = bad("reason is missing: say why, for the ledger")
	}
	return in, err
}

// confirmSwitch serves POST /admin/api/switches/confirm.
func (s *Server) confirmSwitch(w http.ResponseWriter, r *http.Request) error {
	in, err := readSwitchMove(r)
	if err != nil {
		return err
	}
	sw, err := s.secondSwitch(r.Context(), atSocket, in.ID, in.Reason)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, viewSwitch(sw))
}

// liftSwitch serves POST /admin/api/switches/lift.
func (s *Server) liftSwitch(w http.ResponseWriter, r *http.Request) error {
	in, err := readSwitchMove(r)
	if err != nil {
		return err
	}
	sw, err := s.takeBack(r.Context(), atSocket, in.ID, in.Reason)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, viewSwitch(sw))
}
