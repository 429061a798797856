/* SPDX-License-Identifier: Apache-2.0 */

/* Bodies that do not fit their types: the server refuses each of them, and names the wrong place.
 * The handler is not called, and the next call works. */

#include "base/buffer.h"
#include "support/broker.h"
#include "support/suite.h"
#include "y_typed.h"

static _Atomic int n_met;
static _Atomic int32_t mood_met;

static int meet(ferry_request *request, const typed_person *user, const int64_t *at, void *ctx) {
    (void)ctx;
    (void)at;
    mood_met = user->mood ? *user->mood : 0;
    return typed_meet_return(request, ++n_met);
}

static int serve(ferry_client *client, void *ctx) {
    static const typed_handlers handlers = {.meet = meet};

    return typed_serve(client, &handlers, NULL, ctx, NULL, NULL);
}

static TestBroker broker;
static Runner runner;
static ferry_client *client;

static void set_up(void) {
    n_met = 0;
    broker_spawn(&broker);
    runner_start(&runner, &broker, serve, NULL);
    client = connect_client(&broker);
}

static void tear_down(void) {
    client = ferry_close(client);
    runner_stop(&runner);
    broker_terminate(&broker);
}

/* The bytes of [{name: "Ann", age: 5, …}]; head: head of the map, for two fields and those in
 * `more`. */
#define USER(head, more)                                                                           \
    "\x91" head "\xa4"                                                                             \
    "name\xa3"                                                                                     \
    "Ann\xa3"                                                                                      \
    "age\x05" more
#define ID                                                                                         \
    "\xc4\x10"                                                                                     \
    "0123456789abcdef"
#define RANGE                                                                                      \
    "\x82\xa3"                                                                                     \
    "low\x01\xa4"                                                                                  \
    "high\x02"

typedef struct Bad {
    const char *bytes;
    size_t len;
    const char *said;
} Bad;

#define BAD(bytes, said)                                                                           \
    { bytes, sizeof(bytes) - 1, said }

