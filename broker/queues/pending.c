/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Changes of jobs, made by the queue's store, and their answers. A store finishes a change at once
 * or later. A change that is finished later needs a record; the store in memory never needs one.
 */

#include <assert.h>
#include <utlist.h>

#include "base/container.h"
#include "broker/queues/changes-private.h"
#include "broker/queues/jobs-private.h"
#include "broker/queues/pulls-private.h"
#include "broker/queues/queues-private.h"
#include "broker/queues/restored-private.h"
#include "broker/queues/shards-private.h"

typedef enum ChangeKind {
    CHANGE_PUSH,
    CHANGE_REMOVE,
    CHANGE_CANCEL, /* a CHANGE_REMOVE that a method of ferry.Broker has asked for */
    CHANGE_FORWARD,
    CHANGE_DEAD_LETTER,
    CHANGE_MOVE,
} ChangeKind;

/* A push with the key of a job that is being stored. */
typedef struct Twin {
    struct Twin *prev, *next;
    Session *session; /* gets the answer; NULL: the session is gone */
    Client *client;   /* remembers the push; NULL: it is gone, or does not remember it */
    uint64_t id;
} Twin;

typedef struct Change {
    ChangeKind kind;
    Job *job;         /* the new job, or (CHANGE_REMOVE, CHANGE_CANCEL) the job that is removed */
    Job *old;         /* the job that the new job replaces, or NULL */
    bool ends_move;   /* CHANGE_REMOVE: the job is stored elsewhere already */
    Session *session; /* gets the answer; NULL: the session is gone */
    uint64_t id;      /* of the answer */
    Twin *twins;      /* utlist; CHANGE_PUSH, CHANGE_FORWARD */
    Pusher pusher;    /* CHANGE_PUSH, and CHANGE_FORWARD from one shard to another; else zero */
} Change;

/* The key by which a repeated push is found. */
typedef struct PushKey {
    uint64_t client; /* the address of the client or the forwards; a key is compared byte by byte,
                      * so the struct has no padding */
    uint64_t id;
} PushKey;

struct Pending {
    Pending *prev, *next; /* in queues->pendings */
    uint64_t ticket;
    Store *store;     /* has the ticket */
    Store *old_store; /* another store, which has the old job; or NULL */
    Change change;
    Key *key;          /* the key of the job that is being stored, or NULL */
    UT_hash_handle hh; /* in queues->pending_pushes, if push.client is not 0 */
    PushKey push;
};

void push_ok(Session *session, uint64_t id, uint64_t job, uint64_t outcome, const Queue *queue) {
    const QueueSettings *settings = queue ? &queue->settings : NULL;
    uint64_t durability = !settings                   ? DURABILITY_UNKNOWN
                          : settings->interval_ms > 0 ? DURABILITY_INTERVAL
                                                      : settings->store->ops->confirms;

    if (id != 0)
        session_send(session, LANE_CALLS,
                     &(Message){.op = OP_OK, .id = id, .ok = {job, outcome, durability}}, NULL);
}

/* Writes the result of a method of ferry.Broker: the number of the moved job, or no value. */
static void result_ok(const Change *change) {
    CLEANUP(buffer_deinit) Buffer result = {0};

    if (change->kind == CHANGE_MOVE)
        write_uint(&result, change->job->stored.id);
    else
        write_nil(&result);
    if (!result.failed)
        session_send(
            change->session, LANE_CALLS,
            &(Message){.op = OP_OK, .id = change->id, .body = span_of(result.data, result.len)},
            NULL);
}

static void answer(const Change *change, int result) {
    Problem problem;

    if (!change->session || !change->id)
        return;
    if (result == 0) {
        if (change->kind == CHANGE_PUSH)
            push_ok(change->session, change->id, change->job->stored.id, PUSH_STORED,
                    queue_of(change->job));
        else if (change->kind == CHANGE_MOVE || change->kind == CHANGE_CANCEL)
            result_ok(change);
        else
            session_ok(change->session, LANE_CALLS, change->id, 0);
        return;
    }
    in_flight_unsettled(change->session->client->in_flight, change->id);
    store_problem(queue_of(change->job)->settings.store, result, &problem);
    if (change->kind == CHANGE_PUSH)
        push_refuse(change->session, change->id, &problem);
    else
        problem_answer(change->session, change->id, &problem);
}

