/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/wire/reader.h"

#include <math.h>
#include <msgpack.h>

#include "rpc/wire/writer.h"
#include "support/random.h"
#include "support/suite.h"

#define READER(...)                                                                                \
    reader_of((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void unsigned_integers_come_in_all_widths(void) {
    Reader r =
        READER(0x00, 0x7F, 0xCC, 0xFF, 0xCD, 0x12, 0x34, 0xCE, 1, 2, 3, 4, 0xCF, 1, 2, 3, 4, 5, 6,
               7, 8, 0xD0, 5, 0xD1, 0, 5, 0xD2, 0, 0, 0, 5, 0xD3, 0, 0, 0, 0, 0, 0, 0, 5);

    CU_ASSERT_EQUAL(reader_uint(&r), 0);
    CU_ASSERT_EQUAL(reader_uint(&r), 127);
    CU_ASSERT_EQUAL(reader_uint(&r), 255);
    CU_ASSERT_EQUAL(reader_uint(&r), 0x1234);
    CU_ASSERT_EQUAL(reader_uint(&r), 0x01020304);
    CU_ASSERT_EQUAL(reader_uint(&r), UINT64_C(0x0102030405060708));
    for (int i = 0; i < 4; i++)
        CU_ASSERT_EQUAL(reader_uint(&r), 5);
    CU_ASSERT_PTR_NULL(r.problem);
    CU_ASSERT_EQUAL(reader_left(&r), 0);
}

static void negative_integers_are_refused_as_unsigned(void) {
    Reader r = READER(0xFF, 0xE0, 0xD0, 0x80, 0xD1, 0x80, 0, 0xD2, 0x80, 0, 0, 0, 0xD3, 0x80, 0, 0,
                      0, 0, 0, 0, 0);
    Reader negative = READER(0xFF);

    CU_ASSERT_EQUAL(reader_int(&r), -1);
    CU_ASSERT_EQUAL(reader_int(&r), -32);
    CU_ASSERT_EQUAL(reader_int(&r), INT8_MIN);
    CU_ASSERT_EQUAL(reader_int(&r), INT16_MIN);
    CU_ASSERT_EQUAL(reader_int(&r), INT32_MIN);
    CU_ASSERT_EQUAL(reader_int(&r), INT64_MIN);
    CU_ASSERT_PTR_NULL(r.problem);
    CU_ASSERT_EQUAL(reader_uint(&negative), 0);
    CU_ASSERT_STRING_EQUAL(negative.problem, "expected an integer of zero or more");
}

static void an_integer_too_large_for_int64_is_refused(void) {
    Reader r = READER(0xCF, 0x80, 0, 0, 0, 0, 0, 0, 0);
    Reader most = READER(0xCF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF);

    CU_ASSERT_EQUAL(reader_int(&r), 0);
    CU_ASSERT_STRING_EQUAL(r.problem, "the integer is too large");
    CU_ASSERT_EQUAL(reader_int(&most), INT64_MAX);
}

static void doubles_may_be_written_as_floats_and_integers(void) {
    Reader r = READER(0xCA, 0x3F, 0xC0, 0, 0, 0xCB, 0xBF, 0xF8, 0, 0, 0, 0, 0, 0, 0x05, 0xFF, 0xCF,
                      0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xCA, 0x7F, 0xC0, 0, 0);

    CU_ASSERT_EQUAL(reader_double(&r), 1.5);
    CU_ASSERT_EQUAL(reader_double(&r), -1.5);
    CU_ASSERT_EQUAL(reader_double(&r), 5);
    CU_ASSERT_EQUAL(reader_double(&r), -1);
    CU_ASSERT_EQUAL(reader_double(&r), 18446744073709551616.0);
    CU_ASSERT(isnan(reader_double(&r)));
    CU_ASSERT_PTR_NULL(r.problem);
}

static void strings_bytes_and_extensions_come_in_all_widths(void) {
    Buffer b = {0};
    uint8_t big[70000];
    static const size_t sizes[] = {0, 1, 2, 4, 8, 15, 16, 17, 31, 32, 255, 256, 65535, 65536};
    Reader r;
    int8_t type;

    memset(big, 'x', sizeof(big));
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        write_str(&b, big, sizes[i]);
        write_bin(&b, big, sizes[i]);
        write_ext(&b, -7, big, sizes[i]);
    }
    r = reader_of(b.data, b.len);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        CU_ASSERT_EQUAL(reader_peek(&r), WIRE_STR);
        CU_ASSERT_EQUAL(reader_str(&r).len, sizes[i]);
        CU_ASSERT_EQUAL(reader_peek(&r), WIRE_BIN);
        CU_ASSERT_EQUAL(reader_bin(&r).len, sizes[i]);
        CU_ASSERT_EQUAL(reader_peek(&r), WIRE_EXT);
        CU_ASSERT_EQUAL(reader_ext(&r, &type).len, sizes[i]);
        CU_ASSERT_EQUAL(type, -7);
    }
    CU_ASSERT_PTR_NULL(r.problem);
    CU_ASSERT_EQUAL(reader_left(&r), 0);
    buffer_deinit(&b);
}

