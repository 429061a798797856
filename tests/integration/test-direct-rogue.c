/* SPDX-License-Identifier: Apache-2.0 */

/* Servers that break the rules of direct calls. A thread plays the broker that names such a server,
 * and the server itself. */

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <utlist.h>

#include "clients/c/core/core.h"
#include "clients/c/direct/direct-private.h"
#include "rpc/link/client/link-private.h"
#include "support/broker.h"
#include "support/raw-peer.h"
#include "support/suite.h"

enum {
    PATIENCE_MS = 60000,
    ITEM = 1000,
    N_ITEMS = 3000,   /* far more bytes than the credit of a stream */
    N_ANSWERS = 3000, /* to one call */
    N_OFFERS = 2 * DIRECT_ROUTES_MAX,
    N_PARTS = WIRE_BODY_MAX / WIRE_PART + 1,
    N_PINGS = 300000,
};

static const uint8_t ticket[WIRE_TOKEN] = "a ticket";
static uint8_t filling[WIRE_PART];

typedef struct Rogue {
    pthread_t thread;
    int listener;
    uint16_t port;
    int is_up; /* atomic */
} Rogue;

/* ---- the rogue's thread ---- */

static bool welcome(int fd, uint64_t max_body) {
    uint8_t limits[] = {0x81, 0xA8, 'm', 'a', 'x', '_', 'b', 'o', 'd', 'y',
                        0xCF, 0,    0,   0,   0,   0,   0,   0,   0};
    Message hello;

    put_be(limits + 11, max_body, 8);
    return raw_greet_back(fd) && raw_hear(fd, OP_HELLO, PATIENCE_MS, &hello) == HEARD &&
           raw_say(fd, &(Message){.op = OP_WELCOME,
                                  .welcome.version = 1,
                                  .welcome.broker = span_of(ticket, WIRE_TOKEN),
                                  .welcome.bytes = INT32_MAX,
                                  .welcome.limits = span_of(limits, sizeof(limits))});
}

/* Names the same server very often. */
static void play_broker(Rogue *rogue, int fd) {
    char endpoint[40];
    Message message;

    snprintf(endpoint, sizeof(endpoint), "tcp://127.0.0.1:%u", rogue->port);
    if (!welcome(fd, WIRE_BODY_MAX) || raw_hear(fd, OP_WATCH, PATIENCE_MS, &message) != HEARD)
        return;
    for (int i = 0; i < N_OFFERS; i++)
        raw_say(fd, &(Message){.op = OP_SERVER,
                               .name = span_text("rogue.Items"),
                               .server.server = 1 + (uint64_t)i,
                               .server.endpoint = span_text(endpoint),
                               .server.ticket = span_of(ticket, WIRE_TOKEN)});
    raw_say(fd, &(Message){.op = OP_OK, .id = message.id});
    raw_keep_alive(fd);
}

static void say_often(int fd, const Message *message, int n) {
    for (int i = 0; i < n; i++)
        raw_say(fd, message);
}

/* Many of them in one frame: the time of this test is short on a busy machine, too. */
static void send_pings(int fd) {
    enum { PINGS = 500 };
    static uint8_t batch[WIRE_HEAD + PINGS * 16] = {WIRE_MAGIC, WIRE_PROTOCOL};
    uint8_t *end = batch + WIRE_HEAD;

    for (int i = 0; i < PINGS; i++)
        end = message_write(end, &(Message){.op = OP_PING, .id = UINT32_MAX});
    for (int i = 0; i < N_PINGS / PINGS; i++)
        raw_frame(fd, batch, (size_t)(end - batch), 0);
}

static void send_large(int fd, uint64_t id) {
    say_often(fd,
              &(Message){.op = OP_PART, .part.transfer = 7, .body = span_of(filling, WIRE_PART)},
              N_PARTS);
    raw_say(fd, &(Message){.op = OP_OK, .id = id, .body_transfer = 7});
}

