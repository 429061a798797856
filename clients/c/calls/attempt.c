/* SPDX-License-Identifier: Apache-2.0 */
/* The attempts of calls: answers, deadlines, retries, and other brokers. See call.h. */

#include <stdlib.h>

#include "base/container.h"
#include "base/random.h"
#include "clients/c/calls/call.h"
#include "clients/c/calls/follow.h"
#include "clients/c/calls/send.h"
#include "clients/c/core/loop.h"
#include "clients/c/core/session.h"
#include "clients/c/resend/moved.h"
#include "clients/c/resend/retry.h"

static void on_timer(Timer *timer, void *ctx);

void call_wait_for_connection(Core *core, PendingCall *call, uint64_t now_ms) {
    uint64_t ends_ms = now_ms + CONNECT_MS;

    if (call->handle->wait_for_broker || call->deadline_ms < ends_ms)
        ends_ms = call->deadline_ms;
    call->state = CALL_BEFORE_CONNECT;
    timer_arm(&core->timers, &call->timer, ends_ms, on_timer);
}

void call_wait_for_answer(Core *core, PendingCall *call) {
    if (call->is_streaming)
        timer_disarm(&core->timers, &call->timer);
    else
        timer_arm(&core->timers, &call->timer, call->deadline_ms, on_timer);
}

void call_send_again(Core *core, PendingCall *call, uint64_t now_ms) {
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
        call_wait_for_connection(core, call, now_ms);
        return;
    }
    if (r < 0) {
        error_set_code(&error, r, NULL);
        call_end_with(core, call, &error, false);
        return;
    }
    if (!call_may_be_sent_again(core, call))
        call->record = record_free(call->record);
    call_wait_for_answer(core, call);
    if (call->stream)
        call->stream->sent(call);
    core_sent(core);
}

/* ---- errors ---- */

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
        call_end_with(core, call, error, in_turn);
}

/* True: the broker drains and has refused the call, which goes to another broker. */
static bool has_moved(Core *core, PendingCall *call, const ferry_error *error) {
    bool is_left = core_is_left(core, call->await.id);
    uint64_t now_ms = clock_ms();

    if (!call->record || call->is_streaming || call->await.route ||
        !session_refuses_as_it_drains(core, call->await.id, error))
        return false;
    await_take(core, &call->await);
    call->attempts--;
    if (is_left && core->is_up)
        call_send_again(core, call, now_ms);
    else
        call_wait_for_connection(core, call, now_ms);
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

/* ---- answers and deadlines ---- */

void call_on_answer(Core *core, Await *await, const Message *message, const void *block) {
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
    if (message->op == OP_OK)
        call_answered(core, call, message, block);
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
        if (core->is_up || call->is_direct || call->via)
            call_send_again(core, call, now_ms);
        else
            call_wait_for_connection(core, call, now_ms);
        return;
    }
    not_in_time(core, call, now_ms, &error);
    call_end_with(core, call, &error, false);
}
