-- wrk: GET /recommend for random users of MovieLens 1M. The requests are made once, at the start,
-- so that wrk itself takes no more of the machine than it must.
local requests = {}

function init()
   math.randomseed(os.time())
   for user = 1, 6040 do
      requests[user] = wrk.format("GET", "/recommend?user_id=" .. user .. "&k=10")
   end
end

function request()
   return requests[math.random(#requests)]
end
