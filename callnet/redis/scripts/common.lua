-- The common head of all scripts. ARGV[1] is the prefix of all keys.
--
-- p:<phone>  HASH   device id -> record of the device      c:<room>  STRING  record of a call
-- o:<phone>  STRING its policy, if that is long
-- n:<node>   SET    records of a node                      s:<room>  STRING  record of a room's seats
-- r:<alias>  STRING the room of the alias
-- nodes      ZSET   node -> end of its lease               due       ZSET    record -> due time
-- meta       HASH   run, shift, quiet, sweeper, sweeps     ended     ZSET    record of a call -> next handout
-- l:<limit>  STRING  time of its full recovery          usedup    ZSET    limits near exhaustion -> the same
-- a:<kind>:<address> HASH  node -> number of its sockets, and expiry
-- node:<node>       channel of a node
--
-- A record is its version in four bytes, then its fields in msgpack, in the order of callnet/calls/records.py.
-- Members of n:<node> and due are named 'd<phone>\n<device id>', 'c<room>' and 's<room>'.
-- Times are seconds on the clock of the store: Redis' own, plus a shift that keeps it continuous after a failover.
local P = ARGV[1]
local LEASE, BEAT = 3, 1

local function seconds_of(field)
    return tonumber(redis.call('HGET', P .. 'meta', field)) or 0
end

local function redis_time()
    local time = redis.call('TIME')
    return time[1] + time[2] / 1000000
end

local now = redis_time() + seconds_of('shift')

-- Returns whether a node may decide: after its lease it may have been taken for dead, and must register first.
local function is_known(node)
    local lease = tonumber(redis.call('ZSCORE', P .. 'nodes', node))
    return lease and lease > now
end

-- The version of a record; 0 if there is none.
local function version_of(value)
    return value and struct.unpack('>I4', value) or 0
end

local function unpacked(value)
    return cmsgpack.unpack(string.sub(value, 5))
end

-- The node that holds a device's socket, if it has one.
local function holder_of(device)
    return device[5] and device[3] or nil
end

-- Returns whether the policy of a device is too long for its record, and is kept once for the phone
-- (KEPT_ONCE in callnet/calls/records.py).
local function is_kept_once(device)
    local only = device[11] and device[11][2]
    return only and only[1] == ''
end

-- Forgets a device, and the policy of its phone when it was the last one.
local function forget_device(phone, id)
    redis.call('HDEL', P .. 'p:' .. phone, id)
    if redis.call('EXISTS', P .. 'p:' .. phone) == 0 then
        redis.call('DEL', P .. 'o:' .. phone)
    end
end

-- The nodes that hold the sockets of a room's pages.
local function holders_of(seats)
    local holders = {}
    for i = 1, 2 do
        local seat = seats[3][i]
        if seat and not seat[5] then
            holders[seat[3]] = true
        end
    end
    return holders
end

-- The msgpack header of an array of n values, or of a map of n pairs.
local function head(n, short, long)
    if n < 16 then
        return string.char(short + n)
    end
    return string.char(long, 0, math.floor(n / 65536) % 256, math.floor(n / 256) % 256, n % 256)
end

-- A msgpack array of encoded values.
local function array(values)
    return head(#values, 0x90, 0xdd) .. table.concat(values)
end

-- A msgpack map of alternating encoded keys and values.
local function map(pairs)
    return head(#pairs / 2, 0x80, 0xdf) .. table.concat(pairs)
end

-- The records of these phones and rooms, the dead nodes named there with the time of their death, and the policies
-- kept once for a phone.
local function view(phones, rooms)
    local devices, calls, seats, dead, wanted, seen, asked = {}, {}, {}, {}, {}, {}, {}

    local function look_at_node(node)
        if asked[node] then
            return
        end
        asked[node] = true
        local lease = tonumber(redis.call('ZSCORE', P .. 'nodes', node))
        if not lease or lease <= now then
            dead[#dead + 1] = cmsgpack.pack({ node, lease and lease - LEASE + BEAT or now })
        end
    end

    local function look_at_room(room)
        if not room or seen[room] then
            return
        end
        seen[room] = true
        local call = redis.call('GET', P .. 'c:' .. room)
        local of_room = redis.call('GET', P .. 's:' .. room)
        if call then
            calls[#calls + 1] = string.sub(call, 5)
        else
            look_at_room(redis.call('GET', P .. 'r:' .. room))
        end
        if of_room then
            seats[#seats + 1] = string.sub(of_room, 5)
            for node in pairs(holders_of(unpacked(of_room))) do
                look_at_node(node)
            end
        end
    end

    for _, phone in ipairs(phones) do
        local fields = redis.call('HGETALL', P .. 'p:' .. phone)
        local kept_once = false
        for i = 2, #fields, 2 do
            devices[#devices + 1] = string.sub(fields[i], 5)
            local device = unpacked(fields[i])
            kept_once = kept_once or is_kept_once(device)
            local node = holder_of(device)
            if node then
                look_at_node(node)
            end
            look_at_room(device[8])
            look_at_room(device[9])
        end
        local of_phone = kept_once and redis.call('GET', P .. 'o:' .. phone)
        if of_phone then
            wanted[#wanted + 1] = cmsgpack.pack(phone)
            wanted[#wanted + 1] = of_phone
        end
    end
    for _, room in ipairs(rooms) do
        look_at_room(room)
    end
    local quiet = cmsgpack.pack(seconds_of('quiet') > now)
    return array({ array(devices), array(calls), array(seats), array(dead), quiet, map(wanted) })
end
