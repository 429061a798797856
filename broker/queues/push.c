/* SPDX-License-Identifier: Apache-2.0 */

/* PUSH: options, limits, overflow, and pushes that a client sends again. See queues-private.h. */

#include <errno.h>

#include "base/clock.h"
#include "broker/events/events.h"
#include "broker/queues/changes-private.h"
#include "broker/queues/jobs-private.h"
#include "broker/queues/queues-private.h"
#include "broker/queues/restored-private.h"
#include "broker/queues/shards-private.h"
#include "broker/sessions/hello.h"
#include "broker/sessions/quota.h"
#include "rpc/wire/name.h"

typedef struct PushOptions {
    uint64_t delay_ms, ttl_ms, priority;
    uint64_t at_ms; /* wall clock; 0: the option is missing */
    uint64_t unique;
    Span key, order;
    Span origin;         /* the client whose push it is; empty: the session's */
    const Job *replaces; /* the job whose place in the queue it takes, or NULL; no option of PUSH */
    uint64_t moved;      /* the number of the last ferry.Moved that the client has got */
    Span from;           /* the queue of a job whose result it is; empty: it is a plain push */
    uint64_t job, keep;
} PushOptions;

static uint64_t option_uint(Reader *reader) {
    if (reader_peek(reader) != WIRE_INT) {
        reader_value(reader);
        return UINT64_MAX;
    }
    return reader_uint(reader);
}

static bool option_text(Reader *reader, Span *to) {
    if (reader_nil(reader))
        return true;
    if (reader_peek(reader) != WIRE_STR)
        return false;
    *to = reader_str(reader);
    return true;
}

/* The time from now to at_ms of the wall clock; 0: at_ms has passed. */
static uint64_t until_ms(uint64_t at_ms) {
    uint64_t now_ms = clock_wall_ms();

    return at_ms > now_ms ? at_ms - now_ms : 0;
}

/* Returns NULL, or the problem. Unknown options are skipped. */
static const char *read_options(Span options, PushOptions *to) {
    uint32_t left;
    Reader pairs = pairs_of(options, &left);
    Span key;

    while (pairs_next(&pairs, &left, &key)) {
        if (reader_nil(&pairs)) {
            continue; /* nil: the option is missing */
        } else if (span_is(key, "delay")) {
            to->delay_ms = option_uint(&pairs);
        } else if (span_is(key, "at")) {
            to->at_ms = option_uint(&pairs);
        } else if (span_is(key, "ttl")) {
            to->ttl_ms = option_uint(&pairs);
        } else if (span_is(key, "priority")) {
            to->priority = option_uint(&pairs);
        } else if (span_is(key, "unique")) {
            to->unique = option_uint(&pairs);
        } else if (span_is(key, "moved")) {
            to->moved = option_uint(&pairs);
        } else if (span_is(key, "key")) {
            if (!option_text(&pairs, &to->key))
                return "PUSH: the option 'key' must be a string";
        } else if (span_is(key, "order")) {
            if (!option_text(&pairs, &to->order))
                return "PUSH: the option 'order' must be a string";
        } else if (span_is(key, "origin")) {
            if (reader_peek(&pairs) != WIRE_BIN ||
                (to->origin = reader_bin(&pairs)).len != WIRE_TOKEN)
                return "PUSH: the option 'origin' must have 16 bytes";
        } else if (span_is(key, "from")) {
            if (!option_text(&pairs, &to->from))
                return "PUSH: the option 'from' must be a string";
        } else if (span_is(key, "job")) {
            to->job = option_uint(&pairs);
        } else if (span_is(key, "keep")) {
            to->keep = option_uint(&pairs);
        } else {
            reader_value(&pairs);
        }
    }
    if (pairs.problem)
        return "PUSH: the options delay, at, ttl, priority and unique must be integers of 0 or "
               "more";
    if (to->at_ms)
        to->delay_ms = until_ms(to->at_ms);
    if (to->priority >= PRIORITIES)
        return "PUSH: the option 'priority' must be from 0 to 9";
    if (to->delay_ms > QUEUE_TIME_MAX)
        return to->at_ms ? "PUSH: the option 'at' must be milliseconds since 1970, at most ten "
                           "years from now"
                         : "PUSH: the option 'delay' must be milliseconds, at most ten years";
    if (to->ttl_ms > QUEUE_TIME_MAX)
        return "PUSH: the option 'ttl' must be milliseconds, at most ten years";
    if (to->key.len > QUEUE_KEY_MAX || to->order.len > QUEUE_KEY_MAX)
        return "PUSH: the options 'key' and 'order' may have at most 255 bytes";
    if (to->unique > 1 || (to->unique && to->key.len == 0))
        return "PUSH: the option 'unique' must be 0, or 1 together with 'key'";
    if (to->keep > 1)
        return "FORWARD: the option 'keep' must be 0 or 1";
    if (to->from.len > 0 && (!name_is_valid(to->from.data, to->from.len) || to->job == 0))
        return "PUSH: the option 'from' must be the name of a queue, with the number of its 'job'";
    return NULL;
}

