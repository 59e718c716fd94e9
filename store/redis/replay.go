package redis

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// spare is how much longer than asked the server keeps a key. Whether a key still counts is decided
// by the caller's clock, which also judges the nonce: a clock that is behind another instance's by
// less than this cannot find the key gone while the nonce is good.
const spare = time.Minute

// firstScript remembers KEYS[2] until ARGV[4] by the caller's clock, which shows ARGV[3].
var firstScript = goredis.NewScript(judgeEpoch + `
if epoch(KEYS[1], ARGV[2]) ~= ARGV[1] then return {'over', ARGV[6]} end
local known = redis.call('GET', KEYS[2])
if known and tonumber(known) > tonumber(ARGV[3]) then return {'seen', ARGV[6]} end
redis.call('SET', KEYS[2], ARGV[4], 'PX', ARGV[5])
return {'first', ARGV[6]}`)

// FirstUse remembers the key for ttl and reports whether it was unseen.
func (e *Ephemeral) FirstUse(ctx context.Context, epoch, key string, ttl time.Duration) (bool, error) {
	if ttl < time.Millisecond {
		return false, errors.New("redis: a key is remembered for some time")
	}
	if err := ctx.Err(); err != nil {
		return false, err
	}
	sum := sha256.Sum256([]byte(key))
	part := int(sum[31]) % len(e.parts)
	epochs, known := e.views.find(epoch)
	if !known {
		if len(e.parts) > 1 {
			return false, e.over()
		}
		epochs = []string{epoch} // another instance may have seen it first: the server knows
	}
	ctx, cancel := e.bound(ctx)
	defer cancel()
	now, tag := e.now(), rand.Text()
	out, err := answer(firstScript.Run(ctx, e.client,
		[]string{e.epochKey(part), e.parts[part] + ":used:" + short(sum)},
		epochs[part], rand.Text(), micros(now), micros(now.Add(ttl)), (ttl+spare).Milliseconds(), tag), 2, tag)
	if err != nil {
		return false, err
	}
	switch out[0] {
	case "first":
		return true, nil
	case "seen":
		return false, nil
	case "over":
		return false, e.over()
	}
	return false, errWrongAnswer
}

// short is a key's name in Redis: callers' words are of any length, and some are secrets.
func short(sum [sha256.Size]byte) string { return base64.RawURLEncoding.EncodeToString(sum[:24]) }

func micros(t time.Time) string { return strconv.FormatInt(t.UnixMicro(), 10) }
