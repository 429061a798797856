/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The thread of the inboxes of a cluster: it appends entries to the inboxes of shards that are at
 * other brokers, and reads the inboxes of the shards that are here. It also stores retained values,
 * and reads those of all shards (values.c). script.h describes the keys.
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
    MAIL_CLOSE_MS = 5000,           /* time to send the last entries of a broker that ends */
    VALUES_REST_MS = 1000,          /* time between two looks at the values without a reason */
    VALUES_OLD_MS = 30 * 60 * 1000, /* time without a look, after which all values are read again:
                                       Redis forgets deleted ones after an hour */
};

/* An entry on the way to an inbox, or a retained value on the way to its shard. */
typedef struct SentEntry {
    struct SentEntry *next;
    void *sending; /* see relay.h */
    int result;
    bool is_value;
    size_t topic_len; /* of a value: the topic precedes it */
    uint64_t sent_ms;
    size_t len; /* of data */
    uint8_t data[];
} SentEntry;

/* Entries that were read from an inbox, or changes of retained values. */
typedef struct MailSlice {
    struct MailSlice *next;
    unsigned shard;
    uint32_t life; /* of the shard at this broker: a slice of an earlier life is dropped */
    bool of_values;
    bool is_new;  /* values: not of the first reading */
    Reply *reply; /* pairs of id and entry; or see script_values */
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
    bool has_slice;   /* the broker's thread has not taken the last slice yet: the thread reads no
                         other one */
    bool waits;       /* the last attempt to send has failed */
    bool has_values;  /* the same of a slice of values */
    bool reads_again; /* all values must be read */
    /* Of the thread: entries of the call that has not ended. */
    SentEntry *batch;
    uint64_t call; /* its number */
    unsigned attempts;
    uint64_t not_before_ms; /* time of its next attempt */
    uint64_t change;        /* number of the last change that was read; 0: no change was read */
    bool reads_all;         /* the reading of all values has not ended */
    uint64_t looked_ms;     /* time of the last look at the values */
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
    LinkScript send, read, retain, values;
    uint64_t values_ms;   /* of the thread: the next look at the values */
    bool has_more_values; /* likewise: the last look has not read all of them */
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
    uint64_t looks_wanted, looks_done; /* numbers of looks at the values */
    bool is_away;                      /* Redis has not answered: looks end at once */
    size_t max_values, max_bytes;      /* the limits of a shard */

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
int redis_mail_retain(RedisMail *mail, unsigned shard, const RelayValue *value, void *sending);
uint64_t redis_mail_look(RedisMail *mail);
/* The number of the last look that has ended: redis_mail_take_slices() after this call has what it
 * read. */
uint64_t redis_mail_looked(RedisMail *mail);
/* Reads all values of the shard again. */
void redis_mail_read_again(RedisMail *mail, unsigned shard);
/* From now on the inbox is read in this way. */
void redis_mail_tell(RedisMail *mail, unsigned shard, const MailBox *box);
/* The entries whose sending has ended, and the slices that were read: lists by next, which the
 * caller frees. */
SentEntry *redis_mail_take_sent(RedisMail *mail);
MailSlice *redis_mail_take_slices(RedisMail *mail);
MailSlice *mail_slice_free(MailSlice *slice);

/* ---- values.c, for the thread ---- */

/* Redis does not answer: ends the looks that are waited for. The caller has the lock. */
void mail_end_looks(RedisMail *mail);

/* Looks at the values of all shards, if it is time. */
void mail_look_at_values(RedisMail *mail);
