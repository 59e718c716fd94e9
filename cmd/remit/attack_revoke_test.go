package main_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// TestAttackRevoke plays section 4.8 of the catalogue, as far as one server and no sub-tasks go.
func TestAttackRevoke(t *testing.T) {
	play(t, map[string]row{"RV1": rv1, "RV2": rv2, "RV3": rv3, "RV4": rv4, "RV5": rv5, "RV6": rv6, "RV7": rv7, "RV8": rv8, "RV9": rv9})
}

// revoke sends a revocation of a public client (RFC 7009 §2.1).
func (w *world) revoke(t *testing.T, clientID, token string, more ...blackbox.Param) blackbox.Response {
	t.Helper()
	res, err := blackbox.Post(t.Context(), w.server.Revoke, append(blackbox.Form{{Name: "client_id", Value: clientID}, {Name: "token", Value: token}}, more...))
	if err != nil {
		t.Fatal(err)
	}
	sane(t, res)
	return res
}

// complete says that the agent has finished (DESIGN §4, End).
func (w *world) complete(t *testing.T, f *blackbox.Flow) blackbox.Response {
	t.Helper()
	return w.atTask(t, f, "/complete", f.Key)
}

func (w *world) atTask(t *testing.T, f *blackbox.Flow, verb string, key blackbox.Key, headers ...blackbox.Header) blackbox.Response {
	t.Helper()
	address := w.issuer + "/tasks/" + f.TaskID() + verb
	if headers == nil {
		headers = []blackbox.Header{{Name: "Authorization", Value: "DPoP " + f.Access()}}
	}
	for try := 0; ; try++ {
		proof := blackbox.NewProof(key, "POST", address, w.server.Known(), f.Access())
		res, err := blackbox.Do(t.Context(), w.issuer, blackbox.Request{Method: "POST", Target: strings.TrimPrefix(address, w.issuer), Headers: append(headers, blackbox.DPoP(proof))})
		if err != nil {
			t.Fatal(err)
		}
		sane(t, res)
		w.server.Note(res)
		if try > 0 || res.Code() != "use_dpop_nonce" {
			return res
		}
	}
}

// alive checks that refresh and access token of a flow are good.
func (w *world) alive(t *testing.T, f *blackbox.Flow) {
	t.Helper()
	w.works(t, f)
	good(t, f, (*blackbox.Flow).Refresh)
}

func rv1(t *testing.T, w *world) {
	for name, of := range map[string]func(*blackbox.Flow) string{
		"access token": (*blackbox.Flow).Access, "refresh token": (*blackbox.Flow).RefreshToken,
		"unknown": func(*blackbox.Flow) string { return "rr_" + blackbox.Random(32) }, "malformed": func(*blackbox.Flow) string { return "a.b.c" }, "garbage": func(*blackbox.Flow) string { return "\x01" },
	} {
		t.Run(name, func(t *testing.T) {
			f := w.token(t)
			if res := w.revoke(t, f.ClientID, of(f)); res.Status != http.StatusOK || len(res.Body) != 0 || !strings.Contains(res.Header.Get("Cache-Control"), "no-store") {
				t.Errorf("%s", res)
			}
			switch name {
			case "access token":
				w.refusedBy(t, w.r1, f)
				good(t, f, (*blackbox.Flow).Refresh)
				w.works(t, f)
			case "refresh token":
				w.dead(t, f)
			default:
				w.alive(t, f)
			}
		})
	}
	f := w.token(t)
	E("invalid_request").check(t, w.revoke(t, f.ClientID, ""))
	E401().check(t, w.revoke(t, "cli_aaaaaaaaaaaaaaaaaaaaaaaaaa", f.RefreshToken()))
	w.alive(t, f)
}

