/* SPDX-License-Identifier: Apache-2.0 */
/* The broker's end of all connections: batches in and out. See hub.h and hub-private.h. */

#include "rpc/link/hub/hub.h"

#include <utlist.h>

#include "base/clock.h"
#include "rpc/link/hub/hub-private.h"

size_t hub_n_peers(const Hub *hub) {
    return hub->n_heard;
}

size_t hub_n_connections(const Hub *hub) {
    return hub->n_connections;
}

int hub_fd(const Hub *hub) {
    return hub->epoll_fd;
}

bool hub_has_input(const Hub *hub) {
    return hub->reading || hub->at_event < hub->n_events;
}

/* ---- waiting ---- */

uint64_t hub_next_ms(const Hub *hub) {
    uint64_t next = timers_next(&hub->timers), resume = hub->now_ms + PAUSE_LOOK_MS;

    if (hub->gone || hub->touched)
        return 0;
    return hub->paused && resume < next ? resume : next;
}

static void poll_events(Hub *hub, int timeout_ms) {
    int n = epoll_wait(hub->epoll_fd, hub->events, EVENTS_MAX, timeout_ms);

    hub->n_events = n > 0 ? n : 0;
    hub->at_event = 0;
}

static bool has_events(void *ctx) {
    Hub *hub = ctx;

    poll_events(hub, 0);
    return hub->n_events > 0 || (hub->options.waker && waker_is_called(hub->options.waker));
}

static void sleep_until_events(Hub *hub, int timeout_ms) {
    Waker *waker = hub->options.waker;

    poll_events(hub, !waker || waker_may_sleep(waker) ? timeout_ms : 0);
    if (waker)
        waker_is_awake(waker);
}

static void watch_own_fd(Hub *hub, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = EVENT_OWN_FD};

    if (hub->own_fd == fd || fd < 0)
        return;
    hub->own_fd = fd;
    epoll_ctl(hub->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

int hub_wait(Hub *hub, int fd, int timeout_ms) {
    int is_readable = 0;

    /* The last turn may have ended before all input was handled. */
    if (hub_has_input(hub))
        return 0;
    watch_own_fd(hub, fd);
    if (timeout_ms == 0) {
        poll_events(hub, 0);
    } else if (!spin_until(&hub->spin, has_events, hub)) {
        sleep_until_events(hub, timeout_ms);
        spin_woke(&hub->spin);
    }
    hub->now_ms = clock_ms();
    for (int i = 0; i < hub->n_events; i++)
        is_readable |= hub->events[i].data.u64 == EVENT_OWN_FD;
    return is_readable;
}

/* ---- in ---- */

/* The caller has handled the batch that it got before. */
static void settle(Hub *hub) {
    if (hub->lent)
        peer_handled(hub->lent);
    hub->lent = NULL;
}

static void ended(Peer *peer, int r) {
    if (peer->stage == STAGE_GREETING)
        peer_report(peer,
                    r == -ENOMEM ? "out of memory"
                                 : "it closed the connection before the end of its handshake",
                    r != -ENOMEM);
    peer_mark_gone(peer);
}

static void read_peer(Peer *peer) {
    int r;

    if (peer_must_wait(peer))
        return;
    if (peer->stage == STAGE_GREETING && peer->connection.zmtp.mechanism != &zmtp_null)
        peer->hub->n_steps += STEPS_OF_HANDSHAKE;
    r = connection_read(&peer->connection, peer->hub->now_ms);
    if (r < 0) {
        ended(peer, r);
    } else if (r > 0) {
        peer->hub->reading = peer;
        if (peer->stage == STAGE_HEARD)
            peer_enter(peer, STAGE_HEARD);
    }
}

static void handle_event(Hub *hub, const struct epoll_event *event) {
    Peer *peer = event->data.ptr;

    if (event->data.u64 == EVENT_OWN_FD || event->events == 0)
        return;
    if (event->data.u64 < EVENT_NUMBERS) {
        hub_accept(hub, &hub->listeners[event->data.u64 - EVENT_LISTENER]);
        return;
    }
    if (event->events & EPOLLOUT) {
        peer->is_full = false;
        peer_touch(peer);
    }
    if (event->events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        read_peer(peer);
}

/* Handles the rest of the bytes that were read; 1: a batch. */
static int next_batch(Hub *hub, Peer *peer, Span *ret_batch) {
    /* If the peer has deferred batches, they may contain earlier PARTs of the same transfer, so the
     * body must not be read ahead of them. */
    int event = connection_next(&peer->connection, peer->has_more ? NULL : &peer->in, ret_batch);

    switch (event) {
    case ZMTP_EVENT_MESSAGE:
        if (peer->closing)
            return 0;
        if (peer->stage == STAGE_SILENT)
            peer_enter(peer, STAGE_HEARD);
        peer->connection.trusted = peer->session && account_allows(&peer->account, WIRE_BATCH_MAX);
        return 1;
    case ZMTP_EVENT_READY:
        if (peer->stage == STAGE_GREETING)
            peer_enter(peer, STAGE_SILENT);
        if (hub->options.beats)
            heart_start(&peer->connection.heart);
        break;
    case ZMTP_EVENT_PING:
    case ZMTP_EVENT_PONG:
        break;
    case ZMTP_EVENT_FAILED:
        peer_refuse_it(peer, peer->connection.zmtp.problem);
        hub->reading = NULL;
        break;
    case -ENOMEM:
        ended(peer, -ENOMEM);
        break;
    default:
        hub->reading = NULL;
    }
    peer_weigh(peer);
    if (zmtp_has_output(&peer->connection.zmtp))
        peer_touch(peer);
    return 0;
}

int hub_receive(Hub *hub, Peer **ret_peer, const uint8_t **ret_data, size_t *ret_len) {
    Span batch;

    settle(hub);
    for (;;) {
        Peer *peer = hub->reading;

        if (peer && next_batch(hub, peer, &batch)) {
            hub->lent = peer;
            *ret_peer = peer;
            *ret_data = batch.data;
            *ret_len = batch.len;
            return 1;
        }
        if (++hub->n_steps > STEPS_MAX)
            return 0;
        if (hub->reading)
            continue;
        if (hub->at_event >= hub->n_events)
            return 0;
        handle_event(hub, &hub->events[hub->at_event++]);
    }
}

/* ---- out ---- */

static void flush_peer(Peer *peer) {
    int r;

    peer->touched = false;
    DL_DELETE(peer->hub->touched, peer);
    if (peer->is_full)
        return;
    r = connection_send(&peer->connection, &peer->out);
    peer_weigh(peer);
    if (r < 0 && r != -EAGAIN) {
        peer_mark_gone(peer);
        return;
    }
    peer->is_full = r == -EAGAIN;
    peer_watch(peer);
}

void hub_flush(Hub *hub) {
    Peer *peer;

    settle(hub);
    hub->n_steps = 0;
    hub->now_ms = clock_ms();
    timers_run(&hub->timers, hub->now_ms, NULL);
    hub_resume_some(hub);
    do {
        while ((peer = hub->touched))
            flush_peer(peer);
        /* on_gone sends answers to other peers, and flushing may show that these are gone too. */
    } while (hub_free_gone(hub) || hub->touched);
}
