/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/msgpack-rpc/protocol.h"

#include "base/error.h"
#include "clients/msgpack-rpc/scanner.h"
#include "rpc/wire/writer.h"
#include "support/suite.h"

#define INIT(text)                                                                                 \
    { (const uint8_t *)(text), sizeof(text) - 1 }
#define BYTES(text) ((Span)INIT(text))

/* Feeds pieces of this size. Returns the bytes of the first value; 0: bad, or not complete. */
static size_t end_of(Span bytes, size_t piece, ScanOutcome *ret) {
    RpcScanner scanner = {0};
    size_t at = 0, used = 0;

    for (*ret = SCAN_MORE; *ret == SCAN_MORE && at < bytes.len; at += used) {
        size_t n = piece < bytes.len - at ? piece : bytes.len - at;

        *ret = scanner_feed(&scanner, bytes.data + at, n, &used);
    }
    return *ret == SCAN_VALUE ? at : 0;
}

static void values_end_where_they_end(void) {
    static const Span values[] = {
        INIT("\x07"),
        INIT("\xc0"),
        INIT("\xa0"),
        INIT("\x90"),
        INIT("\x80"),
        INIT("\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00"),
        INIT("\xd9\x03"
             "abc"),
        INIT("\xc5\x00\x02\xc1\xc1"),
        INIT("\xd4\x05\x01"),
        INIT("\xc7\x00\x05"),
        INIT("\x94\x00\x02\xa6noargs\x90"),
        INIT("\x93\x02\xa4note\x92\xa5hello\x81\xa1"
             "a\x01"),
        INIT("\xdf\x00\x00\x00\x01\xdd\x00\x00\x00\x02\x01\x02\xde\x00\x00"),
        INIT("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"),
    };

    for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
        CLEANUP(buffer_deinit) Buffer stream = {0};
        ScanOutcome outcome;

        CU_ASSERT_PTR_NULL(wire_check(values[i].data, values[i].len));
        write_raw(&stream, values[i]);
        buffer_append(&stream, "\xc1\x07", 2); /* the bytes behind the value are not read */
        for (size_t piece = 1; piece <= stream.len; piece++) {
            CU_ASSERT_EQUAL(end_of((Span){stream.data, stream.len}, piece, &outcome),
                            values[i].len);
        }
        for (size_t len = 0; len < values[i].len; len++) {
            CU_ASSERT_EQUAL(end_of((Span){values[i].data, len}, 1, &outcome), 0);
            CU_ASSERT_EQUAL(outcome, SCAN_MORE);
        }
    }
}

static void bad_bytes_and_deep_values_are_refused(void) {
    uint8_t deep[WIRE_DEPTH_MAX + 1];
    ScanOutcome outcome;

    end_of(BYTES("\xc1"), 1, &outcome);
    CU_ASSERT_EQUAL(outcome, SCAN_BAD);
    end_of(BYTES("\x92\x01\xc1"), 3, &outcome);
    CU_ASSERT_EQUAL(outcome, SCAN_BAD);
    memset(deep, 0x91, sizeof(deep));
    end_of((Span){deep, sizeof(deep)}, 7, &outcome);
    CU_ASSERT_EQUAL(outcome, SCAN_BAD);
    end_of((Span){deep, WIRE_DEPTH_MAX}, 7, &outcome);
    CU_ASSERT_EQUAL(outcome, SCAN_MORE);
}

static void the_three_kinds_are_read(void) {
    const char *problem;
    RpcMessage message;

    /* As Neovim sends rpcrequest(ch, 'noargs') and rpcnotify(ch, 'note'). */
    CU_ASSERT_EQUAL(rpc_read(BYTES("\x94\x00\x02\xa6noargs\x90"), &message, &problem), 0);
    CU_ASSERT_EQUAL(message.kind, RPC_REQUEST);
    CU_ASSERT_EQUAL(message.id, 2);
    CU_ASSERT_TRUE(span_is(message.method, "noargs"));
    CU_ASSERT_EQUAL(message.params.len, 1);
    CU_ASSERT_PTR_NULL(message.problem);
    CU_ASSERT_EQUAL(rpc_read(BYTES("\x93\x02\xc4\x04note\x91\x07"), &message, &problem), 0);
    CU_ASSERT_EQUAL(message.kind, RPC_NOTIFY);
    CU_ASSERT_TRUE(span_is(message.method, "note")); /* pynvim: a binary */
    CU_ASSERT_EQUAL(rpc_read(BYTES("\x94\x01\x07\xc0\x2a"), &message, &problem), 0);
    CU_ASSERT_EQUAL(message.kind, RPC_RESPONSE);
    CU_ASSERT_EQUAL(message.id, 7);
    /* The request can be answered. */
    CU_ASSERT_EQUAL(rpc_read(BYTES("\x94\x00\x02\xa1m\x80"), &message, &problem), 0);
    CU_ASSERT_PTR_NOT_NULL(message.problem);
}

