/* SPDX-License-Identifier: Apache-2.0 */

/* Queues at other brokers of a cluster: three scripted brokers answer ferry.Moved, and the client
 * follows. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <ferry/ferry.h>

#include "base/clock.h"
#include "clients/c/brokers/homes.h"
#include "support/random.h"
#include "support/scripted-broker.h"
#include "support/suite.h"

enum { N = 3, UNKNOWN = -1, PATIENCE_MS = 60000, SEEN_MAX = 20000, QUEUES = 8 };

/* ---- the brokers ---- */

/* A message that a broker got. */
typedef struct Seen {
    int at; /* the broker */
    uint8_t op;
    uint64_t id;
    char queue[32], body[16];
    bool has_origin;
    uint8_t origin[WIRE_TOKEN]; /* the option, else the client of the session */
    uint64_t flags, moved, wait;
    uint64_t job; /* of a settlement, or EXTEND */
    char text[16];
} Seen;

static ScriptedBroker brokers[N];
static Seen seen[SEEN_MAX];
static int n_seen;
/* Answers a PUSH, CALL or EXTEND; NULL: by where(). */
static void (*answer)(int at, int fd, const Message *message);
static int owner; /* the broker that has all queues; UNKNOWN */

static void copy(char *to, size_t size, Span text) {
    snprintf(to, size, "%.*s", (int)text.len, text.data ? (const char *)text.data : "");
}

static void note(int at, int fd, const Message *message) {
    Seen *one = &seen[n_seen++];
    Span key, options = message->op == OP_PUSH ? message->push.options : (Span){NULL, 0};
    uint32_t left;
    Reader pairs = pairs_of(options, &left);

    if (n_seen == SEEN_MAX)
        abort();
    *one = (Seen){.at = at, .op = message->op, .id = message->id};
    copy(one->queue, sizeof(one->queue), message->name);
    copy(one->body, sizeof(one->body), message->body);
    memcpy(one->origin, scripted_session(&brokers[at], fd)->client, WIRE_TOKEN);
    one->wait = message->op == OP_PULL ? message->pull.wait : 0;
    if (message->op >= OP_ACK && message->op <= OP_EXTEND) {
        one->job = message->settle.job;
        copy(one->text, sizeof(one->text), message->settle.text);
    }
    one->flags = message->op == OP_PUSH ? message->push.flags : 0;
    while (pairs_next(&pairs, &left, &key)) {
        Span value = reader_value(&pairs);
        Reader inside = reader_of(value.data, value.len);

        if (span_is(key, "moved"))
            one->moved = reader_uint(&inside);
        if (span_is(key, "origin")) {
            one->has_origin = true;
            memcpy(one->origin, reader_bin(&inside).data, WIRE_TOKEN);
        }
    }
}

static void by_owner(int at, int fd, const Message *message) {
    if (owner == at)
        scripted_ok(fd, message->id);
    else
        scripted_moved(fd, message->id, owner == UNKNOWN ? NULL : &brokers[owner], 0);
}

static void script(ScriptedBroker *broker, int fd, const Message *message) {
    int at = (int)(broker - brokers);

    note(at, fd, message);
    if (message->op == OP_PULL || message->op == OP_SERVE)
        scripted_session(broker, fd)->notes[0] = message->id;
    if (message->op == OP_PUSH || message->op == OP_CALL || message->op == OP_EXTEND)
        (answer ? answer : by_owner)(at, fd, message);
    else if (message->op == OP_PULL && !message->pull.wait && owner != at)
        by_owner(at, fd, message);
    else if (message->id && op_asks(message->op))
        scripted_ok(fd, message->id);
}

static const char *url_of(const char *order) {
    static char url[N * 50 + 20];

    *url = '\0';
    for (const char *one = order; *one; one++)
        sprintf(url + strlen(url), "%s%s", one > order ? "," : "", brokers[*one - '0'].url);
    return strcat(url, "?prefer=order");
}

static ferry_client *set_up(const char *order, const ferry_options *options) {
    ferry_client *client = NULL;

    for (int i = 0; i < N; i++)
        scripted_start(&brokers[i], script, NULL);
    n_seen = 0;
    answer = NULL;
    owner = 0;
    CU_ASSERT_EQUAL_FATAL(ferry_open(url_of(order), options, &client, NULL), 0);
    return client;
}

static void tear_down(ferry_client *client) {
    ferry_close(client);
    for (int i = 0; i < N; i++)
        scripted_stop(&brokers[i]);
}

/* The number of messages with this op that a broker has got. */
static int n_at(int at, unsigned op) {
    int n = 0;

    scripted_lock();
    for (int i = 0; i < n_seen; i++)
        n += seen[i].at == at && seen[i].op == op;
    scripted_unlock();
    return n;
}

/* The last of them. */
static Seen last_at(int at, unsigned op) {
    Seen last = {.at = -1};

    scripted_lock();
    for (int i = 0; i < n_seen; i++)
        if (seen[i].at == at && seen[i].op == op)
            last = seen[i];
    scripted_unlock();
    return last;
}

