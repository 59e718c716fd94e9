package main_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// holds lets another transaction lock what every request reads first, so that each that comes holds its
// connection and waits, until there is none left; it returns what lets them go.
func (w *world) holds(t *testing.T) (release func()) {
	t.Helper()
	tx, err := w.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec("LOCK TABLE clients, resources, tasks IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := tx.Rollback(); err != nil {
			t.Error(err)
		}
	}
}

// ft15: a database that answers nobody, with every connection held, is told as such and soon; the code that was
// tried meanwhile is as good as before.
func ft15(t *testing.T, w *world) {
	f := w.code(t)
	proofs := w.ready(t, f.Key, w.server.Token)
	release := w.holds(t)
	took := make([]time.Duration, racers)
	for _, res := range together(t, func(i int) (blackbox.Response, error) {
		began := time.Now()
		res, err := blackbox.Post(t.Context(), w.server.Token, f.RedeemForm(), proofs[i])
		took[i] = time.Since(began)
		return res, err
	}) {
		away(t, "redeem", res)
	}
	for i, d := range took {
		if d > 4*time.Second { // two on a machine of its own
			t.Errorf("racer %d was told after %v", i, d)
		}
	}
	for _, path := range []string{"/jwks", "/.well-known/oauth-authorization-server"} {
		if res, err := blackbox.Get(t.Context(), w.issuer+path); err != nil || res.Status != http.StatusOK {
			t.Errorf("%s needs the store: %v %s", path, err, res)
		}
	}
	release()
	w.back(t)
	good(t, f, (*blackbox.Flow).Redeem)
}
