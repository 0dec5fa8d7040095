-- KEYS: value, lock, then the marks. ARGV: the token of the lock, the stamp seen when it was taken, the value, its life in ms.
-- Stored only by who still has the lock, under the marks that were there when the load began. 1: stored.
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[2])
local marks = {}
for i = 3, #KEYS do
  local mark = redis.call('GET', KEYS[i])
  if not mark then return 0 end
  marks[#marks + 1] = mark
end
if table.concat(marks, ',') ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[1], ARGV[2] .. '\n' .. ARGV[3], 'PX', ARGV[4])
return 1
