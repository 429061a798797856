/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster-clients.h"

#include <stdlib.h>
#include <string.h>

#include "support/fake-hub.h"

enum {
    QUEUES = 24,
    LINKS = BROKERS + 1, /* connections of a client: one for each broker, and its main one */
    MAIN = BROKERS,
    SLOTS = 10,
    WORK = SECOND / 5,    /* longest work on a job */
    SILENT = 8 * SECOND,  /* rpc/link/connection.c: a peer that is silent for this long is lost */
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

static ClusterSize size;
static World *world;
static unsigned n_clients;
static SimClient *clients;
static Link *links;         /* LINKS of each client */
static uint8_t *confirmed;  /* by client and push */
static Delivery *delivered; /* by client and push */
static ClientCounts counts;

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

    return &world->brokers[(size_t)(client % size.n_clusters) * BROKERS + at];
}

static uint64_t some_delay(void) {
    return DELAY / 2 + dice_below(&world->dice, DELAY);
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
    world_later(world, us, event_of(client, link, on_connect));
}

static void on_push_again(World *w, const Event *event) {
    (void)w;
    if (clients[event->client].n_asked == event->one)
        push(event->client);
}

static void push_later(uint32_t client, uint64_t us) {
    world_later(world, us,
                (Event){.fn = on_push_again, .client = client, .one = clients[client].n_asked});
}

/* The owner is not known, or not reached: the main connection is asked again after a pause. */
static void push_again(uint32_t number) {
    SimClient *client = &clients[number];
    unsigned ms = client->moved_ms ? client->moved_ms : MOVED_MS;

    client->target = MAIN;
    client->n_asked++;
    client->moved_ms = 2 * ms < MOVED_MAX_MS ? (uint16_t)(2 * ms) : MOVED_MAX_MS;
    push_later(number, 1000 * (ms / 2 + dice_below(&world->dice, ms)));
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
            us += 1000 * (link->pause_ms / 2 + dice_below(&world->dice, link->pause_ms));
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

    counts.n_up -= link->is_up && is_counted(client, number);
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
    world_later(world, some_delay(), event_of(client, link, on_closed));
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

static void on_freeze(World *w, SimBroker *broker) {
    world_later(w, SILENT,
                (Event){.fn = on_silent,
                        .broker = broker->number,
                        .life = broker->life,
                        .one = broker->frozen_until_us});
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
        world_later(world, some_delay(), event);
    } else if (!link->is_wanted) {
        link->is_wanted = true;
        connect_later(number, client->target, some_delay());
    }
}

/* The broker of an error ferry.Moved; NULL: it is not known. */
static SimBroker *owner_in(const Message *message) {
    return cluster_broker(world, fake_error(message, "url"));
}

static void on_push_refused(uint32_t number, unsigned link, const Message *message) {
    SimClient *client = &clients[number];
    const SimBroker *owner = owner_in(message);
    bool is_moved = strcmp(fake_error(message, "type"), "ferry.Moved") == 0;

    counts.moved += is_moved;
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
    push_later(number, dice_below(&world->dice, RUN / PUSHES));
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
           keeper_holds(world->keeper, delivery->space, delivery->token, world->now_us);
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
        counts.phantom++;
        return;
    }
    delivery = &delivered[number];
    counts.unleased +=
        !keeper_holds(world->keeper, cluster_space(broker, shard), token, world->now_us);
    counts.at_once += is_at_once(delivery);
    counts.after_end += delivery->is_done;
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
    world_later(world, some_delay() + dice_below(&world->dice, WORK), event);
}

static void on_lost(uint32_t number, unsigned link, const Message *message) {
    const SimClient *worker = &clients[number];

    counts.lost_away += message->lost.reason == LOST_AWAY;
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
    counts.n_up += is_counted(client, number);
    counts.sessions++;
    if (counts.storm_began_us > 0 && counts.n_up == counts.n_wanted) {
        counts.storm_us = world->now_us - counts.storm_began_us;
        counts.storm_began_us = 0;
    }
    if (is_worker(client))
        world_later(world, some_delay(), event_of(client, number, on_pull_read));
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
        counts.told_moved++;
    else if (message->op == OP_OK && !is_worker(client))
        on_confirmed(client, message);
    else if (message->op == OP_OK && message->id >= FIRST_ACK)
        delivered[message->id - FIRST_ACK].is_done = true;
    else if (message->op == OP_ERROR && !is_worker(client))
        on_push_refused(client, link, message);
}

/* ---- all clients ---- */

static void begin_client(uint32_t i) {
    clients[i].next = 1;
    clients[i].target = MAIN;
    clients[i].main_at = (uint8_t)dice_below(&world->dice, BROKERS);
    for (unsigned l = 0; l < LINKS; l++) {
        bool is_wanted = is_worker(i) ? l != MAIN : l == MAIN;

        link_of(i, l)->is_wanted = is_wanted;
        counts.n_wanted += is_wanted;
        if (is_wanted)
            connect_later(i, l, SECOND + dice_below(&world->dice, 10 * SECOND));
    }
}

void clients_init(World *in, const ClusterSize *of, unsigned n) {
    world = in;
    size = *of;
    n_clients = n;
    clients = calloc(n_clients, sizeof(*clients));
    links = calloc((size_t)n_clients * LINKS, sizeof(*links));
    confirmed = calloc(n_clients, PUSHES + 1);
    delivered = calloc(index_of(n_clients, 0), sizeof(*delivered));
    if (!clients || !links || !confirmed || !delivered)
        abort();
    world->on_output = on_output;
    world->on_end = on_end;
    world->on_freeze = on_freeze;
    for (uint32_t i = 0; i < n_clients; i++)
        begin_client(i);
}

ClientCounts *clients_counts(void) {
    return &counts;
}

JobCounts clients_jobs(void) {
    JobCounts jobs = {.phantom = (unsigned)counts.phantom};

    for (size_t i = 0; i < index_of(n_clients, 0); i++) {
        jobs.confirmed += confirmed[i];
        jobs.lost += confirmed[i] && delivered[i].n == 0;
        jobs.worked_twice += delivered[i].n > 1;
        jobs.phantom += delivered[i].n > 0 && i % (PUSHES + 1) == 0;
    }
    return jobs;
}
