/* SPDX-License-Identifier: Apache-2.0 */
/* The store in Redis when Sentinel makes a replica the master, and when a Cluster moves its slot.
 */

#include "base/clock.h"
#include "unit/broker/stores/redis-life.h"

enum { PATIENCE_MS = 60000 /* only a hang takes that long */ };

static void until_answer(const RedisServer *at, const char *words, const char *answer) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;

    while (!strstr(redis_ask(at, words), answer) && clock_ms() < until_ms)
        usleep(20000);
    CU_ASSERT(clock_ms() < until_ms);
}

/* n pushes, with the ids from `first` on, are confirmed. */
static void push_some(Session *s, uint64_t first, uint64_t n) {
    for (uint64_t id = first; id < first + n; id++)
        push(s, id, "q", "x", NULL);
    until_sent(s, n);
    for (uint64_t id = first; id < first + n; id++)
        CU_ASSERT_NOT_EQUAL(expect_ok(s, id), 0);
}

static void the_store_follows_the_master(void) {
    RedisServer servers[2], sentinel;
    char words[100];
    Session *s;

    redis_start(&servers[0], NULL);
    redis_start(&servers[1], NULL);
    snprintf(words, sizeof(words), "REPLICAOF 127.0.0.1 %u", servers[0].port);
    redis_ask(&servers[1], words);
    redis_start_sentinel(&sentinel, &servers[0]);
    snprintf(url_of_servers, sizeof(url_of_servers), "redis+sentinel://127.0.0.1:%u/mymaster",
             sentinel.port);
    strcpy(url_more, "&wait=1");
    until_answer(&servers[0], "WAIT 1 100", ":1");
    new_place();
    begin();
    s = fake_connect(&broker, 's');
    push_some(s, 1, 20);
    until_answer(&sentinel, "SENTINEL FAILOVER mymaster", "+OK");
    until_answer(&servers[1], "ROLE", "*3");
    push_some(s, 21, 20);
    stop();
    server = servers[1];
    CU_ASSERT_EQUAL(jobs_in_redis(), 40);
    begin();
    CU_ASSERT_EQUAL(count_of("q", "ready"), 40);
    stop();
    *url_more = '\0';
    redis_stop(&servers[0]);
    redis_stop(&servers[1]);
    redis_stop(&sentinel);
}

static const char *const suffixes[] = {"",        ":segments", ":order", ":ended",
                                       ":pushes", ":notes",    ":keys"};

static void migrate(const RedisServer *from, const RedisServer *to, const char *suffix) {
    char words[200];

    snprintf(words, sizeof(words), "MIGRATE 127.0.0.1 %u ferry:{place%d}%s 0 5000", to->port,
             n_places, suffix);
    redis_ask(from, words);
}

static void set_slot(const RedisServer *at, int slot, const char *state, const char *node) {
    char words[200];

    snprintf(words, sizeof(words), "CLUSTER SETSLOT %d %s %s", slot, state, node);
    CU_ASSERT_EQUAL(strncmp(redis_ask(at, words), "+OK", 3), 0);
}

static void the_store_waits_while_a_cluster_moves_its_slot(void) {
    RedisServer servers[2];
    char words[100], ids[2][41];
    int slot, from, to;
    Session *s;

    redis_start_cluster(servers, 2);
    for (int i = 0; i < 2; i++)
        snprintf(ids[i], sizeof(ids[i]), "%040d", i + 1);
    snprintf(url_of_servers, sizeof(url_of_servers), "redis+cluster://127.0.0.1:%u,127.0.0.1:%u",
             servers[0].port, servers[1].port);
    new_place();
    snprintf(words, sizeof(words), "CLUSTER KEYSLOT place%d", n_places);
    slot = atoi(redis_ask(&servers[0], words) + 1);
    from = slot < 8192 ? 0 : 1;
    to = 1 - from;
    begin();
    s = fake_connect(&broker, 's');
    push_some(s, 1, 10);
    set_slot(&servers[to], slot, "IMPORTING", ids[from]);
    set_slot(&servers[from], slot, "MIGRATING", ids[to]);
    migrate(&servers[from], &servers[to], "");
    push(s, 11, "q", "x", NULL);
    for (int i = 0; i < 2000 && !queues_degraded(queues); i++)
        turn(10);
    CU_ASSERT_PTR_NOT_NULL(queues_degraded(queues));
    expect_nothing(s);
    for (size_t i = 1; i < sizeof(suffixes) / sizeof(*suffixes); i++)
        migrate(&servers[from], &servers[to], suffixes[i]);
    set_slot(&servers[to], slot, "NODE", ids[to]);
    set_slot(&servers[from], slot, "NODE", ids[to]);
    until_sent(s, 1);
    CU_ASSERT_NOT_EQUAL(expect_ok(s, 11), 0);
    for (int i = 0; i < 2000 && queues_degraded(queues); i++)
        turn(10);
    push_some(s, 12, 9);
    stop();
    server = servers[to];
    CU_ASSERT_EQUAL(jobs_in_redis(), 20);
    begin();
    CU_ASSERT_EQUAL(count_of("q", "ready"), 20);
    stop();
    redis_stop(&servers[0]);
    redis_stop(&servers[1]);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(the_store_follows_the_master),
        TEST(the_store_waits_while_a_cluster_moves_its_slot),
        TESTS_END,
    };

    if (!redis_available())
        return EXIT_SKIPPED;
    log_level = LOG_LEVEL_ERROR;
    return run_suite("broker stores: Redis, failover", tests);
}
