/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pool runs several copies of one server, on threads or in processes, each with its own client.
 *
 * Every member announces itself to the broker, with the slots that its set_up requests. The broker
 * distributes the calls among these n servers.
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
 * Threads need less memory and share the data of the handlers, but a handler that crashes ends all
 * threads. If a process crashes, only that process ends: its callers get ferry.ServerLost (calls of
 * idempotent methods move to another process), and the pool replaces it.
 *
 * The library never installs signal handlers. ferry_pool_stop() describes how the program's own
 * handlers act in the children.
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
    uint32_t n; /* members, at most 1 024; 0: one for each processor that the process may use */
    uint32_t stop_ms;            /* time for a child to stop before it is killed; 0: 10 000 */
    const char *url;             /* the broker: see ferry_open() */
    const ferry_options *client; /* of each member's client; NULL: all defaults */

    /* Called in the parent when a child has ended. status is that of waitpid(). error is NULL,
     * unless the child could not be set up. The pool replaces the child, unless it is stopping.
     * NULL: no callback. */
    void (*on_exit)(unsigned member, int status, const ferry_error *error, void *ctx);
    void *ctx;
    uint64_t reserved[4];
} ferry_pool_options;

/**
 * Makes a member's client a server: ferry_serve(), ferry_work(), ferry_subscribe().
 *
 * Called once in each member, on its thread or in its process, and once in each process that
 * replaces another one. The pool owns the client, and runs and closes it afterwards. ferry_stop()
 * on the client ends only this member.
 *
 * @param member  0 to n - 1.
 * @param ctx     The ctx of ferry_pool_run_…().
 * @param reterr  Never NULL.
 *
 * @return 0; or a negative errno, with reterr filled in, if the member has failed.
 */
typedef int (*ferry_member_fn)(ferry_client *client, unsigned member, void *ctx,
                               ferry_error *reterr);

/**
 * Makes a pool without members.
 *
 * @param options  NULL: all defaults. Copied, except the cache and the ctx of callbacks, which must
 *                 stay valid as long as the pool.
 * @param ret      Receives the pool: ferry_pool_close().
 *
 * @return 0; -EINVAL: an option is refused; -EMFILE, -ENFILE, -ENOMEM.
 */
int ferry_pool_open(const ferry_pool_options *options, ferry_pool **ret, ferry_error *reterr);

/**
 * Runs n threads, each with a client of its own, until ferry_pool_stop().
 *
 * After that each thread takes no more work and finishes the work in progress, as in ferry_run().
 * If a member cannot be set up, the other members are stopped in the same way. Handlers run on n
 * threads at the same time, so they must lock the data that they share.
 *
 * @return 0 when all threads have ended; or the error of the first member that could not be set up;
 * or
 *   -EINVAL: set_up is NULL; -EBUSY: the pool runs; -EAGAIN: no more threads; -ENOMEM.
 */
int ferry_pool_run_threads(ferry_pool *pool, ferry_member_fn set_up, void *ctx,
                           ferry_error *reterr);

/**
 * Forks n children, each with its own client, and replaces children that end, until
 * ferry_pool_stop().
 *
 * If a child dies or ends after at least 10 s, it is replaced at once. If it ends sooner, it is
 * replaced after a pause, which doubles with each failure in a row, from 100 ms to 10 s. If a child
 * cannot be set up the first time, the pool ends with the child's error. If the parent is killed,
 * the children stop by themselves.
 *
 * Children start as copies of the caller inside this function, and end inside it without running
 * exit handlers. Call it before starting threads and opening clients: a lock that another thread
 * holds at this moment stays locked in the child, and a client keeps its connection open as long as
 * a copy lives.
 *
 * @return 0 when all children have ended; or the error of a member that could not be set up the
 * first time; or
 *   -EINVAL: set_up is NULL; -EBUSY: the pool runs; -EAGAIN: no more processes; -EMFILE, -ENOMEM.
 */
int ferry_pool_run_processes(ferry_pool *pool, ferry_member_fn set_up, void *ctx,
                             ferry_error *reterr);

/**
 * Ends ferry_pool_run_…(), or the next one if the pool does not run. Work in progress is finished.
 * A second call does not wait for the work in progress: it kills children, and stops threads like a
 * second ferry_stop().
 *
 * In a child it stops only this child. So a program may have one handler for SIGTERM that calls
 * this function. If the signal goes to the parent, the pool ends; if it goes to a child, that child
 * ends and is replaced; Ctrl-C goes to all of them, and everything ends in order.
 *
 * Threads: any; in a signal handler too.
 *
 * @return 0; -EINVAL: pool is NULL.
 */
int ferry_pool_stop(ferry_pool *pool);

/* Frees the pool, which must have stopped running. The ferry_pool_stop() that ended it need not
 * have returned yet. NULL is allowed. Returns NULL. */
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
