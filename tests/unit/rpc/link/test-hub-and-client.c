/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include "base/clock.h"
#include "base/random.h"
#include "mini-broker.h"
#include "rpc/link/client/link-private.h"
#include "support/fake-clock.h"
#include "support/suite.h"

#define TCP "tcp://127.0.0.1:*"

extern char **environ;
static MiniBroker broker;
static MiniClient client;
static const char *self;
static const char *transport = ""; /* in front of the client's URLs */

static void connect_client(const char *endpoint) {
    char url[320];

    snprintf(url, sizeof(url), "%s%s", transport, endpoint);
    mini_client_open(&client, url);
}

static void begin(const char *endpoint) {
    broker = (MiniBroker){0};
    mini_broker_open(&broker, endpoint);
    connect_client(broker.endpoint);
    CU_ASSERT_TRUE(MINI_UNTIL(&broker, &client, client.n_up == 1));
}

static void end(void) {
    mini_client_close(&client);
    mini_broker_close(&broker);
}

/* The client that was connected before is still served. */
static void expect_served(void) {
    unsigned before = client.n_messages;

    CU_ASSERT_EQUAL(mini_call(&client, 77, 10), 0);
    CU_ASSERT_TRUE(MINI_UNTIL(&broker, &client, client.n_messages > before));
    CU_ASSERT_EQUAL(client.n_down, 0);
}

static void a_link_is_up_after_welcome_and_sends_bye(void) {
    begin(TCP);
    CU_ASSERT_EQUAL(link_state(client.link), LINK_UP);
    CU_ASSERT_PTR_NULL(link_problem(client.link));
    CU_ASSERT_EQUAL(hub_n_peers(broker.hub), 1);
    expect_served();
    mini_client_close(&client);
    CU_ASSERT_TRUE(MINI_UNTIL(&broker, NULL, broker.n_gone == 1));
    CU_ASSERT_EQUAL(hub_n_peers(broker.hub), 0);
    mini_broker_close(&broker);
}

/* A child that the program has forked holds copies of the descriptors: the connections stay open
 * when they are closed here, and must not be watched any more. */
static void a_forked_child_keeps_no_connection_watched(void) {
    struct pollfd hub;
    pid_t child;

    begin(TCP);
    child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    CU_ASSERT_FATAL(child > 0);
    mini_client_close(&client);
    CU_ASSERT_TRUE(MINI_UNTIL(&broker, NULL, broker.n_gone == 1));
    hub = (struct pollfd){hub_fd(broker.hub), POLLIN, 0};
    CU_ASSERT_EQUAL(poll(&hub, 1, 0), 0);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    mini_broker_close(&broker);
}

static void messages_are_refused_before_the_link_is_up(void) {
    connect_client("ipc:///tmp/ferry-nobody-listens-here");
    CU_ASSERT_EQUAL(mini_call(&client, 1, 1), -ENOTCONN);
    CU_ASSERT_TRUE(MINI_UNTIL(NULL, &client, link_problem(client.link) != NULL));
    CU_ASSERT_EQUAL(link_state(client.link), LINK_CONNECTING);
    mini_client_close(&client);
    CU_ASSERT(link_new(&client.link, "http://x", "x", &(LinkHandlers){0}, NULL) < 0);
}

static void a_link_reconnects_to_a_new_broker(void) {
    char folder[] = "/tmp/ferry-link-XXXXXX", endpoint[64];

    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
    snprintf(endpoint, sizeof(endpoint), "ipc://%s/socket", folder);
    begin(endpoint);
    for (unsigned round = 1; round <= 3; round++) {
        mini_broker_close(&broker);
        CU_ASSERT_TRUE(MINI_UNTIL(NULL, &client, client.n_down == round));
        mini_broker_open(&broker, endpoint);
        CU_ASSERT_TRUE(MINI_UNTIL(&broker, &client, client.n_up == round + 1));
    }
    CU_ASSERT_EQUAL(mini_call(&client, 5, 5), 0);
    CU_ASSERT_TRUE(MINI_UNTIL(&broker, &client, client.n_messages == 1));
    end();
    unlink(endpoint + 6);
    rmdir(folder);
}

