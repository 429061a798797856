/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Queues of jobs. Jobs are delivered at least once, and leased for as long as the worker's session
 * lives. Stores (store.h) keep the jobs.
 */

#include "broker/sessions/session.h"
#include "broker/stores/relay.h"
#include "broker/stores/store.h"

typedef struct Fanout Fanout;
typedef struct Queue Queue;
typedef struct Queues Queues;

/* The type and text of an ERROR. */
typedef struct Problem {
    const char *type;
    const Store *away; /* ferry.Moved: the shard of the queue; otherwise NULL */
    bool is_kept;      /* FORWARD: the job is still with its worker */
    bool is_unknown;   /* the change may have been made, or a part of it was */
    char text[600];
} Problem;

int queues_new(Queues **ret, Broker *broker);
Queues *queues_free(Queues *queues);

/* One function for each kind of message. It answers with session_ok() or session_error(); block is
 * the block around message->body, or NULL. */
void queues_push(Queues *queues, Session *session, const Message *message, const void *block);
void queues_pull(Queues *queues, Session *session, const Message *message);
void queues_unpull(Queues *queues, Session *session, const Message *message);
/* MORE for a pull. False: the id does not belong to a pull. */
bool queues_more(Queues *queues, Session *session, const Message *message);
void queues_ack(Queues *queues, Session *session, const Message *message);
void queues_retry(Queues *queues, Session *session, const Message *message);
void queues_reject(Queues *queues, Session *session, const Message *message);
void queues_release(Queues *queues, Session *session, const Message *message);
void queues_extend(Queues *queues, Session *session, const Message *message);
void queues_forward(Queues *queues, Session *session, const Message *message, const void *block);
/* The session has no right to push to the other queue: treats the message as a FORWARD that the
 * queue refuses. */
void queues_forward_denied(Queues *queues, Session *session, const Message *message);

/* HELLO: `held` lists the deliveries that the client has from an earlier session, as [job,
 * attempt]. Writes the deliveries that the client keeps to *ret, in the same form. */
void queues_held(Queues *queues, Client *client, Span held, Buffer *ret);

/* HELLO: the client will not send pushes with ids below `floor` again. */
void queues_floor(Queues *queues, Client *client, uint64_t floor);

/* The session is gone: its leases wait lease_grace_ms for the client to come back. */
void queues_session_gone(Queues *queues, Session *session);
void queues_client_gone(Queues *queues, Client *client);

/* Handles delays, times to live and time limits that have passed: a slice in each turn. */
void queues_run_timers(Queues *queues);

/* At the end of a turn: delivers jobs to workers with free slots and room. */
void queues_turn_end(Queues *queues);

/* One setting of the configuration file: [queue NAME-or-pattern] key = value; see
 * ferry.conf(5). -EINVAL: problem (static text) says why. */
int queues_configure(Queues *queues, const char *pattern, const char *key, const char *value,
                     const char **problem);

/* Reads the configuration again. The settings made between these two calls replace all earlier
 * settings if is_right; otherwise the earlier settings stay. */
void queues_reload(Queues *queues);
void queues_reloaded(Queues *queues, bool is_right);

size_t queues_count(const Queues *queues);

/* Changes a setting of one queue, by command: it has precedence over the configuration, and is kept
 * as a fact. An empty value ends it. QUEUES_LATER: the session gets the answer to id; or a negative
 * errno, and *reterr says why. */
int queues_set(Queues *queues, Span queue, const char *key, const char *value, Session *session,
               uint64_t id, ferry_error *reterr);

/* Pauses or resumes a queue. QUEUES_LATER: the session gets the answer to id, when the store has
 * kept it; -ENOENT: no queue has this name; or another negative errno. */
int queues_pause(Queues *queues, Span name, bool paused, Session *session, uint64_t id);

/* For ferry.Broker: writes MessagePack, see ferry-broker.thrift. -ENOENT: no queue has this
 * name. */
int queues_show(Queues *queues, Span name, Buffer *to);
int queues_peek(Queues *queues, Span name, uint64_t limit, Buffer *to);

/*
 * Deletes all waiting jobs, or moves up to limit of them (0: all) to another queue; moving takes
 * dead letters back. 0: done, and *ret_n is the number of jobs. QUEUES_LATER: many jobs take
 * several turns, and the session gets the answer to id. -ENOENT: no queue has this name; -EINVAL:
 * `to` is not a valid name, or the same queue; -ENOSPC: the queue `to` is full; -EBUSY: too many of
 * these operations are under way; -ENOMEM.
 */
enum { QUEUES_LATER = 1 };
int queues_purge(Queues *queues, Span name, Session *session, uint64_t id, uint64_t *ret_n);
int queues_move(Queues *queues, Span from, Span to, uint64_t limit, Session *session, uint64_t id,
                uint64_t *ret_n);

/* The queue of a job, by the job's number. Empty: the job is gone, or not confirmed yet. */
Span queues_queue_of_job(Queues *queues, uint64_t job);
/* Each changes one job: removes it, makes it the next job to be delivered, or moves it to another
 * queue under a new number. A worker that has the job gets LOST. QUEUES_LATER: the session gets the
 * answer to id (of a move: the new number, or 0 if the queue is at another broker). 0: done.
 * -ENOENT: no job has this number; -EINVAL: the job cannot be delivered now, and *reterr says why;
 * or `to` is not a valid name, or the same queue; -ENOSPC: the queue `to` is full; -EAGAIN: the
 * body is being read from the disk; -ENOMEM. */
