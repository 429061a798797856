/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Virtual time, and the brokers in it. Each broker is the real one without its sockets
 * (support/fake-hub.h): sessions, routers and queues. Events happen in the order of their times; a
 * seed decides everything else. pairs.h and cluster.h decide when a broker has which queues.
 */

#include "broker/core/broker.h"
#include "keeper.h"
#include "support/random.h"

typedef struct World World;

typedef struct SimBroker {
    World *world;
    uint32_t number;
    uint32_t life;            /* counts the lives; messages to an earlier one are lost */
    Broker *broker;           /* NULL: it is down, or waits for a lease */
    bool is_down;             /* it was killed, and has not started again */
    uint64_t frozen_until_us; /* as after SIGSTOP */
    uint64_t freezes_us;      /* it will be stopped for this long when it writes to its store */
} SimBroker;

/* An event for a broker, or for the clients' side, in the tests. */
typedef struct Event {
    uint64_t at_us, order;
    void (*fn)(World *world, const struct Event *event);
    uint32_t broker, life, client, generation;
    uint64_t one, two;
    void *thing; /* a Peer or a KeeperStore */
} Event;

/* The lives of brokers, in pairs.c and cluster.c. */
typedef struct Lives {
    void (*tick)(SimBroker *one);  /* each half second, if it is neither down nor stopped */
    void (*look)(SimBroker *one);  /* before each turn; it may end the life */
    void (*after)(SimBroker *one); /* after each turn; it may end the life */
    /* The broker, which has a life, cannot work from now on, or works again. */
    void (*stopped)(SimBroker *one);
    void (*ended)(SimBroker *one); /* frees the stores of this life */
} Lives;

struct World {
    Dice dice;
    uint64_t now_us, n_events, n_messages;
    Event *heap;
    size_t n, cap;
    const Lives *lives;
    SimBroker *brokers;
    unsigned n_brokers;
    Keeper *keeper;
    uint64_t lease_us;
    /* Handles the output of a broker. */
    void (*on_output)(World *world, Peer *peer, const Message *message);
    void (*on_end)(World *world, SimBroker *broker); /* all its sessions have ended */
    void (*on_freeze)(World *world, SimBroker *broker);
};

void world_init(World *world, uint64_t seed, unsigned n_brokers, Keeper *keeper, uint64_t lease_us,
                const Lives *lives);
/* event->at_us is set to now + us. */
void world_later(World *world, uint64_t us, Event event);
/* Handles all events up to this time. */
void world_run(World *world, uint64_t until_us);

/* Passes a message of a peer to the broker. The peer's pid names its client. */
void world_say(World *world, SimBroker *broker, Peer *peer, const Message *message);
void world_gone(World *world, SimBroker *broker, Peer *peer);
/* A turn without a message. */
void world_turn(SimBroker *broker);
static inline bool world_is_frozen(const World *world, const SimBroker *broker) {
    return broker->frozen_until_us > world->now_us;
}
/* The broker of the event; NULL: that life is over, or the broker is stopped and handles the event
 * when it continues. */
SimBroker *world_awake(World *world, const Event *event);

void world_begin_life(SimBroker *broker);
void world_end_life(SimBroker *broker);
/* For on_flush() of a store. */
void world_flushed(SimBroker *broker, KeeperStore *store);

void world_kill(World *world, SimBroker *broker, uint64_t restart_us);
void world_freeze(World *world, SimBroker *broker, uint64_t for_us);
/* Stops the broker when it is about to write to its store: the changes wait in it. */
void world_freeze_in_turn(SimBroker *broker, uint64_t for_us);
