package server

import (
	"context"
	"net/http"
	"time"

	"github.com/remit-auth/remit/store"
)

// listKeys serves GET /admin/api/keys: never the keys themselves.
func (s *Server) listKeys(w http.ResponseWriter, r *http.Request) error {
	keys, err := s.store.Keys(r.Context())
	if err != nil {
		return err
	}
	type view struct {
		ID        string         `json:"kid"`
		Use       string         `json:"use"`
		Algorithm string         `json:"alg"`
		State     store.KeyState `json:"state"`
		CreatedAt time.Time      `json:"created_at"`
		ActiveAt  *time.Time     `json:"active_at,omitempty"`
		RetiredAt *time.Time     `json:"retired_at,omitempty"`
		KilledAt  *time.Time     `json:"killed_at,omitempty"`
	}
	views := []view{}
	for _, k := range keys {
		views = append(views, view{
			k.ID, k.Use, k.Algorithm, k.State, k.CreatedAt.UTC(), known(k.ActiveAt), known(k.RetiredAt), known(k.KilledAt),
		})
	}
	return writeJSON(w, http.StatusOK, map[string]any{"keys": views})
}

// known is a time that may not have come yet.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// everyKey serves GET /admin/api/keys/jwks: the public half of every key that ever signed, for those
// who verify old checkpoints. Never to be trusted for tokens.
func (s *Server) everyKey(w http.ResponseWriter, _ *http.Request) error {
	jwks, err := s.ring.All().JWKS()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	w.Header().Set("Cache-Control", "no-store")
	_, err = w.Write(jwks)
	return err
}

// rotateKey serves POST /admin/api/keys/rotate: the next key signs from now on, and the former one
// still verifies what it signed.
func (s *Server) rotateKey(w http.ResponseWriter, r *http.Request) error {
	kid, err := s.rotate(r.Context(), atSocket, "")
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, map[string]string{"kid": kid})
}

// adminKillKey serves POST /admin/api/keys/kill: what the key signed is worth nothing from now on.
func (s *Server) adminKillKey(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		ID     string `json:"kid"`
		Reason string `json:"reason"`
	}
	if err := readJSON(r, maxAdminBody, &in); err != nil {
		return err
	}
	if in.ID == "" {
		return bad("kid is missing; see remit key list")
	}
	if err := s.killKey(r.Context(), atSocket, in.ID, in.Reason); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]string{"kid": in.ID, "signer": s.ring.Signer().ID()})
}

// adminRewrapKeys serves POST /admin/api/keys/rewrap.
func (s *Server) adminRewrapKeys(w http.ResponseWriter, r *http.Request) error {
	n, err := s.rewrapKeys(r.Context(), atSocket, "")
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]int{"keys": n})
}

// adminRaiseEpoch serves POST /admin/api/epoch/raise.
func (s *Server) adminRaiseEpoch(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Reason string `json:"reason"`
	}
	if err := readJSON(r, maxAdminBody, &in); err != nil {
		return err
	}
	if in.Reason == "" {
		return bad("reason is missing: say which backup was restored")
	}
	e, ended, err := s.RaiseEpoch(r.Context(), in.Reason)
	if err != nil {
		return err
	}
	s.seal.forget()
	if err := s.Settle(context.WithoutCancel(r.Context())); err != nil {
		return err
	}
	s.behind.clear()
	return writeJSON(w, http.StatusCreated, map[string]any{"epoch": e.N, "at": e.At.UTC(), "records": e.Size, "tasks_ended": ended})
}
