/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/wire/message.h"

#include <errno.h>
#include <stdlib.h>

#include "support/random.h"
#include "support/suite.h"

static const uint8_t ops[] = {
    OP_HELLO,   OP_WELCOME, OP_PING,   OP_PONG,    OP_CREDIT,    OP_PART,        OP_BYE,
    OP_FAULT,   OP_OK,      OP_ERROR,  OP_SERVE,   OP_UNSERVE,   OP_CALL,        OP_ITEM,
    OP_END,     OP_MORE,    OP_CANCEL, OP_RETURN,  OP_SUBSCRIBE, OP_UNSUBSCRIBE, OP_PUBLISH,
    OP_MESSAGE, OP_ANSWER,  OP_GAP,    OP_PUSH,    OP_PULL,      OP_UNPULL,      OP_JOB,
    OP_ACK,     OP_RETRY,   OP_REJECT, OP_RELEASE, OP_EXTEND,    OP_FORWARD,     OP_LOST,
    OP_LEAVE,   OP_WATCH,   OP_SERVER, OP_TICKET,  OP_TALLY,     OP_MOVED};

enum { N_OPS = sizeof(ops) };

static const char text[] = "text of which random fields are made, long enough for str 8 and bin 8: "
                           "0123456789012345678901234567890123456789";

static Span some_span(Dice *dice) {
    size_t len = dice_below(dice, sizeof(text));

    return dice_below(dice, 4) == 0 ? (Span){NULL, 0} : span_of(text, len);
}

static Span some_map(Dice *dice, Buffer *to, bool of_str) {
    size_t from;
    uint32_t n = (uint32_t)dice_below(dice, 5);
    Span span;

    if (n == 0)
        return (Span){NULL, 0};
    buffer_reserve(to, 4096);
    from = to->len;
    write_map(to, n);
    for (uint32_t i = 0; i < n; i++) {
        write_str(to, text, 1 + dice_below(dice, 40));
        if (of_str)
            write_str(to, text, dice_below(dice, 40));
        else
            write_uint(to, dice_any(dice));
    }
    span = span_of(to->data + from, to->len - from);
    return span;
}

static uint64_t some_number(Dice *dice) {
    return dice_below(dice, 4) == 0 ? 0 : dice_any(dice);
}

