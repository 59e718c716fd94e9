package redis

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/store/redis/redistest"
	"github.com/remit-auth/remit/store/storetest"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// server starts a Redis of the test's own.
func server(t testing.TB, args ...string) *redistest.Server {
	t.Helper()
	s, err := redistest.Start(t.TempDir(), args...)
	must(t, err)
	t.Cleanup(func() { s.Kill() })
	return s
}

// replicaOf starts a replica and waits until it has what the primary has.
func replicaOf(t testing.TB, primary *redistest.Server) *redistest.Server {
	t.Helper()
	host, port, _ := strings.Cut(primary.Addr, ":")
	replica := server(t, "--replicaof", host, port)
	await(t, "the replica", func() bool {
		info, err := replica.Do("INFO", "replication")
		return err == nil && strings.Contains(info, "master_link_status:up")
	})
	return replica
}

func memory(t testing.TB, url string, opts Options) *Ephemeral {
	t.Helper()
	e, err := Open(t.Context(), url, opts)
	must(t, err)
	t.Cleanup(func() { e.Close() })
	return e
}

func epochOf(t testing.TB, e *Ephemeral) string {
	t.Helper()
	e.views.stale()
	epoch, err := e.Epoch(t.Context())
	must(t, err)
	return epoch
}

var opened atomic.Int64

// TestEphemeral holds one server, named by REMIT_TEST_REDIS_URL or started here, to the contract.
func TestEphemeral(t *testing.T) {
	url := os.Getenv("REMIT_TEST_REDIS_URL")
	if url == "" {
		url = server(t).URL()
	}
	storetest.RunEphemeral(t, func(t *testing.T, now store.Clock) (store.Ephemeral, func(time.Duration)) {
		prefix := fmt.Sprintf("remit-test-%d-%d-%d", os.Getpid(), time.Now().UnixNano(), opened.Add(1))
		return memory(t, url, Options{Prefix: prefix, Now: now}), nil
	})
}

// TestEphemeralCluster holds a cluster of three to the same contract.
func TestEphemeralCluster(t *testing.T) {
	url := cluster(t)
	storetest.RunEphemeral(t, func(t *testing.T, now store.Clock) (store.Ephemeral, func(time.Duration)) {
		return memory(t, url, Options{Prefix: fmt.Sprint("c", opened.Add(1)), Now: now}), nil
	})
}

// cluster starts three nodes that share the slots.
func cluster(t testing.TB) string {
	t.Helper()
	var nodes []*redistest.Server
	for range 3 {
		dir := t.TempDir()
		s, err := redistest.Start(dir, "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf")
		must(t, err)
		t.Cleanup(func() { s.Kill() })
		nodes = append(nodes, s)
	}
	const slots = 16384
	for i, n := range nodes {
		_, err := n.Do("CLUSTER", "ADDSLOTSRANGE", fmt.Sprint(i*slots/3), fmt.Sprint((i+1)*slots/3-1))
		must(t, err)
		_, err = n.Do("CLUSTER", "SET-CONFIG-EPOCH", fmt.Sprint(i+1))
		must(t, err)
		if i > 0 {
			host, port, _ := strings.Cut(nodes[0].Addr, ":")
			_, err = n.Do("CLUSTER", "MEET", host, port)
			must(t, err)
		}
	}
	await(t, "the cluster to form", func() bool {
		for _, n := range nodes {
			info, err := n.Do("CLUSTER", "INFO")
			if err != nil || !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_known_nodes:3") {
				return false
			}
		}
		return true
	})
	return "redis+cluster://" + nodes[0].Addr + "?addr=" + nodes[1].Addr
}

