/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Redis as a queue and as a topic, through hiredis with pipelining. A stream with a consumer group
 * (XADD, XREADGROUP, XACK) and a list with a processing list per worker (LPUSH, BLMOVE, LREM): both
 * acknowledge, so that a job outlives the worker that had it. Nothing is written to disk.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

#include "bench/lab.h"

enum { MAX_BATCH = 1024, STREAM_LENGTH = 100000, BLOCK_MS = 1000 };

static redisContext *connect_to_server(const LabArgs *args) {
    redisContext *redis = redisConnect("127.0.0.1", args->port);

    LAB_CHECK(redis);
    if (redis->err)
        lab_die("redis: %s", redis->errstr);
    return redis;
}

static redisReply *next_reply(redisContext *redis) {
    void *reply = NULL;

    if (redisGetReply(redis, &reply) != REDIS_OK)
        lab_die("redis: %s", redis->errstr);
    if (((redisReply *)reply)->type == REDIS_REPLY_ERROR)
        lab_die("redis: %s", ((redisReply *)reply)->str);
    return reply;
}

static void drop_replies(redisContext *redis, unsigned n) {
    for (unsigned i = 0; i < n; i++)
        freeReplyObject(next_reply(redis));
}

static void name_key(char key[32]) {
    snprintf(key, 32, "bench:%d", (int)getpid());
}

static void delete_key(const LabArgs *args, const char *key) {
    redisContext *redis = connect_to_server(args);

    redisAppendCommand(redis, "DEL %s", key);
    drop_replies(redis, 1);
    for (unsigned i = 0; i < args->n_ends; i++) {
        redisAppendCommand(redis, "DEL %s:%u", key, i);
        drop_replies(redis, 1);
    }
}

/* ---- streams ---- */

static void ask_for_entries(redisContext *redis, const LabArgs *args, unsigned end,
                            const char *key) {
    redisAppendCommand(redis, "XREADGROUP GROUP workers w%u COUNT %d BLOCK %d STREAMS %s >", end,
                       (int)args->window, BLOCK_MS, key);
}

/* One XACK for the whole batch. Returns the number of entries. */
static size_t ack_entries(redisContext *redis, const redisReply *streams, const char *key) {
    const char *words[3 + MAX_BATCH] = {"XACK", key, "workers"};
    size_t lens[3 + MAX_BATCH] = {4, strlen(key), 7};
    const redisReply *entries;

    if (streams->type != REDIS_REPLY_ARRAY || streams->elements == 0)
        return 0;
    entries = streams->element[0]->element[1];
    LAB_CHECK(entries->elements <= MAX_BATCH);
    for (size_t i = 0; i < entries->elements; i++) {
        const redisReply *id = entries->element[i]->element[0];

        words[3 + i] = id->str;
        lens[3 + i] = (size_t)id->len;
    }
    redisAppendCommandArgv(redis, (int)(3 + entries->elements), words, lens);
    return entries->elements;
}

/* The acknowledgement and the next request leave together. */
static _Noreturn void work_on_stream(const LabArgs *args, unsigned end, const char *key) {
    redisContext *redis = connect_to_server(args);

    lab_ready();
    ask_for_entries(redis, args, end, key);
    for (;;) {
        redisReply *streams = next_reply(redis);
        size_t n = ack_entries(redis, streams, key);

        ask_for_entries(redis, args, end, key);
        if (n > 0)
            drop_replies(redis, 1);
        lab_consumed(end, n);
        freeReplyObject(streams);
    }
}

static void append_xadd(redisContext *redis, const LabArgs *args, const char *key) {
    redisAppendCommand(redis, "XADD %s MAXLEN ~ %d * d %b", key, (int)STREAM_LENGTH, args->payload,
                       args->size);
}

/* ---- lists ---- */

static _Noreturn void work_on_list(const LabArgs *args, unsigned end, const char *key) {
    redisContext *redis = connect_to_server(args);

    lab_ready();
    for (;;) {
        for (unsigned i = 0; i < args->window; i++)
            redisAppendCommand(redis, "BLMOVE %s %s:%u RIGHT LEFT 0", key, key, end);
        drop_replies(redis, args->window);
        for (unsigned i = 0; i < args->window; i++)
            redisAppendCommand(redis, "LREM %s:%u -1 %b", key, end, args->payload, args->size);
        drop_replies(redis, args->window);
        lab_consumed(end, args->window);
    }
}