/* Fills the part of the op. */
static void some_part(Dice *dice, Buffer *buffer, Message *m) {
    switch (m->op) {
    case OP_HELLO:
        m->hello.version_min = some_number(dice);
        m->hello.version_max = some_number(dice);
        m->hello.bytes = some_number(dice);
        m->hello.floor = some_number(dice);
        m->hello.client = some_span(dice);
        m->hello.held = some_map(dice, buffer, false);
        m->hello.text = some_span(dice);
        m->hello.group = some_span(dice);
        break;
    case OP_WELCOME:
        m->welcome.version = some_number(dice);
        m->welcome.epoch = some_number(dice);
        m->welcome.bytes = some_number(dice);
        m->welcome.broker = some_span(dice);
        m->welcome.limits = some_map(dice, buffer, false);
        m->welcome.held = some_map(dice, buffer, false);
        break;
    case OP_CREDIT:
        m->credit.bytes = some_number(dice);
        break;
    case OP_PART:
        m->part.transfer = some_number(dice);
        m->part.size = some_number(dice);
        break;
    case OP_BYE:
    case OP_LEAVE:
        m->bye.text = some_span(dice);
        break;
    case OP_FAULT:
        m->fault.map = some_map(dice, buffer, false);
        break;
    case OP_ERROR:
        m->error.map = some_map(dice, buffer, false);
        break;
    case OP_OK:
        m->ok.seq = some_number(dice);
        m->ok.outcome = some_number(dice);
        break;
    case OP_SERVE:
        m->serve.slots = some_number(dice);
        m->serve.instance = some_span(dice);
        m->serve.flags = some_number(dice);
        m->serve.endpoint = some_span(dice);
        m->serve.key = some_span(dice);
        break;
    case OP_CALL:
        m->call.timeout_ms = some_number(dice);
        m->call.flags = some_number(dice);
        m->call.parent = some_number(dice);
        m->call.method = some_span(dice);
        m->call.instance = some_span(dice);
        m->call.text = some_span(dice);
        m->call.user = some_span(dice);
        break;
    case OP_MORE:
        m->more.bytes = some_number(dice);
        break;
    case OP_SUBSCRIBE:
        m->subscribe.options = some_map(dice, buffer, false);
        break;
    case OP_UNSUBSCRIBE:
        m->unsubscribe.sub = some_number(dice);
        break;
    case OP_PUBLISH:
        m->publish.flags = some_number(dice);
        m->publish.window_ms = some_number(dice);
        break;
    case OP_MESSAGE:
        m->message.sub = some_number(dice);
        m->message.seq = some_number(dice);
        m->message.reply = some_number(dice);
        break;
    case OP_ANSWER:
        m->answer.reply = some_number(dice);
        break;
    case OP_GAP:
        m->gap.sub = some_number(dice);
        m->gap.count = dice_below(dice, 3) == 0 ? GAP_UNKNOWN : some_number(dice);
        break;
    case OP_PUSH:
        m->push.flags = some_number(dice);
        m->push.options = some_map(dice, buffer, false);
        break;
    case OP_PULL:
        m->pull.slots = some_number(dice);
        m->pull.wait = some_number(dice);
        break;
    case OP_UNPULL:
        m->unpull.pull = some_number(dice);
        break;
    case OP_JOB:
        m->job.pull = some_number(dice);
        m->job.job = some_number(dice);
        m->job.attempt = some_number(dice);
        break;
    case OP_LOST:
        m->lost.job = some_number(dice);
        m->lost.attempt = some_number(dice);
        break;
    case OP_SERVER:
        m->server.server = some_number(dice);
        m->server.endpoint = some_span(dice);
        m->server.instance = some_span(dice);
        m->server.ticket = some_span(dice);
        m->server.key = some_span(dice);
        break;
    case OP_TALLY:
        m->tally.calls = some_number(dice);
        m->tally.errors = some_number(dice);
        m->tally.total_us = some_number(dice);
        m->tally.method = some_span(dice);
        m->tally.latencies = some_map(dice, buffer, false);
        m->tally.text = some_span(dice);
        break;
    case OP_MOVED:
        m->moved.broker = some_span(dice);
        m->moved.url = some_span(dice);
        break;
    case OP_TICKET:
        m->ticket.flags = some_number(dice);
        m->ticket.ticket = some_span(dice);
        m->ticket.text = some_span(dice);
        m->ticket.user = some_span(dice);
        break;
    case OP_ACK:
    case OP_RETRY:
    case OP_REJECT:
    case OP_RELEASE:
    case OP_EXTEND:
    case OP_FORWARD:
        m->settle.job = some_number(dice);
        m->settle.attempt = some_number(dice);
        m->settle.delay_ms = some_number(dice);
        m->settle.text = some_span(dice);
        m->settle.options = some_map(dice, buffer, false);
        break;
    }
}

/* A message of this op with random fields. The buffer contains the maps. It must not move, so the
 * caller reserves 64 KiB. */
static Message some_message_of(Op op, Dice *dice, Buffer *buffer) {
    Message m = {.op = (uint8_t)op, .id = some_number(dice), .name = some_span(dice)};

    m.body = some_span(dice);
    if (!m.body.data && dice_below(dice, 2) == 0 && m.op != OP_PART)
        m.body_transfer = dice_any(dice) | 1;
    m.headers = some_map(dice, buffer, true);
    some_part(dice, buffer, &m);
    return m;
}

static Message some_message(Dice *dice, Buffer *buffer) {
    return some_message_of((Op)ops[dice_below(dice, N_OPS)], dice, buffer);
}

/* Checks that writing a message that was read produces the same bytes. */
static void written_again(const Message *message, const uint8_t *bytes, size_t len) {
    uint8_t again[8192];

    CU_ASSERT(message_size(message) <= sizeof(again));
    CU_ASSERT_EQUAL(message_write(again, message) - again, (ptrdiff_t)len);
    CU_ASSERT_EQUAL(memcmp(again, bytes, len), 0);
}

