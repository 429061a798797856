/* Who is still there. See core.h. */

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "rpc/link/hub/core.h"

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
    CLOSE_AFTER_MS = 50, /* time for a last message to leave */
    LOOK_EACH_MS = 1500, /* for peers that were stopped */
    SILENT_MS = 6000,    /* a client's libzmq says something every 2 s */
    UNREAD_LOOKS = 3,    /* in a row that found a silent peer not to read what was sent */
    LAST_WORDS_MS = 250, /* how long a dead peer's last messages are looked for among others' */
    LAST_WORK_MS = 5000, /* and how long what it said is worked on */
};

void peer_mark_gone(Peer *peer) {
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

void liveness_begin(Hub *hub) {
    timer_arm(&hub->timers, &hub->look, clock_ms() + LOOK_EACH_MS, on_look);
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

void peer_connection_ended(void *owner) {
    Peer *peer = owner;

    peer->fd = -1;
    peer_probe(peer);
}

void peer_learn_fd(Peer *peer, int fd) {
    if (connections_claim(&peer->hub->connections, fd, peer)) {
        peer->fd = fd;
        return;
    }
    peer->supposed_fd = fd;
    peer->supposed_number = connections_number(&peer->hub->connections, fd);
    peer->asked = false;
    peer_probe(peer); /* is it still there? If so, its answer shows where it comes from */
}

/* What it sent before its end is still to be received: a publish and a close, say. Then the peer is
 * given up. */
bool hub_bury(Hub *hub, uint64_t now_ms) {
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
