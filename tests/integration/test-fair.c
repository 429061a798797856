/* SPDX-License-Identifier: Apache-2.0 */

/* One caller floods a service: the turn of the other callers. */

#include <stdio.h>
#include <stdlib.h>

#include <ferry/ferry.h>

#include "support/faults.h"
#include "support/process.h"
#include "support/suite.h"

enum {
    MODEST = 4,          /* callers that make a few calls at a time */
    FEW = 20,            /* calls of such a caller */
    MAX_WAITING = 10000, /* max_waiting_calls */
    ALL_MODEST = MODEST * FEW,
};

typedef struct Service {
    ferry_request *held; /* the first request, which the server keeps until all calls wait */
    int n;               /* calls that the server has begun */
    int n_modest;        /* number of calls of modest callers */
    int last_modest;     /* value of n at the last of them */
} Service;

typedef struct Caller {
    ferry_client *client;
    int n_ended, n_good, n_refused;
} Caller;

static int serve(ferry_request *request, void *ctx) {
    Service *service = ctx;

    service->n++;
    if (!service->held) {
        service->held = ferry_request_defer(request);
        return 0;
    }
    if (((const char *)request->body.data)[0] == 'm') {
        service->n_modest++;
        service->last_modest = service->n;
    }
    return ferry_request_return(request, ferry_str("\xc3"));
}

static void on_reply(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    Caller *caller = ctx;

    caller->n_ended++;
    caller->n_good += reply != NULL;
    caller->n_refused += error && error->code == -EBUSY;
}

/* Returns after the broker has got the calls. */
static void call(Caller *caller, int n, const char *body) {
    for (int i = 0; i < n; i++) {
        int r;

        while ((r = ferry_call_async(caller->client, "fair.Calls.work", ferry_str(body), on_reply,
                                     caller, NULL)) == -EAGAIN)
            ferry_process(caller->client, NULL);
        CU_ASSERT_EQUAL(r, 0);
    }
    CU_ASSERT_EQUAL(ferry_ping(caller->client, NULL, NULL), 0);
}

/* Makes n_flood calls, then a few of each modest caller, and then lets the server begin them.
 * Returns the number of calls that the broker refused. */
static int flood(int n_flood, Service *service) {
    ferry_client *clients[2 + MODEST];
    Caller callers[1 + MODEST] = {{0}};
    int n_refused;
    Daemon broker;

    *service = (Service){.n = 0};
    daemon_start(&broker, NULL);
    for (int i = 0; i <= MODEST; i++)
        clients[i] = callers[i].client =
            open_with(broker.url, &(ferry_options){.timeout_ms = 600000});
    clients[1 + MODEST] = open_with(broker.url, NULL);
    CU_ASSERT_EQUAL(ferry_serve_method(clients[1 + MODEST], "fair.Calls.work", NULL, serve, service,
                                       NULL, NULL),
                    0);
    call(&callers[0], n_flood, "flood");
    for (int i = 1; i <= MODEST; i++)
        call(&callers[i], FEW, "modest");
    CU_ASSERT_TRUE(turn_all_until(clients, 2 + MODEST, &service->n, 1, PATIENCE_MS));
    CU_ASSERT_PTR_NOT_NULL_FATAL(service->held);
    CU_ASSERT_EQUAL(service->n, 1);
    ferry_request_return(service->held, ferry_str("\xc3"));

    CU_ASSERT_TRUE(turn_all_until(clients, 2 + MODEST, &callers[0].n_ended, n_flood, PATIENCE_MS));
    for (int i = 1; i <= MODEST; i++) {
        CU_ASSERT_TRUE(turn_all_until(clients, 2 + MODEST, &callers[i].n_ended, FEW, PATIENCE_MS));
        CU_ASSERT_EQUAL(callers[i].n_good, FEW);
    }
    n_refused = callers[0].n_refused;
    CU_ASSERT_EQUAL(callers[0].n_good + n_refused, n_flood);
    printf("\n    behind %d calls of one caller, %d calls of %d others: the last of them begins as "
           "call %d; %d refused",
           n_flood, service->n_modest, MODEST, service->last_modest, n_refused);
    for (int i = 0; i < 2 + MODEST; i++)
        ferry_close(clients[i]);
    daemon_end(&broker);
    return n_refused;
}

static void a_caller_with_many_calls_delays_only_itself(void) {
    Service service;

    CU_ASSERT_EQUAL(flood(5000, &service), 0);
    CU_ASSERT_EQUAL(service.n_modest, ALL_MODEST);
    /* Each round begins one call of each caller. */
    CU_ASSERT(service.last_modest <= (1 + MODEST) * FEW + 1);
}

static void a_flood_of_calls_fills_only_its_own_wait_queue(void) {
    Service service;

    CU_ASSERT(flood(MAX_WAITING + 2000, &service) >= 2000 - 1);
    CU_ASSERT_EQUAL(service.n_modest, ALL_MODEST);
    CU_ASSERT(service.last_modest <= (1 + MODEST) * FEW + 1);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_caller_with_many_calls_delays_only_itself),
        TEST(a_flood_of_calls_fills_only_its_own_wait_queue),
        TESTS_END,
    };

    return run_suite("fair shares", tests);
}
