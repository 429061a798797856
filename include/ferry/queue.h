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
    FERRY_DURABILITY_UNKNOWN = 0, /* the broker does not report it */
    FERRY_DURABILITY_MEMORY = 1,  /* the job is lost if the broker ends */
    /* The job is on the disk after a short interval: see ferry.conf(5). */
    FERRY_DURABILITY_INTERVAL = 2,
    FERRY_DURABILITY_DISK = 3,  /* the job is on the disk */
    FERRY_DURABILITY_REDIS = 4, /* Redis has confirmed the job: see ferry.conf(5) */
} ferry_durability;

/* The outcome of a confirmed push. */
typedef struct ferry_pushed {
    /* The broker's number for the job, or, for a duplicate, of the job that has the key. 0: an
     * earlier attempt of this push had already stored the job, or the broker no longer knows the
     * job that has the key. */
    uint64_t job;
    int duplicate; /* 1: the job was not stored, because the queue remembers the key */
    ferry_durability durability;
} ferry_pushed;

typedef struct ferry_push_options {
    const char *key; /* deduplication key, 1 to 255 bytes. While the queue remembers it (2 minutes,
                      * or as configured), a job with the same key is confirmed and not stored.
                      * NULL: no deduplication */
    uint64_t delay_ms; /* earliest delivery, from now; at most ten years */
    uint64_t at_ms; /* earliest delivery, in milliseconds since 1970 (UTC), in place of delay_ms */
    /* Time to live: a job that no worker has got by then becomes a dead letter; at most ten
     * years; 0: the queue's default. */
    uint64_t ttl_ms;
    uint32_t priority; /* 0 to 9, higher first */
    /* 1: the queue remembers the key only as long as the job waits or is worked on. */
    uint32_t unique;
    /* 1 to 255 bytes. Workers get jobs with the same ordering key one at a time, in the order of
     * their pushes. NULL: in any order. */
    const char *ordering_key;
    /* Receives the outcome of a successful push, before ferry_push() returns 0 or the callback
     * is called; it must be valid until then. NULL: not wanted. */
    ferry_pushed *pushed;
    size_t n_headers;
    const ferry_header *headers;
    uint64_t reserved[4];
} ferry_push_options;

/* Why the broker has taken a job back. */
typedef enum ferry_lost_reason {
    FERRY_LOST_TIME_LIMIT = 0, /* the queue's time limit has passed */
    FERRY_LOST_CANCELLED = 1,  /* ferry_queue_cancel() */
    FERRY_LOST_MOVED = 2,      /* ferry_queue_move_job() */
    FERRY_LOST_AWAY = 3,       /* the client was away for too long */
    FERRY_LOST_QUEUE_MOVED = 4 /* its queue went to another broker, and the job did not follow in
                                * time, or the URL does not list that broker */
} ferry_lost_reason;

struct ferry_job;

/* Called when the broker has taken a deferred job back. Stop working on the job, and settle it,
 * which only frees it. ctx is the ctx of the handler. */
typedef void (*ferry_job_lost_fn)(struct ferry_job *job, ferry_lost_reason reason, void *ctx);

typedef struct ferry_work_options {
    /* Jobs at once, at most 65 536; 0: 1. More than 1 is useful only for handlers that defer. */
    uint32_t slots;
    uint32_t reserved32;
    /* Called in a turn for deferred jobs; NULL: the program checks ferry_job_lost(). A handler
     * that has not returned always checks ferry_job_lost(). */
    ferry_job_lost_fn lost;
    uint64_t reserved[4];
} ferry_work_options;

/* A job. It is lent to its handler: to keep it, see ferry_job_defer(). */
typedef struct ferry_job {
    const char *queue;
    const char *id;   /* the broker's number for the job, in decimal; the same in each attempt */
    uint32_t attempt; /* from 1 */
    ferry_bytes body;
} ferry_job;

