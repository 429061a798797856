/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/memory/memory.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "support/suite.h"

static uint8_t bytes[1 << 20];

static Span span(const char *text) {
    return (Span){(const uint8_t *)text, strlen(text)};
}

static int put(Memory *memory, const char *key, size_t len, uint64_t expires_ms, uint64_t now_ms) {
    MemoryPut p = {.key = span(key), .body = {bytes, len}, .expires_ms = expires_ms};

    return memory_put(memory, &p, memory_hash(p.key), now_ms);
}

static bool has(Memory *memory, const char *key, uint64_t now_ms) {
    ferry_bytes *got = NULL;
    int r = memory_get(memory, span(key), memory_hash(span(key)), now_ms, &got);

    ferry_free(got);
    return r == MEMORY_FOUND;
}

static void bytes_never_exceed_the_limit(void) {
    CLEANUP(memory_free) Memory *memory = NULL;
    MemoryStats stats;
    char key[32];

    CU_ASSERT_EQUAL_FATAL(memory_new(&memory, 1024 * 1024), 0);
    for (int i = 0; i < 20000; i++) {
        snprintf(key, sizeof(key), "k%u", (unsigned)random_below(5000));
        put(memory, key, random_below(3000), 0, 0);
        if (i % 100 == 0) {
            memory_stats(memory, &stats);
            CU_ASSERT_TRUE(stats.bytes <= stats.max_bytes);
        }
    }
    memory_stats(memory, &stats);
    CU_ASSERT_TRUE(stats.evictions > 1000);
    CU_ASSERT_TRUE(stats.bytes > stats.max_bytes * 9 / 10);
    memory_clear(memory, (Span){NULL, 0});
    memory_stats(memory, &stats);
    CU_ASSERT_EQUAL(stats.bytes, 0);
    CU_ASSERT_EQUAL(stats.entries, 0);
}

static void a_too_large_value_is_refused_and_removes_the_old_value(void) {
    CLEANUP(memory_free) Memory *memory = NULL;

    memory_new(&memory, 64 * 1024);
    CU_ASSERT_EQUAL(put(memory, "a", 10, 0, 0), 0);
    CU_ASSERT_EQUAL(put(memory, "a", 64 * 1024, 0, 0), -EMSGSIZE);
    CU_ASSERT_FALSE(has(memory, "a", 0));
    CU_ASSERT_EQUAL(put(memory, "a", 60 * 1024, 0, 0), 0);
    CU_ASSERT_TRUE(has(memory, "a", 0));
}

static void time_ends_entries_to_the_millisecond(void) {
    CLEANUP(memory_free) Memory *memory = NULL;
    MemoryStats stats;
    uint64_t left;

    memory_new(&memory, 64 * 1024);
    put(memory, "a", 1, 100, 0);
    CU_ASSERT_TRUE(has(memory, "a", 99));
    CU_ASSERT_EQUAL(memory_ttl(memory, span("a"), memory_hash(span("a")), 60, &left), MEMORY_FOUND);
    CU_ASSERT_EQUAL(left, 40);
    CU_ASSERT_FALSE(has(memory, "a", 100));
    memory_stats(memory, &stats);
    CU_ASSERT_EQUAL(stats.expirations, 1);
    CU_ASSERT_EQUAL(stats.entries, 0);
}

static void expired_entries_are_removed_without_a_look_up(void) {
    CLEANUP(memory_free) Memory *memory = NULL;
    MemoryStats stats;
    char key[32];

    memory_new(&memory, 8 * 1024 * 1024);
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        put(memory, key, 10, 100, 0);
    }
    for (int i = 0; i < 2000; i++)
        put(memory, "other", 10, 0, 200);
    memory_stats(memory, &stats);
    CU_ASSERT_EQUAL(stats.entries, 1);
}

