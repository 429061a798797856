/* SPDX-License-Identifier: Apache-2.0 */
/* The scripts that run in Redis. See script.h. */

#include "broker/stores/redis/script.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "rpc/wire/message.h"

/* If the holder asks again, the answer to its first call was lost: it gets the lease again. The
 * token has a random part, because its number can come twice: if Redis loses a lease (in a
 * failover, or with an old dump), the next lease gets the same number. */
const char script_take[] =
    "local at = KEYS[1]\n"
    "local time = redis.call('TIME')\n"
    "local now = time[1] * 1000 + math.floor(time[2] / 1000)\n"
    "local rule, id = string.match(ARGV[3], '(%a+):(%x+)')\n"
    "local own = redis.call('HMGET', at, 'format', 'id', 'token', 'holder', 'until', 'last',\n"
    "                       'lease', 'shard', 'served')\n"
    "if not own[1] then\n"
    "  local rest = {'segments', 'order', 'ended', 'passed', 'notes', 'pushes', 'keys', 'paused',\n"
    "                'facts', 'inbox', 'retained'}\n"
    "  for _, name in ipairs(rest) do\n"
    "    if redis.call('EXISTS', at .. ':' .. name) == 1 then return {'PARTIAL'} end\n"
    "  end\n"
    "  if redis.call('EXISTS', at .. ':cluster') == 1 then return {'CLUSTER'} end\n"
    "  if rule == 'must' then return {'EMPTY'} end\n"
    "  redis.call('HSET', at, 'format', '2', 'id', id, 'token', '0', 'holder', '',\n"
    "             'until', '0', 'last', '0', 'shard', ARGV[4])\n"
    "  own = {'2', id, '0', '', '0', '0', ARGV[2], ARGV[4]}\n"
    "end\n"
    "if own[1] ~= '2' then return {'FORMAT', own[1]} end\n"
    "if rule ~= 'any' and id ~= own[2] then return {'OTHER', own[2]} end\n"
    "if (own[8] or '') ~= ARGV[4] then return {'SHARD', own[8] or ''} end\n"
    "if tonumber(own[5]) > now and own[4] ~= ARGV[1] and own[5] ~= ARGV[6] then\n"
    "  return {'HELD', own[4], own[5], own[7] or ARGV[2]}\n"
    "end\n"
    "local number = tonumber(string.match(own[3], '^%d+')) + 1\n"
    "local token = string.format('%.0f', number) .. '-' .. ARGV[5]\n"
    "local served = own[9] or '0'\n"
    "if tonumber(own[5]) > 0 and own[4] ~= ARGV[1] then\n"
    "  served = string.format('%.0f', own[5] - (own[7] or ARGV[2]))\n"
    "end\n"
    "redis.call('HSET', at, 'token', token, 'holder', ARGV[1], 'pushes', '0', 'releases', '0',\n"
    "           'served', served,\n"
    "           'lease', ARGV[2], 'until', string.format('%.0f', now + ARGV[2]))\n"
    "return {'TAKEN', token, own[2], own[6], string.format('%.0f', now), own[5],\n"
    "        served}\n";

