/* SPDX-License-Identifier: Apache-2.0 */

/* Calls in flight, from the start to the answer. See call.h. */

#include "clients/c/calls/call.h"

#include <stdlib.h>
#include <utlist.h>

#include "base/container.h"
#include "base/random.h"
#include "clients/c/calls/follow.h"
#include "clients/c/calls/send.h"
#include "clients/c/calls/stream.h"
#include "clients/c/core/client.h"
#include "clients/c/core/intercept.h"
#include "clients/c/core/loop.h"
#include "clients/c/core/route.h"
#include "clients/c/core/session.h"
#include "clients/c/resend/moved.h"
#include "clients/c/resend/retry.h"

static void on_answer(Core *core, Await *await, const Message *message, const void *block);
static void on_timer(Timer *timer, void *ctx);

/* ---- starting ---- */

static bool is_oneway(const PendingCall *call) {
    return (call->flags & CALL_ONEWAY) != 0;
}

static void link_in(ferry_client *handle, PendingCall *call) {
    call->handle = handle;
    DL_APPEND(handle->calls, call);
    handle->core->unconfirmed.n_oneway += is_oneway(call);
}

static void link_out(PendingCall *call) {
    ferry_client *handle = call->handle;

    DL_DELETE(handle->calls, call);
    handle->core->unconfirmed.n_oneway -= is_oneway(call);
}

/* Idempotent calls are retried. A call of any kind that a draining broker refuses goes to another
 * broker. */
static bool may_be_sent_again(const Core *core, const PendingCall *call) {
    return ((call->flags & CALL_IDEMPOTENT) || core->brokers) && !call->is_streaming;
}

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

