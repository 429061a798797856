/* SPDX-License-Identifier: Apache-2.0 */

/* A broker that is killed and started again: it must not mistake what clients have from its earlier
 * life for something of its next life. */

#include <errno.h>
#include <stdlib.h>

#include "support/broker.h"
#include "support/faults.h"
#include "support/suite.h"

static TestBroker broker;

typedef struct Kept {
    ferry_job *jobs[4];
    int n;
} Kept;

static int keep(ferry_job *job, void *ctx) {
    Kept *kept = ctx;

    CU_ASSERT_TRUE_FATAL(kept->n < 4);
    kept->jobs[kept->n++] = ferry_job_defer(job);
    return 0;
}

static void push(const char *body) {
    ferry_client *client = connect_client(&broker);

    CU_ASSERT_EQUAL(ferry_push(client, "lives", ferry_str(body), NULL, NULL), 0);
    ferry_close(client);
}

/* The broker keeps jobs in memory: the old job is lost with it. Its number must not return. */
static void a_job_of_an_earlier_life_does_not_settle_one_of_this_life(void) {
    ferry_client *worker = connect_client(&broker);
    Kept kept = {0};

    CU_ASSERT_EQUAL(
        ferry_work(worker, "lives", &(ferry_work_options){.slots = 4}, keep, &kept, NULL, NULL), 0);
    push("old");
    CU_ASSERT_TRUE_FATAL(process_until(worker, &kept.n, 1));
    CU_ASSERT_FALSE(ferry_job_lost(kept.jobs[0]));

    broker_kill(&broker);
    broker_respawn(&broker);
    push("new");
    CU_ASSERT_TRUE_FATAL(process_until(worker, &kept.n, 2));
    CU_ASSERT_STRING_NOT_EQUAL(kept.jobs[0]->id, kept.jobs[1]->id);
    CU_ASSERT_TRUE(ferry_job_lost(kept.jobs[0]));
    CU_ASSERT_EQUAL(ferry_job_extend(kept.jobs[0], 1000), -ESTALE);
    CU_ASSERT_EQUAL(ferry_job_ack(kept.jobs[0]), -ESTALE);

    CU_ASSERT_FALSE(ferry_job_lost(kept.jobs[1]));
    CU_ASSERT_EQUAL(ferry_job_retry(kept.jobs[1], 1, NULL), 0);
    CU_ASSERT_TRUE_FATAL(process_until(worker, &kept.n, 3));
    CU_ASSERT_EQUAL(kept.jobs[2]->attempt, 2);
    CU_ASSERT_EQUAL(kept.jobs[2]->body.len, 3);
    CU_ASSERT_EQUAL(ferry_job_ack(kept.jobs[2]), 0);
    ferry_close(worker);
}

static uint64_t epoch(void) {
    ferry_client *client = connect_client(&broker);
    uint64_t n = broker_stat(client, "epoch");

    ferry_close(client);
    return n;
}

/* Several starts fall into one second. */
static void each_life_has_a_higher_epoch(void) {
    uint64_t last = epoch();

    for (int i = 0; i < 5; i++) {
        uint64_t now;

        broker_kill(&broker);
        broker_respawn(&broker);
        now = epoch();
        CU_ASSERT_NOT_EQUAL(now, UINT64_MAX);
        CU_ASSERT_TRUE(now > last);
        last = now;
    }
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_job_of_an_earlier_life_does_not_settle_one_of_this_life),
        TEST(each_life_has_a_higher_epoch),
        TESTS_END,
    };
    int status;

    broker_spawn(&broker);
    status = run_suite("client: lives of a broker", tests);
    broker_terminate(&broker);
    return status;
}