/* HDEL first: see script_write. */
const char script_member[] =
    "local cluster, members, space = KEYS[1], KEYS[2], KEYS[3]\n"
    "local rule, id = string.match(ARGV[1], '(%a+):(%x+)')\n"
    "local time = redis.call('TIME')\n"
    "local now = time[1] * 1000 + math.floor(time[2] / 1000)\n"
    "local own = redis.call('HMGET', cluster, 'format', 'shards', 'id', 'made', 'binds')\n"
    "redis.call('HDEL', members, '')\n"
    "if not own[1] then\n"
    "  if redis.call('EXISTS', space) == 1 then return {'SPACE'} end\n"
    "  if rule == 'must' then return {'EMPTY'} end\n"
    "  own = {'1', ARGV[2], id, ' '}\n"
    "  redis.call('HSET', cluster, 'format', '1', 'shards', ARGV[2], 'id', id, 'made', ' ')\n"
    "end\n"
    "if own[1] ~= '1' then return {'FORMAT', own[1]} end\n"
    "if own[2] ~= ARGV[2] then return {'SHARDS', own[2]} end\n"
    "if rule == 'must' and own[3] ~= id then return {'OTHER', own[3]} end\n"
    "local reply, found = {'OK', string.format('%.0f', now), own[3], '', own[5] or '0'},\n"
    "                     redis.call('HGETALL', members)\n"
    "for i = 1, #found, 2 do\n"
    "  local ends = tonumber(string.match(found[i + 1], '^%d+'))\n"
    "  if not ends or ends <= now then\n"
    "    redis.call('HDEL', members, found[i])\n"
    "  elseif found[i] ~= ARGV[3] then\n"
    "    reply[#reply + 1] = found[i]\n"
    "    reply[#reply + 1] = found[i + 1]\n"
    "  end\n"
    "end\n"
    "if #reply >= 5 + 2 * 64 then return {'MANY'} end\n"
    "if ARGV[4] == '0' then\n"
    "  redis.call('HDEL', members, ARGV[3])\n"
    "else\n"
    "  redis.call('HSET', members, ARGV[3], string.format('%.0f ', now + ARGV[4]) .. ARGV[5])\n"
    "end\n"
    "local made = own[4] or ' '\n"
    "for k in string.gmatch(ARGV[5], ' (%d+)') do\n"
    "  if not string.find(made, ' ' .. k .. ' ', 1, true) then made = made .. k .. ' ' end\n"
    "end\n"
    "if made ~= own[4] then redis.call('HSET', cluster, 'made', made) end\n"
    "reply[4] = made\n"
    "return reply\n";

/* The script compares the token first: a broker that lost its lease changes nothing.
 *
 * When the memory of Redis is full, Redis refuses a script at its first write, unless this write is
 * a command that needs no memory. Releases begin with HDEL, so Redis accepts them; pushes do not,
 * so Redis refuses them as a whole. */
