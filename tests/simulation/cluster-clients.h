/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Clients of clusters, in virtual time. Workers pull at each broker of their cluster; pushers
 * follow ferry.Moved. Most jobs are in a few queues. A client reconnects with the pauses of the
 * library.
 */

#include "cluster.h"

enum {
    BROKERS = 5,      /* of a cluster */
    SHARDS = 12,      /* of a cluster */
    WORKERS = 4,      /* of a cluster */
    PUSHES = 4,       /* of each pusher */
    SECOND = 1000000, /* in microseconds, as all times here */
    RUN = 120 * SECOND,
    DELAY = 200, /* of a message, on average, and of a change of the store */
};

typedef struct ClientCounts {
    unsigned n_up, n_wanted;           /* connections */
    uint64_t sessions;                 /* all that were begun */
    uint64_t storm_began_us, storm_us; /* the test sets the first; until all clients were back */
    uint64_t phantom;                  /* deliveries of jobs without a push */
    uint64_t unleased, at_once, after_end; /* wrong deliveries */
    uint64_t moved, told_moved, lost_away; /* answers to pushes, and messages to workers */
} ClientCounts;

typedef struct JobCounts {
    unsigned confirmed, lost, worked_twice, phantom;
} JobCounts;

/* Begins the clients, and sets the functions of the world that hear of brokers. */
void clients_init(World *world, const ClusterSize *size, unsigned n_clients);
ClientCounts *clients_counts(void);
JobCounts clients_jobs(void);
