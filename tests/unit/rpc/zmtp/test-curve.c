/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include "rpc/zmtp/curve.h"
#include "support/suite.h"

enum { MESSAGE_MAX = 4096, STREAM_MAX = 16 * 1024, WAIT_MS = 120000 };

/* One end, and the events that it has seen. */
typedef struct End {
    Zmtp zmtp;
    Curve curve;
    char events[64];
    unsigned n;
    uint8_t last[MESSAGE_MAX];
    size_t last_len;
    char reason[64];
    uint8_t left[STREAM_MAX]; /* received bytes that the codec has not read yet */
    size_t n_left;
} End;

static KeyPair *broker, *broker_next, *worker, *stranger;
static CurveKeys server_keys, client_keys;
static unsigned n_asked;

static bool admits(const uint8_t key[KEY_SIZE], void *ctx) {
    (void)ctx;
    n_asked++;
    return memcmp(key, worker->public_key, KEY_SIZE) == 0;
}

static int make_keys(void) {
    int r = key_pair_new(&broker);

    r = r < 0 ? r : key_pair_new(&broker_next);
    r = r < 0 ? r : key_pair_new(&worker);
    return r < 0 ? r : key_pair_new(&stranger);
}

static void free_keys(void) {
    key_pair_free(broker);
    key_pair_free(broker_next);
    key_pair_free(worker);
    key_pair_free(stranger);
}

static void begin(End *server, End *client) {
    server_keys = (CurveKeys){
        .is_server = true, .n_pairs = 2, .pairs = {broker_next, broker}, .admits = admits};
    client_keys = (CurveKeys){.n_pairs = 1, .pairs = {worker}};
    memcpy(client_keys.server_key, broker->public_key, KEY_SIZE);
    n_asked = 0;
    memset(server, 0, sizeof(*server));
    memset(client, 0, sizeof(*client));
    zmtp_init(&server->zmtp, &zmtp_curve, "ROUTER", "DEALER", MESSAGE_MAX);
    zmtp_init(&client->zmtp, &zmtp_curve, "DEALER", "ROUTER", MESSAGE_MAX);
    curve_init(&server->curve, &server_keys, &server->zmtp);
    curve_init(&client->curve, &client_keys, &client->zmtp);
}

static void see(End *end, ZmtpEvent event, const ZmtpInput *input) {
    static const char letters[] = {[ZMTP_EVENT_READY] = 'R',
                                   [ZMTP_EVENT_MESSAGE] = 'm',
                                   [ZMTP_EVENT_PING] = 'i',
                                   [ZMTP_EVENT_PONG] = 'o',
                                   [ZMTP_EVENT_FAILED] = 'F'};

    if (end->n < sizeof(end->events) - 1)
        end->events[end->n++] = letters[event];
    if (event == ZMTP_EVENT_MESSAGE) {
        memcpy(end->last, input->data, input->len);
        end->last_len = input->len;
    }
    if (event == ZMTP_EVENT_FAILED && input->data)
        snprintf(end->reason, sizeof(end->reason), "%.*s", (int)input->len,
                 (const char *)input->data);
}

/* Gives bytes to an end, `step` at a time. */
static void feed(End *end, const uint8_t *data, size_t len, size_t step) {
    for (size_t at = 0; at < len; at += step) {
        size_t n = len - at < step ? len - at : step;
        ZmtpInput input;
        ZmtpEvent event;

        CU_ASSERT_FATAL(end->n_left + n <= sizeof(end->left));
        memcpy(end->left + end->n_left, data + at, n);
        end->n_left += n;
        input = (ZmtpInput){.at = end->left, .end = end->left + end->n_left};
        while ((event = zmtp_read(&end->zmtp, &input)) != ZMTP_EVENT_MORE) {
            see(end, event, &input);
            if (event == ZMTP_EVENT_FAILED)
                return;
        }
        end->n_left = (size_t)(input.end - input.at);
        memmove(end->left, input.at, end->n_left);
    }
}

