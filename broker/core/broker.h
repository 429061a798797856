/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The broker: one loop on one thread. The state that all its rooms share is here; each room keeps
 * the rest. The folders, from the ground up:
 *
 *   core/      this record, limits, the list of rooms
 *   events/    what happens to the broker, for subscribers of ferry.events.>
 *   rights/    users, groups, and what they may do
 *   sessions/  connected clients, from HELLO to BYE
 *   taps/      sessions that watch the messages of others
 *   services/  calls: routing, wait queues, streams
 *   topics/    publish/subscribe
 *   queues/    jobs; stores/ keeps them
 *   schedules/ recurring jobs
 *   admin/     ferry.Broker, the service that the broker itself offers; binds of queues to topics;
 *              retained values that brokers share
 *   loop/      batches from peers, to the rooms above
 */

#include <ferry/ferry.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/id-map.h"
#include "base/timers.h"
#include "broker/core/limits.h"
#include "broker/core/peer-log.h"
#include "broker/core/rooms.h"
#include "broker/core/walk.h"
#include "rpc/link/hub/hub.h"
#include "rpc/wire/message.h"

typedef struct Admin Admin;
typedef struct Deferred Deferred;
typedef struct Events Events;
typedef struct Rights Rights;
typedef struct Taps Taps;

/* Remembers whether a tap watches a name. It is kept beside the name; see taps/tap.h. */
typedef struct TapMark {
    uint32_t generation; /* broker->tap_generation at the answer; if it differs now, the answer is
                          * out of date */
    bool watched;
} TapMark;

typedef struct Stats {
    uint64_t calls, answers, errors, late_answers, published, delivered, dropped, pushed, acked,
        redelivered, dead, faults, turns;
} Stats;

/* The work of this turn: see loop/deferred.h. */
typedef struct TurnWork {
    unsigned work;     /* units of work that are done */
    bool takes_costly; /* costly messages may be handled now */
} TurnWork;

typedef struct SessionList {
    Session *first; /* utlist */
    uint32_t n, last_number;
    uint32_t n_to_leave; /* sessions that were sent LEAVE and have not answered it */
    Session *ending;     /* a list by next_ending */
} SessionList;

typedef struct ClientTable {
    Client *by_id; /* uthash */
    Client *lost;  /* utlist: clients without a session, the one that was lost first at the front */
    uint32_t n_lost;
} ClientTable;

/* The quotas of users: see sessions/quota.h. */
typedef struct QuotaTable {
    struct Quota *by_name; /* uthash by the user's name */
    struct Quota **all;    /* index: number - 1 */
    uint32_t n;
} QuotaTable;

struct Broker {
    Hub *hub;
    Limits limits;
    Timers timers;
    uint64_t now_ms; /* the time of this turn */
    uint64_t now_us;
    uint8_t id[WIRE_TOKEN];
    const char *cluster; /* the name of the brokers of one URL; NULL: they have no name */
    /* The wall clock at the start, in microseconds: each start has a higher epoch. */
    uint64_t epoch;
    /* The ids of jobs, requests and questions count up from this one, so they differ from the ids
     * of all earlier brokers. It is the epoch, counted from 2026 on. */
    uint64_t first_id;
    uint64_t started_ms;
    TurnWork turn;
    SessionList sessions;
    ClientTable clients;
    QuotaTable quotas;
    Budget budget; /* counts all memory that peers make the broker hold */
    Stats stats;
    PeerLog peer_log;
    CurveKeys keys; /* keys of tcp:// endpoints; the program owns the pairs. Without pairs the
                       broker has no keys */
    Rights *rights; /* NULL: the broker has no users, and every peer may do everything */
    /* Reads the configuration again, as a whole or not at all; NULL: the program has set no
     * function. */
    int (*reload)(Broker *broker, ferry_error *reterr);
    bool draining; /* the broker takes no new work, and stops when all work is done */
    Room *rooms;   /* utlist: all rooms, in the order of opening */
    Deferred *deferred;
    struct Services *services;
    struct Topics *topics;
    struct Queues *queues;
    struct Binds *binds;
    struct Retained *retained;
    struct Schedules *schedules;
    size_t n_binds; /* binds of queues to topics */
    Admin *admin;
    TableWalk *walks; /* utlist: walks over the tables of the rooms */
    Taps *taps;
    uint32_t tap_generation; /* 0: the broker has no taps */
    uint32_t events_watched; /* bit n: a subscription matches events of kind n */
    Events *events;
};

/* Bytes in queues and topics, which count against max_total_bytes. */
static inline uint64_t broker_stored(const Broker *broker) {
    return broker->budget.bytes[BUDGET_TOPICS] + broker->budget.bytes[BUDGET_QUEUES];
}

/* True: queues and topics may store n more bytes. */
static inline bool broker_may_store(const Broker *broker, uint64_t n) {
    return broker_stored(broker) + n <= broker->limits.max_total_bytes &&
           budget_allows(&broker->budget, n);
}
