package server

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/remit-auth/remit/consent"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// enrolmentLife is how long an enrolment code waits for its Guard.
const enrolmentLife = 24 * time.Hour

// resourceView is a resource as administrators see one.
type resourceView struct {
	URI           string     `json:"uri"`
	Name          string     `json:"name"`
	PolicyVersion string     `json:"policy_version,omitempty"`
	Policy        string     `json:"policy,omitempty"`
	Tools         []toolView `json:"tools"`
	GuardID       string     `json:"guard_id,omitempty"`
	AckSeq        int64      `json:"ack_seq"`
	AckAt         *time.Time `json:"ack_at,omitempty"`
	Disabled      bool       `json:"disabled"`
	CreatedAt     time.Time  `json:"created_at"`
}

type toolView struct {
	Name       string          `json:"name"`
	State      string          `json:"state"` // approved, new, changed, removed
	Hash       string          `json:"hash,omitempty"`
	LiveHash   string          `json:"live_hash,omitempty"`
	Definition json.RawMessage `json:"definition,omitempty"`
	Live       json.RawMessage `json:"live,omitempty"`
	DefaultOn  bool            `json:"default_on"`
}

// driftView is what waits at a resource, and how the rest stands.
type driftView struct {
	URI    string          `json:"uri"`
	Drifts []consent.Drift `json:"drift"`
}

// showDrift serves GET /admin/api/resources/drift?uri=…: each tool that is not as it was approved.
func (s *Server) showDrift(w http.ResponseWriter, r *http.Request) error {
	res, err := s.store.ResourceByURI(r.Context(), r.URL.Query().Get("uri"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, driftView{res.URI, consent.Drifts(res.Tools)})
}

// viewResource leaves definitions and policy text out unless full.
func viewResource(res store.Resource, full bool) resourceView {
	v := resourceView{
		URI: res.URI, Name: res.Name, PolicyVersion: res.PolicyVersion, Tools: []toolView{}, GuardID: res.GuardID,
		AckSeq: res.AckSeq, Disabled: res.Disabled, CreatedAt: res.CreatedAt,
	}
	if !res.AckAt.IsZero() {
		v.AckAt = &res.AckAt
	}
	for _, t := range res.Tools {
		tv := toolView{Name: t.Name, State: "approved", Hash: t.Hash, LiveHash: t.LiveHash, DefaultOn: t.DefaultOn}
		switch {
		case t.Gone:
			tv.State = consent.DriftRemoved
		case t.Hash == "":
			tv.State = consent.DriftNew
		case t.LiveHash != "":
			tv.State = consent.DriftChanged
		}
		if full {
			tv.Definition, tv.Live = json.RawMessage(t.Definition), json.RawMessage(t.Live)
		}
		v.Tools = append(v.Tools, tv)
	}
	if full {
		v.Policy = string(res.Policy)
	}
	return v
}

// listResources serves GET /admin/api/resources.
func (s *Server) listResources(w http.ResponseWriter, r *http.Request) error {
	resources, err := s.store.Resources(r.Context())
	if err != nil {
		return err
	}
	views := []resourceView{}
	for _, res := range resources {
		views = append(views, viewResource(res, false))
	}
	return writeJSON(w, http.StatusOK, map[string]any{"resources": views})
}

// showResource serves GET /admin/api/resources/show?uri=…, with definitions and policy.
func (s *Server) showResource(w http.ResponseWriter, r *http.Request) error {
	res, err := s.store.ResourceByURI(r.Context(), r.URL.Query().Get("uri"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, viewResource(res, true))
}

// resourceFile is what an administrator registers: the manifest in it is approved by that.
type resourceFile struct {
	URI       string            `json:"uri"`
	Name      string            `json:"name"`
	Policy    string            `json:"policy"`     // YAML
	Tools     []json.RawMessage `json:"tools"`      // entries of tools/list
	DefaultOn []string          `json:"default_on"` // tools that the consent page may tick
}

// addResource serves POST /admin/api/resources, and answers with the enrolment code, once.
func (s *Server) addResource(w http.ResponseWriter, r *http.Request) error {
	var in resourceFile
	if err := readJSON(r, maxAdminBody, &in); err != nil {
		return err
	}
	res, err := s.resourceFrom(in)
	if err != nil {
		return err
	}
	code := tokens.NewSecret("enrol_")
	res.EnrolHash, res.EnrolExpires = store.HashOf(code), s.now().UTC().Add(enrolmentLife)
	rec := store.NewRecord("resource.added", map[string]any{
		"by": store.ByAdmin, "name": res.Name, "policy": res.PolicyVersion, "tools": hashesByName(res.Tools),
	})
	rec.Resource = res.URI
	if err := s.store.AddResource(r.Context(), res, rec); err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, map[string]any{
		"resource": viewResource(res, false), "enrolment_code": code, "expires_at": res.EnrolExpires,
	})
}

func (s *Server) resourceFrom(in resourceFile) (store.Resource, error) {
	if err := s.checkResourceURI(in.URI); err != nil {
		return store.Resource{}, err
	}
	if n := utf8.RuneCountInString(in.Name); n == 0 || n > 100 || strings.ContainsFunc(in.Name, isControl) {
		return store.Resource{}, bad("name has 1 to 100 characters, none of them a control character")
	}
	m, err := parseManifest(in.Policy, in.Tools)
	if err != nil {
		return store.Resource{}, err
	}
	res := store.Resource{URI: in.URI, Name: in.Name, Policy: m.policy, PolicyVersion: m.version, CreatedAt: s.now().UTC()}
	for _, t := range m.live {
		res.Tools = append(res.Tools, store.Tool{Name: t.Name, Definition: t.Live, Hash: t.LiveHash, DefaultOn: slices.Contains(in.DefaultOn, t.Name)})
	}
	for _, name := range in.DefaultOn {
		if !slices.ContainsFunc(res.Tools, func(t store.Tool) bool { return t.Name == name }) {
			return store.Resource{}, bad("default_on names " + name + ", which is not among the tools")
		}
	}
	return res, nil
}

// checkResourceURI holds the URI to the one spelling that tokens will name as audience (RFC 8707 §2).
func (s *Server) checkResourceURI(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "" || len(raw) > 1000 || !isASCII(raw):
		return bad("uri is the MCP server's public URL, such as https://tickets.example/mcp")
	case u.User != nil || strings.ContainsAny(raw, "#?"):
		return bad("uri has no user, query or fragment")
	case u.Scheme != "https" && !(u.Scheme == "http" && s.insecure && isLoopbackHost(u.Hostname())):
		return bad("uri is https (http on loopback in dev mode alone)")
	case !strings.HasPrefix(raw, u.Scheme+"://"+strings.ToLower(u.Host)):
		return bad("uri is written with scheme and host in lower case, as clients will send it")
	}
	if err := tokens.CheckResourceURI(raw); err != nil {
		return bad("uri: " + err.Error())
	}
	return nil
}