const char script_write[] =
    "local at, part = KEYS[1], ARGV[2]\n"
    "local own = redis.call('HMGET', at, 'token', part)\n"
    "if not own[1] then return 'EMPTY' end\n"
    "if own[1] ~= ARGV[1] then return 'LOST ' .. own[1] end\n"
    "local number, last = tonumber(ARGV[3]), tonumber(own[2])\n"
    "local time = redis.call('TIME')\n"
    "local now = time[1] * 1000 + math.floor(time[2] / 1000)\n"
    "local done = string.format('OK %.0f', now)\n"
    "if last == number then return done end\n"
    "if last ~= number - 1 then return 'OLD' end\n"
    "if part == 'releases' then redis.call('HDEL', at, '') end\n"
    "redis.call('HSET', at, part, ARGV[3], 'until', string.format('%.0f', now + ARGV[4]))\n"
    "local changes, p = ARGV[5], 1\n"
    "local call, from = redis.call, struct.unpack\n"
    "local segments, order, ended = at .. ':segments', at .. ':order', at .. ':ended'\n"
    "local notes, passed = at .. ':notes', at .. ':passed'\n"
    "local noted, unnoted, pushed, keyed, bits, gone = {}, {}, {}, {}, {}, {}\n"
    "local taken = 0\n"
    "local function put(list, one) list[#list + 1] = one end\n"
    "if ARGV[6] ~= '' then\n"
    "  call('HSET', segments, ARGV[6], ARGV[7])\n"
    "  call('ZADD', order, ARGV[6], ARGV[6])\n"
    "end\n"
    "while p <= #changes do\n"
    "  local kind, one, two = string.sub(changes, p, p)\n"
    "  if kind == 'N' or kind == 'E' or kind == 'R' or kind == 'F' or kind == 'Y' or kind == 'C'\n"
    "    or kind == 'I' or kind == 'Z'\n"
    "  then\n"
    "    one, two, p = from('<I4c0I4c0', changes, p + 1)\n"
    "  else\n"
    "    one, p = from('<I4c0', changes, p + 1)\n"
    "  end\n"
    "  if kind == 'Q' then put(pushed, '0') put(pushed, one)\n"
    "  elseif kind == 'Y' then put(keyed, one) put(keyed, two)\n"
    "  elseif kind == 'O' then call('HSET', passed, one, '1')\n"
    "  elseif kind == 'V' then call('HDEL', passed, one) put(unnoted, one)\n"
    "  elseif kind == 'D' then put(unnoted, one)\n"
    "  elseif kind == 'N' then put(noted, one) put(noted, two)\n"
    "  elseif kind == 'E' then put(bits, one) put(bits, two)\n"
    "  elseif kind == 'R' then\n"
    "    call('HDEL', ended, one)\n"
    "    call('HSET', segments, one, two)\n"
    "  elseif kind == 'X' then put(gone, one)\n"
    "  elseif kind == 'I' then taken = taken + call('XDEL', at .. ':inbox', one) * two\n"
    "  elseif kind == 'F' then\n"
    "    if two == '' then call('HDEL', at .. ':facts', one)\n"
    "    else call('HSET', at .. ':facts', one, two) end\n"
    "  elseif kind == 'P' or kind == 'U' then\n"
    "    call(kind == 'P' and 'SADD' or 'SREM', at .. ':paused', one)\n"
    "  elseif kind == 'C' then\n"
    "    call('ZREMRANGEBYLEX', at .. ':pushes', '[' .. one, '(' .. two)\n"
    "  elseif kind == 'K' then\n"
    /* An hour: the clocks of the broker and of Redis may differ. */
    "    call('ZREMRANGEBYSCORE', at .. ':keys', '-inf', string.format('%.0f', now - 3600000))\n"
    "  elseif kind == 'L' then call('HSET', at, 'last', one)\n"
    "  elseif kind == 'Z' then call('HSET', at, 'until', '0', 'holder', '', 'last', one,\n"
    "                            'served', two)\n"
    "  end\n"
    "end\n"
    /* One command for many values: a call costs more than a value. Notes come before the ends of
     * their jobs. Lua cannot pass more than some thousand values at once. */
    "local function all(command, key, list)\n"
    "  for i = 1, #list, 1000 do\n"
    "    call(command, key, unpack(list, i, math.min(i + 999, #list)))\n"
    "  end\n"
    "end\n"
    "if taken > 0 then\n"
    "  call('HINCRBY', at .. ':senders', 'bytes', string.format('%.0f', -taken))\n"
    "end\n"
    "all('ZADD', at .. ':pushes', pushed)\n"
    "all('ZADD', at .. ':keys', keyed)\n"
    "all('HSET', notes, noted)\n"
    "all('HSET', ended, bits)\n"
    "all('HDEL', segments, gone)\n"
    "all('ZREM', order, gone)\n"
    "all('HDEL', ended, gone)\n"
    "all('HDEL', notes, unnoted)\n"
    "return done\n";

/* A master that was stopped may have an older state, and another broker may have taken over. HDEL:
 * see above. */
#define PROLONG                                                                                    \
    "local at = KEYS[1]\n"                                                                         \
    "local token = redis.call('HGET', at, 'token')\n"                                              \
    "if not token then return 'EMPTY' end\n"                                                       \
    "if token ~= ARGV[1] then return 'LOST' end\n"                                                 \
    "local time = redis.call('TIME')\n"                                                            \
    "redis.call('HDEL', at, '')\n"                                                                 \
    "redis.call('HSET', at, 'until', string.format('%.0f', time[1] * 1000 + ARGV[2]))\n"

const char script_list[] = PROLONG "local from, to = tonumber(ARGV[4]), tonumber(ARGV[5])\n"
                                   "local key = at .. ARGV[3]\n"
                                   "if ARGV[3] == ':paused' then\n"
                                   "  return redis.call('SMEMBERS', key)\n"
                                   "elseif ARGV[3] == ':facts' then\n"
                                   "  return redis.call('HGETALL', key)\n"
                                   "elseif ARGV[3] == ':keys' then\n"
                                   "  return redis.call('ZRANGE', key, from, to, 'WITHSCORES')\n"
                                   "end\n"
                                   "return redis.call('ZRANGE', key, from, to)\n";

