-- Counts one more for each of these limits, until one has too many. ARGV: prefix, then of each its key, after how
-- many seconds one more may come, and in how many seconds as many as may come at once.
-- Answers with nothing, or with the place of the one that has too many and how many seconds it is ahead.
for i = 2, #ARGV, 3 do
    local key, spacing, window = P .. 'l:' .. ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
    local ahead = math.max((tonumber(redis.call('GET', key)) or 0) - now, 0)
    if ahead + spacing > window + 0.00001 then
        return { (i - 2) / 3, string.format('%.6f', ahead) }
    end
    ahead = ahead + spacing
    redis.call('SET', key, string.format('%.6f', now + ahead), 'PX', math.ceil(ahead * 1000))
end
return {}