static void set_owner(int at) {
    scripted_lock();
    owner = at;
    scripted_unlock();
}

static int push(ferry_client *client, const char *queue, const char *body) {
    ferry_error error = FERRY_ERROR_INIT;
    int r = ferry_push(client, queue, ferry_str(body), NULL, &error);

    if (r < 0)
        ferry_error_print(&error, stderr);
    ferry_error_clear(&error);
    return r;
}

static int flush(ferry_client *client) {
    ferry_error error = FERRY_ERROR_INIT;
    int r = ferry_flush(client, &error);

    if (r < 0)
        ferry_error_print(&error, stderr);
    ferry_error_clear(&error);
    return r;
}

/* ---- pushes ---- */

static void a_push_goes_to_the_broker_that_has_its_queue(void) {
    ferry_client *client = set_up("012", NULL);
    Seen first, second;

    owner = 2;
    CU_ASSERT_EQUAL(push(client, "mail", "one"), 0);
    first = last_at(0, OP_PUSH);
    second = last_at(2, OP_PUSH);
    CU_ASSERT_FALSE(first.has_origin);
    CU_ASSERT_TRUE(second.has_origin);
    CU_ASSERT_EQUAL(first.id, second.id);
    CU_ASSERT_EQUAL(memcmp(first.origin, second.origin, WIRE_TOKEN), 0);
    CU_ASSERT_STRING_EQUAL(second.body, "one");
    CU_ASSERT_EQUAL(second.flags, PUSH_COUNTS);

    /* The client remembers it. */
    CU_ASSERT_EQUAL(push(client, "mail", "two"), 0);
    CU_ASSERT_EQUAL(n_at(0, OP_PUSH), 1);
    CU_ASSERT_EQUAL(n_at(1, OP_PUSH), 0);
    CU_ASSERT_EQUAL(n_at(2, OP_PUSH), 2);

    /* And learns that it has moved again, also to the leader's own broker. */
    set_owner(0);
    CU_ASSERT_EQUAL(push(client, "mail", "three"), 0);
    CU_ASSERT_EQUAL(n_at(0, OP_PUSH), 2);
    CU_ASSERT_FALSE(last_at(0, OP_PUSH).has_origin);
    CU_ASSERT_EQUAL(push(client, "mail", "four"), 0);
    CU_ASSERT_EQUAL(n_at(0, OP_PUSH), 3);
    CU_ASSERT_EQUAL(n_at(2, OP_PUSH), 3);
    tear_down(client);
}

static int n_unknown;

static void known_after_some(int at, int fd, const Message *message) {
    if (n_unknown > 0 && at == 0) {
        n_unknown--;
        scripted_moved(fd, message->id, NULL, 0);
    } else {
        by_owner(at, fd, message);
    }
}

static void a_push_waits_until_some_broker_has_its_queue(void) {
    ferry_client *client = set_up("012", NULL);

    owner = 1;
    n_unknown = 4;
    answer = known_after_some;
    CU_ASSERT_EQUAL(push(client, "mail", "one"), 0);
    CU_ASSERT_EQUAL(n_at(0, OP_PUSH), 5);
    CU_ASSERT_EQUAL(n_at(1, OP_PUSH), 1);
    tear_down(client);
}

static void a_push_without_a_broker_ends_at_its_deadline(void) {
    ferry_client *client = set_up("012", &(ferry_options){.timeout_ms = 300});
    ferry_error error = FERRY_ERROR_INIT;

    owner = UNKNOWN;
    CU_ASSERT_EQUAL(ferry_push(client, "mail", ferry_str("one"), NULL, &error), -ETIMEDOUT);
    CU_ASSERT_TRUE(error.outcome_unknown);
    ferry_error_clear(&error);
    /* The next one is not held up by it. */
    set_owner(2);
    CU_ASSERT_EQUAL(push(client, "mail", "two"), 0);
    CU_ASSERT_EQUAL(n_at(2, OP_PUSH), 1);
    CU_ASSERT_STRING_EQUAL(last_at(2, OP_PUSH).body, "two");
    tear_down(client);
}

static void a_broker_that_the_url_does_not_list_is_an_error(void) {
    static const char *const urls[] = {"01", "0"};

    for (int i = 0; i < 2; i++) {
        ferry_client *client = set_up(urls[i], NULL);
        ferry_error error = FERRY_ERROR_INIT;

        owner = 2;
        CU_ASSERT_EQUAL(ferry_push(client, "mail", ferry_str("one"), NULL, &error), -EREMCHG);
        CU_ASSERT_PTR_NOT_NULL_FATAL(error.type);
        CU_ASSERT_STRING_EQUAL(error.type, "ferry.Moved");
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, brokers[2].url));
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "a URL lists all brokers of a cluster"));
        ferry_error_clear(&error);
        CU_ASSERT_EQUAL(n_at(2, OP_PUSH), 0);
        /* It is asked again for each push. */
        set_owner(0);
        CU_ASSERT_EQUAL(push(client, "mail", "two"), 0);
        tear_down(client);
    }
}