static const Bad bad[] = {
    /* the arguments as a whole */
    BAD("\x90", "args.user: it is missing"),
    BAD("\x80", "args: expected list, got map"),
    BAD("\xc0", "args: expected list, got nil"),
    BAD("\x91\xc0", "args.user: expected typed.Person, got nil"),
    BAD("\x91\x90", "args.user: expected typed.Person, got list"),
    BAD("\x91\xa3"
        "Ann",
        "args.user: expected typed.Person, got str"),
    /* fields: missing, repeated, of another type, out of range */
    BAD("\x91\x81\xa4name\xa3"
        "Ann",
        "args.user.age: it is missing"),
    BAD("\x91\x82\xa4name\xa3"
        "Ann\xa3"
        "age\xc0",
        "args.user.age: expected i32, got nil"),
    BAD("\x91\x82\xa4name\xa3"
        "Ann\xa3"
        "age\xa3"
        "old",
        "args.user.age: expected i32, got str"),
    BAD("\x91\x82\xa4name\xa3"
        "Ann\xa3"
        "age\xcb\x40\x14\0\0\0\0\0\0",
        "args.user.age: expected i32, got double"),
    BAD("\x91\x82\xa4name\xa3"
        "Ann\xa3"
        "age\xce\x80\0\0\0",
        "args.user.age: expected i32, got 2147483648"),
    BAD("\x91\x82\xa4name\xa3"
        "Ann\xa3"
        "age\xd3\xff\xff\xff\xff\x7f\xff\xff\xff",
        "args.user.age: expected i32, got -2147483649"),
    BAD(USER("\x83", "\xa3"
                     "age\x06"),
        "args.user.age: it occurs twice"),
    BAD(USER("\x83", "\x05\x06"), "args.user: expected the name of a field, got int"),
    BAD(USER("\x83", "\xa4size\xcd\x80\0"), "args.user.size: expected i16, got 32768"),
    BAD(USER("\x83", "\xa5happy\x01"), "args.user.happy: expected bool, got int"),
    BAD(USER("\x83", "\xa6weight\xa1"
                     "5"),
        "args.user.weight: expected double, got str"),
    BAD(USER("\x83", "\xa3raw\xc3"), "args.user.raw: expected binary, got bool"),
    BAD(USER("\x83", "\xa4mood\xa4"
                     "CALM"),
        "args.user.mood: expected typed.Mood, got str"),
    BAD(USER("\x83", "\xa4mood\xce\x80\0\0\0"),
        "args.user.mood: expected typed.Mood, got 2147483648"),
    BAD("\x92\x82\xa4name\xa3"
        "Ann\xa3"
        "age\x05\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
        "args.at: expected i64, got 18446744073709551615"),
    /* texts */
    BAD("\x91\x82\xa4name\x05\xa3"
        "age\x05",
        "args.user.name: expected string, got int"),
    BAD("\x91\x82\xa4name\xc4\x01"
        "A\xa3"
        "age\x05",
        "args.user.name: expected string, got bin"),
    BAD("\x91\x82\xa4name\xa2\xc3(\xa3"
        "age\x05",
        "args.user.name: the string is not UTF-8"),
    BAD("\x91\x82\xa4name\xa3\xed\xa0\x80\xa3"
        "age\x05",
        "args.user.name: the string is not UTF-8"),
    BAD("\x91\x82\xa4name\xa3"
        "a\0b\xa3"
        "age\x05",
        "args.user.name: the string contains a NUL (use binary for bytes with NULs)"),
    /* values in lists, maps and sets */
    BAD(USER("\x83", "\xa6ranges\x80"), "args.user.ranges: expected list, got map"),
    BAD(USER("\x83", "\xa6ranges\x92" RANGE "\x82\xa3low\x01\xa4high\xc3"),
        "args.user.ranges[1].high: expected i32, got bool"),
    BAD(USER("\x83", "\xa6ranges\x92" RANGE "\x81\xa3low\x01"),
        "args.user.ranges[1].high: it is missing"),
    BAD(USER("\x83", "\xa5marks\x91\x01"), "args.user.marks: expected map, got list"),
    BAD(USER("\x83", "\xa5marks\x82\xa1"
                     "a\x01\xa1"
                     "b\xcd\x01\x2c"),
        "args.user.marks[1]: expected i8, got 300"),
    BAD(USER("\x83", "\xa5marks\x81\x05\x01"), "args.user.marks[0].key: expected string, got int"),
    BAD(USER("\x83", "\xa5marks\x82\xa1"
                     "a\x01\xd9\x01"
                     "a\x02"),
        "args.user.marks[1]: the key occurs twice"),
    BAD(USER("\x83", "\xa3ids\x92" ID ID), "args.user.ids[1]: the element occurs twice"),
    BAD(USER("\x83", "\xa3ids\x92" ID "\xc4\x03"
                     "abc"),
        "args.user.ids[1]: expected uuid, got 3 bytes instead of 16"),
    BAD(USER("\x83", "\xa3ids\x91\xb0"
                     "0123456789abcdef"),
        "args.user.ids[0]: expected uuid, got str"),
    BAD(USER("\x83", "\xa7"
                     "friends\x81\x07\x92\x82\xa4name\xa1"
                     "B\xa3"
                     "age\x01"
                     "\x82\xa4name\xa1"
                     "C\xa3"
                     "age\xc2"),
        "args.user.friends[0][1].age: expected i32, got bool"),
    BAD(USER("\x83", "\xa7"
                     "friends\x82\x07\x90\xa1x\x90"),
        "args.user.friends[1].key: expected i32, got str"),
    /* unions */
    BAD(USER("\x83", "\xa5shape\x82\xa6radius\x01\xa5range" RANGE),
        "args.user.shape: expected typed.Shape with one key, got 2 keys"),
    BAD(USER("\x83", "\xa5shape\x80"),
        "args.user.shape: expected typed.Shape with one key, got 0 keys"),
    BAD(USER("\x83", "\xa5shape\x05"), "args.user.shape: expected typed.Shape, got int"),
    BAD(USER("\x83", "\xa5shape\x81\xa5range\x82\xa3low\xa1x\xa4high\x01"),
        "args.user.shape.range.low: expected i32, got str"),
    /* a struct that contains itself */
    BAD(USER("\x83", "\xa6parent\x83\xa4name\xa1"
                     "B\xa3"
                     "age\x01\xa6parent\x81\xa4name\xa1"
                     "C"),
        "args.user.parent.parent.age: it is missing"),
};

static void refused(const Bad *row) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_reply *reply = NULL;

    CU_ASSERT_EQUAL(ferry_call(client, "typed.Typed.meet", ferry_bytes_of(row->bytes, row->len),
                               &reply, &error),
                    -EINVAL);
    CU_ASSERT_STRING_EQUAL(error.type, "ferry.InvalidArgument");
    if (error.message && strcmp(error.message, row->said) != 0)
        printf("\n    said \"%s\",\n    not  \"%s\" ", error.message, row->said);
    CU_ASSERT_STRING_EQUAL(error.message, row->said);
    ferry_error_clear(&error);
}

static void accepted(const char *bytes, size_t len, int so_many) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_reply *reply = NULL;

    CU_ASSERT_EQUAL(
        ferry_call(client, "typed.Typed.meet", ferry_bytes_of(bytes, len), &reply, &error), 0);
    CU_ASSERT_PTR_NULL(error.message);
    CU_ASSERT_EQUAL(reply ? reply_int(reply) : -1, so_many);
    ferry_free(reply);
    ferry_error_clear(&error);
}

static void wrong_values_are_reported_with_their_place(void) {
    static const char fine[] = USER("\x82", "");

    set_up();
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        refused(&bad[i]);
    CU_ASSERT_EQUAL(n_met, 0);
    accepted(fine, sizeof(fine) - 1, 1);
    tear_down();
}

