/* SPDX-License-Identifier: Apache-2.0 */

/* Workers and their jobs. See work.h. */

#include "clients/c/queues/work.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/buffer.h"
#include "base/container.h"
#include "clients/c/brokers/brokers.h"
#include "clients/c/core/loop.h"
#include "clients/c/core/names.h"
#include "clients/c/core/session.h"
#include "clients/c/queues/push-options.h"

typedef struct Worker {
    Registration registration;
    ferry_job_fn fn;
    ferry_job_lost_fn on_lost;
    void *ctx;
    bool is_quick; /* its last handler returned at once: the messages of the next one may wait until
                      it returns */
    uint32_t slots;
    uint64_t known_as; /* its id in core->pulls; 0: not in the table */
    uint64_t consumed; /* see credit_return() */
    size_t queue_len;
    char queue[NAME_MAX_LEN + 1];
} Worker;

enum {
    LONG_MS = 20, /* if a handler ran for this long, its job may have been lost meanwhile */
    QUICK_MS = 1, /* the longest run of a quick handler, by the coarse clock */
};

/* Waits for the confirmation of a settlement. */
struct Settlement {
    Await await;             /* first: an Await is a Settlement */
    Settlement *prev, *next; /* of core->settlements; or next alone, of the ended ones */
    ferry_done_fn fn;
    void *ctx;
    bool failed;
    ferry_error error;
};

static_assert(offsetof(Delivery, job) == sizeof(BlockHeader), "a job follows its header");

static Delivery *job_of(const ferry_job *job) {
    return container_of(job, Delivery, job);
}

/* ---- ferry_keep() on a job ---- */

static const void *keep_job(const void *block) {
    const Delivery *job = job_of(block);
    const ferry_bytes body = job->job.body;
    const void *inner = body.block ? ferry_keep(body.block) : NULL;
    size_t fixed = sizeof(Delivery) - sizeof(BlockHeader);
    ferry_job *copy;
    Delivery *kept;
    char *at;

    if (body.block && !inner)
        return NULL;
    copy = block_new_around(fixed + header_text_size(job->headers) + (inner ? 0 : body.len), inner);
    if (!copy) {
        ferry_free(inner);
        return NULL;
    }
    kept = job_of(copy);
    memcpy(copy, &job->job, fixed);
    kept->core = NULL;
    kept->settled = true;
    kept->confirm = NULL;
    kept->lost_due = false;
    kept->job.id = kept->id + (job->job.id - job->id);
    kept->job.queue = kept->queue;
    at = (char *)copy + fixed;
    kept->text = header_text_init(at, job->headers);
    if (!inner) {
        at += header_text_size(job->headers);
        if (body.len > 0)
            memcpy(at, body.data, body.len);
        kept->job.body = ferry_bytes_of(at, body.len);
    }
    return copy;
}

/* ---- arriving ---- */

static void hold(Core *core, Delivery *job) {
    DL_PREPEND(core->in_flight, job);
}

static void let_go(Core *core, Delivery *job) {
    DL_DELETE(core->in_flight, job);
}

static void job_free(Core *core, Delivery *job) {
    free(job->confirm);
    if (job->text)
        free(job->text);
    if (job->copy) {
        ferry_free(job->job.body.block);
        free(job->copy);
    }
    slabs_free(&core->slabs, job, sizeof(*job));
}