static void reading_returns_the_written_message_for_every_op(void) {
    Dice dice = dice_new(31);
    Buffer buffer = {0};
    unsigned seen[256] = {0};

    buffer_reserve(&buffer, 1 << 16);
    for (int round = 0; round < 20000; round++) {
        uint8_t *bytes;
        Message m, read;
        Reader reader;
        size_t size, len;

        buffer_reset(&buffer);
        m = some_message(&dice, &buffer);
        size = message_size(&m);
        /* The allocation has exactly this size, so that valgrind reports a write past its end. */
        bytes = malloc(size);
        len = (size_t)(message_write(bytes, &m) - bytes);
        CU_ASSERT(len <= size);
        CU_ASSERT_PTR_NULL(wire_check(bytes, len));
        memset(&read, 0x5A, sizeof(read));
        reader = reader_of(bytes, len);
        CU_ASSERT_EQUAL(message_read(&reader, &read), 1);
        CU_ASSERT_EQUAL(read.op, m.op);
        CU_ASSERT_EQUAL(message_read(&reader, &read), 0);
        written_again(&read, bytes, len);
        read.passed = (Span){NULL, 0};
        written_again(&read, bytes, len);
        seen[m.op]++;
        free(bytes);
    }
    for (size_t i = 0; i < N_OPS; i++)
        CU_ASSERT(seen[ops[i]] > 100);
    buffer_deinit(&buffer);
}

/* Code that handles all ops in the same way reads the head of each op. */
static void reading_sets_the_whole_head_of_every_op(void) {
    Dice dice = dice_new(5);
    Buffer buffer = {0};

    buffer_reserve(&buffer, 1 << 16);
    for (size_t i = 0; i < N_OPS; i++) {
        char fields[256];
        uint8_t bytes[8192];
        Message m, read;
        Reader reader;

        buffer_reset(&buffer);
        m = some_message_of((Op)ops[i], &dice, &buffer);
        reader = reader_of(bytes, (size_t)(message_write(bytes, &m) - bytes));
        memset(&read, 0x5A, sizeof(read));
        CU_ASSERT_EQUAL(message_read(&reader, &read), 1);
        op_fields(ops[i], fields, sizeof(fields));
        if (!strstr(fields, "id"))
            CU_ASSERT_EQUAL(read.id, 0);
        if (!strstr(fields, "headers"))
            CU_ASSERT(!read.headers.data && read.headers.len == 0);
        if (!strstr(fields, "body"))
            CU_ASSERT(!read.body.data && read.body.len == 0 && read.body_transfer == 0);
        if (!strstr(fields, "service") && !strstr(fields, "topic") && !strstr(fields, "pattern") &&
            !strstr(fields, "queue"))
            CU_ASSERT(!read.name.data && read.name.len == 0);
        CU_ASSERT(read.passed.len <= 8192);
    }
    buffer_deinit(&buffer);
}

/* ACK contains two fields of its part. The other fields have their defaults. */
static void reading_sets_the_whole_part_of_the_op(void) {
    Reader reader = reader_of("\x94\x34\x01\x02\x03", 5);
    Message read;

    memset(&read, 0x5A, sizeof(read));
    CU_ASSERT_EQUAL(message_read(&reader, &read), 1);
    CU_ASSERT_EQUAL(read.op, OP_ACK);
    CU_ASSERT_EQUAL(read.settle.job, 2);
    CU_ASSERT_EQUAL(read.settle.attempt, 3);
    CU_ASSERT_EQUAL(read.settle.delay_ms, 0);
    CU_ASSERT_EQUAL(read.settle.text.len, 0);
    CU_ASSERT_EQUAL(read.settle.options.len, 0);
}

static void every_cut_of_every_message_is_refused(void) {
    Dice dice = dice_new(77);
    Buffer buffer = {0};

    buffer_reserve(&buffer, 1 << 16);
    for (int round = 0; round < 300; round++) {
        uint8_t bytes[8192];
        Message m, read = {0};
        size_t len;

        buffer_reset(&buffer);
        m = some_message(&dice, &buffer);
        len = (size_t)(message_write(bytes, &m) - bytes);
        for (size_t cut = 1; cut < len; cut++) {
            uint8_t *copy = malloc(cut);
            Reader reader = reader_of(copy, cut);

            memcpy(copy, bytes, cut);
            CU_ASSERT_EQUAL(message_read(&reader, &read), -EPROTO);
            CU_ASSERT_PTR_NOT_NULL(reader.problem);
            free(copy);
        }
    }
    buffer_deinit(&buffer);
}

