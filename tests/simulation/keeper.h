/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The keeper stands for Redis: it keeps the queues of many spaces, each of which belongs to a pair
 * of brokers, and lends each space to one of them. A lease has a token, and the keeper refuses each
 * change by a broker whose token is not the newest one. A KeeperStore is the store of a broker,
 * behind the seam of broker/stores/store.h; its changes take virtual time.
 */

#include "broker/stores/store.h"

typedef struct Keeper Keeper;

/* Counts over all spaces. */
typedef struct KeeperCounts {
    uint64_t changes;
    uint64_t refused;      /* changes by brokers that had lost their lease */
    uint64_t stored_twice; /* pushes that were stored although they had been stored before */
    uint64_t leases;       /* leases that were given to another broker */
} KeeperCounts;

/* pushes_of_client: a client pushes so many jobs at most. */
Keeper *keeper_new(unsigned n_spaces, unsigned n_clients, unsigned pushes_of_client);
const KeeperCounts *keeper_counts(const Keeper *keeper);
size_t keeper_n_jobs(const Keeper *keeper); /* that are not settled */

/* A change takes so long from the broker to the keeper, and so long back. */
void keeper_set_delay(Keeper *keeper, unsigned space, uint64_t us);
uint64_t keeper_delay(const Keeper *keeper, unsigned space);

/* The token of a new lease; 0: another broker has a lease that has not ended. */
uint64_t keeper_lease(Keeper *keeper, unsigned space, uint64_t now_us, uint64_t for_us);
/* False: the lease has been given to another broker. */
bool keeper_renew(Keeper *keeper, unsigned space, uint64_t token, uint64_t until_us);
bool keeper_is_owner(const Keeper *keeper, unsigned space, uint64_t token);

/* A store of the space for one life of a broker. After each flush() it calls on_flush; the world
 * then calls keeper_arrived() after one delay, and keeper_answered() after another one. */
typedef struct KeeperStore KeeperStore;
KeeperStore *keeper_store_new(Keeper *keeper, unsigned space, uint64_t token,
                              void (*on_flush)(void *ctx), void *ctx);
void keeper_store_free(KeeperStore *store);
/* Adds it to the queues of a broker, and restores the jobs of the space. */
void keeper_store_open(KeeperStore *store, struct Queues *queues);
bool keeper_store_is_lost(const KeeperStore *store);
void keeper_arrived(KeeperStore *store);  /* the changes of the oldest flush are at the keeper */
void keeper_answered(KeeperStore *store); /* their answers are at the broker */

/* The 16 bytes that name a client, and back. */
void client_token(uint32_t client, uint8_t token[WIRE_TOKEN]);
uint32_t client_of_token(const uint8_t *token);
