/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queues: pushing jobs, and working on them.
 *
 * Threads: every function here is called on the client's thread.
 */
#ifndef FERRY_QUEUE_H
#define FERRY_QUEUE_H

#include <ferry/client.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

/* How safe a confirmed job is. */
typedef enum ferry_durability {
    FERRY_DURABILITY_UNKNOWN = 0,  /* the broker does not say */
    FERRY_DURABILITY_MEMORY = 1,   /* it ends with the broker */
    FERRY_DURABILITY_INTERVAL = 2, /* it is on the disk a little later: see ferry.conf(5) */
    FERRY_DURABILITY_DISK = 3,     /* it is on the disk */
} ferry_durability;

/* The outcome of a confirmed push. */
typedef struct ferry_pushed {
    uint64_t job;  /* the broker's number for the job, or, of a duplicate, for the other job; 0:
                    * the job was stored already when the push was sent before, or the other job
                    * is not known any more */
    int duplicate; /* 1: nothing was stored, because the queue remembers the key */
    ferry_durability durability;
} ferry_pushed;

typedef struct ferry_push_options {
    const char *key; /* deduplication key, 1 to 255 bytes. While the queue remembers it (2 minutes,
                      * or as configured), a job with the same key is confirmed and not stored.
                      * NULL: no deduplication */
    uint64_t delay_ms; /* earliest delivery, from now; at most ten years */
    uint64_t at_ms;  /* earliest delivery, in milliseconds since 1970 (UTC), in place of delay_ms */
    uint64_t ttl_ms; /* a job that no worker has by then becomes a dead letter; at most ten years;
                      * 0: the queue's default */
    uint32_t priority; /* 0 to 9, higher first */
    uint32_t unique;   /* 1: the queue remembers the key as long as the job waits or is worked on,
                        * and no longer */
    const char *ordering_key; /* 1 to 255 bytes. Jobs with the same ordering key are worked on one
                               * at a time, in the order of their pushes. NULL: in any order */
    ferry_pushed *pushed;     /* receives the outcome, before ferry_push() returns 0 or the callback
                               * gets no error; it must be valid until then. NULL: not wanted */
    size_t n_headers;
    const ferry_header *headers;
    uint64_t reserved[4];
} ferry_push_options;

/* Why the broker has taken a job back. */
typedef enum ferry_lost_reason {
    FERRY_LOST_TIME_LIMIT = 0, /* the queue's time limit has passed */
    FERRY_LOST_CANCELLED = 1,  /* ferry_queue_cancel() */
    FERRY_LOST_MOVED = 2,      /* ferry_queue_move_job() */
    FERRY_LOST_AWAY = 3        /* the client was away for too long: another worker may have it */
} ferry_lost_reason;

struct ferry_job;

/* The broker has taken a deferred job back: stop working on it, and settle it, which does nothing
 * but free it. ctx is that of the handler. */
typedef void (*ferry_job_lost_fn)(struct ferry_job *job, ferry_lost_reason reason, void *ctx);

typedef struct ferry_work_options {
    uint32_t slots; /* jobs at once, at most 65 536; 0: 1. More help only handlers that defer */
    uint32_t reserved32;
    ferry_job_lost_fn lost; /* called in a turn for deferred jobs; NULL: ferry_job_lost() tells. A
                             * handler that has not returned asks ferry_job_lost() */
    uint64_t reserved[4];
} ferry_work_options;

/* A job is lent to its handler; see ferry_job_defer(). */
typedef struct ferry_job {
    const char *queue;
    const char *id;   /* the broker's number for the job, in decimal; the same in each attempt */
    uint32_t attempt; /* from 1 */
    ferry_bytes body;
} ferry_job;

/* Works on a job. If it returns 0 the job is acknowledged; if it returns a negative errno the job
 * is retried after the queue's back-off. A handler may settle the job itself instead, once, and its
 * result is then ignored; or defer it. Handlers must be idempotent: a job can be delivered twice.
 */
typedef int (*ferry_job_fn)(ferry_job *job, void *ctx);

