-- KEYS: value, lock, then a mark for each invalidator. ARGV: a token, the lock's life in ms.
-- Answers {state, stamp, value}; what a value is stamped with are the marks, in their order.
local marks = {}
for i = 3, #KEYS do
  local mark = redis.call('GET', KEYS[i])
  if not mark then return {'unmarked', '', ''} end
  marks[#marks + 1] = mark
end
local stamp = table.concat(marks, ',')
local value = redis.call('GET', KEYS[1])
if value and string.sub(value, 1, #stamp + 1) == stamp .. '\n' then
  return {'hit', stamp, string.sub(value, #stamp + 2)}
end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return {'load', stamp, ''} end
return {'wait', stamp, ''}
