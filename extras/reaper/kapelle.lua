-- Kapelle for REAPER: composes in the tempo and metre of the project, and inserts the result at the edit cursor on new tracks.
--
-- It asks a Kapelle studio by HTTP (`kapelle serve`), on this machine or another one, waits for the piece, downloads its MIDI file into
-- the folder of the project and inserts it. What was asked is remembered. It needs curl, which Windows 10 and later, macOS and Linux have.
-- It runs no shell: what is asked of curl, the token included, stands in a file that is deleted at once.
--
-- Install: Actions > Show action list > New action > Load ReaScript, choose this file. How to use it: docs/how-to/daw.md.

local SECTION = "Kapelle" -- of REAPER's memory for scripts
local POLL_S = 0.4
local PATIENCE_S = 15 -- for one answer of the studio

local FIELDS = {
  { key = "model", caption = "Model (empty: the studio's first)", default = "" },
  { key = "genre", caption = "Genre (empty: the seed chooses)", default = "" },
  { key = "bars", caption = "Bars", default = "16" },
  { key = "key", caption = "Key, such as C or F# minor", default = "" },
  { key = "seed", caption = "Seed (empty: a new one)", default = "" },
  { key = "more", caption = "More, such as instruments=flute;bass", default = "" },
  { key = "studio", caption = "Address of the studio", default = "http://127.0.0.1:8000" },
  { key = "token", caption = "Token (if it wants one)", default = "" },
}

-- Errors -------------------------------------------------------------------------------------------------------------------------

-- What went wrong, for people; anything else that is raised is a bug of this script.
local function fail(message, hint)
  if hint and hint ~= "" then message = message .. "\n\n" .. hint end
  error({ kapelle = message }, 0)
end

local function guarded(work)
  local fine, problem = xpcall(work, function(raised)
    if type(raised) == "table" and raised.kapelle then return raised.kapelle end
    return "This is a bug in kapelle.lua; please report it:\n\n" .. tostring(raised)
  end)
  if not fine then
    if gfx then gfx.quit() end
    reaper.ShowMessageBox(problem, "Kapelle", 0)
  end
  return fine
end

-- JSON ---------------------------------------------------------------------------------------------------------------------------

local function json_text(text)
  local escaped = text:gsub('[%c"\\\127]', function(char) return string.format("\\u%04x", char:byte()) end)
  return '"' .. escaped .. '"'
end

