/* SPDX-License-Identifier: Apache-2.0 */
/* A pool of threads, with one client for each thread. See ferry/pool.h. */

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/error.h"
#include "clients/c/pools/pool.h"

typedef struct Member {
    ferry_pool *pool;
    ferry_member_fn set_up;
    void *ctx;
    unsigned index;
    pthread_t thread;
    ferry_client *client;
    ferry_error error;
    int result;      /* the result of its set_up */
    bool is_running; /* its thread was started */
    bool has_ended;  /* atomic; result is set */
} Member;

static void *run_member(void *arg) {
    Member *member = arg;
    int r = member->set_up(member->client, member->index, member->ctx, &member->error);

    if (r < 0 && !member->error.type)
        error_set_code(&member->error, r, NULL);
    if (r == 0)
        ferry_run(member->client, NULL);
    member->result = r;
    __atomic_store_n(&member->has_ended, true, __ATOMIC_RELEASE);
    pool_wake(member->pool);
    return NULL;
}

static int start(Member *member, ferry_error *reterr) {
    ferry_pool *pool = member->pool;
    int r = ferry_open(pool->url, &pool->client, &member->client, reterr);

    if (r < 0)
        return r;
    r = pthread_create(&member->thread, NULL, run_member, member);
    if (r > 0)
        return error_set_code(reterr, -r, "a thread could not be started");
    member->is_running = true;
    return 0;
}

/* Stops each running member as often as the pool was stopped, including the stops before the
 * member's start. */
static void stop_members(Member *members, unsigned n, unsigned *stopped, unsigned stops) {
    for (; *stopped < stops; ++*stopped)
        for (unsigned i = 0; i < n; i++)
            if (members[i].is_running)
                ferry_stop(members[i].client);
}

/* Waits until all members have ended. The caller closes the clients only afterwards, because a stop
 * may use them at any time. */
static void wait_for_members(ferry_pool *pool, Member *members, unsigned n, bool has_failed) {
    unsigned stopped = 0, n_ended;

    for (;;) {
        struct pollfd fd = {pool->event_fd, POLLIN, 0};
        unsigned stops;

        pool_woken(pool);
        n_ended = 0;
        for (unsigned i = 0; i < n; i++) {
            bool has_ended = __atomic_load_n(&members[i].has_ended, __ATOMIC_ACQUIRE);

            n_ended += !members[i].is_running || has_ended;
            has_failed = has_failed || (has_ended && members[i].result < 0);
        }
        if (n_ended == n)
            return;
        stops = pool_stops(pool);
        stop_members(members, n, &stopped, has_failed && stops == 0 ? 1 : stops);
        poll(&fd, 1, -1);
    }
}

/* The member whose error the pool reports, or NULL. */
static Member *first_failed(const ferry_pool *pool, Member *members) {
    Member *canceled = NULL;

    for (unsigned i = 0; i < pool->n; i++) {
        if (members[i].result < 0 && !pool_is_canceled(members[i].result))
            return &members[i];
        if (members[i].result < 0 && !canceled)
            canceled = &members[i];
    }
    return pool_stops(pool) > 0 ? NULL : canceled;
}

int ferry_pool_run_threads(ferry_pool *pool, ferry_member_fn set_up, void *ctx,
                           ferry_error *reterr) {
    ferry_error error = FERRY_ERROR_INIT;
    Member *members, *failed;
    int r = pool_begin(pool, set_up, reterr);

    if (r < 0)
        return r;
    members = calloc(pool->n, sizeof(*members));
    if (!members)
        r = error_set_code(&error, -ENOMEM, NULL);
    for (unsigned i = 0; members && r == 0 && i < pool->n; i++) {
        members[i] = (Member){.pool = pool, .set_up = set_up, .ctx = ctx, .index = i};
        r = start(&members[i], &error);
    }
    if (members)
        wait_for_members(pool, members, pool->n, r < 0);
    for (unsigned i = 0; members && i < pool->n; i++) {
        if (members[i].is_running)
            pthread_join(members[i].thread, NULL);
        ferry_close(members[i].client);
    }
    failed = members && r == 0 ? first_failed(pool, members) : NULL;
    if (failed) {
        r = failed->result;
        error_move(&error, &failed->error);
    }
    for (unsigned i = 0; members && i < pool->n; i++)
        ferry_error_clear(&members[i].error);
    free(members);
    pool_end(pool);
    if (r < 0)
        error_move(reterr, &error);
    return r;
}
