/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The states of one connection on loopback, each held until it was seen in /proc/net/tcp.
 *
 * Some states last almost no time on loopback. A full backlog holds the first one, TCP_DEFER_ACCEPT
 * the half-open one, and a FIN behind unread data stays unacknowledged.
 */

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "handlers.h"

enum { LOOKS = 4000, LOOK_US = 2500, DEFER_S = 5 };

typedef struct Walk {
    ferry_request *request;
    int listener, client, server;
    uint16_t port, client_port; /* of the listener and of the client */
    const char *call;           /* the call that failed */
} Walk;

/* ---- looking ---- */

/* Returns the state of the end with these ports; CLOSED: there is no such connection. A listener
 * has the remote port 0. */
static sockets_state state_of(uint16_t local, uint16_t remote) {
    unsigned local_port, remote_port, state, found = SOCKETS_STATE_CLOSED;
    FILE *file = fopen("/proc/net/tcp", "re");
    char line[512];

    while (file && fgets(line, sizeof(line), file))
        if (sscanf(line, " %*d: %*8[0-9A-F]:%x %*8[0-9A-F]:%x %x", &local_port, &remote_port,
                   &state) == 3 &&
            local_port == local && remote_port == remote)
            found = state;
    if (file)
        fclose(file);
    return (sockets_state)found;
}

/* Waits until both ends are in these states, then tells the caller. 0, or a negative errno. */
static int expect(Walk *walk, const char *event, sockets_state client, sockets_state server) {
    sockets_state c = 0, s = 0;

    for (int i = 0; i < LOOKS; i++) {
        c = walk->client_port ? state_of(walk->client_port, walk->port) : SOCKETS_STATE_CLOSED;
        s = walk->client_port ? state_of(walk->port, walk->client_port) : SOCKETS_STATE_CLOSED;
        if (s == SOCKETS_STATE_CLOSED)
            s = state_of(walk->port, 0);
        if (c == client && s == server)
            return sockets_walk_yield(walk->request, &(sockets_step){event, c, s});
        if (ferry_request_cancelled(walk->request))
            return -ECANCELED;
        usleep(LOOK_US);
    }
    walk->call = event;
    return -ETIMEDOUT;
}

/* ---- acting ---- */

static int fail(Walk *walk, const char *call) {
    walk->call = call;
    return -errno;
}

static int listen_on_loopback(int fd, int backlog, uint16_t *ret_port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, backlog) < 0 ||
        getsockname(fd, (struct sockaddr *)&at, &(socklen_t){sizeof(at)}) < 0)
        return -errno;
    *ret_port = ntohs(at.sin_port);
    return 0;
}

static int connect_to(int fd, uint16_t port) {
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};

    return connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 ? 0 : -errno;
}

static uint16_t port_of(int fd) {
    struct sockaddr_in at = {.sin_port = 0};

    getsockname(fd, (struct sockaddr *)&at, &(socklen_t){sizeof(at)});
    return ntohs(at.sin_port);
}

/* Sends until the receiver's window and the send buffer are full, and then closes this direction
 * (FIN). */
