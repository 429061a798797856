#pragma once

/*
 * The records and functions that the files of the queue router share. A file calls only files above
 * it in this list:
 *
 *   pool.c, dedup-window.c
 *   table.c        the table of queues: found, made, forgotten      settings.c  their settings
 *   dedup-keys.c   deduplication keys
 *   job.c          jobs: made, lined up, freed
 *   lease.c        the slots of pulls, the jobs in flight to each client, the lease of one job
 *   pull.c         PULL, UNPULL, and handing out jobs
 *   pending.c      changes that go through a store, and their answers
 *   push.c         PUSH: options, limits, overflow
 *   dead-letter.c  dead letters, and moving jobs
 *   settle.c       ACK, RETRY, REJECT, RELEASE, EXTEND, FORWARD
 *   timers.c       delays, times to live, time limits
 *   lost.c         lost sessions, and the grace period of their jobs
 *   bulk.c         purging and moving many jobs
 *   restore.c      the jobs that a store still holds when the broker starts
 *   queues.c       new, free, turns
 */

#include <stdlib.h>

#include "broker/queues/dedup-window.h"
#include "broker/queues/pool.h"
#include "broker/queues/queues.h"
#include "broker/stores/store.h"

typedef struct InFlight InFlight;
typedef struct Job Job;
typedef struct Key Key;
typedef struct Pending Pending;
typedef struct Pull Pull;
typedef struct Queue Queue;
typedef struct Sweep Sweep;

enum {
    PRIORITIES = 10,
    QUEUE_NAME_MAX = 250,     /* "NAME.dead" must be a name too */
    QUEUE_KEY_MAX = 255,      /* bytes of a deduplication key */
    QUEUE_REASON_MAX = 255,   /* bytes kept of why a job was given back */
    QUEUE_RESTART_MS = 2000,  /* restored deliveries wait so long for their workers */
    QUEUE_IDLE_MS = 60000,    /* an unused queue is forgotten after this */
    QUEUE_INLINE_MAX = 4096,  /* a larger body is kept in its block */
    QUEUE_SLICE = 512,        /* jobs or keys that are seen to in one turn, of many */
    QUEUE_BLOCKED_LOOKS = 64, /* sessions looked at in each turn: have they room again? */
    QUEUE_LOSSES_MAX = 3,     /* a job that was held in so many lost sessions is handed out alone */
};

#define QUEUE_TIME_MAX (UINT64_C(10) * 365 * 86400 * 1000) /* delays and times to live, ms */

typedef enum JobState {
    JOB_STORING,   /* a store is about to keep it */
    JOB_READY,     /* queue->ready, or queue->quarantined */
    JOB_DELAYED,   /* queue->delayed */
    JOB_IN_FLIGHT, /* in_flight->jobs, or in_flight->lost: a worker has it, or may come back */
    JOB_SETTLING,  /* a store is about to forget it */
} JobState;

struct Job {
    StoredJob stored; /* first: a StoredJob is a Job */
    Job *prev, *next; /* of the list that its state names */
    Timer timer;      /* delayed: until due; ready: until it expires; held: the time limit */
    union {
        Pull *pull;       /* held: NULL when the pull is gone */
        uint64_t lost_ms; /* held, session NULL: since when */
        Pending *pending; /* storing, settling; may be NULL */
    } u;
    Session *session;    /* held: by whom; NULL: lost */
    InFlight *in_flight; /* held */
    uint64_t
        worker;   /* who it was last delivered to (worker_key) and may still settle it; 0: none */
    char *reason; /* why it was last given back; n_reason bytes */
    uint32_t data_len;
    uint8_t state; /* JobState */
    uint8_t n_reason;
    uint8_t n_lost;              /* how often a session was lost that held it */
    bool leased : 1;             /* in queues->leased */
    bool returned : 1;           /* ready again after a lost delivery: stands at the front */
    bool quarantined : 1;        /* ready, on queue->quarantined */
    bool awaits_dead_letter : 1; /* delayed: its dead-letter queue had no room, try again */
    bool large : 1;              /* data begins with a LargeBody */
    uint8_t data[];              /* headers and body as they came, or a LargeBody and the headers */
};

typedef struct LargeBody {
    const void *block; /* owned */
    const uint8_t *data;
    size_t len;
} LargeBody;

typedef struct JobList {
    Job *first, *last;
} JobList;

