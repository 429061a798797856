/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Replies of Redis, built by hiredis' parser with constructors of this file: a string arrives in a
 * block that can be passed to the user without a copy. The same source works with hiredis 0.14
 * and 1.x.
 */

#include <ferry/base.h>

#include "base/cleanup.h"
#include "cache/connection/guard.h"
#include "rpc/wire/reader.h"

typedef enum ReplyType {
    REPLY_STRING = 1, /* hiredis' numbers */
    REPLY_ARRAY = 2,
    REPLY_INTEGER = 3,
    REPLY_NIL = 4,
    REPLY_STATUS = 5,
    REPLY_ERROR = 6,
} ReplyType;

/* A block. bytes comes first: the block of a string is a ferry_bytes for the user. */
typedef struct Reply {
    ferry_bytes bytes; /* a string, a status, an error */
    ReplyType type;
    int64_t integer;
    size_t n;
    struct Reply *elements[];
} Reply;

Reply *reply_free(Reply *reply); /* frees all elements, too */
DEFINE_CLEANUP(Reply *, reply_free);

static inline Span reply_span(const Reply *reply) {
    return (Span){reply->bytes.data, reply->bytes.len};
}

static inline bool span_begins(Span text, const char *word) {
    return text.len >= strlen(word) && memcmp(text.data, word, strlen(word)) == 0;
}

/* Turns the bytes of a connection into replies. */
typedef struct ReplyReader {
    Guard guard;
    struct redisReader *parser;
    uint8_t held[GUARD_LINE]; /* the beginning of an incomplete line */
    size_t n_held;
    const char *problem;
} ReplyReader;

int reply_reader_init(ReplyReader *reader);
void reply_reader_deinit(ReplyReader *reader);

/* Takes bytes from the connection. 0; -EPROTO: see problem; -ENOMEM. After an error the connection
 * must be closed. */
int reply_reader_feed(ReplyReader *reader, const uint8_t *data, size_t len);

/* Returns the next complete reply, owned by the caller; NULL: no complete reply yet. 0, -EPROTO,
 * -ENOMEM. */
int reply_reader_next(ReplyReader *reader, Reply **ret);
