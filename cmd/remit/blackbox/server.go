package blackbox

import (
	"context"
	"fmt"
	"net/url"
	"sync"
)

// Server is an authorization server seen from outside.
type Server struct {
	Issuer    string
	Metadata  Object
	Authorize string
	PAR       string
	Token     string
	Revoke    string
	JWKS      string

	mu    sync.Mutex
	nonce string
}

// Discover reads the server's metadata (RFC 8414 §3).
func Discover(ctx context.Context, issuer string) (*Server, error) {
	res, err := Get(ctx, issuer+"/.well-known/oauth-authorization-server")
	if err != nil {
		return nil, err
	}
	m := Object(res.JSON())
	if res.Status != 200 || m["issuer"] != issuer {
		return nil, fmt.Errorf("blackbox: no metadata of %s: %s", issuer, res)
	}
	text := func(name string) string { s, _ := m[name].(string); return s }
	return &Server{
		Issuer: issuer, Metadata: m,
		Authorize: text("authorization_endpoint"), PAR: text("pushed_authorization_request_endpoint"),
		Token: text("token_endpoint"), Revoke: text("revocation_endpoint"), JWKS: text("jwks_uri"),
	}, nil
}

// Get fetches an address.
func Get(ctx context.Context, address string, headers ...Header) (Response, error) {
	u, err := url.Parse(address)
	if err != nil {
		return Response{}, err
	}
	return Do(ctx, u.Scheme+"://"+u.Host, Request{Method: "GET", Target: u.RequestURI(), Headers: headers})
}

// Post sends a form, with these headers besides its content type.
func Post(ctx context.Context, address string, form Form, headers ...Header) (Response, error) {
	u, err := url.Parse(address)
	if err != nil {
		return Response{}, err
	}
	headers = append([]Header{{"Content-Type", "application/x-www-form-urlencoded"}}, headers...)
	return Do(ctx, u.Scheme+"://"+u.Host, Request{Method: "POST", Target: u.RequestURI(), Headers: headers, Body: []byte(form.Encode())})
}

// DPoP is the header that carries proofs.
func DPoP(proof fmt.Stringer) Header { return Header{"DPoP", proof.String()} }

// FreshNonce asks the server for a nonce (RFC 9449 §8): a good proof without one is sent for a
// code that does not exist, and the challenge is read.
func (s *Server) FreshNonce(ctx context.Context, clientID string) (string, error) {
	form := Form{{"grant_type", "authorization_code"}, {"client_id", clientID}, {"code", "rc_none"}, {"code_verifier", Random(32)}}
	res, err := Post(ctx, s.Token, form, DPoP(NewProof(NewKey(), "POST", s.Token, "", "")))
	if err != nil {
		return "", err
	}
	nonce := res.Header.Get("DPoP-Nonce")
	if nonce == "" {
		return "", fmt.Errorf("blackbox: no nonce offered: %s", res)
	}
	s.Note(res)
	return nonce, nil
}

// Note remembers the nonce of an answer.
func (s *Server) Note(res Response) {
	if n := res.Header.Get("DPoP-Nonce"); n != "" {
		s.mu.Lock()
		s.nonce = n
		s.mu.Unlock()
	}
}

// Known is the newest nonce seen, or empty.
func (s *Server) Known() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.nonce
}

// Proof is a good proof for a POST to this address of the server, with the newest nonce seen.
func (s *Server) Proof(k Key, address string) Proof {
	return NewProof(k, "POST", address, s.Known(), "")
}

// Send posts the form with a good proof, and once more when the server wants a newer nonce.
func (s *Server) Send(ctx context.Context, k Key, address string, form Form) (Response, error) {
	for try := 0; ; try++ {
		res, err := Post(ctx, address, form, DPoP(s.Proof(k, address)))
		if err != nil {
			return res, err
		}
		s.Note(res)
		if try > 0 || res.Code() != "use_dpop_nonce" {
			return res, nil
		}
	}
}
