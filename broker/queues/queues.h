#pragma once

/*
 * Queues of jobs: at least once, with leases as long as the worker's session. What a queue keeps is
 * behind store.h.
 */

#include "broker/sessions/session.h"

typedef struct Queues Queues;

int queues_new(Queues **ret, Broker *broker);
Queues *queues_free(Queues *queues);

/* One for each message of this kind. They answer by session_ok() and session_error(); block is the
 * block around message->body, or NULL. */
void queues_push(Queues *queues, Session *session, const Message *message, const void *block);
void queues_pull(Queues *queues, Session *session, const Message *message);
void queues_unpull(Queues *queues, Session *session, const Message *message);
void queues_ack(Queues *queues, Session *session, const Message *message);
void queues_retry(Queues *queues, Session *session, const Message *message);
void queues_reject(Queues *queues, Session *session, const Message *message);
void queues_release(Queues *queues, Session *session, const Message *message);
void queues_extend(Queues *queues, Session *session, const Message *message);
void queues_forward(Queues *queues, Session *session, const Message *message, const void *block);

/* HELLO: which deliveries the client still holds, from an earlier session. [job, attempt]… */
void queues_held(Queues *queues, Client *client, Span held);

/* HELLO: push ids below floor will not be asked about again. */
void queues_floor(Queues *queues, Client *client, uint64_t floor);

/* The session is gone: its leases wait lease_grace_ms for the client. */
void queues_session_gone(Queues *queues, Session *session);
void queues_client_gone(Queues *queues, Client *client);

/* Delays, times to live and time limits that have ended: so many in each turn. */
void queues_run_timers(Queues *queues);
/* When to do so next; UINT64_MAX: there are none. */
uint64_t queues_next_ms(const Queues *queues);

/* At the end of a turn: hands out jobs to whoever has slots and room. */
void queues_turn_end(Queues *queues);

/* Settings, from the configuration file: see docs. [queue NAME-or-pattern] key = value.
 * -EINVAL: problem (static text) says why. */
int queues_configure(Queues *queues, const char *pattern, const char *key, const char *value,
                     const char **problem);

/* The configuration is read again: what is set from here on counts when it has been read to the
 * end, and was right, in place of all that was set before. If not, that stays. */
void queues_reload(Queues *queues);
void queues_reloaded(Queues *queues, bool is_right);

size_t queues_count(const Queues *queues);

/* For ferry.Broker: MessagePack, see ferry-broker.thrift. -ENOENT: no such queue. */
int queues_show(Queues *queues, Span name, Buffer *to);
int queues_peek(Queues *queues, Span name, uint64_t limit, Buffer *to);
int queues_pause(Queues *queues, Span name, bool paused);

/*
 * Deletes all jobs that wait, or moves up to limit of them (0: all) to another queue, which is how
 * dead letters are taken back. 0: it is done, and *ret_n says how many there were. QUEUES_LATER:
 * they are so many that they take several turns; the session gets the answer to id. -ENOENT: no
 * such queue; -EINVAL: none can be called `to`, or it is the same; -ENOSPC: it has no room; -EBUSY:
 * too much of this is under way; -ENOMEM.
 */
enum { QUEUES_LATER = 1 };
int queues_purge(Queues *queues, Span name, Session *session, uint64_t id, uint64_t *ret_n);
int queues_move(Queues *queues, Span from, Span to, uint64_t limit, Session *session, uint64_t id,
                uint64_t *ret_n);
/* Something is left for the next turn, which should come at once. */
bool queues_are_busy(const Queues *queues);
/* Jobs that connected workers hold. */
size_t queues_n_in_flight(const Queues *queues);
/* Jobs that are gone when the broker ends. */
size_t queues_n_fleeting(const Queues *queues);
