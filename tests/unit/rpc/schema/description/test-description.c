/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/schema/description/description.h"

#include "base/clock.h"
#include "rpc/schema/codec/codec.h"
#include "rpc/schema/description/type-list.h"
#include "rpc/schema/text/text.h"
#include "rpc/wire/writer.h"
#include "support/suite.h"
#include "unit/rpc/schema/tree.h"

static Span whole(const Buffer *bytes) {
    return (Span){bytes->data, bytes->len};
}

static void a_description_that_was_read_is_written_the_same(void) {
    CLEANUP(buffer_deinit) Buffer first = {0}, second = {0};
    ferry_service *service = NULL;

    CU_ASSERT_EQUAL_FATAL(description_write(&trees, &first), 0);
    CU_ASSERT_PTR_NULL(wire_check(first.data, first.len));
    CU_ASSERT_EQUAL_FATAL(description_read(whole(&first), &service, NULL), 0);
    CU_ASSERT_STRING_EQUAL(service->name, "t.Trees");
    CU_ASSERT_STRING_EQUAL(service->extends, "base.Plants");
    CU_ASSERT_EQUAL(service->n_methods, 4);
    CU_ASSERT_EQUAL(service->methods[0].timeout_ms, 2000);
    CU_ASSERT_EQUAL(service->methods[0].flags, FERRY_IDEMPOTENT);
    CU_ASSERT_EQUAL(service->methods[1].flags,
                    FERRY_STREAM_IN | FERRY_STREAM_OUT | FERRY_INHERITED);
    CU_ASSERT_PTR_NULL(service->methods[2].args);
    CU_ASSERT_EQUAL(description_write(service, &second), 0);
    CU_ASSERT_EQUAL(first.len, second.len);
    CU_ASSERT_EQUAL(memcmp(first.data, second.data, first.len), 0);
    ferry_free(service);
}

static const ferry_type *type_of(const ferry_service *service, const char *name) {
    CLEANUP(type_list_deinit) TypeList types = {0};
    const ferry_type *found = NULL;

    CU_ASSERT_EQUAL(type_list_fill(&types, service), 0);
    for (size_t i = 0; i < types.n; i++)
        if (strcmp(types.v[i]->name, name) == 0)
            found = types.v[i];
    return found;
}