/* Passes output to the other end until both ends have no output. Returns the number of bytes. */
static size_t talk(End *server, End *client, size_t step) {
    uint8_t bytes[ZMTP_OUTPUT_MAX];
    size_t total = 0, n = 1, len;

    while (n > 0) {
        n = 0;
        for (int i = 0; i < 2; i++) {
            End *from = i ? client : server, *to = i ? server : client;

            if (!zmtp_has_output(&from->zmtp))
                continue;
            len = zmtp_output(&from->zmtp, bytes);
            feed(to, bytes, len, step);
            n += len;
        }
        total += n;
    }
    return total;
}

/* Makes a frame of a message of len bytes, each of which is `byte`. Returns its length. */
static size_t seal(End *end, uint8_t *to, int byte, size_t len) {
    uint8_t room[ZMTP_ROOM + 2 * MESSAGE_MAX], *at = room + ZMTP_ROOM;

    memset(at, byte, len);
    zmtp_seal(&end->zmtp, &at, &len);
    memcpy(to, at, len);
    return len;
}

static void expect(const End *end, const char *events) {
    if (strcmp(end->events, events) != 0)
        printf("\n    '%s' (%s), not '%s'\n", end->events,
               end->zmtp.problem ? end->zmtp.problem : "no problem", events);
    CU_ASSERT_STRING_EQUAL(end->events, events);
}

static void expect_problem(const End *end, const char *problem, bool is_denied) {
    CU_ASSERT_EQUAL(end->zmtp.stage, ZMTP_FAILED);
    CU_ASSERT_PTR_NOT_NULL(end->zmtp.problem);
    if (!end->zmtp.problem)
        return;
    if (!strstr(end->zmtp.problem, problem))
        printf("\n    '%s', not '%s'\n", end->zmtp.problem, problem);
    CU_ASSERT_PTR_NOT_NULL(strstr(end->zmtp.problem, problem));
    CU_ASSERT_EQUAL(end->zmtp.is_denied, is_denied);
}

/* ---- the handshake ---- */

static void two_ends_shake_hands_and_exchange_sealed_messages(void) {
    static const size_t steps[] = {1, 7, STREAM_MAX};
    uint8_t frame[ZMTP_ROOM + MESSAGE_MAX];
    static End server, client;

    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
        begin(&server, &client);
        /* Two greetings, and HELLO, WELCOME, INITIATE and READY in the sizes of RFC 26, each with
         * the head of its frame. */
        CU_ASSERT_EQUAL(talk(&server, &client, steps[i]),
                        2 * 64 + (2 + 200) + (2 + 168) + (9 + 257 + 22) + (2 + 30 + 22));
        expect(&server, "R");
        expect(&client, "R");
        CU_ASSERT_EQUAL(memcmp(server.curve.client_key, worker->public_key, KEY_SIZE), 0);
        CU_ASSERT_EQUAL(n_asked, 1);
        for (size_t size = 0; size <= MESSAGE_MAX; size = 2 * size + 1) {
            End *from = size & 2 ? &server : &client, *to = size & 2 ? &client : &server;
            size_t len = seal(from, frame, (int)size, size);

            CU_ASSERT_EQUAL(len, size + 33 + (size + 33 > 255 ? 9 : 2));
            feed(to, frame, len, steps[i]);
            CU_ASSERT_EQUAL(to->events[to->n - 1], 'm');
            CU_ASSERT_EQUAL(to->last_len, size);
            for (size_t at = 0; at < size; at++)
                CU_ASSERT_EQUAL(to->last[at], (uint8_t)size);
        }
    }
}

