/* SPDX-License-Identifier: Apache-2.0 */
/* The cache for a program with an event loop. See lookup.h. */

#include "cache/api/lookup.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/random.h"
#include "cache/connection/number.h"
#include "cache/redis/batch.h"

typedef struct LookupOp LookupOp;
typedef void (*LookupStepFn)(CacheLookups *lookups, LookupOp *op);

/* One operation: a sequence of batches; each batch depends on the result of the previous one. */
struct LookupOp {
    RedisBatch batch;
    LookupStepFn step; /* called when the batch has ended */
    CacheGotFn got;
    CacheDoneFn done;
    void *ctx;
    CacheKey key;
    NearToken token;
    Look look;
    CacheTagKeys *tags; /* NULL: no tags */
    CacheStamps *stamps;
    uint8_t texts[FERRY_CACHE_TAGS_MAX][STAMP_BYTES];
    uint8_t *value; /* of a set */
    char ttl[24];
};

struct CacheLookups {
    ferry_cache *cache;
    Redis *redis; /* NULL: memory:// */
    Near *near;
    Batches batches;
};

/* ---- opening and closing ---- */

int cache_lookups_open(ferry_cache *cache, CacheLookups **ret) {
    CLEANUP(cache_lookups_close) CacheLookups *lookups = calloc(1, sizeof(*lookups));
    int r;

    if (!lookups)
        return -ENOMEM;
    lookups->cache = cache;
    lookups->redis = store_redis(cache->core->store, &lookups->near);
    r = batches_init(&lookups->batches, lookups->redis);
    if (r < 0)
        return r;
    *ret = steal(&lookups);
    return 0;
}

CacheLookups *cache_lookups_close(CacheLookups *lookups) {
    if (!lookups)
        return NULL;
    batches_deinit(&lookups->batches);
    free(lookups);
    return NULL;
}

int cache_lookups_fd(const CacheLookups *lookups) {
    return lookups->batches.epoll_fd;
}

void cache_lookups_process(CacheLookups *lookups) {
    batches_process(&lookups->batches);
}

static void op_free(LookupOp *op) {
    batch_deinit(&op->batch);
    if (op->tags)
        cache_tag_keys_deinitp(op->tags);
    free(op->tags);
    cache_look_deinitp(&op->look);
    cache_key_deinitp(&op->key);
    free(op->value);
    free(op);
}

static void batch_ended(RedisBatch *batch, void *ctx) {
    LookupOp *op = container_of(batch, LookupOp, batch);

    op->step(ctx, op);
}

static int op_new(CacheLookups *lookups, LookupStepFn step, void *ctx, LookupOp **ret) {
    LookupOp *op;

    if (lookups->batches.n >= LOOKUPS_PENDING_MAX)
        return -ENOBUFS;
    op = calloc(1, sizeof(*op));
    if (!op)
        return -ENOMEM;
    op->step = step;
    op->ctx = ctx;
    op->batch.deadline_ns = clock_ns() + lookups->cache->core->timeout_ns;
    op->batch.ended = batch_ended;
    op->batch.ctx = lookups;
    *ret = op;
    return 0;
}

/* Prepares the next batch of this operation. After -ENOMEM the operation has no batch. */
static int op_begin(LookupOp *op, size_t n) {
    batch_deinit(&op->batch);
    return batch_init(&op->batch, n);
}

static void note(CacheLookups *lookups, int status, CacheFailure kind) {
    cache_fail(lookups->cache, status, kind, NULL, NULL);
}

/* ---- get ---- */

static bool keeps_near(const CacheLookups *lookups) {
    return lookups->near && lookups->cache->near;
}

static void end_get(CacheLookups *lookups, LookupOp *op, LookState state, int status) {
    ferry_bytes *value = NULL;

    switch (state) {
    case LOOK_FRESH:
        cache_count(lookups->cache, hits);
        value = cache_look_take(&op->look);
        break;
    case LOOK_STALE:
        cache_count(lookups->cache, stale_hits);
        value = cache_look_take(&op->look);
        break;
    case LOOK_NEGATIVE:
        cache_count(lookups->cache, negative_hits);
        break;
    case LOOK_ABSENT:
        cache_count(lookups->cache, misses);
        break;
    case LOOK_FAILED:
        note(lookups, status, CACHE_SOFT_READ);
    }
    op->got(state, value, status, op->ctx);
    op_free(op);
}

