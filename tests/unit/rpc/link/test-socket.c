/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/link/socket.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/suite.h"

static char bound[SOCKET_TEXT_MAX];

static void expect_connects(const char *endpoint) {
    struct pollfd wait;
    int listener = -1, fd = -1;

    CU_ASSERT_EQUAL_FATAL(socket_listen(endpoint, &listener, bound), 0);
    CU_ASSERT_EQUAL_FATAL(socket_connect(bound, &fd), 0);
    wait = (struct pollfd){fd, POLLOUT, 0};
    CU_ASSERT_EQUAL(poll(&wait, 1, 60000), 1);
    CU_ASSERT_EQUAL(socket_connected(fd), 0);
    close(fd);
    close(listener);
}

static void it_listens_and_connects_by_both_families(void) {
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

static void nobody_there_is_an_error(void) {
    struct pollfd wait;
    int fd = -1;

    CU_ASSERT_EQUAL(socket_listen("tcp://no-such-interface:1", &fd, bound), -ENODEV);
    CU_ASSERT_EQUAL(socket_connect("ipc:///tmp/ferry-nobody-is-here", &fd), -ENOENT);
    CU_ASSERT_EQUAL_FATAL(socket_connect("tcp://127.0.0.1:1", &fd), 0);
    wait = (struct pollfd){fd, POLLOUT, 0};
    CU_ASSERT_EQUAL(poll(&wait, 1, 60000), 1);
    CU_ASSERT_EQUAL(socket_connected(fd), -ECONNREFUSED);
    close(fd);
}

static void a_socket_file_is_replaced_if_nobody_listens(void) {
    char folder[] = "/tmp/ferry-socket-XXXXXX", endpoint[64];
    int first = -1, second = -1;
    FILE *file;

    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
    snprintf(endpoint, sizeof(endpoint), "ipc://%s/socket", folder);
    CU_ASSERT_EQUAL(socket_listen(endpoint, &first, bound), 0);
    CU_ASSERT_EQUAL(socket_listen(endpoint, &second, bound), -EADDRINUSE);
    close(first);
    CU_ASSERT_EQUAL(socket_listen(endpoint, &second, bound), 0);
    close(second);
    unlink(endpoint + 6);
    file = fopen(endpoint + 6, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fclose(file);
    CU_ASSERT_EQUAL(socket_listen(endpoint, &second, bound), -EEXIST);
    unlink(endpoint + 6);
    rmdir(folder);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(it_listens_and_connects_by_both_families),
        TEST(nobody_there_is_an_error),
        TEST(a_socket_file_is_replaced_if_nobody_listens),
        TESTS_END,
    };

    return run_suite("rpc/link socket", tests);
}