/* ---- pushing ---- */

/**
 * Pushes a job and waits until it is as safe as the queue promises.
 *
 * If the connection is lost meanwhile, the push is sent again; the broker stores the job once.
 *
 * @param queue    1 to 250 bytes; valid names are those of topics. The first job or worker creates
 *                 a queue.
 * @param body     Any bytes, at most max_body, 64 MiB.
 * @param options  NULL: all defaults.
 * @param reterr   Receives the error; may be NULL.
 *
 * @return 0, or
 *   -EINVAL     the name or an option is invalid, or body has a length and no data;
 *   -ENOBUFS    the queue is full;
 *   -EACCES     the name is reserved for the broker;
 *   -EMSGSIZE   body is larger than max_body;
 *   -ETIMEDOUT  not confirmed in time: error.outcome_unknown says whether it may be stored;
 *   -ENOTCONN   no connection within 5 s: error.outcome_unknown says whether it may be stored;
 *   -ESHUTDOWN  the broker is shutting down;
 *   -ECANCELED  client is closed;
 *   -ECHILD     client was opened before fork();
 *   -ENOMEM     out of memory.
 */
int ferry_push(ferry_client *client, const char *queue, ferry_bytes body,
               const ferry_push_options *options, ferry_error *reterr);

/**
 * Pushes a job and returns; fn gets the confirmation in a later turn. Until then the client keeps
 * the job, and sends it again after a lost connection. It has no deadline.
 *
 * @param fn      NULL: ferry_flush() reports the first failure.
 * @param ctx     The last argument of fn.
 * @param reterr  Receives the error of this function; may be NULL.
 *
 * The other parameters are those of ferry_push().
 *
 * @return 0, or
 *   -EAGAIN     65 536 pushes, or 64 MiB of them, are unconfirmed, or 4 MiB wait to be sent:
 *               process, or flush, and try again;
 *   -EINVAL     the name or an option is invalid, or body has a length and no data;
 *   -EMSGSIZE   body is larger than max_body;
 *   -ECANCELED  client is closed;
 *   -ECHILD     client was opened before fork();
 *   -ENOMEM     out of memory.
 */
int ferry_push_async(ferry_client *client, const char *queue, ferry_bytes body,
                     const ferry_push_options *options, ferry_done_fn fn, void *ctx,
                     ferry_error *reterr);

/**
 * Waits until all earlier pushes are confirmed or refused, and the broker has taken all earlier
 * publishes and oneway calls. Publishes that a lost connection took with it are not sent again.
 *
 * @param reterr  Receives the error; may be NULL.
 *
 * @return 0; or the code of the first push without a callback, or oneway call, that failed since
 * the last flush; or
 *   -ETIMEDOUT   some of them are unconfirmed after the client's timeout; the client goes on
 * trying; -ENOTCONN    something was published, and there is no connection within 5 s; -ECONNRESET
 * the connection was lost meanwhile, and perhaps published messages with it; -ECANCELED   client is
 * closed; -ECHILD      client was opened before fork().
 */
int ferry_flush(ferry_client *client, ferry_error *reterr);

/* ---- jobs that wait or are worked on ----
 *
 * These functions find a job by the number that ferry_pushed and ferry_job have. They call methods
 * of ferry.Broker, with the timeout of the handle, and need rights to the job's queue: `peek` for
 * ferry_queue_job(), `manage` for the others.
 *
 * All return 0, or
 *   -ENOENT     there is no such job: it is done, or has become a dead letter under a new number;
 *   -EACCES     no right;
 *   -ENOTCONN   no connection within 5 s;
 *   -ETIMEDOUT  no answer in time;
 *   -ECONNRESET the connection was lost meanwhile;
 *   -ECANCELED  client is closed;
 *   -ECHILD     client was opened before fork();
 *   -ENOMEM     out of memory;
 * and the errors that their own comments list.
 */