/* The program was away while the broker answered and ended. */
static void answers_before_the_end_of_a_connection_are_read(void) {
    begin(TCP);
    for (unsigned i = 1; i <= 10; i++)
        CU_ASSERT_EQUAL(mini_call(&client, i, i), 0);
    CU_ASSERT_TRUE(MINI_UNTIL(&broker, NULL, broker.n_calls == 10));
    mini_broker_close(&broker);
    mini_turns(NULL, NULL, 100); /* the thread of libzmq notices the end */
    CU_ASSERT_TRUE(MINI_UNTIL(NULL, &client, client.n_down == 1));
    CU_ASSERT_EQUAL(client.n_messages, 10);
    mini_client_close(&client);
}

/* The client must not connect hundreds of times a second. */
static void an_attempt_lasts_longer_if_the_program_was_away(void) {
    char urls[300];

    broker = (MiniBroker){0};
    mini_broker_open(&broker, TCP);
    snprintf(urls, sizeof(urls), "%s,%sipc:///tmp/no-broker?prefer=order", broker.endpoint,
             transport);
    connect_client(urls);
    mini_turn(&broker, &client);
    CU_ASSERT_EQUAL(link_state(client.link), LINK_CONNECTING);
    fake_clock_stop();
    fake_clock_move(2500); /* one broker of several has 2 s */
    CU_ASSERT_TRUE(MINI_UNTIL(&broker, &client, client.n_up == 1));
    CU_ASSERT_EQUAL(client.link->session, 1);
    fake_clock_run();
    end();
}

/* While the queue of a listener is full, the kernel answers no further connection. */
static void an_address_without_an_answer_is_given_up_after_three_seconds(void) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    int fds[4], listener;
    socklen_t len = sizeof(address);
    char endpoint[64];

    if (*transport) /* libzmq has its own clock */
        return;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CU_ASSERT_EQUAL_FATAL(bind(listener, (void *)&address, sizeof(address)), 0);
    CU_ASSERT_EQUAL_FATAL(listen(listener, 0), 0);
    getsockname(listener, (void *)&address, &len);
    for (int i = 0; i < 4; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        connect(fds[i], (void *)&address, sizeof(address));
    }
    snprintf(endpoint, sizeof(endpoint), "tcp://127.0.0.1:%u", ntohs(address.sin_port));
    fake_clock_stop();
    connect_client(endpoint);
    mini_turns(NULL, &client, 2);
    fake_clock_move(2999);
    mini_turns(NULL, &client, 2);
    CU_ASSERT_PTR_NULL(link_problem(client.link));
    fake_clock_move(1);
    CU_ASSERT_TRUE(MINI_UNTIL(NULL, &client, link_problem(client.link) != NULL));
    CU_ASSERT_PTR_NOT_NULL(strstr(link_problem(client.link)->message, "no broker answers"));
    fake_clock_run();
    mini_client_close(&client);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    close(listener);
}

static void pauses_grow_if_the_broker_ends_each_session(void) {
    begin(TCP);
    CU_ASSERT_TRUE(MINI_UNTIL(
        &broker, &client,
        (broker.last ? peer_close(broker.last) : (void)0, client.link->backoff_ms >= 800)));
    CU_ASSERT(client.n_down >= 5);
    /* After a session that lasted long enough, the pauses start from the shortest again. */
    CU_ASSERT_TRUE(MINI_UNTIL(&broker, &client, link_state(client.link) == LINK_UP));
    client.link->up_ms = 0;
    client.n_down = 0;
    peer_close(broker.last);
    CU_ASSERT_TRUE(MINI_UNTIL(&broker, &client, client.n_down == 1));
    CU_ASSERT(client.link->backoff_ms < 800);
    end();
}

static void a_peer_that_is_gone_stays_until_its_session_has_ended(void) {
    MiniClient other = {0};

    begin(TCP);
    mini_client_open(&other, broker.endpoint);
    CU_ASSERT_TRUE(MINI_UNTIL(&broker, &other, other.n_up == 1));
    broker.n_not_yet = 5;
    mini_client_close(&other);
    CU_ASSERT_TRUE(MINI_UNTIL(&broker, NULL, broker.n_not_yet == 1));
    CU_ASSERT_EQUAL(broker.n_gone, 0);
    expect_served();
    CU_ASSERT_TRUE(MINI_UNTIL(&broker, NULL, broker.n_gone == 1));
    end();
}