static void bodies_are_checked_against_a_read_description(void) {
    CLEANUP(buffer_deinit) Buffer bytes = {0}, again = {0};
    ferry_service *service = NULL;
    const ferry_type *type;
    ferry_error error = FERRY_ERROR_INIT;
    static const Leaf leaf = {1, "n", 2, NULL};
    Tree tree = {.name = "x", .shape = {1, {.side = 3}}, .leaves = {1, &leaf}};
    void *value;

    CU_ASSERT_EQUAL_FATAL(description_write(&trees, &bytes), 0);
    CU_ASSERT_EQUAL_FATAL(description_read(whole(&bytes), &service, NULL), 0);
    type = type_of(service, "t.Tree");
    CU_ASSERT_PTR_NOT_NULL_FATAL(type);
    buffer_reset(&bytes);
    CU_ASSERT_EQUAL(schema_pack(&tree_type, &tree, "v", &bytes, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(schema_unpack_block(type, whole(&bytes), "v", &value, NULL), 0);
    CU_ASSERT_EQUAL(schema_pack(type, value, "v", &again, NULL), 0);
    ferry_free(value);
    /* An absent optional field with a default comes back as its default. */
    CU_ASSERT_EQUAL(schema_unpack_block(&tree_type, whole(&again), "v", &value, NULL), 0);
    CU_ASSERT_EQUAL(*((Tree *)value)->leaves.v[0].m, 9);
    ferry_free(value);
    CU_ASSERT_EQUAL(schema_unpack_block(description_method(service, "plant")->args,
                                        (Span){(const uint8_t *)"\x92\x01\x81\xa4tiny\xa1x", 10},
                                        "args", &value, &error),
                    -EINVAL);
    CU_ASSERT_STRING_EQUAL(error.message, "args.leaf.tiny: expected i8, got str");
    ferry_error_clear(&error);
    ferry_free(service);
}

static void the_text_shows_everything(void) {
    static const char expected[] =
        "namespace * t\n"
        "\n"
        "struct Leaf {\n"
        "  1: i8 tiny\n"
        "  1: optional string note\n"
        "  1: i32 n = 7\n"
        "  1: optional i32 m = 9\n"
        "}\n"
        "\n"
        "struct Tree {\n"
        "  1: required string name\n"
        "  1: list<Leaf> leaves\n"
        "  1: set<i32> marks\n"
        "  1: map<string, i64> sizes\n"
        "  1: Shape shape\n"
        "  1: optional Tree next\n"
        "  1: Color color\n"
        "  1: binary raw\n"
        "  1: uuid id\n"
        "  1: bool on\n"
        "  1: double weight\n"
        "  1: i16 small\n"
        "}\n"
        "\n"
        "exception Bad {\n"
        "  1: string why\n"
        "} (wire.name = \"other.Bad\")\n"
        "\n"
        "union Shape {\n"
        "  1: i32 side\n"
        "  2: Leaf leaf\n"
        "}\n"
        "\n"
        "enum Color {\n"
        "  RED = 1\n"
        "  BLUE = -2\n"
        "}\n"
        "\n"
        "/** About trees. */\n"
        "// extends base.Plants, whose methods are listed here\n"
        "service Trees {\n"
        "  /**\n"
        "   * Plants a tree.\n"
        "   *\n"
        "   * And * / waters? it.\n"
        "   */\n"
        "  Tree plant(1: i32 a, 1: Leaf leaf, 1: optional i32 b) throws (1: Bad bad)"
        " (timeout = \"2s\", deprecated = \"use \\\"grow\\\"\", x.y, idempotent = \"true\", "
        "cache.ttl = \"30000ms\")\n"
        "  stream<map<string, i64>> talk(1: i32 a, 1: Leaf leaf, 1: optional i32 b,"
        " stream<Leaf> leaves) (x.z)\n"
        "  // its arguments are not described\n"
        "  void raw()\n"
        "  // its arguments are not described\n"
        "  oneway void forget()\n"
        "}\n";
    CLEANUP(buffer_deinit) Buffer text = {0};

    CU_ASSERT_EQUAL(description_print(&trees, &text), 0);
    buffer_append(&text, "", 1);
    CU_ASSERT_STRING_EQUAL((const char *)text.data, expected);
}

static void refused(const char *json_like, size_t len, const char *said) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_service *service = NULL;

    CU_ASSERT_EQUAL(description_read((Span){(const uint8_t *)json_like, len}, &service, &error),
                    -EINVAL);
    if (strcmp(error.message, said) != 0)
        printf("\n    said: %s", error.message);
    CU_ASSERT_STRING_EQUAL(error.message, said);
    ferry_error_clear(&error);
}

#define REFUSED(bytes, said) refused(bytes, sizeof(bytes) - 1, said)
#define HEAD                 "\xa1v\x01\xa7service\xa1S"

static void broken_descriptions_are_refused_with_a_place(void) {
    REFUSED("", "description: expected a map");
    REFUSED("\x80", "description: this library does not know its version");
    REFUSED("\x81\xa1v\x02", "description: this library does not know its version");
    REFUSED("\x81\xa1v\x01", "description: the service has no valid name");
    REFUSED("\x82" HEAD, "description: it has no methods");
    REFUSED("\x83" HEAD "\xa7methods\x05", "description: expected a list");
    REFUSED("\x83" HEAD "\xa7methods\x91\x80", "description[0]: a method has no name");
    REFUSED("\x83" HEAD "\xa7methods\x92\x81\xa4name\xa1m\x81\xa4name\xa1m",
            "description.m: two methods have one name");
    REFUSED("\x83" HEAD "\xa7methods\x94\x81\xa4name\xa1m\x81\xa4name\xa1z\x81\xa4name\xa1"
            "a\x81\xa4name\xa1m",
            "description.m: two methods have one name");
    REFUSED("\x83" HEAD "\xa7methods\x91\x81\xa4name\xa3"
            "a b",
            "description[0]: a name is invalid");
    REFUSED("\x83" HEAD "\xa7methods\x91\x82\xa4name\xa1m\xa6result\xa1X",
            "description.m: there is no type 'X'");
    REFUSED("\x83" HEAD "\xa7methods\x91\x82\xa4name\xa1m\xa6result\xa4\x1b[2J",
            "description.m: there is no type '\\x1b[2J'");
    REFUSED("\x83" HEAD "\xa7methods\x91\x82\xa4name\xa1m\xa6result\x92\xa3"
            "bag\xa1X",
            "description.m: a type is neither a list, a set nor a map");
    REFUSED("\x83" HEAD "\xa7methods\x91\x82\xa4name\xa1m\xa4"
            "args\x91\x80",
            "description.m[0]: a field has no name or no type");
    REFUSED("\x84" HEAD "\xa7methods\x90\xa5types\x91\x80",
            "description: a type has no name, no kind, or no fields or values");
    REFUSED("\x84" HEAD "\xa7methods\x90\xa5types\x91\x83\xa4name\xa1T\xa4kind\xa6struct"
            "\xa6"
            "fields\x91\x82\xa4name\xa1"
            "f\xa4type\xa1Y",
            "description.T[0]: there is no type 'Y'");
    REFUSED("\x83" HEAD "\xa7methods\x90\x00", "description: there are bytes after it");
}

#define ITEM(name, type) "\x82\xa4name\xa1" name "\xa4type" type
#define STRUCT(name)                                                                               \
    "\x83\xa4name\xa1" name "\xa4kind\xa6struct\xa6"                                               \
    "fields"

static void duplicates_are_refused(void) {
    REFUSED("\x84" HEAD "\xa7methods\x90\xa5types\x92" STRUCT("T") "\x90" STRUCT("T") "\x90",
            "description: two types have one name");
    REFUSED("\x84" HEAD "\xa7methods\x90\xa5types\x91" STRUCT("T") "\x92" ITEM("f", "\xa3i32")
                ITEM("f", "\xa3i64"),
            "description.T: two fields have one name");
    REFUSED("\x83" HEAD "\xa7methods\x91\x82\xa4name\xa1m\xa4"
            "args\x92" ITEM("a", "\xa3i32") ITEM("a", "\xa3i32"),
            "description.m: two fields have one name");
    REFUSED("\x84" HEAD "\xa7methods\x90\xa5types\x91\x83\xa4name\xa1"
            "E\xa4kind\xa4"
            "enum\xa6"
            "values\x92\x82\xa4name\xa1"
            "A\xa5value\x01\x82\xa4name\xa1"
            "A\xa5value\x02",
            "description.E: two values have one name");
}

static void counts_beyond_the_end_are_refused(void) {
    REFUSED("\xdf\xff\xff\xff\xff" HEAD, "description: a count is larger than the remaining bytes");
    REFUSED("\x83" HEAD "\xa7methods\xdd\xff\xff\xff\xff",
            "description: a count is larger than the remaining bytes");
    REFUSED("\x84" HEAD "\xa7methods\x90\xa5types\xdd\xff\xff\xff\xff",
            "description: a count is larger than the remaining bytes");
    REFUSED("\x84" HEAD "\xa7methods\x90\xa5types\x91" STRUCT("T") "\xdd\xff\xff\xff\xff",
            "description: a count is larger than the remaining bytes");
}

/* The types refer to each other in a cycle, and code can follow the references. */
static void types_may_contain_themselves(void) {
    static const char bytes[] =
        "\x84" HEAD "\xa7methods\x91\x82\xa4name\xa1m\xa4"
        "args\x91" ITEM("a", "\xa1"
                             "A") "\xa5types\x92" STRUCT("A") "\x92" ITEM("b", "\xa1"
                                                                               "B") ITEM("a", "\xa1"
                                                                                              "A")
            STRUCT("B") "\x91" ITEM("a", "\x92\xa4list\xa1"
                                         "A");
    CLEANUP(buffer_deinit) Buffer text = {0}, example = {0}, again = {0};
    ferry_error error = FERRY_ERROR_INIT;
    ferry_service *service = NULL;
    void *value;

    CU_ASSERT_EQUAL_FATAL(
        description_read((Span){(const uint8_t *)bytes, sizeof(bytes) - 1}, &service, &error), 0);
    CU_ASSERT_EQUAL(description_print(service, &text), 0);
    CU_ASSERT_EQUAL(description_write(service, &again), 0);
    CU_ASSERT_EQUAL(schema_example(service->methods[0].args, &example), 0);
    CU_ASSERT(example.len < 4096);
    CU_ASSERT_EQUAL(schema_unpack_block(service->methods[0].args,
                                        (Span){(const uint8_t *)"\x91\x80", 2}, "args", &value,
                                        &error),
                    -EINVAL);
    ferry_error_clear(&error);
    ferry_free(service);
}

/* The largest description, with the maximum number of fields. The broker does no other work while
 * it reads it. */
static void the_maximum_of_fields_is_read_quickly(void) {
    CLEANUP(buffer_deinit) Buffer bytes = {0};
    ferry_service *service = NULL;
    uint64_t start_us = clock_us();
    char name[16];

    write_map(&bytes, 4);
    buffer_append(&bytes, HEAD "\xa7methods\x90\xa5types",
                  sizeof(HEAD "\xa7methods\x90\xa5types") - 1);
    write_array(&bytes, 45);
    for (int i = 0; i < 45; i++) {
        write_map(&bytes, 3);
        write_text(&bytes, "name");
        snprintf(name, sizeof(name), "T%d", i);
        write_text(&bytes, name);
        write_text(&bytes, "kind");
        write_text(&bytes, "struct");
        write_text(&bytes, "fields");
        write_array(&bytes, 1024);
        for (int k = 0; k < 1024; k++) {
            write_map(&bytes, 2);
            write_text(&bytes, "name");
            snprintf(name, sizeof(name), "f%d", k);
            write_text(&bytes, name);
            write_text(&bytes, "type");
            write_text(&bytes, "i8");
        }
    }
    CU_ASSERT(bytes.len > DESCRIPTION_BYTES_MAX * 3 / 4 && bytes.len <= DESCRIPTION_BYTES_MAX);
    CU_ASSERT_EQUAL(description_read(whole(&bytes), &service, NULL), 0);
    CU_ASSERT(clock_us() - start_us < 30000000);
    printf("\n    %zu bytes in %.1f ms", bytes.len, (double)(clock_us() - start_us) / 1000);
    ferry_free(service);
}

static void a_type_that_is_nested_too_deep_is_refused(void) {
    CLEANUP(buffer_deinit) Buffer bytes = {0};
    ferry_error error = FERRY_ERROR_INIT;
    ferry_service *service;

    static const char head[] = "\x83" HEAD "\xa7methods\x91\x82\xa4name\xa1m\xa6result";

    buffer_append(&bytes, head, sizeof(head) - 1);
    for (int i = 0; i < 20; i++)
        buffer_append(&bytes, "\x92\xa4list", 6);
    buffer_append(&bytes, "\xa3i32", 4);
    CU_ASSERT_EQUAL(description_read(whole(&bytes), &service, &error), -EINVAL);
    CU_ASSERT_STRING_EQUAL(error.message, "description.m: a type is nested too deep");
    ferry_error_clear(&error);
}

static void bytes_that_are_nested_too_deep_are_refused(void) {
    CLEANUP(buffer_deinit) Buffer bytes = {0};
    ferry_service *service;

    /* Nested values under an unknown key, and in a type. */
    for (int i = 0; i < 2; i++) {
        buffer_reset(&bytes);
        if (i == 0)
            buffer_append(&bytes, "\x81\xa1x", 3);
        else
            buffer_append(&bytes, "\x83" HEAD "\xa7methods\x91\x82\xa4name\xa1m\xa6result", 38);
        for (int k = 0; k < 10000; k++)
            buffer_append(&bytes, "\x92\xa4list", 6);
        buffer_append(&bytes, "\xa3i32", 4);
        CU_ASSERT_EQUAL(description_read(whole(&bytes), &service, NULL), -EINVAL);
    }
}

static void every_truncation_is_refused(void) {
    CLEANUP(buffer_deinit) Buffer bytes = {0};

    CU_ASSERT_EQUAL(description_write(&trees, &bytes), 0);
    for (size_t len = 0; len < bytes.len; len++) {
        /* Exact size: a sanitizer finds a read past the end. */
        uint8_t *copy = malloc(len ? len : 1);
        ferry_service *service;

        memcpy(copy, bytes.data, len);
        CU_ASSERT_EQUAL(description_read((Span){copy, len}, &service, NULL), -EINVAL);
        free(copy);
    }
}

static void a_changed_byte_never_crashes_the_reader(void) {
    CLEANUP(buffer_deinit) Buffer bytes = {0};

    CU_ASSERT_EQUAL(description_write(&trees, &bytes), 0);
    for (size_t at = 0; at < bytes.len; at++)
        for (int bit = 0; bit < 8; bit++) {
            CLEANUP(buffer_deinit) Buffer text = {0};
            ferry_service *service = NULL;

            bytes.data[at] ^= (uint8_t)(1 << bit);
            if (description_read(whole(&bytes), &service, NULL) == 0)
                CU_ASSERT_EQUAL(description_print(service, &text), 0);
            ferry_free(service);
            bytes.data[at] ^= (uint8_t)(1 << bit);
        }
}

static void too_long_a_description_is_refused(void) {
    uint8_t *bytes = calloc(1, DESCRIPTION_BYTES_MAX + 1);
    ferry_service *service;

    CU_ASSERT_EQUAL(description_read((Span){bytes, DESCRIPTION_BYTES_MAX + 1}, &service, NULL),
                    -EMSGSIZE);
    free(bytes);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_description_that_was_read_is_written_the_same),
        TEST(bodies_are_checked_against_a_read_description),
        TEST(the_text_shows_everything),
        TEST(broken_descriptions_are_refused_with_a_place),
        TEST(duplicates_are_refused),
        TEST(counts_beyond_the_end_are_refused),
        TEST(types_may_contain_themselves),
        TEST(the_maximum_of_fields_is_read_quickly),
        TEST(a_type_that_is_nested_too_deep_is_refused),
        TEST(bytes_that_are_nested_too_deep_are_refused),
        TEST(every_truncation_is_refused),
        TEST(a_changed_byte_never_crashes_the_reader),
        TEST(too_long_a_description_is_refused),
        TESTS_END,
    };

    return run_suite("rpc/schema descriptions", tests);
}
