-- Plays a deck of prepared requests over wrk's connections; see bench/wrk.py.
-- Arguments: the deck's file, a seed for the keys.

local heads, tails, count, turn = {}, {}, 0, 0

function init(args)
  local file = assert(io.open(args[1], "rb"))
  local deck = file:read("*a")
  file:close()
  math.randomseed(tonumber(args[2]))
  for request in deck:gmatch("[^\30]+") do
    count = count + 1
    local mark = request:find("\31", 1, true)
    heads[count] = mark and request:sub(1, mark - 1) or request
    tails[count] = mark and request:sub(mark + 1)
  end
  -- Two programs that play the same deck do not play the same part of it at the same time.
  turn = math.random(count)
end

local function key()
  local random = math.random
  return string.format("%06x%06x%06x%06x%06x", random(0, 16777215), random(0, 16777215),
    random(0, 16777215), random(0, 16777215), random(0, 16777215))
end

function request()
  turn = turn % count + 1
  local tail = tails[turn]
  if tail then
    return heads[turn] .. key() .. tail
  end
  return heads[turn]
end

-- No function response(): wrk then leaves the answers' heads and bodies unread, and counts those
-- with a status of 400 or more by itself.

function done(summary, latency, requests)
  local errors = summary.errors
  local percentiles = {}
  for percent in PERCENTILES:gmatch("%S+") do
    table.insert(percentiles,
      string.format('"%s": %.4f', percent, latency:percentile(tonumber(percent)) / 1000))
  end
  io.write(string.format('{"requests": %d, "microseconds": %d, "status": %d, "connect": %d, '
    .. '"read": %d, "write": %d, "timeout": %d, "latencies_ms": {%s}}\n',
    summary.requests, summary.duration, errors.status, errors.connect, errors.read, errors.write,
    errors.timeout, table.concat(percentiles, ", ")))
end
