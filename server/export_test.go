package server

import (
	"context"

	"github.com/remit-auth/remit/store"
)

// AdminRoutes lists method and path of the admin API, for the matrix over them.
func (s *Server) AdminRoutes() [][2]string { return methodsAndPaths(s.adminRoutes()) }

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