static char *write_number(char *end, uint64_t number) {
    *--end = '\0';
    do {
        *--end = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return end;
}

static void give_back(Core *core, const Message *job) {
    core_send(core, LANE_CALLS,
              &(Message){
                  .op = OP_RELEASE, .settle.job = job->job.job, .settle.attempt = job->job.attempt},
              NULL);
}

/* Frees the job, once its handler has returned and it is settled. */
static void job_end(Core *core, Delivery *job) {
    if (job->in_handler || !job->settled)
        return;
    if (job->deferred) {
        core->n_jobs--;
        job_free(core, job);
        core_unref(core);
    } else {
        job_free(core, job);
    }
}

static Delivery *job_new(Core *core, const Worker *worker, const Message *message,
                         const void *block) {
    Delivery *job = slabs_alloc(&core->slabs, sizeof(*job));

    if (!job)
        return NULL;
    block_init_lent(&job->header, keep_job);
    job->core = core;
    job->number = message->job.job;
    job->attempt = message->job.attempt;
    job->headers = message->headers;
    job->text = NULL;
    job->copy = NULL;
    job->deferred = job->settled = job->lost = job->lost_due = false;
    job->on_lost = worker->on_lost;
    job->ctx = worker->ctx;
    job->confirm = NULL;
    job->in_handler = true;
    job->began_ms = core->now_ms;
    memcpy(job->queue, worker->queue, worker->queue_len + 1);
    job->job.queue = job->queue;
    job->job.id = write_number(job->id + sizeof(job->id), message->job.job);
    job->job.attempt =
        message->job.attempt < UINT32_MAX ? (uint32_t)message->job.attempt : UINT32_MAX;
    job->job.body = bytes_span(message->body, block);
    hold(core, job);
    return job;
}

static void handled(Core *core, Worker *worker, const Message *job) {
    /* Another session may have begun during the handler, with a new id and new credit for the
     * worker. */
    if (worker->registration.id == job->job.pull)
        credit_return(core, job->job.pull, &worker->consumed, job->body.len);
}

static void on_job(Core *core, const Message *message, const void *block, bool later) {
    Worker *worker = id_map_get(&core->pulls, message->job.pull);
    Delivery *job = NULL;
    uint64_t began_ms;
    int r;

    if (later) {
        deferred_put(core, message, block);
        return;
    }
    if (worker && (worker->registration.state == REGISTRATION_ON ||
                   worker->registration.state == REGISTRATION_ASKED))
        job = job_new(core, worker, message, block);
    if (!job) {
        give_back(core, message);
        if (worker)
            handled(core, worker, message);
        return;
    }
    registration_enter(&worker->registration);
    core->handler_is_long = !worker->is_quick;
    began_ms = clock_about_ms();
    r = worker->fn(&job->job, worker->ctx);
    core->handler_is_long = false;
    worker->is_quick = clock_about_ms() <= began_ms + QUICK_MS;
    handled(core, worker, message);
    registration_leave(core, &worker->registration);
    if (!job->settled && !job->deferred) {
        if (r < 0)
            ferry_job_retry(&job->job, 0, strerror(-r));
        else
            ferry_job_ack(&job->job);
        if (!job->settled) {
            /* Out of memory, or the client is closed: the broker redelivers the job after this
             * session. */
            job->settled = true;
            let_go(core, job);
        }
    }
    /* Set this last: a settlement after the handler frees the job. */
    job->in_handler = false;
    job_end(core, job);
}

/* ---- settling ---- */

/* After a long handler, a LOST message may have arrived without being read yet. */
static bool is_lost(Delivery *job) {
    Core *core = job->core;

    if (!job->lost && core->is_up && clock_about_ms() > job->began_ms + LONG_MS)
        core_look(core);
    return job->lost;
}

bool ferry_job_lost(ferry_job *job) {
    Delivery *mine = job ? job_of(job) : NULL;

    if (!mine || !mine->core || mine->settled || mine->core->closed)
        return true;
    core_look(mine->core);
    return mine->lost;
}

/* ---- confirmed settlements ---- */

static void settlement_free(Core *core, Settlement *settlement) {
    await_take(core, &settlement->await);
    DL_DELETE(core->settlements, settlement);
    free(settlement);
}

/* The callback runs in a turn; the answer may have come in a blocking call. */
static void settlement_end(Core *core, Settlement *settlement, ferry_error *error) {
    await_take(core, &settlement->await);
    DL_DELETE(core->settlements, settlement);
    settlement->next = NULL;
    settlement->failed = error != NULL;
    if (error)
        error_move(&settlement->error, error);
    if (core->ended_settlements)
        core->last_ended_settlement->next = settlement;
    else
        core->ended_settlements = settlement;
    core->last_ended_settlement = settlement;
    core_raise(core);
}

static void on_settled(Core *core, Await *await, const Message *message, const void *block) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;

    (void)block;
    if (!message) {
        error_set(&error, "ferry.ConnectionLost",
                  "the connection was lost before the settlement was confirmed");
        error.outcome_unknown = true;
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

static int send_settlement(Delivery *job, Lane lane, Message *message, const void *block) {
    Settlement *settlement = job->confirm;
    Core *core = job->core;
    int r;

    if (!settlement)
        return core_send(core, lane, message, block);
    message->id = settlement->await.id = core->next_id;
    r = await_put(core, &settlement->await);
    if (r < 0) {
        settlement->await.id = 0;
        return r;
    }
    DL_APPEND(core->settlements, settlement);
    job->confirm = NULL;
    core->next_id++;
    r = core_send(core, lane, message, block);
    if (r < 0)
        settlement_free(core, settlement);
    return r;
}

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
    else if (is_lost(job))
        r = -ESTALE;
    else
        r = send_settlement(job, lane, message, block);
    if (r < 0 && r != -ESTALE && core->link)
        return r;
    job->settled = true;
    free(job->confirm);
    job->confirm = NULL;
    if (job->lost_due)
        core->n_lost_due--;
    job->lost_due = false;
    let_go(core, job);
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

ferry_job *ferry_job_defer(ferry_job *job) {
    Delivery *mine = job ? job_of(job) : NULL;
    ferry_bytes body;
    char *copy;

    if (!mine || mine->settled || !mine->in_handler || mine->deferred)
        return mine && mine->deferred ? job : NULL;
    body = job->body;
    copy = malloc(mine->headers.len + (body.block ? 0 : body.len) + 1);
    if (!copy)
        return NULL;
    if (body.block) {
        ferry_keep(body.block);
    } else {
        if (body.len > 0)
            memcpy(copy + mine->headers.len, body.data, body.len);
        job->body.data = copy + mine->headers.len;
    }
    if (mine->headers.len > 0)
        memcpy(copy, mine->headers.data, mine->headers.len);
    mine->headers.data = (const uint8_t *)copy;
    mine->copy = copy;
    mine->deferred = true;
    mine->core->n_jobs++;
    core_ref(mine->core);
    return job;
}

static const HeaderText *text_of(const ferry_job *job) {
    Delivery *mine = job ? job_of(job) : NULL;

    if (mine && !mine->text && mine->core && mine->headers.len > 0)
        mine->text = header_text_new(mine->headers);
    return mine ? mine->text : NULL;
}

const char *ferry_job_header(const ferry_job *job, const char *name) {
    const HeaderText *text = name ? text_of(job) : NULL;

    return text ? header_text_find(text, name) : NULL;
}

const char *ferry_job_header_after(const ferry_job *job, const char *name) {
    const HeaderText *text = text_of(job);

    return text ? header_text_after(text, name) : NULL;
}

/* ---- sessions ---- */

static bool is_settlement(unsigned op) {
    return op >= OP_ACK && op <= OP_FORWARD && op != OP_EXTEND;
}

/* The list in HELLO of the jobs that this client holds. At most WIRE_HELD_MAX jobs fit into HELLO.
 */
typedef struct Held {
    Buffer *list; /* NULL: only count */
    uint32_t n;
} Held;

static void add_held(Held *held, uint64_t job, uint64_t attempt) {
    if (held->n == WIRE_HELD_MAX)
        return;
    held->n++;
    if (!held->list)
        return;
    write_array(held->list, 2);
    write_uint(held->list, job);
    write_uint(held->list, attempt);
}

static void add_records(Held *held, const Record *records) {
    for (const Record *record = records; record; record = record->next) {
        Message message;

        if (record->op != OP_JOB && !is_settlement(record->op))
            continue;
        record_read(record, &message);
        if (record->op == OP_JOB)
            add_held(held, message.job.job, message.job.attempt);
        else
            add_held(held, message.settle.job, message.settle.attempt);
    }
}

static void add_all(Held *held, const Core *core) {
    add_records(held, core->unsent);
    for (const Delivery *job = core->in_flight; job; job = job->next)
        if (!job->lost)
            add_held(held, job->number, job->attempt);
    add_records(held, core->deferred);
}

static void hello(Core *core, Message *message, Buffer *to) {
    Held counted = {0}, written = {.list = to};

    add_all(&counted, core);
    if (counted.n == 0)
        return;
    write_array(to, counted.n);
    add_all(&written, core);
    if (!to->failed)
        message->hello.held = span_of(to->data, to->len);
}

/* ---- lost jobs ---- */

static bool is_job_of(const Message *message, uint64_t job, uint64_t attempt) {
    return message->job.job == job && message->job.attempt == attempt;
}

typedef struct LostJob {
    Core *core;
    uint64_t job, attempt;
} LostJob;

static bool is_not_lost_job(const Record *record, const void *ctx) {
    const LostJob *lost = ctx;
    Message message;
    Worker *worker;

    if (record->op != OP_JOB)
        return true;
    record_read(record, &message);
    if (!is_job_of(&message, lost->job, lost->attempt))
        return true;
    worker = id_map_get(&lost->core->pulls, message.job.pull);
    if (worker)
        handled(lost->core, worker, &message);
    return false;
}

static void lose(Core *core, Delivery *job, ferry_lost_reason reason) {
    if (job->lost)
        return;
    job->lost = true;
    job->reason = (uint8_t)reason;
    if (!job->on_lost)
        return;
    job->lost_due = true;
    core->n_lost_due++;
    core_raise(core);
}

/* The broker has taken the job back, for example because its time limit has passed. */
static void on_lost(Core *core, const Message *message, const void *block, bool later) {
    (void)block, (void)later;
    for (Delivery *job = core->in_flight; job; job = job->next)
        if (job->number == message->lost.job && job->attempt == message->lost.attempt)
            lose(core, job,
                 message->lost.reason <= LOST_MOVED ? (ferry_lost_reason)message->lost.reason
                                                    : FERRY_LOST_AWAY);
    deferred_keep(core, is_not_lost_job,
                  &(LostJob){core, message->lost.job, message->lost.attempt});
}

/* The jobs that WELCOME lists: this client still holds them. */
static int read_accepted(Span list, IdMap *ret) {
    Reader reader = reader_of(list.data, list.len);
    uint32_t n = list.len > 0 ? reader_array(&reader) : 0;

    for (; n > 0 && !reader.problem; n--) {
        uint32_t n_fields = reader_array(&reader);
        uint64_t job = n_fields >= 2 ? reader_uint(&reader) : 0;
        uint64_t attempt = n_fields >= 2 ? reader_uint(&reader) : 0;

        if (n_fields != 2 || reader.problem)
            break;
        if (id_map_put(ret, job, (void *)(uintptr_t)attempt) == -ENOMEM)
            return -ENOMEM;
    }
    return 0;
}

static bool is_accepted(const IdMap *accepted, uint64_t job, uint64_t attempt) {
    return accepted->n > 0 && (uintptr_t)id_map_get(accepted, job) == attempt;
}

static bool is_still_ours(const Record *record, const void *ctx) {
    Message message;

    if (record->op != OP_JOB && !is_settlement(record->op))
        return true;
    record_read(record, &message);
    return record->op == OP_JOB ? is_accepted(ctx, message.job.job, message.job.attempt)
                                : is_accepted(ctx, message.settle.job, message.settle.attempt);
}

/* Gives up the jobs that WELCOME does not list: another worker may have them, or the broker lost
 * them in a restart. */
static void up(Core *core, const Message *welcome) {
    IdMap accepted = {0};

    /* If there is no memory for the list, the settlements of lost jobs are sent anyway, and the
     * broker refuses them. */
    if (read_accepted(welcome->welcome.held, &accepted) == 0) {
        for (Delivery *job = core->in_flight; job; job = job->next)
            if (!is_accepted(&accepted, job->number, job->attempt))
                lose(core, job, FERRY_LOST_AWAY);
        deferred_keep(core, is_still_ours, &accepted);
        unsent_keep(core, is_still_ours, &accepted);
    }
    id_map_deinit(&accepted);
}

/* ---- workers ---- */

static int announce(Core *core, Registration *registration, uint64_t id) {
    Worker *worker = (Worker *)registration;
    int r = id_map_put(&core->pulls, id, worker);

    if (r < 0)
        return r;
    r = link_put(core->link, LANE_CALLS,
                 &(Message){.op = OP_PULL,
                            .id = id,
                            .name = span_text(worker->queue),
                            .pull = {.slots = worker->slots, .bytes = WIRE_CONSUMER_CREDIT}},
                 NULL);
    if (r < 0) {
        id_map_take(&core->pulls, id);
        return r;
    }
    if (worker->known_as)
        id_map_take(&core->pulls, worker->known_as);
    worker->known_as = id;
    worker->consumed = 0;
    return 0;
}

static int withdraw(Core *core, Registration *registration, uint64_t id) {
    return link_put(core->link, LANE_CALLS,
                    &(Message){.op = OP_UNPULL, .id = id, .unpull.pull = registration->id}, NULL);
}

static void worker_free(Core *core, Registration *registration) {
    Worker *worker = (Worker *)registration;

    if (worker->known_as)
        id_map_take(&core->pulls, worker->known_as);
    free(worker);
}

static const RegistrationKind worker_kind = {
    .announce = announce, .withdraw = withdraw, .free = worker_free, .stops = true};

typedef struct Work {
    const char *queue;
    const ferry_work_options *options;
    ferry_job_fn fn;
    void *ctx;
} Work;

static int work_at_one(ferry_client *member, const void *args, ferry_registration **ret,
                       ferry_error *reterr) {
    const Work *work = args;

    return ferry_work(member, work->queue, work->options, work->fn, work->ctx, ret, reterr);
}

int ferry_work(ferry_client *client, const char *queue, const ferry_work_options *options,
               ferry_job_fn fn, void *ctx, ferry_registration **ret, ferry_error *reterr) {
    int r = client_check(client, reterr);
    const CachedName *name;
    Worker *worker;

    if (r < 0)
        return r;
    if (!fn)
        return error_set(reterr, "ferry.Misuse", "the handler is NULL");
    if (options) {
        r = reserved_check(options->reserved, sizeof(options->reserved) / sizeof(uint64_t), reterr);
        if (r == 0 && options->reserved32)
            r = error_set(reterr, "ferry.Misuse", "reserved32 is not zero");
        if (r < 0)
            return r;
    }
    name = names_find(client->core->names, queue, reterr);
    if (!name)
        return -EINVAL;
    if (brokers_are_several(client))
        return fan_out(client, work_at_one, &(Work){queue, options, fn, ctx}, ret, reterr);
    worker = calloc(1, sizeof(*worker));
    if (!worker)
        return error_set_code(reterr, -ENOMEM, NULL);
    worker->fn = fn;
    worker->ctx = ctx;
    worker->on_lost = options ? options->lost : NULL;
    worker->slots = options && options->slots ? options->slots : 1;
    worker->queue_len = name->len;
    memcpy(worker->queue, name->text, name->len + 1);
    r = registration_add(client, &worker->registration, &worker_kind, reterr);
    if (r < 0)
        worker_free(client->core, &worker->registration);
    else if (ret)
        *ret = &worker->registration;
    return r;
}

/* ---- callbacks ---- */

static bool is_due(const Core *core) {
    return core->n_lost_due > 0 || core->ended_settlements;
}

/* Skip jobs that are not deferred: their handlers are still running, or have settled them. */
static Delivery *next_lost(const Core *core) {
    Delivery *job = core->n_lost_due > 0 ? core->in_flight : NULL;

    while (job && !(job->lost_due && job->deferred))
        job = job->next;
    return job;
}

static bool run(Core *core) {
    bool is_busy = is_due(core);
    Settlement *settlement;
    Delivery *job;

    while ((job = next_lost(core))) {
        job->lost_due = false;
        core->n_lost_due--;
        job->on_lost(&job->job, (ferry_lost_reason)job->reason, job->ctx);
    }
    while ((settlement = core->ended_settlements)) {
        core->ended_settlements = settlement->next;
        settlement->fn(settlement->failed ? &settlement->error : NULL, settlement->ctx);
        ferry_error_clear(&settlement->error);
        free(settlement);
    }
    return is_busy;
}

static bool is_unconfirmed(const Core *core) {
    return core->settlements != NULL;
}

/* The link was freed: no answer can arrive. */
static void shut(Core *core) {
    while (core->settlements) {
        CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;

        error_set(&error, "ferry.Cancelled",
                  "the client was closed before the settlement was confirmed");
        error.outcome_unknown = true;
        settlement_end(core, core->settlements, &error);
    }
}

const Part jobs_part = {
    .up = up,
    .is_due = is_due,
    .run = run,
    .is_unconfirmed = is_unconfirmed,
    .shut = shut,
    .hello = hello,
    .receivers = (const struct Receiver[]){{OP_JOB, on_job}, {OP_LOST, on_lost}, {0, NULL}},
};
