/* SPDX-License-Identifier: Apache-2.0 */
/* The environment variables of commands. See environment.h. */

#include "clients/cli/run/environment.h"

#include <inttypes.h>
#include <stdlib.h>

static void add(Environment *environment, const char *name, const char *value) {
    if (value)
        environment->variables[environment->n++] = (ExecVariable){name, value};
}

/* Names longer than 64 bytes are cut: shell scripts do not use such headers. */
enum { NAME_SIZE = 80 };

static void add_headers(Environment *environment, const ferry_header *headers, size_t n) {
    char *names = n > 0 ? (char *)buffer_reserve(&environment->names, n * NAME_SIZE) : NULL;

    for (size_t i = 0; names && i < n; i++)
        add(environment, exec_header_name(headers[i].name, names + i * NAME_SIZE, NAME_SIZE),
            headers[i].value);
}

void environment_of_job(Environment *environment, const ferry_job *job) {
    ferry_header headers[HEADERS_MAX];

    *environment = (Environment){0};
    snprintf(environment->number, sizeof(environment->number), "%" PRIu32, job->attempt);
    add(environment, "FERRY_QUEUE", job->queue);
    add(environment, "FERRY_JOB", job->id);
    add(environment, "FERRY_ATTEMPT", environment->number);
    add_headers(environment, headers, headers_of_job(job, headers));
}

void environment_of_request(Environment *environment, const ferry_request *request) {
    ferry_header headers[HEADERS_MAX];

    *environment = (Environment){0};
    snprintf(environment->number, sizeof(environment->number), "%" PRIu32,
             ferry_request_left_ms(request));
    add(environment, "FERRY_METHOD", request->method);
    add(environment, "FERRY_CALLER", request->caller);
    add(environment, "FERRY_USER", ferry_request_user(request) ? ferry_request_user(request) : "");
    add(environment, "FERRY_LEFT_MS", environment->number);
    add_headers(environment, headers, headers_of_request(request, headers));
}

void environment_of_message(Environment *environment, const ferry_message *message) {
    ferry_header headers[HEADERS_MAX];

    *environment = (Environment){0};
    add(environment, "FERRY_TOPIC", message->topic);
    add_headers(environment, headers, headers_of_message(message, headers));
}

void environment_deinit(Environment *environment) {
    buffer_deinit(&environment->names);
}