static void large_bodies_go_both_ways(void) {
    begin(TCP);
    CU_ASSERT_EQUAL(mini_call(&client, 200, 3 << 20), 0);
    CU_ASSERT_EQUAL(mini_call(&client, 201, 131072), 0);
    CU_ASSERT_EQUAL(mini_call(&client, 202, 131073), 0);
    CU_ASSERT_TRUE(MINI_UNTIL(&broker, &client, client.n_messages == 3));
    CU_ASSERT_EQUAL(client.n_wrong, 0);
    CU_ASSERT_EQUAL(client.n_down, 0);
    CU_ASSERT_EQUAL(link_waiting(client.link), 0);
    end();
}

static void messages_wait_for_credit(void) {
    broker = (MiniBroker){.welcome_bytes = 1};
    mini_broker_open(&broker, TCP);
    connect_client(broker.endpoint);
    CU_ASSERT_TRUE(MINI_UNTIL(&broker, &client, client.n_up == 1));
    for (uint64_t id = 1; id <= 10; id++)
        CU_ASSERT_EQUAL(mini_call(&client, id, 1000), 0);
    mini_turns(&broker, &client, 200);
    CU_ASSERT_EQUAL(broker.n_calls, 1);
    CU_ASSERT(link_waiting(client.link) > 9000);
    CU_ASSERT_PTR_NOT_NULL_FATAL(broker.last);
    peer_put(broker.last, LANE_CONTROL, &(Message){.op = OP_CREDIT, .credit.bytes = 100000}, NULL);
    CU_ASSERT_TRUE(MINI_UNTIL(&broker, &client, client.n_messages == 10));
    CU_ASSERT_EQUAL(client.n_wrong, 0);
    end();
}

static void the_outbox_of_a_link_is_bounded(void) {
    int r = 0;
    unsigned n = 0;

    broker = (MiniBroker){.welcome_bytes = 1};
    mini_broker_open(&broker, TCP);
    connect_client(broker.endpoint);
    CU_ASSERT_TRUE(MINI_UNTIL(&broker, &client, client.n_up == 1));
    for (; r == 0 && n < 1000; n++)
        r = mini_call(&client, n + 1, 100000);
    CU_ASSERT_EQUAL(r, -EAGAIN);
    CU_ASSERT(link_waiting(client.link) < (10u << 20));
    end();
}

static void flushing_alone_sends_messages_after_a_full_socket(void) {
    uint64_t until_ms;
    int r = 0;

    broker = (MiniBroker){.welcome_bytes = 256 << 20, .mute = true};
    mini_broker_open(&broker, TCP);
    connect_client(broker.endpoint);
    CU_ASSERT_TRUE(MINI_UNTIL(&broker, &client, client.n_up == 1));
    for (unsigned n = 1; r == 0 && n < 1000 && link_waiting(client.link) < 500000; n++)
        r = mini_call(&client, n, 100000);
    CU_ASSERT(link_waiting(client.link) > 0);
    until_ms = clock_ms() + 60000;
    while (link_waiting(client.link) > 0 && clock_ms() < until_ms) {
        mini_turn(&broker, NULL);
        link_flush(client.link);
    }
    CU_ASSERT_EQUAL(link_waiting(client.link), 0);
    end();
}

/* Deferred batches of the peer may have earlier PARTs of the same body. */
static void a_body_waits_behind_the_deferred_batches_of_its_peer(void) {
    for (int has_more = 0; has_more < 2; has_more++) {
        begin(TCP);
        broker.last->has_more = has_more;
        CU_ASSERT_EQUAL(mini_call(&client, 5, 700 * 1000), 0);
        CU_ASSERT_TRUE(MINI_UNTIL(&broker, &client, client.n_messages == 1));
        CU_ASSERT_EQUAL(client.last_len, 700 * 1000);
        CU_ASSERT_EQUAL(client.n_wrong, 0);
        CU_ASSERT_EQUAL(broker.n_landed > 0, !has_more);
        broker.last->has_more = false;
        end();
    }
}

/* ---- strangers ---- */

static int raw_connection(void) {
    struct sockaddr_in to = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    to.sin_port = htons((uint16_t)atoi(strrchr(broker.endpoint, ':') + 1));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connect(fd, (struct sockaddr *)&to, sizeof(to));
    return fd;
}

