-- Ends a node's lease. ARGV: prefix, node. Other nodes process its remaining records.
if redis.call('EXISTS', P .. 'n:' .. ARGV[2]) == 1 then
    redis.call('ZADD', P .. 'nodes', 'XX', now, ARGV[2])
else
    redis.call('ZREM', P .. 'nodes', ARGV[2])
end
return {}