/* Answers by the name of the method. */
static void answer(int fd, const Message *call) {
    Span item = span_of(filling, ITEM), method = call->call.method;
    uint64_t id = call->id;

    if (span_is(method, "flood"))
        say_often(fd, &(Message){.op = OP_ITEM, .id = id, .body = item}, N_ITEMS);
    else if (span_is(method, "repeat"))
        say_often(fd, &(Message){.op = OP_OK, .id = id, .body = item}, N_ANSWERS);
    else if (span_is(method, "items"))
        say_often(fd, &(Message){.op = OP_ITEM, .id = id, .body = item}, N_ANSWERS);
    else if (span_is(method, "strange"))
        for (uint64_t other = id + 1000; other < id + 2000; other++)
            raw_say(fd, &(Message){.op = OP_OK, .id = other, .body = item});
    else if (span_is(method, "large"))
        send_large(fd, id);
    else if (span_is(method, "ping"))
        send_pings(fd);
    if (span_is(method, "say") || span_is(method, "ping"))
        raw_say(fd, &(Message){.op = OP_OK, .id = id, .body = span_text("said")});
}

static void *play(void *ctx) {
    Rogue *rogue = ctx;
    int broker = accept(rogue->listener, NULL, NULL), server;
    Message call;

    play_broker(rogue, broker);
    server = accept(rogue->listener, NULL, NULL);
    if (welcome(server, UINT64_MAX / 2)) {
        raw_keep_alive(server);
        __atomic_store_n(&rogue->is_up, 1, __ATOMIC_RELEASE);
        while (raw_hear(server, OP_CALL, PATIENCE_MS, &call) == HEARD)
            answer(server, &call);
    }
    raw_close(server);
    raw_close(broker);
    return NULL;
}

/* ---- its caller ---- */

static ferry_client *begin(Rogue *rogue) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    ferry_options options = {.direct = true, .timeout_ms = PATIENCE_MS};
    socklen_t len = sizeof(address);
    ferry_client *client = NULL;
    char url[40];

    *rogue = (Rogue){.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    /* Its sockets take few bytes, so that what it does not read stays at the other end. */
    setsockopt(rogue->listener, SOL_SOCKET, SO_RCVBUF, &(int){4096}, sizeof(int));
    CU_ASSERT_EQUAL_FATAL(bind(rogue->listener, (struct sockaddr *)&address, len), 0);
    CU_ASSERT_EQUAL_FATAL(listen(rogue->listener, 1000), 0);
    getsockname(rogue->listener, (struct sockaddr *)&address, &len);
    rogue->port = ntohs(address.sin_port);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&rogue->thread, NULL, play, rogue), 0);
    snprintf(url, sizeof(url), "tcp://127.0.0.1:%u", rogue->port);
    CU_ASSERT_EQUAL_FATAL(ferry_open(url, &options, &client, NULL), 0);
    while (!client->core->is_up)
        ferry_process(client, NULL);
    /* The first choice makes the client watch the service. */
    client->core->direct_ops->choose(client->core, span_text("rogue.Items"), (Span){NULL, 0});
    while (
        !client->core->direct_ops->choose(client->core, span_text("rogue.Items"), (Span){NULL, 0}))
        ferry_process(client, NULL);
    return client;
}

static void end(Rogue *rogue, ferry_client *client) {
    ferry_close(client);
    pthread_join(rogue->thread, NULL);
    close(rogue->listener);
}

/* Its answer follows all that the server has sent before. */
static void say(ferry_client *client) {
    FERRY_AUTO(ferry_free) ferry_reply *reply = NULL;

    CU_ASSERT_EQUAL(ferry_call(client, "rogue.Items.say", ferry_str(""), &reply, NULL), 0);
}