/* Returns the time until which a call waits for the connection. */
static uint64_t connect_ends_ms(const PendingCall *call, const ferry_client *client,
                                uint64_t now_ms) {
    return client->wait_for_broker || call->deadline_ms < now_ms + CONNECT_MS ? call->deadline_ms
                                                                              : now_ms + CONNECT_MS;
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
    if (may_be_sent_again(core, call)) {
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
    link_in(client, call);
    if (call->state == CALL_BEFORE_CONNECT)
        timer_arm(&core->timers, &call->timer, connect_ends_ms(call, client, now_ms), on_timer);
    else if (!call->is_streaming)
        timer_arm(&core->timers, &call->timer, call->deadline_ms, on_timer);
    if (call->state == CALL_SENT)
        core_sent(core);
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
    *call = (PendingCall){.await = {.fn = on_answer,
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
    PendingCall call = {.await = {.fn = on_answer}, .result = &result};
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

/* ---- ending ---- */

/* Removes the call from every list and table; its outcome must be reported afterwards. */
static void leave(Core *core, PendingCall *call) {
    await_take(core, &call->await);
    call_leave_route(call);
    timer_disarm(&core->timers, &call->timer);
    link_out(call);
    call->record = record_free(call->record);
    call_stop_following(core, call);
    if (call->first_error)
        ferry_error_clear(call->first_error);
    free(call->first_error);
    call->first_error = NULL;
}

static void run_callback(Core *core, PendingCall *call, const ferry_reply *reply,
                         const ferry_error *error) {
    AnyFn fn = call->fn;
    void *ctx = call->ctx;
    CallEndFn end = call->end;
    const void *aux = call->aux;

    slabs_free(&core->slabs, call, sizeof(*call));
    if (end)
        end(core, fn, aux, ctx, reply, error);
    else
        ((ferry_reply_fn)fn)(reply, error, ctx);
}

static void queue_ended(Core *core, PendingCall *call, ferry_error *error) {
    call->state = CALL_ENDED;
    call->error = malloc(sizeof(*error));
    if (call->error) {
        *call->error = (ferry_error)FERRY_ERROR_INIT;
        error_move(call->error, error);
    } else {
        ferry_error_clear(error);
    }
    DL_APPEND(core->calls->ended, call);
    core_raise(core);
}

/* Ends the call with this error, or with the error of an earlier attempt. */
static void end_with(Core *core, PendingCall *call, ferry_error *error, bool in_turn) {
    if (call->first_error && !error->outcome_unknown)
        error_move(error, call->first_error);
    intercept_end(&call->intercepted, error);
    leave(core, call);
    if (call->stream) {
        stream_ended(core, call->stream, error);
    } else if (call->result) {
        call->result->code = error->code;
        error_move(&call->result->error, error);
        call->result->done = true;
    } else if (in_turn) {
        run_callback(core, call, NULL, error);
        ferry_error_clear(error);
    } else {
        queue_ended(core, call, error);
    }
}

/* Keep the error of an attempt that may have been executed: it says more than the error of a later
 * attempt that was certainly not executed. */
static void keep_first(PendingCall *call, const ferry_error *error) {
    if (call->first_error || !error->outcome_unknown)
        return;
    call->first_error = malloc(sizeof(*call->first_error));
    if (!call->first_error)
        return;
    *call->first_error = (ferry_error)FERRY_ERROR_INIT;
    error_copy(call->first_error, error);
}

static bool try_again(Core *core, PendingCall *call, const ferry_error *error) {
    uint64_t now_ms = clock_ms(), at_ms;

    if (!call->record || !(call->flags & CALL_IDEMPOTENT) || call->stream ||
        call->attempts >= RETRY_ATTEMPTS_MAX || core->closed || !retry_is_worth(error))
        return false;
    /* The call may crash every server that runs it. The broker has moved it to another server once;
     * send it once more, and then no more. */
    if (error->type && strcmp(error->type, "ferry.ServerLost") == 0) {
        if (call->flags & CALL_AGAIN)
            return false;
        call->flags |= CALL_AGAIN;
    }
    at_ms = now_ms + retry_delay_ms(call->attempts, ferry_error_retry_ms(error), random_u64());
    /* If no time is left for another attempt, report this error: it says more than a timeout. */
    if (at_ms >= call->deadline_ms || !retry_spend(&core->calls->retry_budget))
        return false;
    keep_first(call, error);
    await_take(core, &call->await);
    call_leave_route(call);
    call->state = CALL_BACKOFF;
    timer_arm(&core->timers, &call->timer, at_ms, on_timer);
    return true;
}

void pending_call_fail(Core *core, PendingCall *call, ferry_error *error, bool in_turn) {
    if (try_again(core, call, error))
        ferry_error_clear(error);
    else
        end_with(core, call, error, in_turn);
}

static const void *keep_reply(const void *lent) {
    const ferry_reply *reply = lent;

    return reply_new(span_of(reply->body.data, reply->body.len), reply->body.block);
}

static void send_again(Core *core, PendingCall *call, uint64_t now_ms);

/* True: the broker drains and has refused the call, which goes to another broker. */
static bool has_moved(Core *core, PendingCall *call, const ferry_error *error) {
    bool is_left = core_is_left(core, call->await.id);
    uint64_t now_ms = clock_ms();

    if (!call->record || call->is_streaming || call->await.route ||
        !session_refuses_as_it_drains(core, call->await.id, error))
        return false;
    await_take(core, &call->await);
    call->attempts--;
    if (is_left && core->is_up) {
        send_again(core, call, now_ms);
        return true;
    }
    call->state = CALL_BEFORE_CONNECT;
    timer_arm(&core->timers, &call->timer, connect_ends_ms(call, call->handle, now_ms), on_timer);
    return true;
}

/* True: the call is about a queue at another broker. It goes there, or is tried again soon. */
static bool follows(Core *core, PendingCall *call, const Message *answer) {
    uint64_t pause_ms;

    if (!call_follows(core, call, answer, &pause_ms))
        return false;
    await_take(core, &call->await);
    call_leave_route(call);
    call->state = CALL_BACKOFF;
    timer_arm(&core->timers, &call->timer, clock_ms() + pause_ms, on_timer);
    return true;
}

static void on_answer(Core *core, Await *await, const Message *message, const void *block) {
    PendingCall *call = (PendingCall *)await;

    if (message->op == OP_ERROR) {
        ferry_error error = FERRY_ERROR_INIT;

        error_of_message(message, &error);
        if (has_moved(core, call, &error) || follows(core, call, message)) {
            ferry_error_clear(&error);
            return;
        }
        moved_advise(message, &error);
        pending_call_fail(core, call, &error, true);
        return;
    }
    if (message->op != OP_OK)
        return;
    intercept_end(&call->intercepted, NULL);
    leave(core, call);
    if (call->result) {
        call->result->reply = reply_new(message->body, block);
        if (!call->result->reply)
            call->result->code = error_set_code(&call->result->error, -ENOMEM, NULL);
        call->result->done = true;
    } else {
        struct {
            BlockHeader header;
            ferry_reply reply;
        } lent;

        block_init_lent(&lent.header, keep_reply);
        lent.reply.body = bytes_span(message->body, block);
        run_callback(core, call, &lent.reply, NULL);
    }
}

ferry_reply *reply_new(Span body, const void *block) {
    const void *kept = block ? ferry_keep(block) : NULL;
    ferry_reply *reply;

    if (block && !kept)
        return NULL;
    reply = block_new_around(sizeof(*reply) + (kept ? 0 : body.len), kept);
    if (!reply) {
        ferry_free(kept);
        return NULL;
    }
    reply->body = ferry_bytes_of(reply + 1, body.len);
    if (kept)
        reply->body = bytes_span(body, kept);
    else if (body.len > 0)
        memcpy(reply + 1, body.data, body.len);
    return reply;
}

/* ---- deadlines, cancellation, changes of the connection ---- */

static void send_again(Core *core, PendingCall *call, uint64_t now_ms) {
    uint64_t left_ms = call->deadline_ms > now_ms ? call->deadline_ms - now_ms : 1;
    ferry_error error = FERRY_ERROR_INIT;
    const void *block;
    Message message;
    int r;

    block = record_read(call->record, &message);
    message.call.timeout_ms = left_ms;
    message.call.flags = call->flags;
    r = call_send(call->handle, call, &message, block);
    if (r == -EAGAIN) {
        call->state = CALL_BACKOFF;
        timer_arm(&core->timers, &call->timer, now_ms + 1, on_timer);
        return;
    }
    if (r == -ENOTCONN && !core->is_up) {
        call->state = CALL_BEFORE_CONNECT;
        timer_arm(&core->timers, &call->timer, connect_ends_ms(call, call->handle, now_ms),
                  on_timer);
        return;
    }
    if (r < 0) {
        error_set_code(&error, r, NULL);
        end_with(core, call, &error, false);
        return;
    }
    if (!may_be_sent_again(core, call))
        call->record = record_free(call->record);
    if (call->is_streaming)
        timer_disarm(&core->timers, &call->timer);
    else
        timer_arm(&core->timers, &call->timer, call->deadline_ms, on_timer);
    if (call->stream)
        stream_sent(core, call->stream);
    core_sent(core);
}

static void not_in_time(Core *core, PendingCall *call, uint64_t now_ms, ferry_error *error) {
    if (call->state == CALL_BEFORE_CONNECT)
        session_missing(core, error);
    if (call->state != CALL_BEFORE_CONNECT)
        error_set(error, "ferry.DeadlineExceeded", "no answer within %u ms", call->timeout_ms);
    else if (now_ms >= call->deadline_ms)
        error_set(error, "ferry.DeadlineExceeded", "no connection within %u ms: %s",
                  call->timeout_ms, error->message);
    error->outcome_unknown = call->was_sent;
}

static void on_timer(Timer *timer, void *ctx) {
    PendingCall *call = container_of(timer, PendingCall, timer);
    Core *core = ctx;
    uint64_t now_ms = clock_ms();
    ferry_error error = FERRY_ERROR_INIT;

    if (call->await.deferred)
        return;
    if (call->state == CALL_BACKOFF && now_ms < call->deadline_ms) {
        if (core->is_up || call->is_direct || call->via) {
            send_again(core, call, now_ms);
        } else {
            call->state = CALL_BEFORE_CONNECT;
            timer_arm(&core->timers, timer, connect_ends_ms(call, call->handle, now_ms), on_timer);
        }
        return;
    }
    not_in_time(core, call, now_ms, &error);
    end_with(core, call, &error, false);
}

static void intercept_cancelled(PendingCall *call) {
    intercept_end(&call->intercepted,
                  &(ferry_error){-ECANCELED, call->was_sent, "ferry.Cancelled",
                                 "the caller abandoned the call before the answer arrived", NULL});
}

static void tell_cancelled(Core *core, const PendingCall *call) {
    if (call->state != CALL_SENT || (!core->is_up && !call->await.route))
        return;
    /* If the outbox has no room for CANCEL, the other end ends the call at its deadline. */
    call_put(core, call, LANE_CALLS, &(Message){.op = OP_CANCEL, .id = call->await.id}, NULL);
}

void call_end(Core *core, PendingCall *call) {
    intercept_end(&call->intercepted, NULL);
    leave(core, call);
}

void pending_call_abandon(Core *core, PendingCall *call) {
    tell_cancelled(core, call);
    intercept_cancelled(call);
    leave(core, call);
}

void calls_cancel(ferry_client *client) {
    Core *core = client->core;
    PendingCall *next;

    for (PendingCall *call = client->calls; call; call = next) {
        ferry_error error = FERRY_ERROR_INIT;

        next = call->next;
        /* A oneway call outlives the handle that it was made through. */
        if (is_oneway(call)) {
            if (client != &core->main) {
                link_out(call);
                link_in(&core->main, call);
            }
            continue;
        }
        tell_cancelled(core, call);
        error_set(&error, "ferry.Cancelled", "the handle of this call was closed");
        error.outcome_unknown = call->was_sent;
        end_with(core, call, &error, false);
    }
}

static void calls_up(Core *core, const Message *welcome) {
    (void)welcome;
    for (ferry_client *handle = &core->main; handle; handle = handle->next) {
        PendingCall *next;

        for (PendingCall *call = handle->calls; call; call = next) {
            next = call->next;
            if (call->state == CALL_BEFORE_CONNECT)
                send_again(core, call, clock_ms());
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
                end_with(core, call, &error, false);
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

static bool run_ended(Core *core) {
    PendingCall *call = core->calls->ended;

    if (!call)
        return false;
    while ((call = core->calls->ended)) {
        ferry_error out_of_memory = {-ENOMEM, call->was_sent, "ferry.OutOfMemory", "out of memory",
                                     NULL};
        ferry_error *error = call->error;

        DL_DELETE(core->calls->ended, call);
        run_callback(core, call, NULL, error ? error : &out_of_memory);
        ferry_error_clear(error);
        free(error);
    }
    return true;
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

        intercept_cancelled(call);
        leave(core, call);
        slabs_free(&core->slabs, call, sizeof(*call));
    }
}

static bool is_due(const Core *core) {
    return core->calls->ended || streams_due(core);
}

static bool run(Core *core) {
    bool busy = run_ended(core);

    return streams_run(core) || busy;
}

const Part calls_part = {
    .init = init,
    .up = calls_up,
    .down = calls_down,
    .left = calls_left,
    .is_due = is_due,
    .run = run,
    .cancel = calls_cancel,
    .is_unconfirmed = is_unconfirmed,
    .shut = shut,
};