int queues_cancel(Queues *queues, uint64_t job, Session *session, uint64_t id);
int queues_run_now(Queues *queues, uint64_t job, ferry_error *reterr);
int queues_move_job(Queues *queues, uint64_t job, Span to, Session *session, uint64_t id);
/* For ferry.Broker: writes one job as MessagePack. -ENOENT. */
int queues_show_job(Queues *queues, uint64_t job, Buffer *to);

/*
 * A fact is a text under a name that a command has set and that a restart must not lose. Without a
 * data folder and without Redis the broker has facts in memory only.
 */
enum { FACT_NAME_MAX = 800, FACT_VALUE_MAX = 64 * 1024 };

/* An empty value: the fact is gone. Facts of different shards (see Store in store.h; 0: no shard)
 * may have the same name. */
typedef void (*FactFn)(Span name, Span value, unsigned shard, void *ctx);

/* Calls fn for each fact whose name begins with this prefix: now, when it is restored, and when it
 * changes. */
void queues_watch_facts(Queues *queues, const char *prefix, FactFn fn, void *ctx);
/* Returns r, an error of queues_keep_fact(); *reterr says why, if the disk or the table is full. */
int queues_not_kept(int r, ferry_error *reterr);
/* Keeps a fact of a queue; an empty value forgets it. The change has an effect at once.
 * QUEUES_LATER: the session gets the answer to id, a result of ferry.Broker, when the change is as
 * safe as the broker can make it. If the store fails, the fact is as before. -ENOSPC: there are
 * max_names facts, or the disk is full; -E2BIG; -ENOMEM; -EREMCHG: the queue is at another broker;
 * or the errno of the store. */
int queues_keep_fact(Queues *queues, Span queue, Span name, Span value, Session *session,
                     uint64_t id);
/* The value of a fact of a queue; empty: the queue has no such fact. */
Span queues_fact_of(const Queues *queues, Span queue, Span name);
/* The shard that would keep the fact; 0: a fact of the queue belongs to no shard. */
unsigned queues_shard_of_fact(Queues *queues, Span queue, Span name);

/*
 * A job that the broker itself pushes, for broker/schedules/: with the queue (name), headers, body
 * and id of the message. The store keeps origin (WIRE_TOKEN bytes) and id together with the job. 0:
 * the job is stored; QUEUES_LATER: fn will be called; negative: *problem says why. -ENOSPC: the
 * queue or the broker is full, or the store cannot write; or the errno of the store.
 */
typedef void (*OwnPushFn)(int result, void *ctx);
int queues_push_own(Queues *queues, const Message *message, const uint8_t *origin, OwnPushFn fn,
                    void *ctx, Problem *problem);
/* From now on no push calls fn with this ctx. */
void queues_push_own_forget(Queues *queues, const void *ctx);
/* The highest id of an origin that a store had when the broker started; 0: the store had no push of
 * it. */
uint64_t queues_last_of_origin(const Queues *queues, const uint8_t *origin);

/*
 * One message into several queues, for broker/admin/binds.h: check each queue, make the jobs, and
 * then store or cancel them. The jobs have the headers of the message and FAN_OUT_TOPIC.
 */
#define FAN_OUT_TOPIC "ferry-topic"

/* Checks that the queue has room for the message. Negative: it has no room, and *problem says why.
 */
int queues_fan_out_check(Queue *queue, const Message *message, Problem *problem);
/* Makes the jobs, one in each of n queues, which it sorts. -ENOMEM. */
int queues_fan_out(Queues *queues, Queue **to, size_t n, Session *session, const Message *message,
                   const void *block, Fanout **ret);
/* Stores the jobs. When all are stored, the session gets OK to the message's id, with their number,
 * or the error of a store. */
void queues_fan_out_store(Fanout *fan_out);
void queues_fan_out_cancel(Fanout *fan_out);

/* Before the fan-out is stored: n queues at another broker get the message, too; 0: it becomes the
 * retained value that brokers share. The answer waits for queues_sent() with this pointer.
 * NULL: out of memory, which becomes the answer. */
void *queues_fan_out_send(Fanout *fan_out, size_t n);
/* The end of a sending; see on_sent() in relay.h. */
void queues_sent(Queues *queues, void *sending, int result);
/* Counts and logs that a message without an id could not be sent. */
void queues_fan_out_missed(Queues *queues, bool is_value, int result);

/* Jobs in flight to connected workers. */
size_t queues_n_in_flight(const Queues *queues);
/* Opens the stores. A store calls the waker when queues_process_stores() has work. 0, or the
 * negative errno of a store, and *reterr. */
int queues_open_stores(Queues *queues, Waker *waker, ferry_error *reterr);
/* Restores a part of the contents of the stores. 1: there is more; 0: all is restored; or a
 * negative errno, and *reterr: a store cannot be read. */
int queues_restore(Queues *queues, ferry_error *reterr);
/* Finishes the changes that the stores have made. */
void queues_process_stores(Queues *queues);
/* The durability of queues without a setting: "memory", "disk" or "redis". */
const char *queues_default_durability(const Queues *queues);
/* Why a store cannot write; NULL: all stores can. */
const char *queues_degraded(const Queues *queues);
/* A store has failed, and the broker must be restarted. */
bool queues_broken(const Queues *queues);
/* The queues of a store belong to another broker now: this broker must end. */
bool queues_lost(const Queues *queues);
/* Number of jobs in memory, which end with the broker. */
size_t queues_n_in_memory(const Queues *queues);
