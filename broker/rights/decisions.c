/* SPDX-License-Identifier: Apache-2.0 */
/* Remembers decisions for one session. See decisions.h. */

#include "broker/rights/decisions.h"

#include <stdlib.h>
#include <string.h>

enum { ENTRIES_BITS = 5, NAME_MAX_KEPT = 61 };

/* The first and the last bytes of a name. With the length, they are the whole name if it has at
 * most 16 bytes. A name of less than 8 bytes is in `first`, with zeros behind it. */
typedef struct Ends {
    uint64_t first, last;
} Ends;

typedef struct DecisionEntry {
    Ends ends;
    uint8_t key; /* action + 1; 0: the entry is free */
    uint8_t is_allowed;
    uint8_t len;
    uint8_t middle[NAME_MAX_KEPT - sizeof(Ends)]; /* of a longer name: the bytes between its ends */
} DecisionEntry;

struct Decisions {
    DecisionEntry entries[1 << ENTRIES_BITS];
};

_Static_assert(sizeof(Decisions) == DECISIONS_MEMORY, "decisions.h has the size of the table");

static inline Ends ends_of(Span name) {
    Ends ends = {0, 0};

    if (name.len >= sizeof(ends.first)) {
        memcpy(&ends.first, name.data, sizeof(ends.first));
        memcpy(&ends.last, name.data + name.len - sizeof(ends.last), sizeof(ends.last));
    } else {
        memcpy(&ends.first, name.data, name.len);
    }
    return ends;
}

/* The place of an entry depends on the ends: names of one kind mostly differ there. */
static inline size_t place(Ends ends, Action action, size_t len) {
    uint64_t mix = (ends.first ^ ends.last * UINT64_C(0x9E3779B97F4A7C15)) + len;

    mix += (uint64_t)action << 8;
    return (size_t)(mix * UINT64_C(0xD6E8FEB86659FD93) >> (64 - ENTRIES_BITS));
}

static inline bool is_about(const DecisionEntry *entry, Ends ends, Action action, Span name) {
    return entry->ends.first == ends.first && entry->ends.last == ends.last &&
           entry->len == name.len && entry->key == action + 1 &&
           (name.len <= sizeof(Ends) ||
            memcmp(entry->middle, name.data + sizeof(Ends) / 2, name.len - sizeof(Ends)) == 0);
}

static bool decide(DecisionEntry *entry, const User *user, Action action, Span name) {
    *entry = (DecisionEntry){.ends = ends_of(name),
                             .key = (uint8_t)(action + 1),
                             .is_allowed = user_may(user, action, name),
                             .len = (uint8_t)name.len};
    if (name.len > sizeof(Ends))
        memcpy(entry->middle, name.data + sizeof(Ends) / 2, name.len - sizeof(Ends));
    return entry->is_allowed;
}

bool decisions_may(Decisions **decisions, const User *user, Action action, Span name) {
    DecisionEntry *entry;
    Ends ends;

    if (name.len == 0 || name.len > NAME_MAX_KEPT)
        return user_may(user, action, name);
    if (!*decisions)
        *decisions = calloc(1, sizeof(**decisions));
    if (!*decisions)
        return user_may(user, action, name);
    ends = ends_of(name);
    entry = &(*decisions)->entries[place(ends, action, name.len)];
    return is_about(entry, ends, action, name) ? entry->is_allowed
                                               : decide(entry, user, action, name);
}

Decisions *decisions_free(Decisions *decisions) {
    free(decisions);
    return NULL;
}
