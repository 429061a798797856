/* SPDX-License-Identifier: Apache-2.0 */
/* Callers that watch services, and the offers that they get. See direct.h. */

#include "broker/services/direct.h"

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/hash.h"
#include "base/random.h"
#include "broker/core/peer-log.h"
#include "broker/services/direct-endpoint.h"
#include "rpc/address/socket.h"
#include "rpc/wire/name.h"

/* A service that callers watch, with or without servers. */
struct Watched {
    UT_hash_handle hh;
    Watcher *watchers; /* utlist by prev, next */
    unsigned n_watchers;
    Watched *prev, *next; /* in services->reviews, if n_to_review > 0 */
    unsigned n_to_review; /* watchers whose offers must be reviewed, from at_review on; after the
                           * last watcher the first one follows */
    Watcher *at_review;   /* NULL: the first watcher */
    size_t name_len;
    char name[];
};

/* One session that watches one service. */
struct Watcher {
    Watched *watched;
    Session *session;
    Watcher *prev, *next;                 /* of the watched service */
    Watcher *session_prev, *session_next; /* of the session */
    Offer *offers;                        /* utlist by watcher_prev, watcher_next */
    unsigned n_offers;
};

/* One server that one watcher knows. */
struct Offer {
    Watcher *watcher;
    Server *server;
    Offer *watcher_prev, *watcher_next;
    Offer *server_prev, *server_next;
    uint8_t ticket[WIRE_TOKEN];
};

static Span name_of(const Watched *watched) {
    return span_of(watched->name, watched->name_len);
}

static size_t memory_of(const Watched *watched) {
    return sizeof(*watched) + watched->name_len;
}

/* ---- offers ---- */

static void tell_server(const Offer *offer, uint64_t flags) {
    const Session *caller = offer->watcher->session;
    Message ticket = {.op = OP_TICKET,
                      .name = name_of(offer->watcher->watched),
                      .ticket.flags = flags,
                      .ticket.ticket = span_of(offer->ticket, WIRE_TOKEN)};

    if (flags == 0) {
        ticket.ticket.text = span_text(caller->name);
        ticket.ticket.user = span_text(caller->user ? caller->user->name : "");
    }
    session_send(offer->server->session, LANE_CALLS, &ticket, NULL);
}

/* is_open: the caller may connect; else the server takes no direct calls any more. */
static void tell_caller(const Offer *offer, bool is_open) {
    const Server *server = offer->server;
    Message message = {.op = OP_SERVER,
                       .name = name_of(offer->watcher->watched),
                       .server.server = server->direct_number};

    if (is_open) {
        message.server.endpoint = span_text(server->endpoint);
        message.server.instance = span_text(server->instance);
        message.server.ticket = span_of(offer->ticket, WIRE_TOKEN);
        message.server.key = server->endpoint_key;
    }
    session_send(offer->watcher->session, LANE_CALLS, &message, NULL);
}

static void offer_free(Offer *offer) {
    Watcher *watcher = offer->watcher;
    Server *server = offer->server;

    DL_DELETE2(watcher->offers, offer, watcher_prev, watcher_next);
    DL_DELETE2(server->offers, offer, server_prev, server_next);
    watcher->n_offers--;
    server->n_offers--;
    account_refund(&watcher->session->peer->account, BUDGET_SERVICES, sizeof(*offer));
    free(offer);
}

static void withdraw(Offer *offer) {
    tell_caller(offer, false);
    tell_server(offer, TICKET_UNUSED);
    offer_free(offer);
}

static bool has_offer(const Watcher *watcher, const Server *server) {
    const Offer *offer;

    DL_FOREACH2(watcher->offers, offer, watcher_next) {
        if (offer->server == server)
            return true;
    }
    return false;
}

/* If memory is short or a limit is reached, the caller's calls go through the broker. True: it has
 * a new offer. */
static bool offer_to(Watcher *watcher, Server *server) {
    Session *caller = watcher->session;
    Offer *offer;

    if (watcher->n_offers >= OFFERS_OF_WATCHER_MAX || server->n_offers >= OFFERS_OF_SERVER_MAX ||
        caller == server->session || caller->ending || has_offer(watcher, server) ||
        !account_allows(&caller->peer->account, sizeof(*offer)))
        return false;
    offer = calloc(1, sizeof(*offer));
    if (!offer)
        return false;
    offer->watcher = watcher;
    offer->server = server;
    random_bytes(offer->ticket, WIRE_TOKEN);
    DL_APPEND2(watcher->offers, offer, watcher_prev, watcher_next);
    DL_APPEND2(server->offers, offer, server_prev, server_next);
    watcher->n_offers++;
    server->n_offers++;
    account_charge(&caller->peer->account, BUDGET_SERVICES, sizeof(*offer));
    tell_server(offer, 0);
    tell_caller(offer, true);
    return true;
}

