/* SPDX-License-Identifier: Apache-2.0 */
/* Takes the lease of a space, and reads its contents in slices. See reader.h. */

#include "broker/stores/redis/reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/random.h"
#include "base/text.h"

enum {
    CALL_MS = 2000,
    SLICE_BYTES = 4 << 20, /* bytes of the segments of one reply, without the last segment */
    SLICE_VALUES = 512,    /* values of another key in one reply */
    SEGMENT_WORDS = 5,     /* elements of a reply for one segment */
};

ReadSlice *read_slice_free(ReadSlice *slice) {
    if (!slice)
        return NULL;
    reply_free(slice->reply);
    ferry_error_clear(&slice->error);
    free(slice);
    return NULL;
}

/* A copy of a word from Redis that is safe to show. Returns to. */
static const char *shown_word(const Reply *reply, size_t i, char to[TEXT_ESCAPED_MAX]) {
    Span word = reply_word(reply, i);

    return text_escape(to, word.data ? (const void *)word.data : "", word.len);
}

uint64_t reply_number(const Reply *reply, size_t i) {
    Span text = reply_word(reply, i);
    char digits[24];

    if (!text.data || text.len >= sizeof(digits))
        return 0;
    memcpy(digits, text.data, text.len);
    digits[text.len] = '\0';
    return strtoull(digits, NULL, 10);
}

void redis_new_id(char to[REDIS_ID_SIZE + 1]) {
    snprintf(to, REDIS_ID_SIZE + 1, "%016" PRIx64 "%016" PRIx64, random_u64(), random_u64());
}

/* ---- calls ---- */

static int wait_because(RedisReader *reader, const char *why) {
    snprintf(reader->why, sizeof(reader->why), "%s", why);
    return READER_WAITS;
}

/* 0: the call has a reply. */
static int call_script(RedisReader *reader, LinkCall *call, bool confirm, ferry_error *reterr) {
    reader->is_held = false;
    redis_link_call(reader->link, call, 1, confirm, clock_ns() + CALL_MS * UINT64_C(1000000));
    if (call->outcome == LINK_DONE)
        return 0;
    if (call->outcome == LINK_WRONG)
        return error_set_code(reterr, -EIO, "cannot read the queues in Redis: %s",
                              reader->link->why);
    return wait_because(reader, call->outcome == LINK_FULL
                                    ? "the memory of Redis is full (maxmemory)"
                                    : reader->link->why);
}

static int lost(const RedisReader *reader, Span word, ferry_error *reterr) {
    return error_set_code(reterr, -EIO, "%s: %s",
                          span_begins(word, "LOST")
                              ? "another broker has taken over the queues while they were read"
                              : "the queues have gone from Redis while they were read",
                          reader->link->key);
}

/* ---- the lease ---- */

/* False: the word does not fit. */
static bool copy_word(char *to, size_t size, const Reply *reply, size_t i) {
    Span word = reply_word(reply, i);

    if (word.len == 0 || word.len >= size)
        return false;
    memcpy(to, word.data, word.len);
    to[word.len] = '\0';
    return true;
}

static int taken(RedisReader *reader, const Reply *reply, ferry_error *reterr) {
    if (!copy_word(reader->token, sizeof(reader->token), reply, 1) ||
        !copy_word(reader->found_id, sizeof(reader->found_id), reply, 2))
        return error_set_code(reterr, -EPROTO, "%s: Redis named no token of the lease",
                              reader->link->key);
    reader->last_job = reply_number(reply, 3);
    reader->was_given = span_is(reply_word(reply, 5), "0");
    reader->served_ms = reply_number(reply, 6);
    reader->wall.offset_ms = (int64_t)reply_number(reply, 4) - (int64_t)clock_ms();
    redis_link_setting(reader->link, reader->setting);
    return 0;
}

