/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/schema/remote-error.h"

#include "base/text.h"
#include "rpc/wire/writer.h"
#include "support/suite.h"

static int round_trip(const ferry_error *error, ferry_error *ret) {
    CLEANUP(buffer_deinit) Buffer bytes = {0};

    CU_ASSERT_EQUAL(remote_error_write(&bytes, error), 0);
    CU_ASSERT_TRUE(bytes.len <= WIRE_ERROR_BYTES);
    CU_ASSERT_PTR_NULL(wire_check(bytes.data, bytes.len));
    return remote_error_read((Span){bytes.data, bytes.len}, ret);
}

static void all_parts_of_an_error_are_sent_and_received(void) {
    static const char *const trace[] = {"div at calc.c:12", "serve at calc.c:90"};
    ferry_error root = FERRY_ERROR_INIT, error = FERRY_ERROR_INIT, got = FERRY_ERROR_INIT;
    ErrorParts parts;

    error_set(&root, "ferry.DeadlineExceeded", "after %d ms", 50);
    error_build(&error, &(ErrorParts){.type = "calc.DivisionByZero",
                                      .message = "7 divided by zero: ÷",
                                      .origin = "calc.Calc.div on host/4711",
                                      .n_trace = 2,
                                      .trace = trace,
                                      .cause = &root,
                                      .data = ferry_bytes_of("\x81\xa1x\x07", 4),
                                      .retry_ms = 250});
    CU_ASSERT_EQUAL(round_trip(&error, &got), -EREMOTEIO);
    CU_ASSERT_STRING_EQUAL(got.type, "calc.DivisionByZero");
    CU_ASSERT_STRING_EQUAL(got.message, "7 divided by zero: ÷");
    CU_ASSERT_STRING_EQUAL(ferry_error_origin(&got), "calc.Calc.div on host/4711");
    CU_ASSERT_EQUAL(ferry_error_retry_ms(&got), 250);
    parts = error_parts(&got);
    CU_ASSERT_EQUAL(parts.n_trace, 2);
    CU_ASSERT_STRING_EQUAL(parts.trace[1], "serve at calc.c:90");
    CU_ASSERT_EQUAL(parts.data.len, 4);
    CU_ASSERT_EQUAL(memcmp(parts.data.data, "\x81\xa1x\x07", 4), 0);
    CU_ASSERT_PTR_NOT_NULL(ferry_error_cause(&got));
    CU_ASSERT_STRING_EQUAL(ferry_error_cause(&got)->message, "after 50 ms");
    CU_ASSERT_EQUAL(ferry_error_cause(&got)->code, -ETIMEDOUT);
    ferry_error_clear(&root);
    ferry_error_clear(&error);
    ferry_error_clear(&got);
}

static void a_standard_type_gives_its_errno(void) {
    ferry_error error = FERRY_ERROR_INIT, got = FERRY_ERROR_INIT;

    error_set(&error, "ferry.Overloaded", "all busy");
    CU_ASSERT_EQUAL(round_trip(&error, &got), -EBUSY);
    CU_ASSERT_EQUAL(got.code, -EBUSY);
    CU_ASSERT_EQUAL(ferry_error_retry_ms(&got), -1);
    ferry_error_clear(&error);
    ferry_error_clear(&got);
}

static void bytes_that_are_not_utf8_are_not_sent(void) {
    ferry_error error = FERRY_ERROR_INIT, got = FERRY_ERROR_INIT;

    error_set(&error, "shop.Bad", "got '%s'",
              "a\xff\xfe"
              "b");
    CU_ASSERT_EQUAL(round_trip(&error, &got), -EREMOTEIO);
    CU_ASSERT_STRING_EQUAL(got.message, "got 'a??b'");
    ferry_error_clear(&error);
    ferry_error_clear(&got);
}

/* A chain of n errors, outermost "shop.E<n-1>". */
static void chain(ferry_error *ret, int n, size_t data) {
    static const char zeros[WIRE_ERROR_BYTES];

    for (int i = 0; i < n; i++) {
        ferry_error outer = FERRY_ERROR_INIT;
        char type[32];

        snprintf(type, sizeof(type), "shop.E%d", i);
        error_build(&outer, &(ErrorParts){.type = type,
                                          .message = "m",
                                          .cause = ret->type ? ret : NULL,
                                          .data = {zeros, data, NULL},
                                          .retry_ms = -1});
        error_move(ret, &outer);
    }
}

static size_t length(const ferry_error *error) {
    size_t n = 0;

    for (; error; error = ferry_error_cause(error))
        n++;
    return n;
}

static void more_causes_than_the_limit_are_left_out(void) {
    ferry_error error = FERRY_ERROR_INIT, got = FERRY_ERROR_INIT;

    chain(&error, 40, 0);
    CU_ASSERT_EQUAL(round_trip(&error, &got), -EREMOTEIO);
    CU_ASSERT_STRING_EQUAL(got.type, "shop.E39");
    CU_ASSERT_EQUAL(length(&got), REMOTE_ERROR_DEPTH_MAX);
    ferry_error_clear(&error);
    ferry_error_clear(&got);
}

