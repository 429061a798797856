/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Queues of jobs: delivered at least once, leased for as long as the worker's session lives. Stores
 * (store.h) keep the jobs.
 */

#include "broker/sessions/session.h"

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
/* Why a store cannot write; NULL: all stores can. */
const char *queues_degraded(const Queues *queues);
/* A store has failed, and only a new start of the broker helps. */
bool queues_broken(const Queues *queues);
/* Jobs in memory, which end with the broker. */
size_t queues_n_fleeting(const Queues *queues);
