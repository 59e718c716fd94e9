package resource

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/remit-auth/remit/tokens/resource/policy"
)

// wellKnown is where a resource's metadata lives (RFC 9728 §3).
const wellKnown = "/.well-known/oauth-protected-resource"

// protectedResource is the metadata (RFC 9728 §2).
type protectedResource struct {
	Resource      string   `json:"resource"`
	Servers       []string `json:"authorization_servers"`
	Scopes        []string `json:"scopes_supported,omitempty"`
	BearerMethods []string `json:"bearer_methods_supported"`
	Name          string   `json:"resource_name,omitempty"`
	DetailTypes   []string `json:"authorization_details_types_supported"`
	ProofAlgs     []string `json:"dpop_signing_alg_values_supported"`
	ProofRequired bool     `json:"dpop_bound_access_tokens_required"`
}

// metadataURL is where clients are sent: the well-known path is put before the resource's own
// (RFC 9728 §3.1).
func metadataURL(resource *url.URL) string {
	return resource.Scheme + "://" + resource.Host + metadataPath(resource)
}

func metadataPath(resource *url.URL) string {
	return wellKnown + strings.TrimSuffix(resource.EscapedPath(), "/")
}

// Metadata serves the protected resource metadata (RFC 9728) at its well-known paths: the one with
// the resource's path and the root one, which some clients try alone.
func (g *Guard) Metadata() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.TrimSuffix(r.URL.EscapedPath(), "/")
		if path != wellKnown && path != g.metadataPath {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*") // public, and read by clients in browsers
		switch r.Method {
		case http.MethodGet, http.MethodHead:
		case http.MethodOptions:
			h.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
			h.Set("Access-Control-Allow-Headers", "Content-Type, MCP-Protocol-Version")
			w.WriteHeader(http.StatusNoContent)
			return
		default:
			h.Set("Allow", "GET, HEAD, OPTIONS")
			http.Error(w, "metadata is read with GET", http.StatusMethodNotAllowed)
			return
		}
		body, err := json.Marshal(g.describe())
		if err != nil {
			http.Error(w, "internal error", http.StatusInternalServerError)
			return
		}
		h.Set("Content-Type", "application/json")
		h.Set("Cache-Control", "max-age=300")
		_, _ = w.Write(body) // nobody is left to tell
	})
}

func (g *Guard) describe() protectedResource {
	return protectedResource{
		Resource: g.resource, Servers: []string{g.issuer}, Scopes: strings.Fields(g.baseline()),
		BearerMethods: []string{"header"}, Name: g.name,
		DetailTypes: []string{"mcp_task", "mcp_tool"}, ProofAlgs: []string{"ES256", "EdDSA"}, ProofRequired: g.rules.Load().Bearer() == policy.BearerNone,
	}
}
