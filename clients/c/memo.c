/* Memoised methods. See memo.h. */

#include "clients/c/memo.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <ferry/pack.h>

#include "cache/lookup.h"
#include "clients/c/memo-plan.h"
#include "rpc/schema/remote-error.h"

enum {
    WAIT_MAX_MS = 5000, /* for somebody else who makes the same call */
    EXCEPTION_HEAD = 10 /* bytes in front of the error map: an array of two, a u64 */
};

/* One cache without waiting, for callback calls. */
typedef struct Source Source;
struct Source {
    Source *next;
    ferry_cache *cache;
    CacheLookups *lookups;
    unsigned pending; /* operations on their way */
};

/* A call with a callback, from looking up to its answer. */
typedef struct MemoCall MemoCall;
struct MemoCall {
    MemoCall *next, **link; /* of all */
    MemoCall *next_due;
    ferry_client *handle;
    Source *source;
    const MemoPlan *plan;
    AnyFn fn; /* NULL: nobody listens, a stale value is made new */
    void *ctx;
    CallEndFn end;
    const void *aux;
    uint64_t flags, until_ms, began_us;
    uint32_t timeout_ms;
    bool asking;  /* the cache's callback is still to come */
    bool calling; /* the answer's */
    bool due;     /* it has ended, and its callback has not been run */
    bool over;    /* it has been run */
    bool storing; /* the answer may be stored */
    CacheStamps *stamps;
    ferry_bytes *value; /* when due: the cached answer; NULL: error */
    ferry_error error;
    size_t service_len, key_len, args_len;
    uint8_t bytes[]; /* the key, which begins with the service, and the arguments */
};

struct Memo {
    MemoPlan *plans;
    Source *sources;
    MemoCall *calls;
    MemoCall *due, *last_due;
    Buffer key;
    int epoll_fd; /* what wakes the loop, and what the caches have to say */
};

/* ---- what is stored ---- */

static bool is_declared(const ferry_method *method, const ferry_error *error) {
    for (uint32_t i = 0; error->type && i < method->n_throws; i++)
        if (strcmp(method->throws[i].type->name, error->type) == 0)
            return true;
    return false;
}

static void pack_result(ferry_packer *out, ferry_bytes body) {
    ferry_pack_array(out, 1);
    ferry_pack_raw(out, body.data, body.len);
}

static int pack_exception(ferry_packer *out, const ferry_error *error, uint64_t keep_ms) {
    CLEANUP(buffer_deinit) Buffer map = {0};
    int r = remote_error_write(&map, error);

    if (r < 0)
        return r;
    ferry_pack_array(out, 2);
    ferry_pack_uint(out, cache_wall_ms() + keep_ms);
    ferry_pack_raw(out, map.data, map.len);
    return 0;
}

static uint64_t expiry_of(const uint8_t *at) {
    uint64_t ms = 0;

    for (int i = 0; i < 8; i++)
        ms = ms << 8 | at[i];
    return ms;
}

/* Reads what a cache had. 0: ret_body is the result in it; -EAGAIN: it does not count (an exception
 * whose time is over, bytes of somebody else); else the exception's code. */
static int read_stored(const ferry_bytes *value, ferry_bytes *ret_body, ferry_error *reterr) {
    const uint8_t *at = value->data;

    if (value->len > 1 && at[0] == 0x91) {
        *ret_body = (ferry_bytes){at + 1, value->len - 1, value->block};
        return 0;
    }
    if (value->len <= EXCEPTION_HEAD || at[0] != 0x92 || at[1] != 0xCF ||
        expiry_of(at + 2) <= cache_wall_ms())
        return -EAGAIN;
    return remote_error_read(span_of(at + EXCEPTION_HEAD, value->len - EXCEPTION_HEAD),
                             reterr ? reterr : &(ferry_error)FERRY_ERROR_INIT);
}

/* ---- what a client keeps for this ---- */

static Memo *memo_of(Core *core) {
    Memo *memo = core->memo;
    struct epoll_event event = {.events = EPOLLIN};

    if (memo)
        return memo;
    memo = calloc(1, sizeof(*memo));
    if (!memo)
        return NULL;
    memo->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    event.data.fd = core->event_fd;
    if (memo->epoll_fd < 0 ||
        epoll_ctl(memo->epoll_fd, EPOLL_CTL_ADD, core->event_fd, &event) < 0) {
        if (memo->epoll_fd >= 0)
            close(memo->epoll_fd);
        free(memo);
        return NULL;
    }
    core->memo = memo;
    core->wait_fd = memo->epoll_fd;
    memo_watch(core);
    return memo;
}