typedef struct ferry_job_status {
    uint64_t job;
    const char *queue;
    const char *state; /* "ready", "delayed", "held" (a worker has it), or "settling" */
    uint32_t attempt;  /* deliveries so far */
    uint32_t priority;
    uint64_t age_ms;     /* since the push */
    uint64_t due_ms;     /* until its delivery, or until its worker's time limit; 0: no such time */
    uint64_t expires_ms; /* until it becomes a dead letter; 0: never */
    uint64_t session;    /* of the worker that has it; 0: no connected worker has it */
    const char *reason;  /* of its last failure; "": it has not failed */
    ferry_bytes body;    /* its first 64 KiB; empty if the broker cannot read it from its disk */
    uint64_t n_body;     /* length of the whole body */
} ferry_job_status;

/* Looks at a job. If its body is on the disk of the broker, waits until it is read, for at most two
 * seconds. The caller frees *ret, which has no other memory, with ferry_free(). */
int ferry_queue_job(ferry_client *client, uint64_t job, ferry_job_status **ret,
                    ferry_error *reterr);

/* Removes a job. If a worker has it, the worker is told: see ferry_job_lost(). */
int ferry_queue_cancel(ferry_client *client, uint64_t job, ferry_error *reterr);

/* Makes a waiting job the next one that its queue delivers, whatever its delay. -EINVAL: a worker
 * has it, or it waits to become a dead letter. */
int ferry_queue_run_now(ferry_client *client, uint64_t job, ferry_error *reterr);

/* Moves a job to another queue, under a new number. A worker that has it is told. ret_job may be
 * NULL. -EINVAL: the name is invalid, or the job is in that queue; -ENOBUFS: the queue is full. */
int ferry_queue_move_job(ferry_client *client, uint64_t job, const char *queue, uint64_t *ret_job,
                         ferry_error *reterr);

/* ---- durable subscriptions ---- */

/**
 * Binds a queue to a topic pattern: from now on each message that is published to a topic that
 * matches becomes a job of the queue, with the header `ferry-topic`. So a subscriber that was away
 * finds all messages: it works on the queue. A queue may be bound to several patterns; a message
 * that several of them match becomes one job. Binds outlive the broker if it has a data folder.
 *
 * Needs the rights to `manage` the queue and to `subscribe` the pattern.
 *
 * @param queue    As in ferry_push(). It is made if it is missing.
 * @param pattern  As in ferry_subscribe().
 * @param reterr   Receives the error; may be NULL.
 *
 * @return 0: the bind is as safe as the broker can make it, also if it was there already; or
 *   -EINVAL     queue or pattern is invalid;
 *   -ENOBUFS    the broker has 10 000 binds, or its disk is full;
 * or an error of ferry_queue_job().
 */
int ferry_queue_bind(ferry_client *client, const char *queue, const char *pattern,
                     ferry_error *reterr);

/* Ends a bind. Jobs that are in the queue stay. -ENOENT: the queue is not bound to this pattern;
 * -EINVAL: the broker's configuration binds it. The others as ferry_queue_bind(). */
int ferry_queue_unbind(ferry_client *client, const char *queue, const char *pattern,
                       ferry_error *reterr);

/* ---- recurring jobs ---- */

/* When the jobs of a schedule are pushed. Zero-initialise it: fields that are NULL or 0 have their
 * defaults. */
typedef struct ferry_schedule_options {
    const char *cron;   /* five fields, or @hourly, @daily, …: see ferry(1), SCHEDULES */
    const char *tz;     /* time zone of the cron line, as "Europe/Berlin"; NULL: UTC */
    uint64_t every_ms;  /* in place of cron: an interval, 1000 ms to ten years */
    const char *missed; /* for missed moments: "once" (NULL), "skip" or "all" */
} ferry_schedule_options;

