/* SPDX-License-Identifier: Apache-2.0 */

/* Opens and closes clients, and handles with other defaults. */

#include "clients/c/core/client.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "base/buffer.h"
#include "base/text.h"
#include "clients/c/core/loop.h"
#include "clients/c/core/names.h"
#include "clients/c/core/ping.h"
#include "clients/c/core/session.h"

enum { CLIENT_NAME_MAX = 63 };

#define DEFAULT_URL "tcp://127.0.0.1:5877"

/* ---- handles ---- */

static void attach(ferry_client *handle, Core *core) {
    handle->core = core;
    DL_PREPEND(core->main.next, handle);
    core_ref(core);
}

static void detach(ferry_client *handle) {
    DL_DELETE(handle->core->main.next, handle);
}

/* Adds a placeholder if the headers have no traceparent; each message then gets a new value. */
static int add_trace(Buffer *headers, Core *core) {
    CLEANUP(buffer_deinit) Buffer without = *headers;

    *headers = (Buffer){0};
    return trace_headers_write(headers, span_of(without.data, without.len), true, &core->trace_ids);
}

/* Returns the traceparent that gets a new value for each message: the one that this handle or its
 * parent added. NULL: neither added one. */
static char *find_made_up(const ferry_client *handle, const ferry_client *parent, bool added) {
    Span value = header_find(handle->headers, "traceparent");

    if (!added && !(parent && parent->traceparent && value.len == TRACEPARENT_LEN &&
                    memcmp(parent->traceparent, value.data, TRACEPARENT_LEN) == 0))
        return NULL;
    return (char *)(uintptr_t)value.data;
}

/* Applies the program's options, over the defaults of the parent handle. */
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
    if (r == 0)
        r = reserved_check(&(uint64_t){options->reserved32}, 1, reterr);
    if (r < 0)
        return r;
    if (options->prefer > FERRY_PREFER_ORDER)
        return error_set(reterr, "ferry.Misuse",
                         "prefer must be FERRY_PREFER_ANY, FERRY_PREFER_LOCAL or "
                         "FERRY_PREFER_ORDER");
    if (options->timeout_ms > TIMEOUT_MAX_MS)
        return error_set(reterr, "ferry.Misuse", "timeout_ms is %u: it must be 1 to %d",
                         options->timeout_ms, TIMEOUT_MAX_MS);
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
    handle->wait_for_server = options->wait_for_server || (parent && parent->wait_for_server);
    handle->wait_for_broker = options->wait_for_broker || (parent && parent->wait_for_broker);
    handle->direct = options->direct || (parent && parent->direct);
    handle->cache = options->cache ? options->cache : parent ? parent->cache : NULL;
    if (options->interceptor)
        handle->interceptor = *options->interceptor;
    else if (parent)
        handle->interceptor = parent->interceptor;
    handle->deadline_ms = parent ? parent->deadline_ms : UINT64_MAX;
    if (parent) {
        handle->request = parent->request;
        handle->parent = parent->parent;
        handle->parent_session = parent->parent_session;
        handle->cancelled = parent->cancelled;
    }
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

ferry_client *client_for_request(Core *core, Request *request, uint64_t id, Span headers,
                                 uint64_t deadline_ms) {
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
    handle->parent = id;
    handle->parent_session = core->session;
    handle->lent = true;
    handle->cache = core->main.cache;
    handle->direct = core->main.direct;
    handle->interceptor = core->main.interceptor;
    attach(handle, core);
    return handle;
}

static void cancel(ferry_client *handle) {
    const Core *core = handle->core;

    for (size_t i = 0; i < core->n_parts; i++)
        if (core->parts[i]->cancel)
            core->parts[i]->cancel(handle);
}

void client_drop(ferry_client *client) {
    Core *core = client->core;

    cancel(client);
    for (size_t i = 0; i < core->n_parts; i++)
        if (core->parts[i]->drop)
            core->parts[i]->drop(client);
    /* Calls whose callbacks are due must not refer to the handle any more. */
    detach(client);
    free(client->owned);
    free(client);
    core_unref(core);
}

/* ---- keys ---- */

static const char *setting(const char *option, const char *variable) {
    const char *value = option ? option : getenv(variable);

    return value && *value ? value : NULL;
}

