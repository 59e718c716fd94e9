package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource/policy"
)

// maxTools bounds a manifest.
const maxTools = 1000

// manifest is what a Guard offers and enforces, checked.
type manifest struct {
	policy  []byte
	version string
	live    []store.Tool // sorted by name; Live and LiveHash set
}

// manifestBody is a manifest as a Guard sends it.
type manifestBody struct {
	Policy string            `json:"policy"`
	Tools  []json.RawMessage `json:"tools"` // entries of its tools/list
}

// publishManifest serves PUT /manifest. New and changed tools wait for an admin's approval.
func (s *Server) publishManifest(w http.ResponseWriter, r *http.Request) error {
	res, err := s.authenticateGuard(r)
	if err != nil {
		return err
	}
	var in manifestBody
	if err := readJSON(r, maxLargeBody, &in); err != nil {
		return err
	}
	m, err := parseManifest(in.Policy, in.Tools)
	if err != nil {
		return err
	}
	if res, err = s.publish(r.Context(), res, m); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string][]string{"pending_tools": pendingTools(res.Tools)})
}

// publish stores the manifest when it says anything new.
func (s *Server) publish(ctx context.Context, res store.Resource, m manifest) (store.Resource, error) {
	if res.PolicyVersion == m.version && offers(res.Tools, m.live) {
		return res, nil
	}
	rec := store.NewRecord("manifest.published", map[string]any{
		"guard": res.GuardID, "policy": m.version, "tools": hashesByName(m.live),
	})
	rec.Resource = res.URI
	return s.store.PublishManifest(ctx, res.URI, m.policy, m.version, m.live, rec)
}

// parseManifest checks a policy file and tool definitions, each by its own package.
func parseManifest(policyText string, tools []json.RawMessage) (manifest, error) {
	m := manifest{policy: []byte(policyText)}
	p, err := parsePolicy(m.policy)
	if err != nil {
		return manifest{}, &oauth.Error{Code: oauth.InvalidRequest, Description: "policy: " + oauth.Printable(err.Error()), Cause: err}
	}
	if p != nil {
		m.version = p.Version()
	}
	if len(tools) > maxTools {
		return manifest{}, oauth.Refuse(oauth.InvalidRequest, fmt.Sprintf("more than %d tools", maxTools))
	}
	m.live, err = parseTools(tools)
	if err != nil {
		return manifest{}, &oauth.Error{Code: oauth.InvalidRequest, Description: "tools: " + oauth.Printable(err.Error()), Cause: err}
	}
	return m, nil
}

// parsePolicy parses a policy file, limits and all; an empty one is no policy.
func parsePolicy(raw []byte) (*policy.Policy, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	return policy.Parse(raw, checkLimits)
}

// parseTools turns tools/list entries into lines of a manifest, sorted by name.
func parseTools(raw []json.RawMessage) ([]store.Tool, error) {
	live := make([]store.Tool, 0, len(raw))
	for i, entry := range raw {
		d, err := tokens.ParseDefinition(entry)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", i, err)
		}
		canonical, err := d.Canonical()
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", i, err)
		}
		live = append(live, store.Tool{Name: d.Name, Live: canonical, LiveHash: tokens.HashBytes(canonical)})
	}
	slices.SortFunc(live, func(a, b store.Tool) int { return strings.Compare(a.Name, b.Name) })
	for i := 1; i < len(live); i++ {
		if live[i].Name == live[i-1].Name {
			return nil, fmt.Errorf("%s stands twice", live[i].Name)
		}
	}
	return live, nil
}

// pendingTools are the tools that wait for an admin: new ones and changed ones.
func pendingTools(tools []store.Tool) []string {
	pending := []string{}
	for _, t := range tools {
		if t.LiveHash != "" {
			pending = append(pending, t.Name)
		}
	}
	return pending
}

// offers reports whether the stored tools already say all that live says.
func offers(stored, live []store.Tool) bool {
	known := hashesByName(stored)
	return len(known) == len(live) && !slices.ContainsFunc(live, func(t store.Tool) bool { return known[t.Name] != t.LiveHash })
}

// hashesByName is what is offered: a tool that is gone is not.
func hashesByName(tools []store.Tool) map[string]string {
	all := map[string]string{}
	for _, t := range tools {
		if !t.Gone {
			all[t.Name] = liveHash(t)
		}
	}
	return all
}

// liveHash is the hash of what the Guard offers now.
func liveHash(t store.Tool) string {
	if t.LiveHash != "" {
		return t.LiveHash
	}
	return t.Hash
}
