package chaos

import (
	"context"
	"fmt"
	"net"
	"time"
)

// Fault is something that happens to the world, and how it is taken back.
type Fault struct {
	Name  string
	Short bool // also in the short form
	// Do does it and takes it back; it calls healed when nothing stands in the way any more.
	Do func(ctx context.Context, w *World, healed func()) error
	// MaxError is how long probes may fail beyond the time that the fault lasts; 0: one instance goes
	// on, so that a second is all.
	MaxError time.Duration
	Outage   bool // both instances are without something that they need
}

// lasting is how long a partition lasts, and how long something stays dead.
const (
	lasting = 2500 * time.Millisecond
	dead    = 800 * time.Millisecond
	// Of a store that says nothing any more an instance learns by waiting: it is to be out of readiness
	// within two seconds, and what it was asked in the last of them may wait for one step.
	unheard = 2500 * time.Millisecond
	// A path that breaks under more than a ping is not seen by readiness: who is sent there is told to
	// try again as long as it lasts.
	oneStep = time.Second
)

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// through sets the mode of proxies for a while.
func through(pick func(*World) []*Proxy, m Mode) func(context.Context, *World, func()) error {
	return func(ctx context.Context, w *World, healed func()) error {
		for _, p := range pick(w) {
			p.Set(m)
		}
		pause(ctx, lasting)
		for _, p := range pick(w) {
			p.Set(Pass)
		}
		healed()
		return nil
	}
}

func storeOf(i int) func(*World) []*Proxy {
	return func(w *World) []*Proxy { return w.ToStore[i : i+1] }
}

func redisOf(i int) func(*World) []*Proxy {
	return func(w *World) []*Proxy { return w.ToRedis[i : i+1] }
}

func publicOf(i int) func(*World) []*Proxy {
	return func(w *World) []*Proxy { return w.ToPublic[i : i+1] }
}

// Faults are all that the nemesis knows.
func Faults() []Fault {
	return []Fault{
		{Name: "nothing", Short: true, Do: func(ctx context.Context, w *World, healed func()) error {
			pause(ctx, lasting)
			healed()
			return nil
		}},
		{Name: "kill -9 instance 1", Short: true, Do: func(ctx context.Context, w *World, healed func()) error {
			w.Instances[0].Kill()
			pause(ctx, dead)
			healed()
			return w.Instances[0].Run()
		}},
		{Name: "kill -9 PostgreSQL", Short: true, Outage: true, Do: func(ctx context.Context, w *World, healed func()) error {
			if err := w.Postgres.Kill(); err != nil {
				return err
			}
			pause(ctx, dead)
			err := w.Postgres.Run()
			healed()
			return err
		}},
		{Name: "kill -9 Redis", Short: true, Outage: true, Do: func(ctx context.Context, w *World, healed func()) error {
			if err := w.Redis.Kill(); err != nil {
				return err
			}
			pause(ctx, dead)
			err := w.Redis.Run()
			healed()
			return err
		}},
		{Name: "flush Redis", Short: true, Do: func(ctx context.Context, w *World, healed func()) error {
			_, err := w.Redis.Do("FLUSHALL")
			healed()
			return err
		}},
		{Name: "cut instance 1 from PostgreSQL", Short: true, Do: through(storeOf(0), Cut)},
		{Name: "stall instance 2's PostgreSQL", MaxError: unheard, Do: through(storeOf(1), Stall)},
		{Name: "stall instance 1's Redis", Short: true, MaxError: unheard, Do: through(redisOf(0), Stall)},
		{Name: "cut instance 2 from Redis", Do: through(redisOf(1), Cut)},
		{Name: "half-open to instance 1's Redis", MaxError: unheard, Do: through(redisOf(0), HalfOpen)},
		{Name: "half-open to instance 2's PostgreSQL", MaxError: unheard, Do: through(storeOf(1), HalfOpen)},
		{Name: "Redis slow (100 ms a read) at instance 1", Do: through(redisOf(0), Slow)},
		{Name: "PostgreSQL cut after 2000 bytes at instance 1", MaxError: lasting + oneStep, Do: through(storeOf(0), CutAfter)},
		{Name: "cut instance 1 from the balancer", Do: through(publicOf(0), Cut)},
		{Name: "rolling SIGTERM", Short: true, Do: rolling},
		{Name: "rotate keys", Do: func(ctx context.Context, w *World, healed func()) error {
			healed()
			return w.remit(ctx, nil, "", "key", "rotate")
		}},
		{Name: "skew clocks by -30 s and +30 s", MaxError: 5 * time.Second, Do: skew},
		{Name: "fill PostgreSQL's disk", Do: fillPostgres},
		{Name: "promote a Redis replica", Outage: true, Do: promoteRedis},
		{Name: "promote a PostgreSQL replica", Outage: true, Do: promotePostgres},
	}
}

