/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moving and dropping chosen jobs. The broker and the HTTP server are functions of this file:
 * ask() answers at once, and the answers of HTTP are kept. The allocations of jansson count, too.
 */
#include <stdarg.h>
#include <stdlib.h>

#include "base/error.h"
#include "clients/web/admin/routes.h"
#include "clients/web/core/core.h"
#include "support/oom.h"
#include "support/suite.h"

enum { MISSING_JOB = 404 };

/* One request and its answer. */
struct HttpRequest {
    const char *body;
    unsigned status;
    json_t *answer; /* NULL: an empty answer */
    char detail[512];
    size_t n_answers, n_asked;
};

ferry_bytes http_body(const HttpRequest *request) {
    return ferry_bytes_of(request->body, strlen(request->body));
}

void *http_ctx(const HttpRequest *request) {
    return (void *)(uintptr_t)request;
}

const char *http_part(const HttpRequest *request, size_t n) {
    (void)request;
    (void)n;
    return "mail";
}

void http_add_header(HttpRequest *request, const char *name, const char *value) {
    (void)request;
    (void)name;
    (void)value;
}

void http_reply_json(HttpRequest *request, unsigned status, json_t *json) {
    request->n_answers++;
    request->status = json ? status : 503;
    request->answer = json;
}

void http_reply_problem(HttpRequest *request, unsigned status, const char *title,
                        const char *format, ...) {
    va_list args;

    (void)title;
    va_start(args, format);
    vsnprintf(request->detail, sizeof(request->detail), format, args);
    va_end(args);
    request->n_answers++;
    request->status = status;
}

/* Moves each job to the number after the next thousand. The job MISSING_JOB does not exist, and a
 * question without memory fails as ask() does. */
void ask(Web *web, AskFn fn, void *ctx, const char *method, const char *format, ...) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    HttpRequest *request = (HttpRequest *)(void *)web;
    json_t *answer = NULL;
    void *memory = malloc(8);
    va_list args;
    uint64_t job;

    (void)method;
    va_start(args, format);
    job = va_arg(args, uint64_t);
    va_end(args);
    request->n_asked++;
    if (!memory)
        error_set_code(&error, -ENOMEM, NULL);
    else if (job == MISSING_JOB)
        error_set(&error, "ferry.NotFound", "there is no job %d", MISSING_JOB);
    else if (!(answer = json_integer((json_int_t)job + 1000)))
        error_set_code(&error, -ENOMEM, NULL);
    free(memory);
    fn(answer, answer ? NULL : &error, ctx);
    json_decref(answer);
}

void ask_for(HttpRequest *request, const char *key, const char *method, const char *format, ...) {
    (void)key;
    (void)method;
    (void)format;
    http_reply_json(request, 200, json_object());
}

static void each_job_is_in_the_answer(void) {
    HttpRequest request = {.body = "{\"to\": \"post\", \"jobs\": [\"1\", \"404\", \"3\"]}"};
    json_t *wanted =
        json_pack("[{s:s, s:s}, {s:s, s:s}]", "job", "1", "new", "1001", "job", "3", "new", "1003");
    json_t *failed;

    admin_move(&request);
    CU_ASSERT_EQUAL(request.status, 200);
    CU_ASSERT_TRUE(json_equal(json_object_get(request.answer, "moved"), wanted));
    failed = json_array_get(json_object_get(request.answer, "failed"), 0);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(failed, "job")), "404");
    CU_ASSERT_EQUAL(
        json_integer_value(json_object_get(json_object_get(failed, "problem"), "status")), 404);
    json_decref(request.answer);
    json_decref(wanted);
}

static void numbers_that_do_not_fit_are_refused_before_a_job_is_changed(void) {
    static const char *const bodies[] = {"{\"jobs\": [\"1\", \"99999999999999999999\"]}",
                                         "{\"jobs\": [\"1\", \"\"]}", "{\"jobs\": [\"1\", \"-1\"]}",
                                         "{\"jobs\": [\"1\", 2]}", "{\"jobs\": []}"};

    for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
        HttpRequest request = {.body = bodies[i]};

        admin_drop(&request);
        CU_ASSERT_EQUAL(request.status, 400);
        CU_ASSERT_EQUAL(request.n_asked, 0);
        json_decref(request.answer);
    }
}

/* With any allocation failing, each job is in the answer, or a status says that the list is not
 * there. A job is never left out of the list of an answer with 200. */
static void no_job_is_left_out_when_memory_runs_out(void) {
    OOM_EACH(n) {
        HttpRequest request = {.body = "{\"jobs\": [\"1\", \"404\", \"3\"]}"};
        const char *detail;
        size_t n_told;

        admin_drop(&request);
        OOM_STOP;
        detail = json_string_value(json_object_get(request.answer, "detail"));
        detail = detail && *detail ? detail : "-";
        n_told = json_array_size(json_object_get(request.answer, "dropped")) +
                 json_array_size(json_object_get(request.answer, "failed"));
        CU_ASSERT_EQUAL(request.n_answers, 1);
        if (request.status == 200) {
            CU_ASSERT_EQUAL(request.n_asked, 3);
            CU_ASSERT_EQUAL(n_told, 3);
        } else {
            CU_ASSERT_TRUE(oom_happened());
            CU_ASSERT_NOT_EQUAL(detail[strlen(detail) - 1], ' '); /* "column 0: " */
            CU_ASSERT_TRUE(request.n_asked == 0 || strstr(request.detail, "of 3 jobs"));
        }
        json_decref(request.answer);
    }
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(each_job_is_in_the_answer),
        TEST(numbers_that_do_not_fit_are_refused_before_a_job_is_changed),
        TEST(no_job_is_left_out_when_memory_runs_out),
        TESTS_END,
    };

    json_set_alloc_funcs(malloc, free);
    return run_suite("web: several jobs", tests);
}
