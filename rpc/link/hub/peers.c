/* SPDX-License-Identifier: Apache-2.0 */
/* A peer's life: its stages, their deadlines, and its end. See hub-private.h. */

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "base/container.h"
#include "rpc/link/hub/hub-private.h"

enum {
    LOOK_EACH_MS = 250,
    LOOKS_MAX = 4096, /* most peers that one check handles */
    RESUMES_MAX = 64, /* most paused peers that are checked in one turn */
    CLOSE_MS = 50,    /* time for the other end to close first: libzmq drops data that arrived just
                         before the end of a connection */
    LINGER_MS = 250,  /* time for the other end to close, after this end has stopped sending */
    LAST_WORK_MS = 5000, /* how long on_gone may wait until the peer's messages are handled */
};

void peer_enter(Peer *peer, Stage stage) {
    Hub *hub = peer->hub;

    DL_DELETE2(hub->stages[peer->stage], peer, place_prev, place_next);
    DL_APPEND2(hub->stages[stage], peer, place_prev, place_next);
    peer->stage = (uint8_t)stage;
    if (stage != STAGE_GREETING)
        place_checked_keys(peer);
    if (stage == STAGE_HEARD && !peer->was_heard) {
        peer->was_heard = true;
        hub->n_heard++;
    }
    peer->since_ms = hub->now_ms;
}

/* The memory of a peer's own records, as the budget counts it. */
static size_t record_size(const Peer *peer) {
    return sizeof(*peer) + (peer->connection.zmtp.mechanism == &zmtp_curve ? sizeof(Curve) : 0);
}

void peer_new(Hub *hub, int fd, const SocketAddress *address, Origin *origin) {
    Peer *peer = calloc(1, sizeof(*peer));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
    const CurveKeys *keys = hub_keys_for(hub, address);
    struct ucred other = {0};
    socklen_t len = sizeof(other);
    int r;

    r = peer ? connection_open(&peer->connection, fd, true, &hub->buffer, keys, hub->now_ms)
             : -ENOMEM;
    if (r < 0) {
        close(fd);
    } else if (epoll_ctl(hub->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
        r = -errno;
        connection_close(&peer->connection);
    }
    if (r < 0) {
        free(peer);
        place_leave(hub, origin);
        return;
    }
    socket_tune(fd);
    peer->hub = hub;
    peer->origin = origin;
    peer->watched = EPOLLIN;
    peer->in.max_body = hub->options.max_body;
    peer->account.budget = hub->options.budget;
    peer->in.account = &peer->account;
    peer->account.budget->bytes[BUDGET_CONNECTIONS] += record_size(peer);
    peer->in.granted = WIRE_CREDIT;
    peer->since_ms = hub->now_ms;
    memcpy(&peer->address, address, sizeof(peer->address));
    if (address->any.sa_family == AF_UNIX &&
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &other, &len) == 0) {
        peer->pid = other.pid;
        peer->uid = other.uid;
        peer->has_uid = true;
    }
    DL_APPEND2(hub->stages[STAGE_GREETING], peer, place_prev, place_next);
    if (keys)
        place_check_keys(peer);
    peer_touch(peer); /* sends the greeting at once */
}

void peer_free(Peer *peer) {
    Hub *hub = peer->hub;

    peer_mark_gone(peer);
    DL_DELETE(hub->gone, peer);
    DL_DELETE2(hub->stages[peer->stage], peer, place_prev, place_next);
    outbox_clear(&peer->out);
    inbox_clear(&peer->in);
    peer_weigh(peer);
    peer->account.budget->bytes[BUDGET_CONNECTIONS] -= record_size(peer);
    free(peer);
}

void peer_watch(Peer *peer) {
    struct epoll_event event = {.data.ptr = peer};

    event.events = (peer->paused ? 0 : EPOLLIN) | (peer->is_full ? EPOLLOUT : 0);
    if (event.events == peer->watched || peer->gone)
        return;
    peer->watched = event.events;
    epoll_ctl(peer->hub->epoll_fd, EPOLL_CTL_MOD, peer->connection.fd, &event);
}

