-- Hands out calls that are over and have not been written down, and forgets those that have.
-- ARGV: prefix, how many are asked for, how many may be kept, then those to forget, as they were handed out.
-- Answers with how many were dropped because more were kept, the oldest of those that nobody is about to write down
-- first, and with what is handed out. Who is handed one has some seconds to write it down before it is another's.
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
