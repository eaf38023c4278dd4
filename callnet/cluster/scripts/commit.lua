-- Commits sets of records, each set whole or not at all. ARGV: prefix, node, then the sets in msgpack:
--   {until, devices, rooms, notices, policies}
--   until:   after this time the set does nothing
--   device:  {phone, device id, version it must have, new value, due or false, holder or false}
--   room:    {'c' or 's', room, version it must have, new value, due or false, whether it is over,
--             aliases of a call or holders of seats}
--   notice:  {message, phone, device id} for wherever the device is, or {message, node}
--   policy:  {phone, what its owner wants}, which is kept as long as the phone has devices
-- A version is four bytes, or '' if there must be no record; a value is '' if the record is to be forgotten,
-- or false if it is relied on and stays. What is over is forgotten by itself when it is due.
-- Answers each set with '+' and a letter for each notice: l: it is for this node; 1: sent; 0: sent, and
-- nobody was there; -: the device is not connected. Or with: overtaken, late, stale.
local node = ARGV[2]
local known = is_known(node)
local outbox, told_by_set = {}, {}
-- For so long, in milliseconds, the aliases of a call that lives outlast the time at which it is due.
local ALIAS_KEPT = 600000

local function version_of(value)
    return value and string.sub(value, 1, 4) or ''
end

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

local function write_device(change, old)
    local phone, id, value, due, holder = change[1], change[2], change[4], change[5], change[6]
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
    -- An older node may end the call and know of no aliases: they go by themselves.
    local kept = math.max(1, math.ceil((due - now) * 1000)) + (over and 0 or ALIAS_KEPT)
    for _, alias in ipairs(aliases) do
        redis.call('SET', P .. 'r:' .. alias, room, 'PX', kept)
    end
end

local function write_room(change, old)
    local kind, room, value, due, over = change[1], change[2], change[4], change[5], change[6]
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
    if not notice[3] then
        return notice[2]
    end
    local device = redis.call('HGET', P .. 'p:' .. notice[2], notice[3])
    return device and holder_of(unpacked(device))
end

local function tell(notices)
    local told = {}
    for i, notice in ipairs(notices) do
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
            box.messages[#box.messages + 1] = notice[1]
            box.told[#box.told + 1] = { told, i }
        end
    end
    return told
end

local function commit(set)
    if not known then
        return 'stale'
    end
    if now > set[1] then
        return 'late'
    end
    local devices, rooms = {}, {}
    for i, change in ipairs(set[2]) do
        devices[i] = redis.call('HGET', P .. 'p:' .. change[1], change[2])
        if version_of(devices[i]) ~= change[3] then
            return 'overtaken'
        end
    end
    for i, change in ipairs(set[3]) do
        rooms[i] = redis.call('GET', P .. change[1] .. ':' .. change[2])
        if version_of(rooms[i]) ~= change[3] then
            return 'overtaken'
        end
    end
    for i, change in ipairs(set[2]) do
        write_device(change, devices[i])
    end
    for i, change in ipairs(set[3]) do
        if change[4] then
            write_room(change, rooms[i])
        end
    end
    for _, policy in ipairs(set[5]) do
        if redis.call('EXISTS', P .. 'p:' .. policy[1]) == 1 then
            redis.call('SET', P .. 'o:' .. policy[1], policy[2])
        end
    end
    return tell(set[4])
end

local answers = {}
for i = 3, #ARGV do
    answers[#answers + 1] = commit(cmsgpack.unpack(ARGV[i]))
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
