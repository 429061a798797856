/* SPDX-License-Identifier: Apache-2.0 */
/* A Redis whose answers a test chooses. See fake-redis.h. */

#include "fake-redis.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNS = 32, BUFFER = 1 << 20 };

typedef struct FakeConn {
    int fd;
    size_t len;
    char *bytes;
} FakeConn;

struct FakeRedis {
    FakeAnswerFn answer;
    void *ctx;
    int listener;
    uint16_t port;
    atomic_bool stop;
    pthread_t thread;
    FakeConn conns[CONNS];
    size_t n;
    char reply[BUFFER];
};

/* Parses one command: its words, and the number of its bytes; 0: the command is not complete yet.
 */
static size_t parse(const char *at, size_t len, char *words, size_t size) {
    const char *p = at, *end = at + len;
    long n;

    words[0] = '\0';
    if (len < 4 || *p != '*' || !memchr(p, '\n', len))
        return 0;
    n = strtol(p + 1, NULL, 10);
    p = (const char *)memchr(p, '\n', (size_t)(end - p)) + 1;
    for (long i = 0; i < n; i++) {
        const char *line = p < end ? memchr(p, '\n', (size_t)(end - p)) : NULL;
        long size_of;

        if (!line)
            return 0;
        size_of = strtol(p + 1, NULL, 10);
        if (end - line - 1 < size_of + 2)
            return 0;
        snprintf(words + strlen(words), size - strlen(words), "%s%.*s", i ? " " : "",
                 size_of > 200 ? 200 : (int)size_of, line + 1);
        p = line + 1 + size_of + 2;
    }
    return (size_t)(p - at);
}

static void hang_up(FakeRedis *fake, size_t i) {
    close(fake->conns[i].fd);
    free(fake->conns[i].bytes);
    fake->conns[i] = fake->conns[--fake->n];
}

static bool say(FakeConn *conn, const char *text, size_t len) {
    while (len > 0) {
        ssize_t n = send(conn->fd, text, len, MSG_NOSIGNAL);

        if (n <= 0)
            return false;
        text += n;
        len -= (size_t)n;
    }
    return true;
}

static bool serve(FakeRedis *fake, FakeConn *conn) {
    ssize_t n = recv(conn->fd, conn->bytes + conn->len, BUFFER - conn->len, MSG_DONTWAIT);
    char words[4096];
    size_t size;

    if (n <= 0)
        return false;
    conn->len += (size_t)n;
    while ((size = parse(conn->bytes, conn->len, words, sizeof(words))) > 0) {
        int len = strcmp(words, "PING") == 0 ? snprintf(fake->reply, BUFFER, "+PONG\r\n")
                                             : fake->answer(words, fake->reply, BUFFER, fake->ctx);

        memmove(conn->bytes, conn->bytes + size, conn->len - size);
        conn->len -= size;
        if (len < 0 || !say(conn, fake->reply, (size_t)len))
            return false;
    }
    return true;
}

static void *run(void *arg) {
    FakeRedis *fake = arg;

    while (!fake->stop) {
        struct pollfd fds[CONNS + 1] = {{.fd = fake->listener, .events = POLLIN}};

        for (size_t i = 0; i < fake->n; i++)
            fds[i + 1] = (struct pollfd){.fd = fake->conns[i].fd, .events = POLLIN};
        poll(fds, (nfds_t)fake->n + 1, 20);
        for (size_t i = fake->n; i > 0; i--)
            if (fds[i].revents && !serve(fake, &fake->conns[i - 1]))
                hang_up(fake, i - 1);
        if (fds[0].revents && fake->n < CONNS)
            fake->conns[fake->n++] =
                (FakeConn){accept(fake->listener, NULL, NULL), 0, malloc(BUFFER)};
    }
    return NULL;
}

FakeRedis *fake_redis_start(FakeAnswerFn answer, void *ctx) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    FakeRedis *fake = calloc(1, sizeof(*fake));
    socklen_t len = sizeof(at);

    fake->answer = answer;
    fake->ctx = ctx;
    fake->listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(fake->listener, (struct sockaddr *)&at, sizeof(at)) < 0 ||
        listen(fake->listener, 16) < 0 ||
        getsockname(fake->listener, (struct sockaddr *)&at, &len) < 0)
        abort();
    fake->port = ntohs(at.sin_port);
    pthread_create(&fake->thread, NULL, run, fake);
    return fake;
}

uint16_t fake_redis_port(const FakeRedis *fake) {
    return fake->port;
}

void fake_redis_stop(FakeRedis *fake) {
    fake->stop = true;
    pthread_join(fake->thread, NULL);
    while (fake->n > 0)
        hang_up(fake, 0);
    close(fake->listener);
    free(fake);
}
