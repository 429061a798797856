/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/c/resend/moved.h"

#include "support/suite.h"

static const uint8_t id[WIRE_TOKEN] = "0123456789abcde";

typedef struct Parts {
    const char *type, *url;
    size_t broker_len; /* 0: no broker */
    uint64_t number;   /* 0: no number */
} Parts;

/* Reads the error that consists of these parts. *ret points into static memory. */
static bool read_error(const Parts *parts, Moved *ret) {
    static Buffer map;

    buffer_deinit(&map);
    map = (Buffer){0};
    write_map(&map, 1 + (parts->url != NULL) + (parts->broker_len > 0) + (parts->number > 0));
    write_text(&map, "type");
    write_text(&map, parts->type);
    if (parts->url) {
        write_text(&map, "url");
        write_text(&map, parts->url);
    }
    if (parts->broker_len > 0) {
        write_text(&map, "broker");
        write_bin(&map, id, parts->broker_len);
    }
    if (parts->number > 0) {
        write_text(&map, "moved");
        write_uint(&map, parts->number);
    }
    return moved_read(&(Message){.op = OP_ERROR, .id = 1, .error.map = span_of(map.data, map.len)},
                      ret);
}

static void the_error_names_the_broker(void) {
    Moved moved;

    CU_ASSERT_TRUE(read_error(&(Parts){"ferry.Moved", "tcp://b:1", WIRE_TOKEN, 7}, &moved));
    CU_ASSERT_EQUAL(moved.broker.len, WIRE_TOKEN);
    CU_ASSERT_EQUAL(memcmp(moved.broker.data, id, WIRE_TOKEN), 0);
    CU_ASSERT_TRUE(span_is(moved.url, "tcp://b:1"));
    CU_ASSERT_EQUAL(moved.number, 7);
    CU_ASSERT_TRUE(read_error(&(Parts){.type = "ferry.Moved"}, &moved));
    CU_ASSERT_EQUAL(moved.broker.len, 0);
    CU_ASSERT_EQUAL(moved.url.len, 0);
    CU_ASSERT_EQUAL(moved.number, 0);
}

static void an_id_of_another_length_names_no_broker(void) {
    Moved moved;

    CU_ASSERT_TRUE(read_error(&(Parts){"ferry.Moved", "tcp://b:1", WIRE_TOKEN - 1, 7}, &moved));
    CU_ASSERT_EQUAL(moved.broker.len, 0);
    CU_ASSERT_EQUAL(moved.url.len, 0);
    CU_ASSERT_EQUAL(moved.number, 7);
}

static void other_answers_are_told_apart(void) {
    Moved moved;

    CU_ASSERT_FALSE(read_error(&(Parts){.type = "ferry.Full"}, &moved));
    CU_ASSERT_FALSE(moved_read(&(Message){.op = OP_OK, .id = 1}, &moved));
}

static void pauses_double_up_to_a_second(void) {
    CU_ASSERT_EQUAL(moved_pause_ms(0), 100);
    CU_ASSERT_EQUAL(moved_pause_ms(1), 100);
    CU_ASSERT_EQUAL(moved_pause_ms(2), 200);
    CU_ASSERT_EQUAL(moved_pause_ms(4), 800);
    CU_ASSERT_EQUAL(moved_pause_ms(5), 1000);
    CU_ASSERT_EQUAL(moved_pause_ms(100000), 1000);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(the_error_names_the_broker),
        TEST(an_id_of_another_length_names_no_broker),
        TEST(other_answers_are_told_apart),
        TEST(pauses_double_up_to_a_second),
        TESTS_END,
    };

    return run_suite("answers ferry.Moved", tests);
}
