/* SPDX-License-Identifier: Apache-2.0 */
/* The scripts that run in Redis. See script.h. */

#include "broker/stores/redis/script.h"

#include <endian.h>
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
    "local own = redis.call('HMGET', at, 'format', 'id', 'token', 'holder', 'until', 'last',\n"
    "                       'lease')\n"
    "if not own[1] then\n"
    "  local rest = {'jobs', 'notes', 'pushes', 'keys', 'paused', 'facts'}\n"
    "  for _, name in ipairs(rest) do\n"
    "    if redis.call('EXISTS', at .. ':' .. name) == 1 then return {'PARTIAL'} end\n"
    "  end\n"
    "  if ARGV[4] ~= '' then return {'EMPTY'} end\n"
    "  redis.call('HSET', at, 'format', '1', 'id', ARGV[3], 'token', '0', 'holder', '',\n"
    "             'until', '0', 'last', '0')\n"
    "  own = {'1', ARGV[3], '0', '', '0', '0'}\n"
    "end\n"
    "if own[1] ~= '1' then return {'FORMAT', own[1]} end\n"
    "if ARGV[4] ~= '' and ARGV[4] ~= own[2] then return {'OTHER', own[2]} end\n"
    "if tonumber(own[5]) > now and own[4] ~= ARGV[1] and own[5] ~= ARGV[6] then\n"
    "  return {'HELD', own[4], own[5], own[7] or ARGV[2]}\n"
    "end\n"
    "local number = tonumber(string.match(own[3], '^%d+')) + 1\n"
    "local token = string.format('%.0f', number) .. '-' .. ARGV[5]\n"
    "redis.call('HSET', at, 'token', token, 'holder', ARGV[1], 'pushes', '0', 'releases', '0',\n"
    "           'lease', ARGV[2], 'until', string.format('%.0f', now + ARGV[2]))\n"
    "return {'TAKEN', token, own[2], own[6], string.format('%.0f', now)}\n";

/* The script compares the token first: a broker that lost its lease changes nothing.
 *
 * When the memory of Redis is full, Redis refuses a script at its first write, unless this write is
 * a command that needs no memory. Releases begin with HDEL, so Redis accepts them; pushes do not,
 * so Redis refuses them as a whole. */
const char script_write[] =
    "local at, part = KEYS[1], ARGV[2]\n"
    "local own = redis.call('HMGET', at, 'token', part)\n"
    "if not own[1] then return 'EMPTY' end\n"
    "if own[1] ~= ARGV[1] then return 'LOST' end\n"
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
    "local jobs, notes = at .. ':jobs', at .. ':notes'\n"
    "local last, gone, noted, unnoted, pushed = nil, {}, {}, {}, {}\n"
    "local function put(list, one) list[#list + 1] = one end\n"
    "while p <= #changes do\n"
    "  local kind, one, two = string.sub(changes, p, p)\n"
    "  if kind == 'J' then\n"
    "    local record, push, key, ends, old\n"
    "    one, record, push, key, ends, old, p =\n"
    "      from('<I4c0I4c0I4c0I4c0I4c0I4c0', changes, p + 1)\n"
    "    call('XADD', jobs, one, 'r', record)\n"
    "    last = string.sub(one, 1, -3)\n"
    "    if push ~= '' then put(pushed, '0') put(pushed, push) end\n"
    "    if key ~= '' then call('ZADD', at .. ':keys', ends, key) end\n"
    "    if old ~= '' then put(gone, old .. '-0') put(unnoted, old) end\n"
    "  elseif kind == 'S' then\n"
    "    one, p = from('<I4c0', changes, p + 1)\n"
    "    put(gone, one)\n"
    "  elseif kind == 'D' then\n"
    "    one, p = from('<I4c0', changes, p + 1)\n"
    "    put(unnoted, one)\n"
    "  elseif kind == 'N' or kind == '-' then\n"
    "    one, two, p = from('<I4c0I4c0', changes, p + 1)\n"
    "    if kind == 'N' then put(noted, one) put(noted, two) end\n"
    "  elseif kind == 'F' then\n"
    "    one, two, p = from('<I4c0I4c0', changes, p + 1)\n"
    "    if two == '' then call('HDEL', at .. ':facts', one)\n"
    "    else call('HSET', at .. ':facts', one, two) end\n"
    "  elseif kind == 'P' or kind == 'U' then\n"
    "    one, p = from('<I4c0', changes, p + 1)\n"
    "    call(kind == 'P' and 'SADD' or 'SREM', at .. ':paused', one)\n"
    "  elseif kind == 'C' then\n"
    "    one, two, p = from('<I4c0I4c0', changes, p + 1)\n"
    "    call('ZREMRANGEBYLEX', at .. ':pushes', '[' .. one, '(' .. two)\n"
    "  elseif kind == 'K' then\n"
    "    p = p + 1\n"
    /* An hour: the clocks of the broker and of Redis may differ. */
    "    call('ZREMRANGEBYSCORE', at .. ':keys', '-inf', string.format('%.0f', now - 3600000))\n"
    "  elseif kind == 'E' then\n"
    "    one, p = from('<I4c0', changes, p + 1)\n"
    "    call('HSET', at, 'until', '0', 'holder', '', 'last', one)\n"
    "  end\n"
    "end\n"
    /* One command for many values: a call costs more than a value. Notes come before the ends of
     * their jobs. Lua cannot pass more than some thousand values at once. */
    "local function all(command, key, list)\n"
    "  for i = 1, #list, 1000 do\n"
    "    call(command, key, unpack(list, i, math.min(i + 999, #list)))\n"
    "  end\n"
    "end\n"
    "all('ZADD', at .. ':pushes', pushed)\n"
    "all('HSET', notes, noted)\n"
    "all('XDEL', jobs, gone)\n"
    "all('HDEL', notes, unnoted)\n"
    "if last then call('HSET', at, 'last', last) end\n"
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

