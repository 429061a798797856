/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/redis/slots.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cache/redis/lease.h"
#include "support/suite.h"

static Span span(const char *text) {
    return (Span){(const uint8_t *)text, strlen(text)};
}

static void slots_are_those_of_redis(void) {
    CU_ASSERT_EQUAL(slot_of_key(span("123456789")), 0x31C3);
    CU_ASSERT_EQUAL(slot_of_key(span("foo")), 12182);
    CU_ASSERT_EQUAL(slot_of_key(span("{user1000}.following")), 3443);
    CU_ASSERT_EQUAL(slot_of_key(span("{user1000}.followers")), 3443);
    CU_ASSERT_EQUAL(slot_of_key(span("foo{{bar}}zap")), slot_of_key(span("{bar")));
    CU_ASSERT_EQUAL(slot_of_key(span("foo{bar}{zap}")), slot_of_key(span("bar")));
    CU_ASSERT_NOT_EQUAL(slot_of_key(span("foo{}{bar}")), slot_of_key(span("bar")));
}

static void a_lease_is_in_the_slot_of_its_key(void) {
    static const char *const keys[] = {"plain", "{tag}x", "a{b",     "a}b",
                                       "{}x",   "}{",     "a{b}c}d", "{"};

    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        CLEANUP(buffer_deinit) Buffer lease = {0};

        lease_key(span(keys[i]), true, &lease);
        CU_ASSERT_EQUAL(slot_of_key((Span){lease.data, lease.len}), slot_of_key(span(keys[i])));
    }
}

static void redirections_are_read(void) {
    Redirect to;

    CU_ASSERT_EQUAL(redirect_parse(span("MOVED 3999 127.0.0.1:6381"), &to), 0);
    CU_ASSERT_EQUAL(to.kind, REDIRECT_MOVED);
    CU_ASSERT_EQUAL(to.slot, 3999);
    CU_ASSERT_STRING_EQUAL(to.host.name, "127.0.0.1");
    CU_ASSERT_EQUAL(to.host.port, 6381);
    free(to.host.name);
    CU_ASSERT_EQUAL(redirect_parse(span("ASK 0 fe80::1:7000"), &to), 0);
    CU_ASSERT_EQUAL(to.kind, REDIRECT_ASK);
    CU_ASSERT_STRING_EQUAL(to.host.name, "fe80::1");
    free(to.host.name);
    CU_ASSERT_EQUAL(redirect_parse(span("MOVED 16383 :7000"), &to), 0);
    CU_ASSERT_PTR_NULL(to.host.name);
    CU_ASSERT_EQUAL(redirect_parse(span("TRYAGAIN x"), &to), 0);
    CU_ASSERT_EQUAL(to.kind, REDIRECT_LATER);
    CU_ASSERT_EQUAL(redirect_parse(span("ERR MOVED"), &to), 0);
    CU_ASSERT_EQUAL(to.kind, REDIRECT_NONE);
}

static void senseless_redirections_are_refused(void) {
    static const char *const bad[] = {"MOVED ",          "MOVED x a:1",         "MOVED 16384 a:1",
                                      "MOVED 1 a",       "MOVED 1 a:",          "MOVED 1 a:0",
                                      "MOVED 1 a:65536", "MOVED 1 a:1x",        "ASK -1 a:1",
                                      "ASK 1",           "MOVED 9999999999 a:1"};
    Redirect to;

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        CU_ASSERT_EQUAL(redirect_parse(span(bad[i]), &to), -EPROTO);
        CU_ASSERT_PTR_NULL(to.host.name);
    }
}

static int count_range(uint16_t first, uint16_t last, const CacheHost *host, void *ctx) {
    int *total = ctx;

    *total += last - first + 1 + (host->name ? 0 : 100000);
    return 0;
}

static int parse(const char *text, int *total) {
    ReplyReader reader;
    Reply *reply = NULL;
    int r;

    *total = 0;
    reply_reader_init(&reader);
    reply_reader_feed(&reader, (const uint8_t *)text, strlen(text));
    reply_reader_next(&reader, &reply);
    r = reply ? slots_parse(reply, count_range, total) : -ENODATA;
    reply_free(reply);
    reply_reader_deinit(&reader);
    return r;
}

static void maps_are_read_and_senseless_ones_refused(void) {
    int total;

    CU_ASSERT_EQUAL(
        parse("*2\r\n*3\r\n:0\r\n:99\r\n*3\r\n$1\r\na\r\n:1\r\n$2\r\nid\r\n"
              "*4\r\n:100\r\n:100\r\n*4\r\n$-1\r\n:1\r\n$1\r\nx\r\n*0\r\n*2\r\n$1\r\nb\r\n:2\r\n",
              &total),
        0);
    CU_ASSERT_EQUAL(total, 100101);
    CU_ASSERT_EQUAL(parse("+OK\r\n", &total), -EPROTO);
    CU_ASSERT_EQUAL(parse("*1\r\n:1\r\n", &total), -EPROTO);
    CU_ASSERT_EQUAL(parse("*1\r\n*3\r\n:0\r\n:16384\r\n*2\r\n$1\r\na\r\n:1\r\n", &total), -EPROTO);
    CU_ASSERT_EQUAL(parse("*1\r\n*3\r\n:5\r\n:4\r\n*2\r\n$1\r\na\r\n:1\r\n", &total), -EPROTO);
    CU_ASSERT_EQUAL(parse("*1\r\n*3\r\n:0\r\n:4\r\n*2\r\n$1\r\na\r\n:0\r\n", &total), -EPROTO);
    CU_ASSERT_EQUAL(parse("*1\r\n*3\r\n:0\r\n:4\r\n*1\r\n$1\r\na\r\n", &total), -EPROTO);
    CU_ASSERT_EQUAL(parse("*0\r\n", &total), 0);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(slots_are_those_of_redis),
        TEST(a_lease_is_in_the_slot_of_its_key),
        TEST(redirections_are_read),
        TEST(senseless_redirections_are_refused),
        TEST(maps_are_read_and_senseless_ones_refused),
        TESTS_END,
    };

    return run_suite("cache cluster slots", tests);
}
