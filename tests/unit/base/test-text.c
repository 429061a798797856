/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <errno.h>
#include <string.h>

#include "support/random.h"
#include "support/suite.h"

static bool utf8(const char *text) {
    return text_is_utf8(text, strlen(text));
}

static void utf8_follows_rfc_3629(void) {
    static const char *const good[] = {"",
                                       "abc",
                                       "a long line of ASCII, over eight bytes",
                                       "gr\xc3\xbc\xc3\x9f",
                                       "\xe2\x82\xac",
                                       "\xf0\x9f\x9a\xa2",
                                       "\xf4\x8f\xbf\xbf",
                                       "\xed\x9f\xbf",
                                       "12345678\xc3\xbc"};
    static const char *const bad[] = {"\x80",
                                      "\xc3",
                                      "\xc3(",
                                      "\xc0\xaf",
                                      "\xc1\xbf",
                                      "\xe0\x80\xaf",
                                      "\xf0\x80\x80\xaf",
                                      "\xed\xa0\x80",
                                      "\xed\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf8\x88\x80\x80\x80",
                                      "\xfe",
                                      "\xff",
                                      "12345678\xe2\x82",
                                      "1234567\x80"};

    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        CU_ASSERT_TRUE(utf8(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        CU_ASSERT_FALSE(utf8(bad[i]));
}

static const char *escaped(const void *text, size_t len) {
    static char to[TEXT_ESCAPED_MAX];

    return text_escape(to, text, len);
}

static void bytes_that_could_forge_a_line_are_escaped(void) {
    CU_ASSERT_STRING_EQUAL(escaped("orders.eu", 9), "orders.eu");
    CU_ASSERT_STRING_EQUAL(escaped("a\nb\x1b[0m", 7), "a\\x0ab\\x1b[0m");
    CU_ASSERT_STRING_EQUAL(escaped("it's \\", 6), "it\\x27s \\x5c");
    CU_ASSERT_STRING_EQUAL(escaped("a\0b", 3), "a\\x00b");
    CU_ASSERT_STRING_EQUAL(escaped("\x7f\xff", 2), "\\x7f\\xff");
    CU_ASSERT_STRING_EQUAL(escaped("\xc2\x85", 2), "\\xc2\\x85");
    CU_ASSERT_STRING_EQUAL(escaped("gr\xc3\xbc\xc3\x9f", 6), "gr\xc3\xbc\xc3\x9f");
    CU_ASSERT_STRING_EQUAL(escaped(NULL, 0), "");
}

static void marks_of_direction_are_escaped(void) {
    static const char *const marks[] = {
        "\xd8\x9c",     "\xe2\x80\x8e", "\xe2\x80\x8f", "\xe2\x80\xa8", "\xe2\x80\xa9",
        "\xe2\x80\xaa", "\xe2\x80\xae", "\xe2\x81\xa6", "\xe2\x81\xa9",
    };
    char wanted[16], *at;

    for (size_t i = 0; i < sizeof(marks) / sizeof(*marks); i++) {
        at = wanted;
        for (const char *c = marks[i]; *c; c++)
            at += sprintf(at, "\\x%02x", (unsigned char)*c);
        CU_ASSERT_STRING_EQUAL(escaped(marks[i], strlen(marks[i])), wanted);
    }
    /* The neighbouring characters are letters and punctuation. */
    CU_ASSERT_STRING_EQUAL(escaped("\xe2\x80\xaf\xe2\x80\x94\xe2\x81\xa5", 9),
                           "\xe2\x80\xaf\xe2\x80\x94\xe2\x81\xa5");
}

static void a_safe_print_keeps_lines_and_escapes_controls(void) {
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);

    CU_ASSERT_PTR_NOT_NULL_FATAL(to);
    text_print_safe(to, "it's\ta\nb\\ \x1b]0;x\x07 \xc2\x9b \xff gr\xc3\xbc\xc3\x9f\0.", 30);
    fclose(to);
    CU_ASSERT_STRING_EQUAL(text,
                           "it's\ta\nb\\ \\x1b]0;x\\x07 \\xc2\\x9b \\xff gr\xc3\xbc\xc3\x9f\\x00.");
    free(text);
    CU_ASSERT_TRUE(text_is_safe("it's\ta\nb\\ gr\xc3\xbc\xc3\x9f", 16));
    CU_ASSERT_FALSE(text_is_safe("a\x1b", 2));
    CU_ASSERT_FALSE(text_is_safe("a\xe2\x80\xae", 4));
    CU_ASSERT_FALSE(text_is_safe("a\xff", 2));
    CU_ASSERT_TRUE(text_is_safe("", 0));
}

static void a_cut_character_is_found(void) {
    CU_ASSERT_EQUAL(text_whole_len("a\xe2\x82\xac", 4), 4);
    CU_ASSERT_EQUAL(text_whole_len("a\xe2\x82", 3), 1);
    CU_ASSERT_EQUAL(text_whole_len("a\xe2", 2), 1);
    CU_ASSERT_EQUAL(text_whole_len("\xf0\x9f\x98", 3), 0);
    CU_ASSERT_EQUAL(text_whole_len("\x80\x80\x80\x80", 4), 4);
    CU_ASSERT_EQUAL(text_whole_len("abc", 3), 3);
    CU_ASSERT_EQUAL(text_whole_len("", 0), 0);
}

static void a_url_hides_its_password(void) {
    static const struct {
        const char *url, *shown;
    } cases[] = {
        {"tcp://127.0.0.1:5877", "tcp://127.0.0.1:5877"},
        {"tcp://me:PW@host:1", "tcp://***@host:1"},
        {"redis://:P/W@x@host/3", "redis://***@host/3"},
        {"me:PW@host", "***@host"},
        {"tcp://me:PW", "tcp://me:***"},
        {"tcp://[::1]:12", "tcp://[::1]:12"},
        {"redis://a:1,b:2/3", "redis://a:1,b:2/3"},
        {"ipc:///run/a\n", "ipc:///run/a\\x0a"},
        {"", ""},
    };
    char to[TEXT_ESCAPED_MAX];

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        CU_ASSERT_STRING_EQUAL(text_escape_url(to, cases[i].url), cases[i].shown);
}

static void random_bytes_stay_within_the_limits(void) {
    Dice dice = dice_new(5);
    uint8_t text[200];

    for (int round = 0; round < 2000; round++) {
        size_t len = dice_below(&dice, sizeof(text));
        const char *shown;

        for (size_t i = 0; i < len; i++)
            text[i] = (uint8_t)(round == 0 ? 0 : round == 1 ? 0xE2 : dice_u64(&dice) >> 32);
        shown = escaped(text, len);
        CU_ASSERT(strlen(shown) < TEXT_ESCAPED_MAX);
        CU_ASSERT_TRUE(utf8(shown));
        CU_ASSERT_EQUAL(strcspn(shown, "\n\r\t\x1b'"), strlen(shown));
    }
    memset(text, 'x', sizeof(text));
    CU_ASSERT_EQUAL(strlen(escaped(text, 160)), 160);
    CU_ASSERT_STRING_EQUAL(escaped(text, 161) + 160, "\xe2\x80\xa6");
}

static void counts_are_read(void) {
    static const struct {
        const char *text;
        uint64_t value;
    } good[] = {{"0", 0}, {"42", 42}, {"007", 7}, {"18446744073709551615", UINT64_MAX}};
    static const char *const bad[] = {"", " 1", "1 ", "+1", "-1", "1.0", "0x10", "1K", "one"};
    static const char *const large[] = {"18446744073709551616", "99999999999999999999"};
    uint64_t count = 3;

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        CU_ASSERT_EQUAL(text_parse_count(bad[i], &count), -EINVAL);
    for (size_t i = 0; i < sizeof(large) / sizeof(*large); i++)
        CU_ASSERT_EQUAL(text_parse_count(large[i], &count), -ERANGE);
    CU_ASSERT_EQUAL(count, 3);
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        CU_ASSERT_EQUAL(text_parse_count(good[i].text, &count), 0);
        CU_ASSERT_EQUAL(count, good[i].value);
    }
}

