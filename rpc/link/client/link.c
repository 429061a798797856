/* SPDX-License-Identifier: Apache-2.0 */
/* The client's end of a connection: creation and end, messages out, waiting. See core.h. */

#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/random.h"
#include "base/text.h"
#include "rpc/link/client/core.h"
#include "rpc/link/endpoint.h"
#include "rpc/link/tsan.h"

enum {
    SPIN_US = 200,
    GOODBYE_MS = 200,
    WAITING_MAX = 4 * 1024 * 1024,
    MONITOR_EACH_MS = 1,
};

int link_new(Link **ret, const char *url, const char *name, const LinkHandlers *handlers,
             ferry_error *reterr) {
    const char *problem = endpoint_problem(url, ENDPOINT_CONNECT);
    char shown[TEXT_ESCAPED_MAX];
    Link *link;

    /* A URL for another program may have a password, which must not reach a log. */
    if (problem)
        return error_set(reterr, "ferry.Misuse", "'%s' is not the URL of a broker: %s",
                         text_escape_url(shown, url), problem);
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
        /* Data that waits for credit is dropped; BYE goes last. */
        link_flush(link);
        socket_set(link->socket, ZMQ_LINGER, GOODBYE_MS);
    }
    link_close_socket(link);
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

int link_send_chunk(Link *link, Chunk *chunk) {
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
    /* The socket is asked first: a refused frame would free the chunk when it is closed. */
    if (!(socket_events(link->socket) & ZMQ_POLLOUT))
        return -EAGAIN;
    if (zmq_msg_init_data(&frame, chunk->data, chunk->len, chunk_free_data, chunk) < 0)
        return -ENOMEM;
    given_to_libzmq(chunk);
    if (zmq_msg_send(&frame, link->socket, ZMQ_DONTWAIT) < 0) {
        /* The connection was lost between the two calls, and all waiting messages with it. */
        zmq_msg_close(&frame);
        return 0;
    }
    return 0;
}

void link_flush(Link *link) {
    Chunk *chunk;

    if (!link->socket || !link->hello_sent)
        return;
    while ((chunk = outbox_take(&link->out)))
        if (link_send_chunk(link, chunk) < 0) {
            outbox_untake(&link->out, chunk);
            return;
        }
}

/* ---- waiting ---- */

int link_process(Link *link, int max_messages, uint64_t now_ms) {
    int n = 0;

    if (link->state == LINK_CLOSED)
        return 0;
    if (link->waits_for_address) {
        if (lookup_is_done(link->asking) || now_ms >= link->attempt_ends_ms)
            link_end_lookup(link, now_ms);
    } else if (!link->socket && now_ms >= link->next_attempt_ms) {
        link_attempt(link, now_ms);
    }
    if (link->socket && !link->hello_sent)
        link_send_hello(link);
    if (link->socket)
        n = link_receive(link, max_messages);
    /* Reading the monitor costs a system call and rarely yields an event: it is read only when no
     * message arrived, or after MONITOR_EACH_MS. */
    if (link->socket && (n == 0 || now_ms >= link->monitor_read_ms + MONITOR_EACH_MS)) {
        link->monitor_read_ms = now_ms;
        link_read_monitor(link);
    }
    if (link->socket && link->state == LINK_CONNECTING && now_ms >= link->attempt_ends_ms)
        link_lost(link, "ferry.NotConnected", "no broker answers at %s", link->url);
    return n;
}

static bool has_input(void *ctx) {
    Link *link = ctx;
    /* Refused messages are sent again when there is room: ZeroMQ's descriptor reports it only
     * once. */
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
