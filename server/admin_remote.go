package server

import (
	"crypto/hmac"
	"net/http"

	"github.com/remit-auth/remit/store"
)

// RemoteAdmin is Admin for a listener that others can reach too: who bears the token (RFC 6750 §2.1) is
// the operator, as who opens the socket is. It belongs on a connection with TLS, or on loopback.
func (s *Server) RemoteAdmin(token string) http.Handler {
	admin, wanted := s.adminFor(atSocket), store.HashOf(token)
	return named(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given, ok := bearerToken(r)
		hash := store.HashOf(given)
		if !ok || !hmac.Equal(hash[:], wanted[:]) {
			s.log.Warn("administration refused", "request", store.RequestOf(r.Context()), "address", r.RemoteAddr, "path", r.URL.Path)
			w.Header().Set("WWW-Authenticate", "Bearer")
			(&problem{Status: http.StatusUnauthorized, Detail: "this is not the token of REMIT_ADMIN_TOKEN_FILE"}).write(w)
			return
		}
		if r.Method != http.MethodGet {
			s.log.Info("administration", "request", store.RequestOf(r.Context()), "address", r.RemoteAddr, "path", r.URL.Path)
		}
		admin.ServeHTTP(w, r)
	}))
}