static void got_stamps(CacheLookups *lookups, LookupOp *op) {
    LookState state = op->look.state;
    int status = 0;

    for (size_t i = 0; i < op->batch.n; i++) {
        const RedisCommand *command = &op->batch.commands[i];

        if (command->status < 0)
            status = command->status;
        else if (command->reply->type != REPLY_STRING ||
                 stamp_parse(reply_span(command->reply)) != op->look.entry.tags[i].stamp)
            state = LOOK_ABSENT;
    }
    end_get(lookups, op, status < 0 ? LOOK_FAILED : state, status);
}

static int ask_stamps(CacheLookups *lookups, LookupOp *op) {
    const CacheEntry *entry = &op->look.entry;
    int r;

    op->tags = calloc(1, sizeof(*op->tags));
    r = op->tags ? cache_tag_keys_init(op->tags, lookups->cache, entry) : -ENOMEM;
    if (r >= 0)
        r = op_begin(op, entry->n_tags);
    if (r < 0)
        return r;
    for (size_t i = 0; i < entry->n_tags; i++)
        command_begin(&op->batch.commands[i], "GET", op->tags->spans[i], true);
    op->step = got_stamps;
    return batches_start(&lookups->batches, &op->batch);
}

static void got_value(CacheLookups *lookups, LookupOp *op) {
    RedisCommand *value = &op->batch.commands[0], *left = &op->batch.commands[1];
    Look *look = &op->look;
    int r;

    if (value->status < 0) {
        end_get(lookups, op, LOOK_FAILED, value->status);
        return;
    }
    if (value->reply->type == REPLY_STRING) {
        look->block = &value->reply->bytes;
        value->reply = NULL;
        if (op->batch.n > 1)
            near_keep_reply(lookups->near, op->token, op->key.span, look->block, value, left);
    }
    cache_look_judge(look);
    if (look->state == LOOK_ABSENT || look->entry.n_tags == 0) {
        end_get(lookups, op, look->state, 0);
        return;
    }
    r = ask_stamps(lookups, op);
    if (r < 0)
        end_get(lookups, op, LOOK_FAILED, r);
}

/* Answers at once: from memory://, or from the near cache if it has the entry and all its tags. */
static bool known_near(CacheLookups *lookups, Span key, LookState *ret_state, ferry_bytes **ret) {
    StoreCall call = cache_call(lookups->cache);
    Look look; /* large, so only the needed fields are set */

    look.block = NULL;
    if (lookups->redis && (!keeps_near(lookups) || near_get(lookups->near, key, memory_hash(key),
                                                            &look.block) != MEMORY_FOUND))
        return false;
    if (!lookups->redis) {
        cache_look(lookups->cache, key, false, &call, &look);
    } else {
        cache_look_judge(&look);
        if (look.state != LOOK_ABSENT && look.entry.n_tags > 0 &&
            !cache_tags_near(lookups->cache, lookups->near, &look)) {
            cache_look_deinitp(&look);
            return false;
        }
    }
    *ret_state = look.state;
    if (look.state == LOOK_FRESH)
        cache_count(lookups->cache, hits);
    if (look.state == LOOK_STALE)
        cache_count(lookups->cache, stale_hits);
    if (look.state == LOOK_NEGATIVE)
        cache_count(lookups->cache, negative_hits);
    if (look.state == LOOK_ABSENT)
        cache_count(lookups->cache, misses);
    if (look.state == LOOK_FRESH || look.state == LOOK_STALE)
        *ret = cache_look_take(&look);
    cache_look_deinitp(&look);
    return true;
}