static void answer_twins(const Change *change, int result) {
    const Job *job = change->job;
    const Queues *queues = queue_of(job)->queues;
    const Twin *twin;
    Problem problem;

    DL_FOREACH(change->twins, twin) {
        if (result == 0 && twin->client)
            dedup_window_add(twin->client->dedup_window, twin->id,
                             queues->broker->limits.max_unconfirmed);
        if (result == 0 && twin->session) {
            push_ok(twin->session, twin->id, job->stored.id, PUSH_DUPLICATE, queue_of(job));
        } else if (twin->session) {
            store_problem(queue_of(job)->settings.store, result, &problem);
            push_refuse(twin->session, twin->id, &problem);
        }
    }
}

static bool is_removal(const Change *change) {
    return change->kind == CHANGE_REMOVE || change->kind == CHANGE_CANCEL;
}

static bool is_across(const Job *old, const Job *job) {
    return queue_of(old)->settings.store != queue_of(job)->settings.store;
}

static void enter(Job *job) {
    Queue *queue = queue_of(job);

    job_enter_new(job);
    queue_dispatch(queue);
}

static void gone(Job *job) {
    Queue *queue = queue_of(job);

    job_free(job);
    if (queue->n_jobs == 0)
        queue_maybe_idle(queue);
}

static void remember(Queues *queues, const Pusher *pusher) {
    if (pusher->forwards)
        forwards_add(queues, pusher->forwards, pusher->id);
    else if (pusher->client && pusher->id && pusher->client->dedup_window)
        dedup_window_add(pusher->client->dedup_window, pusher->id,
                         queues->broker->limits.max_unconfirmed);
}

static void finish_push(const Change *change, int result) {
    Queue *queue = queue_of(change->job);

    answer(change, result);
    answer_twins(change, result);
    if (result < 0) {
        gone(change->job);
        return;
    }
    queue->n_pushed++;
    queue->queues->broker->stats.pushed++;
    remember(queue->queues, &change->pusher);
    enter(change->job);
}

void job_back_to_front(Job *job) {
    job_undrop(job);
    job_enter_front(job);
    queue_touch(queue_of(job));
}

/* A forwarded job that was not stored waits as after a RETRY: its worker would get it again and
 * again until the store works. It does not become a dead letter, because the failure is the
 * store's. */
static void unforwarded(Job *job, const Queue *to) {
    Queue *queue = queue_of(job);
    char reason[1200];

    snprintf(reason, sizeof(reason), "forwarding the job to '%s' failed: it was not stored",
             shown(span_of(to->name, to->stored.name_len)));
    job_set_reason(job, span_text(reason));
    job_enter_delayed(job, queue->queues->broker->now_ms + job_back_off_ms(job, job_retries(job)));
    store_note(queue->settings.store, &job->stored);
    queue_touch(queue);
}

static void finish_remove(const Change *change, int result) {
    answer(change, result);
    if (result < 0)
        job_back_to_front(change->job);
    else
        gone(change->job);
}

/* Puts the new job in the place of the old one. */
static void finish_replace(const Change *change, int result) {
    Queue *to = queue_of(change->job), *from = queue_of(change->old);

    answer(change, result);
    answer_twins(change, result);
    if (result < 0) {
        if (change->kind == CHANGE_FORWARD)
            unforwarded(change->old, to);
        gone(change->job);
        if (change->kind == CHANGE_DEAD_LETTER) {
            change->old->awaits_dead_letter = true;
            job_enter_delayed(change->old,
                              from->queues->broker->now_ms + from->settings.retry_max_ms);
        } else if (change->kind == CHANGE_MOVE) {
            job_back_to_front(change->old);
        }
        return;
    }
    if (change->kind == CHANGE_FORWARD) {
        remember(to->queues, &change->pusher);
        to->n_pushed++;
        to->queues->broker->stats.pushed++;
    } else if (change->kind == CHANGE_DEAD_LETTER) {
        to->queues->broker->stats.dead++;
    }
    /* The job has moved to another store: the store that had it before must still remove it. */
    if (!is_across(change->old, change->job))
        gone(change->old);
    else
        change_remove_moved(change->old);
    enter(change->job);
}

static void finish(const Change *change, int result) {
    if (change->kind == CHANGE_PUSH)
        finish_push(change, result);
    else if (is_removal(change))
        finish_remove(change, result);
    else
        finish_replace(change, result);
}

/* ---- beginning ---- */

/* A job cannot move to another store in one step. The broker pushes it there under a name made of
 * its origin, so that a broker that dies between the two steps does not store the job twice. */
