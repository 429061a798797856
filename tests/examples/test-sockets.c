/* SPDX-License-Identifier: Apache-2.0 */
/* The example sockets: numbers, options, path MTU, TIME_WAIT, the list with owners, the walk of
 * states. */

#include <netinet/in.h>
#include <sys/socket.h>

#include "examples/stage.h"
#include "examples/world.h"
#include "sockets.h"

static Stage stage;

static const sockets_os_error *os_error(int r, int expected, const char *call) {
    const sockets_os_error *e = sockets_os_error_in(&stage.error);

    CU_ASSERT_EQUAL(r, -EREMOTEIO);
    CU_ASSERT(e && e->os_errno == expected && strcmp(e->message, strerror(expected)) == 0 &&
              strcmp(e->call, call) == 0);
    return e;
}

/* ---- the hazard: a server that is started again at once ---- */

static void time_wait_holds_the_port(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    uint16_t port;
    int listener = listen_on("127.0.0.1", &port), client = socket(AF_INET, SOCK_STREAM, 0), server,
        again = socket(AF_INET, SOCK_STREAM, 0);
    char byte;

    at.sin_port = htons(port);
    CU_ASSERT_EQUAL(connect(client, (struct sockaddr *)&at, sizeof(at)), 0);
    server = accept(listener, NULL, NULL);
    close(server);
    CU_ASSERT_EQUAL(recv(client, &byte, 1, 0), 0);
    close(client);
    close(listener);
    CU_ASSERT(bind(again, (struct sockaddr *)&at, sizeof(at)) < 0 && errno == EADDRINUSE);
    close(again);
}

static void reuse_address_frees_it(void) {
    sockets_rebound *rebound = NULL;
    const sockets_os_error *e;

    e = os_error(sockets_rebind(stage.client, false, &rebound, &stage.error), EADDRINUSE, "bind");
    CU_ASSERT(e && strcmp(e->name, "EADDRINUSE") == 0);
    CU_ASSERT_EQUAL(sockets_rebind(stage.client, true, &rebound, &stage.error), 0);
    CU_ASSERT(rebound && rebound->port > 0 && rebound->state == SOCKETS_STATE_TIME_WAIT &&
              rebound->reuse_address);
    ferry_free(rebound);
}

/* ---- numbers and options ---- */

