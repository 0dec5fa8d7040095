-- KEYS: lease, token. ARGV: the holder, the lease's life in ms, the highest token known elsewhere. Answers the token, or 0: another holds it.
-- The token has no life of its own: it outlives every lease.
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 0 end
local token = redis.call('INCR', KEYS[2])
local floor = tonumber(ARGV[3])
if token <= floor then
  token = floor + 1
  redis.call('SET', KEYS[2], string.format('%.0f', token))
end
return token