static void name_of_origin(const Job *old, uint8_t name[WIRE_TOKEN], StoredPush *by) {
    queue_name_as_client(queue_of(old), name);
    by->client = name;
    by->id = old->stored.id;
}

static bool was_pushed_across(const Job *old, const Job *job) {
    uint8_t name[WIRE_TOKEN];
    StoredPush by = {0};

    if (!is_across(old, job))
        return false;
    /* A store in memory counts its ids from the same number in each process. */
    if (!queue_of(old)->settings.store->ops->restore)
        return false;
    name_of_origin(old, name, &by);
    return restored_pushes_have(queue_of(job)->queues, by.client, by.id);
}

static int begin(const Change *change, const Key *key, uint64_t ticket) {
    Store *store = queue_of(change->job)->settings.store;
    uint8_t name[WIRE_TOKEN];
    StoredPush by = {0};

    if (is_removal(change))
        return store_settle(store, ticket, &change->job->stored);
    if (key && !key->holder) { /* a unique key is stored with its job: see stored_job_unique() */
        by.key = span_of(key->data, key->len);
        by.key_until_ms = key->until_ms;
    }
    if (change->pusher.forwards) {
        by.client = forwards_client(change->pusher.forwards);
        by.id = change->pusher.id;
    } else if (change->kind == CHANGE_PUSH) {
        by.client = change->pusher.client->id;
        by.id = change->pusher.id;
    } else if (is_across(change->old, change->job)) {
        name_of_origin(change->old, name, &by);
    }
    if (change->old && !is_across(change->old, change->job))
        return store_forward(store, ticket, &change->old->stored, &change->job->stored, &by);
    return store_append(store, ticket, &change->job->stored, &by);
}

static PushKey key_of(const Pusher *pusher) {
    return (PushKey){pusher->forwards ? (uintptr_t)pusher->forwards : (uintptr_t)pusher->client,
                     pusher->id};
}

static Pending *find_push(const Queues *queues, const Pusher *pusher) {
    PushKey key = key_of(pusher);
    Pending *pending = NULL;

    if (key.client)
        HASH_FIND(hh, queues->pending_pushes, &key, sizeof(key), pending);
    return pending;
}

static void twins_free(Queues *queues, Twin *twins) {
    Twin *twin, *next;

    DL_FOREACH_SAFE(twins, twin, next) {
        slabs_free(&queues->slabs, twin, sizeof(*twin));
        queues->n_twins--;
    }
}

static void pending_free(Queues *queues, Pending *pending) {
    twins_free(queues, pending->change.twins);
    if (pending->change.pusher.forwards)
        forwards_let_go(pending->change.pusher.forwards);
    if (pending->push.client)
        HASH_DEL(queues->pending_pushes, pending);
    id_map_take(&queues->tickets, pending->ticket);
    pending->store->n_open--;
    if (pending->old_store)
        pending->old_store->n_open--;
    DL_DELETE(queues->pendings, pending);
    slabs_free(&queues->slabs, pending, sizeof(*pending));
}

static Pending *pending_new(Queues *queues, const Change *change, Key *key) {
    Pending *pending = slabs_alloc(&queues->slabs, sizeof(*pending));

    if (!pending)
        return NULL;
    memset(pending, 0, sizeof(*pending));
    pending->ticket = ++queues->last_ticket;
    pending->change = *change;
    pending->key = key;
    if (id_map_put(&queues->tickets, pending->ticket, pending) < 0) {
        slabs_free(&queues->slabs, pending, sizeof(*pending));
        return NULL;
    }
    pending->store = queue_of(change->job)->settings.store;
    pending->store->n_open++;
    if (change->old && is_across(change->old, change->job)) {
        pending->old_store = queue_of(change->old)->settings.store;
        pending->old_store->n_open++;
    }
    DL_APPEND(queues->pendings, pending);
    if (change->pusher.forwards)
        forwards_hold(change->pusher.forwards);
    pending->push = change->pusher.id ? key_of(&change->pusher) : (PushKey){0, 0};
    if (!pending->push.client)
        return pending;
    HASH_ADD(hh, queues->pending_pushes, push, sizeof(pending->push), pending);
    if (!hash_added(pending)) {
        pending->push.client = 0;
        pending_free(queues, pending);
        return NULL;
    }
    return pending;
}

