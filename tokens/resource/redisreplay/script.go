package redisreplay

import "github.com/redis/go-redis/v9"

// judge names the memory and notes a proof in it, in one step.
//
// The name is the run_id of the server process, which changes with a restart and a promotion, and a
// random word that lives with the data, which goes when the data go. A new word is made when a key
// was evicted, when the limit is reached, and when the server's clock, by which proofs are forgotten,
// is more than 120 s from where it was seen last: it may have jumped, and if it has not, every nonce
// of before is too old by itself.
//
// Proofs lie in two sets, of even and odd stretches of 240 s; a set is emptied when its next stretch
// begins. So a proof is kept for 240 s at least, which is longer than a nonce is good (120 s) and a
// jump that was not noticed together.
//
//	KEYS  1 the memory's hash, 2 the even set, 3 the odd set
//	ARGV  1 a new word, should one be needed, 2 the name that the caller knows, 3 the proof, 4 the limit, 5 the tag
//
// It answers with what became of the proof (fresh, used, other: the memory has another name), the
// name, the server's policy of eviction and the tag.
var judge = redis.NewScript(`
local function info(section, name)
	return string.match(redis.call('INFO', section), '\n' .. name .. ':([%w_-]+)') or ''
end
local run, evicted, policy = info('server', 'run_id'), info('stats', 'evicted_keys'), info('memory', 'maxmemory_policy')
local now = tonumber(redis.call('TIME')[1])
local was = redis.call('HMGET', KEYS[1], 'word', 'run', 'evicted', 'last', 'stretch')
local word, last, stretch = was[1], tonumber(was[4] or ''), tonumber(was[5] or '')
local present = math.max(math.floor(now / 240), stretch or 0)

local function renew()
	word, stretch, present = ARGV[1], math.floor(now / 240), math.floor(now / 240)
	redis.call('UNLINK', KEYS[2], KEYS[3])
	redis.call('HSET', KEYS[1], 'word', word, 'run', run, 'evicted', evicted, 'last', now, 'stretch', stretch)
end
if not word or was[2] ~= run or was[3] ~= evicted or not last or not stretch or math.abs(now - last) > 120 then
	renew()
elseif now ~= last or present ~= stretch then
	redis.call('HSET', KEYS[1], 'last', now, 'stretch', present)
end
local set = KEYS[2 + present % 2]
if present ~= stretch then
	redis.call('UNLINK', set)
end

local fate = 'other'
if ARGV[3] ~= '' and ARGV[2] == run .. ':' .. word then
	if redis.call('SISMEMBER', KEYS[2], ARGV[3]) == 1 or redis.call('SISMEMBER', KEYS[3], ARGV[3]) == 1 then
		fate = 'used'
	elseif redis.call('SCARD', set) >= tonumber(ARGV[4]) then
		renew()
	else
		redis.call('SADD', set, ARGV[3])
		redis.call('EXPIRE', set, 480)
		fate = 'fresh'
	end
end
return {fate, run .. ':' .. word, policy, ARGV[5]}`)