static void bodies_of_newer_callers_are_accepted(void) {
    static const char unknown_mood[] = USER("\x83", "\xa4mood\x63");
    static const char unknown_shape[] = USER("\x83", "\xa5shape\x81\xa4oval\x92\x01\x02");
    static const char unknown_field[] = USER("\x83", "\xa4"
                                                     "crew\x81\xa1x\x90");
    static const char more[] = "\x94\x82\xa4name\xa3"
                               "Ann\xa3"
                               "age\x05\xc0\xa1x\x80";

    set_up();
    accepted(unknown_mood, sizeof(unknown_mood) - 1, 1);
    CU_ASSERT_EQUAL(mood_met, 0x63);
    accepted(unknown_shape, sizeof(unknown_shape) - 1, 2);
    accepted(unknown_field, sizeof(unknown_field) - 1, 3);
    accepted(more, sizeof(more) - 1, 4);
    tear_down();
}

/* Bytes that are not MessagePack, or announce far more than they contain. */
static void bombs_and_rubbish_are_refused(void) {
    static const Bad rubbish[] = {
        BAD("", "args: expected list, got nothing"),
        BAD("\xc1", "args: expected list, got the byte 0xc1"),
        BAD("\x91", "args: a count is larger than the remaining bytes"),
        BAD("\xdd\xff\xff\xff\xff", "args: a count is larger than the remaining bytes"),
        BAD("\xdd\xff", "args: the message is cut short"),
        BAD(USER("\x82", "\x01"), "args: there are bytes after the value"),
        BAD("\x91\xdf\xff\xff\xff\xff", "args.user: a count is larger than the remaining bytes"),
        BAD("\x91\x82\xa4name\xdb\xff\xff\xff\xff",
            "args.user.name: a length is larger than the remaining bytes"),
        BAD("\x91\x82\xa4name\xa1"
            "A\xa3"
            "age\xce\x01",
            "args.user.age: the message is cut short"),
        BAD(USER("\x83", "\xa6ranges\xdd\xff\xff\xff\xff"),
            "args.user.ranges: a count is larger than the remaining bytes"),
        BAD(USER("\x83", "\xa5marks\xdf\xff\xff\xff\xff"),
            "args.user.marks: a count is larger than the remaining bytes"),
        BAD(USER("\x83", "\xa3raw\xc6\xff\xff\xff\xff"),
            "args.user.raw: a length is larger than the remaining bytes"),
        BAD(USER("\x83", "\xa3ids\x91\xc4\x10"
                         "0123"),
            "args.user.ids[0]: a length is larger than the remaining bytes"),
        BAD(USER("\x83", "\xa5other\x91\xc1"), "args.user: the byte 0xc1 is not MessagePack"),
    };
    static const char fine[] = USER("\x82", "");

    set_up();
    for (size_t i = 0; i < sizeof(rubbish) / sizeof(*rubbish); i++)
        refused(&rubbish[i]);
    CU_ASSERT_EQUAL(n_met, 0);
    accepted(fine, sizeof(fine) - 1, 1);
    tear_down();
}

static void deep_and_wide_values_are_refused(void) {
    static const char child[] = "\x83\xa4name\xa1"
                                "B\xa3"
                                "age\x01\xa6parent";
    static const char last[] = "\x82\xa4name\xa1"
                               "B\xa3"
                               "age\x01";
    CLEANUP(buffer_deinit) Buffer deep = {0}, wide = {0};
    static const char fine[] = USER("\x82", "");
    ferry_error error = FERRY_ERROR_INIT;
    ferry_reply *reply = NULL;

    buffer_append(&deep, "\x91", 1);
    for (int i = 0; i < 1000; i++)
        buffer_append(&deep, child, sizeof(child) - 1);
    buffer_append(&deep, last, sizeof(last) - 1);
    buffer_append(&wide, "\x91\xde\xff\xff", 4);
    for (int i = 0; i < 0xffff; i++)
        buffer_append(&wide, "\xa1x\x01", 3);
    set_up();
    CU_ASSERT_EQUAL(
        ferry_call(client, "typed.Typed.meet", ferry_bytes_of(deep.data, deep.len), &reply, &error),
        -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "nested deeper than 32 levels"));
    CU_ASSERT_EQUAL(
        ferry_call(client, "typed.Typed.meet", ferry_bytes_of(wide.data, wide.len), &reply, &error),
        -EINVAL);
    CU_ASSERT_STRING_EQUAL(error.message, "args.user: there are far more keys than fields");
    ferry_error_clear(&error);
    CU_ASSERT_EQUAL(n_met, 0);
    accepted(fine, sizeof(fine) - 1, 1);
    tear_down();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(wrong_values_are_reported_with_their_place),
        TEST(bodies_of_newer_callers_are_accepted),
        TEST(bombs_and_rubbish_are_refused),
        TEST(deep_and_wide_values_are_refused),
        TESTS_END,
    };

    return run_suite("client: bodies that nobody asked for", tests);
}
