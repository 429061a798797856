/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/schema/codec/codec.h"

#include <math.h>

#include "rpc/wire/writer.h"
#include "support/suite.h"
#include "unit/rpc/schema/tree.h"

static Tree tree(void) {
    static const Leaf leaves[] = {{-1, "first", 1, &seven}, {127, NULL, -5, NULL}};
    static const Size sizes[] = {{"a", 1}, {"Grüße", INT64_MIN}};
    static const int32_t marks[] = {5, -5, INT32_MAX};

    return (Tree){.name = "oak",
                  .leaves = {2, leaves},
                  .marks = {3, marks},
                  .sizes = {2, sizes},
                  .shape = {2, {.leaf = {3, "in", 4, NULL}}},
                  .color = -2,
                  .raw = {"\0\xff", 2, NULL},
                  .id = {{1, 2, 3}},
                  .on = true,
                  .weight = 0.1,
                  .small = -300};
}

static void every_kind_of_value_is_restored(void) {
    CLEANUP(buffer_deinit) Buffer bytes = {0};
    Tree root = tree(), out = tree(), *in = NULL;

    out.next = &root;
    CU_ASSERT_EQUAL_FATAL(schema_pack(&tree_type, &out, "tree", &bytes, NULL), 0);
    CU_ASSERT_PTR_NULL(wire_check(bytes.data, bytes.len));
    CU_ASSERT_EQUAL_FATAL(
        schema_unpack(&tree_type, (Span){bytes.data, bytes.len}, "tree", &in, NULL), 0);
    CU_ASSERT_STRING_EQUAL(in->name, "oak");
    CU_ASSERT_EQUAL(in->leaves.n, 2);
    CU_ASSERT_EQUAL(in->leaves.v[0].tiny, -1);
    CU_ASSERT_STRING_EQUAL(in->leaves.v[0].note, "first");
    CU_ASSERT_EQUAL(*in->leaves.v[0].m, 7);
    CU_ASSERT_PTR_NULL(in->leaves.v[1].note);
    CU_ASSERT_EQUAL(*in->leaves.v[1].m, 9); /* absent, so it has its default */
    CU_ASSERT_EQUAL(in->marks.v[2], INT32_MAX);
    CU_ASSERT_STRING_EQUAL(in->sizes.v[1].key, "Grüße");
    CU_ASSERT_EQUAL(in->sizes.v[1].value, INT64_MIN);
    CU_ASSERT_EQUAL(in->shape.which, 2);
    CU_ASSERT_STRING_EQUAL(in->shape.u.leaf.note, "in");
    CU_ASSERT_EQUAL(in->color, -2);
    CU_ASSERT_EQUAL(memcmp(in->raw.data, "\0\xff", 2), 0);
    CU_ASSERT_EQUAL(in->id.bytes[2], 3);
    CU_ASSERT_TRUE(in->on);
    CU_ASSERT_EQUAL(in->weight, (double)0.1);
    CU_ASSERT_EQUAL(in->small, -300);
    CU_ASSERT_STRING_EQUAL(in->next->name, "oak");
    CU_ASSERT_PTR_NULL(in->next->next);
    ferry_free(in);
}

static void packed(const ferry_type *type, const void *value, const char *said) {
    CLEANUP(buffer_deinit) Buffer bytes = {0};
    ferry_error error = FERRY_ERROR_INIT;

    buffer_append(&bytes, "before", 6);
    CU_ASSERT_TRUE(schema_pack(type, value, "v", &bytes, &error) < 0);
    CU_ASSERT_EQUAL(bytes.len, 6);
    CU_ASSERT_STRING_EQUAL(error.message, said);
    ferry_error_clear(&error);
}