typedef enum PullState {
    PULL_FREE,     /* queue->free: has slots */
    PULL_FULL,     /* all its slots are taken */
    PULL_BLOCKED,  /* queues->blocked: too many bytes wait for its session */
    PULL_RESERVED, /* queue->reserved */
    PULL_ENDED,    /* UNPULLed; goes when the last job it holds does */
} PullState;

/* A worker's standing order for jobs. */
struct Pull {
    Pull *prev, *next;
    Queue *queue;
    Session *session;
    uint64_t id;
    uint32_t slots, n_in_flight;
    uint8_t state; /* PullState */
    bool alone;    /* holds a suspect: gets nothing beside it */
};

typedef struct PullList {
    Pull *first, *last;
} PullList;

/* What a client holds. Made with its first delivery. */
struct InFlight {
    InFlight *prev, *next; /* of queues->in_flight */
    Queues *queues;
    Client *client; /* NULL: it left, or is of those restored, who have not come back yet */
    JobList jobs;   /* of its session, in the order of delivery */
    JobList lost;   /* of earlier ones, likewise: given back when their grace is over */
    Timer grace;    /* of the first of lost */
};

typedef enum QueueOverflow { OVERFLOW_REFUSE, OVERFLOW_DROP_OLDEST } QueueOverflow;

typedef struct QueueSettings {
    uint64_t max_jobs, max_bytes;
    uint64_t retry_ms, retry_max_ms, ttl_ms, time_limit_ms, dedup_ms;
    uint64_t max_attempts; /* 0: no limit */
    QueueOverflow overflow;
    Store *store;
    bool named; /* the configuration names this very queue */
} QueueSettings;

struct Queue {
    StoredQueue stored; /* first: a StoredQueue is a Queue */
    Queues *queues;
    UT_hash_handle hh;
    QueueSettings settings;
    JobList ready[PRIORITIES];
    unsigned ready_bits; /* bit n: ready[n] is not empty */
    /* Jobs that may have killed their workers. Each is handed to a worker that holds nothing else:
     * one that does kill its worker has its attempts alone, and no neighbour pays for it. */
    JobList quarantined;
    Job *last_returned[PRIORITIES]; /* to the front of ready[]; may be NULL */
    Pull *reserved; /* gets no more jobs, until it holds none and can take a suspect */
    JobList delayed;
    PullList free;
    size_t n_pulls;
    size_t n_jobs, n_ready, n_delayed, n_in_flight; /* n_jobs: in any state */
    uint64_t bytes;                                 /* headers and bodies of n_jobs */
    uint64_t n_pushed, n_acked, n_redelivered, n_expired, n_dropped;
    Key *keys;                 /* uthash */
    Key *first_key, *last_key; /* in the order of their end */
    size_t n_keys;
    uint32_t n_sweeps; /* under way: the queue stays */
    Timer key_timer;
    Timer idle;
    Queue *next_touched;
    bool touched; /* on queues->touched */
    bool paused;
    bool is_dead; /* its name ends in .dead */
    bool warned;  /* that its dead-letter queue is full */
    char name[];
};

/* A place in the table of queues that stays valid over several turns. */
typedef struct QueueCursor {
    struct QueueCursor *prev, *next; /* of queues->cursors */
    Queue *at;                       /* the next queue; NULL: the end */
} QueueCursor;

struct Queues {
    Room room;
    Broker *broker;
    Timers timers;   /* of jobs: a million may come due at once */
    TimerFn job_due; /* of those timers: job_due() of timers.c */
    Pool pool;
    Queue *table; /* uthash by name */
    Queue *last;  /* the one found last */
    IdMap leased; /* jobs that were delivered and may still be settled by that worker */
    uint64_t last_job;
    Queue *touched; /* have something to do at the end of the turn */
    PullList blocked;
    InFlight *in_flight; /* utlist */
    InFlight *restored;  /* one of them, or NULL */
    Pending *pendings;   /* utlist */
    Sweep *sweeps;       /* utlist */
    uint32_t n_sweeps;
    QueueCursor *cursors;              /* utlist */
    struct Rule *rules, *rules_before; /* before: while the configuration is read again */
    bool reloading;
    Store *stores[4];
    size_t n_stores;
    Buffer scratch;
    Message job; /* of JOBs: zero but for what handing out sets */
};

/* Why something is refused: what an ERROR will say. */
typedef struct Problem {
    const char *type;
    char text[400];
} Problem;

static inline Queue *queue_of(const Job *job) {
    return (Queue *)job->stored.queue;
}

