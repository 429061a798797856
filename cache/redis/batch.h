/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Commands to Redis without waiting: a batch is sent, and ends when each of its commands has a
 * reply or a status. One thread at a time drives the batches. If another thread is the leader of a
 * connection, it only records the results.
 */

#include "cache/redis/node.h"
#include "cache/redis/redis.h"

typedef struct RedisBatch RedisBatch;

struct RedisBatch {
    RedisCommand *commands;
    size_t n;
    size_t left; /* commands without an outcome */
    uint64_t deadline_ns;
    void (*ended)(RedisBatch *batch, void *ctx); /* may start the batch again, or free it */
    void *ctx;
    struct Batches *batches;
    RedisBatch *older,
        *newer; /* in order of deadline, because all batches have the same time limit */
    bool running;
};

typedef struct BatchWatch {
    Node *node;
    size_t n; /* commands in flight to this server */
} BatchWatch;

typedef struct Batches {
    Redis *redis; /* NULL: no batch can be started */
    int epoll_fd, event_fd, timer_fd;
    size_t n;
    RedisBatch *oldest, *newest;
    BatchWatch *watches;
    size_t n_watches;
    pthread_mutex_t lock; /* protects the fields below, which other threads write */
    RedisCommand *ready, **ready_end;
} Batches;

int batches_init(Batches *batches, Redis *redis);
void batches_deinit(Batches *batches); /* ends running batches with -ECANCELED */

int batch_init(RedisBatch *batch, size_t n);
void batch_deinit(RedisBatch *batch);

/* 0: the batch runs, and ended() will be called after this function has returned; -ENOTCONN: the
 * circuit breakers of all its servers are open; -ENOMEM, -ENOBUFS: nothing was sent. */
int batches_start(Batches *batches, RedisBatch *batch);

/* One turn. Never waits. */
void batches_process(Batches *batches);
