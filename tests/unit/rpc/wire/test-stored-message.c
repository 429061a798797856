/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/wire/stored-message.h"

#include <errno.h>
#include <stdlib.h>

#include "base/block.h"
#include "support/oom.h"
#include "support/suite.h"

/* {"a": "b"} */
static const uint8_t headers[] = {0x81, 0xA1, 'a', 0xA1, 'b'};

/* The bytes of a message, as they would be sent. */
static Buffer written(const Message *message) {
    Buffer to = {0};
    uint8_t *at = buffer_reserve(&to, message_size(message));

    if (at)
        to.len = (size_t)(message_write(at, message) - at);
    return to;
}

/* Reads the bytes of a message, so that `passed` is set if its op has it. */
static Message read_back(const Buffer *bytes) {
    Reader reader = reader_of(bytes->data, bytes->len);
    Message message;

    CU_ASSERT_EQUAL(message_read(&reader, &message), 1);
    return message;
}

static bool is_same(const Message *a, const Message *b) {
    CLEANUP(buffer_deinit) Buffer left = written(a);
    CLEANUP(buffer_deinit) Buffer right = written(b);

    return left.len == right.len && memcmp(left.data, right.data, left.len) == 0;
}

static Message some_message(unsigned op, Span body) {
    Message message = {.op = (uint8_t)op, .id = 7, .name = span_text("a.name"), .body = body};

    message.headers = span_of(headers, sizeof(headers));
    if (op == OP_CALL) {
        message.call.timeout_ms = 1000;
        message.call.flags = CALL_IDEMPOTENT;
        message.call.method = span_text("method");
        message.call.instance = span_text("instance");
    } else if (op == OP_PUSH) {
        message.push.flags = 1;
        message.push.options = span_of(headers, sizeof(headers));
    } else if (op == OP_PUBLISH) {
        message.publish.flags = PUBLISH_RETAIN;
    } else if (op == OP_RETRY) {
        message.settle.job = 9;
        message.settle.attempt = 2;
        message.settle.text = span_text("reason");
    } else if (op == OP_FAULT || op == OP_ERROR) {
        message.error.map = span_of(headers, sizeof(headers));
    } else if (op == OP_HELLO) {
        message.hello.held = span_of(headers, sizeof(headers));
    } else if (op == OP_WELCOME) {
        message.welcome.limits = span_of(headers, sizeof(headers));
    }
    return message;
}

static void a_message_of_any_op_is_restored_unchanged(void) {
    unsigned n = 0;

    for (unsigned op = 0; op <= UINT8_MAX; op++) {
        CLEANUP(stored_message_free) StoredMessage *stored = NULL;
        CLEANUP(buffer_deinit) Buffer bytes = {0};
        Message message, as_read, back;

        if (!op_name(op))
            continue;
        n++;
        message = some_message(op, span_text("body"));
        bytes = written(&message);
        as_read = read_back(&bytes);
        stored = stored_message_new(&as_read, NULL, STORE_MESSAGE);
        CU_ASSERT_PTR_NOT_NULL_FATAL(stored);
        memset(bytes.data, 0xC1, bytes.len); /* the batch is gone */
        CU_ASSERT_PTR_NULL(stored_message_read(stored, &back));
        CU_ASSERT_EQUAL(back.op, op);
        CU_ASSERT_TRUE(is_same(&message, &back));
    }
    CU_ASSERT(n > 30);
}

static void a_large_body_shares_its_block(void) {
    CLEANUP(stored_message_free) StoredMessage *stored = NULL;
    uint8_t *block = ferry_alloc(STORED_COPY_MAX + 1);
    Message message, back;

    CU_ASSERT_PTR_NOT_NULL_FATAL(block);
    message = some_message(OP_CALL, span_of(block, STORED_COPY_MAX + 1));
    stored = stored_message_new(&message, block, STORE_MESSAGE);
    CU_ASSERT_PTR_NOT_NULL_FATAL(stored);
    CU_ASSERT_FALSE(block_is_sole(block));
    ferry_free(block);
    CU_ASSERT_TRUE(block_is_sole(block));
    CU_ASSERT_PTR_EQUAL(stored_message_read(stored, &back), block);
    CU_ASSERT_PTR_EQUAL(back.body.data, block);
    CU_ASSERT_EQUAL(back.body.len, STORED_COPY_MAX + 1);
    CU_ASSERT_TRUE(span_is(back.call.method, "method"));
    CU_ASSERT_TRUE(span_is(back.name, "a.name"));
    CU_ASSERT_EQUAL(back.headers.len, sizeof(headers));
    CU_ASSERT_PTR_NULL(back.passed.data);
}

static void a_small_body_does_not_keep_its_block(void) {
    CLEANUP(stored_message_free) StoredMessage *stored = NULL;
    uint8_t *block = ferry_alloc(STORED_COPY_MAX);
    Message message, back;

    CU_ASSERT_PTR_NOT_NULL_FATAL(block);
    memset(block, 'x', STORED_COPY_MAX);
    message = some_message(OP_PUSH, span_of(block, STORED_COPY_MAX));
    stored = stored_message_new(&message, block, STORE_MESSAGE);
    CU_ASSERT_PTR_NOT_NULL_FATAL(stored);
    CU_ASSERT_TRUE(block_is_sole(block));
    ferry_free(block);
    CU_ASSERT_PTR_NULL(stored_message_read(stored, &back));
    CU_ASSERT_EQUAL(back.body.len, STORED_COPY_MAX);
    CU_ASSERT_EQUAL(back.body.data[STORED_COPY_MAX - 1], 'x');
}

