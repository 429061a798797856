/* SPDX-License-Identifier: Apache-2.0 */
/* A client with ferry's own engine, connected to a ROUTER of libzmq. */

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include "base/clock.h"
#include "mini-broker.h"
#include "support/suite.h"

enum { PATIENCE_MS = 60000 };

typedef struct Router {
    void *context, *socket;
    char endpoint[64];
    uint8_t id[64]; /* routing id of the last peer */
    int id_len;
    unsigned n_hello;
} Router;

static Router router;
static MiniClient client;

static void router_open(int heartbeat_ms) {
    size_t size = sizeof(router.endpoint);
    int none = 0, timeout_ms = PATIENCE_MS;

    router = (Router){.context = zmq_ctx_new()};
    router.socket = zmq_socket(router.context, ZMQ_ROUTER);
    zmq_setsockopt(router.socket, ZMQ_LINGER, &none, sizeof(none));
    zmq_setsockopt(router.socket, ZMQ_HEARTBEAT_IVL, &heartbeat_ms, sizeof(heartbeat_ms));
    zmq_setsockopt(router.socket, ZMQ_HEARTBEAT_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
    CU_ASSERT_EQUAL_FATAL(zmq_bind(router.socket, "tcp://127.0.0.1:*"), 0);
    zmq_getsockopt(router.socket, ZMQ_LAST_ENDPOINT, router.endpoint, &size);
}

static void router_close(void) {
    zmq_close(router.socket);
    zmq_ctx_term(router.context);
}

/* Sends one message as a batch of its own. */
static void router_put(const Message *message) {
    Chunk *chunk = chunk_new(WIRE_HEAD + message_size(message));

    CU_ASSERT_PTR_NOT_NULL_FATAL(chunk);
    chunk->len = (uint32_t)(message_write(chunk->data + chunk->len, message) - chunk->data);
    zmq_send(router.socket, router.id, (size_t)router.id_len, ZMQ_SNDMORE);
    zmq_send(router.socket, chunk->data, chunk->len, 0);
    chunk_free(chunk);
}

static void take(const Message *message) {
    static const uint8_t token[WIRE_TOKEN] = "token";

    switch (message->op) {
    case OP_HELLO:
        router.n_hello++;
        router_put(&(Message){.op = OP_WELCOME,
                              .welcome.version = 1,
                              .welcome.broker = span_of(token, WIRE_TOKEN),
                              .welcome.bytes = 64 << 20});
        break;
    case OP_CALL:
        router_put(&(Message){.op = OP_OK, .id = message->id, .body = message->body});
        break;
    default: /* CREDIT, BYE */
        break;
    }
}

static void router_turn(void) {
    static uint8_t data[WIRE_BATCH_MAX];
    int id_len;

    while ((id_len = zmq_recv(router.socket, router.id, sizeof(router.id), ZMQ_DONTWAIT)) > 0) {
        int len = zmq_recv(router.socket, data, sizeof(data), 0);
        Message message = {0};
        Reader reader;

        router.id_len = id_len;
        CU_ASSERT_FATAL(len > 0 && batch_open(&reader, data, (size_t)len) == 0);
        while (message_read(&reader, &message) == 1)
            take(&message);
    }
}

#define TURN_UNTIL(condition)                                                                      \
    __extension__({                                                                                \
        uint64_t end_ = clock_ms() + PATIENCE_MS;                                                  \
        while (!(condition) && clock_ms() < end_) {                                                \
            router_turn();                                                                         \
            mini_turn(NULL, &client);                                                              \
        }                                                                                          \
        (bool)(condition);                                                                         \
    })

static void calls_go_both_ways(void) {
    router_open(0);
    mini_client_open(&client, router.endpoint);
    CU_ASSERT_TRUE(TURN_UNTIL(client.n_up == 1));
    for (unsigned i = 1; i <= 200; i++) {
        CU_ASSERT_EQUAL(mini_call(&client, i, i * 600), 0);
        CU_ASSERT_TRUE(TURN_UNTIL(client.n_messages == i));
        CU_ASSERT_EQUAL(client.last_len, i * 600);
    }
    CU_ASSERT_EQUAL(client.n_wrong, 0);
    CU_ASSERT_EQUAL(client.n_down, 0);
    mini_client_close(&client);
    router_close();
}

static void pings_of_libzmq_do_not_disturb_calls(void) {
    uint64_t until_ms;

    router_open(20);
    mini_client_open(&client, router.endpoint);
    CU_ASSERT_TRUE(TURN_UNTIL(client.n_up == 1));
    until_ms = clock_ms() + 300;
    CU_ASSERT_TRUE(TURN_UNTIL(clock_ms() >= until_ms));
    CU_ASSERT_EQUAL(mini_call(&client, 7, 7), 0);
    CU_ASSERT_TRUE(TURN_UNTIL(client.n_messages == 1));
    CU_ASSERT_EQUAL(router.n_hello, 1);
    mini_client_close(&client);
    router_close();
}

static void a_lost_router_is_noticed_and_replaced(void) {
    char endpoint[64];

    router_open(0);
    mini_client_open(&client, router.endpoint);
    CU_ASSERT_TRUE(TURN_UNTIL(client.n_up == 1));
    strcpy(endpoint, router.endpoint);
    router_close();
    router.socket = NULL;
    CU_ASSERT_TRUE(MINI_UNTIL(NULL, &client, client.n_down == 1));
    router = (Router){.context = zmq_ctx_new()};
    router.socket = zmq_socket(router.context, ZMQ_ROUTER);
    CU_ASSERT_EQUAL_FATAL(zmq_bind(router.socket, endpoint), 0);
    CU_ASSERT_TRUE(TURN_UNTIL(client.n_up == 2));
    CU_ASSERT_EQUAL(mini_call(&client, 9, 9), 0);
    CU_ASSERT_TRUE(TURN_UNTIL(client.n_messages == 1));
    mini_client_close(&client);
    router_close();
}

/* PROTOCOL.md §6: a client that was replaced stays away; after any other BYE it connects again. */
static void only_a_replaced_client_stays_away(void) {
    static const char *const reasons[] = {"replaced", "kicked", "slow"};

    for (size_t i = 0; i < 3; i++) {
        bool is_back = i > 0;
        uint64_t until_ms = 0;

        router_open(0);
        mini_client_open(&client, router.endpoint);
        CU_ASSERT_TRUE(TURN_UNTIL(client.n_up == 1));
        router_put(&(Message){.op = OP_BYE, .bye.text = span_text(reasons[i])});
        CU_ASSERT_TRUE(TURN_UNTIL(client.n_down == 1));
        CU_ASSERT_PTR_NOT_NULL(strstr(link_problem(client.link)->message, reasons[i]));
        CU_ASSERT_EQUAL(link_state(client.link) == LINK_CLOSED, !is_back);
        CU_ASSERT_EQUAL(link_next_ms(client.link) == UINT64_MAX, !is_back);
        until_ms = clock_ms() + 100;
        CU_ASSERT_TRUE(TURN_UNTIL(is_back ? client.n_up == 2 : clock_ms() >= until_ms));
        CU_ASSERT_EQUAL(router.n_hello, is_back ? 2 : 1);
        mini_client_close(&client);
        router_close();
    }
}

/* The parts of a client learn that the session is over, as after a lost connection. */
static void a_fault_ends_a_session_that_was_up(void) {
    static const uint8_t map[] = "\x81\xA4type\xAE"
                                 "ferry.Protocol";

    router_open(0);
    mini_client_open(&client, router.endpoint);
    CU_ASSERT_TRUE(TURN_UNTIL(client.n_up == 1));
    router_put(&(Message){.op = OP_FAULT, .fault.map = span_of(map, sizeof(map) - 1)});
    CU_ASSERT_TRUE(TURN_UNTIL(link_state(client.link) == LINK_CLOSED));
    CU_ASSERT_EQUAL(client.n_down, 1);
    CU_ASSERT_EQUAL(router.n_hello, 1);
    mini_client_close(&client);
    router_close();
}

static void other_sockets_of_libzmq_are_refused_by_name(void) {
    void *context = zmq_ctx_new(), *socket = zmq_socket(context, ZMQ_PUB);
    char endpoint[64];
    size_t size = sizeof(endpoint);

    CU_ASSERT_EQUAL_FATAL(zmq_bind(socket, "tcp://127.0.0.1:*"), 0);
    zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &size);
    mini_client_open(&client, endpoint);
    CU_ASSERT_TRUE(MINI_UNTIL(NULL, &client, link_problem(client.link) != NULL));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(link_problem(client.link)->message, "does not answer like a ferry broker"));
    CU_ASSERT_PTR_NOT_NULL(strstr(link_problem(client.link)->message, "type"));
    mini_client_close(&client);
    zmq_close(socket);
    zmq_ctx_term(context);
}

