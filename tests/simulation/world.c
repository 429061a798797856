/* SPDX-License-Identifier: Apache-2.0 */
/* Virtual time and brokers. See world.h. */

#include "world.h"

#include <stdlib.h>
#include <string.h>

#include "support/fake-hub.h"

enum {
    TICK_US = 500000, /* each broker looks at its timers, and at leases */
};

/* ---- events: a heap ---- */

static bool is_before(const Event *one, const Event *two) {
    return one->at_us != two->at_us ? one->at_us < two->at_us : one->order < two->order;
}

void world_later(World *world, uint64_t us, Event event) {
    size_t i = world->n++;

    if (world->n > world->cap) {
        world->cap = world->cap ? 2 * world->cap : 1024;
        world->heap = realloc(world->heap, world->cap * sizeof(*world->heap));
        if (!world->heap)
            abort();
    }
    event.at_us = world->now_us + us;
    event.order = world->n_events++;
    for (; i > 0 && is_before(&event, &world->heap[(i - 1) / 2]); i = (i - 1) / 2)
        world->heap[i] = world->heap[(i - 1) / 2];
    world->heap[i] = event;
}

static Event take_first(World *world) {
    Event first = world->heap[0], last = world->heap[--world->n];
    size_t i = 0, child;

    while ((child = 2 * i + 1) < world->n) {
        if (child + 1 < world->n && is_before(&world->heap[child + 1], &world->heap[child]))
            child++;
        if (!is_before(&world->heap[child], &last))
            break;
        world->heap[i] = world->heap[child];
        i = child;
    }
    world->heap[i] = last;
    return first;
}

void world_run(World *world, uint64_t until_us) {
    while (world->n > 0 && world->heap[0].at_us <= until_us) {
        Event event = take_first(world);

        world->now_us = event.at_us;
        event.fn(world, &event);
    }
    world->now_us = until_us;
}

/* ---- a broker's turns ---- */

static void advance(const World *world, const SimBroker *one) {
    uint64_t now_ms = world->now_us / 1000 + 1000;

    if (now_ms > one->broker->now_ms)
        fake_wait(one->broker, now_ms - one->broker->now_ms);
}

/* False: the broker's life has ended. */
static bool before_turn(const World *world, SimBroker *one) {
    world->lives->look(one);
    if (!one->broker)
        return false;
    advance(world, one);
    return true;
}

/* Handles the output of a turn. */
static void after_turn(World *world, SimBroker *one) {
    const Message *message;
    Peer *peer;

    while ((peer = fake_touched(one->broker)))
        while ((message = fake_next(peer)))
            world->on_output(world, peer, message);
    world->lives->after(one);
}

void world_say(World *world, SimBroker *one, Peer *peer, const Message *message) {
    uint32_t life = one->life;

    world->n_messages++;
    if (!before_turn(world, one) || one->life != life)
        return;
    fake_say(one->broker, peer, message);
    after_turn(world, one);
}

void world_gone(World *world, SimBroker *one, Peer *peer) {
    if (!before_turn(world, one))
        return;
    fake_peer_gone(one->broker, peer);
    after_turn(world, one);
}

void world_turn(SimBroker *one) {
    if (!before_turn(one->world, one))
        return;
    fake_wait(one->broker, 0);
    after_turn(one->world, one);
}

SimBroker *world_awake(World *world, const Event *event) {
    SimBroker *one = &world->brokers[event->broker];

    if (one->life != event->life || !one->broker)
        return NULL;
    if (!world_is_frozen(world, one))
        return one;
    world_later(world, one->frozen_until_us - world->now_us, *event);
    return NULL;
}

/* ---- the store ---- */

static void on_arrived(World *world, const Event *event) {
    const SimBroker *one = &world->brokers[event->broker];

    if (one->life == event->life && one->broker)
        keeper_arrived(event->thing);
}

static void on_answered(World *world, const Event *event) {
    SimBroker *one = world_awake(world, event);

    if (!one || !before_turn(world, one))
        return;
    keeper_answered(event->thing);
    world_turn(one);
}

void world_flushed(SimBroker *one, KeeperStore *store) {
    World *world = one->world;
    uint64_t delay_us = keeper_store_delay(store), wait_us = one->freezes_us;
    Event event = {.fn = on_arrived, .broker = one->number, .life = one->life, .thing = store};

    one->freezes_us = 0;
    if (wait_us > 0)
        world_freeze(world, one, wait_us);
    world_later(world, wait_us + delay_us, event);
    event.fn = on_answered;
    world_later(world, wait_us + 2 * delay_us, event);
}

/* ---- lives ---- */

void world_begin_life(SimBroker *one) {
    one->broker = malloc(sizeof(*one->broker));
    if (!one->broker)
        abort();
    fake_hub_init(one->broker);
    fake_wait(one->broker, one->world->now_us / 1000);
}

void world_end_life(SimBroker *one) {
    World *world = one->world;

    world->lives->stopped(one);
    fake_hub_deinit(one->broker);
    free(one->broker);
    one->broker = NULL;
    one->freezes_us = 0;
    one->life++;
    world->lives->ended(one);
    world->on_end(world, one);
}

static void on_tick(World *world, const Event *event) {
    SimBroker *one = &world->brokers[event->broker];

    world_later(world, TICK_US, *event);
    if (one->is_down || world_is_frozen(world, one))
        return;
    world->lives->tick(one);
    if (one->broker)
        world_turn(one);
}

static void on_restart(World *world, const Event *event) {
    world->brokers[event->broker].is_down = false;
}

void world_kill(World *world, SimBroker *one, uint64_t restart_us) {
    if (one->is_down)
        return;
    one->is_down = true;
    one->frozen_until_us = 0;
    if (one->broker)
        world_end_life(one);
    world_later(world, restart_us, (Event){.fn = on_restart, .broker = one->number});
}

void world_freeze(World *world, SimBroker *one, uint64_t for_us) {
    if (one->is_down || world_is_frozen(world, one))
        return;
    one->frozen_until_us = world->now_us + for_us;
    if (!one->broker)
        return;
    world->lives->stopped(one);
    world->on_freeze(world, one);
}

void world_freeze_in_turn(SimBroker *one, uint64_t for_us) {
    if (one->broker)
        one->freezes_us = for_us;
}

void world_init(World *world, uint64_t seed, unsigned n_brokers, Keeper *keeper, uint64_t lease_us,
                const Lives *lives) {
    *world =
        (World){.keeper = keeper, .lease_us = lease_us, .n_brokers = n_brokers, .lives = lives};
    world->dice = dice_of(seed);
    world->brokers = calloc(n_brokers, sizeof(*world->brokers));
    if (!world->brokers)
        abort();
    for (unsigned i = 0; i < n_brokers; i++) {
        world->brokers[i] = (SimBroker){.world = world, .number = i};
        world_later(world, dice_below(&world->dice, TICK_US), (Event){.fn = on_tick, .broker = i});
    }
}
