/* SPDX-License-Identifier: Apache-2.0 */
/* Moving and dropping jobs: all of a queue, or those that a person has chosen. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "clients/web/admin/routes.h"
#include "clients/web/core/core.h"

enum { CHOSEN_MAX = 500 };

/* A request about several jobs, each of which is a call. */
typedef struct Bulk {
    HttpRequest *request;
    size_t n_left; /* calls without an answer, and one for the loop that makes them */
    json_t *done, *failed;
    bool is_drop;
} Bulk;

typedef struct BulkJob {
    Bulk *bulk;
    char job[24];
} BulkJob;

static void finish_one(Bulk *bulk) {
    if (--bulk->n_left > 0)
        return;
    http_reply_json(bulk->request, 200,
                    json_pack("{s:o, s:o}", bulk->is_drop ? "dropped" : "moved", bulk->done,
                              "failed", bulk->failed));
    free(bulk);
}

static void on_job(json_t *answer, const ferry_error *error, void *ctx) {
    BulkJob *one = ctx;
    Bulk *bulk = one->bulk;
    char number[24];

    if (error) {
        json_array_append_new(bulk->failed, json_pack("{s:s, s:o}", "job", one->job, "problem",
                                                      problem_new(error, problem_status(error))));
    } else if (bulk->is_drop) {
        json_array_append_new(bulk->done, json_string(one->job));
    } else {
        snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(answer));
        json_array_append_new(bulk->done, json_pack("{s:s, s:s}", "job", one->job, "new", number));
    }
    free(one);
    finish_one(bulk);
}

static void start_one(Bulk *bulk, const char *text, const char *to) {
    BulkJob *one = malloc(sizeof(*one));
    uint64_t job = strtoull(text, NULL, 10);

    if (!one)
        return;
    *one = (BulkJob){.bulk = bulk};
    snprintf(one->job, sizeof(one->job), "%" PRIu64, job);
    bulk->n_left++;
    if (bulk->is_drop)
        ask(http_ctx(bulk->request), on_job, one, "cancel", "u", job);
    else
        ask(http_ctx(bulk->request), on_job, one, "move_job", "us", job, to);
}

/* Numbers as texts of digits, at most 500. */
static bool are_numbers(const json_t *jobs) {
    size_t i;
    json_t *job;

    if (!json_is_array(jobs) || json_array_size(jobs) == 0 || json_array_size(jobs) > CHOSEN_MAX)
        return false;
    json_array_foreach(jobs, i, job) {
        const char *text = json_string_value(job);

        if (!text || !*text || strlen(text) > 20 || text[strspn(text, "0123456789")])
            return false;
    }
    return true;
}

static void change_chosen(HttpRequest *request, const json_t *jobs, const char *to) {
    Bulk *bulk;
    json_t *job;
    size_t i;

    if (!are_numbers(jobs)) {
        http_reply_problem(request, 400, "ferry.InvalidArgument",
                           "'jobs' is a list of 1 to %d numbers, as texts", CHOSEN_MAX);
        return;
    }
    bulk = malloc(sizeof(*bulk));
    if (!bulk) {
        http_reply_problem(request, 503, "OutOfMemory", "out of memory");
        return;
    }
    *bulk = (Bulk){request, 1, json_array(), json_array(), !to};
    json_array_foreach(jobs, i, job) start_one(bulk, json_string_value(job), to);
    finish_one(bulk);
}

/* All jobs of a queue, or a number of them, or chosen ones. */
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
