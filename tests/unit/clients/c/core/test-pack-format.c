/* SPDX-License-Identifier: Apache-2.0 */
#include <ferry/pack.h>

#include "clients/c/core/pack-format.h"

#include "base/cleanup.h"
#include "support/suite.h"

static int pack(Buffer *to, const char *format, ...) {
    va_list args;
    int r;

    buffer_reset(to);
    va_start(args, format);
    r = format_pack(to, format, args, NULL);
    va_end(args);
    return r;
}

static bool is(const Buffer *buffer, const char *bytes, size_t len) {
    return buffer->len == len && memcmp(buffer->data, bytes, len) == 0;
}

#define IS(buffer, text) CU_ASSERT_TRUE(is(&(buffer), text, sizeof(text) - 1))

static void arguments_become_a_list(void) {
    CLEANUP(buffer_deinit) Buffer out = {0};

    CU_ASSERT_EQUAL(pack(&out, ""), 0);
    IS(out, "\x90");
    CU_ASSERT_EQUAL(pack(&out, "ii", 2, -1), 0);
    IS(out, "\x92\x02\xff");
    CU_ASSERT_EQUAL(pack(&out, "[ii]", 2, 3), 0);
    IS(out, "\x91\x92\x02\x03");
    CU_ASSERT_EQUAL(pack(&out, "bnlu", 1, (int64_t)-33, (uint64_t)200), 0);
    IS(out, "\x94\xc3\xc0\xd0\xdf\xcc\xc8");
    CU_ASSERT_EQUAL(pack(&out, "{sisb}", "a", 1, "b", 0), 0);
    IS(out, "\x91\x82\xa1"
            "a\x01\xa1"
            "b\xc2");
    CU_ASSERT_EQUAL(pack(&out, "y", ferry_str("xy")), 0);
    IS(out, "\x91\xc4\x02xy");
}

static void what_is_packed_is_unpacked(void) {
    CLEANUP(buffer_deinit) Buffer out = {0};
    int32_t i = 0;
    int64_t l = 0;
    uint64_t u = 0;
    double d = 0;
    int b = 0;
    char *s = NULL;
    ferry_bytes y = {NULL, 0, NULL}, body;

    CU_ASSERT_EQUAL(
        pack(&out, "bilud[sy]n", 1, -5, INT64_MIN, UINT64_MAX, 0.5, "text", ferry_str("raw")), 0);
    body = ferry_bytes_of(out.data, out.len);
    CU_ASSERT_EQUAL(ferry_unpack(body, NULL, "bilud[sy]n", &b, &i, &l, &u, &d, &s, &y), 0);
    CU_ASSERT_TRUE(b == 1 && i == -5 && l == INT64_MIN && u == UINT64_MAX && d == 0.5);
    CU_ASSERT_STRING_EQUAL(s, "text");
    CU_ASSERT_EQUAL(y.len, 3);
    ferry_free(s);
}

static void keys_are_found_in_any_order(void) {
    CLEANUP(buffer_deinit) Buffer out = {0};
    int32_t low = 0, high = 0;
    ferry_bytes map;

    CU_ASSERT_EQUAL(pack(&out, "{sisnsi}", "high", 9, "other", "low", 3), 0);
    map = ferry_bytes_of(out.data + 1, out.len - 1);
    CU_ASSERT_EQUAL(ferry_unpack(map, NULL, "{sisi}", "low", &low, "high", &high), 0);
    CU_ASSERT_TRUE(low == 3 && high == 9);
    CU_ASSERT_EQUAL(ferry_unpack(map, NULL, "{si}", "none", &low), -EPROTO);
}

static void other_values_are_told_apart(void) {
    static const struct {
        const char *format, *bytes;
        size_t len;
        int code;
    } cases[] = {
        {"i", "\xa1x", 2, -EPROTO},
        {"i", "\xce\xff\xff\xff\xff", 5, -EPROTO},
        {"i", "\x01\x02", 2, -EPROTO},
        {"[ii]", "\x91\x01", 2, -EPROTO},
        {"ii", "\x93\x01\x02\x03", 4, -EPROTO},
        {"i", "", 0, -EPROTO},
        {"q", "\x01", 1, -EINVAL},
        {"[i", "\x91\x01", 2, -EINVAL},
        {"i]", "\x01", 1, -EINVAL},
        {"", "\x01", 1, -EINVAL},
        {"{i}", "\x80", 1, -EINVAL},
        {"n", "\x01", 1, -EPROTO},
        {"i", "\xd2\x00", 2, -EPROTO},
        {"s", "\xa2\x00x", 3, -EPROTO}, /* a char * would end too early */
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        int32_t a, b;

        CU_ASSERT_EQUAL(ferry_unpack(ferry_bytes_of(cases[i].bytes, cases[i].len), NULL,
                                     cases[i].format, &a, &b),
                        cases[i].code);
    }
}

static void bad_formats_are_refused(void) {
    CLEANUP(buffer_deinit) Buffer out = {0};

    CU_ASSERT_EQUAL(pack(&out, "x"), -EINVAL);
    CU_ASSERT_EQUAL(pack(&out, "[i", 1), -EINVAL);
    CU_ASSERT_EQUAL(pack(&out, "[i}", 1), -EINVAL);
    CU_ASSERT_EQUAL(pack(&out, "{is}", 1, "a"), -EINVAL);
    CU_ASSERT_EQUAL(pack(&out, "{s}", "a"), -EINVAL);
    CU_ASSERT_EQUAL(pack(&out, "s", NULL), -EINVAL);
    CU_ASSERT_EQUAL(pack(&out, "s", "\xff"), -EINVAL);
    CU_ASSERT_EQUAL(
        pack(&out, "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"),
        -EINVAL);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(arguments_become_a_list),     TEST(what_is_packed_is_unpacked),
        TEST(keys_are_found_in_any_order), TEST(other_values_are_told_apart),
        TEST(bad_formats_are_refused),     TESTS_END,
    };

    return run_suite("client formats", tests);
}
