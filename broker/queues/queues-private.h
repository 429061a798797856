/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The record of a queue and of the queue router, which all files of the folder share. Other headers
 * declare the rest: jobs-private.h, pulls-private.h, changes-private.h, facts-private.h,
 * shards-private.h and restored-private.h. A file calls only files above it in this list:
 *
 *   dedup-window.c     the push ids of one client
 *   stores.c           all stores together: open, flush, forget pushes
 *   shards.c           the shard of a queue and of a job
 *   restored-pushes.c  the pushes that a store had when the broker started
 *   facts.c            settings, binds and schedules that commands have made
 *   table.c            the table of queues: found, made, forgotten; settings.c has their settings
 *   away.c             queues whose shard is away, and the error ferry.Moved
 *   dedup-keys.c       deduplication keys
 *   paging.c           contents of waiting jobs: dropped from memory, and read back
 *   job-table.c        all jobs by their numbers
 *   job.c              jobs: made, queued, freed
 *   order.c            ordering keys, unique keys
 *   lease.c            the slots of pulls, the jobs in flight to each client, the lease of one job
 *   pull.c             PULL, UNPULL, and the delivery of jobs
 *   waiters.c          changes of facts, and of several jobs at once
 *   pending.c          changes of one job, and their answers
 *   push.c             PUSH: options, limits, overflow
 *   fact-changes.c     settings, binds and schedules that commands make
 *   fan-out.c          one message that becomes a job in several queues
 *   inbox.c            messages for queues of a shard that were published at other brokers
 *   own-push.c         jobs of the broker's own schedules
 *   dead-letter.c      dead letters, and moving jobs
 *   loaded.c           contents that the store has read back
 *   settle.c           ACK, RETRY, REJECT, RELEASE, EXTEND, FORWARD
 *   timers.c           delays, times to live, time limits
 *   bulk.c             purging and moving many jobs
 *   steer.c            cancelling, hastening and moving one job
 *   lost.c             lost sessions, and the grace period of their jobs
 *   restore.c          the jobs that a store has when the broker starts
 *   shard-moves.c      shards that come to this broker, or leave it
 *   queues.c           new, free, turns
 */

#include <stdlib.h>

#include "base/slab.h"
#include "broker/queues/dedup-window.h"
#include "broker/queues/queues.h"
#include "broker/stores/store.h"
#include "broker/taps/tap.h"
#include "rpc/wire/stored-message.h"

typedef struct Bind Bind; /* see broker/admin/binds.h */
typedef struct Fact Fact;
typedef struct InFlight InFlight;
typedef struct RestoredPushes RestoredPushes;
typedef struct Job Job;
typedef struct JobPage JobPage;
typedef struct Key Key;
typedef struct JobTies JobTies;
typedef struct Order Order;
typedef struct PagedContent PagedContent;
typedef struct Pending Pending;
typedef struct Pull Pull;
typedef struct StoreShard StoreShard;
typedef struct Sweep Sweep;

enum {
    PRIORITIES = 10,
    QUEUE_NAME_MAX = 250,      /* so that "NAME.dead" is a name, too */
    QUEUE_KEY_MAX = 255,       /* bytes of a deduplication key */
    QUEUE_KEYS_MAX = 1000000,  /* the default of max_keys: deduplication keys of one queue */
    QUEUE_REASON_MAX = 255,    /* bytes of a text that says why a job failed last */
    QUEUE_RESTART_MS = 2000,   /* grace period of deliveries that were restored: their workers
                                * connect again */
    QUEUE_HANDOVER_MS = 30000, /* the same, after the last broker gave the shard up in order: their
                                * handlers may compute */
    QUEUE_IDLE_MS = 60000,     /* a queue that is not used is forgotten after this time */
    QUEUE_SLICE = 512,         /* jobs or keys handled in one turn */
    QUEUE_BLOCKED_LOOKS = 64,  /* blocked sessions that are checked for room in one turn */
    QUEUE_SETTLED_MAX = 1024,  /* settled deliveries remembered for each client */
    QUEUE_AWAY_MS = 1000,      /* a timer of a job whose shard is away is looked at again then */
    QUEUE_STORES_MAX = STORE_SHARDS_MAX + 3,
    QUEUE_LOSSES_MAX = 3, /* a job that was in flight to this many lost sessions is quarantined */
};

#define QUEUE_TIME_MAX (UINT64_C(10) * 365 * 86400 * 1000) /* longest delay, time to live: ms */

typedef enum QueueOverflow { OVERFLOW_REFUSE, OVERFLOW_DROP_OLDEST } QueueOverflow;

