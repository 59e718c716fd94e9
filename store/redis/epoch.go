package redis

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/remit-auth/remit/store"
)

// judgeEpoch is the beginning of every script that needs an epoch. The epoch is the run_id of the
// server process, which changes with a restart and a promotion, and a random name that lives in the
// data, which goes when the data go. A new name is made also when a key was evicted, and when the
// server's clock, which decides what is forgotten, made a jump, or was not looked at for so long that
// it might have. All this is judged in the same step as the keys.
const judgeEpoch = `
local function info(section, name)
	return string.match(redis.call('INFO', section), '\n' .. name .. ':([%w_-]+)')
end
local function epoch(key, candidate)
	local run, evicted = info('server', 'run_id'), info('stats', 'evicted_keys')
	local t = tonumber(redis.call('TIME')[1])
	local e = redis.call('HMGET', key, 'name', 'evicted', 'last')
	local last = tonumber(e[3] or '')
	if not e[1] or e[2] ~= evicted or not last or t > last + 30 or t < last - 30 then
		e[1] = candidate
		redis.call('HSET', key, 'name', candidate, 'evicted', evicted, 'last', t)
	elseif t ~= last then
		redis.call('HSET', key, 'last', t)
	end
	return run .. ':' .. e[1]
end
`

// Every answer ends with the tag of its question: an answer to another one is recognised.
var epochScript = goredis.NewScript(judgeEpoch + `
return {epoch(KEYS[1], ARGV[1]), info('memory', 'maxmemory_policy') or 'unknown', ARGV[2]}`)

var errWrongAnswer = errors.New("redis: the answer belongs to another question")

// ErrEvicts means that the server may drop keys to make room.
var ErrEvicts = errors.New("maxmemory-policy must be noeviction: a server that drops keys forgets which proofs were used")

// How long an epoch that was read is handed out again. What is handed out may be old: FirstUse asks
// the server.
const viewLife = 100 * time.Millisecond

// view is what the epochs of all parts were at one moment. Its name stands for all of them.
type view struct {
	name  string
	parts []string
}

// views remembers the newest views, so that a name leads back to the epochs of the parts.
type views struct {
	mu    sync.Mutex
	read  time.Time
	known [8]view // newest first
}

func (v *views) fresh() (string, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.known[0].name, v.known[0].name != "" && time.Since(v.read) < viewLife
}

func (v *views) add(n view) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.read = time.Now()
	if v.known[0].name != n.name {
		copy(v.known[1:], v.known[:])
		v.known[0] = n
	}
}

// stale makes the next question go to the server.
func (v *views) stale() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.read = time.Time{}
}

func (v *views) find(name string) ([]string, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, k := range v.known {
		if k.name == name && name != "" {
			return k.parts, true
		}
	}
	return nil, false
}

// Epoch names this replay memory.
func (e *Ephemeral) Epoch(ctx context.Context) (string, error) {
	if name, ok := e.views.fresh(); ok {
		return name, ctx.Err()
	}
	reading := e.reading.DoChan("epoch", func() (any, error) {
		return e.readEpoch(context.WithoutCancel(ctx))
	})
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case r := <-reading:
		if r.Err != nil {
			return "", r.Err
		}
		return r.Val.(string), nil
	}
}

// readEpoch asks every part.
func (e *Ephemeral) readEpoch(ctx context.Context) (string, error) {
	ctx, cancel := e.bound(ctx)
	defer cancel()
	v := view{parts: make([]string, len(e.parts))}
	errs := make([]error, len(e.parts))
	var asked sync.WaitGroup
	for i := range e.parts {
		asked.Go(func() { v.parts[i], errs[i] = e.partEpoch(ctx, i) })
	}
	asked.Wait()
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	v.name = v.parts[0]
	if len(v.parts) > 1 {
		sum := sha256.Sum256([]byte(strings.Join(v.parts, "\n")))
		v.name = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	e.views.add(v)
	return v.name, nil
}

func (e *Ephemeral) partEpoch(ctx context.Context, part int) (string, error) {
	tag := rand.Text()
	out, err := answer(epochScript.Run(ctx, e.client, []string{e.epochKey(part)}, rand.Text(), tag), 3, tag)
	switch {
	case err != nil:
		return "", err
	case out[1] != "noeviction":
		return "", fmt.Errorf("%w (it is %s)", ErrEvicts, out[1])
	case out[0] == "":
		return "", errWrongAnswer
	}
	return out[0], nil
}

func (e *Ephemeral) epochKey(part int) string { return e.parts[part] + ":epoch" }

// answer reads so many strings, of which the last must be the tag.
func answer(cmd *goredis.Cmd, n int, tag string) ([]string, error) {
	out, err := cmd.StringSlice()
	if err != nil {
		return nil, err
	}
	if len(out) != n || out[n-1] != tag {
		return nil, errWrongAnswer
	}
	return out, nil
}

// over reports an epoch that is not the present one, and has the present one asked for.
func (e *Ephemeral) over() error {
	e.views.stale()
	return fmt.Errorf("redis: %w", store.ErrEpochOver)
}