/* Gives the link its keys, if the options or the environment have some. */
static int take_keys(Link *link, const ferry_options *options, ferry_error *reterr) {
    const char *own = options ? options->key_file : NULL;
    const char *server = options ? options->server_key : NULL;
    CLEANUP(key_pair_free) KeyPair *pair = NULL;
    uint8_t key[KEY_SIZE];
    int r;

    if (endpoint_list_is_local(link_brokers(link)) && (own || server))
        return error_set(reterr, "ferry.Misuse",
                         "keys are for tcp:// only: over ipc:// the broker knows the user of this "
                         "process");
    own = setting(own, "FERRY_KEY");
    server = setting(server, "FERRY_SERVER_KEY");
    if (endpoint_list_is_local(link_brokers(link)) || (!own && !server))
        return 0;
    if (!own)
        return error_set(reterr, "ferry.Misuse",
                         "there is a server key, but no key of the client: set key_file, --key or "
                         "$FERRY_KEY");
    if (!server)
        return error_set(reterr, "ferry.Misuse",
                         "there is a key of the client, but no server key: set server_key, "
                         "--server-key or $FERRY_SERVER_KEY");
    if (key_parse(server, key) < 0)
        return error_set(
            reterr, "ferry.Misuse",
            "the server key is not 64 hexadecimal digits: 'ferry key show FILE' prints "
            "them on the broker's machine");
    r = key_file_read(own, &pair, reterr);
    if (r == 0)
        link_set_keys(link, steal(&pair), key);
    return r;
}

/* ---- the connection ---- */

static void core_free(Core *core) {
    while (core->n_parts > 0) {
        const Part *part = core->parts[--core->n_parts];

        if (part->free)
            part->free(core);
    }
    loop_deinit(core);
    session_deinit(core);
    events_deinit(core);
    slabs_deinit(&core->slabs);
    names_free(core->names);
    buffer_deinit(&core->scratch);
    ferry_free(core->spare);
    id_map_deinit(&core->awaits);
    free(core->main.owned);
    free(core);
}

static void shut_if_closed(Core *core);

static int fill_core(Core *core) {
    core->owners = 1;
    core_watch_forks(core);
    core->free = core_free;
    core->shut = shut_if_closed;
    core->main.core = core;
    core->own_next_id = 1;
    core->next_id = core->leader ? core->leader->next_id : &core->own_next_id;
    slabs_init(&core->slabs, &core->slab_bytes);
    core->down_since_ms = clock_ms();
    timers_init(&core->timers, clock_ms());
    core->names = names_new();
    return core->names ? loop_init(core) : -ENOMEM;
}

/* Adds the parts to the core. The core frees every part whose init() was called, even after a
 * failure. */