// newEnrolment serves POST /admin/api/resources/enrol: another code, in place of the outstanding one.
func (s *Server) newEnrolment(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		URI string `json:"uri"`
	}
	if err := readJSON(r, maxAdminBody, &in); err != nil {
		return err
	}
	code, expires := tokens.NewSecret("enrol_"), s.now().UTC().Add(enrolmentLife)
	rec := store.NewRecord("enrolment.issued", map[string]any{"by": store.ByAdmin, "expires": expires.Unix()})
	rec.Resource = in.URI
	if err := s.store.NewEnrolment(r.Context(), in.URI, store.HashOf(code), expires, rec); err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, map[string]any{"resource": in.URI, "enrolment_code": code, "expires_at": expires})
}

// approveTool serves POST /admin/api/resources/approve: the live definition with this hash becomes
// the approved one. Who names no hash has not said what they looked at.
func (s *Server) approveTool(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		URI  string `json:"uri"`
		Tool string `json:"tool"`
		Hash string `json:"hash"`
	}
	if err := readJSON(r, maxAdminBody, &in); err != nil {
		return err
	}
	if in.Hash == "" {
		return bad("hash names the definition that is approved; GET /admin/api/resources/drift shows it")
	}
	hash, err := s.approve(r.Context(), atSocket, in.URI, in.Tool, in.Hash, "")
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]string{"uri": in.URI, "tool": in.Tool, "hash": hash})
}

// disableResource serves POST /admin/api/resources/disable: the tasks with a part there end.
func (s *Server) disableResource(w http.ResponseWriter, r *http.Request) error {
	return s.setResourceDisabled(w, r, true)
}

// enableResource serves POST /admin/api/resources/enable; what has ended stays ended.
func (s *Server) enableResource(w http.ResponseWriter, r *http.Request) error {
	return s.setResourceDisabled(w, r, false)
}

func (s *Server) setResourceDisabled(w http.ResponseWriter, r *http.Request, disabled bool) error {
	var in struct {
		URI    string `json:"uri"`
		Reason string `json:"reason"`
	}
	if err := readJSON(r, maxAdminBody, &in); err != nil {
		return err
	}
	if err := checkReason(in.Reason); err != nil {
		return err
	}
	ended, err := s.switchResource(r.Context(), atSocket, in.URI, disabled, in.Reason)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{"uri": in.URI, "disabled": disabled, "ended_tasks": taskIDs(ended)})
}
