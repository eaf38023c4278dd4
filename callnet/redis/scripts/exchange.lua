-- Tells what a node has let through, and what all have. ARGV: prefix, name of the node, {counted, sockets} in msgpack.
--   counted:  {key, for how many seconds that many may not come again, from how many on all nodes should know}
--   sockets:  {key, how many the node has}
-- Answers in msgpack with {ahead, sockets, used up}: how many seconds each key is ahead, how many sockets the other
-- nodes have for each, and {key, seconds} of those that all should know, those furthest ahead first.
-- What a node said of its sockets holds for some seconds, so that it does not outlive the node.
local SAID, KNOWN_TO_ALL, KEPT = 6, 500, 10000
local node, said = ARGV[2], cmsgpack.unpack(ARGV[3])

local function count(key, seconds, known_from)
    local name = P .. 'l:' .. key
    local ahead = math.max((tonumber(redis.call('GET', name)) or 0) - now, 0) + seconds
    local free_at = string.format('%.6f', now + ahead)
    redis.call('SET', name, free_at, 'PX', math.ceil(ahead * 1000))
    if ahead >= known_from then
        redis.call('ZADD', P .. 'usedup', free_at, key)
    end
    return ahead
end

local function sockets_of_others(key, own)
    local name, others = P .. 'a:' .. key, 0
    redis.call('HSET', name, node, string.format('%d %.6f', own, now + SAID))
    redis.call('PEXPIRE', name, SAID * 1000)
    local fields = redis.call('HGETALL', name)
    for i = 1, #fields, 2 do
        local number, holds_until = string.match(fields[i + 1], '^(%d+) (.*)$')
        if tonumber(holds_until) <= now or number == '0' then
            redis.call('HDEL', name, fields[i])
        elseif fields[i] ~= node then
            others = others + number
        end
    end
    return others
end

local ahead, sockets, used_up = {}, {}, {}
for i, one in ipairs(said[1]) do
    ahead[i] = count(one[1], one[2], one[3])
end
for i, one in ipairs(said[2]) do
    sockets[i] = sockets_of_others(one[1], one[2])
end
if #ahead > 0 then
    redis.call('ZREMRANGEBYSCORE', P .. 'usedup', '-inf', now)
    redis.call('ZREMRANGEBYRANK', P .. 'usedup', 0, -KEPT - 1)
end
local furthest =
    redis.call('ZREVRANGEBYSCORE', P .. 'usedup', '+inf', now, 'WITHSCORES', 'LIMIT', 0, KNOWN_TO_ALL)
for i = 1, #furthest, 2 do
    used_up[#used_up + 1] = { furthest[i], furthest[i + 1] - now }
end
return cmsgpack.pack({ ahead, sockets, used_up })
