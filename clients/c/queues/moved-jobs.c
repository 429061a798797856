/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs in flight whose queue goes to another broker. See moved-jobs.h. */

#include "clients/c/queues/moved-jobs.h"

#include <stdlib.h>
#include <utlist.h>

#include "clients/c/brokers/brokers.h"
#include "clients/c/core/loop.h"
#include "clients/c/core/session.h"
#include "clients/c/queues/settlement.h"
#include "clients/c/queues/work.h"
#include "clients/c/resend/moved.h"

struct MovedJob {
    Await await;           /* of the EXTEND; first: an Await is a MovedJob */
    MovedJob *prev, *next; /* of leader->jobs->moved */
    Core *leader;
    Core *asked; /* the member that has sent the EXTEND; NULL: it waits for the next attempt */
    uint64_t job, attempt;
    Delivery *delivery; /* NULL: the program does not have the job */
    Record *settlement; /* NULL: the program has not settled the job */
    SettleFn settle;    /* sends it, if the program has the job */
    Settlement *confirm;
    uint8_t owner[WIRE_TOKEN]; /* the broker that has the queue, if it is known */
    bool has_owner;
    unsigned n_refusals;
    uint64_t until_ms;
    Timer pause;
};

/* The last settlements of a member. */
struct SentSettlements {
    unsigned next;
    struct SentSettlement {
        uint64_t job, attempt;
        Record *record; /* NULL: an ACK */
    } each[SETTLEMENTS_KEPT];
};

/* ---- settlements that were sent ---- */

void moved_job_sent(Core *member, const Message *settlement) {
    struct SentSettlement *sent;

    if (!member->leader || settlement->op == OP_FORWARD)
        return;
    if (!member->jobs->sent)
        member->jobs->sent = calloc(1, sizeof(*member->jobs->sent));
    if (!member->jobs->sent)
        return; /* the job may be delivered once more */
    sent = &member->jobs->sent->each[member->jobs->sent->next++ % SETTLEMENTS_KEPT];
    record_free(sent->record);
    *sent = (struct SentSettlement){settlement->settle.job, settlement->settle.attempt, NULL};
    if (settlement->op != OP_ACK && !(sent->record = record_new(settlement, NULL)))
        *sent = (struct SentSettlement){0}; /* the job is released */
}

/* NULL: out of memory. */
static Record *take_sent(Core *member, uint64_t job, uint64_t attempt) {
    Message message = {.op = OP_RELEASE, .settle = {.job = job, .attempt = attempt}};

    for (unsigned i = 0; member->jobs->sent && i < SETTLEMENTS_KEPT; i++) {
        struct SentSettlement *sent = &member->jobs->sent->each[i];
        Record *record = sent->record;

        if (sent->job != job || sent->attempt != attempt)
            continue;
        *sent = (struct SentSettlement){0};
        if (record)
            return record;
        message.op = OP_ACK;
        break;
    }
    return record_new(&message, NULL);
}

/* ---- the end ---- */

static void leave(MovedJob *moved) {
    Core *leader = moved->leader;

    await_take(leader, &moved->await);
    timer_disarm(&leader->timers, &moved->pause);
    DL_DELETE(leader->jobs->moved, moved);
    leader->n_carried--;
    if (moved->delivery)
        moved->delivery->moved = NULL;
}

static void moved_free(MovedJob *moved) {
    record_free(moved->settlement);
    free(moved);
}

static void end_confirm(Core *core, Settlement *confirm, ferry_error *error) {
    settlement_hold(core, confirm);
    settlement_end(core, confirm, error);
}

/* The job is not the worker's any more, or it is not known where it is. */
static void fail(MovedJob *moved, ferry_error *error) {
    Delivery *job = moved->delivery;

    leave(moved);
    if (moved->confirm)
        end_confirm(moved->leader, moved->confirm, error);
    if (job && job->settled)
        job_done(job);
    else if (job)
        job_lose(job, FERRY_LOST_QUEUE_MOVED);
    moved_free(moved);
}

