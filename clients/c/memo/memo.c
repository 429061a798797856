/* SPDX-License-Identifier: Apache-2.0 */

/* The caller's end of memoised methods, and the part that drives both ends. See memo.h. */

#include "clients/c/memo/memo.h"

#include <stdlib.h>
#include <utlist.h>

#include "clients/c/core/loop.h"
#include "clients/c/memo/serve.h"
#include "rpc/schema/remote-error.h"

enum { WAIT_MAX_MS = 5000 /* longest wait for another caller's identical call */ };

/* A call with a callback, from the look-up to its answer. */
struct MemoCall {
    MemoCall *prev, *next; /* of memo->calls */
    MemoCall *next_due;
    ferry_client *handle;
    MemoEntry entry;
    AnyFn fn; /* NULL: no callback; the call renews a stale value */
    void *ctx;
    CallEndFn end;
    const void *aux;
    uint64_t flags, until_ms;
    uint32_t timeout_ms;
    bool asking;        /* the cache has not called back yet */
    bool calling;       /* the server has not answered yet */
    bool due;           /* ended, and its callback has not run yet */
    bool over;          /* its callback has run */
    ferry_bytes *value; /* when due: the cached answer; NULL: error */
    ferry_error error;
    size_t service_len, args_len;
    uint8_t bytes[]; /* the key of the entry, which begins with the service; then the arguments */
};

/* Finds the entry for the answer; its key lies in memo->key. False: make the call without a
 * cache. */
static bool prepare(ferry_client *client, const ferry_method *method, const void *args,
                    CallSpec *spec, MemoEntry *ret, uint32_t *ret_ms) {
    Memo *memo = memo_of(client->core);
    const MemoPlan *plan = memo ? memo_plan_of(memo, method) : NULL;
    MemoSource *source = memo ? memo_source_of(memo, client->cache) : NULL;
    uint64_t now_ms = core_now(client->core);

    *ret_ms = client_timeout(client, spec->timeout_ms, now_ms);
    if (!plan || !source || plan->ttl_ms == 0 || *ret_ms == 0 ||
        !memo_has_time(source->cache, *ret_ms) ||
        !memo_key(plan, spec->service, args, spec->args, &memo->key))
        return false;
    spec->until_ms = now_ms + *ret_ms;
    *ret = (MemoEntry){
        .plan = plan, .source = source, .key = ferry_bytes_of(memo->key.data, memo->key.len)};
    return true;
}

/* ---- blocking ---- */

typedef struct Fetched {
    ferry_client *client;
    const MemoEntry *entry;
    const CallSpec *spec;
    bool ran;    /* this caller made the call */
    bool thrown; /* the exception in error was stored */
    ferry_reply *reply;
    ferry_error error;
} Fetched;

static int compute(ferry_packer *out, void *ctx) {
    CLEANUP(buffer_deinit) Buffer map = {0};
    Fetched *fetched = ctx;
    const MemoPlan *plan = fetched->entry->plan;
    int r = call_run(fetched->client, fetched->spec, &fetched->reply, &fetched->error);

    fetched->ran = true;
    if (r == 0 && fetched->reply->body.len == 0)
        return -ENODATA;
    if (r == 0) {
        memo_pack_result(out, span_bytes(fetched->reply->body));
        return 0;
    }
    if (plan->negative_ms == 0 || !memo_is_declared(plan->method, fetched->error.type))
        return r;
    if (remote_error_write(&map, &fetched->error) < 0)
        return -ENOMEM;
    memo_pack_exception(out, span_of(map.data, map.len), plan->negative_ms);
    fetched->thrown = true;
    return 0;
}

static int call_directly(ferry_client *client, const CallSpec *spec, MemoAnswer *ret,
                         ferry_error *reterr) {
    ferry_reply *reply = NULL;
    int r = call_run(client, spec, &reply, reterr);

    if (r == 0)
        *ret = (MemoAnswer){reply, reply->body, false};
    return r;
}

