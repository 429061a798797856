/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both ends of a connection: the hub with a peer, and a client's link, on a socket that exists only
 * in memory. The input arrives in pieces, output leaves in pieces, and the connection ends. The
 * first byte chooses:
 *
 *   bit 0      the end that reads: the hub, or the client
 *   bits 1-2   the size of the pieces: 1, 9, 300, all
 *   bit 3      the socket takes little output at once, and often none
 *   bit 4      greeting, READY and HELLO or WELCOME come first, and are not part of the input
 *   bit 5      the input is a list of batches: each has two bytes with its length, and its bytes;
 *              the target adds frames and heads
 *   bit 6      the same input arrives on a second connection afterwards
 *
 * At the end the budget must be as it was.
 */

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include "base/block.h"
#include "rpc/link/client/link.h"
#include "rpc/link/hub/hub-private.h"

enum { FD = 1 << 20, BODY_MAX = 4096, MEMORY_MAX = 1 << 20, OUTPUT_MAX = 4096, FRAME_HEAD = 9 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Functions that link_args in meson.build put in the place of the system's and heartbeat.c's. */
ssize_t __wrap_recv(int fd, void *to, size_t size, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);
int __wrap_epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *event);
int __wrap_close(int fd);
int __real_close(int fd);
int __wrap_shutdown(int fd, int how);
int __wrap_socket_connect(const char *endpoint, int *ret_fd);
void __wrap_socket_tune(int fd);
int __wrap_ioctl(int fd, unsigned long request, int *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_heartbeat_ref(void);
void __wrap_heartbeat_unref(void);

/* ---- the socket ---- */

static struct {
    const uint8_t *at, *end; /* input that has not been read */
    const uint8_t *pause;    /* here one read finds no input, so that HELLO leaves */
    size_t piece;
    bool is_narrow, was_full, is_open;
    unsigned n_opened;
    uint64_t now_ms;
} line;

static void must(bool holds) {
    if (!holds)
        abort();
}

ssize_t __wrap_recv(int fd, void *to, size_t size, int flags) {
    size_t left = (size_t)(line.end - line.at);

    (void)flags;
    must(fd == FD && line.is_open && size > 0);
    if (line.at == line.pause) {
        line.pause = NULL;
        errno = EAGAIN;
        return -1;
    }
    if (line.pause)
        left = (size_t)(line.pause - line.at);
    size = size < line.piece ? size : line.piece;
    size = size < left ? size : left;
    if (size > 0)
        memcpy(to, line.at, size);
    line.at += size;
    return (ssize_t)size;
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags) {
    ssize_t all = 0;

    for (size_t i = 0; i < message->msg_iovlen; i++) {
        ssize_t n =
            __wrap_recv(fd, message->msg_iov[i].iov_base, message->msg_iov[i].iov_len, flags);

        if (n < 0)
            return all > 0 ? all : n;
        all += n;
        if (n < (ssize_t)message->msg_iov[i].iov_len)
            break;
    }
    return all;
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags) {
    size_t all = 0;

    (void)flags;
    must(fd == FD && line.is_open);
    for (size_t i = 0; i < message->msg_iovlen; i++)
        all += message->msg_iov[i].iov_len;
    must(all > 0);
    if (!line.is_narrow)
        return (ssize_t)all;
    line.was_full = !line.was_full;
    if (!line.was_full)
        return all < 7 ? (ssize_t)all : 7;
    errno = EAGAIN;
    return -1;
}

int __wrap_epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *event) {
    (void)epoll_fd;
    (void)op;
    (void)fd;
    (void)event;
    return 0;
}

int __wrap_close(int fd) {
    if (fd != FD)
        return __real_close(fd);
    must(line.is_open);
    line.is_open = false;
    return 0;
}

int __wrap_shutdown(int fd, int how) {
    (void)how;
    must(fd == FD && line.is_open);
    return 0;
}

int __wrap_socket_connect(const char *endpoint, int *ret_fd) {
    (void)endpoint;
    must(!line.is_open);
    line.is_open = true;
    line.n_opened++;
    *ret_fd = FD;
    return 0;
}

void __wrap_socket_tune(int fd) {
    must(fd == FD);
}

