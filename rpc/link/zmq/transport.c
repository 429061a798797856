/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection through libzmq. A new socket replaces a lost one, because libzmq's own reconnecting
 * would lose messages and mix the messages of two sessions.
 */

#include "rpc/link/zmq/transport.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <zmq.h>

#include "base/clock.h"
#include "rpc/link/zmq/context.h"

/*
 * For ThreadSanitizer. libzmq is not instrumented, so ThreadSanitizer cannot see that a thread's
 * writes to a frame happen before libzmq's own thread frees that frame.
 */

#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif

#ifdef __SANITIZE_THREAD__
void __tsan_acquire(void *at);
void __tsan_release(void *at);
#define given_to_libzmq(at)  __tsan_release(at)
#define back_from_libzmq(at) __tsan_acquire(at)
#else
#define given_to_libzmq(at)  (void)(at)
#define back_from_libzmq(at) (void)(at)
#endif

enum {
    CONNECT_MS = 3000,
    RECONNECT_MS = 3600 * 1000, /* longer than any lost socket lives: it is closed at once */
    HEARTBEAT_MS = 2000,        /* ZMTP PINGs, in libzmq's own thread */
    HEARTBEAT_TTL_MS = 6000,
    HWM = 256,
    GOODBYE_MS = 200,
    MONITOR_EACH_MS = 1,
    SPARSE_MAX = 16 * 1024,
    WRONG_SERVER = 500, /* CURVE_WRONG_SERVER as a number */
};

typedef struct ZmqTransport {
    Transport base;
    void *context, *socket, *monitor;
    int epoll_fd;
    Chunk *refused; /* a chunk that a full pipe refused: it is sent first */
    bool has_received;
    int ended; /* a negative errno after the monitor has reported the end */
    const CurveKeys *keys;
    uint64_t monitor_read_ms;
} ZmqTransport;

/* ---- opening and closing ---- */

static int start(void) {
    return context_ref() ? 0 : -errno;
}

static int watch(const ZmqTransport *transport, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    return epoll_ctl(transport->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int set_up_socket(void *socket, const char *endpoint) {
    const int settings[][2] = {
        /* A new session needs a new socket (docs/PROTOCOL.md, "Recovery"). With -1, or with
         * ZMQ_IMMEDIATE, libzmq would drop messages that arrived before the connection ended. */
        {ZMQ_RECONNECT_IVL, RECONNECT_MS},
        /* The credit that this client grants limits the messages of the broker. With a high-water
         * mark here, a full pipe and a heartbeat can abort the process (libzmq 4.3.4). */
        {ZMQ_RCVHWM, 0},
        {ZMQ_SNDHWM, HWM},
        {ZMQ_CONNECT_TIMEOUT, CONNECT_MS},
        {ZMQ_HEARTBEAT_IVL, HEARTBEAT_MS},
        {ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_TTL_MS},
        {ZMQ_HEARTBEAT_TTL, HEARTBEAT_TTL_MS},
        {ZMQ_LINGER, 0},
        {ZMQ_IPV6, strchr(endpoint, '[') != NULL},
    };
    int64_t max_batch = WIRE_BATCH_MAX;

    for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
        int r = socket_set(socket, settings[i][0], settings[i][1]);

        if (r < 0)
            return r;
    }
    return zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &max_batch, sizeof(max_batch)) < 0 ? -errno : 0;
}

static int set_keys(void *socket, const CurveKeys *keys) {
    const KeyPair *own = keys->pairs[0];
    const struct {
        int option;
        const uint8_t *key;
    } settings[] = {
        {ZMQ_CURVE_SERVERKEY, keys->server_key},
        {ZMQ_CURVE_PUBLICKEY, own->public_key},
        {ZMQ_CURVE_SECRETKEY, own->secret_key},
    };

    for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++)
        if (zmq_setsockopt(socket, settings[i].option, settings[i].key, KEY_SIZE) < 0)
            return errno == EINVAL ? -EOPNOTSUPP : -errno; /* libzmq was built without CURVE */
    return 0;
}