/* Only the broker checks the methods that only some users may call (`may`), and counts the calls of
 * a user with a quota. */
static bool may_be_direct(const Watcher *watcher) {
    const User *user = watcher->session->user;

    return !user || user->limits.calls == 0;
}

static bool takes_direct_calls(const Server *server) {
    return server->endpoint && server_is_open(server) && !server->session->ending &&
           !server->service->guards;
}

void direct_withdraw(Server *server) {
    while (server->offers)
        withdraw(server->offers);
}

/* ---- reviews ---- */

/* Withdraws offers of servers that take no direct calls any more, and makes the missing ones.
 * Returns the work: an offer means two messages, and costs as much as about 32 servers without an
 * offer. */
static unsigned review(Watcher *watcher, Service *service) {
    enum { OFFER_WORK = 32 };
    unsigned work = 1 + watcher->n_offers;
    Offer *offer, *next;
    Server *server;

    DL_FOREACH_SAFE2(watcher->offers, offer, next, watcher_next) {
        if (!takes_direct_calls(offer->server)) {
            withdraw(offer);
            work += OFFER_WORK;
        }
    }
    if (!service || !may_be_direct(watcher))
        return work;
    DL_FOREACH(service->servers, server) {
        if (watcher->n_offers >= OFFERS_OF_WATCHER_MAX)
            break;
        work++;
        if (takes_direct_calls(server) && offer_to(watcher, server))
            work += OFFER_WORK;
    }
    return work;
}

static void review_later(Services *services, Watched *watched) {
    if (watched->n_to_review == 0 && watched->n_watchers > 0)
        DL_APPEND(services->reviews, watched);
    watched->n_to_review = watched->n_watchers;
}

static void review_is_over(Services *services, Watched *watched) {
    if (watched->n_to_review > 0)
        DL_DELETE(services->reviews, watched);
    watched->n_to_review = 0;
}

/* Reviews watchers of one service, until the work of the turn is done. */
static void review_some(Services *services, Watched *watched, unsigned *work) {
    Service *service = service_find(services, name_of(watched));

    while (watched->n_to_review > 0 && *work < REVIEW_WORK) {
        Watcher *watcher = watched->at_review ? watched->at_review : watched->watchers;

        *work += review(watcher, service);
        watched->at_review = watcher->next;
        if (--watched->n_to_review == 0)
            DL_DELETE(services->reviews, watched);
    }
}

void direct_turn_end(Services *services) {
    unsigned work = 0;
    Watched *watched;

    while ((watched = services->reviews) && work < REVIEW_WORK) {
        review_some(services, watched, &work);
        if (watched->n_to_review > 0) {
            /* The other services come first in the next turn. */
            DL_DELETE(services->reviews, watched);
            DL_APPEND(services->reviews, watched);
        }
    }
}

static Watched *watched_find(const Services *services, Span name) {
    Watched *watched;

    HASH_FIND(hh, services->watched, name.data, name.len, watched);
    return watched;
}

void direct_review(Service *service) {
    Watched *watched = watched_find(service->services, span_of(service->name, service->name_len));

    if (watched)
        review_later(service->services, watched);
}

/* ---- SERVE ---- */

static const char *check_endpoint(const Session *session, const Message *serve,
                                  char ret[DIRECT_ENDPOINT_MAX]) {
    char address[SOCKET_TEXT_MAX] = "";
    DirectOrigin origin = {.host = address, .needs_key = session->broker->keys.n_pairs > 0};
    char *colon;

    if (session->peer->address.sin6_family != AF_UNIX) {
        socket_text(-1, (const struct sockaddr *)&session->peer->address, address);
        colon = strrchr(address, ':');
        if (colon)
            *colon = '\0';
    }
    return direct_endpoint(serve->serve.endpoint, serve->serve.key, &origin, ret);
}

static bool has_endpoint(const Server *server, const char *endpoint, Span key) {
    return server->endpoint && strcmp(server->endpoint, endpoint) == 0 &&
           server->endpoint_key.len == key.len &&
           (key.len == 0 || memcmp(server->endpoint_key.data, key.data, key.len) == 0);
}

int direct_announce(Server *server, const Message *serve) {
    Services *services = server->service->services;
    Session *session = server->session;
    char endpoint[DIRECT_ENDPOINT_MAX] = "";
    const char *problem =
        serve->serve.endpoint.len > 0 ? check_endpoint(session, serve, endpoint) : NULL;
    size_t len = strlen(endpoint);
    char *copy;

    if (problem)
        peer_log(services->broker, LOG_LEVEL_WARNING,
                 "an endpoint for direct calls is not announced, calls go through the broker: "
                 "service='%s' session=%u endpoint='%s' problem='%s'",
                 server->service->name, session->number, shown(serve->serve.endpoint), problem);
    if (has_endpoint(server, endpoint, serve->serve.key))
        return 0;
    direct_withdraw(server);
    free(server->endpoint);
    server->endpoint = NULL;
    server->endpoint_key = (Span){NULL, 0};
    if (len == 0)
        return 0;
    copy = malloc(len + 1 + serve->serve.key.len);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, endpoint, len + 1);
    if (serve->serve.key.len > 0)
        memcpy(copy + len + 1, serve->serve.key.data, serve->serve.key.len);
    server->endpoint = copy;
    server->endpoint_key = span_of(copy + len + 1, serve->serve.key.len);
    server->direct_number = ++services->last_direct;
    return 0;
}

