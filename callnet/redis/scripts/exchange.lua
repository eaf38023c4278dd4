-- Exchanges the counts of rate limits. ARGV: prefix, name of the node, {counted, sockets} in msgpack.
--   counted:  {key, its uses as seconds of the limit's rate, the seconds from which all nodes are told}
--   sockets:  {key, number of the node's sockets}
-- Returns in msgpack {ahead, sockets, used up}: the seconds by which each key is ahead, the number of sockets of the
-- other nodes for each, and {key, seconds} of the keys for all nodes, those furthest ahead first.
-- A node's number of sockets expires after SAID seconds, so that it does not outlive the node.
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