/* ---- a hostile broker ---- */

static int listen_somewhere(char url[64]) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof(address);

    CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&address, len), 0);
    CU_ASSERT_EQUAL_FATAL(listen(fd, 8), 0);
    getsockname(fd, (struct sockaddr *)&address, &len);
    snprintf(url, 64, "tcp://127.0.0.1:%u", ntohs(address.sin_port));
    return fd;
}

/* Sends `bytes` again and again until the client has cut the connection. Returns the number of
 * bytes that the client accepted. */
static size_t pour(int fd, const uint8_t *bytes, size_t len) {
    size_t taken = 0;

    while (taken < (size_t)256 << 20) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno != EAGAIN)
            break;
        taken += n > 0 ? (size_t)n : 0;
        mini_turn(NULL, &client);
        if (link_problem(client.link))
            break;
    }
    return taken;
}

/* A client treats a hostile broker as the broker treats a hostile peer: it cuts the connection, and
 * the broker's bytes do not fill its memory. */
static void a_hostile_broker_is_cut(void) {
    static const uint8_t greeting[ZMTP_GREETING_SIZE] = "\xFF\0\0\0\0\0\0\0\0\x7F\3\1NULL";
    static const uint8_t ready[] = "\4\x1C\5READY\xBSocket-Type\0\0\0\6ROUTER";
    static const uint8_t metadata[] = "\6\0\0\0\0\0\x12\0\0\5READY";
    static const uint8_t part[] = "\1\3abc", gigabytes[] = "\2\0\0\0\2\0\0\0\0x";
    static const uint8_t ping[] = "\4\5\4PING", command[] = "\4\4\3XYZ", text[] = "HTTP/1.1 200 OK";
    static const struct {
        bool has_greeting, has_ready;
        const uint8_t *bytes;
        size_t len;
        const char *problem;
    } attacks[] = {
        {false, false, text, sizeof(text) - 1, "does not speak ZMTP"},
        {true, false, metadata, sizeof(metadata) - 1, "command is too large"},
        {true, true, part, sizeof(part) - 1, "more than one frame"},
        {true, true, gigabytes, sizeof(gigabytes) - 1, "too large"},
        {true, true, ping, sizeof(ping) - 1, "PING"},
        {true, true, command, sizeof(command) - 1, "unexpected command"},
    };
    char url[64];
    int listener = listen_somewhere(url);

    for (size_t i = 0; i < sizeof(attacks) / sizeof(*attacks); i++) {
        size_t taken;
        int fd;

        mini_client_open(&client, url);
        mini_turn(NULL, &client);
        fd = accept(listener, NULL, NULL);
        CU_ASSERT_FATAL(fd >= 0);
        if (attacks[i].has_greeting)
            send(fd, greeting, sizeof(greeting), MSG_NOSIGNAL);
        if (attacks[i].has_ready)
            send(fd, ready, sizeof(ready) - 1, MSG_NOSIGNAL);
        taken = pour(fd, attacks[i].bytes, attacks[i].len);
        CU_ASSERT(taken < 1 << 20);
        CU_ASSERT_PTR_NOT_NULL_FATAL(link_problem(client.link));
        if (!strstr(link_problem(client.link)->message, attacks[i].problem)) {
            printf("\n    %s", link_problem(client.link)->message);
            CU_FAIL("the link reports another problem");
        }
        mini_client_close(&client);
        close(fd);
    }
    close(listener);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(calls_go_both_ways),
        TEST(pings_of_libzmq_do_not_disturb_calls),
        TEST(a_lost_router_is_noticed_and_replaced),
        TEST(only_a_replaced_client_stays_away),
        TEST(a_fault_ends_a_session_that_was_up),
        TEST(other_sockets_of_libzmq_are_refused_by_name),
        TEST(a_hostile_broker_is_cut),
        TESTS_END,
    };

    return run_suite("rpc/link client/engine", tests);
}
