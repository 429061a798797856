/* SPDX-License-Identifier: Apache-2.0 */
/* The life of one connection after another, from connecting to its loss. See core.h. */

#include <limits.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/random.h"
#include "rpc/link/client/core.h"

enum {
    ATTEMPT_MS = 5000, /* from connecting to WELCOME */
    BACKOFF_MS = 50,   /* pause before the second attempt; doubled for each further one… */
    BACKOFF_MAX_MS = 2000,
    HEARTBEAT_MS = 2000, /* ZMTP PINGs, in libzmq's own thread */
    HEARTBEAT_TTL_MS = 6000,
    HWM = 256,
};

static int watch(Link *link, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    return epoll_ctl(link->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int set_up_socket(void *socket) {
    const int settings[][2] = {
        {ZMQ_IMMEDIATE, 1},
        /* A new session needs a new socket: see docs/PROTOCOL.md, section 6. */
        {ZMQ_RECONNECT_IVL, -1},
        /* Our credit bounds what the broker sends. With a high-water mark here, a full pipe and a
         * heartbeat can abort the process (libzmq 4.3.4). */
        {ZMQ_RCVHWM, 0},
        {ZMQ_SNDHWM, HWM},
        {ZMQ_CONNECT_TIMEOUT, 3000},
        {ZMQ_HEARTBEAT_IVL, HEARTBEAT_MS},
        {ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_TTL_MS},
        {ZMQ_HEARTBEAT_TTL, HEARTBEAT_TTL_MS},
        {ZMQ_LINGER, 0},
    };
    int64_t max_batch = WIRE_BATCH_MAX;

    for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
        int r = socket_set(socket, settings[i][0], settings[i][1]);

        if (r < 0)
            return r;
    }
    return zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &max_batch, sizeof(max_batch)) < 0 ? -errno : 0;
}

static void stop_waiting_for_address(Link *link) {
    if (link->waits_for_address)
        epoll_ctl(link->epoll_fd, EPOLL_CTL_DEL, lookup_fd(link->asking), NULL);
    link->waits_for_address = false;
}

void link_close_socket(Link *link) {
    stop_waiting_for_address(link);
    if (link->socket)
        epoll_ctl(link->epoll_fd, EPOLL_CTL_DEL, link->socket_fd, NULL);
    if (link->monitor) {
        epoll_ctl(link->epoll_fd, EPOLL_CTL_DEL, link->monitor_fd, NULL);
        /* The monitor is closed before the socket: otherwise libzmq's thread would wait for ever to
         * report an event, and hold a lock meanwhile. */
        monitor_close(link->socket, link->monitor);
    }
    if (link->socket)
        zmq_close(link->socket);
    link->socket = link->monitor = NULL;
    link->session++;
}

/* A lookup may last longer than an attempt: it continues in the next one, so there is never more
 * than one. */
static int wait_for_address(Link *link) {
    int r = link->asking ? 0 : lookup_new(&link->asking, link->url);

    if (r == 0)
        r = watch(link, lookup_fd(link->asking));
    link->waits_for_address = r == 0;
    return r;
}

static int connect_to(Link *link, const char *endpoint, uint64_t now_ms) {
    int r;

    link->attempt_ends_ms = now_ms + ATTEMPT_MS;
    link->socket = zmq_socket(link->context, ZMQ_DEALER);
    if (!link->socket)
        return -errno;
    link->socket_fd = socket_fd(link->socket);
    r = watch(link, link->socket_fd);
    if (r == 0)
        r = set_up_socket(link->socket);
    if (r < 0)
        return r;
    link->monitor = socket_monitor(
        link->context, link->socket,
        ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
            ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH);
    if (!link->monitor)
        return -errno;
    link->monitor_fd = socket_fd(link->monitor);
    r = watch(link, link->monitor_fd);
    if (r == 0)
        r = socket_set(link->socket, ZMQ_IPV6, strchr(endpoint, '[') != NULL);
    if (r == 0 && zmq_connect(link->socket, endpoint) < 0)
        r = -errno;
    return r;
}

/* A host may have several addresses, and some of them may not lead to the broker. */
static const char *next_endpoint(const Link *link) {
    return link->found ? lookup_endpoint(link->found, link->next_address) : NULL;
}

static int attempt(Link *link, uint64_t now_ms) {
    const char *endpoint = next_endpoint(link);

    link->session++;
    link->hello_sent = false;
    link->attempt_ends_ms = now_ms + ATTEMPT_MS;
    if (!endpoint && lookup_is_needed(link->url))
        return wait_for_address(link);
    if (!endpoint)
        return connect_to(link, link->url, now_ms);
    link->next_address++;
    return connect_to(link, endpoint, now_ms);
}

