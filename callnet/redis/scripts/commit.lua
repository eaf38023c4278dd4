-- Commits sets of records, each set atomically. ARGV: prefix, node, the time after which this does nothing, then for
-- each set {count, devices, rooms, notices, phones} in msgpack, and its values; count is the number of words of both:
--   device:  {phone, device id, required version, due or nil, holder or nil}, and its value
--   room:    {'c' or 's', room, required version, true, due or nil, true if it is over, aliases of a call or
--            holders of seats}, and its value; or {'c' or 's', room, required version, false} if it is unchanged
--   notice:  {phone, device id, index of its call in rooms} to the device, on any node; or
--            {phone, device id} or {node}, and the message
--   phone:   the value is its policy, which is kept as long as the phone has devices
-- A version is 0 if there must be no record; a value is '' to forget the record.
-- An ended call and its seats are forgotten when they are due.
-- Returns for each set '+' and a letter for each notice: l: it is for this node; 1: sent; 0: sent, and not
-- received; -: the device is not connected. Or one of: overtaken, late, stale.
local node = ARGV[2]
local known, is_late = is_known(node), now > tonumber(ARGV[3])
local outbox = {}
-- Milliseconds for which the aliases of a live call outlast its due time.
local ALIAS_KEPT = 600000

local function hold(holder, member, held)
    redis.call(held and 'SADD' or 'SREM', P .. 'n:' .. holder, member)
end

local function set_due(member, due, was_there)
    if due then
        redis.call('ZADD', P .. 'due', due, member)
    elseif was_there then
        redis.call('ZREM', P .. 'due', member)
    end
end

local function write_device(change, value, old)
    local phone, id, due, holder = change[1], change[2], change[4], change[5]
    local member = 'd' .. phone .. '\n' .. id
    if value == '' then
        forget_device(phone, id)
    else
        redis.call('HSET', P .. 'p:' .. phone, id, value)
    end
    set_due(member, due, old)
    local before = old and holder_of(unpacked(old))
    if before and before ~= holder then
        hold(before, member, false)
    end
    if holder and before ~= holder then
        hold(holder, member, true)
    end
end

local function write_aliases(room, aliases, due, over, old)
    for _, pair in ipairs(old and unpacked(old)[26] or {}) do
        redis.call('DEL', P .. 'r:' .. pair[2])
    end
    -- An older node may end the call without knowing aliases, so they expire.
    local kept = math.max(1, math.ceil((due - now) * 1000)) + (over and 0 or ALIAS_KEPT)
    for _, pair in ipairs(aliases) do
        redis.call('SET', P .. 'r:' .. pair[2], room, 'PX', kept)
    end
end

local function write_room(change, value, old)
    local kind, room, due, over = change[1], change[2], change[5], change[6]
    local key, member = P .. kind .. ':' .. room, kind .. room
    if value == '' then
        redis.call('DEL', key)
        set_due(member, false, old)
    elseif over then
        redis.call('SET', key, value, 'PX', math.max(1, math.ceil((due - now) * 1000)))
        set_due(member, false, old)
        if kind == 'c' then
            redis.call('ZADD', P .. 'ended', now, string.sub(value, 5))
        end
    else
        redis.call('SET', key, value)
        set_due(member, due, old)
    end
    if kind == 'c' and change[7] and #change[7] > 0 then
        write_aliases(room, change[7], due, over, old)
    end
    if kind == 's' then
        local before = old and holders_of(unpacked(old)) or {}
        local after = {}
        for _, holder in ipairs(change[7] or {}) do
            after[holder] = true
            if not before[holder] then
                hold(holder, member, true)
            end
        end
        for holder in pairs(before) do
            if not after[holder] then
                hold(holder, member, false)
            end
        end
    end
end

local function place_of(notice)
    if not notice[2] then
        return notice[1]
    end
    local device = redis.call('HGET', P .. 'p:' .. notice[1], notice[2])
    return device and holder_of(unpacked(device))
end

-- A notice of a call in msgpack, in the form of callnet/redis/codec.py.
local function notice_of(notice, call)
    return '\147\166Notice' .. cmsgpack.pack({ notice[1], notice[2] }) .. string.sub(call, 5)
end

-- Commits the set described in ARGV[at].
local function commit(set, at)
    if not known then
        return 'stale'
    end
    if is_late then
        return 'late'
    end
    local olds, values, told = {}, {}, {}
    for i, change in ipairs(set[2]) do
        olds[i] = redis.call('HGET', P .. 'p:' .. change[1], change[2])
        if version_of(olds[i]) ~= change[3] then
            return 'overtaken'
        end
    end
    local devices = #set[2]
    for i, change in ipairs(set[3]) do
        olds[devices + i] = redis.call('GET', P .. change[1] .. ':' .. change[2])
        if version_of(olds[devices + i]) ~= change[3] then
            return 'overtaken'
        end
    end

    local function next_value()
        at = at + 1
        return ARGV[at]
    end

    for i, change in ipairs(set[2]) do
        write_device(change, next_value(), olds[i])
    end
    for i, change in ipairs(set[3]) do
        if change[4] then
            values[i] = next_value()
            write_room(change, values[i], olds[devices + i])
        end
    end
    for i, notice in ipairs(set[4]) do
        local message = not notice[3] and next_value()
        local place = place_of(notice)
        if not place then
            told[i] = '-'
        elseif place == node then
            told[i] = 'l'
        else
            local box = outbox[place]
            if not box then
                box = { messages = {}, told = {} }
                outbox[place] = box
            end
            box.messages[#box.messages + 1] = message or notice_of(notice, values[notice[3]])
            box.told[#box.told + 1] = { told, i }
        end
    end
    for _, phone in ipairs(set[5]) do
        local policy = next_value()
        if redis.call('EXISTS', P .. 'p:' .. phone) == 1 then
            redis.call('SET', P .. 'o:' .. phone, policy)
        end
    end
    return told
end

local answers, at = {}, 4
while ARGV[at] do
    local set = cmsgpack.unpack(ARGV[at])
    answers[#answers + 1] = commit(set, at)
    at = at + set[1]
end
for place, box in pairs(outbox) do
    local reached = redis.call('PUBLISH', P .. 'node:' .. place, array(box.messages))
    for _, entry in ipairs(box.told) do
        entry[1][entry[2]] = reached > 0 and '1' or '0'
    end
end
for i, answer in ipairs(answers) do
    if type(answer) == 'table' then
        answers[i] = '+' .. table.concat(answer)
    end
end
return answers
