package server

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/remit-auth/remit/docs"
	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
)

// maxAdminBody bounds what an administrator sends at once: a resource with its manifest.
const maxAdminBody = 2 << 20

// Admin returns the administration of the server, for a listener that only an administrator can
// reach: a unix socket of mode 0600. It is never part of Handler.
func (s *Server) Admin() http.Handler { return named(s.adminFor(atSocket)) }

// adminFor is Admin as one who may read so much is answered.
func (s *Server) adminFor(a acting) http.Handler {
	root := chi.NewRouter()
	for _, rt := range s.adminRoutes(a) {
		root.Method(rt.method, rt.path, rt.serve)
	}
	root.NotFound(s.administer(func(http.ResponseWriter, *http.Request) error {
		return &problem{Status: http.StatusNotFound, Detail: "there is nothing here"}
	}))
	root.MethodNotAllowed(s.administer(func(http.ResponseWriter, *http.Request) error {
		return &problem{Status: http.StatusMethodNotAllowed, Detail: "this method is not served here"}
	}))
	return s.recovered(root, s.administer(func(http.ResponseWriter, *http.Request) error {
		return &problem{Status: http.StatusInternalServerError, Detail: sayPanicked}
	}))
}

// adminRoutes are all that an administrator may ask for. Those that tell the ledger or what was granted
// are told who reads.
func (s *Server) adminRoutes(a acting) []route {
	reading := func(h func(http.ResponseWriter, *http.Request, acting) error) http.HandlerFunc {
		return s.administer(func(w http.ResponseWriter, r *http.Request) error { return h(w, r, a) })
	}
	return []route{
		{"GET", "/admin/api/openapi.yaml", s.administer(s.adminDescription)}, // OpenAPI 3.1
		{"GET", "/admin/api/status", s.administer(s.adminStatus)},
		{"GET", "/admin/api/users", s.administer(s.listUsers)},
		{"POST", "/admin/api/users", s.administer(s.addUser)},
		{"GET", "/admin/api/users/show", s.administer(s.showUser)},
		{"POST", "/admin/api/users/disable", s.administer(s.disableUser)},
		{"POST", "/admin/api/users/enable", s.administer(s.enableUser)},
		{"POST", "/admin/api/users/role", s.administer(s.setRole)},
		{"POST", "/admin/api/users/assign", s.administer(s.assignRole)},
		{"POST", "/admin/api/users/unassign", s.administer(s.unassignRole)},
		{"GET", "/admin/api/clients", s.administer(s.listClients)},
		{"POST", "/admin/api/clients", s.administer(s.addClient)},
		{"POST", "/admin/api/clients/disable", s.administer(s.disableClient)},
		{"POST", "/admin/api/clients/enable", s.administer(s.enableClient)},
		{"POST", "/admin/api/clients/policy", s.administer(s.setClientPolicy)},
		{"POST", "/admin/api/clients/assign", s.administer(s.assignClientRole)},
		{"POST", "/admin/api/clients/unassign", s.administer(s.unassignClientRole)},
		{"POST", "/admin/api/resources/backend", s.administer(s.setBackend)},
		{"GET", "/admin/api/resources", s.administer(s.listResources)},
		{"POST", "/admin/api/resources", s.administer(s.addResource)},
		{"GET", "/admin/api/resources/show", s.administer(s.showResource)},
		{"GET", "/admin/api/resources/drift", s.administer(s.showDrift)},
		{"POST", "/admin/api/resources/enrol", s.administer(s.newEnrolment)},
		{"POST", "/admin/api/resources/approve", s.administer(s.approveTool)},
		{"POST", "/admin/api/resources/disable", s.administer(s.disableResource)},
		{"POST", "/admin/api/resources/enable", s.administer(s.enableResource)},
		{"GET", "/admin/api/resources/access", s.administer(s.showAccess)},
		{"POST", "/admin/api/resources/simulate", s.administer(s.simulateCall)},
		{"GET", "/admin/api/switches", s.administer(s.listSwitches)},
		{"POST", "/admin/api/switches", s.administer(s.addSwitch)},
		{"GET", "/admin/api/switches/show", s.administer(s.showSwitch)},
		{"GET", "/admin/api/switches/dryrun", s.administer(s.wouldHold)},
		{"POST", "/admin/api/switches/confirm", s.administer(s.confirmSwitch)},
		{"POST", "/admin/api/switches/lift", s.administer(s.liftSwitch)},
		{"GET", "/admin/api/dryrun", s.administer(s.wouldEnd)},
		{"GET", "/admin/api/tasks", s.administer(s.listTasks)},
		{"GET", "/admin/api/tasks/export", s.administer(s.adminExportTasks)},
		{"GET", "/admin/api/tasks/show", reading(s.adminTask)},
		{"POST", "/admin/api/tasks/end", s.administer(s.adminEndTask)},
		{"POST", "/admin/api/tasks/reconsent", s.administer(s.adminReconsent)},
		{"POST", "/admin/api/tasks/suspend", s.administer(s.adminSuspendTask)},
		{"POST", "/admin/api/tasks/resume", s.administer(s.adminResumeTask)},
		{"GET", "/admin/api/findings", reading(s.listFindings)},
		{"POST", "/admin/api/findings/dismiss", s.administer(s.adminDismiss)},
		{"GET", "/admin/api/keys", s.administer(s.listKeys)},
		{"GET", "/admin/api/keys/jwks", s.administer(s.everyKey)},
		{"POST", "/admin/api/keys/rotate", s.administer(s.rotateKey)},
		{"POST", "/admin/api/keys/kill", s.administer(s.adminKillKey)},
		{"POST", "/admin/api/keys/rewrap", s.administer(s.adminRewrapKeys)},
		{"POST", "/admin/api/epoch/raise", s.administer(s.adminRaiseEpoch)},
		{"GET", "/admin/api/jwks", s.administer(s.jwks)},
		{"GET", "/admin/api/audit/records", reading(s.auditRecords)},
		{"GET", "/admin/api/audit/export", reading(s.auditExport)},
		{"GET", "/admin/api/audit/checkpoints", s.administer(s.auditCheckpoints)},
	}
}

