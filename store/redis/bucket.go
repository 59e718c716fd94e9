package redis

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// takeScript keeps a bucket as one number (GCRA): when it will be full again, in microseconds of the
// server's clock, or of the caller's where ARGV[3] shows it. ARGV[1] is how long one token takes to
// grow back, ARGV[2] how long all of them take.
var takeScript = goredis.NewScript(`
local now = tonumber(ARGV[3])
if not now then
	local t = redis.call('TIME')
	now = tonumber(t[1]) * 1000000 + tonumber(t[2])
end
local each, all = tonumber(ARGV[1]), tonumber(ARGV[2])
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or '') or 0, now)
full = math.min(full, now + all) + each
if full - now > all then return {string.format('%.0f', full - now - all), ARGV[4]} end
redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', string.format('%.0f', math.ceil((full - now) / 1000)))
return {'0', ARGV[4]}`)

// Take draws one from the key's bucket, which all instances share.
func (e *Ephemeral) Take(ctx context.Context, key string, rate float64, burst int) (bool, time.Duration, error) {
	if rate < 1e-6 || burst < 1 {
		return false, 0, errors.New("redis: a rate limit needs a rate and a burst")
	}
	if err := ctx.Err(); err != nil {
		return false, 0, err
	}
	each := max(int64(1e6/rate), 1)
	now := ""
	if e.own {
		now = micros(e.now())
	}
	ctx, cancel := e.bound(ctx)
	defer cancel()
	tag := rand.Text()
	out, err := answer(takeScript.Run(ctx, e.client, []string{e.prefix + ":bucket:" + short(sha256.Sum256([]byte(key)))},
		each, each*int64(burst), now, tag), 2, tag)
	if err != nil {
		return false, 0, err
	}
	wait, err := strconv.ParseInt(out[0], 10, 64)
	if err != nil || wait < 0 {
		return false, 0, errWrongAnswer
	}
	return wait == 0, time.Duration(wait) * time.Microsecond, nil
}
