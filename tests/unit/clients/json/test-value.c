/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clients/json/value.h"
#include "support/suite.h"

static char *json_of(const char *bytes, size_t len) {
    ferry_error error = FERRY_ERROR_INIT;
    json_t *json = NULL;
    char *text = NULL;

    if (value_to_json(ferry_bytes_of(bytes, len), &json, &error) == 0)
        text = json_dumps(json, JSON_ENCODE_ANY | JSON_COMPACT);
    else
        text = strdup(error.message);
    ferry_error_clear(&error);
    json_decref(json);
    return text;
}

static bool reads(const char *bytes, size_t len, const char *wanted) {
    char *text = json_of(bytes, len);
    bool same = strcmp(text, wanted) == 0;

    if (!same)
        fprintf(stderr, "\n%s\n", text);
    free(text);
    return same;
}

/* The bytes of a literal, without its NUL. */
#define READS(bytes, wanted) CU_ASSERT_TRUE(reads(bytes, sizeof(bytes) - 1, wanted))

static bool writes(const char *text, const char *bytes, size_t len) {
    ferry_error error = FERRY_ERROR_INIT;
    json_t *json = NULL;
    Buffer to = {0};
    bool same = value_parse(text, strlen(text), "argument 1:", &json, &error) == 0 &&
                value_from_json(json, &to, &error) == 0 && to.len == len &&
                memcmp(to.data, bytes, len) == 0;

    json_decref(json);
    ferry_error_clear(&error);
    buffer_deinit(&to);
    return same;
}

#define WRITES(text, bytes) CU_ASSERT_TRUE(writes(text, bytes, sizeof(bytes) - 1))
#define BOTH(bytes, text)                                                                          \
    do {                                                                                           \
        READS(bytes, text);                                                                        \
        WRITES(text, bytes);                                                                       \
    } while (0)

static bool refuses(const char *text, const char *why) {
    ferry_error error = FERRY_ERROR_INIT;
    json_t *json = NULL;
    Buffer to = {0};
    int r = value_parse(text, strlen(text), "argument 1:", &json, &error);
    bool same;

    if (r == 0)
        r = value_from_json(json, &to, &error);
    same = r == -EINVAL && strcmp(error.type, "ferry.InvalidArgument") == 0 &&
           strstr(error.message, why);
    if (!same)
        fprintf(stderr, "\n%s\n", r < 0 ? error.message : "accepted");
    json_decref(json);
    ferry_error_clear(&error);
    buffer_deinit(&to);
    return same;
}

static void values_of_both_formats_are_written_unchanged(void) {
    BOTH("\xc0", "null");
    BOTH("\xc2", "false");
    BOTH("\xc3", "true");
    BOTH("\x00", "0");
    BOTH("\x7f", "127");
    BOTH("\xff", "-1");
    BOTH("\xcc\x80", "128");
    BOTH("\xd0\x80", "-128");
    BOTH("\xa5hello", "\"hello\"");
    BOTH("\xa3\xe2\x9c\x93", "\"✓\"");
    BOTH("\x93\x01\xa1x\xc0", "[1,\"x\",null]");
    BOTH("\x82\xa1"
         "a\x01\xa1"
         "b\x80",
         "{\"a\":1,\"b\":{}}");
    BOTH("\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00", "1.5");
    BOTH("\xd3\x80\x00\x00\x00\x00\x00\x00\x00", "-9223372036854775808");
    BOTH("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", "9223372036854775807");
}

static void longer_forms_than_needed_are_read(void) {
    READS("\xd3\xff\xff\xff\xff\xff\xff\xff\xff", "-1");
    READS("\xcd\x00\x05", "5");
    READS("\xda\x00\x01x", "\"x\"");
    READS("\xdd\x00\x00\x00\x01\xc0", "[null]");
    READS("\xdf\x00\x00\x00\x01\xa1x\x01", "{\"x\":1}");
    READS("\xca\x3f\x80\x00\x00", "1.0");
    READS("\xd1\xff\x00", "-256");
    READS("\xd2\xff\xff\xff\x00", "-256");
}

