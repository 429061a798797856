/* SPDX-License-Identifier: Apache-2.0 */
/* The example json: exact numbers, order, positions, and agreement with Python. */

#include "examples/stage.h"
#include "json.h"

static Stage stage;

/* Text to MessagePack and back; "" when one of them refuses. */
static const char *there_and_back(const char *text, bool ensure_ascii) {
    static char again[65536];
    ferry_bytes *value = NULL;
    char *back = NULL;

    again[0] = '\0';
    if (json_loads(stage.client, text, &value, &stage.error) == 0 &&
        json_dumps(stage.client, *value, ensure_ascii, &back, &stage.error) == 0)
        snprintf(again, sizeof(again), "%s", back);
    ferry_free(back);
    ferry_free(value);
    return again;
}

/* ---- the hazard ---- */

static void doubles_lose_whole_numbers_beyond_2_53(void) {
    /* JavaScript, and every other reader whose numbers are doubles, changes this id. */
    char text[40];

    snprintf(text, sizeof(text), "%.0f", strtod("9007199254740993", NULL));
    CU_ASSERT_STRING_EQUAL(text, "9007199254740992");
}

/* ---- the service ---- */

static void the_notes_examples_come_out(void) {
    static const char list[] = "[1,2,3,\"ABC\",\"αβγ\",\"你好\"]";

    CU_ASSERT_STRING_EQUAL(there_and_back(list, true),
                           "[1, 2, 3, \"ABC\", \"\\u03b1\\u03b2\\u03b3\", \"\\u4f60\\u597d\"]");
    CU_ASSERT_STRING_EQUAL(there_and_back(list, false), "[1, 2, 3, \"ABC\", \"αβγ\", \"你好\"]");
    CU_ASSERT_STRING_EQUAL(there_and_back("{\"username\":\"admin\",\"password\":\"admin\"}", true),
                           "{\"username\": \"admin\", \"password\": \"admin\"}");
}

static void whole_numbers_stay_exact(void) {
    static const char *const exact[] = {"0",
                                        "-1",
                                        "9007199254740993",
                                        "9223372036854775807",
                                        "-9223372036854775808",
                                        "18446744073709551615",
                                        "4294967296",
                                        "255",
                                        "256",
                                        "-128",
                                        "-129",
                                        "-32769",
                                        "-2147483649"};
    static const char *const large[] = {"18446744073709551616", "-9223372036854775809", "1e999",
                                        "-1e400"};

    for (size_t i = 0; i < sizeof(exact) / sizeof(exact[0]); i++)
        CU_ASSERT_STRING_EQUAL(there_and_back(exact[i], true), exact[i]);
    for (size_t i = 0; i < sizeof(large) / sizeof(large[0]); i++) {
        const json_number_too_large *e;
        char text[64];

        snprintf(text, sizeof(text), "[1, %s]", large[i]);
        CU_ASSERT_STRING_EQUAL(there_and_back(text, true), "");
        e = json_number_too_large_in(&stage.error);
        CU_ASSERT_PTR_NOT_NULL_FATAL(e);
        CU_ASSERT_STRING_EQUAL(e->number, large[i]);
        CU_ASSERT_EQUAL(e->position, 4);
    }
}

static void keys_keep_their_order(void) {
    static const char text[] = "{\"z\": 1, \"a\": {\"y\": [], \"b\": {}}, \"m\": null}";

    CU_ASSERT_STRING_EQUAL(there_and_back(text, true), text);
}

static void bad_text_says_where(void) {
    static const struct {
        const char *text;
        int position, line, column;
    } bad[] = {
        {"", 0, 1, 1},
        {"[1, NaN]", 4, 1, 5},
        {"[-Infinity]", 1, 1, 2},
        {"{\"a\": 1,\n \"b\" 2}", 14, 2, 6},
        {"[1, 2", 5, 1, 6},
        {"[1,]", 3, 1, 4},
        {"[01]", 1, 1, 2},
        {"[1.]", 1, 1, 2},
        {"[\"ä\" x]", 5, 1, 6},
        {"\"\\q\"", 1, 1, 2},
        {"\"\\u12\"", 3, 1, 4},
        {"\"\\ud800x\"", 1, 1, 2},
        {"\"\\u0000\"", 1, 1, 2},
        {"\"a\tb\"", 2, 1, 3},
        {"\"abc", 0, 1, 1},
        {"1 2", 2, 1, 3},
        {"{1: 2}", 1, 1, 2},
        {"'a'", 0, 1, 1},
        {"tru", 0, 1, 1},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const json_malformed *e;

        CU_ASSERT_STRING_EQUAL(there_and_back(bad[i].text, true), "");
        e = json_malformed_in(&stage.error);
        CU_ASSERT_PTR_NOT_NULL_FATAL(e);
        CU_ASSERT(e->position == bad[i].position && e->line == bad[i].line &&
                  e->column == bad[i].column);
        if (e->position != bad[i].position)
            printf("%s: %s\n", bad[i].text, stage.error.message);
    }
}

