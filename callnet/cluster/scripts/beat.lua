-- Renews a node's lease. ARGV: prefix, node, how much of what is due the node would look at.
-- Answers with nothing if the node is not known or its lease is over, else with the time and what it is to
-- look at: '' or {members, view} in msgpack. One node at a time looks at what no other has seen to for a
-- second, and at what dead nodes held; nobody does in the quiet time.
local node, most = ARGV[2], tonumber(ARGV[3])
local lease = tonumber(redis.call('ZSCORE', P .. 'nodes', node))
if not lease or lease <= now then
    return {}
end
redis.call('ZADD', P .. 'nodes', now + LEASE, node)

local members, phones, rooms = {}, {}, {}

local function add(member)
    members[#members + 1] = cmsgpack.pack(member)
    if string.sub(member, 1, 1) == 'd' then
        phones[#phones + 1] = string.match(member, '^d(.-)\n')
    else
        rooms[#rooms + 1] = string.sub(member, 2)
    end
end

local function is_held_by(holder, member)
    if string.sub(member, 1, 1) == 'd' then
        local phone, id = string.match(member, '^d(.-)\n(.*)$')
        local device = redis.call('HGET', P .. 'p:' .. phone, id)
        return device and holder_of(unpacked(device)) == holder
    end
    local seats = redis.call('GET', P .. 's:' .. string.sub(member, 2))
    return seats and holders_of(unpacked(seats))[holder]
end

local function bury(dead)
    local held = redis.call('SRANDMEMBER', P .. 'n:' .. dead, most)
    if #held == 0 then
        redis.call('ZREM', P .. 'nodes', dead)
    end
    for _, member in ipairs(held) do
        if is_held_by(dead, member) then
            add(member)
        else
            redis.call('SREM', P .. 'n:' .. dead, member)
        end
    end
end

local function is_there(member)
    local kind, name = string.sub(member, 1, 1), string.sub(member, 2)
    if kind == 'd' then
        local phone, id = string.match(name, '^(.-)\n(.*)$')
        return redis.call('HEXISTS', P .. 'p:' .. phone, id) == 1
    end
    return redis.call('EXISTS', P .. kind .. ':' .. name) == 1
end

local function sweep()
    local sweeper = redis.call('HGET', P .. 'meta', 'sweeper')
    if sweeper ~= node and seconds_of('sweeps') > now then
        return
    end
    redis.call('HSET', P .. 'meta', 'sweeper', node, 'sweeps', now + 2)
    for _, dead in ipairs(redis.call('ZRANGEBYSCORE', P .. 'nodes', '-inf', now, 'LIMIT', 0, 4)) do
        bury(dead)
    end
    for _, member in ipairs(redis.call('ZRANGEBYSCORE', P .. 'due', '-inf', now - 1, 'LIMIT', 0, most)) do
        if is_there(member) then
            add(member)
        else
            redis.call('ZREM', P .. 'due', member)
        end
    end
end

if seconds_of('quiet') <= now then
    sweep()
end
local found = ''
if #members > 0 then
    found = array({ array(members), view(phones, rooms) })
end
return { string.format('%.6f', now), found }