/* ---- lost brokers ---- */

static int swallowing = -1;

static void swallow(int at, int fd, const Message *message) {
    if (at != swallowing)
        by_owner(at, fd, message);
}

static void done(const ferry_error *error, void *ctx) {
    int *results = ctx;

    results[error ? 1 : 0]++;
}

static int push_async(ferry_client *client, const char *queue, int number, int *results) {
    char body[16];

    snprintf(body, sizeof(body), "%d", number);
    return ferry_push_async(client, queue, ferry_str(body), NULL, results ? done : NULL, results,
                            NULL);
}

static bool is_over(uint64_t until_ms) {
    return clock_ms() >= until_ms;
}

/* Runs the client until the broker has got n messages with this op. */
static void await(ferry_client *client, int at, unsigned op, int n) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;

    while (n_at(at, op) < n && !is_over(until_ms)) {
        ferry_process(client, NULL);
        usleep(1000);
    }
    CU_ASSERT_TRUE(n_at(at, op) >= n);
}

static void pushes_of_a_lost_broker_keep_their_origin_and_id_at_the_next_one(void) {
    ferry_client *client = set_up("012", NULL);
    int results[2] = {0};
    Seen first, second;

    owner = swallowing = 1;
    answer = swallow;
    CU_ASSERT_EQUAL(push_async(client, "mail", 1, results), 0);
    await(client, 1, OP_PUSH, 1);
    first = last_at(1, OP_PUSH);
    set_owner(2);
    scripted_stop(&brokers[1]);
    await(client, 2, OP_PUSH, 1);
    CU_ASSERT_EQUAL(ferry_flush(client, NULL), 0);
    second = last_at(2, OP_PUSH);
    CU_ASSERT_TRUE(second.has_origin);
    CU_ASSERT_EQUAL(first.id, second.id);
    CU_ASSERT_EQUAL(memcmp(first.origin, second.origin, WIRE_TOKEN), 0);
    ferry_process(client, NULL);
    CU_ASSERT_EQUAL(results[0], 1);
    scripted_restart(&brokers[1]);
    tear_down(client);
}

static void a_broker_that_starts_again_is_waited_for(void) {
    ferry_client *client = set_up("012", NULL);
    ScriptedBroker old;

    owner = 1;
    CU_ASSERT_EQUAL(push(client, "mail", "one"), 0);
    old = brokers[1];
    scripted_stop(&brokers[1]);
    scripted_restart(&brokers[1]);
    /* Its old lease names an id that no broker has any more. */
    scripted_lock();
    answer = known_after_some;
    n_unknown = 0;
    scripted_unlock();
    CU_ASSERT_EQUAL(push(client, "mail", "two"), 0);
    CU_ASSERT_NOT_EQUAL(memcmp(old.id, brokers[1].id, WIRE_TOKEN), 0);
    CU_ASSERT_EQUAL(n_at(1, OP_PUSH), 2);
    tear_down(client);
}

static ScriptedBroker old_life;
static int n_old;

static void names_an_old_life(int at, int fd, const Message *message) {
    if (at != owner && n_old > 0) {
        n_old--;
        scripted_moved(fd, message->id, &old_life, 0);
    } else {
        by_owner(at, fd, message);
    }
}

static void an_old_id_of_a_listed_broker_is_no_error(void) {
    ferry_client *client = set_up("012", NULL);

    owner = 1;
    CU_ASSERT_EQUAL(push(client, "mail", "one"), 0);
    old_life = brokers[1];
    strcpy(old_life.url, "tcp://known.by.another.name:5877");
    scripted_stop(&brokers[1]);
    scripted_restart(&brokers[1]);
    scripted_lock();
    answer = names_an_old_life;
    n_old = 3;
    scripted_unlock();
    CU_ASSERT_EQUAL(push(client, "mail", "two"), 0);
    CU_ASSERT_EQUAL(n_old, 0);
    /* A client that does not know the old life knows the URL. */
    ferry_close(client);
    scripted_lock();
    strcpy(old_life.url, brokers[1].url);
    n_old = 3;
    scripted_unlock();
    CU_ASSERT_EQUAL_FATAL(ferry_open(url_of("012"), NULL, &client, NULL), 0);
    CU_ASSERT_EQUAL(push(client, "mail", "three"), 0);
    CU_ASSERT_EQUAL(n_old, 0);
    tear_down(client);
}

static int n_draining;

static void drain_some(int at, int fd, const Message *message) {
    if (at == 1 && n_draining > 0) {
        n_draining--;
        owner = 2;
        scripted_error(fd, message->id, "ferry.Draining");
    } else {
        by_owner(at, fd, message);
    }
}

static void a_broker_that_drains_gives_its_queues_away(void) {
    ferry_client *client = set_up("012", NULL);

    owner = 1;
    n_draining = 1;
    answer = drain_some;
    CU_ASSERT_EQUAL(push(client, "mail", "one"), 0);
    CU_ASSERT_EQUAL(n_at(1, OP_PUSH), 1);
    CU_ASSERT_EQUAL(n_at(2, OP_PUSH), 1);
    CU_ASSERT_EQUAL(n_draining, 0);
    tear_down(client);
}

