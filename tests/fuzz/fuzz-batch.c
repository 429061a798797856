/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The batch reader: the input is one ZeroMQ message. The target writes each message again, as a
 * client does and as a broker does (a broker passes on some fields without decoding them). Reading
 * and writing it once more must give the same bytes.
 */

#include <stdlib.h>
#include <string.h>

#include "rpc/wire/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds) {
    if (!holds)
        abort();
}

static void check_inside(Span span, const uint8_t *data, size_t size) {
    must(!span.data || (span.data >= data && span.data + span.len <= data + size));
}

/* The text of a message whose op has one: it must be inside the batch. */
static Span text_of(const Message *message) {
    switch (message->op) {
    case OP_HELLO:
        return message->hello.text;
    case OP_BYE:
        return message->bye.text;
    case OP_CALL:
        return message->call.text;
    case OP_RETRY:
    case OP_REJECT:
        return message->settle.text;
    default:
        return (Span){NULL, 0};
    }
}

static void check_pairs(const Message *message) {
    uint32_t left;
    Reader pairs = pairs_of(message->headers, &left);
    Span key;

    while (pairs_next(&pairs, &left, &key)) {
        must(key.len > 0);
        reader_str(&pairs);
        must(!pairs.problem);
    }
    header_find(message->headers, "traceparent");
}

/* Writes the message, reads it, writes it again: the bytes must be the same. */
static void check_same(const Message *message) {
    size_t size = message_size(message);
    uint8_t *bytes = malloc(size), *end;
    uint8_t *again = NULL;
    Message read;
    Reader reader;

    must(bytes != NULL);
    end = message_write(bytes, message);
    must((size_t)(end - bytes) <= size);
    reader = reader_of(bytes, (size_t)(end - bytes));
    must(message_read(&reader, &read) == 1);
    must(reader.at == reader.end && read.op == message->op);

    again = malloc(message_size(&read));
    must(again != NULL);
    must(message_write(again, &read) - again == end - bytes);
    must(memcmp(again, bytes, (size_t)(end - bytes)) == 0);
    free(again);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Message message;
    Reader reader;
    int r;

    wire_check(data, size);
    if (batch_open(&reader, data, size) < 0) {
        must(reader.problem != NULL);
        return 0;
    }
    while ((r = message_read(&reader, &message)) > 0) {
        must(op_name(message.op) != NULL);
        if (r == MESSAGE_REFUSED) {
            must(message.refused.problem != NULL && reader.problem == NULL);
            continue;
        }
        check_inside(message.passed, data, size);
        check_inside(message.body, data, size);
        check_inside(message.headers, data, size);
        check_inside(message.name, data, size);
        check_inside(text_of(&message), data, size);
        check_pairs(&message);
        check_same(&message);
        message.passed = (Span){NULL, 0};
        check_same(&message);
    }
    must((r == 0) == (reader.problem == NULL));
    return 0;
}
