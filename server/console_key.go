package server

import (
	"context"
	"net/http"
	"strings"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/web"
)

// killable is the signing key of this id, unless it is none or dead.
func (s *Server) killable(ctx context.Context, kid string) (store.Key, error) {
	keys, err := s.store.Keys(ctx)
	if err != nil {
		return store.Key{}, err
	}
	for _, k := range keys {
		if k.ID == kid && kid != "" && canKill(k) {
			return k, nil
		}
	}
	return store.Key{}, store.ErrKeyNotFound
}

// canKill reports whether the key signs, did or will, and is not dead yet.
func canKill(k store.Key) bool { return k.Use == useSign && k.KilledAt.IsZero() }

// typedOfKey is what a person types of a key's id before it is killed.
func typedOfKey(kid string) string { return kid[:min(8, len(kid))] }

// justSignedIn reports whether this is the person, and not somebody at a screen that was left alone.
func (s *Server) justSignedIn(d *desk) bool { return s.now().Sub(d.AuthTime) <= freshSignIn }

// consoleKey serves GET /admin/key?kid=…: what killing the key would do, to whoever has just signed in.
func (s *Server) consoleKey(w http.ResponseWriter, r *http.Request, d *desk) error {
	ctx := r.Context()
	key, err := s.killable(ctx, r.URL.Query().Get(web.FieldKeyID))
	if err != nil {
		return err
	}
	if !s.justSignedIn(d) {
		return s.signInPage(w, r, http.StatusUnauthorized, d.User.Email, say(ctx, textSignInToKill), "", r.URL.RequestURI())
	}
	running, err := s.countTasks(ctx, store.TaskFilter{State: store.TaskActive})
	if err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, web.ConsoleItemPage(web.ConsoleItem{
		Desk: s.desk(ctx, d, "/admin/keys", cli("key kill", on(key.ID), "--reason", "…")), Title: say(ctx, textKillKeyTitle), Back: web.Link{Text: say(ctx, textKeys), Href: s.base + "/admin/keys"},
		State: web.Chip{Text: say(ctx, textNoWayBack), Tone: web.ToneBad, Icon: "alert"},
		Facts: []web.Fact{
			{Name: say(ctx, "Key"), Cells: []web.Cell{{Text: key.ID}}},
			{Name: say(ctx, "State"), Cells: []web.Cell{{Text: string(key.State)}}},
			{Name: say(ctx, "Made"), Cells: []web.Cell{{Text: clock(ctx, key.CreatedAt)}}},
			{Name: say(ctx, textRunningNow), Cells: []web.Cell{{Text: running}}},
		},
		Forms: []web.ConsoleForm{{
			ID: "kill-key", Title: say(ctx, textKillKey), Note: say(ctx, textKillKeyNote), Confirm: typedOfKey(key.ID), Hidden: []web.Field{{Name: web.FieldKeyID, Value: key.ID}},
			Buttons: []web.ConsoleButton{{Text: say(ctx, textKillKey), Action: s.base + "/admin/key/kill", Icon: "stop", Danger: true}},
		}},
	}))
}

// consoleKillKey serves POST /admin/key/kill.
func (s *Server) consoleKillKey(w http.ResponseWriter, r *http.Request, d *desk) error {
	ctx := r.Context()
	reason, err := d.reason(ctx)
	if err != nil {
		return err
	}
	key, err := s.killable(ctx, d.form.Get(web.FieldKeyID))
	switch {
	case err != nil:
		return err
	case !s.justSignedIn(d):
		return forbidden(say(ctx, textSignInToKill))
	case strings.TrimSpace(d.form.Get(web.FieldConfirm)) != typedOfKey(key.ID):
		return &problem{Status: http.StatusConflict, Detail: say(ctx, textRetypeKey, typedOfKey(key.ID))}
	}
	if err := s.killKey(ctx, d.acting, key.ID, reason); err != nil {
		return err
	}
	http.Redirect(w, r, s.at("/admin/keys"), http.StatusSeeOther)
	return nil
}

// keyRow is one key in the list, with the way to kill it for those who may.
func (s *Server) keyRow(ctx context.Context, d *desk, k store.Key) web.TableRow {
	name := web.Cell{Text: k.ID}
	if canKill(k) && d.may(store.RoleAdmin) {
		name.Href = s.at("/admin/key", web.FieldKeyID, k.ID)
	}
	state := web.Cell{Text: string(k.State)}
	if !k.KilledAt.IsZero() {
		state = web.Cell{Chip: web.Chip{Text: string(k.State), Tone: web.ToneBad, Icon: "stop"}, Note: clock(ctx, k.KilledAt)}
	}
	return web.TableRow{Cells: []web.Cell{name, {Text: k.Use}, {Text: k.Algorithm}, state, {Text: clock(ctx, k.CreatedAt)}}}
}