/* Drops a waiting job: the oldest ready job of the lowest priority in the queue, or else a
 * quarantined, delayed or parked job. */
static bool drop_oldest(Queue *queue) {
    Job *job = queue->ready_bits    ? queue->ready[__builtin_ctz(queue->ready_bits)]
               : queue->quarantined ? queue->quarantined
               : queue->delayed     ? queue->delayed
                                    : queue->parked;

    if (!job)
        return false;
    job_leave(job);
    job->dropped = true;
    queue->n_dropping++;
    queue->dropping_bytes += job_bytes(job);
    queue->n_dropped++;
    queue->queues->broker->stats.dropped++;
    change_remove(job, NULL, 0);
    return true;
}

/* True: one more job of `bytes` bytes fits into the queue, once `replaces` is gone. */
static bool fits(const Queue *queue, size_t bytes, const Job *replaces) {
    bool same = replaces && queue_of(replaces) == queue;
    uint64_t jobs = queue->n_jobs - queue->n_dropping - (same ? 1 : 0);
    uint64_t old_bytes = queue->bytes - queue->dropping_bytes - (same ? job_bytes(replaces) : 0);

    return jobs < queue->settings.max_jobs && old_bytes + bytes <= queue->settings.max_bytes;
}

bool queue_is_full(const Queue *queue, size_t bytes) {
    return !fits(queue, bytes, NULL);
}

void job_enter_new(Job *job) {
    Queue *queue = queue_of(job);

    /* The job is counted already, and is in no list yet. */
    while (queue->settings.overflow == OVERFLOW_DROP_OLDEST && !fits(queue, job_bytes(job), job) &&
           drop_oldest(queue))
        continue;
    job_enter(job);
}

static void tell_full(Queue *queue) {
    queue->told_full = true;
    event_raise(queue->queues->broker, EVENT_QUEUE_FULL,
                &(broker_events_queue_full){.queue = queue->name,
                                            .jobs = (int64_t)queue->n_jobs,
                                            .bytes = (int64_t)queue->bytes});
}

/* drop-oldest: job_enter_new() drops a job when the new one is stored. Jobs in flight stay, and the
 * jobs that are being stored have a limit, too. */
static bool drops_later(const Queue *queue) {
    const QueueSettings *settings = &queue->settings;
    size_t being_stored = queue->queues->broker->limits.max_unconfirmed;

    return settings->overflow == OVERFLOW_DROP_OLDEST && queue->n_jobs > queue->n_in_flight &&
           (queue->n_jobs < being_stored || queue->n_jobs - being_stored < settings->max_jobs);
}

