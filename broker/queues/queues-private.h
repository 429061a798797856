/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The records and functions that the files of the queue router share. A file calls only files above
 * it in this list:
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
    QUEUE_LOSSES_MAX = 3, /* a job that was in flight to so many lost sessions is quarantined */
};

#define QUEUE_TIME_MAX (UINT64_C(10) * 365 * 86400 * 1000) /* longest delay, time to live: ms */

typedef enum JobState {
    JOB_STORING,   /* the store is still storing it */
    JOB_READY,     /* queue->ready, or queue->quarantined */
    JOB_DELAYED,   /* queue->delayed */
    JOB_IN_FLIGHT, /* in_flight->jobs, or in_flight->lost while the worker may come back */
    JOB_SETTLING,  /* the store is still removing it */
} JobState;

/* Headers and body of a job that may be paged out: a record of its own. */
typedef struct PagedContent {
    struct PagedContent *prev, *next; /* in queues->pageable, if the job waits */
    Job *job;
    StoredMessage message; /* the last member: the bytes of the content follow */
} PagedContent;

typedef struct Paging {
    PagedContent *content; /* NULL: the content is paged out */
    uint64_t size;         /* see stored_message_size() */
} Paging;

struct Job {
    StoredJob stored; /* first: a StoredJob is a Job */
    Job *prev, *next; /* in the list of its state */
    Timer timer;      /* delayed: when it is due; ready: when it expires; in flight: the time
                       * limit */
    union {
        Pull *pull;       /* in flight: the pull that got it; NULL: the pull is gone */
        uint64_t lost_ms; /* in flight, session NULL: when the session was lost */
    } u;
    Session *session;    /* in flight: to this session; NULL: the session is lost */
    InFlight *in_flight; /* in flight: the list of its worker */
    char *reason;        /* why it failed last: n_reason bytes */
    JobTies *ties;       /* NULL: the job has no ordering key and no unique key */
    uint8_t state;       /* JobState */
    uint8_t n_reason;
    uint8_t n_lost;              /* number of sessions that were lost while they had the job */
    bool returned : 1;           /* ready again after a lost delivery: stands among the first */
    bool quarantined : 1;        /* ready, in queue->quarantined */
    bool parked : 1;             /* ready, in queue->parked: see order.c */
    bool awaits_dead_letter : 1; /* delayed until its dead-letter queue may have room */
    bool pageable : 1;           /* `paging` describes the content; `content` is unused */
    bool loading : 1;            /* the store is reading its content */
    bool unreadable : 1;         /* the store has failed to read its content */
    uint32_t pusher;             /* the quota that counts the job: see sessions/quota.h */
    union {                      /* the last member */
        StoredMessage content;   /* headers and body: their bytes follow */
        Paging paging;
    };
};

/* The keys of a job. */
struct JobTies {
    JobTies *prev, *next; /* in order->parked */
    Job *job;
    Order *order; /* NULL: the job has no ordering key */
    Key *unique;  /* NULL: the job has no unique key */
};

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
    bool is_dead;        /* its name ends in .dead */
    bool warned;         /* the log has a line about the full dead-letter queue */
    bool told_full;      /* an event has reported that the queue refuses pushes, until it has room
                          * again */
    bool announced_full; /* bound: the other brokers know that it has no room */
    Queue *next_full;    /* the next one of these: see broker/admin/binds-private.h */
    char name[];
};

