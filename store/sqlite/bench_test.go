package sqlite

import (
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

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