/* Segments are read one by one: a body may have many megabytes, and a reply has a limit. The number
 * of a job is in its record, at a fixed place (record.c). */
const char script_read[] =
    PROLONG "local rank, bytes = tonumber(ARGV[3]), tonumber(ARGV[4])\n"
            "local found, size = {}, 0\n"
            "local notes, passed = at .. ':notes', at .. ':passed'\n"
            "local some = redis.call('EXISTS', notes) + redis.call('EXISTS', passed) > 0\n"
            "while #found < 500 and size < bytes do\n"
            "  local number = redis.call('ZRANGE', at .. ':order', rank, rank)[1]\n"
            "  if not number then break end\n"
            "  local value = redis.call('HGET', at .. ':segments', number) or ''\n"
            "  local ids, p = {}, 1\n"
            "  while some and p + 47 <= #value do\n"
            "    local length = struct.unpack('<I4', value, p + 4)\n"
            "    ids[#ids + 1] = string.format('%.0f', struct.unpack('<I8', value, p + 40))\n"
            "    if length < 48 then break end\n"
            "    p = p + 8 * math.ceil(length / 8)\n"
            "  end\n"
            "  found[#found + 1] = number\n"
            "  found[#found + 1] = redis.call('HGET', at .. ':ended', number) or ''\n"
            "  found[#found + 1] = value\n"
            "  found[#found + 1] = #ids > 0 and redis.call('HMGET', notes, unpack(ids)) or {}\n"
            "  found[#found + 1] = #ids > 0 and redis.call('HMGET', passed, unpack(ids)) or {}\n"
            "  rank, size = rank + 1, size + #value\n"
            "end\n"
            "return found\n";

/* ---- binds and inboxes ---- */

/* A broker that has lost its lease may still announce binds: the number of the lease is
 * compared. */
const char script_announce[] =
    "local cluster, binds, shard, lease = KEYS[1], KEYS[4], ARGV[2], tonumber(ARGV[3])\n"
    "local id = redis.call('HGET', cluster, 'id')\n"
    "if id ~= ARGV[1] then return {'EMPTY'} end\n"
    "local last = redis.call('HGET', binds, shard)\n"
    "if last and struct.unpack('<d', last) > lease then return {'OLD'} end\n"
    "local number = redis.call('HINCRBY', cluster, 'binds', 1)\n"
    "redis.call('HSET', binds, shard, struct.pack('<dd', lease, number) .. ARGV[4])\n"
    "return {'OK', string.format('%.0f', number)}\n";

const char script_binds[] =
    "local found, all = {}, redis.call('HGETALL', KEYS[4])\n"
    "for i = 1, #all, 2 do\n"
    "  local lease, number, p = struct.unpack('<dd', all[i + 1])\n"
    "  if number > tonumber(ARGV[1]) then found[#found + 1] = {number, all[i], all[i + 1]} end\n"
    "end\n"
    "table.sort(found, function(a, b) return a[1] < b[1] end)\n"
    "local reply, size = {}, 0\n"
    "for i, one in ipairs(found) do\n"
    "  if size > tonumber(ARGV[2]) then break end\n"
    "  reply[#reply + 1] = one[2]\n"
    "  reply[#reply + 1] = string.format('%.0f', one[1])\n"
    "  reply[#reply + 1] = string.sub(one[3], 17)\n"
    "  size = size + #one[3]\n"
    "end\n"
    "return reply\n";

/* The fields of ":senders" end an hour after their last call. */
#define FORGET_SENDERS                                                                             \
    "if redis.call('HLEN', senders) > 200 then\n"                                                  \
    "  local all = redis.call('HGETALL', senders)\n"                                               \
    "  for i = 1, #all, 2 do\n"                                                                    \
    "    local since = string.match(all[i + 1], ' (%d+)$')\n"                                      \
    "    if since and since + 3600 < tonumber(time[1]) then\n"                                     \
    "      redis.call('HDEL', senders, all[i])\n"                                                  \
    "    end\n"                                                                                    \
    "  end\n"                                                                                      \
    "end\n"

