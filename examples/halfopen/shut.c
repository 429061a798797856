/* SPDX-License-Identifier: Apache-2.0 */
/* The results at both ends of a TCP connection when one calls shutdown(). See shut.h. */

#include "shut.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Both ends of a connection on loopback. */
static int connect_pair(int fds[2]) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), r = 0;

    fds[1] = -1;
    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || fds[0] < 0 || bind(listener, (struct sockaddr *)&address, len) < 0 ||
        listen(listener, 1) < 0 || getsockname(listener, (struct sockaddr *)&address, &len) < 0 ||
        connect(fds[0], (struct sockaddr *)&address, len) < 0 ||
        (fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) < 0)
        r = -errno;
    if (listener >= 0)
        close(listener);
    return r;
}

static halfopen_result say(char text[96], ssize_t n) {
    int error_number = n < 0 ? errno : 0;

    if (n > 0)
        snprintf(text, 96, "%zd bytes", n);
    else
        snprintf(text, 96, "%s", n == 0 ? "end of file" : strerror(error_number));
    return (halfopen_result){text, error_number};
}

static halfopen_result try_recv(int fd, char text[96]) {
    char data[16];

    return say(text, recv(fd, data, sizeof(data), MSG_DONTWAIT));
}

static halfopen_result try_send(int fd, char text[96]) {
    return say(text, send(fd, "hello", 5, MSG_DONTWAIT | MSG_NOSIGNAL));
}

/* Waits until the other end's action has arrived. After SHUT_RD nothing arrives: the wait is short.
 */
static void settle(int fd) {
    poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 100);
}

int shut_observe(Shut *shut, int how) {
    halfopen_halves *h = &shut->halves;
    int fds[2], r = connect_pair(fds);

    if (r == 0 && shutdown(fds[0], how) < 0)
        r = -errno;
    if (r == 0) {
        h->own_recv = try_recv(fds[0], shut->texts[0]);
        settle(fds[1]);
        h->peer_recv = try_recv(fds[1], shut->texts[3]);
        h->peer_send = try_send(fds[1], shut->texts[4]);
        settle(fds[0]);
        h->own_recv_later = try_recv(fds[0], shut->texts[1]);
        h->own_send = try_send(fds[0], shut->texts[2]);
    }
    for (int i = 0; i < 2; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    return r;
}
