/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/address/socket.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/suite.h"

static char bound[SOCKET_ENDPOINT_MAX];

/* 0 or a negative errno. */
static int result_of_connecting(int fd) {
    int code = 0;
    socklen_t len = sizeof(code);

    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &len) < 0 ? -errno : -code;
}

static void expect_connects(const char *endpoint) {
    struct pollfd wait;
    int listener = -1, fd = -1;

    CU_ASSERT_EQUAL_FATAL(socket_listen(endpoint, 0, &listener, bound), 0);
    CU_ASSERT_EQUAL_FATAL(socket_connect(bound, &fd), 0);
    wait = (struct pollfd){fd, POLLOUT, 0};
    CU_ASSERT_EQUAL(poll(&wait, 1, 60000), 1);
    CU_ASSERT_EQUAL(result_of_connecting(fd), 0);
    close(fd);
    close(listener);
}

static void ipv4_and_ipv6_listen_and_connect(void) {
    expect_connects("tcp://127.0.0.1:*");
    CU_ASSERT_EQUAL(strncmp(bound, "tcp://127.0.0.1:", 16), 0);
    expect_connects("tcp://localhost:0");
    expect_connects("tcp://lo:*");
    if (access("/proc/net/if_inet6", R_OK) == 0) {
        expect_connects("tcp://[::1]:*");
        CU_ASSERT_EQUAL(strncmp(bound, "tcp://[::1]:", 12), 0);
    }
    expect_connects("ipc://@ferry-test-socket");
}

static void a_star_takes_connections_of_both_families(void) {
    char endpoint[64];
    int listener = -1, port;

    CU_ASSERT_EQUAL_FATAL(socket_listen("tcp://*:*", 0, &listener, bound), 0);
    port = atoi(strrchr(bound, ':') + 1);
    for (int i = 0; i < 2; i++) {
        SocketAddress address = {0};
        socklen_t len = sizeof(address);
        struct pollfd wait = {listener, POLLIN, 0};
        char text[SOCKET_TEXT_MAX];
        int fd = -1, accepted;

        if (i == 1 && access("/proc/net/if_inet6", R_OK) != 0)
            break;
        snprintf(endpoint, sizeof(endpoint), i ? "tcp://[::1]:%d" : "tcp://127.0.0.1:%d", port);
        CU_ASSERT_EQUAL_FATAL(socket_connect(endpoint, &fd), 0);
        CU_ASSERT_EQUAL(poll(&wait, 1, 60000), 1);
        accepted = accept(listener, &address.any, &len);
        CU_ASSERT_TRUE(accepted >= 0);
        socket_unmap(&address);
        socket_text(accepted, &address.any, text);
        CU_ASSERT_EQUAL(strncmp(text, i ? "[::1]:" : "127.0.0.1:", i ? 6 : 10), 0);
        close(fd);
        close(accepted);
    }
    close(listener);
}

static void expect_congestion_control(int fd, const char *name) {
    char found[16] = "";
    socklen_t len = sizeof(found);

    CU_ASSERT_EQUAL(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, found, &len), 0);
    CU_ASSERT_STRING_EQUAL(found, name);
}

static void connections_on_the_loopback_interface_are_not_paced(void) {
    const char *endpoints[] = {"tcp://127.0.0.1:*", "tcp://[::1]:*"};

    for (int i = 0; i < 2; i++) {
        int listener = -1, fd = -1, accepted;
        struct pollfd wait;

        if (i == 1 && access("/proc/net/if_inet6", R_OK) != 0)
            break;
        CU_ASSERT_EQUAL_FATAL(socket_listen(endpoints[i], 0, &listener, bound), 0);
        CU_ASSERT_EQUAL_FATAL(socket_connect(bound, &fd), 0);
        wait = (struct pollfd){listener, POLLIN, 0};
        CU_ASSERT_EQUAL(poll(&wait, 1, 60000), 1);
        accepted = accept(listener, NULL, NULL);
        expect_congestion_control(fd, "reno");
        expect_congestion_control(accepted, "reno");
        close(accepted);
        close(fd);
        close(listener);
    }
}

static void a_listener_of_all_addresses_keeps_the_congestion_control_of_the_system(void) {
    int fd = socket(AF_INET, SOCK_STREAM, 0), listener = -1;
    char name[16] = "";
    socklen_t len = sizeof(name);

    CU_ASSERT_EQUAL(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &len), 0);
    CU_ASSERT_EQUAL_FATAL(socket_listen("tcp://*:*", 0, &listener, bound), 0);
    expect_congestion_control(listener, name);
    close(listener);
    close(fd);
}

static void a_socket_file_has_its_permissions_before_anybody_connects(void) {
    char folder[] = "/tmp/ferry-socket-XXXXXX", endpoint[64];
    struct stat status;
    int fd = -1;

    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
    snprintf(endpoint, sizeof(endpoint), "ipc://%s/socket", folder);
    CU_ASSERT_EQUAL_FATAL(socket_listen(endpoint, 0640, &fd, bound), 0);
    CU_ASSERT_EQUAL_FATAL(stat(endpoint + 6, &status), 0);
    CU_ASSERT_EQUAL(status.st_mode & 0777, 0640);
    close(fd);
    unlink(endpoint + 6);
    rmdir(folder);
}

static void connecting_without_a_listener_fails(void) {
    struct pollfd wait;
    int fd = -1;

    CU_ASSERT_EQUAL(socket_listen("tcp://no-such-interface:1", 0, &fd, bound), -ENODEV);
    CU_ASSERT_EQUAL(socket_connect("ipc:///tmp/ferry-nobody-is-here", &fd), -ENOENT);
    CU_ASSERT_EQUAL_FATAL(socket_connect("tcp://127.0.0.1:1", &fd), 0);
    wait = (struct pollfd){fd, POLLOUT, 0};
    CU_ASSERT_EQUAL(poll(&wait, 1, 60000), 1);
    CU_ASSERT_EQUAL(result_of_connecting(fd), -ECONNREFUSED);
    close(fd);
}

static void a_socket_file_without_a_listener_is_replaced(void) {
    char folder[] = "/tmp/ferry-socket-XXXXXX", endpoint[64];
    int first = -1, second = -1;
    FILE *file;

    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
    snprintf(endpoint, sizeof(endpoint), "ipc://%s/socket", folder);
    CU_ASSERT_EQUAL(socket_listen(endpoint, 0, &first, bound), 0);
    CU_ASSERT_EQUAL(socket_listen(endpoint, 0, &second, bound), -EADDRINUSE);
    close(first);
    CU_ASSERT_EQUAL(socket_listen(endpoint, 0, &second, bound), 0);
    close(second);
    unlink(endpoint + 6);
    file = fopen(endpoint + 6, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fclose(file);
    CU_ASSERT_EQUAL(socket_listen(endpoint, 0, &second, bound), -EEXIST);
    unlink(endpoint + 6);
    rmdir(folder);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(ipv4_and_ipv6_listen_and_connect),
        TEST(a_star_takes_connections_of_both_families),
        TEST(connections_on_the_loopback_interface_are_not_paced),
        TEST(a_listener_of_all_addresses_keeps_the_congestion_control_of_the_system),
        TEST(a_socket_file_has_its_permissions_before_anybody_connects),
        TEST(connecting_without_a_listener_fails),
        TEST(a_socket_file_without_a_listener_is_replaced),
        TESTS_END,
    };

    return run_suite("rpc/address socket", tests);
}