/**
 * Adds a schedule: the broker pushes a job with this body to the queue at each of its moments, with
 * the headers ferry-schedule and ferry-moment. A schedule of this name is replaced. The call
 * returns when the schedule is as safe as the broker can make it: with a data folder, it survives a
 * restart, and each moment has one job.
 *
 * @param client   A connected client.
 * @param name     Name of the schedule: 1 to 100 bytes, by the rules of names.
 * @param queue    Name of the queue; the right "manage" on it is needed.
 * @param body     Body of each job: at most 32 KiB.
 * @param options  Either cron or every_ms is set.
 * @param reterr   Receives type and text of the error; may be NULL.
 *
 * Ownership: all arguments stay the caller's. Threads: one at a time per client.
 *
 * @return 0, or
 *   -EINVAL   a name, the cron line (the text has field and place), the zone, the interval or the
 *             rule is wrong, or an argument is NULL;
 *   -EACCES   the broker's rights do not allow it;
 *   -ENOBUFS  the broker has 1000 schedules, or its disk is full;
 *   -EMSGSIZE the body is too large;
 *   and the errors of ferry_call().
 */
int ferry_schedule_add(ferry_client *client, const char *name, const char *queue, ferry_bytes body,
                       const ferry_schedule_options *options, ferry_error *reterr);

/* Ends a schedule. Jobs that are in the queue stay. -ENOENT: there is no schedule of this name;
 * -EACCES: the right "manage" on its queue is missing; and the errors of ferry_call(). */
int ferry_schedule_remove(ferry_client *client, const char *name, ferry_error *reterr);

/* A schedule, as the broker has it. Moments are in milliseconds since 1970 (UTC). */
typedef struct ferry_schedule_status {
    const char *name;
    const char *queue;
    const char *cron;   /* "": every_ms counts */
    const char *tz;     /* time zone of the cron line: "UTC", "Europe/Berlin" */
    const char *missed; /* the rule for missed moments: "once", "skip" or "all" */
    /* Why the last push was refused: it is tried again each second. "": it was not refused. */
    const char *problem;
    uint64_t every_ms;
    uint64_t next_ms; /* the next moment, without its fraction of a second; 0: no moment */
    uint64_t last_ms; /* the last moment that had a job, likewise; 0: no moment yet */
    uint64_t n_jobs;  /* pushed since the broker started */
    uint64_t n_body;  /* length of the body */
    uint64_t reserved[2];
} ferry_schedule_status;

/**
 * Lists the schedules whose queues the user may see, by the order of their adding.
 *
 * @param client   A connected client.
 * @param ret      Receives an array of *ret_n elements, with their texts; NULL: no schedules.
 * @param ret_n    Receives the number of schedules: at most 1000.
 * @param reterr   Receives type and text of the error; may be NULL.
 *
 * Ownership: the caller frees *ret, which has no other memory, with ferry_free(). Threads: one at
 * a time per client.
 *
 * @return 0, or -EINVAL: ret or ret_n is NULL; and the errors of ferry_call().
 */
int ferry_schedule_list(ferry_client *client, ferry_schedule_status **ret, size_t *ret_n,
                        ferry_error *reterr);

/* ---- working ---- */

/**
 * Works on the jobs of a queue. Returns when the broker has accepted or refused; fn then runs in
 * turns until ferry_registration_close(), ferry_stop() or ferry_close(), or until the handle is
 * closed.
 *
 * A job may take hours: the worker holds it as long as its connection lasts, and half a second
 * longer. If it reconnects in that time it still holds the job. When a client is lost, the broker
 * redelivers its unsettled jobs.
 *
 * @param queue    As in ferry_push().
 * @param options  NULL: one job at a time. Copied.
 * @param fn       The handler.
 * @param ctx      The last argument of fn.
 * @param ret      Receives the registration: ferry_registration_close() ends it. NULL: it lasts
 *                 until ferry_close().
 * @param reterr   Receives the error; may be NULL.
 *
 * @return 0, or
 *   -EINVAL     the name or an option is invalid, or fn is NULL;
 *   -EACCES     the name is reserved for the broker;
 *   -ENOBUFS    the broker has too many queues, or the session too many workers;
 *   -ENOTCONN   no connection within 5 s;
 *   -ETIMEDOUT  the broker did not answer in time;
 *   -ECANCELED  client is closed;
 *   -ECHILD     client was opened before fork();
 *   -ENOMEM     out of memory.
 */