static void invalid_values_are_refused_with_their_place(void) {
    static const int32_t twice[] = {4, 5, 4};
    static const Leaf bad[] = {{0, NULL, 0, NULL}, {0, "\xff", 0, NULL}};
    static const Size same[] = {{"k", 1}, {"k", 2}};
    Tree value = tree();
    Args args = {.a = 1};

    value.name = NULL;
    packed(&tree_type, &value, "v.name: the string is NULL");
    value = tree();
    value.leaves = (Leaves){2, bad};
    packed(&tree_type, &value, "v.leaves[1].note: the string is not UTF-8");
    value = tree();
    value.marks = (ferry_set_i32){3, twice};
    packed(&tree_type, &value, "v.marks[2]: the element occurs twice");
    value = tree();
    value.sizes = (Sizes){2, same};
    packed(&tree_type, &value, "v.sizes[1]: the key occurs twice");
    value = tree();
    value.shape.which = 0;
    packed(&tree_type, &value, "v.shape: the union has no value: set which");
    value = tree();
    value.raw = (ferry_bytes){NULL, 3, NULL};
    packed(&tree_type, &value, "v.raw: the bytes are NULL");
    value = tree();
    value.next = &value; /* a cycle */
    {
        CLEANUP(buffer_deinit) Buffer bytes = {0};
        ferry_error error = FERRY_ERROR_INIT;

        CU_ASSERT_EQUAL(schema_pack(&tree_type, &value, "v", &bytes, &error), -EINVAL);
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "nested deeper than 32 levels"));
        ferry_error_clear(&error);
    }
    packed(&args_type, &args, "v.leaf: it is NULL");
}

static void refused(const ferry_type *type, const char *bytes, size_t len, const char *said) {
    ferry_error error = FERRY_ERROR_INIT;
    int64_t room[2];

    CU_ASSERT_EQUAL(schema_unpack(type, (Span){(const uint8_t *)bytes, len}, "args", room, &error),
                    -EINVAL);
    CU_ASSERT_STRING_EQUAL(error.type, "ferry.InvalidArgument");
    CU_ASSERT_STRING_EQUAL(error.message, said);
    ferry_error_clear(&error);
}

#define REFUSED(type, bytes, said) refused(type, bytes, sizeof(bytes) - 1, said)

