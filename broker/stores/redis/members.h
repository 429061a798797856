/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The brokers of a cluster with shards, as Redis knows them: a thread writes the entry of this
 * broker again and again, and reads the entries of the others. script.h describes the keys.
 */

#include <pthread.h>

#include "base/waker.h"
#include "broker/stores/redis/announce.h"
#include "broker/stores/redis/link.h"
#include "broker/stores/redis/script.h"
#include "broker/stores/redis/spread.h"

/* The answer of Redis: the other members, and the shards that the cluster has had before. */
typedef struct MembersView {
    ShardMember others[MEMBERS_MAX];
    size_t n;
    uint64_t made;
    uint64_t binds;     /* the number in Redis of the last announcement of any broker */
    uint64_t announced; /* the number (see relay.h) of the last announcement of this broker that is
                           in Redis */
    uint64_t announced_number;  /* the number of this announcement in Redis */
    bool has_binds;             /* the announcements up to `binds` were read */
    bool is_valid;              /* false: `why` says why the entries cannot be read */
    bool is_wrong;              /* another attempt would fail, too */
    char why[STORE_REASON_MAX]; /* NUL-terminated */
} MembersView;

/* When the end of an entry was last another one, by the clock of this process. */
typedef struct MemberSeen {
    uint8_t id[WIRE_TOKEN];
    uint64_t until_ms, since_ms;
} MemberSeen;

typedef struct RedisMembers {
    RedisLink link;
    Waker *waker;
    uint32_t lease_ms;
    unsigned n_shards;
    char id[REDIS_ID_SIZE + 1]; /* of the data; empty: not known yet */
    bool id_is_known;           /* the URL or Redis has named it */
    LinkScript script;
    RedisAnnounce announce;
    MemberSeen seen[MEMBERS_MAX]; /* entries of the last answer */
    size_t n_seen;
    pthread_t thread;
    bool running;

    pthread_mutex_t lock;
    pthread_cond_t cond, answered;
    /* Shared, under the lock. */
    ShardMember own;
    uint32_t pause_ms; /* between two calls */
    bool is_leaving, called, stopping;
    MembersView view;
    bool has_view;
} RedisMembers;

/* Takes the URL out of options. 0, or a negative errno with its cause in reterr. */
int redis_members_open(RedisMembers *members, RedisStoreOptions *options, ferry_error *reterr);
void redis_members_close(RedisMembers *members);

/* Checks that the cluster is the one of the URL, or begins it. 0; STORE_HAS_MORE: Redis does not
 * answer, members->link.why has the reason; or a negative errno, and *reterr. */
int redis_members_check(RedisMembers *members, ferry_error *reterr);

/* Starts the thread. It calls the waker when it has a new view. 0, or a negative errno. */
int redis_members_start(RedisMembers *members, const ShardMember *own, Waker *waker);
/* From now on the entry of this broker has these shards; Redis gets it at once. pause_ms: the time
 * between two calls. is_leaving: the thread removes the entry of this broker. */
void redis_members_tell(RedisMembers *members, const ShardMember *own, uint32_t pause_ms,
                        bool is_leaving);
/* The thread calls Redis at once. */
void redis_members_call(RedisMembers *members);
/* True: *ret is the latest answer. */
bool redis_members_take(RedisMembers *members, MembersView *ret);
/* Waits a moment for an answer. */
void redis_members_wait(RedisMembers *members);
/* Removes the entry, for at most a second, and ends the thread. */
void redis_members_stop(RedisMembers *members);
