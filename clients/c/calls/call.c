/* SPDX-License-Identifier: Apache-2.0 */
/* Starts calls, and follows changes of their connection. See call.h. */

#include "clients/c/calls/call.h"

#include "clients/c/calls/send.h"
#include "clients/c/core/client.h"
#include "clients/c/core/intercept.h"
#include "clients/c/core/loop.h"
#include "clients/c/core/route.h"
#include "clients/c/core/session.h"
#include "clients/c/resend/retry.h"

static int begin_before_connect(Core *core, PendingCall *call, const Message *message,
                                const void *block, ferry_error *reterr) {
    if (link_state(core->link) == LINK_CLOSED)
        return session_missing(core, reterr);
    if (!call->record)
        call->record = record_new(message, block);
    if (!call->record)
        return error_set_code(reterr, -ENOMEM, NULL);
    call->state = CALL_BEFORE_CONNECT;
    return 0;
}

/* Runs the interceptor's `before`, only at the first attempt to begin the call. */
static int intercept(ferry_client *client, const CallSpec *spec, PendingCall *call,
                     ferry_error *reterr) {
    int r;

    if (!interceptor_is_set(&client->interceptor) || call->intercepted)
        return 0;
    r = intercept_begin(&call->intercepted, &client->interceptor, spec->service, spec->method, NULL,
                        client_headers(client));
    return r < 0
               ? error_set_code(reterr, r, call->intercepted ? "refused by the interceptor" : NULL)
               : 0;
}

void call_not_begun(PendingCall *call, const ferry_error *error, int code) {
    ferry_error own = FERRY_ERROR_INIT;

    if (!call->intercepted)
        return;
    if (!error)
        error_set_code(&own, code, NULL);
    intercept_end(&call->intercepted, error ? error : &own);
    ferry_error_clear(&own);
}

int call_begin(ferry_client *client, const CallSpec *spec, PendingCall *call, ferry_error *reterr) {
    Core *core = client->core;
    uint64_t now_ms = core_now(core);
    uint32_t timeout_ms = client_timeout(client, spec->timeout_ms, now_ms);
    Message message;
    int r;

    if (spec->until_ms > 0 && spec->until_ms < now_ms + timeout_ms)
        timeout_ms = spec->until_ms > now_ms ? (uint32_t)(spec->until_ms - now_ms) : 1;
    if (timeout_ms == 0)
        return error_set(reterr, "ferry.DeadlineExceeded",
                         "the deadline of the request that makes this call has passed");
    if (client->cancelled)
        return error_set(reterr, "ferry.Cancelled",
                         "the request that makes this call was cancelled");
    if (spec->args.len > link_max_body(core->link))
        return error_set(reterr, "ferry.TooBig",
                         "the arguments have %zu bytes; the limit (max_body) is %llu",
                         spec->args.len, (unsigned long long)link_max_body(core->link));
    call->flags = (uint32_t)spec->flags;
    call->is_direct = spec->direct || client->direct;
    call->timeout_ms = timeout_ms;
    call->deadline_ms = now_ms + timeout_ms;
    if (client->idempotent && !call->is_streaming)
        call->flags |= CALL_IDEMPOTENT;
    if (client->wait_for_server)
        call->flags |= CALL_WAIT;
    /* The program chose the instance: an answer that another server cached must not be used. */
    if (client->instance.len > 0)
        call->flags |= CALL_FRESH;
    r = intercept(client, spec, call, reterr);
    if (r < 0)
        return r;
    message = (Message){.op = OP_CALL,
                        .name = spec->service,
                        .headers = call->intercepted ? intercept_headers(call->intercepted)
                                                     : client_headers(client),
                        .body = span_bytes(spec->args),
                        .call.timeout_ms = timeout_ms,
                        .call.flags = call->flags,
                        .call.parent =
                            client->parent_session == client->core->session ? client->parent : 0,
                        .call.method = spec->method,
                        .call.instance = client->instance};
    if (call_may_be_sent_again(core, call)) {
        call->record = record_new(&message, spec->args.block);
        if (!call->record)
            return error_set_code(reterr, -ENOMEM, NULL);
        if (call->flags & CALL_IDEMPOTENT)
            retry_earn(&core->calls->retry_budget);
    }

    r = call_send(client, call, &message, spec->args.block);
    if (r == -EAGAIN) {
        core_poll(core);
        r = core->is_up ? call_send(client, call, &message, spec->args.block) : -EAGAIN;
    }
    if (r == -ENOTCONN && !core->is_up)
        r = begin_before_connect(core, call, &message, spec->args.block, reterr);
    else if (r < 0)
        r = error_set_code(reterr, r,
                           r == -EAGAIN ? "the outbox is full: run ferry_process(), and call again"
                                        : NULL);
    if (r < 0) {
        call->record = record_free(call->record);
        return r;
    }
    call_link(client, call);
    if (call->state == CALL_BEFORE_CONNECT) {
        call_wait_for_connection(core, call, now_ms);
    } else {
        call_wait_for_answer(core, call);
        core_sent(core);
    }
    return 0;
}

