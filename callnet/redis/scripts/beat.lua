-- Renews a node's lease. ARGV: prefix, node, the maximum number of orphaned records for it, or 0.
-- Returns nothing if the node is not known or its lease is over; otherwise the time, and the records for it to
-- process: '' or {members, view} in msgpack. These are records overdue for a second, which any node may take, and
-- the records of dead nodes, which one node at a time takes; nothing in the quiet time.
local node, most = ARGV[2], tonumber(ARGV[3])
if not is_known(node) then
    return {}
end
redis.call('ZADD', P .. 'nodes', now + LEASE, node)

local members, phones, rooms = {}, {}, {}
local LOOKED_AT = 4 * most

local function add(member)
    members[#members + 1] = cmsgpack.pack(member)
    if string.sub(member, 1, 1) == 'd' then
        phones[#phones + 1] = string.match(member, '^d(.-)\n')
    else
        rooms[#rooms + 1] = string.sub(member, 2)
    end
end

local function is_remembered(room)
    return room and redis.call('EXISTS', P .. 'c:' .. room) == 1
end

-- Returns whether a device can be woken: the policy in its record names it then, and no other device.
local function can_be_woken(device)
    local wakes = device[11] and device[11][4]
    return wakes and #wakes > 0
end

-- Returns whether a record of a dead node must be processed. A device that names no call and cannot be woken needs no
-- processing and is forgotten here: most devices of a large node are such.
local function is_left(dead, member)
    if string.sub(member, 1, 1) ~= 'd' then
        local seats = redis.call('GET', P .. 's:' .. string.sub(member, 2))
        return seats and holders_of(unpacked(seats))[dead]
    end
    local phone, id = string.match(member, '^d(.-)\n(.*)$')
    local value = redis.call('HGET', P .. 'p:' .. phone, id)
    local device = value and unpacked(value)
    if not device or holder_of(device) ~= dead then
        return false
    end
    if is_remembered(device[8]) or is_remembered(device[9]) or can_be_woken(device) then
        return true
    end
    forget_device(phone, id)
    return false
end

local function bury(dead)
    local held = redis.call('SRANDMEMBER', P .. 'n:' .. dead, LOOKED_AT)
    if #held == 0 then
        redis.call('ZREM', P .. 'nodes', dead)
    end
    for _, member in ipairs(held) do
        if not is_left(dead, member) then
            redis.call('SREM', P .. 'n:' .. dead, member)
        elseif #members < most then
            add(member)
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

-- Takes records overdue for a second. The node has two seconds before another one takes them.
local function take_due()
    for _, member in ipairs(redis.call('ZRANGEBYSCORE', P .. 'due', '-inf', now - 1, 'LIMIT', 0, most)) do
        if is_there(member) then
            redis.call('ZADD', P .. 'due', now + 1, member)
            add(member)
        else
            redis.call('ZREM', P .. 'due', member)
        end
    end
end

local function bury_dead()
    local sweeper = redis.call('HGET', P .. 'meta', 'sweeper')
    if sweeper ~= node and seconds_of('sweeps') > now then
        return
    end
    redis.call('HSET', P .. 'meta', 'sweeper', node, 'sweeps', now + 2)
    for _, dead in ipairs(redis.call('ZRANGEBYSCORE', P .. 'nodes', '-inf', now, 'LIMIT', 0, 4)) do
        bury(dead)
    end
end

if most > 0 and seconds_of('quiet') <= now then
    take_due()
    bury_dead()
end
local found = ''
if #members > 0 then
    found = array({ array(members), view(phones, rooms) })
end
return { string.format('%.6f', now), found }
