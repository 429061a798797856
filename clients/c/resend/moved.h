/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The error ferry.Moved: the queue is at another broker. See docs/PROTOCOL.md §11. */

#include "clients/c/core/core.h"

enum {
    MOVED_PAUSE_MS = 100,      /* before the second attempt; doubles with each refusal */
    MOVED_PAUSE_MAX_MS = 1000, /* the longest of these pauses */
};

typedef struct Moved {
    Span broker;     /* the broker that has the queue, as in WELCOME; empty: it is not known */
    Span url;        /* of this broker; empty: it is not known */
    bool is_kept;    /* in answer to FORWARD: the job is still with its worker */
    bool is_unknown; /* the change may have been made */
    uint64_t number; /* the number of this answer in the session; 0: it has no number */
} Moved;

/* False: the message is another answer. The spans of *ret point into the message. */
bool moved_read(const Message *message, Moved *ret);

/* If the error is ferry.Moved and names a broker, adds for the program that the URL must list it.
 */
void moved_advise(const Message *message, ferry_error *error);

/* The pause before the next attempt, after n refusals. */
uint64_t moved_pause_ms(unsigned n_refusals);
