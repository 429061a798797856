/* SPDX-License-Identifier: Apache-2.0 */
/* Spaces and their leases, in virtual time. See keeper.h. */

#include "keeper.h"

#include <stdlib.h>
#include <string.h>

#include "keeper-private.h"

struct Keeper {
    Space *spaces;
    unsigned n_spaces, n_clients, pushes_of_client;
    uint8_t *stored; /* by client and push id: the push was stored */
    KeeperCounts counts;
};

void *keeper_get(size_t n, size_t size) {
    void *memory = calloc(n, size);

    if (!memory)
        abort();
    return memory;
}

/* ---- clients ---- */

void client_token(uint32_t client, unsigned connection, uint8_t token[WIRE_TOKEN]) {
    memset(token, 0, WIRE_TOKEN);
    memcpy(token, &client, sizeof(client));
    token[WIRE_TOKEN - 2] = (uint8_t)connection;
    token[WIRE_TOKEN - 1] = 1;
}

uint32_t client_of_token(const uint8_t *token) {
    uint32_t client;

    memcpy(&client, token, sizeof(client));
    return client;
}

/* ---- the keeper ---- */

Keeper *keeper_new(unsigned n_spaces, unsigned n_clients, unsigned pushes_of_client) {
    Keeper *keeper = keeper_get(1, sizeof(*keeper));

    keeper->spaces = keeper_get(n_spaces, sizeof(*keeper->spaces));
    keeper->stored = keeper_get(n_clients, pushes_of_client + 1);
    keeper->n_spaces = n_spaces;
    keeper->n_clients = n_clients;
    keeper->pushes_of_client = pushes_of_client;
    return keeper;
}

const KeeperCounts *keeper_counts(const Keeper *keeper) {
    return &keeper->counts;
}

size_t keeper_n_jobs(const Keeper *keeper) {
    size_t n = 0;

    for (unsigned i = 0; i < keeper->n_spaces; i++)
        n += HASH_COUNT(keeper->spaces[i].jobs);
    return n;
}

Space *keeper_space(Keeper *keeper, unsigned space) {
    return &keeper->spaces[space];
}

void keeper_set_delay(Keeper *keeper, unsigned space, uint64_t us) {
    keeper->spaces[space].delay_us = us;
}

uint64_t keeper_delay(const Keeper *keeper, unsigned space) {
    return keeper->spaces[space].delay_us;
}

/* ---- leases ---- */

uint64_t keeper_lease(Keeper *keeper, unsigned number, uint64_t now_us, uint64_t for_us) {
    Space *space = &keeper->spaces[number];

    if (space->lease_until_us > now_us)
        return 0;
    space->lease_until_us = now_us + for_us;
    keeper->counts.leases++;
    return ++space->token;
}

bool keeper_renew(Keeper *keeper, unsigned number, uint64_t token, uint64_t until_us) {
    Space *space = &keeper->spaces[number];

    if (space->token != token)
        return false;
    space->lease_until_us = until_us;
    return true;
}

void keeper_give_back(Keeper *keeper, unsigned number, uint64_t token, uint64_t last_job) {
    Space *space = &keeper->spaces[number];

    if (space->token != token)
        return;
    space->lease_until_us = 0;
    space->token++; /* no broker has this one */
    if (space->last_job < last_job)
        space->last_job = last_job;
}

bool keeper_is_owner(const Keeper *keeper, unsigned number, uint64_t token) {
    return keeper->spaces[number].token == token;
}

bool keeper_holds(const Keeper *keeper, unsigned number, uint64_t token, uint64_t now_us) {
    const Space *space = &keeper->spaces[number];

    return space->token == token && space->lease_until_us > now_us;
}

/* ---- changes ---- */

static void keep_push(Keeper *keeper, Space *space, KeptPush push) {
    uint8_t *stored;

    if (push.client >= keeper->n_clients || push.push > keeper->pushes_of_client)
        abort();
    stored = &keeper->stored[(size_t)push.client * (keeper->pushes_of_client + 1) + push.push];
    keeper->counts.stored_twice += *stored;
    *stored = 1;
    if (space->n_pushes == space->cap_pushes) {
        space->cap_pushes = space->cap_pushes ? 2 * space->cap_pushes : 16;
        space->pushes = realloc(space->pushes, space->cap_pushes * sizeof(*space->pushes));
        if (!space->pushes)
            abort();
    }
    space->pushes[space->n_pushes++] = push;
}

static void remove_job(Space *space, uint64_t id) {
    KeptJob *kept;

    HASH_FIND(hh, space->jobs, &id, sizeof(id), kept);
    if (!kept)
        return;
    HASH_DEL(space->jobs, kept);
    free(kept);
}

/* The log of tokens: all changes under one token are of one broker. */
static void note_owner(Keeper *keeper, Space *space, uint64_t token, unsigned broker) {
    keeper->counts.two_owners += space->changed_token == token && space->changed_by != broker;
    space->changed_token = token;
    space->changed_by = broker;
}

void keeper_apply(Keeper *keeper, unsigned number, uint64_t token, unsigned broker,
                  Change *change) {
    Space *space = &keeper->spaces[number];

    keeper->counts.changes++;
    if (space->token != token) {
        change->is_refused = true;
        keeper->counts.refused++;
        return;
    }
    note_owner(keeper, space, token, broker);
    if (change->is_push)
        keep_push(keeper, space, change->push);
    if (change->settle)
        remove_job(space, change->settle);
    if (change->append) {
        space->last_job =
            change->append->id > space->last_job ? change->append->id : space->last_job;
        HASH_ADD(hh, space->jobs, id, sizeof(change->append->id), change->append);
        change->append = NULL;
    }
}
