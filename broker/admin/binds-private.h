/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The records that the files of durable subscriptions share. A file calls only files above it in
 * this list:
 *
 *   remote-binds.c  binds of queues in shards, as the brokers of a cluster have announced them
 *   binds.c         the binds of this broker; those of the configuration
 *   bind-changes.c  binds that commands make and remove
 *   schedule-names.c  the names of schedules in a cluster
 *   bind-publish.c  a message goes to queues here, to inboxes of shards at other brokers, and to
 *                   the retained values that they share (retained.h)
 */

#include "broker/admin/binds.h"
#include "broker/admin/remote-binds.h"
#include "broker/queues/queues-private.h"
#include "broker/topics/tree.h"

typedef struct BindChange BindChange;
typedef struct BoundPattern BoundPattern;
typedef struct ScheduleChange ScheduleChange;

/* A queue bound to a pattern. */
struct Bind {
    Bind *prev, *next; /* in queue->binds */
    Bind *next_same;   /* in pattern->binds: the next bind of the pattern */
    Queue *queue;
    BoundPattern *pattern;
    unsigned n_changes;  /* number of commands about this bind that have not ended */
    bool is_by_command;  /* a command has made it */
    bool is_unwanted;    /* a command removes it: the brokers of the cluster are told */
    bool is_configured;  /* the configuration has it */
    bool was_configured; /* the configuration had it before it was read again */
};

struct BoundPattern {
    Bind *binds;
    TopicNode *node;
    uint32_t len;
    char text[];
};

/* A queue at another broker that gets the message. */
typedef struct RemoteFound {
    unsigned shard; /* numbers begin with 0 */
    Span queue;
    bool is_full;
} RemoteFound;

/* Queues that were full: whether they have room again is looked at this often. */
enum { FULL_LOOK_MS = 100 };

struct Binds {
    Room room;
    Broker *broker;
    TopicTree tree; /* from patterns to BoundPatterns */
    size_t n;
    uint64_t mark; /* the number of messages so far: marks the queues that the last one has found */
    Queue **found; /* queues that get the message that is being published: room for n */
    size_t n_found;
    bool reloading;
    RemoteBinds *remote;
    TopicRelay *relay; /* NULL: no other broker shares queues with this one */
    RemoteFound *far;  /* queues at other brokers that get the message */
    size_t n_far, cap_far;
    bool far_failed;     /* out of memory */
    BindChange *changes; /* utlist: commands that wait until all brokers know the bind */
    size_t n_changes;
    ScheduleChange *schedule_changes; /* utlist: the same, for a name of a schedule */
    size_t n_schedule_changes;
    /* Bound queues that the other brokers know to be full (utlist by next_full): from a message of
     * another broker that had no room until an eighth of the queue is free. */
    Queue *full;
    Timer full_timer;
};

/* ---- binds.c ---- */

Bind *bind_find(const Binds *binds, const Queue *queue, Span pattern); /* NULL: it is missing */
/* Finds the bind of this queue and pattern; makes it if it is missing. is_restored: it counts
 * already, so there is no maximum. */
int bind_get(Binds *binds, Span queue, Span pattern, bool is_restored, Bind **ret,
             Problem *problem);
void bind_free_if_unused(Binds *binds, Bind *bind);
/* The bind counts: messages become jobs of its queue. */
static inline bool bind_counts(const Bind *bind) {
    return !bind->is_unwanted || bind->is_configured;
}
/* Tells the other brokers of a change. Returns the number of the announcement; 0: no other broker
 * must know it. */
uint64_t bind_announce(Binds *binds, const Queue *queue);

/* ---- bind-changes.c ---- */

void bind_changes_watch(Binds *binds);
/* All brokers of the cluster know the announcements up to this number. */
void bind_changes_known(Binds *binds, uint64_t number);
void bind_changes_session_gone(Binds *binds, const Session *session);
void bind_changes_free(Binds *binds);

/* ---- schedule-names.c ---- */

/* Writes the names of the schedules of a shard (numbers begin with 1) as elements of an
 * announcement; to NULL: only counts them. */
uint32_t schedule_names_write(const Binds *binds, unsigned shard, Buffer *to);
void schedule_names_watch(Binds *binds);
void schedule_names_known(Binds *binds, uint64_t number);
void schedule_names_session_gone(Binds *binds, const Session *session);
void schedule_names_free(Binds *binds);