/* Jobs are read one by one: a body may have many megabytes, and a reply has a limit. */
const char script_read[] =
    PROLONG "local from, max, bytes = ARGV[3] .. '-1', 3 * ARGV[4], tonumber(ARGV[5])\n"
            "local found, size = {}, 0\n"
            "local notes = redis.call('EXISTS', at .. ':notes') == 1\n"
            "while #found < max and size < bytes do\n"
            "  local entry = redis.call('XRANGE', at .. ':jobs', from, '+', 'COUNT', 1)[1]\n"
            "  if not entry then break end\n"
            "  local id = string.match(entry[1], '^%d+')\n"
            "  from = id .. '-1'\n"
            "  found[#found + 1] = id\n"
            "  found[#found + 1] = entry[2][2]\n"
            "  found[#found + 1] = notes and redis.call('HGET', at .. ':notes', id) or ''\n"
            "  size = size + #entry[2][2]\n"
            "end\n"
            "return found\n";

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

/* The entry of a job in the stream. */
static void put_entry(Buffer *to, uint64_t id) {
    char text[26];

    snprintf(text, sizeof(text), "%" PRIu64 "-0", id);
    put_text(to, span_text(text));
}

void change_put_job(Buffer *to, uint64_t id, uint64_t old, Span record, Span push, Span key,
                    uint64_t key_until_ms) {
    put_kind(to, 'J');
    put_entry(to, id);
    put_text(to, record);
    put_text(to, push);
    put_text(to, key);
    put_number(to, key_until_ms);
    if (old)
        put_number(to, old);
    else
        put_text(to, (Span){NULL, 0});
}

void change_put_settled(Buffer *to, uint64_t id, bool has_note) {
    put_kind(to, 'S');
    put_entry(to, id);
    if (!has_note)
        return;
    put_kind(to, 'D');
    put_number(to, id);
}

void change_put_note(Buffer *to, uint64_t id, Span note) {
    put_kind(to, 'N');
    put_number(to, id);
    put_text(to, note);
}

bool change_drop_note(Buffer *in, size_t at, uint64_t id) {
    char text[24];
    uint32_t len = htole32((uint32_t)snprintf(text, sizeof(text), "%" PRIu64, id));
    uint8_t *note = in->data + at;

    if (at >= in->len || in->len - at < 1 + sizeof(len) + le32toh(len) || note[0] != 'N' ||
        memcmp(note + 1, &len, sizeof(len)) != 0 ||
        memcmp(note + 1 + sizeof(len), text, le32toh(len)) != 0)
        return false;
    note[0] = '-';
    return true;
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

void redis_push_member(uint8_t to[REDIS_PUSH_SIZE], const uint8_t *client, uint64_t id) {
    id = htobe64(id);
    memcpy(to, client, WIRE_TOKEN);
    memcpy(to + WIRE_TOKEN, &id, sizeof(id));
}

void change_put_forget(Buffer *to, const uint8_t *client, uint64_t floor) {
    uint8_t from[REDIS_PUSH_SIZE], until[REDIS_PUSH_SIZE];

    redis_push_member(from, client, 0);
    redis_push_member(until, client, floor);
    put_kind(to, 'C');
    put_text(to, span_of(from, sizeof(from)));
    put_text(to, span_of(until, sizeof(until)));
}

void change_put_renewal(Buffer *to) {
    put_kind(to, 'K');
}

void change_put_end(Buffer *to, uint64_t last) {
    put_kind(to, 'E');
    put_number(to, last);
}
