/* SPDX-License-Identifier: Apache-2.0 */
/* The example bytes: codecs, their errors, and agreement with Python's codecs. */

#include "bytes.h"
#include "examples/stage.h"

static Stage stage;

/* The octets that a text has, as hex; "" when it is refused. */
static const char *encoded(const char *text, bytes_codec codec, bytes_errors errors) {
    static char hex[8192];
    ferry_bytes *octets = NULL;
    int r = bytes_encode(stage.client, text, codec, errors, &octets, &stage.error);

    hex[0] = '\0';
    for (size_t i = 0; r == 0 && i < octets->len; i++)
        sprintf(hex + 2 * i, "%02x", ((const unsigned char *)octets->data)[i]);
    ferry_free(octets);
    return hex;
}

static int decoded(const void *octets, size_t len, bytes_codec codec, bytes_errors errors,
                   const char *expected) {
    char *text = NULL;
    int r =
        bytes_decode(stage.client, ferry_bytes_of(octets, len), codec, errors, &text, &stage.error);

    if (r == 0 && expected)
        CU_ASSERT_STRING_EQUAL(text, expected);
    ferry_free(text);
    return r;
}

/* ---- the hazard ---- */

static void another_codec_reads_other_text_without_an_error(void) {
    /* The octets of "你好，世界！", written as UTF-8, are good GBK. */
    static const char octets[] = "\xe4\xbd\xa0\xe5\xa5\xbd\xef\xbc\x8c\xe4\xb8\x96\xe7\x95\x8c"
                                 "\xef\xbc\x81";

    CU_ASSERT_EQUAL(decoded(octets, 18, BYTES_CODEC_UTF_8, BYTES_ERRORS_STRICT, "你好，世界！"), 0);
    CU_ASSERT_EQUAL(decoded(octets, 18, BYTES_CODEC_GBK, BYTES_ERRORS_STRICT, "浣犲ソ锛屼笘鐣岋紒"),
                    0);
}

/* ---- the notes' examples ---- */

static void numbers_become_octets_and_numbers_again(void) {
    static const int32_t same[] = {97, 97, 97, 97}, wrong[] = {1, 256};
    ferry_list_i32 *numbers = NULL;
    ferry_bytes *octets = NULL;

    CU_ASSERT_EQUAL(bytes_octets(stage.client, &(ferry_list_i32){4, same}, &octets, &stage.error),
                    0);
    CU_ASSERT(octets && octets->len == 4 && memcmp(octets->data, "aaaa", 4) == 0);
    CU_ASSERT_EQUAL(bytes_numbers(stage.client, *octets, &numbers, &stage.error), 0);
    CU_ASSERT(numbers && numbers->n == 4 && numbers->v[3] == 97);
    ferry_free(numbers);
    ferry_free(octets);
    CU_ASSERT_EQUAL(bytes_octets(stage.client, &(ferry_list_i32){2, wrong}, &octets, &stage.error),
                    -EREMOTEIO);
    CU_ASSERT(bytes_bad_octet_in(&stage.error) && bytes_bad_octet_in(&stage.error)->index == 1 &&
              bytes_bad_octet_in(&stage.error)->value == 256);
}