// rv2: a refresh token takes its access tokens with it, whichever generation it is.
func rv2(t *testing.T, w *world) {
	f := w.token(t)
	w.works(t, f)
	w.revoke(t, f.ClientID, f.RefreshToken())
	w.dead(t, f)
	g := w.token(t)
	former := g.RefreshToken()
	must(t, g, (*blackbox.Flow).Refresh)
	w.revoke(t, g.ClientID, former)
	w.dead(t, g)
}

// rv3: another client's tokens are left alone, and the ledger tells who tried.
func rv3(t *testing.T, w *world) {
	f := w.token(t)
	for name, token := range map[string]string{"refresh token": f.RefreshToken(), "access token": f.Access()} {
		t.Run(name, func(t *testing.T) {
			w.refuses(t, E("unauthorized_client").or(200), func() (blackbox.Response, error) { return w.revoke(t, w.b, token), nil })
		})
	}
	t.Run("without authentication of C", func(t *testing.T) {
		w.refuses(t, E401(), func() (blackbox.Response, error) { return w.revoke(t, w.c, f.RefreshToken()), nil })
	})
	const kind = "finding.revocation_by_another_client"
	story := w.story(t, f.TaskID(), func(e entry) bool { return e.Kind == kind })
	for _, e := range story {
		if e.Kind == kind && (e.text("presented_by") != w.b || e.Client != f.ClientID || e.User == "" || e.Agent != f.Key.JKT()) {
			t.Errorf("the finding does not say who: %+v", e)
		}
		if e.Kind == "task.ended" || e.Kind == "token.revoked" {
			t.Errorf("the ledger tells of an end: %+v", e)
		}
	}
	jot(t, "a finding in the ledger names both clients")
	w.alive(t, f)
}

func rv4(t *testing.T, w *world) {
	for name, hint := range map[string]string{"wrong": "access_token", "unknown": "x"} {
		t.Run(name, func(t *testing.T) {
			f := w.token(t)
			if res := w.revoke(t, f.ClientID, f.RefreshToken(), blackbox.Param{Name: "token_type_hint", Value: hint}); res.Status != http.StatusOK {
				t.Errorf("%s", res)
			}
			w.dead(t, f)
		})
	}
}

// rv5: RFC 7009 asks for no proof; one that comes along must be good.
func rv5(t *testing.T, w *world) {
	f := w.token(t)
	form := blackbox.Form{{Name: "client_id", Value: f.ClientID}, {Name: "token", Value: f.RefreshToken()}}
	w.refuses(t, badProof(), func() (blackbox.Response, error) {
		return blackbox.Post(t.Context(), w.server.Revoke, form, blackbox.DPoP(w.server.Proof(f.Key, w.server.Token)))
	})
	w.alive(t, f)
	form = form.Set("token", f.RefreshToken())
	res, err := w.server.Send(t.Context(), f.Key, w.server.Revoke, form)
	if err != nil || res.Status != http.StatusOK {
		t.Errorf("with a proof: %v %s", err, res)
	}
	w.dead(t, f)
}

