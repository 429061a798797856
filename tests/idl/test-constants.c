/* SPDX-License-Identifier: Apache-2.0 */
/* Constants in C have the values of the interface files. */

#include "support/suite.h"
#include "y_constants.h"
#include "y_numbers.h"
#include "y_strings.h"
#include "y_values.h"

static void numbers_have_their_decimal_value(void) {
    CU_ASSERT_EQUAL(NUMBERS_LEADING_ZERO, 98325); /* never octal */
    CU_ASSERT_EQUAL(NUMBERS_PLUS, 5);
    CU_ASSERT_EQUAL(NUMBERS_MINUS, -5);
    CU_ASSERT_EQUAL(NUMBERS_LOWEST32, INT32_MIN);
    CU_ASSERT_EQUAL(NUMBERS_HIGHEST32, INT32_MAX);
    CU_ASSERT_EQUAL(NUMBERS_LOWEST, INT64_MIN);
    CU_ASSERT_EQUAL(NUMBERS_HIGHEST, INT64_MAX);
    CU_ASSERT_EQUAL(NUMBERS_HEX, 255);
    CU_ASSERT_EQUAL(NUMBERS_NEGATIVE_HEX, -16);
    CU_ASSERT_EQUAL(NUMBERS_PLUS_HEX, 16);
    CU_ASSERT_EQUAL(NUMBERS_LOWEST_HEX, INT64_MIN);
    CU_ASSERT_EQUAL(NUMBERS_HIGHEST_HEX, INT64_MAX);
    CU_ASSERT_EQUAL(NUMBERS_LOWEST8, -128);
    CU_ASSERT_EQUAL(NUMBERS_HIGHEST16, 32767);
    CU_ASSERT_EQUAL(NUMBERS_ZEROS_ONLY, 0);
    CU_ASSERT_EQUAL(NUMBERS_MINUS_ZEROS, -7);
    CU_ASSERT_EQUAL(NUMBERS_E10, 7); /* not 1e10: without a leading digit it is a name */
    CU_ASSERT_EQUAL(NUMBERS_E10_ALSO, 7);
    CU_ASSERT_TRUE(NUMBERS_YES);
    CU_ASSERT_FALSE(NUMBERS_NO);
    CU_ASSERT_TRUE(NUMBERS_ALSO);
    CU_ASSERT_EQUAL(NUMBERS_TRUE_NUMBER, 1);
    CU_ASSERT_EQUAL(NUMBERS_FALSE_NUMBER, 0);
}

static void doubles_keep_every_bit(void) {
    CU_ASSERT_EQUAL(NUMBERS_EXPONENT, 1e10);
    CU_ASSERT_EQUAL(NUMBERS_SMALL, 1.5e-300);
    CU_ASSERT_EQUAL(NUMBERS_FRACTION, -0.5);
    CU_ASSERT_EQUAL(NUMBERS_ZEROS, 85.2355);
    CU_ASSERT_EQUAL(NUMBERS_WHOLE, 3.0);
    CU_ASSERT_EQUAL(NUMBERS_NAMED, 3.0);
    CU_ASSERT_EQUAL(NUMBERS_TENTH, 0.1);
    CU_ASSERT_EQUAL(NUMBERS_BIG_E, 1e10);
    CU_ASSERT_EQUAL(NUMBERS_NO_ZERO, 0.5);
    CU_ASSERT_EQUAL(NUMBERS_PLUS_NO_ZERO, 0.0005);
    CU_ASSERT_TRUE(NUMBERS_MINUS_ZERO == 0 && 1 / NUMBERS_MINUS_ZERO < 0);
    CU_ASSERT_EQUAL(sizeof(NUMBERS_WHOLE), sizeof(double));
}

