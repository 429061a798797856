/* SPDX-License-Identifier: Apache-2.0 */

/* Settles jobs, and waits for the confirmations that the program wants. See settle.h. */

#include "clients/c/queues/settle.h"

#include <stdlib.h>
#include <utlist.h>

#include "base/buffer.h"
#include "clients/c/core/loop.h"
#include "clients/c/core/names.h"
#include "clients/c/core/session.h"
#include "clients/c/queues/forward.h"
#include "clients/c/queues/push-options.h"
#include "clients/c/queues/work.h"

/* Waits for the confirmation of a settlement. */
struct Settlement {
    Await await;             /* first: an Await is a Settlement */
    Settlement *prev, *next; /* of core->jobs->settlements; or next alone, of the ended ones */
    ferry_done_fn fn;
    void *ctx;
    bool failed;
    ferry_error error;
};

/* ---- confirmed settlements ---- */

static void settlement_free(Core *core, Settlement *settlement) {
    await_take(core, &settlement->await);
    DL_DELETE(core->jobs->settlements, settlement);
    free(settlement);
}

/* The callback runs in a turn; the answer may have come in a blocking call. */
void settlement_end(Core *core, Settlement *settlement, ferry_error *error) {
    await_take(core, &settlement->await);
    DL_DELETE(core->jobs->settlements, settlement);
    settlement->next = NULL;
    settlement->failed = error != NULL;
    if (error)
        error_move(&settlement->error, error);
    if (core->jobs->ended_settlements)
        core->jobs->last_ended_settlement->next = settlement;
    else
        core->jobs->ended_settlements = settlement;
    core->jobs->last_ended_settlement = settlement;
    core_raise(core);
}

void settlement_lost(ferry_error *ret) {
    error_set(ret, "ferry.ConnectionLost",
              "the connection was lost before the settlement was confirmed");
    ret->outcome_unknown = true;
}

void settlement_cancelled(ferry_error *ret) {
    error_set(ret, "ferry.Cancelled", "the client was closed before the settlement was confirmed");
    ret->outcome_unknown = true;
}

static void on_settled(Core *core, Await *await, const Message *message, const void *block) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;

    (void)block;
    if (!message) {
        settlement_lost(&error);
    } else if (message->op == OP_ERROR) {
        error_of_message(message, &error);
    }
    settlement_end(core, (Settlement *)await, error.type ? &error : NULL);
}

int ferry_job_confirm(ferry_job *public_job, ferry_done_fn fn, void *ctx) {
    Delivery *job = public_job ? job_of(public_job) : NULL;

    if (!job || job->settled || !fn)
        return -EINVAL;
    if (!job->confirm)
        job->confirm = calloc(1, sizeof(*job->confirm));
    if (!job->confirm)
        return -ENOMEM;
    job->confirm->await.fn = on_settled;
    job->confirm->await.session_only = true;
    job->confirm->await.at_close = true;
    job->confirm->fn = fn;
    job->confirm->ctx = ctx;
    return 0;
}

void settlement_hold(Core *core, Settlement *settlement) {
    DL_APPEND(core->jobs->settlements, settlement);
}

void settlement_send(Core *core, Settlement *settlement, Message *message) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    int r;

    message->id = settlement->await.id = *core->next_id;
    r = await_put(core, &settlement->await);
    if (r == 0) {
        (*core->next_id)++;
        r = core_send(core, LANE_CALLS, message, NULL);
    } else {
        settlement->await.id = 0;
    }
    if (r == 0)
        return;
    error_set_code(&error, r, NULL);
    settlement_end(core, settlement, &error);
}

static int send_settlement(Delivery *job, Lane lane, Message *message, const void *block) {
    Settlement *settlement = job->confirm;
    Core *core = job->core;
    int r;

    if (!settlement)
        return core_send(core, lane, message, block);
    message->id = settlement->await.id = *core->next_id;
    r = await_put(core, &settlement->await);
    if (r < 0) {
        settlement->await.id = 0;
        return r;
    }
    DL_APPEND(core->jobs->settlements, settlement);
    job->confirm = NULL;
    (*core->next_id)++;
    r = core_send(core, lane, message, block);
    if (r < 0)
        settlement_free(core, settlement);
    return r;
}

/* ---- settling ---- */