static void read_entries_outlive_a_scan(void) {
    CLEANUP(memory_free) Memory *memory = NULL;
    char key[32];
    int kept = 0;

    memory_new(&memory, 256 * 1024);
    for (int i = 0; i < 50; i++) {
        snprintf(key, sizeof(key), "hot%d", i);
        put(memory, key, 500, 0, 0);
        has(memory, key, 0);
        has(memory, key, 0);
    }
    /* A scan of ten times the memory. */
    for (int i = 0; i < 5000; i++) {
        snprintf(key, sizeof(key), "once%d", i);
        put(memory, key, 500, 0, 0);
        if (i % 20 == 0)
            for (int h = 0; h < 50; h++) {
                snprintf(key, sizeof(key), "hot%d", h);
                has(memory, key, 0);
            }
    }
    for (int i = 0; i < 50; i++) {
        snprintf(key, sizeof(key), "hot%d", i);
        kept += has(memory, key, 0);
    }
    CU_ASSERT_EQUAL(kept, 50);
}

static void modes_and_expectations_are_kept(void) {
    CLEANUP(memory_free) Memory *memory = NULL;
    MemoryPut p = {.key = span("k"), .head = span("head"), .body = span("body")};
    uint64_t hash = memory_hash(p.key);

    memory_new(&memory, 64 * 1024);
    p.mode = MEMORY_REPLACE;
    CU_ASSERT_EQUAL(memory_put(memory, &p, hash, 0), -ENOENT);
    p.mode = MEMORY_ADD;
    CU_ASSERT_EQUAL(memory_put(memory, &p, hash, 0), 0);
    CU_ASSERT_EQUAL(memory_put(memory, &p, hash, 0), -EEXIST);
    p.mode = MEMORY_REPLACE;
    p.expect = span("other");
    CU_ASSERT_EQUAL(memory_put(memory, &p, hash, 0), -EEXIST);
    p.expect = span("headbodyX");
    CU_ASSERT_EQUAL(memory_put(memory, &p, hash, 0), -EEXIST);
    p.expect = span("head");
    CU_ASSERT_EQUAL(memory_put(memory, &p, hash, 0), 0);
}

static void a_large_value_outlives_its_entry(void) {
    CLEANUP(memory_free) Memory *memory = NULL;
    ferry_bytes *got = NULL;

    memory_new(&memory, 1024 * 1024);
    memset(bytes, 'x', 5000);
    put(memory, "a", 5000, 0, 0);
    CU_ASSERT_EQUAL_FATAL(memory_get(memory, span("a"), memory_hash(span("a")), 0, &got),
                          MEMORY_FOUND);
    memory = memory_free(memory);
    CU_ASSERT_EQUAL(memcmp(got->data, bytes, 5000), 0);
    ferry_free(got);
}

static void *hammer(void *arg) {
    char key[32];

    for (int i = 0; i < 20000; i++) {
        snprintf(key, sizeof(key), "k%u", (unsigned)random_below(300));
        switch (random_below(4)) {
        case 0:
            put(arg, key, random_below(2000), random_below(3), 1);
            break;
        case 1:
            memory_delete(arg, span(key), memory_hash(span(key)), 1);
            break;
        default:
            has(arg, key, 1);
        }
    }
    return NULL;
}

static void threads_do_not_disturb_each_other(void) {
    CLEANUP(memory_free) Memory *memory = NULL;
    pthread_t threads[4];
    MemoryStats stats;

    memory_new(&memory, 128 * 1024);
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, hammer, memory);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    memory_stats(memory, &stats);
    CU_ASSERT_TRUE(stats.bytes <= stats.max_bytes);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(bytes_never_exceed_the_limit),
        TEST(a_too_large_value_is_refused_and_removes_the_old_value),
        TEST(time_ends_entries_to_the_millisecond),
        TEST(expired_entries_are_removed_without_a_look_up),
        TEST(read_entries_outlive_a_scan),
        TEST(modes_and_expectations_are_kept),
        TEST(a_large_value_outlives_its_entry),
        TEST(threads_do_not_disturb_each_other),
        TESTS_END,
    };

    return run_suite("cache memory", tests);
}
