-- Hands out calls that are over and have not been written down, and forgets those that have.
-- ARGV: prefix, how many are asked for, then those to forget, as they were handed out.
-- Who is handed one has some seconds to write it down before it is another's.
local WRITING = 30

for i = 3, #ARGV do
    redis.call('ZREM', P .. 'ended', ARGV[i])
end
local most = tonumber(ARGV[2])
if most == 0 then
    return {}
end
local ended = redis.call('ZRANGEBYSCORE', P .. 'ended', '-inf', now, 'LIMIT', 0, most)
for _, value in ipairs(ended) do
    redis.call('ZADD', P .. 'ended', now + WRITING, value)
end
return ended