static int read_bytes(Message *message, const char *bytes, size_t len) {
    Reader reader = reader_of(bytes, len);

    return message_read(&reader, message);
}

#define READ(message, bytes) read_bytes(message, bytes, sizeof(bytes) - 1)

static void omitted_fields_are_read_as_empty(void) {
    Message m;

    memset(&m, 0x5A, sizeof(m));
    CU_ASSERT_EQUAL(READ(&m, "\x92\x0a\x07"), 1);
    CU_ASSERT_EQUAL(m.id, 7);
    CU_ASSERT_PTR_NULL(m.body.data);
    CU_ASSERT_EQUAL(m.body_transfer, 0);
    CU_ASSERT_EQUAL(m.ok.seq, 0);
    CU_ASSERT_PTR_NULL(m.passed.data);
    CU_ASSERT_EQUAL(READ(&m, "\x92\x25\x04"), 1);
    CU_ASSERT_EQUAL(m.gap.count, GAP_UNKNOWN);
    CU_ASSERT_EQUAL(READ(&m, "\x91\x03"), 1);
    CU_ASSERT_EQUAL(m.id, 0);
}

static void fields_after_the_last_known_are_ignored(void) {
    Message m = {0};
    Reader reader = reader_of("\x95\x16\x07\x81\xa1k\x01\xc0\x91\xc3\x92\x14\x09", 13);

    CU_ASSERT_EQUAL(message_read(&reader, &m), 1);
    CU_ASSERT_EQUAL(m.op, OP_CANCEL);
    CU_ASSERT_EQUAL(m.id, 7);
    CU_ASSERT_EQUAL(message_read(&reader, &m), 1);
    CU_ASSERT_EQUAL(m.op, OP_END);
    CU_ASSERT_EQUAL(m.id, 9);
    CU_ASSERT_EQUAL(message_read(&reader, &m), 0);
}

static void ops_from_128_up_are_skipped_and_others_refused(void) {
    Message m = {0};

    /* [144, {"a": [1]}], [200], [70000, 1], CANCEL */
    CU_ASSERT_EQUAL(READ(&m, "\x92\xcc\x90\x81\xa1"
                             "a\x91\x01\x91\xcc\xc8\x92\xce\x00\x01\x11\x70\x01\x92\x16\x05"),
                    1);
    CU_ASSERT_EQUAL(m.op, OP_CANCEL);
    CU_ASSERT_EQUAL(m.id, 5);
    CU_ASSERT_EQUAL(READ(&m, "\x91\xcc\x90"), 0);
    CU_ASSERT_EQUAL(READ(&m, "\x92\x7f\x01"), -EPROTO);
    CU_ASSERT_EQUAL(READ(&m, "\x92\x00\x01"), -EPROTO);
    CU_ASSERT_EQUAL(READ(&m, "\x92\x09\x01"), -EPROTO);
    CU_ASSERT_EQUAL(READ(&m, "\x92\xcc\x90\xc1"), -EPROTO);
    CU_ASSERT_EQUAL(READ(&m, "\x90"), -EPROTO);
    CU_ASSERT_EQUAL(READ(&m, "\xa1x"), -EPROTO);
    CU_ASSERT_EQUAL(READ(&m, "\x91\xff"), -EPROTO);
}

static void a_message_with_too_few_fields_is_refused(void) {
    for (size_t i = 0; i < N_OPS; i++) {
        char fields[256];
        uint8_t bytes[3] = {0x91, 0xcc, ops[i]}; /* 0xcc: a number of eight bits */
        bool all_optional;
        Reader reader = reader_of(bytes, 3);
        Message m = {0};

        op_fields(ops[i], fields, sizeof(fields));
        all_optional = fields[strcspn(fields, " ") - 1] == '?';
        CU_ASSERT_EQUAL(message_read(&reader, &m), all_optional ? 1 : -EPROTO);
    }
}

