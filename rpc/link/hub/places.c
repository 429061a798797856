/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places: limits of the connections, in total and per address. At a limit, the hub closes the
 * oldest connection that has sent no message, and gives its place to the new one. If connections
 * have keys, the handshakes that an address may begin in a second are limited too, because each
 * handshake costs processor time before the peer is known. See hub-private.h.
 */

#include <stdlib.h>
#include <utlist.h>

#include "base/hash.h"
#include "rpc/link/hub/hub-private.h"

enum {
    LOOKED_AT_MAX = 256, /* most connections without messages that are compared with a new
                            connection's address */
    SECOND_US = 1000 * 1000,
    IDLE_MS = 1000, /* after a second without handshakes, an address has its full rate again */
};

/* An address that connections come from: an IPv4 address, or the /64 network of an IPv6 address,
 * because a single machine often has a whole one. */
struct Origin {
    UT_hash_handle hh;
    uint8_t key[9];        /* 4 or 6, then the address */
    unsigned n;            /* number of its connections */
    unsigned n_unfinished; /* number of its connections whose keys are being checked */
    uint64_t paid_us;      /* the time at which the rate has covered its handshakes so far */
    uint64_t left_ms;      /* time at which its last connection ended; valid if n is 0 */
    Origin *prev, *next;   /* neighbours in hub->idle; valid if n is 0 */
};

/* False: a Unix socket, which has no address. */
static bool key_of(const SocketAddress *address, uint8_t key[9]) {
    memset(key, 0, 9);
    if (address->any.sa_family == AF_INET) {
        key[0] = 4;
        memcpy(key + 1, &address->v4.sin_addr, 4);
    } else if (address->any.sa_family == AF_INET6) {
        key[0] = 6;
        memcpy(key + 1, &address->v6.sin6_addr, 8);
    }
    return key[0] != 0;
}

static void give_place(Peer *stranger) {
    peer_cut(stranger, "it had sent no message, and the broker gave its place to a new connection");
}

/* Closes the oldest connection that has sent no message. False: all peers have sent messages. */
static bool drop_oldest_stranger(Hub *hub) {
    Peer *greeting = hub->stages[STAGE_GREETING], *silent = hub->stages[STAGE_SILENT];
    Peer *oldest = greeting;

    if (!oldest || (silent && silent->since_ms < greeting->since_ms))
        oldest = silent;
    if (!oldest)
        return false;
    give_place(oldest);
    return true;
}

/* Closes the oldest connection of one origin in this stage. */
static bool drop_oldest_of(Hub *hub, const Origin *origin, Stage stage) {
    Peer *peer = hub->stages[stage];

    for (unsigned n = 0; peer && n < LOOKED_AT_MAX; n++, peer = peer->place_next)
        if (peer->origin == origin) {
            give_place(peer);
            return true;
        }
    return false;
}

static bool drop_stranger_of(Hub *hub, const Origin *origin) {
    return drop_oldest_of(hub, origin, STAGE_SILENT) || drop_oldest_of(hub, origin, STAGE_GREETING);
}

/* ---- addresses ---- */

static void forget(Hub *hub, Origin *origin) {
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): links that uthash set */
    HASH_DEL(hub->origins, origin);
    hub->options.budget->bytes[BUDGET_CONNECTIONS] -= sizeof(*origin);
    free(origin);
}

static void forget_oldest(Hub *hub) {
    Origin *oldest = hub->idle;

    DL_DELETE(hub->idle, oldest);
    hub->n_idle--;
    forget(hub, oldest);
}

void places_look(Hub *hub) {
    while (hub->idle &&
           (hub->n_idle > IDLE_ORIGINS_MAX || hub->now_ms >= hub->idle->left_ms + IDLE_MS))
        forget_oldest(hub);
}

void places_free(Hub *hub) {
    while (hub->idle)
        forget_oldest(hub);
}

static bool are_counted(const Hub *hub, bool has_keys) {
    const HubOptions *options = &hub->options;

    return options->max_per_address > 0 ||
           (has_keys && (options->max_handshakes > 0 || options->max_unfinished > 0));
}