/* Works on a job. If the handler returns 0, the job is acknowledged. If it returns a negative
 * errno, the job is retried after the queue's back-off. Instead, a handler may settle the job
 * itself, once, and its result is then ignored; or it may defer the job. Handlers must be
 * idempotent: a job can be delivered twice. */
typedef int (*ferry_job_fn)(ferry_job *job, void *ctx);

/* ---- pushing ---- */

/**
 * Pushes a job and waits until it is as safe as the queue promises.
 *
 * If the connection is lost while it waits, the client sends the push again. The broker stores the
 * job only once.
 *
 * @param queue    1 to 250 bytes; the rules are those of topic names. The first job or worker
 *                 creates the queue.
 * @param body     Any bytes, at most max_body, 64 MiB.
 * @param options  NULL: all defaults.
 * @param reterr   Receives the error; may be NULL.
 *
 * @return 0, or
 *   -EINVAL     the name or an option is invalid, or body has a length and no data;
 *   -ENOBUFS    the queue is full;
 *   -EACCES     the name is reserved for the broker;
 *   -EMSGSIZE   body is larger than max_body;
 *   -ETIMEDOUT  not confirmed in time; if error.outcome_unknown is set, the job may be stored;
 *   -ENOTCONN   no connection within 5 s; if error.outcome_unknown is set, the job may be stored;
 *   -ESHUTDOWN  the broker is shutting down;
 *   -EREMCHG    the queue is at a broker that the client's URL does not list;
 *   -ECANCELED  client is closed;
 *   -ECHILD     client was opened before fork();
 *   -ENOMEM     out of memory.
 *
 * If brokers share queues, and the client's URL lists all of them, the client finds the broker that
 * has the queue. While no broker has it, the push waits.
 */
int ferry_push(ferry_client *client, const char *queue, ferry_bytes body,
               const ferry_push_options *options, ferry_error *reterr);

/**
 * Pushes a job and returns. fn gets the confirmation in a later turn. Until then the client keeps
 * the job, and sends it again after a lost connection. The push has no deadline.
 *
 * @param fn      NULL: ferry_flush() reports the first failure.
 * @param ctx     The last argument of fn.
 * @param reterr  Receives the error of this function; may be NULL.
 *
 * The other parameters are those of ferry_push().
 *
 * @return 0, or
 *   -EAGAIN     65 536 pushes, or 64 MiB of them, are unconfirmed, or 4 MiB wait to be sent: call
 *               ferry_process() or ferry_flush(), and try again;
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
 * Waits until all earlier pushes are confirmed or refused, and the broker has accepted all earlier
 * publishes and oneway calls. Publishes that were lost with a connection are not sent again.
 *
 * @param reterr  Receives the error; may be NULL.
 *
 * @return 0; or the code of the first push without a callback, or oneway call, that failed since
 * the last flush; or
 *   -ETIMEDOUT   some of them are unconfirmed after the client's timeout; the client continues to
 *                send them;
 *   -ENOTCONN    a message was published, and there is no connection within 5 s;
 *   -ECONNRESET  the connection was lost while it waited, and published messages may be lost;
 *   -ECANCELED   client is closed;
 *   -ECHILD      client was opened before fork().
 */
int ferry_flush(ferry_client *client, ferry_error *reterr);

/* ---- jobs that wait or are worked on ----
 *
 * These functions find a job by its number, which is in ferry_pushed and ferry_job. They call
 * methods of ferry.Broker, with the timeout of the handle, and need a right on the job's queue:
 * `peek` for ferry_queue_job(), `manage` for the others.
 *
 * All return 0, or
 *   -ENOENT     no job has this number: the job is done, or has become a dead letter with a new
 *               number;
 *   -EACCES     the user lacks the right;
 *   -ENOTCONN   no connection within 5 s;
 *   -ETIMEDOUT  no answer in time;
 *   -EREMCHG    the job or the queue is at a broker that the client's URL does not list;
 *   -ECONNRESET the connection was lost while it waited;
 *   -ECANCELED  client is closed;
 *   -ECHILD     client was opened before fork();
 *   -ENOMEM     out of memory;
 * and the errors that their own comments list. */

