/* SPDX-License-Identifier: Apache-2.0 */
#include <ferry/pack.h>

#include <string.h>

#include "rpc/wire/reader.h"
#include "support/suite.h"

static bool packed_is(const ferry_packer *packer, const char *bytes, size_t len) {
    ferry_bytes packed = ferry_packer_bytes(packer);

    return packed.len == len && memcmp(packed.data, bytes, len) == 0;
}

static void each_type_is_packed_in_its_shortest_form(void) {
    FERRY_AUTO(ferry_packer_close) ferry_packer *packer = ferry_packer_new();
    static const char bytes[] =
        "\x98\xc0\xc3\xff\xcd\x01\x00\xa2hi\xc4\x02\x00\x01\x81\x01\xc2\xc0";

    ferry_pack_array(packer, 8);
    ferry_pack_nil(packer);
    ferry_pack_bool(packer, true);
    ferry_pack_int(packer, -1);
    ferry_pack_uint(packer, 256);
    ferry_pack_str(packer, "hi");
    ferry_pack_bin(packer, "\0\1", 2);
    ferry_pack_map(packer, 1);
    ferry_pack_int(packer, 1);
    ferry_pack_bool(packer, false);
    CU_ASSERT_EQUAL(ferry_packer_error(packer), -EINVAL); /* one is missing */
    CU_ASSERT_EQUAL(ferry_packer_bytes(packer).len, 0);
    ferry_pack_str(packer, NULL);
    CU_ASSERT_EQUAL(ferry_packer_error(packer), 0);
    CU_ASSERT_TRUE(packed_is(packer, bytes, sizeof(bytes) - 1));
    CU_ASSERT_EQUAL(ferry_packer_count(packer), 1);
    CU_ASSERT_PTR_NULL(wire_check(ferry_packer_bytes(packer).data, ferry_packer_bytes(packer).len));
    ferry_pack_double(packer, 0.5);
    CU_ASSERT_EQUAL(ferry_packer_count(packer), 2);
}

static void errors_stick_until_reset(void) {
    FERRY_AUTO(ferry_packer_close) ferry_packer *packer = ferry_packer_new();

    ferry_pack_str(packer, "\xff");
    ferry_pack_int(packer, 1);
    CU_ASSERT_EQUAL(ferry_packer_error(packer), -EINVAL);
    ferry_packer_reset(packer);
    CU_ASSERT_EQUAL(ferry_packer_error(packer), 0);
    for (int i = 0; i < 31; i++)
        ferry_pack_array(packer, 1);
    CU_ASSERT_EQUAL(ferry_packer_error(packer), -EINVAL);
    ferry_pack_map(packer, 0);
    CU_ASSERT_EQUAL(ferry_packer_error(packer), 0);
    ferry_packer_reset(packer);
    for (int i = 0; i < 33; i++)
        ferry_pack_array(packer, 1);
    CU_ASSERT_EQUAL(ferry_packer_error(packer), -EMSGSIZE);
}

static void raw_bytes_count_as_one_value(void) {
    FERRY_AUTO(ferry_packer_close) ferry_packer *packer = ferry_packer_new();

    ferry_pack_raw(packer, "any thing", 9);
    CU_ASSERT_EQUAL(ferry_packer_count(packer), 1);
    CU_ASSERT_TRUE(packed_is(packer, "any thing", 9));
    ferry_packer_reset(packer);
    ferry_pack_raw(packer, NULL, 0);
    CU_ASSERT_EQUAL(ferry_packer_count(packer), 1);
    CU_ASSERT_EQUAL(ferry_packer_error(packer), 0);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(each_type_is_packed_in_its_shortest_form),
        TEST(errors_stick_until_reset),
        TEST(raw_bytes_count_as_one_value),
        TESTS_END,
    };

    return run_suite("rpc/wire packer", tests);
}
