/* SPDX-License-Identifier: Apache-2.0 */
/* Replies of Redis. See reply.h. */

#include "cache/connection/reply.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>

#if HIREDIS_MAJOR >= 1
typedef size_t Count;
#else
typedef int Count;
#endif

Reply *reply_free(Reply *reply) {
    if (!reply)
        return NULL;
    /* The guard bounds the depth, and with it this recursion. */
    for (size_t i = 0; i < reply->n; i++)
        reply_free(reply->elements[i]);
    ferry_free(reply);
    return NULL;
}

static Reply *make(const redisReadTask *task, size_t n, const void *text, size_t len) {
    Reply *reply = ferry_alloc(sizeof(*reply) + n * sizeof(Reply *) + len);
    uint8_t *to;

    if (!reply)
        return NULL;
    *reply = (Reply){.type = (ReplyType)task->type, .n = n};
    memset(reply->elements, 0, n * sizeof(Reply *));
    to = (uint8_t *)(reply->elements + n);
    if (len > 0)
        memcpy(to, text, len);
    reply->bytes = (ferry_bytes){to, len, reply};
    if (task->parent)
        ((Reply *)task->parent->obj)->elements[task->idx] = reply;
    return reply;
}

static void *make_string(const redisReadTask *task, char *text, size_t len) {
    return make(task, 0, text, len);
}

static void *make_array(const redisReadTask *task, Count n) {
    return make(task, n > 0 ? (size_t)n : 0, NULL, 0);
}

static void *make_integer(const redisReadTask *task, long long value) {
    Reply *reply = make(task, 0, NULL, 0);

    if (reply)
        reply->integer = value;
    return reply;
}

static void *make_nil(const redisReadTask *task) {
    Reply *reply = make(task, 0, NULL, 0);

    if (reply)
        reply->type = REPLY_NIL; /* the type of the task does not match its value */
    return reply;
}

static void free_object(void *reply) {
    reply_free(reply);
}

/* There are no constructors for RESP3 types: the guard admits only RESP2. */
static redisReplyObjectFunctions functions = {
    .createString = make_string,
    .createArray = make_array,
    .createInteger = make_integer,
    .createNil = make_nil,
    .freeObject = free_object,
};

int reply_reader_init(ReplyReader *reader) {
    reader->guard = (Guard){0};
    reader->n_held = 0;
    reader->problem = NULL;
    reader->parser = redisReaderCreateWithFunctions(&functions);
    return reader->parser ? 0 : -ENOMEM;
}

void reply_reader_deinit(ReplyReader *reader) {
    if (reader->parser)
        redisReaderFree(reader->parser);
    reader->parser = NULL;
}

static int pass_on(ReplyReader *reader, const void *data, size_t len) {
    if (len == 0)
        return 0;
    return redisReaderFeed(reader->parser, data, len) == REDIS_OK ? 0 : -ENOMEM;
}

/* Takes the rest of a line whose beginning is in held. Returns how many bytes it took. */
static int complete_line(ReplyReader *reader, const uint8_t *data, size_t len, size_t *ret_taken) {
    const uint8_t *end = memchr(data, '\n', len);
    size_t n = end ? (size_t)(end - data) + 1 : len, passed;
    int r;

    if (n > sizeof(reader->held) - reader->n_held)
        n = sizeof(reader->held) - reader->n_held;
    memcpy(reader->held + reader->n_held, data, n);
    reader->n_held += n;
    *ret_taken = n;
    passed = guard_feed(&reader->guard, reader->held, reader->n_held);
    if (passed == 0 && reader->n_held == sizeof(reader->held) && !reader->guard.problem)
        reader->guard.problem = "a line is too long";
    r = pass_on(reader, reader->held, passed);
    reader->n_held -= passed;
    memmove(reader->held, reader->held + passed, reader->n_held);
    return reader->guard.problem ? -EPROTO : r;
}

int reply_reader_feed(ReplyReader *reader, const uint8_t *data, size_t len) {
    size_t n;
    int r = 0;

    while (reader->n_held > 0 && len > 0 && r >= 0) {
        r = complete_line(reader, data, len, &n);
        data += n;
        len -= n;
    }
    if (r >= 0 && len > 0) {
        n = guard_feed(&reader->guard, data, len);
        r = pass_on(reader, data, n); /* replies before a malformed one are still valid */
        if (reader->guard.problem)
            r = -EPROTO;
        if (r >= 0 && len > n) {
            reader->n_held = len - n; /* less than a line, by the rules of the guard */
            memcpy(reader->held, data + n, reader->n_held);
        }
    }
    if (r == -EPROTO)
        reader->problem = reader->guard.problem;
    return r;
}

int reply_reader_next(ReplyReader *reader, Reply **ret) {
    void *reply = NULL;

    *ret = NULL;
    if (redisReaderGetReply(reader->parser, &reply) != REDIS_OK) {
        bool full = reader->parser->err == REDIS_ERR_OOM;

        reader->problem = "the parser refused a reply";
        return full ? -ENOMEM : -EPROTO;
    }
    *ret = reply;
    return 0;
}