static void append_lpush(redisContext *redis, const LabArgs *args, const char *key) {
    redisAppendCommand(redis, "LPUSH %s %b", key, args->payload, args->size);
}

/* ---- both ---- */

/* Waits for the confirmation of each batch, as a producer does that must not lose jobs. */
static _Noreturn void produce(const LabArgs *args, const char *key,
                              void (*append)(redisContext *, const LabArgs *, const char *)) {
    redisContext *redis = connect_to_server(args);

    for (uint64_t n = 0;; n += args->window) {
        lab_pace(LAB_SHARED, args, n);
        for (unsigned i = 0; i < args->window; i++)
            append(redis, args, key);
        drop_replies(redis, args->window);
    }
}

static void queue_stream(const LabArgs *args) {
    redisContext *redis = connect_to_server(args);
    char key[32];

    name_key(key);
    redisAppendCommand(redis, "XGROUP CREATE %s workers $ MKSTREAM", key);
    drop_replies(redis, 1);

    for (unsigned i = 0; i < args->n_ends; i++)
        if (lab_fork() == 0)
            work_on_stream(args, i, key);
    lab_wait_ready(args->n_ends);
    if (lab_fork() == 0)
        produce(args, key, append_xadd);
    lab_measure_consumed(args);
    lab_stop_children();
    delete_key(args, key);
}

static void queue_list(const LabArgs *args) {
    char key[32];

    name_key(key);
    for (unsigned i = 0; i < args->n_ends; i++)
        if (lab_fork() == 0)
            work_on_list(args, i, key);
    lab_wait_ready(args->n_ends);
    if (lab_fork() == 0)
        produce(args, key, append_lpush);
    lab_measure_consumed(args);
    lab_stop_children();
    delete_key(args, key);
}

/* ---- the append-only file, flushed for each pipeline ---- */

static void push_pipelined(const LabArgs *args) {
    redisContext *redis = connect_to_server(args);
    LabMeter meter;
    char key[32];

    name_key(key);
    lab_meter_start(&meter, args);
    do {
        for (unsigned i = 0; i < args->window; i++)
            append_xadd(redis, args, key);
        drop_replies(redis, args->window);
    } while (!lab_meter_add(&meter, args->window));
    lab_meter_report(&meter);
    delete_key(args, key);
}

typedef struct OnePush {
    redisContext *redis;
    const LabArgs *args;
    char key[32];
} OnePush;

static int push_one(void *ctx) {
    const OnePush *one = ctx;

    append_xadd(one->redis, one->args, one->key);
    drop_replies(one->redis, 1);
    return 0;
}

static void push_sync(const LabArgs *args) {
    OnePush one = {.redis = connect_to_server(args), .args = args};

    name_key(one.key);
    lab_measure_latency(args, push_one, &one);
    delete_key(args, one.key);
}

/* ---- topics ---- */

static _Noreturn void subscribe(const LabArgs *args, unsigned end) {
    redisContext *redis = connect_to_server(args);

    redisAppendCommand(redis, "SUBSCRIBE bench");
    drop_replies(redis, 1);
    lab_ready();
    for (;;) {
        drop_replies(redis, 1);
        lab_consumed(end, 1);
    }
}

static _Noreturn void publish(const LabArgs *args) {
    redisContext *redis = connect_to_server(args);

    for (uint64_t n = 0;; n += args->window) {
        lab_pace(LAB_FANOUT, args, n);
        for (unsigned i = 0; i < args->window; i++)
            redisAppendCommand(redis, "PUBLISH bench %b", args->payload, args->size);
        drop_replies(redis, args->window);
    }
}

static void pubsub(const LabArgs *args) {
    for (unsigned i = 0; i < args->n_ends; i++)
        if (lab_fork() == 0)
            subscribe(args, i);
    lab_wait_ready(args->n_ends);
    if (lab_fork() == 0)
        publish(args);
    lab_measure_consumed(args);
}

int main(int argc, char **argv) {
    static const LabRow rows[] = {
        {"pubsub", "pipelined", pubsub},
        {"queue", "list", queue_list},
        {"queue", "stream", queue_stream},
        {"durable", "stream", queue_stream},
        {"stored", "pipelined", push_pipelined},
        {"flush", "stream", push_sync},
        {0},
    };

    return lab_main(argc, argv, rows);
}
