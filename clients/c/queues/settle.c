/* SPDX-License-Identifier: Apache-2.0 */

/* Settles jobs: each is acknowledged, retried, rejected or forwarded once, at its broker or, if its
 * queue has left, at the next one. */

#include <stdlib.h>
#include <utlist.h>

#include "base/buffer.h"
#include "clients/c/core/loop.h"
#include "clients/c/core/names.h"
#include "clients/c/core/session.h"
#include "clients/c/queues/forward.h"
#include "clients/c/queues/moved-jobs.h"
#include "clients/c/queues/push-options.h"
#include "clients/c/queues/settlement.h"
#include "clients/c/queues/work.h"
#include "clients/c/resend/moved.h"

/* ---- confirmed settlements ---- */

static void on_settled(Core *core, Await *await, const Message *message, const void *block) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    Settlement *settlement = (Settlement *)await;
    Moved moved;

    (void)block;
    if (message && core->leader && moved_read(message, &moved)) {
        await_take(core, await);
        settlement_let_go(core, settlement);
        moved_job_again(core, settlement->job, settlement->attempt, settlement);
        return;
    }
    if (!message) {
        settlement_lost(&error);
    } else if (message->op == OP_ERROR) {
        error_of_message(message, &error);
    }
    settlement_end(core, settlement, error.type ? &error : NULL);
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

static int send_settlement(Delivery *job, Lane lane, Message *message, const void *block) {
    Settlement *settlement = job->confirm;
    Core *core = job->core;
    int r;

    moved_job_sent(core, message);
    if (!settlement)
        return core_send(core, lane, message, block);
    settlement->job = job->number;
    settlement->attempt = job->attempt;
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

/* Sends a settlement of the job, and takes job->confirm. */
static int settle_here(Delivery *job, Lane lane, Message *message, const void *block) {
    return forward_follows(job, message) ? forward_start(job, message, block)
                                         : send_settlement(job, lane, message, block);
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
    if (!core->link && !job->moved)
        r = -ECANCELED;
    else if (job_is_lost(job))
        r = -ESTALE;
    else if (job->moved)
        return moved_job_settle(job, lane, message, block, settle_here);
    else
        r = settle_here(job, lane, message, block);
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
