#include "rpc/link/hub/connections.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include "rpc/link/context.h"
#include "support/suite.h"

enum { A = 300, B = 301 }; /* descriptors that nothing else has */

/*
 * The monitor is played by a pair of sockets, and libzmq's thread by the test, so that descriptors
 * can be given out again at the worst moment.
 */
typedef struct Scene {
    void *context, *played;
    Connections connections;
    int listener;
    unsigned n_ended, n_refused;
    Refusal refusal;
    char address[CONNECTION_ADDRESS_MAX];
} Scene;

static Scene scene;

static void on_ended(void *owner) {
    (void)owner;
    scene.n_ended++;
}

static void on_refused(Refusal refusal, const char *address, void *ctx) {
    Scene *to = ctx;

    to->n_refused++;
    to->refusal = refusal;
    snprintf(to->address, sizeof(to->address), "%s", address);
}

static void begin(void) {
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    void *reading;

    scene = (Scene){0};
    scene.context = context_ref();
    scene.played = zmq_socket(scene.context, ZMQ_PAIR);
    reading = zmq_socket(scene.context, ZMQ_PAIR);
    zmq_bind(scene.played, "inproc://played-monitor");
    zmq_connect(reading, "inproc://played-monitor");
    scene.connections = (Connections){.monitor = reading,
                                      .fd_limit = 1000,
                                      .on_ended = on_ended,
                                      .on_refused = on_refused,
                                      .ctx = &scene};
    scene.listener = socket(AF_INET, SOCK_STREAM, 0);
    CU_ASSERT_EQUAL(bind(scene.listener, (struct sockaddr *)&any, sizeof(any)), 0);
    CU_ASSERT_EQUAL(listen(scene.listener, 5), 0);
}

static void end(void) {
    connections_deinit(&scene.connections, scene.played);
    zmq_close(scene.played);
    context_unref();
    close(scene.listener);
}

static void event(uint16_t event, uint32_t value) {
    uint8_t frame[6];

    memcpy(frame, &event, 2);
    memcpy(frame + 2, &value, 4);
    zmq_send(scene.played, frame, sizeof(frame), ZMQ_SNDMORE);
    zmq_send(scene.played, "tcp://127.0.0.1:1", 17, 0);
}

