/* Clients: opened, given other defaults, closed. */

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/text.h"
#include "clients/c/calls/call.h"
#include "clients/c/calls/retry.h"
#include "clients/c/core/names.h"
#include "clients/c/core/registration.h"
#include "clients/c/core/slab.h"
#include "clients/c/memo/memo.h"
#include "clients/c/queues/push-log.h"
#include "clients/c/queues/work.h"
#include "clients/c/serving/request.h"

enum { CLIENT_NAME_MAX = 63 };

#define DEFAULT_URL "tcp://127.0.0.1:5877"

/* How often this process is the child of a fork(): a client belongs to the process, and to its
 * libzmq threads, that opened it. getpid() for each call would be a system call for each. */
static unsigned forks;

static void count_fork(void) {
    forks++;
}

static void watch_forks(void) {
    pthread_atfork(NULL, NULL, count_fork);
}

bool core_is_of_parent(const Core *core) {
    return core->forks != forks;
}

int client_check(const ferry_client *client, ferry_error *reterr) {
    if (__builtin_expect(!client, 0))
        return error_set(reterr, "ferry.Misuse", "the client is NULL");
    if (__builtin_expect(core_is_of_parent(client->core), 0))
        return error_set(reterr, "ferry.Forked",
                         "the client was opened before fork(): open one in the child");
    if (__builtin_expect(client->closed || client->core->closed, 0))
        return error_set(reterr, "ferry.Cancelled", "the client is closed");
    return 0;
}

uint32_t client_timeout(const ferry_client *client, uint32_t method_ms, uint64_t now_ms) {
    uint32_t timeout_ms = client->timeout_ms ? client->timeout_ms
                          : method_ms        ? method_ms
                                             : TIMEOUT_MS;

    if (client->deadline_ms == UINT64_MAX)
        return timeout_ms;
    if (client->deadline_ms <= now_ms)
        return 0;
    return client->deadline_ms - now_ms < timeout_ms ? (uint32_t)(client->deadline_ms - now_ms)
                                                     : timeout_ms;
}

/* ---- handles ---- */

static void attach(ferry_client *handle, Core *core) {
    handle->core = core;
    handle->next = core->main.next;
    handle->link = &core->main.next;
    if (handle->next)
        handle->next->link = &handle->next;
    core->main.next = handle;
    core_ref(core);
}

static void detach(ferry_client *handle) {
    *handle->link = handle->next;
    if (handle->next)
        handle->next->link = handle->link;
}

/* Adds a traceparent for each message to be given one of its own, where there is none. */
static int add_trace(Buffer *headers, Core *core) {
    CLEANUP(buffer_deinit) Buffer without = *headers;

    *headers = (Buffer){0};
    return trace_headers_write(headers, span_of(without.data, without.len), true, &core->trace_ids);
}

/* Is the one in its headers to be made anew? */
static char *find_made_up(const ferry_client *handle, const ferry_client *parent, bool added) {
    Span value = header_find(handle->headers, "traceparent");

    if (!added && !(parent && parent->traceparent && value.len == TRACEPARENT_LEN &&
                    memcmp(parent->traceparent, value.data, TRACEPARENT_LEN) == 0))
        return NULL;
    return (char *)(uintptr_t)value.data;
}