/* A call of ferry.Broker through the handle of a request is its leader's, as pushes are: the leader
 * sees where queues are. *spec gets the deadline of the handle. */
static ferry_client *choose_handle(ferry_client *client, CallSpec *spec) {
    Core *leader = client->core->leader;
    uint64_t now_ms = clock_ms();
    uint32_t timeout_ms;

    if (!leader || !client->request || client->cancelled || client->instance.len > 0 ||
        spec->flags & CALL_ONEWAY || !span_is(spec->service, "ferry.Broker"))
        return client;
    timeout_ms = client_timeout(client, spec->timeout_ms, now_ms);
    if (timeout_ms == 0)
        return client; /* it fails */
    if (spec->until_ms == 0 || spec->until_ms > now_ms + timeout_ms)
        spec->until_ms = now_ms + timeout_ms;
    return &leader->main;
}

static int start_at(ferry_client *client, const CallSpec *spec, ferry_error *reterr) {
    Core *core = client->core;
    PendingCall *call = slabs_alloc(&core->slabs, sizeof(*call));
    int r;

    if (!call)
        return error_set_code(reterr, -ENOMEM, NULL);
    /* The end of a oneway call runs no callback of the program. */
    *call = (PendingCall){.await = {.fn = call_on_answer,
                                    .callback = !(spec->flags & CALL_ONEWAY),
                                    .at_close = (spec->flags & CALL_ONEWAY) != 0},
                          .fn = spec->fn,
                          .ctx = spec->ctx,
                          .end = spec->end,
                          .aux = spec->aux};
    r = call_begin(client, spec, call, reterr);
    if (r < 0)
        call_not_begun(call, reterr, r);
    if (r < 0)
        slabs_free(&core->slabs, call, sizeof(*call));
    return r;
}

int call_start(ferry_client *client, const CallSpec *spec, ferry_error *reterr) {
    CallSpec chosen = *spec;

    client = choose_handle(client, &chosen);
    return start_at(client, &chosen, reterr);
}

int call_run(ferry_client *caller, const CallSpec *spec, ferry_reply **ret, ferry_error *reterr) {
    CallSpec blocking = *spec;
    ferry_client *client = choose_handle(caller, &blocking);
    Core *core = client->core;
    Outcome result = {.error = FERRY_ERROR_INIT};
    PendingCall call = {.await = {.fn = call_on_answer}, .result = &result};
    uint64_t give_up_ms = clock_ms() + client_timeout(client, spec->timeout_ms, clock_ms());
    int r;

    /* Callbacks do not nest: the services of this client begin no request until the answer arrives.
     */
    if (core->registrations)
        blocking.flags |= CALL_BLOCKS;
    while ((r = call_begin(client, &blocking, &call, reterr)) == -EAGAIN &&
           clock_ms() < give_up_ms) {
        static const bool never;

        core_wait(core, &never, clock_ms() + 1);
    }
    if (r < 0) {
        call_not_begun(&call, reterr, r);
        return r;
    }
    core_wait(core, &result.done, UINT64_MAX);
    if (result.code < 0) {
        error_move(reterr, &result.error);
        return result.code;
    }
    if (ret)
        *ret = result.reply;
    else
        ferry_free(result.reply);
    return 0;
}

