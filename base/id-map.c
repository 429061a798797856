/* 64-bit ids to pointers. Linear probing with backward-shift deletion. See id-map.h. */

#include "base/id-map.h"

#include <errno.h>
#include <stdlib.h>

typedef struct IdMapSlot {
    uint64_t id; /* 0: empty */
    void *value;
} IdMapSlot;

enum { MIN_SLOTS = 8 };

/* Ids that count up fill neighbouring slots: no collisions while fewer ids live than slots exist.
 * The high bits are folded in so that ids which differ there alone do not pile up. */
static size_t home(const IdMap *map, uint64_t id) {
    return (size_t)(id ^ (id >> 32) * 0x9E3779B1u) & map->mask;
}

static IdMapSlot *find(const IdMap *map, uint64_t id) {
    size_t i;

    if (!map->slots)
        return NULL;
    for (i = home(map, id); map->slots[i].id && map->slots[i].id != id;)
        i = (i + 1) & map->mask;
    return &map->slots[i];
}

static int resize(IdMap *map, size_t n_slots) {
    IdMap bigger = {.slots = calloc(n_slots, sizeof(IdMapSlot)), .n = map->n, .mask = n_slots - 1};

    if (!bigger.slots)
        return -ENOMEM;
    for (size_t i = 0; map->slots && i <= map->mask; i++)
        if (map->slots[i].id)
            *find(&bigger, map->slots[i].id) = map->slots[i];
    free(map->slots);
    *map = bigger;
    return 0;
}

int id_map_put(IdMap *map, uint64_t id, void *value) {
    IdMapSlot *slot;

    if (!map->slots || map->n * 2 > map->mask) {
        int r = resize(map, map->slots ? (map->mask + 1) * 2 : MIN_SLOTS);

        if (r < 0)
            return r;
    }
    slot = find(map, id);
    if (slot->id)
        return -EEXIST;
    *slot = (IdMapSlot){id, value};
    map->n++;
    return 0;
}

void *id_map_get(const IdMap *map, uint64_t id) {
    const IdMapSlot *slot = find(map, id);

    return slot && id ? slot->value : NULL;
}

void *id_map_take(IdMap *map, uint64_t id) {
    IdMapSlot *slot = find(map, id);
    void *value;

    if (!slot || !slot->id || !id)
        return NULL;
    value = slot->value;
    map->n--;

    /* Close the gap: whatever follows and may move up, moves up. */
    size_t gap = (size_t)(slot - map->slots);

    for (size_t i = (gap + 1) & map->mask; map->slots[i].id; i = (i + 1) & map->mask) {
        size_t want = home(map, map->slots[i].id);

        if (((i - want) & map->mask) >= ((i - gap) & map->mask)) {
            map->slots[gap] = map->slots[i];
            gap = i;
        }
    }
    map->slots[gap] = (IdMapSlot){0};

    /* A burst must not cost its memory for ever; a failed shrink costs nothing. */
    if (map->mask >= 4096 && map->n * 16 < map->mask)
        resize(map, (map->mask + 1) / 4);
    return value;
}

void *id_map_next(const IdMap *map, size_t *pos) {
    while (map->slots && *pos <= map->mask) {
        const IdMapSlot *slot = &map->slots[(*pos)++];

        if (slot->id)
            return slot->value;
    }
    return NULL;
}

void id_map_deinit(IdMap *map) {
    free(map->slots);
    *map = (IdMap){0};
}
