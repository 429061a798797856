/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets of libzmq that are not clients of ferry, or not DEALERs: each is refused, with the reason
 * and its address in the log, for any number of connections, and other clients are served as
 * before. DEALERs with older and newer options are served.
 */

#include <stdio.h>
#include <string.h>
#include <zmq.h>

#include "base/clock.h"
#include "support/faults.h"
#include "support/process.h"
#include "support/suite.h"

static Daemon broker;

static bool is_logged(const char *text, size_t n) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;

    while (daemon_log_lines(&broker, text) < n) {
        if (clock_ms() > until_ms)
            return false;
        sleep_ms(20);
    }
    return true;
}

static void *open_socket(void *context, int type) {
    int none = 0, soon_ms = 20;
    void *socket = zmq_socket(context, type);

    zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof(none));
    zmq_setsockopt(socket, ZMQ_RECONNECT_IVL, &soon_ms, sizeof(soon_ms));
    if (type == ZMQ_SUB)
        zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0);
    CU_ASSERT_EQUAL(zmq_connect(socket, broker.url), 0);
    return socket;
}

static void sockets_of_other_types_are_refused_by_name(void) {
    static const struct {
        const char *name;
        int type;
    } kinds[] = {
        {"PUSH", ZMQ_PUSH}, {"SUB", ZMQ_SUB}, {"REQ", ZMQ_REQ},       {"PUB", ZMQ_PUB},
        {"PULL", ZMQ_PULL}, {"REP", ZMQ_REP}, {"ROUTER", ZMQ_ROUTER}, {"PAIR", ZMQ_PAIR},
    };
    Bystander *bystander;
    void *context;

    daemon_start(&broker, &(DaemonOptions){.tcp = true});
    bystander = bystander_start(broker.url);
    context = zmq_ctx_new();
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        size_t before = daemon_log_lines(&broker, "its socket has the wrong type");
        void *socket = open_socket(context, kinds[i].type);

        zmq_send(socket, "hello", 5, ZMQ_DONTWAIT);
        CU_ASSERT_TRUE(is_logged("its socket has the wrong type", before + 1));
        CU_ASSERT_TRUE(daemon_log_lines(&broker, "peer=127.0.0.1:") > 0);
        printf("\n    %s: refused", kinds[i].name);
        zmq_close(socket);
    }
    zmq_ctx_term(context);
    CU_ASSERT_EQUAL(bystander_stop(bystander).n_failed, 0);
    CU_ASSERT_TRUE(daemon_log_is_clean(&broker));
    daemon_end(&broker);
}

/* The right type of socket, but the wrong messages. */
static void dealers_that_say_something_else_are_refused(void) {
    static const struct {
        const char *first, *logged;
        size_t len;
        int flags;
    } said[] = {
        {"hello", "problem=", 5, 0},
        {"\xF7\x01\x92\x03\x01", "HELLO must come first", 5, 0},
        {"", "problem=", 0, 0},
        {"a", "a message of more than one frame", 1, ZMQ_SNDMORE},
    };
    void *context = zmq_ctx_new();

    daemon_start(&broker, &(DaemonOptions){.tcp = true});
    for (size_t i = 0; i < sizeof(said) / sizeof(*said); i++) {
        size_t before = daemon_log_lines(&broker, said[i].logged);
        void *socket = open_socket(context, ZMQ_DEALER);

        zmq_send(socket, said[i].first, said[i].len, said[i].flags);
        if (said[i].flags)
            zmq_send(socket, "b", 1, 0);
        CU_ASSERT_TRUE(is_logged(said[i].logged, before + 1));
        zmq_close(socket);
    }
    zmq_ctx_term(context);
    CU_ASSERT_TRUE(daemon_log_is_clean(&broker));
    daemon_end(&broker);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(sockets_of_other_types_are_refused_by_name),
        TEST(dealers_that_say_something_else_are_refused),
        TESTS_END,
    };

    return run_suite("wrong peers", tests);
}
