/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places: how many connections there may be, in all and from one address. At a limit the oldest
 * connection that has sent no message gives its place to the new one. See hub-private.h.
 */

#include <stdlib.h>
#include <utlist.h>

#include "base/hash.h"
#include "rpc/link/hub/hub-private.h"

enum { LOOKED_AT_MAX = 256 }; /* strangers that are compared with a new connection's address */

/* An address that connections come from: an IPv4 address, or the /64 network of an IPv6 address,
 * because a single machine often has a whole one. */
struct Origin {
    UT_hash_handle hh;
    uint8_t key[9]; /* 4 or 6, and the address */
    unsigned n;     /* its connections */
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
    peer_cut(stranger, "it had sent no message when the broker needed its place");
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

/* The same, among the connections of one origin. */
static bool drop_stranger_of(Hub *hub, const Origin *origin) {
    static const Stage stages[] = {STAGE_SILENT, STAGE_GREETING};
    Peer *peer;

    for (unsigned i = 0; i < 2; i++) {
        unsigned n = 0;

        for (peer = hub->stages[stages[i]]; peer && n < LOOKED_AT_MAX; peer = peer->place_next, n++)
            if (peer->origin == origin) {
                give_place(peer);
                return true;
            }
    }
    return false;
}

/* Finds or makes the record of an address. -ENOMEM. */
static int origin_of(Hub *hub, const SocketAddress *address, Origin **ret) {
    uint8_t key[9];
    Origin *origin;

    *ret = NULL;
    if (hub->options.max_per_address == 0 || !key_of(address, key))
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
    }
    *ret = origin;
    return 0;
}

static void leave_origin(Hub *hub, Origin *origin) {
    if (!origin || --origin->n > 0)
        return;
    HASH_DEL(hub->origins, origin);
    hub->options.budget->bytes[BUDGET_CONNECTIONS] -= sizeof(*origin);
    free(origin);
}

const char *place_take(Hub *hub, const SocketAddress *address, Origin **ret) {
    const char *problem = NULL;
    Origin *origin;

    if (origin_of(hub, address, &origin) < 0)
        return "out of memory";
    if (origin)
        origin->n++; /* before others of this origin leave: its record must stay */
    if (origin && origin->n > hub->options.max_per_address && !drop_stranger_of(hub, origin))
        problem = "its address has as many connections as it may have";
    else if (hub->n_connections >= hub->max_connections && !drop_oldest_stranger(hub))
        problem = "the broker has as many connections as it may have";
    else if (!budget_allows(hub->options.budget, sizeof(Peer)))
        problem = "the broker's max_memory is used up";
    if (problem) {
        leave_origin(hub, origin);
        return problem;
    }
    hub->n_connections++;
    *ret = origin;
    return NULL;
}

void place_leave(Hub *hub, Origin *origin) {
    hub->n_connections--;
    leave_origin(hub, origin);
}