// await polls until it is so; 20 s is for ever.
func await(t testing.TB, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !so(); {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// TestLosses: whatever makes Redis forget, a key of before is never first again in its epoch, and the
// first good use after it works.
func TestLosses(t *testing.T) {
	for name, lose := range map[string]func(t *testing.T, s *redistest.Server){
		"flushed": func(t *testing.T, s *redistest.Server) {
			_, err := s.Do("FLUSHALL")
			must(t, err)
		},
		"its keys deleted": func(t *testing.T, s *redistest.Server) {
			keys, err := s.Do("KEYS", "*")
			must(t, err)
			_, err = s.Do(append([]string{"DEL"}, strings.Fields(keys)...)...)
			must(t, err)
		},
		"killed and started again with an old dump": func(t *testing.T, s *redistest.Server) {
			must(t, s.Kill())
			must(t, s.Run())
		},
		"killed and started again with nothing": func(t *testing.T, s *redistest.Server) {
			must(t, s.Kill())
			must(t, s.Run("--dbfilename", "none.rdb"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := server(t)
			e := memory(t, s.URL(), Options{})
			before := epochOf(t, e)
			_, err := s.Do("SAVE")
			must(t, err)
			if first, err := e.FirstUse(t.Context(), before, "proof", time.Minute); err != nil || !first {
				t.Fatalf("FirstUse = %v, %v", first, err)
			}
			lose(t, s)
			await(t, "Redis", func() bool { return e.client.Ping(t.Context()).Err() == nil })
			if first, err := e.FirstUse(t.Context(), before, "proof", time.Minute); first || !errors.Is(err, store.ErrEpochOver) {
				t.Fatalf("after the loss FirstUse = %v, %v", first, err)
			}
			now := epochOf(t, e)
			if now == before {
				t.Errorf("the epoch is still %q", now)
			}
			if first, err := e.FirstUse(t.Context(), now, "another proof", time.Minute); err != nil || !first {
				t.Errorf("the good use after it: %v, %v", first, err)
			}
		})
	}
}

// TestPromotion: a replica that lags, promoted, is another memory, and so is the old primary that
// goes on alone.
func TestPromotion(t *testing.T) {
	primary := server(t)
	replica := replicaOf(t, primary)
	a := memory(t, primary.URL(), Options{})
	before := epochOf(t, a)
	must(t, replica.Stall()) // it lags
	if first, err := a.FirstUse(t.Context(), before, "proof", time.Minute); err != nil || !first {
		t.Fatalf("FirstUse = %v, %v", first, err)
	}
	must(t, primary.Stall())
	must(t, replica.Resume())
	_, err := replica.Do("REPLICAOF", "NO", "ONE")
	must(t, err)
	must(t, primary.Resume())
	b := memory(t, replica.URL(), Options{})
	if first, err := b.FirstUse(t.Context(), before, "proof", time.Minute); first || !errors.Is(err, store.ErrEpochOver) {
		t.Errorf("the promoted replica: %v, %v", first, err)
	}
	after := epochOf(t, b)
	if first, err := b.FirstUse(t.Context(), after, "proof 2", time.Minute); err != nil || !first {
		t.Errorf("a good use at the promoted replica: %v, %v", first, err)
	}
	if first, err := a.FirstUse(t.Context(), after, "proof 2", time.Minute); first || !errors.Is(err, store.ErrEpochOver) {
		t.Errorf("the old primary took a proof of the new one's epoch: %v, %v", first, err)
	}
}

// TestReplicaRefuses: what was asked of a replica by mistake is unknown.
func TestReplicaRefuses(t *testing.T) {
	primary := server(t)
	replica := replicaOf(t, primary)
	if e, err := Open(t.Context(), replica.URL(), Options{}); err == nil {
		e.Close()
		t.Error("a replica was taken for a memory")
	}
}

// TestEviction: a server that may evict is refused, at the start and when it is changed later; and
// once it has evicted, the epoch is another, whatever is counted afterwards.
func TestEviction(t *testing.T) {
	s := server(t)
	e := memory(t, s.URL(), Options{})
	before := epochOf(t, e)
	set := func(args ...string) {
		t.Helper()
		_, err := s.Do(args...)
		must(t, err)
	}
	set("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
	if other, err := Open(t.Context(), s.URL(), Options{}); !errors.Is(err, ErrEvicts) {
		if err == nil {
			other.Close()
		}
		t.Errorf("Open = %v, want %v", err, ErrEvicts)
	}
	e.views.stale()
	if _, err := e.Epoch(t.Context()); !errors.Is(err, ErrEvicts) {
		t.Errorf("Epoch = %v, want %v", err, ErrEvicts)
	}
	set("CONFIG", "SET", "maxmemory", "1mb")
	for i := range 3000 {
		if _, err := s.Do("SET", fmt.Sprint("filler", i), strings.Repeat("x", 4000)); err != nil {
			break
		}
		if info, err := s.Do("INFO", "stats"); err == nil && !strings.Contains(info, "evicted_keys:0\r") {
			break
		}
	}
	set("FLUSHDB")
	set("CONFIG", "SET", "maxmemory", "0")
	set("CONFIG", "SET", "maxmemory-policy", "noeviction")
	set("CONFIG", "RESETSTAT")
	if first, err := e.FirstUse(t.Context(), before, "proof", time.Minute); first || !errors.Is(err, store.ErrEpochOver) {
		t.Errorf("after evictions: %v, %v", first, err)
	}
	if after := epochOf(t, e); after == before {
		t.Error("the epoch is the same after evictions")
	}
}

// TestEvictedEpoch: the epoch ends with the first eviction, also when its own key stays.
func TestEvictedEpoch(t *testing.T) {
	s := server(t)
	e := memory(t, s.URL(), Options{})
	before := epochOf(t, e)
	key := e.epochKey(0)
	_, err := s.Do("HSET", key, "evicted", "7") // as if seven had been counted when it was named
	must(t, err)
	if after := epochOf(t, e); after == before {
		t.Error("the count of evictions has changed and the epoch has not")
	}
}

// TestClockJump: a clock that jumps has perhaps forgotten all.
func TestClockJump(t *testing.T) {
	for _, last := range []int64{time.Now().Add(-time.Hour).Unix(), time.Now().Add(time.Hour).Unix()} {
		s := server(t)
		e := memory(t, s.URL(), Options{})
		before := epochOf(t, e)
		_, err := s.Do("HSET", e.epochKey(0), "last", fmt.Sprint(last))
		must(t, err)
		if first, err := e.FirstUse(t.Context(), before, "proof", time.Minute); first || !errors.Is(err, store.ErrEpochOver) {
			t.Errorf("last seen at %d: %v, %v", last, first, err)
		}
	}
}

// TestFull: a server that takes no more answers with an error, and works again when there is room.
func TestFull(t *testing.T) {
	s := server(t)
	e := memory(t, s.URL(), Options{})
	epoch := epochOf(t, e)
	_, err := s.Do("CONFIG", "SET", "maxmemory", "1")
	must(t, err)
	if first, err := e.FirstUse(t.Context(), epoch, "proof", time.Minute); err == nil || first {
		t.Errorf("FirstUse = %v, %v", first, err)
	}
	if ok, _, err := e.Take(t.Context(), "a", 1, 1); err == nil || ok {
		t.Errorf("Take = %v, %v", ok, err)
	}
	_, err = s.Do("CONFIG", "SET", "maxmemory", "0")
	must(t, err)
	if first, err := e.FirstUse(t.Context(), epoch, "proof", time.Minute); err != nil || !first {
		t.Errorf("with room again FirstUse = %v, %v", first, err)
	}
}

// TestGone: a server that is dead or stalled makes everything unknown within the time of a step, and
// is used again when it is back.
func TestGone(t *testing.T) {
	for name, tt := range map[string]struct{ down, up func(*redistest.Server) error }{
		"killed":  {(*redistest.Server).Kill, func(s *redistest.Server) error { return s.Run() }},
		"stalled": {(*redistest.Server).Stall, (*redistest.Server).Resume},
	} {
		t.Run(name, func(t *testing.T) {
			s := server(t)
			e := memory(t, s.URL(), Options{Timeout: 200 * time.Millisecond})
			epoch := epochOf(t, e)
			must(t, tt.down(s))
			began := time.Now()
			if first, err := e.FirstUse(t.Context(), epoch, "proof", time.Minute); err == nil || first {
				t.Errorf("FirstUse = %v, %v", first, err)
			}
			if ok, _, err := e.Take(t.Context(), "a", 1, 1); err == nil || ok {
				t.Errorf("Take = %v, %v", ok, err)
			}
			e.views.stale()
			if got, err := e.Epoch(t.Context()); err == nil {
				t.Errorf("Epoch = %q", got)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
			must(t, tt.up(s))
			await(t, "a good use", func() bool {
				e.views.stale()
				epoch, err := e.Epoch(t.Context())
				if err != nil {
					return false
				}
				first, err := e.FirstUse(t.Context(), epoch, "proof 2", time.Minute)
				return err == nil && first
			})
		})
	}
}

// TestTwoInstances share what they remember.
func TestTwoInstances(t *testing.T) {
	s := server(t)
	a, b := memory(t, s.URL(), Options{}), memory(t, s.URL(), Options{})
	if epochOf(t, a) != epochOf(t, b) {
		t.Fatal("two instances of one memory name it differently")
	}
	epoch := epochOf(t, a)
	if first, err := a.FirstUse(t.Context(), epoch, "proof", time.Minute); err != nil || !first {
		t.Fatalf("FirstUse = %v, %v", first, err)
	}
	if first, err := b.FirstUse(t.Context(), epoch, "proof", time.Minute); err != nil || first {
		t.Errorf("the other instance: %v, %v", first, err)
	}
	for i, e := range []*Ephemeral{a, b} {
		if ok, _, err := e.Take(t.Context(), "who", 0.001, 1); err != nil || ok != (i == 0) {
			t.Errorf("draw %d: %v, %v", i, ok, err)
		}
	}
}

// TestSentinel: the memory follows the primary that Sentinel names, and each primary is a memory of
// its own.
func TestSentinel(t *testing.T) {
	primary := server(t)
	replica := replicaOf(t, primary)
	sentinel, err := redistest.StartSentinel(t.TempDir(), "remit", primary, 1, 300*time.Millisecond)
	must(t, err)
	t.Cleanup(func() { sentinel.Kill() })
	await(t, "Sentinel to know the replica", func() bool {
		out, err := sentinel.Do("SENTINEL", "REPLICAS", "remit")
		return err == nil && strings.Contains(out, "\n"+replica.Addr[strings.Index(replica.Addr, ":")+1:]+"\n") && strings.Contains(out, "\nok\n")
	})
	e := memory(t, "redis+sentinel://"+sentinel.Addr+"?master_name=remit", Options{Timeout: 300 * time.Millisecond})
	before := epochOf(t, e)
	must(t, primary.Kill())
	var after string
	await(t, "the other primary", func() bool {
		e.views.stale()
		after, err = e.Epoch(t.Context())
		return err == nil
	})
	if after == before {
		t.Error("the promoted replica has the epoch of the dead primary")
	}
	if first, err := e.FirstUse(t.Context(), before, "proof", time.Minute); first || !errors.Is(err, store.ErrEpochOver) {
		t.Errorf("an epoch of before: %v, %v", first, err)
	}
	if first, err := e.FirstUse(t.Context(), after, "proof", time.Minute); err != nil || !first {
		t.Errorf("a good use: %v, %v", first, err)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, url := range map[string]string{
		"nothing":               "",
		"another scheme":        "http://user:secret@h:1",
		"no master":             "redis+sentinel://:secret@h:26379",
		"an unknown kind":       "redis+shards://:secret@h:1",
		"a database of no kind": "redis://:secret@h:1/x",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(context.Background(), url, Options{})
			if err == nil || strings.Contains(err.Error(), "secret") {
				t.Errorf("err = %v", err)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"redis://h:1/2", "rediss://u:p@h", "unix:///x?db=1", "redis+sentinel://h:1/0?master_name=m&addr=i:2", "redis+cluster://h:1?addr=i:2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, url string) {
		u, err := parse(url)
		if err == nil && len(u.Addrs) == 0 {
			t.Errorf("parse(%q) names no server", url)
		}
	})
}
