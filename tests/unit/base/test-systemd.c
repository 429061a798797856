/* SPDX-License-Identifier: Apache-2.0 */
#include "base/systemd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/suite.h"

/* A manager with an abstract socket, as systemd uses it for containers. */
static int manager(const char *name, char *ret_variable) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int len = snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "%s-%d", name, getpid());

    CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)&address,
                         (socklen_t)(sizeof(address.sun_family) + 1 + (size_t)len)),
                    0);
    sprintf(ret_variable, "@%s", address.sun_path + 1);
    return fd;
}

static void states_reach_the_manager(void) {
    char variable[108], got[128] = "";
    int fd = manager("ferry-test", variable);

    setenv("NOTIFY_SOCKET", variable, 1);
    CU_ASSERT_EQUAL(systemd_notify("READY=1\nSTATUS=serving"), 0);
    CU_ASSERT_TRUE(recv(fd, got, sizeof(got) - 1, 0) > 0);
    CU_ASSERT_STRING_EQUAL(got, "READY=1\nSTATUS=serving");
    memset(got, 0, sizeof(got));
    systemd_reloading();
    CU_ASSERT_TRUE(recv(fd, got, sizeof(got) - 1, 0) > 0);
    CU_ASSERT_EQUAL(strncmp(got, "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
    close(fd);
    CU_ASSERT_EQUAL(systemd_notify("READY=1"), -ECONNREFUSED);
}

static void without_a_manager_no_state_is_sent(void) {
    char name[200];

    unsetenv("NOTIFY_SOCKET");
    CU_ASSERT_EQUAL(systemd_notify("READY=1"), 0);
    setenv("NOTIFY_SOCKET", "relative/path", 1);
    CU_ASSERT_EQUAL(systemd_notify("READY=1"), -EINVAL);
    memset(name, 'x', sizeof(name) - 1);
    name[0] = '/';
    name[sizeof(name) - 1] = '\0';
    setenv("NOTIFY_SOCKET", name, 1);
    CU_ASSERT_EQUAL(systemd_notify("READY=1"), -EINVAL);
}

/* A manager that reads no datagram: its queue fills, and the program continues. */
static void a_manager_that_does_not_read_does_not_block_the_program(void) {
    char variable[108];
    int fd = manager("ferry-full", variable), r = 0;

    setenv("NOTIFY_SOCKET", variable, 1);
    for (int i = 0; i < 100000 && r == 0; i++)
        r = systemd_notify("WATCHDOG=1");
    CU_ASSERT_EQUAL(r, -EAGAIN);
    close(fd);
}

static void the_watchdog_is_meant_for_one_process(void) {
    char pid[16];

    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    CU_ASSERT_EQUAL(systemd_watchdog_ms(), 0);
    setenv("WATCHDOG_USEC", "30000000", 1);
    CU_ASSERT_EQUAL(systemd_watchdog_ms(), 30000);
    setenv("WATCHDOG_PID", "1", 1);
    CU_ASSERT_EQUAL(systemd_watchdog_ms(), 0);
    snprintf(pid, sizeof(pid), "%d", getpid());
    setenv("WATCHDOG_PID", pid, 1);
    CU_ASSERT_EQUAL(systemd_watchdog_ms(), 30000);
    setenv("WATCHDOG_USEC", "-5", 1);
    CU_ASSERT_EQUAL(systemd_watchdog_ms(), 0);
    setenv("WATCHDOG_USEC", "5x", 1);
    CU_ASSERT_EQUAL(systemd_watchdog_ms(), 0);
}

/* Calls the function in a child with n open sockets from descriptor 3 on, as a manager starts it.
 * Returns its result, or 99 if a later call, the variables or the descriptor are wrong. */
static int listen_fd_in_child(const char *pid, int n) {
    pid_t child = fork();
    char text[16];
    int status = 0, fd;

    if (child == 0) {
        for (int i = 0; i < n; i++)
            dup2(STDERR_FILENO, 3 + i);
        snprintf(text, sizeof(text), "%d", pid ? atoi(pid) : (int)getpid());
        setenv("LISTEN_PID", text, 1);
        snprintf(text, sizeof(text), "%d", n);
        setenv("LISTEN_FDS", text, 1);
        fd = systemd_listen_fd();
        if (getenv("LISTEN_PID") || getenv("LISTEN_FDS") || systemd_listen_fd() != 0)
            _exit(99);
        if (fd == 3 && fcntl(3, F_GETFD) != FD_CLOEXEC)
            _exit(99);
        _exit(fd < 0 ? -fd : fd);
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void a_socket_of_the_manager_is_taken_once(void) {
    CU_ASSERT_EQUAL(listen_fd_in_child(NULL, 1), 3);
    CU_ASSERT_EQUAL(listen_fd_in_child(NULL, 2), E2BIG);
    CU_ASSERT_EQUAL(listen_fd_in_child(NULL, 0), 0);
    CU_ASSERT_EQUAL(listen_fd_in_child("1", 1), 0); /* meant for another process */
    unsetenv("LISTEN_PID");
    setenv("LISTEN_FDS", "1", 1);
    CU_ASSERT_EQUAL(systemd_listen_fd(), 0);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(states_reach_the_manager),
        TEST(without_a_manager_no_state_is_sent),
        TEST(a_manager_that_does_not_read_does_not_block_the_program),
        TEST(the_watchdog_is_meant_for_one_process),
        TEST(a_socket_of_the_manager_is_taken_once),
        TESTS_END,
    };

    return run_suite("base systemd", tests);
}