/* ---- WATCH ---- */

static Watched *watched_get(Services *services, Span name) {
    Watched *watched = watched_find(services, name);

    if (watched)
        return watched;
    watched = calloc(1, sizeof(*watched) + name.len + 1);
    if (!watched)
        return NULL;
    watched->name_len = name.len;
    memcpy(watched->name, name.data, name.len);
    HASH_ADD_KEYPTR(hh, services->watched, watched->name, watched->name_len, watched);
    if (!hash_added(watched)) {
        free(watched);
        return NULL;
    }
    return watched;
}

static void watched_release(Services *services, Watched *watched) {
    if (watched->watchers)
        return;
    review_is_over(services, watched);
    HASH_DEL(services->watched, watched);
    free(watched);
}

static void watcher_free(Services *services, Watcher *watcher) {
    Session *session = watcher->session;
    Watched *watched = watcher->watched;
    /* If the session has lost its rights or was kicked, its direct connections end at once. In all
     * other cases, open calls may finish. */
    bool is_cut = session->end_reason && (strcmp(session->end_reason, "rights") == 0 ||
                                          strcmp(session->end_reason, "kicked") == 0);

    while (watcher->offers) {
        /* Callers that the server had no room for can have this place. */
        if (watcher->offers->server->n_offers == OFFERS_OF_SERVER_MAX)
            review_later(services, watched);
        tell_server(watcher->offers, is_cut ? TICKET_CUT : TICKET_UNUSED);
        offer_free(watcher->offers);
    }
    if (watched->at_review == watcher)
        watched->at_review = watcher->next;
    DL_DELETE(watched->watchers, watcher);
    watched->n_watchers--;
    DL_DELETE2(session->watchers, watcher, session_prev, session_next);
    session->n_watchers--;
    account_refund(&session->peer->account, BUDGET_SERVICES, sizeof(*watcher) + memory_of(watched));
    free(watcher);
    watched_release(services, watched);
}

void direct_session_gone(Services *services, Session *session) {
    while (session->watchers)
        watcher_free(services, session->watchers);
}

static Watcher *watcher_new(Services *services, Session *session, Span name) {
    Watched *watched = watched_get(services, name);
    Watcher *watcher = watched ? calloc(1, sizeof(*watcher)) : NULL;

    if (!watcher) {
        if (watched)
            watched_release(services, watched);
        return NULL;
    }
    watcher->watched = watched;
    watcher->session = session;
    DL_APPEND(watched->watchers, watcher);
    watched->n_watchers++;
    DL_APPEND2(session->watchers, watcher, session_prev, session_next);
    session->n_watchers++;
    account_charge(&session->peer->account, BUDGET_SERVICES, sizeof(*watcher) + memory_of(watched));
    return watcher;
}

static Watcher *watcher_find(const Session *session, Span name) {
    Watcher *watcher;

    DL_FOREACH2(session->watchers, watcher, session_next) {
        if (span_is(name, watcher->watched->name))
            return watcher;
    }
    return NULL;
}

void services_watch(Services *services, Session *session, const Message *message) {
    const Limits *limits = &services->broker->limits;
    const char *problem = name_problem(message->name.data, message->name.len);
    Watcher *watcher;

    if (problem) {
        session_error(session, message->id, "ferry.InvalidArgument",
                      "'%s' cannot be the name of a service: %s", shown(message->name), problem);
        return;
    }
    watcher = watcher_find(session, message->name);
    if (!watcher) {
        if (session->n_watchers >= limits->max_serves ||
            !account_allows(&session->peer->account, sizeof(Watcher) + sizeof(Watched) + 256)) {
            session_error(session, message->id, "ferry.Full",
                          "the session watches %u services (max_serves is %u), or has used up its "
                          "share of max_memory",
                          session->n_watchers, limits->max_serves);
            return;
        }
        watcher = watcher_new(services, session, message->name);
        if (!watcher) {
            session_error(session, message->id, "ferry.OutOfMemory", "the broker is out of memory");
            return;
        }
    }
    /* The caller gets its servers before OK. A unit of a turn's work is ten of a review's. */
    services->broker->turn.work += review(watcher, service_find(services, message->name)) / 10;
    session_ok(session, LANE_CALLS, message->id, 0);
}