int cache_try_get(CacheLookups *lookups, ferry_bytes key, LookState *ret_state, ferry_bytes **ret,
                  CacheGotFn fn, void *ctx) {
    CacheKey full; /* with the prefix */
    LookupOp *op = NULL;
    int r = cache_key_init(&full, lookups->cache, key, NULL);
    bool known;

    if (r < 0)
        return r;
    known = known_near(lookups, full.span, ret_state, ret);
    cache_key_deinitp(&full);
    if (known)
        return 0;
    r = op_new(lookups, got_value, ctx, &op);
    if (r < 0)
        return r;
    op->got = fn;
    r = cache_key_copy(&op->key, lookups->cache, key);
    if (r >= 0)
        r = op_begin(op, keeps_near(lookups) ? 2 : 1);
    if (r >= 0) {
        command_begin(&op->batch.commands[0], "GET", op->key.span, true);
        if (keeps_near(lookups)) {
            op->token = near_begin(lookups->near, memory_hash(op->key.span));
            command_begin(&op->batch.commands[1], "PTTL", op->key.span, true);
        }
        r = batches_start(&lookups->batches, &op->batch);
    }
    if (r == -ENOTCONN) {
        note(lookups, r, CACHE_SOFT_READ);
        *ret_state = LOOK_FAILED;
        op_free(op);
        return 0;
    }
    if (r < 0) {
        op_free(op);
        return r;
    }
    return -EINPROGRESS;
}

/* ---- stamps ---- */

static void end_write(CacheLookups *lookups, LookupOp *op, int status) {
    if (status < 0)
        note(lookups, status, CACHE_SOFT_WRITE);
    if (op->done)
        op->done(status, op->ctx);
    op_free(op);
}

static void stamped(CacheLookups *lookups, LookupOp *op) {
    int status = 0;

    for (size_t i = 0; i < op->batch.n && status >= 0; i++)
        status = op->batch.commands[i].status;
    for (size_t i = 0; i < op->stamps->entry.n_tags && status >= 0; i++) {
        const Reply *now = op->batch.commands[2 * i + 1].reply;

        op->stamps->entry.tags[i].stamp =
            now->type == REPLY_STRING ? stamp_parse(reply_span(now)) : 0;
        /* The GET was answered before the SET, because the SET was redirected to another server. */
        if (op->stamps->entry.tags[i].stamp == 0)
            status = -ENOTCONN;
    }
    end_write(lookups, op, status);
}

static int ask_for_stamps(CacheLookups *lookups, LookupOp *op, uint64_t ttl_ms) {
    const CacheEntry *entry = &op->stamps->entry;
    int r;

    op->tags = calloc(1, sizeof(*op->tags));
    r = op->tags ? cache_tag_keys_init(op->tags, lookups->cache, entry) : -ENOMEM;
    if (r >= 0)
        r = op_begin(op, 2 * entry->n_tags);
    if (r < 0)
        return r;
    snprintf(op->ttl, sizeof(op->ttl), "%llu", (unsigned long long)stamp_ttl_ms(ttl_ms));
    for (size_t i = 0; i < entry->n_tags; i++) {
        RedisCommand *set = &op->batch.commands[2 * i];

        stamp_format(random_u64() | 1, op->texts[i]);
        command_begin(set, "SET", op->tags->spans[i], true);
        command_add(set, op->texts[i], STAMP_BYTES);
        command_add_text(set, "NX");
        if (ttl_ms > 0) {
            command_add_text(set, "PX");
            command_add_text(set, op->ttl);
        }
        command_begin(set + 1, "GET", op->tags->spans[i], true);
    }
    return batches_start(&lookups->batches, &op->batch);
}

int cache_try_stamp(CacheLookups *lookups, const char *tags, uint64_t ttl_ms, CacheStamps *ret,
                    CacheDoneFn fn, void *ctx) {
    StoreCall call = cache_call(lookups->cache);
    LookupOp *op = NULL;
    int r;

    if (tags && strlen(tags) >= sizeof(ret->text))
        return -EINVAL;
    strcpy(ret->text, tags ? tags : "");
    r = entry_parse_tags(ret->text, &ret->entry);
    if (r < 0 || ret->entry.n_tags == 0)
        return r;
    if (!lookups->redis)
        return cache_stamp(lookups->cache, &ret->entry, ttl_ms, &call);
    r = op_new(lookups, stamped, ctx, &op);
    if (r < 0)
        return r;
    op->done = fn;
    op->stamps = ret;
    r = ask_for_stamps(lookups, op, ttl_ms);
    if (r < 0) {
        op_free(op);
        return r;
    }
    return -EINPROGRESS;
}