static void the_largest_message_passes_and_a_larger_one_does_not(void) {
    static End server, client;
    uint8_t frame[2 * MESSAGE_MAX];

    begin(&server, &client);
    talk(&server, &client, STREAM_MAX);
    feed(&server, frame, seal(&client, frame, 1, MESSAGE_MAX), STREAM_MAX);
    expect(&server, "Rm");
    feed(&server, frame, seal(&client, frame, 1, MESSAGE_MAX + 1), STREAM_MAX);
    expect_problem(&server, "too large", false);
}

static void the_text_of_a_message_is_not_visible_in_its_frame(void) {
    static End server, client;
    uint8_t frame[ZMTP_ROOM + MESSAGE_MAX];
    size_t len;

    begin(&server, &client);
    talk(&server, &client, STREAM_MAX);
    len = seal(&client, frame, 'x', 1000);
    CU_ASSERT_PTR_NULL(memmem(frame, len, "xxxx", 4));
}

static void pings_and_pongs_are_sealed(void) {
    static End server, client;
    uint8_t bytes[ZMTP_OUTPUT_MAX];
    size_t len;

    begin(&server, &client);
    talk(&server, &client, STREAM_MAX);
    CU_ASSERT_TRUE(zmtp_ping(&client.zmtp));
    len = zmtp_output(&client.zmtp, bytes);
    CU_ASSERT_PTR_NULL(memmem(bytes, len, "PING", 4));
    feed(&server, bytes, len, 1);
    expect(&server, "Ri");
    len = zmtp_output(&server.zmtp, bytes);
    CU_ASSERT_PTR_NULL(memmem(bytes, len, "PONG", 4));
    feed(&client, bytes, len, 1);
    expect(&client, "Ro");
    len = zmtp_ping_put(&client.zmtp, bytes);
    CU_ASSERT_TRUE(len > 0 && len <= ZMTP_PING_MAX);
    feed(&server, bytes, len, 1);
    expect(&server, "Rii");
}

static void each_of_a_servers_keys_is_found(void) {
    static End server, client;

    begin(&server, &client);
    memcpy(client_keys.server_key, broker_next->public_key, KEY_SIZE);
    talk(&server, &client, STREAM_MAX);
    expect(&client, "R");
    begin(&server, &client);
    server_keys.n_pairs = 1; /* the old key is removed */
    talk(&server, &client, STREAM_MAX);
    expect(&client, "F");
    expect_problem(&server, "another key", true);
}

static void secrets_are_wiped(void) {
    static const uint8_t zeros[sizeof(Curve)];
    static End server, client;

    begin(&server, &client);
    talk(&server, &client, STREAM_MAX);
    CU_ASSERT_EQUAL(memcmp(server.curve.own_short_secret, zeros, KEY_SIZE), 0);
    CU_ASSERT_EQUAL(memcmp(client.curve.own_short_secret, zeros, KEY_SIZE), 0);
    CU_ASSERT_EQUAL(memcmp(server.curve.cookie_key, zeros, KEY_SIZE), 0);
    curve_deinit(&server.curve);
    CU_ASSERT_EQUAL(memcmp(&server.curve, zeros, sizeof(Curve)), 0);
}

/* ---- refusals ---- */

static void both_ends_learn_of_a_wrong_server_key(void) {
    static End server, client;

    begin(&server, &client);
    memcpy(client_keys.server_key, stranger->public_key, KEY_SIZE);
    talk(&server, &client, STREAM_MAX);
    expect_problem(&server, "another key", true);
    expect_problem(&client, "refused", true);
    CU_ASSERT_STRING_EQUAL(client.reason, CURVE_WRONG_SERVER);
    CU_ASSERT_EQUAL(n_asked, 0);
}

static void a_key_without_a_user_is_refused_before_any_message(void) {
    static End server, client;

    begin(&server, &client);
    client_keys.pairs[0] = stranger;
    talk(&server, &client, STREAM_MAX);
    CU_ASSERT_EQUAL(n_asked, 1);
    expect(&server, "F");
    expect_problem(&server, "no user", true);
    expect(&client, "F");
    CU_ASSERT_STRING_EQUAL(client.reason, CURVE_UNKNOWN_CLIENT);
}

