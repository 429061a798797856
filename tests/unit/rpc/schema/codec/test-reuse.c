/* SPDX-License-Identifier: Apache-2.0 */
#include "base/block.h"
#include "rpc/schema/codec/codec.h"
#include "support/oom.h"
#include "support/suite.h"

#define SPAN(bytes) ((Span){(const uint8_t *)(bytes), sizeof(bytes) - 1})

static const ferry_type numbers_type = {
    .kind = FERRY_KIND_LIST, .size = sizeof(ferry_list_i32), .item = &ferry_type_i32};

static void fill(uint8_t *bytes, uint16_t n) {
    bytes[0] = 0xDC;
    bytes[1] = (uint8_t)(n >> 8);
    bytes[2] = (uint8_t)n;
    memset(bytes + 3, 7, n);
}

/* Unpacks a list of n sevens and frees it. */
static void unpack_numbers(void **spare, uint16_t n) {
    static uint8_t bytes[3 + UINT16_MAX];
    ferry_list_i32 *list = NULL;

    fill(bytes, n);
    CU_ASSERT_EQUAL_FATAL(
        schema_unpack_in(spare, &numbers_type, (Span){bytes, 3u + n}, "v", &list, NULL), 0);
    CU_ASSERT_PTR_NULL(*spare);
    CU_ASSERT_EQUAL(list->n, n);
    CU_ASSERT_EQUAL(list->v[n - 1], 7);
    schema_spare(spare, list);
}

static void the_second_value_allocates_nothing(void) {
    static const uint16_t sizes[] = {10, 1000, 10000};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        void *spare = NULL;

        /* Small integers take more memory than bytes, so the first value needs more chunks. */
        unpack_numbers(&spare, sizes[i]);
        unpack_numbers(&spare, sizes[i]);
        oom_plan(1);
        unpack_numbers(&spare, sizes[i]);
        unpack_numbers(&spare, 1);
        oom_stop();
        CU_ASSERT_FALSE(oom_happened());
        ferry_free(spare);
    }
}

static void kept_blocks_are_not_reused(void) {
    void *spare = NULL;
    char *first = NULL, *second = NULL;

    CU_ASSERT_EQUAL(
        schema_unpack_in(&spare, &ferry_type_string, SPAN("\xa3one"), "v", &first, NULL), 0);
    ferry_keep(first);
    schema_spare(&spare, first);
    CU_ASSERT_PTR_NULL(spare);
    CU_ASSERT_EQUAL(
        schema_unpack_in(&spare, &ferry_type_string, SPAN("\xa3two"), "v", &second, NULL), 0);
    CU_ASSERT_STRING_EQUAL(first, "one");
    ferry_free(first);
    ferry_free(second);
}

static void only_one_small_spare_is_kept(void) {
    void *spare = NULL;
    char *first = NULL, *second = NULL;

    schema_spare(&spare, NULL);
    CU_ASSERT_PTR_NULL(spare);
    CU_ASSERT_EQUAL(
        schema_unpack_in(&spare, &ferry_type_string, SPAN("\xa3one"), "v", &first, NULL), 0);
    CU_ASSERT_EQUAL(
        schema_unpack_in(&spare, &ferry_type_string, SPAN("\xa3two"), "v", &second, NULL), 0);
    schema_spare(&spare, first);
    CU_ASSERT_PTR_EQUAL(spare, first);
    schema_spare(&spare, second);
    CU_ASSERT_PTR_EQUAL(spare, first);
    spare = ferry_free(spare);

    unpack_numbers(&spare, 60000);
    CU_ASSERT_PTR_NULL(spare);
}

static void a_refused_value_frees_its_memory(void) {
    void *spare = NULL;
    char *text = NULL;

    CU_ASSERT_EQUAL(schema_unpack_in(&spare, &ferry_type_string, SPAN("\xa3one"), "v", &text, NULL),
                    0);
    schema_spare(&spare, text);
    CU_ASSERT_EQUAL(schema_unpack_in(&spare, &ferry_type_string, SPAN("\x05"), "v", &text, NULL),
                    -EINVAL);
    CU_ASSERT_PTR_NULL(spare);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(the_second_value_allocates_nothing),
        TEST(kept_blocks_are_not_reused),
        TEST(only_one_small_spare_is_kept),
        TEST(a_refused_value_frees_its_memory),
        TESTS_END,
    };

    return run_suite("rpc/schema reused memory", tests);
}