static void a_field_of_another_type_is_refused(void) {
    Message m = {0};

    CU_ASSERT_EQUAL(READ(&m, "\x92\x16\xa1x"), -EPROTO);             /* CANCEL("x") */
    CU_ASSERT_EQUAL(READ(&m, "\x92\x16\xff"), -EPROTO);              /* CANCEL(-1) */
    CU_ASSERT_EQUAL(READ(&m, "\x92\x16\xc0"), -EPROTO);              /* CANCEL(nil) */
    CU_ASSERT_EQUAL(READ(&m, "\x92\x07\xc4\x00"), -EPROTO);          /* BYE(bin) */
    CU_ASSERT_EQUAL(READ(&m, "\x93\x0a\x01\xa1x"), MESSAGE_REFUSED); /* OK(1, str) */
    CU_ASSERT_EQUAL(READ(&m, "\x93\x0a\x01\x00"), MESSAGE_REFUSED);  /* OK(1, transfer 0) */
    CU_ASSERT_EQUAL(READ(&m, "\x93\x13\x01\x90"), MESSAGE_REFUSED);  /* ITEM(1, []) */
    CU_ASSERT_EQUAL(READ(&m, "\x92\x07\xc0"), 1);                    /* BYE(nil) */
    CU_ASSERT_EQUAL(m.bye.text.len, 0);
}

/* The sender gets an ERROR instead of a FAULT, because the number in front identifies the refused
 * message. */
static void a_refused_message_keeps_its_number_and_its_place(void) {
    Message m = {0};
    /* OK(7, transfer 5, "x"), CANCEL(9) */
    Reader reader = reader_of("\x94\x0a\x07\x05\xa1x\x92\x16\x09", 9);

    CU_ASSERT_EQUAL(message_read(&reader, &m), MESSAGE_REFUSED);
    CU_ASSERT_EQUAL(m.op, OP_OK);
    CU_ASSERT_EQUAL(m.id, 7);
    CU_ASSERT_EQUAL(m.body_transfer, 5);
    CU_ASSERT_STRING_EQUAL(m.refused.problem, "expected an integer");
    CU_ASSERT_EQUAL(message_read(&reader, &m), 1);
    CU_ASSERT_EQUAL(m.op, OP_CANCEL);
    CU_ASSERT_EQUAL(m.id, 9);
    CU_ASSERT_EQUAL(message_read(&reader, &m), 0);

    CU_ASSERT_EQUAL(READ(&m, "\x92\x12\x01"), MESSAGE_REFUSED); /* CALL(1) */
    CU_ASSERT_EQUAL(m.id, 1);
    CU_ASSERT_EQUAL(READ(&m, "\x93\x24\x03\xa1x"), MESSAGE_REFUSED); /* ANSWER(3, str) */
    CU_ASSERT_EQUAL(m.id, 3);
    /* The number itself, or the rest of the message, is not MessagePack; or the message has no
     * number for an answer. */
    CU_ASSERT_EQUAL(READ(&m, "\x93\x0a\xff\xa1x"), -EPROTO);
    CU_ASSERT_EQUAL(READ(&m, "\x93\x0a\x01\xc1"), -EPROTO);
    CU_ASSERT_EQUAL(READ(&m, "\x93\x0a\x01\xa5x"), -EPROTO);
    CU_ASSERT_EQUAL(READ(&m, "\x91\x0a"), -EPROTO);
    CU_ASSERT_EQUAL(READ(&m, "\x93\x25\x01\xa1x"), -EPROTO); /* GAP(1, str) */
}

static int read_headers(uint32_t n, size_t value_len, const char *key, bool options) {
    CLEANUP(buffer_deinit) Buffer b = {0};
    Message m = {0};
    Reader reader;
    char value[20000];

    memset(value, 'v', sizeof(value));
    write_array(&b, options ? 4 : 6);
    write_uint(&b, options ? OP_SUBSCRIBE : OP_JOB);
    write_uint(&b, 1);
    if (options) {
        write_text(&b, "a");
    } else {
        write_uint(&b, 1);
        write_uint(&b, 1);
    }
    write_map(&b, n);
    for (uint32_t i = 0; i < n; i++) {
        write_text(&b, key);
        write_str(&b, value, value_len);
    }
    if (!options)
        write_nil(&b);
    reader = reader_of(b.data, b.len);
    return message_read(&reader, &m);
}