/* ---- order ---- */

/* A cluster whose queues move while the client pushes, and whose sessions end: each stores a push
 * once, as brokers with one store do. */
typedef struct Model {
    Dice dice;
    int owners[QUEUES];
    int n_stored[QUEUES]; /* the next body */
    uint64_t last_id[QUEUES];
    int n_moves, n_cuts, n_repeated, n_wrong;
} Model;

static Model model;

static void store(Model *to, int queue, const Message *message) {
    char body[16];

    copy(body, sizeof(body), message->body);
    if (message->id <= to->last_id[queue]) {
        to->n_repeated++;
    } else {
        to->n_wrong += atoi(body) != to->n_stored[queue]++;
        to->last_id[queue] = message->id;
    }
}

static void by_model(int at, int fd, const Message *message) {
    ScriptedSession *session = scripted_session(&brokers[at], fd);
    int queue = message->name.data[1] - '0', *at_home = &model.owners[queue];
    /* The notes of the session: the count of its answers ferry.Moved, and for each queue the count
     * after the last one. */
    uint64_t *n_moved = &session->notes[QUEUES], *moved_at = &session->notes[queue];
    unsigned chance = (unsigned)dice_below(&model.dice, 1000);

    if (chance < 20) {
        *at_home = (int)dice_below(&model.dice, N + 1) - 1;
        model.n_moves++;
    }
    if (*at_home != at || seen[n_seen - 1].moved < *moved_at) {
        *moved_at = ++*n_moved;
        scripted_moved(fd, message->id, *at_home == UNKNOWN ? NULL : &brokers[*at_home], *n_moved);
    } else {
        store(&model, queue, message);
        if (chance < 998) {
            scripted_ok(fd, message->id);
        } else {
            model.n_cuts++;
            scripted_end(&brokers[at], fd);
        }
    }
    if (*at_home == UNKNOWN)
        *at_home = (int)dice_below(&model.dice, 2) == 0 ? 0 : UNKNOWN;
    n_seen = 0;
}

static void push_in_a_storm(uint64_t seed) {
    ferry_client *client = set_up("012", &(ferry_options){.timeout_ms = 600000});
    enum { PUSHES = 2000 };
    int results[2] = {0}, numbers[QUEUES] = {0};
    Dice dice = dice_of(seed + 1000);

    model = (Model){.dice = dice_of(seed)};
    answer = by_model;
    for (int i = 0; i < PUSHES; i++) {
        int queue = (int)dice_below(&dice, QUEUES);
        char name[] = "q0";

        name[1] = (char)('0' + queue);
        CU_ASSERT_EQUAL_FATAL(push_async(client, name, numbers[queue]++, results), 0);
        if (dice_below(&dice, 50) == 0)
            ferry_process(client, NULL);
        if (dice_below(&dice, 500) == 0)
            CU_ASSERT_EQUAL(flush(client), 0);
    }
    CU_ASSERT_EQUAL(flush(client), 0);
    ferry_process(client, NULL);
    scripted_lock();
    CU_ASSERT_EQUAL(results[0], PUSHES);
    CU_ASSERT_EQUAL(results[1], 0);
    CU_ASSERT_EQUAL(model.n_wrong, 0);
    for (int i = 0; i < QUEUES; i++)
        CU_ASSERT_EQUAL(model.n_stored[i], numbers[i]);
    CU_ASSERT_TRUE(model.n_moves > 0);
    printf("\n      seed %llu: %d moves, %d cut sessions, %d pushes repeated",
           (unsigned long long)seed, model.n_moves, model.n_cuts, model.n_repeated);
    scripted_unlock();
    tear_down(client);
}

static void pushes_of_a_queue_keep_their_order_while_it_moves(void) {
    EACH_SEED(seed, 1, 3) {
        push_in_a_storm(seed);
    }
}

/* ---- the end ---- */

static void pushes_that_wait_end_with_the_client(void) {
    ferry_client *client = set_up("012", NULL);
    int results[2] = {0};

    owner = 1;
    CU_ASSERT_EQUAL(push(client, "mail", "one"), 0);
    set_owner(UNKNOWN);
    for (int i = 0; i < 10; i++)
        CU_ASSERT_EQUAL(push_async(client, i % 2 ? "mail" : "news", i, results), 0);
    await(client, 0, OP_PUSH, 7);
    tear_down(client);
    CU_ASSERT_EQUAL(results[0], 0);
    CU_ASSERT_EQUAL(results[1], 10);
}

static void a_client_that_closes_finishes_its_moved_pushes(void) {
    for (int at = 0; at < N; at++) {
        ferry_client *client = set_up("012", NULL);
        int results[2] = {0};

        owner = at;
        CU_ASSERT_EQUAL(ferry_ping(client, NULL, NULL), 0);
        for (int i = 0; i < 100; i++)
            CU_ASSERT_EQUAL(push_async(client, "mail", i, results), 0);
        ferry_close(client);
        CU_ASSERT_EQUAL(results[0], 100);
        CU_ASSERT_EQUAL(n_at(at, OP_PUSH), 100);
        tear_down(NULL);
    }
}

