/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A map from 64-bit ids to pointers: open addressing, tuned for ids that count up, as ferry's do.
 * Zero is not an id. Ids of several ranges, such as those of jobs of earlier lives of a broker,
 * cost a little more. The memory follows the number of entries, down as well as up. Peers choose
 * ids: no choice of ids makes the map slow.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct IdMap {
    struct IdMapSlot *slots;
    size_t n;
    size_t mask;     /* number of slots - 1 */
    unsigned bits;   /* of the mask */
    uint64_t stride; /* see home() */
    bool scattered;  /* likewise */
} IdMap;

/* 0; -EINVAL: the id is zero; -EEXIST: it is there already; -ENOMEM. */
int id_map_put(IdMap *map, uint64_t id, void *value);
void *id_map_get(const IdMap *map, uint64_t id); /* NULL: not there */
void *id_map_take(IdMap *map, uint64_t id);      /* removes it; NULL: not there */

/* Iterates over all entries: start with *pos = 0; NULL at the end. The map must not change
 * meanwhile. */
void *id_map_next(const IdMap *map, size_t *pos);

void id_map_deinit(IdMap *map);