static void fill_and_shut(int fd) {
    static const char bytes[65536];

    while (send(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
        ;
    shutdown(fd, SHUT_WR);
}

/* Reads to the end. */
static int drain(Walk *walk, int fd) {
    static _Thread_local char bytes[65536];
    ssize_t n;

    do
        n = recv(fd, bytes, sizeof(bytes), 0);
    while (n > 0);
    return n < 0 ? fail(walk, "recv") : 0;
}

/* The states from the beginning to an established connection. */
static int open_up(Walk *walk) {
    int filler = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

    walk->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    walk->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (filler < 0 || walk->listener < 0 || walk->client < 0)
        r = fail(walk, "socket");
    else if ((r = listen_on_loopback(walk->listener, 0, &walk->port)) < 0)
        walk->call = "listen";
    if (r == 0)
        r = expect(walk, "listen()", SOCKETS_STATE_CLOSED, SOCKETS_STATE_LISTEN);
    if (r == 0 && connect_to(filler, walk->port) < 0)
        r = fail(walk, "connect");
    setsockopt(walk->listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &(int){DEFER_S}, sizeof(int));
    if (r == 0) {
        connect_to(walk->client,
                   walk->port); /* the backlog is full: SYN is dropped, and repeated */
        walk->client_port = port_of(walk->client);
        r = expect(walk, "connect(): SYN is on its way", SOCKETS_STATE_SYN_SENT,
                   SOCKETS_STATE_LISTEN);
    }
    if (r == 0)
        close(accept(walk->listener, NULL, NULL));
    close(filler);
    if (r == 0)
        r = expect(walk, "SYN+ACK came, ACK goes back", SOCKETS_STATE_ESTABLISHED,
                   SOCKETS_STATE_SYN_RECV);
    if (r == 0) {
        fcntl(walk->client, F_SETFL, 0);
        if (send(walk->client, "!", 1, MSG_NOSIGNAL) != 1 ||
            (walk->server = accept(walk->listener, NULL, NULL)) < 0)
            r = fail(walk, "accept");
    }
    return r < 0 ? r
                 : expect(walk, "the first byte came: accept()", SOCKETS_STATE_ESTABLISHED,
                          SOCKETS_STATE_ESTABLISHED);
}

/* The server closes first, like the server of the notes. */
static int wind_down(Walk *walk) {
    int r;

    fill_and_shut(walk->server);
    r = expect(walk, "server: shutdown(), FIN waits behind data", SOCKETS_STATE_ESTABLISHED,
               SOCKETS_STATE_FIN_WAIT1);
    if (r == 0)
        r = drain(walk, walk->client);
    if (r == 0)
        r = expect(walk, "client: read to the end, ACK", SOCKETS_STATE_CLOSE_WAIT,
                   SOCKETS_STATE_FIN_WAIT2);
    if (r == 0) {
        fill_and_shut(walk->client);
        r = expect(walk, "client: shutdown(), FIN waits behind data", SOCKETS_STATE_LAST_ACK,
                   SOCKETS_STATE_FIN_WAIT2);
    }
    if (r == 0)
        r = drain(walk, walk->server);
    return r < 0 ? r
                 : expect(walk, "server: read to the end, ACK; then 2 MSL", SOCKETS_STATE_CLOSED,
                          SOCKETS_STATE_TIME_WAIT);
}

int walk(ferry_request *request, void *ctx) {
    Walk walk = {.request = request, .listener = -1, .client = -1, .server = -1, .call = NULL};
    int r = open_up(&walk);

    (void)ctx;
    if (r == 0)
        r = wind_down(&walk);
    close(walk.client);
    close(walk.server);
    close(walk.listener);
    if (r < 0 && walk.call)
        return throw_os_error(request, walk.call, -r);
    return r < 0 ? ferry_request_fail(request, r, NULL) : sockets_walk_return(request);
}

/* ---- TIME_WAIT and the port ---- */

static int serve_once(int listener, uint16_t *port, uint16_t *client_port) {
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), server = -1, r;
    char byte;

    r = listen_on_loopback(listener, 1, port);
    if (r == 0)
        r = connect_to(client, *port);
    if (r == 0 && (server = accept(listener, NULL, NULL)) < 0)
        r = -errno;
    *client_port = port_of(client);
    if (r == 0) {
        shutdown(server, SHUT_WR); /* the side that ends first keeps the TIME_WAIT */
        recv(client, &byte, 1, 0);
        shutdown(client, SHUT_WR);
        recv(server, &byte, 1, 0);
    }
    close(server);
    close(client);
    return r;
}

int rebind(ferry_request *request, bool reuse_address, void *ctx) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int first = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), again = -1, r,
        reuse = reuse_address;
    uint16_t port = 0, client_port = 0;
    sockets_state state;

    (void)ctx;
    setsockopt(first, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse));
    r = serve_once(first, &port, &client_port);
    close(first);
    if (r < 0)
        return throw_os_error(request, "serve", -r);
    state = state_of(port, client_port);
    again = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(again, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse));
    at.sin_port = htons(port);
    r = bind(again, (struct sockaddr *)&at, sizeof(at)) < 0 ? -errno : 0;
    close(again);
    return r < 0 ? throw_os_error(request, "bind", -r)
                 : sockets_rebind_return(request, &(sockets_rebound){port, state, reuse_address});
}
