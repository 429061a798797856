/* SPDX-License-Identifier: Apache-2.0 */
/* A hub with keys: bytes of a peer that has not proved its key never become a batch. */

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "rpc/link/hub/hub.h"
#include "support/fake-clock.h"
#include "support/suite.h"

enum { WAIT_MS = 120000, QUIET_TURNS = 20 };

/* Length of a greeting followed by HELLO, and of a greeting followed by WELCOME. */
enum { HELLO_END = ZMTP_GREETING_SIZE + 202, WELCOME_END = ZMTP_GREETING_SIZE + 170 };

/* A client that consists of the codec and a plain socket. */
typedef struct Client {
    int fd;
    Zmtp zmtp;
    Curve curve;
    CurveKeys keys;
    uint8_t bytes[4096];
    size_t n;
    bool is_closed, is_ready;
    unsigned n_messages;
    char reason[64];
} Client;

static Hub *hub;
static KeyPair *broker_pair, *worker, *stranger;
static CurveKeys hub_keys;
static uint16_t port;
static unsigned n_batches, n_gone, n_refused;
static uint8_t last_key[KEY_SIZE];
static char last_problem[128];

static bool admits(const uint8_t key[KEY_SIZE], void *ctx) {
    (void)ctx;
    return memcmp(key, worker->public_key, KEY_SIZE) == 0;
}

static bool on_gone(Peer *peer, void *ctx) {
    (void)peer, (void)ctx;
    n_gone++;
    return true;
}

static void on_refused(const char *problem, bool is_harmless, const char *address, void *ctx) {
    (void)is_harmless, (void)address, (void)ctx;
    n_refused++;
    snprintf(last_problem, sizeof(last_problem), "%s", problem);
}

static unsigned max_handshakes, max_unfinished; /* limits of one address */