typedef struct ferry_job_status {
    uint64_t job;
    const char *queue;
    const char *state; /* "ready", "delayed", "held" (a worker has it), or "settling" */
    uint32_t attempt;  /* deliveries so far */
    uint32_t priority;
    uint64_t age_ms; /* since the push */
    /* Until its delivery, or until the time limit of its worker; 0: neither applies. */
    uint64_t due_ms;
    uint64_t expires_ms; /* until it becomes a dead letter; 0: never */
    uint64_t session;    /* session of the worker that has the job; 0: no connected worker has it */
    const char *reason;  /* reason of its last failure; "": it has not failed */
    ferry_bytes body;    /* its first 64 KiB; empty if the broker cannot read it from its disk */
    uint64_t n_body;     /* length of the whole body */
    const char *ordering_key; /* "": it has no ordering key */
    const char *waits_for;    /* why a ready job is not delivered yet, for people; "": not known */
} ferry_job_status;

/* Reads the state of a job. If the body is on the broker's disk, the function waits until the
 * broker has read it, at most two seconds. The caller frees *ret, which is one block, with
 * ferry_free(). */
int ferry_queue_job(ferry_client *client, uint64_t job, ferry_job_status **ret,
                    ferry_error *reterr);

/* Removes a job. If a worker has it, the worker is told: see ferry_job_lost(). */
int ferry_queue_cancel(ferry_client *client, uint64_t job, ferry_error *reterr);

/* Makes a waiting job the next one that its queue delivers, even if the job has a delay. -EINVAL: a
 * worker has the job, or the job is about to become a dead letter. */
int ferry_queue_run_now(ferry_client *client, uint64_t job, ferry_error *reterr);

/* Moves a job to another queue, with a new number. If a worker has the job, the worker is told.
 * ret_job may be NULL. *ret_job is 0 if the queue is at another broker of a cluster with shards:
 * that broker chooses the number when it takes the job, also if the queue is full. -EINVAL: the
 * name is invalid, or the job already is in that queue; -ENOBUFS: the queue is full. */
int ferry_queue_move_job(ferry_client *client, uint64_t job, const char *queue, uint64_t *ret_job,
                         ferry_error *reterr);

/* ---- durable subscriptions ---- */

/**
 * Binds a queue to a topic pattern: from now on each message that is published to a matching topic
 * becomes a job of the queue, with the header `ferry-topic`. So a subscriber that works on the
 * queue gets all messages, also those from the time when it was disconnected. A queue may be bound
 * to several patterns. If several of them match a message, it becomes one job. If the broker has a
 * data folder, binds survive a restart of the broker.
 *
 * Needs the rights to `manage` the queue and to `subscribe` the pattern.
 *
 * @param queue    As in ferry_push(). If the queue does not exist, it is created.
 * @param pattern  As in ferry_subscribe().
 * @param reterr   Receives the error; may be NULL.
 *
 * @return 0: the bind is as safe as the broker can make it, also if it already existed; or
 *   -EINVAL     queue or pattern is invalid;
 *   -ENOBUFS    the broker, or its cluster, has 10 000 binds; or its disk is full;
 * or an error of ferry_queue_job().
 */
int ferry_queue_bind(ferry_client *client, const char *queue, const char *pattern,
                     ferry_error *reterr);

/* Ends a bind. Jobs that are in the queue stay. -ENOENT: the queue is not bound to this pattern;
 * -EINVAL: the broker's configuration binds it. The other errors are those of
 * ferry_queue_bind(). */
int ferry_queue_unbind(ferry_client *client, const char *queue, const char *pattern,
                       ferry_error *reterr);

/* ---- recurring jobs ---- */

/* The times at which a schedule pushes its jobs. Zero-initialise the struct: fields that are NULL
 * or 0 have their defaults. */