/* An attacker knows a user's public key, but has another secret key. */
static void a_public_key_alone_is_not_enough(void) {
    static End server, client;
    KeyPair forged = *stranger;

    begin(&server, &client);
    memcpy(forged.public_key, worker->public_key, KEY_SIZE);
    client_keys.pairs[0] = &forged;
    talk(&server, &client, STREAM_MAX);
    expect(&server, "F");
    expect_problem(&server, "secret part", true);
    CU_ASSERT_EQUAL(n_asked, 0);
}

static void ends_without_keys_are_refused_with_a_reason(void) {
    static End server, client;

    begin(&server, &client);
    zmtp_init(&client.zmtp, &zmtp_null, "DEALER", "ROUTER", MESSAGE_MAX);
    talk(&server, &client, STREAM_MAX);
    expect_problem(&server, "has no key", true);
    expect_problem(&client, "only clients with a key", true);
    begin(&server, &client);
    zmtp_init(&server.zmtp, &zmtp_null, "ROUTER", "DEALER", MESSAGE_MAX);
    talk(&server, &client, STREAM_MAX);
    expect_problem(&client, "has no key", true);
}

/* The frames of a whole exchange: two greetings, four commands, and a message in each direction. */
typedef struct Exchange {
    End server, client;
    unsigned changed; /* number of the frame that is changed */
    size_t at;
    bool is_over; /* the frame has no byte `at` */
} Exchange;

static void deliver(Exchange *exchange, unsigned number, End *to, uint8_t *bytes, size_t len) {
    if (number == exchange->changed) {
        exchange->is_over = exchange->at >= len;
        if (!exchange->is_over)
            bytes[exchange->at] ^= 0x40;
    }
    feed(to, bytes, len, STREAM_MAX);
}

/* True if the changed byte was noticed, or has no meaning. */
static bool exchange_one(Exchange *exchange, unsigned changed, size_t at) {
    uint8_t bytes[ZMTP_OUTPUT_MAX + MESSAGE_MAX];
    unsigned number = 0;

    begin(&exchange->server, &exchange->client);
    exchange->changed = changed;
    exchange->at = at;
    exchange->is_over = false;
    for (int i = 0; i < 8; i++) {
        End *from = i & 1 ? &exchange->server : &exchange->client;
        End *to = i & 1 ? &exchange->client : &exchange->server;

        if (zmtp_has_output(&from->zmtp))
            deliver(exchange, number++, to, bytes, zmtp_output(&from->zmtp, bytes));
    }
    if (exchange->client.zmtp.stage == ZMTP_OPEN)
        deliver(exchange, 10, &exchange->server, bytes, seal(&exchange->client, bytes, 'c', 20));
    if (exchange->server.zmtp.stage == ZMTP_OPEN)
        deliver(exchange, 11, &exchange->client, bytes, seal(&exchange->server, bytes, 's', 20));
    return exchange->is_over || !strchr(exchange->server.events, 'm') ||
           !strchr(exchange->client.events, 'm');
}

static void a_changed_byte_never_makes_a_message(void) {
    static const struct {
        unsigned number;
        size_t from;
    } frames[] = {
        /* The 72 bytes of padding in HELLO, and most bytes of the greetings, have no meaning. */
        {2, 2 + 6 + 74}, {3, 0}, {4, 0}, {5, 0}, {10, 0}, {11, 0},
    };
    static Exchange exchange;
    size_t n = 0;

    for (size_t i = 0; i < sizeof(frames) / sizeof(*frames); i++)
        for (size_t at = frames[i].from; at < MESSAGE_MAX; at++, n++) {
            bool was_noticed = exchange_one(&exchange, frames[i].number, at);

            if (exchange.is_over)
                break;
            if (!was_noticed)
                printf("\n    frame %u, byte %zu\n", frames[i].number, at);
            CU_ASSERT_TRUE(was_noticed);
        }
    CU_ASSERT_TRUE(n > 600);
    /* No frame is changed: all of them arrive. */
    CU_ASSERT_TRUE(exchange_one(&exchange, 99, 0) == false);
}

