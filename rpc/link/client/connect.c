/* SPDX-License-Identifier: Apache-2.0 */
/* Opens a connection, notices its loss, and opens the next one after a pause. See
 * link-private.h. */

#include <limits.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/random.h"
#include "rpc/address/endpoint.h"
#include "rpc/link/client/link-private.h"

enum {
    ATTEMPT_MS = 5000,            /* from connecting to WELCOME */
    ATTEMPT_OF_SEVERAL_MS = 2000, /* the same, if the URL lists another broker to try */
    AWAY_MS = 100,   /* a program that comes so late to the end of an attempt had no turns before */
    BACKOFF_MS = 50, /* pause before the second attempt; it doubles with each further one, up to… */
    BACKOFF_MAX_MS = 2000,
    SESSION_MIN_MS = 2000, /* a session that ends sooner counts as a failed attempt */
    LIST_PAUSE_MS = 1000,  /* least time between two lookups of the brokers */
};

int link_watch(Link *link, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    return epoll_ctl(link->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static void stop_waiting_for_names(Link *link) {
    if (link->waits_for_address)
        epoll_ctl(link->epoll_fd, EPOLL_CTL_DEL, lookup_fd(link->asking), NULL);
    link->waits_for_address = link->waits_for_list = false;
}

void link_disconnect(Link *link, bool in_order) {
    stop_waiting_for_names(link);
    if (link->transport)
        link->kind->close(link->transport, in_order);
    link->transport = NULL;
    link->session++;
}

static const char *endpoint_of(const Link *link) {
    return endpoint_after_transport(link->url);
}

/* A lookup may last longer than an attempt. The next attempt waits for the same lookup, so a link
 * runs at most one. */
static int wait_for_address(Link *link) {
    int r = link->asking ? 0 : lookup_new(&link->asking, endpoint_of(link));

    if (r == 0)
        r = link_watch(link, lookup_fd(link->asking));
    link->waits_for_address = r == 0;
    return r;
}

static uint32_t attempt_ms(const Link *link) {
    return link->brokers->n > 1 ? ATTEMPT_OF_SEVERAL_MS : ATTEMPT_MS;
}

static int connect_to(Link *link, const char *endpoint, uint64_t now_ms) {
    bool has_keys = link->own_key && strncmp(endpoint, "ipc://", 6) != 0;
    int r =
        link->kind->open(&link->transport, endpoint, has_keys ? &link->keys : NULL, link->epoll_fd);

    link->attempt_ends_ms = now_ms + attempt_ms(link);
    if (r == 0)
        link->transport->inbox = &link->in;
    return r;
}

/* A host may have several addresses, and the broker may listen on only some of them. */
static const char *next_endpoint(const Link *link) {
    return link->found ? lookup_endpoint(link->found, link->next_address) : NULL;
}

/* The random order spreads the clients over the brokers. */
void link_arrange(EndpointList *list) {
    uint64_t random[BROKERS_MAX];

    random_bytes(random, sizeof(random));
    endpoint_list_arrange(list, random);
}

/* Before the first list of brokers is found there is no broker to connect to. */
static void wait_for_list(Link *link, uint64_t now_ms) {
    link->waits_for_list = true;
    if (!link->listing)
        link->list_next_ms = now_ms;
}

static int attempt(Link *link, uint64_t now_ms) {
    const char *endpoint;

    if (link->session == 0)
        link_arrange(link->brokers);
    if (link->at >= link->brokers->n || link->session == 0)
        link_choose(link, 0);
    endpoint = next_endpoint(link);
    link->session++;
    link->hello_sent = false;
    link->attempt_ends_ms = now_ms + attempt_ms(link);
    link->attempt_is_longer = false;
    if (link->brokers->n == 0) {
        wait_for_list(link, now_ms);
        return 0;
    }
    if (!endpoint && lookup_is_needed(endpoint_of(link)))
        return wait_for_address(link);
    link->next_address += endpoint != NULL;
    return connect_to(link, endpoint ? endpoint : endpoint_of(link), now_ms);
}

static void back_off(Link *link) {
    link->backoff_ms = link->backoff_ms ? link->backoff_ms * 2 : BACKOFF_MS;
    if (link->backoff_ms > BACKOFF_MAX_MS)
        link->backoff_ms = BACKOFF_MAX_MS;
}

/* ---- several brokers ---- */

void link_choose(Link *link, unsigned at) {
    link->at = at;
    snprintf(link->url, sizeof(link->url), "%s",
             at < link->brokers->n ? link->brokers->urls[at] : link->brokers->name);
    /* The addresses belong to another host. */
    if (link->brokers->n > 1 || link->brokers->name) {
        link->asking = lookup_free(link->asking);
        link->found = lookup_free(link->found);
        link->next_address = 0;
    }
}

static bool is_refused(const Link *link, unsigned at) {
    return (link->refused >> at & 1) != 0;
}

/* Notes that this broker has refused the client. True: all of them have. */
static bool is_refused_by_all(Link *link) {
    uint32_t all = (UINT32_C(1) << link->brokers->n) - 1;

    if (link->at < link->brokers->n)
        link->refused |= UINT32_C(1) << link->at;
    return (link->refused & all) == all;
}

void link_choose_next(Link *link, bool was_up) {
    unsigned n = link->brokers->n;
    bool is_lost = link->at >= n || (was_up && link->brokers->prefer != PREFER_ANY);
    unsigned from = is_lost ? 0 : link->at + 1;

    for (unsigned i = 0; i < n; i++) {
        unsigned at = (from + i) % n;

        if (at != link->at && !is_refused(link, at)) {
            link_choose(link, at);
            return;
        }
    }
}

/* Sets the time of the next attempt. After a lost session the first attempt follows at once, and so
 * do attempts at another address or another broker. Further attempts follow after growing pauses.
 * The pauses also grow if brokers end each session soon after its start. Random pauses spread the
 * attempts of a thousand clients whose broker restarts. */
static void plan_attempt(Link *link, bool was_up, uint64_t now_ms) {
    bool has_address = next_endpoint(link) && !is_refused(link, link->at);

    if (!has_address && link->brokers->n > 1)
        link_choose_next(link, was_up);
    link->next_attempt_ms = now_ms;
    if (has_address || ++link->n_tried < link->brokers->n)
        return;
    link->n_tried = 0;
    if (link->backoff_ms)
        link->next_attempt_ms += link->backoff_ms / 2 + random_below(link->backoff_ms);
    back_off(link);
}

void link_doubt_list(Link *link, uint64_t now_ms) {
    uint64_t next_ms = link->listed_ms + LIST_PAUSE_MS;

    if (!link->brokers->name || link->listing)
        return;
    next_ms = next_ms > now_ms ? next_ms : now_ms;
    if (next_ms < link->list_next_ms)
        link->list_next_ms = next_ms;
}

/* ---- the end of a connection ---- */

void link_end(Link *link, LinkEnd end, const char *type, const char *format, ...) {
    bool was_up = link->state == LINK_UP, is_over = end == GIVE_UP && is_refused_by_all(link);
    uint64_t now_ms = clock_ms();
    va_list args;

    va_start(args, format);
    error_setv(&link->problem, type, format, args);
    va_end(args);
    link_disconnect(link, false);
    outbox_clear(&link->out);
    inbox_clear(&link->in);
    link->leaves = false;
    link->state = is_over ? LINK_CLOSED : LINK_CONNECTING;
    if (!is_over) {
        if (was_up) {
            if (now_ms >= link->up_ms + SESSION_MIN_MS)
                link->backoff_ms = link->n_tried = 0;
            link->next_address = UINT_MAX; /* look up again: the address may have changed */
        }
        plan_attempt(link, was_up, now_ms);
        link_doubt_list(link, now_ms);
    }
    link->handlers.on_down(was_up, &link->problem, link->handlers.ctx);
}

void link_cannot_connect(Link *link, int r) {
    if (r == -ECONNREFUSED)
        link_end(link, RETRY, "ferry.NotConnected", "no broker listens at %s", link->url);
    else if (r == -ETIMEDOUT)
        link_end(link, RETRY, "ferry.NotConnected", "no broker answers at %s", link->url);
    else
        link_end(link, RETRY, "ferry.NotConnected", "cannot connect to %s: %s", link->url,
                 strerror(-r));
}

void link_check_attempt(Link *link, uint64_t now_ms) {
    bool was_away = now_ms >= link->attempt_ends_ms + AWAY_MS;

    if (now_ms < link->attempt_ends_ms)
        return;
    if (was_away && !link->attempt_is_longer) {
        link->attempt_is_longer = true;
        link->attempt_ends_ms = now_ms + attempt_ms(link);
    } else if (link->waits_for_list) {
        link_end(link, RETRY, "ferry.NotConnected",
                 "cannot find the brokers of %s: no name server answers", link->url);
    } else {
        link_end(link, RETRY, "ferry.NotConnected", "no broker answers at %s", link->url);
    }
}

void link_attempt(Link *link, uint64_t now_ms) {
    int r = attempt(link, now_ms);

    if (r < 0)
        link_cannot_connect(link, r);
}

/* If the lookup fails, the addresses of the previous lookup stay in use, because a name server may
 * be down for a while. */
void link_end_lookup(Link *link, uint64_t now_ms) {
    CLEANUP(lookup_free) Lookup *ended = NULL;
    const char *problem;
    int r;

    stop_waiting_for_names(link);
    if (lookup_is_done(link->asking))
        ended = steal(&link->asking);
    problem = ended ? lookup_problem(ended) : "no name server answers";
    if (ended && lookup_endpoint(ended, 0)) {
        lookup_free(link->found);
        link->found = steal(&ended);
    }
    if (!link->found) {
        link_end(link, RETRY, "ferry.NotConnected", "cannot find the host of %s: %s", link->url,
                 problem);
        return;
    }
    link->next_address = 1;
    r = connect_to(link, lookup_endpoint(link->found, 0), now_ms);
    if (r < 0)
        link_cannot_connect(link, r);
}