typedef struct ferry_schedule_options {
    const char *cron;   /* five fields, or @hourly, @daily, …: see ferry(1), SCHEDULES */
    const char *tz;     /* time zone of the cron line, for example "Europe/Berlin"; NULL: UTC */
    uint64_t every_ms;  /* in place of cron: an interval, 1000 ms to ten years */
    const char *missed; /* for missed moments: "once" (NULL), "skip" or "all" */
} ferry_schedule_options;

/**
 * Adds a schedule: at each of its moments the broker pushes a job with this body to the queue, with
 * the headers ferry-schedule and ferry-moment. It replaces a schedule of the same name. The call
 * returns when the schedule is as safe as the broker can make it. If the broker has a data folder,
 * the schedule survives a restart, and each moment causes one job.
 *
 * @param client   A connected client.
 * @param name     Name of the schedule: 1 to 100 bytes, see ferry_name_problem().
 * @param queue    Name of the queue; the right "manage" on it is needed.
 * @param body     Body of each job: at most 32 KiB.
 * @param options  Either cron or every_ms is set.
 * @param reterr   Receives type and text of the error; may be NULL.
 *
 * Ownership: all arguments stay the caller's. Threads: one at a time per client.
 *
 * @return 0, or
 *   -EINVAL   a name, the cron line (the message names the field and the place), the time zone, the
 *             interval or the rule for missed moments is invalid, or an argument is NULL;
 *   -EACCES   the user lacks the right "manage" on the queue;
 *   -ENOBUFS  the broker has 1000 schedules, or its disk is full;
 *   -EMSGSIZE the body is too large;
 *   and the errors of ferry_call().
 */
int ferry_schedule_add(ferry_client *client, const char *name, const char *queue, ferry_bytes body,
                       const ferry_schedule_options *options, ferry_error *reterr);

/* Ends a schedule. Jobs that are in the queue stay. -ENOENT: there is no schedule of this name;
 * -EACCES: the right "manage" on its queue is missing; and the errors of ferry_call(). */
int ferry_schedule_remove(ferry_client *client, const char *name, ferry_error *reterr);

/* The state of a schedule. Moments are in milliseconds since 1970 (UTC). */
typedef struct ferry_schedule_status {
    const char *name;
    const char *queue;
    const char *cron;   /* "": the schedule has an interval, every_ms */
    const char *tz;     /* time zone of the cron line: "UTC", "Europe/Berlin" */
    const char *missed; /* the rule for missed moments: "once", "skip" or "all" */
    /* The reason why the last push was refused; it is retried each second. "": it was not
     * refused. */
    const char *problem;
    uint64_t every_ms;
    uint64_t next_ms; /* the next moment, without its fraction of a second; 0: no moment */
    /* The last moment that caused a job, without its fraction of a second; 0: no moment yet. */
    uint64_t last_ms;
    uint64_t n_jobs; /* jobs pushed since the broker started */
    uint64_t n_body; /* length of the body */
    uint64_t reserved[2];
} ferry_schedule_status;

/**
 * Lists the schedules whose queues the user may see, in the order in which they were added.
 *
 * @param client   A connected client.
 * @param ret      Receives an array of *ret_n elements, with their texts; NULL: no schedules.
 * @param ret_n    Receives the number of schedules: at most 1000.
 * @param reterr   Receives type and text of the error; may be NULL.
 *
 * Ownership: the caller frees *ret, which is one block, with ferry_free(). Threads: one at a time
 * per client.
 *
 * @return 0, or -EINVAL: ret or ret_n is NULL; and the errors of ferry_call().
 */
int ferry_schedule_list(ferry_client *client, ferry_schedule_status **ret, size_t *ret_n,
                        ferry_error *reterr);

/* ---- working ---- */

/**
 * Works on the jobs of a queue. Returns when the broker has accepted or refused the worker. After
 * that fn runs in turns until ferry_registration_close(), ferry_stop() or ferry_close(), or until
 * the handle is closed.
 *
 * A job may take hours: the worker keeps it as long as its connection lasts. After the connection
 * is lost, the client has half a second to reconnect and keep the job. Otherwise the broker
 * redelivers the client's unsettled jobs.
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
 *   -EREMCHG    the queue is at another broker, and the client's URL lists only one;
 *   -ECANCELED  client is closed;
 *   -ECHILD     client was opened before fork();
 *   -ENOMEM     out of memory.
 */
