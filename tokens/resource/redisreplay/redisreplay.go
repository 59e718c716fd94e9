// Package redisreplay is the memory of used DPoP proofs (RFC 9449 §11.1) that several replicas of one
// Guard share in Redis, for replicas behind a load balancer that sends each request anywhere.
//
//	memory, err := redisreplay.Open(ctx, redisreplay.Options{URL: "redis://redis:6379", Resource: uri})
//	guard, err := resource.New(ctx, resource.Config{Resource: uri, Replay: memory, …})
//
// Whatever may have made Redis forget a proof (a restart, a failover to a replica, a flush, an
// evicted key, a jump of its clock, too many proofs) gives the memory another name. Nonces are made
// from that name, so every nonce given before is refused with use_dpop_nonce, and no proof of before
// can be used again. Without Redis nothing is allowed: the Guard answers 503.
//
//	redisreplay.go  opening, and what is asked of Redis
//	script.go       the one step in which Redis judges
package redisreplay

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/remit-auth/remit/tokens/resource"
)

var _ resource.Replay = (*Memory)(nil)

// Options say where the memory is and how much it holds.
type Options struct {
	// URL is redis://[user:password@]host:port/db; rediss: over TLS; unix:///path.
	URL string
	// Sentinels are the addresses of Sentinels that know the server, whose name Master is, instead of
	// the address in URL.
	Sentinels []string
	Master    string
	// Resource is the Guard's: the memory of each resource is its own.
	Resource string
	// Limit is how many proofs of about four minutes are remembered, at some 100 bytes each; when
	// there are more, the memory takes another name and forgets them. 0: 1,048,576.
	Limit int
	// Timeout bounds one step; 0: one second.
	Timeout time.Duration
}

var (
	// ErrEvicts means that the server may drop keys to make room.
	ErrEvicts = errors.New("redisreplay: maxmemory-policy must be noeviction: a server that drops keys forgets which proofs were used")

	errAnswer = errors.New("redisreplay: Redis gave an answer to another question")
)

// Memory is a resource.Replay in Redis.
type Memory struct {
	client  *redis.Client
	keys    []string
	limit   int
	timeout time.Duration
}

// Open connects to Redis, and refuses one that may forget proofs before their time.
func Open(ctx context.Context, o Options) (*Memory, error) {
	if o.Resource == "" || o.Limit < 0 || o.Timeout < 0 || (len(o.Sentinels) > 0) != (o.Master != "") {
		return nil, errors.New("redisreplay: Resource is missing, or Limit or Timeout is negative, or one of Sentinels and Master is missing")
	}
	settings, err := redis.ParseURL(o.URL)
	if err != nil { // which may hold a password
		return nil, errors.New("redisreplay: URL must be redis://host:port/db, rediss://… or unix:///path")
	}
	m := &Memory{limit: o.Limit, timeout: o.Timeout}
	if m.limit == 0 {
		m.limit = 1 << 20
	}
	if m.timeout == 0 {
		m.timeout = time.Second
	}
	m.client = connect(settings, o, m.timeout)
	sum := sha256.Sum256([]byte(o.Resource))
	home := "remit:replay:{" + base64.RawURLEncoding.EncodeToString(sum[:15]) + "}" // one slot of a cluster
	m.keys = []string{home, home + ":even", home + ":odd"}
	if _, err := m.Epoch(ctx); err != nil {
		return nil, errors.Join(err, m.client.Close())
	}
	return m, nil
}

// connect makes every step end in time and none run twice: a step whose answer was lost is unknown.
func connect(s *redis.Options, o Options, timeout time.Duration) *redis.Client {
	s.Protocol, s.DisableIdentity = 2, true // nothing is sent whose late answer could be taken for ours (CVE-2025-29923)
	s.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	s.MaxRetries, s.DialerRetries, s.ContextTimeoutEnabled = -1, 1, true
	s.DialTimeout, s.ReadTimeout, s.WriteTimeout, s.PoolTimeout = timeout, timeout, timeout, timeout
	if o.Master == "" {
		return redis.NewClient(s)
	}
	return redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName: o.Master, SentinelAddrs: o.Sentinels,
		Username: s.Username, Password: s.Password, DB: s.DB, TLSConfig: s.TLSConfig,
		Protocol: s.Protocol, DisableIdentity: true,
		MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true,
		DialTimeout: timeout, ReadTimeout: timeout, WriteTimeout: timeout, PoolTimeout: timeout,
	})
}

// Close releases the connections.
func (m *Memory) Close() error { return m.client.Close() }

// Epoch names the memory as it is now.
func (m *Memory) Epoch(ctx context.Context) (string, error) {
	out, err := m.ask(ctx, "", "")
	if err != nil {
		return "", err
	}
	return out[1], nil
}

// Use notes a proof in the memory of this name.
func (m *Memory) Use(ctx context.Context, epoch, proof string) (fresh bool, now string, err error) {
	if epoch == "" || proof == "" {
		return false, "", errors.New("redisreplay: an epoch and a proof are needed")
	}
	out, err := m.ask(ctx, epoch, proof)
	if err != nil {
		return false, "", err
	}
	return out[0] == "fresh", out[1], nil
}

// ask runs the script. Its answer ends with the tag of the question, so that no other is taken for it.
func (m *Memory) ask(ctx context.Context, epoch, proof string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	tag := rand.Text()
	out, err := judge.Run(ctx, m.client, m.keys, rand.Text()+rand.Text(), epoch, proof, m.limit, tag).StringSlice()
	switch {
	case err != nil:
		return nil, fmt.Errorf("redisreplay: %w", err)
	case len(out) != 4 || out[3] != tag || out[1] == "":
		return nil, errAnswer
	case out[2] != "noeviction":
		return nil, fmt.Errorf("%w (it is %s)", ErrEvicts, out[2])
	}
	return out, nil
}
