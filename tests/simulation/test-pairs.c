/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Pairs of brokers with a shared store, and clients that push jobs and work on them, in virtual
 * time: brokers are killed and stopped, a tenth of them at once, leases move, stores become slow,
 * and clients reconnect with the pauses of the library. Most jobs are in a few queues. No confirmed
 * job may be lost, and no push may be stored twice.
 *
 * FERRY_TEST_SPACES is the number of pairs, FERRY_TEST_CLIENTS that of clients; TEST_SEED chooses
 * the rest.
 */

#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/log.h"
#include "pairs.h"
#include "support/fake-hub.h"
#include "support/suite.h"

enum {
    SPACES = 20,
    CLIENTS = 2000,
    PUSHES = 4, /* of a client */
    WORKERS_OF_SPACE = 4,
    QUEUES_OF_SPACE = 10,
    SLOTS = 10,
    SECOND = 1000000, /* in microseconds, as all times here */
    RUN = 120 * SECOND,
    QUIET = 600 * SECOND, /* longest time until all is done after the last fault */
    LEASE = 10 * SECOND,
    WORK = SECOND / 5, /* longest work on a job */
    DELAY = 200,       /* of a message, on average, and of a change of the store */
    SLOW_DELAY = 200 * DELAY,
    SILENT = 8 * SECOND,  /* rpc/link/connection.c: a peer that is silent for this long is lost */
    ATTEMPT = 2 * SECOND, /* rpc/link/client/connect.c: the times of this and the next two */
    PAUSE_MS = 50,
    PAUSE_MAX_MS = 2000,
};

typedef struct SimClient {
    Peer *peer;          /* NULL: not connected */
    uint32_t generation; /* of the connection: messages of earlier ones are lost */
    uint32_t pause_ms;
    uint8_t at, n_tried; /* the broker of the pair */
    uint8_t next;        /* the push that is not confirmed yet */
    bool is_up;
} SimClient;

typedef struct Numbers {
    unsigned confirmed, lost, worked_twice, phantom;
} Numbers;

static World world;
static unsigned n_spaces, n_clients, n_up, n_phantom;
static SimClient *clients;
static uint8_t *confirmed, *worked; /* by client and push */
static uint64_t sessions, storm_began_us, storm_us;

static size_t index_of(uint32_t client, unsigned push) {
    return (size_t)client * (PUSHES + 1) + push;
}

static bool is_worker(uint32_t client) {
    return client / n_spaces < WORKERS_OF_SPACE;
}

static SimBroker *broker_of(uint32_t client) {
    return &world.brokers[2 * (client % n_spaces) + clients[client].at];
}

static uint64_t some_delay(void) {
    return DELAY / 2 + dice_below(&world.dice, DELAY);
}

/* ---- messages of clients ---- */

/* The queue of a push is the same each time: a third of the jobs is in the first queue. */
static void queue_name(uint32_t client, unsigned push, char name[32]) {
    uint64_t hash = (index_of(client, push) * UINT64_C(0x9E3779B97F4A7C15)) >> 44;
    double part = (double)hash / (1 << 20);

    snprintf(name, 32, "jobs.%u", (unsigned)(QUEUES_OF_SPACE * part * part));
}

static void say(uint32_t client, const Message *message) {
    world_say(&world, broker_of(client), clients[client].peer, message);
}

/* The message has arrived at the broker, which may belong to an earlier connection of the client.
 */
static void on_read(World *w, const Event *event) {
    uint64_t number = index_of(event->client, (unsigned)event->one);
    SimBroker *broker = &w->brokers[event->broker];
    Message push = {.op = OP_PUSH, .id = event->one, .body = span_of(&number, sizeof(number))};
    Message ack = {.op = OP_ACK,
                   .id = 1000 + w->n_events,
                   .settle.job = event->one,
                   .settle.attempt = event->two};
    char name[32];

    if (broker->life != event->life || !broker->broker)
        return;
    queue_name(event->client, (unsigned)event->one, name);
    push.name = span_text(name);
    world_say(w, broker, event->thing, is_worker(event->client) ? &ack : &push);
}

