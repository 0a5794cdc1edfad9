-- Sends ready-made requests in random order and prints what was measured as one line of JSON.
-- The file named after `--` holds them: a line with a length in bytes, then so many bytes, and so on. A number behind
-- it: each connection waits about so many milliseconds before it asks again.

local requests = {}

function init(args)
  local file = assert(io.open(args[1], "rb"))
  local line = file:read("*l")
  while line do
    requests[#requests + 1] = file:read(tonumber(line))
    line = file:read("*l")
  end
  file:close()
  math.randomseed(os.time())
  local pause = tonumber(args[2])
  if pause then
    function delay()
      return pause * (0.5 + math.random())
    end
  end
end

function request()
  return requests[math.random(#requests)]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "duration_us": %d, "p50_us": %d, "p99_us": %d, "refused": %d, "broken": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