/* A connection whose near end has this descriptor: the far end is returned. */
static int connect_one(int near) {
    struct sockaddr_in to;
    socklen_t len = sizeof(to);
    int fd = socket(AF_INET, SOCK_STREAM, 0), accepted;

    getsockname(scene.listener, (struct sockaddr *)&to, &len);
    CU_ASSERT_EQUAL(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    accepted = accept(scene.listener, NULL, NULL);
    dup2(accepted, near);
    close(accepted);
    event(ZMQ_EVENT_ACCEPTED, (uint32_t)near);
    return fd;
}

static void disconnect(int near) {
    event(ZMQ_EVENT_DISCONNECTED, (uint32_t)near);
    close(near);
}

static bool is_cut(int far) {
    struct pollfd fds = {far, POLLIN, 0};
    char byte;

    return poll(&fds, 1, 100) > 0 && recv(far, &byte, 1, MSG_DONTWAIT) == 0;
}

static void an_end_is_told_to_the_owner_alone(void) {
    int far_a, far_b;

    begin();
    far_a = connect_one(A);
    far_b = connect_one(B);
    CU_ASSERT_TRUE(connections_claim(&scene.connections, A, &scene));
    CU_ASSERT_EQUAL(scene.connections.n_open, 2);
    disconnect(B);
    connections_read(&scene.connections);
    CU_ASSERT_EQUAL(scene.n_ended, 0);
    disconnect(A);
    connections_read(&scene.connections);
    CU_ASSERT_EQUAL(scene.n_ended, 1);
    CU_ASSERT_EQUAL(scene.connections.n_open, 0);
    close(far_a);
    close(far_b);
    end();
}

static void what_was_received_late_does_not_claim_who_came_after(void) {
    int far_first, far_second;

    begin();
    far_first = connect_one(A);
    disconnect(A);
    far_second = connect_one(A);
    /* A message of the first one is received only now. */
    CU_ASSERT_FALSE(connections_claim(&scene.connections, A, &scene));
    connections_refuse(&scene.connections, A, REFUSED_FRAMES);
    CU_ASSERT_EQUAL(scene.n_refused, 1);
    CU_ASSERT_STRING_EQUAL(scene.address, "unknown");
    CU_ASSERT_FALSE(is_cut(far_second));
    /* Nothing was left, twice: what comes now is of the second. */
    scene.connections.n_dry++;
    CU_ASSERT_FALSE(connections_claim(&scene.connections, A, &scene));
    scene.connections.n_dry++;
    CU_ASSERT_TRUE(connections_claim(&scene.connections, A, &scene));
    disconnect(A);
    close(far_first);
    close(far_second);
    end();
}

static void who_is_still_there_claims_what_it_was_seen_on_and_no_other(void) {
    int far_first, far_second, far_third;
    uint64_t number;

    begin();
    CU_ASSERT_EQUAL(connections_number(&scene.connections, A), 0);
    far_first = connect_one(A);
    disconnect(A);
    far_second = connect_one(A);
    CU_ASSERT_FALSE(connections_claim(&scene.connections, A, &scene));
    number = connections_number(&scene.connections, A);
    CU_ASSERT_TRUE(connections_claim_late(&scene.connections, A, number, &scene));
    CU_ASSERT_FALSE(connections_claim_late(&scene.connections, A, number, &number));
    disconnect(A);
    CU_ASSERT_FALSE(connections_claim_late(&scene.connections, A, number, &scene));
    far_third = connect_one(A);
    CU_ASSERT_FALSE(connections_claim_late(&scene.connections, A, number, &scene));
    CU_ASSERT_FALSE(connections_claim_late(&scene.connections, A, 0, &scene));
    disconnect(A);
    close(far_first);
    close(far_second);
    close(far_third);
    end();
}

static void what_nobody_claims_in_time_is_cut(void) {
    int far_a, far_b;

    begin();
    far_a = connect_one(A);
    far_b = connect_one(B);
    connections_cut_unclaimed(&scene.connections);
    CU_ASSERT_TRUE(connections_claim(&scene.connections, A, &scene));
    for (int i = 2; i < UNCLAIMED_LOOKS; i++)
        connections_cut_unclaimed(&scene.connections);
    CU_ASSERT_FALSE(is_cut(far_b));
    CU_ASSERT_EQUAL(scene.n_refused, 0);
    connections_cut_unclaimed(&scene.connections);
    CU_ASSERT_TRUE(is_cut(far_b));
    CU_ASSERT_FALSE(is_cut(far_a));
    CU_ASSERT_EQUAL(scene.refusal, REFUSED_SILENCE);
    /* Told once, though its end is still to come. */
    connections_cut_unclaimed(&scene.connections);
    CU_ASSERT_EQUAL(scene.n_refused, 1);
    disconnect(A);
    disconnect(B);
    close(far_a);
    close(far_b);
    end();
}

static void the_owner_that_has_ended_cuts_nobody(void) {
    int far_first, far_second;

    begin();
    far_first = connect_one(A);
    CU_ASSERT_TRUE(connections_claim(&scene.connections, A, &scene));
    disconnect(A);
    far_second = connect_one(A);
    connections_cut(&scene.connections, A, &scene);
    CU_ASSERT_FALSE(is_cut(far_second));
    CU_ASSERT_EQUAL(scene.n_ended, 1);
    disconnect(A);
    close(far_first);
    close(far_second);
    end();
}

static void a_socket_that_is_another_by_now_is_left_alone(void) {
    int far_first, far_second;

    begin();
    far_first = connect_one(A);
    CU_ASSERT_TRUE(connections_claim(&scene.connections, A, &scene));
    /* Closed and given out again before its end is told. */
    close(A);
    far_second = connect_one(A);
    zmq_recv(scene.connections.monitor, NULL, 0, 0);
    zmq_recv(scene.connections.monitor, NULL, 0, 0);
    connections_cut(&scene.connections, A, &scene);
    CU_ASSERT_FALSE(is_cut(far_second));
    close(A);
    close(far_first);
    close(far_second);
    end();
}

static void who_sends_junk_is_cut_and_named(void) {
    struct sockaddr_in from;
    socklen_t len = sizeof(from);
    char expected[CONNECTION_ADDRESS_MAX];
    int far;

    begin();
    far = connect_one(A);
    getsockname(far, (struct sockaddr *)&from, &len);
    snprintf(expected, sizeof(expected), "127.0.0.1:%u", ntohs(from.sin_port));
    connections_refuse(&scene.connections, A, REFUSED_ROUTING_ID);
    CU_ASSERT_TRUE(is_cut(far));
    CU_ASSERT_EQUAL(scene.refusal, REFUSED_ROUTING_ID);
    CU_ASSERT_STRING_EQUAL(scene.address, expected);
    disconnect(A);
    close(far);
    end();
}

static void a_failed_handshake_is_told_once_with_its_address(void) {
    int far;

    begin();
    far = connect_one(A);
    event(ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL, ZMQ_PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND);
    connections_read(&scene.connections);
    CU_ASSERT_EQUAL(scene.n_refused, 0);
    disconnect(A);
    connections_read(&scene.connections);
    CU_ASSERT_EQUAL(scene.n_refused, 1);
    CU_ASSERT_EQUAL(scene.refusal, REFUSED_GREETING);
    CU_ASSERT_EQUAL(strncmp(scene.address, "127.0.0.1:", 10), 0);
    CU_ASSERT_EQUAL(scene.connections.n_open, 0);
    close(far);

    far = connect_one(A);
    event(ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, ECONNRESET);
    disconnect(A);
    connections_read(&scene.connections);
    CU_ASSERT_EQUAL(scene.refusal, LEFT_EARLY);
    CU_ASSERT_EQUAL(scene.n_refused, 2);
    close(far);
    end();
}

static void beyond_the_limit_a_connection_is_cut_and_told(void) {
    int far;

    begin();
    scene.connections.fd_limit = 3;
    far = connect_one(A);
    connections_read(&scene.connections);
    CU_ASSERT_TRUE(is_cut(far));
    CU_ASSERT_EQUAL(scene.refusal, REFUSED_FULL);
    event(ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, ECONNRESET);
    disconnect(A);
    connections_read(&scene.connections);
    CU_ASSERT_EQUAL(scene.n_refused, 1);
    close(far);
    end();
}

static void a_descriptor_nobody_heard_of_is_nobodys(void) {
    begin();
    CU_ASSERT_FALSE(connections_claim(&scene.connections, -1, &scene));
    CU_ASSERT_FALSE(connections_claim(&scene.connections, 5000, &scene));
    connections_cut(&scene.connections, -1, &scene);
    connections_refuse(&scene.connections, -1, REFUSED_FRAMES);
    CU_ASSERT_STRING_EQUAL(scene.address, "unknown");
    event(ZMQ_EVENT_DISCONNECTED, 4000);
    connections_read(&scene.connections);
    CU_ASSERT_EQUAL(scene.n_ended, 0);
    end();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(an_end_is_told_to_the_owner_alone),
        TEST(what_was_received_late_does_not_claim_who_came_after),
        TEST(who_is_still_there_claims_what_it_was_seen_on_and_no_other),
        TEST(what_nobody_claims_in_time_is_cut),
        TEST(the_owner_that_has_ended_cuts_nobody),
        TEST(a_socket_that_is_another_by_now_is_left_alone),
        TEST(who_sends_junk_is_cut_and_named),
        TEST(a_failed_handshake_is_told_once_with_its_address),
        TEST(beyond_the_limit_a_connection_is_cut_and_told),
        TEST(a_descriptor_nobody_heard_of_is_nobodys),
        TESTS_END,
    };

    return run_suite("rpc/link connections", tests);
}