int queue_make_room(Queue *queue, size_t bytes, const Job *replaces, Problem *problem) {
    Broker *broker = queue->queues->broker;
    const QueueSettings *settings = &queue->settings;

    if (bytes > settings->max_bytes) {
        problem_set(problem, "ferry.TooBig",
                    "the job has %zu bytes, but queue '%s' holds at most %llu (max_queue_bytes)",
                    bytes, queue->name, (unsigned long long)settings->max_bytes);
        return -1;
    }
    if (!fits(queue, bytes, replaces) && !drops_later(queue)) {
        problem_set(problem, "ferry.Full",
                    "queue '%s' is full: it has %zu of %llu jobs and %llu of %llu bytes",
                    queue->name, queue->n_jobs, (unsigned long long)settings->max_jobs,
                    (unsigned long long)queue->bytes, (unsigned long long)settings->max_bytes);
        if (event_is_watched(broker, EVENT_QUEUE_FULL) && !queue->told_full)
            tell_full(queue);
        return -1;
    }
    if (!replaces && !broker_may_store(broker, bytes)) {
        problem_set(problem, "ferry.Full",
                    "the broker is full: it stores %llu of %llu bytes (max_total_bytes)",
                    (unsigned long long)broker_stored(broker),
                    (unsigned long long)broker->limits.max_total_bytes);
        return -1;
    }
    queue->told_full = false;
    return 0;
}

/* 0: *ret is the new key; it is unchanged if the job has no key to remember. */
static int take_key(Queue *queue, const PushOptions *options, Key **ret, Problem *problem) {
    uint64_t until_ms =
        options->unique ? UINT64_MAX : queue->queues->broker->now_ms + queue->settings.dedup_ms;
    Key *key;

    if (options->key.len == 0 || (!options->unique && queue->settings.dedup_ms == 0))
        return 0;
    while (!options->unique && queue->n_keys >= queue->settings.max_keys)
        key_forget(queue, queue->first_key);
    key = key_add(queue, options->key, until_ms);
    if (!key) {
        problem_set(problem, "ferry.OutOfMemory", "the broker is out of memory");
        return -1;
    }
    *ret = key;
    return 0;
}

/* The key that the queue remembers, or NULL. */
static Key *find_duplicate(Queue *queue, Span text) {
    keys_trim(queue); /* max_keys may have changed */
    return text.len > 0 && queue->keys ? key_find(queue, text) : NULL;
}

/* Each user has keys of its own: otherwise a push of one user could stand for another user's push,
 * or reveal that there was one.
 *
 * The stored key is the user's name, a zero byte and the text of the option. If that is too long, a
 * zero byte and its hash replace the text. If the broker has no users, the key is the text
 * alone. */
static Span key_of_user(const User *user, Span text, uint8_t to[QUEUE_KEY_MAX]) {
    size_t n = user ? strlen(user->name) + 1 : 0;
    XXH128_canonical_t hash;

    if (n == 0 || text.len == 0)
        return text;
    memcpy(to, user->name, n);
    if (n + text.len <= QUEUE_KEY_MAX) {
        memcpy(to + n, text.data, text.len);
        return span_of(to, n + text.len);
    }
    /* The key is stored, so its hash must be the same in each life of the broker. */
    XXH128_canonicalFromHash(&hash, XXH3_128bits(text.data, text.len));
    to[n] = 0;
    memcpy(to + n + 1, hash.digest, sizeof(hash.digest));
    return span_of(to, n + 1 + sizeof(hash.digest));
}

static int admit(Queues *queues, const Session *session, const Message *message, const void *block,
                 PushOptions *options, Admission *ret, Problem *problem) {
    const Store *away = shard_away(queues, message->name);
    size_t bytes =
        message->passed.data ? message->passed.len : message->headers.len + message->body.len + 3;
    uint8_t scoped[QUEUE_KEY_MAX];
    Queue *queue;
    Key *key = NULL;
    Job *job;
    int r;

    if (message->body.len > queues->broker->limits.max_body) {
        problem_set(problem, "ferry.TooBig", "the body has %zu bytes; max_body allows %u",
                    message->body.len, queues->broker->limits.max_body);
        return -1;
    }
    if (away) {
        problem_set_moved(problem, message->name, away);
        return -1;
    }
    queue = queue_get(queues, message->name, problem);
    if (!queue)
        return -1;
    options->key = key_of_user(session->user, options->key, scoped);
    ret->key = find_duplicate(queue, options->key);
    if (ret->key)
        return PUSH_IS_DUPLICATE;
    r = queue_make_room(queue, bytes, options->replaces, problem);
    if (r == 0 && options->key.len > 0)
        r = take_key(queue, options, &key, problem);
    if (r < 0) {
        queue_maybe_idle(queue);
        return r;
    }

    job = job_new(queue, &(JobParts){
                             .content = message,
                             .block = block,
                             .order = options->order,
                             .delay_ms = options->delay_ms,
                             .ttl_ms = options->ttl_ms ? options->ttl_ms : queue->settings.ttl_ms,
                             .priority = (uint8_t)options->priority,
                         });
    if (job && options->unique && unique_tie(job, key) < 0) {
        job_free(job);
        job = NULL;
    }
    if (!job) {
        if (key)
            key_forget(queue, key);
        queue_maybe_idle(queue);
        problem_set(problem, "ferry.OutOfMemory", "the broker is out of memory");
        return -1;
    }
    if (key)
        key->job = job->stored.id;
    *ret = (Admission){job, key};
    return 0;
}