/* -EAGAIN: the cache has no usable value, and this caller made no call. */
static int fetch(Fetched *fetched, uint32_t timeout_ms, MemoAnswer *ret, ferry_error *reterr) {
    const MemoPlan *plan = fetched->entry->plan;
    ferry_bytes key = fetched->entry->key;
    ferry_fetch_options options = {.ttl_ms = plan->ttl_ms,
                                   .stale_ms = plan->stale_ms,
                                   .wait_ms = timeout_ms / 2 < WAIT_MAX_MS ? timeout_ms / 2 + 1
                                                                           : WAIT_MAX_MS,
                                   .tags = plan->tags};
    ferry_cache *cache = fetched->entry->source->cache;
    ferry_bytes *value = NULL;
    MemoValue stored;
    int r = ferry_cache_fetch(cache, key, &options, compute, fetched, &value, NULL);

    if (fetched->reply) {
        *ret = (MemoAnswer){fetched->reply, fetched->reply->body, false};
        ferry_free(value);
        return 0;
    }
    if (fetched->ran && (fetched->thrown || r < 0)) {
        r = fetched->error.code;
        error_move(reterr, &fetched->error);
        ferry_free(value);
        return r;
    }
    ferry_error_clear(&fetched->error);
    if (r < 0)
        return -EAGAIN;
    r = memo_value_read(plan->method, value, &stored, reterr);
    if (r == 0) {
        *ret = (MemoAnswer){value, stored.body, true};
        return 0;
    }
    ferry_free(value);
    if (r == -EAGAIN)
        ferry_cache_delete(cache, key, NULL);
    return r;
}

static int memo_run_call(ferry_client *client, const ferry_method *method, const void *args,
                         CallSpec *spec, MemoAnswer *ret, ferry_error *reterr) {
    uint32_t timeout_ms;
    MemoEntry entry;
    int r = -EAGAIN;

    if (!prepare(client, method, args, spec, &entry, &timeout_ms))
        return call_directly(client, spec, ret, reterr);
    spec->flags |= CALL_FRESH;
    /* The key and the arguments stay valid: no callback runs during a blocking call. */
    for (int tries = 0; r == -EAGAIN && tries < 2; tries++) {
        Fetched fetched = {
            .client = client, .entry = &entry, .spec = spec, .error = FERRY_ERROR_INIT};

        r = fetch(&fetched, timeout_ms, ret, reterr);
        if (fetched.ran)
            return r;
    }
    return r == -EAGAIN ? call_directly(client, spec, ret, reterr) : r;
}

static int memo_ask_instead(ferry_client *client, const CallSpec *spec, MemoAnswer *ret,
                            ferry_error *reterr) {
    Buffer *key = &client->core->memo->key;

    ferry_cache_delete(client->cache, ferry_bytes_of(key->data, key->len), NULL);
    ferry_free(ret->block);
    *ret = (MemoAnswer){0};
    return call_directly(client, spec, ret, reterr);
}

/* ---- with a callback ---- */

static MemoCall *call_new(Memo *memo, ferry_client *client, const MemoEntry *entry,
                          size_t service_len, const CallSpec *spec) {
    ferry_bytes key = entry->key;
    MemoCall *call = malloc(sizeof(*call) + key.len + spec->args.len);

    if (!call)
        return NULL;
    *call = (MemoCall){.handle = client,
                       .entry = *entry,
                       .fn = spec->fn,
                       .ctx = spec->ctx,
                       .end = spec->end,
                       .aux = spec->aux,
                       .flags = spec->flags,
                       .until_ms = spec->until_ms,
                       .timeout_ms = spec->timeout_ms,
                       .error = FERRY_ERROR_INIT,
                       .service_len = service_len,
                       .args_len = spec->args.len};
    call->entry.key.data = memcpy(call->bytes, key.data, key.len);
    memcpy(call->bytes + key.len, spec->args.data, spec->args.len);
    DL_PREPEND(memo->calls, call);
    return call;
}

/* Frees the call when nothing refers to it any more. */
static void call_release(MemoCall *call) {
    if (call->asking || call->calling || call->due)
        return;
    DL_DELETE(call->entry.source->memo->calls, call);
    ferry_free(call->value);
    ferry_error_clear(&call->error);
    free(call->entry.stamps);
    free(call);
}

