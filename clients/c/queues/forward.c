/* SPDX-License-Identifier: Apache-2.0 */
/* Forwards of jobs to queues of any broker. See forward.h. */

#include "clients/c/queues/forward.h"

#include <stdlib.h>
#include <utlist.h>

#include "base/buffer.h"
#include "clients/c/brokers/homes.h"
#include "clients/c/core/loop.h"
#include "clients/c/core/session.h"
#include "clients/c/queues/moved-jobs.h"
#include "clients/c/queues/push.h"
#include "clients/c/queues/settlement.h"
#include "clients/c/queues/work.h"
#include "clients/c/resend/push-log.h"

struct ForwardedJob {
    Await await;               /* of the FORWARD; first: an Await is a ForwardedJob */
    ForwardedJob *prev, *next; /* of core->jobs->forwards */
    Core *core;                /* NULL: the member was closed, and the push has not ended yet */
    Settlement *confirm;       /* NULL: no confirmation is wanted */
    Record *record;            /* the FORWARD, with the options of the program */
    uint64_t job, attempt;
    bool is_unsent, is_pushed; /* it waits for room; it is in the leader's log */
    bool is_moving;            /* the queue of the job goes to another broker */
    char queue[NAME_MAX_LEN + 1];
};

static size_t size_of(const ForwardedJob *forward) {
    return sizeof(*forward) + record_size(forward->record);
}

/* ---- its end ---- */

static void leave(ForwardedJob *forward) {
    Core *core = forward->core;

    await_take(core, &forward->await);
    DL_DELETE(core->jobs->forwards, forward);
    core->jobs->n_unsent_forwards -= forward->is_unsent;
    core->jobs->n_pushed_forwards -= forward->is_pushed;
    core->jobs->forward_bytes -= size_of(forward);
    core->jobs->n_forwards--;
    core->leader->n_carried--;
    forward->core = NULL;
}

static void forward_free(ForwardedJob *forward) {
    record_free(forward->record);
    free(forward);
}

static void end(ForwardedJob *forward, ferry_error *error) {
    if (forward->confirm)
        settlement_end(forward->core, forward->confirm, error);
    leave(forward);
    forward_free(forward);
}

/* Settles the job at its broker, or at its next one. confirm may be NULL. */
static void settle(Core *core, bool is_moving, Message *message, Settlement *confirm) {
    if (is_moving) {
        if (confirm)
            settlement_let_go(core, confirm);
        if (moved_job_send(core, message, confirm) == 0 || !confirm)
            return;
        settlement_hold(core, confirm);
    }
    moved_job_sent(core, message);
    if (confirm)
        settlement_send(core, confirm, message);
    else
        core_send(core, LANE_CALLS, message, NULL);
}

/* The result was not pushed: the job's broker delivers the job again. */
static void retry(ForwardedJob *forward, ferry_error *error) {
    char text[WIRE_TEXT_MAX + 1];
    Message message;

    record_read(forward->record, &message);
    snprintf(text, sizeof(text), "forwarding the job to '%.*s' failed: %s", (int)message.name.len,
             (const char *)message.name.data, error->message);
    message = (Message){
        .op = OP_RETRY,
        .settle = {.job = forward->job, .attempt = forward->attempt, .text = span_text(text)}};
    settle(forward->core, forward->is_moving, &message, NULL);
    end(forward, error);
}

/* The other broker has the result. */
static void acknowledge(ForwardedJob *forward) {
    Message ack = {.op = OP_ACK, .settle = {.job = forward->job, .attempt = forward->attempt}};
    Settlement *confirm = forward->confirm;
    bool is_moving = forward->is_moving;
    Core *core = forward->core;

    leave(forward);
    forward_free(forward);
    settle(core, is_moving, &ack, confirm);
}

/* ---- the push ---- */

static void on_pushed(const ferry_error *error, void *ctx) {
    CLEANUP(ferry_error_clear) ferry_error copy = FERRY_ERROR_INIT;
    ForwardedJob *forward = ctx;

    if (!forward->core) {
        forward_free(forward);
        return;
    }
    if (!error) {
        acknowledge(forward);
        return;
    }
    error_set(&copy, error->type, "%s", error->message);
    copy.outcome_unknown = error->outcome_unknown;
    if (strcmp(error->type, "ferry.Cancelled") == 0)
        end(forward, &copy); /* the client is closed, and gives back its jobs */
    else
        retry(forward, &copy);
}

static int push_result(ForwardedJob *forward) {
    CLEANUP(buffer_deinit) Buffer options = {0};
    Message message;
    const void *block = record_read(forward->record, &message);
    Message push = {.op = OP_PUSH,
                    .name = message.name,
                    .headers = message.headers,
                    .push.flags = PUSH_COUNTS,
                    .body = message.body};

    options_copy(&options, message.settle.options, 2);
    write_text(&options, "from");
    write_text(&options, forward->queue);
    write_text(&options, "job");
    write_uint(&options, forward->job);
    if (options.failed)
        return -ENOMEM;
    push.push.options = span_of(options.data, options.len);
    forward->is_pushed = true;
    return push_for_library(forward->core->leader, &push, block, on_pushed, forward);
}

/* The worker still has the job, and pushes its result itself. */
static void follow(ForwardedJob *forward) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    int r;

    await_take(forward->core, &forward->await);
    r = push_result(forward);
    if (r == 0) {
        forward->core->jobs->n_pushed_forwards++;
        return;
    }
    forward->is_pushed = false;
    error_set_code(&error, r, r == -EAGAIN ? "too many pushes are not confirmed yet" : NULL);
    retry(forward, &error);
}

/* ---- the FORWARD ---- */