static void begin(void) {
    HubOptions options = {.max_body = 1 << 20,
                          .keys = &hub_keys,
                          .max_handshakes = max_handshakes,
                          .max_unfinished = max_unfinished,
                          .on_gone = on_gone,
                          .on_refused = on_refused};
    char endpoint[256];
    unsigned number = 0;

    hub_keys =
        (CurveKeys){.is_server = true, .n_pairs = 1, .pairs = {broker_pair}, .admits = admits};
    n_batches = n_gone = n_refused = 0;
    last_problem[0] = '\0';
    CU_ASSERT_EQUAL_FATAL(hub_new(&hub, &options, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(hub_bind(hub, "tcp://127.0.0.1:*", endpoint, NULL), 0);
    sscanf(endpoint, "tcp://127.0.0.1:%u", &number);
    port = (uint16_t)number;
}

static void end(void) {
    hub = hub_free(hub);
}

static uint64_t turn_ms; /* if the clock stands: how long each turn takes */

static void turn_of_hub(void) {
    const uint8_t *data;
    size_t len;
    Peer *peer;

    hub_wait(hub, -1, 5);
    while (hub_receive(hub, &peer, &data, &len)) {
        const uint8_t *key = connection_key(&peer->connection);

        n_batches++;
        if (key)
            memcpy(last_key, key, KEY_SIZE);
    }
    if (turn_ms > 0)
        fake_clock_move(turn_ms);
    hub_flush(hub);
}

/* own: the client's key, or NULL. server: the server key that the client expects. */
static void connect_client(Client *client, const KeyPair *own, const uint8_t *server) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    memset(client, 0, sizeof(*client));
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CU_ASSERT_EQUAL_FATAL(connect(client->fd, (void *)&address, sizeof(address)), 0);
    zmtp_init(&client->zmtp, own ? &zmtp_curve : &zmtp_null, "DEALER", "ROUTER", 1024);
    if (!own)
        return;
    client->keys = (CurveKeys){.n_pairs = 1, .pairs = {own}};
    memcpy(client->keys.server_key, server, KEY_SIZE);
    curve_init(&client->curve, &client->keys, &client->zmtp);
}

static void send_bytes(Client *client, const void *data, size_t len) {
    (void)!send(client->fd, data, len, MSG_NOSIGNAL);
}

static void handle(Client *client) {
    ZmtpInput input = {.at = client->bytes, .end = client->bytes + client->n};
    ZmtpEvent event;

    while ((event = zmtp_read(&client->zmtp, &input)) != ZMTP_EVENT_MORE) {
        client->is_ready |= event == ZMTP_EVENT_READY;
        client->n_messages += event == ZMTP_EVENT_MESSAGE;
        if (event == ZMTP_EVENT_FAILED && input.data)
            snprintf(client->reason, sizeof(client->reason), "%.*s", (int)input.len,
                     (const char *)input.data);
        if (event == ZMTP_EVENT_FAILED)
            return;
    }
    client->n = (size_t)(input.end - input.at);
    memmove(client->bytes, input.at, client->n);
}

/* Runs one turn of the hub and of the client, which sends the output of its codec. */
static void turn(Client *client) {
    uint8_t out[ZMTP_OUTPUT_MAX];
    ssize_t n;

    turn_of_hub();
    n = recv(client->fd, client->bytes + client->n, sizeof(client->bytes) - client->n,
             MSG_DONTWAIT);
    client->is_closed |= n == 0 || (n < 0 && errno != EAGAIN);
    if (n > 0) {
        client->n += (size_t)n;
        handle(client);
    }
    if (zmtp_has_output(&client->zmtp))
        send_bytes(client, out, zmtp_output(&client->zmtp, out));
}

static bool turn_until(Client *client, const bool *done) {
    uint64_t end_ms = clock_ms() + WAIT_MS;

    while (!*done && clock_ms() < end_ms)
        turn(client);
    return *done;
}

static void close_client(Client *client) {
    uint64_t end_ms = clock_ms() + WAIT_MS;

    close(client->fd);
    while (hub_n_connections(hub) > 0 && clock_ms() < end_ms)
        turn_of_hub();
    CU_ASSERT_EQUAL(hub_n_connections(hub), 0);
}

static size_t seal_hello(Client *client, uint8_t to[128]) {
    uint8_t room[ZMTP_ROOM + 8], *at = room + ZMTP_ROOM;
    size_t len = 5;

    memcpy(at, "hello", 5);
    zmtp_seal(&client->zmtp, &at, &len);
    memcpy(to, at, len);
    return len;
}

/* ---- tests ---- */

static void the_hub_knows_the_key_of_a_peer(void) {
    uint8_t frame[128];
    Client client;

    begin();
    connect_client(&client, worker, broker_pair->public_key);
    CU_ASSERT_TRUE(turn_until(&client, &client.is_ready));
    send_bytes(&client, frame, seal_hello(&client, frame));
    for (uint64_t end_ms = clock_ms() + WAIT_MS; n_batches == 0 && clock_ms() < end_ms;)
        turn(&client);
    CU_ASSERT_EQUAL(n_batches, 1);
    CU_ASSERT_EQUAL(memcmp(last_key, worker->public_key, KEY_SIZE), 0);
    close_client(&client);
    end();
}

/* The hub has cut the peer and returned no batch of it. */
static void expect_cut(Client *client, const char *problem) {
    CU_ASSERT_TRUE(turn_until(client, &client->is_closed));
    for (int i = 0; i < QUIET_TURNS; i++)
        turn_of_hub();
    CU_ASSERT_EQUAL(n_batches, 0);
    CU_ASSERT_FALSE(client->is_ready);
    if (!strstr(last_problem, problem))
        printf("\n    '%s', not '%s'\n", last_problem, problem);
    CU_ASSERT_PTR_NOT_NULL(strstr(last_problem, problem));
    close_client(client);
    end();
}

static void a_peer_without_a_key_and_its_messages_are_refused(void) {
    static const uint8_t ready[] = "\4\x1c\5READY\x0bSocket-Type\0\0\0\6DEALER\0\4\xf7\1\x91\1";
    Client client;

    begin();
    connect_client(&client, NULL, NULL);
    turn(&client);
    send_bytes(&client, ready, sizeof(ready) - 1);
    expect_cut(&client, "it has no key");
    CU_ASSERT_TRUE(client.zmtp.is_denied);
}

static void another_mechanism_is_refused(void) {
    uint8_t greeting[ZMTP_GREETING_SIZE + 40] = {0xFF};
    Client client;

    begin();
    connect_client(&client, NULL, NULL);
    client.zmtp.pending = 0;
    greeting[9] = 0x7F;
    greeting[10] = 3;
    memcpy(greeting + 12, "PLAIN", 5);
    memcpy(greeting + 64, "\4\x0f\5HELLO\4user\4pass\0\4\xf7\1\x91\1", 23);
    send_bytes(&client, greeting, 64 + 23);
    expect_cut(&client, "another security mechanism");
}

/* After WELCOME a client can already seal messages. An unknown client sends them right behind its
 * INITIATE. */
static void messages_behind_the_initiate_of_an_unknown_key_are_dropped(void) {
    uint8_t out[ZMTP_OUTPUT_MAX + 128];
    Client client;
    size_t n;

    begin();
    connect_client(&client, stranger, broker_pair->public_key);
    for (uint64_t end_ms = clock_ms() + WAIT_MS;
         client.curve.cookie[0] == 0 && clock_ms() < end_ms;) {
        ssize_t got;

        if (zmtp_has_output(&client.zmtp))
            send_bytes(&client, out, zmtp_output(&client.zmtp, out));
        turn_of_hub();
        got =
            recv(client.fd, client.bytes + client.n, sizeof(client.bytes) - client.n, MSG_DONTWAIT);
        if (got > 0) {
            client.n += (size_t)got;
            handle(&client);
        }
    }
    n = zmtp_output(&client.zmtp, out); /* INITIATE */
    client.zmtp.stage = ZMTP_OPEN;
    n += seal_hello(&client, out + n);
    client.zmtp.stage = ZMTP_HANDSHAKE;
    send_bytes(&client, out, n);
    expect_cut(&client, "belongs to no user");
    CU_ASSERT_STRING_EQUAL(client.reason, CURVE_UNKNOWN_CLIENT);
}

static void a_peer_that_expects_another_server_key_is_refused(void) {
    Client client;

    begin();
    connect_client(&client, worker, stranger->public_key);
    expect_cut(&client, "another key");
    CU_ASSERT_STRING_EQUAL(client.reason, CURVE_WRONG_SERVER);
}

/* The time for the other end to close first passes within the turn that refuses it. */
static void a_peer_that_is_refused_in_a_long_turn_is_told_why(void) {
    turn_ms = 1000;
    fake_clock_stop();
    messages_behind_the_initiate_of_an_unknown_key_are_dropped();
    fake_clock_run();
    turn_ms = 0;
}

static void a_handshake_that_stops_half_way_is_cut(void) {
    uint8_t out[ZMTP_OUTPUT_MAX];
    Client client;

    begin();
    connect_client(&client, worker, broker_pair->public_key);
    /* The client sends the greeting and HELLO, and then stops. */
    for (uint64_t end_ms = clock_ms() + WAIT_MS;
         client.zmtp.stage == ZMTP_GREETING && clock_ms() < end_ms;)
        turn(&client);
    if (zmtp_has_output(&client.zmtp))
        send_bytes(&client, out, zmtp_output(&client.zmtp, out));
    for (uint64_t end_ms = clock_ms() + WAIT_MS; hub_n_connections(hub) > 0 && clock_ms() < end_ms;)
        turn_of_hub();
    CU_ASSERT_EQUAL(hub_n_connections(hub), 0);
    CU_ASSERT_EQUAL(n_batches, 0);
    CU_ASSERT_STRING_EQUAL(last_problem, "its handshake took too long");
    close_client(&client);
    end();
}

/* An attacker replays the recorded bytes of a whole session. */
static void a_replayed_session_is_refused(void) {
    uint8_t record[4096], out[ZMTP_OUTPUT_MAX], frame[128];
    size_t n_record = 0, n;
    uint64_t end_ms = clock_ms() + WAIT_MS;
    Client client;

    begin();
    connect_client(&client, worker, broker_pair->public_key);
    while (!client.is_ready && clock_ms() < end_ms) {
        ssize_t got;

        if (zmtp_has_output(&client.zmtp)) {
            n = zmtp_output(&client.zmtp, out);
            memcpy(record + n_record, out, n);
            n_record += n;
            send_bytes(&client, out, n);
        }
        turn_of_hub();
        got =
            recv(client.fd, client.bytes + client.n, sizeof(client.bytes) - client.n, MSG_DONTWAIT);
        if (got > 0) {
            client.n += (size_t)got;
            handle(&client);
        }
    }
    n = seal_hello(&client, frame);
    memcpy(record + n_record, frame, n);
    n_record += n;
    send_bytes(&client, frame, n);
    while (n_batches == 0 && clock_ms() < end_ms)
        turn(&client);
    CU_ASSERT_EQUAL(n_batches, 1);
    close_client(&client);
    n_batches = 0;
    connect_client(&client, worker, broker_pair->public_key);
    client.zmtp.pending = 0;
    send_bytes(&client, record, HELLO_END);
    while (client.n < WELCOME_END && clock_ms() < end_ms + WAIT_MS) {
        ssize_t got;

        turn_of_hub();
        got = recv(client.fd, client.bytes, sizeof(client.bytes), MSG_DONTWAIT);
        client.n += got > 0 ? (size_t)got : 0;
    }
    send_bytes(&client, record + HELLO_END, n_record - HELLO_END);
    /* The codec cannot read the answers, because they use other keys. */
    for (client.n = 0; !client.is_closed && clock_ms() < end_ms + WAIT_MS; client.n = 0) {
        ssize_t got;

        turn_of_hub();
        got = recv(client.fd, client.bytes, sizeof(client.bytes), MSG_DONTWAIT);
        client.is_closed = got == 0 || (got < 0 && errno != EAGAIN);
    }
    expect_cut(&client, "another cookie");
}

static void new_connections_use_changed_keys(void) {
    Client client;

    begin();
    connect_client(&client, worker, broker_pair->public_key);
    CU_ASSERT_TRUE(turn_until(&client, &client.is_ready));
    close_client(&client);
    hub_keys.n_pairs = 2;
    hub_keys.pairs[1] = stranger; /* the next key of the broker */
    connect_client(&client, worker, stranger->public_key);
    CU_ASSERT_TRUE(turn_until(&client, &client.is_ready));
    close_client(&client);
    hub_keys.n_pairs = 0;
    connect_client(&client, NULL, NULL);
    CU_ASSERT_TRUE(turn_until(&client, &client.is_ready));
    close_client(&client);
    end();
}

static int connect_silently(void) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CU_ASSERT_EQUAL_FATAL(connect(fd, (void *)&address, sizeof(address)), 0);
    return fd;
}

