/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/schema/text/text.h"

#include "rpc/schema/codec/codec.h"
#include "rpc/wire/writer.h"
#include "support/suite.h"
#include "unit/rpc/schema/tree.h"

static Span span(const char *bytes, size_t len) {
    return (Span){(const uint8_t *)bytes, len};
}

static void converted(const ferry_type *type, const char *loose, size_t len, const char *strict,
                      size_t strict_len) {
    CLEANUP(buffer_deinit) Buffer to = {0};
    ferry_error error = FERRY_ERROR_INIT;

    CU_ASSERT_EQUAL(schema_convert(type, span(loose, len), "args", &to, &error), 0);
    if (error.type)
        printf("%s\n", error.message);
    CU_ASSERT_EQUAL(to.len, strict_len);
    CU_ASSERT_EQUAL(memcmp(to.data, strict, strict_len), 0);
    ferry_error_clear(&error);
}

#define CONVERTED(type, loose, strict)                                                             \
    converted(type, loose, sizeof(loose) - 1, strict, sizeof(strict) - 1)

static void written_values_become_message_values(void) {
    CONVERTED(&color_type, "\xa3RED", "\x01");
    CONVERTED(&color_type,
              "\xaa"
              "Color.BLUE",
              "\xfe");
    CONVERTED(&color_type, "\x07", "\x07");
    CONVERTED(&ferry_type_i32,
              "\xa2"
              "42",
              "\x2a");
    CONVERTED(&ferry_type_i32,
              "\xa4"
              "0x10",
              "\x10");
    CONVERTED(&ferry_type_bool, "\xa4true", "\xc3");
    CONVERTED(&ferry_type_double,
              "\xa3"
              "0.5",
              "\xcb\x3f\xe0\0\0\0\0\0\0");
    CONVERTED(&ferry_type_binary, "\xa2hi", "\xc4\x02hi");
    CONVERTED(&ferry_type_uuid,
              "\xd9\x24"
              "01020300-0000-0000-0000-000000000000",
              "\xc4\x10\x01\x02\x03\0\0\0\0\0\0\0\0\0\0\0\0\0");
    CONVERTED(&marks_type,
              "\x92\xa1"
              "1\x02",
              "\x92\x01\x02");
    CONVERTED(&sizes_type,
              "\x91\x92\xa1k\xa1"
              "5",
              "\x81\xa1k\x05");
    CONVERTED(&shape_type,
              "\x81\xa4side\xa1"
              "3",
              "\x81\xa4side\x03");
}

static void arguments_come_in_order_or_by_name(void) {
    CONVERTED(&args_type, "\x92\x01\x81\xa4tiny\x02", "\x92\x01\x81\xa4tiny\x02");
    CONVERTED(&args_type,
              "\x82\xa4leaf\x81\xa4tiny\x02\xa1"
              "a\x01",
              "\x93\x01\x81\xa4tiny\x02\xc0");
    CONVERTED(&args_type,
              "\x83\xa4leaf\x81\xa4tiny\x02\xa1"
              "a\x01\xa1"
              "b\x03",
              "\x93\x01\x81\xa4tiny\x02\x03");
}

static void refused(const ferry_type *type, const char *loose, size_t len, const char *said) {
    CLEANUP(buffer_deinit) Buffer to = {0};
    ferry_error error = FERRY_ERROR_INIT;

    CU_ASSERT_EQUAL(schema_convert(type, span(loose, len), "args", &to, &error), -EINVAL);
    CU_ASSERT_EQUAL(to.len, 0);
    CU_ASSERT_STRING_EQUAL(error.message, said);
    ferry_error_clear(&error);
}

#define REFUSED(type, loose, said) refused(type, loose, sizeof(loose) - 1, said)

static void mistakes_are_refused_with_a_suggestion(void) {
    REFUSED(&color_type,
            "\xa4"
            "BLEU",
            "args: t.Color has no 'BLEU': did you mean 'BLUE'?");
    REFUSED(&color_type, "\xa6purple", "args: expected RED or BLUE, got \"purple\"");
    REFUSED(&ferry_type_i8,
            "\xa3"
            "300",
            "args: expected i8, got 300");
    REFUSED(&ferry_type_i8, "\xa1x", "args: expected i8, got \"x\"");
    REFUSED(&ferry_type_bool, "\xa3yes", "args: expected bool, got \"yes\"");
    REFUSED(&args_type, "\x94\x01\x02\x03\x04", "args: expected 3 arguments, got 4");
    REFUSED(&args_type,
            "\x82\xa1"
            "a\x01\xa4laef\x02",
            "args: there is no 'laef': did you mean 'leaf'?");
    REFUSED(&args_type,
            "\x81\xa1"
            "a\x01",
            "args.leaf: it is missing");
    REFUSED(&args_type,
            "\x83\xa1"
            "a\x01\xa4leaf\x81\xa4tiny\x02\xa1"
            "a\x02",
            "args.a: it occurs twice");
    REFUSED(&args_type, "\x92\x01\x82\xa4tiny\x01\xa4tiny\x02", "args.leaf.tiny: it occurs twice");
    REFUSED(&args_type, "\x92\x01\x81\xa4tiyn\x01",
            "args.leaf: there is no 'tiyn': did you mean 'tiny'?");
    REFUSED(&args_type, "\x92\x01\x81\xa4tiny\xcd\x01\x00", "args.leaf.tiny: expected i8, got 256");
    REFUSED(&args_type, "\x05", "args: expected list, got int");
    REFUSED(&sizes_type, "\x91\x91\xa1k", "args[0]: expected [key, value]");
    REFUSED(&marks_type, "\x92\x01", "args: a count is larger than the remaining bytes");
}

