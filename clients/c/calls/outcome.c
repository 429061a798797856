/* SPDX-License-Identifier: Apache-2.0 */
/* Ends calls: their outcome goes to their initiators. See call.h. */

#include <stdlib.h>
#include <utlist.h>

#include "clients/c/calls/call.h"
#include "clients/c/calls/follow.h"
#include "clients/c/calls/send.h"
#include "clients/c/core/intercept.h"
#include "clients/c/core/loop.h"
#include "clients/c/core/session.h"

/* Removes the call from every list and table; its outcome must be reported afterwards. */
static void leave(Core *core, PendingCall *call) {
    await_take(core, &call->await);
    call_leave_route(call);
    timer_disarm(&core->timers, &call->timer);
    call_unlink(call);
    call->record = record_free(call->record);
    call_stop_following(core, call);
    if (call->first_error)
        ferry_error_clear(call->first_error);
    free(call->first_error);
    call->first_error = NULL;
}

/* ---- an answer, or an error ---- */

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

void call_end_with(Core *core, PendingCall *call, ferry_error *error, bool in_turn) {
    if (call->first_error && !error->outcome_unknown)
        error_move(error, call->first_error);
    intercept_end(&call->intercepted, error);
    leave(core, call);
    if (call->stream) {
        call->stream->ended(call, error);
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

void call_end(Core *core, PendingCall *call) {
    intercept_end(&call->intercepted, NULL);
    leave(core, call);
}

static const void *keep_reply(const void *lent) {
    const ferry_reply *reply = lent;

    return reply_new(span_of(reply->body.data, reply->body.len), reply->body.block);
}

void call_answered(Core *core, PendingCall *call, const Message *message, const void *block) {
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

bool calls_run_ended(Core *core) {
    bool busy = core->calls->ended != NULL;
    PendingCall *call;

    while ((call = core->calls->ended)) {
        ferry_error out_of_memory = {-ENOMEM, call->was_sent, "ferry.OutOfMemory", "out of memory",
                                     NULL};
        ferry_error *error = call->error;

        DL_DELETE(core->calls->ended, call);
        run_callback(core, call, NULL, error ? error : &out_of_memory);
        ferry_error_clear(error);
        free(error);
    }
    return busy;
}

/* ---- cancellation ---- */

static void tell_cancelled(Core *core, const PendingCall *call) {
    if (call->state != CALL_SENT || (!core->is_up && !call->await.route))
        return;
    /* If the outbox has no room for CANCEL, the other end ends the call at its deadline. */
    call_put(core, call, LANE_CALLS, &(Message){.op = OP_CANCEL, .id = call->await.id}, NULL);
}

void call_drop(Core *core, PendingCall *call) {
    intercept_end(&call->intercepted,
                  &(ferry_error){-ECANCELED, call->was_sent, "ferry.Cancelled",
                                 "the caller abandoned the call before the answer arrived", NULL});
    leave(core, call);
}

void pending_call_abandon(Core *core, PendingCall *call) {
    tell_cancelled(core, call);
    call_drop(core, call);
}

void call_cancel(Core *core, PendingCall *call) {
    ferry_error error = FERRY_ERROR_INIT;

    tell_cancelled(core, call);
    error_set(&error, "ferry.Cancelled", "the handle of this call was closed");
    error.outcome_unknown = call->was_sent;
    call_end_with(core, call, &error, false);
}
