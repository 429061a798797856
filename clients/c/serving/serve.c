/* SPDX-License-Identifier: Apache-2.0 */

/* Services, and dispatch of a CALL to its handler. See serve.h. */

#include "clients/c/serving/serve.h"

#include <stdlib.h>

#include "base/hash.h"
#include "clients/c/brokers/brokers.h"
#include "clients/c/core/intercept.h"
#include "clients/c/core/loop.h"
#include "clients/c/core/names.h"
#include "clients/c/core/route.h"
#include "clients/c/core/session.h"
#include "clients/c/resend/registration.h"
#include "clients/c/serving/request.h"

enum {
    SLOTS_MAX = 65536,
    LONG_MS = 20, /* a handler that runs this long has delayed other requests */
};

typedef struct ServedService {
    Registration registration;
    size_t name_len, n_methods, last; /* last: index of the method that was called last */
    ServedMethod *methods;
    uint32_t slots;
    bool redact_errors, not_ready;
    ferry_interceptor interceptor;
    ferry_bytes description; /* owned */
    const char *endpoint;    /* of direct calls; NULL: they go through the broker */
    UT_hash_handle hh;       /* in core->serving->services */
    char name[NAME_MAX_LEN + 1];
    char instance[NAME_MAX_LEN + 1];
} ServedService;

static int announce(Core *core, Registration *registration, uint64_t id) {
    ServedService *service = (ServedService *)registration;
    Message message = {.op = OP_SERVE,
                       .id = id,
                       .name = span_of(service->name, service->name_len),
                       .serve.slots = service->slots,
                       .serve.instance = span_text(service->instance),
                       .serve.flags = service->not_ready ? SERVE_NOT_READY : 0};

    if (service->endpoint) {
        message.serve.endpoint = span_text(service->endpoint);
        message.serve.key = core->direct_ops->key(core);
    }

    if (service->description.len > 0)
        message.body = span_of(service->description.data, service->description.len);
    return link_put(core->link, LANE_CALLS, &message, service->description.block);
}

static int withdraw(Core *core, Registration *registration, uint64_t id) {
    ServedService *service = (ServedService *)registration;

    if (service->endpoint)
        core->direct_ops->withdraw(core, span_of(service->name, service->name_len));
    return link_put(
        core->link, LANE_CALLS,
        &(Message){.op = OP_UNSERVE, .id = id, .name = span_of(service->name, service->name_len)},
        NULL);
}

static void service_dropped(Core *core, Registration *registration) {
    ServedService *service = (ServedService *)registration;

    HASH_DEL(core->serving->services, service);
    if (core->serving->last_service == service)
        core->serving->last_service = NULL;
}

static void service_free(Core *core, Registration *registration) {
    ServedService *service = (ServedService *)registration;

    (void)core;
    for (size_t i = 0; i < service->n_methods; i++)
        free(service->methods[i].full);
    free(service->methods);
    ferry_free(service->description.block);
    free(service);
}

static int service_copy(const Registration *from, ferry_client *member, Registration **ret) {
    const ServedService *service = (const ServedService *)from;
    const ServeSpec spec = {.service = service->name,
                            .n_methods = service->n_methods,
                            .methods = service->methods,
                            .description = service->description};
    const ferry_serve_options options = {.instance = *service->instance ? service->instance : NULL,
                                         .slots = service->slots,
                                         .not_ready = service->not_ready,
                                         .redact_errors = service->redact_errors,
                                         .interceptor = &service->interceptor,
                                         .listen = service->endpoint};

    return service_serve(member, &spec, &options, ret, NULL);
}

static const RegistrationKind service_kind = {.announce = announce,
                                              .withdraw = withdraw,
                                              .dropped = service_dropped,
                                              .free = service_free,
                                              .copy = service_copy,
                                              .stops = true};

/* ---- finding ---- */

static ServedService *find_service(Core *core, Span name) {
    ServedService *service = core->serving->last_service;

    if (service && service->name_len == name.len && memcmp(service->name, name.data, name.len) == 0)
        return service;
    HASH_FIND(hh, core->serving->services, name.data, name.len, service);
    if (service)
        core->serving->last_service = service;
    return service;
}

static bool is_named(const ServedMethod *method, Span name) {
    return method->name_len == name.len && memcmp(method->name, name.data, name.len) == 0;
}

static ServedMethod *find_method(ServedService *service, Span name) {
    if (service->last < service->n_methods && is_named(&service->methods[service->last], name))
        return &service->methods[service->last];
    for (size_t i = 0; i < service->n_methods; i++)
        if (is_named(&service->methods[i], name)) {
            service->last = i;
            return &service->methods[i];
        }
    return NULL;
}

