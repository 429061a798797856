/* SPDX-License-Identifier: Apache-2.0 */
/* Lists: services, topics, queues, jobs, sessions, caches, schedules, pipelines. */

#include <stdlib.h>

#include "clients/web/admin/routes.h"
#include "clients/web/core/core.h"

enum { JOBS_MAX = 1000, JOBS_USUAL = 50 };

void admin_services(HttpRequest *request) {
    ask_for(request, NULL, "services", "");
}

void admin_topics(HttpRequest *request) {
    ask_for(request, NULL, "topics", "");
}

void admin_queues(HttpRequest *request) {
    ask_for(request, NULL, "queues", "");
}

void admin_queue(HttpRequest *request) {
    ask_for(request, NULL, "queue", "s", http_part(request, 2));
}

void admin_jobs(HttpRequest *request) {
    const char *limit = http_query(request, "limit");
    uint64_t n = JOBS_USUAL;

    if (limit && !input_number(request, limit, &n))
        return;
    if (n == 0 || n > JOBS_MAX) {
        http_reply_problem(request, 400, "ferry.InvalidArgument", "limit: 1 to %d", JOBS_MAX);
        return;
    }
    ask_for(request, NULL, "peek", "su", http_part(request, 2), n);
}

void admin_job(HttpRequest *request) {
    uint64_t job;

    if (input_number(request, http_part(request, 2), &job))
        ask_for(request, NULL, "job", "u", job);
}

void admin_sessions(HttpRequest *request) {
    ask_for(request, NULL, "sessions", "");
}

void admin_cache_list(HttpRequest *request) {
    ask_for(request, NULL, "caches", "");
}

void admin_schedules(HttpRequest *request) {
    ask_for(request, NULL, "schedules", "");
}

/* ---- pipelines ---- */

/* Finds the queues that forward to other queues, and the topics whose messages become jobs. */
static json_t *pipelines_of(const json_t *queues) {
    json_t *edges = json_array(), *binds = json_array(), *queue, *one;
    size_t i, j;

    json_array_foreach(queues, i, queue) {
        json_array_foreach(json_object_get(queue, "forwards"), j, one) json_array_append_new(
            edges,
            json_pack("{s:O, s:O, s:O}", "from", json_object_get(queue, "name"), "to",
                      json_object_get(one, "to"), "forwarded", json_object_get(one, "jobs")));
        json_array_foreach(json_object_get(queue, "bound"), j, one)
            json_array_append_new(binds, json_pack("{s:O, s:O}", "pattern", one, "queue",
                                                   json_object_get(queue, "name")));
    }
    return json_pack("{s:o, s:o}", "edges", edges, "binds", binds);
}

static void on_queues(json_t *queues, const ferry_error *error, void *ctx) {
    if (error)
        problem_reply(ctx, error);
    else
        http_reply_json(ctx, 200, pipelines_of(queues));
}

void admin_pipelines(HttpRequest *request) {
    ask(http_ctx(request), on_queues, request, "queues", "");
}
