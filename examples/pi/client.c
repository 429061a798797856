/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The source of bits: publishes points until the given number of millions of bits is used up, not
 * faster than the workers count them, and prints the result.
 *
 *     pi-client [MILLIONS [SEED]]   default 100 1
 */

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "pi.h"

enum { BATCH = 1024, AHEAD_MAX = 64 * BATCH, PATIENCE_MS = 3000 };

typedef struct Source {
    ferry_client *client;
    uint64_t random;
    int64_t run, published, counted, lost;
    size_t n[4];
    int32_t xs[4][BATCH], ys[4][BATCH]; /* by their leading bits */
} Source;

static int32_t next_coordinate(Source *s) {
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return (int32_t)(s->random >> (64 - PI_BITS));
}

static int publish(Source *s, unsigned which, ferry_error *error) {
    static const char *const bits[] = {"00", "01", "10", "11"};
    pi_batch batch = {s->run, {s->n[which], s->xs[which]}, {s->n[which], s->ys[which]}};
    char topic[32];
    ferry_bytes body;
    int r = pi_batch_pack(&batch, &body, error);

    if (r < 0)
        return r;
    snprintf(topic, sizeof(topic), "%s%s", PI_TOPIC, bits[which]);
    r = ferry_publish(s->client, topic, body, NULL, error);
    ferry_free(body.block);
    s->published += (int64_t)s->n[which];
    s->n[which] = 0;
    return r;
}

/* Waits until at most `ahead` points are in flight. Points that make no progress for a while are
 * lost: a worker that died had them. */
static int wait_for_workers(Source *s, int64_t ahead, ferry_error *error) {
    for (unsigned waited_ms = 0; s->published - s->counted - s->lost > ahead; waited_ms += 2) {
        FERRY_AUTO(ferry_free) pi_estimate *estimate = NULL;
        int r = pi_tally(s->client, &estimate, error);

        if (r < 0)
            return r;
        if (estimate->points > s->counted)
            waited_ms = 0;
        s->counted = estimate->points;
        if (waited_ms >= PATIENCE_MS)
            s->lost = s->published - s->counted;
        nanosleep(&(struct timespec){0, 2000000}, NULL);
    }
    return 0;
}

static int show(Source *s, int64_t points, ferry_error *error) {
    FERRY_AUTO(ferry_free) pi_estimate *estimate = NULL;
    int r = pi_tally(s->client, &estimate, error);

    if (r == 0)
        printf("%3" PRId64 " %%  pi is about %.5f  (%zu workers)\n", 100 * s->published / points,
               estimate->pi, estimate->workers.n);
    fflush(stdout);
    return r;
}

static int throw_darts(Source *s, int64_t points, ferry_error *error) {
    int r = 0;

    for (int64_t i = 1; r == 0 && i <= points; i++) {
        int32_t x = next_coordinate(s), y = next_coordinate(s);
        unsigned which = (unsigned)(x >> (PI_BITS - 1) << 1 | y >> (PI_BITS - 1));

        s->xs[which][s->n[which]] = x;
        s->ys[which][s->n[which]++] = y;
        if (s->n[which] == BATCH)
            r = publish(s, which, error);
        if (r == 0 && s->published - s->counted - s->lost > AHEAD_MAX)
            r = wait_for_workers(s, AHEAD_MAX / 2, error);
        if (r == 0 && i % (points / 10) == 0)
            r = show(s, points, error);
    }
    for (unsigned which = 0; r == 0 && which < 4; which++)
        if (s->n[which] > 0)
            r = publish(s, which, error);
    return r < 0 ? r : wait_for_workers(s, 0, error);
}

static int report(const Source *s, ferry_error *error) {
    FERRY_AUTO(ferry_free) pi_estimate *estimate = NULL;
    int r = pi_tally(s->client, &estimate, error);

    if (r < 0)
        return r;
    for (size_t i = 0; i < estimate->workers.n; i++)
        printf("%s counted %" PRId64 " batches\n", estimate->workers.v[i].key,
               estimate->workers.v[i].value);
    if (s->lost > 0)
        printf("%" PRId64 " points were with a worker that is no more\n", s->lost);
    printf("%" PRId64 " of %" PRId64 " points are inside: pi is about %.5f\n", estimate->inside,
           estimate->points, estimate->pi);
    return 0;
}

int main(int argc, char **argv) {
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    int64_t points = (argc > 1 ? atoll(argv[1]) : 100) * 1000000 / (2 * PI_BITS);
    static Source source;
    int r = ferry_open(NULL, &(ferry_options){.name = "pi-client"}, &client, &error);

    source.client = client;
    source.random = 88172645463325252U + (argc > 2 ? (uint64_t)atoll(argv[2]) : 1);
    if (r == 0)
        r = pi_begin(client, &source.run, &error);
    if (r == 0)
        r = throw_darts(&source, points, &error);
    if (r == 0)
        r = report(&source, &error);
    if (r < 0)
        ferry_error_print(&error, stderr);
    return r < 0;
}
