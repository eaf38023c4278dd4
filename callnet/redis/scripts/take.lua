-- Counts one use for each of these limits, up to the first that is exceeded. ARGV: prefix, then for each its key,
-- the seconds between two uses, and those of a burst.
-- Returns nothing, or the index of the exceeded limit and the seconds by which it is ahead.
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