/* ---- calls ---- */

/* True: the call was cancelled or has expired. After a long handler this function reads the socket
 * first, because the broker's CANCEL messages arrive behind the calls. */
static bool is_cancelled(Core *core, uint64_t id) {
    if (core->ran_long) {
        core->ran_long = false;
        core_poll(core);
        core->now_ms = clock_ms();
    }
    return core->deferred.cancelled.n > 0 && id_map_take(&core->deferred.cancelled, id);
}

/* Runs the interceptor's `before`. True: the handler may begin. */
static bool intercept(ServedService *service, const ServedMethod *method, Request *request) {
    ferry_request *public_request = &request->request;
    int r;

    if (!interceptor_is_set(&service->interceptor) || request->intercepted)
        return true;
    r = intercept_begin(&request->intercepted, &service->interceptor,
                        span_of(service->name, service->name_len),
                        span_of(method->name, method->name_len), public_request, request->headers);
    if (r < 0 && !request->answered)
        ferry_request_fail_at(NULL, 0, NULL, public_request, r, NULL);
    return !request->answered;
}

static void run(ServedService *service, const ServedMethod *method, InvokeFn invoke,
                Request *request) {
    Core *core = request->core;
    int r;

    request->redact_errors = service->redact_errors;
    core->serving->current = request;
    if (request->flow && core->deferred.records.first && request_is_live(request))
        deferred_claim(core, request->id, request_message, request);
    registration_enter(&service->registration);
    r = intercept(service, method, request) ? invoke(&request->request, method) : 0;
    core->serving->current = NULL;
    core->ran_long = clock_about_ms() > core->now_ms + LONG_MS;
    request_handled(request, method, r);
    registration_leave(core, &service->registration);
}

/* True: deferred requests fill all slots of the service. */
static bool is_full(const Core *core, const ServedService *service) {
    uint32_t n = 0;

    if (core->n_requests < service->slots)
        return false;
    for (const Request *request = core->serving->deferred; request; request = request->next) {
        const char *full = request->request.method;

        n += request_is_live(request) && strncmp(full, service->name, service->name_len) == 0 &&
             strrchr(full, '.') == full + service->name_len;
    }
    return n >= service->slots;
}

static void serve_call(Core *core, const Message *message, const void *block, bool later) {
    ServedService *service = find_service(core, message->name);
    ServedMethod *method = service ? find_method(service, message->call.method) : NULL;
    uint64_t session = core->session;
    Request *request;

    if (later) {
        deferred_put(core, message, block);
        return;
    }
    if (is_cancelled(core, message->id)) {
        request_refuse(core, message->id, "ferry.Cancelled",
                       "the call was cancelled before its handler began");
        return;
    }
    if (!(message->id & DIRECT_ID) && (core->session != session || !core->is_up))
        return; /* the request ended with its session */
    /* `ferry ping SERVICE` measures the way to a server and back. */
    if (!method && service && span_is(message->call.method, "ferry_ping")) {
        core_send(core, message->id & STREAM_ID ? LANE_BULK : LANE_CALLS,
                  &(Message){.op = OP_OK, .id = message->id}, NULL);
        return;
    }
    if (!method) {
        request_refuse(core, message->id, service ? "ferry.NoSuchMethod" : "ferry.NoSuchService",
                       "%.*s has no method '%.*s'", (int)message->name.len,
                       (const char *)message->name.data, (int)message->call.method.len,
                       (const char *)message->call.method.data);
        return;
    }
    /* The broker sends quick servers more calls than they have slots. If this server's handlers
     * defer, the extra calls would wait here while another server is idle: return them. */
    if (!(message->id & STREAM_ID) && is_full(core, service)) {
        core_send(core, LANE_CALLS, &(Message){.op = OP_RETURN, .id = message->id}, NULL);
        return;
    }
    request = request_new(core, method, message, block);
    if (!request) {
        request_refuse(core, message->id, "ferry.OutOfMemory", "the server is out of memory");
        return;
    }
    run(service, method, method->invoke, request);
}

/* Looks up the method again: the service may have been withdrawn, or its table moved, since the
 * request was deferred. */