static inline Job *job_of(StoredJob *stored) {
    return (Job *)stored;
}

static inline LargeBody *large_of(const Job *job) {
    return (LargeBody *)(uintptr_t)job->data;
}

/* Bytes of headers and body. */
static inline size_t job_bytes(const Job *job) {
    return job->large ? job->data_len - sizeof(LargeBody) + large_of(job)->len : job->data_len;
}

/* Who may settle a delivery: 64 of the client's secret bits, so that a client which was forgotten
 * and comes back is known again, and nothing dangles. */
static inline uint64_t worker_key(const Client *client) {
    uint64_t key;

    memcpy(&key, client->id, sizeof(key));
    return key | 1;
}

static inline void jobs_append(JobList *list, Job *job) {
    job->next = NULL;
    job->prev = list->last;
    if (list->last)
        list->last->next = job;
    else
        list->first = job;
    list->last = job;
}

/* before NULL: at the end. */
static inline void jobs_insert(JobList *list, Job *before, Job *job) {
    if (!before) {
        jobs_append(list, job);
        return;
    }
    job->next = before;
    job->prev = before->prev;
    if (before->prev)
        before->prev->next = job;
    else
        list->first = job;
    before->prev = job;
}

static inline void jobs_remove(JobList *list, Job *job) {
    if (job->prev)
        job->prev->next = job->next;
    else
        list->first = job->next;
    if (job->next)
        job->next->prev = job->prev;
    else
        list->last = job->prev;
}

static inline void pulls_append(PullList *list, Pull *pull) {
    pull->next = NULL;
    pull->prev = list->last;
    if (list->last)
        list->last->next = pull;
    else
        list->first = pull;
    list->last = pull;
}

static inline void pulls_remove(PullList *list, Pull *pull) {
    if (pull->prev)
        pull->prev->next = pull->next;
    else
        list->first = pull->next;
    if (pull->next)
        pull->next->prev = pull->prev;
    else
        list->last = pull->prev;
}

/* ---- table.c ---- */

/* The queue of this name, or NULL. */
Queue *queue_find(Queues *queues, Span name);
/* The same; makes it if it is missing. NULL: *problem says why. */
Queue *queue_get(Queues *queues, Span name, Problem *problem);
/* NAME.dead; makes it if it is missing. NULL: out of memory. */
Queue *queue_dead_of(Queue *queue);
/* Something was removed: a queue that is not used any more is forgotten after QUEUE_IDLE_MS. */
void queue_maybe_idle(Queue *queue);
/* Has queue_dispatch() called at the end of the turn. */
void queue_touch(Queue *queue);
/* Its jobs and keys must be gone. */
void queue_free(Queue *queue);

void queue_cursor_begin(Queues *queues, QueueCursor *cursor);
/* The next queue, or NULL at the end. */
Queue *queue_cursor_next(QueueCursor *cursor);
void queue_cursor_end(Queues *queues, QueueCursor *cursor);