static void wrong_bytes_are_refused_with_their_place(void) {
    REFUSED(&ferry_type_i8, "\xcc\x80", "args: expected i8, got 128");
    REFUSED(&ferry_type_i8, "\xd1\xff\x00", "args: expected i8, got -256");
    REFUSED(&ferry_type_i16, "\xcd\x80\x00", "args: expected i16, got 32768");
    REFUSED(&ferry_type_i32, "\xce\x80\x00\x00\x00", "args: expected i32, got 2147483648");
    REFUSED(&ferry_type_i64, "\xcf\x80\x00\x00\x00\x00\x00\x00\x00",
            "args: expected i64, got 9223372036854775808");
    REFUSED(&ferry_type_i32, "\xa1x", "args: expected i32, got str");
    REFUSED(&ferry_type_i32, "\xca\x00\x00\x00\x00", "args: expected i32, got double");
    REFUSED(&ferry_type_i32, "", "args: expected i32, got nothing");
    REFUSED(&ferry_type_i32, "\xc1", "args: expected i32, got the byte 0xc1");
    REFUSED(&ferry_type_i32, "\x01\x02", "args: there are bytes after the value");
    REFUSED(&ferry_type_bool, "\x01", "args: expected bool, got int");
    REFUSED(&ferry_type_double, "\xa0", "args: expected double, got str");
    REFUSED(&ferry_type_string, "\xc4\x01x", "args: expected string, got bin");
    REFUSED(&ferry_type_string, "\xa2\xc3(", "args: the string is not UTF-8");
    REFUSED(&ferry_type_string,
            "\xa3"
            "a\0b",
            "args: the string contains a NUL (use binary for bytes with NULs)");
    REFUSED(&ferry_type_binary, "\x05", "args: expected binary, got int");
    REFUSED(&ferry_type_uuid, "\xc4\x01x", "args: expected uuid, got 1 bytes instead of 16");
    REFUSED(&color_type, "\xa3RED", "args: expected t.Color, got str");
    REFUSED(&marks_type, "\x93\x01\x02\xcc\x01", "args[2]: the element occurs twice");
    REFUSED(&marks_type, "\xdd\xff\xff\xff\xff",
            "args: a count is larger than the remaining bytes");
    REFUSED(&sizes_type, "\x82\xa1k\x01\xd9\x01k\x02", "args[1]: the key occurs twice");
    REFUSED(&sizes_type, "\x81\x05\x01", "args[0].key: expected string, got int");
    REFUSED(&leaf_type, "\x80", "args.tiny: it is missing");
    REFUSED(&leaf_type, "\x82\xa4tiny\x01\xa4tiny\x01", "args.tiny: it occurs twice");
    REFUSED(&leaf_type, "\x83\xa4tiny\x01\xa4note\xc0\xa4note\xa1x", "args.note: it occurs twice");
    REFUSED(&leaf_type, "\x83\xa4tiny\x01\xa4note\xc0\xa4note\xc0", "args.note: it occurs twice");
    REFUSED(&leaf_type, "\x81\x01\x01", "args: expected the name of a field, got int");
    REFUSED(&leaf_type, "\xc0", "args: expected t.Leaf, got nil");
    REFUSED(&leaf_type, "\x81\xa4tiny\xc0", "args.tiny: expected i8, got nil");
    REFUSED(&leaves_type, "\x92\x81\xa4tiny\x01\x81\xa4tiny\xcd\x01\x00",
            "args[1].tiny: expected i8, got 256");
    REFUSED(&shape_type, "\x80", "args: expected t.Shape with one key, got 0 keys");
    REFUSED(&shape_type, "\x82\xa4side\x01\xa4side\x01",
            "args: expected t.Shape with one key, got 2 keys");
    REFUSED(&args_type, "\x91\x01", "args.leaf: it is missing");
    REFUSED(&args_type, "\x92\x01\x81\xa4tiny\xa1x", "args.leaf.tiny: expected i8, got str");
    REFUSED(&args_type, "\x80", "args: expected list, got map");
    REFUSED(&args_type, "\x92\x01", "args: a count is larger than the remaining bytes");
    REFUSED(&ferry_type_string,
            "\xa3"
            "ab",
            "args: a length is larger than the remaining bytes");
    REFUSED(&ferry_type_i32, "\xce\x01", "args: the message is cut short");
    REFUSED(&leaf_type, "\x82\xa4tiny\x01", "args: expected the name of a field, got nothing");
    REFUSED(&marks_type, "\x92\x01\xcd\x01", "args[1]: the message is cut short");
}

#define SPAN(bytes) ((Span){(const uint8_t *)(bytes), sizeof(bytes) - 1})

static void missing_fields_get_their_defaults(void) {
    Leaf *leaf = NULL;

    CU_ASSERT_EQUAL_FATAL(schema_unpack(&leaf_type, SPAN("\x81\xa4tiny\x01"), "v", &leaf, NULL), 0);
    CU_ASSERT_EQUAL(leaf->n, 7);
    CU_ASSERT_EQUAL(*leaf->m, 9);
    CU_ASSERT_PTR_NULL(leaf->note);
    ferry_free(leaf);
}

static void nil_counts_as_absent_where_a_field_is_optional(void) {
    Leaf *leaf = NULL;

    CU_ASSERT_EQUAL_FATAL(
        schema_unpack(&leaf_type, SPAN("\x82\xa4tiny\x01\xa4note\xc0"), "v", &leaf, NULL), 0);
    CU_ASSERT_PTR_NULL(leaf->note);
    ferry_free(leaf);
}

