/* SPDX-License-Identifier: Apache-2.0 */
/* A peer that the test controls byte by byte. See raw-peer.h. */

#include "support/raw-peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"

enum { GREETING = 64, KEPT_MAX = 1024, FRAME_MAX = 300000, FLAG_LONG = 2, FLAG_COMMAND = 4 };

int raw_connect(uint16_t port) {
    return raw_connect_from("127.0.0.1", port);
}

int raw_connect_from(const char *source, uint16_t port) {
    struct sockaddr_in from = {.sin_family = AF_INET};
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    inet_pton(AF_INET, source, &from.sin_addr);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){1}, sizeof(int));
    if (fd >= 0 && bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0) {
        close(fd);
        return -1;
    }
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        close(fd);
        return -1;
    }
    if (fd >= 0)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return fd;
}

bool raw_bytes(int fd, const void *data, size_t len) {
    const char *at = data;

    while (len > 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static pthread_mutex_t sending = PTHREAD_MUTEX_INITIALIZER; /* one frame at a time */

static bool frame(int fd, const void *data, size_t len, int flags) {
    uint8_t head[9 + 7];
    size_t n = 2;
    bool done;

    head[0] = (uint8_t)flags;
    head[1] = (uint8_t)len;
    if (len > 255) {
        head[0] |= FLAG_LONG;
        put_be(head + 1, len, 8);
        n = 9;
    }
    pthread_mutex_lock(&sending);
    done = raw_bytes(fd, head, n) && raw_bytes(fd, data, len);
    pthread_mutex_unlock(&sending);
    return done;
}

bool raw_frame(int fd, const void *data, size_t len, int flags) {
    return frame(fd, data, len, flags);
}

/* ---- keeping alive ---- */

static int kept_alive[KEPT_MAX], n_kept;

static void *keep_alive(void *arg) {
    static const uint8_t ping[] = {FLAG_COMMAND, 7, 4, 'P', 'I', 'N', 'G', 0, 0};

    for (;;) {
        pthread_mutex_lock(&sending);
        for (int i = 0; i < n_kept; i++)
            raw_bytes(kept_alive[i], ping, sizeof(ping));
        pthread_mutex_unlock(&sending);
        nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
    }
    return arg;
}

void raw_keep_alive(int fd) {
    static bool started;
    pthread_t thread;

    pthread_mutex_lock(&sending);
    if (fd >= 0 && n_kept < KEPT_MAX)
        kept_alive[n_kept++] = fd;
    if (!started && pthread_create(&thread, NULL, keep_alive, NULL) == 0)
        pthread_detach(thread);
    started = true;
    pthread_mutex_unlock(&sending);
}

void raw_close(int fd) {
    pthread_mutex_lock(&sending);
    for (int i = 0; i < n_kept; i++)
        if (kept_alive[i] == fd)
            kept_alive[i--] = kept_alive[--n_kept];
    pthread_mutex_unlock(&sending);
    close(fd);
}

/* Reads exactly len bytes. */
static Heard take(int fd, void *to, size_t len, uint64_t until_ms) {
    char *at = to;

    while (len > 0) {
        struct pollfd fds = {fd, POLLIN, 0};
        uint64_t now_ms = clock_ms();
        ssize_t n;

        if (now_ms >= until_ms || poll(&fds, 1, (int)(until_ms - now_ms)) <= 0)
            return HEARD_NOTHING;
        n = recv(fd, at, len, 0);
        if (n <= 0)
            return HEARD_CUT;
        at += n;
        len -= (size_t)n;
    }
    return HEARD;
}

static Heard take_frame(int fd, uint8_t *to, size_t *ret_len, int *ret_flags, uint64_t until_ms) {
    uint8_t head[9];
    uint64_t len;
    Heard heard = take(fd, head, 2, until_ms);

    if (heard != HEARD)
        return heard;
    len = head[1];
    if (head[0] & FLAG_LONG) {
        if ((heard = take(fd, head + 2, 7, until_ms)) != HEARD)
            return heard;
        memcpy(&len, head + 1, 8);
        len = __builtin_bswap64(len);
    }
    if (len > FRAME_MAX)
        return HEARD_CUT;
    *ret_len = len;
    *ret_flags = head[0];
    return take(fd, to, len, until_ms);
}

static bool greet(int fd, const char type[6], const void *routing_id, size_t len) {
    static const char start[] = "\xFF\0\0\0\0\0\0\0\x01\x7F\x03\0NULL";
    static const char ready[] = "\x05READY\x0BSocket-Type\0\0\0\x06"
                                "DEALER\x08Identity\0\0\0";
    enum { TYPE_AT = 1 + 5 + 1 + 11 + 4 };
    uint8_t greeting[GREETING] = {0}, command[512];
    size_t n = sizeof(ready) - 1;
    int flags;

    memcpy(greeting, start, sizeof(start) - 1);
    memcpy(command, ready, n);
    memcpy(command + TYPE_AT, type, 6);
    command[n++] = (uint8_t)len;
    if (len > 0)
        memcpy(command + n, routing_id, len);
    return raw_bytes(fd, greeting, sizeof(greeting)) &&
           take(fd, greeting, sizeof(greeting), clock_ms() + 60000) == HEARD &&
           frame(fd, command, n + len, FLAG_COMMAND) &&
           take_frame(fd, command, &n, &flags, clock_ms() + 60000) == HEARD;
}

bool raw_greet(int fd, const void *routing_id, size_t len) {
    return greet(fd, "DEALER", routing_id, len);
}

bool raw_greet_back(int fd) {
    return greet(fd, "ROUTER", NULL, 0);
}

bool raw_say(int fd, const Message *message) {
    size_t size = WIRE_HEAD + message_size(message);
    uint8_t *batch = malloc(size), *end;
    bool done;

    batch[0] = WIRE_MAGIC;
    batch[1] = WIRE_PROTOCOL;
    end = message_write(batch + WIRE_HEAD, message);
    done = frame(fd, batch, (size_t)(end - batch), 0);
    free(batch);
    return done;
}

static _Thread_local uint8_t bytes[FRAME_MAX];

Heard raw_hear_batch(int fd, int timeout_ms, void (*fn)(const Message *message, void *ctx),
                     void *ctx) {
    uint64_t until_ms = clock_ms() + (uint64_t)timeout_ms;
    Message message;
    Reader reader;
    size_t len;
    int flags;
    Heard heard = take_frame(fd, bytes, &len, &flags, until_ms);

    if (heard != HEARD || flags & FLAG_COMMAND || batch_open(&reader, bytes, len) < 0)
        return heard;
    while (message_read(&reader, &message) > 0)
        fn(&message, ctx);
    return HEARD;
}

Heard raw_hear(int fd, unsigned op, int timeout_ms, Message *ret) {
    uint64_t until_ms = clock_ms() + (uint64_t)timeout_ms;
    Reader reader;
    size_t len;
    int flags;

    for (;;) {
        Heard heard = take_frame(fd, bytes, &len, &flags, until_ms);

        if (heard != HEARD)
            return heard;
        if (flags & FLAG_COMMAND || batch_open(&reader, bytes, len) < 0)
            continue;
        while (message_read(&reader, ret) > 0)
            if (ret->op == op)
                return HEARD;
    }
}

bool raw_begin(int fd, uint64_t credit) {
    uint8_t client[WIRE_TOKEN];
    Message welcome;

    random_bytes(client, sizeof(client));
    return raw_greet(fd, NULL, 0) &&
           raw_say(fd, &(Message){.op = OP_HELLO,
                                  .hello.version_min = 1,
                                  .hello.version_max = 1,
                                  .hello.client = span_of(client, sizeof(client)),
                                  .hello.bytes = credit}) &&
           raw_hear(fd, OP_WELCOME, 10000, &welcome) == HEARD;
}

int raw_session(uint16_t port, uint64_t credit) {
    int fd = raw_connect(port);

    if (fd >= 0 && raw_begin(fd, credit))
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

bool raw_is_cut(int fd, int timeout_ms) {
    uint64_t until_ms = clock_ms() + (uint64_t)timeout_ms;
    uint8_t byte;
    Heard heard;

    while ((heard = take(fd, &byte, 1, until_ms)) == HEARD)
        ;
    return heard == HEARD_CUT;
}

const char *raw_error_text(Span error, const char *key) {
    static char text[512];
    Reader reader = pairs_find(error, key);
    Span value = reader_str(&reader);

    snprintf(text, sizeof(text), "%.*s", (int)value.len, (const char *)value.data);
    return text;
}
