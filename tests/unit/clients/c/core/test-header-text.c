/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/c/core/header-text.h"

#include "base/buffer.h"
#include "support/suite.h"

static HeaderText *text_of(const char *const *pairs, uint32_t n) {
    CLEANUP(buffer_deinit) Buffer map = {0};

    write_map(&map, n);
    for (uint32_t i = 0; i < 2 * n; i++)
        write_text(&map, pairs[i]);
    return header_text_new(span_of(map.data, map.len));
}

static void headers_are_found_by_name(void) {
    static const char *const pairs[] = {"a", "1", "empty", "", "traceparent", "00-1-2-01"};
    HeaderText *text = text_of(pairs, 3);

    CU_ASSERT_STRING_EQUAL(header_text_find(text, "a"), "1");
    CU_ASSERT_STRING_EQUAL(header_text_find(text, "empty"), "");
    CU_ASSERT_STRING_EQUAL(header_text_find(text, "traceparent"), "00-1-2-01");
    CU_ASSERT_PTR_NULL(header_text_find(text, "1"));
    CU_ASSERT_PTR_NULL(header_text_find(text, ""));
    free(text);
}

static void a_nul_inside_ends_a_text(void) {
    static const uint8_t map[] = {0x81, 0xA3, 'a', 0, 'b', 0xA3, '1', 0, '2'};
    HeaderText *text = header_text_new(span_of(map, sizeof(map)));

    CU_ASSERT_STRING_EQUAL(header_text_find(text, "a"), "1");
    free(text);
}

static void empty_headers_are_accepted(void) {
    HeaderText *text = header_text_new((Span){NULL, 0});

    CU_ASSERT_PTR_NULL(header_text_find(text, "a"));
    free(text);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(headers_are_found_by_name),
        TEST(a_nul_inside_ends_a_text),
        TEST(empty_headers_are_accepted),
        TESTS_END,
    };

    return run_suite("client header texts", tests);
}