static void unknown_keys_and_further_arguments_are_skipped(void) {
    Leaf *leaf = NULL;
    Args *args = NULL;

    CU_ASSERT_EQUAL_FATAL(schema_unpack(&leaf_type,
                                        SPAN("\x83\xa3new\x92\x01\x80\xa4tiny\x01\xa3old\xc0"), "v",
                                        &leaf, NULL),
                          0);
    CU_ASSERT_EQUAL(leaf->tiny, 1);
    ferry_free(leaf);
    CU_ASSERT_EQUAL_FATAL(
        schema_unpack(&args_type, SPAN("\x95\x01\x81\xa4tiny\x02\xc0\x90\xa1x"), "v", &args, NULL),
        0);
    CU_ASSERT_EQUAL(args->leaf->tiny, 2);
    CU_ASSERT_PTR_NULL(args->b);
    ferry_free(args);
}

static void an_unknown_member_of_a_union_is_read_as_unset(void) {
    Shape *shape = NULL;

    CU_ASSERT_EQUAL_FATAL(schema_unpack(&shape_type, SPAN("\x81\xa3new\x90"), "v", &shape, NULL),
                          0);
    CU_ASSERT_EQUAL(shape->which, 0);
    ferry_free(shape);
}

static void a_few_bytes_cannot_take_much_memory(void) {
    CLEANUP(buffer_deinit) Buffer bytes = {0};
    static const ferry_type list = {
        .kind = FERRY_KIND_LIST, .size = sizeof(Leaves), .item = &tree_type};
    ferry_error error = FERRY_ERROR_INIT;
    void *out;

    write_array(&bytes, 100000);
    for (int i = 0; i < 100000; i++)
        write_nil(&bytes);
    CU_ASSERT_EQUAL(schema_unpack(&list, (Span){bytes.data, bytes.len}, "v", &out, &error),
                    -EMSGSIZE);
    CU_ASSERT_STRING_EQUAL(error.type, "ferry.TooBig");
    ferry_error_clear(&error);
}

static void deep_bodies_are_refused(void) {
    CLEANUP(buffer_deinit) Buffer bytes = {0};
    ferry_error error = FERRY_ERROR_INIT;
    void *out;

    for (int i = 0; i < 100000; i++)
        buffer_append(&bytes, "\x81\xa4next", 6);
    CU_ASSERT_EQUAL(schema_unpack(&tree_type, (Span){bytes.data, bytes.len}, "v", &out, &error),
                    -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "nested deeper than 32 levels"));
    ferry_error_clear(&error);
}

static void large_values_live_in_one_block_too(void) {
    CLEANUP(buffer_deinit) Buffer bytes = {0};
    enum { N = 20000 };
    int64_t *items = malloc(N * sizeof(*items));
    ferry_set_i64 out = {N, items}, *in = NULL;
    static const ferry_type set = {
        .kind = FERRY_KIND_SET, .size = sizeof(ferry_set_i64), .item = &ferry_type_i64};

    for (int i = 0; i < N; i++)
        items[i] = i;
    CU_ASSERT_EQUAL(schema_pack(&set, &out, "v", &bytes, NULL), 0);
    CU_ASSERT_EQUAL(schema_unpack(&set, (Span){bytes.data, bytes.len}, "v", &in, NULL), 0);
    CU_ASSERT_EQUAL(in->n, N);
    CU_ASSERT_EQUAL(memcmp(in->v, items, N * sizeof(*items)), 0);
    ferry_free(ferry_keep(in));
    ferry_free(in);
    items[N - 1] = 3;
    CU_ASSERT_EQUAL(schema_pack(&set, &out, "v", &bytes, NULL), -EINVAL);
    free(items);
}

static void a_string_is_its_own_block(void) {
    char *text = NULL;
    ferry_bytes *raw = NULL;

    CU_ASSERT_EQUAL(schema_unpack(&ferry_type_string, SPAN("\xa5hello"), "v", &text, NULL), 0);
    CU_ASSERT_STRING_EQUAL(text, "hello");
    ferry_free(text);
    CU_ASSERT_EQUAL(schema_unpack(&ferry_type_binary, SPAN("\xc4\x02hi"), "v", &raw, NULL), 0);
    CU_ASSERT_EQUAL(memcmp(raw->data, "hi", 2), 0);
    CU_ASSERT_PTR_EQUAL(raw->block, raw);
    ferry_free(raw);
}

