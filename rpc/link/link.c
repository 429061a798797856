/* The client's end of a connection. See link.h. */

#include "rpc/link/link.h"

#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <zmq.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/random.h"
#include "rpc/link/context.h"
#include "rpc/link/endpoint.h"
#include "rpc/link/lookup.h"

enum {
    ATTEMPT_MS = 5000, /* from connecting to WELCOME; before that, for the host's address */
    BACKOFF_MS = 50,   /* before the second attempt; doubled… */
    BACKOFF_MAX_MS = 2000,
    HEARTBEAT_MS = 2000, /* ZMTP PINGs, in libzmq's own thread */
    HEARTBEAT_TTL_MS = 6000,
    HWM = 256,
    SPIN_US = 200,
    GOODBYE_MS = 200,
    WAITING_MAX = 4 * 1024 * 1024,
    MONITOR_EACH_MS = 1,
    HOLD_MIN = 4096, /* of a body: below, copying costs less */
    HOLD_SHARE = 4,  /* a body holds at most so many times its own size */
};

/* A batch whose messages are being handed on. */
typedef struct Reading {
    struct Reading *outer; /* whose handler asked for more */
    Reader reader;
    uint64_t batch, session;
    zmq_msg_t *frame; /* its bytes… */
    Span bytes;       /* …which are these */
    void *held;       /* a block that has taken them over; NULL: none */
} Reading;

struct Link {
    char *url, *name;
    LinkHandlers handlers;
    LinkState state;
    void *context, *socket, *monitor; /* no socket: between two attempts */
    int epoll_fd, socket_fd, monitor_fd;
    Lookup *asking, *found; /* the host's addresses: being looked up; as last found */
    bool waits_for_address; /* that is what the attempt is at */
    unsigned next_address;  /* of those found, to try */
    Outbox out;
    Inbox in;
    uint8_t client[WIRE_TOKEN], token[WIRE_TOKEN];
    bool has_token, hello_sent, hold_credit;
    uint64_t max_body;
    uint64_t attempt_ends_ms; /* no WELCOME by then: it failed */
    uint64_t next_attempt_ms; /* while there is no socket */
    uint64_t backoff_ms;
    uint64_t monitor_read_ms;
    uint64_t session;          /* counts sockets: a message handler may have brought a new one */
    uint64_t n_batches, batch; /* received; the one being handed on */
    Reading *reading;          /* that one, while it is; NULL: none */
    ferry_error problem;
    Spin spin;
};