/* Another broker has the lease. Its end, by the clock of Redis, is far away if that clock was set
 * back, or if the new master's clock is behind. So the lease is also over when it was not prolonged
 * for its whole time, by the clock of this process. */
static void look_at_lease(RedisReader *reader, const Reply *reply) {
    Span until = reply_word(reply, 2);

    reader->seen_lease_ms = reply_number(reply, 3);
    if (!span_is(until, reader->seen_until) &&
        copy_word(reader->seen_until, sizeof(reader->seen_until), reply, 2))
        reader->seen_ms = clock_ms();
}

static bool is_lease_over(const RedisReader *reader) {
    return *reader->seen_until && clock_ms() > reader->seen_ms + reader->seen_lease_ms;
}

static int held(RedisReader *reader, const Reply *reply) {
    char text[TEXT_ESCAPED_MAX], what[STORE_REASON_MAX];

    look_at_lease(reader, reply);
    reader->is_held = true;
    snprintf(what, sizeof(what), "another broker has them: %.100s", shown_word(reply, 1, text));
    return wait_because(reader, what);
}

static int refused(const RedisReader *reader, const Reply *reply, ferry_error *reterr) {
    const char *key = reader->link->key;
    Span word = reply_word(reply, 0);
    char text[TEXT_ESCAPED_MAX];

    shown_word(reply, 1, text);
    if (span_begins(word, "EMPTY") && *reader->shard)
        return error_set_code(
            reterr, -ENOENT,
            "there is no %s in Redis, and it was there before: a part of the data "
            "was deleted",
            key);
    if (span_begins(word, "EMPTY"))
        return error_set_code(
            reterr, -ENOENT,
            "there is no %s in Redis: it was emptied, or is another Redis than "
            "that of id=%s; without id= in the URL the broker begins with new queues",
            key, reader->id);
    if (span_begins(word, "OTHER") && *reader->shard)
        return error_set_code(reterr, -EINVAL,
                              "%s in Redis belongs to other data: its id is %s, and the id of the "
                              "cluster is %s",
                              key, text, reader->id);
    if (span_begins(word, "OTHER"))
        return error_set_code(reterr, -EINVAL,
                              "%s in Redis belongs to other data: its id is %s, and the URL of the "
                              "store says id=%s",
                              key, text, reader->id);
    if (span_begins(word, "FORMAT"))
        return error_set_code(reterr, -EINVAL,
                              "%s in Redis has format %s, and this ferry reads format %d", key,
                              text, REDIS_FORMAT);
    if (span_begins(word, "SHARD"))
        return error_set_code(reterr, -EINVAL, "%s in Redis is shard '%s', not '%s'", key, text,
                              reader->shard);
    if (span_begins(word, "CLUSTER"))
        return error_set_code(reterr, -EINVAL,
                              "%s in Redis has shards: the URL of the store needs shards=", key);
    return error_set_code(reterr, -EIO,
                          "%s is missing in Redis, but keys beside it are there (%s:*): a part of "
                          "the data was deleted or restored; nothing was changed",
                          key, key);
}

static int take_lease(RedisReader *reader, ferry_error *reterr) {
    static const char *const rules[] = {[ID_ANY] = "any", [ID_SAME] = "same", [ID_MUST] = "must"};
    char lease[12], id[REDIS_ID_SIZE + 8], nonce[20];
    LinkCall call = {.script = &reader->take, .n_args = 6};
    int r;

    reader->take.text = script_take;
    snprintf(lease, sizeof(lease), "%u", reader->lease_ms);
    snprintf(nonce, sizeof(nonce), "%016" PRIx64, random_u64());
    snprintf(id, sizeof(id), "%s:%s", rules[reader->id_rule], reader->id);
    call.args[0] = span_text(reader->holder);
    call.args[1] = span_text(lease);
    call.args[2] = span_text(id);
    call.args[3] = span_text(reader->shard);
    call.args[4] = span_text(nonce);
    call.args[5] = span_text(is_lease_over(reader) ? reader->seen_until : "");
    r = call_script(reader, &call, true, reterr);
    if (r != 0)
        return r;
    if (span_begins(reply_word(call.reply, 0), "TAKEN"))
        r = taken(reader, call.reply, reterr);
    else if (span_begins(reply_word(call.reply, 0), "HELD"))
        r = held(reader, call.reply);
    else
        r = refused(reader, call.reply, reterr);
    reply_free(call.reply);
    return r;
}