/* A broker that is stopped finds the message in its socket when it continues. */
static void on_send(World *w, const Event *event) {
    const SimClient *client = &clients[event->client];
    const SimBroker *broker = broker_of(event->client);
    Event arrival = *event;

    if (client->generation != event->generation || !client->peer)
        return;
    arrival.fn = on_read;
    arrival.broker = broker->number;
    arrival.life = broker->life;
    arrival.thing = client->peer;
    if (world_is_frozen(w, broker))
        world_later(w, broker->frozen_until_us - w->now_us, arrival);
    else
        on_read(w, &arrival);
}

static void send_later(uint32_t client, uint64_t us, uint64_t one, uint64_t two) {
    world_later(&world, us,
                (Event){.fn = on_send,
                        .client = client,
                        .generation = clients[client].generation,
                        .one = one,
                        .two = two});
}

static void pull_all(uint32_t client) {
    uint32_t generation = clients[client].generation;
    char name[32];

    for (unsigned i = 0; i < QUEUES_OF_SPACE && clients[client].generation == generation; i++) {
        snprintf(name, sizeof(name), "jobs.%u", i);
        say(client, &(Message){.op = OP_PULL,
                               .id = 1 + i,
                               .name = span_text(name),
                               .pull.slots = SLOTS,
                               .pull.bytes = 1 << 20});
    }
}

static void on_pull(World *w, const Event *event) {
    const SimClient *client = &clients[event->client];
    const SimBroker *broker = broker_of(event->client);

    if (client->generation != event->generation || !client->peer)
        return;
    if (world_is_frozen(w, broker))
        world_later(w, broker->frozen_until_us - w->now_us, *event);
    else
        pull_all(event->client);
}

/* ---- connections ---- */

static void on_connect(World *w, const Event *event);

static void connect_later(uint32_t client, uint64_t us) {
    world_later(
        &world, us,
        (Event){.fn = on_connect, .client = client, .generation = clients[client].generation});
}

/* The pauses of rpc/link/client/connect.c: the other broker of the list at once, and after both of
 * them a pause that doubles. */
static void try_again(uint32_t number) {
    SimClient *client = &clients[number];
    uint64_t us = some_delay();

    client->generation++;
    client->at ^= 1;
    if (++client->n_tried >= 2) {
        client->n_tried = 0;
        if (client->pause_ms > 0)
            us += 1000 * (client->pause_ms / 2 + dice_below(&world.dice, client->pause_ms));
        client->pause_ms = client->pause_ms == 0 ? PAUSE_MS : 2 * client->pause_ms;
        if (client->pause_ms > PAUSE_MAX_MS)
            client->pause_ms = PAUSE_MAX_MS;
    }
    connect_later(number, us);
}

static void lose(uint32_t client) {
    n_up -= clients[client].is_up;
    clients[client].is_up = false;
    clients[client].peer = NULL;
    try_again(client);
}

static void on_timeout(World *w, const Event *event) {
    (void)w;
    if (clients[event->client].generation == event->generation)
        try_again(event->client);
}

static void on_connect(World *w, const Event *event) {
    SimClient *client = &clients[event->client];
    SimBroker *broker = broker_of(event->client);
    uint8_t token[WIRE_TOKEN];

    if (client->generation != event->generation)
        return;
    if (!broker->broker) {
        try_again(event->client);
        return;
    }
    if (world_is_frozen(w, broker)) {
        Event timeout = *event;

        timeout.fn = on_timeout;
        world_later(w, ATTEMPT, timeout);
        return;
    }
    client->peer = fake_peer_new(broker->broker);
    client->peer->pid = (pid_t)event->client;
    client_token(event->client, 0, token);
    say(event->client, &(Message){.op = OP_HELLO,
                                  .hello.version_min = 1,
                                  .hello.version_max = 1,
                                  .hello.client = span_of(token, WIRE_TOKEN),
                                  .hello.bytes = INT64_MAX / 8});
}

/* The broker learns that the connection has ended. */
static void on_closed(World *w, const Event *event) {
    SimBroker *broker = &w->brokers[event->broker];

    if (broker->life != event->life || !broker->broker)
        return;
    if (world_is_frozen(w, broker))
        world_later(w, broker->frozen_until_us - w->now_us, *event);
    else
        world_gone(w, broker, event->thing);
}

static void close_connection(uint32_t client) {
    const SimBroker *broker = broker_of(client);

    world_later(&world, some_delay(),
                (Event){.fn = on_closed,
                        .broker = broker->number,
                        .life = broker->life,
                        .thing = clients[client].peer});
    lose(client);
}

