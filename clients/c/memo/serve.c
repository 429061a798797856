/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The server's end of memoised methods: sends a cached answer instead of running the handler, and
 * stores the answers of handlers. See serve.h and memo.h.
 *
 * No function here waits. A request that needs an answer from Redis is deferred, in the same way as
 * by a handler, and continues in a later turn.
 */

#include "clients/c/memo/serve.h"

#include <stdlib.h>
#include <utlist.h>

#include "clients/c/core/loop.h"
#include "clients/c/serving/request.h"

/* A request from its arrival to its answer. */
struct Serving {
    Serving *prev, *next; /* of memo->servings */
    Serving *next_due;
    Request *request; /* NULL: the request has ended */
    MemoEntry entry;
    bool looked;   /* the look-up is done, or not needed */
    bool asking;   /* the cache has not called back yet */
    bool due;      /* the cache has called back: the request continues */
    bool renewing; /* the caller got a stale answer; the handler runs to renew the value */
    LookState state;
    ferry_bytes *value; /* belongs to state */
    uint8_t key[];
};

static Serving *serving_new(Memo *memo, Request *request, const MemoEntry *entry) {
    Serving *serving = malloc(sizeof(*serving) + entry->key.len);

    if (!serving)
        return NULL;
    *serving = (Serving){.request = request, .entry = *entry, .state = LOOK_ABSENT};
    serving->entry.key.data = memcpy(serving->key, entry->key.data, entry->key.len);
    serving->entry.began_us = clock_us();
    DL_PREPEND(memo->servings, serving);
    request->serving = serving;
    return serving;
}

/* Frees the serving when nothing refers to it any more. */
static void serving_release(Serving *serving) {
    if (serving->asking || serving->due || serving->request)
        return;
    DL_DELETE(serving->entry.source->memo->servings, serving);
    ferry_free(serving->value);
    free(serving->entry.stamps);
    free(serving);
}

static void make_due(Serving *serving) {
    Core *core = serving->request->core;
    Memo *memo = core->memo;

    serving->due = true;
    serving->next_due = NULL;
    if (memo->last_due_serving)
        memo->last_due_serving->next_due = serving;
    else
        memo->due_servings = serving;
    memo->last_due_serving = serving;
    core_raise(core);
}

/* ---- the cache ---- */

static void cache_answered(Serving *serving) {
    serving->asking = false;
    serving->entry.source->pending--;
    if (serving->request)
        make_due(serving);
    else
        serving_release(serving);
}

static void got_stamps(int status, void *ctx) {
    Serving *serving = ctx;

    serving->entry.storing = status == 0;
    cache_answered(serving);
}

static void got_value(LookState state, ferry_bytes *value, int status, void *ctx) {
    Serving *serving = ctx;

    (void)status;
    serving->state = state;
    serving->value = value;
    cache_answered(serving);
}

/* Defers the request until the cache calls back. */
static void defer(Serving *serving) {
    Request *request = serving->request;

    serving->asking = true;
    if (!request->deferred && !ferry_request_defer(&request->request))
        request_reject(request, "ferry.OutOfMemory", "the server is out of memory");
}

static bool is_being_renewed(const Memo *memo, const Serving *serving) {
    for (const Serving *other = memo->servings; other; other = other->next)
        if (other != serving && other->renewing && other->request &&
            memo_entry_is_same(&other->entry, &serving->entry))
            return true;
    return false;
}

/* ---- the steps of a request ---- */

/* Takes the result of the look-up. True: the request is answered, and may be freed with its
 * serving. */
