/* SPDX-License-Identifier: Apache-2.0 */
/* Decisions of one session. See decisions.h. */

#include "broker/rights/decisions.h"

#include <stdlib.h>
#include <string.h>

enum { ENTRIES_BITS = 5, NAME_MAX_KEPT = 61 };

typedef struct DecisionEntry {
    uint8_t key; /* action + 1; 0: the entry is free */
    uint8_t is_allowed;
    uint8_t len;
    uint8_t name[NAME_MAX_KEPT];
} DecisionEntry;

struct Decisions {
    DecisionEntry entries[1 << ENTRIES_BITS];
};

/* Names of one kind differ mostly at their ends, so the last and the first bytes decide. */
static size_t place(Action action, Span name) {
    uint64_t first = 0, last = 0;

    if (name.len >= sizeof(first)) {
        memcpy(&first, name.data, sizeof(first));
        memcpy(&last, name.data + name.len - sizeof(last), sizeof(last));
    } else {
        memcpy(&first, name.data, name.len);
    }
    first = (first ^ last * UINT64_C(0x9E3779B97F4A7C15)) + name.len + ((uint64_t)action << 8);
    return (size_t)(first * UINT64_C(0xD6E8FEB86659FD93) >> (64 - ENTRIES_BITS));
}

bool decisions_may(Decisions **decisions, const User *user, Action action, Span name) {
    DecisionEntry *entry;

    if (name.len == 0 || name.len > NAME_MAX_KEPT)
        return user_may(user, action, name);
    if (!*decisions)
        *decisions = calloc(1, sizeof(**decisions));
    if (!*decisions)
        return user_may(user, action, name);
    entry = &(*decisions)->entries[place(action, name)];
    if (entry->key == action + 1 && entry->len == name.len &&
        memcmp(entry->name, name.data, name.len) == 0)
        return entry->is_allowed;
    entry->key = (uint8_t)(action + 1);
    entry->is_allowed = user_may(user, action, name);
    entry->len = (uint8_t)name.len;
    memcpy(entry->name, name.data, name.len);
    return entry->is_allowed;
}

Decisions *decisions_free(Decisions *decisions) {
    free(decisions);
    return NULL;
}