static int add_parts(Core *core, const Part *const *parts, size_t n_parts) {
    for (size_t i = 0; i < n_parts; i++) {
        const struct Receiver *receiver = parts[i]->receivers;
        int r;

        core->parts[core->n_parts++] = parts[i];
        for (; receiver && receiver->op > 0; receiver++)
            core->receivers[receiver->op] = receiver;
        r = parts[i]->init ? parts[i]->init(core) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

static int open_parts(Core *core, const ferry_options *options) {
    int r = 0;

    for (size_t i = 0; i < core->n_parts && r == 0; i++)
        if (core->parts[i]->open)
            r = core->parts[i]->open(core, options);
    return r;
}

/* Opens the client of a core that has its parts. */
static int begin(Core *core, const char *url, const char *name, const ferry_options *options,
                 ferry_error *reterr) {
    LinkHandlers handlers = session_handlers;
    int r = take_options(&core->main, NULL, options, reterr);

    if (r < 0)
        return r;
    core->events.fn = options ? options->on_event : NULL;
    core->events.ctx = options ? options->ctx : NULL;
    handlers.ctx = core;
    r = link_new(&core->link, url, name, &handlers, reterr);
    if (r == 0 && options)
        link_prefer(core->link, (EndpointPrefer)options->prefer);
    if (r == 0)
        r = take_keys(core->link, options, reterr);
    if (r == 0 && open_parts(core, options) < 0)
        r = error_set_code(reterr, -ENOMEM, NULL);
    if (r < 0)
        core->link = link_free(core->link);
    return r;
}

int client_open(Core *core, const Part *const *parts, size_t n_parts, const char *url,
                const ferry_options *options, ferry_client **ret, ferry_error *reterr) {
    char made_up[CLIENT_NAME_MAX + 1];
    const char *name = options ? options->name : NULL;
    int r;

    if (!url)
        url = getenv("FERRY_URL");
    if (!url || !*url)
        url = DEFAULT_URL;
    if (!name) {
        snprintf(made_up, sizeof(made_up), "%.40s/%d", program_invocation_short_name, getpid());
        name = made_up;
    }
    core->wakeup.event_fd = core->wakeup.timer_fd = core->wakeup.wait_fd = core->wakeup.members_fd =
        core->others.fd = -1;
    r = fill_core(core);
    if (r == 0)
        r = add_parts(core, parts, n_parts);
    if (r < 0)
        r = error_set_code(reterr, r, NULL);
    else if (!ret)
        r = error_set(reterr, "ferry.Misuse", "ret is NULL");
    else if (strlen(name) > CLIENT_NAME_MAX || !text_is_utf8(name, strlen(name)))
        r = error_set(reterr, "ferry.Misuse",
                      "options.name is longer than 63 bytes, or is not UTF-8");
    else
        r = begin(core, url, name, options, reterr);
    if (r < 0) {
        core_unref(core);
        return r;
    }
    /* Start the connection now, not at the first call. */
    core->waits++;
    link_process(core->link, 1, clock_ms());
    core->waits--;
    *ret = &core->main;
    return 0;
}

static bool has_left(const Core *core) {
    return !core->unsent.first && link_waiting(core->link) == 0 && !core_is_unconfirmed(core);
}

/* Waits up to CLOSE_WAIT_MS until the broker has every message that the library accepted for it. */
static void await_leaving(Core *core) {
    static const bool never;
    uint64_t until_ms = core->close_by_ms, now_ms;

    if (core->is_up)
        link_flush(core->link);
    while (!has_left(core) && (core->is_up || link_state(core->link) == LINK_CONNECTING) &&
           (now_ms = clock_ms()) < until_ms)
        core_wait(core, &never, now_ms + 1);
    /* libzmq may hold publishes that left the outbox: the answer to a ping follows them. */
    if (core->is_up && core->unconfirmed.has_published)
        core_ping(core, until_ms, CLOSE_WAIT_MS, NULL);
}

/* Ends the connection. Called once, when no callback runs. */
static void shut(Core *core) {
    core_ref(core);
    /* A leader and its members wait together. */
    core->close_by_ms = core->leader && core->leader->close_by_ms > 0 ? core->leader->close_by_ms
                                                                      : clock_ms() + CLOSE_WAIT_MS;
    for (ferry_client *handle = &core->main; handle; handle = handle->next)
        cancel(handle);
    for (size_t i = 0; i < core->n_parts; i++)
        if (core->parts[i]->stop)
            core->parts[i]->stop(core);
    await_leaving(core);
    core->link = link_free(core->link);
    core->is_up = false;
    for (size_t i = 0; i < core->n_parts; i++)
        if (core->parts[i]->shut)
            core->parts[i]->shut(core);

    /* Run all due callbacks. They cannot start anything, because the client is closed. */
    core->turns++;
    core_run_due(core);
    core->turns--;
    core_unref(core);
    core_unref(core);
}

static void shut_if_closed(Core *core) {
    if (core->closed && core->link)
        shut(core);
}

ferry_client *ferry_close(ferry_client *client) {
    Core *core;

    if (!client || client->closed)
        return NULL;
    core = client->core;
    /* In a child process the sockets belong to the parent. The child must not touch them, so it
     * frees nothing. */
    if (core_is_of_parent(core))
        return NULL;
    if (client != &core->main) {
        /* The handle of a request is borrowed: the program cannot close it. */
        if (client->lent)
            return NULL;
        core_ref(core);
        client_drop(client);
        if (core->turns == 0 && core->waits == 0 && core->link) {
            core_enter(core);
            core_run_due(core);
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

int ferry_broker_id(ferry_client *client, uint8_t ret_id[FERRY_BROKER_ID]) {
    int r = client_check(client, NULL);

    if (r == 0 && !client->core->is_up)
        r = -ENOTCONN;
    if (r == 0)
        memcpy(ret_id, client->core->broker, FERRY_BROKER_ID);
    return r;
}