static void on_answer(Core *core, Await *await, const Message *message, const void *block) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    ForwardedJob *forward = (ForwardedJob *)await;
    Moved moved;

    (void)core, (void)block;
    /* If the outcome is unknown, the next broker knows it: it delivers the job again, or has the
     * result. */
    if (moved_read(message, &moved) && !moved.is_unknown) {
        forward->is_moving |= !moved.is_kept;
        follow(forward);
        return;
    } else if (message->op == OP_ERROR) {
        error_of_message(message, &error);
    }
    end(forward, error.type ? &error : NULL);
}

/* -EAGAIN, -ENOTCONN: it is sent later. */
static int send(ForwardedJob *forward) {
    CLEANUP(buffer_deinit) Buffer options = {0};
    Core *core = forward->core;
    Message message;
    const void *block = record_read(forward->record, &message);
    int r;

    options_copy(&options, message.settle.options, 1);
    write_text(&options, "keep");
    write_uint(&options, 1);
    if (options.failed)
        return -ENOMEM;
    message.settle.options = span_of(options.data, options.len);
    message.id = forward->await.id = *core->next_id;
    r = await_put(core, &forward->await);
    if (r < 0) {
        forward->await.id = 0;
        return r;
    }
    (*core->next_id)++;
    r = core->is_up ? link_put(core->link, LANE_BULK, &message, block) : -ENOTCONN;
    if (r < 0)
        await_take(core, &forward->await);
    return r;
}

bool forward_follows(const Delivery *job, const Message *message) {
    const Core *core = job->core;

    return message->op == OP_FORWARD && core->leader && core->jobs->n_forwards < FORWARDS_MAX &&
           core->jobs->forward_bytes + message->body.len <= FORWARDS_BYTES_MAX;
}

/* The other queue is known to be at another broker, so the answer to FORWARD is known, too. No
 * earlier forward waits for its answer: results of one queue keep their order. */
static bool can_push_at_once(const ForwardedJob *forward) {
    const Core *core = forward->core;
    Message message;

    record_read(forward->record, &message);
    return core->jobs->n_forwards == core->jobs->n_pushed_forwards + 1 &&
           home_is_known_elsewhere(core->leader, message.name, core->broker);
}

int forward_start(Delivery *job, const Message *message, const void *block) {
    ForwardedJob *forward = calloc(1, sizeof(*forward));
    Core *core = job->core;

    if (!forward)
        return -ENOMEM;
    forward->record = record_new(message, block);
    if (!forward->record) {
        free(forward);
        return -ENOMEM;
    }
    forward->core = core;
    forward->await.fn = on_answer;
    forward->await.at_close = true;
    forward->job = job->number;
    forward->attempt = job->attempt;
    memcpy(forward->queue, job->queue, sizeof(forward->queue));
    forward->confirm = job->confirm;
    job->confirm = NULL;
    if (forward->confirm)
        settlement_hold(core, forward->confirm);
    DL_APPEND(core->jobs->forwards, forward);
    core->jobs->n_forwards++;
    core->jobs->forward_bytes += size_of(forward);
    core->leader->n_carried++;
    if (can_push_at_once(forward)) {
        follow(forward); /* may end the forward */
        return 0;
    }
    forward->is_unsent = core->jobs->n_unsent_forwards > 0 || send(forward) < 0;
    core->jobs->n_unsent_forwards += forward->is_unsent;
    core_sent(core); /* last: it may find that the session is lost, and end the forward */
    return 0;
}

static void pump(Core *core) {
    ForwardedJob *forward, *next;

    if (core->jobs->n_unsent_forwards == 0)
        return;
    DL_FOREACH_SAFE(core->jobs->forwards, forward, next) {
        if (!forward->is_unsent)
            continue;
        if (send(forward) < 0)
            return;
        forward->is_unsent = false;
        core->jobs->n_unsent_forwards--;
    }
}

static void up(Core *core, const Message *welcome) {
    (void)welcome;
    pump(core);
}

/* A FORWARD without an answer may have been made. */
static void down(Core *core, const ferry_error *reason, bool was_up) {
    ForwardedJob *forward, *next;

    (void)reason, (void)was_up;
    DL_FOREACH_SAFE(core->jobs->forwards, forward, next) {
        CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;

        if (!forward->await.id)
            continue;
        settlement_lost(&error);
        end(forward, &error);
    }
}

bool forward_next_held(const Core *core, ForwardedJob **at, uint64_t *ret_job,
                       uint64_t *ret_attempt) {
    *at = *at ? (*at)->next : core->jobs->forwards;
    if (!*at)
        return false;
    *ret_job = (*at)->job;
    *ret_attempt = (*at)->attempt;
    return true;
}

bool forward_is_moving(const Core *core, uint64_t job, uint64_t attempt) {
    ForwardedJob *forward = core->jobs->forwards;

    while (forward && (forward->job != job || forward->attempt != attempt))
        forward = forward->next;
    if (forward)
        forward->is_moving = true;
    return forward != NULL;
}

/* ---- the end ---- */

static bool is_unconfirmed(const Core *core) {
    return core->jobs->forwards != NULL;
}

/* The link was freed. */
static void shut(Core *core) {
    while (core->jobs->forwards) {
        CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
        ForwardedJob *forward = core->jobs->forwards;

        settlement_cancelled(&error);
        if (forward->confirm)
            settlement_end(core, forward->confirm, &error);
        leave(forward);
        if (!forward->is_pushed)
            forward_free(forward);
    }
}

const Part forwards_part = {
    .up = up,
    .down = down,
    .pump = pump,
    .is_unconfirmed = is_unconfirmed,
    .shut = shut,
};
