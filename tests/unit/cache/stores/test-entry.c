/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/stores/entry.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cache/connection/number.h"
#include "support/suite.h"

static void a_written_header_is_read_back(void) {
    uint8_t bytes[ENTRY_HEADER_MAX + 5];
    CacheEntry entry = {
        .kind = ENTRY_COMPUTED, .fresh_until_ms = 123456789012, .took_us = 77, .nonce = 0xDEADBEEF};
    CacheEntry read;
    size_t len;

    CU_ASSERT_EQUAL(entry_parse_tags("users,user:7", &entry), 0);
    entry.tags[0].stamp = 1;
    entry.tags[1].stamp = UINT64_MAX;
    len = entry_write_header(&entry, bytes);
    memcpy(bytes + len, "value", 5);
    entry_read((Span){bytes, len + 5}, &read);
    CU_ASSERT_EQUAL(read.kind, ENTRY_COMPUTED);
    CU_ASSERT_EQUAL(read.fresh_until_ms, 123456789012);
    CU_ASSERT_EQUAL(read.took_us, 77);
    CU_ASSERT_EQUAL(read.n_tags, 2);
    CU_ASSERT_TRUE(span_is(read.tags[1].name, "user:7"));
    CU_ASSERT_EQUAL(read.tags[1].stamp, UINT64_MAX);
    CU_ASSERT_TRUE(span_is(read.value, "value"));
    CU_ASSERT_EQUAL(read.header.len, len);
    /* One bit changed, or one byte less: then it is a value like any other. */
    for (size_t i = 0; i < len; i++) {
        bytes[i] ^= 0x10;
        entry_read((Span){bytes, len + 5}, &read);
        CU_ASSERT_EQUAL(read.kind, ENTRY_RAW);
        CU_ASSERT_EQUAL(read.value.len, len + 5);
        bytes[i] ^= 0x10;
        entry_read((Span){bytes, i}, &read);
        CU_ASSERT_EQUAL(read.kind, ENTRY_RAW);
    }
}

static void the_largest_header_fits(void) {
    uint8_t bytes[ENTRY_HEADER_MAX];
    char text[FERRY_CACHE_TAGS_MAX * (FERRY_CACHE_TAG_MAX + 1)];
    CacheEntry entry = {.kind = ENTRY_PLAIN}, read;

    memset(text, 't', sizeof(text));
    for (int i = 1; i < FERRY_CACHE_TAGS_MAX; i++)
        text[i * (FERRY_CACHE_TAG_MAX + 1) - 1] = ',';
    text[sizeof(text) - 1] = '\0';
    CU_ASSERT_EQUAL_FATAL(entry_parse_tags(text, &entry), 0);
    CU_ASSERT_EQUAL(entry.n_tags, FERRY_CACHE_TAGS_MAX);
    CU_ASSERT_EQUAL(entry_write_header(&entry, bytes), ENTRY_HEADER_MAX);
    entry_read((Span){bytes, sizeof(bytes)}, &read);
    CU_ASSERT_EQUAL(read.n_tags, FERRY_CACHE_TAGS_MAX);
}

static void malformed_tags_are_refused(void) {
    static const char *const bad[] = {
        ",", "a,", ",a", "a,,b", "a\n", "\x7f", "1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7"};
    char long_one[FERRY_CACHE_TAG_MAX + 2];
    CacheEntry entry;

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        CU_ASSERT_EQUAL(entry_parse_tags(bad[i], &entry), -EINVAL);
    memset(long_one, 'x', sizeof(long_one));
    long_one[FERRY_CACHE_TAG_MAX + 1] = '\0';
    CU_ASSERT_EQUAL(entry_parse_tags(long_one, &entry), -EINVAL);
    long_one[FERRY_CACHE_TAG_MAX] = '\0';
    CU_ASSERT_EQUAL(entry_parse_tags(long_one, &entry), 0);
    CU_ASSERT_EQUAL(entry_parse_tags(NULL, &entry), 0);
    CU_ASSERT_EQUAL(entry.n_tags, 0);
}

static void early_comes_nearer_to_the_end_and_with_the_cost(void) {
    CacheEntry entry = {.kind = ENTRY_COMPUTED, .fresh_until_ms = 10000, .took_us = 100000};

    CU_ASSERT_FALSE(entry_is_early(&entry, 9000, 0.5));
    CU_ASSERT_TRUE(entry_is_early(&entry, 9950, 0.5));
    CU_ASSERT_TRUE(entry_is_early(&entry, 9000, 1e-5));
    CU_ASSERT_FALSE(entry_is_early(&entry, 9950, 1.0));
    entry.took_us = 0;
    CU_ASSERT_FALSE(entry_is_early(&entry, 9999, 1e-9));
    entry.fresh_until_ms = 0;
    CU_ASSERT_FALSE(entry_is_early(&entry, 9999, 1e-9));
}

static void numbers_and_stamps_are_read_strictly(void) {
    static const char *const bad[] = {"",
                                      "-",
                                      "+1",
                                      "01",
                                      "-0",
                                      "1 ",
                                      " 1",
                                      "1x",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "99999999999999999999"};
    uint8_t stamp[STAMP_BYTES];
    int64_t value;

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        CU_ASSERT_EQUAL(number_parse((Span){(const uint8_t *)bad[i], strlen(bad[i])}, &value),
                        -EINVAL);
    CU_ASSERT_EQUAL(number_parse((Span){(const uint8_t *)"-9223372036854775808", 20}, &value), 0);
    CU_ASSERT_EQUAL(value, INT64_MIN);
    stamp_format(UINT64_C(0x0123456789abcdef), stamp);
    CU_ASSERT_EQUAL(memcmp(stamp, "0123456789abcdef", 16), 0);
    CU_ASSERT_EQUAL(stamp_parse((Span){stamp, 16}), UINT64_C(0x0123456789abcdef));
    CU_ASSERT_EQUAL(stamp_parse((Span){stamp, 15}), 0);
    stamp[3] = 'G';
    CU_ASSERT_EQUAL(stamp_parse((Span){stamp, 16}), 0);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_written_header_is_read_back),
        TEST(the_largest_header_fits),
        TEST(malformed_tags_are_refused),
        TEST(early_comes_nearer_to_the_end_and_with_the_cost),
        TEST(numbers_and_stamps_are_read_strictly),
        TESTS_END,
    };

    return run_suite("cache entries", tests);
}
