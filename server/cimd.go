package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/remit-auth/remit/server/fetch"
	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
)

// CIMD lets clients be known by a URL under which they publish their metadata
// (draft-ietf-oauth-client-id-metadata-document). The zero value does not.
type CIMD struct {
	Enabled bool
	// Domains are the only hosts whose documents are accepted, for new and for known clients:
	// "agent.example" is that host, "*.agent.example" every host below it. Empty: any.
	Domains []string
}

func (c CIMD) check() error {
	for _, domain := range c.Domains {
		name := strings.TrimPrefix(domain, "*.")
		if name == "" || name != strings.ToLower(name) || strings.ContainsAny(name, "*/:@ ") || strings.Trim(name, ".") != name {
			return fmt.Errorf("server: CIMD domain %q is neither agent.example nor *.agent.example", domain)
		}
	}
	return nil
}

// covers reports whether documents of this host are accepted.
func (c CIMD) covers(host string) bool {
	return len(c.Domains) == 0 || slices.ContainsFunc(c.Domains, func(domain string) bool {
		if below, ok := strings.CutPrefix(domain, "*"); ok {
			return strings.HasSuffix(host, below)
		}
		return host == domain
	})
}

// isDocumentID reports whether a client_id is the URL of a document.
func isDocumentID(id string) bool { return strings.HasPrefix(id, "https://") }

// invalidDocument refuses a client for what its document says, or for where it is.
func invalidDocument(description string, cause error) error {
	return &oauth.Error{Code: oauth.InvalidClient, Description: oauth.Printable(description), Cause: cause}
}

// checkDocumentID refuses client_ids that are not to be fetched (CIMD §3), before any connection.
func (s *Server) checkDocumentID(id string) error {
	u, err := s.strangers.known.Check(id)
	if err != nil {
		return invalidDocument("a client_id that is a URL is https, with a DNS name, an allowed port, a path, and no more", err)
	}
	switch {
	case u.RawQuery != "" || u.ForceQuery: // §3 says SHOULD NOT; one client would have many names
		return invalidDocument("a client_id that is a URL has no query", nil)
	case u.EscapedPath() == "" || u.EscapedPath() == "/":
		return invalidDocument("a client_id that is a URL has a path", nil)
	case hasDotSegment(u.EscapedPath()):
		return invalidDocument("a client_id that is a URL has no dot segments", nil)
	case !s.cimd.covers(u.Hostname()):
		return invalidDocument("clients of this domain are not accepted here", nil)
	}
	return nil
}

// hasDotSegment finds . and .., escaped or not (RFC 3986 §5.2.4).
func hasDotSegment(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if s := strings.ReplaceAll(strings.ToLower(segment), "%2e", "."); s == "." || s == ".." {
			return true
		}
	}
	return false
}

// documentClient returns the client that the document at this URL describes. A document is read
// again when it may have changed; until then, what was stored of it counts.
func (s *Server) documentClient(r *http.Request, id string) (store.Client, error) {
	if !s.cimd.Enabled {
		return store.Client{}, store.ErrClientNotFound
	}
	if err := s.checkDocumentID(id); err != nil {
		return store.Client{}, err
	}
	held, err := s.store.ClientByID(r.Context(), id)
	known := err == nil
	if err != nil && !errors.Is(err, store.ErrClientNotFound) {
		return store.Client{}, err
	}
	if known && (held.Disabled || s.strangers.documents.fresh(id, s.now())) {
		return held, nil
	}
	if !known {
		if err := s.limitNewcomers(r, id); err != nil {
			return store.Client{}, err
		}
	}
	return s.strangers.documents.load(r.Context(), id, s.now, func(ctx context.Context) (store.Client, fetch.Document, error) {
		return s.readClient(ctx, id, known)
	})
}

// limitNewcomers bounds what strangers may have fetched by naming URLs: by their address, by host,
// and in all.
func (s *Server) limitNewcomers(r *http.Request, id string) error {
	u, err := url.Parse(id)
	if err != nil {
		return err
	}
	return s.limit(r.Context(),
		limit{"cimd:address:" + s.clientAddress(r), 0.5, 20},
		limit{"cimd:host:" + u.Host, 0.5, 20},
		limit{"cimd", 5, 100})
}