static void a_repeated_frame_ends_the_connection(void) {
    static End server, client;
    uint8_t frame[ZMTP_ROOM + MESSAGE_MAX], copy[ZMTP_ROOM + MESSAGE_MAX];
    size_t len;

    begin(&server, &client);
    talk(&server, &client, STREAM_MAX);
    len = seal(&client, frame, 'a', 100);
    memcpy(copy, frame, len);
    feed(&server, frame, len, STREAM_MAX);
    feed(&server, copy, len, STREAM_MAX);
    expect(&server, "RmF");
    expect_problem(&server, "repeated", false);
}

/* Bytes of one connection are sent on another one, which has other keys. */
static void bytes_of_another_connection_are_refused(void) {
    static End server, client, other_server, other_client;
    uint8_t hello[ZMTP_OUTPUT_MAX], initiate[ZMTP_OUTPUT_MAX], bytes[ZMTP_OUTPUT_MAX];
    uint8_t message[ZMTP_ROOM + MESSAGE_MAX], greeting[ZMTP_OUTPUT_MAX];
    size_t n_hello, n_initiate, n_message, n_greeting, n;

    begin(&server, &client);
    n_greeting = zmtp_output(&client.zmtp, greeting);
    feed(&server, greeting, n_greeting, STREAM_MAX);
    n = zmtp_output(&server.zmtp, bytes);
    feed(&client, bytes, n, STREAM_MAX);
    n_hello = zmtp_output(&client.zmtp, hello);
    feed(&server, hello, n_hello, STREAM_MAX);
    n = zmtp_output(&server.zmtp, bytes);
    feed(&client, bytes, n, STREAM_MAX);
    n_initiate = zmtp_output(&client.zmtp, initiate);
    feed(&server, initiate, n_initiate, STREAM_MAX);
    talk(&server, &client, STREAM_MAX);
    expect(&server, "R");
    n_message = seal(&client, message, 'm', 100);

    /* Sends all bytes of the client again: the server answers HELLO, but INITIATE has another
     * cookie. */
    begin(&other_server, &other_client);
    feed(&other_server, greeting, n_greeting, STREAM_MAX);
    zmtp_output(&other_server.zmtp, bytes);
    feed(&other_server, hello, n_hello, STREAM_MAX);
    zmtp_output(&other_server.zmtp, bytes);
    feed(&other_server, initiate, n_initiate, STREAM_MAX);
    expect(&other_server, "F");
    expect_problem(&other_server, "cookie", false);

    begin(&other_server, &other_client);
    talk(&other_server, &other_client, STREAM_MAX);
    feed(&other_server, message, n_message, STREAM_MAX);
    expect(&other_server, "RF");
    expect_problem(&other_server, "not authentic", false);
}

static void no_frame_is_accepted_unsealed(void) {
    static const struct {
        const char *frame;
        size_t len;
    } frames[] = {
        {"\0\2hi", 4},
        {"\4\7\4PING\0\0", 9},
        {"\4\5\4PONG", 7},
        {"\4\10\5ERROR\1x", 10},
        {"\0\10\7MESSAGE", 10},
        {"\4\10\7MESSAGE", 10},
        {"\0\41\7MESSAGEnnnnnnnnmmmmmmmmmmmmmmmmf", 35},
    };
    static End server, client;

    for (size_t i = 0; i < sizeof(frames) / sizeof(*frames); i++) {
        begin(&server, &client);
        talk(&server, &client, STREAM_MAX);
        feed(&server, (const uint8_t *)frames[i].frame, frames[i].len, STREAM_MAX);
        expect(&server, "RF");
        CU_ASSERT_FALSE(zmtp_has_output(&server.zmtp));
    }
}