/* What the program may have said in the options, over what the parent handle says. */
static int take_options(ferry_client *handle, const ferry_client *parent,
                        const ferry_options *options, ferry_error *reterr) {
    static const ferry_options none;
    CLEANUP(buffer_deinit) Buffer headers = {0};
    size_t instance_len;
    Span instance = parent ? parent->instance : (Span){NULL, 0};
    bool adds_trace;
    int r;

    if (!options)
        options = &none;
    r = reserved_check(options->reserved, sizeof(options->reserved) / sizeof(uint64_t), reterr);
    if (r < 0)
        return r;
    if (options->timeout_ms > TIMEOUT_MAX_MS)
        return error_set(reterr, "ferry.Misuse", "timeout_ms is %u: 1 to %d", options->timeout_ms,
                         TIMEOUT_MAX_MS);
    if (options->instance) {
        instance = span_text(options->instance);
        if (!name_is_valid(instance.data, instance.len))
            return error_set(reterr, "ferry.Misuse", "the instance's name is not valid: %s",
                             name_problem(instance.data, instance.len));
    }
    instance_len = instance.len;
    r = headers_write(&headers, parent ? parent->headers : (Span){NULL, 0}, options->n_headers,
                      options->headers, reterr);
    if (r < 0)
        return r;
    handle->trace = options->trace || (parent && parent->trace);
    adds_trace =
        handle->trace && !header_find(span_of(headers.data, headers.len), "traceparent").data;
    if (adds_trace && add_trace(&headers, parent ? parent->core : handle->core) < 0)
        return error_set_code(reterr, -ENOMEM, NULL);

    handle->owned = malloc(instance_len + headers.len + 1);
    if (!handle->owned)
        return error_set_code(reterr, -ENOMEM, NULL);
    if (instance_len > 0)
        memcpy(handle->owned, instance.data, instance_len);
    if (headers.len > 0)
        memcpy(handle->owned + instance_len, headers.data, headers.len);
    handle->instance = span_of(handle->owned, instance_len);
    handle->headers = span_of(handle->owned + instance_len, headers.len);
    handle->traceparent = find_made_up(handle, parent, adds_trace);
    handle->timeout_ms = options->timeout_ms ? options->timeout_ms
                         : parent            ? parent->timeout_ms
                                             : 0;
    handle->idempotent = options->idempotent || (parent && parent->idempotent);
    handle->cache = options->cache ? options->cache : parent ? parent->cache : NULL;
    handle->deadline_ms = parent ? parent->deadline_ms : UINT64_MAX;
    handle->request = parent ? parent->request : NULL;
    return 0;
}

int ferry_with(ferry_client *client, const ferry_options *options, ferry_client **ret,
               ferry_error *reterr) {
    int r = client_check(client, reterr);
    ferry_client *handle;

    if (r < 0)
        return r;
    if (!ret)
        return error_set(reterr, "ferry.Misuse", "ret is NULL");
    handle = calloc(1, sizeof(*handle));
    if (!handle)
        return error_set_code(reterr, -ENOMEM, NULL);
    r = take_options(handle, client, options, reterr);
    if (r < 0) {
        free(handle);
        return r;
    }
    attach(handle, client->core);
    *ret = handle;
    return 0;
}

ferry_client *client_for_request(Core *core, Request *request, Span headers, uint64_t deadline_ms) {
    CLEANUP(buffer_deinit) Buffer next = {0};
    ferry_client *handle;

    if (trace_headers_write(&next, headers, core->main.trace, &core->trace_ids) < 0)
        return NULL;
    handle = calloc(1, sizeof(*handle));
    if (!handle)
        return NULL;
    handle->owned = (char *)next.data;
    handle->headers = span_of(next.data, next.len);
    next = (Buffer){0};
    handle->trace = core->main.trace;
    handle->deadline_ms = deadline_ms;
    handle->request = request;
    handle->cache = core->main.cache;
    attach(handle, core);
    return handle;
}

void client_drop(ferry_client *client) {
    Core *core = client->core;

    calls_cancel(client);
    memo_cancel(client);
    registrations_drop(client);
    /* The calls whose callbacks are still to be run refer to their handle no more. */
    detach(client);
    free(client->owned);
    free(client);
    core_unref(core);
}

/* ---- the connection ---- */

Core *core_ref(Core *core) {
    core->owners++;
    return core;
}

static void core_free(Core *core) {
    memo_free(core);
    loop_deinit(core);
    session_deinit(core);
    events_deinit(core);
    push_log_free(core->pushes);
    names_free(core->names);
    slab_free(core->calls);
    slab_free(core->requests);
    slab_free(core->jobs);
    buffer_deinit(&core->scratch);
    ferry_free(core->spare);
    id_map_deinit(&core->awaits);
    id_map_deinit(&core->subscriptions);
    id_map_deinit(&core->pulls);
    id_map_deinit(&core->requests_by_id);
    id_map_deinit(&core->cancelled);
    ferry_error_clear(&core->push_error);
    free(core->main.owned);
    free(core);
}

void core_unref(Core *core) {
    if (--core->owners == 0)
        core_free(core);
}

static int fill_core(Core *core) {
    core->owners = 1;
    core->forks = forks;
    core->main.core = core;
    core->next_id = 1;
    core->retry_budget = RETRY_BUDGET_MAX;
    core->down_since_ms = clock_ms();
    timers_init(&core->timers, clock_ms());
    core->calls = slab_new(sizeof(Call));
    core->requests = slab_new(sizeof(Request));
    core->jobs = slab_new(sizeof(Job));
    core->names = names_new();
    core->pushes = push_log_new();
    return core->calls && core->requests && core->jobs && core->names && core->pushes ? 0 : -ENOMEM;
}

