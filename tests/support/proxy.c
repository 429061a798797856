/* SPDX-License-Identifier: Apache-2.0 */
/* A bad line between clients and a broker. See proxy.h. */

#include "support/proxy.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

enum { LINES_MAX = 64, CHUNK = 65536, TURN_MS = 2, DRIP_BYTES = 7 };

enum { TO_BROKER, TO_CLIENT };

/* One direction: the bytes that were read but not written yet. */
typedef struct Pipe {
    uint8_t bytes[CHUNK];
    size_t from, to;
    bool ended; /* no further bytes will come */
} Pipe;

typedef struct Line {
    int fds[2]; /* sockets to the broker and to the client; -1: free */
    Pipe pipes[2];
} Line;

struct Proxy {
    pthread_t thread;
    pthread_mutex_t lock;
    int listener;
    uint16_t port, to_port;
    char url[64];
    Line lines[LINES_MAX];
    uint64_t n_bytes, n_connections, stalled_until_ms, dripping_until_ms;
    bool stop, refuse;
    bool corrupt[2];
    unsigned bit;
    uint8_t *record;
    size_t record_max, n_recorded;
};

static struct sockaddr_in loopback(uint16_t port) {
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
}

/* Closes a connection with RST instead of FIN. */
static void reset(int fd) {
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    close(fd);
}

static void cut(Line *line) {
    for (int i = 0; i < 2; i++) {
        if (line->fds[i] >= 0)
            reset(line->fds[i]);
        line->fds[i] = -1;
    }
}

static void accept_one(Proxy *proxy) {
    struct sockaddr_in address = loopback(proxy->to_port);
    int client = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), broker, i;

    if (client < 0)
        return;
    __atomic_add_fetch(&proxy->n_connections, 1, __ATOMIC_RELAXED);
    broker = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    for (i = 0; i < LINES_MAX && proxy->lines[i].fds[0] >= 0; i++)
        ;
    if (proxy->refuse || i == LINES_MAX ||
        connect(broker, (struct sockaddr *)&address, sizeof(address)) < 0) {
        reset(client);
        close(broker);
        return;
    }
    setsockopt(broker, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    proxy->lines[i].fds[TO_BROKER] = broker;
    proxy->lines[i].fds[TO_CLIENT] = client;
    for (int d = 0; d < 2; d++)
        proxy->lines[i].pipes[d] = (Pipe){.from = 0};
}

static void write_down(Proxy *proxy, const Pipe *pipe, int direction, size_t n) {
    if (direction != TO_BROKER || !proxy->record)
        return;
    if (n > proxy->record_max - proxy->n_recorded)
        n = proxy->record_max - proxy->n_recorded;
    memcpy(proxy->record + proxy->n_recorded, pipe->bytes, n);
    proxy->n_recorded += n;
}

static void damage(Proxy *proxy, Pipe *pipe, int direction, size_t n) {
    if (!proxy->corrupt[direction] || n == 0)
        return;
    proxy->corrupt[direction] = false;
    pipe->bytes[pipe->to + proxy->bit / 8 % n] ^= (uint8_t)(1 << proxy->bit % 8);
}

/* Moves bytes in one direction. False: the line has ended. */
static bool move(Proxy *proxy, Line *line, int direction, bool dripping) {
    Pipe *pipe = &line->pipes[direction];
    int in = line->fds[1 - direction], out = line->fds[direction];
    size_t most = dripping ? DRIP_BYTES : CHUNK;
    ssize_t n;

    if (pipe->from == pipe->to && !pipe->ended) {
        pipe->from = pipe->to = 0;
        n = recv(in, pipe->bytes, most, MSG_DONTWAIT);
        if (n == 0) {
            pipe->ended = true;
            shutdown(out, SHUT_WR);
        } else if (n > 0) {
            damage(proxy, pipe, direction, (size_t)n);
            write_down(proxy, pipe, direction, (size_t)n);
            pipe->to = (size_t)n;
            proxy->n_bytes += (size_t)n;
        } else if (errno != EAGAIN) {
            return false;
        }
    }
    if (pipe->from < pipe->to) {
        n = send(out, pipe->bytes + pipe->from, pipe->to - pipe->from, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0)
            pipe->from += (size_t)n;
        else if (n < 0 && errno != EAGAIN)
            return false;
    }
    return !(line->pipes[0].ended && line->pipes[1].ended);
}

static bool move_all(Proxy *proxy) {
    uint64_t before = proxy->n_bytes, now_ms = clock_ms();
    bool dripping = now_ms < proxy->dripping_until_ms;

    if (now_ms < proxy->stalled_until_ms)
        return false;
    for (int i = 0; i < LINES_MAX; i++) {
        Line *line = &proxy->lines[i];

        for (int d = 0; d < 2 && line->fds[0] >= 0; d++)
            if (!move(proxy, line, d, dripping))
                cut(line);
    }
    return proxy->n_bytes != before && !dripping;
}

