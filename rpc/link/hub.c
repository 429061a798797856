/* The broker's end of all connections. See hub.h. */

#include "rpc/link/hub.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <zmq.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/id-map.h"
#include "base/random.h"
#include "base/timers.h"
#include "rpc/link/connections.h"
#include "rpc/link/context.h"
#include "rpc/link/endpoint.h"

/*
 * How the broker learns that a peer is gone. libzmq does not tell a ROUTER. Its monitor names the
 * descriptor of a connection that ended; a send to a connection that is gone then fails with
 * EHOSTUNREACH. Between the two, the pipe may still take messages for a moment: so a suspect is
 * probed several times. The broker sets no heartbeats of its own: with them and a finite high-water
 * mark, a peer that floods and dies aborts the process (libzmq 4.3.4: assertion !_io_error).
 */
static const uint16_t probe_after_ms[] = {1, 5, 25, 100, 500, 2000};

enum {
    N_PROBES = sizeof(probe_after_ms) / sizeof(*probe_after_ms),
    HWM = 256,           /* batches in each direction of each connection inside libzmq */
    FD_RESERVE = 64,     /* descriptors kept for the broker itself */
    CLOSE_AFTER_MS = 50, /* time for a last message to leave */
    BLOCKED_RETRY_MS = 1,
    LOOK_EACH_MS = 1500, /* for peers that were stopped */
    SILENT_MS = 6000,    /* a client's libzmq says something every 2 s */
    UNREAD_LOOKS = 3,    /* in a row that found a silent peer not to read what was sent */
    LAST_WORK_MS = 5000, /* and how long what it said is worked on */
    LAST_WORDS_MS = 250, /* how long a dead peer's last messages are looked for among others' */
};

struct Hub {
    void *context, *socket;
    int socket_fd;
    HubOptions options;
    Connections connections;
    InboxTotal transfers;
    IdMap peers; /* by routing id */
    Peer *touched, *blocked, *gone;
    Timers timers;
    zmq_msg_t batch; /* lent to the caller of hub_receive() */
    Peer *batch_peer;
    bool batch_open;
    uint64_t last_retry_ms;
    Timer look;
    Spin spin;
};

static void link_in(Peer **list, Peer *peer) {
    peer->next = *list;
    if (peer->next)
        peer->next->link = &peer->next;
    peer->link = list;
    *list = peer;
}

static void link_out(Peer *peer) {
    if (!peer->link)
        return;
    *peer->link = peer->next;
    if (peer->next)
        peer->next->link = peer->link;
    peer->link = NULL;
    peer->next = NULL;
}

static uint64_t peer_key(const uint8_t *id, size_t len) {
    uint32_t number;

    /* libzmq makes ids of a zero byte and a 32-bit counter. Others were chosen by the peer. */
    if (len != 5 || id[0] != 0)
        return 0;
    memcpy(&number, id + 1, sizeof(number));
    return UINT64_C(1) << 32 | __builtin_bswap32(number);
}

/* ---- opening ---- */

static int set_up_socket(Hub *hub) {
    const int settings[][2] = {
        {ZMQ_ROUTER_MANDATORY, 1}, {ZMQ_ROUTER_HANDOVER, 0},
        {ZMQ_MAXMSGSIZE, 0},       {ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS},
        {ZMQ_TCP_MAXRT, 10000},    {ZMQ_BACKLOG, 1024},
        {ZMQ_SNDHWM, HWM},         {ZMQ_RCVHWM, HWM},
        {ZMQ_LINGER, 0},
    };
    int64_t max_batch = WIRE_BATCH_MAX;

    for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
        int r = settings[i][0] == ZMQ_MAXMSGSIZE
                    ? zmq_setsockopt(hub->socket, ZMQ_MAXMSGSIZE, &max_batch, sizeof(max_batch))
                    : socket_set(hub->socket, settings[i][0], settings[i][1]);

        if (r < 0)
            return -EIO;
    }
    return 0;
}

