/* SPDX-License-Identifier: Apache-2.0 */
/* A map from 64-bit ids to pointers, by Robin Hood hashing. See id-map.h. */

#include "base/id-map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"

typedef struct IdMapSlot {
    uint64_t id; /* 0: empty */
    void *value;
} IdMapSlot;

/* A test defines this macro and includes this file, to count the slots that the map looks at. */
#ifndef ID_MAP_STEP
#define ID_MAP_STEP() ((void)0)
#endif

enum { MIN_SLOTS = 8 };

/*
 * Ids that count up fill neighbouring slots, without collisions while there are fewer live ids than
 * slots. The id range is divided into runs as long as the table, and each run begins at a secret
 * offset, so ids that an attacker chooses with the same low bits are spread over the table.
 * (Multiplying by a random odd number and taking the highest bits is universal: Dietzfelbinger et
 * al., 1997.) The offset between two neighbouring runs is less than half of the table. The live ids
 * fill at most half of the table, so a run of live ids never reaches its own start.
 *
 * But the live ids of two far ranges may fill the same slots, and then each id of one range would
 * be moved behind all those of the other. A map that sees this scatters: small blocks of
 * neighbouring ids then have their places by a hash.
 */
enum { BLOCK_BITS = 3, SCATTER_AT = 64 };

static size_t scattered_home(const IdMap *map, uint64_t id) {
    uint64_t block = (id >> BLOCK_BITS) * map->stride;

    block = (block ^ block >> 32) * map->stride;
    return (size_t)(block >> (64 - map->bits) & ~UINT64_C(7)) | (id & 7);
}

static inline size_t home(const IdMap *map, uint64_t id) {
    uint64_t run = id >> map->bits;

    if (__builtin_expect(map->scattered, 0))
        return scattered_home(map, id);

    return (size_t)(id + (run * map->stride >> (64 - map->bits))) & map->mask;
}

/* The number of slots between the entry in this slot and its home slot. */
static inline size_t distance(const IdMap *map, size_t slot) {
    ID_MAP_STEP();
    return (slot - home(map, map->slots[slot].id)) & map->mask;
}

/* Returns the slot of this id, or the slot where the search ended, *ret_d slots from the id's home.
 * The table is at most half full, so the search ends. */
static inline size_t search(const IdMap *map, uint64_t id, size_t *ret_d) {
    size_t i = home(map, id), d = 0;

    while (map->slots[i].id != id && map->slots[i].id && distance(map, i) >= d) {
        i = (i + 1) & map->mask;
        d++;
    }
    *ret_d = d;
    return i;
}

static __attribute__((noinline)) IdMapSlot *find_away(const IdMap *map, uint64_t id) {
    size_t d, i = search(map, id, &d);

    return map->slots[i].id == id ? &map->slots[i] : NULL;
}

static inline IdMapSlot *find(const IdMap *map, uint64_t id) {
    IdMapSlot *slot;

    if (!map->slots || !id)
        return NULL;
    slot = &map->slots[home(map, id)];
    return slot->id == id ? slot : find_away(map, id);
}

/* Robin Hood insertion: of two entries, the one farther from its home slot gets the slot, and the
 * other one moves on. So a run is ordered by home slots, and removal moves entries only up to the
 * next entry in its home slot; for ids that count up it moves no entry. i and d are the results of
 * search(). Returns the number of moved entries. */
static size_t insert(IdMap *map, IdMapSlot entry, size_t i, size_t d) {
    size_t n = 0;

    for (; map->slots[i].id; i = (i + 1) & map->mask, d++, n++) {
        size_t theirs = distance(map, i);

        if (theirs < d) {
            IdMapSlot other = map->slots[i];

            map->slots[i] = entry;
            entry = other;
            d = theirs;
        }
    }
    map->slots[i] = entry;
    return n;
}

/* False: two ranges of ids need the same slots. */
static bool copy_entries(IdMap *to, const IdMap *from) {
    for (size_t i = 0; from->slots && i <= from->mask; i++)
        if (from->slots[i].id &&
            insert(to, from->slots[i], home(to, from->slots[i].id), 0) > SCATTER_AT &&
            !to->scattered)
            return false;
    return true;
}

static int resize(IdMap *map, size_t n_slots) {
    IdMap other = {.slots = calloc(n_slots, sizeof(IdMapSlot)),
                   .n = map->n,
                   .mask = n_slots - 1,
                   .bits = (unsigned)__builtin_ctzll(n_slots),
                   .stride = hash_seed() >> 1 | 1,
                   .scattered = map->scattered};

    if (!other.slots)
        return -ENOMEM;
    if (!copy_entries(&other, map)) {
        memset(other.slots, 0, n_slots * sizeof(IdMapSlot));
        other.scattered = true;
        copy_entries(&other, map);
    }
    free(map->slots);
    *map = other;
    return 0;
}

static void scatter(IdMap *map) {
    map->scattered = true;
    if (resize(map, map->mask + 1) < 0)
        map->scattered = false; /* out of memory: the next insertion tries again */
}

int id_map_put(IdMap *map, uint64_t id, void *value) {
    size_t i, d, n_moved;

    if (!id)
        return -EINVAL;
    if (!map->slots || map->n * 2 > map->mask) {
        int r = resize(map, map->slots ? (map->mask + 1) * 2 : MIN_SLOTS);

        if (r < 0)
            return r;
    }
    i = search(map, id, &d);
    if (map->slots[i].id == id)
        return -EEXIST;
    n_moved = insert(map, (IdMapSlot){id, value}, i, d);
    map->n++;
    if (d + n_moved > SCATTER_AT && !map->scattered)
        scatter(map);
    return 0;
}

void *id_map_get(const IdMap *map, uint64_t id) {
    const IdMapSlot *slot = find(map, id);

    return slot ? slot->value : NULL;
}

void *id_map_take(IdMap *map, uint64_t id) {
    IdMapSlot *slot = find(map, id);
    size_t gap, i;
    void *value;

    if (!slot)
        return NULL;
    value = slot->value;
    map->n--;

    /* Close the gap: move the following entries back by one slot, up to the next entry in its home
     * slot. */
    gap = (size_t)(slot - map->slots);
    for (i = (gap + 1) & map->mask; map->slots[i].id && distance(map, i) > 0;
         i = (i + 1) & map->mask) {
        map->slots[gap] = map->slots[i];
        gap = i;
    }
    map->slots[gap] = (IdMapSlot){0};

    /* Free memory after a burst. If shrinking fails, the map keeps its size. */
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
