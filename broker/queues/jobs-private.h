/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Jobs: their records and numbers, their lists and keys, and contents that memory drops. */

#include "broker/queues/queues-private.h"

typedef enum JobState {
    JOB_STORING,   /* the store is still storing it */
    JOB_READY,     /* queue->ready, or queue->quarantined */
    JOB_DELAYED,   /* queue->delayed */
    JOB_IN_FLIGHT, /* in_flight->jobs, or in_flight->lost while the worker may come back */
    JOB_SETTLING,  /* the store is still removing it */
} JobState;

/* Headers and body of a job that may be paged out: a record of its own. */
struct PagedContent {
    PagedContent *prev, *next; /* in queues->pageable, if the job waits */
    Job *job;
    StoredMessage message; /* the last member: the bytes of the content follow */
};

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
    bool dropped : 1;            /* to make room in its queue; the store may still be removing it */
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

static inline Queue *queue_of(const Job *job) {
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the first job of a full list */
    return (Queue *)job->stored.queue;
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
/* The job is dropped no longer: it is removed, or the store has failed. */
void job_undrop(Job *job);
/* Frees a job that is in no list. */
void job_free(Job *job);

/* Each puts a job that is in no list into a list of its queue: by its delay; at the front, where
 * returned jobs stand in the order of their ids; delayed until due_ms. */
void job_enter(Job *job);
/* Like job_enter(), for a job that was stored just now: if the queue drops its oldest jobs, they
 * make room for it. push.c */
void job_enter_new(Job *job);
void job_enter_front(Job *job);
void job_enter_delayed(Job *job, uint64_t due_ms);
/* The queue's back-off after this many doublings, at most retry_max_ms. */
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
/* Forgets the oldest keys, until max_keys are left. */
void keys_trim(Queue *queue);
/* Forgets up to max keys, except unique keys; returns their number. */
size_t keys_free(Queue *queue, size_t max);