// rolling ends one instance after the other, as an upgrade does.
func rolling(ctx context.Context, w *World, healed func()) error {
	for _, in := range w.Instances {
		if took := in.Stop(); took > 10*time.Second {
			return fmt.Errorf("chaos: instance %s took %v to end", in.Name, took)
		}
		if err := in.Run(); err != nil {
			return err
		}
		if err := w.await(5*time.Second, "the balancer to see it", func() bool { return w.Balancer.Ready() == 2 }); err != nil {
			return err
		}
	}
	healed()
	return nil
}

// skew restarts both instances with clocks a minute apart, and then with good ones.
func skew(ctx context.Context, w *World, healed func()) error {
	for round, offsets := range [][2]string{{"-30s", "30s"}, {"0s", "0s"}} {
		for i, in := range w.Instances {
			in.Stop()
			if err := in.Run("REMIT_TEST_CLOCK_OFFSET=" + offsets[i]); err != nil {
				return err
			}
			if err := w.await(5*time.Second, "the balancer to see it", func() bool { return w.Balancer.Ready() == 2 }); err != nil {
				return err
			}
		}
		if round == 0 {
			pause(ctx, 2*lasting)
		}
	}
	healed()
	return nil
}

// promoteRedis puts a replica that lags in the place of a primary that is dead.
func promoteRedis(ctx context.Context, w *World, healed func()) error {
	host, port, _ := net.SplitHostPort(w.Redis.Addr)
	replica, err := w.spareRedis()
	if err != nil {
		return err
	}
	if _, err := replica.Do("REPLICAOF", host, port); err != nil { // not when it is started again after a later fault
		return err
	}
	pause(ctx, lasting/2)
	if err := replica.Stall(); err != nil { // what is written now it will never see
		return err
	}
	pause(ctx, lasting/2)
	if err := w.Redis.Kill(); err != nil {
		return err
	}
	if err := replica.Resume(); err != nil {
		return err
	}
	if _, err := replica.Do("REPLICAOF", "NO", "ONE"); err != nil {
		return err
	}
	w.Redis = replica
	for _, p := range w.ToRedis {
		p.Target(replica.Addr)
	}
	healed()
	return nil
}

// promotePostgres puts a replica that has all that was acknowledged (synchronous replication) in the
// place of a primary that is dead.
func promotePostgres(ctx context.Context, w *World, healed func()) error {
	dir, err := w.subdir("pg2")
	if err != nil {
		return err
	}
	w.onDisk(dir)
	replica, err := w.Postgres.Replica(dir)
	if err != nil {
		return err
	}
	w.later(func() { _ = replica.Kill() })
	for _, statement := range []string{"ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"} {
		if _, err := w.Postgres.SQL(ctx, statement); err != nil {
			return err
		}
	}
	pause(ctx, lasting)
	if err := w.Postgres.Kill(); err != nil {
		return err
	}
	if err := replica.Promote(); err != nil {
		return err
	}
	w.Postgres = replica
	for _, p := range w.ToStore {
		p.Target(replica.Addr)
	}
	healed()
	return nil
}