static const char *options_of(const Message *message, PushOptions *to) {
    Span given = message->op == OP_PUSH ? message->push.options : message->settle.options;

    return given.len > 0 ? read_options(given, to) : NULL;
}

static int key_is_busy(Problem *problem) {
    problem_set(problem, "ferry.Overloaded",
                "another job with this key is being stored: push again later");
    return -1;
}

/* A push without an answer is a duplicate, or is lost with the job. */
static int join(Queues *queues, const Key *key, Session *session, const Pusher *pusher,
                Problem *problem) {
    int r = pusher->id ? pending_join(queues, key, session, pusher->client, pusher->id) : 0;

    if (r == -EBUSY)
        return key_is_busy(problem);
    if (r < 0)
        problem_set(problem, "ferry.OutOfMemory", "the broker is out of memory");
    return r;
}

int queue_admit(Queues *queues, const Session *session, const Message *message, const void *block,
                const Job *replaces, Admission *ret, Problem *problem) {
    PushOptions options = {.replaces = replaces};
    const char *wrong = options_of(message, &options);
    int r;

    if (wrong) {
        problem_set(problem, "ferry.InvalidArgument", "%s", wrong);
        return -1;
    }
    r = admit(queues, session, message, block, &options, ret, problem);
    return r == PUSH_IS_DUPLICATE && ret->key->owner ? key_is_busy(problem) : r;
}

bool forward_is_kept(Queues *queues, const Message *message) {
    PushOptions options = {0};

    return message->id && !options_of(message, &options) && options.keep == 1 &&
           shard_away(queues, message->name);
}

/* Ids count up: an id above all earlier ids cannot be known. */
static bool may_be_known(const Pusher *pusher) {
    const Client *client = pusher->client;

    if (!client)
        return pusher->id > 0;
    return pusher->id &&
           (pusher->id <= client->push_last || pusher->id < client->push_floor ||
            (client->dedup_window && pusher->id <= dedup_window_last(client->dedup_window)));
}

static const Queue *queue_of_push(Queues *queues, const Message *push) {
    return push->name.len > 0 ? queue_find(queues, push->name) : NULL;
}

static bool is_known(const Pusher *pusher) {
    const Client *client = pusher->client;

    return pusher->id < client->push_floor ||
           (client->dedup_window && dedup_window_has(client->dedup_window, pusher->id));
}

/* True: this push was stored before, or is being stored. The session gets its answer now, or when
 * the store has finished. */
static bool was_pushed(Queues *queues, Session *session, const Pusher *pusher,
                       const uint8_t *forwards, const Message *message) {
    bool known = forwards ? restored_pushes_have(queues, forwards, pusher->id) : is_known(pusher);

    if (!known && pending_push_again(queues, session, pusher, message->id))
        return true;
    if (known)
        push_ok(session, message->id, 0, PUSH_STORED_BEFORE, queue_of_push(queues, message));
    return known;
}

/* Reserves memory for the id; the client's window takes the id when the job is stored. */
static bool reserve(Queues *queues, Client *client) {
    if (!client)
        return true; /* see forwards_reserve() */
    if (!client->dedup_window)
        client->dedup_window = dedup_window_new(&queues->broker->budget.bytes[BUDGET_QUEUES]);
    return client->dedup_window &&
           dedup_window_reserve(client->dedup_window, queues->broker->limits.max_unconfirmed) == 0;
}