/* The broker and its connections have ended at once. */
static void on_end(World *w, SimBroker *broker) {
    (void)w;
    for (uint32_t i = pair_space(broker); i < n_clients; i += n_spaces)
        if (clients[i].peer && broker_of(i) == broker)
            lose(i);
}

static void on_silent(World *w, const Event *event) {
    const SimBroker *broker = &w->brokers[event->broker];

    if (broker->life != event->life || broker->frozen_until_us != event->one ||
        !world_is_frozen(w, broker))
        return;
    for (uint32_t i = pair_space(broker); i < n_clients; i += n_spaces)
        if (clients[i].peer && broker_of(i) == broker)
            close_connection(i);
}

/* ---- messages of brokers ---- */

static void is_up(uint32_t number) {
    SimClient *client = &clients[number];

    client->is_up = true;
    client->n_tried = 0;
    client->pause_ms = 0;
    n_up++;
    sessions++;
    if (storm_began_us > 0 && n_up == n_clients) {
        storm_us = world.now_us - storm_began_us;
        storm_began_us = 0;
    }
    if (is_worker(number))
        world_later(&world, 2 * some_delay(),
                    (Event){.fn = on_pull, .client = number, .generation = client->generation});
    else if (client->next <= PUSHES)
        send_later(number, 2 * some_delay(), client->next, 0);
}

static void on_job(uint32_t client, const Message *message) {
    uint64_t number = UINT64_MAX;

    if (message->body.len == sizeof(number))
        memcpy(&number, message->body.data, sizeof(number));
    if (number >= index_of(n_clients, 0)) {
        n_phantom++;
        return;
    }
    if (worked[number] < UINT8_MAX)
        worked[number]++;
    send_later(client, some_delay() + dice_below(&world.dice, WORK) + some_delay(),
               message->job.job, message->job.attempt);
}

static void on_output(World *w, Peer *peer, const Message *message) {
    uint32_t number = (uint32_t)peer->pid;
    SimClient *client = &clients[number];

    (void)w;
    if (client->peer != peer)
        return; /* an earlier connection of the client */
    if (message->op == OP_WELCOME) {
        is_up(number);
    } else if (message->op == OP_BYE || message->op == OP_FAULT) {
        close_connection(number);
    } else if (message->op == OP_JOB) {
        on_job(number, message);
    } else if (message->op == OP_OK && !is_worker(number) && message->id == client->next) {
        confirmed[index_of(number, client->next++)] = 1;
        if (client->next <= PUSHES)
            send_later(number, dice_below(&world.dice, RUN / PUSHES), client->next, 0);
    } else if (message->op == OP_ERROR && !is_worker(number)) {
        send_later(number, SECOND, client->next, 0);
    }
}

/* ---- faults ---- */

static void on_fast_again(World *w, const Event *event) {
    keeper_set_delay(w->keeper, event->broker / 2, DELAY);
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
    switch (dice_below(&w->dice, 3)) {
    case 0:
        world_kill(w, broker, SECOND + dice_below(&w->dice, 5 * SECOND));
        break;
    case 1:
        if (dice_below(&w->dice, 3) == 0)
            world_freeze(w, broker, 1 + dice_below(&w->dice, 25 * SECOND));
        else
            world_freeze_in_turn(broker, 1 + dice_below(&w->dice, 25 * SECOND));
        break;
    default:
        keeper_set_delay(w->keeper, pair_space(broker), SLOW_DELAY);
        world_later(w, 5 * SECOND, (Event){.fn = on_fast_again, .broker = broker->number});
    }
}

/* A tenth of all brokers loses its power. */
static void on_rack(World *w, const Event *event) {
    (void)event;
    for (unsigned i = 0; i < w->n_brokers; i += 10)
        world_kill(w, &w->brokers[i + dice_below(&w->dice, 2)], 5 * SECOND);
    storm_began_us = w->now_us;
}

/* ---- the run ---- */