/* Waits until the store has finished a change that is not the change of one job. */
typedef struct Waiter Waiter;
struct Waiter {
    void (*fn)(Queues *queues, Waiter *waiter, int result);
    Store *store;
    uint64_t ticket;
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

/* A fact of a shard belongs to one queue of the shard. Two shards may have facts with one name. */
struct Fact {
    UT_hash_handle hh; /* uthash by shard and name */
    uint32_t n_name, n_value;
    uint8_t shard;  /* see Store; 0: it belongs to no shard */
    uint8_t data[]; /* name and value */
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
    Pending *pendings;       /* utlist */
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

/* The type and text of an ERROR. */
typedef struct Problem {
    const char *type;
    const Store *away; /* ferry.Moved: the shard of the queue; otherwise NULL */
    bool is_kept;      /* FORWARD: the job is still with its worker */
    char text[400];
} Problem;

static inline Queue *queue_of(const Job *job) {
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the first job of a full list */
    return (Queue *)job->stored.queue;
}

/* Reports a message of this queue to the taps that watch the queue. */
void queue_tap(Queue *queue, bool sent, Op op, const Session *session, uint64_t id, Span body);

static inline bool queue_name_is_dead(Span name) {
    return name.len > 5 && memcmp(name.data + name.len - 5, ".dead", 5) == 0;
}

static inline Job *job_of(StoredJob *stored) {
    return (Job *)stored;
}

/* Bytes of headers and body. */
static inline size_t job_bytes(const Job *job) {
    return job->pageable ? job->paging.size : stored_message_size(&job->content);
}

/* The content must be read before the job can be delivered, moved or shown. */
static inline bool job_is_paged_out(const Job *job) {
    return job->pageable && !job->paging.content;
}

/* Identifies the worker that may settle a delivery: 64 bits of the secret that all its sessions
 * share, also those with other brokers. A client that was forgotten and comes back has the same
 * key; a pointer would dangle. */
static inline uint64_t worker_key(const Session *session) {
    uint64_t key;

    memcpy(&key, session->has_group ? session->group : session->client->id, sizeof(key));
    return key | 1;
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

/* ---- shards.c ---- */

/* The shard of a queue. There must be shards. */
Store *shard_of(const Queues *queues, Span queue);
/* The shard of a job; NULL: its queue is in no shard. */
Store *shard_of_job(const Queues *queues, uint64_t job);
/* The first free number of a job in this store. */
uint64_t shard_next_job(const Queues *queues, const Store *store);

/* ---- away.c ---- */

/* The store of the queue, if it is a shard that is away. NULL: the queue is here. */
Store *shard_away(Queues *queues, Span queue);
/* Sets the problem that the queue's shard is away. */
void problem_set_moved(Problem *problem, Span queue, const Store *store);
/* Answers with the problem. */
void problem_answer(Session *session, uint64_t id, const Problem *problem);
/* Answers a push with the problem. ferry.Moved gets the number of these answers in the session. */
void push_refuse(Session *session, uint64_t id, const Problem *problem);
/* Fails if the push was sent before the client knew that an older push to this shard was refused
 * (docs/PROTOCOL.md §11). 0; -1: *problem is set. */
int push_in_order(Queues *queues, const Session *session, const Message *push, uint64_t moved,
                  Problem *problem);
void moved_session_gone(Session *session);
/* Tells the pull that its queue is at another broker. */
void shard_tell_moved(const Pull *pull);

/* ---- paging.c ---- */

/* A smaller content stays in the record of its job. */
enum { PAGEABLE_MIN = 512 };

/* Keeps the content in memory. -ENOMEM. */
int paging_keep(Job *job, const Message *content, const void *block);
/* Frees the content, if it is in memory: the job is about to be freed. */
void paging_drop(Job *job);
/* Drops the content from memory, if the store has it. */
bool paging_out(Job *job);
/* The job begins to wait, or stops waiting: contents of waiting jobs may be dropped. */
void paging_job_waits(Job *job);
void paging_job_leaves(Job *job);
/* Asks the store to read the content of the job, and of jobs behind it in its list, as far ahead as
 * is useful. If the store is reading much already, the queue is touched and asks again later. */
void paging_load(Job *job);
/* Like paging_load(), for a job that is stored again in another queue. */
void paging_load_to_move(Job *job);
/* The content was read, or the job that waited for it is gone. */
void paging_load_ended(Job *job);
/* Drops the contents that have been in memory for the longest time, until max_queue_memory bytes
 * are left. */
void paging_trim(Queues *queues);

/* ---- job-table.c ---- */

/* The number must not be in the table. -ENOMEM. */
int job_table_put(Queues *queues, Job *job);
Job *job_table_get(Queues *queues, uint64_t id); /* NULL: no job has this number */
void job_table_take(Queues *queues, const Job *job);
/* Begins a walk over all jobs of a shard. */
void job_table_walk(Queues *queues, TableWalk *walk);
/* Calls fn for the next jobs, up to about max; fn may free its job. False: the walk has ended. */
bool job_table_walk_on(Queues *queues, TableWalk *walk, const Store *shard, unsigned max,
                       void (*fn)(Job *job));

/* ---- job.c ---- */

/* A new job. */
typedef struct JobParts {
    const Message *content; /* headers and body, or both in encoded form: they become the job's */
    const void *block;      /* the block around the body, or NULL */
    Span order;             /* the ordering key; empty: no key */
    uint64_t id;            /* the job's number; 0: the next free number */
    uint64_t delay_ms, ttl_ms;
    uint8_t priority;
    bool may_page_out; /* the store has the job: its content is left out if memory is short */
} JobParts;

/* Makes a job: JOB_STORING, counted in its queue, in no list. NULL: out of memory. */
Job *job_new(Queue *queue, const JobParts *parts);

/* Counts the job in the quota of the user who pushed it; 0: in no quota. */
void job_set_pusher(Job *job, uint32_t quota);
/* Frees a job that is in no list. */
void job_free(Job *job);

/* Each puts a job that is in no list into a list of its queue: by its delay; at the front, where
 * returned jobs stand in the order of their ids; delayed until due_ms. */
void job_enter(Job *job);
void job_enter_front(Job *job);
void job_enter_delayed(Job *job, uint64_t due_ms);
/* The queue's back-off: doubled so many times, at most its longest. */
uint64_t job_back_off_ms(const Job *job, unsigned times);
/* How often its back-off has been doubled by its attempts. */
static inline unsigned job_retries(const Job *job) {
    return job->stored.attempt > 0 ? job->stored.attempt - 1 : 0;
}
/* Puts a job among the ready jobs: in front of `before`, or at the end (NULL). */
void job_enter_ready(Queue *queue, Job *before, Job *job);
/* Takes a job out of its list, and disarms its timer. For a job in flight: see lease_end(). */
void job_leave(Job *job);
void job_set_reason(Job *job, Span reason);
void job_arm(Job *job, uint64_t at_ms);
static inline bool job_is_over(const Job *job) {
    return job->stored.expires_ms &&
           job->stored.expires_ms <= queue_of(job)->queues->broker->now_ms;
}
/* The first job of the highest priority. The queue must have ready jobs. */
static inline Job *queue_first(const Queue *queue) {
    return queue->ready[31 - __builtin_clz(queue->ready_bits)];
}

/* ---- order.c ---- */

/* Ties the job to its ordering key; an empty key is ignored. -ENOMEM. */
int order_join(Job *job, Span key);
/* True: the job is the first of its ordering key and may be delivered. It has the turn then. */
bool order_takes_turn(Job *job);
/* Parks a job that does not have the turn; or ends the parking. */
void order_park(Job *job);
void order_unpark(Job *job);
/* The job leaves its queue: the next job with its ordering key has the turn. */
void order_pass_on(Job *job);
/* A job that was delivered before the restart has the turn. */
void order_claim(Job *job);
int unique_tie(Job *job, Key *key); /* Ties the job to its unique key. -ENOMEM. */
void ties_end(Job *job);

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

/* ---- pull.c ---- */

/* Delivers jobs to free slots. Cheap if there is nothing to deliver. */
void queue_dispatch(Queue *queue);
void queues_dispatch_touched(Queues *queues);
void pulls_unblock(Queues *queues);
void pulls_session_gone(Queues *queues, Session *session);

/* ---- dead-letter.c ---- */

/* Moves a job that is in no list to the dead-letter queue of its queue; in a dead-letter queue the
 * job stays, delayed. Then session (may be NULL) gets the answer to id. */
void job_dead_letter(Job *job, Span reason, Session *session, uint64_t id);
/* Copies a job for another queue: JOB_STORING, with a new id and no attempts. A copy that leaves a
 * dead-letter queue has no dead-letter headers. NULL: out of memory. */
Job *job_remake(const Job *job, Queue *to, bool as_dead);

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
/* Confirms a push: the number of the job, PUSH_STORED or another outcome, and the durability of the
 * queue (NULL: not known). */
void push_ok(Session *session, uint64_t id, uint64_t job, uint64_t outcome, const Queue *queue);
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
/* ---- facts.c ---- */

/* A new fact of this shard (0: of no shard), in no table. NULL: out of memory. */
Fact *fact_new(unsigned shard, Span name, Span value);
Fact *fact_find(const Queues *queues, unsigned shard, Span name); /* NULL: there is no such fact */
/* Stores the fact under the name; NULL: the name has no fact from now on. The caller owns
 * *ret_before, the fact that was there. -ENOMEM. */
int fact_replace(Queues *queues, unsigned shard, Span name, Fact *fact, Fact **ret_before);
void facts_free(Queues *queues);
/* The facts of the shard take effect, or are gone. */
void facts_shard_here(Queues *queues, const Store *store);
void facts_shard_left(Queues *queues, const Store *store);

/* ---- fact-changes.c ---- */

void fact_changes_session_gone(Queues *queues, const Session *session);
void fact_changes_free(Queues *queues);

/* ---- own-push.c ---- */

void own_pushes_free(Queues *queues);

/* ---- fan-out.c ---- */

size_t fan_out_bytes(const Message *message); /* of a job that it becomes, about */
/* Stores the jobs of an entry of the shard's inbox, and ends the entry, in one step. A negative
 * errno: nothing was stored. */
int fan_out_store_entry(Fanout *fan_out, Store *store, void *entry);
void fan_outs_session_gone(Queues *queues, const Session *session);
void fan_outs_free(Queues *queues);

/* ---- stores.c ---- */

void stores_flush(Queues *queues);
/* A name of the store for people: "disk", "shard 3". The text is static. */
const char *store_shown(const Store *store);
/* The reason why it cannot write. The text is static. */
const char *store_why_degraded(const Store *store);
/* Changes that stores have not finished. Stores that cannot write do not finish theirs, and do not
 * count. */
size_t stores_n_open(const Queues *queues);
void stores_close(Queues *queues);
void stores_forget_pushes(Queues *queues, const uint8_t *client, uint64_t floor);

/* ---- restored-pushes.c ---- */

/* The name, as long as a client's id, under which jobs of this queue move to another store. */
void queue_name_as_client(const Queue *queue, uint8_t name[WIRE_TOKEN]);
/* True: an earlier process has stored this push, or (name of forwards) it was stored. */
bool restored_pushes_have(const Queues *queues, const uint8_t *client, uint64_t id);
/* The client is back: from now on its push ids are in its dedup window. */
void restored_pushes_adopt(Queues *queues, Client *client);
void restored_pushes_free(Queues *queues);
/* Forgets, here and in the stores, the pushes that moved jobs of this queue to other stores. */
void restored_pushes_queue_gone(Queue *queue);

/* A job of a shard that is forwarded to another shard is stored there under the name of its queue
 * and the user of its worker, with its number as the id of the push, whichever broker stores it.
 * The name has the length of a client's id, and no client has it. */
void forwards_name(const User *user, Span queue, uint8_t name[WIRE_TOKEN]);
bool forwards_have_name(const uint8_t *name);
/* Finds or makes the forwards of this name, with room for one more. NULL: out of memory. */
RestoredPushes *forwards_reserve(Queues *queues, const uint8_t name[WIRE_TOKEN]);
const uint8_t *forwards_client(const RestoredPushes *forwards); /* their name */
/* They stay while a change has them. */
void forwards_hold(RestoredPushes *forwards);
void forwards_let_go(RestoredPushes *forwards);
/* The job was stored. */
void forwards_add(Queues *queues, RestoredPushes *forwards, uint64_t job);

/* ---- dedup-keys.c ---- */

struct Key {
    Key *prev, *next;
    uint64_t until_ms;
    uint64_t job; /* number of its job; 0: not known */
    Job *holder;  /* the job of a unique key, which ends with it: until_ms is UINT64_MAX */
    Key **owner;  /* the pointer to this key in the change that stores its job; NULL: the job is
                   * stored */
    UT_hash_handle hh;
    uint8_t len;
    uint8_t data[];
};

Key *key_find(Queue *queue, Span key);
/* Adds a key; until_ms UINT64_MAX: a unique key. NULL: out of memory. */
Key *key_add(Queue *queue, Span key, uint64_t until_ms);
void key_forget(Queue *queue, Key *key);
/* Forgets up to max keys, except unique keys; returns their number. */
size_t keys_free(Queue *queue, size_t max);

/* ---- bulk.c ---- */

/* Runs one slice, once in each turn. */
void sweeps_go_on(Queues *queues);
void sweeps_session_gone(Queues *queues, const Session *session);
void sweeps_shard_left(Queues *queues, const Store *store);
void sweeps_free(Queues *queues);

/* ---- shard-moves.c ---- */

/* One slice of the jobs, keys and facts that leave memory, once in each turn. */
void shards_go_on(Queues *queues);
/* When the broker ends: the jobs that have not left yet are freed with their queues. */
void shards_free(Queues *queues);

/* ---- settings.c ---- */

void queue_configure(Queue *queue);
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