void problem_set(Problem *problem, const char *type, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- job.c ---- */

/* What a new job is made of. */
typedef struct JobParts {
    Span headers; /* MessagePack; empty: none */
    Span body;    /* bytes */
    Span passed;  /* headers and body as MessagePack; data NULL: made from those two */
    const void *block;
    uint64_t delay_ms, ttl_ms;
    uint8_t priority;
} JobParts;

/* Counted in its queue, JOB_STORING, not in any list. NULL: out of memory. */
Job *job_new(Queue *queue, const JobParts *parts);
/* Must be in no list. */
void job_free(Job *job);

/* Line up a job that is in no list: by its delay and time to live; at the front, where lost
 * deliveries stand by their number; for a later time. */
void job_enter(Job *job);
void job_enter_front(Job *job);
void job_enter_delayed(Job *job, uint64_t due_ms);
/* To the end of the ready jobs (before NULL), or before one of them. */
void job_enter_ready(Queue *queue, Job *before, Job *job);
/* Takes it out of its list, and disarms its timer. For a job in flight: see lease_end(). */
void job_leave(Job *job);
void job_set_reason(Job *job, Span reason);
void job_arm(Job *job, uint64_t at_ms);
static inline bool job_is_over(const Job *job) {
    return job->stored.expires_ms &&
           job->stored.expires_ms <= queue_of(job)->queues->broker->now_ms;
}
/* The first of the highest priority; there is one. */
static inline Job *queue_first(const Queue *queue) {
    return queue->ready[31 - __builtin_clz(queue->ready_bits)].first;
}

/* ---- lease.c ---- */

void pull_set(Pull *pull, PullState state);
/* It gets no more jobs; the jobs that it holds stay. */
void pull_end(Pull *pull);
/* One of the pull's jobs was settled, or lost. May free the pull. */
void pull_release(Pull *pull);

InFlight *in_flight_of(Queues *queues, Client *client); /* NULL: out of memory */
void in_flight_free(InFlight *in_flight);

void lease_begin(Job *job); /* arms the time limit, if the queue has one */
/* Takes a job from its worker, or out of its list: it can no longer be settled. */
void lease_end(Job *job);
/* Takes a job from its worker, which may still settle it until the next delivery. */
void lease_let_go(Job *job);
/* The job is in flight again, to this session, under no pull. */
void lease_take_back(Job *job, Session *session);

/* ---- push.c ---- */

enum { PUSH_IS_DUPLICATE = 1 };

/* Room for one more job of so many bytes; replaces: a job that goes when it comes, or NULL. 0, or
 * negative: *problem says why. */
int queue_make_room(Queue *queue, size_t bytes, const Job *replaces, Problem *problem);

/* All that must hold before a job may be stored, and the job (JOB_STORING). replaces: the job whose
 * place it takes, or NULL. 0, PUSH_IS_DUPLICATE, or negative: *problem says why. */
int queue_admit(Queues *queues, const Message *message, const void *block, const Job *replaces,
                Job **ret, Key **ret_key, Problem *problem);

/* ---- pull.c ---- */

/* Hands out jobs to free slots. Cheap when there is nothing to do. */
void queue_dispatch(Queue *queue);
void queues_dispatch_touched(Queues *queues);
void pulls_unblock(Queues *queues);
void pulls_session_gone(Queues *queues, Session *session);

/* ---- dead-letter.c ---- */

/* Puts a job, which is in no list, into the dead-letter queue of its own. In a dead-letter queue it
 * stays. When it is done, session (may be NULL) gets the answer to id. */
void job_dead_letter(Job *job, Span reason, Session *session, uint64_t id);
/* The same job in another queue: new number, no attempts; from a dead-letter queue, without what
 * was added there. It is JOB_STORING. NULL: out of memory. */
Job *job_remake(const Job *job, Queue *to, bool as_dead);

/* ---- settle.c ---- */

/* The delivery failed: the job is at the front again, or dead after its last attempt. */
void lease_fail(Job *job, const char *reason);

/* ---- timers.c ---- */

void job_due(Timer *timer, void *ctx);

/* ---- lost.c ---- */

/* For restored deliveries, until their workers come back. NULL: out of memory. */
InFlight *in_flight_restored(Queues *queues);

/* ---- pending.c ---- */

/* Each makes the change through the queue's store, and answers when it is done. session may be
 * NULL; key too. The job is in no list. */
void change_push(Job *job, Key *key, Session *session, uint64_t id);
void change_remove(Job *job, Session *session, uint64_t id);
void change_forward(Job *old, Job *job, Key *key, Session *session, uint64_t id);
void change_dead_letter(Job *old, Job *dead, Session *session, uint64_t id);
void change_move(Job *old, Job *job);
/* A push that is still being stored: the answer goes to this session instead. */
bool pending_push_again(Queues *queues, Session *session, uint64_t id);
void pendings_session_gone(Queues *queues, Session *session);
void pendings_client_gone(Queues *queues, Client *client);
void pendings_free(Queues *queues);
void queues_store_done(StoredJob *stored, int result, void *ctx);

/* ---- dedup-keys.c ---- */

struct Key {
    Key *prev, *next;
    uint64_t until_ms;
    Key **owner; /* where the change that it waits for refers to it; NULL: it is stored */
    UT_hash_handle hh;
    uint8_t len;
    uint8_t data[];
};

Key *key_find(Queue *queue, Span key);
/* NULL: out of memory. */
Key *key_add(Queue *queue, Span key, uint64_t until_ms);
void key_forget(Queue *queue, Key *key);
void keys_free(Queue *queue);

/* ---- bulk.c ---- */

/* In each turn. */
void sweeps_go_on(Queues *queues);
void sweeps_session_gone(Queues *queues, const Session *session);
void sweeps_free(Queues *queues);

/* ---- settings.c ---- */

void queue_configure(Queue *queue);
void rules_free(Queues *queues);
