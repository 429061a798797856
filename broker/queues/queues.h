/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Queues of jobs: delivered at least once, leased for as long as the worker's session lives. Stores
 * (store.h) keep the jobs.
 */

#include "broker/sessions/session.h"
#include "broker/stores/store.h"

typedef struct Fanout Fanout;
typedef struct Queue Queue;
typedef struct Queues Queues;

int queues_new(Queues **ret, Broker *broker);
Queues *queues_free(Queues *queues);

/* One function for each kind of message. They answer by session_ok() and session_error(); block
 * is the block around message->body, or NULL. */
void queues_push(Queues *queues, Session *session, const Message *message, const void *block);
void queues_pull(Queues *queues, Session *session, const Message *message);
void queues_unpull(Queues *queues, Session *session, const Message *message);
/* MORE for a pull. False: the id is not one. */
bool queues_more(Queues *queues, Session *session, const Message *message);
void queues_ack(Queues *queues, Session *session, const Message *message);
void queues_retry(Queues *queues, Session *session, const Message *message);
void queues_reject(Queues *queues, Session *session, const Message *message);
void queues_release(Queues *queues, Session *session, const Message *message);
void queues_extend(Queues *queues, Session *session, const Message *message);
void queues_forward(Queues *queues, Session *session, const Message *message, const void *block);
/* The session has no right to push to the other queue: as a FORWARD that the queue refuses. */
void queues_forward_denied(Queues *queues, Session *session, const Message *message);

/* HELLO: the deliveries that the client still has from an earlier session, [job, attempt] each.
 * Writes those that it keeps to *ret, likewise. */
void queues_held(Queues *queues, Client *client, Span held, Buffer *ret);

/* HELLO: the client will not send pushes with ids below floor again. */
void queues_floor(Queues *queues, Client *client, uint64_t floor);

/* The session is gone: its leases wait lease_grace_ms for the client. */
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

/* The configuration is read again. The settings between these two calls replace all earlier
 * ones if is_right; otherwise the earlier ones stay. */
void queues_reload(Queues *queues);
void queues_reloaded(Queues *queues, bool is_right);

size_t queues_count(const Queues *queues);

/* A setting of one queue, by command: it goes before the configuration, and is kept as a fact. An
 * empty value ends it. QUEUES_LATER: the session gets the answer to id; or a negative errno, and
 * *reterr says why. */
int queues_set(Queues *queues, Span queue, const char *key, const char *value, Session *session,
               uint64_t id, ferry_error *reterr);

/* For ferry.Broker: MessagePack, see ferry-broker.thrift. -ENOENT: no such queue. */
int queues_show(Queues *queues, Span name, Buffer *to);
int queues_peek(Queues *queues, Span name, uint64_t limit, Buffer *to);
int queues_pause(Queues *queues, Span name, bool paused);

/*
 * Deletes all waiting jobs, or moves up to limit of them (0: all) to another queue; moving takes
 * dead letters back. 0: done, and *ret_n is the number of jobs. QUEUES_LATER: many jobs take
 * several turns, and the session gets the answer to id. -ENOENT: no queue has this name; -EINVAL:
 * `to` is no valid name, or the same queue; -ENOSPC: the queue `to` is full; -EBUSY: too many of
 * these operations are under way; -ENOMEM.
 */
enum { QUEUES_LATER = 1 };
int queues_purge(Queues *queues, Span name, Session *session, uint64_t id, uint64_t *ret_n);
int queues_move(Queues *queues, Span from, Span to, uint64_t limit, Session *session, uint64_t id,
                uint64_t *ret_n);

/* The queue of a job, by its number; empty: the job is gone, or not confirmed yet. */
Span queues_queue_of_job(Queues *queues, uint64_t job);
/* Each changes one job: removes it, makes it the next one to be delivered, or moves it to another
 * queue under a new number. A worker that has the job gets LOST. QUEUES_LATER: the session gets the
 * answer to id (of a move: the new number). 0: done. -ENOENT: there is no such job; -EBUSY: a
 * worker has the job, or it waits to become a dead letter, or for another job with its ordering
 * key; -EINVAL: `to` is no valid name, or the same queue; -ENOSPC: the queue `to` is full; -EAGAIN:
 * the body is being read from the disk; -ENOMEM.
 */