static int connect_to(ZmqTransport *transport, const char *endpoint) {
    int r;

    transport->socket = zmq_socket(transport->context, ZMQ_DEALER);
    if (!transport->socket)
        return -errno;
    transport->base.fds[0] = socket_fd(transport->socket);
    r = watch(transport, transport->base.fds[0]);
    if (r == 0)
        r = set_up_socket(transport->socket, endpoint);
    if (r == 0 && transport->keys)
        r = set_keys(transport->socket, transport->keys);
    if (r < 0)
        return r;
    transport->monitor =
        socket_monitor(transport->context, transport->socket,
                       ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED |
                           ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                           ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH);
    if (!transport->monitor)
        return -errno;
    transport->base.fds[1] = socket_fd(transport->monitor);
    r = watch(transport, transport->base.fds[1]);
    if (r == 0 && zmq_connect(transport->socket, endpoint) < 0)
        r = -errno;
    return r;
}

static void close_transport(Transport *base, bool in_order) {
    ZmqTransport *transport = (ZmqTransport *)base;

    if (transport->socket)
        epoll_ctl(transport->epoll_fd, EPOLL_CTL_DEL, base->fds[0], NULL);
    if (transport->socket && in_order)
        socket_set(transport->socket, ZMQ_LINGER, GOODBYE_MS);
    if (transport->monitor) {
        epoll_ctl(transport->epoll_fd, EPOLL_CTL_DEL, base->fds[1], NULL);
        /* Close the monitor before the socket. Otherwise libzmq's thread would wait for ever to
         * report an event, while it holds a lock. */
        monitor_close(transport->socket, transport->monitor);
    }
    if (transport->socket)
        zmq_close(transport->socket);
    if (transport->context)
        context_unref();
    chunk_free(transport->refused);
    free(transport);
}

static int open_transport(Transport **ret, const char *endpoint, const CurveKeys *keys,
                          int epoll_fd) {
    ZmqTransport *transport = calloc(1, sizeof(*transport));
    int r;

    if (!transport)
        return -ENOMEM;
    transport->base.next_ms = UINT64_MAX;
    transport->epoll_fd = epoll_fd;
    transport->keys = keys;
    transport->context = context_ref();
    r = transport->context ? connect_to(transport, endpoint) : -errno;
    if (r < 0) {
        close_transport(&transport->base, false);
        return r;
    }
    *ret = &transport->base;
    return 0;
}

/* ---- in ---- */

/* The errno of a handshake that failed. */
static int refused(ZmqTransport *transport, uint16_t event, uint32_t value) {
    if ((event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH && value == WRONG_SERVER) ||
        (event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL &&
         value == ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC))
        transport->base.problem = "its key is not the server key that was given";
    else if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
        transport->base.problem = "it does not know the key of this client";
    else if (event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL &&
             value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH)
        transport->base.problem =
            transport->keys ? "it has no key" : "it takes only clients with a key";
    else
        return -EPROTO;
    return -EACCES;
}

static void read_monitor(ZmqTransport *transport, uint64_t now_ms) {
    uint16_t event;
    uint32_t value;

    transport->monitor_read_ms = now_ms;
    transport->has_received = false;
    while (monitor_next(transport->monitor, &event, &value)) {
        if (transport->ended == -EACCES)
            continue; /* an event for the end of the connection follows */
        if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
            transport->base.is_open = true;
        else if (event == ZMQ_EVENT_DISCONNECTED)
            transport->ended = -ECONNRESET;
        else if (event == ZMQ_EVENT_CLOSED)
            transport->ended = transport->ended ? transport->ended : -ECONNREFUSED;
        else
            transport->ended = refused(transport, event, value);
    }
}

/* The free_fn of a block. */
static void close_frame(void *ctx) {
    zmq_msg_close(ctx);
    free(ctx);
}

/* Moves the frame into a batch. 1, or -ENOMEM. */
static int batch_of(zmq_msg_t *frame, Batch *ret) {
    zmq_msg_t *moved = malloc(sizeof(*moved));
    ferry_bytes block;

    if (!moved || ferry_wrap(NULL, 0, close_frame, moved, &block) < 0) {
        free(moved);
        return -ENOMEM;
    }
    zmq_msg_init(moved);
    zmq_msg_move(moved, frame);
    *ret = (Batch){.bytes = span_of(zmq_msg_data(moved), zmq_msg_size(moved)),
                   .block = block.block,
                   .received_ms = clock_ms()};
    return 1;
}