void serve_resume(Request *request) {
    const char *full = request->request.method, *dot = strrchr(full, '.');
    ServedService *service = find_service(request->core, span_of(full, (size_t)(dot - full)));
    ServedMethod *method = service ? find_method(service, span_text(dot + 1)) : NULL;
    const char *problem = request->cancelled                ? "ferry.Cancelled"
                          : !method                         ? "ferry.NoSuchService"
                          : method->typed != request->typed ? "ferry.NoSuchMethod"
                                                            : NULL;

    if (problem) {
        request_reject(request, problem,
                       "the call was cancelled, or its service changed, before the handler began");
        return;
    }
    request->in_handler = request->resumed = true;
    run(service, method, invoke_unpacked, request);
}

/* ---- serving ---- */

static int check(const ServeSpec *spec, const ferry_serve_options *options, ferry_error *reterr) {
    int r;

    if (!spec->service || !name_is_valid(spec->service, strnlen(spec->service, NAME_MAX_LEN + 1)))
        return error_set(reterr, "ferry.Misuse", "the service's name is not valid");
    if (!options)
        return 0;
    r = reserved_check(options->reserved, sizeof(options->reserved) / sizeof(uint64_t), reterr);
    if (r < 0)
        return r;
    if (options->slots > SLOTS_MAX)
        return error_set(reterr, "ferry.Misuse", "slots is more than the limit of 65 536");
    if (options->instance && !name_is_valid(options->instance, strnlen(options->instance, 256)))
        return error_set(reterr, "ferry.Misuse", "the instance's name is not valid");
    return 0;
}

/* Adds a method; if the name exists, replaces its handler. */
static int add_method(ServedService *service, const ServedMethod *added) {
    ServedMethod *method = find_method(service, span_of(added->name, added->name_len));
    char *full;

    if (!method) {
        ServedMethod *bigger =
            realloc(service->methods, (service->n_methods + 1) * sizeof(*service->methods));

        if (!bigger)
            return -ENOMEM;
        service->methods = bigger;
        full = malloc(service->name_len + added->name_len + 2);
        if (!full)
            return -ENOMEM;
        memcpy(full, service->name, service->name_len);
        full[service->name_len] = '.';
        memcpy(full + service->name_len + 1, added->name, added->name_len);
        full[service->name_len + 1 + added->name_len] = '\0';
        method = &service->methods[service->n_methods++];
    } else {
        full = method->full;
    }
    *method = *added;
    method->full = full;
    method->name = full + service->name_len + 1;
    return 0;
}

static int fill(ServedService *service, const ferry_client *client, const ServeSpec *spec,
                const ferry_serve_options *options) {
    const ServeMemo *memo = client->core->serve_memo;
    ferry_bytes description = {NULL, 0, NULL};
    int r = 0;

    for (size_t i = 0; i < spec->n_methods && r == 0; i++) {
        ServedMethod method = spec->methods[i];

        method.cache = memo && memo->applies(client, method.typed) ? client->cache : NULL;
        r = add_method(service, &method);
    }
    if (r == 0 && spec->description.len > 0)
        r = block_hold(spec->description, &description);
    if (r < 0)
        return r;
    if (description.len > 0) {
        ferry_free(service->description.block);
        service->description = description;
    }
    if (options && options->slots > service->slots)
        service->slots = options->slots;
    if (options && options->not_ready)
        service->not_ready = true;
    if (options && options->redact_errors)
        service->redact_errors = true;
    if (options && options->interceptor)
        service->interceptor = *options->interceptor;
    if (options && options->instance)
        strcpy(service->instance, options->instance);
    return 0;
}

/* The service takes calls at this endpoint, too. */
static int listen_on(ServedService *service, Core *core, const ferry_serve_options *options,
                     ferry_error *reterr) {
    if (!options || !options->listen)
        return 0;
    return core->direct_ops->listen(core, options->listen, &service->endpoint, reterr);
}

typedef struct Serve {
    const ServeSpec *spec;
    const ferry_serve_options *options;
} Serve;

static int serve_at_one(ferry_client *member, const void *args, ferry_registration **ret,
                        ferry_error *reterr) {
    const Serve *serve = args;

    return service_serve(member, serve->spec, serve->options, ret, reterr);
}