static void make_due(Core *core, MemoCall *call) {
    Memo *memo = core->memo;

    call->due = true;
    call->next_due = NULL;
    if (memo->last_due)
        memo->last_due->next_due = call;
    else
        memo->due = call;
    memo->last_due = call;
    core_raise(core);
}

static void answered(Core *core, AnyFn fn, const void *aux, void *ctx, const ferry_reply *reply,
                     const ferry_error *error) {
    MemoCall *call = ctx;

    (void)fn, (void)aux;
    call->calling = false;
    if (error)
        memo_entry_keep_exception(&call->entry, error);
    else
        memo_entry_keep_result(&call->entry, span_bytes(reply->body));
    if (call->fn)
        call->end(core, call->fn, call->aux, call->ctx, reply, error);
    call_release(call);
}

static int ask_server(MemoCall *call) {
    const ferry_method *method = call->entry.plan->method;
    size_t key_len = call->entry.key.len;
    CallSpec spec = {.service = span_of(call->bytes, call->service_len),
                     .method = span_text(method->name),
                     .flags = call->flags | (call->entry.storing ? CALL_FRESH : 0),
                     .timeout_ms = call->timeout_ms,
                     .until_ms = call->until_ms,
                     .args = ferry_bytes_of(call->bytes + key_len, call->args_len),
                     .fn = (AnyFn)answered, /* not called, because end is set */
                     .ctx = call,
                     .end = answered};
    int r;

    call->entry.began_us = clock_us();
    call->calling = true;
    r = call_start(call->handle, &spec, &call->error);
    if (r < 0)
        call->calling = false;
    return r;
}

/* As ask_server(), but a failure goes to the callback. */
static void ask_server_later(MemoCall *call) {
    if (ask_server(call) == 0)
        return;
    if (call->fn)
        make_due(call->handle->core, call);
    else
        call_release(call);
}

static void got_stamps(int status, void *ctx) {
    MemoCall *call = ctx;

    call->asking = false;
    call->entry.source->pending--;
    call->entry.storing = status == 0;
    if (call->due || call->over)
        call_release(call);
    else
        ask_server_later(call);
}

/* Fetches the stamps. True: call the server now. */
static bool stamp(MemoCall *call) {
    call->asking = !memo_entry_stamp(&call->entry, got_stamps, call);
    return !call->asking;
}

/* The program got a stale value: calls the server in the background, once for each key. */
static void renew(Core *core, MemoCall *stale) {
    Memo *memo = core->memo;
    const MemoEntry entry = {
        .plan = stale->entry.plan, .source = stale->entry.source, .key = stale->entry.key};
    CallSpec spec = {.flags = stale->flags,
                     .timeout_ms = stale->timeout_ms,
                     .args = ferry_bytes_of(stale->bytes + entry.key.len, stale->args_len)};
    MemoCall *call;

    for (call = memo->calls; call; call = call->next)
        if (!call->fn && call->handle == stale->handle && memo_entry_is_same(&call->entry, &entry))
            return;
    call = call_new(memo, stale->handle, &entry, stale->service_len, &spec);
    if (call && stamp(call))
        ask_server_later(call);
}

/* Takes the result of the look-up. True: the call has its answer. */
static bool take(Core *core, MemoCall *call, LookState state, ferry_bytes *value) {
    MemoValue stored;
    int r = -EAGAIN;

    if (state == LOOK_FRESH || state == LOOK_STALE)
        r = memo_value_check(call->entry.plan->method, value, &stored, &call->error);
    if (r == -EAGAIN) {
        ferry_free(value);
        return false;
    }
    if (r < 0)
        ferry_free(value);
    else
        call->value = value;
    if (state == LOOK_STALE)
        renew(core, call);
    make_due(core, call);
    return true;
}