/* A call that is sent again has the number of the first one. */
const char script_send[] =
    "local space, inbox, senders = KEYS[1], KEYS[2], KEYS[3]\n"
    "if redis.call('HGET', space, 'id') ~= ARGV[1] then return {'EMPTY'} end\n"
    "local last = redis.call('HGET', senders, ARGV[2])\n"
    "if last then\n"
    "  local number, count = string.match(last, '^(%d+) (%d+)')\n"
    "  if number == ARGV[3] then return {'OK', count} end\n"
    "end\n"
    "local time = redis.call('TIME')\n"
    "local bytes, length = tonumber(redis.call('HGET', senders, 'bytes') or '0'),\n"
    "                      redis.call('XLEN', inbox)\n"
    "if length == 0 then bytes = 0 end\n"
    "local max, max_bytes, entries = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]\n"
    "local p, count = 1, 0\n"
    "while p <= #entries do\n"
    "  local one, next = struct.unpack('<I4c0', entries, p)\n"
    "  if length + count >= max then break end\n"
    "  if length + count > 0 and bytes + #one > max_bytes then break end\n"
    "  redis.call('XADD', inbox, '*', 'e', one)\n"
    "  p, count, bytes = next, count + 1, bytes + #one\n"
    "end\n"
    "redis.call('HSET', senders, 'bytes', string.format('%.0f', bytes),\n"
    "           ARGV[2], ARGV[3] .. ' ' .. count .. ' ' .. time[1])\n" FORGET_SENDERS
    "return {'OK', tostring(count)}\n";

/* Entries are read one by one: a body may have many megabytes. */
const char script_inbox[] =
    "local found, size, from = {}, 0, ARGV[1]\n"
    "while #found < 2 * ARGV[2] and size < tonumber(ARGV[3]) do\n"
    "  local one = redis.call('XRANGE', KEYS[2], from, '+', 'COUNT', 1)[1]\n"
    "  if not one then break end\n"
    "  local ms, number = string.match(one[1], '^(%d+)-(%d+)$')\n"
    "  found[#found + 1] = one[1]\n"
    "  found[#found + 1] = one[2][2] or ''\n"
    "  size = size + #found[#found]\n"
    "  from = ms .. '-' .. string.format('%.0f', number + 1)\n"
    "end\n"
    "return found\n";

/* ---- retained values ---- */

/* The numbers of changes are times in microseconds, made unique: the last one ends an hour later in
 * ":cleared". A call that comes late, after the next one of its sender, changes nothing. */
