-- wrk: POST /interactions, random users and items of MovieLens 1M. BENCH_ROWS interactions a
-- request (default 1: a single object); BENCH_DELAY_MS: how long a connection rests after an
-- answer, on average (default: not at all).
local rows = tonumber(os.getenv("BENCH_ROWS") or "1")
local rest = tonumber(os.getenv("BENCH_DELAY_MS") or "0")
local requests = {}

local function one()
   return string.format('{"user_id":"%d","item_id":"%d","type":"view"}', math.random(6040),
      math.random(3706))
end

function init()
   math.randomseed(os.time())
   local headers = {["Content-Type"] = "application/json"}
   for i = 1, math.max(20, math.floor(20000 / rows)) do
      local body = one()
      if rows > 1 then
         local list = {body}
         for row = 2, rows do list[row] = one() end
         body = '{"interactions":[' .. table.concat(list, ",") .. "]}"
      end
      requests[i] = wrk.format("POST", "/interactions", headers, body)
   end
end

function request()
   return requests[math.random(#requests)]
end

if rest > 0 then
   function delay()
      return math.floor(2 * rest * math.random() + 0.5)
   end
end
