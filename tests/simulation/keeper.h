/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The keeper stands for Redis: it keeps the queues of many spaces, and lends each space to one
 * broker. A lease has a token, and the keeper refuses each change by a broker whose token is not
 * the newest one. A KeeperStore is a store of a broker, behind the seam of broker/stores/store.h:
 * the one store of a broker, or one shard. Its changes take virtual time.
 */

#include "broker/stores/store.h"

typedef struct Keeper Keeper;

/* Counts over all spaces. */
typedef struct KeeperCounts {
    uint64_t changes;
    uint64_t refused;      /* changes by brokers that had lost their lease */
    uint64_t stored_twice; /* pushes that were stored although they had been stored before */
    uint64_t two_owners;   /* changes by a second broker under one token */
    uint64_t leases;       /* leases that were given to a broker */
} KeeperCounts;

/* pushes_of_client: the most jobs that one client pushes. */
Keeper *keeper_new(unsigned n_spaces, unsigned n_clients, unsigned pushes_of_client);
const KeeperCounts *keeper_counts(const Keeper *keeper);
size_t keeper_n_jobs(const Keeper *keeper); /* jobs that are not settled */

/* The time that a change takes from the broker to the keeper, and its answer back. */
void keeper_set_delay(Keeper *keeper, unsigned space, uint64_t us);
uint64_t keeper_delay(const Keeper *keeper, unsigned space);

/* The token of a new lease; 0: a broker has a lease that has not ended. */
uint64_t keeper_lease(Keeper *keeper, unsigned space, uint64_t now_us, uint64_t for_us);
/* False: the lease has been given to another broker. */
bool keeper_renew(Keeper *keeper, unsigned space, uint64_t token, uint64_t until_us);
/* The owner gives its lease back; job numbers up to last_job are used up. */
void keeper_give_back(Keeper *keeper, unsigned space, uint64_t token, uint64_t last_job);
bool keeper_is_owner(const Keeper *keeper, unsigned space, uint64_t token);
/* It is the owner, and the lease has not ended. */
bool keeper_holds(const Keeper *keeper, unsigned space, uint64_t token, uint64_t now_us);

/* A store of the space for one life of a broker. After each flush() it calls on_flush; the world
 * then calls keeper_arrived() after one delay, and keeper_answered() after another one. */
typedef struct KeeperStore KeeperStore;
typedef void (*KeeperFlushFn)(void *ctx, KeeperStore *store);
/* shard: as in Store. broker: the number of the broker. */
KeeperStore *keeper_store_new(Keeper *keeper, unsigned space, unsigned shard, unsigned broker,
                              KeeperFlushFn on_flush, void *ctx);
void keeper_store_free(KeeperStore *store);
Store *keeper_store_base(KeeperStore *store);
uint64_t keeper_store_delay(const KeeperStore *store);
/* Its changes have this token from now on. */
void keeper_store_take(KeeperStore *store, uint64_t token, struct Queues *queues);
/* Drops the changes that have not been flushed: the shard is not at this broker any more. */
void keeper_store_leave(KeeperStore *store);
/* Adds the store, which has been taken, to the queues of a broker, and restores all its jobs. */
void keeper_store_open(KeeperStore *store);
/* Restores up to max jobs and pushes. 0: all is restored; 1: call it again; -ESTALE: the lease has
 * been given to another broker. */
int keeper_store_restore(KeeperStore *store, size_t max);
bool keeper_store_is_lost(const KeeperStore *store);
void keeper_arrived(KeeperStore *store);  /* the changes of the oldest flush are at the keeper */
void keeper_answered(KeeperStore *store); /* their answers are at the broker */

/* The 16 bytes that name a client, and back. One client may have several connections. */
void client_token(uint32_t client, unsigned connection, uint8_t token[WIRE_TOKEN]);
uint32_t client_of_token(const uint8_t *token);

/* calloc(), or the end of the test. */
void *keeper_get(size_t n, size_t size);