/* Keeps the record of a change that the store finishes later. */
static int begin_later(const Change *change, Key *key) {
    Queues *queues = queue_of(change->job)->queues;
    Pending *pending = pending_new(queues, change, key);
    int r;

    if (!pending)
        return -ENOMEM;
    r = begin(change, key, pending->ticket);
    if (r != STORE_LATER)
        pending_free(queues, pending);
    else if (key)
        key->owner = &pending->key;
    return r;
}

/* A move between stores that has begun is finished, even if the shard of the old job closes. */
static bool is_away(const Change *change) {
    const Store *store = queue_of(change->job)->settings.store;

    return change->ends_move
               ? store->away
               : store_is_away(store) ||
                     (change->old && store_is_away(queue_of(change->old)->settings.store));
}

static int begin_in_store(const Change *change, Key *key) {
    const Store *store = queue_of(change->job)->settings.store;

    if (is_away(change))
        return -EREMCHG;
    return store->ops->later ? begin_later(change, key) : begin(change, key, 0);
}

static void submit(const Change *change, Key *key) {
    Queue *queue = queue_of(change->job);
    int r = begin_in_store(change, key);

    if (r == STORE_LATER)
        return;
    if (r < 0 && key)
        key_forget(queue, key);
    finish(change, r);
}

/* The next job with its ordering key does not wait for the store. */
void job_settle(Job *job) {
    job->state = JOB_SETTLING;
    order_pass_on(job);
}

void change_push(Job *job, Key *key, Session *session, const Pusher *pusher, uint64_t id) {
    submit(
        &(Change){.kind = CHANGE_PUSH, .job = job, .session = session, .pusher = *pusher, .id = id},
        key);
}

void change_remove(Job *job, Session *session, uint64_t id) {
    job_settle(job);
    paging_out(job); /* the content is needed again only if the store fails to remove the job */
    submit(&(Change){.kind = CHANGE_REMOVE, .job = job, .session = session, .id = id}, NULL);
}

void change_remove_moved(Job *job) {
    job_settle(job);
    paging_out(job);
    submit(&(Change){.kind = CHANGE_REMOVE, .job = job, .ends_move = true}, NULL);
}

void change_cancel(Job *job, Session *session, uint64_t id) {
    job_settle(job);
    paging_out(job);
    submit(&(Change){.kind = CHANGE_CANCEL, .job = job, .session = session, .id = id}, NULL);
}

/* The result of a job of a shard is remembered under one name, whether a broker forwards the job or
 * a worker pushes the result: the job may be redelivered by another broker, or the shards of both
 * queues may move meanwhile. 1: the result was stored before; -EBUSY: it is being stored. */
static int name_forward(Change *change) {
    const Queue *from = queue_of(change->old);
    Queues *queues = from->queues;
    uint8_t name[WIRE_TOKEN];

    if (!from->settings.store->shard)
        return 0;
    forwards_name(change->session->user, span_of(from->name, from->stored.name_len), name);
    if (restored_pushes_have(queues, name, change->old->stored.id))
        return 1;
    change->pusher.id = change->old->stored.id;
    change->pusher.forwards = forwards_reserve(queues, name);
    if (!change->pusher.forwards)
        return -ENOBUFS;
    return find_push(queues, &change->pusher) ? -EBUSY : 0;
}

void change_forward(Job *old, Job *job, Key *key, Session *session, uint64_t id) {
    Change change = {.kind = CHANGE_FORWARD, .job = job, .old = old, .session = session, .id = id};
    int r;

    job_settle(old);
    r = was_pushed_across(old, job) ? 1 : name_forward(&change);
    if (r > 0) {
        job_free(job);
        change_remove(old, session, id);
    } else if (r == 0) {
        submit(&change, key);
    } else {
        if (key)
            key_forget(queue_of(job), key);
        finish(&change, r);
    }
}

void change_dead_letter(Job *old, Job *dead, Session *session, uint64_t id) {
    job_settle(old);
    submit(
        &(Change){
            .kind = CHANGE_DEAD_LETTER, .job = dead, .old = old, .session = session, .id = id},
        NULL);
}

void change_move(Job *old, Job *job, Session *session, uint64_t id) {
    job_settle(old);
    submit(&(Change){.kind = CHANGE_MOVE, .job = job, .old = old, .session = session, .id = id},
           NULL);
}

/* ---- ending ---- */

static void end(Queues *queues, Pending *pending, int result) {
    Change change = pending->change;
    Key *key = pending->key;

    if (key) {
        key->owner = NULL;
        if (result < 0)
            key_forget(queue_of(change.job), key);
    }
    pending->change.twins = NULL;
    pending_free(queues, pending);
    finish(&change, result);
    twins_free(queues, change.twins);
}

