/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Pulls, the jobs in flight to each client, and the lease of one job. */

#include "broker/queues/queues-private.h"

typedef enum PullState {
    PULL_FREE,     /* queue->free: has free slots */
    PULL_FULL,     /* all its slots are taken, or it has no credit */
    PULL_BLOCKED,  /* queues->blocked: too many bytes wait to be sent to its session */
    PULL_RESERVED, /* queue->reserved */
    PULL_ENDED,    /* after UNPULL: freed when its last job in flight is settled */
} PullState;

/* A worker's request for jobs, with a number of slots. */
struct Pull {
    Pull *prev, *next;
    Pull *queue_prev, *queue_next; /* in queue->pulls */
    Queue *queue;
    Session *session;
    uint64_t id;
    uint32_t slots, n_in_flight;
    int64_t credit; /* bytes; below 1: no job is delivered until MORE comes */
    bool metered;   /* the pull has a credit of its own */
    uint8_t state;  /* PullState */
    bool alone;     /* has a quarantined job, and no other job beside it */
    bool waits;     /* stays if the queue is at another broker */
};

/* A delivery that its client has settled, and the op of the settlement. */
typedef struct Settled {
    uint64_t job, attempt, id;
    uint8_t op; /* 0: the settlement has failed */
} Settled;

/* The jobs in flight to one client. Made at its first PULL. */
struct InFlight {
    InFlight *prev, *next; /* in queues->in_flight */
    Queues *queues;
    Client *client; /* NULL: the client is gone or has not come back yet */
    Job *jobs;      /* in flight to its session, in the order of delivery */
    Job *lost;      /* in flight to its lost sessions, in the order of delivery: ready again when
                     * the grace period is over */
    Timer grace;    /* when the grace period of the first job of `lost` is over */
    /* A ring of the last deliveries that were settled with an id. A client repeats a settlement if
     * its answer was lost with a connection. */
    Settled *settled;
    uint32_t n_settled, next_settled;
};

/* Identifies the worker that may settle a delivery: 64 bits of the secret that all its sessions
 * share, also those with other brokers. A client that was forgotten and comes back has the same
 * key; a pointer would dangle. */
static inline uint64_t worker_key(const Session *session) {
    uint64_t key;

    memcpy(&key, session->has_group ? session->group : session->client->id, sizeof(key));
    return key | 1;
}

/* ---- lease.c ---- */

void pull_set(Pull *pull, PullState state);
/* True: all slots or all credit of the pull are used, so it gets no more jobs. */
bool pull_is_full(const Pull *pull);
/* Ends the pull: it gets no more jobs, and the jobs in flight to it stay. */
void pull_end(Pull *pull);
/* One of the pull's jobs was settled or lost. May free the pull. */
void pull_release(Pull *pull);

InFlight *in_flight_of(Queues *queues, Client *client); /* NULL: out of memory */
void in_flight_free(InFlight *in_flight);

/* Remembers that the client has settled the delivery. The other function tells whether it was
 * settled before, in the same way. */
void in_flight_settled(InFlight *in_flight, const Message *message);
bool in_flight_was_settled(const InFlight *in_flight, const Message *message);
/* The settlement with this id has failed after all. */
void in_flight_unsettled(InFlight *in_flight, uint64_t id);

void lease_begin(Job *job); /* also arms the time limit, if the queue has one */
/* Takes the job from its worker, or out of its list: it can no longer be settled. */
void lease_end(Job *job);
/* Tells the worker of the job that the job is lost, in the lane of JOB so that LOST does not
 * overtake it. reason: LOST_TIME_LIMIT, … */
void lease_tell_lost(const Job *job, uint64_t reason);
/* Takes the job from its worker, which may still settle it until the next delivery. */
void lease_let_go(Job *job);
/* Puts the job in flight again, to this session, under no pull. False: out of memory. */
bool lease_take_back(Job *job, Session *session);

/* ---- pull.c ---- */

/* Delivers jobs to free slots. Cheap if there is nothing to deliver. */
void queue_dispatch(Queue *queue);
void queues_dispatch_touched(Queues *queues);
void pulls_unblock(Queues *queues);
void pulls_session_gone(Queues *queues, Session *session);

/* ---- settle.c ---- */

/* The delivery has failed: the job goes to the front again, or becomes a dead letter after its last
 * attempt. */
void lease_fail(Job *job, const char *reason);
/* The time limit has passed: tells the worker that it has lost the job. */
void lease_expire(Job *job);

/* ---- timers.c ---- */

void job_due(Timer *timer, void *ctx);

/* ---- lost.c ---- */

/* Deliveries that a store restored, until their workers come back. NULL: out of memory. */
InFlight *in_flight_restored(Queues *queues);
/* Deliveries that a shard restores: the time for their workers begins when the shard is here. NULL:
 * out of memory. */
InFlight *in_flight_of_shard(Queues *queues, StoreShard *shard);
/* The shard is here. */
void in_flight_shard_here(Queues *queues, StoreShard *shard);