static void move_and_stop(ferry_client *client, int at, int results[2]) {
    for (int i = 0; i < 100; i++)
        CU_ASSERT_EQUAL(push_async(client, "mail", i, results), 0);
    await(client, at, OP_PUSH, 100);
    CU_ASSERT_EQUAL(ferry_stop(client), 0);
    CU_ASSERT_EQUAL(ferry_run(client, NULL), 0);
}

static void a_run_that_stops_finishes_its_moved_pushes(void) {
    ferry_client *client = set_up("012", NULL);
    int results[2] = {0};

    owner = 2;
    move_and_stop(client, 2, results);
    CU_ASSERT_EQUAL(results[0], 100);
    tear_down(client);
}

/* ---- limits ---- */

static void the_homes_of_4096_idle_queues_are_remembered(void) {
    ferry_client *client = set_up("012", NULL);
    char queue[16];
    int n;

    owner = 1;
    for (int i = 0; i < HOMES_MAX + 10; i++) {
        snprintf(queue, sizeof(queue), "q%d", i);
        CU_ASSERT_EQUAL_FATAL(push(client, queue, "one"), 0);
        scripted_lock();
        n_seen = 0;
        scripted_unlock();
    }
    CU_ASSERT_EQUAL(push(client, queue, "two"), 0);
    CU_ASSERT_EQUAL(push(client, "q10", "two"), 0);
    CU_ASSERT_EQUAL(n_at(0, OP_PUSH), 0);
    n = n_at(1, OP_PUSH);
    CU_ASSERT_EQUAL(n, 2);
    /* The oldest is forgotten: the client asks its own broker first. */
    CU_ASSERT_EQUAL(push(client, "q9", "two"), 0);
    CU_ASSERT_EQUAL(n_at(0, OP_PUSH), 1);
    CU_ASSERT_EQUAL(n_at(1, OP_PUSH), 3);
    tear_down(client);
}

/* ---- calls of ferry.Broker ---- */

static void a_call_about_a_queue_goes_to_its_broker(void) {
    ferry_client *client = set_up("012", NULL);

    owner = 2;
    CU_ASSERT_EQUAL(push(client, "mail", "one"), 0); /* the client knows all brokers */
    CU_ASSERT_EQUAL(ferry_callf(client, "ferry.Broker.pause", NULL, NULL, "s", "mail"), 0);
    CU_ASSERT_EQUAL(n_at(0, OP_CALL), 1);
    CU_ASSERT_EQUAL(n_at(1, OP_CALL), 0);
    CU_ASSERT_EQUAL(n_at(2, OP_CALL), 1);
    CU_ASSERT_EQUAL(ferry_queue_cancel(client, 7, NULL), 0);
    CU_ASSERT_EQUAL(n_at(2, OP_CALL), 2);
    /* While no broker has the queue, the call waits. */
    n_unknown = 3;
    answer = known_after_some;
    CU_ASSERT_EQUAL(ferry_queue_bind(client, "mail", "a.b", NULL), 0);
    CU_ASSERT_EQUAL(n_at(0, OP_CALL), 6);
    CU_ASSERT_EQUAL(n_at(2, OP_CALL), 3);
    tear_down(client);
}

static int n_replies;

static void replied(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    (void)ctx;
    CU_ASSERT_PTR_NOT_NULL(reply);
    CU_ASSERT_PTR_NULL(error);
    n_replies++;
}

static void a_call_with_a_callback_follows_its_queue(void) {
    ferry_client *client = set_up("012", NULL);
    uint64_t until_ms = clock_ms() + PATIENCE_MS;

    owner = 1;
    n_replies = 0;
    for (int i = 0; i < 50; i++)
        CU_ASSERT_EQUAL(
            ferry_call_async(client, "ferry.Broker.pause", ferry_str(""), replied, NULL, NULL), 0);
    while (n_replies < 50 && !is_over(until_ms)) {
        ferry_process(client, NULL);
        usleep(1000);
    }
    CU_ASSERT_EQUAL(n_replies, 50);
    CU_ASSERT_EQUAL(n_at(1, OP_CALL), 50);
    tear_down(client);
}

static void a_call_that_cannot_follow_gets_the_error(void) {
    static const char *const urls[] = {"01", "0"};

    for (int i = 0; i < 2; i++) {
        ferry_client *client = set_up(urls[i], NULL);
        ferry_error error = FERRY_ERROR_INIT;

        owner = 2;
        CU_ASSERT_EQUAL(ferry_callf(client, "ferry.Broker.pause", NULL, &error, "s", "mail"),
                        -EREMCHG);
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, brokers[2].url));
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "a URL lists all brokers of a cluster"));
        ferry_error_clear(&error);
        /* An error of another service that has the same type is that service's. */
        CU_ASSERT_EQUAL(ferry_callf(client, "shop.Cart.add", NULL, NULL, ""), -EREMCHG);
        CU_ASSERT_STRING_EQUAL(last_at(0, OP_CALL).queue, "shop.Cart");
        tear_down(client);
    }
}