static void levels_are_bounded(void) {
    const json_too_deep *e;
    char text[20001] = "";

    memset(text, '[', 32);
    memset(text + 32, ']', 32);
    CU_ASSERT_STRING_EQUAL(there_and_back(text, true), text);
    memset(text, '[', 10000);
    memset(text + 10000, ']', 10000);
    CU_ASSERT_STRING_EQUAL(there_and_back(text, true), "");
    e = json_too_deep_in(&stage.error);
    CU_ASSERT(e && e->position == 32 && e->limit == 32);
}

static void values_that_json_cannot_express_are_typed_errors(void) {
    static const struct {
        const char *bytes;
        size_t len, offset;
        const char *reason;
    } bad[] = {
        {"\x92\x01\xcb\x7f\xf8\0\0\0\0\0\0", 11, 2, "NaN"},
        {"\xcb\x7f\xf0\0\0\0\0\0\0", 9, 0, "Infinity"},
        {"\x91\xc4\x01x", 4, 1, "a binary string"},
        {"\x81\x01\x02", 3, 1, "a key that is not a string"},
        {"\xd4\x01x", 3, 0, "an extension"},
        {"\xc1", 1, 0, "no MessagePack value"},
        {"\x92\x01", 2, 2, "no more octets"},
        {"\xa5xy", 3, 0, "a string that is cut"},
        {"\xa2\xff\xff", 3, 1, "a string that is not UTF-8"},
        {"\x01\x02", 2, 1, "extra octets behind the value"},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const json_not_json *e;
        char *text = NULL;

        CU_ASSERT_EQUAL(json_dumps(stage.client, ferry_bytes_of(bad[i].bytes, bad[i].len), true,
                                   &text, &stage.error),
                        -EREMOTEIO);
        e = json_not_json_in(&stage.error);
        CU_ASSERT_PTR_NOT_NULL_FATAL(e);
        CU_ASSERT_EQUAL(e->offset, (int64_t)bad[i].offset);
        CU_ASSERT_STRING_EQUAL(e->reason, bad[i].reason);
    }
}

/* ---- Python's json says the same ---- */

static void pythons_json_agrees(void) {
    FILE *vectors = popen("/usr/bin/python3 \"$JSON_VECTORS\"", "r");
    char line[16384], expected[16384];
    int n = 0;

    CU_ASSERT_PTR_NOT_NULL_FATAL(vectors);
    while (fgets(line, sizeof(line), vectors) && fgets(expected, sizeof(expected), vectors)) {
        line[strcspn(line, "\n")] = expected[strcspn(expected, "\n")] = '\0';
        CU_ASSERT_STRING_EQUAL(there_and_back(line, n % 2 == 0), expected);
        if (strcmp(there_and_back(line, n % 2 == 0), expected) != 0)
            printf("%s\n%s: %s\n", line, expected, there_and_back(line, n % 2 == 0));
        n++;
    }
    CU_ASSERT_EQUAL(pclose(vectors), 0);
    CU_ASSERT_EQUAL(n, 500);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(doubles_lose_whole_numbers_beyond_2_53),
        TEST(the_notes_examples_come_out),
        TEST(whole_numbers_stay_exact),
        TEST(keys_keep_their_order),
        TEST(bad_text_says_where),
        TEST(levels_are_bounded),
        TEST(values_that_json_cannot_express_are_typed_errors),
        TEST(pythons_json_agrees),
        TESTS_END,
    };
    int status;

    stage_open(&stage, json_start);
    status = run_suite("example json", tests);
    stage_close(&stage);
    return status;
}
