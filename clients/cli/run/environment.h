/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The environment variables that describe a message, job or request to the command run for it. */

#include "clients/cli/run/exec.h"
#include "clients/json/headers.h"

enum { ENVIRONMENT_MAX = HEADERS_MAX + 8 };

typedef struct Environment {
    size_t n;
    ExecVariable variables[ENVIRONMENT_MAX];
    Buffer names; /* names of the variables for headers */
    char number[16];
} Environment;

void environment_of_job(Environment *environment, const ferry_job *job);
void environment_of_request(Environment *environment, const ferry_request *request);
void environment_of_message(Environment *environment, const ferry_message *message);
void environment_deinit(Environment *environment);

static inline void environment_deinitp(Environment *environment) {
    environment_deinit(environment);
}