int ferry_open(const char *url, const ferry_options *options, ferry_client **ret,
               ferry_error *reterr) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    char made_up[CLIENT_NAME_MAX + 1];
    const char *name = options ? options->name : NULL;
    LinkHandlers handlers = session_handlers;
    Core *core;
    int r;

    pthread_once(&once, watch_forks);
    if (!ret)
        return error_set(reterr, "ferry.Misuse", "ret is NULL");
    if (!url)
        url = getenv("FERRY_URL");
    if (!url || !*url)
        url = DEFAULT_URL;
    if (!name) {
        snprintf(made_up, sizeof(made_up), "%.40s/%d", program_invocation_short_name, getpid());
        name = made_up;
    }
    if (strlen(name) > CLIENT_NAME_MAX || !text_is_utf8(name, strlen(name)))
        return error_set(reterr, "ferry.Misuse",
                         "options.name is longer than 63 bytes, or no text");

    core = calloc(1, sizeof(*core));
    if (!core)
        return error_set_code(reterr, -ENOMEM, NULL);
    core->event_fd = core->timer_fd = -1;
    r = fill_core(core);
    if (r < 0)
        r = error_set_code(reterr, r, NULL);
    if (r == 0)
        r = take_options(&core->main, NULL, options, reterr);
    if (r == 0) {
        core->on_event = options ? options->on_event : NULL;
        core->event_ctx = options ? options->ctx : NULL;
        handlers.ctx = core;
        r = link_new(&core->link, url, name, &handlers, reterr);
    }
    if (r == 0) {
        r = loop_init(core);
        if (r < 0)
            error_set_code(reterr, r, NULL);
    }
    if (r < 0) {
        core_unref(core);
        return r;
    }
    /* Connecting begins now, not with the first call. */
    core->waits++;
    link_process(core->link, 1, clock_ms());
    core->waits--;
    *ret = &core->main;
    return 0;
}

/* What waits to be sent gets a moment to leave; for a connection, if need be. */
static void await_leaving(Core *core) {
    static const bool never;
    uint64_t until_ms = clock_ms() + CLOSE_WAIT_MS, now_ms;

    if (core->is_up)
        link_flush(core->link);
    while ((core->is_up ? core->owed || link_waiting(core->link) > 0
                        : core->early && link_state(core->link) == LINK_CONNECTING) &&
           (now_ms = clock_ms()) < until_ms)
        core_wait(core, &never, now_ms + 1);
}

/* The end of the connection: once, when no callback runs. */
static void shut(Core *core) {
    core_ref(core);
    for (ferry_client *handle = &core->main; handle; handle = handle->next) {
        calls_cancel(handle);
        memo_cancel(handle);
    }
    registrations_shut(core);
    jobs_shut(core);
    requests_shut(core);
    await_leaving(core);
    pushes_shut(core);
    core->link = link_free(core->link);
    core->is_up = false;
    memo_serve_shut(core);

    /* Callbacks may still start nothing, for the client is closed, but all of them are run. */
    core->turns++;
    calls_run_ended(core);
    memo_run(core);
    pushes_run_ended(core);
    core->turns--;
    core_unref(core);
    core_unref(core);
}

void client_shut_if_closed(Core *core) {
    if (core->closed && core->link)
        shut(core);
}

ferry_client *ferry_close(ferry_client *client) {
    Core *core;

    if (!client || client->closed)
        return NULL;
    core = client->core;
    /* The sockets are the parent's: nothing here may touch them, so nothing is freed either. */
    if (core->forks != forks)
        return NULL;
    if (client != &core->main) {
        /* A request's own handle is only lent. */
        if (client->request && request_handle(client->request) == client)
            return NULL;
        core_ref(core);
        client_drop(client);
        if (core->turns == 0 && core->waits == 0 && core->link) {
            core_enter(core);
            calls_run_ended(core);
            memo_run(core);
            core_leave(core);
        }
        core_unref(core);
        return NULL;
    }
    client->closed = true;
    core->closed = true;
    if (core->turns == 0 && core->waits == 0)
        shut(core);
    return NULL;
}