static int fd_limit(const HubOptions *options) {
    struct rlimit limit;
    int most = 1024;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        most = limit.rlim_cur > 1000000 ? 1000000 : (int)limit.rlim_cur;
    most = most > 2 * FD_RESERVE ? most - FD_RESERVE : most / 2;
    if (options->max_connections > 0 && options->max_connections + FD_RESERVE < (unsigned)most)
        most = (int)options->max_connections + FD_RESERVE;
    return most;
}

static void on_ended(void *owner);
static void on_look(Timer *timer, void *ctx);

int hub_new(Hub **ret, const HubOptions *options, ferry_error *reterr) {
    Hub *hub = calloc(1, sizeof(*hub));

    if (!hub)
        return error_set_code(reterr, -ENOMEM, NULL);
    hub->options = *options;
    hub->transfers.max = options->max_transfer_bytes ? options->max_transfer_bytes : UINT64_MAX;
    hub->spin.limit_us = options->spin_us;
    timers_init(&hub->timers, clock_ms());
    hub->connections = (Connections){.fd_limit = fd_limit(options),
                                     .on_ended = on_ended,
                                     .on_refused = options->on_refused,
                                     .ctx = options->ctx};

    /* libzmq numbers its peers from rand(), and never seeds it: numbers that can be foreseen can be
     * claimed. */
    srand((unsigned)random_u64());
    hub->context = context_ref();
    hub->socket = hub->context ? zmq_socket(hub->context, ZMQ_ROUTER) : NULL;
    if (!hub->socket || set_up_socket(hub) < 0) {
        hub_free(hub);
        return error_set_code(reterr, -EIO, "cannot make a ZeroMQ socket: %s", zmq_strerror(errno));
    }
    if (connections_init(&hub->connections, hub->context, hub->socket) < 0) {
        hub_free(hub);
        return error_set_code(reterr, -EIO, "cannot watch a ZeroMQ socket: %s",
                              zmq_strerror(errno));
    }
    timer_arm(&hub->timers, &hub->look, clock_ms() + LOOK_EACH_MS, on_look);
    hub->socket_fd = socket_fd(hub->socket);
    *ret = hub;
    return 0;
}

static void peer_free(Peer *peer) {
    Hub *hub = peer->hub;

    link_out(peer);
    timer_disarm(&hub->timers, &peer->check);
    connections_release(&hub->connections, peer->fd, peer);
    if (hub->batch_peer == peer)
        hub->batch_peer = NULL;
    outbox_clear(&peer->out);
    inbox_clear(&peer->in);
    free(peer);
}

Hub *hub_free(Hub *hub) {
    size_t pos = 0;
    Peer *peer;

    if (!hub)
        return NULL;
    while ((peer = id_map_next(&hub->peers, &pos)))
        peer_free(peer);
    id_map_deinit(&hub->peers);
    if (hub->batch_open)
        zmq_msg_close(&hub->batch);
    connections_deinit(&hub->connections, hub->socket);
    if (hub->socket)
        zmq_close(hub->socket);
    if (hub->context)
        context_unref();
    free(hub);
    return NULL;
}

/* libzmq asks no resolver about where to listen. */
static const char *without_name(const char *endpoint, char to[64]) {
    static const char localhost[] = "tcp://localhost:";

    if (strncmp(endpoint, localhost, sizeof(localhost) - 1) != 0)
        return endpoint;
    snprintf(to, 64, "tcp://127.0.0.1:%s", endpoint + sizeof(localhost) - 1);
    return to;
}

/* libzmq removes what is in the way, whatever it is. */
static bool is_in_the_way(const char *path) {
    struct stat status;

    return path && lstat(path, &status) == 0 && !S_ISSOCK(status.st_mode);
}

