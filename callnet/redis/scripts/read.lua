-- Reads records. ARGV: prefix, node, then for each query {phones, rooms} in msgpack.
-- Returns a view for each, or nothing at all if the node is not known here.
if not is_known(ARGV[2]) then
    return {}
end
local answers = {}
for i = 3, #ARGV do
    local question = cmsgpack.unpack(ARGV[i])
    answers[#answers + 1] = view(question[1], question[2])
end
return answers