int queues_cancel(Queues *queues, uint64_t job, Session *session, uint64_t id);
int queues_run_now(Queues *queues, uint64_t job);
int queues_move_job(Queues *queues, uint64_t job, Span to, Session *session, uint64_t id);
/* For ferry.Broker: one job, as MessagePack. -ENOENT. */
int queues_show_job(Queues *queues, uint64_t job, Buffer *to);
/*
 * Facts: what a command has set and a restart must not lose, a short text under a name. A queue
 * without a data folder has them in memory alone.
 */
enum { FACT_NAME_MAX = 800, FACT_VALUE_MAX = 64 * 1024 };

/* value empty: the fact is gone. */
typedef void (*FactFn)(Span name, Span value, void *ctx);

/* Calls fn for each fact with this prefix: now, when it is restored, and when it changes. */
void queues_watch_facts(Queues *queues, const char *prefix, FactFn fn, void *ctx);
/* Keeps a fact; an empty value forgets it. The change has an effect at once; the session gets the
 * answer to id, a result of ferry.Broker, when it is as safe as the broker can make it: then
 * QUEUES_LATER is returned. If the store fails, the fact is as before. -ENOSPC: there are max_names
 * facts, or the disk is full; -E2BIG; -ENOMEM; or the errno of the store. */
int queues_keep_fact(Queues *queues, Span name, Span value, Session *session, uint64_t id);
/* queues_fact() reads one: see store.h. */

/*
 * A job that the broker itself pushes, for broker/schedules/: with the queue (name), headers, body
 * and id of the message. The store keeps origin (WIRE_TOKEN bytes) and id with the job, in one
 * step. 0: the job is stored; QUEUES_LATER: fn will be called; negative: problem says why not.
 * -ENOSPC: the queue or the broker is full, or the store cannot write; or the errno of the store.
 */
typedef void (*OwnPushFn)(int result, void *ctx);
int queues_push_own(Queues *queues, const Message *message, const uint8_t *origin, OwnPushFn fn,
                    void *ctx, char *problem, size_t size);
/* fn is not called for this ctx any more. */
void queues_push_own_forget(Queues *queues, const void *ctx);
/* The highest id of an origin that a store had when the broker started; 0: there was none. */
uint64_t queues_last_of_origin(const Queues *queues, const uint8_t *origin);

/*
 * One message into several queues, for broker/admin/binds.h: check each queue, make the jobs, and
 * then store or cancel them. The jobs have the headers of the message and FAN_OUT_TOPIC.
 */
#define FAN_OUT_TOPIC "ferry-topic"

/* Has the queue room for the message? Negative: no, problem and *ret_type say why. */
int queues_fan_out_check(Queue *queue, const Message *message, char *problem, size_t size,
                         const char **ret_type);
/* Makes the jobs, one in each of n queues, which it sorts. -ENOMEM. */
int queues_fan_out(Queues *queues, Queue **to, size_t n, Session *session, const Message *message,
                   const void *block, Fanout **ret);
/* Stores the jobs. When all are stored, the session gets OK to the message's id, with their number,
 * or the error of a store. */
void queues_fan_out_store(Fanout *fan_out);
void queues_fan_out_cancel(Fanout *fan_out);

/* Jobs in flight to connected workers. */
size_t queues_n_in_flight(const Queues *queues);
/* Opens the stores, which write to wake_fd, an eventfd, if queues_process_stores() has work. 0, or
 * the negative errno of a store, and *reterr. */
int queues_open_stores(Queues *queues, int wake_fd, ferry_error *reterr);
/* Restores a part of the contents of the stores. 1: there is more; 0: all is restored; or a
 * negative errno, and *reterr: a store cannot be read. */
int queues_restore(Queues *queues, ferry_error *reterr);
/* Ends the changes that the stores have made. */
void queues_process_stores(Queues *queues);
/* Of queues whose configuration names none: "memory" or "disk". */
const char *queues_usual_durability(const Queues *queues);
/* Why a store cannot write; NULL: all stores can. */
const char *queues_degraded(const Queues *queues);
/* A store has failed, and only a new start of the broker helps. */
bool queues_broken(const Queues *queues);
/* Jobs in memory, which end with the broker. */
size_t queues_n_fleeting(const Queues *queues);