static void lose_call(int at, int fd, const Message *message) {
    if (at == 2)
        scripted_end(&brokers[at], fd);
    else
        by_owner(at, fd, message);
}

static void a_call_whose_broker_is_lost_has_an_unknown_outcome(void) {
    ferry_client *client = set_up("012", NULL);
    ferry_error error = FERRY_ERROR_INIT;

    owner = 2;
    answer = lose_call;
    CU_ASSERT_EQUAL(ferry_callf(client, "ferry.Broker.pause", NULL, &error, "s", "mail"),
                    -ECONNRESET);
    CU_ASSERT_TRUE(error.outcome_unknown);
    CU_ASSERT_STRING_EQUAL(error.type, "ferry.ConnectionLost");
    ferry_error_clear(&error);
    tear_down(client);
}

/* ---- workers ---- */

static ferry_job *kept;
static ferry_lost_reason lost_reason;
static int n_lost, n_refused;
static char refusal[300];

static int keep(ferry_job *job, void *ctx) {
    (void)ctx;
    kept = ferry_job_defer(job);
    return 0;
}

static void on_lost(ferry_job *job, ferry_lost_reason reason, void *ctx) {
    (void)ctx;
    CU_ASSERT_PTR_EQUAL(job, kept);
    lost_reason = reason;
    n_lost++;
}

/* Says a message to the session in which this broker has got PULL or SERVE. */
static void say_to_worker(int at, Message message) {
    scripted_lock();
    for (int i = 0; i < SCRIPTED_SESSIONS; i++)
        if (brokers[at].sessions[i].is_up && brokers[at].sessions[i].notes[0])
            raw_say(brokers[at].sessions[i].fd, &message);
    scripted_unlock();
}

static void run_until(ferry_client *client, const int *count, int n) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;

    while (*count < n && !is_over(until_ms)) {
        ferry_process(client, NULL);
        usleep(1000);
    }
    CU_ASSERT_EQUAL(*count, n);
}

enum { JOB = 65 };

/* A worker that has got a job of broker 1, and keeps it. */
static ferry_client *set_up_worker(void) {
    ferry_client *client = set_up("012", NULL);
    uint64_t until_ms = clock_ms() + PATIENCE_MS;

    owner = 1;
    kept = NULL;
    n_lost = 0;
    CU_ASSERT_EQUAL(
        ferry_work(client, "mail", &(ferry_work_options){.lost = on_lost}, keep, NULL, NULL, NULL),
        0);
    for (int i = 0; i < N; i++)
        CU_ASSERT_EQUAL(last_at(i, OP_PULL).wait, 1);
    say_to_worker(1, (Message){.op = OP_JOB,
                               .job = {.pull = last_at(1, OP_PULL).id, .job = JOB, .attempt = 1},
                               .body = span_text("work")});
    while (!kept && !is_over(until_ms)) {
        ferry_process(client, NULL);
        usleep(1000);
    }
    CU_ASSERT_PTR_NOT_NULL_FATAL(kept);
    return client;
}

/* The queue leaves broker 1. */
static void say_moved(int to) {
    set_owner(to);
    say_to_worker(
        1, (Message){.op = OP_LOST, .lost = {.job = JOB, .attempt = 1, .reason = LOST_AWAY}});
}

static void turns(ferry_client *client, int ms) {
    uint64_t until_ms = clock_ms() + (uint64_t)ms;

    while (!is_over(until_ms)) {
        ferry_process(client, NULL);
        usleep(1000);
    }
}

static void a_job_follows_its_queue_to_another_broker(void) {
    ferry_client *client = set_up_worker();

    say_moved(2);
    await(client, 2, OP_EXTEND, 1);
    turns(client, 50);
    CU_ASSERT_EQUAL(last_at(2, OP_EXTEND).job, JOB);
    CU_ASSERT_FALSE(ferry_job_lost(kept));
    CU_ASSERT_EQUAL(ferry_job_ack(kept), 0);
    await(client, 2, OP_ACK, 1);
    CU_ASSERT_EQUAL(n_at(1, OP_ACK), 0);
    CU_ASSERT_EQUAL(n_lost, 0);
    /* The pulls stay. */
    for (int i = 0; i < N; i++)
        CU_ASSERT_EQUAL(n_at(i, OP_PULL), 1);
    tear_down(client);
}

static void a_job_that_is_settled_on_its_way_is_settled_there(void) {
    ferry_client *client = set_up_worker();
    int results[2] = {0};

    say_moved(UNKNOWN);
    turns(client, 150);
    CU_ASSERT_EQUAL(ferry_job_confirm(kept, done, results), 0);
    CU_ASSERT_EQUAL(ferry_job_retry(kept, 5, "later"), 0);
    turns(client, 50);
    CU_ASSERT_EQUAL(n_at(0, OP_RETRY) + n_at(1, OP_RETRY) + n_at(2, OP_RETRY), 0);
    set_owner(2);
    run_until(client, &results[0], 1);
    CU_ASSERT_EQUAL(n_at(2, OP_RETRY), 1);
    CU_ASSERT_STRING_EQUAL(last_at(2, OP_RETRY).text, "later");
    CU_ASSERT_EQUAL(results[1], 0);
    tear_down(client);
}