const char *peer_address(const Peer *peer, char to[CONNECTION_ADDRESS_MAX]) {
    if (peer->address.sin6_family == AF_UNIX)
        snprintf(to, CONNECTION_ADDRESS_MAX, "process %ld", (long)peer->pid);
    else
        socket_text(-1, (const struct sockaddr *)&peer->address, to);
    return to;
}

void peer_report(const Peer *peer, const char *problem, bool is_harmless) {
    const HubOptions *options = &peer->hub->options;
    char address[CONNECTION_ADDRESS_MAX];

    if (options->on_refused)
        options->on_refused(problem, is_harmless, peer_address(peer, address), options->ctx);
}

void peer_cut(Peer *peer, const char *problem) {
    peer_report(peer, problem, false);
    peer_mark_gone(peer);
}

/* ---- pauses ---- */

static void end_pause(Peer *peer) {
    if (!peer->paused)
        return;
    peer->paused = false;
    DL_DELETE2(peer->hub->paused, peer, paused_prev, paused_next);
}

bool peer_must_wait(Peer *peer) {
    Hub *hub = peer->hub;

    if (peer->paused)
        return true;
    if (!account_is_used_up(&peer->account))
        return false;
    peer->paused = true;
    peer->paused_ms = hub->now_ms;
    DL_APPEND2(hub->paused, peer, paused_prev, paused_next);
    peer_watch(peer);
    return true;
}

void hub_resume_some(Hub *hub) {
    Peer *peer = hub->paused;

    for (int n = 0; n < RESUMES_MAX && peer; n++) {
        Peer *next = peer->paused_next;

        if (!account_is_used_up(&peer->account)) {
            end_pause(peer);
            peer_watch(peer);
        } else if (hub->now_ms >= peer->paused_ms + HUB_PAUSE_MAX_MS) {
            peer_cut(peer, "it held more than its share of the broker's memory for too long");
        } else {
            DL_DELETE2(hub->paused, peer, paused_prev, paused_next);
            DL_APPEND2(hub->paused, peer, paused_prev, paused_next);
        }
        peer = next;
    }
}

/* ---- out ---- */

void peer_touch(Peer *peer) {
    if (peer->touched || peer->gone)
        return;
    peer->touched = true;
    DL_PREPEND(peer->hub->touched, peer);
}

int peer_put(Peer *peer, Lane lane, const Message *message, const void *block) {
    int r;

    if (peer->gone || (peer->closing && lane != LANE_CONTROL))
        return 0;
    r = outbox_put(&peer->out, lane, message, block);
    peer_weigh(peer);
    if (r == 0)
        peer_touch(peer);
    return r;
}

void peer_handled(Peer *peer) {
    uint64_t grant = peer->gone || peer->closing ? 0 : inbox_handled(&peer->in);

    if (grant > 0)
        peer_put(peer, LANE_CONTROL, &(Message){.op = OP_CREDIT, .credit.bytes = grant}, NULL);
}

/* ---- its end ---- */

void peer_mark_gone(Peer *peer) {
    Hub *hub = peer->hub;

    if (peer->gone)
        return;
    peer->gone = true;
    if (peer->touched)
        DL_DELETE(hub->touched, peer);
    peer->touched = false;
    if (hub->reading == peer)
        hub->reading = NULL;
    if (hub->lent == peer)
        hub->lent = NULL;
    for (int i = hub->at_event; i < hub->n_events; i++)
        if (hub->events[i].data.ptr == peer)
            hub->events[i].events = 0;
    end_pause(peer);
    /* If a child process has a copy of the descriptor, close() does not take it out. */
    epoll_ctl(hub->epoll_fd, EPOLL_CTL_DEL, peer->connection.fd, NULL);
    connection_close(&peer->connection);
    peer_weigh(peer);
    peer_enter(peer, STAGE_LEAVING);
    place_leave(hub, peer->origin);
    peer->origin = NULL;
    hub->n_heard -= peer->was_heard;
    timer_disarm(&hub->timers, &peer->close);
    DL_PREPEND(hub->gone, peer);
}

