/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/c/pools/pool.h"

#include "support/oom.h"
#include "support/suite.h"

static void pauses_double_up_to_a_bound(void) {
    unsigned failures = 0;
    uint64_t last_ms = POOL_PAUSE_MS / 2;

    for (int i = 0; i < 6; i++) {
        uint64_t pause_ms = pool_pause_ms(&failures, 0);

        CU_ASSERT_EQUAL(pause_ms, 2 * last_ms);
        last_ms = pause_ms;
    }
    for (int i = 0; i < 100; i++)
        last_ms = pool_pause_ms(&failures, POOL_SETTLED_MS - 1);
    CU_ASSERT_EQUAL(last_ms, POOL_PAUSE_MAX_MS);
}

static void a_child_that_ran_long_is_replaced_at_once(void) {
    unsigned failures = 5;

    CU_ASSERT_EQUAL(pool_pause_ms(&failures, POOL_SETTLED_MS), 0);
    CU_ASSERT_EQUAL(pool_pause_ms(&failures, 0), POOL_PAUSE_MS);
}

static void options_are_copied(void) {
    char url[] = "tcp://127.0.0.1:1", name[] = "n", instance[] = "i", key[] = "k", value[] = "v";
    char key_file[] = "f", server_key[] = "s";
    ferry_header headers[] = {{key, value}};
    ferry_interceptor interceptor = {.ctx = name};
    ferry_options client = {.name = name,
                            .instance = instance,
                            .n_headers = 1,
                            .headers = headers,
                            .interceptor = &interceptor,
                            .key_file = key_file,
                            .server_key = server_key};
    ferry_pool_options options = {.n = 2, .url = url, .client = &client};
    ferry_pool *pool = NULL;

    CU_ASSERT_EQUAL(ferry_pool_open(&options, &pool, NULL), 0);
    url[0] = name[0] = instance[0] = key[0] = value[0] = key_file[0] = server_key[0] = 'x';
    interceptor = (ferry_interceptor){.ctx = NULL};
    headers[0] = (ferry_header){NULL, NULL};
    client = (ferry_options){.timeout_ms = 1};
    CU_ASSERT_EQUAL(pool->n, 2);
    CU_ASSERT_STRING_EQUAL(pool->url, "tcp://127.0.0.1:1");
    CU_ASSERT_STRING_EQUAL(pool->client.name, "n");
    CU_ASSERT_STRING_EQUAL(pool->client.instance, "i");
    CU_ASSERT_EQUAL(pool->client.timeout_ms, 0);
    CU_ASSERT_STRING_EQUAL(pool->client.headers[0].name, "k");
    CU_ASSERT_STRING_EQUAL(pool->client.headers[0].value, "v");
    CU_ASSERT_STRING_EQUAL(pool->client.key_file, "f");
    CU_ASSERT_STRING_EQUAL(pool->client.server_key, "s");
    CU_ASSERT_PTR_EQUAL(pool->client.interceptor->ctx, name);
    ferry_pool_close(pool);

    /* One for each processor. */
    CU_ASSERT_EQUAL(ferry_pool_open(NULL, &pool, NULL), 0);
    CU_ASSERT_TRUE(pool->n >= 1);
    CU_ASSERT_PTR_NULL(pool->url);
    ferry_pool_close(pool);
}

static void out_of_memory_is_reported(void) {
    OOM_EACH(n) {
        ferry_error error = FERRY_ERROR_INIT;
        ferry_pool *pool = NULL;
        int r = ferry_pool_open(NULL, &pool, &error);

        OOM_STOP;
        CU_ASSERT_TRUE(r == 0 || (oom_happened() && r == -ENOMEM && !pool));
        ferry_pool_close(pool);
        ferry_error_clear(&error);
    }
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(pauses_double_up_to_a_bound),
        TEST(a_child_that_ran_long_is_replaced_at_once),
        TEST(options_are_copied),
        TEST(out_of_memory_is_reported),
        TESTS_END,
    };

    return run_suite("client pools", tests);
}
