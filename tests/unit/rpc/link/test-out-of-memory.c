/* SPDX-License-Identifier: Apache-2.0 */
/* A client or a hub whose n-th allocation fails, for each n. The client has a broker on a thread of
 * its own. */

#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "mini-broker.h"
#include "support/oom.h"
#include "support/suite.h"

enum { PATIENCE_MS = 60000, LARGE = 300000 };

static MiniBroker broker;
static int is_over; /* atomic */

static void *run_broker(void *arg) {
    (void)arg;
    while (!__atomic_load_n(&is_over, __ATOMIC_ACQUIRE))
        mini_turn(&broker, NULL);
    return NULL;
}

/* Runs turns until *n >= wanted, or until the connection is lost. */
static bool turn_until(MiniClient *client, const unsigned *n, unsigned wanted) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;
    unsigned n_down = client->n_down;

    while (*n < wanted && client->n_down == n_down && clock_ms() < until_ms) {
        link_process(client->link, 1000, clock_ms());
        link_flush(client->link);
        link_wait(&client->link, 1, -1, clock_ms() + 20);
    }
    return *n >= wanted;
}

/* Connects and calls with the n-th allocation failing, then once more. False: fewer than n
 * allocations were made. */
static bool survives(unsigned n) {
    static uint8_t body[LARGE];
    MiniClient client = {0};
    Message call = {.op = OP_CALL, .id = 3, .name = span_text("a"), .call.method = span_text("b")};
    LinkHandlers handlers = mini_handlers(&client);
    ferry_error error = FERRY_ERROR_INIT;
    bool failed;

    memset(body, 3, LARGE);
    call.body = span_of(body, LARGE);
    oom_plan(n);
    if (link_new(&client.link, broker.endpoint, "mini", &handlers, &error) < 0) {
        oom_stop();
        CU_ASSERT_STRING_EQUAL(error.type, "ferry.OutOfMemory");
        ferry_error_clear(&error);
        return true;
    }
    CU_ASSERT_TRUE(turn_until(&client, &client.n_up, 1));
    if (link_put(client.link, LANE_CALLS, &call, NULL) == 0)
        turn_until(&client, &client.n_messages, 1);
    failed = oom_happened();
    oom_stop();
    /* If the body did not fit into memory, the message arrives without a body. */
    client.n_messages = 0;
    CU_ASSERT_TRUE(turn_until(&client, &client.n_up, client.n_down + 1));
    CU_ASSERT_EQUAL(link_put(client.link, LANE_CALLS, &call, NULL), 0);
    CU_ASSERT_TRUE(turn_until(&client, &client.n_messages, 1));
    CU_ASSERT_EQUAL(client.last_len, LARGE);
    CU_ASSERT_EQUAL(client.n_wrong, 0);
    mini_client_close(&client);
    return failed;
}

static void each_allocation_may_fail_once(void) {
    pthread_t thread;
    unsigned n = 1;

    mini_broker_open(&broker, "tcp://127.0.0.1:*");
    pthread_create(&thread, NULL, run_broker, NULL);
    while (n < 1000 && survives(n))
        n++;
    printf("(%u allocations) ", n - 1);
    CU_ASSERT(n > 5 && n < 1000);
    __atomic_store_n(&is_over, 1, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    mini_broker_close(&broker);
}

static int n_threads(void) {
    DIR *folder = opendir("/proc/self/task");
    int n = 0;

    CU_ASSERT_PTR_NOT_NULL_FATAL(folder);
    for (const struct dirent *entry; (entry = readdir(folder));)
        n += *entry->d_name != '.';
    closedir(folder);
    return n;
}

/* The kernel may list a thread for a moment after it was joined. */
static bool has_threads(int n) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;

    while (n_threads() != n && clock_ms() < until_ms)
        usleep(1000);
    return n_threads() == n;
}

/* All hubs with beats share the thread of the heartbeats. */
static void a_hub_that_was_not_made_leaves_the_heartbeats_to_the_next(void) {
    const HubOptions options = {.beats = true};
    Hub *hub = NULL;
    int n_before;

    /* ThreadSanitizer starts a thread of its own beside the first one. */
    CU_ASSERT_EQUAL_FATAL(hub_new(&hub, &options, NULL), 0);
    n_before = n_threads() - 1;
    hub_free(hub);
    OOM_EACH(n) {
        int r = hub_new(&hub, &options, NULL);

        OOM_STOP;
        CU_ASSERT_EQUAL(r, oom_happened() ? -ENOMEM : 0);
        if (r == 0)
            hub_free(hub);
    }
    CU_ASSERT_TRUE(has_threads(n_before));
    CU_ASSERT_EQUAL_FATAL(hub_new(&hub, &options, NULL), 0);
    CU_ASSERT_TRUE(has_threads(n_before + 1));
    hub_free(hub);
    CU_ASSERT_TRUE(has_threads(n_before));
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_hub_that_was_not_made_leaves_the_heartbeats_to_the_next),
        TEST(each_allocation_may_fail_once),
        TESTS_END,
    };

    return run_suite("rpc/link out of memory", tests);
}
