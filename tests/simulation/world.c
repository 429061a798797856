/* SPDX-License-Identifier: Apache-2.0 */
/* Virtual time and brokers. See world.h. */

#include "world.h"

#include <stdlib.h>
#include <string.h>

#include "broker/queues/queues.h"
#include "support/fake-hub.h"

enum {
    TICK_US = 500000, /* each broker looks at its timers, and a standby at the lease */
    TAKEOVERS_MAX = 1 << 20,
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

static void note_end(World *world, const SimBroker *one) {
    if (keeper_is_owner(world->keeper, one->space, one->token) && world->ended_us[one->space] == 0)
        world->ended_us[one->space] = world->now_us;
}

static void end_life(World *world, SimBroker *one) {
    note_end(world, one);
    fake_hub_deinit(one->broker);
    free(one->broker);
    keeper_store_free(one->store);
    one->broker = NULL;
    one->store = NULL;
    one->life++;
    world->on_end(world, one);
}

/* Handles the output of a turn. The broker ends if the keeper has refused its changes. */
static void after_turn(World *world, SimBroker *one) {
    const Message *message;
    Peer *peer;

    while ((peer = fake_touched(one->broker)))
        while ((message = fake_next(peer)))
            world->on_output(world, peer, message);
    if (keeper_store_is_lost(one->store))
        end_life(world, one);
}

static void advance(const World *world, const SimBroker *one) {
    uint64_t now_ms = world->now_us / 1000 + 1000;

    if (now_ms > one->broker->now_ms)
        fake_wait(one->broker, now_ms - one->broker->now_ms);
}

void world_say(World *world, SimBroker *one, Peer *peer, const Message *message) {
    world->n_messages++;
    advance(world, one);
    fake_say(one->broker, peer, message);
    after_turn(world, one);
}

void world_gone(World *world, SimBroker *one, Peer *peer) {
    advance(world, one);
    fake_peer_gone(one->broker, peer);
    after_turn(world, one);
}

/* ---- the store ---- */

static void on_arrived(World *world, const Event *event) {
    const SimBroker *one = &world->brokers[event->broker];

    if (one->life == event->life && one->store)
        keeper_arrived(one->store);
}

static void on_answered(World *world, const Event *event) {
    SimBroker *one = &world->brokers[event->broker];

    if (one->life != event->life || !one->store)
        return;
    if (world_is_frozen(world, one)) {
        world_later(world, one->frozen_until_us - world->now_us, *event);
        return;
    }
    keeper_answered(one->store);
    advance(world, one);
    fake_wait(one->broker, 0);
    after_turn(world, one);
}

static void on_flush(void *ctx) {
    SimBroker *one = ctx;
    World *world = one->world;
    uint64_t delay_us = keeper_delay(world->keeper, one->space);
    Event event = {.fn = on_arrived, .broker = one->number, .life = one->life};

    world_later(world, delay_us, event);
    event.fn = on_answered;
    world_later(world, 2 * delay_us, event);
}

/* ---- lives ---- */

static void begin_life(World *world, SimBroker *one, uint64_t token) {
    one->broker = malloc(sizeof(*one->broker));
    if (!one->broker)
        abort();
    one->token = token;
    one->store = keeper_store_new(world->keeper, one->space, token, on_flush, one);
    fake_hub_init(one->broker);
    fake_wait(one->broker, world->now_us / 1000);
    keeper_store_open(one->store, one->broker->queues);
    if (world->ended_us[one->space] > 0 && world->n_takeovers < TAKEOVERS_MAX)
        world->takeovers_us[world->n_takeovers++] = world->now_us - world->ended_us[one->space];
    world->ended_us[one->space] = 0;
}

/* Each half second a broker's timers run. An owner renews its lease, and ends if it has lost it; a
 * standby takes a lease that has ended. */
static void on_tick(World *world, const Event *event) {
    SimBroker *one = &world->brokers[event->broker];
    uint64_t token;

    world_later(world, TICK_US, *event);
    if (one->is_down || world_is_frozen(world, one))
        return;
    if (one->broker) {
        if (!keeper_renew(world->keeper, one->space, one->token, world->now_us + world->lease_us)) {
            end_life(world, one);
            return;
        }
        world->ended_us[one->space] = 0; /* it was frozen for less than the lease */
        advance(world, one);
        after_turn(world, one);
        return;
    }
    token = keeper_lease(world->keeper, one->space, world->now_us, world->lease_us);
    if (token)
        begin_life(world, one, token);
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
        end_life(world, one);
    world_later(world, restart_us, (Event){.fn = on_restart, .broker = one->number});
}

void world_freeze(World *world, SimBroker *one, uint64_t for_us) {
    if (one->is_down || world_is_frozen(world, one))
        return;
    one->frozen_until_us = world->now_us + for_us;
    if (one->broker)
        note_end(world, one);
}

void world_init(World *world, uint64_t seed, unsigned n_spaces, Keeper *keeper, uint64_t lease_us) {
    *world = (World){.keeper = keeper, .lease_us = lease_us, .n_brokers = 2 * n_spaces};
    world->dice = dice_of(seed);
    world->brokers = calloc(world->n_brokers, sizeof(*world->brokers));
    world->ended_us = calloc(n_spaces, sizeof(*world->ended_us));
    world->takeovers_us = calloc(TAKEOVERS_MAX, sizeof(*world->takeovers_us));
    if (!world->brokers || !world->ended_us || !world->takeovers_us)
        abort();
    for (unsigned i = 0; i < world->n_brokers; i++) {
        world->brokers[i] = (SimBroker){.world = world, .number = i, .space = i / 2};
        world_later(world, dice_below(&world->dice, TICK_US), (Event){.fn = on_tick, .broker = i});
    }
}
