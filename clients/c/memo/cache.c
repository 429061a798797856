/* SPDX-License-Identifier: Apache-2.0 */

/* Memoising: the code that callers and servers share. See cache.h. */

#include "clients/c/memo/cache.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <ferry/pack.h>

#include "base/clock.h"
#include "clients/c/core/loop.h"
#include "clients/c/memo/report.h"
#include "rpc/schema/codec/codec.h"
#include "rpc/schema/remote-error.h"

enum { EXCEPTION_HEAD = 10 /* bytes before the error map: an array of two, a u64 */ };

/* ---- the state of a connection ---- */

void memo_watch(Core *core) {
    /* If this fails, the answers of Redis do not start a turn; the next turn reads them. */
    if (core->memo && core->loop_mode)
        core_watch_loop(core, core->memo->epoll_fd);
}

Memo *memo_of(Core *core) {
    Memo *memo = core->memo;

    if (memo)
        return memo;
    memo = calloc(1, sizeof(*memo));
    if (!memo)
        return NULL;
    memo->core = core;
    memo->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (memo->epoll_fd < 0 || core_watch(core, memo->epoll_fd) < 0) {
        if (memo->epoll_fd >= 0)
            close(memo->epoll_fd);
        free(memo);
        return NULL;
    }
    core->memo = memo;
    memo_watch(core);
    return memo;
}

const MemoPlan *memo_plan_of(Memo *memo, const ferry_method *method) {
    MemoPlan *plan;

    for (plan = memo->plans; plan; plan = plan->next)
        if (plan->method == method)
            return plan;
    plan = malloc(sizeof(*plan));
    if (!plan)
        return NULL;
    if (!memo_plan_read(method, plan))
        plan->ttl_ms = 0;
    plan->next = memo->plans;
    memo->plans = plan;
    return plan;
}

static void source_free(MemoSource *source) {
    cache_lookups_close(source->lookups);
    ferry_cache_close(source->cache);
    free(source);
}

MemoSource *memo_source_of(Memo *memo, ferry_cache *cache) {
    struct epoll_event event = {.events = EPOLLIN};
    MemoSource *source;

    for (source = memo->sources; source; source = source->next)
        if (source->given == cache)
            return source;
    source = calloc(1, sizeof(*source));
    if (!source)
        return NULL;
    cache_reports_add(memo->core, cache);
    source->memo = memo;
    source->given = cache;
    if (cache_open_memoised(cache, &source->cache) < 0 ||
        cache_lookups_open(source->cache, &source->lookups) < 0) {
        source_free(source);
        return NULL;
    }
    event.data.fd = cache_lookups_fd(source->lookups);
    if (epoll_ctl(memo->epoll_fd, EPOLL_CTL_ADD, event.data.fd, &event) < 0) {
        source_free(source);
        return NULL;
    }
    source->next = memo->sources;
    memo->sources = source;
    return source;
}

bool memo_has_time(ferry_cache *cache, uint32_t timeout_ms) {
    Near *near;

    return !store_redis(cache->core->store, &near) ||
           cache->core->timeout_ns / 1000000 * 2 <= timeout_ms;
}

void memo_free(Core *core) {
    Memo *memo = core->memo;
    MemoSource *source;
    MemoPlan *plan;

    if (!memo)
        return;
    while ((source = memo->sources)) {
        memo->sources = source->next;
        source_free(source);
    }
    while ((plan = memo->plans)) {
        memo->plans = plan->next;
        free(plan);
    }
    buffer_deinit(&memo->key);
    close(memo->epoll_fd);
    free(memo);
    core->memo = NULL;
}

/* ---- stored values ---- */

static const ferry_type *declared(const ferry_method *method, const char *type) {
    for (uint32_t i = 0; type && i < method->n_throws; i++)
        if (strcmp(method->throws[i].type->name, type) == 0)
            return method->throws[i].type;
    return NULL;
}

bool memo_is_declared(const ferry_method *method, const char *type) {
    return declared(method, type) != NULL;
}

void memo_pack_result(ferry_packer *out, Span body) {
    ferry_pack_array(out, 1);
    ferry_pack_raw(out, body.data, body.len);
}

void memo_pack_exception(ferry_packer *out, Span error_map, uint64_t keep_ms) {
    ferry_pack_array(out, 2);
    ferry_pack_uint(out, clock_wall_ms() + keep_ms);
    ferry_pack_raw(out, error_map.data, error_map.len);
}