/* ---- set ---- */

static void was_set(CacheLookups *lookups, LookupOp *op) {
    int status = op->batch.commands[0].status;

    if (lookups->near)
        near_forget(lookups->near, op->key.span, memory_hash(op->key.span));
    if (status >= 0)
        cache_count(lookups->cache, stores);
    end_write(lookups, op, status);
}

static size_t write_header(const CacheTimes *times, const CacheStamps *stamps, uint64_t *ret_ttl_ms,
                           uint8_t to[ENTRY_HEADER_MAX]) {
    uint64_t fresh_ms = times->ttl_ms - (times->ttl_ms ? random_below(times->ttl_ms / 10 + 1) : 0);
    CacheEntry entry;

    if (stamps)
        entry = stamps->entry;
    else
        entry.n_tags = 0;
    entry.kind = times->negative ? ENTRY_NEGATIVE : ENTRY_COMPUTED;
    entry.fresh_until_ms = times->ttl_ms ? clock_wall_ms() + fresh_ms : 0;
    entry.took_us = times->took_us;
    entry.nonce = (uint32_t)random_u64();
    *ret_ttl_ms = times->ttl_ms ? fresh_ms + (times->negative ? 0 : times->stale_ms) : 0;
    if (times->ttl_ms && *ret_ttl_ms == 0)
        *ret_ttl_ms = 1;
    return entry_write_header(&entry, to);
}

static int set_in_redis(CacheLookups *lookups, LookupOp *op, Span head, Span body,
                        uint64_t ttl_ms) {
    RedisCommand *command;
    int r = op_begin(op, 1);

    op->value = malloc(head.len + body.len);
    if (r < 0 || !op->value)
        return -ENOMEM;
    memcpy(op->value, head.data, head.len);
    if (body.len > 0)
        memcpy(op->value + head.len, body.data, body.len);
    command = command_begin(&op->batch.commands[0], "SET", op->key.span, true);
    command_add(command, op->value, head.len + body.len);
    if (ttl_ms > 0) {
        snprintf(op->ttl, sizeof(op->ttl), "%llu", (unsigned long long)ttl_ms);
        command_add_text(command, "PX");
        command_add_text(command, op->ttl);
    }
    if (lookups->near)
        near_forget(lookups->near, op->key.span, memory_hash(op->key.span));
    return batches_start(&lookups->batches, &op->batch);
}

static int set_in_memory(CacheLookups *lookups, Span key, Span head, Span body, uint64_t ttl_ms) {
    StorePut put = {.key = key, .head = head, .body = body, .ttl_ms = ttl_ms};
    StoreCall call = cache_call(lookups->cache);

    lookups->cache->core->store->ops->put(lookups->cache->core->store, &put, 1, &call);
    if (put.status >= 0)
        cache_count(lookups->cache, stores);
    return put.status;
}

int cache_try_set(CacheLookups *lookups, ferry_bytes key, ferry_bytes value,
                  const CacheTimes *times, const CacheStamps *stamps, CacheDoneFn fn, void *ctx) {
    uint8_t header[ENTRY_HEADER_MAX];
    Span head = {header, 0}, body = {value.data, value.len};
    uint64_t ttl_ms;
    LookupOp *op = NULL;
    int r;

    if (times->ttl_ms > FERRY_CACHE_TTL_MAX || times->stale_ms > FERRY_CACHE_TTL_MAX ||
        (times->negative && times->ttl_ms == 0))
        return -EINVAL;
    if (value.len > FERRY_CACHE_VALUE_MAX)
        return -EMSGSIZE;
    r = op_new(lookups, was_set, ctx, &op);
    if (r < 0)
        return r;
    op->done = fn;
    head.len = write_header(times, stamps, &ttl_ms, header);
    r = cache_key_copy(&op->key, lookups->cache, key);
    if (r >= 0)
        r = lookups->redis ? set_in_redis(lookups, op, head, body, ttl_ms)
                           : set_in_memory(lookups, op->key.span, head, body, ttl_ms);
    if (r < 0 || !lookups->redis) {
        op_free(op);
        return r;
    }
    return -EINPROGRESS;
}
