/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A map from 64-bit ids to pointers, with open addressing, optimised for ids that count up. Zero is
 * not an id. Ids of several ranges, for example jobs from before a restart of the broker, cost a
 * little more. The memory grows and shrinks with the number of entries. Peers choose ids, but no
 * choice of ids makes the map slow.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct IdMap {
    struct IdMapSlot *slots;
    size_t n;
    size_t mask;     /* number of slots - 1 */
    unsigned bits;   /* number of bits in the mask */
    uint64_t stride; /* see home() */
    bool scattered;  /* see home() */
} IdMap;

/* Adds an entry. 0; -EINVAL: the id is zero; -EEXIST: the map already has the id; -ENOMEM. */
int id_map_put(IdMap *map, uint64_t id, void *value);
void *id_map_get(const IdMap *map, uint64_t id); /* NULL: unknown id */
void *id_map_take(IdMap *map, uint64_t id);      /* removes the entry; NULL: unknown id */

/* Iterates over all entries: start with *pos = 0; NULL at the end. The map must not change during
 * the iteration. */
void *id_map_next(const IdMap *map, size_t *pos);

void id_map_deinit(IdMap *map);