/* The program has settled the job meanwhile. */
static void settle_at(MovedJob *moved, Core *member) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    Settlement *confirm = moved->confirm;
    Delivery *job = moved->delivery;
    Message message;
    const void *block = record_read(moved->settlement, &message);
    int r = 0;

    if (job) {
        job->confirm = confirm;
        r = moved->settle(job, (Lane)moved->settlement->lane, &message, block);
        confirm = job->confirm;
        job->confirm = NULL;
    } else {
        moved_job_sent(member, &message);
        if (confirm) {
            settlement_hold(member, confirm);
            settlement_send(member, confirm, &message);
            return;
        }
        r = core_send(member, LANE_CALLS, &message, block);
    }
    if (r == 0 || !confirm)
        return;
    error_set_code(&error, r, NULL);
    end_confirm(member, confirm, &error);
}

/* The broker of this member has the job in flight to its session. */
static void arrive(MovedJob *moved, Core *member) {
    Delivery *job = moved->delivery;

    leave(moved);
    if (job)
        job_move(job, member);
    if (moved->settlement)
        settle_at(moved, member);
    if (job && job->settled)
        job_done(job);
    moved_free(moved);
}

/* ---- the search for the next broker ---- */

static void ask(MovedJob *moved);

static void on_pause_ends(Timer *timer, void *ctx) {
    (void)ctx;
    ask(container_of(timer, MovedJob, pause));
}

static void pause_then_ask(MovedJob *moved) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    uint64_t now_ms = clock_ms();

    moved->asked = NULL;
    if (now_ms < moved->until_ms) {
        timer_arm(&moved->leader->timers, &moved->pause,
                  now_ms + moved_pause_ms(++moved->n_refusals), on_pause_ends);
        return;
    }
    error_set(&error, "ferry.Moved", "the queue of job %llu is at no broker of the URL",
              (unsigned long long)moved->job);
    fail(moved, &error);
}

static void on_answer(Core *leader, Await *await, const Message *message, const void *block) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    MovedJob *moved = (MovedJob *)await;
    bool had_owner = moved->has_owner;
    Core *member = moved->asked;
    Moved to;

    (void)block;
    await_take(leader, await);
    if (!moved_read(message, &to)) {
        if (message->op == OP_ERROR) {
            error_of_message(message, &error);
            fail(moved, &error);
        } else {
            arrive(moved, member);
        }
        return;
    }
    moved->has_owner = to.broker.len > 0;
    if (moved->has_owner)
        memcpy(moved->owner, to.broker.data, WIRE_TOKEN);
    /* A broker that is named for the first time is asked at once. */
    if (moved->has_owner && !had_owner)
        ask(moved);
    else
        pause_then_ask(moved);
}

static int send_through(MovedJob *moved, Core *member) {
    Message message = {.op = OP_EXTEND, .settle = {.job = moved->job, .attempt = moved->attempt}};
    Core *leader = moved->leader;
    int r;

    message.id = moved->await.id = *leader->next_id;
    r = await_put(leader, &moved->await);
    if (r < 0) {
        moved->await.id = 0;
        return r;
    }
    (*leader->next_id)++;
    moved->await.route = member->route;
    r = link_put(member->link, LANE_CALLS, &message, NULL);
    if (r < 0)
        await_take(leader, &moved->await);
    return r;
}

static void ask(MovedJob *moved) {
    Span owner = moved->has_owner ? span_of(moved->owner, WIRE_TOKEN) : (Span){NULL, 0};
    Core *member = brokers_find_member(moved->leader, owner, moved->n_refusals);

    if (!member)
        moved->has_owner = false;
    if (!member || send_through(moved, member) < 0) {
        pause_then_ask(moved);
        return;
    }
    moved->asked = member;
    core_sent(member); /* last: it may find that the session is lost */
}

/* ---- the beginning ---- */

static MovedJob *moved_new(Core *leader, uint64_t job, uint64_t attempt) {
    MovedJob *moved = calloc(1, sizeof(*moved));

    if (!moved)
        return NULL;
    moved->await.fn = on_answer;
    moved->await.at_close = true;
    moved->leader = leader;
    moved->job = job;
    moved->attempt = attempt;
    moved->until_ms = clock_ms() + MOVED_JOB_MS;
    DL_APPEND(leader->jobs->moved, moved);
    leader->n_carried++;
    return moved;
}