static void parts_of_the_causes_are_left_out_first(void) {
    ferry_error error = FERRY_ERROR_INIT, got = FERRY_ERROR_INIT;

    chain(&error, 4, 20000);
    CU_ASSERT_EQUAL(round_trip(&error, &got), -EREMOTEIO);
    CU_ASSERT_EQUAL(length(&got), 4);
    CU_ASSERT_EQUAL(error_parts(&got).data.len, 20000);
    CU_ASSERT_EQUAL(error_parts(ferry_error_cause(&got)).data.len, 0);
    ferry_error_clear(&error);
    ferry_error_clear(&got);
}

static void a_huge_message_is_cut_between_characters(void) {
    ferry_error error = FERRY_ERROR_INIT, got = FERRY_ERROR_INIT;
    char *message = malloc(200001);

    for (int i = 0; i < 200000; i += 2)
        memcpy(message + i, "ä", 2);
    message[200000] = '\0';
    error_build(&error, &(ErrorParts){.type = "a.B", .message = message + 0, .retry_ms = -1});
    CU_ASSERT_EQUAL(round_trip(&error, &got), -EREMOTEIO);
    CU_ASSERT_TRUE(strlen(got.message) > 4000);
    CU_ASSERT_TRUE(text_is_utf8(got.message, strlen(got.message)));
    free(message);
    ferry_error_clear(&error);
    ferry_error_clear(&got);
}

static void malformed_maps_become_protocol_errors(void) {
    static const Span bad[] = {
        {(const uint8_t *)"", 0},
        {(const uint8_t *)"\x80", 1},                            /* no type */
        {(const uint8_t *)"\x90", 1},                            /* no map */
        {(const uint8_t *)"\x81\xa4type\xa0", 7},                /* empty type */
        {(const uint8_t *)"\x81\xa4type\xc0", 7},                /* nil type */
        {(const uint8_t *)"\x82\xa4type\xa1x\xa4type\xa1x", 15}, /* twice */
        {(const uint8_t *)"\x81\xa4type\xa1x\x00", 9},           /* more after it */
        {(const uint8_t *)"\x81\xa4type\xa2x\xff", 9},           /* not UTF-8 */
        {(const uint8_t *)"\x81\xa4type\xa2x\x00", 9},           /* a NUL */
        {(const uint8_t *)"\x82\xa4type\xa1x\xa5trace\x05", 15}, /* no list */
        {(const uint8_t *)"\x82\xa4type\xa1x\xa5"
                          "cause\x05",
         15},                                                    /* no map */
        {(const uint8_t *)"\x82\xa4type\xa1x\xa5retry\xff", 15}, /* negative */
        {(const uint8_t *)"\x82\xa4type\xa1x\xa5"
                          "cause\x80",
         15},                                                       /* a cause without a type */
        {(const uint8_t *)"\xdf\xff\xff\xff\xff\xa4type\xa1x", 12}, /* a lie */
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        ferry_error got = FERRY_ERROR_INIT;

        CU_ASSERT_EQUAL(remote_error_read(bad[i], &got), -EPROTO);
        CU_ASSERT_STRING_EQUAL(got.type, "ferry.Protocol");
        ferry_error_clear(&got);
    }
}

static void unknown_keys_are_skipped(void) {
    ferry_error got = FERRY_ERROR_INIT;
    Span bytes = {(const uint8_t *)"\x82\xa3new\x93\x01\x02\xc0\xa4type\xa3"
                                   "a.B",
                  18};

    CU_ASSERT_EQUAL(remote_error_read(bytes, &got), -EREMOTEIO);
    CU_ASSERT_STRING_EQUAL(got.type, "a.B");
    CU_ASSERT_STRING_EQUAL(got.message, "");
    ferry_error_clear(&got);
}

static void a_chain_longer_than_the_limit_is_refused(void) {
    CLEANUP(buffer_deinit) Buffer bytes = {0};
    ferry_error got = FERRY_ERROR_INIT;

    for (int i = 0; i < REMOTE_ERROR_DEPTH_MAX; i++)
        buffer_append(&bytes,
                      "\x82\xa4type\xa1x\xa5"
                      "cause",
                      14);
    buffer_append(&bytes, "\x81\xa4type\xa1x", 8);
    CU_ASSERT_EQUAL(remote_error_read((Span){bytes.data, bytes.len}, &got), -EPROTO);
    ferry_error_clear(&got);
}

static void a_null_reterr_is_accepted(void) {
    Span bytes = {(const uint8_t *)"\x81\xa4type\xa3"
                                   "a.B",
                  10};

    CU_ASSERT_EQUAL(remote_error_read(bytes, NULL), -EREMOTEIO);
    CU_ASSERT_EQUAL(remote_error_read((Span){NULL, 0}, NULL), -EPROTO);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(all_parts_of_an_error_are_sent_and_received),
        TEST(a_standard_type_gives_its_errno),
        TEST(bytes_that_are_not_utf8_are_not_sent),
        TEST(more_causes_than_the_limit_are_left_out),
        TEST(parts_of_the_causes_are_left_out_first),
        TEST(a_huge_message_is_cut_between_characters),
        TEST(malformed_maps_become_protocol_errors),
        TEST(unknown_keys_are_skipped),
        TEST(a_chain_longer_than_the_limit_is_refused),
        TEST(a_null_reterr_is_accepted),
        TESTS_END,
    };

    return run_suite("rpc/schema remote errors", tests);
}