/* The old broker had not taken the settlement yet. */
static void a_settlement_that_its_broker_did_not_take_is_repeated(void) {
    ferry_client *client = set_up_worker();

    CU_ASSERT_EQUAL(ferry_job_reject(kept, "bad"), 0);
    await(client, 1, OP_REJECT, 1);
    say_moved(2);
    await(client, 2, OP_REJECT, 1);
    CU_ASSERT_EQUAL(last_at(2, OP_REJECT).job, JOB);
    CU_ASSERT_STRING_EQUAL(last_at(2, OP_REJECT).text, "bad");
    /* A job that the client does not know is released. */
    say_moved(0);
    await(client, 0, OP_RELEASE, 1);
    tear_down(client);
}

static void refuse_extend(int at, int fd, const Message *message) {
    if (message->op == OP_EXTEND)
        scripted_error(fd, message->id, "ferry.LeaseLost");
    else
        by_owner(at, fd, message);
}

static void a_job_that_another_worker_has_got_is_lost(void) {
    ferry_client *client = set_up_worker();

    scripted_lock();
    answer = refuse_extend;
    scripted_unlock();
    say_moved(2);
    run_until(client, &n_lost, 1);
    CU_ASSERT_EQUAL(lost_reason, FERRY_LOST_QUEUE_MOVED);
    CU_ASSERT_EQUAL(ferry_job_ack(kept), -ESTALE);
    CU_ASSERT_EQUAL(ferry_ping(client, NULL, NULL), 0);
    CU_ASSERT_EQUAL(n_at(2, OP_ACK), 0);
    tear_down(client);
}

static void a_client_closes_while_its_job_is_on_its_way(void) {
    ferry_client *client = set_up_worker();
    int results[2] = {0};

    say_moved(UNKNOWN);
    turns(client, 50);
    tear_down(client);
    CU_ASSERT_EQUAL(ferry_job_ack(kept), -ECANCELED);

    client = set_up_worker();
    say_moved(UNKNOWN);
    turns(client, 50);
    CU_ASSERT_EQUAL(ferry_job_confirm(kept, done, results), 0);
    CU_ASSERT_EQUAL(ferry_job_ack(kept), 0);
    tear_down(client);
    CU_ASSERT_EQUAL(results[1], 1);
}

static void swallow_extend(int at, int fd, const Message *message) {
    if (message->op != OP_EXTEND)
        by_owner(at, fd, message);
}

static void a_job_on_its_way_outlives_a_lost_broker(void) {
    ferry_client *client = set_up_worker();

    scripted_lock();
    answer = swallow_extend;
    scripted_unlock();
    say_moved(2);
    await(client, 1, OP_EXTEND, 1);
    scripted_lock();
    answer = NULL;
    scripted_unlock();
    scripted_stop(&brokers[1]);
    await(client, 2, OP_EXTEND, 1);
    CU_ASSERT_EQUAL(ferry_job_ack(kept), 0);
    await(client, 2, OP_ACK, 1);
    CU_ASSERT_EQUAL(n_lost, 0);
    scripted_restart(&brokers[1]);
    tear_down(client);
}

static void on_event(int event, const ferry_error *error, void *ctx) {
    (void)ctx;
    if (event != FERRY_EVENT_REFUSED)
        return;
    snprintf(refusal, sizeof(refusal), "%s: %s", error->type, error->message);
    n_refused++;
}

static void a_worker_of_one_broker_is_refused_and_tries_again(void) {
    ferry_client *client = set_up("1", &(ferry_options){.on_event = on_event});
    ferry_error error = FERRY_ERROR_INIT;

    owner = 2;
    n_refused = 0;
    CU_ASSERT_EQUAL(ferry_work(client, "mail", NULL, keep, NULL, NULL, &error), -EREMCHG);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, brokers[2].url));
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "a URL lists all brokers of a cluster"));
    ferry_error_clear(&error);
    set_owner(1);
    CU_ASSERT_EQUAL(ferry_work(client, "mail", NULL, keep, NULL, NULL, NULL), 0);
    CU_ASSERT_EQUAL(last_at(1, OP_PULL).wait, 0);
    say_to_worker(1, (Message){.op = OP_MOVED, .name = span_text("news")});
    say_to_worker(1, (Message){.op = OP_MOVED,
                               .name = span_text("mail"),
                               .moved.broker = span_of(brokers[2].id, WIRE_TOKEN),
                               .moved.url = span_text(brokers[2].url)});
    run_until(client, &n_refused, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(refusal, "ferry.Moved: "));
    CU_ASSERT_PTR_NOT_NULL(strstr(refusal, brokers[2].url));
    await(client, 1, OP_PULL, 3);
    tear_down(client);
}

