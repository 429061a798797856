/* The broker's end of all connections: batches in and out. See hub.h and core.h. */

#include <poll.h>
#include <stdlib.h>

#include "base/clock.h"
#include "rpc/link/hub/core.h"
#include "rpc/link/tsan.h"

enum { BLOCKED_RETRY_MS = 1 };

uint64_t peer_key(const uint8_t *id, size_t len) {
    uint32_t number;

    /* libzmq makes ids of a zero byte and a 32-bit counter. Others were chosen by the peer. */
    if (len != 5 || id[0] != 0)
        return 0;
    memcpy(&number, id + 1, sizeof(number));
    return UINT64_C(1) << 32 | __builtin_bswap32(number);
}

void peer_free(Peer *peer) {
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

size_t hub_n_peers(const Hub *hub) {
    return hub->peers.n;
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
        peer_put(peer, LANE_CONTROL, &(Message){.op = OP_CREDIT, .credit.bytes = grant}, NULL);
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
        peer_learn_fd(peer, fd);
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
            peer_learn_fd(peer, zmq_msg_get(&hub->batch, ZMQ_SRCFD));
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
        given_to_libzmq(chunk);
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
            peer_mark_gone(peer);
            return;
        }
    }
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
    } while (hub_bury(hub, now_ms) || hub->touched);
}