/* ---- handles and connections ---- */

void calls_cancel(ferry_client *client) {
    Core *core = client->core;
    PendingCall *next;

    for (PendingCall *call = client->calls; call; call = next) {
        next = call->next;
        if (!call_is_oneway(call)) {
            call_cancel(core, call);
        } else if (client != &core->main) {
            /* A oneway call outlives the handle that it was made through. */
            call_unlink(call);
            call_link(&core->main, call);
        }
    }
}

static void calls_up(Core *core, const Message *welcome) {
    (void)welcome;
    for (ferry_client *handle = &core->main; handle; handle = handle->next) {
        PendingCall *next;

        for (PendingCall *call = handle->calls; call; call = next) {
            next = call->next;
            if (call->state == CALL_BEFORE_CONNECT)
                call_send_again(core, call, clock_ms());
        }
    }
}

/* The connection through which these calls were sent is lost: a route, or (route is NULL) the
 * session with a broker that drained. */
static void fail_sent(Core *core, const Route *route, const char *type, const ferry_error *reason) {
    for (ferry_client *handle = &core->main; handle && !(route && route->n_calls == 0);
         handle = handle->next) {
        PendingCall *next;

        for (PendingCall *call = handle->calls; call; call = next) {
            ferry_error error = FERRY_ERROR_INIT;

            next = call->next;
            if (call->await.route != route)
                continue;
            if (!route && (call->state != CALL_SENT || !core_is_left(core, call->await.id)))
                continue;
            error_set(&error, type, "%s", reason->message);
            error.outcome_unknown = true;
            pending_call_fail(core, call, &error, false);
        }
    }
}

static void calls_down(Core *core, const ferry_error *reason, bool was_up) {
    bool for_good = link_state(core->link) == LINK_CLOSED;

    if (was_up && core->route)
        fail_sent(core->leader, core->route, "ferry.ConnectionLost", reason);
    for (ferry_client *handle = &core->main; handle; handle = handle->next) {
        PendingCall *next;

        for (PendingCall *call = handle->calls; call; call = next) {
            ferry_error error = FERRY_ERROR_INIT;

            next = call->next;
            if (call->await.route ||
                (call->state == CALL_SENT ? core_is_left(core, call->await.id) : !for_good))
                continue;
            error_set(&error,
                      call->state == CALL_SENT ? "ferry.ConnectionLost"
                                               : session_problem_type(reason),
                      "%s", reason->message);
            error.outcome_unknown = call->was_sent;
            if (for_good)
                call_end_with(core, call, &error, false);
            else
                pending_call_fail(core, call, &error, false);
        }
    }
}

void calls_route_down(Core *core, Route *route, const ferry_error *reason) {
    fail_sent(core, route, "ferry.ServerLost", reason);
}

static void calls_left(Core *core, const ferry_error *reason) {
    fail_sent(core, NULL, "ferry.ConnectionLost", reason);
}

static int init(Core *core) {
    core->calls->retry_budget = RETRY_BUDGET_MAX;
    return 0;
}

static bool is_unconfirmed(const Core *core) {
    return core->unconfirmed.n_oneway > 0;
}

/* Only oneway calls remain: all other calls were cancelled. */
static void shut(Core *core) {
    while (core->main.calls) {
        PendingCall *call = core->main.calls;

        call_drop(core, call);
        slabs_free(&core->slabs, call, sizeof(*call));
    }
}

static bool is_due(const Core *core) {
    return core->calls->ended != NULL;
}

const Part calls_part = {
    .init = init,
    .up = calls_up,
    .down = calls_down,
    .left = calls_left,
    .is_due = is_due,
    .run = calls_run_ended,
    .cancel = calls_cancel,
    .is_unconfirmed = is_unconfirmed,
    .shut = shut,
};