static bool is_closed(int fd) {
    char bytes[512];
    ssize_t n;

    while ((n = recv(fd, bytes, sizeof(bytes), 0)) > 0)
        continue;
    return n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

static void peers_that_do_not_speak_zmtp_are_cut_without_effect_on_others(void) {
    static const char *const texts[] = {
        "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n",
        "*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n",
        ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 and so on, "
         "as TLS would, for a while")};
    char bytes[256];

    begin(TCP);
    for (int round = 0; round < 40; round++) {
        int fd = raw_connection();
        size_t len = sizeof(bytes);

        random_bytes(bytes, sizeof(bytes));
        if (round < 8) {
            len = strlen(texts[round % 4]);
            memcpy(bytes, texts[round % 4], len);
        }
        mini_turns(&broker, &client, 5);
        send(fd, bytes, len, MSG_NOSIGNAL);
        for (int turn = 0; turn < 5 && !is_closed(fd); turn++)
            mini_turn(&broker, &client);
        close(fd);
    }
    CU_ASSERT_TRUE(MINI_UNTIL(&broker, &client, hub_n_peers(broker.hub) == 1));
    expect_served();
    end();
}

static void frames_that_no_client_sends_are_cut(void) {
    void *context = zmq_ctx_new(), *dealer = zmq_socket(context, ZMQ_DEALER);
    int no = 0, off = -1;
    unsigned before;

    begin(TCP);
    zmq_setsockopt(dealer, ZMQ_LINGER, &no, sizeof(no));
    zmq_setsockopt(dealer, ZMQ_RECONNECT_IVL, &off, sizeof(off));
    zmq_connect(dealer, broker.endpoint);
    before = broker.n_batches;
    zmq_send(dealer, "\xf7\x01\x91\x03", 4, ZMQ_SNDMORE);
    zmq_send(dealer, "\xf7\x01\x91\x03", 4, ZMQ_SNDMORE);
    zmq_send(dealer, "\xf7\x01\x91\x03", 4, 0);
    mini_turns(&broker, &client, 100);
    zmq_send(dealer, "\xf7\x01\x91\x03", 4, ZMQ_DONTWAIT);
    mini_turns(&broker, &client, 100);
    CU_ASSERT_EQUAL(broker.n_batches, before);
    expect_served();
    zmq_close(dealer);
    zmq_ctx_term(context);
    end();
}

static void a_routing_id_that_a_peer_chose_is_ignored(void) {
    void *context = zmq_ctx_new(), *dealer = zmq_socket(context, ZMQ_DEALER);
    int no = 0, off = -1;

    begin(TCP);
    zmq_setsockopt(dealer, ZMQ_LINGER, &no, sizeof(no));
    zmq_setsockopt(dealer, ZMQ_RECONNECT_IVL, &off, sizeof(off));
    zmq_setsockopt(dealer, ZMQ_ROUTING_ID, "somebody", 8);
    zmq_connect(dealer, broker.endpoint);
    zmq_send(dealer, "\xf7\x01\x91\x03", 4, 0);
    CU_ASSERT_TRUE(MINI_UNTIL(&broker, &client, hub_n_peers(broker.hub) == 2));
    expect_served();
    zmq_close(dealer);
    zmq_ctx_term(context);
    end();
}

static unsigned n_refused_accepts;

int __real_accept4(int fd, struct sockaddr *address, socklen_t *len, int flags);
int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *len, int flags);

int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *len, int flags) {
    int r = __real_accept4(fd, address, len, flags);

    n_refused_accepts += r < 0 && errno == EMFILE;
    return r;
}

static void at_the_descriptor_limit_connected_clients_are_still_served(void) {
    enum { N = 150 };
    struct rlimit old, few;
    int fds[N];

    getrlimit(RLIMIT_NOFILE, &old);
    few = old;
    few.rlim_cur = 256;
    setrlimit(RLIMIT_NOFILE, &few);
    begin(TCP);
    /* The test's own ends are above the limit of the broker's, so that both fit into one process.
     */
    setrlimit(RLIMIT_NOFILE, &old);
    for (int i = 0; i < N; i++)
        fds[i] = raw_connection();
    mini_turns(&broker, &client, 300);
    /* Until its timer is due, the hub leaves the waiting connections to the kernel. */
    fake_clock_stop();
    n_refused_accepts = 0;
    mini_turns(&broker, &client, 200);
    CU_ASSERT(n_refused_accepts <= 1);
    fake_clock_run();
    expect_served();
    for (int i = 0; i < N; i++)
        close(fds[i]);
    mini_turns(&broker, &client, 300);
    expect_served();
    end();
}

/* ---- peers that die ---- */