static void lists_and_maps_come_in_all_widths(void) {
    Buffer b = {0};
    Reader r;

    write_array(&b, 70000);
    for (int i = 0; i < 70000; i++)
        write_nil(&b);
    r = reader_of(b.data, b.len);
    CU_ASSERT_EQUAL(reader_array(&r), 70000);
    CU_ASSERT_EQUAL(reader_left(&r), 70000);
    buffer_reset(&b);
    write_map(&b, 20);
    for (int i = 0; i < 40; i++)
        write_bool(&b, i % 2 == 0);
    r = reader_of(b.data, b.len);
    CU_ASSERT_EQUAL(reader_map(&r), 20);
    CU_ASSERT_TRUE(reader_bool(&r));
    CU_ASSERT_FALSE(reader_bool(&r));
    CU_ASSERT_EQUAL(wire_check(b.data, b.len), NULL);
    buffer_deinit(&b);
}

static void nil_is_recognised(void) {
    Reader r = READER(0xC0, 0x01);

    CU_ASSERT_TRUE(reader_nil(&r));
    CU_ASSERT_FALSE(reader_nil(&r));
    CU_ASSERT_EQUAL(reader_uint(&r), 1);
    CU_ASSERT_FALSE(reader_nil(&r));
    CU_ASSERT_PTR_NULL(r.problem);
}

static void a_value_of_another_type_is_refused_by_name(void) {
    static const uint8_t one_of_each[] = {0xC0, 0xC2, 0x01, 0xCB, 0xA0, 0xC4, 0x90, 0x80, 0xD4};
    int8_t type;

    for (size_t i = 0; i < sizeof(one_of_each); i++) {
        uint8_t bytes[10] = {one_of_each[i]};
        Reader r = reader_of(bytes, sizeof(bytes));
        WireType is = reader_peek(&r);

#define REFUSED(call, wanted)                                                                      \
    r = reader_of(bytes, sizeof(bytes));                                                           \
    (void)call;                                                                                    \
    CU_ASSERT_EQUAL(r.problem != NULL, is != (wanted))
        REFUSED(reader_bool(&r), WIRE_BOOL);
        REFUSED(reader_uint(&r), WIRE_INT);
        REFUSED(reader_int(&r), WIRE_INT);
        REFUSED(reader_str(&r), WIRE_STR);
        REFUSED(reader_bin(&r), WIRE_BIN);
        REFUSED(reader_array(&r), WIRE_ARRAY);
        REFUSED(reader_map(&r), WIRE_MAP);
        REFUSED(reader_ext(&r, &type), WIRE_EXT);
#undef REFUSED
        r = reader_of(bytes, sizeof(bytes));
        reader_double(&r);
        CU_ASSERT_EQUAL(r.problem != NULL, is != WIRE_FLOAT && is != WIRE_INT);
        CU_ASSERT(strlen(wire_type_name(is)) > 2);
    }
}

static void the_first_problem_is_kept(void) {
    Reader r = READER(0xA1, 'a', 0x01);

    CU_ASSERT_EQUAL(reader_uint(&r), 0);
    CU_ASSERT_STRING_EQUAL(r.problem, "expected an integer");
    CU_ASSERT_EQUAL(reader_str(&r).len, 0);
    CU_ASSERT_EQUAL(reader_array(&r), 0);
    CU_ASSERT_PTR_NULL(reader_value(&r).data);
    CU_ASSERT_STRING_EQUAL(r.problem, "expected an integer");
    CU_ASSERT_EQUAL(reader_left(&r), 0);
}