/* ---- contents ---- */

static int read_segments(RedisReader *reader, Reply **ret, ferry_error *reterr) {
    char lease[12], rank[24], bytes[12];
    LinkCall call = {.script = &reader->read, .n_args = 4};
    int r;

    reader->read.text = script_read;
    snprintf(lease, sizeof(lease), "%u", reader->lease_ms);
    snprintf(rank, sizeof(rank), "%" PRIu64, reader->cursor);
    snprintf(bytes, sizeof(bytes), "%d", SLICE_BYTES);
    call.args[0] = span_text(reader->token);
    call.args[1] = span_text(lease);
    call.args[2] = span_text(rank);
    call.args[3] = span_text(bytes);
    r = call_script(reader, &call, false, reterr);
    if (r == 0)
        *ret = call.reply;
    return r;
}

/* The keys that are read beside the jobs. */
static const struct {
    const char *suffix;
    bool in_slices;
} lists[] = {
    [READ_PAUSED] = {":paused", false},
    [READ_KEYS] = {":keys", true},
    [READ_PUSHES] = {":pushes", true},
    [READ_FACTS] = {":facts", false},
};

static int read_list(RedisReader *reader, Reply **ret, ferry_error *reterr) {
    LinkCall call = {.script = &reader->list, .n_args = 5};
    char lease[12], first[24], last[24];
    int r;

    reader->list.text = script_list;
    snprintf(lease, sizeof(lease), "%u", reader->lease_ms);
    snprintf(first, sizeof(first), "%" PRIu64, reader->cursor);
    snprintf(last, sizeof(last), "%" PRIu64, reader->cursor + SLICE_VALUES - 1);
    call.args[0] = span_text(reader->token);
    call.args[1] = span_text(lease);
    call.args[2] = span_text(lists[reader->step].suffix);
    call.args[3] = span_text(first);
    call.args[4] = span_text(last);
    r = call_script(reader, &call, false, reterr);
    if (r == 0)
        *ret = call.reply;
    return r;
}

/* The next step, or the next slice of this one. */
static void advance(RedisReader *reader, const Reply *reply) {
    bool in_slices = reader->step == READ_SEGMENTS || lists[reader->step].in_slices;
    size_t n_segments = reply->n / SEGMENT_WORDS;

    if (in_slices && reply->n > 0) {
        reader->cursor += reader->step == READ_SEGMENTS ? n_segments : SLICE_VALUES;
        return;
    }
    reader->step++;
    reader->cursor = 0;
}

int redis_reader_call(RedisReader *reader, ReadSlice **ret, ferry_error *reterr) {
    CLEANUP(read_slice_free) ReadSlice *slice = calloc(1, sizeof(*slice));
    int r = 0;

    if (!slice)
        return wait_because(reader, "out of memory");
    slice->step = reader->step;
    if (reader->step == READ_LEASE)
        r = take_lease(reader, reterr);
    else if (reader->step == READ_SEGMENTS)
        r = read_segments(reader, &slice->reply, reterr);
    else if (reader->step < READ_END)
        r = read_list(reader, &slice->reply, reterr);
    if (r != 0)
        return r;
    if (slice->reply && slice->reply->type != REPLY_ARRAY)
        return lost(reader, reply_span(slice->reply), reterr);
    if (slice->reply)
        advance(reader, slice->reply);
    else if (reader->step == READ_LEASE)
        reader->step = READ_PAUSED;
    *ret = steal(&slice);
    return 0;
}