static void back_off(Link *link) {
    link->backoff_ms = link->backoff_ms ? link->backoff_ms * 2 : BACKOFF_MS;
    if (link->backoff_ms > BACKOFF_MAX_MS)
        link->backoff_ms = BACKOFF_MAX_MS;
}

void link_lost(Link *link, const char *type, const char *format, ...) {
    bool was_up = link->state == LINK_UP;
    uint64_t now_ms = clock_ms();
    va_list args;

    va_start(args, format);
    error_setv(&link->problem, type, format, args);
    va_end(args);
    link_close_socket(link);
    outbox_clear(&link->out);
    inbox_clear(&link->in);
    if (link->state != LINK_CLOSED) {
        link->state = LINK_CONNECTING;
        if (was_up) {
            link->backoff_ms = 0;
            link->next_address = UINT_MAX; /* look it up again: the address may have changed */
        }
        /* The first attempt follows a lost session at once, the next ones after growing pauses.
         * Jitter spreads the attempts of a thousand clients whose broker restarts. */
        link->next_attempt_ms =
            now_ms + (link->backoff_ms ? link->backoff_ms / 2 + random_below(link->backoff_ms) : 0);
        if (next_endpoint(link))
            link->next_attempt_ms = now_ms;
        else
            back_off(link);
    }
    link->handlers.on_down(was_up, &link->problem, link->handlers.ctx);
}

static void cannot_connect(Link *link, int r) {
    link_lost(link, "ferry.NotConnected", "cannot connect to %s: %s", link->url, zmq_strerror(-r));
}

void link_attempt(Link *link, uint64_t now_ms) {
    int r = attempt(link, now_ms);

    if (r < 0)
        cannot_connect(link, r);
}

/* If the lookup fails, the addresses of the last one stay in use: name servers fail too. */
void link_end_lookup(Link *link, uint64_t now_ms) {
    bool is_done = lookup_is_done(link->asking);
    const char *problem = is_done ? "" : "no name server answers";
    int r = 0;

    stop_waiting_for_address(link);
    if (is_done && lookup_endpoint(link->asking, 0)) {
        lookup_free(link->found);
        link->found = steal(&link->asking);
    } else if (is_done && !link->found) {
        problem = lookup_problem(link->asking);
    }
    if (is_done)
        link->asking = lookup_free(link->asking);
    if (link->found) {
        link->next_address = 1;
        r = connect_to(link, lookup_endpoint(link->found, 0), now_ms);
        if (r < 0)
            cannot_connect(link, r);
    } else {
        link_lost(link, "ferry.NotConnected", "cannot find the host of %s: %s", link->url, problem);
    }
}

void link_send_hello(Link *link) {
    CLEANUP(buffer_deinit) Buffer scratch = {0};
    Message hello = {
        .op = OP_HELLO,
        .hello.version_min = WIRE_PROTOCOL,
        .hello.version_max = WIRE_PROTOCOL,
        .hello.client = span_of(link->client, WIRE_TOKEN),
        .hello.token = link->has_token ? span_of(link->token, WIRE_TOKEN) : (Span){NULL, 0},
        .hello.bytes = WIRE_CREDIT,
        .hello.text = span_text(link->name),
    };
    Chunk *chunk;

    /* With ZMQ_IMMEDIATE nothing can be sent before the connection is established. */
    if (!(socket_events(link->socket) & ZMQ_POLLOUT))
        return;
    link->handlers.on_hello(&hello, &scratch, link->handlers.ctx);
    inbox_clear(&link->in);
    link->in.max_body = WIRE_BODY_MAX;
    link->in.granted = WIRE_CREDIT;
    if (outbox_put(&link->out, LANE_CONTROL, &hello, NULL) < 0)
        return;
    chunk = outbox_take(&link->out);
    if (link_send_chunk(link, chunk) < 0) {
        chunk_free(chunk);
        return;
    }
    link->hello_sent = true;
}

void link_read_monitor(Link *link) {
    uint16_t event;
    uint32_t value;

    while (link->monitor && monitor_next(link->monitor, &event, &value)) {
        switch (event) {
        case ZMQ_EVENT_CLOSED:
            link_lost(link, "ferry.NotConnected", "no broker listens at %s", link->url);
            break;
        case ZMQ_EVENT_DISCONNECTED:
            /* Messages that arrived before the end are still read. */
            link_receive(link, INT32_MAX);
            if (link->socket)
                link_lost(link,
                          link->state == LINK_UP ? "ferry.ConnectionLost" : "ferry.NotConnected",
                          "the connection to %s was lost", link->url);
            break;
        default:
            link_lost(link, "ferry.NotConnected", "%s does not speak as a broker does", link->url);
        }
    }
}