// rv6: completing is idempotent, and only the task's own agent can.
func rv6(t *testing.T, w *world) {
	f, other := w.token(t), w.token(t)
	notMine := want{statuses: []int{400, 401, 403, 404}}
	for name, send := range map[string]func() blackbox.Response{
		"another key": func() blackbox.Response { return w.atTask(t, f, "/complete", blackbox.NewKey()) },
		"another task": func() blackbox.Response {
			mixed := *f
			mixed.Issued = f.Issued.With("task_id", other.TaskID())
			return w.complete(t, &mixed)
		},
		"an unknown task": func() blackbox.Response {
			mixed := *f
			mixed.Issued = f.Issued.With("task_id", "tsk_x")
			return w.complete(t, &mixed)
		},
		"as bearer": func() blackbox.Response {
			return w.atTask(t, f, "/complete", f.Key, blackbox.Header{Name: "Authorization", Value: "Bearer " + f.Access()})
		},
		"no token": func() blackbox.Response {
			return w.atTask(t, f, "/complete", f.Key, blackbox.Header{Name: "Accept", Value: "*/*"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w.refuses(t, notMine, func() (blackbox.Response, error) { return send(), nil })
		})
	}
	w.alive(t, f)
	w.alive(t, other)
	for range 2 {
		if res := w.complete(t, f); res.Status != http.StatusOK && res.Status != http.StatusNoContent {
			t.Errorf("complete: %s", res)
		}
	}
	w.dead(t, f)
	w.remit(t, nil, "", "task", "end", other.TaskID())
	if res := w.complete(t, other); res.Status != http.StatusOK && res.Status != http.StatusNoContent {
		t.Errorf("complete after the admin's end: %s", res)
	}
}

// rv7: after the answer to "complete", the resource refuses within promise P1.
func rv7(t *testing.T, w *world) {
	for range size("RV7") {
		f := w.token(t)
		w.complete(t, f)
		w.dead(t, f)
	}
}

// rv9: a token is revoked as what it is, not as how it is spelt.
func rv9(t *testing.T, w *world) {
	for name, spell := range map[string]func(string) string{
		"newline behind it": func(s string) string { return s + "\n" },
		"other last character": func(s string) string { // the last character of 64 bytes in base64url carries 4 unused bits
			const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
			i := strings.IndexByte(alphabet, s[len(s)-1])
			return s[:len(s)-1] + string(alphabet[i^1])
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := w.token(t)
			variant := *f
			variant.Issued = f.Issued.With("access_token", spell(f.Access()))
			res := w.revoke(t, f.ClientID, variant.Access())
			if res.Status != http.StatusOK {
				t.Errorf("%s", res)
			}
			w.refusedBy(t, w.r1, f) // dead with how else it was spelt
			w.refuseVariant(t, &variant)
		})
	}
}

func (w *world) refuseVariant(t *testing.T, f *blackbox.Flow) {
	t.Helper()
	if strings.ContainsAny(f.Access(), "\r\n") {
		return // no header can carry it
	}
	w.refusedBy(t, w.r1, f)
}

// rv8: fifty sub-agents die with their parent.
func rv8(t *testing.T, w *world) {
	c := w.crew(t)
	children := make([]*blackbox.Flow, 50)
	for i := range children {
		children[i] = c.hands(t)
	}
	if res := w.complete(t, c.parent); res.Status != http.StatusOK && res.Status != http.StatusNoContent {
		t.Fatalf("complete: %s", res)
	}
	for _, f := range children {
		w.refusedBy(t, w.r1, f)
		w.inactive(t, w.r1, f.Access())
	}
	w.works(t, w.token(t))
}

// narrows takes all tools but one from a task: its token is dead, and the next is for that tool alone.
func (w *world) narrows(t *testing.T, f *blackbox.Flow) {
	t.Helper()
	search := blackbox.Object{"project": "WEB", "query": "x"}
	if res := w.call(t, f, "search_tickets", search); res.Status != http.StatusOK {
		t.Fatalf("before: %s", res)
	}
	at := w.sees(t, w.mara, "/agents/"+f.TaskID()+"/tools")
	form, ok := at.Page.With("seen")
	if !ok {
		t.Fatalf("no way to narrow %s: %s", f.TaskID(), at.Response)
	}
	if done, err := w.mara.Submit(t.Context(), at.Page, form, form.Filled().Without("tool").Add("tool", "get_ticket")); err != nil || done.Status >= 400 {
		t.Fatalf("narrow: %v %s", err, done.Response)
	}
	w.refusedBy(t, w.r1, f)
	good(t, f, (*blackbox.Flow).Refresh)
	w.works(t, f)
	res := w.call(t, f, "search_tickets", search)
	if seen(t, res); res.Status != http.StatusForbidden {
		t.Errorf("a tool that was taken away: %s", res)
	}
	w.works(t, f)
}