static void bytes_are_base64(void) {
    BOTH("\xc4\x03\x00\x01\x02", "{\"$bin\":\"AAEC\"}");
    BOTH("\xc4\x00", "{\"$bin\":\"\"}");
    BOTH("\xa1\xff", "{\"$str\":\"/w==\"}");
    BOTH("\xd4\x05\x07", "{\"$ext\":[5,\"Bw==\"]}");
    BOTH("\xc7\x00\xff", "{\"$ext\":[-1,\"\"]}");
    BOTH("\xc7\x03\x80\x00\x01\x02", "{\"$ext\":[-128,\"AAEC\"]}");
}

static void large_integers_keep_every_digit(void) {
    BOTH("\xcf\xff\xff\xff\xff\xff\xff\xff\xff", "{\"$int\":\"18446744073709551615\"}");
    BOTH("\xcf\x80\x00\x00\x00\x00\x00\x00\x00", "{\"$int\":\"9223372036854775808\"}");
}

static void nan_and_infinity_have_a_form(void) {
    READS("\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00", "{\"$float\":\"nan\"}");
    BOTH("\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00", "{\"$float\":\"inf\"}");
    BOTH("\xcb\xff\xf0\x00\x00\x00\x00\x00\x00", "{\"$float\":\"-inf\"}");
    READS("\xca\x7f\xc0\x00\x00", "{\"$float\":\"nan\"}");
}

static void maps_that_cannot_be_objects_become_pairs(void) {
    BOTH("\x81\x01\xa1x", "{\"$map\":[[1,\"x\"]]}");
    BOTH("\x82\xa1"
         "a\x01\xa1"
         "a\x02",
         "{\"$map\":[[\"a\",1],[\"a\",2]]}");
    BOTH("\x81\xa2"
         "a\x00\x01",
         "{\"$map\":[[\"a\\u0000\",1]]}");
}

static void a_map_that_looks_like_a_form_is_pairs(void) {
    BOTH("\x81\xa4$bin\x01", "{\"$map\":[[\"$bin\",1]]}");
    BOTH("\x81\xa4$map\x90", "{\"$map\":[[\"$map\",[]]]}");
    BOTH("\x82\xa4$bin\x01\xa1x\x02", "{\"$bin\":1,\"x\":2}");
    BOTH("\x81\xa2$x\x01", "{\"$x\":1}");
}

static void malformed_bytes_are_refused_with_their_position(void) {
    READS("", "not a MessagePack value: byte 0: the value ends too early");
    READS("\xc1", "not a MessagePack value: byte 0: the byte 0xc1 is not MessagePack");
    READS("\x92\x01",
          "not a MessagePack value: byte 1: a count is larger than the remaining bytes");
    READS("\x92\x01\xcd", "not a MessagePack value: byte 3: the value ends too early");
    READS("\xa5hi", "not a MessagePack value: byte 1: a text is longer than the remaining bytes");
    READS("\xc4\x05hi",
          "not a MessagePack value: byte 2: a binary is longer than the remaining bytes");
    READS("\xd8\x05hi",
          "not a MessagePack value: byte 1: an extension is longer than the remaining bytes");
    READS("\xc7\x00",
          "not a MessagePack value: byte 2: an extension is longer than the remaining bytes");
    READS("\xcd\x01", "not a MessagePack value: byte 1: the value ends too early");
    READS("\x01\x02", "not a MessagePack value: byte 1: there are more bytes after the value");
}

static void wrong_counts_allocate_no_memory(void) {
    READS("\xdd\xff\xff\xff\xff\xc0",
          "not a MessagePack value: byte 5: a count is larger than the remaining bytes");
    READS("\xdf\xff\xff\xff\xff\xc0",
          "not a MessagePack value: byte 5: a count is larger than the remaining bytes");
    READS("\xdb\xff\xff\xff\xff",
          "not a MessagePack value: byte 5: a text is longer than the remaining bytes");
}

static void nesting_ends_at_32(void) {
    char bytes[10001], *text;

    memset(bytes, 0x91, sizeof(bytes));
    bytes[32] = 0x01;
    text = json_of(bytes, 33);
    CU_ASSERT_EQUAL(text[31], '[');
    CU_ASSERT_EQUAL(text[32], '1');
    free(text);
    bytes[32] = (char)0x91;
    text = json_of(bytes, sizeof(bytes));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "nested deeper than 32 levels"));
    free(text);
    memset(bytes, '[', 33);
    memset(bytes + 33, ']', 33);
    bytes[66] = '\0';
    CU_ASSERT_TRUE(refuses(bytes, "nested deeper than 32 levels"));
    memset(bytes, '[', 10000);
    bytes[10000] = '\0';
    CU_ASSERT_TRUE(refuses(bytes, "not JSON"));
}

