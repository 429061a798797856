/* SPDX-License-Identifier: Apache-2.0 */
/* The client's end of a connection: creates and frees it, sends messages, waits. See
 * link-private.h. */

#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/random.h"
#include "rpc/address/endpoint.h"
#include "rpc/link/client/link-private.h"
#include "rpc/link/zmq/transport.h"

enum {
    GOODBYE_MS = 200,
    WAITING_MAX = 4 * 1024 * 1024,
    /* The links of a client of several brokers, and the sessions that they leave. */
    LINKS_MAX = 2 * LINK_WAIT_MAX,
    LINK_FDS = TRANSPORT_FDS + 2, /* descriptors of one link, including its lookups */
};

/* poll() ignores a descriptor of -1. */
static void poll_fds(const Link *link, struct pollfd fds[LINK_FDS]) {
    const Transport *transport = link->transport;
    short events = transport && transport->is_full ? POLLIN | POLLOUT : POLLIN;

    for (int i = 0; i < TRANSPORT_FDS; i++)
        fds[i] = (struct pollfd){transport ? transport->fds[i] : -1, events, 0};
    fds[TRANSPORT_FDS] = (struct pollfd){link->listing ? lookup_fd(link->listing) : -1, POLLIN, 0};
    fds[TRANSPORT_FDS + 1] =
        (struct pollfd){link->waits_for_address ? lookup_fd(link->asking) : -1, POLLIN, 0};
}

/* Adds the sessions that the links leave. Returns the number of links in ret. */
static unsigned with_leaving(Link *const *links, unsigned n, Link *ret[LINKS_MAX]) {
    unsigned n_all = 0;

    for (unsigned i = 0; i < n; i++) {
        if (!links[i])
            continue;
        ret[n_all++] = links[i];
        if (links[i]->leaving)
            ret[n_all++] = links[i]->leaving;
    }
    return n_all;
}

static void wait_for_input(Link *const *some, unsigned n_some, int fd, uint64_t ms) {
    struct pollfd fds[LINKS_MAX + 1][LINK_FDS];
    Link *links[LINKS_MAX];
    unsigned n = with_leaving(some, n_some, links);
    bool has_polled;

    for (unsigned i = 0; i < n; i++)
        poll_fds(links[i], fds[i]);
    fds[n][0] = (struct pollfd){fd, POLLIN, 0};
    has_polled = poll(fds[0], n * LINK_FDS + 1, ms > 60000 ? 60000 : (int)ms) >= 0;
    for (unsigned i = 0; i < n; i++) {
        links[i]->found_nothing = has_polled;
        for (int j = 0; j < LINK_FDS; j++)
            links[i]->found_nothing &= fds[i][j].revents == 0;
    }
}

static int choose_transport(Link *link) {
    const TransportKind *kind;
    int r;

    kind = endpoint_after_transport(link->url) == link->url ? &transport_engine : &transport_zmq;
    r = kind->start();
    if (r == 0)
        link->kind = kind;
    return r;
}

int link_new(Link **ret, const char *url, const char *name, const LinkHandlers *handlers,
             ferry_error *reterr) {
    CLEANUP(endpoint_list_free) EndpointList *brokers = NULL;
    Link *link;
    int r = endpoint_list_new(&brokers, url, reterr);

    if (r < 0)
        return r;
    link = calloc(1, sizeof(*link));
    if (!link)
        return error_set_code(reterr, -ENOMEM, NULL);
    link->brokers = steal(&brokers);
    link_choose(link, 0);
    link->list_next_ms = UINT64_MAX;
    link->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    link->name = strdup(name);
    link->handlers = *handlers;
    link->in.max_body = WIRE_BODY_MAX;
    random_bytes(link->client, sizeof(link->client));
    r = link->epoll_fd < 0 ? -errno : link->name ? choose_transport(link) : -ENOMEM;
    if (r < 0) {
        link_free(link);
        return error_set_code(reterr, r, NULL);
    }
    *ret = link;
    return 0;
}

void link_prefer(Link *link, EndpointPrefer prefer) {
    if (!link->brokers->has_prefer)
        link->brokers->prefer = prefer;
}

