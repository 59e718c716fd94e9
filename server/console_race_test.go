package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"testing"

	"github.com/remit-auth/remit/store"
)

// together lets several people press the same button at once, and counts what they are told.
func (w *world) together(people []*browser, path string, form url.Values) map[int]int {
	w.t.Helper()
	forms := make([]url.Values, len(people))
	for i, b := range people {
		found := csrfInput.FindStringSubmatch(b.get("/agents").Body)
		if found == nil {
			w.t.Fatal("no form token")
		}
		forms[i] = url.Values{"csrf": {found[1]}}
		for name, values := range form {
			forms[i][name] = values
		}
	}
	told := make(chan int, len(people))
	var all sync.WaitGroup
	for i, b := range people {
		all.Go(func() { told <- b.post(path, forms[i]).Status })
	}
	all.Wait()
	close(told)
	counts := map[int]int{}
	for status := range told {
		counts[status]++
	}
	return counts
}

// staffOf signs in so many with the role.
func (w *world) staffOf(n int, role store.ConsoleRole) (people []*browser) {
	for i := range n {
		people = append(people, w.staff(fmt.Sprintf("%s%d@example.com", role, i), role))
	}
	return people
}

// TestTogetherAtTheConsole: what several people do at once is done once and recorded once, and the others are told so.
func TestTogetherAtTheConsole(t *testing.T) {
	const crowd = 6
	t.Run("kill a key", func(t *testing.T) {
		w := newWorld(t)
		kid := w.signer()
		told := w.together(w.staffOf(crowd, store.RoleAdmin), "/admin/key/kill", url.Values{"kid": {kid}, "confirm": {kid[:8]}, "reason": {"stolen"}})
		if told[http.StatusSeeOther] == 0 || told[http.StatusSeeOther]+told[http.StatusNotFound]+told[http.StatusConflict] != crowd {
			t.Errorf("told: %v", told)
		}
		if n := len(w.records("key.killed")); n != 1 {
			t.Errorf("%d records", n)
		}
		if w.signer() == kid {
			t.Error("it signs still")
		}
		w.agent(w.client).tokens()
	})
	t.Run("dismiss a finding", func(t *testing.T) {
		w := newWorld(t)
		seq := w.finding()
		told := w.together(w.staffOf(crowd, store.RoleRevoker), "/admin/findings/dismiss", url.Values{"finding": {seq}, "reason": {"x"}})
		if told[http.StatusSeeOther] != 1 || told[http.StatusConflict]+told[http.StatusNotFound] != crowd-1 {
			t.Errorf("told: %v", told)
		}
		if n := len(w.records("findings.dismissed")); n != 1 {
			t.Errorf("%d records", n)
		}
	})
}
