/* Ids of stored pushes: a sorted array that begins at an offset. See dedup-window.h. */

#include "broker/queues/dedup-window.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAP = 16 };

struct PushLedger {
    uint64_t *total;
    uint64_t *ids; /* ascending from start to end */
    size_t start, end, cap;
};

PushLedger *push_ledger_new(uint64_t *total) {
    PushLedger *ledger = calloc(1, sizeof(*ledger));

    if (ledger)
        ledger->total = total;
    return ledger;
}

static void forget_all(PushLedger *ledger) {
    *ledger->total -= ledger->cap * sizeof(*ledger->ids);
    free(ledger->ids);
    *ledger = (PushLedger){.total = ledger->total};
}

PushLedger *push_ledger_free(PushLedger *ledger) {
    if (ledger)
        forget_all(ledger);
    free(ledger);
    return NULL;
}

size_t push_ledger_count(const PushLedger *ledger) {
    return ledger->end - ledger->start;
}

static void to_front(PushLedger *ledger) {
    size_t n = push_ledger_count(ledger);

    if (n > 0)
        memmove(ledger->ids, ledger->ids + ledger->start, n * sizeof(*ledger->ids));
    ledger->start = 0;
    ledger->end = n;
}

static int make_room(PushLedger *ledger, size_t max) {
    size_t cap = ledger->cap ? ledger->cap * 2 : FIRST_CAP;
    uint64_t *ids;

    /* Twice the maximum: then moving all to the front is paid for by as many appends. */
    if (cap > 2 * max)
        cap = 2 * max > FIRST_CAP ? 2 * max : FIRST_CAP;
    if (ledger->start > 0 && ledger->start >= ledger->cap / 2) {
        to_front(ledger);
        return 0;
    }
    if (cap <= ledger->cap) /* max was lowered */
        cap = ledger->cap + ledger->cap / 2;
    ids = realloc(ledger->ids, cap * sizeof(*ids));
    if (!ids)
        return -ENOMEM;
    *ledger->total += (cap - ledger->cap) * sizeof(*ids);
    ledger->ids = ids;
    ledger->cap = cap;
    return 0;
}

/* Where id is, or would be. */
static size_t place_of(const PushLedger *ledger, uint64_t id) {
    size_t low = ledger->start, high = ledger->end;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (ledger->ids[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int push_ledger_reserve(PushLedger *ledger, size_t max) {
    return ledger->end < ledger->cap ? 0 : make_room(ledger, max);
}

int push_ledger_add(PushLedger *ledger, uint64_t id, size_t max) {
    size_t at;
    int r = push_ledger_reserve(ledger, max);

    if (r < 0)
        return r;
    if (ledger->start == ledger->end || ledger->ids[ledger->end - 1] < id) {
        ledger->ids[ledger->end++] = id;
    } else {
        at = place_of(ledger, id);
        if (ledger->ids[at] == id)
            return 0;
        memmove(ledger->ids + at + 1, ledger->ids + at, (ledger->end - at) * sizeof(*ledger->ids));
        ledger->ids[at] = id;
        ledger->end++;
    }
    while (push_ledger_count(ledger) > max)
        ledger->start++;
    return 0;
}

bool push_ledger_has(const PushLedger *ledger, uint64_t id) {
    size_t at = place_of(ledger, id);

    return at < ledger->end && ledger->ids[at] == id;
}

uint64_t push_ledger_last(const PushLedger *ledger) {
    return ledger->start < ledger->end ? ledger->ids[ledger->end - 1] : 0;
}

void push_ledger_floor(PushLedger *ledger, uint64_t floor) {
    ledger->start = place_of(ledger, floor);
    if (ledger->start == ledger->end)
        forget_all(ledger);
}