/* A finished handshake does not count. The oldest unfinished handshake gives its place to the next
 * one. */
static void the_unfinished_handshakes_of_an_address_are_limited(void) {
    enum { SILENT = 10, MOST = 3 };
    int fds[SILENT];
    Client client;

    max_unfinished = MOST;
    begin();
    connect_client(&client, worker, broker_pair->public_key);
    CU_ASSERT_TRUE(turn_until(&client, &client.is_ready));
    for (int i = 0; i < SILENT; i++)
        fds[i] = connect_silently();
    for (uint64_t end_ms = clock_ms() + WAIT_MS; n_gone < SILENT - MOST && clock_ms() < end_ms;)
        turn_of_hub();
    CU_ASSERT_EQUAL(n_gone, SILENT - MOST);
    CU_ASSERT_EQUAL(hub_n_connections(hub), MOST + 1);
    CU_ASSERT_STRING_EQUAL(
        last_problem, "it had sent no message, and the broker gave its place to a new connection");
    close(client.fd);
    /* A client gets in although silent connections keep coming. */
    connect_client(&client, worker, broker_pair->public_key);
    CU_ASSERT_TRUE(turn_until(&client, &client.is_ready));
    for (int i = 0; i < SILENT; i++)
        close(fds[i]);
    close_client(&client);
    end();
    max_unfinished = 0;
}