typedef struct QueueSettings {
    uint64_t max_jobs, max_bytes;
    uint64_t retry_ms, retry_max_ms, ttl_ms, time_limit_ms, dedup_ms;
    uint64_t max_attempts; /* 0: no limit */
    uint64_t max_keys;
    uint64_t max_working; /* jobs in flight to all workers; 0: no limit */
    uint64_t rate;        /* see queue_rate_us(); 0: no limit */
    QueueOverflow overflow;
    Store *store;
    uint64_t interval_ms; /* see StoredQueue in store.h */
    bool named;           /* the configuration has a section for this queue alone */
} QueueSettings;

/* Counts the jobs that were forwarded to one queue. */
typedef struct Forward {
    struct Forward *next;
    uint64_t n_jobs;
    char to[];
} Forward;

/* A queue counts the jobs that are forwarded to this many other queues, and no further ones. */
enum { FORWARDS_MAX = 16 };

struct Queue {
    StoredQueue stored; /* first: a StoredQueue is a Queue */
    Queues *queues;
    UT_hash_handle hh;
    QueueSettings settings;
    Job *ready[PRIORITIES];
    unsigned ready_bits; /* bit n: ready[n] is not empty */
    /* Ready jobs that may have killed their workers. Each goes to a worker without other jobs in
     * flight: if the job kills this worker, too, no other job loses an attempt. */
    Job *quarantined;
    Job *last_returned[PRIORITIES]; /* the last job that was put in front of ready[], or NULL */
    Pull *reserved; /* gets no further jobs until its jobs in flight are settled, and then a
                       quarantined job */
    Job *delayed;
    Job *parked;   /* ready, but behind another job with their ordering key */
    Order *orders; /* uthash by key */
    Pull *free;
    Pull *pulls; /* all that have not ended */
    size_t n_pulls;
    size_t n_jobs, n_ready, n_delayed, n_in_flight; /* n_jobs: jobs in all states */
    size_t n_paged_out, n_loading;                  /* jobs in all states */
    uint64_t bytes;                                 /* headers and bodies of all jobs */
    size_t n_dropping;                              /* jobs that are dropped, but not removed yet */
    uint64_t dropping_bytes;
    TapMark tap;
    uint64_t n_pushed, n_acked, n_redelivered, n_expired, n_dropped, n_cancelled;
    Key *keys;      /* uthash */
    Key *first_key; /* the key that expires first */
    size_t n_keys;
    uint32_t n_sweeps; /* sweeps under way: the queue must not be freed */
    Bind *binds;       /* utlist: to topic patterns */
    Forward *forwards; /* utlist: to other queues, at most FORWARDS_MAX */
    uint64_t fan_mark; /* the last message that was published to it: see broker/admin/binds.h */
    Timer key_timer;
    Timer rate_timer;    /* armed: the rate allows the next job at this time */
    uint64_t rate_at_us; /* the earliest time of the next job */
    Timer idle;
    Queue *next_touched;
    Queue *shard_prev, *shard_next; /* in shard->queues or shard->leaving; its store is a shard */
    bool touched;                   /* in queues->touched */
    bool leaving;                   /* in shard->leaving */
    bool told_away;                 /* its pulls know that the shard is away */
    bool paused;
    bool keeps_store;    /* its settings name another store, which it gets when it has no jobs */
    bool is_dead;        /* its name ends in .dead */
    bool warned;         /* the log has a line about the full dead-letter queue */
    bool told_full;      /* an event has reported that the queue refuses pushes, until it has room
                          * again */
    bool announced_full; /* bound: the other brokers know that it has no room */
    Queue *next_full;    /* the next one of these: see broker/admin/binds-private.h */
    char name[];
};

/* The router's part of a store that is a shard. */
struct StoreShard {
    Store *store;
    Queue *queues; /* utlist: the queues of the shard, here or away */
    /* While the shard is restored: jobs that workers of its last broker have; NULL: there is no
     * such job. */
    InFlight *held;
    /* While its jobs leave memory: */
    StoreShard *prev, *next; /* in queues->leaving */
    bool is_leaving;
    Queue *leaving;  /* utlist: queues that still have keys, and pulls that do not know it */
    TableWalk pages; /* the next page of the table of jobs */
};

/* A bound queue has got a message of another broker, and has no room for it. */
typedef void (*BoundFullFn)(Queue *queue, void *ctx);

typedef struct FactWatch {
    const char *prefix; /* facts whose names begin with it */
    FactFn fn;
    void *ctx;
} FactWatch;

