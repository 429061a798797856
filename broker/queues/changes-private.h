/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Changes that stores make: a job enters, leaves or moves, and the answer follows. */

#include "broker/queues/inbox-entry.h"
#include "broker/queues/jobs-private.h"
#include "broker/queues/queues-private.h"

/* Waits until an entry is in the inbox of another broker. */
typedef struct RelaySending RelaySending;
struct RelaySending {
    void (*fn)(Queues *queues, RelaySending *sending, int result); /* see on_sent() in relay.h */
};

/* Waits until the store has finished a change that is not the change of one job. */
typedef struct Waiter Waiter;
struct Waiter {
    void (*fn)(Queues *queues, Waiter *waiter, int result);
    Store *store;
    uint64_t ticket;
};

/* ---- push.c ---- */

enum { PUSH_IS_DUPLICATE = 1 };

/* Makes room for one more job of `bytes` bytes. replaces: a job that leaves when the new job
 * enters, or NULL. Negative: there is no room, and *problem says why. */
int queue_make_room(Queue *queue, size_t bytes, const Job *replaces, Problem *problem);
/* True: one more job of `bytes` bytes would exceed the limits of the queue. */
bool queue_is_full(const Queue *queue, size_t bytes);

/* A job that may be stored, and its deduplication key, if it has one. If a key refused the job: the
 * key of the other job alone. */
typedef struct Admission {
    Job *job;
    Key *key;
} Admission;

/* Checks all conditions for storing a job of this session, and makes the job (JOB_STORING).
 * replaces: the job whose place it takes, or NULL. 0; PUSH_IS_DUPLICATE; or negative: *problem says
 * why. */
int queue_admit(Queues *queues, const Session *session, const Message *message, const void *block,
                const Job *replaces, Admission *ret, Problem *problem);
/* True: the worker keeps the job of this FORWARD, and pushes its result to the shard of the queue,
 * which is away. */
bool forward_is_kept(Queues *queues, const Message *message);

/* ---- dead-letter.c ---- */

/* Moves a job that is in no list to the dead-letter queue of its queue; in a dead-letter queue the
 * job stays, delayed. Then session (may be NULL) gets the answer to id. */
void job_dead_letter(Job *job, Span reason, Session *session, uint64_t id);
/* Copies a job for another queue: JOB_STORING, with a new id and no attempts. A copy that leaves a
 * dead-letter queue has no dead-letter headers. NULL: out of memory. */
Job *job_remake(const Job *job, Queue *to, bool as_dead);
/* The content and the parts that job_remake() gives to the new job, without its time to live. They
 * point into the job and into queues->scratch. False: out of memory, or the job is paged out. */
bool job_remake_content(const Job *job, bool as_dead, JobParts *parts, Message *content);

/* ---- waiters.c ---- */

/* Gives the waiter a ticket for a change of this store. fn is called when the store has finished
 * the change. -ENOMEM. */
int waiter_begin(Queues *queues, Waiter *waiter, Store *store);
/* The waiter of a ticket, which is used up. NULL: no waiter has it. */
Waiter *waiter_take(Queues *queues, uint64_t ticket);
/* The shard is away: all its changes under way have failed. */
void waiters_shard_left(Queues *queues, const Store *store);
/* Sets the problem that the store did not make a change. store may be NULL. */
void store_problem(const Store *store, int result, Problem *ret);
/* Answers with this problem. */
void store_error(Session *session, uint64_t id, const Store *store, int result);

/* ---- pending.c ---- */

/* Whose push it is: that of a client, or the result of a job that is forwarded. */
typedef struct Pusher {
    Client *client;           /* NULL: the push is not remembered */
    RestoredPushes *forwards; /* NULL: it forwards no job */
    uint64_t id;              /* of the push, or the number of the job that is forwarded; 0 */
} Pusher;

/* Each makes a change through the queue's store, and answers when it is done: a push with
 * push_ok(), a move with the number of the new job. session and key may be NULL. The job must be in
 * no list. */