void moved_job_begin(Delivery *job) {
    MovedJob *moved =
        job->moved || job->lost ? NULL : moved_new(job->core->leader, job->number, job->attempt);

    if (moved) {
        moved->delivery = job;
        job->moved = moved;
        pause_then_ask(moved);
    } else if (!job->moved) {
        job_lose(job, FERRY_LOST_QUEUE_MOVED);
    }
}

static MovedJob *find(const Core *leader, uint64_t job, uint64_t attempt) {
    MovedJob *moved = leader->jobs->moved;

    while (moved && (moved->job != job || moved->attempt != attempt))
        moved = moved->next;
    return moved;
}

/* Takes the settlement. */
static int begin_settled(Core *member, uint64_t job, uint64_t attempt, Record *settlement,
                         Settlement *confirm) {
    MovedJob *moved = settlement ? moved_new(member->leader, job, attempt) : NULL;

    if (!moved) {
        record_free(settlement);
        return -ENOMEM;
    }
    moved->settlement = settlement;
    moved->confirm = confirm;
    pause_then_ask(moved);
    return 0;
}

static void no_memory(const Core *member, Settlement *confirm) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;

    error_set_code(&error, -ENOMEM, NULL);
    if (confirm)
        end_confirm(member->leader, confirm, &error);
}

void moved_job_again(Core *member, uint64_t job, uint64_t attempt, Settlement *confirm) {
    MovedJob *moved = find(member->leader, job, attempt);

    if (moved) {
        if (confirm)
            moved->confirm = confirm;
    } else if (begin_settled(member, job, attempt, take_sent(member, job, attempt), confirm) < 0) {
        no_memory(member, confirm);
    }
}

int moved_job_send(Core *member, const Message *settlement, Settlement *confirm) {
    return begin_settled(member, settlement->settle.job, settlement->settle.attempt,
                         record_new(settlement, NULL), confirm);
}

int moved_job_settle(Delivery *job, Lane lane, const Message *message, const void *block,
                     SettleFn fn) {
    MovedJob *moved = job->moved;

    moved->settlement = record_new(message, block);
    if (!moved->settlement)
        return -ENOMEM;
    moved->settlement->lane = (uint8_t)lane;
    moved->settle = fn;
    moved->confirm = job->confirm;
    job->confirm = NULL;
    job->settled = true;
    return 0;
}

/* ---- the part ---- */

static void member_gone(const Core *member) {
    MovedJob *moved, *next;

    if (!member->leader)
        return;
    DL_FOREACH_SAFE(member->leader->jobs->moved, moved, next) {
        if (moved->asked != member)
            continue;
        await_take(moved->leader, &moved->await);
        moved->has_owner = false;
        pause_then_ask(moved);
    }
}

static void down(Core *core, const ferry_error *reason, bool was_up) {
    (void)reason;
    if (was_up)
        member_gone(core);
}

static bool is_unconfirmed(const Core *core) {
    MovedJob *moved;

    DL_FOREACH(core->jobs->moved, moved) {
        if (moved->settlement)
            return true;
    }
    return false;
}

/* Jobs that the program has not settled are lost with the client. */
static void stop(Core *core) {
    MovedJob *moved, *next;

    DL_FOREACH_SAFE(core->jobs->moved, moved, next) {
        if (moved->settlement)
            continue;
        leave(moved);
        moved_free(moved);
    }
}

/* The link was freed. */
static void shut(Core *core) {
    member_gone(core);
    while (core->jobs->moved) {
        CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;

        settlement_cancelled(&error);
        fail(core->jobs->moved, &error);
    }
}

static void free_sent(Core *core) {
    for (unsigned i = 0; core->jobs->sent && i < SETTLEMENTS_KEPT; i++)
        record_free(core->jobs->sent->each[i].record);
    free(core->jobs->sent);
}

const Part moved_jobs_part = {
    .free = free_sent,
    .down = down,
    .is_unconfirmed = is_unconfirmed,
    .stop = stop,
    .shut = shut,
};
