/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The texts of a Redis cluster: slots of keys, redirections, the reply to CLUSTER SLOTS. */

#include <stdbool.h>
#include <stdint.h>

#include "cache/connection/reply.h"
#include "cache/connection/url.h"
#include "rpc/wire/reader.h"

enum { SLOTS = 16384 };

/* CRC-16/XMODEM of the key, or of its hash tag: the text between the first { and the next }. */
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
    CacheHost host; /* name NULL: the server that answered. From malloc() */
} Redirect;

/* Parses an error reply that redirects. 0; -EPROTO: a malformed MOVED or ASK; -ENOMEM. */
int redirect_parse(Span error, Redirect *ret);

/* Called for each range of slots and its master. host->name is borrowed; NULL: the server that was
 * asked. A negative errno ends the iteration. */
typedef int (*SlotsFn)(uint16_t first, uint16_t last, const CacheHost *host, void *ctx);

/* Iterates over the reply to CLUSTER SLOTS. 0, -EPROTO, -ENOMEM, or the result of fn. */
int slots_parse(const Reply *reply, SlotsFn fn, void *ctx);
