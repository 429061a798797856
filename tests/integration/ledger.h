/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The books of a test that kills brokers. Pushers, a publisher and workers are roles: processes
 * that log pushes, messages, confirmations and deliveries in files. ledger_judge() compares the
 * files. Each message is a job of LEDGER_BOUND queues, and each moment of a schedule is a job.
 */

#include <ferry/ferry.h>

#include "base/id-map.h"
#include "support/process.h"

enum {
    LEDGER_PUSHERS = 2,
    LEDGER_BOUND = 4,     /* queues that are bound to the topic of the publisher */
    LEDGER_SCHEDULES = 4, /* each pushes a job a second */
    LEDGER_BODY_MAX = 3000,
    LEDGER_QUEUES = 6,       /* queues that the pushers use in turn */
    LEDGER_SHARDS = 8,       /* a job is forwarded to a queue in the same one of this many shards */
    LEDGER_FORWARD_EACH = 8, /* every eighth job is forwarded to a second queue */
    LEDGER_AROUND_MS = 2000, /* the longest time that a delivery waits in a client: a fault that
                                ended at most this time before a redelivery explains it */
};

/* Authors of jobs: the pushers, the publisher, the schedules. */
enum { LEDGER_AUTHORS = LEDGER_PUSHERS + 1 + LEDGER_SCHEDULES };

/* Of the roles "push" and "work". */
extern const Role ledger_roles[];

typedef struct LedgerFate LedgerFate;

/* A time in which jobs may be delivered again. */
typedef struct LedgerFault {
    uint64_t from_ms, until_ms;
} LedgerFault;

typedef struct Ledger {
    char folder[200];
    uint64_t seed;
    unsigned n_workers; /* workers started so far */
    LedgerFault *faults;
    size_t n_faults;
    LedgerFate *fates[LEDGER_AUTHORS];
    size_t n_fates[LEDGER_AUTHORS];
    IdMap numbers;  /* from a job's number to the key of its fate */
    int64_t base_s; /* moments of schedules are counted from this time, in seconds since 1970 */
    uint32_t first_moment[LEDGER_SCHEDULES], last_moment; /* with jobs; 0: unknown */
} Ledger;

typedef enum LedgerKind {
    LEDGER_PUSHED,
    LEDGER_PUBLISHED,
    LEDGER_SCHEDULED,
    LEDGER_KINDS,
} LedgerKind;

/* Of jobs of one kind. */
typedef struct LedgerCounts {
    size_t n_sent, n_confirmed, n_delivered;
    size_t n_lost;        /* confirmed, and not delivered */
    size_t n_phantom;     /* delivered, and never sent */
    size_t n_corrupt;     /* delivered with another body */
    size_t n_reused;      /* job numbers that two different jobs had */
    size_t n_doubled;     /* stored as two jobs of one queue */
    size_t n_twice;       /* delivered again */
    size_t n_unexplained; /* jobs that were delivered again without a fault between the two
                             deliveries */
    size_t n_uncounted;   /* jobs that were delivered again as a first attempt */
    size_t n_recovered;   /* not confirmed, but delivered */
} LedgerCounts;

typedef struct LedgerVerdict {
    LedgerCounts of[LEDGER_KINDS];
} LedgerVerdict;

/* The files go into this folder, which must exist. */
void ledger_open(Ledger *ledger, const char *folder, uint64_t seed);
void ledger_close(Ledger *ledger);

/* Starts a role and waits until it is connected. index < LEDGER_PUSHERS. */
void ledger_start_pusher(Ledger *ledger, Process *process, const char *url, unsigned index);
void ledger_start_worker(Ledger *ledger, Process *process, const char *url);
/* Binds the queues, and starts the publisher. */
void ledger_start_publisher(Ledger *ledger, Process *process, const char *url,
                            ferry_client *client);
/* Lets a pusher or the publisher wait for its confirmations, and ends it. */
void ledger_end_pusher(Process *process);

/* From now on each second has a job of each schedule, also if its broker was away meanwhile. */
void ledger_add_schedules(Ledger *ledger, ferry_client *client);
/* The last second that must have its jobs is over. */
void ledger_end_schedules(Ledger *ledger);

/* A fault that may cause redeliveries: it begins at this time of clock_ms(), and ends now, or when
 * ledger_fault_ended() is called with its number. Returns the number. */
size_t ledger_fault(Ledger *ledger, uint64_t from_ms);
void ledger_fault_ended(Ledger *ledger, size_t number);

/* Compares the files. If jobs are lost, waits for them, at most PATIENCE_MS. */
LedgerVerdict ledger_judge(Ledger *ledger);
/* Prints the verdict, and checks all that must be 0. */
void ledger_expect_all_well(const LedgerVerdict *verdict);

/* The value that this share of the values does not exceed; sorts them. 0: there are no values. */
double share_of(double *values, size_t n, double share);
