/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A blocking call costs its caller three system calls: one sends the request, one waits, one reads
 * the answer. The linker passes these functions of libc through the counters below.
 */

#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "support/broker.h"
#include "support/suite.h"

enum { WARM_UP = 300, COUNTED = 200, OTHERS = 20 /* heartbeats */ };

static TestBroker broker;
static _Thread_local unsigned n_sent, n_waits, n_reads;

ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __real_recv(int fd, void *buffer, size_t size, int flags);
ssize_t __real_recvmsg(int fd, struct msghdr *message, int flags);
int __real_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __real_epoll_wait(int fd, struct epoll_event *events, int n, int timeout_ms);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_recv(int fd, void *buffer, size_t size, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __wrap_epoll_wait(int fd, struct epoll_event *events, int n, int timeout_ms);

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags) {
    n_sent++;
    return __real_sendmsg(fd, message, flags);
}

ssize_t __wrap_recv(int fd, void *buffer, size_t size, int flags) {
    n_reads++;
    return __real_recv(fd, buffer, size, flags);
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags) {
    n_reads++;
    return __real_recvmsg(fd, message, flags);
}

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms) {
    n_waits++;
    return __real_poll(fds, n, timeout_ms);
}

int __wrap_epoll_wait(int fd, struct epoll_event *events, int n, int timeout_ms) {
    n_waits++;
    return __real_epoll_wait(fd, events, n, timeout_ms);
}

static int say(ferry_request *request, void *ctx) {
    (void)ctx;
    return ferry_request_return(request, request->body);
}

static int serve(ferry_client *client, void *ctx) {
    const ferry_serve_options options = {.listen = ctx, .slots = 4};

    return ferry_serve_method(client, "test.Echo.say", &options, say, NULL, NULL, NULL);
}

static void call(ferry_client *client, unsigned n) {
    for (unsigned i = 0; i < n; i++)
        CU_ASSERT_EQUAL_FATAL(ferry_call(client, "test.Echo.say", ferry_str("hello"), NULL, NULL),
                              0);
}

static void expect_three_system_calls(const char *listen) {
    const ferry_options options = {.direct = listen != NULL, .timeout_ms = 60000};
    ferry_client *client = NULL;
    Runner server;

    broker_spawn(&broker);
    runner_start(&server, &broker, serve, (void *)(uintptr_t)listen);
    CU_ASSERT_EQUAL_FATAL(ferry_open(broker.url, &options, &client, NULL), 0);
    call(client, WARM_UP);
    n_sent = n_waits = n_reads = 0;
    call(client, COUNTED);
    printf("\n    %u calls%s: %u sendmsg, %u poll, %u recv", COUNTED, listen ? ", direct" : "",
           n_sent, n_waits, n_reads);
    CU_ASSERT_TRUE(n_sent >= COUNTED && n_sent <= COUNTED + OTHERS);
    CU_ASSERT_TRUE(n_waits >= COUNTED && n_waits <= COUNTED + OTHERS);
    CU_ASSERT_TRUE(n_reads >= COUNTED && n_reads <= COUNTED + OTHERS);
    ferry_close(client);
    runner_stop(&server);
    broker_terminate(&broker);
}

static void a_call_needs_three_system_calls(void) {
    expect_three_system_calls(NULL);
}

static void a_direct_call_needs_three_system_calls(void) {
    expect_three_system_calls("tcp://127.0.0.1:*");
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_call_needs_three_system_calls),
        TEST(a_direct_call_needs_three_system_calls),
        TESTS_END,
    };

    return run_suite("client: system calls", tests);
}
