package fetch_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/remit-auth/remit/server/fetch"
)

// TestKeys: key sets may be larger than documents, and end somewhere too.
func TestKeys(t *testing.T) {
	for name, tt := range map[string]struct {
		size int
		want error
	}{
		"larger than a document": {fetch.MaxBody + 1, nil}, "the largest": {fetch.MaxKeys, nil}, "a byte more": {fetch.MaxKeys + 1, fetch.ErrAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, serve(strings.Repeat("a", tt.size)))
			doc, err := s.client(nil).Keys(context.Background(), s.At("agent.example.com", "/jwks"))
			if !errors.Is(err, tt.want) || err == nil && len(doc.Body) != tt.size {
				t.Errorf("%d bytes, %v", len(doc.Body), err)
			}
		})
	}
}

// TestNamedByAnAdmin: what an admin named may be at a private address and on any port; a stranger's
// URL may not, and neither is read without https.
func TestNamedByAnAdmin(t *testing.T) {
	s := newSite(t, serve(`{"keys":[]}`))
	strict := func(named bool) *fetch.Client {
		return s.client(func(c *fetch.Config) { c.Ports, c.InsecureLoopback, c.Named = nil, false, named })
	}
	address := s.At("agent.example.com", "/jwks")
	if _, err := strict(true).Keys(context.Background(), address); err != nil {
		t.Errorf("named: %v", err)
	}
	if _, err := strict(false).Keys(context.Background(), address); !errors.Is(err, fetch.ErrAddress) {
		t.Errorf("a stranger's: %v", err)
	}
	if _, err := strict(true).Keys(context.Background(), "http://"+strings.TrimPrefix(address, "https://")); !errors.Is(err, fetch.ErrAddress) {
		t.Errorf("without TLS: %v", err)
	}
}