static void items_beyond_the_credit_end_the_call(void) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_stream *stream = NULL;
    ferry_client *client;
    ferry_bytes item;
    size_t bytes = 0;
    Rogue rogue;
    int r;

    client = begin(&rogue);
    CU_ASSERT_EQUAL_FATAL(
        ferry_stream_open(client, "rogue.Items.flood", ferry_str(""), FERRY_RECEIVE, &stream, NULL),
        0);
    say(client);
    while ((r = ferry_stream_next(stream, &item, &error)) > 0)
        bytes += item.len + WIRE_ITEM_COST;
    CU_ASSERT_EQUAL(r, -EPROTO);
    CU_ASSERT_STRING_EQUAL(error.type, "ferry.Protocol");
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "beyond its credit"));
    CU_ASSERT_TRUE(bytes >= WIRE_STREAM_CREDIT);
    CU_ASSERT_TRUE(bytes < WIRE_STREAM_CREDIT + ITEM + WIRE_ITEM_COST);
    ferry_error_clear(&error);
    ferry_stream_close(stream);
    end(&rogue, client);
}

static void count(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    (void)error;
    *(int *)ctx += reply != NULL;
}

/* While a call blocks, the answers of other calls wait: one for each call. */
static void only_the_first_answer_waits_for_a_turn(void) {
    int n_answers = 0, n_of_items = 0;
    ferry_client *client, *handle = NULL;
    Rogue rogue;

    client = begin(&rogue);
    CU_ASSERT_EQUAL_FATAL(ferry_with(client, NULL, &handle, NULL), 0);
    ferry_call_async(client, "rogue.Items.repeat", ferry_str(""), count, &n_answers, NULL);
    ferry_call_async(handle, "rogue.Items.items", ferry_str(""), count, &n_of_items, NULL);
    ferry_call_async(client, "rogue.Items.strange", ferry_str(""), count, &n_of_items, NULL);
    say(client);
    CU_ASSERT_TRUE(client->core->deferred.records.bytes < 10 * ITEM);
    CU_ASSERT_TRUE(process_until(client, &n_answers, 1));
    say(client);
    ferry_process(client, NULL);
    CU_ASSERT_EQUAL(n_answers, 1);
    CU_ASSERT_EQUAL(n_of_items, 0);
    ferry_close(handle);
    end(&rogue, client);
}

/* Its WELCOME does not change that. */
static void a_body_beyond_the_protocols_limit_is_refused(void) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_client *client;
    Rogue rogue;

    client = begin(&rogue);
    CU_ASSERT_EQUAL(ferry_call(client, "rogue.Items.large", ferry_str(""), NULL, &error),
                    -EMSGSIZE);
    CU_ASSERT_STRING_EQUAL(error.type, "ferry.TooBig");
    ferry_error_clear(&error);
    end(&rogue, client);
}

static void the_number_of_connections_has_a_limit(void) {
    ferry_client *client;
    Rogue rogue;

    client = begin(&rogue);
    say(client);
    CU_ASSERT_EQUAL(client->core->direct->n_routes, DIRECT_ROUTES_MAX);
    end(&rogue, client);
}

static void pongs_that_it_does_not_read_are_few(void) {
    const ServerRoute *route;
    ferry_client *client;
    Rogue rogue;

    client = begin(&rogue);
    CU_ASSERT_EQUAL(ferry_call(client, "rogue.Items.ping", ferry_str(""), NULL, NULL), 0);
    DL_FOREACH(client->core->direct->watches->routes, route) {
        CU_ASSERT_TRUE(route->route.link->out.lanes[LANE_CONTROL].bytes <= 17 * 1024);
    }
    end(&rogue, client);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(items_beyond_the_credit_end_the_call),
        TEST(only_the_first_answer_waits_for_a_turn),
        TEST(a_body_beyond_the_protocols_limit_is_refused),
        TEST(the_number_of_connections_has_a_limit),
        TEST(pongs_that_it_does_not_read_are_few),
        TESTS_END,
    };

    memset(filling, 'x', sizeof(filling));
    return run_suite("client: rogue servers of direct calls", tests);
}
