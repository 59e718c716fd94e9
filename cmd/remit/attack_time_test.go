package main_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// TestAttackTime plays the rows where waiting is the attack, against the server's own clock: all
// is prepared at once, and each row is judged when it is old enough. PR7 takes ten minutes, so the
// request is made older in the database of a stopped server instead.
func TestAttackTime(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	w := newWorld(t, v.env(t)...)
	outlived := handsOnLate(t, w) // first: from short on it has to be quick
	start := time.Now()
	published := changing(t, w, v)

	short := w.flow()
	short.Details = withDuration(t, short.Details, 5)
	short.Choice.Duration = 5
	must(t, short, (*blackbox.Flow).ToToken)
	rotated := w.token(t)
	former := rotated.RefreshForm()
	must(t, rotated, (*blackbox.Flow).Refresh)
	used, late := w.token(t), w.code(t)
	nonce, err := w.server.FreshNonce(t.Context(), w.a)
	if err != nil {
		t.Fatal(err)
	}

	t.Run("RF7", func(t *testing.T) {
		plays(t)
		good(t, short, (*blackbox.Flow).Refresh)
		w.works(t, short)
		until(t, start.Add(7*time.Second))
		w.dead(t, short)
	})
	t.Run("IN2 expired", func(t *testing.T) {
		plays(t)
		until(t, start.Add(7*time.Second))
		w.inactive(t, w.r1, short.Access())
	})
	t.Run("TX1 expired", func(t *testing.T) {
		plays(t)
		w.story(t, short.TaskID(), func(e entry) bool { return e.Kind == "task.ended" }) // so that nothing else ends meanwhile
		outlived(t)
	})
	t.Run("RF1 after the grace", func(t *testing.T) {
		plays(t)
		until(t, start.Add(12*time.Second))
		w.works(t, rotated)
		w.refusesToken(t, E("invalid_grant"), blackbox.NewKey(), map[string]blackbox.Form{"a thief's key": former})
		w.works(t, rotated)
		res, err := w.server.Send(t.Context(), rotated.Key, w.server.Token, former)
		if err != nil {
			t.Fatal(err)
		}
		E("invalid_grant").check(t, res)
		w.dead(t, rotated)
	})
	t.Run("TK6 after 30 s", func(t *testing.T) {
		plays(t)
		until(t, start.Add(31*time.Second))
		w.works(t, used)
		res, err := w.server.Send(t.Context(), used.Key, w.server.Token, used.RedeemForm())
		if err != nil {
			t.Fatal(err)
		}
		E("invalid_grant").check(t, res)
		w.dead(t, used)
	})
	t.Run("TK7", func(t *testing.T) {
		plays(t)
		until(t, start.Add(63*time.Second))
		w.refusesToken(t, E("invalid_grant"), late.Key, map[string]blackbox.Form{"62 s old": late.RedeemForm()})
		expires(t, w)
		good(t, w.flow(), (*blackbox.Flow).ToToken)
	})
	t.Run("CM9", func(t *testing.T) { plays(t); published(t) })
	t.Run("DP18 two windows", func(t *testing.T) {
		plays(t)
		until(t, start.Add(125*time.Second))
		w.proofs(t, E("use_dpop_nonce"), func(g blackbox.Proof) map[string][]string {
			return one(map[string]string{"old nonce": g.Claim("nonce", nonce).String()})
		})
	})
	t.Run("PR7", func(t *testing.T) {
		plays(t)
		f := must(t, w.flow(), (*blackbox.Flow).Push)
		w.stop(t)
		if n := w.behind(t, "UPDATE requests SET expires_at = expires_at - 600000000 WHERE NOT decided"); n == 0 {
			t.Fatal("no request made older")
		}
		w.start(t)
		PAGE().check(t, w.landed(t, f.AuthorizeURL()))
		good(t, w.flow(), (*blackbox.Flow).ToToken)
	})
}

// changing is CM9: a client whose document counts for a minute changes where it sends users, and its key.
// What was asked before stays as it was asked; afterwards the new document counts, and no former key.
func changing(t *testing.T, w *world, v *vendor) (later func(*testing.T)) {
	t.Helper()
	former, next := blackbox.NewKey(), blackbox.NewKey()
	document := func(key blackbox.Key, redirect string) string {
		id := v.publishes("/changing.json", blackbox.Object{
			"redirect_uris": []string{redirect}, "token_endpoint_auth_method": "private_key_jwt",
			"jwks": blackbox.Object{"keys": []any{key.JWK().With("kid", key.JKT()).With("alg", "ES256").With("use", "sig")}},
		})
		page := v.pages["/changing.json"]
		v.serves("/changing.json", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-store")
			page(w, r)
		})
		return id
	}
	id := document(former, redirectA)
	push := func(key blackbox.Key, redirect string) (*blackbox.Flow, blackbox.Response) {
		t.Helper()
		f := w.documented(id)
		f.Redirect = redirect
		w.nonce(t)
		res, err := w.server.Send(t.Context(), f.Key, w.server.PAR, blackbox.Asserted(f.PushForm(), key, blackbox.NewAssertion(id, w.issuer)))
		if err != nil {
			t.Fatal(err)
		}
		f.RequestURI = res.Text("request_uri")
		return f, res
	}
	redeem := func(f *blackbox.Flow, redirect string) (blackbox.Response, error) {
		return w.server.Send(t.Context(), f.Key, w.server.Token, blackbox.Asserted(f.RedeemForm().Set("redirect_uri", redirect), former, blackbox.NewAssertion(id, w.issuer)))
	}
	f, res := push(former, redirectA)
	if res.Status != http.StatusCreated {
		t.Fatalf("push: %s", res)
	}
	must(t, f, (*blackbox.Flow).Consent)
	document(next, redirectB)
	w.nonce(t)
	if res, err := redeem(f, redirectB); err != nil || res.Status == http.StatusOK {
		t.Errorf("a code was redeemed under an address that it was not asked with: %v %s", err, res)
	}
	w.nonce(t)
	if res, err := redeem(f, redirectA); err != nil || res.Status != http.StatusOK {
		t.Errorf("a code of the former document: %v %s", err, res)
	}
	stale := time.Now().Add(65 * time.Second)
	return func(t *testing.T) {
		until(t, stale)
		_, res := push(former, redirectB) // which reads the document anew, and tells that it changed
		E401().check(t, res)
		w.refuses(t, E("invalid_request"), func() (blackbox.Response, error) { _, res := push(next, redirectA); return res, nil })
		if _, res := push(next, redirectB); res.Status != http.StatusCreated {
			t.Errorf("the new document: %s", res)
		}
		jot(t, goodAfter)
	}
}

// until waits for a moment.
func until(t *testing.T, at time.Time) {
	t.Helper()
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
		t.Fatal("interrupted")
	}
}

// withDuration asks for another time limit.
func withDuration(t *testing.T, details string, seconds int) string {
	t.Helper()
	var all []blackbox.Object
	if err := json.Unmarshal([]byte(details), &all); err != nil {
		t.Fatal(err)
	}
	all[0]["max_duration"] = seconds
	b, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// expires waits until a task that was never begun is told as expired.
func expires(t *testing.T, w *world) {
	t.Helper()
	eventually(t, 10*time.Second, "a task that was never begun expires", func() bool {
		var list struct{ Tasks []struct{ Agent string } }
		if err := json.Unmarshal(w.admin(t, "/admin/api/tasks?state=pending"), &list); err != nil {
			t.Fatal(err)
		}
		return len(list.Tasks) == 0
	})
}