static void lost(Link *link, const char *type, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- one attempt ---- */

static int watch(Link *link, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    return epoll_ctl(link->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int set_up_socket(void *socket) {
    const int settings[][2] = {
        {ZMQ_IMMEDIATE, 1},
        /* A new session needs a new socket: see docs/PROTOCOL.md, section 6. */
        {ZMQ_RECONNECT_IVL, -1},
        /* What it sends is bounded by our credit. With a bound here, a full pipe and a heartbeat
         * can abort the process (libzmq 4.3.4). */
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

static void close_socket(Link *link) {
    stop_waiting_for_address(link);
    if (link->socket) {
        epoll_ctl(link->epoll_fd, EPOLL_CTL_DEL, link->socket_fd, NULL);
        /* Before its reader is closed: libzmq's thread would wait for ever to tell nobody of an
         * event, and hold a lock meanwhile. */
    }
    if (link->monitor) {
        epoll_ctl(link->epoll_fd, EPOLL_CTL_DEL, link->monitor_fd, NULL);
        monitor_close(link->socket, link->monitor);
    }
    if (link->socket)
        zmq_close(link->socket);
    link->socket = link->monitor = NULL;
    link->session++;
}

/* A lookup that takes longer than an attempt goes on: there is never more than one. */
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

/* The host has several addresses, perhaps, and not all lead to the broker. */
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

/* The session, or the attempt at one, is over. Another attempt follows after a while. */
static void lost(Link *link, const char *type, const char *format, ...) {
    bool was_up = link->state == LINK_UP;
    uint64_t now_ms = clock_ms();
    va_list args;

    va_start(args, format);
    error_setv(&link->problem, type, format, args);
    va_end(args);
    close_socket(link);
    outbox_clear(&link->out);
    inbox_clear(&link->in);
    if (link->state != LINK_CLOSED) {
        link->state = LINK_CONNECTING;
        if (was_up) {
            link->backoff_ms = 0;
            link->next_address = UINT_MAX; /* look it up again: it may have moved */
        }
        /* At once after a lost session, then slower and slower; jitter, so that a thousand clients
         * of a broker that restarts do not come back in step. */
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
    lost(link, "ferry.NotConnected", "cannot connect to %s: %s", link->url, zmq_strerror(-r));
}

static void try_again(Link *link, uint64_t now_ms) {
    int r = attempt(link, now_ms);

    if (r < 0)
        cannot_connect(link, r);
}

/* The addresses of before are better than none: name servers fail too. */
static void end_lookup(Link *link, uint64_t now_ms) {
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
        lost(link, "ferry.NotConnected", "cannot find the host of %s: %s", link->url, problem);
    }
}

int link_new(Link **ret, const char *url, const char *name, const LinkHandlers *handlers,
             ferry_error *reterr) {
    const char *problem = endpoint_problem(url, ENDPOINT_CONNECT);
    Link *link;

    if (problem)
        return error_set(reterr, "ferry.Misuse", "'%s' is no broker's URL: %s", url, problem);
    link = calloc(1, sizeof(*link));
    if (!link)
        return error_set_code(reterr, -ENOMEM, NULL);
    link->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    link->url = strdup(url);
    link->name = strdup(name);
    link->context = context_ref();
    link->handlers = *handlers;
    link->max_body = WIRE_BODY_MAX;
    link->in.max_body = WIRE_BODY_MAX;
    link->spin.limit_us = SPIN_US;
    random_bytes(link->client, sizeof(link->client));
    if (!link->context || link->epoll_fd < 0 || !link->url || !link->name) {
        int code = link->epoll_fd < 0 ? -errno : -ENOMEM;

        link_free(link);
        return error_set_code(reterr, code, NULL);
    }
    *ret = link;
    return 0;
}

Link *link_free(Link *link) {
    if (!link)
        return NULL;
    if (link->socket && link->state == LINK_UP) {
        static const Message bye = {.op = OP_BYE};

        outbox_put(&link->out, LANE_CONTROL, &bye, NULL);
        /* What credit held back so far will hardly get any now: BYE goes behind what may go. */
        link_flush(link);
        socket_set(link->socket, ZMQ_LINGER, GOODBYE_MS);
    }
    close_socket(link);
    lookup_free(link->asking);
    lookup_free(link->found);
    outbox_clear(&link->out);
    inbox_clear(&link->in);
    if (link->context)
        context_unref();
    if (link->epoll_fd >= 0)
        close(link->epoll_fd);
    ferry_error_clear(&link->problem);
    free(link->url);
    free(link->name);
    free(link);
    return NULL;
}

LinkState link_state(const Link *link) {
    return link->state;
}

const uint8_t *link_client_id(const Link *link) {
    return link->client;
}

uint64_t link_max_body(const Link *link) {
    return link->max_body;
}

const char *link_url(const Link *link) {
    return link->url;
}

const ferry_error *link_problem(const Link *link) {
    static const ferry_error looking = {
        .type = "ferry.NotConnected",
        .message = "the address of the broker's host is still being looked up",
    };

    if (link->problem.type)
        return &link->problem;
    return link->waits_for_address ? &looking : NULL;
}

size_t link_waiting(const Link *link) {
    return outbox_bytes(&link->out);
}

bool link_has_room(const Link *link) {
    return outbox_bytes(&link->out) <= WAITING_MAX / 2;
}

uint64_t link_batch(const Link *link) {
    return link->batch;
}

int link_epoll_fd(const Link *link) {
    return link->epoll_fd;
}

void link_hold_credit(Link *link, bool hold) {
    link->hold_credit = hold;
}

/* ---- out ---- */

int link_put(Link *link, Lane lane, const Message *message, const void *block) {
    size_t waiting = outbox_bytes(&link->out);

    if (link->state != LINK_UP)
        return -ENOTCONN;
    if (waiting > WAITING_MAX && (lane == LANE_BULK || waiting > 2 * (size_t)WAITING_MAX))
        return -EAGAIN;
    return outbox_put(&link->out, lane, message, block);
}

static int send_chunk(Link *link, Chunk *chunk) {
    zmq_msg_t frame;

    if (chunk_is_sparse(chunk)) {
        if (zmq_msg_init_size(&frame, chunk->len) < 0)
            return -ENOMEM;
        memcpy(zmq_msg_data(&frame), chunk->data, chunk->len);
        if (zmq_msg_send(&frame, link->socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&frame);
            return -EAGAIN;
        }
        chunk_free(chunk);
        return 0;
    }
    /* Ask first: a refused frame would take the chunk with it when it is closed. */
    if (!(socket_events(link->socket) & ZMQ_POLLOUT))
        return -EAGAIN;
    if (zmq_msg_init_data(&frame, chunk->data, chunk->len, chunk_free_data, chunk) < 0)
        return -ENOMEM;
    if (zmq_msg_send(&frame, link->socket, ZMQ_DONTWAIT) < 0) {
        /* The connection went between the two calls; so did all that waited for it. */
        zmq_msg_close(&frame);
        return 0;
    }
    return 0;
}

static void send_hello(Link *link) {
    CLEANUP(buffer_deinit) Buffer scratch = {0};
    Message hello = {
        .op = OP_HELLO,
        .version_min = WIRE_PROTOCOL,
        .version_max = WIRE_PROTOCOL,
        .client = span_of(link->client, WIRE_TOKEN),
        .token = link->has_token ? span_of(link->token, WIRE_TOKEN) : (Span){NULL, 0},
        .bytes = WIRE_CREDIT,
        .text = span_text(link->name),
    };
    Chunk *chunk;

    /* With ZMQ_IMMEDIATE nothing can be sent before the connection stands. */
    if (!(socket_events(link->socket) & ZMQ_POLLOUT))
        return;
    link->handlers.on_hello(&hello, &scratch, link->handlers.ctx);
    inbox_clear(&link->in);
    link->in.max_body = WIRE_BODY_MAX;
    link->in.granted = WIRE_CREDIT;
    if (outbox_put(&link->out, LANE_CONTROL, &hello, NULL) < 0)
        return;
    chunk = outbox_take(&link->out);
    if (send_chunk(link, chunk) < 0) {
        chunk_free(chunk);
        return;
    }
    link->hello_sent = true;
}

void link_flush(Link *link) {
    Chunk *chunk;

    if (!link->socket || !link->hello_sent)
        return;
    while ((chunk = outbox_take(&link->out)))
        if (send_chunk(link, chunk) < 0) {
            outbox_untake(&link->out, chunk);
            return;
        }
}

/* ---- in ---- */

static void welcome(Link *link, const Message *message) {
    uint32_t left;
    Reader limits = pairs_of(message->limits, &left);
    Span key;

    if (link->state == LINK_UP || message->token.len != WIRE_TOKEN) {
        lost(link, "ferry.Protocol", "%s sent a WELCOME that was not due", link->url);
        return;
    }
    while (pairs_next(&limits, &left, &key)) {
        if (span_is(key, "max_body"))
            link->max_body = reader_uint(&limits);
        else
            reader_value(&limits);
    }
    /* What is sent to others may be as large as what they send. */
    link->in.max_body = link->max_body;
    memcpy(link->token, message->token.data, WIRE_TOKEN);
    link->has_token = true;
    link->out.credit = (int64_t)(message->bytes > INT64_MAX / 2 ? INT64_MAX / 2 : message->bytes);
    link->state = LINK_UP;
    link->backoff_ms = 0;
    ferry_error_clear(&link->problem);
    link->handlers.on_up((message->flags & WELCOME_RESUMED) != 0, link->handlers.ctx);
}

static void faulted(Link *link, const Message *message) {
    uint32_t left;
    Reader pairs = pairs_of(message->error, &left);
    Span key, text = span_text("it did not say why"), type = {NULL, 0};

    while (pairs_next(&pairs, &left, &key)) {
        Span value = reader_value(&pairs);
        Reader inside = reader_of(value.data, value.len);

        if (span_is(key, "message"))
            text = reader_str(&inside);
        else if (span_is(key, "type"))
            type = reader_str(&inside);
    }
    /* Another attempt would end alike, unless it was the broker's state that ended this one. */
    if (!span_is(type, "ferry.Draining") && !span_is(type, "ferry.OutOfMemory"))
        link->state = LINK_CLOSED;
    lost(link, link->state == LINK_CLOSED ? "ferry.Protocol" : "ferry.NotConnected",
         "the broker at %s refused to go on: %.*s", link->url, (int)text.len,
         (const char *)text.data);
}

/* Session control, and parts of bodies; true: the message is for the layer above. */
static bool handle_own(Link *link, Message *message) {
    switch (message->op) {
    case OP_WELCOME:
        welcome(link, message);
        return false;
    case OP_PING:
        outbox_put(&link->out, LANE_CONTROL, &(Message){.op = OP_PONG, .id = message->id}, NULL);
        return false;
    case OP_CREDIT:
        if (message->bytes < INT64_MAX / 2 && link->out.credit < INT64_MAX / 2)
            link->out.credit += (int64_t)message->bytes;
        return false;
    case OP_PART:
        inbox_part(&link->in, message);
        return false;
    case OP_BYE:
        lost(link, "ferry.ConnectionLost", "the broker at %s ended the session: %.*s", link->url,
             (int)message->text.len, (const char *)message->text.data);
        return false;
    case OP_FAULT:
        faulted(link, message);
        return false;
    default:
        return link->state == LINK_UP;
    }
}

/* Hands on what is left of a batch, at most max messages; returns how many there were. */
static int go_on(Link *link, Reading *reading, int max) {
    Message message;
    int n = 0, r;

    while (n < max && (r = message_read(&reading->reader, &message)) != 0) {
        const void *block = NULL;

        if (r < 0) {
            lost(link, "ferry.Protocol", "%s sent what is no message: %s", link->url,
                 reading->reader.problem);
            return n;
        }
        if (handle_own(link, &message)) {
            /* A body that could not be taken in leaves its message without one: the layer above
             * answers for it as for any other that makes no sense. */
            if (message.body_transfer && inbox_body(&link->in, &message, &block) < 0)
                message.body = (Span){NULL, 0};
            link->batch = reading->batch;
            link->handlers.on_message(&message, block, link->handlers.ctx);
            ferry_free(block);
            n++;
        }
        if (link->session != reading->session)
            return n;
    }
    return n;
}

/* Returns how many messages were handed on. */
static int handle_batch(Link *link, zmq_msg_t *frame) {
    Reading reading = {.outer = link->reading,
                       .batch = ++link->n_batches,
                       .session = link->session,
                       .frame = frame,
                       .bytes = span_of(zmq_msg_data(frame), zmq_msg_size(frame))};
    int n;

    if (batch_open(&reading.reader, reading.bytes.data, reading.bytes.len) < 0) {
        lost(link, "ferry.Protocol", "%s: %s", link->url, reading.reader.problem);
        return 0;
    }
    link->reading = &reading;
    n = go_on(link, &reading, INT_MAX);
    link->reading = reading.outer;
    ferry_free(reading.held);
    return n;
}

/* As free_fn of a block. */
static void close_frame(void *ctx) {
    zmq_msg_close(ctx);
    free(ctx);
}

/* Moves a frame into a block. Its bytes stay where they are: it is larger than what libzmq stores
 * in the zmq_msg_t itself. NULL: out of memory, and nothing has happened. */
static void *hold_frame(zmq_msg_t *frame) {
    zmq_msg_t *moved = malloc(sizeof(*moved));
    ferry_bytes bytes;

    if (!moved)
        return NULL;
    zmq_msg_init(moved);
    if (ferry_wrap(NULL, 0, close_frame, moved, &bytes) < 0) {
        free(moved);
        return NULL;
    }
    zmq_msg_move(moved, frame);
    return (void *)(uintptr_t)bytes.block;
}

const void *link_hold_body(Link *link, Span body) {
    Reading *reading = link->reading;

    if (!reading || body.len < HOLD_MIN || body.len < reading->bytes.len / HOLD_SHARE ||
        body.data < reading->bytes.data || body.data >= reading->bytes.data + reading->bytes.len)
        return NULL;
    if (!reading->held)
        reading->held = hold_frame(reading->frame);
    return ferry_keep(reading->held);
}

static bool is_control(const uint8_t *data, size_t len) {
    /* The op of the first message stands right behind its array head. */
    return len > WIRE_HEAD + 1u && data[WIRE_HEAD + 1] < OP_OK && data[WIRE_HEAD + 1] != OP_PART;
}

static int receive(Link *link, int max_messages) {
    int n = 0;

    /* Inside a handler: first the rest of the batch that it was called for. */
    if (link->reading && link->reading->session == link->session)
        n = go_on(link, link->reading, max_messages);
    while (n < max_messages && link->socket) {
        uint64_t session = link->session, grant;
        zmq_msg_t frame;
        size_t len;
        bool more, control;

        zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, link->socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&frame);
            break;
        }
        more = zmq_msg_more(&frame) != 0;
        len = zmq_msg_size(&frame);
        control = is_control(zmq_msg_data(&frame), len);
        if (more)
            lost(link, "ferry.Protocol", "%s sent more than one frame", link->url);
        else
            n += handle_batch(link, &frame);
        zmq_msg_close(&frame);
        if (link->session != session || control)
            continue;
        link->in.granted -= (int64_t)len;
        link->in.charged += len;
        grant = link->hold_credit ? 0 : inbox_handled(&link->in);
        if (grant > 0)
            outbox_put(&link->out, LANE_CONTROL, &(Message){.op = OP_CREDIT, .bytes = grant}, NULL);
    }
    return n;
}

static void read_monitor(Link *link) {
    uint16_t event;
    uint32_t value;

    while (link->monitor && monitor_next(link->monitor, &event, &value)) {
        switch (event) {
        case ZMQ_EVENT_CLOSED:
            lost(link, "ferry.NotConnected", "no broker listens at %s", link->url);
            break;
        case ZMQ_EVENT_DISCONNECTED:
            /* What came before the end is still to be read. */
            receive(link, INT32_MAX);
            if (link->socket)
                lost(link, link->state == LINK_UP ? "ferry.ConnectionLost" : "ferry.NotConnected",
                     "the connection to %s was lost", link->url);
            break;
        default:
            lost(link, "ferry.NotConnected", "%s does not speak as a broker does", link->url);
        }
    }
}

int link_process(Link *link, int max_messages, uint64_t now_ms) {
    int n = 0;

    if (link->state == LINK_CLOSED)
        return 0;
    if (link->waits_for_address) {
        if (lookup_is_done(link->asking) || now_ms >= link->attempt_ends_ms)
            end_lookup(link, now_ms);
    } else if (!link->socket && now_ms >= link->next_attempt_ms) {
        try_again(link, now_ms);
    }
    if (link->socket && !link->hello_sent)
        send_hello(link);
    if (link->socket)
        n = receive(link, max_messages);
    /* It costs a system call, and says little: not each time, but whenever nothing came. */
    if (link->socket && (n == 0 || now_ms >= link->monitor_read_ms + MONITOR_EACH_MS)) {
        link->monitor_read_ms = now_ms;
        read_monitor(link);
    }
    if (link->socket && link->state == LINK_CONNECTING && now_ms >= link->attempt_ends_ms)
        lost(link, "ferry.NotConnected", "no broker answers at %s", link->url);
    return n;
}

static bool has_input(void *ctx) {
    Link *link = ctx;
    /* What ZeroMQ refused goes on when there is room again: its descriptor says so only once. */
    bool sends = !link->hello_sent || link->out.returned;
    unsigned wanted = sends ? ZMQ_POLLIN | ZMQ_POLLOUT : ZMQ_POLLIN;

    if (link->reading && link->reading->session == link->session &&
        reader_left(&link->reading->reader) > 0)
        return true;
    if (link->waits_for_address)
        return lookup_is_done(link->asking);
    return link->socket && (socket_events(link->socket) & wanted) != 0;
}

bool link_has_input(Link *link) {
    return has_input(link);
}

uint64_t link_next_ms(const Link *link) {
    if (link->state == LINK_CLOSED)
        return UINT64_MAX;
    if (!link->socket && !link->waits_for_address)
        return link->next_attempt_ms;
    return link->state == LINK_CONNECTING ? link->attempt_ends_ms : UINT64_MAX;
}

void link_wait(Link *link, int fd, uint64_t until_ms) {
    struct pollfd fds[3] = {{-1, POLLIN, 0}, {-1, POLLIN, 0}, {fd, POLLIN, 0}};
    uint64_t now_ms = clock_ms(), next_ms = link_next_ms(link);

    until_ms = until_ms < next_ms ? until_ms : next_ms;
    if (until_ms <= now_ms || has_input(link))
        return;
    if (link->state == LINK_UP && spin_until(&link->spin, has_input, link))
        return;
    if (link->socket) {
        fds[0].fd = link->socket_fd;
        fds[1].fd = link->monitor_fd;
        if (socket_events(link->monitor) & ZMQ_POLLIN)
            return;
    } else if (link->waits_for_address) {
        fds[0].fd = lookup_fd(link->asking);
    }
    poll(fds, 3, until_ms - now_ms > 60000 ? 60000 : (int)(until_ms - now_ms));
    spin_woke(&link->spin);
    if (fds[1].revents)
        link->monitor_read_ms = 0;
}
