-- wrk: POST groups of 8 responses, as `benchmarks.instant.group` makes them.
-- Arguments: the first story's number; how many distinct stories (0: no end of them).
local number, first, distinct = 0, 0, 0
local answer = string.rep("The sea was quiet that morning, and the boats lay still along the wall. ", 7)
local headers = { ["Content-Type"] = "application/json" }

local threads = 0
function setup(thread)
  thread:set("id", threads)
  threads = threads + 1
end

function init(arguments)
  first = tonumber(arguments[1]) + id * 100000000
  distinct = tonumber(arguments[2])
end

function request()
  local story = first + (distinct > 0 and number % distinct or number)
  number = number + 1
  local parts = {}
  for i = 0, 7 do
    parts[i + 1] = string.format('"Answer %d to story %d. %s"', i, story, answer)
  end
  local body = string.format(
    '{"query":"Story %d: write a short story about the sea, with a lighthouse, a storm and a letter in it.","responses":[%s]}',
    story, table.concat(parts, ","))
  return wrk.format("POST", nil, headers, body)
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format('{"requests":%d,"seconds":%.3f,"p50_ms":%.2f,"p99_ms":%.2f,"failed":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
