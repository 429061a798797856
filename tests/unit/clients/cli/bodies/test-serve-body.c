/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "clients/cli/bodies/serve-body.h"
#include "support/suite.h"

static bool goes_in_as(BodyFormat format, const char *args, size_t len, const char *wanted) {
    Buffer input = {0};
    bool same = body_to_input(format, ferry_bytes_of(args, len), &input) == 0 &&
                input.len == strlen(wanted) && memcmp(input.data, wanted, input.len) == 0;

    buffer_deinit(&input);
    return same;
}

static bool comes_out_as(BodyFormat format, const char *output, const char *wanted, size_t len) {
    Buffer in = {0}, packed = {0};
    ferry_error error = FERRY_ERROR_INIT;
    bool same;

    buffer_append(&in, output, strlen(output));
    same = body_from_output(format, &in, &packed, &error) == 0 && packed.len == len &&
           memcmp(packed.data, wanted, len) == 0;
    ferry_error_clear(&error);
    buffer_deinit(&in);
    buffer_deinit(&packed);
    return same;
}

static void one_text_is_the_input_as_it_is(void) {
    CU_ASSERT_TRUE(goes_in_as(BODY_TEXT, "\x91\xa2hi", 4, "hi"));
    CU_ASSERT_TRUE(goes_in_as(BODY_TEXT, "\x91\xc4\x02hi", 5, "hi"));
    CU_ASSERT_TRUE(goes_in_as(BODY_TEXT, "\x92\x01\xa2hi", 5, "[1, \"hi\"]\n"));
    CU_ASSERT_TRUE(goes_in_as(BODY_TEXT, "\x91\x07", 2, "[7]\n"));
    CU_ASSERT_TRUE(goes_in_as(BODY_TEXT, "\x90", 1, "[]\n"));
}

static void json_is_always_the_list(void) {
    CU_ASSERT_TRUE(goes_in_as(BODY_JSON, "\x91\xa2hi", 4, "[\"hi\"]\n"));
}

static void msgpack_is_passed_on(void) {
    CU_ASSERT_TRUE(goes_in_as(BODY_MSGPACK, "\x91\xa2hi", 4, "\x91\xa2hi"));
    CU_ASSERT_TRUE(comes_out_as(BODY_MSGPACK, "\xa2hi", "\xa2hi", 3));
    CU_ASSERT_FALSE(comes_out_as(BODY_MSGPACK, "\xa9hi", "", 0));
}

static void output_is_json_where_it_is_and_a_text_else(void) {
    CU_ASSERT_TRUE(comes_out_as(BODY_TEXT, "42\n", "\x2a", 1));
    CU_ASSERT_TRUE(comes_out_as(BODY_TEXT, "[1, true]", "\x92\x01\xc3", 3));
    CU_ASSERT_TRUE(comes_out_as(BODY_TEXT, "hello\n", "\xa5hello", 6));
    CU_ASSERT_TRUE(comes_out_as(BODY_TEXT, "a\nb\n",
                                "\xa3"
                                "a\nb",
                                4));
    CU_ASSERT_TRUE(comes_out_as(BODY_TEXT, "\xff", "\xc4\x01\xff", 3));
    CU_ASSERT_TRUE(comes_out_as(BODY_TEXT, "", "\xa0", 1));
    CU_ASSERT_TRUE(comes_out_as(BODY_TEXT, "\n", "\xa0", 1));
}

static void a_bad_form_is_a_text_in_text_and_an_error_in_json(void) {
    CU_ASSERT_TRUE(comes_out_as(BODY_TEXT, "{\"$bin\": 1}", "\xab{\"$bin\": 1}", 12));
    CU_ASSERT_TRUE(comes_out_as(BODY_JSON, "", "\xc0", 1));
    CU_ASSERT_FALSE(comes_out_as(BODY_JSON, "hello", "", 0));
    CU_ASSERT_TRUE(comes_out_as(BODY_JSON, "\"hello\"", "\xa5hello", 6));
}

static void an_echo_of_one_argument_is_that_argument(void) {
    ferry_bytes one = body_of_echo(ferry_bytes_of("\x91\x07", 2));
    ferry_bytes two = body_of_echo(ferry_bytes_of("\x92\x07\x08", 3));

    CU_ASSERT_EQUAL(one.len, 1);
    CU_ASSERT_EQUAL(*(const uint8_t *)one.data, 7);
    CU_ASSERT_EQUAL(two.len, 3);
    CU_ASSERT_EQUAL(body_of_echo(ferry_bytes_of("\x91", 1)).len, 1);
}

static void malformed_arguments_are_refused(void) {
    CU_ASSERT_FALSE(goes_in_as(BODY_TEXT, "\x91", 1, ""));
    CU_ASSERT_FALSE(goes_in_as(BODY_JSON, "\xc1", 1, ""));
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(one_text_is_the_input_as_it_is),
        TEST(json_is_always_the_list),
        TEST(msgpack_is_passed_on),
        TEST(output_is_json_where_it_is_and_a_text_else),
        TEST(a_bad_form_is_a_text_in_text_and_an_error_in_json),
        TEST(an_echo_of_one_argument_is_that_argument),
        TEST(malformed_arguments_are_refused),
        TESTS_END,
    };

    return run_suite("cli serve-body", tests);
}