static void times_are_read(void) {
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {{"250ms", 250},   {"5s", 5000},   {"2m", 120000}, {"1h", 3600000},
                {"1d", 86400000}, {"3", 3000},    {"1.5s", 1500}, {".5s", 500},
                {"0", 0},         {"2M", 120000}, {"0.1ms", 0},   {"36500d", 3153600000000}};
    static const char *const bad[] = {"",   "s",   "-1s", "5 s",   "5sec", " 5s", "ms",
                                      "1e", "nan", "inf", "1s2ms", "--",   "5s "};
    uint64_t ms;

    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        CU_ASSERT_EQUAL(text_parse_ms(good[i].text, &ms), 0);
        CU_ASSERT_EQUAL(ms, good[i].ms);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        CU_ASSERT_EQUAL(text_parse_ms(bad[i], &ms), -EINVAL);
    CU_ASSERT_EQUAL(text_parse_ms("99999999999999999999d", &ms), -ERANGE);
    CU_ASSERT_EQUAL(text_parse_ms(".", &ms), -EINVAL);
    CU_ASSERT_EQUAL(text_parse_ms("0x10s", &ms), -EINVAL);
}

static void times_of_the_wall_clock_are_read(void) {
    enum { HOUR = 3600000, DAY = 24 * HOUR };
    static const uint64_t now = UINT64_C(1796061600000); /* 2026-11-30T18:00:00Z */
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {{"2026-11-30T18:00", now},
                {"2026-11-30 18:00:01Z", now + 1000},
                {"2026-11-30T19:00:00+01:00", now},
                {"2026-11-30T12:30-0530", now},
                {"1970-01-01T00:00Z", 0},
                {"2028-02-29T00:00", UINT64_C(1835395200000)},
                {"19:00", now + HOUR},
                {"18:00", now + DAY},
                {"17:30", now + DAY - HOUR / 2},
                {"19:00+02:00", now + DAY - HOUR}};
    static const char *const bad[] = {"",
                                      "now",
                                      "24:00",
                                      "18:60",
                                      "8:00",
                                      "18",
                                      "2026-11-30",
                                      "2026-13-01T00:00",
                                      "2027-02-29T00:00",
                                      "1969-12-31T23:59",
                                      "2026-11-30T18:00x",
                                      "2026-11-30T18:00+25:00",
                                      "1970-01-01T00:00+01:00"};
    uint64_t ms;

    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        CU_ASSERT_EQUAL(text_parse_time(good[i].text, now, &ms), 0);
        CU_ASSERT_EQUAL(ms, good[i].ms);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        CU_ASSERT_EQUAL(text_parse_time(bad[i], now, &ms), -EINVAL);
}