static void headers_and_options_have_their_limits(void) {
    CU_ASSERT_EQUAL(read_headers(64, 10, "k", false), 1);
    CU_ASSERT_EQUAL(read_headers(65, 10, "k", false), -EPROTO);
    CU_ASSERT_EQUAL(read_headers(1, 16384 - 6, "k", false), 1);
    CU_ASSERT_EQUAL(read_headers(1, 16384 - 5, "k", false), -EPROTO);
    CU_ASSERT_EQUAL(read_headers(1, 4, "", false), -EPROTO);
    CU_ASSERT_EQUAL(read_headers(64, 10, "k", true), 1);
    CU_ASSERT_EQUAL(read_headers(65, 10, "k", true), MESSAGE_REFUSED);
    CU_ASSERT_EQUAL(read_headers(1, 4096 - 6, "k", true), 1);
    CU_ASSERT_EQUAL(read_headers(1, 4096 - 5, "k", true), MESSAGE_REFUSED);
}

static void headers_are_found_by_name(void) {
    CLEANUP(buffer_deinit) Buffer b = {0};
    Span headers, value;

    write_map(&b, 2);
    write_text(&b, "a");
    write_text(&b, "1");
    write_text(&b, "ab");
    write_text(&b, "");
    headers = span_of(b.data, b.len);
    CU_ASSERT_TRUE(span_is(header_find(headers, "a"), "1"));
    value = header_find(headers, "ab");
    CU_ASSERT_PTR_NOT_NULL(value.data);
    CU_ASSERT_EQUAL(value.len, 0);
    CU_ASSERT_PTR_NULL(header_find(headers, "b").data);
    CU_ASSERT_PTR_NULL(header_find((Span){NULL, 0}, "a").data);
}

static void a_message_is_forwarded_with_name_headers_and_body(void) {
    CLEANUP(buffer_deinit) Buffer buffer = {0};
    Dice dice = dice_new(8);

    buffer_reserve(&buffer, 1 << 16);
    for (int round = 0; round < 2000; round++) {
        uint8_t bytes[8192], passed_on[8192];
        Message m, read, out, again;
        Reader reader;

        buffer_reset(&buffer);
        m = some_message_of(OP_CALL, &dice, &buffer);
        m.id = 3;
        reader = reader_of(bytes, (size_t)(message_write(bytes, &m) - bytes));
        CU_ASSERT_EQUAL(message_read(&reader, &read), 1);
        out = message_forward(OP_CALL, UINT64_MAX, &read);
        out.call = read.call;
        out.call.timeout_ms = 5;
        out.call.text = span_text("caller");
        CU_ASSERT(message_size(&out) <= sizeof(passed_on));
        reader = reader_of(passed_on, (size_t)(message_write(passed_on, &out) - passed_on));
        CU_ASSERT_EQUAL(message_read(&reader, &again), 1);
        CU_ASSERT_EQUAL(again.id, UINT64_MAX);
        CU_ASSERT_EQUAL(again.name.len, m.name.len);
        CU_ASSERT_EQUAL(again.headers.len, m.headers.len);
        CU_ASSERT_EQUAL(again.body.len, m.body.len);
        CU_ASSERT_EQUAL(again.body_transfer, m.body_transfer);
        CU_ASSERT_TRUE(span_is(again.call.text, "caller"));
        CU_ASSERT_EQUAL(message_read(&reader, &again), 0);
    }
}