void queues_store_done(uint64_t ticket, int result, void *ctx) {
    Queues *queues = ctx;
    Pending *pending = id_map_get(&queues->tickets, ticket);
    Waiter *waiter = pending ? NULL : waiter_take(queues, ticket);

    /* The changes of a shard that has left were ended before. */
    assert((pending || waiter || queues->n_shards > 0) && "a store ends each change once");
    if (waiter)
        waiter->fn(queues, waiter, result);
    else if (pending)
        end(queues, pending, result);
}

/* The old job is in the shard that is away, and the new job is being stored elsewhere: the new job
 * stays, even if the shard's next broker moves the old job once more. */
static void forget_old(Pending *pending) {
    Change *change = &pending->change;
    Job *old = change->old;

    answer(change, -EREMCHG);
    *change = (Change){
        .kind = CHANGE_PUSH, .job = change->job, .twins = change->twins, .pusher = change->pusher};
    pending->old_store->n_open--;
    pending->old_store = NULL;
    job_free(old);
}

void pendings_shard_left(Queues *queues, Store *store) {
    Pending *pending, *next, *last = queues->pendings ? queues->pendings->prev : NULL;
    bool is_last = !last;

    /* The end of a change may begin other changes, which stand behind the last one. */
    for (pending = queues->pendings; !is_last; pending = next) {
        next = pending->next;
        is_last = pending == last;
        if (pending->store == store)
            end(queues, pending, -EREMCHG);
        else if (pending->old_store == store)
            forget_old(pending);
    }
}

int pending_join(Queues *queues, const Key *key, Session *session, Client *client, uint64_t id) {
    Pending *pending = container_of(key->owner, Pending, key);
    Twin *twin;

    if (queues->n_twins >= queues->broker->limits.max_unconfirmed)
        return -EBUSY;
    twin = slabs_alloc(&queues->slabs, sizeof(*twin));
    if (!twin)
        return -ENOMEM;
    queues->n_twins++;
    *twin = (Twin){.session = session, .client = client, .id = id};
    DL_APPEND(pending->change.twins, twin);
    return 0;
}

bool pending_push_again(Queues *queues, Session *session, const Pusher *pusher, uint64_t id) {
    Pending *pending = find_push(queues, pusher);

    if (!pending)
        return false;
    pending->change.session = session;
    pending->change.id = id;
    return true;
}

bool pending_settle_again(Queues *queues, Session *session, const Message *message) {
    Pending *pending;

    DL_FOREACH(queues->pendings, pending) {
        const Change *change = &pending->change;
        const Job *job = change->old ? change->old : change->job;

        if (change->kind == CHANGE_PUSH || job->stored.id != message->settle.job ||
            job->stored.attempt != message->settle.attempt)
            continue;
        if (change->session) {
            session_error(session, message->id, "ferry.Overloaded",
                          "another session is settling the job: try again later");
        } else {
            pending->change.session = session;
            pending->change.id = message->id;
        }
        return true;
    }
    return false;
}

void pendings_session_gone(Queues *queues, Session *session) {
    Pending *pending;
    Twin *twin;

    DL_FOREACH(queues->pendings, pending) {
        if (pending->change.session == session)
            pending->change.session = NULL;
        DL_FOREACH(pending->change.twins, twin) {
            if (twin->session == session)
                twin->session = NULL;
        }
    }
}

void pendings_client_gone(Queues *queues, Client *client) {
    Pending *pending;
    Twin *twin;

    DL_FOREACH(queues->pendings, pending) {
        DL_FOREACH(pending->change.twins, twin) {
            if (twin->client == client)
                twin->client = NULL;
        }
        if (pending->change.pusher.client != client)
            continue;
        pending->change.pusher.client = NULL;
        if (pending->push.client)
            /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): links that uthash set */
            HASH_DEL(queues->pending_pushes, pending);
        pending->push.client = 0;
    }
}

void pendings_free(Queues *queues) {
    Pending *pending, *next;

    DL_FOREACH_SAFE(queues->pendings, pending, next) {
        if (pending->change.old)
            job_free(pending->change.old);
        job_free(pending->change.job);
        if (pending->key)
            pending->key->owner = NULL;
        pending_free(queues, pending);
    }
    id_map_deinit(&queues->tickets);
}
