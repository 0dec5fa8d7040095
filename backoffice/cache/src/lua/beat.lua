-- KEYS: mark. ARGV: what should be there, its life in ms. 0: it is not.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
