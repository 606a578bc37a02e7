-- The full job of a load run in nginx: the key looked up by its SHA-256, its limit counted and told,
-- route and scope checked, and of the body 12 of 25 columns kept and the assistant's id replaced.
--
-- The body is done as Kong's response-transformer and APISIX's response-rewrite do it: kept until it
-- is whole, read into tables by cjson, changed, written anew. What the gateway does beside
-- is left out here: strictness, request ids, metrics, teams, expiry, headers by allow-list.

local cjson = require "cjson"
local ffi = require "ffi"
local new_table = require "table.new"

ffi.cdef "unsigned char *SHA256(const unsigned char *text, size_t length, unsigned char *digest);"

local LIMIT, WINDOW_SECONDS, SCOPE = 1000000, 60, "bench:read"
local job = {}
local keys = {}
local digest = ffi.new("unsigned char[32]")

local function from_hex(text)
  return (text:gsub("..", function(pair) return string.char(tonumber(pair, 16)) end))
end

-- Reads the same directory as the gateway, which is JSON.
function job.load(path)
  local file = assert(io.open(path))
  local directory = cjson.decode(file:read("*a"))
  file:close()
  for _, account in pairs(directory.accounts) do
    for id, key in pairs(account.keys) do
      local scopes = {}
      for _, scope in ipairs(key.scopes) do scopes[scope] = true end
      keys[from_hex(key.digest:match("^sha256:(%x+)$"))] = {
        id = id, scopes = scopes, columns = account.columns.bench,
        names = account.assistants.names, fallback = account.assistants.fallback,
      }
    end
  end
end

local function refuse(status, code)
  ngx.status = status
  ngx.header["Content-Type"] = "application/problem+json"
  ngx.say('{"code":"', code, '"}')
  return ngx.exit(status)
end

function job.access()
  local header = ngx.var.http_authorization
  local text = header and header:match("^Bearer (avoca_%x+)$")
  if not text then return refuse(401, "missing_api_key") end
  ffi.C.SHA256(text, #text, digest)
  local key = keys[ffi.string(digest, 32)]
  if not key then return refuse(401, "invalid_api_key") end
  local now = ngx.time()
  local window = now - now % WINDOW_SECONDS
  local count = ngx.shared.counts:incr(key.id .. ":" .. window, 1, 0, 2 * WINDOW_SECONDS)
  if not count or count > LIMIT then return refuse(429, "rate_limited") end
  if not ngx.var.uri:find("^/bench/%d+$") then return refuse(404, "not_found") end
  if not key.scopes[SCOPE] then return refuse(403, "insufficient_scope") end
  local ctx = ngx.ctx
  ctx.key, ctx.remaining, ctx.reset = key, LIMIT - count, window + WINDOW_SECONDS
end

function job.header_filter()
  local ctx, header = ngx.ctx, ngx.header
  if not ctx.key then return end
  header["Content-Length"] = nil
  header["X-RateLimit-Limit"] = LIMIT
  header["X-RateLimit-Remaining"] = ctx.remaining
  header["X-RateLimit-Reset"] = ctx.reset
end

local function filtered(row, key)
  local columns = key.columns
  local kept = new_table(0, #columns)
  for place = 1, #columns do
    local name = columns[place]
    kept[name] = row[name]
  end
  local id = kept.assistant_id
  if type(id) == "string" then kept.assistant_id = key.names[id] or key.fallback end
  return kept
end

function job.body_filter()
  local ctx = ngx.ctx
  if not ctx.key then return end
  local chunks = ctx.chunks
  if not chunks then
    chunks = {}
    ctx.chunks = chunks
  end
  chunks[#chunks + 1] = ngx.arg[1]
  if not ngx.arg[2] then
    ngx.arg[1] = nil
    return
  end
  local body = cjson.decode(table.concat(chunks))
  local rows = body.data
  for place = 1, #rows do rows[place] = filtered(rows[place], ctx.key) end
  ngx.arg[1] = cjson.encode({ data = rows, pagination = body.pagination })
end

return job
