package server

import (
	"context"
	"net/http"
	"os"
	"regexp"
	"testing"

	"github.com/remit-auth/remit/consent"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens/resource/policy"
)

// AdminRoutes lists method and path of the admin API, for the matrix over them.
func (s *Server) AdminRoutes() [][2]string { return methodsAndPaths(s.adminRoutes(atSocket)) }

// AdminWithoutArgs is the admin API as one who may not read arguments would be answered.
func (s *Server) AdminWithoutArgs() http.Handler {
	return named(s.adminFor(acting{by: store.ByAdmin, role: store.RoleAdmin}))
}

// PublicRoutes lists method and path of the public side.
func (s *Server) PublicRoutes() [][2]string { return methodsAndPaths(s.publicRoutes()) }

func methodsAndPaths(routes []route) (all [][2]string) {
	for _, rt := range routes {
		all = append(all, [2]string{rt.method, rt.path})
	}
	return all
}

// ForgetClients is what Run does every minute.
func (s *Server) ForgetClients(ctx context.Context) error { return s.forgetClients(ctx) }

// ReadDocument and ReadRegistration judge what a client says of itself.
func (s *Server) ReadDocument(id string, body []byte) (store.ClientMetadata, error) {
	return s.readDocument(id, body)
}

func (s *Server) ReadRegistration(ctx context.Context, body []byte) (store.ClientMetadata, error) {
	return s.readRegistration(ctx, body)
}

// FindingKinds are the kinds of finding that these files of the server record.
func FindingKinds(t *testing.T, files ...string) (kinds []string) {
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\.finding\([^"]*"([a-z_]+)"|NewRecord\("finding\.([a-z_]+)"`).FindAllSubmatch(src, -1) {
			kinds = append(kinds, "finding."+string(m[1])+string(m[2]))
		}
	}
	if len(kinds) < 5 {
		t.Fatalf("only %v found", kinds)
	}
	return kinds
}

// FindingText is what the console says of a finding.
func FindingText(kind string) (title, why string) {
	title, why, _ = findingText(context.Background(), store.NewRecord(kind, nil))
	return title, why
}

// ApplyRules is what Run does every second.
func (s *Server) ApplyRules(ctx context.Context) error { return s.applyRules(ctx) }

// RotateKeys is what Run does every second.
func (s *Server) RotateKeys(ctx context.Context) error { return s.rotateKeys(ctx) }

// ReloadKeys too.
func (s *Server) ReloadKeys(ctx context.Context) error { return s.ring.Reload(ctx) }

// Offered is what the policy lets a user with these roles be offered, for this request of this client.
func Offered(p *policy.Policy, ask consent.Ask, client store.Client, roles []string, res store.Resource) consent.Offer {
	return consent.NewOffer(ask, res, newRights(p, ask, client, roles), 0)
}

// TellNobody ends the messages to users, which are read and sent beside requests.
func (s *Server) TellNobody() {
	s.pushes.Close()
	s.pushes = nil
}