static void other_values_are_refused_as_messages(void) {
    static const Span bad[] = {
        INIT("\x07"),
        INIT("\x80"),
        INIT("\x90"),
        INIT("\x91\x00"),
        INIT("\x93\x00\x01\xa1m"),
        INIT("\x94\x02\x01\xa1m\x90"),
        INIT("\x94\x03\x01\xa1m\x90"),
        INIT("\x94\xff\x01\xa1m\x90"),
        INIT("\x94\x00\xff\xa1m\x90"),
        INIT("\x94\x00\xa1x\xa1m\x90"),
        INIT("\x94\x00\xcf\x00\x00\x00\x01\x00\x00\x00\x00\xa1m\x90"),
        INIT("\x94\x00\x01\x07\x90"),
        INIT("\x95\x00\x01\xa1m\x90\x90"),
        INIT("\x93\x02\xc0\x90"),
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        const char *problem = NULL;
        RpcMessage message;

        CU_ASSERT_TRUE(rpc_read(bad[i], &message, &problem) < 0);
        CU_ASSERT_PTR_NOT_NULL(problem);
    }
}

static bool is(const Buffer *buffer, Span bytes) {
    return buffer->len == bytes.len && memcmp(buffer->data, bytes.data, bytes.len) == 0;
}

static void results_are_values_that_readers_accept(void) {
    CLEANUP(buffer_deinit) Buffer out = {0};

    rpc_write_result(&out, 1, (Span){NULL, 0});
    CU_ASSERT_TRUE(is(&out, BYTES("\x94\x01\x01\xc0\xc0")));
    buffer_reset(&out);
    /* Keys that are numbers become texts, at each depth. */
    rpc_write_result(&out, 300,
                     BYTES("\x82\x01\x91\x81\xff\xc3\xcf\xff\xff\xff\xff\xff\xff\xff\xff\x02"));
    CU_ASSERT_TRUE(is(&out, BYTES("\x94\x01\xcd\x01\x2c\xc0\x82\xa1"
                                  "1\x91\x81\xa2-1\xc3\xb4"
                                  "18446744073709551615\x02")));
    buffer_reset(&out);
    /* A server whose answer is not exactly one value. */
    rpc_write_result(&out, 1, BYTES("\x01\x02"));
    CU_ASSERT_TRUE(is(&out, BYTES("\x94\x01\x01\xc0\xc0")));
}

static void errors_are_pairs_or_maps(void) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    CLEANUP(buffer_deinit) Buffer out = {0};

    error_set(&error, "calc.TooBig", "%s", "9");
    rpc_write_error(&out, 2, RPC_ERRORS_PAIR, &error);
    CU_ASSERT_TRUE(is(&out, BYTES("\x94\x01\x02\x92\x00\xae"
                                  "calc.TooBig: 9\xc0")));
    buffer_reset(&out);
    error_set(&error, "ferry.NoSuchMethod", "%s", "x");
    rpc_write_error(&out, 2, RPC_ERRORS_PAIR, &error);
    CU_ASSERT_EQUAL(out.data[4], 1); /* the request is wrong */
    buffer_reset(&out);
    rpc_write_error(&out, 2, RPC_ERRORS_MAP, &error);
    CU_ASSERT_TRUE(is(&out, BYTES("\x94\x01\x02\x83\xa4type\xb2"
                                  "ferry.NoSuchMethod\xa7message\xa1x\xa5trace\x90\xc0")));
}

static void messages_are_notifications(void) {
    CLEANUP(buffer_deinit) Buffer out = {0};

    rpc_write_message(&out, BYTES("m"), (Span){NULL, 0}, "t", BYTES("\x93\x01"), true);
    /* Neither MessagePack nor a text. */
    CU_ASSERT_TRUE(is(&out, BYTES("\x93\x02\xa1m\x92\xa1t\xc4\x02\x93\x01")));
    buffer_reset(&out);
    rpc_write_message(&out, BYTES("m"),
                      BYTES("\x91\xa1"
                            "f"),
                      "t", BYTES("\x07"), true);
    CU_ASSERT_TRUE(is(&out, BYTES("\x93\x02\xa1m\x92\xa1"
                                  "f\x92\xa1t\x07")));
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(values_end_where_they_end),
        TEST(bad_bytes_and_deep_values_are_refused),
        TEST(the_three_kinds_are_read),
        TEST(other_values_are_refused_as_messages),
        TEST(results_are_values_that_readers_accept),
        TEST(errors_are_pairs_or_maps),
        TEST(messages_are_notifications),
        TESTS_END,
    };

    return run_suite("clients/msgpack-rpc protocol", tests);
}
