-- Names the nodes that are known, a thousand at the most. ARGV: prefix.
-- Of each: its name, for how many seconds its lease holds (less than 0: it is over), and how many records it holds.
local found = {}
local nodes = redis.call('ZRANGE', P .. 'nodes', 0, 999, 'WITHSCORES')
for i = 1, #nodes, 2 do
    local holds = redis.call('SCARD', P .. 'n:' .. nodes[i])
    found[#found + 1] = {nodes[i], tostring(nodes[i + 1] - now), holds}
end
return found