static uint64_t read_u64(const uint8_t *at) {
    uint64_t number = 0;

    for (int i = 0; i < 8; i++)
        number = number << 8 | at[i];
    return number;
}

static int read_exception(const ferry_method *method, Span map, ferry_error *reterr) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    int r = remote_error_read(map, &error);
    const ferry_type *type = declared(method, error.type);

    /* An exception that was thrown with only its name has no fields. */
    if (!type || (error_parts(&error).data.len > 0 && !ferry_exception_in(&error, type)))
        return -EAGAIN;
    error_move(reterr, &error);
    return r;
}

int memo_value_read(const ferry_method *method, const ferry_bytes *value, MemoValue *ret,
                    ferry_error *reterr) {
    const uint8_t *at = value->data;

    *ret = (MemoValue){0};
    if (value->len > 1 && at[0] == 0x91) {
        ret->body = (ferry_bytes){at + 1, value->len - 1, value->block};
        return 0;
    }
    if (value->len <= EXCEPTION_HEAD || at[0] != 0x92 || at[1] != 0xCF ||
        read_u64(at + 2) <= clock_wall_ms())
        return -EAGAIN;
    ret->error_map = span_of(at + EXCEPTION_HEAD, value->len - EXCEPTION_HEAD);
    return read_exception(method, ret->error_map, reterr);
}

int memo_value_check(const ferry_method *method, const ferry_bytes *value, MemoValue *ret,
                     ferry_error *reterr) {
    int r = memo_value_read(method, value, ret, reterr);
    void *block;

    if (r < 0)
        return r;
    if (schema_unpack_block(method->result, span_bytes(ret->body), "result", &block, NULL) < 0)
        return -EAGAIN;
    ferry_free(block);
    return 0;
}

/* ---- storing without waiting ---- */

bool memo_entry_stamp(MemoEntry *entry, CacheDoneFn fn, void *ctx) {
    const MemoPlan *plan = entry->plan;
    int r;

    entry->storing = true;
    if (!plan->tags || !*plan->tags)
        return true;
    entry->stamps = malloc(sizeof(*entry->stamps));
    r = entry->stamps ? cache_try_stamp(entry->source->lookups, plan->tags,
                                        plan->ttl_ms + plan->stale_ms, entry->stamps, fn, ctx)
                      : -ENOMEM;
    entry->storing = r == 0;
    if (r != -EINPROGRESS)
        return true;
    entry->source->pending++;
    return false;
}

static void was_stored(int status, void *ctx) {
    MemoSource *source = ctx;

    (void)status;
    source->pending--;
}

static void put(const MemoEntry *entry, ferry_packer *packed, uint64_t ttl_ms, uint64_t stale_ms) {
    uint64_t took_us = clock_us() - entry->began_us;
    CacheTimes times = {.ttl_ms = ttl_ms,
                        .stale_ms = stale_ms,
                        .took_us = took_us < UINT32_MAX ? (uint32_t)took_us : UINT32_MAX};

    if (ferry_packer_error(packed) == 0 &&
        cache_try_set(entry->source->lookups, entry->key, ferry_packer_bytes(packed), &times,
                      entry->stamps, was_stored, entry->source) == -EINPROGRESS)
        entry->source->pending++;
}

void memo_entry_keep_result(const MemoEntry *entry, Span body) {
    FERRY_AUTO(ferry_packer_close) ferry_packer *packed = NULL;

    if (!entry->storing || body.len == 0 || body.len >= FERRY_CACHE_VALUE_MAX)
        return;
    packed = ferry_packer_new();
    if (!packed)
        return;
    memo_pack_result(packed, body);
    put(entry, packed, entry->plan->ttl_ms, entry->plan->stale_ms);
}

void memo_entry_keep_exception(const MemoEntry *entry, const ferry_error *error) {
    FERRY_AUTO(ferry_packer_close) ferry_packer *packed = NULL;
    CLEANUP(buffer_deinit) Buffer map = {0};
    uint64_t keep_ms = entry->plan->negative_ms;

    if (!entry->storing || keep_ms == 0 || !memo_is_declared(entry->plan->method, error->type) ||
        remote_error_write(&map, error) < 0)
        return;
    packed = ferry_packer_new();
    if (!packed)
        return;
    memo_pack_exception(packed, span_of(map.data, map.len), keep_ms);
    put(entry, packed, keep_ms, 0);
}
