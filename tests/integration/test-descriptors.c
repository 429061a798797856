/* SPDX-License-Identifier: Apache-2.0 */
/* Clients in a process with few free descriptors. */

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "support/broker.h"
#include "support/suite.h"

enum { FREE_MAX = 6 };

static TestBroker broker;

/* Leaves the process n free descriptors. */
static void leave_free(rlim_t n, struct rlimit limit) {
    int lowest = dup(STDIN_FILENO);

    close(lowest);
    limit.rlim_cur = (rlim_t)lowest + n;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* True: a client was opened. Else the error must name the reason. */
static bool opens_or_reports_why(unsigned n_free) {
    ferry_options options = {.timeout_ms = 1000};
    ferry_error error = FERRY_ERROR_INIT;
    ferry_client *client = NULL;
    struct rlimit before;
    int r, n_tries = 0;

    getrlimit(RLIMIT_NOFILE, &before);
    leave_free(n_free, before);
    r = ferry_open(broker.url, &options, &client, &error);
    if (r < 0) {
        CU_ASSERT_EQUAL(r, -EMFILE);
        CU_ASSERT_PTR_NULL(client);
        CU_ASSERT_PTR_NOT_NULL(error.message);
    } else if (ferry_ping(client, NULL, &error) < 0) {
        CU_ASSERT_PTR_NOT_NULL_FATAL(error.message);
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, strerror(EMFILE)));
    }
    ferry_error_clear(&error);
    setrlimit(RLIMIT_NOFILE, &before);
    if (!client)
        return false;
    /* The client connects by itself once a descriptor is free. */
    for (r = -1; r < 0 && n_tries < 100; n_tries++)
        r = ferry_ping(client, NULL, NULL);
    CU_ASSERT_EQUAL(r, 0);
    ferry_close(client);
    return true;
}

static void a_client_opens_or_reports_the_reason(void) {
    unsigned n_opened = 0;

    for (unsigned n = 0; n <= FREE_MAX; n++)
        n_opened += opens_or_reports_why(n);
    CU_ASSERT(n_opened > 0 && n_opened <= FREE_MAX);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_client_opens_or_reports_the_reason),
        TESTS_END,
    };
    int r;

    broker_spawn(&broker);
    r = run_suite("clients with few descriptors", tests);
    broker_terminate(&broker);
    return r;
}
