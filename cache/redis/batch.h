#pragma once

/*
 * Commands to Redis without waiting: a batch is sent, and ends when each of its commands has a
 * reply or a status. One thread at a time drives them; other threads that lead on the same
 * connection only leave word.
 */

#include "cache/redis/node.h"
#include "cache/redis/redis.h"

typedef struct Batch Batch;

struct Batch {
    Command *commands;
    size_t n;
    size_t left; /* without an outcome yet */
    uint64_t deadline_ns;
    void (*ended)(Batch *batch, void *ctx); /* may start it anew, or free it */
    void *ctx;
    struct Batches *batches;
    Batch *older, *newer; /* by deadline, if all wait equally long */
    bool running;
};

typedef struct BatchWatch {
    Node *node;
    size_t n; /* commands on their way there */
} BatchWatch;

typedef struct Batches {
    Redis *redis; /* NULL: nothing is ever started */
    int epoll_fd, event_fd, timer_fd;
    size_t n;
    Batch *oldest, *newest;
    BatchWatch *watches;
    size_t n_watches;
    pthread_mutex_t lock; /* for what follows: other threads put it there */
    Command *ready, **ready_end;
} Batches;

int batches_init(Batches *batches, Redis *redis);
void batches_deinit(Batches *batches); /* ends what runs with -ECANCELED */

int batch_init(Batch *batch, size_t n);
void batch_deinit(Batch *batch);

/* 0: it runs, and ended() will be called, not before this returns; -ENOTCONN: all its servers are
 * left alone after failures; -ENOMEM, -ENOBUFS: nothing was sent. */
int batches_start(Batches *batches, Batch *batch);

/* One turn. Never waits. */
void batches_process(Batches *batches);