static void an_address_that_begins_too_many_handshakes_is_refused(void) {
    enum { FLOOD = 20 };
    uint64_t began_ms, limit;
    int fds[FLOOD];

    max_handshakes = 1;
    begin();
    began_ms = clock_ms();
    for (int i = 0; i < FLOOD; i++)
        fds[i] = connect_silently();
    for (uint64_t end_ms = clock_ms() + WAIT_MS;
         hub_n_connections(hub) + n_gone + n_refused < FLOOD && clock_ms() < end_ms;)
        turn_of_hub();
    limit = 1 + (clock_ms() - began_ms + 999) / 1000;
    CU_ASSERT(hub_n_connections(hub) + n_gone <= limit);
    CU_ASSERT(n_refused + limit >= FLOOD);
    CU_ASSERT_PTR_NOT_NULL(strstr(last_problem, "max_handshakes_per_address"));
    for (int i = 0; i < FLOOD; i++)
        close(fds[i]);
    end();
    max_handshakes = 0;
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(the_hub_knows_the_key_of_a_peer),
        TEST(a_peer_without_a_key_and_its_messages_are_refused),
        TEST(another_mechanism_is_refused),
        TEST(messages_behind_the_initiate_of_an_unknown_key_are_dropped),
        TEST(a_peer_that_expects_another_server_key_is_refused),
        TEST(a_peer_that_is_refused_in_a_long_turn_is_told_why),
        TEST(a_handshake_that_stops_half_way_is_cut),
        TEST(a_replayed_session_is_refused),
        TEST(new_connections_use_changed_keys),
        TEST(the_unfinished_handshakes_of_an_address_are_limited),
        TEST(an_address_that_begins_too_many_handshakes_is_refused),
        TESTS_END,
    };
    int status = EXIT_FAILURE;

    if (key_pair_new(&broker_pair) == 0 && key_pair_new(&worker) == 0 &&
        key_pair_new(&stranger) == 0)
        status = run_suite("rpc/link hub with keys", tests);
    key_pair_free(broker_pair);
    key_pair_free(worker);
    key_pair_free(stranger);
    return status;
}