/* ---- handlers ---- */

static int pushed_in_handler;

static int push_in_handler(ferry_request *request, void *ctx) {
    ferry_client *client = ferry_request_client(request);

    (void)ctx;
    pushed_in_handler = ferry_push(client, "mail", ferry_str("one"), NULL, NULL);
    if (pushed_in_handler == 0)
        pushed_in_handler =
            ferry_push_async(client, "mail", ferry_str("two"), NULL, NULL, NULL, NULL);
    if (pushed_in_handler == 0)
        pushed_in_handler = ferry_flush(client, NULL);
    return ferry_request_return(request, ferry_str(""));
}

static void a_handler_pushes_to_a_queue_at_another_broker(void) {
    ferry_client *client = set_up("012", NULL);
    Seen first;

    owner = 2;
    pushed_in_handler = 1;
    CU_ASSERT_EQUAL(
        ferry_serve_method(client, "shop.Cart.add", NULL, push_in_handler, NULL, NULL, NULL), 0);
    say_to_worker(1, (Message){.op = OP_CALL,
                               .id = 5,
                               .name = span_text("shop.Cart"),
                               .call = {.method = span_text("add"), .timeout_ms = PATIENCE_MS},
                               .body = span_text("")});
    await(client, 1, OP_OK, 1);
    CU_ASSERT_EQUAL(pushed_in_handler, 0);
    CU_ASSERT_EQUAL(n_at(2, OP_PUSH), 2);
    first = last_at(0, OP_PUSH);
    CU_ASSERT_EQUAL(memcmp(first.origin, last_at(2, OP_PUSH).origin, WIRE_TOKEN), 0);
    tear_down(client);
}

static int called_in_handler;

static int call_in_handler(ferry_request *request, void *ctx) {
    ferry_client *client = ferry_request_client(request);

    (void)ctx;
    called_in_handler = ferry_callf(client, "ferry.Broker.pause", NULL, NULL, "s", "mail");
    if (called_in_handler == 0)
        called_in_handler =
            ferry_call_async(client, "ferry.Broker.pause", ferry_str(""), replied, NULL, NULL);
    return ferry_request_return(request, ferry_str(""));
}

static void a_call_in_a_handler_follows_its_queue(void) {
    ferry_client *client = set_up("012", NULL);

    owner = 2;
    called_in_handler = 1;
    n_replies = 0;
    CU_ASSERT_EQUAL(
        ferry_serve_method(client, "shop.Cart.add", NULL, call_in_handler, NULL, NULL, NULL), 0);
    say_to_worker(1, (Message){.op = OP_CALL,
                               .id = 5,
                               .name = span_text("shop.Cart"),
                               .call = {.method = span_text("add"), .timeout_ms = PATIENCE_MS},
                               .body = span_text("")});
    await(client, 1, OP_OK, 1);
    CU_ASSERT_EQUAL(called_in_handler, 0);
    run_until(client, &n_replies, 1);
    CU_ASSERT_EQUAL(n_at(2, OP_CALL), 2);
    tear_down(client);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_push_goes_to_the_broker_that_has_its_queue),
        TEST(a_push_waits_until_some_broker_has_its_queue),
        TEST(a_push_without_a_broker_ends_at_its_deadline),
        TEST(a_broker_that_the_url_does_not_list_is_an_error),
        TEST(pushes_of_a_lost_broker_keep_their_origin_and_id_at_the_next_one),
        TEST(a_broker_that_starts_again_is_waited_for),
        TEST(an_old_id_of_a_listed_broker_is_no_error),
        TEST(a_broker_that_drains_gives_its_queues_away),
        TEST(pushes_of_a_queue_keep_their_order_while_it_moves),
        TEST(pushes_that_wait_end_with_the_client),
        TEST(a_client_that_closes_finishes_its_moved_pushes),
        TEST(a_run_that_stops_finishes_its_moved_pushes),
        TEST(the_homes_of_4096_idle_queues_are_remembered),
        TEST(a_call_about_a_queue_goes_to_its_broker),
        TEST(a_call_with_a_callback_follows_its_queue),
        TEST(a_call_that_cannot_follow_gets_the_error),
        TEST(a_call_whose_broker_is_lost_has_an_unknown_outcome),
        TEST(a_job_follows_its_queue_to_another_broker),
        TEST(a_job_that_is_settled_on_its_way_is_settled_there),
        TEST(a_settlement_that_its_broker_did_not_take_is_repeated),
        TEST(a_job_that_another_worker_has_got_is_lost),
        TEST(a_client_closes_while_its_job_is_on_its_way),
        TEST(a_job_on_its_way_outlives_a_lost_broker),
        TEST(a_worker_of_one_broker_is_refused_and_tries_again),
        TEST(a_handler_pushes_to_a_queue_at_another_broker),
        TEST(a_call_in_a_handler_follows_its_queue),
        TESTS_END,
    };

    return run_suite("queues that move", tests);
}
