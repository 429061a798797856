/* SPDX-License-Identifier: Apache-2.0 */
/* The example endian: byte order, ranges, and agreement with Python's struct. */

#include <math.h>

#include "endian-api.h"
#include "examples/stage.h"

static Stage stage;

/* ---- the hazard ---- */

static void memory_copied_to_a_socket_is_another_number(void) {
    const uint32_t number = 0x13579ace;
    unsigned char octets[4];
    uint32_t read_by_other = 0;

    memcpy(octets, &number, sizeof(octets)); /* the bytes that send(fd, &number, 4, 0) sends */
    for (int i = 0; i < 4; i++) /* the number that a machine of the other byte order reads */
        read_by_other |= (uint32_t)octets[i] << (octets[0] == 0xce ? 24 - 8 * i : 8 * i);
    CU_ASSERT_EQUAL(read_by_other, 0xce9a5713);
}

/* ---- the service ---- */

static const endian_value *one(endian_value *value, int64_t whole) {
    *value = (endian_value){.which = ENDIAN_VALUE_WHOLE, .whole = whole};
    return value;
}

static int pack(const char *format, int64_t whole, const char *expected, size_t len) {
    ferry_bytes *octets = NULL;
    endian_value value;
    int r = endian_pack(stage.client, format, &(endian_list_value){1, one(&value, whole)}, &octets,
                        &stage.error);

    if (r == 0 && expected)
        CU_ASSERT(octets->len == len && memcmp(octets->data, expected, len) == 0);
    ferry_free(octets);
    return r;
}

static int64_t unpack(const char *format, const char *octets, size_t len) {
    endian_list_value *values = NULL;
    int64_t whole = INT64_MIN;

    CU_ASSERT_EQUAL(
        endian_unpack(stage.client, format, ferry_bytes_of(octets, len), &values, &stage.error), 0);
    if (values && values->n == 1 && values->v[0].which == ENDIAN_VALUE_WHOLE)
        whole = values->v[0].whole;
    ferry_free(values);
    return whole;
}

static void the_notes_numbers_come_out(void) {
    CU_ASSERT_EQUAL(pack("<i", 324508366, "\xce\x9aW\x13", 4), 0);
    CU_ASSERT_EQUAL(pack(">i", 324508366, "\x13W\x9a\xce", 4), 0);
    CU_ASSERT_EQUAL(pack("<i", 4253, "\x9d\x10\0\0", 4), 0);
    CU_ASSERT_EQUAL(pack(">i", 4253, "\0\0\x10\x9d", 4), 0);
    CU_ASSERT_EQUAL(pack("!I", 10, "\0\0\0\x0a", 4), 0); /* the header of a block */
    CU_ASSERT_EQUAL(unpack(">i", "\0\0\x10\x9d", 4), 4253);
    CU_ASSERT_EQUAL(unpack("<i", "\xce\x9aW\x13", 4), 324508366);
    CU_ASSERT_EQUAL(unpack("<b", "\xff", 1), -1);
    CU_ASSERT_EQUAL(unpack("<B", "\xff", 1), 255);
}

static void every_code_has_its_range(void) {
    static const struct {
        const char *code, *low, *high;
        int64_t below, above;
    } ranges[] = {
        {"b", "-128", "127", -129, 128},
        {"B", "0", "255", -1, 256},
        {"h", "-32768", "32767", -32769, 32768},
        {"H", "0", "65535", -1, 65536},
        {"i", "-2147483648", "2147483647", -2147483649, 2147483648},
        {"I", "0", "4294967295", -1, 4294967296},
        {"Q", "0", "18446744073709551615", -1, -1},
    };

    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        char format[3] = {'!', ranges[i].code[0], '\0'};
        const endian_out_of_range *e;

        CU_ASSERT_EQUAL(pack(format, ranges[i].below, NULL, 0), -EREMOTEIO);
        CU_ASSERT_EQUAL(pack(format, ranges[i].above, NULL, 0), -EREMOTEIO);
        e = endian_out_of_range_in(&stage.error);
        CU_ASSERT_PTR_NOT_NULL_FATAL(e);
        CU_ASSERT_EQUAL(e->index, 0);
        CU_ASSERT_STRING_EQUAL(e->code, ranges[i].code);
        CU_ASSERT_STRING_EQUAL(e->low, ranges[i].low);
        CU_ASSERT_STRING_EQUAL(e->high, ranges[i].high);
    }
}