static void a_batch_has_a_head_and_a_size(void) {
    static uint8_t bytes[WIRE_BATCH_MAX + 1] = {WIRE_MAGIC, WIRE_PROTOCOL};
    Reader reader;

    CU_ASSERT_EQUAL(batch_open(&reader, bytes, 2), 0);
    CU_ASSERT_EQUAL(reader_left(&reader), 0);
    CU_ASSERT_EQUAL(batch_open(&reader, bytes, WIRE_BATCH_MAX), 0);
    CU_ASSERT_EQUAL(batch_open(&reader, bytes, WIRE_BATCH_MAX + 1), -EPROTO);
    CU_ASSERT_EQUAL(batch_open(&reader, bytes, 1), -EPROTO);
    CU_ASSERT_EQUAL(batch_open(&reader, NULL, 0), -EPROTO);
    CU_ASSERT_EQUAL(batch_open(&reader, "\xf7\x02", 2), -EPROTO);
    CU_ASSERT_EQUAL(batch_open(&reader, "GET / HTTP/1.1", 14), -EPROTO);
    CU_ASSERT_PTR_NOT_NULL(reader.problem);
}

/* docs/PROTOCOL.md, section 4: "| 10 | OK | id body? seq? | ✓ | ✓ |" */
static bool begins_with_control(const char *bytes, size_t len) {
    return batch_is_control(reader_of((const uint8_t *)bytes, len));
}

static void the_first_message_says_whether_a_batch_is_session_control(void) {
    const char ping[] = {(char)0x92, OP_PING, 1}, part[] = {(char)0x93, OP_PART, 1, (char)0xC4, 0};
    const char ok[] = {(char)0x92, OP_OK, 1}, later[] = {(char)0x91, (char)0xCC, (char)200};

    CU_ASSERT_TRUE(begins_with_control(ping, sizeof(ping)));
    CU_ASSERT_FALSE(begins_with_control(part, sizeof(part)));
    CU_ASSERT_FALSE(begins_with_control(ok, sizeof(ok)));
    CU_ASSERT_FALSE(begins_with_control(later, sizeof(later)));
}

static void the_protocol_text_lists_the_same_fields(void) {
    FILE *file = fopen(PROTOCOL_MD, "r");
    char line[1024];
    unsigned found = 0;
    bool in_section = false;

    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    while (fgets(line, sizeof(line), file)) {
        char name[32], fields[256], expected[256];
        unsigned op;

        if (strncmp(line, "## ", 3) == 0)
            in_section = strncmp(line, "## 4.", 5) == 0;
        if (!in_section || sscanf(line, "| %u | %31s | %255[^|]", &op, name, fields) != 3)
            continue;
        fields[strcspn(fields, "|")] = '\0';
        while (*fields && fields[strlen(fields) - 1] == ' ')
            fields[strlen(fields) - 1] = '\0';
        op_fields(op, expected, sizeof(expected));
        CU_ASSERT_STRING_EQUAL(fields, expected);
        CU_ASSERT_PTR_NOT_NULL(op_name(op));
        if (op_name(op))
            CU_ASSERT_STRING_EQUAL(name, op_name(op));
        found++;
    }
    fclose(file);
    CU_ASSERT_EQUAL(found, N_OPS);
    for (unsigned op = 0; op < 300; op++)
        CU_ASSERT_EQUAL(op_name(op) != NULL, memchr(ops, (int)op, N_OPS) != NULL && op < 256);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(reading_returns_the_written_message_for_every_op),
        TEST(reading_sets_the_whole_head_of_every_op),
        TEST(reading_sets_the_whole_part_of_the_op),
        TEST(every_cut_of_every_message_is_refused),
        TEST(omitted_fields_are_read_as_empty),
        TEST(fields_after_the_last_known_are_ignored),
        TEST(ops_from_128_up_are_skipped_and_others_refused),
        TEST(a_message_with_too_few_fields_is_refused),
        TEST(a_field_of_another_type_is_refused),
        TEST(a_refused_message_keeps_its_number_and_its_place),
        TEST(headers_and_options_have_their_limits),
        TEST(headers_are_found_by_name),
        TEST(a_message_is_forwarded_with_name_headers_and_body),
        TEST(a_batch_has_a_head_and_a_size),
        TEST(the_first_message_says_whether_a_batch_is_session_control),
        TEST(the_protocol_text_lists_the_same_fields),
        TESTS_END,
    };

    return run_suite("rpc/wire messages", tests);
}