int ferry_work(ferry_client *client, const char *queue, const ferry_work_options *options,
               ferry_job_fn fn, void *ctx, ferry_registration **ret, ferry_error *reterr);

/**
 * Each of these settles the job, once. The job is then gone, unless its handler still runs.
 *
 * ack      the job is done.
 * retry    the queue delivers the job again after delay_ms; 0: after the queue's back-off. After
 *          the queue's max_attempts it becomes a dead letter.
 * reject   the job becomes a dead letter at once.
 * forward  the job is done, and a new job is pushed to another queue: the broker does both in one
 *          step. The headers go along. Forwarding job->body copies nothing if its block is set. If
 *          the other queue refuses (full, forbidden), the job is retried.
 *
 * @param reason  For people, at most 1 024 bytes; NULL: no reason.
 *
 * @return 0, or
 *   -EINVAL     the job is settled already or a copy, or an argument is invalid;
 *   -EMSGSIZE   body is larger than max_body: the job becomes a dead letter;
 *   -ESTALE     the job was lost (see ferry_job_lost()): this did nothing, and the job is gone;
 *   -ECANCELED  the client is closed: the job is gone, and the broker redelivers it;
 *   -ENOMEM     out of memory: the job is not settled yet.
 */
int ferry_job_ack(ferry_job *job);
int ferry_job_retry(ferry_job *job, uint64_t delay_ms, const char *reason);
int ferry_job_reject(ferry_job *job, const char *reason);
int ferry_job_forward(ferry_job *job, const char *queue, ferry_bytes body,
                      const ferry_push_options *options);

/**
 * Asks for the confirmation of the job's settlement, before it is settled. The settlement then
 * returns as usual, and fn gets its outcome in a later turn: NULL when the broker has made it as
 * safe as the queue promises, or an error:
 *   ferry.LeaseLost       the job was delivered to another worker, or taken back: this settlement
 *                         did nothing;
 *   ferry.ConnectionLost  the connection was lost before the answer came, or
 *   ferry.Cancelled       the client was closed: error.outcome_unknown is set, and the job may be
 *                         delivered again;
 *   another one           the broker could not do it: the job is delivered again.
 * If the settlement itself fails, fn is not called. ferry_close() waits for the confirmations.
 *
 * @return 0, or
 *   -EINVAL     the job is settled already, or fn is NULL;
 *   -ENOMEM     out of memory.
 */
int ferry_job_confirm(ferry_job *job, ferry_done_fn fn, void *ctx);

/**
 * Keeps a job beyond its handler. It must be settled later, on the same thread, even after
 * ferry_close(). The slots limit how many jobs are deferred.
 *
 * @return the job, to be used from now on; NULL: out of memory, or it is settled already.
 */
ferry_job *ferry_job_defer(ferry_job *job);

/**
 * Extends the lease of a job: it now ends ms milliseconds from now. Only queues with a time limit
 * have leases.
 *
 * It leaves at once, also inside a handler that computes.
 *
 * @return 0, or
 *   -EINVAL     ms is 0, or the job is settled;
 *   -ESTALE     the job was lost: stop working on it;
 *   -ECANCELED  the client is closed;
 *   -ENOMEM     out of memory.
 */
int ferry_job_extend(ferry_job *job, uint64_t ms);

/* True: the broker has taken the job back: see ferry_lost_reason. Another worker may have it: stop,
 * settling it does nothing. Also true when the job is settled or the client is closed. Reads the
 * socket, at most once a millisecond. */
bool ferry_job_lost(ferry_job *job);

/* The value of a header, lent until the job is settled; NULL: no header has this name. */
const char *ferry_job_header(const ferry_job *job, const char *name);

/* Iterates over the names of the headers. name: NULL for the first name, then the name that this
 * function returned last. Returns NULL after the last one. */
const char *ferry_job_header_after(const ferry_job *job, const char *name);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif
