/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Clusters of brokers that share queues by shards, and clients that push jobs and work on them, in
 * virtual time: brokers are killed, stopped and ended in order, a tenth of them is killed at once,
 * shards move, stores become slow, and clients reconnect with the pauses of the library. Most jobs
 * are in a few queues. Workers pull at each broker of their cluster; pushers follow ferry.Moved.
 *
 * No confirmed job may be lost, no push may be stored twice, no two brokers may change one shard
 * under one token, no job may be delivered without the lease of its shard, to two workers at once
 * or after its end, and at the end the shards are spread evenly.
 *
 * FERRY_TEST_CLUSTERS is the number of clusters, FERRY_TEST_CLIENTS that of clients; TEST_SEED
 * chooses the rest.
 */

#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/log.h"
#include "cluster.h"
#include "support/fake-hub.h"
#include "support/suite.h"

enum {
    CLUSTERS = 10,
    CLIENTS = 4000,
    BROKERS = 5, /* of a cluster; this one and the next three */
    SHARDS = 12,
    WORKERS = 4,
    QUEUES = 24,
    PUSHES = 4,          /* of a client */
    LINKS = BROKERS + 1, /* connections of a client: one for each broker, and its main one */
    MAIN = BROKERS,
    SLOTS = 10,
    SECOND = 1000000, /* in microseconds, as all times here */
    RUN = 120 * SECOND,
    QUIET = 600 * SECOND, /* longest time until all is done after the last fault */
    LEASE = 10 * SECOND,
    WORK = SECOND / 5, /* longest work on a job */
    DELAY = 200,       /* of a message, on average, and of a change of the store */
    SLOW_DELAY = 200 * DELAY,
    SILENT = 8 * SECOND,  /* rpc/link/connection.c: a peer that is silent for so long is lost */
    ATTEMPT = 2 * SECOND, /* rpc/link/client/connect.c: the times of this and the next two */
    PAUSE_MS = 50,
    PAUSE_MAX_MS = 2000,
    MOVED_MS = 100, /* until a push to a queue without an owner is tried again, at first */
    MOVED_MAX_MS = 1000,
    FIRST_ACK = 1000, /* the id of the ACK of job number 0 */
};

/* A connection of a client. */
typedef struct Link {
    Peer *peer;          /* NULL: not connected */
    uint32_t generation; /* of the connection: messages of earlier ones are lost */
    uint16_t pause_ms;
    uint8_t n_tried;
    bool is_up, is_wanted;
} Link;

typedef struct Held {
    uint64_t job;
    uint32_t number;
} Held;

typedef struct SimClient {
    uint8_t main_at; /* the broker of the main connection, in its cluster */
    uint8_t next;    /* the push that is not confirmed yet */
    uint8_t target;  /* the connection for it */
    uint16_t moved_ms;
    uint32_t n_asked; /* attempts to push */
    Held *held;       /* of a worker */
    uint32_t n_held, cap_held;
} SimClient;

/* The last delivery of a job. */
typedef struct Delivery {
    uint64_t token; /* of the shard's lease */
    uint32_t worker, generation;
    uint32_t space;
    uint16_t attempt;
    uint8_t link;
    bool is_held, is_done;
    uint8_t n;
} Delivery;

typedef struct Numbers {
    unsigned confirmed, lost, worked_twice, phantom;
} Numbers;

static ClusterSize size = {CLUSTERS, BROKERS, SHARDS};
static World world;
static unsigned n_clients, n_up, n_wanted;
static SimClient *clients;
static Link *links;         /* LINKS of each client */
static uint8_t *confirmed;  /* by client and push */
static Delivery *delivered; /* by client and push */
static uint64_t sessions, storm_began_us, storm_us, last_fault_us, spread_us;
static struct {
    uint64_t phantom, unleased, at_once, after_end, moved, told_moved, lost_away;
} seen;

static size_t index_of(uint32_t client, unsigned push) {
    return (size_t)client * (PUSHES + 1) + push;
}

static bool is_worker(uint32_t client) {
    return client / size.n_clusters < WORKERS;
}

static Link *link_of(uint32_t client, unsigned link) {
    return &links[(size_t)client * LINKS + link];
}

static SimBroker *broker_of(uint32_t client, unsigned link) {
    unsigned at = link == MAIN ? clients[client].main_at : link;

    return &world.brokers[(size_t)(client % size.n_clusters) * BROKERS + at];
}

static uint64_t some_delay(void) {
    return DELAY / 2 + dice_below(&world.dice, DELAY);
}

/* An event for a connection of a client. */
static Event event_of(uint32_t client, unsigned link, void (*fn)(World *w, const Event *event)) {
    const SimBroker *broker = broker_of(client, link);

    return (Event){.fn = fn,
                   .broker = broker->number,
                   .life = broker->life,
                   .client = client * LINKS + link,
                   .generation = link_of(client, link)->generation,
                   .thing = link_of(client, link)->peer};
}

static uint32_t client_of(const Event *event) {
    return event->client / LINKS;
}

/* False: the connection of the event has ended. */
static bool is_current(const Event *event) {
    return links[event->client].generation == event->generation;
}

/* ---- messages of clients ---- */

/* Two pushes after each other go to one queue, the same each time: a fifth of the jobs is in the
 * first queue. */
static void queue_name(uint32_t client, unsigned push, char name[32]) {
    uint64_t number = index_of(client, (push + 1) / 2);
    uint64_t hash = (number * UINT64_C(0x9E3779B97F4A7C15)) >> 44;
    double part = (double)hash / (1 << 20);

    snprintf(name, 32, "jobs.%u", (unsigned)(QUEUES * part * part));
}

/* The map with the option origin, the client of the main connection. */
static Span origin_of(uint32_t client, uint8_t bytes[64]) {
    uint8_t token[WIRE_TOKEN], *to = bytes;

    client_token(client, 0, token);
    *to++ = 0x81;
    to = put_bytes(put_str_head(to, 6), "origin", 6);
    to = put_bytes(put_bin_head(to, WIRE_TOKEN), token, WIRE_TOKEN);
    return span_of(bytes, (size_t)(to - bytes));
}

/* The message has arrived at the broker, on a connection that may have ended on the client's side.
 */
static void on_push_read(World *w, const Event *event) {
    SimBroker *broker = world_awake(w, event);
    uint64_t number = index_of(client_of(event), (unsigned)event->one);
    uint8_t bytes[64];
    char name[32];

    if (!broker)
        return;
    queue_name(client_of(event), (unsigned)event->one, name);
    world_say(w, broker, event->thing,
              &(Message){.op = OP_PUSH,
                         .id = event->one,
                         .name = span_text(name),
                         .push.options = event->client % LINKS == MAIN
                                             ? (Span){NULL, 0}
                                             : origin_of(client_of(event), bytes),
                         .body = span_of(&number, sizeof(number))});
}

static void on_ack_read(World *w, const Event *event) {
    SimBroker *broker = world_awake(w, event);

    if (!broker)
        return;
    world_say(w, broker, event->thing,
              &(Message){.op = OP_ACK,
                         .id = FIRST_ACK + event->two,
                         .settle.job = event->one,
                         .settle.attempt = event->generation});
}

static void on_pull_read(World *w, const Event *event) {
    char name[32];

    for (unsigned i = 0; i < QUEUES; i++) {
        SimBroker *broker = &w->brokers[event->broker];

        if (i == 0)
            broker = world_awake(w, event);
        if (!broker || broker->life != event->life || !is_current(event))
            return;
        snprintf(name, sizeof(name), "jobs.%u", i);
        world_say(w, broker, event->thing,
                  &(Message){.op = OP_PULL,
                             .id = 1 + i,
                             .name = span_text(name),
                             .pull = {.slots = SLOTS, .bytes = 1 << 20, .wait = 1}});
    }
}

/* ---- connections ---- */

static void on_connect(World *w, const Event *event);
static void push(uint32_t client);

static void connect_later(uint32_t client, unsigned link, uint64_t us) {
    world_later(&world, us, event_of(client, link, on_connect));
}

static void on_push_again(World *w, const Event *event) {
    (void)w;
    if (clients[event->client].n_asked == event->one)
        push(event->client);
}

static void push_later(uint32_t client, uint64_t us) {
    world_later(&world, us,
                (Event){.fn = on_push_again, .client = client, .one = clients[client].n_asked});
}

/* The owner is not known, or not reached: the main connection is asked again after a pause. */
static void push_again(uint32_t number) {
    SimClient *client = &clients[number];
    unsigned ms = client->moved_ms ? client->moved_ms : MOVED_MS;

    client->target = MAIN;
    client->n_asked++;
    client->moved_ms = 2 * ms < MOVED_MAX_MS ? (uint16_t)(2 * ms) : MOVED_MAX_MS;
    push_later(number, 1000 * (ms / 2 + dice_below(&world.dice, ms)));
}

/* A connection that is not wanted any more: a pusher's to the owner of a queue. */
static void give_up(uint32_t client, unsigned link) {
    link_of(client, link)->is_wanted = false;
    if (clients[client].target == link)
        push_again(client);
}

/* The pauses of rpc/link/client/connect.c: the next broker of the list at once, and after all of
 * them a pause that doubles. */
static void try_again(uint32_t client, unsigned number) {
    Link *link = link_of(client, number);
    uint64_t us = some_delay();
    unsigned n = number == MAIN ? BROKERS : 1;

    link->generation++;
    if (number == MAIN)
        clients[client].main_at = (uint8_t)((clients[client].main_at + 1) % BROKERS);
    else if (!is_worker(client)) {
        give_up(client, number);
        return;
    }
    if (++link->n_tried >= n) {
        link->n_tried = 0;
        if (link->pause_ms > 0)
            us += 1000 * (link->pause_ms / 2 + dice_below(&world.dice, link->pause_ms));
        link->pause_ms = link->pause_ms == 0 ? PAUSE_MS : (uint16_t)(2 * link->pause_ms);
        if (link->pause_ms > PAUSE_MAX_MS)
            link->pause_ms = PAUSE_MAX_MS;
    }
    connect_later(client, number, us);
}

static bool is_counted(uint32_t client, unsigned link) {
    return is_worker(client) || link == MAIN;
}

static void lose(uint32_t client, unsigned number) {
    Link *link = link_of(client, number);

    n_up -= link->is_up && is_counted(client, number);
    link->is_up = false;
    link->peer = NULL;
    try_again(client, number);
}

static void on_timeout(World *w, const Event *event) {
    (void)w;
    if (is_current(event))
        try_again(client_of(event), event->client % LINKS);
}

static void on_connect(World *w, const Event *event) {
    uint32_t client = client_of(event);
    unsigned number = event->client % LINKS;
    SimBroker *broker = broker_of(client, number);
    Link *link = link_of(client, number);
    uint8_t token[WIRE_TOKEN];

    if (!is_current(event))
        return;
    if (!broker->broker) {
        try_again(client, number);
        return;
    }
    if (world_is_frozen(w, broker)) {
        world_later(w, ATTEMPT, event_of(client, number, on_timeout));
        return;
    }
    link->peer = fake_peer_new(broker->broker);
    link->peer->pid = (pid_t)event->client;
    client_token(client, number == MAIN ? 0 : number + 1, token);
    world_say(w, broker, link->peer,
              &(Message){.op = OP_HELLO,
                         .hello.version_min = 1,
                         .hello.version_max = 1,
                         .hello.client = span_of(token, WIRE_TOKEN),
                         .hello.bytes = INT64_MAX / 8});
}

/* The broker learns that the connection has ended. */
static void on_closed(World *w, const Event *event) {
    SimBroker *broker = world_awake(w, event);

    if (broker)
        world_gone(w, broker, event->thing);
}

static void close_connection(uint32_t client, unsigned link) {
    world_later(&world, some_delay(), event_of(client, link, on_closed));
    lose(client, link);
}

static void each_link(const SimBroker *broker, void (*fn)(uint32_t client, unsigned link)) {
    for (uint32_t i = cluster_of(&size, broker); i < n_clients; i += size.n_clusters)
        for (unsigned l = 0; l < LINKS; l++)
            if (link_of(i, l)->peer && broker_of(i, l) == broker)
                fn(i, l);
}

/* The broker and its connections have ended at once. */
static void on_end(World *w, SimBroker *broker) {
    (void)w;
    each_link(broker, lose);
}

static void on_silent(World *w, const Event *event) {
    const SimBroker *broker = &w->brokers[event->broker];

    if (broker->life == event->life && broker->frozen_until_us == event->one &&
        world_is_frozen(w, broker))
        each_link(broker, close_connection);
}

/* ---- pushers ---- */

/* Sends the push, or connects first. */
static void push(uint32_t number) {
    SimClient *client = &clients[number];
    Link *link = link_of(number, client->target);
    Event event;

    client->n_asked++;
    if (client->next > PUSHES)
        return;
    if (link->is_up) {
        event = event_of(number, client->target, on_push_read);
        event.one = client->next;
        world_later(&world, some_delay(), event);
    } else if (!link->is_wanted) {
        link->is_wanted = true;
        connect_later(number, client->target, some_delay());
    }
}

/* The broker of an error ferry.Moved; NULL: it is not known. */
static SimBroker *owner_in(const Message *message) {
    return cluster_broker(&world, fake_error(message, "url"));
}

static void on_push_refused(uint32_t number, unsigned link, const Message *message) {
    SimClient *client = &clients[number];
    const SimBroker *owner = owner_in(message);
    bool is_moved = strcmp(fake_error(message, "type"), "ferry.Moved") == 0;

    seen.moved += is_moved;
    if (message->id != client->next || link != client->target)
        return;
    if (!is_moved || !owner || owner == broker_of(number, link)) {
        push_again(number);
        return;
    }
    client->target = (uint8_t)(owner->number % BROKERS);
    if (client->target == client->main_at)
        client->target = MAIN;
    push(number);
}

static void on_confirmed(uint32_t number, const Message *message) {
    SimClient *client = &clients[number];
    char before[32], now[32];

    if (message->id != client->next)
        return;
    confirmed[index_of(number, client->next)] = 1;
    queue_name(number, client->next++, before);
    queue_name(number, client->next, now);
    if (strcmp(before, now) != 0)
        client->target = MAIN;
    client->moved_ms = 0;
    client->n_asked++;
    push_later(number, dice_below(&world.dice, RUN / PUSHES));
}

/* ---- workers ---- */

static void on_work_done(World *w, const Event *event) {
    Delivery *delivery = &delivered[event->two];
    SimClient *worker = &clients[client_of(event)];
    Event ack = *event;

    for (uint32_t i = 0; i < worker->n_held; i++)
        if (worker->held[i].job == event->one && worker->held[i].number == event->two)
            worker->held[i] = worker->held[--worker->n_held];
    if (!is_current(event) || !delivery->is_held || delivery->worker != client_of(event) ||
        delivery->link != event->client % LINKS)
        return; /* the connection or the job is lost */
    delivery->is_held = false;
    ack.fn = on_ack_read;
    ack.generation = delivery->attempt;
    world_later(w, some_delay(), ack);
}

static void hold(uint32_t number, uint64_t job, uint32_t index) {
    SimClient *worker = &clients[number];

    if (worker->n_held == worker->cap_held) {
        worker->cap_held = worker->cap_held ? 2 * worker->cap_held : 16;
        worker->held = realloc(worker->held, worker->cap_held * sizeof(*worker->held));
        if (!worker->held)
            abort();
    }
    worker->held[worker->n_held++] = (Held){job, index};
}

/* Two workers have the job, and the leases under which they got it are both in force. */
static bool is_at_once(const Delivery *delivery) {
    return delivery->is_held &&
           link_of(delivery->worker, delivery->link)->generation == delivery->generation &&
           keeper_holds(world.keeper, delivery->space, delivery->token, world.now_us);
}

static void on_job(uint32_t client, unsigned link, const Message *message) {
    const SimBroker *broker = broker_of(client, link);
    unsigned shard = (unsigned)(message->job.job % 64) - 1;
    uint64_t number = UINT64_MAX, token = cluster_token(broker, shard);
    Event event = event_of(client, link, on_work_done);
    Delivery *delivery;

    if (message->body.len == sizeof(number))
        memcpy(&number, message->body.data, sizeof(number));
    if (number >= index_of(n_clients, 0) || shard >= SHARDS) {
        seen.phantom++;
        return;
    }
    delivery = &delivered[number];
    seen.unleased += !keeper_holds(world.keeper, cluster_space(broker, shard), token, world.now_us);
    seen.at_once += is_at_once(delivery);
    seen.after_end += delivery->is_done;
    *delivery = (Delivery){.token = token,
                           .worker = client,
                           .generation = link_of(client, link)->generation,
                           .space = cluster_space(broker, shard),
                           .attempt = (uint16_t)message->job.attempt,
                           .link = (uint8_t)link,
                           .is_held = true,
                           .is_done = delivery->is_done,
                           .n = delivery->n < UINT8_MAX ? delivery->n + 1 : UINT8_MAX};
    hold(client, message->job.job, (uint32_t)number);
    event.one = message->job.job;
    event.two = number;
    world_later(&world, some_delay() + dice_below(&world.dice, WORK), event);
}

static void on_lost(uint32_t number, unsigned link, const Message *message) {
    const SimClient *worker = &clients[number];

    seen.lost_away += message->lost.reason == LOST_AWAY;
    for (uint32_t i = 0; i < worker->n_held; i++) {
        Delivery *delivery = &delivered[worker->held[i].number];

        if (worker->held[i].job == message->lost.job && delivery->worker == number &&
            delivery->link == link)
            delivery->is_held = false;
    }
}

/* ---- messages of brokers ---- */

static void on_up(uint32_t client, unsigned number) {
    Link *link = link_of(client, number);

    link->is_up = true;
    link->n_tried = 0;
    link->pause_ms = 0;
    n_up += is_counted(client, number);
    sessions++;
    if (storm_began_us > 0 && n_up == n_wanted) {
        storm_us = world.now_us - storm_began_us;
        storm_began_us = 0;
    }
    if (is_worker(client))
        world_later(&world, some_delay(), event_of(client, number, on_pull_read));
    else if (number == clients[client].target)
        push_later(client, some_delay());
}

static void on_output(World *w, Peer *peer, const Message *message) {
    uint32_t client = (uint32_t)peer->pid / LINKS;
    unsigned link = (unsigned)peer->pid % LINKS;

    (void)w;
    if (link_of(client, link)->peer != peer)
        return; /* an earlier connection of the client */
    if (message->op == OP_WELCOME)
        on_up(client, link);
    else if (message->op == OP_BYE || message->op == OP_FAULT)
        close_connection(client, link);
    else if (message->op == OP_JOB)
        on_job(client, link, message);
    else if (message->op == OP_LOST)
        on_lost(client, link, message);
    else if (message->op == OP_MOVED)
        seen.told_moved++;
    else if (message->op == OP_OK && !is_worker(client))
        on_confirmed(client, message);
    else if (message->op == OP_OK && message->id >= FIRST_ACK)
        delivered[message->id - FIRST_ACK].is_done = true;
    else if (message->op == OP_ERROR && !is_worker(client))
        on_push_refused(client, link, message);
}

/* ---- faults ---- */

static void on_fast_again(World *w, const Event *event) {
    keeper_set_delay(w->keeper, event->client, DELAY);
}

static void slow_down(World *w, unsigned space) {
    keeper_set_delay(w->keeper, space, SLOW_DELAY);
    world_later(w, 5 * SECOND, (Event){.fn = on_fast_again, .client = space});
}

static void on_freeze(World *w, SimBroker *broker) {
    world_later(w, SILENT,
                (Event){.fn = on_silent,
                        .broker = broker->number,
                        .life = broker->life,
                        .one = broker->frozen_until_us});
}

static void on_fault(World *w, const Event *event) {
    SimBroker *broker = &w->brokers[dice_below(&w->dice, w->n_brokers)];

    (void)event;
    last_fault_us = w->now_us;
    switch (dice_below(&w->dice, 6)) {
    case 0:
        world_kill(w, broker, SECOND + dice_below(&w->dice, 5 * SECOND));
        break;
    case 1:
        if (dice_below(&w->dice, 3) == 0)
            world_freeze(w, broker, 1 + dice_below(&w->dice, 25 * SECOND));
        else
            world_freeze_in_turn(broker, 1 + dice_below(&w->dice, 25 * SECOND));
        break;
    case 2:
        cluster_stop(broker, SECOND + dice_below(&w->dice, 5 * SECOND));
        break;
    case 3:
        cluster_strike_adopting(broker, 1 + dice_below(&w->dice, 25 * SECOND), 0);
        break;
    case 4:
        cluster_strike_adopting(broker, 0, SECOND + dice_below(&w->dice, 5 * SECOND));
        break;
    default:
        slow_down(w, cluster_space(broker, (unsigned)dice_below(&w->dice, SHARDS)));
    }
}

/* A tenth of all brokers loses its power. */
static void on_rack(World *w, const Event *event) {
    (void)event;
    for (unsigned i = 0; i < w->n_brokers; i += 10)
        world_kill(w, &w->brokers[i + dice_below(&w->dice, 10 < w->n_brokers - i ? 10 : 1)],
                   5 * SECOND);
    storm_began_us = w->now_us;
}

/* ---- the run ---- */

static void begin_client(uint32_t i) {
    clients[i].next = 1;
    clients[i].target = MAIN;
    clients[i].main_at = (uint8_t)dice_below(&world.dice, BROKERS);
    for (unsigned l = 0; l < LINKS; l++) {
        bool is_wanted = is_worker(i) ? l != MAIN : l == MAIN;

        link_of(i, l)->is_wanted = is_wanted;
        n_wanted += is_wanted;
        if (is_wanted)
            connect_later(i, l, SECOND + dice_below(&world.dice, 10 * SECOND));
    }
}

static void set_up(uint64_t seed) {
    Keeper *keeper;

    size.n_clusters = (unsigned)said_or("FERRY_TEST_CLUSTERS", CLUSTERS);
    n_clients = (unsigned)said_or("FERRY_TEST_CLIENTS", CLIENTS);
    clients = calloc(n_clients, sizeof(*clients));
    links = calloc((size_t)n_clients * LINKS, sizeof(*links));
    confirmed = calloc(n_clients, PUSHES + 1);
    delivered = calloc(index_of(n_clients, 0), sizeof(*delivered));
    CU_ASSERT_FATAL(clients && links && confirmed && delivered);
    CU_ASSERT_FATAL(n_clients >= size.n_clusters * WORKERS);
    keeper = keeper_new(size.n_clusters * SHARDS, n_clients, PUSHES);
    clusters_init(&world, seed, &size, keeper, LEASE);
    world.on_output = on_output;
    world.on_end = on_end;
    world.on_freeze = on_freeze;
    for (unsigned i = 0; i < size.n_clusters * SHARDS; i++)
        keeper_set_delay(keeper, i, DELAY);
    for (uint32_t i = 0; i < n_clients; i++)
        begin_client(i);
    for (unsigned i = 0; i < 4 * world.n_brokers; i++)
        world_later(&world, 15 * SECOND + dice_below(&world.dice, RUN - 15 * SECOND),
                    (Event){.fn = on_fault});
    world_later(&world, RUN / 2, (Event){.fn = on_rack});
}

static Numbers count(void) {
    Numbers numbers = {.phantom = (unsigned)seen.phantom};

    for (size_t i = 0; i < index_of(n_clients, 0); i++) {
        numbers.confirmed += confirmed[i];
        numbers.lost += confirmed[i] && delivered[i].n == 0;
        numbers.worked_twice += delivered[i].n > 1;
        numbers.phantom += delivered[i].n > 0 && i % (PUSHES + 1) == 0;
    }
    return numbers;
}

static void look_at_spread(void) {
    if (!clusters_are_spread(&world))
        spread_us = 0;
    else if (spread_us == 0)
        spread_us = world.now_us;
}

static bool is_over(const Numbers *numbers, unsigned wanted) {
    return numbers->confirmed == wanted && numbers->lost == 0 && n_up == n_wanted &&
           spread_us > 0 && keeper_n_jobs(world.keeper) == 0;
}

static void print_brokers(uint64_t seed, uint64_t began_ms) {
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    printf(
        "\n    seed %llu: %u clusters of %u brokers and %u shards, %u clients, %.0f s of virtual "
        "time in %.1f s, %ld MiB\n",
        (unsigned long long)seed, size.n_clusters, BROKERS, SHARDS, n_clients,
        (double)world.now_us / SECOND, (double)(clock_ms() - began_ms) / 1000,
        usage.ru_maxrss / 1024);
    printf("    %llu sessions, %llu messages to brokers, %llu heartbeats\n",
           (unsigned long long)sessions, (unsigned long long)world.n_messages,
           (unsigned long long)clusters_counts()->beats);
}

