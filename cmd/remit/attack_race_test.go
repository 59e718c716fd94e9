package main_test

import (
	"net/http"
	"sync"
	"testing"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// How often and how wide the races run.
const (
	rounds = 25
	racers = 32
)

// race sends the request of every racer at once, and returns how many got the wanted status; what
// the others got must be one of the refusals.
func race(t *testing.T, success int, refusal want, send func(racer int) (blackbox.Response, error)) int {
	t.Helper()
	answers := make([]blackbox.Response, racers)
	var start, done sync.WaitGroup
	start.Add(1)
	for i := range racers {
		done.Go(func() {
			start.Wait()
			res, err := send(i)
			if err != nil {
				t.Errorf("racer %d: %v", i, err)
			}
			answers[i] = res
		})
	}
	start.Done()
	done.Wait()
	won := 0
	for _, res := range answers {
		if res.Status == success {
			won++
			continue
		}
		refusal.check(t, res)
	}
	return won
}

// TestRaceCode: one code, 32 at once, one token.
func TestRaceCode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range rounds {
		f := w.code(t)
		proofs := w.ready(t, f.Key, w.server.Token)
		won := race(t, http.StatusOK, E("invalid_grant"), func(i int) (blackbox.Response, error) {
			return blackbox.Post(t.Context(), w.server.Token, f.RedeemForm(), proofs[i])
		})
		if won != 1 {
			t.Fatalf("%d of %d requests with one code succeeded", won, racers)
		}
	}
}

// TestRaceRefreshToken: one refresh token without a grace, 32 at once, one successor.
func TestRaceRefreshToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range rounds {
		f := w.flow()
		f.ClientID = w.graceless
		must(t, f, (*blackbox.Flow).ToToken)
		form, proofs := f.RefreshForm(), w.ready(t, f.Key, w.server.Token)
		won := race(t, http.StatusOK, E("invalid_grant"), func(i int) (blackbox.Response, error) {
			return blackbox.Post(t.Context(), w.server.Token, form, proofs[i])
		})
		if won != 1 {
			t.Fatalf("%d of %d requests with one refresh token succeeded", won, racers)
		}
	}
}

// TestRaceProof: one proof, 32 at once, one request served; at the server and at the resource.
func TestRaceProof(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.token(t)
	w.works(t, f) // which learns the resource's nonce
	for range rounds {
		form := f.PushForm()
		proof := w.ready(t, f.Key, w.server.PAR)[0]
		won := race(t, http.StatusCreated, badProof(), func(int) (blackbox.Response, error) {
			return blackbox.Post(t.Context(), w.server.PAR, form, proof)
		})
		if won != 1 {
			t.Fatalf("%d of %d requests with one proof succeeded at the server", won, racers)
		}
		call := blackbox.DPoP(w.r1.Proof(f.Key, f.Access()))
		won = race(t, http.StatusOK, want{statuses: []int{401}}, func(int) (blackbox.Response, error) {
			return w.r1.Post(t.Context(), "tools/call", "get_ticket", blackbox.CallBody("get_ticket", readArguments), blackbox.Header{Name: "Authorization", Value: "DPoP " + f.Access()}, call)
		})
		if won != 1 {
			t.Fatalf("%d of %d requests with one proof succeeded at the resource", won, racers)
		}
	}
}

// ready makes a good proof for every racer, with a nonce fetched just now.
func (w *world) ready(t *testing.T, k blackbox.Key, address string) []blackbox.Header {
	t.Helper()
	if _, err := w.server.FreshNonce(t.Context(), w.a); err != nil {
		t.Fatal(err)
	}
	all := make([]blackbox.Header, racers)
	for i := range all {
		all[i] = blackbox.DPoP(w.server.Proof(k, address))
	}
	return all
}