const char script_retain[] =
    "local space, senders, values, changed, cleared = KEYS[1], KEYS[3], KEYS[4], KEYS[5], KEYS[6]\n"
    "if redis.call('HGET', space, 'id') ~= ARGV[1] then return {'EMPTY'} end\n"
    "local last = redis.call('HGET', senders, ARGV[2])\n"
    "if last then\n"
    "  local number, marks = string.match(last, '^(%d+) (%d+)')\n"
    "  if tonumber(number) >= tonumber(ARGV[3]) then return {'OK', marks} end\n"
    "end\n"
    "local time = redis.call('TIME')\n"
    "local now = time[1] * 1000000 + time[2]\n"
    "local own = redis.call('HMGET', senders, 'version', 'kept')\n"
    "local version, kept = tonumber(own[1] or '0'), tonumber(own[2] or '0')\n"
    "local n, max, max_bytes = redis.call('HLEN', values), tonumber(ARGV[4]), tonumber(ARGV[5])\n"
    "local entries, p, marks = ARGV[6], 1, ''\n"
    "while p <= #entries do\n"
    "  local age, topic, value\n"
    "  age, topic, value, p = struct.unpack('<I4I4c0I4c0', entries, p)\n"
    "  local before, mark = redis.call('HSTRLEN', values, topic), '0'\n"
    "  version = math.max(version + 1, now)\n"
    "  if value == '' then\n"
    "    redis.call('HDEL', values, topic)\n"
    "    redis.call('ZREM', changed, topic)\n"
    "    redis.call('ZADD', cleared, string.format('%.0f', version), topic)\n"
    "    if before > 0 then n, kept = n - 1, kept - before end\n"
    "  elseif (before == 0 and n >= max) or kept - before + #value + 8 > max_bytes then\n"
    "    mark = '1'\n"
    "  else\n"
    "    local ms = math.floor(now / 1000) - age\n"
    "    redis.call('HSET', values, topic, struct.pack('<I8', ms) .. value)\n"
    "    redis.call('ZADD', changed, string.format('%.0f', version), topic)\n"
    "    redis.call('ZREM', cleared, topic)\n"
    "    if before == 0 then n = n + 1 end\n"
    "    kept = kept - before + #value + 8\n"
    "  end\n"
    "  marks = marks .. mark\n"
    "end\n"
    "redis.call('ZREMRANGEBYSCORE', cleared, '-inf', string.format('%.0f', now - 3600000000))\n"
    "redis.call('HSET', senders, 'version', string.format('%.0f', version),\n"
    "           'kept', string.format('%.0f', kept),\n"
    "           ARGV[2], ARGV[3] .. ' ' .. marks .. ' ' .. time[1])\n" FORGET_SENDERS
    "return {'OK', marks}\n";

const char script_values[] =
    "local values, changed, cleared = KEYS[4], KEYS[5], KEYS[6]\n"
    "if redis.call('HGET', KEYS[1], 'id') ~= ARGV[4] then return {'EMPTY'} end\n"
    "local version = redis.call('HGET', KEYS[3], 'version') or '0'\n"
    "local since, max, bytes = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])\n"
    "if since > tonumber(version) then since = 0 end\n"
    "local function list(key)\n"
    "  return redis.call('ZRANGEBYSCORE', key, string.format('(%.0f', since), '+inf',\n"
    "                    'WITHSCORES', 'LIMIT', 0, max + 1)\n"
    "end\n"
    "local new, gone = list(changed), since == 0 and {} or list(cleared)\n"
    "local reply, size, i, k = {since == 0 and 'ALL' or 'SOME', version, '0'}, 0, 1, 1\n"
    "while new[i] or gone[k] do\n"
    "  if #reply >= 3 + 3 * max or size >= bytes then\n"
    "    reply[3] = '1'\n"
    "    break\n"
    "  end\n"
    "  local topic, value, number\n"
    "  if new[i] and (not gone[k] or tonumber(new[i + 1]) < tonumber(gone[k + 1])) then\n"
    "    topic, number, i = new[i], new[i + 1], i + 2\n"
    "    value = redis.call('HGET', values, topic) or ''\n"
    "  else\n"
    "    topic, number, k, value = gone[k], gone[k + 1], k + 2, ''\n"
    "  end\n"
    "  reply[#reply + 1] = topic\n"
    "  reply[#reply + 1] = number\n"
    "  reply[#reply + 1] = value\n"
    "  since, size = number, size + #value\n"
    "end\n"
    "if reply[3] == '1' then reply[2] = string.format('%.0f', since) end\n"
    "return reply\n";

/* ---- changes: a letter, and texts with their lengths ---- */

static void put_kind(Buffer *to, char kind) {
    buffer_append(to, &kind, 1);
}

static void put_text(Buffer *to, Span text) {
    uint32_t len = htole32((uint32_t)text.len);

    buffer_append(to, &len, sizeof(len));
    buffer_append(to, text.data, text.len);
}

static void put_number(Buffer *to, uint64_t number) {
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, number);
    put_text(to, span_text(text));
}

void change_put_push(Buffer *to, const RedisPushes *pushes) {
    uint8_t member[REDIS_PUSHES_SIZE];

    redis_pushes_member(pushes, member);
    put_kind(to, 'Q');
    put_text(to, span_of(member, sizeof(member)));
}