static void sleep_a_little(Proxy *proxy) {
    struct pollfd fds[1 + 2 * LINES_MAX] = {{proxy->listener, POLLIN, 0}};
    bool stalled = clock_ms() < proxy->stalled_until_ms || clock_ms() < proxy->dripping_until_ms;
    nfds_t n = 1;

    for (int i = 0; i < LINES_MAX && !stalled; i++)
        for (int d = 0; d < 2; d++)
            if (proxy->lines[i].fds[d] >= 0 && !proxy->lines[i].pipes[1 - d].ended)
                fds[n++] = (struct pollfd){proxy->lines[i].fds[d], POLLIN, 0};
    pthread_mutex_unlock(&proxy->lock);
    poll(fds, n, TURN_MS);
    pthread_mutex_lock(&proxy->lock);
}

static void *run(void *arg) {
    Proxy *proxy = arg;

    pthread_mutex_lock(&proxy->lock);
    while (!proxy->stop) {
        accept_one(proxy);
        if (!move_all(proxy))
            sleep_a_little(proxy);
    }
    for (int i = 0; i < LINES_MAX; i++)
        cut(&proxy->lines[i]);
    pthread_mutex_unlock(&proxy->lock);
    return NULL;
}

Proxy *proxy_start(uint16_t to_port) {
    Proxy *proxy = calloc(1, sizeof(*proxy));
    struct sockaddr_in address = loopback(0);
    socklen_t len = sizeof(address);

    if (!proxy)
        return NULL;
    for (int i = 0; i < LINES_MAX; i++)
        proxy->lines[i].fds[0] = proxy->lines[i].fds[1] = -1;
    pthread_mutex_init(&proxy->lock, NULL);
    proxy->to_port = to_port;
    proxy->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bind(proxy->listener, (struct sockaddr *)&address, len) < 0 ||
        listen(proxy->listener, LINES_MAX) < 0 ||
        getsockname(proxy->listener, (struct sockaddr *)&address, &len) < 0) {
        perror("a proxy");
        exit(EXIT_FAILURE);
    }
    snprintf(proxy->url, sizeof(proxy->url), "tcp://127.0.0.1:%u", ntohs(address.sin_port));
    pthread_create(&proxy->thread, NULL, run, proxy);
    return proxy;
}

Proxy *proxy_stop(Proxy *proxy) {
    pthread_mutex_lock(&proxy->lock);
    proxy->stop = true;
    pthread_mutex_unlock(&proxy->lock);
    pthread_join(proxy->thread, NULL);
    close(proxy->listener);
    pthread_mutex_destroy(&proxy->lock);
    free(proxy);
    return NULL;
}

const char *proxy_url(const Proxy *proxy) {
    return proxy->url;
}

/* ---- faults ---- */

void proxy_cut(Proxy *proxy) {
    pthread_mutex_lock(&proxy->lock);
    for (int i = 0; i < LINES_MAX; i++)
        cut(&proxy->lines[i]);
    proxy->corrupt[0] = proxy->corrupt[1] = false;
    pthread_mutex_unlock(&proxy->lock);
}

void proxy_half_close(Proxy *proxy) {
    pthread_mutex_lock(&proxy->lock);
    for (int i = 0; i < LINES_MAX; i++) {
        Line *line = &proxy->lines[i];

        if (line->fds[TO_BROKER] < 0)
            continue;
        line->pipes[TO_BROKER].ended = true;
        shutdown(line->fds[TO_BROKER], SHUT_WR);
    }
    pthread_mutex_unlock(&proxy->lock);
}

void proxy_stall(Proxy *proxy, uint64_t ms) {
    pthread_mutex_lock(&proxy->lock);
    proxy->stalled_until_ms = clock_ms() + ms;
    pthread_mutex_unlock(&proxy->lock);
}

void proxy_drip(Proxy *proxy, uint64_t ms) {
    pthread_mutex_lock(&proxy->lock);
    proxy->dripping_until_ms = clock_ms() + ms;
    pthread_mutex_unlock(&proxy->lock);
}

void proxy_corrupt(Proxy *proxy, unsigned bit, bool to_broker) {
    pthread_mutex_lock(&proxy->lock);
    proxy->bit = bit;
    proxy->corrupt[to_broker ? TO_BROKER : TO_CLIENT] = true;
    pthread_mutex_unlock(&proxy->lock);
}

void proxy_refuse(Proxy *proxy, bool yes) {
    pthread_mutex_lock(&proxy->lock);
    proxy->refuse = yes;
    pthread_mutex_unlock(&proxy->lock);
}

void proxy_record(Proxy *proxy, uint8_t *to, size_t max) {
    pthread_mutex_lock(&proxy->lock);
    proxy->record = to;
    proxy->record_max = max;
    proxy->n_recorded = 0;
    pthread_mutex_unlock(&proxy->lock);
}

size_t proxy_recorded(Proxy *proxy) {
    size_t n;

    pthread_mutex_lock(&proxy->lock);
    n = proxy->n_recorded;
    pthread_mutex_unlock(&proxy->lock);
    return n;
}

uint64_t proxy_n_bytes(const Proxy *proxy) {
    return __atomic_load_n(&proxy->n_bytes, __ATOMIC_RELAXED);
}

uint64_t proxy_n_connections(const Proxy *proxy) {
    return __atomic_load_n(&proxy->n_connections, __ATOMIC_RELAXED);
}