void link_set_keys(Link *link, KeyPair *own, const uint8_t server_key[KEY_SIZE]) {
    link->own_key = own;
    link->keys = (CurveKeys){.n_pairs = 1, .pairs = {own}};
    memcpy(link->keys.server_key, server_key, KEY_SIZE);
}

bool link_has_keys(const Link *link) {
    return link->own_key != NULL;
}

const uint8_t *link_client(const Link *link) {
    return link->client;
}

void link_set_client(Link *link, const uint8_t client[WIRE_TOKEN]) {
    memcpy(link->client, client, WIRE_TOKEN);
}

/* Data that waits for credit is dropped; BYE goes last. */
static void say_goodbye(Link *link) {
    uint64_t until_ms = clock_ms() + GOODBYE_MS, now_ms;

    link_flush(link);
    link->out.credit = 0;
    outbox_put(&link->out, LANE_CONTROL, &(Message){.op = OP_BYE}, NULL);
    while (link->kind->send(link->transport, &link->out) == -EAGAIN &&
           (now_ms = clock_ms()) < until_ms)
        wait_for_input(&link, 1, -1, until_ms - now_ms);
}

Link *link_free(Link *link) {
    if (!link)
        return NULL;
    if (link->leaving && link->leaving->state == LINK_UP)
        say_goodbye(link->leaving);
    if (link->leaving)
        link_free_leaving(link);
    if (link->transport && link->state == LINK_UP)
        say_goodbye(link);
    link_disconnect(link, link->state == LINK_UP);
    if (link->kind)
        link->kind->stop();
    lookup_free(link->asking);
    lookup_free(link->found);
    link_free_listing(link);
    outbox_clear(&link->out);
    inbox_clear(&link->in);
    if (link->epoll_fd >= 0)
        close(link->epoll_fd);
    ferry_error_clear(&link->problem);
    key_pair_free(link->own_key);
    endpoint_list_free(link->brokers);
    free(link->name);
    free(link);
    return NULL;
}

void link_limit_body(Link *link, uint64_t max_body) {
    link->body_limit = max_body;
}

LinkState link_state(const Link *link) {
    return link->state;
}

uint64_t link_max_body(const Link *link) {
    return link->in.max_body;
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
    return link->waits_for_address || link->waits_for_list ? &looking : NULL;
}

const EndpointList *link_brokers(const Link *link) {
    return link->brokers;
}

bool link_leaves(const Link *link) {
    return link->leaves;
}

void link_leave_below(Link *link, uint64_t id) {
    link->leaving_below = id;
}

size_t link_waiting(const Link *link) {
    return outbox_bytes(&link->out) + (link->transport ? link->transport->unsent : 0) +
           (link->leaving ? link_waiting(link->leaving) : 0);
}

bool link_has_room(const Link *link) {
    return outbox_bytes(&link->out) <= WAITING_MAX / 2;
}

uint64_t link_batch(const Link *link) {
    return link->batch;
}

uint64_t link_received_ms(const Link *link) {
    return link->received_ms;
}

int link_epoll_fd(const Link *link) {
    return link->epoll_fd;
}

/* ---- out ---- */

int link_put(Link *link, Lane lane, const Message *message, const void *block) {
    size_t waiting = outbox_bytes(&link->out);

    if (__builtin_expect(link->leaving != NULL, 0) && link_is_for_leaving(link, message))
        return link_put(link->leaving, lane, message, block);
    if (link->state != LINK_UP)
        return -ENOTCONN;
    if (waiting > WAITING_MAX && (lane == LANE_BULK || waiting > 2 * (size_t)WAITING_MAX))
        return -EAGAIN;
    return outbox_put(&link->out, lane, message, block);
}

void link_flush(Link *link) {
    if (link->leaving)
        link_flush(link->leaving);
    if (!link->transport)
        return;
    /* A program that only sends does not poll its socket for room, so try to send each time. */
    link->transport->is_full = false;
    link->kind->send(link->transport, &link->out);
}