static void closed_sockets_have_no_number(void) {
    ferry_list_i32 *fds = NULL;

    CU_ASSERT_EQUAL(sockets_filenos(stage.client, 3, &fds, &stage.error), 0);
    CU_ASSERT(fds && fds->n == 3 && fds->v[0] >= 0 && fds->v[1] > fds->v[0] && fds->v[2] == -1);
    ferry_free(fds);
    CU_ASSERT_EQUAL(sockets_filenos(stage.client, 0, &fds, &stage.error), -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(sockets_bad_value_in(&stage.error));
    CU_ASSERT_EQUAL(sockets_filenos(stage.client, 101, &fds, &stage.error), -EREMOTEIO);
}

static void options_are_read_and_set(void) {
    sockets_option *option = NULL;
    sockets_list_option *options = NULL;
    sockets_change *change = NULL;
    const sockets_no_such_option *unknown;

    CU_ASSERT_EQUAL(
        sockets_get_option(stage.client, SOCKETS_KIND_UDP, "SO_TYPE", &option, &stage.error), 0);
    CU_ASSERT(option && option->value == SOCK_DGRAM && option->number == SO_TYPE &&
              strcmp(option->level, "SOL_SOCKET") == 0 &&
              strcmp(option->meaning, "SOCK_DGRAM") == 0);
    ferry_free(option);
    for (size_t i = 0; i < 3; i++) {
        static const char *const names[] = {"SO_BROADCAST", "SO_DONTROUTE", "SO_REUSEADDR"};

        CU_ASSERT_EQUAL(
            sockets_set_option(stage.client, SOCKETS_KIND_UDP, names[i], 1, &change, &stage.error),
            0);
        CU_ASSERT(change && change->before == 0 && change->after == 1);
        change = (sockets_change *)ferry_free(change);
    }
    CU_ASSERT_EQUAL(sockets_set_option(stage.client, SOCKETS_KIND_TCP, "SO_SNDBUF", 50000, &change,
                                       &stage.error),
                    0);
    CU_ASSERT(change && change->after == 100000);
    change = (sockets_change *)ferry_free(change);
    os_error(
        sockets_set_option(stage.client, SOCKETS_KIND_TCP, "SO_TYPE", 1, &change, &stage.error),
        ENOPROTOOPT, "setsockopt");
    os_error(sockets_get_option(stage.client, SOCKETS_KIND_UDP, "IP_MTU", &option, &stage.error),
             ENOTCONN, "getsockopt");
    CU_ASSERT_EQUAL(
        sockets_get_option(stage.client, SOCKETS_KIND_UDP, "SO_NONE", &option, &stage.error),
        -EREMOTEIO);
    unknown = sockets_no_such_option_in(&stage.error);
    CU_ASSERT(unknown && strcmp(unknown->name, "SO_NONE") == 0 && unknown->known.n == 20);
    CU_ASSERT_EQUAL(sockets_options(stage.client, SOCKETS_KIND_TCP6, &options, &stage.error), 0);
    CU_ASSERT(options && options->n > 10);
    ferry_free(options);
    CU_ASSERT_EQUAL(sockets_options(stage.client, 9, &options, &stage.error), -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(sockets_bad_value_in(&stage.error));
}

static void the_path_has_an_mtu(void) {
    sockets_path *path = NULL;

    CU_ASSERT_EQUAL(sockets_path_mtu(stage.client, "127.0.0.1", &path, &stage.error), 0);
    CU_ASSERT(path && path->mtu >= 16384 && path->payload <= path->mtu - 28);
    ferry_free(path);
    os_error(sockets_path_mtu(stage.client, "198.51.100.1", &path, &stage.error), ENETUNREACH,
             "connect");
    CU_ASSERT_EQUAL(sockets_path_mtu(stage.client, "localhost", &path, &stage.error), -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(sockets_bad_value_in(&stage.error));
}

/* ---- the list ---- */

static const sockets_entry *find(const sockets_list_entry *list, sockets_state state,
                                 int32_t port) {
    for (size_t i = 0; list && i < list->n; i++)
        if (list->v[i].state == state && list->v[i].local_port == port)
            return &list->v[i];
    return NULL;
}

static void sockets_are_listed_with_states_and_owners(void) {
    uint16_t port, port6;
    int listener = listen_on("127.0.0.1", &port), client = socket(AF_INET, SOCK_STREAM, 0),
        six = listen_on("::1", &port6), server;
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int32_t number = port;
    sockets_state state = SOCKETS_STATE_LISTEN;
    sockets_filter filter = SOCKETS_FILTER_INIT;
    sockets_list_entry *list = NULL;
    const sockets_entry *entry;
    char name[16] = "";

    CU_ASSERT_EQUAL(connect(client, (struct sockaddr *)&at, sizeof(at)), 0);
    server = accept(listener, NULL, NULL);
    CU_ASSERT_EQUAL(send(client, "hello", 5, 0), 5);
    filter.port = &number;
    CU_ASSERT_EQUAL(sockets_entries(stage.client, &filter, &list, &stage.error), 0);
    CU_ASSERT(list && list->n == 3); /* the listener and both ends */
    entry = find(list, SOCKETS_STATE_LISTEN, port);
    pthread_getname_np(pthread_self(), name, sizeof(name));
    CU_ASSERT(entry && strcmp(entry->local_address, "127.0.0.1") == 0 &&
              strcmp(entry->remote_address, "0.0.0.0") == 0 && entry->owner &&
              entry->owner->pid == getpid() && entry->owner->fd == listener &&
              strcmp(entry->owner->command, name) == 0);
    entry = find(list, SOCKETS_STATE_ESTABLISHED, port);
    CU_ASSERT(entry && entry->recv_queue == 5 && entry->owner && entry->owner->fd == server);
    list = (sockets_list_entry *)ferry_free(list);

    filter.state = &state;
    CU_ASSERT_EQUAL(sockets_entries(stage.client, &filter, &list, &stage.error), 0);
    CU_ASSERT(list && list->n == 1);
    list = (sockets_list_entry *)ferry_free(list);
    number = port6;
    CU_ASSERT_EQUAL(sockets_entries(stage.client, &filter, &list, &stage.error), 0);
    CU_ASSERT(list && list->n == 1 && list->v[0].kind == SOCKETS_KIND_TCP6 &&
              strcmp(list->v[0].local_address, "::1") == 0);
    ferry_free(list);
    close(six);
    close(server);
    close(client);
    close(listener);
}

/* ---- the walk ---- */

static void a_connection_walks_through_all_its_states(void) {
    static const struct {
        sockets_state client, server;
    } expected[] = {
        {SOCKETS_STATE_CLOSED, SOCKETS_STATE_LISTEN},
        {SOCKETS_STATE_SYN_SENT, SOCKETS_STATE_LISTEN},
        {SOCKETS_STATE_ESTABLISHED, SOCKETS_STATE_SYN_RECV},
        {SOCKETS_STATE_ESTABLISHED, SOCKETS_STATE_ESTABLISHED},
        {SOCKETS_STATE_ESTABLISHED, SOCKETS_STATE_FIN_WAIT1},
        {SOCKETS_STATE_CLOSE_WAIT, SOCKETS_STATE_FIN_WAIT2},
        {SOCKETS_STATE_LAST_ACK, SOCKETS_STATE_FIN_WAIT2},
        {SOCKETS_STATE_CLOSED, SOCKETS_STATE_TIME_WAIT},
    };
    ferry_stream *stream = NULL;
    sockets_step *step;
    size_t n = 0;
    int r = sockets_walk(stage.client, &stream, &stage.error);

    while (r >= 0 && (r = sockets_walk_next(stream, &step, &stage.error)) > 0) {
        CU_ASSERT(n < 8 && step->client == expected[n].client &&
                  step->server == expected[n].server);
        ferry_free(step);
        n++;
    }
    CU_ASSERT(r == 0 && n == 8);
    ferry_stream_close(stream);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(time_wait_holds_the_port),
        TEST(reuse_address_frees_it),
        TEST(closed_sockets_have_no_number),
        TEST(options_are_read_and_set),
        TEST(the_path_has_an_mtu),
        TEST(sockets_are_listed_with_states_and_owners),
        TEST(a_connection_walks_through_all_its_states),
        TESTS_END,
    };
    int r;

    if (!world_isolate()) /* the list is of this namespace alone; no route leads outside */
        return 77;
    stage_open(&stage, sockets_start);
    r = run_suite("example sockets", tests);
    stage_close(&stage);
    world_end();
    return r;
}
