-- KEYS: stock. ARGV: op in 20 digits, shard, available. 1: written; 0: what is there is as new or newer; -1: it is of another shard.
local now = redis.call('GET', KEYS[1])
if now then
  local op, shard = string.match(now, '^(%d+) (%d+) ')
  if shard and shard ~= ARGV[2] then return -1 end
  if op and op >= ARGV[1] then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2] .. ' ' .. ARGV[3])
return 1
