/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Virtual time, and the brokers in it. Each broker is the real one without its sockets
 * (support/fake-hub.h): sessions, routers and queues. Brokers 2n and 2n + 1 are the pair of space
 * n: one has the lease and listens, the other one waits. Events happen in the order of their times;
 * a seed decides everything else.
 */

#include "broker/core/broker.h"
#include "keeper.h"
#include "support/random.h"

typedef struct World World;

typedef struct SimBroker {
    World *world;
    uint32_t number, space;
    uint32_t life;  /* counts the lives; messages to an earlier one are lost */
    Broker *broker; /* NULL: it is down, or waits for the lease */
    KeeperStore *store;
    uint64_t token;
    bool is_down;             /* it was killed, and has not started again */
    uint64_t frozen_until_us; /* as after SIGSTOP */
} SimBroker;

/* An event for the clients' side, in test-simulation.c. */
typedef struct Event {
    uint64_t at_us, order;
    void (*fn)(World *world, const struct Event *event);
    uint32_t broker, life, client, generation;
    uint64_t one, two;
    Peer *peer;
} Event;

struct World {
    Dice dice;
    uint64_t now_us, n_events, n_messages;
    Event *heap;
    size_t n, cap;
    SimBroker *brokers;
    unsigned n_brokers;
    Keeper *keeper;
    uint64_t lease_us;
    uint64_t *takeovers_us; /* from the end of the old owner to the new one's first turn */
    size_t n_takeovers;
    uint64_t *ended_us; /* by space: when its owner ended; 0: it has one */
    /* Handles the output of a broker. */
    void (*on_output)(World *world, const Peer *peer, const Message *message);
    void (*on_end)(World *world, SimBroker *broker); /* all its sessions have ended */
};

void world_init(World *world, uint64_t seed, unsigned n_spaces, Keeper *keeper, uint64_t lease_us);
/* event->at_us is set to now + us. */
void world_later(World *world, uint64_t us, Event event);
/* Handles all events up to this time. */
void world_run(World *world, uint64_t until_us);

/* Passes a message of a peer to the broker. The peer's pid is the number of its client. */
void world_say(World *world, SimBroker *broker, Peer *peer, const Message *message);
void world_gone(World *world, SimBroker *broker, Peer *peer);
static inline bool world_is_frozen(const World *world, const SimBroker *broker) {
    return broker->frozen_until_us > world->now_us;
}

void world_kill(World *world, SimBroker *broker, uint64_t restart_us);
void world_freeze(World *world, SimBroker *broker, uint64_t for_us);