int hub_bind(Hub *hub, const char *endpoint, char ret_endpoint[256], ferry_error *reterr) {
    char numeric[64];
    size_t size = 256;

    if (is_in_the_way(endpoint_path(endpoint)))
        return error_set(reterr, "ferry.AlreadyExists",
                         "cannot listen on %s: there is something else than a socket", endpoint);
    /* With it set, an IPv4 address would be shown as ::ffff:127.0.0.1. */
    socket_set(hub->socket, ZMQ_IPV6, strchr(endpoint, '[') != NULL);
    if (zmq_bind(hub->socket, without_name(endpoint, numeric)) < 0) {
        int code = errno;

        if (code == EADDRINUSE)
            return error_set_code(reterr, -code,
                                  "%s is taken: another broker, or another program, listens there",
                                  endpoint);
        return error_set_code(reterr, code < 0xFFFF ? -code : -EINVAL, "cannot listen on %s: %s",
                              endpoint, zmq_strerror(code));
    }
    if (ret_endpoint)
        zmq_getsockopt(hub->socket, ZMQ_LAST_ENDPOINT, ret_endpoint, &size);
    return 0;
}

size_t hub_n_peers(const Hub *hub) {
    return hub->peers.n;
}

/* ---- who is there ---- */

static void peer_gone(Peer *peer) {
    if (peer->gone)
        return;
    peer->gone = true;
    peer->gone_dry = peer->hub->connections.n_dry;
    peer->gone_ms = peer->hub->timers.now_ms;
    peer->touched = false;
    timer_disarm(&peer->hub->timers, &peer->check);
    link_out(peer);
    link_in(&peer->hub->gone, peer);
}

static void probe(Peer *peer) {
    static const Message ping = {.op = OP_PING};

    /* Only the attempt counts: EAGAIN says nothing about life, and what is accepted is answered by
     * a PONG that nobody waits for. */
    if (!peer->out.lanes[LANE_CONTROL].first)
        outbox_put(&peer->out, LANE_CONTROL, &ping, NULL);
    peer_touch(peer);
}

/* For a peer whose descriptor was not certain: who is still there after it was sent something has
 * the connection that it seemed to have. False: it is asked first. */
static bool learn_fd_late(Peer *peer) {
    if (peer->fd >= 0 || peer->supposed_number == 0)
        return true;
    if (!peer->asked) {
        peer->asked = true;
        probe(peer);
        return false;
    }
    if (connections_claim_late(&peer->hub->connections, peer->supposed_fd, peer->supposed_number,
                               peer))
        peer->fd = peer->supposed_fd;
    peer->supposed_number = 0;
    return true;
}

static void on_check(Timer *timer, void *ctx) {
    Peer *peer = (Peer *)((char *)timer - offsetof(Peer, check));

    (void)ctx;
    if (peer->closing && !peer->cut) {
        if (!learn_fd_late(peer)) {
            timer_arm(&peer->hub->timers, &peer->check, peer->hub->timers.now_ms + CLOSE_AFTER_MS,
                      on_check);
            return;
        }
        connections_cut(&peer->hub->connections, peer->fd, peer);
        peer->cut = true;
        peer->suspect = 0;
    }
    if (peer->suspect < N_PROBES) {
        timer_arm(&peer->hub->timers, &peer->check,
                  peer->hub->timers.now_ms + probe_after_ms[peer->suspect++], on_check);
        probe(peer);
    } else {
        peer->suspect = 0;
    }
}

void peer_probe(Peer *peer) {
    if (peer->gone || timer_armed(&peer->check))
        return;
    peer->suspect = 1;
    timer_arm(&peer->hub->timers, &peer->check, peer->hub->timers.now_ms + probe_after_ms[0],
              on_check);
    probe(peer);
}

/*
 * A process that is stopped, or behind a cut cable, closes nothing. libzmq gives it up when the TTL
 * of its last PING has passed, but forgets the TTL with the next message after that PING: who was
 * busy until it was stopped would never be missed. The kernel knows better. Over TCP, when bytes
 * came last; on a Unix socket, whether what we sent was read, which libzmq's thread does at once
 * however long the program computes.
 */
