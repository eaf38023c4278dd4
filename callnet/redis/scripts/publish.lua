-- Sends a message to a node. ARGV: prefix, node, message in msgpack.
redis.call('PUBLISH', P .. 'node:' .. ARGV[2], array({ ARGV[3] }))
return {}