static void on_linger(Timer *timer, void *ctx) {
    (void)ctx;
    peer_mark_gone(container_of(timer, Peer, close));
}

/* If the socket is closed while bytes arrive, the kernel drops unsent bytes. So first only stop
 * sending. */
static void on_close(Timer *timer, void *ctx) {
    Peer *peer = container_of(timer, Peer, close);

    (void)ctx;
    if (peer->touched) {
        /* The turn took so long that the last messages are not sent yet. */
        timer_arm(&peer->hub->timers, timer, peer->hub->now_ms + CLOSE_MS, on_close);
        return;
    }
    shutdown(peer->connection.fd, SHUT_WR);
    timer_arm(&peer->hub->timers, timer, peer->hub->now_ms + LINGER_MS, on_linger);
}

void peer_close(Peer *peer) {
    if (peer->closing || peer->gone)
        return;
    peer->closing = true;
    /* From now on only session control is sent. */
    peer->out.credit = 0;
    peer_enter(peer, STAGE_LEAVING);
    peer_touch(peer);
    timer_arm(&peer->hub->timers, &peer->close, peer->hub->now_ms + CLOSE_MS, on_close);
}

void peer_refuse_it(Peer *peer, const char *problem) {
    if (peer->closing || peer->gone)
        return;
    peer_report(peer, problem, false);
    peer_close(peer);
}

bool hub_free_gone(Hub *hub) {
    Peer *peer, *next;
    bool any = false;

    /* on_gone may put more peers in front of the list: they are handled next time. */
    DL_FOREACH_SAFE(hub->gone, peer, next) {
        bool waits = peer->has_more && hub->now_ms < peer->since_ms + LAST_WORK_MS;

        if (waits || !hub->options.on_gone(peer, hub->options.ctx))
            continue;
        peer_free(peer);
        any = true;
    }
    return any;
}

/* ---- deadlines ---- */

static void cut_late_ones(Hub *hub, Stage stage, uint64_t longest_ms, const char *problem) {
    Peer *peer;

    for (unsigned n = 0; n < LOOKS_MAX && (peer = hub->stages[stage]); n++) {
        if (hub->now_ms < peer->since_ms + longest_ms)
            return;
        peer_cut(peer, problem);
    }
}

/* The hub does not see signs of life of a paused peer, so only the kernel watches its connection. A
 * PING from time to time shows the peer that the broker is alive. */
static void stay_with(Peer *peer) {
    zmtp_ping(&peer->connection.zmtp);
    peer->connection.alive_ms = peer->hub->now_ms;
}

static void look_for_silence(Hub *hub) {
    Peer *peer = hub->stages[STAGE_HEARD], *next;

    for (unsigned n = 0; n < LOOKS_MAX && peer; n++, peer = next) {
        next = peer->place_next;
        if (hub->now_ms < peer->connection.alive_ms + CONNECTION_PING_AFTER_MS)
            return;
        if (peer->paused) {
            stay_with(peer);
        } else if (!connection_look(&peer->connection, hub->now_ms)) {
            peer_mark_gone(peer);
            continue;
        }
        if (connection_has_output(&peer->connection))
            peer_touch(peer);
        /* The list stays in the order of signs of life. */
        if (peer->connection.alive_ms == hub->now_ms)
            peer_enter(peer, STAGE_HEARD);
    }
}

static void on_look(Timer *timer, void *ctx) {
    Hub *hub = container_of(timer, Hub, look);

    (void)ctx;
    timer_arm(&hub->timers, timer, hub->now_ms + LOOK_EACH_MS, on_look);
    cut_late_ones(hub, STAGE_GREETING, GREETING_MS, "its handshake took too long");
    cut_late_ones(hub, STAGE_SILENT, HELLO_MS, "it sent no message after its handshake");
    look_for_silence(hub);
    places_look(hub);
}

void hub_begin_looking(Hub *hub) {
    timer_arm(&hub->timers, &hub->look, hub->now_ms + LOOK_EACH_MS, on_look);
}