static void wrong_formats_and_counts_are_typed(void) {
    const endian_bad_format *e;
    int64_t size;
    endian_list_value *values = NULL;

    CU_ASSERT_EQUAL(endian_calcsize(stage.client, "<ihz", &size, &stage.error), -EREMOTEIO);
    e = endian_bad_format_in(&stage.error);
    CU_ASSERT(e && e->position == 3 && strcmp(e->reason, "there is no such code") == 0);
    CU_ASSERT_EQUAL(endian_calcsize(stage.client, "<3", &size, &stage.error), -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(endian_bad_format_in(&stage.error));
    CU_ASSERT_EQUAL(endian_calcsize(stage.client, "99999999999999999999s", &size, &stage.error),
                    -EREMOTEIO);
    CU_ASSERT_EQUAL(pack("<ii", 1, NULL, 0), -EREMOTEIO);
    CU_ASSERT(endian_wrong_count_in(&stage.error) &&
              endian_wrong_count_in(&stage.error)->expected == 2 &&
              endian_wrong_count_in(&stage.error)->received == 1);
    CU_ASSERT_EQUAL(
        endian_unpack(stage.client, "<i", ferry_bytes_of("abc", 3), &values, &stage.error),
        -EREMOTEIO);
    CU_ASSERT(endian_wrong_length_in(&stage.error) &&
              endian_wrong_length_in(&stage.error)->expected == 4 &&
              endian_wrong_length_in(&stage.error)->received == 3);
    CU_ASSERT_EQUAL(pack("<s", 1, NULL, 0), -EREMOTEIO);
    CU_ASSERT(endian_bad_value_in(&stage.error) &&
              strcmp(endian_bad_value_in(&stage.error)->code, "s") == 0);
}

/* ---- Python's struct says the same ---- */

/* A line of struct-vectors.py: FORMAT KIND:TEXT... = HEX; reads the values into v. */
static size_t read_values(char *words, endian_value *v, unsigned char (*octets)[64]) {
    size_t n = 0;

    for (char *rest, *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        v[n].which = word[0] == 'i'   ? ENDIAN_VALUE_WHOLE
                     : word[0] == 'u' ? ENDIAN_VALUE_DIGITS
                     : word[0] == 'f' ? ENDIAN_VALUE_REAL
                                      : ENDIAN_VALUE_OCTETS;
        if (word[0] == 'i') {
            v[n].whole = strtoll(word + 2, NULL, 10);
        } else if (word[0] == 'u') {
            v[n].digits = word + 2;
        } else if (word[0] == 'f') {
            v[n].real = strtod(word + 2, NULL);
        } else {
            size_t len = strlen(word + 2) / 2;

            for (size_t i = 0; i < len; i++)
                sscanf(word + 2 + 2 * i, "%2hhx", &octets[n][i]);
            v[n].octets = ferry_bytes_of(octets[n], len);
        }
        n++;
    }
    return n;
}

static bool same_value(const endian_value *a, const endian_value *b) {
    if (a->which != b->which)
        return false;
    switch (a->which) {
    case ENDIAN_VALUE_WHOLE:
        return a->whole == b->whole;
    case ENDIAN_VALUE_DIGITS:
        return strcmp(a->digits, b->digits) == 0;
    case ENDIAN_VALUE_REAL:
        return a->real == b->real || (isnan(a->real) && isnan(b->real));
    default:
        return a->octets.len == b->octets.len &&
               memcmp(a->octets.data, b->octets.data, a->octets.len) == 0;
    }
}

static void check_line(char *line) {
    char *values = strchr(line, ' '), *hex = strstr(line, " = "), expected[2048] = "";
    unsigned char octets[16][64];
    ferry_bytes *packed = NULL;
    endian_list_value *back = NULL;
    endian_value v[16] = {{0}};
    size_t n;

    *values = *hex = '\0';
    hex[3 + strcspn(hex + 3, "\n")] = '\0';
    n = values < hex ? read_values(values + 1, v, octets) : 0;
    CU_ASSERT_EQUAL(
        endian_pack(stage.client, line, &(endian_list_value){n, v}, &packed, &stage.error), 0);
    for (size_t i = 0; packed && i < packed->len; i++)
        sprintf(expected + 2 * i, "%02x", ((const unsigned char *)packed->data)[i]);
    CU_ASSERT_STRING_EQUAL(expected, hex + 3);
    CU_ASSERT_EQUAL(packed ? endian_unpack(stage.client, line, *packed, &back, &stage.error) : -1,
                    0);
    CU_ASSERT(back && back->n == n);
    for (size_t i = 0; back && i < back->n && i < n; i++)
        CU_ASSERT(same_value(&v[i], &back->v[i]));
    ferry_free(back);
    ferry_free(packed);
}

static void pythons_struct_agrees(void) {
    FILE *vectors = popen("/usr/bin/python3 \"$STRUCT_VECTORS\"", "r");
    char line[4096];
    int n = 0;

    CU_ASSERT_PTR_NOT_NULL_FATAL(vectors);
    while (fgets(line, sizeof(line), vectors)) {
        check_line(line);
        n++;
    }
    CU_ASSERT_EQUAL(pclose(vectors), 0);
    CU_ASSERT_EQUAL(n, 400);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(memory_copied_to_a_socket_is_another_number),
        TEST(the_notes_numbers_come_out),
        TEST(every_code_has_its_range),
        TEST(wrong_formats_and_counts_are_typed),
        TEST(pythons_struct_agrees),
        TESTS_END,
    };
    int status;

    stage_open(&stage, endian_start);
    status = run_suite("example endian", tests);
    stage_close(&stage);
    return status;
}