static void print_jobs(const Numbers *numbers) {
    const KeeperCounts *kept = keeper_counts(world.keeper);

    printf("    %llu changes of the store, %llu refused, %llu pushes stored twice, %llu changes by "
           "a second broker under one token\n",
           (unsigned long long)kept->changes, (unsigned long long)kept->refused,
           (unsigned long long)kept->stored_twice, (unsigned long long)kept->two_owners);
    printf("    jobs: %u confirmed, %u lost, %u phantom, %u worked more than once; delivered "
           "without the lease %llu, to two at once %llu, after the end %llu\n",
           numbers->confirmed, numbers->lost, numbers->phantom, numbers->worked_twice,
           (unsigned long long)seen.unleased, (unsigned long long)seen.at_once,
           (unsigned long long)seen.after_end);
    printf("    ferry.Moved: %llu pushes, %llu pulls, %llu jobs of workers\n",
           (unsigned long long)seen.moved, (unsigned long long)seen.told_moved,
           (unsigned long long)seen.lost_away);
}

static void print_moves(void) {
    ClusterCounts *moves = clusters_counts();

    printf("    shards that began to move: %llu, of these adoptions that failed: %llu\n",
           (unsigned long long)moves->moves, (unsigned long long)moves->failed);
    takeovers_print(&moves->lost, "take-overs from brokers that were killed or stopped");
    takeovers_print(&moves->given, "from brokers that gave shards up");
    printf("    after the loss of a tenth of the brokers all clients were back after %.1f s\n",
           (double)storm_us / SECOND);
    printf("    shards spread evenly %.0f s after the last fault\n",
           spread_us > last_fault_us ? (double)(spread_us - last_fault_us) / SECOND : 0.0);
}

static void check(const Numbers *numbers, unsigned wanted) {
    const KeeperCounts *kept = keeper_counts(world.keeper);

    CU_ASSERT_EQUAL(numbers->confirmed, wanted);
    CU_ASSERT_EQUAL(numbers->lost, 0);
    CU_ASSERT_EQUAL(numbers->phantom, 0);
    CU_ASSERT_EQUAL(kept->stored_twice, 0);
    CU_ASSERT_EQUAL(kept->two_owners, 0);
    CU_ASSERT_EQUAL(seen.unleased, 0);
    CU_ASSERT_EQUAL(seen.at_once, 0);
    CU_ASSERT_EQUAL(seen.after_end, 0);
    CU_ASSERT_EQUAL(keeper_n_jobs(world.keeper), 0);
    CU_ASSERT_EQUAL(n_up, n_wanted);
    CU_ASSERT_TRUE(clusters_are_spread(&world));
    CU_ASSERT_TRUE(kept->refused > 0);
    CU_ASSERT_TRUE(seen.moved > 0 && seen.told_moved > 0 && seen.lost_away > 0);
    CU_ASSERT_TRUE(clusters_counts()->failed > 0);
    CU_ASSERT_TRUE(clusters_counts()->lost.n > 0 && clusters_counts()->given.n > 0);
}

static void shards_move_without_loss_or_two_owners(void) {
    unsigned wanted;
    uint64_t began_ms = clock_ms();
    Dice seeds = dice_new(1);
    Numbers numbers = {0};

    log_level = LOG_LEVEL_ERROR;
    set_up(seeds.seed);
    wanted = (n_clients - size.n_clusters * WORKERS) * PUSHES;
    world_run(&world, RUN);
    for (uint64_t until_us = RUN; until_us < RUN + QUIET; until_us += SECOND) {
        world_run(&world, until_us);
        look_at_spread();
        numbers = count();
        if (is_over(&numbers, wanted))
            break;
    }
    print_brokers(seeds.seed, began_ms);
    print_jobs(&numbers);
    print_moves();
    check(&numbers, wanted);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(shards_move_without_loss_or_two_owners),
        TESTS_END,
    };

    return run_suite("clusters of brokers in a simulation", tests);
}