static void the_end_is_a_problem_for_every_read(void) {
    int8_t type;

#define AT_END(call)                                                                               \
    do {                                                                                           \
        Reader r = reader_of(NULL, 0);                                                             \
        (void)call;                                                                                \
        CU_ASSERT_PTR_NOT_NULL(r.problem);                                                         \
    } while (0)
    AT_END(reader_uint(&r));
    AT_END(reader_int(&r));
    AT_END(reader_double(&r));
    AT_END(reader_bool(&r));
    AT_END(reader_str(&r));
    AT_END(reader_bin(&r));
    AT_END(reader_ext(&r, &type));
    AT_END(reader_array(&r));
    AT_END(reader_map(&r));
    AT_END(reader_value(&r));
#undef AT_END
    CU_ASSERT_PTR_NOT_NULL(wire_check("", 0));
}

static void lengths_beyond_the_end_are_refused(void) {
    static const uint8_t heads[][6] = {
        {0xA7, 'a'},
        {0xD9, 200, 'a'},
        {0xDA, 0xFF, 0xFF, 'a'},
        {0xDB, 0xFF, 0xFF, 0xFF, 0xFF, 'a'},
        {0xC4, 200, 'a'},
        {0xC5, 0xFF, 0xFF, 'a'},
        {0xC6, 0xFF, 0xFF, 0xFF, 0xFF, 'a'},
        {0xC7, 200, 1, 'a'},
        {0xC8, 0xFF, 0xFF, 1, 'a'},
        {0xC9, 0xFF, 0xFF, 0xFF, 0xFF, 1},
        {0xD8, 1, 'a'},
        {0xDC, 0xFF, 0xFF, 1},
        {0xDD, 0xFF, 0xFF, 0xFF, 0xFF, 1},
        {0x9F, 1},
        {0xDE, 0xFF, 0xFF, 1},
        {0xDF, 0xFF, 0xFF, 0xFF, 0xFF, 1},
        {0x8F, 1, 1},
    };

    for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++)
        for (size_t len = 1; len <= 6; len++)
            CU_ASSERT_PTR_NOT_NULL(wire_check(heads[i], len));
}

static void the_unused_byte_0xc1_is_refused(void) {
    CU_ASSERT_STRING_EQUAL(wire_check("\xc1", 1), "the byte 0xc1 is not MessagePack");
    CU_ASSERT_PTR_NOT_NULL(wire_check("\x92\x01\xc1", 3));
    CU_ASSERT_STRING_EQUAL(wire_check("\x01\x01", 2), "there are bytes after the value");
}

static const char *check_nested(size_t levels, uint8_t container, uint8_t innermost) {
    uint8_t bytes[20002];
    size_t len = 0;

    for (size_t i = 0; i < levels; i++) {
        bytes[len++] = container;
        if (container == 0x81 && len < sizeof(bytes) - 1)
            bytes[len++] = 0x01;
    }
    bytes[len++] = innermost;
    return wire_check(bytes, len);
}

static void thirty_two_levels_are_enough(void) {
    CU_ASSERT_PTR_NULL(check_nested(32, 0x91, 0xC0));
    CU_ASSERT_PTR_NULL(check_nested(32, 0x81, 0xC0));
    CU_ASSERT_PTR_NULL(check_nested(31, 0x91, 0x90));
    CU_ASSERT_STRING_EQUAL(check_nested(33, 0x91, 0xC0), "nested deeper than 32 levels");
    CU_ASSERT_STRING_EQUAL(check_nested(33, 0x81, 0xC0), "nested deeper than 32 levels");
    /* An empty list counts as a level too. */
    CU_ASSERT_STRING_EQUAL(check_nested(32, 0x91, 0x90), "nested deeper than 32 levels");
    CU_ASSERT_STRING_EQUAL(check_nested(10000, 0x91, 0xC0), "nested deeper than 32 levels");
    CU_ASSERT_STRING_EQUAL(check_nested(10000, 0x81, 0xC0), "nested deeper than 32 levels");
}

static void spans_compare_with_texts(void) {
    CU_ASSERT_TRUE(span_is((Span){(const uint8_t *)"abc", 3}, "abc"));
    CU_ASSERT_FALSE(span_is((Span){(const uint8_t *)"abc", 3}, "ab"));
    CU_ASSERT_FALSE(span_is((Span){(const uint8_t *)"ab\0", 3}, "ab"));
    CU_ASSERT_TRUE(span_is((Span){NULL, 0}, ""));
    CU_ASSERT_FALSE(span_is((Span){NULL, 0}, "a"));
}

