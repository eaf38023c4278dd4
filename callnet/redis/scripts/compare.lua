-- Compares a node's copies with the records. ARGV: prefix, node, {devices, rooms} in msgpack.
--   device:  {phone, device id, version}      room:  {room, version of the call, version of the seats}
-- Returns a view of the phones and rooms with a different version, or nothing if the node is not known here.
-- A version is 0 if the node has no record.
if not is_known(ARGV[2]) then
    return {}
end
local known = cmsgpack.unpack(ARGV[3])
local phones, rooms = {}, {}

local function differs(value, version)
    return version_of(value) ~= version
end

for _, device in ipairs(known[1]) do
    if differs(redis.call('HGET', P .. 'p:' .. device[1], device[2]), device[3]) then
        phones[#phones + 1] = device[1]
    end
end
for _, room in ipairs(known[2]) do
    if
        differs(redis.call('GET', P .. 'c:' .. room[1]), room[2])
        or differs(redis.call('GET', P .. 's:' .. room[1]), room[3])
    then
        rooms[#rooms + 1] = room[1]
    end
end
return { cmsgpack.pack(phones), cmsgpack.pack(rooms), view(phones, rooms) }