static bool take(Serving *serving) {
    Request *request = serving->request;
    const Memo *memo = request->core->memo;
    ferry_bytes *value = serving->value;
    bool stale = serving->state == LOOK_STALE, answered;
    MemoValue stored;
    int r = -EAGAIN;

    serving->value = NULL;
    if (value)
        r = memo_value_check(serving->entry.plan->method, value, &stored, NULL);
    answered = r != -EAGAIN;
    if (r == 0 && stale && !is_being_renewed(memo, serving)) {
        /* The handler still runs, to renew the value. */
        serving->renewing = request_tell(request, stored.body) == 0;
        answered = false;
    } else if (r == 0) {
        ferry_request_return(&request->request, stored.body);
    } else if (answered) {
        request_answer_error(request, stored.error_map, NULL);
    }
    ferry_free(value);
    return answered;
}

/* Fetches the stamps. True: call the handler now. */
static bool stamp(Serving *serving) {
    if (memo_entry_stamp(&serving->entry, got_stamps, serving))
        return true;
    defer(serving);
    return false;
}

/* Continues after the look-up. True: call the handler now. */
static bool continue_with_value(Serving *serving) {
    serving->looked = true;
    return serving->state == LOOK_FAILED || (!take(serving) && stamp(serving));
}

static bool look_up(Serving *serving) {
    MemoSource *source = serving->entry.source;
    int r = cache_try_get(source->lookups, serving->entry.key, &serving->state, &serving->value,
                          got_value, serving);

    if (r == -EINPROGRESS) {
        source->pending++;
        defer(serving);
        return false;
    }
    return r < 0 || continue_with_value(serving);
}

static bool memo_serve(Request *request, ferry_cache *cache, const void *args) {
    const char *full = request->request.method;
    Memo *memo = memo_of(request->core);
    const MemoPlan *plan = memo ? memo_plan_of(memo, request->typed) : NULL;
    MemoEntry entry = {.plan = plan};
    Serving *serving;

    if (!plan || plan->ttl_ms == 0 || !memo_has_time(cache, request->timeout_ms) ||
        !memo_key(plan, span_of(full, (size_t)(strrchr(full, '.') - full)), args,
                  request->request.body, &memo->key))
        return true;
    entry.source = memo_source_of(memo, cache);
    entry.key = ferry_bytes_of(memo->key.data, memo->key.len);
    serving = entry.source ? serving_new(memo, request, &entry) : NULL;
    if (!serving)
        return true;
    serving->looked = request->fresh;
    return request->fresh ? stamp(serving) : look_up(serving);
}

static void memo_serve_result(Request *request, Span body) {
    memo_entry_keep_result(&request->serving->entry, body);
}

static void memo_serve_error(Request *request, const ferry_error *error) {
    memo_entry_keep_exception(&request->serving->entry, error);
}

static void memo_serve_end(Request *request) {
    Serving *serving = request->serving;

    serving->request = NULL;
    serving_release(serving);
}

/* ---- turns ---- */

static void run_due(Serving *serving) {
    serving->due = false;
    if (!serving->request)
        serving_release(serving);
    else if (serving->looked || continue_with_value(serving))
        serve_resume(serving->request);
}

bool memo_servings_run(Memo *memo) {
    bool busy = false;

    while (memo->due_servings) {
        Serving *serving = memo->due_servings;

        memo->due_servings = serving->next_due;
        if (!memo->due_servings)
            memo->last_due_serving = NULL;
        run_due(serving);
        busy = true;
    }
    return busy;
}

void memo_serve_shut(Core *core) {
    Serving *next;

    for (Serving *serving = core->memo ? core->memo->servings : NULL; serving; serving = next) {
        next = serving->next;
        if (serving->request && (serving->asking || serving->due))
            request_drop(serving->request);
    }
}

static bool applies(const ferry_client *handle, const ferry_method *method) {
    return handle->cache && method && method->cache_ttl_ms > 0 && method->result &&
           !(method->flags & (FERRY_ONEWAY | FERRY_STREAM_IN | FERRY_STREAM_OUT));
}

const ServeMemo memo_services = {
    .applies = applies,
    .begin = memo_serve,
    .result = memo_serve_result,
    .error = memo_serve_error,
    .end = memo_serve_end,
};
