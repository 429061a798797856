/* SPDX-License-Identifier: Apache-2.0 */

/* Answers requests for squares, and adds up the counts at the end of the pipeline. */

#include "server.h"
#include "pi.h"

enum { POINTS_MAX = 4096, WORKERS_MAX = 256, NAME_MAX_LEN = 63 };

typedef struct Sum {
    int64_t run, inside, points;
    size_t n_workers;
    char names[WORKERS_MAX][NAME_MAX_LEN + 1];
    pi_map_string_i64_entry workers[WORKERS_MAX]; /* their keys are the names */
} Sum;

static int begin(ferry_request *request, void *ctx) {
    Sum *sum = ctx;

    sum->run++;
    sum->inside = sum->points = 0;
    sum->n_workers = 0;
    return pi_begin_return(request, sum->run);
}

static int squares(ferry_request *request, const ferry_list_i32 *xs, const ferry_list_i32 *ys,
                   void *ctx) {
    int64_t result[POINTS_MAX];

    (void)ctx;
    if (xs->n != ys->n || xs->n > POINTS_MAX)
        return pi_throw_not_pairs(request, &(pi_not_pairs){(int32_t)xs->n, (int32_t)ys->n});
    for (size_t i = 0; i < xs->n; i++) {
        /* Unsigned, because two times (-2^31)² does not fit into an int64_t, and any caller may
         * send these numbers. */
        uint64_t sum =
            (uint64_t)((int64_t)xs->v[i] * xs->v[i]) + (uint64_t)((int64_t)ys->v[i] * ys->v[i]);

        result[i] = sum < INT64_MAX ? (int64_t)sum : INT64_MAX;
    }
    return pi_squares_return(request, &(ferry_list_i64){xs->n, result});
}

static int tally(ferry_request *request, void *ctx) {
    const Sum *sum = ctx;
    double share = sum->points > 0 ? (double)sum->inside / (double)sum->points : 0;

    return pi_tally_return(
        request,
        &(pi_estimate){sum->inside, sum->points, 4 * share, {sum->n_workers, sum->workers}});
}

static void note_worker(Sum *sum, const char *name) {
    size_t i = 0;

    while (i < sum->n_workers && strcmp(sum->names[i], name) != 0)
        i++;
    if (i == WORKERS_MAX)
        return;
    if (i == sum->n_workers) {
        snprintf(sum->names[i], sizeof(sum->names[i]), "%.*s", NAME_MAX_LEN, name);
        sum->workers[i] = (pi_map_string_i64_entry){sum->names[i], 0};
        sum->n_workers++;
    }
    sum->workers[i].value++;
}

/* Adds up the counts of a job. Returning 0 acknowledges the job. */
static int on_count(ferry_job *job, void *ctx) {
    FERRY_AUTO(ferry_free) pi_count *count = NULL;
    Sum *sum = ctx;

    if (pi_count_unpack(job->body, &count, NULL) < 0)
        return ferry_job_reject(job, "no pi.Count");
    if (count->points < 0 || count->points > POINTS_MAX || count->inside < 0 ||
        count->inside > count->points)
        return ferry_job_reject(job, "counts that cannot be");
    if (count->run != sum->run)
        return 0;
    sum->inside += count->inside;
    sum->points += count->points;
    note_worker(sum, count->worker);
    return 0;
}

int pi_start(ferry_client *client, ferry_error *reterr) {
    static const pi_handlers handlers = {.begin = begin, .squares = squares, .tally = tally};
    static Sum sum;
    int r = pi_serve(client, &handlers, NULL, &sum, NULL, reterr);

    return r < 0 ? r
                 : ferry_work(client, PI_QUEUE, &(ferry_work_options){.slots = 64}, on_count, &sum,
                              NULL, reterr);
}
