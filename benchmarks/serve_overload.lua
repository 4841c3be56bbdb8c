-- wrk: like serve_load.lua, each connection pausing between its requests; the bodies of all 200s go to a file.
-- Arguments: the first story's number; the mean pause in milliseconds; the file.
local number, pause, file
local answer = string.rep("The sea was quiet that morning, and the boats lay still along the wall. ", 7)
local headers = { ["Content-Type"] = "application/json" }
local thread_of_all
accepted, refused, hurried, other = 0, 0, 0, 0

function setup(thread)
  thread_of_all = thread
end

function init(arguments)
  number, pause = tonumber(arguments[1]), tonumber(arguments[2])
  file = io.open(arguments[3], "w")
end

function delay()
  return math.random(0, 2 * pause)
end

function request()
  number = number + 1
  local parts = {}
  for i = 0, 7 do
    parts[i + 1] = string.format('"Answer %d to story %d. %s"', i, number, answer)
  end
  local body = string.format(
    '{"id":"%d","query":"Story %d: write a short story about the sea, with a lighthouse, a storm and a letter in it.","responses":[%s]}',
    number, number, table.concat(parts, ","))
  return wrk.format("POST", nil, headers, body)
end

function response(status, headers, body)
  if status == 200 then
    accepted = accepted + 1
    file:write(body, "\n")
    file:flush()
  elseif status == 429 then
    refused = refused + 1
    local seconds = tonumber(headers["retry-after"])
    if seconds == nil or seconds < 1 then hurried = hurried + 1 end
  else
    other = other + 1
  end
end

function done(summary, latency)
  local errors = summary.errors
  local function of(name) return thread_of_all:get(name) end
  io.write(string.format(
    '{"seconds":%.3f,"accepted":%d,"refused":%d,"hurried":%d,"other":%d,"p50_ms":%.1f,"p99_ms":%.1f,"max_ms":%.1f}\n',
    summary.duration / 1e6, of("accepted"), of("refused"), of("hurried"),
    of("other") + errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3))
end