int service_serve(ferry_client *client, const ServeSpec *spec, const ferry_serve_options *options,
                  ferry_registration **ret, ferry_error *reterr) {
    int r = client_check(client, reterr);
    ServedService *service;

    if (r == 0)
        r = check(spec, options, reterr);
    if (r < 0)
        return r;
    if (brokers_are_several(client))
        return fan_out(client, serve_at_one, &(Serve){spec, options}, ret, reterr);
    service = find_service(client->core, span_text(spec->service));
    if (service) {
        /* The table must not move while a handler from it runs. */
        if (service->registration.busy > 0)
            return error_set(
                reterr, "ferry.Misuse",
                "a handler of this service is running: add methods outside of handlers");
        r = fill(service, client, spec, options);
        r = r < 0 ? error_set_code(reterr, r, NULL)
                  : listen_on(service, client->core, options, reterr);
        if (r == 0)
            r = registration_change(&service->registration, reterr);
        if (r == 0 && ret)
            *ret = &service->registration;
        return r;
    }
    service = calloc(1, sizeof(*service));
    if (!service)
        return error_set_code(reterr, -ENOMEM, NULL);
    strcpy(service->name, spec->service);
    service->name_len = strlen(spec->service);
    service->slots = 1;
    r = fill(service, client, spec, options);
    r = r < 0 ? error_set_code(reterr, r, NULL) : listen_on(service, client->core, options, reterr);
    if (r == 0)
        HASH_ADD_KEYPTR(hh, client->core->serving->services, service->name, service->name_len,
                        service);
    if (r == 0)
        r = hash_added(service)
                ? registration_add(client, &service->registration, &service_kind, reterr)
                : error_set_code(reterr, -ENOMEM, NULL);
    if (r < 0)
        service_free(client->core, &service->registration);
    else if (ret)
        *ret = &service->registration;
    return r;
}

static int ready_at_one(ferry_registration *one, const void *args, ferry_error *reterr) {
    const bool *is_ready = args;

    /* Nothing changes, so the broker is not asked. */
    if (one->kind == &service_kind && ((ServedService *)one)->not_ready == !*is_ready)
        one->handle->core->outcome->done = true;
    return ferry_service_ready(one, *is_ready, reterr);
}

int ferry_service_ready(ferry_registration *registration, bool is_ready, ferry_error *reterr) {
    ServedService *service = (ServedService *)registration;

    if (registration && is_front(registration))
        return fan_change(registration, ready_at_one, &is_ready, reterr);
    if (!registration || registration->kind != &service_kind)
        return error_set(reterr, "ferry.Misuse", "the registration does not belong to a service");
    if (service->not_ready == !is_ready)
        return 0;
    service->not_ready = !is_ready;
    return registration_change(registration, reterr);
}

/* ---- methods whose handlers get the body as bytes ---- */

static int invoke_fn(ferry_request *request, const ServedMethod *method) {
    return method->fn(request, method->ctx);
}

int ferry_serve_method(ferry_client *client, const char *method, const ferry_serve_options *options,
                       int (*fn)(ferry_request *request, void *ctx), void *ctx,
                       ferry_registration **ret, ferry_error *reterr) {
    int r = client_check(client, reterr);
    char service[NAME_MAX_LEN + 1];
    ServedMethod served = {.invoke = invoke_fn, .fn = fn, .ctx = ctx};
    const CachedName *name;

    if (r < 0)
        return r;
    if (!fn)
        return error_set(reterr, "ferry.Misuse", "the handler is NULL");
    name = names_find_method(client->core->names, method, reterr);
    if (!name)
        return -EINVAL;
    memcpy(service, name->text, name->dot);
    service[name->dot] = '\0';
    served.name = (const char *)name_method(name).data;
    served.name_len = name_method(name).len;
    return service_serve(client,
                         &(ServeSpec){.service = service, .n_methods = 1, .methods = &served},
                         options, ret, reterr);
}

/* ---- messages from the core ---- */

static void to_request(Core *core, const Message *message, const void *block, bool later) {
    Request *request = request_find(core, message->id);

    if (request)
        request_message(core, request, message, block);
    else if (!later)
        return; /* answered already */
    else if (message->op == OP_CANCEL)
        id_map_put(&core->deferred.cancelled, message->id, core);
    else
        deferred_put(core, message, block);
}

static void down(Core *core, const ferry_error *reason, bool was_up) {
    (void)reason;
    if (was_up)
        requests_lose_broker(core);
}

static void free_part(Core *core) {
    id_map_deinit(&core->serving->by_id);
}

const Part serving_part = {
    .free = free_part,
    .down = down,
    .is_due = requests_due,
    .run = requests_run,
    .stop = requests_cancel,
    .receivers = (const struct Receiver[]){{OP_CALL, serve_call},
                                           {OP_ITEM, to_request},
                                           {OP_MORE, to_request},
                                           {OP_END, to_request},
                                           {OP_CANCEL, to_request},
                                           {0, NULL}},
};
