/* SPDX-License-Identifier: Apache-2.0 */
/* Moving and dropping jobs: all jobs of a queue, or the jobs that a person has chosen. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "clients/web/admin/routes.h"
#include "clients/web/core/core.h"

enum { CHOSEN_MAX = 500 };

typedef struct Bulk Bulk;

typedef struct BulkJob {
    Bulk *bulk;
    uint64_t number, moved_to; /* moved_to: the job's number in the other queue */
    bool is_failed;
    json_t *problem; /* of a failed job; NULL: there was no memory for the problem */
} BulkJob;

/* A request about several jobs, with one call for each job. The results are kept here, in memory
 * that is allocated before the first call, so that the answer contains every job. */
struct Bulk {
    HttpRequest *request;
    size_t n_left; /* calls without an answer, plus one for the loop that makes the calls */
    bool is_drop;
    size_t n;
    BulkJob jobs[];
};

static void bulk_free(Bulk *bulk) {
    for (size_t i = 0; i < bulk->n; i++)
        json_decref(bulk->jobs[i].problem);
    free(bulk);
}

/* Makes the entry of one job in the answer. NULL: out of memory. */
static json_t *job_result(const BulkJob *job, bool is_drop) {
    char number[24], moved_to[24];

    snprintf(number, sizeof(number), "%" PRIu64, job->number);
    snprintf(moved_to, sizeof(moved_to), "%" PRIu64, job->moved_to);
    if (job->is_failed)
        return json_pack("{s:s, s:O}", "job", number, "problem", job->problem);
    return is_drop ? json_string(number) : json_pack("{s:s, s:s}", "job", number, "new", moved_to);
}

static void reply(const Bulk *bulk) {
    json_t *done = json_array(), *failed = json_array(), *answer;
    size_t n_failed = 0;
    bool is_whole = done && failed;

    for (size_t i = 0; i < bulk->n; i++) {
        const BulkJob *job = &bulk->jobs[i];

        n_failed += job->is_failed;
        is_whole = is_whole && json_array_append_new(job->is_failed ? failed : done,
                                                     job_result(job, bulk->is_drop)) == 0;
    }
    answer = is_whole ? json_pack("{s:O, s:O}", bulk->is_drop ? "dropped" : "moved", done, "failed",
                                  failed)
                      : NULL;
    json_decref(done);
    json_decref(failed);
    if (answer)
        http_reply_json(bulk->request, 200, answer);
    else
        http_reply_problem(bulk->request, 503, "OutOfMemory",
                           "no memory for the list of results: of %zu jobs, %zu were %s; look at "
                           "the queue before you try again",
                           bulk->n, bulk->n - n_failed, bulk->is_drop ? "dropped" : "moved");
}

static void finish_one(Bulk *bulk) {
    if (--bulk->n_left > 0)
        return;
    reply(bulk);
    bulk_free(bulk);
}

static void on_job(json_t *answer, const ferry_error *error, void *ctx) {
    BulkJob *job = ctx;

    job->is_failed = error;
    if (error)
        job->problem = problem_new(error, problem_status(error));
    else
        job->moved_to = (uint64_t)json_integer_value(answer);
    finish_one(job->bulk);
}

static void start_all(Bulk *bulk, const char *to) {
    for (size_t i = 0; i < bulk->n; i++) {
        BulkJob *job = &bulk->jobs[i];

        bulk->n_left++;
        if (bulk->is_drop)
            ask(http_ctx(bulk->request), on_job, job, "cancel", "u", job->number);
        else
            ask(http_ctx(bulk->request), on_job, job, "move_job", "us", job->number, to);
    }
    finish_one(bulk);
}

/* Reads numbers, which are texts of digits. False: an element is not a number. */
static bool read_numbers(const json_t *jobs, Bulk *bulk) {
    for (; bulk->n < json_array_size(jobs); bulk->n++) {
        const char *text = json_string_value(json_array_get(jobs, bulk->n));
        BulkJob *job = &bulk->jobs[bulk->n];

        if (!text || text_parse_count(text, &job->number) < 0)
            return false;
        job->bulk = bulk;
    }
    return true;
}

static void change_chosen(HttpRequest *request, const json_t *jobs, const char *to) {
    size_t n = json_array_size(jobs);
    bool is_sized = n > 0 && n <= CHOSEN_MAX;
    Bulk *bulk = is_sized ? calloc(1, sizeof(*bulk) + n * sizeof(*bulk->jobs)) : NULL;

    if (is_sized && !bulk) {
        http_reply_problem(request, 503, "OutOfMemory", "out of memory: no job was changed");
    } else if (!is_sized || !read_numbers(jobs, bulk)) {
        http_reply_problem(request, 400, "ferry.InvalidArgument",
                           "'jobs' is a list of 1 to %d numbers, as texts", CHOSEN_MAX);
        free(bulk);
    } else {
        bulk->request = request;
        bulk->n_left = 1;
        bulk->is_drop = !to;
        start_all(bulk, to);
    }
}

/* Moves all jobs of a queue, a number of them, or the chosen ones. */
static void move(HttpRequest *request, const json_t *body, const char *from, const char *to) {
    const json_t *limit = json_object_get(body, "limit"), *jobs = json_object_get(body, "jobs");

    if (jobs)
        change_chosen(request, jobs, to);
    else if (limit && (!json_is_integer(limit) || json_integer_value(limit) < 0))
        http_reply_problem(request, 400, "ferry.InvalidArgument", "'limit' is a number, 0 for all");
    else
        ask_for(request, "n", "move", "ssu", from, to, (uint64_t)json_integer_value(limit));
}

void admin_move(HttpRequest *request) {
    CLEANUP(json_decref) json_t *body = input_object(request);
    const char *to = body ? input_text(request, body, "to") : NULL;

    if (to)
        move(request, body, http_part(request, 2), to);
}

/* Returns dead letters to their queue; the name of either queue is accepted. */
void admin_retry(HttpRequest *request) {
    CLEANUP(json_decref) json_t *body = input_object(request);
    const char *name = http_part(request, 2);
    size_t len = strlen(name);
    char dead[PATH_BYTES_MAX + 8], alive[PATH_BYTES_MAX];

    if (!body)
        return;
    if (len > 5 && strcmp(name + len - 5, ".dead") == 0)
        len -= 5;
    snprintf(alive, sizeof(alive), "%.*s", (int)len, name);
    snprintf(dead, sizeof(dead), "%s.dead", alive);
    move(request, body, dead, alive);
}

void admin_drop(HttpRequest *request) {
    CLEANUP(json_decref) json_t *body = input_object(request);

    if (body)
        change_chosen(request, json_object_get(body, "jobs"), NULL);
}