void memo_watch(Core *core) {
    struct epoll_event event = {.events = EPOLLIN};

    if (!core->memo || !core->loop_mode)
        return;
    event.data.fd = core->memo->epoll_fd;
    /* If it fails, what Redis says is seen in the next turn that happens for another reason. */
    if (epoll_ctl(link_epoll_fd(core->link), EPOLL_CTL_ADD, event.data.fd, &event) < 0)
        return;
}

static const MemoPlan *plan_of(Memo *memo, const ferry_method *method) {
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

static Source *source_of(Memo *memo, ferry_cache *cache) {
    struct epoll_event event = {.events = EPOLLIN};
    Source *source;

    for (source = memo->sources; source; source = source->next)
        if (source->cache == cache)
            return source;
    source = calloc(1, sizeof(*source));
    if (!source || cache_lookups_open(cache, &source->lookups) < 0) {
        free(source);
        return NULL;
    }
    source->cache = cache;
    event.data.fd = cache_lookups_fd(source->lookups);
    if (epoll_ctl(memo->epoll_fd, EPOLL_CTL_ADD, event.data.fd, &event) < 0) {
        cache_lookups_close(source->lookups);
        free(source);
        return NULL;
    }
    source->next = memo->sources;
    memo->sources = source;
    return source;
}

/* A Redis that hangs takes its timeout_ms. A call with less than twice that is not to lose its time
 * to it. */
static bool has_time(ferry_cache *cache, uint32_t timeout_ms) {
    Near *near;

    return !store_redis(cache->core->store, &near) ||
           cache->core->timeout_ns / 1000000 * 2 <= timeout_ms;
}

/* The plan, with the call's key in memo->key. NULL: the call is made as if there were no cache. */
static const MemoPlan *prepare(ferry_client *client, const char *service,
                               const ferry_method *method, const void *args, CallSpec *spec,
                               uint32_t *ret_ms) {
    Memo *memo = memo_of(client->core);
    const MemoPlan *plan = memo ? plan_of(memo, method) : NULL;
    uint64_t now_ms = core_now(client->core);

    *ret_ms = client_timeout(client, spec->timeout_ms, now_ms);
    if (!plan || plan->ttl_ms == 0 || *ret_ms == 0 || !has_time(client->cache, *ret_ms) ||
        !memo_key(plan, service, args, spec->args, &memo->key))
        return NULL;
    spec->until_ms = now_ms + *ret_ms;
    return plan;
}

/* ---- blocking ---- */

typedef struct Fetched {
    ferry_client *client;
    const MemoPlan *plan;
    const CallSpec *spec;
    bool ran;    /* it was this one who made the call */
    bool thrown; /* and the exception in error was stored */
    ferry_reply *reply;
    ferry_error error;
} Fetched;

static int compute(ferry_packer *out, void *ctx) {
    Fetched *fetched = ctx;
    int r = call_run(fetched->client, fetched->spec, &fetched->reply, &fetched->error);

    fetched->ran = true;
    if (r == 0 && fetched->reply->body.len == 0)
        return -ENODATA;
    if (r == 0) {
        pack_result(out, fetched->reply->body);
        return 0;
    }
    if (fetched->plan->negative_ms == 0 || !is_declared(fetched->plan->method, &fetched->error))
        return r;
    r = pack_exception(out, &fetched->error, fetched->plan->negative_ms);
    fetched->thrown = true;
    return r;
}

static int call_directly(ferry_client *client, const CallSpec *spec, MemoAnswer *ret,
                         ferry_error *reterr) {
    ferry_reply *reply = NULL;
    int r = call_run(client, spec, &reply, reterr);

    if (r == 0)
        *ret = (MemoAnswer){reply, reply->body};
    return r;
}

/* -EAGAIN: neither a value that counts nor an answer of ours. */
static int fetch(Fetched *fetched, ferry_bytes key, uint32_t timeout_ms, MemoAnswer *ret,
                 ferry_error *reterr) {
    const MemoPlan *plan = fetched->plan;
    ferry_fetch_options options = {.ttl_ms = plan->ttl_ms,
                                   .stale_ms = plan->stale_ms,
                                   .wait_ms = timeout_ms / 2 < WAIT_MAX_MS ? timeout_ms / 2 + 1
                                                                           : WAIT_MAX_MS,
                                   .tags = plan->tags};
    ferry_cache *cache = fetched->client->cache;
    ferry_bytes *value = NULL;
    int r = ferry_cache_fetch(cache, key, &options, compute, fetched, &value, NULL);

    if (fetched->reply) {
        *ret = (MemoAnswer){fetched->reply, fetched->reply->body};
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
    r = read_stored(value, &ret->body, reterr);
    if (r == 0) {
        ret->block = value;
        return 0;
    }
    ferry_free(value);
    if (r == -EAGAIN)
        ferry_cache_delete(cache, key, NULL);
    return r;
}

int memo_run_call(ferry_client *client, const char *service, const ferry_method *method,
                  const void *args, CallSpec *spec, MemoAnswer *ret, ferry_error *reterr) {
    uint32_t timeout_ms;
    const MemoPlan *plan = prepare(client, service, method, args, spec, &timeout_ms);
    Buffer *key;
    int r = -EAGAIN;

    if (!plan)
        return call_directly(client, spec, ret, reterr);
    /* Nothing else uses the key or the arguments meanwhile: no callback runs in a blocking call. */
    key = &client->core->memo->key;
    for (int tries = 0; r == -EAGAIN && tries < 2; tries++) {
        Fetched fetched = {.client = client, .plan = plan, .spec = spec, .error = FERRY_ERROR_INIT};

        r = fetch(&fetched, ferry_bytes_of(key->data, key->len), timeout_ms, ret, reterr);
        if (fetched.ran)
            return r;
    }
    return r == -EAGAIN ? call_directly(client, spec, ret, reterr) : r;
}

/* ---- with a callback ---- */

static MemoCall *call_new(Memo *memo, ferry_client *client, Source *source, const MemoPlan *plan,
                          size_t service_len, const CallSpec *spec, ferry_bytes key) {
    MemoCall *call = malloc(sizeof(*call) + key.len + spec->args.len);

    if (!call)
        return NULL;
    *call = (MemoCall){.handle = client,
                       .source = source,
                       .plan = plan,
                       .fn = spec->fn,
                       .ctx = spec->ctx,
                       .end = spec->end,
                       .aux = spec->aux,
                       .flags = spec->flags,
                       .until_ms = spec->until_ms,
                       .timeout_ms = spec->timeout_ms,
                       .error = FERRY_ERROR_INIT,
                       .service_len = service_len,
                       .key_len = key.len,
                       .args_len = spec->args.len};
    memcpy(call->bytes, key.data, key.len);
    memcpy(call->bytes + key.len, spec->args.data, spec->args.len);
    call->next = memo->calls;
    call->link = &memo->calls;
    if (call->next)
        call->next->link = &call->next;
    memo->calls = call;
    return call;
}

/* Frees it when nothing refers to it any more. */
static void call_release(MemoCall *call) {
    if (call->asking || call->calling || call->due)
        return;
    *call->link = call->next;
    if (call->next)
        call->next->link = call->link;
    ferry_free(call->value);
    ferry_error_clear(&call->error);
    free(call->stamps);
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

static void was_stored(int status, void *ctx) {
    Source *source = ctx;

    (void)status;
    source->pending--;
}

static void store(MemoCall *call, const ferry_reply *reply, const ferry_error *error) {
    FERRY_AUTO(ferry_packer_close) ferry_packer *out = NULL;
    uint64_t took_us = clock_us() - call->began_us;
    CacheTimes times = {.ttl_ms = error ? call->plan->negative_ms : call->plan->ttl_ms,
                        .stale_ms = error ? 0 : call->plan->stale_ms,
                        .took_us = took_us < UINT32_MAX ? (uint32_t)took_us : UINT32_MAX};

    if (error ? times.ttl_ms == 0 || !is_declared(call->plan->method, error)
              : reply->body.len == 0 || reply->body.len >= FERRY_CACHE_VALUE_MAX)
        return;
    out = ferry_packer_new();
    if (!out)
        return;
    if (!error)
        pack_result(out, reply->body);
    else if (pack_exception(out, error, times.ttl_ms) < 0)
        return;
    if (ferry_packer_error(out) == 0 &&
        cache_try_set(call->source->lookups, ferry_bytes_of(call->bytes, call->key_len),
                      ferry_packer_bytes(out), &times, call->stamps, was_stored,
                      call->source) == -EINPROGRESS)
        call->source->pending++;
}

static void answered(Core *core, AnyFn fn, const void *aux, void *ctx, const ferry_reply *reply,
                     const ferry_error *error) {
    MemoCall *call = ctx;

    (void)fn, (void)aux;
    call->calling = false;
    if (call->storing)
        store(call, reply, error);
    if (call->fn)
        call->end(core, call->fn, call->aux, call->ctx, reply, error);
    call_release(call);
}

static int ask_server(MemoCall *call) {
    const ferry_method *method = call->plan->method;
    CallSpec spec = {.service = span_of(call->bytes, call->service_len),
                     .method = span_text(method->name),
                     .flags = call->flags,
                     .timeout_ms = call->timeout_ms,
                     .until_ms = call->until_ms,
                     .args = ferry_bytes_of(call->bytes + call->key_len, call->args_len),
                     .fn = (AnyFn)answered, /* not called: end is */
                     .ctx = call,
                     .end = answered};
    int r;

    call->began_us = clock_us();
    call->calling = true;
    r = call_start(call->handle, &spec, &call->error);
    if (r < 0)
        call->calling = false;
    return r;
}

/* The same, where a failure can only be told to the callback. */
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
    call->source->pending--;
    call->storing = status == 0;
    if (call->due || call->over)
        call_release(call);
    else
        ask_server_later(call);
}

/* True: the stamps of the tags are there, or not wanted: the server can be asked. */
static bool stamp(MemoCall *call) {
    const MemoPlan *plan = call->plan;
    int r;

    call->storing = true;
    if (!plan->tags || !*plan->tags)
        return true;
    call->stamps = malloc(sizeof(*call->stamps));
    r = call->stamps
            ? cache_try_stamp(call->source->lookups, plan->tags, plan->ttl_ms + plan->stale_ms,
                              call->stamps, got_stamps, call)
            : -ENOMEM;
    call->storing = r == 0;
    if (r != -EINPROGRESS)
        return true;
    call->source->pending++;
    call->asking = true;
    return false;
}

/* A stale value was served: the server is asked behind the program's back, once for each key. */
static void renew(Core *core, MemoCall *stale) {
    Memo *memo = core->memo;
    ferry_bytes key = ferry_bytes_of(stale->bytes, stale->key_len);
    CallSpec spec = {.flags = stale->flags,
                     .timeout_ms = stale->timeout_ms,
                     .args = ferry_bytes_of(stale->bytes + stale->key_len, stale->args_len)};
    MemoCall *call;

    for (call = memo->calls; call; call = call->next)
        if (!call->fn && call->handle == stale->handle && call->key_len == key.len &&
            memcmp(call->bytes, key.data, key.len) == 0)
            return;
    call =
        call_new(memo, stale->handle, stale->source, stale->plan, stale->service_len, &spec, key);
    if (call && stamp(call))
        ask_server_later(call);
}

/* What the cache had. True: call has its answer. */
static bool take(Core *core, MemoCall *call, LookState state, ferry_bytes *value) {
    ferry_bytes body;
    int r = -EAGAIN;

    if (state == LOOK_FRESH || state == LOOK_STALE)
        r = read_stored(value, &body, &call->error);
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
    call->source->pending--;
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

int memo_start_call(ferry_client *client, const char *service, const ferry_method *method,
                    const void *args, CallSpec *spec) {
    uint32_t timeout_ms;
    const MemoPlan *plan = prepare(client, service, method, args, spec, &timeout_ms);
    Core *core = client->core;
    Memo *memo = core->memo;
    Source *source = plan ? source_of(memo, client->cache) : NULL;
    ferry_bytes *value = NULL;
    LookState state = LOOK_ABSENT;
    MemoCall *call;
    int r;

    if (!source)
        return call_start(client, spec, NULL);
    call = call_new(memo, client, source, plan, strlen(service), spec,
                    ferry_bytes_of(memo->key.data, memo->key.len));
    if (!call)
        return -ENOMEM;
    r = cache_try_get(source->lookups, ferry_bytes_of(call->bytes, call->key_len), &state, &value,
                      got_value, call);
    if (r == -EINPROGRESS) {
        call->asking = true;
        source->pending++;
        core_sent(core);
        return 0;
    }
    if (r == 0 && take(core, call, state, value))
        return 0;
    if (r == 0 && state != LOOK_FAILED && !stamp(call))
        return 0;
    r = ask_server(call);
    if (r < 0)
        call_release(call);
    return r;
}

/* ---- turns ---- */

bool memo_due(const Core *core) {
    return core->memo && core->memo->due;
}

static void run_due(Core *core, MemoCall *call) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_reply reply = {0};

    call->due = false;
    call->over = true;
    if (call->value)
        read_stored(call->value, &reply.body, &error);
    if (call->fn)
        call->end(core, call->fn, call->aux, call->ctx, call->value ? &reply : NULL,
                  call->value ? NULL : &call->error);
    call_release(call);
}

bool memo_run(Core *core) {
    Memo *memo = core->memo;
    bool busy = false;

    if (!memo)
        return false;
    for (Source *source = memo->sources; source; source = source->next)
        if (source->pending > 0)
            cache_lookups_process(source->lookups);
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

void memo_cancel(ferry_client *client) {
    Memo *memo = client->core->memo;
    MemoCall *next;

    for (MemoCall *call = memo ? memo->calls : NULL; call; call = next) {
        next = call->next;
        if (call->handle != client || !call->asking || call->due || call->over)
            continue;
        error_set(&call->error, "ferry.Cancelled",
                  "the handle that it was started through was closed");
        make_due(client->core, call);
    }
}

void memo_free(Core *core) {
    Memo *memo = core->memo;
    Source *source;
    MemoPlan *plan;

    if (!memo)
        return;
    while ((source = memo->sources)) {
        memo->sources = source->next;
        cache_lookups_close(source->lookups);
        free(source);
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
