/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Takes the lease of a space, after another broker's has ended, and reads the contents in slices:
 * on the thread of the space, which hands the slices to the broker's thread (restore.c).
 */

#include "broker/stores/job-record.h"
#include "broker/stores/redis/link.h"
#include "broker/stores/redis/script.h"

typedef enum ReadStep {
    READ_LEASE, /* the lease was taken; the slice has no values */
    READ_PAUSED,
    READ_SEGMENTS,
    READ_KEYS,
    READ_PUSHES,
    READ_FACTS,
    READ_END, /* all was read */
    READ_FAILED,
} ReadStep;

/* The result of one call. */
typedef struct ReadSlice {
    struct ReadSlice *next;
    ReadStep step;
    Reply *reply;      /* an array, or NULL */
    ferry_error error; /* READ_FAILED */
} ReadSlice;

ReadSlice *read_slice_free(ReadSlice *slice);
DEFINE_CLEANUP(ReadSlice *, read_slice_free);

/* The data of which the lease may be taken. */
typedef enum IdRule {
    ID_ANY,  /* any data; new data gets the id */
    ID_SAME, /* data with this id, or new data, which gets the id */
    ID_MUST, /* data with the id */
} IdRule;

typedef struct RedisReader {
    /* Set before the thread starts. */
    RedisLink *link;
    uint32_t lease_ms;
    char holder[128]; /* names this process: host, process, a random number */
    IdRule id_rule;
    char id[REDIS_ID_SIZE + 1];
    char shard[24]; /* "3/8"; empty: the space is no shard */

    /* The lease; constant after the slice READ_LEASE. */
    char token[REDIS_TOKEN_SIZE], found_id[REDIS_ID_SIZE + 1];
    uint64_t last_job; /* the highest number of a job that the space has had */
    bool was_given;    /* the lease before was given back */
    WallClock wall;    /* the clock of Redis */
    /* By it: when another broker had the space last; 0: no other broker had it. */
    uint64_t served_ms;
    char setting[STORE_SETTING_MAX];

    ReadStep step;   /* the next one */
    uint64_t cursor; /* segments, or other values, that were read */
    LinkScript take, read, list;
    char seen_until[24]; /* the end of another broker's lease */
    uint64_t seen_ms;    /* the time since which seen_until has not changed */
    uint64_t seen_lease_ms;
    char why[STORE_REASON_MAX]; /* why the last call had no result */
    bool is_held;               /* because another broker has the lease */
} RedisReader;

enum { READER_WAITS = 1 };

/* Makes the next call. 0: *ret is a slice; READER_WAITS: call it again later, reader->why has the
 * reason; or a negative errno: the space cannot be read. */
int redis_reader_call(RedisReader *reader, ReadSlice **ret, ferry_error *reterr);

/* A random id for new data. */
void redis_new_id(char to[REDIS_ID_SIZE + 1]);

/* ---- words of replies ---- */

static inline Span reply_word(const Reply *reply, size_t i) {
    return i < reply->n && reply->elements[i]->bytes.data ? reply_span(reply->elements[i])
                                                          : (Span){NULL, 0};
}

/* 0: the text is not a number. */
uint64_t reply_number(const Reply *reply, size_t i);
