package sqlite

import (
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
)

// BenchmarkCommit compares group commit with a commit for each, both with one fsync per commit.
func BenchmarkCommit(b *testing.B) {
	for _, writers := range []int{16, 64} {
		for _, way := range []string{"group", "each"} {
			b.Run(fmt.Sprintf("%s/%d", way, writers), func(b *testing.B) {
				s := reopen(b, filepath.Join(b.TempDir(), "remit.db"), nil)
				var alone sync.Mutex
				var left atomic.Int64
				left.Store(int64(b.N))
				b.ResetTimer()
				var wg sync.WaitGroup
				for range writers {
					wg.Go(func() {
						for left.Add(-1) >= 0 {
							if way == "each" {
								alone.Lock()
							}
							err := s.Append(b.Context(), store.NewRecord("bench", nil))
							if way == "each" {
								alone.Unlock()
							}
							if err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
			})
		}
	}
}

// BenchmarkRefresh is all that the store does for one refresh: the read, and the rotation with its
// record, at 16 at once; and then the chaining of its record.
func BenchmarkRefresh(b *testing.B) {
	s := reopen(b, filepath.Join(b.TempDir(), "remit.db"), nil)
	const runners = 16
	loans := make([]store.Hash, runners)
	for i := range loans {
		loans[i] = lend(b, s, i)
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	cpu := cpuTime()
	b.ResetTimer()
	for i := range runners {
		wg.Go(func() {
			old := loans[i]
			for n := left.Add(-1); n >= 0; n = left.Add(-1) {
				st, err := s.RefreshByID(b.Context(), old)
				if err == nil {
					old, err = refreshOnce(b, s, st, n)
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(cpuTime()-cpu)/1e3/float64(b.N), "cpu-µs/op")
	cpu = cpuTime()
	n, err := s.Sequence(b.Context())
	check(b, err)
	b.ReportMetric(float64(cpuTime()-cpu)/1e3/float64(n), "cpu-µs/chained")
}

func refreshOnce(b *testing.B, s *Store, st store.RefreshState, n int64) (store.Hash, error) {
	next := st.Token
	next.ID = store.HashOf(fmt.Sprint("refresh", n))
	r := store.NewRecord("token.refreshed", map[string]string{"scope": "tickets.read"})
	r.Task, r.User, r.Client, r.Agent, r.Resource = st.Task.ID, st.Task.UserID, st.Task.ClientID, st.Task.JKT, st.Grants[0].Resource
	_, _, err := s.RotateRefreshToken(b.Context(), store.Rotation{
		Old: st.Token.ID, New: next, Successor: make([]byte, 80),
		Access: store.AccessToken{
			JTI: fmt.Sprintf("at_%026d", n), TaskID: st.Task.ID, Resource: st.Grants[0].Resource, ClientID: st.Client.ID,
			JKT: st.Task.JKT, ExpiresAt: time.Now().Add(5 * time.Minute),
		},
	}, r)
	return next.ID, err
}

// lend makes an active task and returns its refresh token.
func lend(tb testing.TB, s *Store, i int) store.Hash {
	tb.Helper()
	ctx, uri := tb.Context(), fmt.Sprint("https://resource.example/", i)
	user, client, task := fmt.Sprint("usr_", i), fmt.Sprint("cli_", i), fmt.Sprintf("tsk_%026d", i)
	id, session, soon := store.HashOf(task), store.HashOf("session"), time.Now().Add(time.Minute)
	check(tb, s.AddUser(ctx, store.User{ID: user, Email: user}))
	check(tb, s.AddClient(ctx, store.Client{ID: client, Metadata: store.ClientMetadata{ClientName: client, RedirectURIs: []string{"http://127.0.0.1/cb"}}}))
	check(tb, s.AddResource(ctx, store.Resource{URI: uri}))
	check(tb, s.AssignRole(ctx, user, uri, "reader"))
	check(tb, s.PushRequest(ctx, store.Request{ID: id, ClientID: client, Session: session, ExpiresAt: soon}))
	check(tb, s.Approve(ctx, store.Approval{
		Request: id, Session: session,
		Task:   store.Task{ID: task, UserID: user, ClientID: client, EndsAt: time.Now().Add(time.Hour)},
		Grants: []store.Grant{{ID: "gnt_" + task, Resource: uri, Scopes: []string{"tickets.read"}, Details: make([]byte, 500), Hash: "h"}},
		Code:   store.Code{ID: id, ClientID: client, ExpiresAt: soon},
	}))
	check(tb, s.RedeemCode(ctx, store.Redemption{
		Code: id, JKT: "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I",
		Access:  store.AccessToken{JTI: "at_" + task, TaskID: task, Resource: uri},
		Refresh: &store.RefreshToken{ID: id, TaskID: task, ClientID: client, Scopes: []string{"tickets.read"}, ExpiresAt: time.Now().Add(time.Hour)},
	}))
	return id
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
