-- Reads records. ARGV: prefix, node, then for each question {phones, rooms} in msgpack.
-- Answers each with a view, or all with nothing if the node is not known here.
if not is_known(ARGV[2]) then
    return {}
end
local answers = {}
for i = 3, #ARGV do
    local question = cmsgpack.unpack(ARGV[i])
    answers[#answers + 1] = view(question[1], question[2])
end
return answers