static void no_frame_is_a_message_before_the_end_of_the_handshake(void) {
    static const uint8_t message[] = "\0\2hi";
    uint8_t bytes[ZMTP_OUTPUT_MAX];
    static End server, client;

    for (int n_steps = 1; n_steps < 3; n_steps++) {
        begin(&server, &client);
        for (int i = 0; i < n_steps; i++) {
            feed(&server, bytes, zmtp_output(&client.zmtp, bytes), STREAM_MAX);
            feed(&client, bytes, zmtp_output(&server.zmtp, bytes), STREAM_MAX);
        }
        feed(&server, message, 4, STREAM_MAX);
        expect(&server, "F");
        expect_problem(&server, "before the end of its handshake", false);
    }
}

/* ---- libzmq at the other end ---- */

static int listen_on(uint16_t *ret_port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (void *)&address, len) < 0 || listen(fd, 4) < 0 ||
        getsockname(fd, (void *)&address, &len) < 0)
        return -1;
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static int connect_to(uint16_t port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return fd >= 0 && connect(fd, (void *)&address, sizeof(address)) == 0 ? fd : -1;
}

static void send_all(int fd, const uint8_t *data, size_t len) {
    CU_ASSERT_EQUAL(send(fd, data, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* Exchanges bytes with the socket until the end has seen n events of this kind. */
static bool talk_until(End *end, int fd, char event, unsigned n) {
    struct timeval most = {WAIT_MS / 1000, 0};
    uint8_t bytes[ZMTP_OUTPUT_MAX];

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof(most));
    for (;;) {
        unsigned seen = 0;
        ssize_t got;

        if (zmtp_has_output(&end->zmtp))
            send_all(fd, bytes, zmtp_output(&end->zmtp, bytes));
        for (unsigned i = 0; i < end->n; i++)
            seen += end->events[i] == event;
        if (seen >= n)
            return true;
        got = recv(fd, bytes, sizeof(bytes), 0);
        if (got <= 0) {
            printf("\n    '%s': %s, %s\n", end->events, got < 0 ? strerror(errno) : "closed",
                   end->zmtp.problem ? end->zmtp.problem : "no problem");
            return false;
        }
        feed(end, bytes, (size_t)got, (size_t)got);
    }
}

static void *zmq_end(void *context, int type, const KeyPair *own, const uint8_t *server_key) {
    void *socket = zmq_socket(context, type);
    int linger = 0, wait = WAIT_MS, is_server = server_key == NULL, beat = 50;

    zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof(linger));
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &wait, sizeof(wait));
    zmq_setsockopt(socket, ZMQ_HEARTBEAT_IVL, &beat, sizeof(beat));
    zmq_setsockopt(socket, ZMQ_HEARTBEAT_TIMEOUT, &wait, sizeof(wait));
    zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, own->secret_key, KEY_SIZE);
    if (is_server) {
        zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &is_server, sizeof(is_server));
    } else {
        zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, own->public_key, KEY_SIZE);
        zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, server_key, KEY_SIZE);
    }
    return socket;
}

