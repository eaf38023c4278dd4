-- Hands out ended calls that are not in the history yet, and forgets those that are.
-- ARGV: prefix, the maximum to hand out, the maximum to keep, then those to forget, as they were handed out.
-- Returns the number dropped over the maximum, the oldest of those not handed out first, and the calls handed out.
-- A node has WRITING seconds to write a call before it is handed out again.
local WRITING, DROPPED_AT_ONCE = 30, 10000

for i = 4, #ARGV do
    redis.call('ZREM', P .. 'ended', ARGV[i])
end
local most = tonumber(ARGV[2])
if most == 0 then
    return { 0, {} }
end
local dropped = math.min(redis.call('ZCARD', P .. 'ended') - ARGV[3], DROPPED_AT_ONCE)
if dropped > 0 then
    redis.call('ZREMRANGEBYRANK', P .. 'ended', 0, dropped - 1)
end
local ended = redis.call('ZRANGEBYSCORE', P .. 'ended', '-inf', now, 'LIMIT', 0, most)
for _, value in ipairs(ended) do
    redis.call('ZADD', P .. 'ended', now + WRITING, value)
end
return { math.max(dropped, 0), ended }