static void got_value(LookState state, ferry_bytes *value, int status, void *ctx) {
    MemoCall *call = ctx;

    (void)status;
    call->asking = false;
    call->entry.source->pending--;
    if (call->due || call->over) {
        ferry_free(value);
        call_release(call);
        return;
    }
    if (take(call->handle->core, call, state, value))
        return;
    if (state == LOOK_FAILED || stamp(call))
        ask_server_later(call);
}

static int memo_start_call(ferry_client *client, const ferry_method *method, const void *args,
                           CallSpec *spec, ferry_error *reterr) {
    uint32_t timeout_ms;
    Core *core = client->core;
    MemoEntry entry;
    ferry_bytes *value = NULL;
    LookState state = LOOK_ABSENT;
    MemoCall *call;
    int r;

    if (!prepare(client, method, args, spec, &entry, &timeout_ms))
        return call_start(client, spec, reterr);
    call = call_new(core->memo, client, &entry, spec->service.len, spec);
    if (!call)
        return error_set_code(reterr, -ENOMEM, NULL);
    r = cache_try_get(entry.source->lookups, call->entry.key, &state, &value, got_value, call);
    if (r == -EINPROGRESS) {
        call->asking = true;
        entry.source->pending++;
        core_sent(core);
        return 0;
    }
    if (r == 0 && take(core, call, state, value))
        return 0;
    if (r == 0 && state != LOOK_FAILED && !stamp(call))
        return 0;
    r = ask_server(call);
    if (r < 0) {
        error_copy(reterr, &call->error);
        call_release(call);
    }
    return r;
}

/* ---- turns ---- */

static void run_due(Core *core, MemoCall *call) {
    ferry_reply reply = {0};
    MemoValue stored;

    call->due = false;
    call->over = true;
    if (call->value) {
        memo_value_read(call->entry.plan->method, call->value, &stored, NULL);
        reply.body = stored.body;
    }
    if (call->fn)
        call->end(core, call->fn, call->aux, call->ctx, call->value ? &reply : NULL,
                  call->value ? NULL : &call->error);
    call_release(call);
}

static bool calls_run(Core *core) {
    Memo *memo = core->memo;
    bool busy = false;

    while (memo->due) {
        MemoCall *call = memo->due;

        memo->due = call->next_due;
        if (!memo->due)
            memo->last_due = NULL;
        run_due(core, call);
        busy = true;
    }
    return busy;
}

/* Ends calls of a handle with -ECANCELED, in a later turn. */
static void cancel(ferry_client *client) {
    Memo *memo = client->core->memo;
    MemoCall *next;

    for (MemoCall *call = memo ? memo->calls : NULL; call; call = next) {
        next = call->next;
        if (call->handle != client || !call->asking || call->due || call->over)
            continue;
        error_set(&call->error, "ferry.Cancelled", "the handle of this call was closed");
        make_due(client->core, call);
    }
}

/* A call to one instance must reach that instance. */
static bool applies(const ferry_client *client, const ferry_method *method) {
    return client->cache && method->cache_ttl_ms > 0 && method->result &&
           client->instance.len == 0 &&
           !(method->flags & (FERRY_ONEWAY | FERRY_STREAM_IN | FERRY_STREAM_OUT));
}

static const CallMemo memo_calls = {
    .applies = applies,
    .run = memo_run_call,
    .replace = memo_ask_instead,
    .start = memo_start_call,
};

/* ---- the part ---- */

static bool is_due(const Core *core) {
    return core->memo && (core->memo->due || core->memo->due_servings);
}

static bool run(Core *core) {
    Memo *memo = core->memo;
    bool busy;

    if (!memo)
        return false;
    for (MemoSource *source = memo->sources; source; source = source->next)
        if (source->pending > 0)
            cache_lookups_process(source->lookups);
    busy = calls_run(core);
    busy |= memo_servings_run(memo);
    return busy;
}

static int init(Core *core) {
    core->call_memo = &memo_calls;
    core->serve_memo = &memo_services;
    return 0;
}

const Part memo_part = {
    .init = init,
    .free = memo_free,
    .is_due = is_due,
    .run = run,
    .watch = memo_watch,
    .cancel = cancel,
    .shut = memo_serve_shut,
};