static void every_truncation_of_a_value_is_refused(void) {
    CLEANUP(buffer_deinit) Buffer bytes = {0};
    Tree value = tree();

    CU_ASSERT_EQUAL(schema_pack(&tree_type, &value, "v", &bytes, NULL), 0);
    for (size_t len = 0; len < bytes.len; len++) {
        /* Exact size: a sanitizer finds a read past the end. */
        uint8_t *copy = malloc(len ? len : 1);
        Tree *in;

        memcpy(copy, bytes.data, len);
        CU_ASSERT_EQUAL(schema_unpack(&tree_type, (Span){copy, len}, "v", &in, NULL), -EINVAL);
        free(copy);
    }
}

static void doubles_take_integers_and_short_floats(void) {
    double d = 0;

    CU_ASSERT_EQUAL(schema_unpack(&ferry_type_double, SPAN("\x03"), "v", &d, NULL), 0);
    CU_ASSERT_EQUAL(d, 3);
    CU_ASSERT_EQUAL(schema_unpack(&ferry_type_double, SPAN("\xca\x3f\x00\x00\x00"), "v", &d, NULL),
                    0);
    CU_ASSERT_EQUAL(d, 0.5);
    CU_ASSERT_EQUAL(
        schema_unpack(&ferry_type_double, SPAN("\xcb\x7f\xf8\0\0\0\0\0\0"), "v", &d, NULL), 0);
    CU_ASSERT_TRUE(isnan(d));
}

static void uuids_are_read_and_written_as_text(void) {
    static const char *const bad[] = {"",
                                      "123e4567-e89b-12d3-a456-42661417400",
                                      "123e4567e89b12d3a456426614174000",
                                      "{123e4567-e89b-12d3-a456-426614174000",
                                      "123e4567-e89b-12d3-a456-42661417400g",
                                      "123e4567-e89b-12d3-a456-4266141740000"};
    ferry_uuid uuid;
    char text[37];

    CU_ASSERT_EQUAL(ferry_uuid_parse("{123e4567-E89B-12d3-a456-426614174000}", &uuid), 0);
    CU_ASSERT_STRING_EQUAL(ferry_uuid_format(&uuid, text), "123e4567-e89b-12d3-a456-426614174000");
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        CU_ASSERT_EQUAL(ferry_uuid_parse(bad[i], &uuid), -EINVAL);
}

static void names_and_keys_are_found(void) {
    Tree value = tree();
    const char *key = "Grüße", *other = "b";

    CU_ASSERT_STRING_EQUAL(ferry_enum_name(&color_type, -2), "BLUE");
    CU_ASSERT_PTR_NULL(ferry_enum_name(&color_type, 3));
    CU_ASSERT_EQUAL(*(const int64_t *)ferry_map_find(&sizes_type, &value.sizes, &key), INT64_MIN);
    CU_ASSERT_PTR_NULL(ferry_map_find(&sizes_type, &value.sizes, &other));
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(every_kind_of_value_is_restored),
        TEST(invalid_values_are_refused_with_their_place),
        TEST(wrong_bytes_are_refused_with_their_place),
        TEST(missing_fields_get_their_defaults),
        TEST(nil_counts_as_absent_where_a_field_is_optional),
        TEST(unknown_keys_and_further_arguments_are_skipped),
        TEST(an_unknown_member_of_a_union_is_read_as_unset),
        TEST(a_few_bytes_cannot_take_much_memory),
        TEST(deep_bodies_are_refused),
        TEST(large_values_live_in_one_block_too),
        TEST(a_string_is_its_own_block),
        TEST(every_truncation_of_a_value_is_refused),
        TEST(doubles_take_integers_and_short_floats),
        TEST(uuids_are_read_and_written_as_text),
        TEST(names_and_keys_are_found),
        TESTS_END,
    };

    return run_suite("rpc/schema codec", tests);
}