void change_add_push(Buffer *in, size_t at, const RedisPushes *pushes) {
    redis_pushes_member(pushes, in->data + at + 1 + sizeof(uint32_t));
}

void change_put_key(Buffer *to, Span key, uint64_t until_ms) {
    put_kind(to, 'Y');
    put_number(to, until_ms);
    put_text(to, key);
}

void change_put_passed(Buffer *to, uint64_t id) {
    put_kind(to, 'O');
    put_number(to, id);
}

/* The job's note goes, too. */
void change_drop_passed(Buffer *to, uint64_t id) {
    put_kind(to, 'V');
    put_number(to, id);
}

void change_put_ended(Buffer *to, uint64_t segment, Span bits) {
    put_kind(to, 'E');
    put_number(to, segment);
    put_text(to, bits);
}

void change_put_rewritten(Buffer *to, uint64_t segment, Span records) {
    put_kind(to, 'R');
    put_number(to, segment);
    put_text(to, records);
}

void change_put_deleted(Buffer *to, uint64_t segment) {
    put_kind(to, 'X');
    put_number(to, segment);
}

void change_put_taken(Buffer *to, const char *entry, uint64_t bytes) {
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, bytes);
    put_kind(to, 'I');
    put_text(to, span_text(entry));
    put_text(to, span_text(text));
}

void change_put_last(Buffer *to, uint64_t last) {
    put_kind(to, 'L');
    put_number(to, last);
}

void change_drop_note(Buffer *to, uint64_t id) {
    put_kind(to, 'D');
    put_number(to, id);
}

void change_put_note(Buffer *to, uint64_t id, Span note) {
    put_kind(to, 'N');
    put_number(to, id);
    put_text(to, note);
}

void change_put_fact(Buffer *to, Span name, Span value) {
    put_kind(to, 'F');
    put_text(to, name);
    put_text(to, value);
}

void change_put_paused(Buffer *to, Span queue, bool paused) {
    put_kind(to, paused ? 'P' : 'U');
    put_text(to, queue);
}

/* All numbers are big-endian, so that the members of a client are in the order of their last ids.
 */
void redis_pushes_member(const RedisPushes *pushes, uint8_t to[REDIS_PUSHES_SIZE]) {
    uint64_t last = htobe64(pushes->last);
    uint32_t n = htobe32(pushes->n);

    memcpy(to, pushes->client, WIRE_TOKEN);
    memcpy(to + WIRE_TOKEN, &last, sizeof(last));
    memcpy(to + WIRE_TOKEN + sizeof(last), &n, sizeof(n));
}

int redis_pushes_read(Span member, RedisPushes *ret) {
    uint64_t last;
    uint32_t n;

    if (member.len != REDIS_PUSHES_SIZE)
        return -EBADMSG;
    memcpy(ret->client, member.data, WIRE_TOKEN);
    memcpy(&last, member.data + WIRE_TOKEN, sizeof(last));
    memcpy(&n, member.data + WIRE_TOKEN + sizeof(last), sizeof(n));
    ret->last = be64toh(last);
    ret->n = be32toh(n);
    return ret->n > 0 && ret->n <= ret->last ? 0 : -EBADMSG;
}

/* A member with a lower last id is below the bound; a member with this last id has more bytes than
 * the bound. */
void change_put_forget(Buffer *to, const uint8_t *client, uint64_t floor) {
    uint8_t bound[WIRE_TOKEN + sizeof(floor)];
    uint64_t id = htobe64(floor);

    memcpy(bound, client, WIRE_TOKEN);
    memcpy(bound + WIRE_TOKEN, &id, sizeof(id));
    put_kind(to, 'C');
    put_text(to, span_of(bound, WIRE_TOKEN));
    put_text(to, span_of(bound, sizeof(bound)));
}

void change_put_renewal(Buffer *to) {
    put_kind(to, 'K');
    put_text(to, (Span){NULL, 0});
}

void change_put_end(Buffer *to, uint64_t last, uint64_t served_ms) {
    put_kind(to, 'Z');
    put_number(to, last);
    put_number(to, served_ms);
}
