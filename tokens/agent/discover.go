package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Discovery is what an MCP server says about who may let an agent in.
type Discovery struct {
	Resource string   // RFC 8707 identifier, for the resource parameter
	Name     string   // resource_name, in the server's own words
	Scopes   []string // what its challenge asked for, else its baseline (RFC 9728 scopes_supported)
	Server   Metadata
}

// Metadata is what Remit's agents use of RFC 8414 §2.
type Metadata struct {
	Issuer                string   `json:"issuer"`
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	TokenEndpoint         string   `json:"token_endpoint"`
	PAREndpoint           string   `json:"pushed_authorization_request_endpoint"`
	CodeChallengeMethods  []string `json:"code_challenge_methods_supported"`
	DPoPAlgs              []string `json:"dpop_signing_alg_values_supported"`
	IssParameter          bool     `json:"authorization_response_iss_parameter_supported"`
	TaskEndpoint          string   `json:"remit_task_endpoint"`
	DeviceEndpoint        string   `json:"device_authorization_endpoint"`
}

// Discover asks the MCP server at mcpURL without a token, and follows its challenge to the
// resource's metadata (RFC 9728 §5) and on to its authorization server's (RFC 8414 §3).
func Discover(ctx context.Context, c *http.Client, mcpURL string) (Discovery, error) {
	c = steady(c)
	server, err := checkEndpoint(mcpURL)
	if err != nil {
		return Discovery{}, fmt.Errorf("agent: discover: %w", err)
	}
	challenges, err := probe(ctx, c, server)
	if err != nil {
		return Discovery{}, err
	}
	resource, err := resourceMetadata(ctx, c, server, find(challenges, "resource_metadata"))
	if err != nil {
		return Discovery{}, err
	}
	meta, err := serverMetadata(ctx, c, resource.Servers[0])
	if err != nil {
		return Discovery{}, err
	}
	d := Discovery{Resource: resource.Resource, Name: resource.Name, Scopes: resource.Scopes, Server: meta}
	if scope := find(challenges, "scope"); scope != "" {
		d.Scopes = strings.Fields(scope)
	}
	return d, nil
}

// probe sends a request that an unprotected server would answer, and reads the challenge.
func probe(ctx context.Context, c *http.Client, server *url.URL) ([]Challenge, error) {
	const list = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, server.String(), strings.NewReader(list))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	res, err := c.Do(req)
	if err != nil {
		return nil, fmt.Errorf("agent: discover: %w", err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusUnauthorized {
		return nil, fmt.Errorf("agent: discover: %s answered %d to a request without a token, not 401", server, res.StatusCode)
	}
	return ParseChallenges(res.Header.Values("WWW-Authenticate")), nil
}

// resourceDocument is what is used of RFC 9728 §2.
type resourceDocument struct {
	Resource string   `json:"resource"`
	Name     string   `json:"resource_name"`
	Servers  []string `json:"authorization_servers"`
	Scopes   []string `json:"scopes_supported"`
}

// resourceMetadata fetches the document that the challenge names, or that RFC 9728 §3.1 would.
func resourceMetadata(ctx context.Context, c *http.Client, server *url.URL, named string) (resourceDocument, error) {
	candidates := []string{named}
	if named == "" {
		root := origin(server) + "/.well-known/oauth-protected-resource"
		candidates = []string{root + strings.TrimSuffix(server.Path, "/"), root}
	}
	var last error
	for _, address := range slices.Compact(candidates) {
		u, err := checkEndpoint(address)
		if err != nil || origin(u) != origin(server) {
			return resourceDocument{}, fmt.Errorf("agent: discover: resource metadata of %s cannot be at %s", server, address)
		}
		var doc resourceDocument
		if last = fetch(ctx, c, address, &doc); last != nil {
			continue
		}
		return doc, doc.check(server)
	}
	return resourceDocument{}, last
}

// check holds the document to RFC 9728 §3.3: it must speak of the server that was asked.
func (d resourceDocument) check(server *url.URL) error {
	u, err := checkEndpoint(d.Resource)
	switch {
	case err != nil:
		return fmt.Errorf("agent: discover: resource %q: %w", d.Resource, err)
	case !within(server, u):
		return fmt.Errorf("agent: discover: metadata is about %s, not about %s", d.Resource, server)
	case len(d.Servers) == 0:
		return fmt.Errorf("agent: discover: %s names no authorization server", d.Resource)
	}
	return nil
}

// serverMetadata fetches RFC 8414 metadata, at the forms that MCP's discovery lists, in its order.
func serverMetadata(ctx context.Context, c *http.Client, issuer string) (Metadata, error) {
	u, err := checkEndpoint(issuer)
	if err != nil || u.RawQuery != "" {
		return Metadata{}, fmt.Errorf("agent: discover: %q is no issuer", issuer)
	}
	path := strings.TrimSuffix(u.Path, "/")
	candidates := []string{
		origin(u) + "/.well-known/oauth-authorization-server" + path,
		origin(u) + "/.well-known/openid-configuration" + path,
	}
	if path != "" {
		candidates = append(candidates, origin(u)+path+"/.well-known/openid-configuration")
	}
	var last error
	for _, address := range candidates {
		var m Metadata
		if last = fetch(ctx, c, address, &m); last != nil {
			continue
		}
		return m, m.check(issuer)
	}
	return Metadata{}, last
}

// check refuses metadata that is about another issuer or lacks what a task needs.
func (m Metadata) check(issuer string) error {
	if m.Issuer != issuer { // RFC 8414 §3.3: identical, by simple comparison
		return fmt.Errorf("agent: discover: metadata says issuer %q, expected %q", m.Issuer, issuer)
	}
	for _, endpoint := range []string{m.AuthorizationEndpoint, m.TokenEndpoint, m.PAREndpoint} {
		if _, err := checkEndpoint(endpoint); err != nil {
			return fmt.Errorf("agent: discover: endpoint of %s: %w", issuer, err)
		}
	}
	if !slices.Contains(m.CodeChallengeMethods, "S256") {
		return fmt.Errorf("agent: discover: %s does not offer PKCE with S256", issuer)
	}
	if !slices.Contains(m.DPoPAlgs, "ES256") {
		return fmt.Errorf("agent: discover: %s does not offer DPoP with ES256", issuer)
	}
	if m.TaskEndpoint != "" {
		if _, err := checkEndpoint(m.TaskEndpoint); err != nil {
			return fmt.Errorf("agent: discover: task endpoint of %s: %w", issuer, err)
		}
	}
	return nil
}

func fetch(ctx context.Context, c *http.Client, address string, v any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	res, err := c.Do(req)
	if err != nil {
		return fmt.Errorf("agent: discover: %w", err)
	}
	if err := answer(res, http.StatusOK, v); err != nil {
		return errors.Join(fmt.Errorf("agent: discover: %s", address), err)
	}
	return nil
}
