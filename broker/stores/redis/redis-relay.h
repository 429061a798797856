/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The relay (relay.h) of a cluster in Redis, on the broker's thread. */

#include "broker/stores/job-record.h"
#include "broker/stores/redis/mail.h"
#include "broker/stores/redis/members.h"
#include "broker/stores/relay.h"

typedef struct RedisRelay {
    TopicRelay relay; /* first: a TopicRelay is a RedisRelay */
    RedisMembers *members;
    Waker *waker;
    RedisMail mail;
    uint64_t dirty;  /* shards whose binds are announced in this turn */
    uint64_t number; /* the number of the last announcement: see relay.h */
    uint64_t told;   /* all brokers know the announcements up to this number */
    uint64_t known;  /* announcements in Redis up to this number were taken */
    uint64_t bound;  /* shards with binds */
    /* Hashes of the binds of each shard that were announced or read last. */
    uint64_t hashes[STORE_SHARDS_MAX];
    MailBox boxes[STORE_SHARDS_MAX]; /* as the thread knows them */
} RedisRelay;

void redis_relay_init(RedisRelay *relay, RedisMembers *members);
/* A broker has announced binds: takes them over. */
void redis_relay_take_binds(RedisRelay *relay);
/* Announces the binds of the shards that are dirty. leases: the numbers of their leases. */
void redis_relay_announce(RedisRelay *relay, const uint64_t *leases);
/* Redis says which announcements the other brokers know. */
void redis_relay_take_view(RedisRelay *relay, const MembersView *view);
/* Reports the entries whose sending has ended to the user of the relay. */
void redis_relay_take_sent(RedisRelay *relay);
/* Takes over what the slice says about retained values; wall: the clock of Redis. False: out of
 * memory; they must be read again. */
bool redis_relay_take_values(RedisRelay *relay, const MailSlice *slice, WallClock wall);
/* Tells the thread how the inbox of a shard is read. */
void redis_relay_tell(RedisRelay *relay, unsigned shard, const MailBox *box);
/* True: not all brokers know the last announcement. */
static inline bool redis_relay_waits(const RedisRelay *relay) {
    return relay->told < relay->number;
}