/* Random values with a few changed bytes: most of them are still valid. */
static size_t some_value(Dice *dice, uint8_t *to, size_t size, int depth) {
    Buffer b = {0};
    size_t n = 1, len;

    while (n > 0 && b.len < size / 2) {
        n--;
        switch (dice_below(dice, depth > 0 ? 10 : 8)) {
        case 0:
            write_nil(&b);
            break;
        case 1:
            write_bool(&b, dice_below(dice, 2) == 0);
            break;
        case 2:
            write_uint(&b, dice_any(dice));
            break;
        case 3:
            write_int(&b, -(int64_t)(dice_any(dice) >> 1));
            break;
        case 4:
            write_double(&b, (double)dice_any(dice));
            break;
        case 5:
            write_str(&b, "0123456789012345678901234567890123456789", dice_below(dice, 40));
            break;
        case 6:
            write_bin(&b, "0123456789012345678901234567890123456789", dice_below(dice, 40));
            break;
        case 7:
            write_ext(&b, (int8_t)dice_u64(dice), "01234567890123456789", dice_below(dice, 20));
            break;
        case 8:
            len = dice_below(dice, 20);
            write_array(&b, (uint32_t)len);
            n += len;
            break;
        default:
            len = dice_below(dice, 20);
            write_map(&b, (uint32_t)len);
            n += 2 * len;
        }
    }
    len = b.len < size ? b.len : size;
    memcpy(to, b.data, len);
    buffer_deinit(&b);
    return len;
}

static void msgpack_c_accepts_all_accepted_values_with_the_same_length(void) {
    Dice dice = dice_new(2024);
    uint8_t bytes[512];
    unsigned accepted = 0, refused = 0, wrong = 0;

    for (int round = 0; round < 30000; round++) {
        size_t len = some_value(&dice, bytes, sizeof(bytes), 1), used = 0;
        Reader r;
        Span span;
        msgpack_zone zone;
        msgpack_object object;
        msgpack_unpack_return said;

        for (uint64_t k = dice_below(&dice, 3); k > 0 && len > 0; k--)
            bytes[dice_below(&dice, len)] = (uint8_t)dice_u64(&dice);
        r = reader_of(bytes, len);
        span = reader_value(&r);
        /* Skip values that the reader refuses: msgpack-c trusts a count and allocates memory for
         * it. */
        if (r.problem) {
            refused++;
            continue;
        }
        msgpack_zone_init(&zone, 2048);
        said = msgpack_unpack((const char *)bytes, len, &used, &zone, &object);
        msgpack_zone_destroy(&zone);
        accepted++;
        if ((said != MSGPACK_UNPACK_SUCCESS && said != MSGPACK_UNPACK_EXTRA_BYTES) ||
            used != span.len)
            wrong++;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT(accepted > 1000 && refused > 1000);
}

static void every_cut_of_a_value_is_refused(void) {
    Dice dice = dice_new(7);
    uint8_t bytes[512];

    for (int round = 0; round < 300; round++) {
        size_t len = some_value(&dice, bytes, sizeof(bytes), 1);

        if (wire_check(bytes, len))
            continue;
        for (size_t cut = 0; cut < len; cut++) {
            /* The copy is on the heap, so that a sanitizer finds a read past its end. */
            uint8_t *copy = malloc(cut ? cut : 1);

            memcpy(copy, bytes, cut);
            CU_ASSERT_PTR_NOT_NULL(wire_check(copy, cut));
            free(copy);
        }
    }
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(unsigned_integers_come_in_all_widths),
        TEST(negative_integers_are_refused_as_unsigned),
        TEST(an_integer_too_large_for_int64_is_refused),
        TEST(doubles_may_be_written_as_floats_and_integers),
        TEST(strings_bytes_and_extensions_come_in_all_widths),
        TEST(lists_and_maps_come_in_all_widths),
        TEST(nil_is_recognised),
        TEST(a_value_of_another_type_is_refused_by_name),
        TEST(the_first_problem_is_kept),
        TEST(the_end_is_a_problem_for_every_read),
        TEST(lengths_beyond_the_end_are_refused),
        TEST(the_unused_byte_0xc1_is_refused),
        TEST(thirty_two_levels_are_enough),
        TEST(spans_compare_with_texts),
        TEST(msgpack_c_accepts_all_accepted_values_with_the_same_length),
        TEST(every_cut_of_a_value_is_refused),
        TESTS_END,
    };

    return run_suite("rpc/wire reader", tests);
}