static void send_hello(Link *link) {
    CLEANUP(buffer_deinit) Buffer scratch = {0};
    Message hello = {
        .op = OP_HELLO,
        .hello.version_min = WIRE_PROTOCOL,
        .hello.version_max = WIRE_PROTOCOL,
        .hello.client = span_of(link->client, WIRE_TOKEN),
        .hello.bytes = WIRE_CREDIT,
        .hello.text = span_text(link->name),
    };

    link->handlers.on_hello(&hello, &scratch, link->handlers.ctx);
    inbox_clear(&link->in);
    link->in.granted = WIRE_CREDIT;
    if (outbox_put(&link->out, LANE_CONTROL, &hello, NULL) < 0) {
        link_end(link, RETRY, "ferry.OutOfMemory", "out of memory while connecting to %s",
                 link->url);
        return;
    }
    link->hello_sent = true;
    link_flush(link);
}

/* ---- waiting ---- */

static int process_leaving(Link *link, int max_messages, uint64_t now_ms) {
    Link *old = link->leaving;
    int n = old->state == LINK_UP ? link_process(old, max_messages, now_ms) : 0;

    /* A handler may have called this function. */
    if (old == link->leaving && old->state != LINK_UP && !old->reading)
        link_free_leaving(link);
    return n;
}

int link_process(Link *link, int max_messages, uint64_t now_ms) {
    int n = 0;

    if (link->leaving)
        n = process_leaving(link, max_messages, now_ms);
    if (link->state == LINK_CLOSED)
        return n;
    if (link->waits_for_address) {
        if (lookup_is_done(link->asking) || now_ms >= link->attempt_ends_ms)
            link_end_lookup(link, now_ms);
    } else if (!link->transport && !link->waits_for_list && now_ms >= link->next_attempt_ms) {
        link_attempt(link, now_ms);
    }
    if (link->brokers->name)
        link_process_list(link, now_ms);
    if (link->transport) {
        link->transport->is_dry = link->found_nothing;
        link->transport->is_full = false;
    }
    link->found_nothing = false;
    n += link_receive(link, max_messages, now_ms);
    if (link->transport && !link->hello_sent && link->transport->is_open)
        send_hello(link);
    if ((link->transport || link->waits_for_list) && link->state == LINK_CONNECTING)
        link_check_attempt(link, now_ms);
    if (link->leaves && !link->reading)
        link_hand_over(link);
    return n;
}

bool link_has_input(const Link *link) {
    if (link->leaving && link_has_input(link->leaving))
        return true;
    if (link->reading && link->reading->session == link->session &&
        reader_left(&link->reading->reader) > 0)
        return true;
    if (link->listing && lookup_is_done(link->listing))
        return true;
    if (link->waits_for_address)
        return lookup_is_done(link->asking);
    return link->transport && link->kind->has_input(link->transport);
}

static uint64_t next_ms_of(const Link *link) {
    bool waits = link->waits_for_address || link->waits_for_list;
    uint64_t next_ms = link->transport ? link->transport->next_ms : UINT64_MAX;

    if (link->state == LINK_CLOSED)
        return UINT64_MAX;
    if (!link->transport && !waits)
        next_ms = link->next_attempt_ms;
    else if (link->state == LINK_CONNECTING && link->attempt_ends_ms < next_ms)
        next_ms = link->attempt_ends_ms;
    return link->list_next_ms < next_ms && !link->listing ? link->list_next_ms : next_ms;
}

uint64_t link_next_ms(const Link *link) {
    uint64_t next_ms = next_ms_of(link);
    uint64_t leaving_ms = link->leaving ? next_ms_of(link->leaving) : UINT64_MAX;

    return leaving_ms < next_ms ? leaving_ms : next_ms;
}

void link_wait(Link *const *links, unsigned n, int fd, uint64_t until_ms) {
    uint64_t now_ms = clock_ms();

    for (unsigned i = 0; i < n; i++) {
        uint64_t next_ms = links[i] ? link_next_ms(links[i]) : UINT64_MAX;

        until_ms = next_ms < until_ms ? next_ms : until_ms;
        if (until_ms <= now_ms || (links[i] && link_has_input(links[i])))
            return;
    }
    wait_for_input(links, n, fd, until_ms - now_ms);
}
