#pragma once

/* A Redis cluster as text and bytes: slots of keys, redirections, the reply to CLUSTER SLOTS. */

#include <stdbool.h>
#include <stdint.h>

#include "cache/connection/reply.h"
#include "cache/connection/url.h"
#include "rpc/wire/reader.h"

enum { SLOTS = 16384 };

/* CRC-16/XMODEM of the key, or of its hash tag: what is between the first { and the next }. */
uint16_t slot_of_key(Span key);

typedef enum RedirectKind {
    REDIRECT_NONE,
    REDIRECT_MOVED,
    REDIRECT_ASK,
    REDIRECT_LATER
} RedirectKind;

typedef struct Redirect {
    RedirectKind kind; /* REDIRECT_LATER: TRYAGAIN, CLUSTERDOWN, LOADING, MASTERDOWN */
    uint16_t slot;
    CacheHost host; /* name NULL: the one that said so. malloc */
} Redirect;

/* What an error tells a client to do. 0; -EPROTO: a MOVED or ASK that makes no sense; -ENOMEM. */
int redirect_parse(Span error, Redirect *ret);

/* Called for each range of slots and its master. host->name is lent; NULL: the one that was asked.
 * A negative errno ends the walk. */
typedef int (*SlotsFn)(uint16_t first, uint16_t last, const CacheHost *host, void *ctx);

/* Walks the reply to CLUSTER SLOTS. 0, -EPROTO, -ENOMEM, or what fn returned. */
int slots_parse(const Reply *reply, SlotsFn fn, void *ctx);