static void leaves_at_level_32_are_written(void) {
    char text[128] = "", bytes[64];

    memset(text, '[', 32);
    strcat(text, "{\"$bin\":\"AA==\"}");
    memset(text + strlen(text), ']', 32);
    memset(bytes, 0x91, 32);
    memcpy(bytes + 32, "\xc4\x01", 3);
    CU_ASSERT_TRUE(writes(text, bytes, 35));
    CU_ASSERT_TRUE(reads(bytes, 35, text));
}

static void too_many_values_are_refused(void) {
    size_t n = VALUE_NODES_MAX + 1;
    char *bytes = malloc(n + 5), *text;

    memset(bytes, 0xc0, n + 5);
    bytes[0] = (char)0xdd;
    bytes[1] = (char)(n >> 24);
    bytes[2] = (char)(n >> 16);
    bytes[3] = (char)(n >> 8);
    bytes[4] = (char)n;
    text = json_of(bytes, n + 5);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "4 million"));
    free(text);
    free(bytes);
}

static void bad_json_is_refused_with_place_and_word(void) {
    CU_ASSERT_TRUE(refuses("hello", "argument 1: 'hello' is not JSON"));
    CU_ASSERT_TRUE(refuses("{\"a\": 1, \"a\": 2}", "duplicate"));
    CU_ASSERT_TRUE(refuses("[1, 2", "not JSON"));
    CU_ASSERT_TRUE(refuses("", "not JSON"));
    CU_ASSERT_TRUE(refuses("1 2", "not JSON"));
}

static void bad_forms_are_refused_with_their_path(void) {
    CU_ASSERT_TRUE(refuses("{\"$bin\": 5}", "$bin: the value must be a string in base64"));
    CU_ASSERT_TRUE(refuses("[{\"a\": {\"$bin\": \"*\"}}]", "[0].a.$bin: the string is not base64"));
    CU_ASSERT_TRUE(refuses("{\"$int\": \"-5\"}", "$int: an integer must be a string of digits"));
    CU_ASSERT_TRUE(refuses("{\"$int\": \"18446744073709551616\"}", "$int:"));
    CU_ASSERT_TRUE(refuses("{\"$int\": \"\"}", "$int:"));
    CU_ASSERT_TRUE(refuses("{\"$float\": \"big\"}", "$float:"));
    CU_ASSERT_TRUE(refuses("{\"$ext\": [200, \"\"]}", "$ext: an extension must be"));
    CU_ASSERT_TRUE(refuses("{\"$ext\": 1}", "$ext: an extension must be"));
    CU_ASSERT_TRUE(refuses("{\"$map\": {}}", "$map: a map must be a list of"));
    CU_ASSERT_TRUE(refuses("{\"$map\": [[1]]}", "$map[0]: a map must be a list of"));
}

static void bytes_that_are_text_are_found(void) {
    json_t *text = value_text_of_base64("aGk=");

    CU_ASSERT_STRING_EQUAL(json_string_value(text), "hi");
    json_decref(text);
    CU_ASSERT_PTR_NULL(value_text_of_base64("/w=="));
    CU_ASSERT_PTR_NULL(value_text_of_base64("*"));
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(values_of_both_formats_are_written_unchanged),
        TEST(longer_forms_than_needed_are_read),
        TEST(bytes_are_base64),
        TEST(large_integers_keep_every_digit),
        TEST(nan_and_infinity_have_a_form),
        TEST(maps_that_cannot_be_objects_become_pairs),
        TEST(a_map_that_looks_like_a_form_is_pairs),
        TEST(malformed_bytes_are_refused_with_their_position),
        TEST(wrong_counts_allocate_no_memory),
        TEST(nesting_ends_at_32),
        TEST(leaves_at_level_32_are_written),
        TEST(too_many_values_are_refused),
        TEST(bad_json_is_refused_with_place_and_word),
        TEST(bad_forms_are_refused_with_their_path),
        TEST(bytes_that_are_text_are_found),
        TESTS_END,
    };

    return run_suite("cli value", tests);
}
