/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A space of the keeper, for its stores. See keeper.h. */

#include "base/hash.h"
#include "keeper.h"

typedef struct KeptJob {
    UT_hash_handle hh;
    uint64_t id;
    StoredJob job; /* its queue is queue_name */
    char queue_name[64];
    uint8_t body[16];
    uint32_t body_len;
} KeptJob;

typedef struct KeptPush {
    uint32_t client, push;
} KeptPush;

typedef struct Space {
    KeptJob *jobs; /* uthash by id */
    KeptPush *pushes;
    size_t n_pushes, cap_pushes;
    uint64_t token, lease_until_us, delay_us, last_job;
    uint64_t changed_token; /* of the last change */
    unsigned changed_by;    /* the broker that made it */
} Space;

typedef struct Change {
    struct Change *next;
    uint64_t ticket;
    KeptJob *append; /* owned; NULL: the change has no new job */
    uint64_t settle; /* the id of the settled job; 0: no job is settled */
    KeptPush push;
    bool is_push, is_refused;
} Change;

Space *keeper_space(Keeper *keeper, unsigned space);
/* Makes the change, or refuses it. */
void keeper_apply(Keeper *keeper, unsigned space, uint64_t token, unsigned broker, Change *change);