static int receive(Transport *base, Batch *ret_batch, uint64_t now_ms) {
    ZmqTransport *transport = (ZmqTransport *)base;
    zmq_msg_t frame;
    int r;

    if (!base->is_open)
        read_monitor(transport, now_ms);
    zmq_msg_init(&frame);
    while (zmq_msg_recv(&frame, transport->socket, ZMQ_DONTWAIT) < 0) {
        if (transport->ended)
            return transport->ended;
        /* Reading the monitor costs a system call and rarely yields an event: it is read only when
         * no message arrived, or after MONITOR_EACH_MS. */
        if (transport->has_received && now_ms < transport->monitor_read_ms + MONITOR_EACH_MS) {
            transport->has_received = false;
            return 0;
        }
        read_monitor(transport, now_ms);
        if (!transport->ended)
            return 0;
        /* Messages that arrived before the end are still read. */
    }
    if (zmq_msg_more(&frame)) {
        base->problem = "a message of more than one frame";
        r = -EPROTO;
    } else {
        transport->has_received = true;
        r = batch_of(&frame, ret_batch);
    }
    zmq_msg_close(&frame);
    return r;
}

/* ---- out ---- */

/* A zmq_free_fn: hint is the chunk. libzmq's thread may call it. */
static void free_chunk(void *data, void *hint) {
    (void)data;
    back_from_libzmq(hint);
    chunk_free(hint);
}

/* Copies the bytes of a chunk with few bytes. Otherwise libzmq would hold the chunk's memory for a
 * long time. */
static int send_copy(ZmqTransport *transport, Chunk *chunk) {
    zmq_msg_t frame;

    if (zmq_msg_init_size(&frame, chunk->len) < 0)
        return -ENOMEM;
    memcpy(zmq_msg_data(&frame), chunk->data, chunk->len);
    if (zmq_msg_send(&frame, transport->socket, ZMQ_DONTWAIT) < 0) {
        zmq_msg_close(&frame);
        return -EAGAIN;
    }
    chunk_free(chunk);
    return 0;
}

/* After an error the chunk is still the caller's. */
static int send_chunk(ZmqTransport *transport, Chunk *chunk) {
    zmq_msg_t frame;

    if (chunk->len <= SPARSE_MAX || chunk->len < chunk->cap / 8)
        return send_copy(transport, chunk);
    /* Check for room first: closing a refused frame would free the chunk. */
    if (!(socket_events(transport->socket) & ZMQ_POLLOUT))
        return -EAGAIN;
    if (zmq_msg_init_data(&frame, chunk->data, chunk->len, free_chunk, chunk) < 0)
        return -ENOMEM;
    given_to_libzmq(chunk);
    /* If this fails, the connection was lost after the check for room, together with all waiting
     * messages. */
    if (zmq_msg_send(&frame, transport->socket, ZMQ_DONTWAIT) < 0)
        zmq_msg_close(&frame);
    return 0;
}

static int send_batches(Transport *base, Outbox *outbox) {
    ZmqTransport *transport = (ZmqTransport *)base;
    Chunk *chunk;

    while ((chunk = transport->refused ? transport->refused : outbox_take(outbox))) {
        int r = send_chunk(transport, chunk);

        transport->refused = r < 0 ? chunk : NULL;
        base->unsent = r < 0 ? chunk->len : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- waiting ---- */

/* ZMQ_FD is edge-triggered. */
static bool has_input(Transport *base) {
    ZmqTransport *transport = (ZmqTransport *)base;
    unsigned wanted = transport->refused ? ZMQ_POLLIN | ZMQ_POLLOUT : ZMQ_POLLIN;

    if (socket_events(transport->socket) & wanted)
        return true;
    transport->has_received = false;
    return (socket_events(transport->monitor) & ZMQ_POLLIN) != 0;
}

const TransportKind transport_zmq = {
    .start = start,
    .stop = context_unref,
    .open = open_transport,
    .close = close_transport,
    .receive = receive,
    .send = send_batches,
    .has_input = has_input,
};
