-- Registers a node. ARGV: prefix, its present name, its next name, Redis' run id, '1' if the node knows this run
-- or '', the time that it expects ('' if unknown).
-- Returns the time, '1' if it keeps its present name or '', and a value that changes whenever the records are lost.
local old, new, run, knows_run, expected = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
if redis.call('HGET', P .. 'meta', 'run') ~= run then
    -- Redis was restarted, or is another one that may lack the last writes, or has been emptied.
    if expected ~= '' then
        redis.call('HSET', P .. 'meta', 'shift', expected - redis_time())
        now = tonumber(expected)
    end
    redis.call('HSET', P .. 'meta', 'run', run, 'quiet', now + 5)
end
local lease = tonumber(redis.call('ZSCORE', P .. 'nodes', old))
local keeps = knows_run == '1' and lease and lease > now
if keeps then
    redis.call('ZADD', P .. 'nodes', now + LEASE, old)
else
    if lease then
        redis.call('ZADD', P .. 'nodes', math.min(lease, now), old)
    end
    redis.call('ZADD', P .. 'nodes', now + LEASE, new)
end
return { string.format('%.6f', now), keeps and '1' or '', redis.call('HGET', P .. 'meta', 'quiet') or '' }
