/* SPDX-License-Identifier: Apache-2.0 */

/* Workers: jobs that arrive, that are lost, and that outlive a session. See work.h. */

#include "clients/c/queues/work.h"

#include <stdlib.h>
#include <utlist.h>

#include "base/buffer.h"
#include "clients/c/brokers/brokers.h"
#include "clients/c/core/loop.h"
#include "clients/c/core/names.h"
#include "clients/c/core/session.h"
#include "clients/c/queues/forward.h"
#include "clients/c/queues/job.h"
#include "clients/c/queues/moved-jobs.h"
#include "clients/c/resend/registration.h"

typedef struct Worker {
    Registration registration;
    ferry_job_fn fn;
    ferry_job_lost_fn on_lost;
    void *ctx;
    bool is_quick; /* its last handler returned at once: the messages of the next one may wait until
                      it returns */
    uint32_t slots;
    uint64_t known_as; /* its id in core->jobs->pulls; 0: not in the table */
    uint64_t consumed; /* see credit_return() */
    size_t queue_len;
    char queue[NAME_MAX_LEN + 1];
} Worker;

enum { QUICK_MS = 1 }; /* the longest run of a quick handler, by the coarse clock */

/* ---- arriving ---- */

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

static Delivery *job_new(Core *core, const Worker *worker, const Message *message,
                         const void *block) {
    Delivery *job = core->leader ? malloc(sizeof(*job)) : slabs_alloc(&core->slabs, sizeof(*job));

    if (!job)
        return NULL;
    job->is_of_slabs = !core->leader;
    job->has_core = false;
    job->moved = NULL;
    block_init_lent(&job->header, job_keep);
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
    job_hold(core, job);
    return job;
}

static void handled(Core *core, Worker *worker, const Message *job) {
    /* Another session may have begun during the handler, with a new id and new credit for the
     * worker. */
    if (worker->registration.id == job->job.pull)
        credit_return(core, job->job.pull, &worker->consumed, job->body.len);
}

static void on_job(Core *core, const Message *message, const void *block, bool later) {
    Worker *worker = id_map_get(&core->jobs->pulls, message->job.pull);
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
            if (!job->moved)
                job_let_go(job->core, job);
        }
    }
    /* Set this last: a settlement after the handler frees the job. */
    job->in_handler = false;
    job_end(job->core, job);
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

static void add_records(Held *held, const RecordList *records) {
    for (const Record *record = records->first; record; record = record->next) {
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
    uint64_t number, attempt;
    ForwardedJob *forward = NULL;

    add_records(held, &core->unsent);
    for (const Delivery *job = core->jobs->in_flight; job; job = job->next)
        if (!job->lost && !job->moved)
            add_held(held, job->number, job->attempt);
    add_records(held, &core->deferred.records);
    while (forward_next_held(core, &forward, &number, &attempt))
        add_held(held, number, attempt);
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
    worker = id_map_get(&lost->core->jobs->pulls, message.job.pull);
    if (worker)
        handled(lost->core, worker, &message);
    return false;
}

/* A later broker may send a reason that this library does not know. */
static ferry_lost_reason reason_of(uint64_t wire) {
    static const ferry_lost_reason reasons[] = {
        [LOST_TIME_LIMIT] = FERRY_LOST_TIME_LIMIT,
        [LOST_CANCELLED] = FERRY_LOST_CANCELLED,
        [LOST_MOVED] = FERRY_LOST_MOVED,
        [LOST_AWAY] = FERRY_LOST_QUEUE_MOVED,
    };

    return wire < sizeof(reasons) / sizeof(*reasons) ? reasons[wire] : FERRY_LOST_AWAY;
}

static Delivery *find_in_flight(const Core *core, uint64_t number, uint64_t attempt) {
    Delivery *job = core->jobs->in_flight;

    while (job && (job->number != number || job->attempt != attempt))
        job = job->next;
    return job;
}

/* The broker has taken the job back, for example because its time limit has passed. */
static void on_lost(Core *core, const Message *message, const void *block, bool later) {
    uint64_t number = message->lost.job, attempt = message->lost.attempt;
    bool is_moving = core->leader && message->lost.reason == LOST_AWAY;
    Delivery *job = find_in_flight(core, number, attempt);

    (void)block, (void)later;
    records_keep(&core->deferred.records, is_not_lost_job, &(LostJob){core, number, attempt});
    if (job && is_moving)
        moved_job_begin(job);
    else if (job)
        job_lose(job, reason_of(message->lost.reason));
    else if (is_moving && !forward_is_moving(core, number, attempt))
        moved_job_again(core, number, attempt, NULL);
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
        for (Delivery *job = core->jobs->in_flight; job; job = job->next)
            if (!job->moved && !is_accepted(&accepted, job->number, job->attempt))
                job_lose(job, FERRY_LOST_AWAY);
        records_keep(&core->deferred.records, is_still_ours, &accepted);
        records_keep(&core->unsent, is_still_ours, &accepted);
    }
    id_map_deinit(&accepted);
}