int ferry_work(ferry_client *client, const char *queue, const ferry_work_options *options,
               ferry_job_fn fn, void *ctx, ferry_registration **ret, ferry_error *reterr);

/**
 * Each of these functions settles the job. A job can be settled once; it is then freed, unless its
 * handler still runs.
 *
 * ack      the job is done.
 * retry    the queue delivers the job again after delay_ms; 0: after the queue's back-off. After
 *          the queue's max_attempts it becomes a dead letter.
 * reject   the job becomes a dead letter at once.
 * forward  the job is done, and a new job is pushed to another queue: the broker does both in one
 *          step. The new job has the same headers. Forwarding job->body does not copy the body if
 *          its block is set. If the other queue refuses the job (it is full, or the user lacks the
 *          right), the job is retried. If the other queue is at another broker of the URL, the
 *          library pushes the new job there, and acknowledges the job then; it is not lost, and no
 *          job is pushed twice. With a URL of one broker, it is retried.
 *
 * @param reason  For people, at most 1 024 bytes; NULL: no reason.
 *
 * @return 0, or
 *   -EINVAL     the job is settled already or a copy, or an argument is invalid;
 *   -EMSGSIZE   body is larger than max_body: the job becomes a dead letter;
 *   -ESTALE     the job was lost (see ferry_job_lost()): it is freed and not settled;
 *   -ECANCELED  the client is closed: the job is freed, and the broker redelivers it;
 *   -ENOMEM     out of memory: the job is not settled yet.
 */
int ferry_job_ack(ferry_job *job);
int ferry_job_retry(ferry_job *job, uint64_t delay_ms, const char *reason);
int ferry_job_reject(ferry_job *job, const char *reason);
int ferry_job_forward(ferry_job *job, const char *queue, ferry_bytes body,
                      const ferry_push_options *options);

/**
 * Requests a confirmation of the job's settlement. Call it before settling the job. The settlement
 * then returns as usual, and fn gets the outcome in a later turn: NULL when the settlement is as
 * safe as the queue promises, or an error:
 *   ferry.LeaseLost       the job was delivered to another worker, or taken back: this settlement
 *                         had no effect;
 *   ferry.ConnectionLost  the connection was lost before the answer came, or
 *   ferry.Cancelled       the client was closed: error.outcome_unknown is set, and the job may be
 *                         delivered again;
 *   any other error       the broker could not settle the job: it is delivered again.
 * If the settlement itself fails, fn is not called. ferry_close() waits for the confirmations.
 *
 * @return 0, or
 *   -EINVAL     the job is settled already, or fn is NULL;
 *   -ENOMEM     out of memory.
 */
int ferry_job_confirm(ferry_job *job, ferry_done_fn fn, void *ctx);

/**
 * Keeps a job after its handler has returned. The program must settle it later, on the same thread,
 * even after ferry_close(). The slots limit the number of deferred jobs.
 *
 * @return the job, to be used from now on; NULL: out of memory, or the job is already settled.
 */
ferry_job *ferry_job_defer(ferry_job *job);

/**
 * Extends the lease of a job, so that it ends ms milliseconds from now. Only queues with a time
 * limit have leases.
 *
 * The message is sent at once, also inside a handler that computes.
 *
 * @return 0, or
 *   -EINVAL     ms is 0, or the job is settled;
 *   -ESTALE     the job was lost: stop working on it;
 *   -ECANCELED  the client is closed;
 *   -ENOMEM     out of memory.
 */
int ferry_job_extend(ferry_job *job, uint64_t ms);

/* True: the broker has taken the job back (see ferry_lost_reason), and another worker may have it.
 * Stop working on it; settling it has no effect. Also true if the job is settled or the client is
 * closed. The function reads the socket, at most once a millisecond. */
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
