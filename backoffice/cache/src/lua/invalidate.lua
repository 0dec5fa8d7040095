-- KEYS: value, lock, floor, mark. ARGV: the mark that should be there, the op in 20 digits, the floor's life and the mark's life in ms.
-- 1: done, or done before by this op or a later one. 0: the mark is not ours any more, and everything has to be made void.
if redis.call('GET', KEYS[4]) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[4], ARGV[4])
local floor = redis.call('GET', KEYS[3])
if floor and floor >= ARGV[2] then return 1 end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('SET', KEYS[3], ARGV[2], 'PX', ARGV[3])
return 1