int __wrap_ioctl(int fd, unsigned long request, int *ret) {
    (void)request;
    must(fd == FD);
    *ret = 0;
    return 0;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret) {
    (void)clock;
    *ret = (struct timespec){.tv_sec = (time_t)(line.now_ms / 1000),
                             .tv_nsec = (long)(line.now_ms % 1000 * 1000000)};
    return 0;
}

int __wrap_heartbeat_ref(void) {
    return 0;
}

void __wrap_heartbeat_unref(void) {
}

/* ---- the hub's end ---- */

static bool on_gone(Peer *peer, void *ctx) {
    (void)peer;
    (void)ctx;
    return true;
}

/* Each message with a body is answered with the same body. */
static void echo(Peer *peer, Message *message) {
    const void *block = NULL;

    if (inbox_body(&peer->in, message, &block) == 0 &&
        outbox_bytes(&peer->out) + message->body.len < OUTPUT_MAX)
        must(peer_put(peer, message->id % 2 ? LANE_CALLS : LANE_BULK,
                      &(Message){.op = OP_OK, .id = message->id, .body = message->body},
                      block) == 0);
    ferry_free(block);
}

static void take(Peer *peer, Message *message) {
    switch (message->op) {
    case OP_HELLO:
        peer->session = peer;
        peer->out.credit = 300;
        break;
    case OP_PING:
        if (peer->out.lanes[LANE_CONTROL].bytes < OUTPUT_MAX)
            must(peer_put(peer, LANE_CONTROL, &(Message){.op = OP_PONG, .id = message->id}, NULL) ==
                 0);
        break;
    case OP_CREDIT:
        peer->out.credit += message->credit.bytes < 1000 ? (int64_t)message->credit.bytes : 1000;
        peer_touch(peer);
        break;
    case OP_PART:
        if (inbox_part(&peer->in, message) == -EPROTO)
            peer_close(peer);
        break;
    case OP_BYE:
        peer_close(peer);
        break;
    default:
        echo(peer, message);
    }
}

static void receive_all(Hub *hub) {
    const uint8_t *data;
    size_t len;
    Peer *peer;

    while (hub_receive(hub, &peer, &data, &len)) {
        Message message;
        Reader reader;

        if (batch_open(&reader, data, len) < 0 || inbox_charge(&peer->in, len) < 0) {
            peer_close(peer);
            continue;
        }
        while (!peer->closing && message_read(&reader, &message) == 1)
            take(peer, &message);
    }
}

static void run_hub(void) {
    static Budget budget = {.max = MEMORY_MAX};
    HubOptions options = {.max_body = BODY_MAX, .budget = &budget, .on_gone = on_gone};
    SocketAddress address = {.any.sa_family = AF_INET};
    static Hub *hub;

    if (!hub)
        must(hub_new(&hub, &options, NULL) == 0);
    line.is_open = true;
    hub->n_connections++;
    peer_new(hub, FD, &address, NULL);
    hub_flush(hub);
    while (line.is_open) {
        Peer *peer = hub->touched;

        for (int stage = 0; stage < N_STAGES; stage++)
            peer = hub->stages[stage] ? hub->stages[stage] : peer;
        must(peer != NULL);
        hub->events[0] = (struct epoll_event){.events = EPOLLIN | EPOLLOUT, .data.ptr = peer};
        hub->n_events = 1;
        hub->at_event = 0;
        receive_all(hub);
        must(budget_used(&budget) <= MEMORY_MAX);
        line.now_ms += peer->closing ? 100 : 0;
        hub_flush(hub);
    }
    must(hub_n_connections(hub) == 0 && hub_n_peers(hub) == 0);
    must(budget_used(&budget) == 0);
}

/* ---- the client's end ---- */

typedef struct Client {
    Link *link;
    const void *held;
} Client;

static void on_message(const Message *message, const void *block, void *ctx) {
    Client *client = ctx;

    ferry_free(client->held);
    client->held = link_hold_body(client->link, message->body);
    if (link_waiting(client->link) + message->body.len < OUTPUT_MAX)
        link_put(client->link, LANE_CALLS,
                 &(Message){.op = OP_OK, .id = message->id, .body = message->body}, block);
}

static void on_up(const Message *welcome, void *ctx) {
    Client *client = ctx;

    (void)welcome;
    link_put(client->link, LANE_BULK, &(Message){.op = OP_PUSH, .id = 1, .name = span_text("q")},
             NULL);
}