/* Finds or makes the record of an address. -ENOMEM. */
static int origin_of(Hub *hub, const SocketAddress *address, bool has_keys, Origin **ret) {
    uint8_t key[9];
    Origin *origin;

    *ret = NULL;
    if (!are_counted(hub, has_keys) || !key_of(address, key))
        return 0;
    HASH_FIND(hh, hub->origins, key, sizeof(key), origin);
    if (!origin) {
        origin = calloc(1, sizeof(*origin));
        if (!origin)
            return -ENOMEM;
        memcpy(origin->key, key, sizeof(key));
        HASH_ADD(hh, hub->origins, key, sizeof(key), origin);
        if (!hash_added(origin)) {
            free(origin);
            return -ENOMEM;
        }
        hub->options.budget->bytes[BUDGET_CONNECTIONS] += sizeof(*origin);
    } else if (origin->n == 0) {
        DL_DELETE(hub->idle, origin);
        hub->n_idle--;
    }
    origin->n++;
    *ret = origin;
    return 0;
}

/* The record of an address stays until the rate has covered its handshakes. Otherwise a peer that
 * closes each connection at once would always count as new. */
static void leave_origin(Hub *hub, Origin *origin) {
    if (!origin || --origin->n > 0)
        return;
    if (origin->paid_us <= hub->now_ms * 1000) {
        forget(hub, origin);
        return;
    }
    origin->left_ms = hub->now_ms;
    DL_APPEND(hub->idle, origin);
    hub->n_idle++;
    places_look(hub);
}

/* Counts a handshake. False: the address has begun its handshakes a full second ahead of the
 * rate. */
static bool keeps_rate(const Hub *hub, Origin *origin) {
    uint64_t now_us = hub->now_ms * 1000, rate = hub->options.max_handshakes;

    if (rate == 0)
        return true;
    if (origin->paid_us < now_us)
        origin->paid_us = now_us;
    if (origin->paid_us > now_us + SECOND_US - SECOND_US / rate)
        return false;
    origin->paid_us += SECOND_US / rate;
    return true;
}

/* The reason why this address may have no further connection now; NULL: it may. */
static const char *origin_problem(Hub *hub, Origin *origin, bool has_keys) {
    const HubOptions *options = &hub->options;

    /* Check the rate first, so that a refused connection does not take the place of another one. */
    if (has_keys && !keeps_rate(hub, origin))
        return "its address begins more handshakes in a second than max_handshakes_per_address";
    if (has_keys && options->max_unfinished > 0 &&
        origin->n_unfinished >= options->max_unfinished &&
        !drop_oldest_of(hub, origin, STAGE_GREETING))
        return "its address has as many unfinished handshakes as "
               "max_unfinished_per_address allows";
    if (options->max_per_address > 0 && origin->n > options->max_per_address &&
        !drop_stranger_of(hub, origin))
        return "its address has as many connections as max_connections_per_address allows";
    return NULL;
}

const char *place_take(Hub *hub, const SocketAddress *address, Origin **ret) {
    bool has_keys = hub_keys_for(hub, address) != NULL;
    const char *problem = NULL;
    Origin *origin;

    /* Count this connection before another one of this origin may be closed, so that the record
     * stays. */
    if (origin_of(hub, address, has_keys, &origin) < 0)
        return "out of memory";
    if (origin)
        problem = origin_problem(hub, origin, has_keys);
    if (!problem && hub->n_connections >= hub->options.max_connections &&
        !drop_oldest_stranger(hub))
        problem =
            "the broker has as many connections as max_connections or its descriptor limit allows";
    if (!problem && !budget_allows(hub->options.budget, sizeof(Peer)))
        problem = "the broker's max_memory is used up";
    if (problem) {
        leave_origin(hub, origin);
        return problem;
    }
    hub->n_connections++;
    *ret = origin;
    return NULL;
}

void place_check_keys(Peer *peer) {
    if (!peer->origin)
        return;
    peer->is_unfinished = true;
    peer->origin->n_unfinished++;
}

void place_checked_keys(Peer *peer) {
    if (peer->is_unfinished)
        peer->origin->n_unfinished--;
    peer->is_unfinished = false;
}

void place_leave(Hub *hub, Origin *origin) {
    hub->n_connections--;
    leave_origin(hub, origin);
}