// administer serves an endpoint whose refusals are RFC 9457 problems.
func (s *Server) administer(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxAdminBody+1)
		err := h(w, r)
		if err == nil {
			return
		}
		p := problemOf(err)
		if p.Status >= http.StatusInternalServerError {
			s.log.Error("administration failed", "request", store.RequestOf(r.Context()), "path", r.URL.Path, "err", err)
		}
		p.write(w)
	}
}

// problem is an RFC 9457 problem. Cause is for the log alone.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	Cause  error  `json:"-"`
}

// Error describes the problem for the log.
func (p *problem) Error() string {
	if p.Cause != nil {
		return p.Detail + ": " + p.Cause.Error()
	}
	return p.Detail
}

func (p *problem) write(w http.ResponseWriter) {
	p.Type, p.Title = "about:blank", http.StatusText(p.Status) // RFC 9457 §4.2.1
	body, err := json.Marshal(p)
	if err != nil {
		body = []byte(`{"type":"about:blank","status":500}`)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	w.Write(append(body, '\n'))
}

// bad refuses what an administrator sent, and says what would do.
func bad(detail string) error { return &problem{Status: http.StatusBadRequest, Detail: detail} }

// problemOf turns an error into what the administrator is told.
func problemOf(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	if e, ok := errors.AsType[*oauth.Error](err); ok {
		return &problem{Status: e.Status(), Detail: e.Description, Cause: e.Cause}
	}
	for _, m := range problems {
		if errors.Is(err, m.inner) {
			return &problem{Status: m.status, Detail: m.text, Cause: err}
		}
	}
	return &problem{Status: http.StatusServiceUnavailable, Detail: "the server could not complete the request; see its log, and try again", Cause: err}
}

// problems lists what an administrator is told of each sentinel of the store.
var problems = []struct {
	inner  error
	status int
	text   string
}{
	{store.ErrUserNotFound, http.StatusNotFound, "there is no such user; see remit user list"},
	{store.ErrUserExists, http.StatusConflict, "a user with this e-mail exists"},
	{store.ErrUserDisabled, http.StatusConflict, "the user is disabled"},
	{store.ErrNoConsoleRole, http.StatusConflict, "the user has no console role, and without one nobody reads arguments: give both at once"},
	{store.ErrLastAdmin, http.StatusConflict, "this is the last admin: make somebody else one first"},
	{store.ErrClientNotFound, http.StatusNotFound, "there is no such client; see remit client list"},
	{store.ErrClientExists, http.StatusConflict, "the client exists"},
	{store.ErrResourceNotFound, http.StatusNotFound, "there is no such resource, tool or definition; see remit resource list"},
	{store.ErrResourceExists, http.StatusConflict, "a resource with this URI exists"},
	{store.ErrTaskNotFound, http.StatusNotFound, "there is no such task; see remit task list"},
	{store.ErrTaskEnded, http.StatusConflict, "the task has ended"},
	{store.ErrKeyNotFound, http.StatusNotFound, "there is no such signing key; see remit key list"},
	{store.ErrKeyChanged, http.StatusConflict, "somebody else has just changed the keys; see remit key list, and try again"},
	{store.ErrSwitchNotFound, http.StatusNotFound, "there is no such kill switch; see remit kill list"},
	{store.ErrSwitchLifted, http.StatusConflict, "the kill switch is not in force, or does not wait any more"},
	{store.ErrSwitchSame, http.StatusForbidden, "another admin than the one who asked for it must confirm the kill switch"},
	{store.ErrSwitched, http.StatusServiceUnavailable, "a kill switch is thrown; see remit kill list"},
	{store.ErrFindingNotFound, http.StatusNotFound, "there is no such finding; see remit finding list"},
	{store.ErrFindingDismissed, http.StatusConflict, "this finding was dismissed before; see remit finding list --dismissed"},
	{store.ErrTaskNotActive, http.StatusConflict, "the task is not active"},
	{store.ErrTaskNotSuspended, http.StatusConflict, "the task is not suspended"},
}

// adminDescription serves GET /admin/api/openapi.yaml: what this API is.
func (s *Server) adminDescription(w http.ResponseWriter, _ *http.Request) error {
	return writeDescription(w)
}

func writeDescription(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "application/yaml") // RFC 9512
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, err := w.Write(docs.OpenAPI)
	return err
}

// adminStatus tells that the server is there, and who it is.
func (s *Server) adminStatus(w http.ResponseWriter, r *http.Request) error {
	size, head, err := s.store.Head(r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{
		"issuer": s.issuer, "ledger_size": size, "ledger_head": head.String(),
		"sealed_size": s.seal.newest().Size, "feeds": s.hubs.listening(),
	})
}
