/* SPDX-License-Identifier: Apache-2.0 */
/* The capitaliser without ferry: a child process, one TCP connection, poll() against the deadlock.
 */

#include "plain-tcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 32 * 1024 };

static double seconds(void) {
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void capitalise_all(int fd) {
    static unsigned char piece[PIECE];
    ssize_t n;

    while ((n = read(fd, piece, sizeof(piece))) > 0) {
        for (ssize_t i = 0; i < n; i++)
            piece[i] = (unsigned char)(piece[i] - 32 * ((unsigned char)(piece[i] - 'a') < 26));
        for (ssize_t at = 0, m; at < n; at += m)
            if ((m = write(fd, piece + at, (size_t)(n - at))) < 0)
                return;
    }
}

/* Writes and reads in turns, whenever the socket is ready: only writing, or only reading, would
 * wait for ever. */
static bool exchange(int fd, uint64_t total) {
    static unsigned char out[PIECE], in[PIECE];
    uint64_t sent = 0, received = 0;

    for (size_t i = 0; i < PIECE; i += 16)
        memcpy(out + i, "capitalize this!", 16);
    while (received < total) {
        struct pollfd p = {fd, (short)(POLLIN | (sent < total ? POLLOUT : 0)), 0};
        ssize_t n;

        if (poll(&p, 1, 30000) <= 0)
            return false;
        if (p.revents & POLLOUT) {
            n = send(fd, out, PIECE < total - sent ? PIECE : (size_t)(total - sent), MSG_DONTWAIT);
            if (n < 0 && errno != EAGAIN)
                return false;
            sent += n > 0 ? (uint64_t)n : 0;
        }
        if (p.revents & (POLLIN | POLLHUP | POLLERR)) {
            n = recv(fd, in, sizeof(in), MSG_DONTWAIT);
            if (n == 0 || (n < 0 && errno != EAGAIN))
                return false;
            received += n > 0 ? (uint64_t)n : 0;
        }
    }
    return true;
}

/* Both ends of a connection over loopback. */
static bool connect_pair(int fds[2]) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok;

    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ok = bind(listener, (struct sockaddr *)&address, len) == 0 && listen(listener, 1) == 0 &&
         getsockname(listener, (struct sockaddr *)&address, &len) == 0 &&
         connect(fds[0], (struct sockaddr *)&address, len) == 0;
    fds[1] = ok ? accept(listener, NULL, NULL) : -1;
    close(listener);
    return fds[1] >= 0;
}

double plain_tcp(uint64_t total) {
    double started = seconds();
    int fds[2];
    pid_t child;
    bool ok;

    if (!connect_pair(fds))
        return -1;
    child = fork();
    if (child == 0) {
        close(fds[0]);
        capitalise_all(fds[1]);
        _exit(0);
    }
    close(fds[1]);
    ok = child > 0 && exchange(fds[0], total);
    close(fds[0]);
    if (child > 0)
        waitpid(child, NULL, 0);
    return ok ? seconds() - started : -1;
}