static void texts_contain_their_unescaped_characters(void) {
    static const ferry_uuid id = {{0x12, 0x3e, 0x45, 0x67, 0xe8, 0x9b, 0x12, 0xd3, 0xa4, 0x56, 0x42,
                                   0x66, 0x14, 0x17, 0x40, 0x00}};

    CU_ASSERT_STRING_EQUAL(STRINGS_DOUBLE_QUOTES, "it's");
    CU_ASSERT_STRING_EQUAL(STRINGS_SINGLE_QUOTES, "he said \"no\"");
    CU_ASSERT_STRING_EQUAL(STRINGS_ESCAPES, "\r\n\t\"'\\");
    CU_ASSERT_STRING_EQUAL(STRINGS_UTF8, "Gr\xC3\xBC\xC3\x9F"
                                         "e, \xE4\xB8\x96\xE7\x95\x8C");
    CU_ASSERT_STRING_EQUAL(STRINGS_EMPTY, "");
    CU_ASSERT_STRING_EQUAL(STRINGS_TRIGRAPH, "what?"
                                             "?/ ?"
                                             "?= no");
    CU_ASSERT_STRING_EQUAL(STRINGS_PERCENT, "100%s %d");
    CU_ASSERT_EQUAL(STRINGS_BYTES.len, 10);
    CU_ASSERT_EQUAL(memcmp(STRINGS_BYTES.data, "some bytes", 10), 0);
    CU_ASSERT_EQUAL(memcmp(&STRINGS_ID, &id, sizeof(id)), 0);
    CU_ASSERT_EQUAL(memcmp(&STRINGS_BRACES, &id, sizeof(id)), 0);
}

static void containers_have_their_elements_in_order(void) {
    static const int32_t numbers[] = {1, 2, 3, 4, 5};

    CU_ASSERT_EQUAL(CONSTANTS_ALSO_FIVE, 5);
    CU_ASSERT_EQUAL(CONSTANTS_LATER, 9); /* defined after its use */
    CU_ASSERT_EQUAL(CONSTANTS_NUMBERS.n, 5);
    CU_ASSERT_EQUAL(memcmp(CONSTANTS_NUMBERS.v, numbers, sizeof(numbers)), 0);
    CU_ASSERT_EQUAL(CONSTANTS_WORDS.n, 2);
    CU_ASSERT_STRING_EQUAL(CONSTANTS_WORDS.v[1], "b");
    CU_ASSERT_EQUAL(CONSTANTS_OPS.n, 2);
    CU_ASSERT_EQUAL(CONSTANTS_OPS.v[1], CONSTANTS_OP_SUB);
    CU_ASSERT_EQUAL(CONSTANTS_NONE.n, 0);
    CU_ASSERT_EQUAL(CONSTANTS_NO_MAP.n, 0);
    CU_ASSERT_EQUAL(CONSTANTS_MAP.n, 3);
    CU_ASSERT_STRING_EQUAL(CONSTANTS_MAP.v[1].key, "b");
    CU_ASSERT_EQUAL(CONSTANTS_MAP.v[1].value, 5);
    CU_ASSERT_EQUAL(*constants_map_string_i32_find(&CONSTANTS_MAP, "c"), 3);
    CU_ASSERT_PTR_NULL(constants_map_string_i32_find(&CONSTANTS_MAP, "d"));
    CU_ASSERT_EQUAL(CONSTANTS_NESTED.n, 3);
    CU_ASSERT_EQUAL(CONSTANTS_NESTED.v[1].value.n, 0);
    CU_ASSERT_STRING_EQUAL(CONSTANTS_NESTED.v[2].value.v[1], "z");
    CU_ASSERT_EQUAL(VALUES_DS.n, 3);
    CU_ASSERT_EQUAL(VALUES_DS.v[2], -0.0005);
    CU_ASSERT_EQUAL(VALUES_LL.v[0], INT64_MIN);
    CU_ASSERT_EQUAL(VALUES_UL.v[0].bytes[15], 1);
    CU_ASSERT_EQUAL(VALUES_UM.v[0].value.len, 1);
    CU_ASSERT_EQUAL(VALUES_SM.v[0].value.x, 2);
    CU_ASSERT_EQUAL(VALUES_ME.v[0].value.v[1], VALUES_E_B);
}

static void enums_are_their_numbers(void) {
    CU_ASSERT_EQUAL(CONSTANTS_OP_ADD, 1);
    CU_ASSERT_EQUAL(CONSTANTS_OP_SUB, 2);
    CU_ASSERT_EQUAL(CONSTANTS_OP_MUL, 16);
    CU_ASSERT_EQUAL(CONSTANTS_OP, CONSTANTS_OP_SUB);
    CU_ASSERT_EQUAL(CONSTANTS_SHORT, CONSTANTS_OP_MUL);
    CU_ASSERT_EQUAL(CONSTANTS_NUMBER, 1);
    CU_ASSERT_EQUAL(CONSTANTS_OP_NUMBER, 16);
    CU_ASSERT_EQUAL(VALUES_EEE, 5);
    CU_ASSERT_STRING_EQUAL(constants_op_name(16), "MUL");
    CU_ASSERT_PTR_NULL(constants_op_name(3));
}

