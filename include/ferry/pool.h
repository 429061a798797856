/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pool: one server several times, on threads or in processes, each with a client of its own.
 *
 * Every member announces itself to the broker, with the slots that its set_up asks for: the broker
 * sees so many servers and shares the calls out among them.
 *
 *     static int set_up(ferry_client *client, unsigned member, void *ctx, ferry_error *reterr) {
 *         return calc_serve(client, &handlers, NULL, NULL, NULL, reterr);
 *     }
 *
 *     static ferry_pool *pool;
 *
 *     static void stop(int signal) {
 *         ferry_pool_stop(pool);
 *     }
 *
 *     int main(void) {
 *         ferry_error error = FERRY_ERROR_INIT;
 *
 *         ferry_pool_open(NULL, &pool, &error);
 *         sigaction(SIGTERM, &(struct sigaction){.sa_handler = stop}, NULL);
 *         ferry_pool_run_processes(pool, set_up, NULL, &error);
 *         ferry_pool_close(pool);
 *     }
 *
 * Threads are cheaper, and share what the handlers share; a handler that crashes ends all of them.
 * Of processes only the one ends: its callers get ferry.ServerLost (calls of idempotent methods
 * move to another), and it is replaced.
 *
 * The library installs no signal handlers, here or elsewhere. What becomes of the program's own in
 * the children is said at ferry_pool_stop().
 */
#ifndef FERRY_POOL_H
#define FERRY_POOL_H

#include <ferry/client.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

typedef struct ferry_pool ferry_pool;

typedef struct ferry_pool_options {
    uint32_t n;                  /* members, at most 1 024; 0: one for each processor we may use */
    uint32_t stop_ms;            /* a child that is stopped may take so long, and is then killed;
                                  * 0: 10 000 */
    const char *url;             /* the broker: see ferry_open() */
    const ferry_options *client; /* of each member's client; NULL: all defaults */

    /* In the parent, when a child has ended: status as waitpid() gives it; error is NULL unless the
     * child could not be set up. It is replaced unless the pool is being stopped. NULL: nobody is
     * told. */
    void (*on_exit)(unsigned member, int status, const ferry_error *error, void *ctx);
    void *ctx;
    uint64_t reserved[4];
} ferry_pool_options;

/**
 * Makes a server of a member's client: ferry_serve(), ferry_work(), ferry_subscribe().
 *
 * Called once in each member, on its thread or in its process, and again in a process that replaces
 * another one. The client is the pool's: it is run and closed afterwards, and ferry_stop() of it
 * ends this member alone.
 *
 * @param member  0 to n - 1.
 * @param ctx     What ferry_pool_run_…() was given.
 * @param reterr  Never NULL.
 *
 * @return 0, or a negative errno, with reterr filled: the member has failed.
 */
typedef int (*ferry_member_fn)(ferry_client *client, unsigned member, void *ctx,
                               ferry_error *reterr);

/**
 * Makes a pool without members yet.
 *
 * @param options  NULL: all defaults. Copied, but for what the client's callbacks are given.
 * @param ret      Receives the pool: ferry_pool_close().
 *
 * @return 0; -EINVAL: an option is refused; -EMFILE, -ENFILE, -ENOMEM.
 */
int ferry_pool_open(const ferry_pool_options *options, ferry_pool **ret, ferry_error *reterr);

/**
 * Runs n threads, each with a client of its own, until ferry_pool_stop().
 *
 * Then each takes no more and finishes what it has begun, as in ferry_run(). When a member cannot
 * be set up, the others are stopped likewise. Handlers run on n threads at once: what they share is
 * theirs to lock.
 *
 * @return 0 when all have ended; the error of the first member that could not be set up;
 *   -EINVAL: set_up is NULL; -EBUSY: the pool runs; -EAGAIN: no more threads; -ENOMEM.
 */
int ferry_pool_run_threads(ferry_pool *pool, ferry_member_fn set_up, void *ctx,
                           ferry_error *reterr);

/**
 * Forks n children, each with a client of its own, and looks after them until ferry_pool_stop().
 *
 * A child that dies, or ends, is replaced: at once when it has lived 10 s, else after a pause that
 * doubles with each failure in a row, from 100 ms to 10 s. A child that cannot be set up the first
 * time ends the pool with its error. When the parent is killed, the children stop by themselves.
 *
 * Children begin as copies of the caller, at this place, and end here: they run no exit handlers.
 * Call it before starting threads and opening clients: a lock that another thread holds at this
 * moment stays locked in the child, and a client keeps its connection open as long as a copy lives.
 *
 * @return 0 when all have ended; the error of a member that could not be set up the first time;
 *   -EINVAL: set_up is NULL; -EBUSY: the pool runs; -EAGAIN: no more processes; -EMFILE, -ENOMEM.
 */
int ferry_pool_run_processes(ferry_pool *pool, ferry_member_fn set_up, void *ctx,
                             ferry_error *reterr);

/**
 * Ends ferry_pool_run_…(), or the next one when none runs. What was begun is finished; a second
 * call does not wait for that: it kills children, and stops threads as a second ferry_stop() does.
 *
 * In a child it stops this child alone. So a program may have one handler for SIGTERM, which calls
 * this: sent to the parent it ends the pool, sent to a child that child (which is then replaced),
 * and Ctrl-C, which goes to all of them, ends everything in order.
 *
 * Threads: any; in a signal handler too.
 *
 * @return 0; -EINVAL: pool is NULL.
 */
int ferry_pool_stop(ferry_pool *pool);

/* Frees the pool, which no longer runs; ferry_pool_stop(), which ended it, need not have returned
 * yet. NULL is fine. Returns NULL. */
ferry_pool *ferry_pool_close(ferry_pool *pool);

#ifdef __GNUC__
static inline void ferry_pool_close_auto(ferry_pool **pool) {
    ferry_pool_close(*pool);
}
#endif

#ifdef __GNUC__
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif
#endif
