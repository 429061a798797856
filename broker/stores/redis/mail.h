/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The thread of the inboxes of a cluster: it appends entries to the inboxes of shards that are at
 * other brokers, and reads the inboxes of the shards that are here. script.h describes the keys.
 */

#include <pthread.h>

#include "base/waker.h"
#include "broker/stores/redis/link.h"
#include "broker/stores/relay.h"
#include "broker/stores/store.h"

enum {
    MAIL_ENTRIES = 256,   /* entries that one call appends or reads */
    MAIL_BYTES = 1 << 20, /* bytes of these entries, without the last one */
    MAIL_AHEAD = 4 << 20, /* bytes of one inbox in memory; at this size the thread reads no further
                             entry of it */
    MAIL_POLL_MS = 50,    /* time between two looks at the inboxes */
    MAIL_REST_MS = 1000,  /* the same, while no queue of the cluster is bound */
    MAIL_PAUSE_MS = 100,  /* pause after a failed attempt */
    MAIL_ATTEMPT_MS = 1000,
    MAIL_CLOSE_MS = 5000, /* time to send the last entries of a broker that ends */
};

/* An entry on the way to an inbox. */
typedef struct SentEntry {
    struct SentEntry *next;
    void *sending; /* see relay.h */
    int result;
    size_t len;
    uint8_t data[];
} SentEntry;

/* Entries that were read from an inbox. */
typedef struct MailSlice {
    struct MailSlice *next;
    unsigned shard;
    uint32_t life; /* of the shard at this broker: a slice of an earlier life is dropped */
    Reply *reply;  /* pairs of id and entry */
} MailSlice;

/* How the thread reads an inbox. */
typedef struct MailBox {
    bool is_open;    /* the shard is here, and takes entries */
    uint32_t life;   /* counts its lives at this broker */
    bool is_used;    /* queues of the cluster are bound: new entries are looked for often */
    uint64_t n_held; /* entries that were read and are still in Redis */
} MailBox;

typedef struct MailShard {
    RedisLink link;
    /* Shared, under the lock. */
    SentEntry *todo, **todo_end;
    MailBox box;
    uint64_t ms, number; /* the next entry has at least this id */
    bool has_slice; /* the broker's thread has not taken the last slice yet: the thread reads no
                       other one */
    bool waits;     /* the last attempt to send has failed */
    /* Of the thread: entries of the call that has not ended. */
    SentEntry *batch;
    uint64_t call; /* its number */
    unsigned attempts;
    uint64_t not_before_ms; /* time of its next attempt */
} MailShard;

typedef struct RedisMail {
    RedisLink link; /* has the connections */
    Waker *waker;
    /* Called by the thread when a broker has announced binds. */
    void (*on_announced)(void *ctx);
    void *ctx;
    char cluster[REDIS_KEY_MAX]; /* the key with the number of the last announcement */
    uint64_t announced;          /* of the thread: the number at the last look */
    char id[33];                 /* of the data */
    char sender[33];             /* names this process */
    LinkScript send, read;
    pthread_t thread;
    bool running;

    pthread_mutex_t lock;
    pthread_cond_t cond;
    /* Shared, under the lock. */
    SentEntry *done, **done_end;
    MailSlice *slices, **slices_end;
    size_t backlog; /* bytes of entries that are in no inbox yet */
    bool called, is_used, stopping;
    uint64_t stop_by_ms;

    unsigned n;
    MailShard shards[STORE_SHARDS_MAX];
} RedisMail;

/* Takes the URL out of options. 0, or a negative errno with its cause in reterr. */
int redis_mail_open(RedisMail *mail, RedisStoreOptions *options, ferry_error *reterr);
void redis_mail_close(RedisMail *mail);
/* id: of the data. 0, or a negative errno. */
int redis_mail_start(RedisMail *mail, const char *id, Waker *waker);
/* Lets the thread send the entries that it has, for MAIL_CLOSE_MS at most, and end. */
void redis_mail_stop(RedisMail *mail);

/* ---- for the broker's thread ---- */

/* As RelayOps. */
int redis_mail_admit(RedisMail *mail, unsigned shard);
int redis_mail_send(RedisMail *mail, unsigned shard, Span entry, void *sending);
/* From now on the inbox is read in this way. */
void redis_mail_tell(RedisMail *mail, unsigned shard, const MailBox *box);
/* The entries whose sending has ended, and the slices that were read: lists by next, which the
 * caller frees. */
SentEntry *redis_mail_take_sent(RedisMail *mail);
MailSlice *redis_mail_take_slices(RedisMail *mail);
MailSlice *mail_slice_free(MailSlice *slice);