/* A body over WIRE_INLINE_MAX cannot be read from a message. */
static void a_body_without_a_block_is_copied(void) {
    enum { LEN = WIRE_INLINE_MAX + 1 };
    CLEANUP(stored_message_free) StoredMessage *stored = NULL;
    uint8_t *bytes = calloc(1, LEN);
    Message message, back;

    CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
    bytes[LEN - 1] = 'x';
    message = some_message(OP_PUBLISH, span_of(bytes, LEN));
    stored = stored_message_new(&message, NULL, STORE_MESSAGE);
    free(bytes);
    CU_ASSERT_PTR_NOT_NULL_FATAL(stored);
    CU_ASSERT_PTR_NOT_NULL(stored_message_read(stored, &back));
    CU_ASSERT_EQUAL(back.body.len, LEN);
    CU_ASSERT_EQUAL(back.body.data[LEN - 1], 'x');
    CU_ASSERT_EQUAL(back.publish.flags, PUBLISH_RETAIN);
}

/* A PUBLISH is stored and a MESSAGE is sent: the sender fills in the part of the MESSAGE. */
static void fields_are_forwarded_in_another_message(void) {
    static uint8_t large[WIRE_INLINE_MAX + 1];
    const Span bodies[] = {span_text("body"), {NULL, 0}, {large, sizeof(large)}};

    for (int as_fields = 0; as_fields <= 1; as_fields++)
        for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
            CLEANUP(stored_message_free) StoredMessage *stored = NULL;
            CLEANUP(buffer_deinit) Buffer bytes = {0};
            Message message = some_message(OP_PUBLISH, bodies[i]), wanted, back;

            if (bodies[i].len <= WIRE_INLINE_MAX) {
                bytes = written(&message);
                message = read_back(&bytes);
            }
            stored = stored_message_new(&message, NULL, as_fields ? STORE_FIELDS : STORE_MESSAGE);
            CU_ASSERT_PTR_NOT_NULL_FATAL(stored);
            CU_ASSERT_EQUAL(stored->is_fields, as_fields && message.passed.data != NULL);
            back.message.sub = 3;
            back.message.seq = 4;
            back.message.reply = 5;
            CU_ASSERT_EQUAL(stored_message_forward(stored, OP_MESSAGE, 0, &back) != NULL,
                            bodies[i].len > WIRE_INLINE_MAX);
            wanted = (Message){.op = OP_MESSAGE,
                               .name = span_text("a.name"),
                               .headers = span_of(headers, sizeof(headers)),
                               .body = bodies[i],
                               .message = {3, 4, 5}};
            CU_ASSERT_TRUE(is_same(&wanted, &back));
        }
}

static void the_size_counts_the_body_once(void) {
    uint8_t *block = ferry_alloc(100000);
    StoredMessage *small, *large;
    Message message;

    CU_ASSERT_PTR_NOT_NULL_FATAL(block);
    memset(block, 0, 100000);
    message = some_message(OP_JOB, span_text(""));
    small = stored_message_new(&message, NULL, STORE_MESSAGE);
    message.body = span_of(block, 100000);
    large = stored_message_new(&message, block, STORE_MESSAGE);
    CU_ASSERT_PTR_NOT_NULL_FATAL(small);
    CU_ASSERT_PTR_NOT_NULL_FATAL(large);
    CU_ASSERT_EQUAL(stored_message_body(small).len, 0);
    CU_ASSERT_EQUAL(stored_message_body(large).len, 100000);
    CU_ASSERT_EQUAL(stored_message_size(small), small->len);
    CU_ASSERT(stored_message_size(large) >= 100000 + sizeof(headers));
    CU_ASSERT(stored_message_size(large) <= 100000 + stored_message_size(small));
    CU_ASSERT(large->len <= large->cap);
    stored_message_free(small);
    stored_message_free(large);
    CU_ASSERT_TRUE(block_is_sole(block));
    ferry_free(block);
}

/* A job in the broker takes one allocation, with as many bytes as were received. */
static void encoded_fields_take_their_own_size(void) {
    Message message = some_message(OP_PUSH, span_text("body"));
    CLEANUP(buffer_deinit) Buffer bytes = written(&message);
    Message as_read = read_back(&bytes);

    CU_ASSERT_EQUAL(stored_message_cap(&as_read, NULL, STORE_FIELDS), as_read.passed.len);
    CU_ASSERT_EQUAL(sizeof(StoredMessage), 8);
}

static void out_of_memory_leaves_no_message_and_no_extra_owner(void) {
    uint8_t *block = ferry_alloc(100000);
    static uint8_t large[WIRE_INLINE_MAX + 1];
    StoredMessage *stored;
    Message message;

    CU_ASSERT_PTR_NOT_NULL_FATAL(block);
    message = some_message(OP_CALL, span_of(block, 100000));
    OOM_EACH(n) {
        stored = stored_message_new(&message, block, STORE_MESSAGE);
        OOM_STOP;
        CU_ASSERT_EQUAL(stored == NULL, oom_happened());
        stored_message_free(stored);
        CU_ASSERT_TRUE(block_is_sole(block));
    }
    message.body = span_of(large, sizeof(large));
    OOM_EACH(n) {
        stored = stored_message_new(&message, NULL, STORE_MESSAGE);
        OOM_STOP;
        CU_ASSERT_EQUAL(stored == NULL, oom_happened());
        stored_message_free(stored);
    }
    ferry_free(block);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_message_of_any_op_is_restored_unchanged),
        TEST(a_large_body_shares_its_block),
        TEST(a_small_body_does_not_keep_its_block),
        TEST(a_body_without_a_block_is_copied),
        TEST(fields_are_forwarded_in_another_message),
        TEST(the_size_counts_the_body_once),
        TEST(encoded_fields_take_their_own_size),
        TEST(out_of_memory_leaves_no_message_and_no_extra_owner),
        TESTS_END,
    };

    return run_suite("rpc/wire stored message", tests);
}