static void on_down(bool was_up, const ferry_error *error, void *ctx) {
    (void)was_up;
    (void)ctx;
    must(error->type && error->message);
}

static void on_hello(Message *hello, Buffer *buffer, void *ctx) {
    (void)hello;
    (void)buffer;
    (void)ctx;
}

static void run_client(void) {
    Client client = {NULL, NULL};
    LinkHandlers handlers = {.on_message = on_message,
                             .on_up = on_up,
                             .on_down = on_down,
                             .on_hello = on_hello,
                             .ctx = &client};

    must(link_new(&client.link, "ipc://memory", "fuzz", &handlers, NULL) == 0);
    do {
        link_process(client.link, 100, line.now_ms);
        link_flush(client.link);
    } while (line.is_open);
    ferry_free(client.held);
    link_free(client.link);
}

/* ---- the input ---- */

typedef struct Bytes {
    uint8_t *data;
    size_t len;
} Bytes;

static void add(Bytes *to, const void *data, size_t len) {
    if (len > 0)
        memcpy(to->data + to->len, data, len);
    to->len += len;
}

static void add_frame(Bytes *to, const void *data, size_t len) {
    uint8_t head[FRAME_HEAD] = {2};

    for (int i = 0; i < 8; i++)
        head[1 + i] = (uint8_t)((uint64_t)(len + WIRE_HEAD) >> 8 * (7 - i));
    add(to, head, sizeof(head));
    add(to, (const uint8_t[]){WIRE_MAGIC, WIRE_PROTOCOL}, WIRE_HEAD);
    add(to, data, len);
}

static void add_message(Bytes *to, const Message *message) {
    uint8_t bytes[256];

    add_frame(to, bytes, (size_t)(message_write(bytes, message) - bytes));
}

static void add_handshake(Bytes *to, bool is_hub) {
    static const uint8_t greeting[ZMTP_GREETING_SIZE] = "\xFF\0\0\0\0\0\0\0\0\x7F\3\1NULL";
    static const uint8_t ready[] = "\4\x1C\5READY\xBSocket-Type\0\0\0\6";

    add(to, greeting, sizeof(greeting));
    add(to, ready, sizeof(ready) - 1);
    add(to, is_hub ? "DEALER" : "ROUTER", 6);
}

static void add_first_message(Bytes *to, bool is_hub) {
    static const uint8_t token[WIRE_TOKEN] = "token";

    if (is_hub)
        add_message(to, &(Message){.op = OP_HELLO,
                                   .hello.version_min = 1,
                                   .hello.version_max = 1,
                                   .hello.client = span_of(token, WIRE_TOKEN),
                                   .hello.bytes = 300});
    else
        add_message(to, &(Message){.op = OP_WELCOME,
                                   .welcome.version = 1,
                                   .welcome.broker = span_of(token, WIRE_TOKEN),
                                   .welcome.bytes = 300});
}

static void add_batches(Bytes *to, const uint8_t *at, size_t left) {
    while (left >= 2) {
        size_t len = (size_t)at[0] << 8 | at[1];

        at += 2;
        left -= 2;
        len = len < left ? len : left;
        add_frame(to, at, len);
        at += len;
        left -= len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const size_t pieces[] = {1, 9, 300, SIZE_MAX};
    Bytes input = {NULL, 0};
    size_t handshake;

    if (size < 1 || size > 1 << 16)
        return 0;
    /* A batch of two bytes becomes thirteen. */
    input.data = malloc(1024 + 7 * size);
    must(input.data != NULL);
    if (data[0] & 16)
        add_handshake(&input, data[0] & 1);
    handshake = input.len;
    if (data[0] & 16)
        add_first_message(&input, data[0] & 1);
    if (data[0] & 32)
        add_batches(&input, data + 1, size - 1);
    else
        add(&input, data + 1, size - 1);
    for (int n = 0; n < (data[0] & 64 ? 2 : 1); n++) {
        line.at = input.data;
        line.end = input.data + input.len;
        line.pause = input.data + handshake;
        line.piece = pieces[data[0] >> 1 & 3];
        line.is_narrow = data[0] & 8;
        line.was_full = false;
        line.now_ms += 10000;
        if (data[0] & 1)
            run_hub();
        else
            run_client();
    }
    free(input.data);
    return 0;
}