// readClient fetches the document, judges it and stores it.
func (s *Server) readClient(ctx context.Context, id string, known bool) (store.Client, fetch.Document, error) {
	out := s.strangers.new
	if known {
		out = s.strangers.known
		if err := s.limit(ctx, limit{"cimd:again:" + id, 0.5, 10}); err != nil {
			return store.Client{}, fetch.Document{}, err
		}
	}
	doc, err := out.JSON(ctx, id)
	if err != nil {
		return store.Client{}, doc, documentUnread(err, known)
	}
	metadata, err := s.readDocument(id, doc.Body)
	if err != nil {
		return store.Client{}, doc, err
	}
	rec := store.NewRecord("client.changed", map[string]any{
		"client_name": metadata.ClientName, "auth": metadata.TokenEndpointAuthMethod, "redirect_uris": metadata.RedirectURIs,
	})
	rec.Client = id
	client, err := s.store.PutDocument(ctx, id, metadata, rec)
	return client, doc, err
}

// documentUnread says that a document could not be read, and never what lies behind a name. A client
// that is known keeps its credentials and tries again, when trying again may help.
func documentUnread(err error, known bool) error {
	switch {
	case errors.Is(err, fetch.ErrBusy), known && errors.Is(err, fetch.ErrUnreachable):
		return &oauth.Error{Code: oauth.TemporarilyUnavailable, Description: "the client's metadata document cannot be read now; try again", Cause: err}
	case errors.Is(err, fetch.ErrAnswer):
		return invalidDocument("the client's metadata document could not be read: "+err.Error(), err)
	}
	return invalidDocument("the client's metadata document could not be read", err)
}

// readDocument reads and judges a client metadata document (CIMD §4).
func (s *Server) readDocument(id string, body []byte) (store.ClientMetadata, error) {
	c, err := s.readDocumentMembers(id, body)
	if refused, ok := errors.AsType[*oauth.Error](err); ok {
		return c, invalidDocument("the client's metadata document is not valid: "+refused.Description, err)
	}
	return c, err
}

func (s *Server) readDocumentMembers(id string, body []byte) (store.ClientMetadata, error) {
	m, err := readMembers(body)
	if err != nil {
		return store.ClientMetadata{}, invalidMetadata(err.Error())
	}
	var named string
	if err := m.read("client_id", &named); err != nil {
		return store.ClientMetadata{}, err
	}
	c, err := m.metadata()
	switch {
	case err != nil:
		return c, err
	case named != id: // CIMD §4.1: simple string comparison
		return c, invalidMetadata("its client_id is not the URL that it was read from")
	case m.has("client_secret") || m.has("client_secret_expires_at"): // CIMD §4.1
		return c, invalidMetadata("it has a client_secret, which everybody could read")
	case c.ClientName == "":
		return c, invalidMetadata("client_name is missing")
	}
	c.RedirectURIs = slices.DeleteFunc(c.RedirectURIs, func(uri string) bool { return CheckRedirectURI(uri) != nil })
	if len(c.RedirectURIs) == 0 {
		return c, invalidMetadata("redirect_uris has no URI that is https, http on loopback, or of a private-use scheme")
	}
	if !isWebAddress(c.ClientURI) {
		c.ClientURI = ""
	}
	for _, check := range []func() error{
		func() error { return checkStrangerName(c.ClientName) },
		func() error { return keepServedGrants(&c) },
		func() error { return checkApplicationType(&c) },
		func() error { return chooseDocumentMethod(m, &c) },
		func() error { return s.checkStrangerKeys(c) },
	} {
		if err := check(); err != nil {
			return c, err
		}
	}
	return c, nil
}

// chooseDocumentMethod settles how the client authenticates. The one method and the list, in both of
// its spellings, may stand in a document; of a list the strongest method is held to.
func chooseDocumentMethod(m members, c *store.ClientMetadata) error {
	var listed []string
	for _, name := range []string{"token_endpoint_auth_methods", "token_endpoint_auth_methods_supported"} {
		var methods []string
		if err := m.read(name, &methods); err != nil {
			return err
		}
		listed = append(listed, methods...)
	}
	method := c.TokenEndpointAuthMethod
	for _, named := range append(listed, method) {
		if strings.HasPrefix(named, "client_secret_") { // CIMD §4.1
			return invalidMetadata("a client that publishes its metadata has no secret: use none or private_key_jwt")
		}
	}
	switch {
	case method != "" && len(listed) > 0 && !slices.Contains(listed, method):
		return invalidMetadata("token_endpoint_auth_method is not among the listed methods")
	case method != "":
	case slices.Contains(listed, oauth.AuthPrivateKeyJWT):
		method = oauth.AuthPrivateKeyJWT
	case len(listed) == 0 || slices.Contains(listed, oauth.AuthNone):
		method = oauth.AuthNone
	}
	if method != oauth.AuthNone && method != oauth.AuthPrivateKeyJWT {
		return invalidMetadata("the methods of token_endpoint_auth_method are none and private_key_jwt")
	}
	c.TokenEndpointAuthMethod = method
	return nil
}
