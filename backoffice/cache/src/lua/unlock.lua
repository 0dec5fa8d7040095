-- KEYS: anything that is held. ARGV: by which token. 1: it was, and is not any more.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