static void sizes_are_read(void) {
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"64K", 65536}, {"1.5M", 1572864},     {"2G", 2147483648},
                {"100", 100},   {"100b", 100},         {"16MiB", 16777216},
                {"1kib", 1024}, {"1t", 1099511627776}, {"9007199254740991", 9007199254740991}};
    static const char *const bad[] = {"", "K", "-1", "64 K", "64KB", "1.5.5M", "0x10", "1e3"};
    uint64_t bytes;

    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        CU_ASSERT_EQUAL(text_parse_bytes(good[i].text, &bytes), 0);
        CU_ASSERT_EQUAL(bytes, good[i].bytes);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        CU_ASSERT_EQUAL(text_parse_bytes(bad[i], &bytes), -EINVAL);
    CU_ASSERT_EQUAL(text_parse_bytes("9999999999T", &bytes), -ERANGE);
}

static void quantities_are_shown(void) {
    char bytes[16], ms[24];

    CU_ASSERT_STRING_EQUAL(text_format_bytes(bytes, 0), "0 B");
    CU_ASSERT_STRING_EQUAL(text_format_bytes(bytes, 1023), "1023 B");
    CU_ASSERT_STRING_EQUAL(text_format_bytes(bytes, 1536), "1.5 KiB");
    CU_ASSERT_STRING_EQUAL(text_format_bytes(bytes, UINT64_MAX), "16.0 EiB");
    CU_ASSERT_STRING_EQUAL(text_format_ms(ms, 250), "250 ms");
    CU_ASSERT_STRING_EQUAL(text_format_ms(ms, 1500), "1.5 s");
    CU_ASSERT_STRING_EQUAL(text_format_ms(ms, 90000), "1.5 min");
    CU_ASSERT_STRING_EQUAL(text_format_ms(ms, 5400000), "1.5 h");
    CU_ASSERT(strlen(text_format_ms(ms, UINT64_MAX)) < 24);
}

static void a_mistyped_word_gets_a_suggestion(void) {
    static const char *const words[] = {"publish", "push", "pull", "queue", "services"};
    char long_word[200];

    CU_ASSERT_STRING_EQUAL(text_nearest("publsih", words, 5), "publish");
    CU_ASSERT_STRING_EQUAL(text_nearest("puhs", words, 5), "push");
    CU_ASSERT_STRING_EQUAL(text_nearest("queues", words, 5), "queue");
    CU_ASSERT_STRING_EQUAL(text_nearest("pull", words, 5), "pull");
    CU_ASSERT_PTR_NULL(text_nearest("xyz", words, 5));
    CU_ASSERT_PTR_NULL(text_nearest("", words, 5));
    CU_ASSERT_PTR_NULL(text_nearest("c", (const char *const[]){"a", "b"}, 2));
    CU_ASSERT_STRING_EQUAL(text_nearest("b", (const char *const[]){"a", "b"}, 2), "b");
    CU_ASSERT_PTR_NULL(text_nearest("push", words, 0));
    memset(long_word, 'p', sizeof(long_word) - 1);
    long_word[sizeof(long_word) - 1] = '\0';
    CU_ASSERT_PTR_NULL(text_nearest(long_word, words, 5));
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(utf8_follows_rfc_3629),
        TEST(bytes_that_could_forge_a_line_are_escaped),
        TEST(marks_of_direction_are_escaped),
        TEST(a_safe_print_keeps_lines_and_escapes_controls),
        TEST(a_cut_character_is_found),
        TEST(a_url_hides_its_password),
        TEST(random_bytes_stay_within_the_limits),
        TEST(counts_are_read),
        TEST(times_are_read),
        TEST(times_of_the_wall_clock_are_read),
        TEST(sizes_are_read),
        TEST(quantities_are_shown),
        TEST(a_mistyped_word_gets_a_suggestion),
        TESTS_END,
    };

    return run_suite("base text", tests);
}
