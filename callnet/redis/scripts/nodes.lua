-- Lists the known nodes, at most a thousand. ARGV: prefix.
-- Returns for each its name, the seconds left of its lease (less than 0: it is over), and the number of its records.
local found = {}
local nodes = redis.call('ZRANGE', P .. 'nodes', 0, 999, 'WITHSCORES')
for i = 1, #nodes, 2 do
    local holds = redis.call('SCARD', P .. 'n:' .. nodes[i])
    found[#found + 1] = {nodes[i], tostring(nodes[i + 1] - now), holds}
end
return found