struct Queues {
    Room room;
    Broker *broker;
    Timers timers;      /* timers of jobs: a million may come due at once */
    TimerFn on_job_due; /* the function that these timers call: job_due() in timers.c */
    Slabs slabs;
    PagedContent *pageable;     /* utlist: contents of waiting jobs, the one that has been in memory
                                 * for the longest time first */
    uint64_t paged_bytes;       /* of all PagedContents, with their bodies */
    uint64_t loading_bytes;     /* of all contents that the stores are reading */
    Queue *table;               /* uthash by name */
    Queue *last;                /* the queue that was found last */
    JobPage *pages, *last_page; /* uthash: all jobs by number, see job-table.c */
    uint64_t last_job;
    Queue *touched; /* queues to dispatch at the end of the turn */
    Pull *blocked;
    InFlight *in_flight; /* utlist */
    /* Deliveries that a store restored: elements of in_flight, or NULL. handed_over: of shards that
     * their last brokers gave up in order. */
    InFlight *restored, *handed_over;
    Pending *pendings; /* utlist */
    size_t n_twins;    /* pushes that wait for a job with their key: at most max_unconfirmed */
    Pending *pending_pushes; /* uthash: the elements of pendings that are pushes of clients */
    IdMap tickets;           /* all elements of pendings, by ticket */
    uint64_t last_ticket;
    IdMap waiters; /* all other changes under way, by ticket */
    Fact *facts;   /* uthash by name */
    FactWatch fact_watches[4];
    size_t n_fact_watches;
    BoundFullFn on_bound_full; /* NULL: no broker shares queues with this one */
    void *bound_full_ctx;
    size_t n_set;                    /* number of facts that are settings of queues */
    struct FactChange *fact_changes; /* utlist */
    struct OwnPush *own_pushes;      /* utlist: pushes that the store has not finished */
    Fanout *fan_outs;                /* utlist: messages whose publisher has no answer yet */
    TopicRelay *relay;               /* NULL: no broker shares queues with this one */
    struct FarMove *far_moves;       /* utlist: jobs that move to other brokers */
    struct Arrival *arrivals;        /* utlist: jobs from other brokers that are being stored */
    RestoredPushes *restored_pushes; /* uthash by client */
    Timer restored_timer;            /* armed: restored_pushes are forgotten at this time */
    Sweep *sweeps;                   /* utlist */
    uint32_t n_sweeps;
    struct Rule *rules, *rules_before; /* rules_before: the rules in force, while the configuration
                                        * is read again */
    bool reloading;
    Store *stores[QUEUE_STORES_MAX];
    bool told_degraded[QUEUE_STORES_MAX]; /* an event has reported that the store cannot write */
    Store *default_store;
    size_t n_stores;
    StoreShard shards[STORE_SHARDS_MAX];
    unsigned n_shards;   /* 0: the broker has no shards */
    StoreShard *leaving; /* utlist */
    size_t n_restored;   /* stores that have restored everything */
    Buffer scratch;
    Message job; /* the JOB message that is being made */
};

/* Reports a message of this queue to the taps that watch the queue. */
void queue_tap(Queue *queue, bool sent, Op op, const Session *session, uint64_t id, Span body);

static inline bool queue_name_is_dead(Span name) {
    return name.len > 5 && memcmp(name.data + name.len - 5, ".dead", 5) == 0;
}

/* ---- table.c ---- */

/* The queue of this name, or NULL. */
Queue *queue_find(Queues *queues, Span name);
/* The queue of this name; makes it if it is missing. NULL: *problem says why. */
Queue *queue_get(Queues *queues, Span name, Problem *problem);
/* The dead-letter queue NAME.dead; makes it if it is missing. NULL: out of memory. */
Queue *queue_dead_of(Queue *queue);
/* Call it after something was removed: a queue that is not used any more is forgotten after
 * QUEUE_IDLE_MS. */
void queue_maybe_idle(Queue *queue);
/* Makes the turn call queue_dispatch() at its end. */
void queue_touch(Queue *queue);
/* The queue must have no jobs and no keys. */
void queue_free(Queue *queue);
/* Counts a job that was forwarded to the queue named `to`. */
void queue_count_forward(Queue *queue, Span to);

/* The store of a queue without jobs. */
void queue_set_store(Queue *queue, Store *store);

void problem_set(Problem *problem, const char *type, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- settings.c ---- */

/* A queue with jobs keeps its store until they are gone. */
void queue_configure(Queue *queue);
/* The settings that queue_configure() gives to a queue without jobs. */
void queue_next_settings(const Queue *queue, QueueSettings *ret);
/* NULL: the value is possible for this setting; an empty one ends it. Otherwise a text, which is
 * static. */
const char *setting_problem(Queues *queues, const char *key, const char *value);
/* The name of the fact that has a setting of a queue. */
Span setting_fact(Buffer *to, Span queue, const char *key);
/* The store that a queue has by its settings, if it has no jobs. */
Store *settings_store(Queues *queues, Span queue);
/* The time between two jobs that the setting `rate` allows, in microseconds. */
uint64_t queue_rate_us(const QueueSettings *of);
void settings_watch_facts(Queues *queues);
void rules_free(Queues *queues);