static bool is_stopped(Peer *peer) {
    struct tcp_info info;
    socklen_t len = sizeof(info);
    int unread = 0;

    if (getsockopt(peer->fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0)
        return info.tcpi_last_data_recv >= SILENT_MS;
    /* Who says something, lives, and may have bytes under way at any time. */
    if (peer->looked_at != peer->batches_in || ioctl(peer->fd, SIOCOUTQ, &unread) < 0 ||
        unread == 0)
        peer->n_unread = 0;
    else if (++peer->n_unread == UNREAD_LOOKS)
        return true;
    /* Something for it to read, if it has been silent. */
    if (peer->looked_at == peer->batches_in)
        probe(peer);
    peer->looked_at = peer->batches_in;
    return false;
}

static void on_look(Timer *timer, void *ctx) {
    Hub *hub = (Hub *)((char *)timer - offsetof(Hub, look));
    size_t pos = 0;
    Peer *peer;

    (void)ctx;
    timer_arm(&hub->timers, &hub->look, hub->timers.now_ms + LOOK_EACH_MS, on_look);
    connections_cut_unclaimed(&hub->connections);
    while ((peer = id_map_next(&hub->peers, &pos))) {
        /* One whose descriptor is not known says something when it is asked, or is gone. */
        if (peer->gone || timer_armed(&peer->check) || !learn_fd_late(peer) ||
            (peer->fd >= 0 && !peer->closing && !is_stopped(peer)))
            continue;
        connections_cut(&hub->connections, peer->fd, peer);
        peer_probe(peer);
    }
}

const char *peer_address(const Peer *peer, char to[CONNECTION_ADDRESS_MAX]) {
    return connections_address(&peer->hub->connections, peer->fd, to);
}

void peer_close(Peer *peer) {
    if (peer->closing || peer->gone)
        return;
    peer->closing = true;
    /* Nothing but session control still leaves. */
    peer->out.credit = 0;
    peer_touch(peer);
    timer_arm(&peer->hub->timers, &peer->check, peer->hub->timers.now_ms + CLOSE_AFTER_MS,
              on_check);
}

static void on_ended(void *owner) {
    Peer *peer = owner;

    peer->fd = -1;
    peer_probe(peer);
}

static void learn_fd(Peer *peer, int fd) {
    if (connections_claim(&peer->hub->connections, fd, peer)) {
        peer->fd = fd;
        return;
    }
    peer->supposed_fd = fd;
    peer->supposed_number = connections_number(&peer->hub->connections, fd);
    peer->asked = false;
    peer_probe(peer); /* is it still there? If so, its answer shows where it comes from */
}

size_t hub_n_connections(const Hub *hub) {
    return hub->connections.n_open;
}

/* ---- in ---- */

static bool has_input(void *ctx) {
    return (socket_events(((Hub *)ctx)->socket) & ZMQ_POLLIN) != 0;
}

uint64_t hub_next_ms(const Hub *hub) {
    uint64_t next = timers_next(&hub->timers);

    if (hub->gone)
        return hub->timers.now_ms;
    return hub->blocked && hub->timers.now_ms + BLOCKED_RETRY_MS < next
               ? hub->timers.now_ms + BLOCKED_RETRY_MS
               : next;
}

int hub_wait(Hub *hub, int fd, int timeout_ms) {
    struct pollfd fds[3] = {
        {hub->socket_fd, POLLIN, 0}, {hub->connections.monitor_fd, POLLIN, 0}, {fd, POLLIN, 0}};
    int n = 0;

    /* ZMQ_FD is edge-triggered: sleep only after ZMQ_EVENTS has said that there is nothing. */
    if (timeout_ms == 0 ? !has_input(hub) : !spin_until(&hub->spin, has_input, hub)) {
        if (!(socket_events(hub->connections.monitor) & ZMQ_POLLIN))
            n = poll(fds, fd >= 0 ? 3 : 2, timeout_ms);
        spin_woke(&hub->spin);
    }
    return n > 0 && fd >= 0 && fds[2].revents ? 1 : 0;
}

static Peer *peer_new(Hub *hub, const uint8_t *id, size_t len) {
    Peer *peer = calloc(1, sizeof(*peer) + len);

    if (!peer)
        return NULL;
    peer->hub = hub;
    peer->fd = -1;
    peer->in.max_body = hub->options.max_body;
    peer->in.total = &hub->transfers;
    peer->in.granted = WIRE_CREDIT;
    peer->id_len = (uint8_t)len;
    memcpy(peer->id, id, len);
    if (id_map_put(&hub->peers, peer_key(id, len), peer) < 0) {
        free(peer);
        return NULL;
    }
    return peer;
}

/* Whose frame is this? NULL: nobody we serve; the frames that follow are thrown away. */
static Peer *peer_of(Hub *hub, zmq_msg_t *frame) {
    const uint8_t *id = zmq_msg_data(frame);
    size_t len = zmq_msg_size(frame);
    uint64_t key = peer_key(id, len);
    Peer *peer = key ? id_map_get(&hub->peers, key) : NULL;

    return peer || !key ? peer : peer_new(hub, id, len);
}

void peer_handled(Peer *peer) {
    uint64_t grant = peer->gone || peer->closing ? 0 : inbox_handled(&peer->in);

    if (grant > 0)
        peer_put(peer, LANE_CONTROL, &(Message){.op = OP_CREDIT, .bytes = grant}, NULL);
}

/* The batch before this one has been handled. */
static void close_batch(Hub *hub) {
    if (!hub->batch_open)
        return;
    if (hub->batch_peer)
        peer_handled(hub->batch_peer);
    zmq_msg_close(&hub->batch);
    hub->batch_open = false;
    hub->batch_peer = NULL;
}

/* Only a ferry client is let in: one frame, and an id that libzmq made. */
static void refuse(Hub *hub, Peer *peer, int fd) {
    if (peer && peer->closing)
        return;
    if (!peer) {
        connections_refuse(&hub->connections, fd, REFUSED_ROUTING_ID);
        return;
    }
    if (peer->fd < 0)
        learn_fd(peer, fd);
    connections_tell(&hub->connections, peer->fd, REFUSED_FRAMES);
    connections_cut(&hub->connections, peer->fd, peer);
    peer_close(peer);
}

int hub_receive(Hub *hub, Peer **ret_peer, const uint8_t **ret_data, size_t *ret_len) {
    for (;;) {
        zmq_msg_t id;
        Peer *peer;
        bool whole;

        close_batch(hub);
        zmq_msg_init(&id);
        if (zmq_msg_recv(&id, hub->socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&id);
            hub->connections.n_dry++;
            /* Also what hub_wait() woke for. Connections that begin from here on are known before
             * their first message comes. */
            connections_read(&hub->connections);
            return 0;
        }
        peer = peer_of(hub, &id);
        zmq_msg_close(&id);
        zmq_msg_init(&hub->batch);
        if (zmq_msg_recv(&hub->batch, hub->socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&hub->batch);
            continue;
        }
        hub->batch_open = true;
        whole = !zmq_msg_more(&hub->batch);
        while (!whole) {
            zmq_msg_t rest;

            zmq_msg_init(&rest);
            if (zmq_msg_recv(&rest, hub->socket, ZMQ_DONTWAIT) < 0 || !zmq_msg_more(&rest)) {
                zmq_msg_close(&rest);
                break;
            }
            zmq_msg_close(&rest);
        }
        if (!peer || !whole) {
            refuse(hub, peer, zmq_msg_get(&hub->batch, ZMQ_SRCFD));
            continue;
        }
        if (peer->fd < 0)
            learn_fd(peer, zmq_msg_get(&hub->batch, ZMQ_SRCFD));
        if (peer->closing)
            continue;
        peer->batches_in++;
        peer->bytes_in += zmq_msg_size(&hub->batch);
        hub->batch_peer = peer;
        *ret_peer = peer;
        *ret_data = zmq_msg_data(&hub->batch);
        *ret_len = zmq_msg_size(&hub->batch);
        return 1;
    }
}

/* ---- out ---- */

void peer_touch(Peer *peer) {
    if (peer->touched || peer->gone)
        return;
    peer->touched = true;
    link_out(peer);
    link_in(&peer->hub->touched, peer);
}

int peer_put(Peer *peer, Lane lane, const Message *message, const void *block) {
    int r;

    if (peer->gone || (peer->closing && lane != LANE_CONTROL))
        return 0;
    r = outbox_put(&peer->out, lane, message, block);
    if (r == 0)
        peer_touch(peer);
    return r;
}

/* 0, -EAGAIN (the chunk is still ours), or -EHOSTUNREACH. */
static int send_chunk(Peer *peer, Chunk *chunk) {
    void *socket = peer->hub->socket;
    zmq_msg_t frame;
    uint32_t len = chunk->len;

    if (zmq_send(socket, peer->id, peer->id_len, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
        return errno == EAGAIN ? -EAGAIN : -EHOSTUNREACH;
    if (chunk_is_sparse(chunk)) {
        if (zmq_msg_init_size(&frame, len) < 0) {
            /* The head of a message is out: it must have a body, or the next one gets it. */
            zmq_msg_init(&frame);
            peer_close(peer);
        } else {
            memcpy(zmq_msg_data(&frame), chunk->data, len);
        }
        chunk_free(chunk);
    } else {
        zmq_msg_init_data(&frame, chunk->data, len, chunk_free_data, chunk);
    }
    if (zmq_msg_send(&frame, socket, ZMQ_DONTWAIT) < 0) {
        /* The connection died between the two frames. What is left of the message goes nowhere. */
        zmq_msg_close(&frame);
        peer_probe(peer);
        return 0;
    }
    peer->batches_out++;
    peer->bytes_out += len;
    return 0;
}

static void flush_peer(Peer *peer) {
    Chunk *chunk;

    peer->touched = false;
    link_out(peer);
    while ((chunk = outbox_take(&peer->out))) {
        int r = send_chunk(peer, chunk);

        if (r == -EAGAIN) {
            outbox_untake(&peer->out, chunk);
            link_in(&peer->hub->blocked, peer);
            return;
        }
        if (r < 0) {
            chunk_free(chunk);
            peer_gone(peer);
            return;
        }
    }
}

/* What it sent before its end is still to be received: a publish and a close, say. Then the peer is
 * given up. */
static bool bury(Hub *hub, uint64_t now_ms) {
    Peer *peer, *next;
    bool any = false;

    for (peer = hub->gone; peer; peer = next) {
        next = peer->next;
        if ((hub->connections.n_dry == peer->gone_dry && now_ms < peer->gone_ms + LAST_WORDS_MS) ||
            (peer->has_more && now_ms < peer->gone_ms + LAST_WORK_MS))
            continue;
        link_out(peer);
        hub->options.on_gone(peer, hub->options.ctx);
        id_map_take(&hub->peers, peer_key(peer->id, peer->id_len));
        peer_free(peer);
        any = true;
        /* The list may have changed: from the front again. */
        next = hub->gone;
    }
    return any;
}

void hub_flush(Hub *hub) {
    uint64_t now_ms = clock_ms();
    Peer *retry = NULL, *peer;

    close_batch(hub);
    timers_run(&hub->timers, now_ms, NULL);
    if (now_ms != hub->last_retry_ms && hub->blocked) {
        hub->last_retry_ms = now_ms;
        retry = hub->blocked;
        retry->link = &retry;
        hub->blocked = NULL;
        while ((peer = retry))
            flush_peer(peer);
    }
    do {
        while ((peer = hub->touched))
            flush_peer(peer);
        /* on_gone answers others, who may turn out to be gone as well. */
    } while (bury(hub, now_ms) || hub->touched);
}