-- Tables with names become objects, their keys in order; texts, numbers and truths become themselves.
local function encode(value)
  if type(value) == "table" then
    local names, parts = {}, {}
    for name in pairs(value) do names[#names + 1] = name end
    table.sort(names)
    for _, name in ipairs(names) do parts[#parts + 1] = json_text(name) .. ":" .. encode(value[name]) end
    return "{" .. table.concat(parts, ",") .. "}"
  end
  if type(value) == "string" then return json_text(value) end
  if type(value) == "number" then
    if value == math.floor(value) and math.abs(value) < 2 ^ 53 then return string.format("%d", value) end
    return (string.format("%.10g", value):gsub(",", ".")) -- the decimal sign of the system may be a comma
  end
  return tostring(value)
end

local PLAIN = { ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

local function decode(text)
  local at = 1
  local value

  local function skip() at = text:find("[^ \t\r\n]", at) or #text + 1 end

  local function broken() fail("The studio's answer cannot be read.", "Is it a Kapelle studio at that address? It said: " .. text:sub(1, 200)) end

  local function expect(sign)
    skip()
    if text:sub(at, at + #sign - 1) ~= sign then broken() end
    at = at + #sign
  end

  local function code_point()
    local code = tonumber(text:match("^%x%x%x%x", at) or broken(), 16)
    at = at + 4
    return code
  end

  local function a_text()
    expect('"')
    local parts = {}
    while true do
      local stop = text:find('["\\]', at) or broken()
      parts[#parts + 1] = text:sub(at, stop - 1)
      at = stop + 1
      if text:sub(stop, stop) == '"' then return table.concat(parts) end
      local sign = text:sub(at, at)
      at = at + 1
      if sign == "u" then
        local code = code_point()
        if code >= 0xD800 and code < 0xDC00 and text:sub(at, at + 1) == "\\u" then
          at = at + 2
          code = 0x10000 + (code - 0xD800) * 0x400 + (code_point() - 0xDC00)
        end
        parts[#parts + 1] = utf8.char(code)
      else
        parts[#parts + 1] = PLAIN[sign] or broken()
      end
    end
  end

  local function members(close, one)
    local made = {}
    at = at + 1
    skip()
    if text:sub(at, at) == close then
      at = at + 1
      return made
    end
    while true do
      one(made)
      skip()
      local sign = text:sub(at, at)
      at = at + 1
      if sign == close then return made end
      if sign ~= "," then broken() end
    end
  end

  function value()
    skip()
    local sign = text:sub(at, at)
    if sign == '"' then return a_text() end
    if sign == "{" then
      return members("}", function(made)
        skip()
        local name = a_text()
        expect(":")
        made[name] = value()
      end)
    end
    if sign == "[" then return members("]", function(made) made[#made + 1] = value() end) end
    for word, meaning in pairs({ ["true"] = true, ["false"] = false }) do
      if text:sub(at, at + #word - 1) == word then
        at = at + #word
        return meaning
      end
    end
    if text:sub(at, at + 3) == "null" then
      at = at + 4
      return nil
    end
    local number = text:match("^-?%d+%.?%d*[eE]?[+-]?%d*", at) or broken()
    at = at + #number
    return tonumber(number)
  end

  return value()
end

-- Files and curl -----------------------------------------------------------------------------------------------------------------

local SEPARATOR = package.config:sub(1, 1)

local function exists(path)
  local file = io.open(path, "rb")
  if file then file:close() end
  return file ~= nil
end

local function write(path, text)
  local file = io.open(path, "wb")
  if not file then fail("Cannot write " .. path, "See that the folder is there and that the disk is not full.") end
  file:write(text)
  file:close()
end

local function read(path)
  local file = io.open(path, "rb")
  if not file then return "" end
  local text = file:read("a")
  file:close()
  return text
end

local function curl_program()
  local windows = os.getenv("SystemRoot")
  for _, path in ipairs({ windows and windows .. "\\System32\\curl.exe" or "/usr/bin/curl" }) do
    if exists(path) then return path end
  end
  return "curl"
end

-- A value in a file of settings for curl: in quotes, and on one line.
local function quoted(text) return '"' .. text:gsub("[\r\n]", " "):gsub("\\", "\\\\"):gsub('"', '\\"') .. '"' end

local n_requests = 0

-- Asks the studio; gives what it answered, decoded, or nothing if the answer went into the file `into`.
local function ask(settings, method, path, body, into)
  n_requests = n_requests + 1
  local stem = reaper.GetResourcePath() .. SEPARATOR .. string.format("kapelle-%d-%d", math.floor(reaper.time_precise() * 1000), n_requests)
  local config, sent, answer = stem .. ".curl", stem .. ".json", into or stem .. ".answer"
  local lines = {
    "url = " .. quoted(settings.studio .. path),
    "request = " .. quoted(method),
    "output = " .. quoted(answer),
    'write-out = "%{http_code}"',
    'noproxy = "127.0.0.1,localhost,::1"',
    "silent",
    "show-error",
    "connect-timeout = 5",
    "max-time = " .. PATIENCE_S,
  }
  if settings.token ~= "" then lines[#lines + 1] = "header = " .. quoted("Authorization: Bearer " .. settings.token) end
  if body then
    write(sent, encode(body))
    lines[#lines + 1] = 'header = "Content-Type: application/json"'
    lines[#lines + 1] = "data-binary = " .. quoted("@" .. sent)
  end
  write(config, table.concat(lines, "\n") .. "\n")
  local said = reaper.ExecProcess(string.format('"%s" -q --config "%s"', curl_program(), config), (PATIENCE_S + 5) * 1000)
  os.remove(config)
  os.remove(sent)
  local exit, status = (said or ""):match("^(%-?%d+)\r?\n%s*(%d*)")
  local text = (status ~= "200" or not into) and read(answer) or ""
  if not into or status ~= "200" then os.remove(answer) end
  if not exit then fail("curl could not be started.", "Windows 10 and later, macOS and most Linux systems have it; else install it.") end
  if exit ~= "0" then
    fail("No studio answers at " .. settings.studio, "Start one with `kapelle serve`, and give the address that it prints. (curl: " .. exit .. ")")
  end
  if status:sub(1, 1) ~= "2" then
    local told = text:sub(1, 1) == "{" and decode(text).error or {}
    fail(told.message or ("The studio answered " .. status .. "."), told.hint)
  end
  return not into and decode(text) or nil
end

-- What is asked ------------------------------------------------------------------------------------------------------------------

local function remembered()
  local values = {}
  for place, field in ipairs(FIELDS) do
    local kept = reaper.GetExtState(SECTION, field.key)
    values[place] = kept ~= "" and kept or field.default
  end
  return values
end

-- The settings that the user gives, without blanks around them; nothing if the dialog is closed.
local function given()
  local captions = {}
  for place, field in ipairs(FIELDS) do captions[place] = field.caption:gsub(",", ";") end
  local title, before = "Compose with Kapelle", table.concat(remembered(), "\n")
  local fine, answer = reaper.GetUserInputs(title, #FIELDS, table.concat(captions, ",") .. ",extrawidth=220,separator=\n", before)
  if not fine then return nil end
  local settings, place = {}, 0
  for value in (answer .. "\n"):gmatch("([^\n]*)\n") do
    place = place + 1
    if FIELDS[place] then settings[FIELDS[place].key] = value:match("^%s*(.-)%s*$") end
  end
  for _, field in ipairs(FIELDS) do settings[field.key] = settings[field.key] or "" end
  if settings.studio == "" then settings.studio = FIELDS[7].default end
  local address, token = settings.studio:match("^(.-)/*%?token=(.*)$") -- the whole address that `kapelle serve --token` prints
  if address then settings.studio, settings.token = address, token end
  settings.studio = settings.studio:gsub("/+$", "")
  for _, field in ipairs(FIELDS) do
    reaper.SetExtState(SECTION, field.key, settings[field.key], field.key ~= "token") -- a token lives as long as REAPER runs
  end
  return settings
end

-- A value as the model's schema wants it.
local function typed(text, schema)
  local kinds = type(schema.type) == "table" and schema.type or { schema.type }
  for _, kind in ipairs(kinds) do
    if (kind == "number" or kind == "integer") and tonumber(text) then return tonumber(text) end
    if kind == "boolean" then return text == "true" or text == "yes" or text == "1" end
  end
  return text
end

-- What the model is told: what the user says, and the tempo and metre of the project at the edit cursor, as far as the model knows them.
local function options_of(settings, properties, project)
  local options = {}
  for _, name in ipairs({ "genre", "key" }) do
    if settings[name] ~= "" then options[name] = settings[name] end -- a model that knows no genre says so
  end
  if properties.tempo then options.tempo = math.floor(project.tempo * 100 + 0.5) / 100 end
  if properties.metre then options.metre = project.metre end
  for name, text in settings.more:gmatch("([%w_]+)%s*=%s*([^,]+)") do
    text = text:gsub(";", ","):match("^%s*(.-)%s*$")
    options[name] = typed(text, properties[name] or {})
  end
  return options
end

local function project_at_cursor()
  local above, below, tempo = reaper.TimeMap_GetTimeSigAtTime(0, reaper.GetCursorPosition())
  return { tempo = tempo, metre = string.format("%d/%d", above, below) }
end

-- Whether music that cannot be in the project's metre is wanted all the same.
local function metre_agreed(offer, project)
  if offer.options.properties.metre or project.metre == "4/4" then return true end
  local question = string.format("%s composes in 4/4; the project is in %s here. Compose all the same?", offer.name, project.metre)
  return reaper.ShowMessageBox(question, "Kapelle", 4) == 6 -- yes
end

local function wish_of(settings, offer, project)
  local bars = tonumber(settings.bars)
  if not bars then fail("Bars must be a number, not “" .. settings.bars .. "”.") end
  local wish = { model = offer.name, length = { amount = bars, unit = "bars" }, options = options_of(settings, offer.options.properties, project) }
  wish.title = "For REAPER"
  if settings.seed ~= "" then
    wish.seed = tonumber(settings.seed) or fail("The seed must be a whole number, not “" .. settings.seed .. "”.")
  end
  if not next(wish.options) then wish.options = nil end
  return wish
end

-- Waiting and inserting ----------------------------------------------------------------------------------------------------------

local function show(text)
  gfx.set(1, 1, 1)
  gfx.x, gfx.y = 16, 18
  gfx.drawstr(text)
  gfx.update()
end

local function insert(settings, id)
  local folder = reaper.GetProjectPath("")
  reaper.RecursiveCreateDirectory(folder, 0)
  local path = folder .. SEPARATOR .. "kapelle-" .. id .. ".mid"
  ask(settings, "GET", "/api/pieces/" .. id .. "/file/mid", nil, path)
  if read(path):sub(1, 4) ~= "MThd" then fail("What the studio sent is no MIDI file: " .. path) end
  reaper.Undo_BeginBlock()
  reaper.InsertMedia(path, 1) -- on new tracks, at the edit cursor
  reaper.Undo_EndBlock("Insert music by Kapelle", -1)
  reaper.UpdateArrange()
end

local function wait(settings, job)
  local next_look = 0
  local function step()
    guarded(function()
      local key = gfx.getchar()
      if key == 27 or key == -1 then
        ask(settings, "DELETE", "/api/jobs/" .. job.id)
        gfx.quit()
        return
      end
      if reaper.time_precise() >= next_look then
        job = ask(settings, "GET", "/api/jobs/" .. job.id)
        next_look = reaper.time_precise() + POLL_S
      end
      if job.state == "failed" then fail((job.error or {}).message or "Composing failed.", (job.error or {}).hint) end
      if job.state == "cancelled" then fail("Composing was cancelled in the studio.") end
      if job.state == "done" then
        gfx.quit()
        insert(settings, job.pieces[1])
        return
      end
      show(job.state == "queued" and "Waiting for its turn ..." or string.format("Composing ... %d %%   (Esc cancels)", math.floor(100 * job.progress)))
      reaper.defer(step)
    end)
  end
  gfx.init("Kapelle", 320, 56)
  step()
end

local function main()
  local settings = given()
  if not settings then return end
  local offer
  if settings.model == "" then
    for _, one in ipairs(ask(settings, "GET", "/api/models")) do
      offer = offer or (table.concat(one.verbs, " "):find("compose", 1, true) and one or nil)
    end
  else
    if not settings.model:find("^[%w-]+$") then fail("“" .. settings.model .. "” is no name of a model.") end
    offer = ask(settings, "GET", "/api/models/" .. settings.model)
  end
  if not offer then fail("The studio has no model that composes.", "`kapelle models` lists what is installed.") end
  local project = project_at_cursor()
  if not metre_agreed(offer, project) then return end
  wait(settings, ask(settings, "POST", "/api/compose", wish_of(settings, offer, project)))
end

guarded(main)