static void a_dealer_of_libzmq_talks_with_our_server(void) {
    uint8_t frame[ZMTP_ROOM + MESSAGE_MAX], got[16] = {0};
    void *context = zmq_ctx_new(), *dealer;
    static End server, client;
    char endpoint[64];
    uint16_t port = 0;
    int listener = listen_on(&port), fd;

    begin(&server, &client);
    dealer = zmq_end(context, ZMQ_DEALER, worker, broker->public_key);
    snprintf(endpoint, sizeof(endpoint), "tcp://127.0.0.1:%u", port);
    CU_ASSERT_EQUAL(zmq_connect(dealer, endpoint), 0);
    fd = accept(listener, NULL, NULL);
    CU_ASSERT_TRUE(talk_until(&server, fd, 'R', 1));
    CU_ASSERT_EQUAL(zmq_send(dealer, "hello", 5, 0), 5);
    CU_ASSERT_TRUE(talk_until(&server, fd, 'm', 1));
    CU_ASSERT_EQUAL(server.last_len, 5);
    CU_ASSERT_EQUAL(memcmp(server.last, "hello", 5), 0);
    send_all(fd, frame, seal(&server, frame, 'x', 10));
    CU_ASSERT_EQUAL(zmq_recv(dealer, got, sizeof(got), 0), 10);
    CU_ASSERT_EQUAL(memcmp(got, "xxxxxxxxxx", 10), 0);
    zmq_close(dealer);
    zmq_ctx_term(context);
    close(fd);
    close(listener);
}

static void our_client_talks_with_a_router_of_libzmq(void) {
    uint8_t frame[ZMTP_ROOM + MESSAGE_MAX], got[16] = {0}, id[16];
    void *context = zmq_ctx_new(), *router;
    static End server, client;
    char endpoint[64];
    size_t len = sizeof(endpoint);
    unsigned port = 0;
    int fd, n;

    begin(&server, &client);
    router = zmq_end(context, ZMQ_ROUTER, broker, NULL);
    CU_ASSERT_EQUAL(zmq_bind(router, "tcp://127.0.0.1:*"), 0);
    zmq_getsockopt(router, ZMQ_LAST_ENDPOINT, endpoint, &len);
    sscanf(endpoint, "tcp://127.0.0.1:%u", &port);
    fd = connect_to((uint16_t)port);
    CU_ASSERT_TRUE(talk_until(&client, fd, 'R', 1));
    send_all(fd, frame, seal(&client, frame, 'y', 10));
    n = zmq_recv(router, id, sizeof(id), 0);
    CU_ASSERT_EQUAL(n, 5);
    CU_ASSERT_EQUAL(zmq_recv(router, got, sizeof(got), 0), 10);
    CU_ASSERT_EQUAL(memcmp(got, "yyyyyyyyyy", 10), 0);
    /* The client answers PINGs of libzmq, which would close the connection without PONGs. */
    CU_ASSERT_TRUE(talk_until(&client, fd, 'i', 5));
    zmq_send(router, id, (size_t)n, ZMQ_SNDMORE);
    CU_ASSERT_EQUAL(zmq_send(router, "answer", 6, 0), 6);
    CU_ASSERT_TRUE(talk_until(&client, fd, 'm', 1));
    CU_ASSERT_EQUAL(client.last_len, 6);
    zmq_close(router);
    zmq_ctx_term(context);
    close(fd);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(two_ends_shake_hands_and_exchange_sealed_messages),
        TEST(the_largest_message_passes_and_a_larger_one_does_not),
        TEST(the_text_of_a_message_is_not_visible_in_its_frame),
        TEST(pings_and_pongs_are_sealed),
        TEST(each_of_a_servers_keys_is_found),
        TEST(secrets_are_wiped),
        TEST(both_ends_learn_of_a_wrong_server_key),
        TEST(a_key_without_a_user_is_refused_before_any_message),
        TEST(a_public_key_alone_is_not_enough),
        TEST(ends_without_keys_are_refused_with_a_reason),
        TEST(a_changed_byte_never_makes_a_message),
        TEST(a_repeated_frame_ends_the_connection),
        TEST(bytes_of_another_connection_are_refused),
        TEST(no_frame_is_accepted_unsealed),
        TEST(no_frame_is_a_message_before_the_end_of_the_handshake),
        TEST(a_dealer_of_libzmq_talks_with_our_server),
        TEST(our_client_talks_with_a_router_of_libzmq),
        TESTS_END,
    };
    int status = make_keys() < 0 ? EXIT_FAILURE : run_suite("rpc/zmtp curve", tests);

    free_keys();
    return status;
}