void change_push(Job *job, Key *key, Session *session, const Pusher *pusher, uint64_t id);
void change_remove(Job *job, Session *session, uint64_t id);
void change_cancel(Job *job, Session *session, uint64_t id);
void change_forward(Job *old, Job *job, Key *key, Session *session, uint64_t id);
void change_dead_letter(Job *old, Job *dead, Session *session, uint64_t id);
void change_move(Job *old, Job *job, Session *session, uint64_t id);
/* Takes the job out of its queue, if the store agrees later. */
void job_settle(Job *job);
/* If a settled job was not removed, it is not lost: it is delivered again. */
void job_back_to_front(Job *job);
/* Removes a job that is stored elsewhere already. */
void change_remove_moved(Job *job);
/* Confirms a push: the number of the job, PUSH_STORED or another outcome, and the durability of the
 * queue (NULL: not known). */
void push_ok(Session *session, uint64_t id, uint64_t job, uint64_t outcome, const Queue *queue);
/* The job with this key is being stored, and may still fail: a push with the same key, of
 * this client (or NULL), gets the answer to id with that of the job. -EBUSY: too many pushes wait
 * so; -ENOMEM. */
int pending_join(Queues *queues, const Key *key, Session *session, Client *client, uint64_t id);
/* True: this push is still being stored; this session gets the answer to id. */
bool pending_push_again(Queues *queues, Session *session, const Pusher *pusher, uint64_t id);
/* True: the store has not finished this settlement yet. The session gets its answer later, or an
 * error if another session waits for it. */
bool pending_settle_again(Queues *queues, Session *session, const Message *message);
void pendings_session_gone(Queues *queues, Session *session);
void pendings_client_gone(Queues *queues, Client *client);
void pendings_free(Queues *queues);
/* The shard is away: all its changes under way have failed. */
void pendings_shard_left(Queues *queues, Store *store);
void queues_store_done(uint64_t ticket, int result, void *ctx);

/* ---- own-push.c ---- */

void own_pushes_free(Queues *queues);

/* ---- far-moves.c ---- */

/* Sends the job to a queue whose shard is away. If this returns 0, the caller takes the job from
 * its worker or its list and settles it, and the session gets the answer to id later. -EBUSY: the
 * store has too much to send, or Redis does not answer; -ENOMEM, also if the job is paged out. */
int far_move_begin(Job *job, Span to, Session *session, uint64_t id, Sweep *sweep);
void far_moves_forget_sweep(Queues *queues, const Sweep *sweep);
void far_moves_session_gone(Queues *queues, const Session *session);
void far_moves_free(Queues *queues);
/* Takes a job from the inbox of the shard; see queues_take_entry(). */
int far_move_take(Queues *queues, Store *store, const InboxEntry *entry, void *of, Problem *why);
void arrivals_free(Queues *queues);

/* ---- fan-out.c ---- */

size_t fan_out_bytes(const Message *message); /* of a job that it becomes, about */
/* Stores the jobs of an entry of the shard's inbox, and ends the entry, in one step. A negative
 * errno: nothing was stored. */
int fan_out_store_entry(Fanout *fan_out, Store *store, void *entry);
void fan_outs_session_gone(Queues *queues, const Session *session);
size_t fan_outs_count(const Queues *queues);
void fan_outs_free(Queues *queues);

/* ---- bulk.c ---- */

/* Runs one slice, once in each turn. */
void sweeps_go_on(Queues *queues);
void sweeps_session_gone(Queues *queues, const Session *session);
void sweeps_shard_left(Queues *queues, const Store *store);
void sweeps_free(Queues *queues);
/* A job of the sweep is in the inbox of another broker (0), or is back in its queue. */
void sweep_far_ended(Sweep *sweep, int result);
/* The time of the next slice; UINT64_MAX: no sweep is under way. */
uint64_t sweeps_next_ms(const Queues *queues);
