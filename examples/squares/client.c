/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks for random squares, with and without the cache, and shows how the keys are spread.
 *
 *     squares-client [CALLS]   default 1000, in each of ten runs
 */

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "squares.h"

enum { RUNS = 10, RANGE = 2000, LARGE = 900000, KEYS = 3000, BAR = 40 };

static double seconds(void) {
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Makes one run with random large numbers, so that computing takes noticeable time. -1: it failed.
 */
static double run(ferry_client *client, int calls, bool cached, ferry_error *error) {
    double started = seconds();

    for (int i = 0; i < calls; i++) {
        int64_t n = LARGE + rand() % RANGE;
        FERRY_AUTO(ferry_free) squares_answer *answer = NULL;
        int r = cached ? squares_square(client, n, &answer, error)
                       : squares_compute(client, n, &answer, error);

        if (r < 0 || answer->square != n * n)
            return -1;
    }
    return seconds() - started;
}

static int compare(ferry_client *client, int calls, ferry_error *error) {
    FERRY_AUTO(ferry_free) squares_counters *before = NULL;
    FERRY_AUTO(ferry_free) squares_counters *after = NULL;
    double computed, best = 0;
    int r = squares_stats(client, &before, error);

    if (r < 0)
        return r;
    computed = run(client, calls, false, error);
    if (computed < 0)
        return -EIO;
    printf("%d squares without the cache: %.2f s\n%d successive runs with it:", calls, computed,
           RUNS);
    for (int i = 0; i < RUNS; i++) {
        double taken = run(client, calls, true, error);

        if (taken < 0)
            return -EIO;
        best = i == 0 || taken < best ? taken : best;
        printf(" %.2f s", taken);
    }
    r = squares_stats(client, &after, error);
    if (r < 0)
        return r;
    printf("\nhit rate %.0f %%, %" PRId64 " computed; the fastest run was %.1f times as fast\n",
           100.0 * (double)(after->hits - before->hits) / (RUNS * calls),
           after->computed - before->computed, computed / best);
    if (after->stopped > 0)
        printf("%d Redis stopped, %" PRId64
               " values not stored: the answers were right all the same\n",
               after->stopped, after->dropped_writes - before->dropped_writes);
    return 0;
}

/* ---- shards ---- */

static int show_shards(ferry_client *client, ferry_error *error) {
    FERRY_AUTO(ferry_free) squares_list_shard *shards = NULL;
    int64_t most = 1;
    int r = 0;

    for (int64_t n = 0; r == 0 && n < KEYS; n++) {
        FERRY_AUTO(ferry_free) squares_answer *answer = NULL;

        r = squares_square(client, n, &answer, error);
    }
    if (r == 0)
        r = squares_shards(client, KEYS, &shards, error);
    if (r == -EREMOTEIO && squares_not_sharded_in(error)) {
        printf("no shards: %s\n", error->message);
        ferry_error_clear(error);
        return 0;
    }
    if (r < 0)
        return r;
    for (size_t i = 0; i < shards->n; i++)
        most = shards->v[i].keys > most ? shards->v[i].keys : most;
    printf("%d keys on %zu servers\n", KEYS, shards->n);
    for (size_t i = 0; i < shards->n; i++) {
        const squares_shard *shard = &shards->v[i];

        printf("  %-23s ", shard->server);
        for (int64_t k = 0; k < BAR * shard->keys / most; k++)
            printf("█");
        if (shard->up)
            printf(" %" PRId64 " (%.0f %%)\n", shard->keys, 100.0 * (double)shard->keys / KEYS);
        else
            printf("stopped\n");
    }
    return 0;
}

int main(int argc, char **argv) {
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    int r = ferry_open(NULL, &(ferry_options){.name = "squares-client"}, &client, &error);

    if (r == 0)
        r = compare(client, argc > 1 ? atoi(argv[1]) : 1000, &error);
    if (r == 0)
        r = show_shards(client, &error);
    if (r < 0)
        ferry_error_print(&error, stderr);
    return r < 0;
}