/* 0: the push belongs to the client *ret. Negative: it is refused, and *problem says why. */
static int client_of(Queues *queues, Session *session, Span origin, Client **ret,
                     Problem *problem) {
    int r = origin.len > 0 ? client_of_origin(session, origin, ret) : 0;

    if (origin.len == 0)
        *ret = session->client;
    else if (r == 0)
        restored_pushes_adopt(queues, *ret);
    else if (r == -EACCES)
        problem_set(problem, "ferry.PermissionDenied",
                    "PUSH: the option 'origin' names a client of another user");
    else
        problem_set(problem, "ferry.Full", "the broker's max_memory is used up: try again later");
    if (r == 0 && forwards_have_name((*ret)->id)) {
        problem_set(problem, "ferry.PermissionDenied",
                    "PUSH: no client may have an id that begins with the bytes 0 'fwd' 0");
        return -EACCES;
    }
    return r;
}

/* The push is the result of a job that another broker has. name: buffer for the name of these
 * forwards. */
static int forwards_of(Queues *queues, const Session *session, const Message *message,
                       const PushOptions *options, uint8_t name[WIRE_TOKEN], Pusher *ret,
                       Problem *problem) {
    forwards_name(session->user, options->from, name);
    ret->id = options->job;
    if (shard_away(queues, message->name))
        return 0; /* it will be refused */
    ret->forwards = forwards_reserve(queues, name);
    if (ret->forwards)
        return 0;
    problem_set(problem, "ferry.Full", "the broker's max_memory is used up: try again later");
    return -ENOBUFS;
}

void queues_push(Queues *queues, Session *session, const Message *message, const void *block) {
    PushOptions options = {0};
    const char *wrong = options_of(message, &options);
    bool is_forward = !wrong && options.from.len > 0;
    Pusher pusher = {.id = message->id};
    uint8_t name[WIRE_TOKEN];
    Admission admitted;
    Problem problem;
    int r;

    r = is_forward ? forwards_of(queues, session, message, &options, name, &pusher, &problem)
                   : client_of(queues, session, wrong ? (Span){NULL, 0} : options.origin,
                               &pusher.client, &problem);
    if (r < 0) {
        problem_answer(session, message->id, &problem);
        return;
    }
    if (may_be_known(&pusher) &&
        was_pushed(queues, session, &pusher, is_forward ? name : NULL, message))
        return;
    if (queues->broker->draining) {
        session_error(session, message->id, "ferry.Draining", "the broker is shutting down");
        return;
    }
    if (quota_refuses(session, message->id, QUOTA_PUSH, message->body.len))
        return;
    if (message->id && !reserve(queues, pusher.client)) {
        session_error(session, message->id, "ferry.OutOfMemory", "the broker is out of memory");
        return;
    }
    if (wrong)
        problem_set(&problem, "ferry.InvalidArgument", "%s", wrong);
    r = wrong ? -1 : push_in_order(queues, session, message, options.moved, &problem);
    if (r == 0)
        r = admit(queues, session, message, block, &options, &admitted, &problem);
    if (r == PUSH_IS_DUPLICATE && admitted.key->owner) {
        r = join(queues, admitted.key, session, &pusher, &problem);
        if (r == 0)
            return;
    }
    if (r < 0) {
        push_refuse(session, message->id, &problem);
    } else if (r == PUSH_IS_DUPLICATE) {
        if (pusher.client && message->id)
            dedup_window_add(pusher.client->dedup_window, message->id,
                             queues->broker->limits.max_unconfirmed);
        push_ok(session, message->id, admitted.key->job, PUSH_DUPLICATE,
                queue_of_push(queues, message));
    } else {
        queue_tap(queue_of(admitted.job), false, OP_PUSH, session, message->id, message->body);
        if (pusher.client && message->id > pusher.client->push_last)
            pusher.client->push_last = message->id;
        job_set_pusher(admitted.job, quota_number(session));
        change_push(admitted.job, admitted.key, session, &pusher, message->id);
    }
}

void queues_floor(Queues *queues, Client *client, uint64_t floor) {
    if (floor > client->push_floor) {
        client->push_floor = floor;
        stores_forget_pushes(queues, client->id, floor);
    }
    if (client->dedup_window)
        dedup_window_floor(client->dedup_window, floor);
}