static int settle(ferry_job *public_job, Lane lane, Message *message, const void *block) {
    Delivery *job = public_job ? job_of(public_job) : NULL;
    Core *core;
    int r;

    if (!job || job->settled)
        return -EINVAL;
    core = job->core;
    message->settle.job = job->number;
    message->settle.attempt = job->attempt;
    if (!core->link)
        r = -ECANCELED;
    else if (job_is_lost(job))
        r = -ESTALE;
    else if (forward_follows(job, message))
        r = forward_start(job, message, block);
    else
        r = send_settlement(job, lane, message, block);
    if (r < 0 && r != -ESTALE && core->link)
        return r;
    job->settled = true;
    free(job->confirm);
    job->confirm = NULL;
    if (job->lost_due)
        core->jobs->n_lost_due--;
    job->lost_due = false;
    job_let_go(core, job);
    job_end(core, job);
    return r;
}

int ferry_job_ack(ferry_job *job) {
    return settle(job, LANE_CALLS, &(Message){.op = OP_ACK}, NULL);
}

static Span reason_of(const char *reason) {
    Span text = span_text(reason);

    text.len = text.len > WIRE_TEXT_MAX ? WIRE_TEXT_MAX : text.len;
    return text;
}

int ferry_job_retry(ferry_job *job, uint64_t delay_ms, const char *reason) {
    return settle(
        job, LANE_CALLS,
        &(Message){.op = OP_RETRY, .settle.delay_ms = delay_ms, .settle.text = reason_of(reason)},
        NULL);
}

int ferry_job_reject(ferry_job *job, const char *reason) {
    return settle(job, LANE_CALLS, &(Message){.op = OP_REJECT, .settle.text = reason_of(reason)},
                  NULL);
}

int ferry_job_forward(ferry_job *job, const char *queue, ferry_bytes body,
                      const ferry_push_options *options) {
    CLEANUP(buffer_deinit) Buffer scratch = {0};
    Message message = {.op = OP_FORWARD, .body = span_bytes(body)};
    const CachedName *name;
    Core *core;

    if (!job || job_of(job)->settled || (!body.data && body.len > 0))
        return -EINVAL;
    core = job_of(job)->core;
    name = names_find(core->names, queue, NULL);
    if (!name)
        return -EINVAL;
    /* Another attempt would end the same way. */
    if (core->link && body.len > link_max_body(core->link)) {
        int r = ferry_job_reject(job, "the job's result is larger than max_body");

        return r < 0 ? r : -EMSGSIZE;
    }
    message.name = name_span(name);
    /* The headers of the job are passed on with its result. */
    message.headers = job_of(job)->headers;
    if (options) {
        int r =
            push_options_write(&scratch, options, &message.settle.options, &message.headers, NULL);

        if (r < 0)
            return r;
    }
    return settle(job, LANE_BULK, &message, body.block);
}

int ferry_job_extend(ferry_job *job, uint64_t ms) {
    Delivery *mine = job ? job_of(job) : NULL;
    int r;

    if (!mine || mine->settled || ms == 0)
        return -EINVAL;
    if (!mine->core->link)
        return -ECANCELED;
    if (ferry_job_lost(job))
        return -ESTALE;
    r = core_send(mine->core, LANE_CALLS,
                  &(Message){.op = OP_EXTEND,
                             .settle.job = mine->number,
                             .settle.attempt = mine->attempt,
                             .settle.delay_ms = ms},
                  NULL);
    /* Send EXTEND now: the handler may compute for longer than the lease lasts.
     */
    if (r == 0)
        link_flush(mine->core->link);
    return r;
}

/* ---- callbacks ---- */

static bool is_due(const Core *core) {
    return core->jobs->ended_settlements != NULL;
}

static bool run(Core *core) {
    bool is_busy = is_due(core);
    Settlement *settlement;

    while ((settlement = core->jobs->ended_settlements)) {
        core->jobs->ended_settlements = settlement->next;
        settlement->fn(settlement->failed ? &settlement->error : NULL, settlement->ctx);
        ferry_error_clear(&settlement->error);
        free(settlement);
    }
    return is_busy;
}

static bool is_unconfirmed(const Core *core) {
    return core->jobs->settlements != NULL;
}

/* The link was freed: no answer can arrive. */
static void shut(Core *core) {
    while (core->jobs->settlements) {
        CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;

        settlement_cancelled(&error);
        settlement_end(core, core->jobs->settlements, &error);
    }
}

const Part settlements_part = {
    .is_due = is_due,
    .run = run,
    .is_unconfirmed = is_unconfirmed,
    .shut = shut,
};