static void decode_errors_carry_codec_position_and_reason(void) {
    const bytes_decode_error *e;

    CU_ASSERT_EQUAL(decoded("\x80", 1, BYTES_CODEC_ASCII, BYTES_ERRORS_STRICT, NULL), -EREMOTEIO);
    e = bytes_decode_error_in(&stage.error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(e);
    CU_ASSERT(e->position == 0 && e->octet == 0x80);
    CU_ASSERT_STRING_EQUAL(e->codec, "ascii");
    CU_ASSERT_STRING_EQUAL(e->reason, "ordinal not in range(128)");
    CU_ASSERT_STRING_EQUAL(
        stage.error.message,
        "'ascii' codec can't decode byte 0x80 in position 0: ordinal not in range(128)");
    CU_ASSERT_EQUAL(decoded("a\0b", 3, BYTES_CODEC_UTF_8, BYTES_ERRORS_IGNORE, NULL), -EREMOTEIO);
    e = bytes_decode_error_in(&stage.error);
    CU_ASSERT(e && e->position == 1);
    CU_ASSERT_EQUAL(decoded("a", 1, 77, BYTES_ERRORS_STRICT, NULL), -EREMOTEIO);
    CU_ASSERT(bytes_bad_argument_in(&stage.error) &&
              bytes_bad_argument_in(&stage.error)->value == 77);
}

static void encode_errors_carry_codec_position_and_reason(void) {
    const bytes_encode_error *e;

    encoded("α", BYTES_CODEC_LATIN_1, BYTES_ERRORS_STRICT);
    e = bytes_encode_error_in(&stage.error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(e);
    CU_ASSERT(e->position == 0 && e->character == 0x3b1);
    CU_ASSERT_STRING_EQUAL(e->codec, "latin-1");
    CU_ASSERT_STRING_EQUAL(stage.error.message, "'latin-1' codec can't encode character '\\u03b1' "
                                                "in position 0: ordinal not in range(256)");
    encoded("grüß 😀", BYTES_CODEC_LATIN_1, BYTES_ERRORS_STRICT);
    e = bytes_encode_error_in(&stage.error);
    CU_ASSERT(e && e->position == 5 && e->character == 0x1f600);
}

static void errors_are_replaced_or_ignored(void) {
    CU_ASSERT_EQUAL(decoded("\x80", 1, BYTES_CODEC_ASCII, BYTES_ERRORS_REPLACE, "\xef\xbf\xbd"), 0);
    CU_ASSERT_EQUAL(decoded("\x80", 1, BYTES_CODEC_ASCII, BYTES_ERRORS_IGNORE, ""), 0);
    CU_ASSERT_STRING_EQUAL(encoded("α", BYTES_CODEC_LATIN_1, BYTES_ERRORS_REPLACE), "3f");
    CU_ASSERT_STRING_EQUAL(encoded("α", BYTES_CODEC_LATIN_1, BYTES_ERRORS_IGNORE), "");
}

/* ---- Python's codecs say the same ---- */

static size_t from_hex(const char *hex, char *to) {
    size_t n = strlen(hex) / 2;

    for (size_t i = 0; i < n; i++)
        sscanf(hex + 2 * i, "%2hhx", (unsigned char *)&to[i]);
    to[n] = '\0';
    return n;
}

static int index_of(const char *name, const char *const *names) {
    int i = 1;

    while (names[i] && strcmp(names[i], name) != 0)
        i++;
    return i;
}

/* METHOD CODEC ERRORS HEX, then "good" HEX or POSITION LENGTH REASON: see codec-vectors.py. */
static void check_line(char *line) {
    static const char *const codecs[] = {"", "ascii", "utf-8", "gbk", "latin-1", "utf-16", NULL};
    static const char *const ways[] = {"", "strict", "replace", "ignore", NULL};
    char *fields[7] = {NULL}, given[1024], wanted[2048];
    bool encodes, good;
    size_t len;

    line[strcspn(line, "\n")] = '\0';
    for (int i = 0; i < 7 && line; i++)
        fields[i] = strsep(&line, "\t");
    encodes = strcmp(fields[0], "encode") == 0;
    good = strcmp(fields[4], "good") == 0;
    len = from_hex(fields[3], given);
    if (encodes) {
        const char *hex = encoded(given, index_of(fields[1], codecs), index_of(fields[2], ways));
        const bytes_encode_error *e = bytes_encode_error_in(&stage.error);

        CU_ASSERT_STRING_EQUAL(hex, good ? fields[5] : "");
        CU_ASSERT(good ||
                  (e && e->position == atol(fields[4]) && strcmp(e->reason, fields[6]) == 0));
    } else {
        int r;

        from_hex(good ? fields[5] : "", wanted);
        r = decoded(given, len, index_of(fields[1], codecs), index_of(fields[2], ways), wanted);
        CU_ASSERT_EQUAL(r, good ? 0 : -EREMOTEIO);
        if (!good) {
            const bytes_decode_error *e = bytes_decode_error_in(&stage.error);

            CU_ASSERT(e && e->position == atol(fields[4]) && e->length == atol(fields[5]) &&
                      strcmp(e->reason, fields[6]) == 0);
        }
    }
}

static void pythons_codecs_agree(void) {
    FILE *vectors = popen("/usr/bin/python3 \"$CODEC_VECTORS\"", "r");
    char line[8192];
    int n = 0;

    CU_ASSERT_PTR_NOT_NULL_FATAL(vectors);
    while (fgets(line, sizeof(line), vectors)) {
        check_line(line);
        n++;
    }
    CU_ASSERT_EQUAL(pclose(vectors), 0);
    CU_ASSERT_EQUAL(n, 2000);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(another_codec_reads_other_text_without_an_error),
        TEST(numbers_become_octets_and_numbers_again),
        TEST(decode_errors_carry_codec_position_and_reason),
        TEST(encode_errors_carry_codec_position_and_reason),
        TEST(errors_are_replaced_or_ignored),
        TEST(pythons_codecs_agree),
        TESTS_END,
    };
    int status;

    stage_open(&stage, bytes_start);
    status = run_suite("example bytes", tests);
    stage_close(&stage);
    return status;
}