static void set_up(uint64_t seed) {
    n_spaces = (unsigned)said_or("FERRY_TEST_SPACES", SPACES);
    n_clients = (unsigned)said_or("FERRY_TEST_CLIENTS", CLIENTS);
    clients = calloc(n_clients, sizeof(*clients));
    confirmed = calloc(n_clients, PUSHES + 1);
    worked = calloc(n_clients, PUSHES + 1);
    CU_ASSERT_FATAL(clients && confirmed && worked && n_clients >= n_spaces * WORKERS_OF_SPACE);
    pairs_init(&world, seed, n_spaces, keeper_new(n_spaces, n_clients, PUSHES), LEASE);
    world.on_output = on_output;
    world.on_end = on_end;
    world.on_freeze = on_freeze;
    for (unsigned i = 0; i < n_spaces; i++)
        keeper_set_delay(world.keeper, i, DELAY);
    for (uint32_t i = 0; i < n_clients; i++) {
        clients[i].next = 1;
        clients[i].at = (uint8_t)dice_below(&world.dice, 2);
        connect_later(i, SECOND + dice_below(&world.dice, 10 * SECOND));
    }
    for (unsigned i = 0; i < 6 * n_spaces; i++)
        world_later(&world, 15 * SECOND + dice_below(&world.dice, RUN - 15 * SECOND),
                    (Event){.fn = on_fault});
    world_later(&world, RUN / 2, (Event){.fn = on_rack});
}

static Numbers count(void) {
    Numbers numbers = {.phantom = n_phantom};

    for (size_t i = 0; i < index_of(n_clients, 0); i++) {
        numbers.confirmed += confirmed[i];
        numbers.lost += confirmed[i] && !worked[i];
        numbers.worked_twice += worked[i] > 1;
        numbers.phantom += worked[i] && i % (PUSHES + 1) == 0;
    }
    return numbers;
}

static void print_takeovers(void) {
    takeovers_print(pairs_takeovers(), "take-overs");
    printf("    after the loss of a tenth of the brokers all clients were back after %.1f s\n",
           (double)storm_us / SECOND);
}

static void no_confirmed_job_is_lost_and_no_push_is_stored_twice(void) {
    unsigned wanted;
    uint64_t began_ms = clock_ms();
    Dice seeds = dice_new(1);
    struct rusage usage;
    Numbers numbers;

    log_level = LOG_LEVEL_ERROR;
    set_up(seeds.seed);
    wanted = (n_clients - n_spaces * WORKERS_OF_SPACE) * PUSHES;
    world_run(&world, RUN);
    for (uint64_t until_us = RUN; until_us < RUN + QUIET; until_us += SECOND) {
        world_run(&world, until_us);
        numbers = count();
        if (numbers.confirmed == wanted && numbers.lost == 0 && n_up == n_clients &&
            keeper_n_jobs(world.keeper) == 0)
            break;
    }
    getrusage(RUSAGE_SELF, &usage);
    printf("\n    seed %llu: %u brokers, %u clients, %.0f s of virtual time in %.1f s, %ld MiB\n",
           (unsigned long long)seeds.seed, world.n_brokers, n_clients,
           (double)world.now_us / SECOND, (double)(clock_ms() - began_ms) / 1000,
           usage.ru_maxrss / 1024);
    printf("    %llu sessions, %llu messages to brokers, %llu changes of the store, %llu refused\n",
           (unsigned long long)sessions, (unsigned long long)world.n_messages,
           (unsigned long long)keeper_counts(world.keeper)->changes,
           (unsigned long long)keeper_counts(world.keeper)->refused);
    printf("    jobs: %u confirmed, %u lost, %u phantom, %u worked more than once; pushes stored "
           "twice: %llu\n",
           numbers.confirmed, numbers.lost, numbers.phantom, numbers.worked_twice,
           (unsigned long long)keeper_counts(world.keeper)->stored_twice);
    print_takeovers();
    CU_ASSERT_EQUAL(numbers.confirmed, wanted);
    CU_ASSERT_EQUAL(numbers.lost, 0);
    CU_ASSERT_EQUAL(numbers.phantom, 0);
    CU_ASSERT_EQUAL(keeper_counts(world.keeper)->stored_twice, 0);
    CU_ASSERT_EQUAL(keeper_n_jobs(world.keeper), 0);
    CU_ASSERT_TRUE(keeper_counts(world.keeper)->refused > 0);
    CU_ASSERT_TRUE(pairs_takeovers()->n > n_spaces / 2);
    CU_ASSERT_EQUAL(n_up, n_clients);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(no_confirmed_job_is_lost_and_no_push_is_stored_twice),
        TESTS_END,
    };

    return run_suite("pairs of brokers in a simulation", tests);
}