static void structs_have_defaults_for_omitted_fields(void) {
    CU_ASSERT_EQUAL(CONSTANTS_ORIGIN.y, 0);
    CU_ASSERT_PTR_NULL(CONSTANTS_ORIGIN.label);
    CU_ASSERT_EQUAL(CONSTANTS_LABELLED.y, 7);
    CU_ASSERT_STRING_EQUAL(CONSTANTS_LABELLED.label, "one");
    CU_ASSERT_EQUAL(CONSTANTS_LINE.to.x, 3);
    CU_ASSERT_EQUAL(CONSTANTS_LINE.via.v[1].y, 2);
    CU_ASSERT_EQUAL(CONSTANTS_LINE.sizes.v[0].value, 1);
    CU_ASSERT_EQUAL(CONSTANTS_LINE.ops.v[0], CONSTANTS_OP_ADD);
    CU_ASSERT_STRING_EQUAL(VALUES_XC.message, "dflt");
    CU_ASSERT_EQUAL(VALUES_SL.v[0].x, 0);
    CU_ASSERT_EQUAL(VALUES_SL.v[1].x, 4);
}

static void unions_have_the_named_field(void) {
    CU_ASSERT_EQUAL(CONSTANTS_SHAPE.which, CONSTANTS_SHAPE_POINT);
    CU_ASSERT_EQUAL(CONSTANTS_SHAPE.point.y, 2);
    CU_ASSERT_EQUAL(CONSTANTS_OTHER.which, CONSTANTS_SHAPE_NUMBER);
    CU_ASSERT_EQUAL(CONSTANTS_OTHER.number, 4);
    CU_ASSERT_EQUAL(CONSTANTS_SHAPES.v[1].which, CONSTANTS_SHAPE_LINE);
    CU_ASSERT_EQUAL(CONSTANTS_SHAPES.v[1].line.to.x, 3);
    CU_ASSERT_EQUAL(VALUES_U2_C.which, VALUES_U2_U);
    CU_ASSERT_EQUAL(VALUES_U2_C.u->l.v[0], 1);
}

static void init_macros_have_the_defaults(void) {
    constants_defaults value = CONSTANTS_DEFAULTS_INIT;
    values_wu with_unions = VALUES_WU_INIT;

    CU_ASSERT_EQUAL(value.a, 1);
    CU_ASSERT_STRING_EQUAL(value.b, "b");
    CU_ASSERT_EQUAL(value.c.n, 5);
    CU_ASSERT_EQUAL(value.d, CONSTANTS_OP_MUL);
    CU_ASSERT_EQUAL(value.e.x, 5);
    CU_ASSERT_EQUAL(value.f.v[0].value.y, 0);
    CU_ASSERT_PTR_NULL(value.g); /* optional: the receiver fills in the default */
    CU_ASSERT_EQUAL(value.k, 2.0);
    CU_ASSERT_EQUAL(value.m, 1000000000000);
    CU_ASSERT_EQUAL(value.n.bytes[15], 1);
    CU_ASSERT_EQUAL(value.o.len, 3);
    CU_ASSERT_EQUAL(value.q.which, CONSTANTS_SHAPE_NUMBER);
    CU_ASSERT_EQUAL(value.q.number, 3);
    CU_ASSERT_EQUAL(with_unions.u.which, VALUES_U1_L);
    CU_ASSERT_EQUAL(with_unions.u.l.v[1], 2);
    CU_ASSERT_EQUAL(with_unions.v.which, 0);
    CU_ASSERT_EQUAL(with_unions.z.l.v[0], 3);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(numbers_have_their_decimal_value),
        TEST(doubles_keep_every_bit),
        TEST(texts_contain_their_unescaped_characters),
        TEST(containers_have_their_elements_in_order),
        TEST(enums_are_their_numbers),
        TEST(structs_have_defaults_for_omitted_fields),
        TEST(unions_have_the_named_field),
        TEST(init_macros_have_the_defaults),
        TESTS_END,
    };

    return run_suite("idl constants", tests);
}
