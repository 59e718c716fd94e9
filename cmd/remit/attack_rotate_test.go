package main_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// ringKey is what an instance tells of a key.
type ringKey struct {
	ID         string `json:"kid"`
	Use, State string
}

// signingKeys are the keys that sign, have signed or will.
func (w *world) signingKeys(t *testing.T) []ringKey {
	t.Helper()
	var all struct{ Keys []ringKey }
	if err := json.Unmarshal(w.admin(t, "/admin/api/keys"), &all); err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all.Keys, func(k ringKey) bool { return k.Use != "sig" })
}

// rotations counts what the ledger tells of keys that were rotated.
func (w *world) rotations(t *testing.T) (n int) {
	t.Helper()
	w.records(t, "kind=key.rotated", 0, func(entry) { n++ })
	return n
}

// rotates returns what lets these admins rotate the keys, each from the page that is open before them.
func (w *world) rotates(t *testing.T, admins ...*blackbox.Browser) func(racer int) (blackbox.Response, error) {
	t.Helper()
	var all []func(blackbox.Form) (blackbox.Response, error)
	var forms []blackbox.Form
	for _, b := range admins {
		at := w.sees(t, b, "/admin/keys")
		i := slices.IndexFunc(at.Page.Forms, func(f blackbox.PageForm) bool { return strings.HasSuffix(f.Action, "/admin/rotate") })
		if i < 0 {
			t.Fatalf("the page of keys has no form to rotate them: %s", at.Response)
		}
		all = append(all, w.submitsAs(t, at.Page, at.Page.Forms[i], b.Cookies()))
		forms = append(forms, at.Page.Forms[i].Filled().Set("reason", "leaver"))
	}
	return func(racer int) (blackbox.Response, error) {
		i := racer / len(w.all()) % len(admins) // each admin at each instance
		return all[i](forms[i])
	}
}

// oneNewKey lets the admins rotate at once, and checks that the next key signs, that one new key stands
// behind it, and that who came too late was told so.
func (w *world) oneNewKey(t *testing.T, rotate func(racer int) (blackbox.Response, error)) {
	t.Helper()
	before := w.signingKeys(t)
	done := 0
	for _, res := range settled(t, racers, rotate) {
		switch sane(t, res); res.Status {
		case http.StatusSeeOther:
			done++
		case http.StatusConflict: // the next key is too new to sign
		default:
			t.Errorf("neither rotated nor too late: %s", res)
		}
	}
	after := w.signingKeys(t)
	if done == 0 || len(after) != len(before)+1 {
		t.Errorf("%d of %d were told that they rotated, and there are %d keys where there were %d", done, racers, len(after), len(before))
	}
	if next := only(t, before, "next"); only(t, after, "active") != next || only(t, after, "next") == next {
		t.Errorf("%s was to sign, with a new key behind it, and %s does", next, only(t, after, "active"))
	}
}

// only is the one key that is in this state.
func only(t *testing.T, keys []ringKey, state string) string {
	t.Helper()
	var found []string
	for _, k := range keys {
		if k.State == state {
			found = append(found, k.ID)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%s: %v", state, keys)
	}
	return found[0]
}

// raceRotations: two admins rotate the keys from many windows at once, again and again: one new key each
// time. In between the keys are made older than they are: one rotates again when everybody knows the next key.
func raceRotations(t *testing.T, w *world) {
	rotate := w.rotates(t, w.person(t, "first-chief", "admin"), w.person(t, "second-chief", "admin"))
	told := w.rotations(t)
	for range rounds {
		w.behind(t, "UPDATE keys SET created_at = created_at - 70000000")
		if w.oneNewKey(t, rotate); t.Failed() {
			return
		}
	}
	eventually(t, blackbox.Timeout, "the ledger tells of each", func() bool { return w.rotations(t) >= told+rounds })
	if n := w.rotations(t); n != told+rounds {
		t.Errorf("the ledger tells of %d rotations, there were %d", n-told, rounds)
	}
	jot(t, "one new key each time, and one record")
	eventually(t, blackbox.Timeout, "every instance publishes the keys", func() bool {
		for _, p := range w.all() {
			res, err := blackbox.Get(t.Context(), "http://"+p.listen+"/jwks")
			if err != nil || !bytes.Contains(res.Body, []byte(only(t, w.signingKeys(t), "next"))) {
				return false
			}
		}
		return true
	})
	f := w.token(t)
	eventually(t, blackbox.Timeout, "a Guard has read the key that signs, which was published for no minute before", func() bool {
		res, err := w.r1.Call(t.Context(), f.Key, f.Access(), "get_ticket", readArguments)
		return err == nil && res.Status == http.StatusOK
	})
	jot(t, goodAfter)
}

// rc7: two admins rotate at once: one new key, and nothing that is valid is refused.
func rc7(t *testing.T, s *staff) {
	f := s.token(t)
	deputy := s.person(t, "deputy", "admin")
	s.oneNewKey(t, s.rotates(t, s.admin, deputy))
	s.remit(t, nil, "", "user", "role", "--email", deputy.Email, "--console-role", "user") // other rows are about the last admin
	jot(t, "one new key")
	s.works(t, f)
	good(t, f, (*blackbox.Flow).Refresh)
	s.works(t, f)
	s.works(t, s.token(t))
}