static void received_values_become_readable_values(void) {
    CLEANUP(buffer_deinit) Buffer bytes = {0}, shown = {0}, back = {0};
    static const Leaf leaf = {1, "n", 2, NULL};
    static const Size size = {"k", 5};
    Tree tree = {.name = "x",
                 .shape = {1, {.side = 3}},
                 .leaves = {1, &leaf},
                 .sizes = {1, &size},
                 .color = -2,
                 .raw = ferry_bytes_of("raw", 3)};

    CU_ASSERT_EQUAL(schema_pack(&tree_type, &tree, "v", &bytes, NULL), 0);
    CU_ASSERT_EQUAL(schema_format(&tree_type, (Span){bytes.data, bytes.len}, "v", &shown, NULL), 0);
    CU_ASSERT_PTR_NULL(wire_check(shown.data, shown.len));
    CU_ASSERT_PTR_NOT_NULL(memmem(shown.data, shown.len,
                                  "\xa5"
                                  "color\xa4"
                                  "BLUE",
                                  11));
    CU_ASSERT_PTR_NOT_NULL(memmem(shown.data, shown.len, "\xa3raw\xa3raw", 8));
    /* The formatted value can be converted back and sent again. */
    CU_ASSERT_EQUAL(schema_convert(&tree_type, (Span){shown.data, shown.len}, "v", &back, NULL), 0);
    CU_ASSERT_EQUAL(
        schema_format(&tree_type, (Span){(const uint8_t *)"\x80", 1}, "v", &shown, NULL), -EINVAL);
}

static void keys_of_other_types_become_text(void) {
    CLEANUP(buffer_deinit) Buffer shown = {0};
    typedef struct Entry {
        int32_t key;
        bool value;
    } Entry;
    static const ferry_type map = {.kind = FERRY_KIND_MAP,
                                   .size = 16,
                                   .value_offset = offsetof(Entry, value),
                                   .entry_size = sizeof(Entry),
                                   .key = &ferry_type_i32,
                                   .item = &ferry_type_bool};

    CU_ASSERT_EQUAL(schema_format(&map, span("\x81\xff\xc3", 3), "v", &shown, NULL), 0);
    CU_ASSERT_EQUAL(shown.len, 5);
    CU_ASSERT_EQUAL(memcmp(shown.data, "\x81\xa2-1\xc3", 5), 0);
    CONVERTED(&map, "\x81\xa2-1\xc3", "\x81\xff\xc3");
}

static void examples_show_every_field_and_end(void) {
    CLEANUP(buffer_deinit) Buffer bytes = {0};
    static const char args[] = "\x83\xa1"
                               "a\x00\xa4leaf\x84\xa4tiny\x00\xa4note\xa0\xa1n\x07\xa1m"
                               "\x09\xa1"
                               "b\x00";

    CU_ASSERT_EQUAL(schema_example(&args_type, &bytes), 0);
    CU_ASSERT_EQUAL(bytes.len, sizeof(args) - 1);
    CU_ASSERT_EQUAL(memcmp(bytes.data, args, sizeof(args) - 1), 0);
    buffer_reset(&bytes);
    CU_ASSERT_EQUAL(schema_example(&tree_type, &bytes), 0);
    CU_ASSERT_PTR_NULL(wire_check(bytes.data, bytes.len));
}

static void the_example_of_an_empty_union_is_an_empty_map(void) {
    CLEANUP(buffer_deinit) Buffer bytes = {0};
    static const ferry_type nothing = {.kind = FERRY_KIND_UNION, .size = 8, .name = "t.Nothing"};

    CU_ASSERT_EQUAL(schema_example(&nothing, &bytes), 0);
    CU_ASSERT_EQUAL(bytes.len, 1);
    CU_ASSERT_EQUAL(bytes.data[0], 0x80);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(written_values_become_message_values),
        TEST(arguments_come_in_order_or_by_name),
        TEST(mistakes_are_refused_with_a_suggestion),
        TEST(received_values_become_readable_values),
        TEST(keys_of_other_types_become_text),
        TEST(examples_show_every_field_and_end),
        TEST(the_example_of_an_empty_union_is_an_empty_map),
        TESTS_END,
    };

    return run_suite("rpc/schema for tools", tests);
}