static pid_t spawn_client(void) {
    char *args[] = {(char *)(uintptr_t)self, (char *)(uintptr_t) "client", broker.endpoint, NULL};
    unsigned before = broker.n_hello;
    pid_t pid = -1;

    CU_ASSERT_EQUAL_FATAL(posix_spawn(&pid, self, NULL, NULL, args, environ), 0);
    CU_ASSERT_TRUE(MINI_UNTIL(&broker, NULL, broker.n_hello > before));
    return pid;
}

static int be_client(const char *url) {
    mini_client_open(&client, url);
    /* Runs until the test kills it, or for a minute if the test dies first. */
    mini_turns(NULL, &client, 60000);
    return EXIT_SUCCESS;
}

/* The clock stands, so silence alone is never noticed. */
static void a_killed_peer_is_noticed_at_once(void) {
    broker = (MiniBroker){0};
    mini_broker_open(&broker, TCP);
    for (unsigned round = 1; round <= 5; round++) {
        pid_t pid = spawn_client();

        fake_clock_stop();
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        CU_ASSERT_TRUE(MINI_UNTIL(&broker, NULL, broker.n_gone == round));
        fake_clock_run();
    }
    mini_broker_close(&broker);
}

static void a_stopped_peer_is_noticed_within_eight_seconds(void) {
    unsigned waited_ms = 0;
    pid_t pid;

    broker = (MiniBroker){0};
    mini_broker_open(&broker, TCP);
    pid = spawn_client();
    mini_turns(&broker, NULL, 3000);
    kill(pid, SIGSTOP);
    fake_clock_stop();
    for (; broker.n_gone == 0 && waited_ms < 60000; waited_ms++) {
        mini_turn(&broker, NULL);
        fake_clock_move(1);
    }
    fake_clock_run();
    printf("(%u ms) ", waited_ms);
    CU_ASSERT(waited_ms < 8500);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    mini_broker_close(&broker);
}

static void half_a_greeting_is_cut_in_time(void) {
    int fd;

    begin(TCP);
    fd = raw_connection();
    mini_turns(&broker, &client, 20);
    send(fd, "\xff\0\0\0\0\0\0\0\1\x7f", 10, MSG_NOSIGNAL);
    CU_ASSERT_TRUE(MINI_UNTIL(&broker, &client, is_closed(fd)));
    close(fd);
    CU_ASSERT_EQUAL(hub_n_peers(broker.hub), 1);
    end();
}

int main(int argc, char **argv) {
    CU_TestInfo tests[] = {
        TEST(a_link_is_up_after_welcome_and_sends_bye),
        TEST(messages_are_refused_before_the_link_is_up),
        TEST(a_forked_child_keeps_no_connection_watched),
        TEST(a_link_reconnects_to_a_new_broker),
        TEST(answers_before_the_end_of_a_connection_are_read),
        TEST(an_attempt_lasts_longer_if_the_program_was_away),
        TEST(an_address_without_an_answer_is_given_up_after_three_seconds),
        TEST(pauses_grow_if_the_broker_ends_each_session),
        TEST(a_peer_that_is_gone_stays_until_its_session_has_ended),
        TEST(large_bodies_go_both_ways),
        TEST(messages_wait_for_credit),
        TEST(the_outbox_of_a_link_is_bounded),
        TEST(flushing_alone_sends_messages_after_a_full_socket),
        TEST(a_body_waits_behind_the_deferred_batches_of_its_peer),
        TEST(peers_that_do_not_speak_zmtp_are_cut_without_effect_on_others),
        TEST(frames_that_no_client_sends_are_cut),
        TEST(a_routing_id_that_a_peer_chose_is_ignored),
        TEST(at_the_descriptor_limit_connected_clients_are_still_served),
        TEST(a_killed_peer_is_noticed_at_once),
        TESTS_END,
    };
    CU_TestInfo slow[] = {
        TEST(a_stopped_peer_is_noticed_within_eight_seconds),
        TEST(half_a_greeting_is_cut_in_time),
        TESTS_END,
    };

    self = argv[0];
    if (argc == 2 && strcmp(argv[1], "zmq") == 0)
        transport = "zmq+";
    if (argc == 3 && strcmp(argv[1], "client") == 0)
        return be_client(argv[2]);
    return argc == 2 && strcmp(argv[1], "slow") == 0 ? run_suite("rpc/link, slow", slow)
                                                     : run_suite("rpc/link hub and link", tests);
}