/* ---- workers ---- */

/* True: its pulls wait at each broker of the URL for the queue. With one broker of a cluster, a
 * queue at another one is an error. */
static bool waits(const Core *core) {
    return core->leader != NULL;
}

static int announce(Core *core, Registration *registration, uint64_t id) {
    Worker *worker = (Worker *)registration;
    int r = id_map_put(&core->jobs->pulls, id, worker);

    if (r < 0)
        return r;
    r = link_put(
        core->link, LANE_CALLS,
        &(Message){
            .op = OP_PULL,
            .id = id,
            .name = span_text(worker->queue),
            .pull = {.slots = worker->slots, .bytes = WIRE_CONSUMER_CREDIT, .wait = waits(core)}},
        NULL);
    if (r < 0) {
        id_map_take(&core->jobs->pulls, id);
        return r;
    }
    if (worker->known_as)
        id_map_take(&core->jobs->pulls, worker->known_as);
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
        id_map_take(&core->jobs->pulls, worker->known_as);
    free(worker);
}

static int worker_copy(const Registration *from, ferry_client *member, Registration **ret) {
    const Worker *worker = (const Worker *)from;
    const ferry_work_options options = {.slots = worker->slots, .lost = worker->on_lost};

    return ferry_work(member, worker->queue, &options, worker->fn, worker->ctx, ret, NULL);
}

static const RegistrationKind worker_kind = {.announce = announce,
                                             .withdraw = withdraw,
                                             .free = worker_free,
                                             .copy = worker_copy,
                                             .stops = true};

/* The queue has left the broker, and the pulls that do not wait have ended. */
static void on_moved(Core *core, const Message *message, const void *block, bool later) {
    ferry_error error = FERRY_ERROR_INIT;

    (void)block, (void)later;
    if (waits(core))
        return;
    error_set(&error, "ferry.Moved",
              "the queue '%.*s' has gone to another broker: %.*s (a URL lists all brokers of a "
              "cluster)",
              (int)message->name.len, (const char *)message->name.data, (int)message->moved.url.len,
              (const char *)message->moved.url.data);
    for (Registration *r = core->registrations; r; r = r->next)
        if (r->kind == &worker_kind && r->state == REGISTRATION_ON &&
            span_is(message->name, ((Worker *)r)->queue))
            registration_ended(core, r, &error);
    ferry_error_clear(&error);
}

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
    return core->jobs->n_lost_due > 0;
}

/* Skip jobs that are not deferred: their handlers are still running, or have settled them. */
static Delivery *next_lost(const Core *core) {
    Delivery *job = core->jobs->n_lost_due > 0 ? core->jobs->in_flight : NULL;

    while (job && !(job->lost_due && job->deferred))
        job = job->next;
    return job;
}

static bool run(Core *core) {
    bool is_busy = is_due(core);
    Delivery *job;

    while ((job = next_lost(core))) {
        job->lost_due = false;
        core->jobs->n_lost_due--;
        job->on_lost(&job->job, (ferry_lost_reason)job->reason, job->ctx);
    }
    return is_busy;
}

static void free_part(Core *core) {
    id_map_deinit(&core->jobs->pulls);
}

const Part jobs_part = {
    .free = free_part,
    .up = up,
    .is_due = is_due,
    .run = run,
    .hello = hello,
    .receivers =
        (const struct Receiver[]){
            {OP_JOB, on_job}, {OP_LOST, on_lost}, {OP_MOVED, on_moved}, {0, NULL}},
};
